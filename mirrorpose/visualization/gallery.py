"""What the trained networks make of test images, and what they make up."""
from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from mmengine.dataset import pseudo_collate
from mmengine.registry import DefaultScope
from mmpose.registry import DATASETS, KEYPOINT_CODECS, MODELS
from torch import Tensor, nn

from ..engine import checkpoint as checkpoints
from ..evaluation import LspPCK
from ..models.mirrornet.batch import reduce_image
from ..models.pose import draw_gaussians, peaks, soft_argmax
from ..structures import Skeleton
from . import drawing
from .work_dir import Stage, find, lower

#: What a config or a folder that does not fit (any more) raises.
BROKEN = (OSError, ValueError, TypeError, KeyError, RuntimeError,
          AttributeError)
#: A generated map whose peak lies below shows no joint.
_FAINT = 0.2
#: Sides of pictures in pixels, at least.
_SIDE = 240


class Tile(NamedTuple):
    """A picture and what it shows."""

    caption: str
    image: np.ndarray


class Row(NamedTuple):
    """Pictures that belong together."""

    title: str
    tiles: list[Tile]


@dataclass
class Networks:
    """The latest version of every network, whichever stage trained it.

    Attributes:
        joint (nn.Module | None): A whole MirrorNet.
        recognizers (dict[str, nn.Module]): Title to recognizer, best last.
        image_vae, pose_vae, mask_estimator (nn.Module | None): Sub-networks.
        preprocessor (nn.Module | None): The images' preprocessor.
        codec (BaseKeypointCodec | None): Draws the maps that they learnt
            from.
        sources (dict[str, str]): Network to ``stage, epoch N``.
    """

    joint: Any = None
    recognizers: dict[str, Any] = None  # type: ignore[assignment]
    image_vae: Any = None
    pose_vae: Any = None
    mask_estimator: Any = None
    preprocessor: Any = None
    codec: Any = None
    sources: dict[str, str] = None  # type: ignore[assignment]

    def __post_init__(self) -> None:
        self.recognizers = self.recognizers or {}
        self.sources = self.sources or {}

    @property
    def recognizer(self) -> Any:
        """The one whose poses enter the generators; None before any."""
        return self.joint or next(reversed(self.recognizers.values()), None)


@contextmanager
def mmpose_scope() -> Iterator[None]:
    """Lets registries find mmpose's parts, as a Runner does."""
    with DefaultScope.overwrite_default_scope('mmpose'):
        yield


def load_model(stage: Stage) -> nn.Module:
    """Builds a stage's model with its latest weights, in eval mode.

    Raises:
        FileNotFoundError, ValueError: No weights, or weights of another
            model.
    """
    if stage.config is None or stage.checkpoint is None:
        raise FileNotFoundError(f'stage {stage.name} has no config or no '
                                'checkpoint')
    with mmpose_scope():
        model = MODELS.build(stage.config.model)
    held = checkpoints.load(stage.checkpoint)
    checkpoints.check_fits(model, held, str(stage.checkpoint))
    model.load_state_dict(held['state_dict'])
    return model.eval()


def load_networks(stages: Sequence[Stage]) -> tuple[Networks, list[str]]:
    """The latest version of every network, joint stages first.

    Returns:
        tuple: The networks, and a note on every stage that cannot be loaded.
    """
    networks, notes = Networks(), []
    recognizers: dict[str, Any] = {}
    for stage in reversed(stages):
        wanted = [part for part in ('image_vae', 'pose_vae',
                                    'mask_estimator')
                  if getattr(networks, part) is None]
        spec = stage.config.model if stage.config is not None else {}
        compared = 'backbone' in spec and (
            not recognizers or stage.name == 'baseline')
        if stage.checkpoint is None or not (
                compared or any(part in spec for part in wanted)):
            continue
        try:
            model = load_model(stage)
        except BROKEN as error:
            notes.append(f'the networks of stage {stage.name} cannot be '
                         f'loaded: {one_line(error)}')
            continue
        source = f'{lower(stage.title)}, epoch {stage.done}'
        for part in wanted:
            if hasattr(model, part):
                setattr(networks, part, getattr(model, part))
                networks.sources[part] = source
        if compared and hasattr(model, 'recognize'):
            recognizers[stage.title] = model
            networks.sources.setdefault('recognizer', source)
        if hasattr(model, 'explain') and networks.joint is None:
            networks.joint = model
        if networks.preprocessor is None:
            networks.preprocessor = model.data_preprocessor
        if networks.codec is None:
            networks.codec = _codec(stage)
    networks.recognizers = dict(reversed(recognizers.items()))
    return networks, notes


def _codec(stage: Stage) -> Any:
    loader = (stage.config or {}).get('train_dataloader')
    for encoder in find(loader, 'encoder'):
        if 'heatmap_size' in encoder:
            return KEYPOINT_CODECS.build(encoder)
    return None


def one_line(error: BaseException) -> str:
    """The message of an error, short enough for a note."""
    text = ' '.join(str(error).split()) or type(error).__name__
    return text if len(text) < 400 else text[:400] + ' ...'


# -- data -----------------------------------------------------------------
def load_samples(stages: Sequence[Stage], number: int) -> tuple[
        dict[str, list], int, Skeleton]:
    """Test images spread evenly over the test set.

    Nobody chose them: image i of n is number (i + 0.5) / n of the set.

    Args:
        stages (Sequence[Stage]): One of them tests on images.
        number (int): How many, at most.

    Returns:
        tuple: A batch as a data loader gives it, the size of the set, and
        its joints.

    Raises:
        ValueError: No stage has a data loader of test images.
        FileNotFoundError: The data are not there.
    """
    loaders = [s.image_data for s in stages if s.image_data is not None]
    if not loaders:
        raise ValueError('no stage has a test_dataloader that reads images')
    with mmpose_scope():
        dataset = DATASETS.build(loaders[-1]['dataset'])
        count = min(number, len(dataset))
        chosen = ((np.arange(count) + 0.5) * len(dataset) / count).astype(int)
        batch = pseudo_collate([dataset[int(i)] for i in chosen])
    return batch, len(dataset), Skeleton.from_metainfo(dataset.metainfo)


def input_points(sample: Any) -> tuple[np.ndarray, np.ndarray]:
    """Annotated joints in the pixels of the network's input.

    Args:
        sample (PoseDataSample): With ``gt_instances``.

    Returns:
        tuple: (K, 2) coordinates and (K,) bool.
    """
    truth = sample.gt_instances
    visible = np.asarray(truth.keypoints_visible)
    visible = visible[..., 0] if visible.ndim == 3 else visible
    meta = sample.metainfo
    center, scale, size = (np.asarray(meta[f'input_{k}'], float).reshape(-1)
                           for k in ('center', 'scale', 'size'))
    points = np.asarray(truth.keypoints)[0, :, :2]
    return ((points - center + 0.5 * scale) / scale * size,
            visible[0] > 0)


def annotated_maps(networks: Networks, samples: Sequence[Any]) -> Tensor:
    """Heatmaps (N, K, h, w) of annotated poses, zero for absent joints.

    Test pipelines make no targets, so they are drawn here by the codec.

    Raises:
        ValueError: No stage's training pipeline has a heatmap codec.
    """
    if networks.codec is None:
        raise ValueError('no training pipeline has GenerateTarget with a '
                         'heatmap codec, so annotated poses cannot be drawn')
    maps = []
    for sample in samples:
        points, present = input_points(sample)
        made = networks.codec.encode(
            np.where(present[:, None], points, 0)[None].astype(np.float32),
            present[None].astype(np.float32))['heatmaps']
        maps.append(torch.from_numpy(made * present[:, None, None]).float())
    return torch.stack(maps)


# -- test images ----------------------------------------------------------
@torch.no_grad()
def explain(networks: Networks, inputs: Tensor,
            samples: Sequence[Any]) -> dict[str, Tensor]:
    """What :meth:`MirrorNet.explain` gives, as far as networks are trained.

    Before a joint stage the sub-networks are put together here; without a
    recognizer, they start from the annotated pose.
    """
    if networks.joint is not None:
        return networks.joint.explain(inputs, samples)
    out: dict[str, Tensor] = {}
    if networks.recognizer is not None:
        out['pose'] = networks.recognizer.recognize(inputs)[-1]
        pose = clean_pose(networks, out['pose'])
    else:
        pose = annotated_maps(networks, samples)
    image = out['image'] = reduce_image(inputs, pose)
    if networks.mask_estimator is not None:
        out['mask'] = networks.mask_estimator.sharpen(
            networks.mask_estimator(image, pose))
    if networks.image_vae is not None and 'mask' in out:
        out['reconstruction'] = networks.image_vae(
            image, pose, out['mask']).mean
    if networks.pose_vae is not None:
        out['pose_after'] = networks.pose_vae(pose).mean
    return out


def clean_pose(networks: Networks, maps: Tensor) -> Tensor:
    """Gaussians at the peaks of recognized maps, (N, K, h, w)."""
    sigma = getattr(networks.pose_vae, 'sigma', 1.)
    h, w = maps.shape[-2:]
    cells = soft_argmax(maps, 0.05, max(1, round(3 * sigma)))
    return draw_gaussians(cells, (h, w), sigma)


@torch.no_grad()
def predictions(recognizer: Any, inputs: Tensor) -> np.ndarray:
    """Joints in input pixels as the head decodes them, (N, K, 2)."""
    maps = recognizer.recognize(inputs)[-1]
    return np.stack([np.asarray(found.keypoints)[0]
                     for found in recognizer.head.decode(maps)])


def people(networks: Networks, batch: dict[str, list],
           skeleton: Skeleton) -> list[Row]:
    """A row of pictures for every image of a batch."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return _people(networks, batch, skeleton)


def _people(networks: Networks, batch: dict[str, list],
            skeleton: Skeleton) -> list[Row]:
    data = networks.preprocessor(batch, training=False)
    inputs, samples = data['inputs'], data['data_samples']
    seen = drawing.denormalise(inputs, networks.preprocessor)
    parts = explain(networks, inputs, samples)
    small = drawing.denormalise(parts['image'], networks.preprocessor)
    made = drawing.denormalise(parts['reconstruction'],
                               networks.preprocessor) \
        if 'reconstruction' in parts else None
    found = {title: predictions(model, inputs)
             for title, model in networks.recognizers.items()}
    colors = drawing.joint_colors(skeleton)
    rows = []
    for i, sample in enumerate(samples):
        truth, present = input_points(sample)
        tiles = [Tile('annotation', _over(seen[i], truth, present, skeleton))]
        for title, points in found.items():
            tiles.append(Tile(
                f'{lower(title)}: {_verdict(points[i], truth, present)}',
                _over(seen[i], points[i], np.ones(len(skeleton)), skeleton)))
        if 'mask' in parts:
            tiles.append(Tile('estimated mask', _big(
                drawing.mask_image(parts['mask'][i]))))
        tiles.append(Tile('image, reduced', _big(small[i])))
        if made is not None:
            tiles.append(Tile('reconstruction', _big(made[i])))
        for key, caption in (('pose', 'recognized pose maps'),
                             ('pose_after', 'after the pose VAE')):
            if key in parts:
                tiles.append(_maps(parts[key][i], colors, caption))
        name = sample.metainfo.get('id', sample.metainfo.get('img_id', i))
        rows.append(Row(f'Test image {name}', tiles))
    return rows


def _verdict(points: np.ndarray, truth: np.ndarray,
             present: np.ndarray) -> str:
    size = LspPCK.normalisers(truth[None], present[None], 'bbox')[0]
    error = np.linalg.norm(points - truth, axis=-1)[present]
    return (f'{int((error <= 0.2 * size).sum())} of {int(present.sum())} '
            'joints')


def _over(image: np.ndarray, points: np.ndarray, present: np.ndarray,
          skeleton: Skeleton) -> np.ndarray:
    factor = _factor(image)
    large = drawing.enlarge(image, factor)
    return drawing.draw_skeleton(
        large, drawing.enlarge_points(points, factor), present, skeleton,
        max(2, len(large) // 80))


def _maps(heatmaps: Tensor, colors: np.ndarray, caption: str) -> Tile:
    """Maps as bright as fits, faint ones dark; the caption tells."""
    peak = float(heatmaps.max())
    picture = drawing.heatmap_image(heatmaps / min(max(peak, _FAINT), 1.),
                                    colors)
    return Tile(f'{caption} (peak {peak:.2f})'.strip(), _big(picture))


def _factor(image: np.ndarray) -> int:
    return max(1, -(-_SIDE // max(image.shape[:2])))


def _big(image: np.ndarray) -> np.ndarray:
    return drawing.enlarge(image, _factor(image))


# -- samples --------------------------------------------------------------
@torch.no_grad()
def sampled_poses(pose_vae: Any, number: int = 8, seed: int = 0,
                  map_size: tuple[int, int] | None = None) -> list[Row]:
    """Poses drawn from the pose VAE's prior, as skeletons and as maps."""
    size = tuple(map_size or pose_vae.map_size)
    blank = torch.zeros(1, len(pose_vae.skeleton), *size)
    shape = tuple(pose_vae.recognizer(blank)[0].shape[1:])
    maps = pose_vae.generate(number, shape,
                             torch.Generator().manual_seed(seed))
    cells, value = peaks(maps)
    colors = drawing.joint_colors(pose_vae.skeleton)
    skeletons, pictures = [], []
    for i in range(number):
        sheet = np.full((*maps.shape[-2:], 3), 32, np.uint8)
        skeletons.append(Tile('', _over(
            sheet, cells[i].numpy(), (value[i] > _FAINT).numpy(),
            pose_vae.skeleton)))
        pictures.append(_maps(maps[i], colors, ''))
    return [Row('Peaks of the generated maps', skeletons),
            Row('The maps', pictures)]


@torch.no_grad()
def sampled_images(networks: Networks, batch: dict[str, list],
                   number: int = 3, seed: int = 0) -> list[Row]:
    """People with appearances and scenes drawn from the image VAE's prior.

    The pose is the annotated one, so that a picture shows the generator
    alone.
    """
    image, pose, appearance, scene = _latents(networks, batch)
    generator = torch.Generator().manual_seed(seed)

    def draw(like: Tensor) -> Tensor:
        return torch.randn(like.shape, generator=generator)

    def picture(a: Tensor, s: Tensor) -> np.ndarray:
        mean = networks.image_vae.decode(pose, a, s)[0]
        return drawing.denormalise(mean, networks.preprocessor)

    columns = [('image, reduced', drawing.denormalise(
        image, networks.preprocessor)),
        ('reconstruction', picture(appearance, scene))]
    for i in range(number):
        columns.append((f'appearance {i + 1}',
                        picture(draw(appearance), scene)))
    for i in range(number):
        columns.append((f'scene {i + 1}',
                        picture(appearance, draw(scene))))
    columns.append(('both', picture(draw(appearance), draw(scene))))
    return [Row('', [Tile(caption, _big(pictures[i]))
                     for caption, pictures in columns])
            for i in range(len(image))]


@torch.no_grad()
def swapped_appearances(networks: Networks,
                        batch: dict[str, list]) -> list[Row]:
    """Row: pose and scene of one person; column: appearance of another."""
    image, pose, appearance, scene = _latents(networks, batch)
    small = drawing.denormalise(image, networks.preprocessor)
    rows = [Row('', [Tile('appearance of', np.full_like(_big(small[0]), 255))]
                + [Tile('', _big(s)) for s in small])]
    for i in range(len(image)):
        keep = [i] * len(image)
        mean = networks.image_vae.decode(pose[keep], appearance,
                                         scene[keep])[0]
        made = drawing.denormalise(mean, networks.preprocessor)
        rows.append(Row('', [Tile('', _big(small[i]))]
                        + [Tile('', _big(m)) for m in made]))
    return rows


def _latents(networks: Networks, batch: dict[str, list]) -> tuple[
        Tensor, Tensor, Tensor, Tensor]:
    """Reduced image, annotated pose, means of appearance and of scene."""
    data = networks.preprocessor(batch, training=False)
    pose = annotated_maps(networks, data['data_samples'])
    image = reduce_image(data['inputs'], pose)
    mask = networks.mask_estimator.sharpen(
        networks.mask_estimator(image, pose))
    vae = networks.image_vae
    return (image, pose, vae.appearance_recognizer(mask * image)[0],
            vae.scene_recognizer((1 - mask) * image)[0])
