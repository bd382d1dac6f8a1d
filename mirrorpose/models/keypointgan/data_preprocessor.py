"""Frames and poses from a data loader to the device."""
from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from mmpose.models.data_preprocessors import PoseDataPreprocessor
from mmpose.registry import MODELS
from torch import Tensor


@MODELS.register_module()
class FramePairPreprocessor(PoseDataPreprocessor):
    """Makes images of [-1, 1] in RGB on the device; passes poses on.

    A training batch of ``UnpairedDataset`` (``inputs`` a dict of ``image``
    and ``condition``, uint8 BGR) or of ``UnpairedPoseDataset`` (``poses``
    and ``pose_present`` only), collated or as lists of samples. Any other
    batch goes through mmpose's code, with the same normalisation.

    Args:
        non_blocking (bool): Copy without waiting. Defaults to False.
    """

    def __init__(self, non_blocking: bool | None = False) -> None:
        super().__init__(mean=[127.5] * 3, std=[127.5] * 3, bgr_to_rgb=True,
                         non_blocking=non_blocking)

    def forward(self, data: Any, training: bool = False) -> dict[str, Any]:
        """Prepares a batch.

        Args:
            data (dict): See the class.
            training (bool): Not read for batches with poses.

        Returns:
            dict: ``inputs`` (dict of (N, 3, h, w) float32), ``poses``
            (N, K, 2) float32, ``pose_present`` (N, K) bool and
            ``data_samples``, as far as they were given.

        Raises:
            ValueError: Poses and their mask do not fit.
        """
        if 'poses' not in data and not isinstance(
                data.get('inputs'), Mapping):
            return super().forward(data, training)
        out: dict[str, Any] = {}
        if 'inputs' in data:
            out['inputs'] = {name: self._images(v)
                             for name, v in data['inputs'].items()}
            out['data_samples'] = list(data.get('data_samples', ()))
        if 'poses' in data:
            poses = self._stack(data['poses']).float()
            present = data.get('pose_present')
            mask = torch.ones_like(poses[..., 0], dtype=torch.bool) \
                if present is None else self._stack(present) > 0
            if poses.ndim != 3 or mask.shape != poses.shape[:2]:
                raise ValueError(
                    f'poses are (N, K, 2) with pose_present (N, K), got '
                    f'{tuple(poses.shape)} and {tuple(mask.shape)}')
            out['poses'] = poses.masked_fill(~mask[..., None], 0.)
            out['pose_present'] = mask
        return out

    def _stack(self, value: Tensor | Sequence[Tensor]) -> Tensor:
        if not isinstance(value, Tensor):
            value = torch.stack([torch.as_tensor(v) for v in value])
        return value.to(self.device, non_blocking=bool(self._non_blocking))

    def _images(self, value: Tensor | Sequence[Tensor]) -> Tensor:
        # uint8 crosses to the device: a quarter of the bytes.
        images = self._stack(value)[:, [2, 1, 0]].float()
        return (images - self.mean) / self.std
