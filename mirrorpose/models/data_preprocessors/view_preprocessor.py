"""Preprocessors that leave data samples on the host.

mmengine copies every data sample of a batch to the device, field by field;
for a small network that takes longer than its step. Models that stack the
labels of a batch move the stacks, and need no copies.
"""
from __future__ import annotations

from typing import Any

from mmengine.model import BaseDataPreprocessor
from mmengine.structures import BaseDataElement
from mmpose.models.data_preprocessors import PoseDataPreprocessor
from mmpose.registry import MODELS

__all__ = ['KeypointPreprocessor', 'ViewPreprocessor']


class _SamplesStay(BaseDataPreprocessor):
    """Moves inputs and hands data samples on as they are."""

    def cast_data(self, data: Any) -> Any:
        """Tensors on the device; data samples where they were."""
        if isinstance(data, BaseDataElement):
            return data
        return super().cast_data(data)


@MODELS.register_module()
class ViewPreprocessor(_SamplesStay, PoseDataPreprocessor):
    """mmpose's, for images; data samples are not copied.

    Args:
        all: As mmpose's ``PoseDataPreprocessor``.
    """


@MODELS.register_module()
class KeypointPreprocessor(_SamplesStay):
    """mmengine's, for inputs that are no images; samples are not copied.

    Args:
        all: As mmengine's ``BaseDataPreprocessor``.
    """
