"""KeypointGAN in the report: its monitors, what it sees, and swaps."""
from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import numpy as np
import torch
from mmpose.registry import DATASETS
from torch import Tensor

from ..evaluation.keypoints import keypoint_errors
from ..models.adversarial import unwrap
from ..models.keypointgan.health import FLOOR, log_image
from ..models.pose.representations import cells_from_normalised
from ..models.steps import evaluating
from ..structures import Skeleton
from . import drawing
from .edit_sheets import swap_rows
from .gallery import (
    BROKEN,
    Row,
    Tile,
    _big,
    _over,
    load_model,
    mmpose_scope,
    one_line,
)
from .observatory import observatory_html
from .page import Section
from .work_dir import Stage

#: Subjects on the sheet of swaps, at most.
SWAPPED = 5


def shows_keypoints(stage: Stage) -> bool:
    """Whether it trains a KeypointGAN, or the regressor of one."""
    model = (stage.config or {}).get('model') or {}
    return model.get('type') in ('KeypointGAN',
                                 'SkeletonRegressorPretraining')


def keypoint_sections(stages: Sequence[Stage], number: int,
                      notes: list[str]) -> list[Section]:
    """Monitors, held-out frames and swaps of the last stage with weights.

    Args:
        stages (Sequence[Stage]): Of a work dir.
        number (int): Frames to show.
        notes (list[str]): What could not be drawn is added.
    """
    trained = [s for s in stages if s.config is not None
               and s.config.model.get('type') == 'KeypointGAN']
    sections = [Section(f'Observatory: {s.title}', observatory_html(s))
                for s in trained if s.scalars.train]
    for stage in reversed(trained):
        if stage.checkpoint is None:
            continue
        try:
            model = load_model(stage)
            batch, total = held_out(stage, number)
            told = (f'{len(batch["names"])} of {total} held-out frames, '
                    'evenly spaced, not chosen.')
            source = f'Weights: {stage.title}, epoch {stage.done}.'
            return [*sections,
                    Section('Keypoints on held-out frames', frames_html(
                        model, batch, f'{told} {source}')),
                    Section('Swapped appearances', swaps_html(
                        model, batch, source))]
        except BROKEN as error:
            notes.append(f'the frames of stage {stage.name} cannot be '
                         f'drawn: {one_line(error)}')
    if not any(s.checkpoint for s in trained):
        notes.append('no pictures: KeypointGAN has no weights yet')
    return [*sections, Section('Keypoints on held-out frames',
                               '<p>There is nothing to draw yet.</p>')]


# -- held-out frames -------------------------------------------------------
def held_out(stage: Stage, number: int) -> tuple[dict[str, Any], int]:
    """Pairs of held-out frames, evenly spaced over them.

    Args:
        stage (Stage): Its test data are those of ``FrameDataset``.
        number (int): How many pairs, at most.

    Returns:
        tuple: ``images`` and ``conditions`` (n, 3, S, S) uint8 BGR,
        ``keypoints`` (n, K, 2) pixels, ``visible`` (n, K) and ``names``;
        and the number of frames there are.

    Raises:
        ValueError: The stage names no frames besides those of the
            post-processing.
    """
    leaves = [leaf for leaf in _leaves((stage.config or {}).get(
        'test_dataloader', {}).get('dataset') or {})
        if leaf.get('role', 'test') != 'fit']
    if not leaves:
        raise ValueError('test_dataloader names no frames to test on')
    with mmpose_scope():
        data = DATASETS.build(dict(leaves[-1], test_mode=False,
                                   **_paired(leaves[-1])))
    count = min(number, len(data))
    chosen = ((np.arange(count) + .5) * len(data) / count).astype(int)
    batch = data.get_batch(chosen.tolist(), data.fixed_keys(chosen.tolist()))
    samples = batch['data_samples']
    images, conditions = (torch.as_tensor(batch['inputs'][k])
                          for k in ('image', 'condition'))
    return dict(
        images=images, conditions=conditions,
        keypoints=np.stack([s.gt_instances.keypoints[0] for s in samples]),
        visible=np.stack([s.gt_instances.keypoints_visible[0]
                          for s in samples]),
        names=[str(s.metainfo.get('id', i))
               for i, s in enumerate(samples)]), len(data)


def _paired(leaf: Mapping) -> dict[str, Any]:
    """Its sources without the clips that are too short to have a pair."""
    if leaf.get('type') != 'FramePairDataset':
        return {}
    least = leaf.get('gap_min', 1) + 1
    return dict(sources=[
        dict(s, min_frames=max(s.get('min_frames', least), least))
        for s in leaf.get('sources', ())])


def _leaves(dataset: Mapping) -> list[Mapping]:
    if 'datasets' in dataset:
        return [leaf for d in dataset['datasets'] for leaf in _leaves(d)]
    return [dataset] if dataset else []


def _inputs(model: Any, batch: Mapping[str, Any]) -> dict[str, Tensor]:
    return model.data_preprocessor(dict(inputs=dict(
        image=batch['images'], condition=batch['conditions'])))['inputs']


@torch.no_grad()
def frame_rows(model: Any, batch: Mapping[str, Any]) -> list[Row]:
    """A row for every frame: each stage of the cycle, and the keypoints.

    Args:
        model (KeypointGAN): With weights.
        batch (dict): Of :func:`held_out`.
    """
    inputs = _inputs(model, batch)
    with evaluating(model):
        out = model.cycle(inputs['image'], inputs['condition'])
        points = [('predicted', out.keypoints)]
        if model.correct_sides:
            points.append(('corrected', model.side_corrected(
                out.keypoints)[0]))
    pictures = {k: drawing.denormalise(v, model.data_preprocessor)
                for k, v in dict(inputs, made=out.image).items()}
    size = out.image.shape[-2:]
    pixels = [(name, cells_from_normalised(p.float(), size).cpu().numpy())
              for name, p in points]
    skeleton: Skeleton = model.skeleton
    everything = np.ones(len(skeleton))
    rows = []
    for i, name in enumerate(batch['names']):
        seen = pictures['image'][i]
        truth, there = batch['keypoints'][i], batch['visible'][i]
        tiles = [Tile('input', _big(seen))]
        if unwrap(model.generator).conditional:
            tiles.append(Tile('appearance', _big(pictures['condition'][i])))
        tiles += [
            Tile('skeleton image', _grey(out.skeleton[i])),
            Tile('its log', _log(out.skeleton[i])),
            Tile('drawn keypoints', _grey(out.drawn[i])),
            Tile('their log', _log(out.drawn[i])),
            Tile('reconstruction', _big(pictures['made'][i]))]
        for what, found in pixels:
            error = _percent(found[i], truth, there, size)
            tiles.append(Tile(f'{what}{error}', _over(
                seen, found[i], everything, skeleton)))
        tiles.append(Tile('truth', _over(seen, truth, there, skeleton)))
        rows.append(Row(name, tiles))
    return rows


def _percent(found: np.ndarray, truth: np.ndarray, there: np.ndarray,
             size: Sequence[int]) -> str:
    if not (there > 0).any():
        return ''
    error = np.nanmean(keypoint_errors(found[None], truth[None],
                                       there[None]))
    return f' {100 * error / max(size):.1f}\u202f%'


def _grey(skeleton: Tensor) -> np.ndarray:
    """The strongest channel in grey, black 0, white 1."""
    return _big(drawing.mask_image(skeleton.amax(0)))


def _log(skeleton: Tensor) -> np.ndarray:
    """Its logarithm, black at the floor, white at 1."""
    return _big(drawing.mask_image(
        log_image(skeleton).amax(0) / -float(np.log(FLOOR))))


def frames_html(model: Any, batch: Mapping[str, Any], told: str) -> str:
    """Rows of pictures with an explanation."""
    reads = 'the drawn keypoints' if model.bottleneck else \
        'the skeleton image itself (there is no bottleneck)'
    return (
        f'<p>{escape(told)} In the logarithms black is 1/255 or fainter and '
        'white is 1: the log of drawn keypoints is black beside the limbs, '
        'and a picture to be made out in the log of a skeleton image is a '
        f'leak. The decoder reads {reads}. Errors: mean over the annotated '
        'joints, in % of the side of the image; corrected: left and right '
        'as the offline regressor sees them.</p>'
        + _grid(frame_rows(model, batch)))


# -- swaps -----------------------------------------------------------------
@torch.no_grad()
def swapped_rows(model: Any, batch: Mapping[str, Any]) -> list[Row]:
    """Every pose with every appearance; the diagonal is reconstruction.

    Args:
        model (KeypointGAN): Conditional, with weights.
        batch (dict): Of :func:`held_out`; the appearances are those of its
            second frames.
    """
    n = min(SWAPPED, len(batch['names']))
    few = {k: v[:n] for k, v in _inputs(model, batch).items()}
    with evaluating(model):
        out = model.cycle(few['image'], few['condition'])
        pose = out.drawn if model.bottleneck else out.skeleton
        made = unwrap(model.generator)(
            pose.repeat_interleave(n, 0),
            few['condition'].repeat(n, 1, 1, 1)).float()
    image, condition, pictures = (
        drawing.denormalise(v, model.data_preprocessor)
        for v in (few['image'], few['condition'], made))
    h, w = image.shape[1:3]
    points = cells_from_normalised(out.keypoints.float(), (h, w))
    return swap_rows(image, points.cpu().numpy(), [''] * n, condition,
                     [''] * n, pictures.reshape(n, n, *pictures.shape[1:]),
                     model.skeleton)


def swaps_html(model: Any, batch: Mapping[str, Any], source: str) -> str:
    """The sheet of swaps."""
    if not unwrap(model.generator).conditional:
        return ('<p>This decoder reads no appearance frame '
                '(generator.conditional=False): nothing can be swapped.</p>')
    return (f'<p>Rows: whose pose. Columns: whose appearance, another frame '
            'of the same clip on the diagonal. A column should look like '
            'its head, a row should stand like its head; columns that look '
            f'alike within a row are a leak. {escape(source)}</p>'
            + _grid(swapped_rows(model, batch)))


def _grid(rows: Sequence[Row]) -> str:
    """Rows on one grid; a caption where it differs from the one above."""
    width, cells = max(len(row.tiles) for row in rows), ''
    above = [''] * width
    for row in rows:
        for i, tile in enumerate(row.tiles):
            caption = f'<figcaption>{escape(tile.caption)}</figcaption>' \
                if tile.caption != above[i] else ''
            above[i] = tile.caption
            uri = drawing.data_uri(drawing.png(tile.image))
            alt = escape(f'{row.title} {tile.caption}'.strip())
            cells += (f'<figure title="{alt}">{caption}<img alt="{alt}" '
                      f'src="{uri}"></figure>')
    return (f'<div class="wide"><div class="sheet" style="grid-template-'
            f'columns:repeat({width},minmax(0,150px))">{cells}</div></div>')
