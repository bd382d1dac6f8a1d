"""Inputs and targets of a batch of crops, made on the device."""
from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from mmpose.models.data_preprocessors import PoseDataPreprocessor
from mmpose.registry import MODELS
from torch import Tensor

from ...datasets.crops.batch import Columns, CropBatch, CropSamples
from ...datasets.crops.memory import TensorPool
from ...datasets.crops.targets import batched_encoder
from .warping import jitter_colour, warp


@MODELS.register_module()
class CropPreprocessor(PoseDataPreprocessor):
    """mmpose's ``PoseDataPreprocessor``, which takes ``CropBatch`` too.

    Any other batch goes through mmpose's own code. A batch of
    ``CachedCropDataset`` crosses to the device as uint8; there it is warped
    (unless the loader has done so), jittered, normalised, and its targets
    are drawn, all samples at once.

    Args:
        mean, std, pad_size_divisor, pad_value, bgr_to_rgb, rgb_to_bgr,
            non_blocking, batch_augments: As mmpose's.

    Raises:
        ValueError: The input size of a ``CropBatch`` would have to be
            padded.
    """

    def __init__(self,
                 mean: Sequence[float] | None = None,
                 std: Sequence[float] | None = None,
                 pad_size_divisor: int = 1,
                 pad_value: float = 0,
                 bgr_to_rgb: bool = False,
                 rgb_to_bgr: bool = False,
                 non_blocking: bool | None = False,
                 batch_augments: list[dict] | None = None) -> None:
        super().__init__(mean, std, pad_size_divisor, pad_value, bgr_to_rgb,
                         rgb_to_bgr, non_blocking, batch_augments)
        # A value of a channel is one of 256: normalised once, looked up.
        values = torch.arange(256.)[None].repeat(3, 1)
        if self._enable_normalize:
            values = (values - self.mean.flatten()[:, None]) \
                / self.std.flatten()[:, None]
        self._tables = [t.numpy() for t in values]
        self._input_pool, self._target_pool = TensorPool(), TensorPool()

    def forward(self, data: dict, training: bool = False) -> dict:
        """Makes inputs and data samples.

        Args:
            data (dict): Of ``CachedCropDataset.get_batch``, or mmpose's.
            training (bool): Whether to run ``batch_augments``.

        Returns:
            dict: ``inputs`` (N, 3, h, w) float32, and ``data_samples``: for
            a ``CropBatch`` a :class:`CropSamples`.
        """
        batch = data.get('inputs') if isinstance(data, dict) else None
        if not isinstance(batch, CropBatch):
            return super().forward(data, training)
        w, h = batch.spec.input_size
        if w % self.pad_size_divisor or h % self.pad_size_divisor:
            raise ValueError(
                f'the input size {(w, h)} is no multiple of pad_size_divisor='
                f'{self.pad_size_divisor}; choose one that is')
        with torch.no_grad():
            batch = batch.to(self.device, bool(self._non_blocking))
            columns = batch.columns()
            inputs, silhouette = self._inputs(batch, columns)
            samples = CropSamples(batch, columns.labelled,
                                  *self._targets(batch, columns), silhouette)
        if training and self.batch_augments is not None:
            out: Any = (inputs, samples)
            for augment in self.batch_augments:
                out = augment(*out)
            inputs, samples = out
        return dict(inputs=inputs, data_samples=samples)

    def _inputs(self, batch: CropBatch,
                columns: Columns) -> tuple[Tensor, Tensor | None]:
        """Normalised images (N, 3, h, w), and silhouettes."""
        spec, images = batch.spec, batch.images
        w, h = spec.input_size
        if images is None:
            black = torch.tensor([t[0] for t in self._tables],
                                 device=self.device)
            return black[:, None, None].expand(len(batch), 3, h, w), None
        if batch.warped and images.device.type == 'cpu':
            inputs = self._look_up(images)
            planes = images[..., 3:].permute(0, 3, 1, 2)
        else:
            floats = (images.permute(0, 3, 1, 2).float() if batch.warped else
                      warp(images, columns.matrices, spec.input_size))
            colours, planes = floats[:, :3], floats[:, 3:]
            if spec.colour and not batch.warped:
                colours = jitter_colour(colours, columns.gains)
            inputs = self._normalise(colours)
        silhouette = None
        if spec.silhouette_size is not None:
            cells = spec.silhouette_size
            silhouette = F.avg_pool2d(planes.float() / 255,
                                      (h // cells[1], w // cells[0]))
        return inputs, silhouette

    def _look_up(self, images: Tensor) -> Tensor:
        """Normalises (N, h, w, C) uint8 on the CPU, image by image.

        An image fits into the processor's cache and a batch does not, so
        this is several times faster than operations on the whole batch.
        """
        arrays = images.numpy()
        n, h, w = arrays.shape[:3]
        out = self._input_pool.empty((n, 3, h, w))
        order = (2, 1, 0) if self._channel_conversion else (0, 1, 2)
        for image, target in zip(arrays, out.numpy()):
            planes = cv2.split(image)
            for table, channel, plane in zip(self._tables, order, target):
                cv2.LUT(planes[channel], table, dst=plane)
        return out

    def _normalise(self, images: Tensor) -> Tensor:
        """Normalises (N, 3, h, w) float32."""
        if self._channel_conversion:
            images = images.flip(1)
        if self._enable_normalize:
            images = (images - self.mean) / self.std
        return images.contiguous()

    def _targets(self, batch: CropBatch, columns: Columns
                 ) -> tuple[Tensor | None, Tensor | None]:
        """Heatmaps (N, K, h, w) and keypoint weights (N, K)."""
        spec = batch.spec
        if spec.encoder is None:
            return None, None
        encode = batched_encoder(spec.encoder)
        pool = (self._target_pool if batch.numbers.device.type == 'cpu' else
                None)
        maps, weights = encode(columns.keypoints, columns.visible, pool)
        if spec.joint_weights is not None:
            weights = weights * torch.as_tensor(
                np.array(spec.joint_weights, np.float32)).to(weights)
        return maps, weights
