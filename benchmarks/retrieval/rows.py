"""Who searches: trained models, untrained ones, and what needs no learning."""
from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
import torch
from mmengine.config import Config
from mmpose.structures import PoseDataSample
from torch import Tensor, nn

from benchmarks.metric_pose_supervision import (
    CONFIGS,
    LABELS,
    begin,
    methods_at,
)
from mirrorpose.apis import load_model
from mirrorpose.engine.checkpoint_hook import last_good_checkpoint
from mirrorpose.evaluation.retrieval_protocol import LEAST_JOINTS
from mirrorpose.evaluation.retrieval_scores import (
    Finder,
    by_embedding,
    by_pose,
)
from mirrorpose.models.losses.perceptual_features import (
    LITE_PACKAGE,
    build_features,
)
from mirrorpose.structures.pairwise import paired_distances, pairwise_distances
from mirrorpose.utils.nearest import best

from .data import ROOT, HeldOut

RUNS = ROOT / 'work_dirs' / 'metric_pose'
#: Seeds of rows that draw and do not learn.
SEEDS = (0, 1, 2)
#: Side of the thumbnail.
_SMALL = 8
#: Another row of each model: its regressed pose, in place of its embedding.
POSE = ', its 3D pose'
UNTRAINED = 'untrained'
IMAGENET, JOINTS = 'ImageNet', '2D joints'


class Run(NamedTuple):
    """One training of benchmarks/metric_pose_supervision.py.

    Attributes:
        row (str): ``'METHOD/LABELS'``.
        seed (int): Of the run.
        folder (Path): Where it lies, or would.
    """

    row: str
    seed: int
    folder: Path

    @property
    def checkpoint(self) -> Path | None:
        """The weights of a run that came to its end."""
        if not (self.folder / 'scores.json').is_file():
            return None
        return last_good_checkpoint(self.folder)

    @property
    def config(self) -> Path:
        """The config that the run wrote down.

        Raises:
            FileNotFoundError: It has none.
        """
        found = sorted(self.folder.glob('*.py'))
        if not found:
            raise FileNotFoundError(f'{self.folder} holds no config')
        return found[-1]


def runs(data: str, labels: Sequence[str] | None = None, seeds: int = 3,
         root: Path = RUNS) -> list[Run]:
    """All runs that belong to a table, trained or not.

    Args:
        data (str): Of ``CONFIGS``.
        labels (Sequence[str], optional): Some of ``LABELS``; all by default.
        seeds (int): From 0.
        root (Path): Where the folders of the data lie.
    """
    return [Run(f'{method}/{share}', seed, root / data / (
        f'{method}/{share}/{seed}'.replace(' ', '')))
            for share in labels or LABELS
            for method in methods_at(data, share, None)
            for seed in range(seeds)]


def untrained(data: str, seed: int) -> Any:
    """The config's model as it begins."""
    torch.manual_seed(seed)
    cfg = Config.fromfile(ROOT / 'configs' / f'{CONFIGS[data]}.py')
    begin(cfg, data)
    model: Any = load_model(cfg)
    model.init_weights()
    return model.eval()


def trained(run: Run) -> Any:
    """The model of a finished run.

    Raises:
        FileNotFoundError: It is not trained.
    """
    if run.checkpoint is None:
        raise FileNotFoundError(f'{run.folder} is not trained')
    return load_model(run.config, run.checkpoint)


# -- vectors ----------------------------------------------------------------
@torch.no_grad()
def embed(model: Any, held: HeldOut, rows: np.ndarray | None = None,
          seen: np.ndarray | None = None, batch: int = 256
          ) -> tuple[Tensor, Tensor]:
    """Embeddings and canonical poses of views.

    Args:
        model (nn.Module): A MetricPoseRegressor.
        held (HeldOut): N views.
        rows (np.ndarray, optional): (n,) of them. All by default.
        seen (np.ndarray, optional): (N, 17), joints of 2D input that are
            there.
        batch (int): Views at a time.

    Returns:
        tuple: (n, D) of unit length and (n, 17, 3) mm.
    """
    rows = np.arange(len(held.data)) if rows is None else rows
    vectors, poses = [], []
    for start in range(0, len(rows), batch):
        part = rows[start:start + batch]
        # the preprocessor writes into samples, which nobody reads
        read = model.data_preprocessor(dict(
            inputs=held.inputs(part, seen),
            data_samples=[PoseDataSample() for _ in part]), False)
        found = model.head(model.extract_feat(read['inputs']))
        vectors.append(found.embedding.float())
        poses.append(found.canonical.float())
    return torch.cat(vectors), torch.cat(poses)


def of_images(held: HeldOut, batch: int = 256) -> Iterable[np.ndarray]:
    """(n, S, S, 3) uint8 BGR, batch by batch; none where there are none."""
    data = held.pictures
    for start in range(0, 0 if data is None else len(data), batch):
        yield np.stack([data.image(i) for i in range(
            start, min(start + batch, len(data)))])


def thumbnails(held: HeldOut) -> tuple[Tensor, Tensor]:
    """Mean colours (N, 3), and images of 8 x 8 (N, 192), in [0, 1]."""
    small = np.concatenate([np.stack([cv2.resize(
        i, (_SMALL, _SMALL), interpolation=cv2.INTER_AREA) for i in images])
        for images in of_images(held)]).astype(np.float32) / 255
    tensor = torch.from_numpy(small)
    return tensor.mean((1, 2)), tensor.flatten(1)


@torch.no_grad()
def imagenet(held: HeldOut) -> Tensor:
    """Pooled features of a frozen EfficientNet-Lite0, (N, 112), unit length.

    Raises:
        ModuleNotFoundError: Its package is not installed.
    """
    network = build_features('efficientnet_lite0').eval()
    found = []
    for images in of_images(held):
        rgb = np.ascontiguousarray(images[..., ::-1].transpose(0, 3, 1, 2))
        pixels = torch.from_numpy(rgb).float() / 127.5 - 1
        found.append(network(pixels)[-1].mean((2, 3)))
    return nn.functional.normalize(torch.cat(found), dim=1)


# -- ways to find -----------------------------------------------------------
def by_vectors(held: HeldOut, query: Tensor,
               gallery: Tensor | None = None) -> Finder:
    """Finds by vectors (N, D) in the data set's order."""
    order = torch.from_numpy(held.samples.order)
    return by_embedding(query[order].contiguous(), None if gallery is None
                        else gallery[order].contiguous())


def by_joints(held: HeldOut, seen: np.ndarray | None = None) -> Finder:
    """Finds by 2D joints, as ``PoseIndex`` does.

    About their centroid and of one size, over the joints that both have.

    Args:
        held (HeldOut): N views of 2D joints.
        seen (np.ndarray, optional): (N, 17) bool, joints of the queries.
    """
    order = held.samples.order
    points = torch.from_numpy(held.data.keypoints[order]).float()
    there = torch.from_numpy(held.data.visible[order] > 0)
    asked = there if seen is None else there & torch.from_numpy(seen[order])
    full = bool(asked.all() & there.all())

    def find(query: Tensor, items: Tensor, k: int,
             excluded: Sequence[Tensor]) -> list[tuple[Tensor, Tensor]]:
        def scores(part: slice) -> Tensor:
            rows = query[part]
            return -pairwise_distances(
                points[rows], points[items], None if full else asked[rows],
                None if full else there[items], 'none', True, LEAST_JOINTS)

        def exact(part: slice, index: Tensor) -> Tensor:
            rows, other = query[part], items[index]
            one = points[rows][:, None].double().expand(
                -1, other.shape[1], -1, -1)
            return paired_distances(
                one, points[other].double(), asked[rows][:, None]
                & there[other], 'none', True)
        return best(scores, exact, len(query), len(items), k, excluded)
    return find


def references(held: HeldOut) -> dict[str, list[Finder]]:
    """The nearest true pose, and chance by several seeds."""
    samples = held.samples
    return {
        'oracle': [by_pose(samples.poses, samples.seen, 'none')],
        'random': [by_embedding(torch.randn(
            len(samples.order), 8,
            generator=torch.Generator().manual_seed(seed)))
            for seed in SEEDS]}


def trivial(held: HeldOut) -> tuple[dict[str, Finder], dict[str, str]]:
    """What needs no learning on these data.

    Returns:
        tuple: Rows, and rows that are left out, each with its reason.
    """
    rows: dict[str, Finder] = {}
    if held.data.inputs == 'keypoints':
        rows[JOINTS] = by_joints(held)
    if held.pictures is None:
        return rows, {IMAGENET: 'there are no images'}
    colour, small = thumbnails(held)
    rows |= {'mean colour': by_vectors(held, colour),
             'thumbnail': by_vectors(held, small)}
    try:
        rows[IMAGENET] = by_vectors(held, imagenet(held))
    except ModuleNotFoundError:
        return rows, {IMAGENET: (
            f'the package {LITE_PACKAGE} with EfficientNet-Lite0\'s weights '
            'is not installed')}
    return rows, {}
