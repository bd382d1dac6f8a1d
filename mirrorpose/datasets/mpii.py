"""MPII Human Pose through mmpose's class, with a split by labels."""
from __future__ import annotations

from pathlib import Path
from typing import Any

from mmengine.logging import print_log
from mmpose.datasets.datasets.body import MpiiDataset
from mmpose.registry import DATASETS

from mirrorpose.structures import Skeleton

from .splits import PARTS, select_part, split_digest


@DATASETS.register_module()
class MpiiSplitDataset(MpiiDataset):
    """mmpose's ``MpiiDataset`` with MirrorNet's label fractions.

    Args:
        label_fraction (float): Share of labelled people. Defaults to 1.
        part (str): ``'all'``, ``'labelled'`` or ``'unlabelled'``. The
            latter still carry labels, for ``DropLabels`` to remove.
            Defaults to ``'all'``.
        split_seed (int): Defaults to 0.
        **kwargs: mmpose's arguments.

    Raises:
        FileNotFoundError: The annotations are missing; the message says
            where they come from.
        ValueError: An argument is out of range, or the part is empty.
    """

    # Inline: a relative file name would depend on the working directory.
    METAINFO: dict = Skeleton.from_name('mpii_16').metainfo()

    def __init__(self,
                 label_fraction: float = 1.,
                 part: str = 'all',
                 split_seed: int = 0,
                 **kwargs: Any) -> None:
        if not 0 <= label_fraction <= 1:
            raise ValueError('label_fraction must lie in [0, 1], got '
                             f'{label_fraction}')
        if part not in PARTS:
            raise ValueError(f'part must be one of {PARTS}, got {part!r}')
        self.label_fraction, self.part = label_fraction, part
        self.split_seed = split_seed
        super().__init__(**kwargs)

    def load_data_list(self) -> list[dict]:
        """Reads the people of the part that was asked for."""
        if not Path(self.ann_file).is_file():
            raise FileNotFoundError(
                f'annotations not found: {self.ann_file}. Get the images '
                '(mpii_human_pose_v1.tar.gz) from the MPII site and '
                "mmpose's mpii_annotations.tar (its dataset zoo page links "
                'it), and unpack both below MIRRORPOSE_DATA as mpii/images '
                'and mpii/annotations')
        people = super().load_data_list()
        ids = [p['id'] for p in people]
        chosen = select_part(ids, self.label_fraction, self.part,
                             self.split_seed)
        people = [p for p, keep in zip(people, chosen) if keep]
        if not people:
            raise ValueError(f'no person of {len(ids)} is left with '
                             f'part={self.part!r}, label_fraction='
                             f'{self.label_fraction}')
        self.split_digest = split_digest([p['id'] for p in people])
        if self.part != 'all':
            print_log(f'MPII: {len(people)} of {len(ids)} people, '
                      f'{self.part}, label_fraction {self.label_fraction}, '
                      f'seed {self.split_seed}, digest {self.split_digest}',
                      logger='current')
        return people
