"""Frames to fit the post-processing to, and frames to test on, as one."""
from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mmengine.dataset import ConcatDataset
from mmpose.registry import DATASETS


@DATASETS.register_module()
class HeldFrames(ConcatDataset):
    """mmengine's ``ConcatDataset``, and how other images become inputs.

    Args:
        datasets (Sequence[dict]): Of frames, in order.
        pipeline (Sequence[dict]): Not of these data sets: transforms that
            make an input of any image, which mmpose's inferencers and
            :func:`mirrorpose.apis.recognize` take from here. Defaults to ().
        kwargs: As ``ConcatDataset``.
    """

    def __init__(self, datasets: Sequence[Any],
                 pipeline: Sequence[Mapping[str, Any]] = (),
                 **kwargs: Any) -> None:
        super().__init__(datasets, **kwargs)
        self.pipeline = list(pipeline)
