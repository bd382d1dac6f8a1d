"""The skeleton renderer against Eq. 2 written out."""
from __future__ import annotations

import math

import pytest
import torch
from mmpose.registry import MODELS
from torch import Tensor

from mirrorpose.models.pose import SkeletonRenderer
from mirrorpose.models.pose.skeleton_image import limb_sides
from mirrorpose.structures import Skeleton

LIMBS = [(0, 1), (1, 2), (1, (0, 3)), ((2, 3, 4), 4)]


def eq_2(p: Tensor, limbs: list, size: int, gamma: float = 25.,
         k: float = 1.) -> Tensor:
    """One pose (K, 2), one pixel and one limb at a time."""
    def end(e: int | tuple) -> Tensor:
        return p[list(e)].mean(0) if isinstance(e, tuple) else p[e]

    rows = []
    for y in torch.linspace(-1, 1, size, dtype=p.dtype):
        row = []
        for x in torch.linspace(-1, 1, size, dtype=p.dtype):
            u, values = torch.stack([x, y]), []
            for i, j in limbs:
                a, b = end(i), end(j)
                t = ((u - a) @ (b - a)) / (b - a).square().sum().clamp(
                    min=1e-6)
                far = u - a - t.clamp(0, 1) * (b - a)
                d = (far.square().sum() + 1e-6).sqrt()
                values.append(torch.exp(-gamma * d**k))
            row.append(torch.stack(values).max())
        rows.append(torch.stack(row))
    return torch.stack(rows)


@pytest.mark.parametrize('k', [1., 2., 1.5])
def test_equals_eq_2(k: float) -> None:
    torch.manual_seed(0)
    p = (torch.rand(2, 5, 2) * 1.6 - .8).double().requires_grad_()
    weight = torch.randn(2, 9, 9).double()
    image = SkeletonRenderer(limbs=LIMBS, size=9, exponent=k)(p)
    assert image.shape == (2, 1, 9, 9)
    truth = torch.stack([eq_2(x, LIMBS, 9, k=k) for x in p])
    torch.testing.assert_close(image[:, 0], truth, rtol=1e-11, atol=1e-13)
    got, = torch.autograd.grad((image[:, 0] * weight).sum(), p)
    want, = torch.autograd.grad((truth * weight).sum(), p)
    torch.testing.assert_close(got, want, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize('channels', ['one', 'limb', [[0, 1, 2], [3]]])
def test_gradcheck(channels: object) -> None:
    torch.manual_seed(1)
    p = (torch.rand(2, 5, 2).double() - .5).requires_grad_()
    visible = torch.ones(2, 5)
    visible[0, 2] = 0
    draw = SkeletonRenderer(limbs=LIMBS, size=(10, 12), channels=channels)
    assert torch.autograd.gradcheck(draw, (p, visible))


def test_channels_are_drawn_apart() -> None:
    torch.manual_seed(2)
    p = torch.rand(3, 5, 2) - .5
    whole = SkeletonRenderer(limbs=LIMBS, size=20)(p)
    each = SkeletonRenderer(limbs=LIMBS, size=20, channels='limb')(p)
    torch.testing.assert_close(each.amax(1, keepdim=True), whole)
    for i, limb in enumerate(LIMBS):
        alone = SkeletonRenderer(limbs=[limb], size=20)
        torch.testing.assert_close(each[:, i:i + 1],
                                   alone(p[:, :alone.joints]))
    some = SkeletonRenderer(limbs=LIMBS, size=20,
                            channels=[[3], [0, 2, 1]])(p)
    torch.testing.assert_close(some[:, 0], each[:, 3])
    torch.testing.assert_close(some[:, 1], each[:, :3].amax(1))


def test_sides() -> None:
    skeleton = Skeleton.from_name('mpii_16')
    left, right, axial = limb_sides(skeleton)
    assert sorted(left + right + axial) == list(range(len(skeleton.limbs)))
    for i in left:
        assert any(j.startswith('left') for j in skeleton.limbs[i])
    for i in right:
        assert any(j.startswith('right') for j in skeleton.limbs[i])
    assert len(left) == len(right) == 6 and len(axial) == 3
    # Hip to hip is of neither side.
    lsp = Skeleton.from_name('lsp_14')
    across = lsp.limbs.index(('right_hip', 'left_hip'))
    assert across in limb_sides(lsp)[2]

    p = torch.rand(2, 16, 2) * 1.6 - .8
    draw = SkeletonRenderer('mpii_16', size=32, channels='side')
    mirrored = (p * torch.tensor([-1., 1.]))[:, skeleton.flip_indices]
    # A flip exchanges left and right: what one channel cannot show.
    torch.testing.assert_close(draw(mirrored),
                               draw(p)[:, [1, 0, 2]].flip(-1))
    one = SkeletonRenderer('mpii_16', size=32)
    swapped = p[:, skeleton.flip_indices]
    torch.testing.assert_close(one(swapped), one(p))


def test_absent_joints_take_their_limbs_along() -> None:
    torch.manual_seed(3)
    p, visible = torch.rand(2, 5, 2) - .5, torch.ones(2, 5)
    visible[1, 3] = 0
    p[1, 3] = torch.nan
    p.requires_grad_()
    draw = SkeletonRenderer(limbs=LIMBS, size=16)
    image = draw(p, visible)
    kept = SkeletonRenderer(limbs=LIMBS[:2], size=16)
    torch.testing.assert_close(image[1], kept(p[1:, :3])[0])
    torch.testing.assert_close(image[0], draw(p[:1])[0])
    image.sum().backward()
    assert p.grad is not None and bool(p.grad.isfinite().all())
    assert not bool(p.grad[1, 3].any())
    assert not bool(draw(p, torch.zeros(2, 5)).any())


def test_limbs_without_length() -> None:
    # T2.5: all outputs of a fresh soft-argmax lie in the middle.
    p = torch.zeros(2, 5, 2, requires_grad=True)
    image = SkeletonRenderer(limbs=LIMBS, size=17)(p)
    (image * torch.randn_like(image)).sum().backward()
    assert p.grad is not None and bool(p.grad.isfinite().all())
    torch.testing.assert_close(image.amax().item(), math.exp(-25e-3))
    far = SkeletonRenderer(limbs=[(0, 0)], size=17)(torch.zeros(1, 1, 2))
    torch.testing.assert_close(far[0, 0, 8, 16].item(),
                               math.exp(-25 * (1 + 1e-6)**.5))


def test_autocast_does_not_reach_in() -> None:
    torch.manual_seed(4)
    p = torch.rand(2, 5, 2) - .5
    draw = SkeletonRenderer(limbs=LIMBS, size=16)
    with torch.autocast('cpu', torch.bfloat16):
        x = p.clone().requires_grad_()
        image = draw(x)
        image.sum().backward()
    y = p.clone().requires_grad_()
    draw(y).sum().backward()
    assert image.dtype == torch.float32
    torch.testing.assert_close(image, draw(p), rtol=0, atol=0)
    torch.testing.assert_close(x.grad, y.grad, rtol=0, atol=0)
    assert draw(p.bfloat16()).dtype == torch.float32
    assert draw(p.double()).dtype == torch.float64


def test_dots() -> None:
    # The points of the published code's faces, exp(-(50 d)^2).
    p = torch.tensor([[[0., 0.], [.5, .25]]], dtype=torch.float64)
    draw = SkeletonRenderer(limbs=[(0, 0), (1, 1)], size=17, sigma=1 / 50,
                            exponent=2)
    axis = torch.linspace(-1, 1, 17).double()
    u = torch.stack(torch.meshgrid(axis, axis, indexing='xy'), -1)
    d2 = (u - p[0, :, None, None]).square().sum(-1)
    truth = torch.exp(-2500 * (d2 + 1e-6)).amax(0)
    torch.testing.assert_close(draw(p)[0, 0], truth)


def test_names_and_state() -> None:
    draw = MODELS.build(dict(
        type='SkeletonRenderer', skeleton='lsp_14', size=12,
        limbs=[('neck', 'head_top'), (('left_hip', 'right_hip'), 12)]))
    assert not draw.state_dict()  # nothing that a checkpoint would hold
    p = torch.rand(1, 14, 2)
    by_index = SkeletonRenderer(limbs=[(12, 13), ((3, 2), 12)], size=12)
    torch.testing.assert_close(draw(p), by_index(p))


@pytest.mark.parametrize('wrong, error, says', [
    (dict(), TypeError, 'needs a skeleton or limbs'),
    (dict(skeleton=3), TypeError, 'the name of one'),
    (dict(skeleton='nobody'), ValueError, 'unknown joint set'),
    (dict(limbs=[]), ValueError, 'no limb to draw'),
    (dict(limbs=[(0, 1, 2)]), TypeError, 'two ends'),
    (dict(limbs=[(0, ())]), ValueError, 'without joints'),
    (dict(limbs=[(0, 'neck')]), ValueError, 'give the skeleton'),
    (dict(limbs=[(0, -1)]), ValueError, 'no joint'),
    (dict(skeleton='lsp_14', limbs=[(0, 14)]), ValueError, 'no joint of 14'),
    (dict(skeleton='lsp_14', size=1), ValueError, 'at least 2'),
    (dict(skeleton='lsp_14', sigma=0.), ValueError, 'sigma'),
    (dict(skeleton='lsp_14', exponent=math.nan), ValueError, 'exponent'),
    (dict(skeleton='lsp_14', channels='two'), ValueError, "'one', 'limb'"),
    (dict(skeleton='lsp_14', channels=[[0], []]), ValueError, 'every channel'),
    (dict(skeleton='lsp_14', channels=[[99]]), ValueError, 'there is no'),
    (dict(limbs=LIMBS, channels='side'), ValueError, 'list the limbs')])
def test_refuses(wrong: dict, error: type[Exception], says: str) -> None:
    with pytest.raises(error, match=says):
        SkeletonRenderer(**wrong)


def test_refuses_other_poses() -> None:
    draw = SkeletonRenderer('lsp_14')
    with pytest.raises(ValueError, match='14, 2'):
        draw(torch.zeros(2, 16, 2))
    with pytest.raises(ValueError, match='visible'):
        draw(torch.zeros(2, 14, 2), torch.ones(2, 16))
