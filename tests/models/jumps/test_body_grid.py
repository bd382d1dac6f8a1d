"""The body-part grid against Fig. 3 read joint by joint."""
from __future__ import annotations

import pytest
import torch

from mirrorpose.models.jumps import body_grid
from mirrorpose.models.pose.canonical_frame import SKELETON


def test_every_entry_by_hand():
    points = torch.randn(3, 24, 28, 2)
    grid = body_grid.to_grid(points)
    assert grid.shape == (3, 4, 24, 18)
    for column, entry in enumerate(body_grid.ENTRIES):
        names = (entry, entry) if entry in SKELETON.joints else (
            f'left_{entry}', f'right_{entry}')
        for side, name in enumerate(names):
            joint = SKELETON.joints.index(name)
            for axis in (0, 1):
                assert torch.equal(grid[:, 2 * side + axis, :, column],
                                   points[:, :, joint, axis])


def test_ten_pairs_and_eight_of_the_axis():
    axial = [e for e in body_grid.ENTRIES if e in SKELETON.joints]
    assert len(axial) == 8 and len(body_grid.ENTRIES) == 18
    assert body_grid.ENTRIES[0] == 'hand' and body_grid.ENTRIES[-1] == 'toe'
    placed = sorted(j for pair in body_grid.PLACES for j in pair)
    assert sorted(set(placed)) == list(range(28)) and len(placed) == 36


@pytest.mark.parametrize('dtype', [torch.float32, torch.float64])
def test_exact_inverse(dtype):
    points = torch.randn(2, 24, 28, 2, dtype=dtype)
    assert torch.equal(body_grid.from_grid(body_grid.to_grid(points)), points)


def test_copies_of_the_axis_are_averaged():
    grid = torch.randn(2, 4, 24, 18)
    points = body_grid.from_grid(grid)
    for column, entry in enumerate(body_grid.ENTRIES):
        if entry in SKELETON.joints:
            mean = (grid[:, :2, :, column] + grid[:, 2:, :, column]) / 2
            joint = SKELETON.joints.index(entry)
            assert torch.allclose(points[:, :, joint].permute(0, 2, 1), mean)


def test_mirroring_exchanges_channel_pairs():
    """Trap T3.11: left and right swapped, x negated."""
    points = torch.randn(2, 24, 28, 2)
    mirrored = points[:, :, SKELETON.flip_indices] * torch.tensor([-1., 1.])
    sign = torch.tensor([-1., 1., -1., 1.])[:, None, None]
    assert torch.equal(body_grid.to_grid(mirrored),
                       sign * body_grid.to_grid(points)[:, [2, 3, 0, 1]])


def test_critic_reads_positions_then_velocities():
    points = torch.randn(2, 24, 28, 2)
    grid = body_grid.critic_grid(points)
    assert torch.equal(grid[:, :4], body_grid.to_grid(points))
    assert grid[:, 4:, 0].eq(0).all()
    for f in range(1, 24):
        assert torch.equal(grid[:, 4:, f], grid[:, :4, f] - grid[:, :4, f - 1])


@pytest.mark.parametrize('make, shape', [
    (body_grid.to_grid, (2, 24, 17, 2)), (body_grid.to_grid, (24, 28, 2)),
    (body_grid.from_grid, (2, 8, 24, 18)),
    (body_grid.from_grid, (2, 4, 24, 28))])
def test_other_shapes_are_refused(make, shape):
    with pytest.raises(ValueError, match='grid'):
        make(torch.zeros(shape))
