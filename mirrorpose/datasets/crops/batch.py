"""What travels from the loader to the preprocessor, and on to the model."""
from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import torch
from mmengine.structures import InstanceData, PixelData
from mmpose.structures import PoseDataSample
from torch import Tensor

from .people import MISSING


@dataclass(frozen=True)
class BatchSpec:
    """What is the same for every batch of a data set.

    Attributes:
        input_size (tuple[int, int]): (w, h) of the network's input.
        joints (int): K.
        encoder (dict | None): Config of the codec, None without targets.
        joint_weights (tuple[float, ...] | None): The data set's, by which
            the keypoint weights are multiplied.
        silhouette_size (tuple[int, int] | None): (w, h) in cells.
        meta_keys (tuple[str, ...]): Of ``PackPoseInputs``.
        instances (dict[str, str]): ``PackPoseInputs``' table.
        colour (bool): Whether ``YOLOXHSVRandomAug`` is done.
    """

    input_size: tuple[int, int]
    joints: int
    encoder: dict | None
    joint_weights: tuple[float, ...] | None
    silhouette_size: tuple[int, int] | None
    meta_keys: tuple[str, ...]
    instances: dict[str, str]
    colour: bool = False


@dataclass
class CropBatch:
    """A batch of N people, as ``CachedCropDataset.get_batch`` gives it.

    Two tensors cross to the device: ``images`` and ``numbers``.

    Attributes:
        spec (BatchSpec): Constants.
        images (Tensor | None): uint8, channels last. ``warped``: the inputs
            (N, h, w, C); otherwise crops (N, S, S, C) that are still to be
            warped. None: there is no image, inputs are black.
        warped (bool): See ``images``.
        numbers (Tensor): (N, 3 K + 10) float32; see :meth:`columns`.
        records (dict[str, Any]): What the data samples are made of, a column
            a key.
    """

    spec: BatchSpec
    images: Tensor | None
    warped: bool
    numbers: Tensor
    records: dict[str, Any] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.numbers)

    def pin_memory(self) -> CropBatch:
        """Called by torch's loader."""
        return replace(
            self, numbers=self.numbers.pin_memory(),
            images=None if self.images is None else self.images.pin_memory())

    def to(self, device: torch.device | str,
           non_blocking: bool = False) -> CropBatch:
        """The batch on a device."""
        images = self.images
        if images is not None:
            images = images.to(device, non_blocking=non_blocking)
        return replace(self, images=images, numbers=self.numbers.to(
            device, non_blocking=non_blocking))

    def columns(self) -> Columns:
        """The parts of ``numbers``."""
        k, numbers = self.spec.joints, self.numbers
        points, visible, labelled, matrix, gains = numbers.split(
            [2 * k, k, 1, 6, 3], 1)
        return Columns(points.view(-1, k, 2), visible, labelled[:, 0] > 0,
                       matrix.view(-1, 2, 3), gains)

    @property
    def ids(self) -> list[str]:
        """Names of the samples, for messages."""
        for key in ('id', 'img_path'):
            if key in self.records:
                return [str(v) for v in self.records[key]]
        return ['?'] * len(self)

    def __repr__(self) -> str:
        return (f'CropBatch of {len(self)} samples of a CachedCropDataset, '
                "which wants data_preprocessor=dict(type='CropPreprocessor', "
                '...)')


class Columns(NamedTuple):
    """Numbers of a batch.

    Attributes:
        keypoints (Tensor): (N, K, 2) pixels of the input.
        visible (Tensor): (N, K).
        labelled (Tensor): (N,) bool.
        matrices (Tensor): (N, 2, 3) input pixel -> crop pixel.
        gains (Tensor): (N, 3), added to hue (0..179), saturation, value.
    """

    keypoints: Tensor
    visible: Tensor
    labelled: Tensor
    matrices: Tensor
    gains: Tensor


class CropSamples(list):
    """The data samples of a batch, made when they are looked at.

    A list of ``PoseDataSample`` to whoever uses it as one. Making 64 of them
    costs milliseconds, which a model that takes the stacked tensors saves.

    Attributes:
        batch (CropBatch): Where they come from.
        heatmaps (Tensor | None): (N, K, h, w), None without targets.
        keypoint_weights (Tensor | None): (N, K).
        labelled (Tensor): (N,) bool.
        silhouette (Tensor | None): (N, 1, h, w) in [0, 1].
        shape (tuple[int, int]): (h, w) of the inputs.
    """

    def __init__(self, batch: CropBatch, labelled: Tensor,
                 heatmaps: Tensor | None = None,
                 keypoint_weights: Tensor | None = None,
                 silhouette: Tensor | None = None) -> None:
        super().__init__([None] * len(batch))
        self.batch, self.labelled = batch, labelled
        self.heatmaps, self.keypoint_weights = heatmaps, keypoint_weights
        self.silhouette = silhouette
        w, h = batch.spec.input_size
        self.shape = (h, w)

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        found = super().__getitem__(index)
        if found is None:
            found = self._make(range(len(self))[index])
            self[index] = found
        return found

    def __iter__(self) -> Iterator[PoseDataSample]:
        return (self[i] for i in range(len(self)))

    def __reversed__(self) -> Iterator[PoseDataSample]:
        return (self[i] for i in reversed(range(len(self))))

    def __reduce__(self) -> tuple:
        return list, (list(iter(self)), )

    def __add__(self, other: Any) -> list:
        return list(iter(self)) + list(other)

    def __radd__(self, other: Any) -> list:
        return list(other) + list(iter(self))

    def copy(self) -> list:
        """The samples in a plain list."""
        return list(iter(self))

    def __eq__(self, other: object) -> bool:
        return self is other

    __hash__ = None  # type: ignore[assignment]

    def _make(self, i: int) -> PoseDataSample:
        """One sample, as ``PackPoseInputs`` packs it."""
        spec, records = self.batch.spec, self.batch.records
        sample = PoseDataSample()
        instances = InstanceData()
        for key, name in spec.instances.items():
            if not _is_missing(records, key, i):
                instances.set_field(records[key][i], name)
        sample.gt_instances = instances
        labels = InstanceData()
        if self.keypoint_weights is not None:
            labels.keypoint_weights = self.keypoint_weights[i:i + 1]
        sample.gt_instance_labels = labels
        maps = {k: m[i] for k, m in (('heatmaps', self.heatmaps),
                                     ('silhouette', self.silhouette))
                if m is not None}
        if maps:
            fields = PixelData()
            for key, value in maps.items():
                fields.set_field(value, key)
            sample.gt_fields = fields
        meta = {key: records[key][i] for key in spec.meta_keys
                if not _is_missing(records, key, i)}
        sample.set_metainfo(dict(meta, batch_input_shape=self.shape,
                                 pad_shape=self.shape))
        return sample


def _is_missing(records: dict[str, Any], key: str, i: int) -> bool:
    """Whether a sample lacks a key."""
    if key not in records:
        return True
    value = records[key][i]
    return isinstance(value, str) and value == MISSING
