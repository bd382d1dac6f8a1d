"""Capsules around limbs."""
from __future__ import annotations

import numpy as np
import pytest
import torch

from mirrorpose.models.mirrornet.mattes import (
    LimbCapsules,
    capsules_of,
    silhouette_mattes,
)
from mirrorpose.structures import Skeleton
from mirrorpose.structures.skeleton import SKELETONS

#: A stretched person of height 1, by the proportions in the module; x to
#: the left of the person is positive.
STANDING = {
    'head_top': (0, 0.), 'nose': (0, .07), 'head': (0, 0.), 'neck': (0, .17),
    'upper_neck': (0, .17), 'thorax': (0, .182), 'pelvis': (0, .47),
    'shoulder': (.11, .182), 'elbow': (.11, .368), 'wrist': (.11, .514),
    'hip': (.11, .47), 'knee': (.11, .715), 'ankle': (.11, .961)}


def standing(skeleton, height=100., at=(64., 10.)):
    out = np.zeros((len(skeleton), 2))
    for i, joint in enumerate(skeleton.joints):
        name = skeleton.landmark(joint)
        side = 1 if name.startswith('left_') else -1
        x, y = STANDING.get(name.split('_', 1)[-1] if name.startswith(
            ('left_', 'right_')) else name, (0, .1))
        out[i] = side * x, y
    return torch.tensor(out * height + at, dtype=torch.float32)[None]


def brute_force(capsules, points, present, size, edge=1.):
    """Pixel by pixel, capsule by capsule, in float64."""
    height = float(capsules.height(points, present)[0])
    out = np.zeros(size)
    p = points[0].double().numpy()
    for a, b, need, r in zip(capsules.starts, capsules.ends, capsules.needs,
                             capsules.radii):
        if not all(present[0, k] for k in np.nonzero(need.numpy())[0]):
            continue
        a, b = a.double().numpy() @ p, b.double().numpy() @ p
        for y in range(size[0]):
            for x in range(size[1]):
                t = np.clip(np.dot([x, y] - a, b - a) / max(
                    np.dot(b - a, b - a), 1e-6), 0, 1)
                d = np.linalg.norm([x, y] - a - t * (b - a))
                out[y, x] = max(out[y, x], np.clip(
                    .5 + (float(r) * height - d) / edge, 0, 1))
    return out


@pytest.mark.parametrize('name', ['mpii_16', 'coco_17', 'lsp_14'])
def test_equals_distances_to_segments(name):
    skeleton = Skeleton.from_name(name)
    capsules = LimbCapsules(skeleton)
    g = torch.Generator().manual_seed(0)
    points = torch.rand(1, len(skeleton), 2, generator=g) * 26
    present = torch.rand(1, len(skeleton), generator=g) > .1
    found = capsules(points, present, (28, 24))
    want = brute_force(capsules, points, present, (28, 24))
    assert found.shape == (1, 1, 28, 24)
    np.testing.assert_allclose(found[0, 0].numpy(), want, atol=2e-4)


@pytest.mark.parametrize('name', ['mpii_16', 'coco_17', 'lsp_14', 'h36m_17',
                                  'mpi_inf_3dhp_28'])
def test_height_of_a_standing_person(name):
    """And it is hardly less when an arm and a leg point at the camera."""
    skeleton = Skeleton.from_name(name)
    capsules = LimbCapsules(skeleton)
    assert capsules.proportioned
    points = standing(skeleton, 100.)
    present = torch.ones(1, len(skeleton), dtype=torch.bool)
    assert capsules.height(points, present).item() == pytest.approx(100, 1e-3)
    landmark = {skeleton.landmark(j): i
                for i, j in enumerate(skeleton.joints)}
    for part in ('wrist', 'elbow'):
        points[0, landmark[f'left_{part}']] = points[
            0, landmark['left_shoulder']]
    assert capsules.height(points, present).item() == pytest.approx(100, 1e-3)


def test_covers_the_joints_and_not_the_rest():
    skeleton = Skeleton.from_name('mpii_16')
    points = standing(skeleton)
    present = torch.ones(1, 16, dtype=torch.bool)
    matte = LimbCapsules(skeleton)(points, present, (128, 128))[0, 0]
    for x, y in points[0].round().long():
        assert matte[y, x] > .9
    share = matte.mean() * 128**2 / 100**2
    assert .1 < share < .25  # of the square of the height: a person
    assert matte[:, :40].max() == 0 and matte[:, 90:].max() == 0


def test_absent_joints_leave_no_trace():
    skeleton = Skeleton.from_name('mpii_16')
    capsules = LimbCapsules(skeleton)
    points = standing(skeleton)
    present = torch.ones(1, 16, dtype=torch.bool)
    present[0, skeleton.index('left_wrist', 'right_ankle')] = False
    clean = capsules(points, present, (128, 128))
    points[0, skeleton.index('left_wrist')] = torch.nan
    points[0, skeleton.index('right_ankle')] = 1e9
    assert torch.equal(capsules(points, present, (128, 128)), clean)
    none = capsules(points, torch.zeros_like(present), (128, 128))
    assert none.abs().max() == 0 and none.isfinite().all()


def test_stride_changes_little():
    skeleton = Skeleton.from_name('mpii_16')
    capsules = LimbCapsules(skeleton)
    points = standing(skeleton)
    present = torch.ones(1, 16, dtype=torch.bool)
    fine, coarse = (capsules(points, present, (130, 127), s, 2.)
                    for s in (1, 2))
    assert fine.shape == coarse.shape == (1, 1, 130, 127)
    assert (fine - coarse).abs().mean() < .01
    both = ((fine > .5) & (coarse > .5)).sum()
    assert both / ((fine > .5) | (coarse > .5)).sum() > .95


def test_samples_do_not_meet():
    skeleton = Skeleton.from_name('mpii_16')
    capsules = LimbCapsules(skeleton)
    g = torch.Generator().manual_seed(3)
    points = torch.rand(4, 16, 2, generator=g) * 32
    present = torch.rand(4, 16, generator=g) > .3
    together = capsules(points, present, (32, 32))
    for i in range(4):
        torch.testing.assert_close(together[i:i + 1], capsules(
            points[i:i + 1], present[i:i + 1], (32, 32)))


def test_joint_sets_without_proportions():
    """Their limbs alike, as thick as the box is long; or refused."""
    hand = Skeleton('hand', ('a', 'b', 'c'), (('a', 'b'), ('b', 'c')), ())
    capsules = LimbCapsules(hand)
    points = torch.tensor([[[4., 4], [24, 4], [24, 14]]])
    present = torch.ones(1, 3, dtype=torch.bool)
    assert capsules.height(points, present).item() == 20
    matte = capsules(points, present, (32, 32))[0, 0]
    assert matte[4, 14] == 1 and matte[9, 24] == 1 and matte[20, 10] == 0
    with pytest.raises(ValueError, match="'dots' has neither"):
        LimbCapsules(Skeleton('dots', ('a', 'b'), (), ()))
    with pytest.raises(ValueError, match='width'):
        LimbCapsules(SKELETONS['mpii_16'], 0)
    assert capsules_of('coco_17').skeleton.name == 'coco_17'


def test_silhouettes_of_any_size():
    g = torch.Generator().manual_seed(0)
    full = (torch.rand(2, 1, 32, 32, generator=g) > .5).float()
    soft = silhouette_mattes(full, (32, 32))
    want = np.pad(full[1, 0].numpy(), 1)[8:11, 4:7].mean()
    assert soft[1, 0, 8, 4].item() == pytest.approx(want)
    box = torch.zeros(1, 1, 8, 8)
    box[..., 2:6, 3:5] = 1
    big = silhouette_mattes(box, (32, 32))
    assert big.shape == (1, 1, 32, 32)
    assert big[0, 0, 12:20, 14:18].min() == 1  # cells are areas
    assert big.mean().item() == pytest.approx(box.mean().item(), rel=1e-5)
