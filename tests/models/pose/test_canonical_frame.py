"""The canonical frame against its definition, complete and with holes."""
from __future__ import annotations

import pytest
import torch

from mirrorpose.models.pose.canonical_frame import (
    SKELETON,
    canonical_frame,
)


def upright(n=5, seed=0, dtype=torch.float64):
    """People of random place and size, nearly upright, in pixels."""
    source = torch.Generator().manual_seed(seed)

    def draw(*shape):
        return torch.rand(*shape, generator=source, dtype=dtype)

    points = torch.zeros(n, 24, 28, 2, dtype=dtype)
    heights = dict(head_top=-.5, neck=-.355, pelvis=0., left_hip=.01,
                   right_hip=-.01, left_shoulder=-.365, right_shoulder=-.365)
    for joint, name in enumerate(SKELETON.joints):
        points[:, :, joint, 1] = heights.get(name, float(joint) / 60)
    points[..., 0] = .2 * draw(n, 24, 28) - .1
    for name in ('pelvis', 'left_hip', 'right_hip', 'head_top', 'neck'):
        points[:, :, SKELETON.index(name)[0], 0] = 0.
    left, right = SKELETON.index('left_shoulder', 'right_shoulder')
    points[:, :, left, 0], points[:, :, right, 0] = .1, -.1
    scale = 100 + 200 * draw(n, 1, 1, 1)
    return points * scale + 500 * draw(n, 1, 1, 2), scale


def test_complete_windows_follow_the_definition():
    points = torch.randn(4, 24, 28, 2, dtype=torch.float64) * 80 + 300
    pelvis, top = SKELETON.index('pelvis', 'head_top')
    points[:, :, top] = points[:, :, pelvis] - torch.tensor([0., 150.])
    frame = canonical_frame(points)
    for n in range(4):
        origin = torch.stack([points[n, f, pelvis] for f in range(24)]).mean(0)
        length = sum(float((points[n, f, top] - points[n, f, pelvis]).norm())
                     for f in range(24)) / 24
        expected = (points[n] - origin) / (2 * length)
        assert torch.allclose(frame.apply(points)[n], expected)
    assert torch.allclose(frame.invert(frame.apply(points)), points)


def test_moves_and_sizes_do_not_matter():
    points, _ = upright()
    moved = 3.5 * points + torch.tensor([20., -7.])
    assert torch.allclose(canonical_frame(points).apply(points),
                          canonical_frame(moved).apply(moved))


@pytest.mark.parametrize('hidden, tolerance', [
    (['head_top'], .01),
    (['head_top', 'neck'], .01),
    (['pelvis'], .01),
    ([j for j in SKELETON.joints if j.split('_')[-1] not in
      ('hip', 'shoulder')], .01)])
def test_incomplete_windows_are_near(hidden, tolerance):
    points, scale = upright()
    observed = torch.ones(5, 24, 28, dtype=torch.bool)
    observed[:, :, SKELETON.index(*hidden)] = False
    whole = canonical_frame(points)
    points[~observed] = float('nan')
    frame = canonical_frame(points, observed)
    assert torch.allclose(frame.scale, scale, rtol=tolerance)
    assert ((frame.origin - whole.origin).abs() / scale).max() < tolerance


def test_missing_frames_only_leave_frames_out():
    points, _ = upright()
    observed = torch.ones(5, 24, 28, dtype=torch.bool)
    observed[:, 5:] = False
    short, long = canonical_frame(points[:, :5]), canonical_frame(
        points, observed)
    assert torch.allclose(short.origin, long.origin)
    assert torch.allclose(short.scale, long.scale)


def test_spread_stands_in_for_a_body():
    points, scale = upright()
    observed = torch.zeros(5, 24, 28, dtype=torch.bool)
    observed[:, :, SKELETON.index('left_knee', 'left_wrist', 'right_toe')] = 1
    frame = canonical_frame(points, observed)
    assert ((frame.scale / scale).log().abs() < 1.2).all()
    assert frame.apply(points)[observed].abs().max() < 1.5


def test_nothing_and_a_point_are_finite():
    points = torch.full((3, 24, 28, 2), float('nan'))
    observed = torch.zeros(3, 24, 28, dtype=torch.bool)
    points[1, 3, 9], observed[1, 3, 9] = 100., True
    points[2], observed[2] = 40., True
    frame = canonical_frame(points, observed)
    assert frame.scale.flatten().tolist() == [1, 1, 1]
    assert frame.origin[1:].flatten().tolist() == [100, 100, 40, 40]
    assert frame.origin[0].eq(0).all()


def test_gradients_are_finite_where_there_is_no_size():
    points = torch.randn(3, 24, 28, 2)
    points[1] = 40.
    observed = torch.ones(3, 24, 28, dtype=torch.bool)
    observed[2] = False
    points.requires_grad_()
    frame = canonical_frame(points, observed)
    frame.apply(points).square().sum().backward()
    assert points.grad.isfinite().all()


def test_people_from_above_stay_bounded():
    points = torch.randn(2, 24, 28, 2)
    pelvis, top = SKELETON.index('pelvis', 'head_top')
    points[:, :, top] = points[:, :, pelvis]
    out = canonical_frame(points).apply(points)
    assert torch.allclose(out.square().sum(-1).mean((1, 2)).sqrt(),
                          torch.ones(2), atol=1e-4)


@pytest.mark.parametrize('shape', [(2, 24, 17, 2), (24, 28, 2),
                                   (2, 24, 28, 3)])
def test_other_shapes_are_refused(shape):
    with pytest.raises(ValueError, match='mpi_inf_3dhp_28'):
        canonical_frame(torch.zeros(shape))
    with pytest.raises(ValueError, match='observed'):
        canonical_frame(torch.zeros(2, 24, 28, 2), torch.ones(2, 24))
