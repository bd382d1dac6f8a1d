"""Held-out views: what networks read, and the truth."""
from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmpose.registry import DATASETS
from torch import Tensor

import mirrorpose  # noqa: F401  (registers everything)
from benchmarks.metric_pose_supervision import CONFIGS
from mirrorpose.datasets.keyed import sample_keys
from mirrorpose.datasets.multiview import MultiViewDataset
from mirrorpose.datasets.multiview.packing import normalised_keypoints
from mirrorpose.evaluation.retrieval_protocol import Samples, make_samples
from mirrorpose.structures import Skeleton
from mirrorpose.structures.canonical import encode_rotation

ROOT = Path(__file__).resolve().parents[2]
SKELETON = Skeleton.from_name('h36m_17')
#: Every n-th captured frame: one instant a second of lifting, about 2100, so
#: that a search takes 2 s of a core and not 25; of the others all.
STRIDE = dict(lifting=30)
_SIDES = ('left', 'right')
_ARM, _LEG = ('elbow', 'wrist'), ('knee', 'foot')
#: What 2D input may lack.
MISSING: dict[str, str] = {
    'an arm': 'elbow and wrist of one side',
    'a leg': 'knee and foot of one side',
    'both legs': 'knees and feet',
    'an arm and a leg': 'each of a side of its own'}


@dataclass
class HeldOut:
    """The held-out views of one kind of data.

    Attributes:
        data (MultiViewDataset): In test mode, N views.
        samples (Samples): Their truth, in an order of its own.
        rotation (Tensor): (N, 3, 3) canonical to camera, in the data set's
            order.
        azimuth (np.ndarray): (N,) radians of the samples, the side from
            which each is seen.
        unjudged, repeated (int): Views left out.
        clip_names (list[str]): What the numbers of clips stand for.
        seen (MultiViewDataset, optional): The same views as images, where
            the 2D joints were found in them.
    """

    data: MultiViewDataset
    samples: Samples
    rotation: Tensor
    azimuth: np.ndarray
    unjudged: int = 0
    repeated: int = 0
    clip_names: list[str] = field(default_factory=list)
    seen: MultiViewDataset | None = None

    @property
    def pictures(self) -> MultiViewDataset | None:
        """The views as images, or None where there are none."""
        return self.data if self.data.inputs == 'image' else self.seen

    def describe(self) -> dict[str, Any]:
        """How much of what."""
        s = self.samples
        return dict(samples=len(s.order), views=s.view_names,
                    instants=len(np.unique(self.data.group[s.order])),
                    clips=len(self.clip_names), subjects=s.subject_count,
                    unjudged=self.unjudged, repeated=self.repeated)

    def inputs(self, rows: np.ndarray,
               seen: np.ndarray | None = None) -> Tensor:
        """What a network reads.

        Args:
            rows (np.ndarray): (n,) views.
            seen (np.ndarray, optional): (N, 17) bool, joints of 2D input
                that are seen. Defaults to all that are.

        Returns:
            Tensor: (n, 3, S, S) uint8 BGR, or (n, 17, 3) float32.
        """
        data = self.data
        if data.inputs == 'image':
            return torch.from_numpy(np.stack(
                [data.image(int(r)) for r in rows]).transpose(0, 3, 1, 2))
        visible = data.visible[rows] > 0
        if seen is not None:
            visible = visible & seen[rows]
        return torch.from_numpy(normalised_keypoints(
            data.keypoints[rows], visible))


def held_out(data: str, options: Mapping[str, Any] | None = None) -> HeldOut:
    """The test part of a config's data.

    Args:
        data (str): Of ``CONFIGS``.
        options (Mapping, optional): Changes to the config, by dotted names.
    """
    init_default_scope('mmpose')
    cfg = Config.fromfile(ROOT / 'configs' / f'{CONFIGS[data]}.py')
    cfg.test_dataloader.dataset.stride = STRIDE.get(data, 1)
    cfg.merge_from_dict(dict(options or {}))
    data = cfg.test_dataloader.dataset
    held = prepared(DATASETS.build(data))
    if data.get('detections'):
        held.seen = DATASETS.build(dict(data, inputs='image',
                                        detections=None))
    return held


def prepared(views: MultiViewDataset) -> HeldOut:
    """Reads the truth of a data set in test mode."""
    labels = views.labels(np.arange(len(views)))
    told = views.view_groups()
    clips = views.clips[told['sequence']]
    samples, dropped = make_samples(
        labels['keypoints_3d_canonical'], None, told['camera'].tolist(),
        clips.tolist(), told['seconds'].tolist(),
        [views.subjects[i] for i in told['subject']], SKELETON,
        torch.device('cpu'))
    rotation = labels['camera_rotation']
    sin, cos = encode_rotation(rotation[samples.order].double())[:, 0].T
    return HeldOut(views, samples, rotation, torch.atan2(sin, cos).numpy(),
                   clip_names=np.unique(clips).tolist(), **dropped)


def unseen(what: str, views: MultiViewDataset, seed: int = 0) -> np.ndarray:
    """Which joints of each view are there, (N, 17) bool.

    The side is drawn view by view: two views of an instant may lack
    different limbs, as detections do.

    Args:
        what (str): Of ``MISSING``.
        views (MultiViewDataset): N views.
        seed (int): Of the draws.

    Raises:
        ValueError: There is no such hole.
    """
    if what not in MISSING:
        raise ValueError(f'{what!r} is none of {list(MISSING)}')
    number = len(views)
    seen = np.ones((number, len(SKELETON)), bool)
    keys = sample_keys(seed, 0, views.rows.tolist(), [0] * number)
    sides = np.stack([(keys >> np.uint64(shift)) & np.uint64(1)
                      for shift in (17, 41)]).astype(int)
    for limb, draw, wanted in ((_ARM, sides[0], 'arm'),
                               (_LEG, sides[1], 'leg')):
        if wanted not in what:
            continue
        for side, name in enumerate(_SIDES):
            lost = np.array(SKELETON.index(*(f'{name}_{j}' for j in limb)))
            rows = np.ones(number, bool) if what == 'both legs' \
                else draw == side
            seen[np.ix_(rows, lost)] = False
    return seen
