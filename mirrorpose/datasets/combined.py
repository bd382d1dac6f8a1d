"""Several data sets as one, over a joint set that is named."""
from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from mmpose.datasets import CombinedDataset
from mmpose.registry import DATASETS

from mirrorpose.structures import Skeleton
from mirrorpose.structures.skeleton import check_same_joints


@DATASETS.register_module()
class CombinedPoseDataset(CombinedDataset):
    """mmpose's ``CombinedDataset`` with the joint set by name.

    The original takes the metainfo from a file, whose relative path finds
    another file when the working directory has one of that name. Here the
    joint set is named, and every data set is held against it.

    Args:
        datasets (list[dict]): Configs of the data sets, in order.
        pipeline (Sequence[dict | Callable]): What samples go through after
            their own data set's pipeline. Defaults to ().
        joints (str): Name of the joint set. Defaults to ``'mpii_16'``.
        **kwargs: As for ``CombinedDataset``.

    Raises:
        ValueError: A data set has other joints, by name or order.
    """

    def __init__(self,
                 datasets: list,
                 pipeline: Sequence[dict | Callable] = (),
                 joints: str = 'mpii_16',
                 **kwargs: Any) -> None:
        skeleton = Skeleton.from_name(joints)
        super().__init__(skeleton.metainfo(), datasets, list(pipeline),
                         **kwargs)
        for dataset in self.datasets:
            check_same_joints(
                skeleton.joints,
                Skeleton.from_metainfo(dataset.metainfo).joints,
                f'{type(dataset).__name__} in a CombinedPoseDataset over '
                f'{joints!r}')
