"""What this machine can do at most."""
from __future__ import annotations

import pytest
import torch

from mirrorpose.doctor import limits


def test_limits_are_in_the_right_order_of_magnitude():
    size, device = 2**24, torch.device('cpu')
    one, other = torch.ones(size, dtype=torch.uint8), torch.empty(
        size, dtype=torch.uint8)
    seconds = limits.repeat(lambda: other.copy_(one), device)
    assert 0.05 < limits.copy_bandwidth(device) / (size / seconds) < 20
    images, megapixels = limits.decode_rate([limits.example_jpeg(320, 160)])
    assert megapixels == pytest.approx(images * 320 * 160 / 1e6)
    assert limits.transfer_bandwidth(device) is None
