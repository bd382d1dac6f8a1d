"""Stages made small enough to try."""
from __future__ import annotations

import pytest

from mirrorpose.doctor import stages


@pytest.mark.parametrize('ratio, batch, smallest', [
    ((96, 32), 128, 4), ((3, 1), 8, 4), ((1, 1), 6, 2), (None, 8, 2),
    ([5], 10, 5 - 3), ((0.5, 0.5), 8, 8)])
def test_smallest_batch_keeps_the_ratio(ratio, batch, smallest):
    sampler = dict(type='S') if ratio is None else dict(
        type='S', source_ratio=ratio)
    loader = dict(batch_size=batch, sampler=sampler)
    assert stages.smallest_batch(loader) == smallest
