"""The synthetic world against independent truth."""
from __future__ import annotations

import hashlib
import subprocess
import sys

import cv2
import numpy as np
import pytest

import mirrorpose  # noqa: F401  (makes mmpose importable)
from mirrorpose.datasets.synthetic import SPLIT_START, Instant, SyntheticWorld
from mirrorpose.datasets.synthetic.body import (
    DOFS,
    LIMITS,
    PARENTS,
    SKELETON_28,
    limit_angles,
    make_body,
)
from mirrorpose.datasets.synthetic.motion import ACTIONS, perform

WORLD = SyntheticWorld(seed=3, image_size=96)
JOINTS = SKELETON_28.joints


def digest(sample: dict) -> str:
    """A hash of everything in a sample."""
    parts = [sample[k].tobytes() for k in sorted(sample)
             if isinstance(sample[k], np.ndarray)]
    parts += [sample['camera'].K.tobytes(), sample['camera'].R.tobytes(),
              sample['camera'].t.tobytes(), sample['action'].encode()]
    return hashlib.sha256(b''.join(parts)).hexdigest()


class TestDeterminism:

    def test_order_does_not_matter(self):
        forward = [digest(WORLD.sample(i)) for i in range(12)]
        fresh = SyntheticWorld(seed=3, image_size=96)
        backward = [digest(fresh.sample(i)) for i in reversed(range(12))]
        assert forward == backward[::-1]
        assert len(set(forward)) == 12

    def test_other_process_gives_the_same_bytes(self):
        code = (
            'from mirrorpose.datasets.synthetic import SyntheticWorld\n'
            'import hashlib\n'
            's = SyntheticWorld(seed=3, image_size=96).sample(1_000_000_005)\n'
            'print(hashlib.sha256(s["image"].tobytes()'
            ' + s["joints_28"].tobytes()).hexdigest())')
        out = subprocess.run([sys.executable, '-W', 'ignore', '-c', code],
                             capture_output=True, text=True, check=True)
        sample = WORLD.sample(1_000_000_005)
        here = hashlib.sha256(sample['image'].tobytes()
                              + sample['joints_28'].tobytes()).hexdigest()
        assert out.stdout.split()[-1] == here

    def test_seed_changes_everything(self):
        other = SyntheticWorld(seed=4, image_size=96)
        a, b = WORLD.sample(0), other.sample(0)
        assert not np.array_equal(a['image'], b['image'])
        assert WORLD.body(0).stature != other.body(0).stature

    def test_quick_labels_are_the_same_labels(self):
        full, quick = WORLD.sample(5), WORLD.sample(5, image=False)
        assert 'image' not in quick
        for key in ('joints_28', 'joints_16_world', 'joints_17', 'bbox'):
            np.testing.assert_array_equal(full[key], quick[key])

    def test_image_does_not_depend_on_label_requests(self):
        before = WORLD.sample(8)['image'].copy()
        WORLD.views(8, image=False)
        WORLD.clip(8, 3, image=False)
        np.testing.assert_array_equal(WORLD.sample(8)['image'], before)


class TestViewsAndClips:

    def test_views_contain_the_sample(self):
        for index in range(4):
            sample = WORLD.sample(index)
            views = WORLD.views(index)
            assert len(views) == WORLD.num_cameras >= 4
            assert len({v['camera'].name for v in views}) == len(views)
            same = [v for v in views
                    if v['camera'].name == sample['camera'].name]
            assert [digest(v) for v in same] == [digest(sample)]
            for view in views:
                np.testing.assert_array_equal(view['joints_28_world'],
                                              sample['joints_28_world'])

    def test_clip_starts_with_the_sample(self):
        clip = WORLD.clip(2, 5, fps=10)
        assert digest(clip[0]) == digest(WORLD.sample(2))
        for frame in clip:
            np.testing.assert_array_equal(frame['camera'].K,
                                          clip[0]['camera'].K)
        times = np.array([f['time'] for f in clip])
        np.testing.assert_allclose(np.diff(times), .1)

    def test_frame_rate_does_not_change_the_motion(self):
        slow = WORLD.clip(2, 3, fps=10, image=False)
        fast = WORLD.clip(2, 9, fps=40, image=False)
        for a, b in zip(slow, fast[::4]):
            np.testing.assert_allclose(a['joints_28_world'],
                                       b['joints_28_world'], atol=1e-6)

    def test_background_of_a_clip_stands_still(self):
        world = SyntheticWorld(seed=3, image_size=96, bystanders=0.)
        clip = world.clip(2, 3, fps=25)
        person = np.zeros((96, 96), np.uint8)
        for frame in clip:  # the person, the shadow and blurred edges
            person |= frame['silhouette']
        away = cv2.dilate(person, np.ones((41, 41))) == 0
        assert away.any()
        change = np.abs(clip[0]['image'].astype(float)
                        - clip[2]['image'])[away]
        other = np.abs(clip[0]['image'].astype(float)
                       - world.sample(9)['image'])[away]
        assert change.mean() < .3 * other.mean()

    def test_pose_equals_sample(self):
        sample = WORLD.sample(6, image=False)
        instant = sample['instant']
        joints = WORLD.pose(instant.identity, instant.action, instant.time,
                            instant.take)
        np.testing.assert_allclose(joints, sample['joints_28_world'],
                                   atol=1e-6)
        many = WORLD.pose(1, 'walk', [0., .5, 1.])
        assert many.shape == (3, 28, 3)

    def test_own_instants(self):
        """Same person and motion in another place: only the place differs."""
        first = WORLD.render(Instant(1, 'dance', 0, .5, 7, 0.), 0)
        second = WORLD.render(Instant(1, 'dance', 0, .5, 8, 0.), 0)
        np.testing.assert_array_equal(first['joints_28_world'],
                                      second['joints_28_world'])
        assert not np.array_equal(first['image'], second['image'])


class TestGeometry:

    def test_projection_by_opencv(self):
        for index in range(20):
            sample = WORLD.sample(index, image=False)
            camera = sample['camera']
            rvec, _ = cv2.Rodrigues(camera.R)
            pixels, _ = cv2.projectPoints(sample['joints_28_world'], rvec,
                                          camera.t, camera.K, None)
            np.testing.assert_allclose(sample['joints_28'], pixels[:, 0],
                                       atol=1e-3)
            np.testing.assert_allclose(
                sample['joints_28_camera'],
                sample['joints_28_world'] @ camera.R.T + camera.t)
            assert (sample['joints_28_camera'][:, 2] > 300).all()
            np.testing.assert_allclose(camera.R @ camera.R.T, np.eye(3),
                                       atol=1e-12)
            assert np.linalg.det(camera.R) == pytest.approx(1)

    def test_views_triangulate_back(self):
        """Direct linear transform over the views of one instant."""
        for index in range(5):
            views = WORLD.views(index, image=False)
            for joint in range(28):
                rows = []
                for view in views:
                    camera = view['camera']
                    p = camera.K @ np.c_[camera.R, camera.t]
                    x, y = view['joints_28'][joint]
                    rows += [x * p[2] - p[0], y * p[2] - p[1]]
                rows = np.array(rows)
                rows /= np.linalg.norm(rows, axis=1, keepdims=True)
                point = np.linalg.svd(rows)[2][-1]
                np.testing.assert_allclose(
                    point[:3] / point[3],
                    views[0]['joints_28_world'][joint], atol=1e-2)

    def test_window_is_a_crop(self):
        """A window shows what cropping and scaling the sensor shows."""
        sensor = WORLD.rig(0)[1]
        points = np.random.default_rng(0).normal(0, 300, (50, 3)) + [0, 0,
                                                                     900]
        crop = sensor.window(200, 300, 400, 100)
        full = sensor.project(points)
        # cv2 maps pixel centres likewise when it resizes.
        np.testing.assert_allclose(crop.project(points),
                                   (full + .5 - [200, 300]) / 4 - .5)

    def test_left_is_left(self):
        """Seen from the front, a standing person's left is on the right of
        the image, toes point forwards, and the head is up."""
        joints = WORLD.pose(0, 'stand', 0.)
        at = {n: joints[i] for i, n in enumerate(JOINTS)}
        across = at['left_hip'] - at['right_hip']
        up = at['neck'] - at['pelvis']
        forward = np.cross(across, up)
        for side in ('left', 'right'):
            toes = at[f'{side}_toe'] - at[f'{side}_ankle']
            assert toes @ forward > 0
        assert at['head_top'][2] > at['pelvis'][2] > at['left_knee'][2]

    def test_bounding_box(self):
        for index in range(20):
            sample = WORLD.sample(index, image=False)
            joints = sample['joints_16'].clip(0, 95)
            np.testing.assert_allclose(
                sample['bbox'], [*joints.min(0), *joints.max(0)])


class TestBody:

    def test_bones_keep_their_length(self):
        times = np.linspace(0, 5, 60)
        for action in ACTIONS:
            joints = WORLD.pose(11, action, times, take=2)
            bones = np.linalg.norm(
                joints - joints[:, PARENTS], axis=-1)[:, PARENTS >= 0]
            np.testing.assert_allclose(bones, bones[:1].repeat(60, 0),
                                       atol=1e-6)
            offsets = WORLD.body(11).offsets[PARENTS >= 0]
            np.testing.assert_allclose(
                bones[0], np.linalg.norm(offsets, axis=1), atol=1e-6)

    def test_proportions(self):
        """Stature and segments spread around the published means."""
        bodies = [make_body(0, i) for i in range(400)]
        stature = np.array([b.stature for b in bodies])
        assert stature.mean() == pytest.approx((1756 + 1629) / 2, rel=.01)
        assert 60 < stature.std() < 120
        index = {n: i for i, n in enumerate(JOINTS)}
        for a, b, share in (('left_hip', 'left_knee', .245),
                            ('left_knee', 'left_ankle', .246),
                            ('left_shoulder', 'left_elbow', .186),
                            ('left_elbow', 'left_wrist', .146)):
            length = np.array([np.linalg.norm(
                x.rest[index[a]] - x.rest[index[b]]) for x in bodies])
            ratio = length / stature
            assert ratio.mean() == pytest.approx(share, rel=.03)
            assert .02 < ratio.std() / ratio.mean() < .08
        for body in bodies[:20]:
            assert body.rest[index['head_top'], 2] == pytest.approx(
                body.stature)
            for left, right in SKELETON_28.pairs:
                np.testing.assert_allclose(
                    body.rest[index[left]],
                    body.rest[index[right]] * (1, -1, 1), atol=1e-9)

    def test_joint_limits(self):
        low, high = np.array([LIMITS[d] for d in DOFS]).T
        body = make_body(0, 0)
        for action in ACTIONS:
            for take in range(8):
                _, _, angles = perform(0, body, action, take,
                                       np.linspace(0, 6, 40))
                assert (angles >= low).all() and (angles <= high).all()
        wild = np.random.default_rng(0).normal(0, 400, (100, len(DOFS)))
        bent = limit_angles(wild)
        assert (bent >= low).all() and (bent <= high).all()
        middle = (low + high) / 2
        np.testing.assert_allclose(limit_angles(middle), middle)

    def test_elbows_and_knees_bend_one_way(self):
        """The limits, read off the joints alone: no hyperextended knee."""
        body = make_body(0, 0)
        index = {n: i for i, n in enumerate(JOINTS)}
        for action in ACTIONS:
            joints, frames, _ = perform(0, body, action, 1,
                                        np.linspace(0, 4, 30))
            for side in ('left', 'right'):
                hip, knee, ankle, elbow, wrist, shoulder = (
                    joints[:, index[f'{side}_{n}']]
                    for n in ('hip', 'knee', 'ankle', 'elbow', 'wrist',
                              'shoulder'))
                ahead = frames[:, index[f'{side}_hip'], :, 0]
                assert (((ankle - knee) * ahead).sum(1) < 1e-6).all()
                ahead = frames[:, index[f'{side}_shoulder'], :, 0]
                assert (((wrist - elbow) * ahead).sum(1) > -1e-6).all()
                for a, b, c in ((hip, knee, ankle), (shoulder, elbow, wrist)):
                    u, v = b - a, c - b
                    cos = (u * v).sum(1) / np.linalg.norm(
                        u, axis=1) / np.linalg.norm(v, axis=1)
                    assert (cos > np.cos(np.radians(151))).all()

    def test_motion_is_smooth(self):
        """Speeds and accelerations that people reach, from differences."""
        step = 1 / 240
        for action in ACTIONS:
            for take in range(3):
                joints = WORLD.pose(take, action, np.arange(0, 4, step), take)
                speed = np.diff(joints, axis=0) / step / 1000
                force = np.diff(speed, axis=0) / step
                assert np.linalg.norm(speed, axis=-1).max() < 15, action
                assert np.linalg.norm(force, axis=-1).max() < 600, action
                # Something happens, in every action.
                moved = np.ptp(joints[..., 2], axis=0).max()
                assert moved > 5, action

    def test_nobody_sinks_or_flies(self):
        for action in ACTIONS:
            for take in range(5):
                joints = WORLD.pose(take, action, np.linspace(0, 5, 40), take)
                lowest = joints[..., 2].min(1)
                assert (lowest > 0).all(), action
                assert lowest.min() < 450, action
                assert np.abs(joints[..., :2]).max() < 2200


class TestLabels:

    def test_conversion_by_name(self):
        sample = WORLD.sample(1)
        for target, count in (('mpii_16', 16), ('h36m_17', 17)):
            want, _ = SKELETON_28.convert(sample['joints_28_world'],
                                          np.ones(28), target)
            np.testing.assert_allclose(sample[f'joints_{count}_world'], want)
        index = {n: i for i, n in enumerate(JOINTS)}
        shoulders = [index['left_shoulder'], index['right_shoulder']]
        np.testing.assert_allclose(
            sample['joints_16_world'][7],
            sample['joints_28_world'][shoulders].mean(0))
        np.testing.assert_array_equal(sample['joints_16'][0],
                                      sample['joints_28'][
                                          index['right_ankle']])

    def test_visibility_tells_the_truth(self):
        counts = np.zeros(3, int)
        covered = []
        for index in range(60):
            sample = WORLD.sample(index)
            place, visible = sample['joints_28'], sample['visible_28']
            inside = ((place >= -.5) & (place <= 95.5)).all(1)
            np.testing.assert_array_equal(visible > 0, inside)
            for count in (16, 17):
                place = sample[f'joints_{count}']
                inside = ((place >= -.5) & (place <= 95.5)).all(1)
                np.testing.assert_array_equal(
                    sample[f'visible_{count}'] > 0, inside)
            counts += np.bincount(visible, minlength=3)
            wide = cv2.dilate(sample['silhouette'], np.ones((3, 3)))
            seen = sample['joints_28'][visible == 2].round().astype(int)
            seen = seen.clip(0, 95)
            covered += list(wide[seen[:, 1], seen[:, 0]] > 0)
        share = counts / counts.sum()
        assert .5 < share[2] < .9
        assert share[1] > .08
        assert .005 < share[0] < .2
        assert np.mean(covered) > .95

    def test_occluders_hide_joints(self):
        """With and without occluders: joints only become hidden."""
        clear = SyntheticWorld(seed=3, image_size=96, occluded=0.)
        always = SyntheticWorld(seed=3, image_size=96, occluded=1.)
        hidden = 0
        for index in range(12):
            a, b = clear.sample(index), always.sample(index)
            np.testing.assert_array_equal(a['joints_28'], b['joints_28'])
            assert (b['visible_28'] <= a['visible_28']).all()
            hidden += (b['visible_28'] < a['visible_28']).sum()
            assert (b['silhouette'] <= a['silhouette']).all()
        assert hidden > 0

    def test_far_side_is_hidden_in_profile(self):
        """Hidden joints lie behind other parts of the body: deeper than the
        visible ones on average."""
        world = SyntheticWorld(seed=3, image_size=96, occluded=0.,
                               truncated=0., actions=['walk', 'run'])
        depth = {1: [], 2: []}
        for index in range(40):
            sample = world.sample(index)
            z = sample['joints_28_camera'][:, 2]
            for state in (1, 2):
                depth[state] += list(z[sample['visible_28'] == state]
                                     - z.mean())
        assert np.mean(depth[1]) > np.mean(depth[2]) + 20

    def test_silhouette_is_where_the_person_is(self):
        """The image with and without the person differs in the silhouette."""
        for index in range(8):
            sample = WORLD.sample(index)
            mask = sample['silhouette']
            assert set(np.unique(mask)) <= {0, 255}
            assert mask.shape == (96, 96) and mask.dtype == np.uint8
            share = (mask > 0).mean()
            assert .003 < share < .7
            inside = sample['joints_28'][sample['visible_28'] == 2]
            ys, xs = np.nonzero(mask)
            assert xs.min() - 2 <= inside[:, 0].min()
            assert ys.max() + 2 >= inside[:, 1].max()

    def test_suits_tell_the_sides(self):
        """Half-way along limbs that are seen: left is red, right is blue."""
        plain, suits = (SyntheticWorld(
            seed=0, image_size=96, truncated=0., occluded=0., bystanders=0.,
            suits=worn) for worn in (False, True))
        right, seen = 0, 0
        for index in range(25):
            sample, other = suits.sample(index), plain.sample(index)
            points, there = sample['joints_28'], sample['visible_28'] == 2
            assert np.array_equal(points, other['joints_28'])
            assert not np.array_equal(sample['image'], other['image'])
            for side, sign in (('left', 1), ('right', -1)):
                for a, b in (('elbow', 'wrist'), ('knee', 'ankle')):
                    ends = [JOINTS.index(f'{side}_{n}') for n in (a, b)]
                    if there[ends].all():
                        x, y = np.rint(points[ends].mean(0)).astype(int)
                        blue, _, red = sample['image'][y, x].astype(int)
                        seen += 1
                        right += sign * (red - blue) > 0
        assert seen > 50
        # Limbs lie before each other here and there.
        assert right / seen > .9

    def test_no_truncation_when_asked(self):
        world = SyntheticWorld(seed=0, image_size=64, truncated=0.)
        for index in range(30):
            place = world.sample(index, image=False)['joints_28']
            assert (place > 0).all() and (place < 63).all()

    def test_people_of_splits_differ(self):
        starts = sorted(SPLIT_START.values())
        seen = [WORLD.instant(s + i).identity for s in starts
                for i in range(50)]
        assert len(set(seen)) == len(seen)
        looks = {WORLD.body(i).stature for i in seen}
        assert len(looks) == len(seen)

    def test_all_actions_and_orientations_occur(self):
        actions, facing, upright = set(), [], []
        for index in range(400):
            sample = WORLD.sample(index, image=False)
            actions.add(sample['action'])
            at = dict(zip(JOINTS, sample['joints_28_camera']))
            across = at['left_hip'] - at['right_hip']
            facing.append(np.degrees(np.arctan2(across[2], across[0])) // 90)
            up = at['neck'] - at['pelvis']
            upright.append(-up[1] / np.linalg.norm(up))
        assert actions == set(ACTIONS)
        assert np.bincount(np.array(facing, int) + 2, minlength=4).min() > 40
        assert np.mean(np.array(upright) < 0) > .03  # upside down


class TestArguments:

    @pytest.mark.parametrize('kwargs, match', [
        (dict(image_size=4), 'image_size'), (dict(num_cameras=1), 'cameras'),
        (dict(truncated=1.5), 'truncated'), (dict(actions=['fly']), 'fly'),
        (dict(actions=[]), 'actions')])
    def test_bad_world(self, kwargs, match):
        with pytest.raises(ValueError, match=match):
            SyntheticWorld(**kwargs)

    def test_bad_requests(self):
        with pytest.raises(ValueError, match='-1'):
            WORLD.sample(-1)
        with pytest.raises(ValueError, match='fly'):
            WORLD.pose(0, 'fly', 0.)
        with pytest.raises(ValueError, match='no camera 4'):
            WORLD.render(WORLD.instant(0), 4)
        with pytest.raises(ValueError, match='frames'):
            WORLD.clip(0, 0)
