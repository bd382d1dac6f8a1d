"""Clips of the embedded world: what moves, what stands still."""
import numpy as np
import pytest
from mmpose.registry import DATASETS

from mirrorpose.datasets.frames import SyntheticClips
from mirrorpose.structures import Skeleton

LIMBS = Skeleton.from_name('mpii_16').limb_indices


def read(source):
    clips = source.select('')
    return [(np.stack(list(source.images(c))),
             np.stack(list(source.masks(c))), source.annotate(c))
            for c in clips]


@pytest.fixture(scope='module')
def clips():
    return read(SyntheticClips(clips=4, frames=9, shots=3, image_size=48,
                               start=10))


def test_only_the_person_moves(clips):
    for images, masks, _ in clips:
        still = (masks == 0).all(0)
        assert .2 < still.mean() < .99
        stack = images.astype(float)
        moved = (masks > 0).any(0) & (masks == 0).any(0)
        # noise of the camera and the shadow aside, the background stands
        assert np.median(stack[:, still].std(0)) < .6 * np.median(
            stack[:, moved].std(0))
        means = stack[:, still].mean(1)
        assert np.abs(means - means[0]).max() < 12


def test_looks_stay_with_the_person(clips):
    """Colours of the silhouette: alike in a clip, others in another."""
    def colours(images, masks):
        return np.stack([i[m > 0].mean(0) for i, m in zip(images, masks)])

    own = [colours(i, m) for i, m, _ in clips]
    within = np.mean([np.linalg.norm(c - c.mean(0), axis=-1).mean()
                      for c in own])
    between = np.std([c.mean(0) for c in own], 0).mean()
    assert within < between


def test_joints_lie_on_the_silhouette(clips):
    inside = []
    for _, masks, clip in clips:
        for mask, points, seen in zip(masks, clip.keypoints, clip.visible):
            near = np.round(points[seen > 0]).astype(int).clip(0, 47)
            wide = np.zeros_like(mask)
            for dy in (-2, -1, 0, 1, 2):
                for dx in (-2, -1, 0, 1, 2):
                    wide |= np.roll(mask, (dy, dx), (0, 1))
            inside.append((wide[near[:, 1], near[:, 0]] > 0).mean())
    assert np.mean(inside) > .93


def test_poses_of_a_clip_differ(clips):
    for _, _, clip in clips:
        middle = clip.keypoints - clip.keypoints.mean(1, keepdims=True)
        gaps = np.linalg.norm(middle[0] - middle, axis=-1).mean(1)
        assert gaps[1:].max() > 1.5
        assert clip.visible.mean() > .99  # the window holds all shots


def test_a_clip_does_not_depend_on_the_others(clips):
    (images, masks, clip), = read(SyntheticClips(
        clips=1, frames=9, shots=3, image_size=48, start=12))
    np.testing.assert_array_equal(images, clips[2][0])
    np.testing.assert_array_equal(masks, clips[2][1])
    np.testing.assert_array_equal(clip.keypoints, clips[2][2].keypoints)
    other = SyntheticClips(clips=1, world_split='val', start=12).select('')
    assert other[0].name != clip.name


def test_frames_of_halves(clips):
    source = SyntheticClips(clips=1, frames=9, shots=3, image_size=48,
                            start=10, half='second')
    (images, _, clip), = read(source)
    np.testing.assert_array_equal(images, clips[0][0][4:])
    np.testing.assert_array_equal(clip.keypoints,
                                  clips[0][2].keypoints[4:])


def test_in_a_data_set():
    source = dict(type='SyntheticClips', clips=2, frames=4, shots=2)
    data = DATASETS.build(dict(
        type='FramePairDataset', joints='lsp_14', size=64, masks=True,
        sources=[source], test_mode=True))
    assert len(data) == 8 and data.store.visible.all()
    assert (data[0]['inputs'] == 0).float().mean() > .5


@pytest.mark.parametrize('options', [
    dict(clips=0), dict(clips=1, frames=5, shots=2),
    dict(clips=1, joints='coco_17'), dict(clips=1, world_split='all'),
    dict(clips=1, start=-1), dict(clips=1, action_names=['fly']),
    dict(clips=1, shots=0)])
def test_options_out_of_range(options):
    with pytest.raises(ValueError):
        SyntheticClips(**options)
