"""Who is seen in the images of a batch, when, and from where."""
from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import torch
from torch import Tensor

from .gathering import gather_rows

#: What data samples of synchronised views say about themselves.
KEYS = ('subject', 'sequence', 'seconds', 'camera', 'view_group')


@lru_cache(maxsize=1 << 16)
def stable_id(*names: Any) -> int:
    """A 63-bit number of names, the same in all processes and runs."""
    text = '\x1f'.join(map(str, names)).encode()
    return int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(),
                          'big') >> 1


class ViewLabels(NamedTuple):
    """What is known without annotation of N images.

    Attributes:
        group (Tensor): (N,) int64, one number for one instant of one person;
            images of one group are views of one pose.
        subject (Tensor): (N,) int64.
        sequence (Tensor): (N,) int64.
        camera (Tensor): (N,) int64.
        seconds (Tensor): (N,) float64, within the sequence.
    """

    group: Tensor
    subject: Tensor
    sequence: Tensor
    camera: Tensor
    seconds: Tensor

    def gather(self) -> ViewLabels:
        """Those of all processes, as ``gather_rows`` orders them."""
        numbers = gather_rows(torch.stack(self[:4], 1))
        group, subject, sequence, camera = numbers.unbind(1)
        return ViewLabels(group, subject, sequence, camera,
                          gather_rows(self.seconds))

    def positives(self, other: ViewLabels | None = None) -> Tensor:
        """(N, M) bool: another camera's image of the same instant."""
        other = self if other is None else other
        return (self.group[:, None] == other.group) & (
            self.camera[:, None] != other.camera)

    def near(self, seconds: float,
             other: ViewLabels | None = None) -> Tensor:
        """(N, M) bool: closer in time than ``seconds``, in one sequence."""
        other = self if other is None else other
        gap = (self.seconds[:, None] - other.seconds).abs()
        # 1.0 s apart is not closer than 1 s, whatever 50 / 50 rounds to.
        return (self.sequence[:, None] == other.sequence) & (
            gap < seconds - 1e-6)


def read_views(data_samples: Sequence[Any],
               device: torch.device | str = 'cpu') -> ViewLabels:
    """Reads what data samples of synchronised views carry as metainfo.

    Args:
        data_samples (Sequence[PoseDataSample]): With ``subject``,
            ``sequence``, ``seconds``, ``camera`` and ``view_group``.
        device (torch.device | str): Where the labels go.

    Raises:
        ValueError: A sample lacks one of them, or its time is not finite.
    """
    rows, seconds = [], []
    for sample in data_samples:
        meta = sample.metainfo
        missing = [key for key in KEYS if key not in meta]
        if missing:
            raise ValueError(
                f'sample {meta.get("id", meta.get("img_path", "?"))} does '
                f'not say its {missing}: views of one instant are found by '
                f'the metainfo {KEYS}; list them in the meta_keys of '
                'PackPoseInputs')
        subject, sequence = str(meta['subject']), str(meta['sequence'])
        rows.append((stable_id(subject, sequence, meta['view_group']),
                     stable_id(subject), stable_id(subject, sequence),
                     stable_id(meta['camera'])))
        seconds.append(float(meta['seconds']))
    times = torch.tensor(seconds, dtype=torch.float64)
    if not bool(times.isfinite().all()):
        at = int((~times.isfinite()).nonzero()[0])
        raise ValueError(f'sample {data_samples[at].metainfo.get("id", at)} '
                         f'is at {seconds[at]} seconds')
    numbers = torch.tensor(rows, dtype=torch.int64).reshape(-1, 4)
    groups, subjects, sequences, cameras = numbers.to(device).unbind(1)
    return ViewLabels(groups, subjects, sequences, cameras,
                      times.to(device))
