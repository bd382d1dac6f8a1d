"""Warps against the reference's formula, written out point by point."""
import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from mmpose.registry import DATASETS
from scipy.spatial.distance import cdist

from mirrorpose.datasets.frames import TpsSampler
from mirrorpose.datasets.frames.tps import Warps


def reference_grid(size, warps, number, points=10):
    """Grid over the padded image, as KeypointGAN's tps_sampler has it."""
    total = size + 2 * (size // 2)
    line = np.linspace(-1, 1, total)
    x, y = np.meshgrid(line, line)
    plane = np.c_[x.ravel(), y.ravel()]
    line = np.linspace(-1, 1, points)
    x, y = np.meshgrid(line, line)
    squared = np.clip(cdist(plane, np.c_[x.ravel(), y.ravel()],
                            'sqeuclidean'), 1e-8, None)
    weights = (np.zeros((points**2, 2)) if warps.weights is None else
               warps.weights[number])
    grid = (np.log(squared) * squared @ weights + warps.shift[number]
            + plane @ warps.matrix[number])
    return grid.reshape(total, total, 2)


@pytest.mark.parametrize('size', [16, 17])
@pytest.mark.parametrize('bends', [False, True])
def test_equals_padding_warping_and_cropping(size, bends, toy):
    sampler = TpsSampler(size, 8., .1, .05, (.002, .01) if bends else None)
    images = torch.from_numpy(np.random.default_rng(0).integers(
        0, 255, (3, 3, size, size), dtype=np.uint8))
    warps = sampler.draw(toy.keys(3), 1)
    pad = size // 2
    wide = F.pad(images.double(), (pad, ) * 4, mode='replicate')
    grids = torch.from_numpy(np.stack([
        reference_grid(size, warps, n) for n in range(3)]))
    want = F.grid_sample(wide, grids, align_corners=True)[
        :, :, pad:-pad, pad:-pad]
    got = sampler(images, warps).double()
    # the reference is black beyond its padding, which is not looked at here
    inside = (grids.abs() <= 1).all(-1)[:, None, pad:-pad, pad:-pad]
    assert inside.double().mean() > .95
    assert ((got - want).abs() * inside).max() < .51


def test_no_warp_keeps_the_pixels():
    sampler = TpsSampler(12, 0., 0., 0., (0., 0.))
    images = torch.randint(0, 255, (2, 3, 12, 12), dtype=torch.uint8)
    keys = np.arange(2, dtype=np.uint64)
    assert torch.equal(sampler(images, sampler.draw(keys, 0)), images)


def test_draws_have_the_deviations_of_the_spec(toy):
    sampler = TpsSampler(8)
    warps = sampler.draw(toy.keys(4000), 3)
    angle = np.degrees(np.arctan2(warps.matrix[:, 1, 0],
                                  warps.matrix[:, 0, 0]))
    size = np.sqrt(np.linalg.det(warps.matrix))
    assert angle.std() == pytest.approx(5, rel=.05)
    assert angle.mean() == pytest.approx(0, abs=.3)
    assert size.std() == pytest.approx(.05, rel=.05)
    assert warps.shift.std() == pytest.approx(.05, rel=.05)
    # half of the coordinates have the second deviation, too
    want = math.sqrt(.0005**2 + .5 * .005**2)
    assert warps.weights.std() == pytest.approx(want, rel=.02)
    assert np.median(np.abs(warps.weights)) < want / 2
    assert warps.weights.shape == (4000, 100, 2)


def test_keypoints_move_with_the_image(toy):
    size = 64
    sampler = TpsSampler(size, 10., .1, .03, None)
    rng = np.random.default_rng(2)
    points = rng.uniform(22, 42, (5, 1, 2))
    y, x = np.mgrid[:size, :size]
    images = np.stack([255 * np.exp(-((x - p[0, 0])**2 + (y - p[0, 1])**2)
                                    / 18) for p in points])
    images = torch.from_numpy(images.astype(np.uint8))[:, None].expand(
        -1, 3, -1, -1).contiguous()
    warps = sampler.draw(toy.keys(5), 0)
    seen = sampler(images, warps)[:, 0].numpy().astype(float)
    found = np.stack([[(v * x).sum(), (v * y).sum()] / v.sum() for v in seen])
    moved = sampler.move(points, warps)[:, 0]
    assert np.abs(moved - points[:, 0]).max() > 1
    assert np.abs(found - moved).max() < .2
    with pytest.raises(ValueError, match='affine'):
        sampler.move(points, Warps(warps.matrix, warps.shift, points))


def test_still_pairs(prepared, toy):
    root, arrays = prepared
    data = DATASETS.build(dict(
        type='StillPairDataset', joints='lsp_14', size=20,
        data_root=str(root),
        sources=[dict(type='FrameArchive', file='people/frames.npz')]))
    assert len(data) == 24
    keys = toy.keys(24)
    whole = data.get_batch(range(24), keys)
    part = data.get_batch([7, 3], keys[[7, 3]])
    for name in ('image', 'condition'):
        assert whole['inputs'][name].dtype == torch.uint8
        assert (whole['inputs'][name][[7, 3]].int()
                - part['inputs'][name].int()).abs().max() <= 1
    images = data.store.images(np.arange(24))
    warps = data.affine.draw(keys, 0x7470)
    assert torch.equal(whole['inputs']['image'], data.affine(images, warps))
    plain = (arrays['keypoints'][3] + .5) / 2 - .5
    moved = whole['data_samples'][3].gt_instances.keypoints[0]
    np.testing.assert_allclose(moved, data.affine.move(
        plain[None], Warps(*(None if v is None else v[[3]]
                             for v in warps)))[0], atol=1e-4)


@pytest.mark.parametrize('options', [
    dict(rotation=-1.), dict(warp=(.1, )), dict(points=1),
    dict(warp=(-.1, .1))])
def test_wrong_options(options):
    with pytest.raises(ValueError, match='standard deviations'):
        TpsSampler(16, **options)
