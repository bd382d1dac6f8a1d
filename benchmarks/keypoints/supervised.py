"""The supervised recognizer beside KeypointGAN: the same frames, labelled.

The networks that predict are KeypointGAN's, Phi and eta, trained end to end
with the annotations: what differs is where the knowledge comes from. Phi
hands on 16 maps instead of one skeleton image, so that nothing has to pass
through one channel: a bottleneck that only the unlabelled task needs. An
ordinary augmentation (turns, sizes, shifts, mirrorings) is part of it, which
KeypointGAN's images do not get. Heatmaps from the same Phi (Gaussians of 2
pixels, UDP's decoding) had learnt nothing on the faces in the 45 seconds in
which this form came to 7.7 % of the side on the validation people.
"""
from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from mmengine.config import Config, ConfigDict
from mmengine.structures import InstanceData
from mmpose.registry import DATASETS
from mmpose.structures import PoseDataSample

from mirrorpose.datasets.crops.draws import uniforms
from mirrorpose.datasets.frames.clips import shared_clips
from mirrorpose.datasets.frames.pairs import FrameDataset, FramePairDataset
from mirrorpose.datasets.frames.tps import TpsSampler

#: Between Phi and eta.
MAPS = 16
_AFFINE, _MIRROR = 0x73757061, 0x7375706D


@DATASETS.register_module(force=True)
class LabelledFrames(FramePairDataset):
    """Annotated frames of a ``FramePairDataset``, one at a time.

    The frames that have a partner in it, and at least one joint: those that
    KeypointGAN sees without their labels. ``get_batch`` gives ``inputs``
    (N, 3, S, S) uint8 BGR and samples whose ``gt_instance_labels`` are of
    mmpose's codec ``RegressionLabel``.

    Args:
        sources, joints, size and others: See :class:`FramePairDataset`.
        rotation (float): Standard deviation in degrees. Defaults to 15.
        scale (float): Of the scale around 1. Defaults to 0.1.
        shift (float): In sides of the image. Defaults to 0.05.
        mirror (float): Chance of a mirrored frame. Defaults to 0.5.
        stills (bool): Clips have a single frame, as in ``StillPairDataset``.
            Defaults to False.
    """

    def __init__(self, sources: Sequence[Mapping], joints: str,
                 size: int = 128, rotation: float = 15., scale: float = .1,
                 shift: float = .05, mirror: float = .5,
                 stills: bool = False, **kwargs) -> None:
        self.stills = stills
        self.affine = TpsSampler(size, rotation, scale, shift, None)
        self.mirror = mirror
        super().__init__(sources, joints, size, **kwargs)

    def _rows(self) -> np.ndarray:
        rows = FrameDataset._rows(self) if self.stills else super()._rows()
        return rows[self.store.visible[rows].any(1)]

    def get_batch(self, indices: Sequence[int],
                  keys: np.ndarray) -> dict[str, Any]:
        """A training batch; all draws are functions of the keys.

        Args:
            indices (Sequence[int]): N frames.
            keys (np.ndarray): (N,) uint64.
        """
        keys = np.asarray(keys, np.uint64)
        rows = self.rows[np.asarray(indices)]
        drawn = self.affine.draw(keys, _AFFINE)
        images = self.affine(self.store.images(rows), drawn)
        points = np.asarray(self.affine.move(self.store.keypoints[rows],
                                             drawn), np.float32)
        visible = self.store.visible[rows].astype(np.float32)
        turned = uniforms(keys, 1, _MIRROR)[:, 0] < self.mirror
        order = list(self.skeleton.flip_indices)
        images[turned] = images[turned].flip(-1)
        points[turned] = points[turned][:, order] * [-1, 1] + [
            self.size - 1, 0]
        visible[turned] = visible[turned][:, order]
        inside = ((points >= 0) & (points <= self.size - 1)).all(-1)
        labels = torch.from_numpy(points / self.size).float()
        weights = torch.from_numpy(visible * inside)
        return dict(inputs=images, data_samples=[
            self._sample(*pair) for pair in zip(labels[:, None],
                                                weights[:, None])])

    @staticmethod
    def _sample(labels: torch.Tensor,
                weights: torch.Tensor) -> PoseDataSample:
        sample = PoseDataSample()
        sample.gt_instance_labels = InstanceData(
            keypoint_labels=labels, keypoint_weights=weights)
        return sample


def configure(cfg: Config) -> None:
    """Makes KeypointGAN's config that of the supervised recognizer.

    Args:
        cfg (Config): Changed in place; frames, batch, validation and test
            stay what they are.
    """
    model = cfg.model
    cfg._cfg_dict['model'] = ConfigDict(
        type='TopdownPoseEstimator',
        data_preprocessor=dict(type='FramePairPreprocessor'),
        backbone=dict(model.backbone, out_channels=MAPS),
        head=dict(model.head, in_channels=MAPS),
        test_cfg=dict(flip_test=False))
    frames = cfg.train_dataloader.dataset.frames
    cfg.train_dataloader.dataset = dict(
        frames, type='LabelledFrames',
        stills=frames.type == 'StillPairDataset')
    cfg._cfg_dict['optim_wrapper'] = ConfigDict(
        type='AutocastOptimWrapper', clip_grad=dict(max_norm=1.),
        optimizer=dict(type='Adam', lr=1e-3))
    cfg._cfg_dict.pop('model_wrapper_cfg', None)
    cfg.custom_hooks = [dict(type='NonFiniteGuard')]


def check_disjoint(train: FramePairDataset, test: FramePairDataset) -> None:
    """No frame of a clip that is tested on is learnt from.

    Raises:
        ValueError: The two hold frames of one clip; names some.
    """
    shared = shared_clips(train.clips(), test.clips())
    if shared:
        raise ValueError(f'{len(shared)} clips are learnt from and tested '
                         f'on, e.g. {shared[:5]}: split them otherwise')
