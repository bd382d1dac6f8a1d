"""Joint sets: conversion by name against loops, mirror pairs, errors."""
from __future__ import annotations

import numpy as np
import pytest
import torch
from mmpose.datasets.datasets.utils import parse_pose_metainfo

from mirrorpose.structures import Skeleton
from mirrorpose.structures.joint_sets import LEARNT_SETS
from mirrorpose.structures.skeleton import SKELETONS, check_same_joints

NAMES = sorted(SKELETONS)
# Faces, and a set half of whose joints have no limb: test_learnt_sets.py.
BODIES = [n for n in NAMES if n not in LEARNT_SETS]
# Written down here a second time, from the data sets' own descriptions:
# (source, target, target joint, source joints whose mean it is).
KNOWN = [
    ('lsp_14', 'mpii_16', 'upper_neck', ['neck']),
    ('lsp_14', 'mpii_16', 'head_top', ['head_top']),
    ('lsp_14', 'mpii_16', 'pelvis', ['left_hip', 'right_hip']),
    ('lsp_14', 'mpii_16', 'thorax', ['left_shoulder', 'right_shoulder']),
    ('lsp_14', 'mpii_16', 'right_wrist', ['right_wrist']),
    ('mpi_inf_3dhp_28', 'mpii_16', 'pelvis', ['pelvis']),
    ('mpi_inf_3dhp_28', 'mpii_16', 'upper_neck', ['neck']),
    ('mpi_inf_3dhp_28', 'h36m_17', 'right_foot', ['right_ankle']),
    ('mpi_inf_3dhp_28', 'h36m_17', 'root', ['pelvis']),
    ('h36m_17', 'lsp_14', 'left_ankle', ['left_foot']),
    ('h36m_17', 'lsp_14', 'neck', ['neck_base']),
    ('coco_17', 'mpii_16', 'pelvis', ['left_hip', 'right_hip']),
    ('coco_17', 'h36m_17', 'right_foot', ['right_ankle']),
]


@pytest.fixture
def pose():
    def make(name: str, people: int = 5, absent: float = 0.):
        rng = np.random.default_rng(3)
        k = len(Skeleton.from_name(name))
        return (rng.normal(50, 20, (people, k, 2)),
                (rng.random((people, k)) >= absent).astype(np.float32))
    return make


class TestConversion:

    @pytest.mark.parametrize('source,target,joint,parts', KNOWN)
    def test_by_hand(self, pose, source, target, joint, parts):
        xy, visible = pose(source)
        a, b = Skeleton.from_name(source), Skeleton.from_name(target)
        got, seen = a.convert(xy, visible, b, allow_missing=True)
        want = sum(xy[:, a.joints.index(p)] for p in parts) / len(parts)
        row = b.joints.index(joint)
        np.testing.assert_allclose(got[:, row], want, atol=1e-9)
        assert (seen[:, row] == 1).all()

    @pytest.mark.parametrize('name', NAMES)
    def test_to_itself_is_identity(self, pose, name):
        xy, visible = pose(name, absent=.3)
        got, seen = Skeleton.from_name(name).convert(xy, visible, name)
        np.testing.assert_allclose(got, xy * visible[..., None])
        np.testing.assert_array_equal(seen, visible)

    def test_every_lsp_joint_survives_the_way_there_and_back(self, pose):
        xy, visible = pose('lsp_14')
        there = Skeleton.from_name('lsp_14').convert(xy, visible, 'mpii_16')
        back, seen = Skeleton.from_name('mpii_16').convert(*there, 'lsp_14')
        np.testing.assert_allclose(back, xy)
        assert (seen == 1).all()

    def test_lsp_to_mpii_order_literally(self, pose):
        # LSP's index i stands at this index of MPII.
        place = [0, 1, 2, 3, 4, 5, 10, 11, 12, 13, 14, 15, 8, 9]
        xy, visible = pose('lsp_14')
        got, _ = Skeleton.from_name('lsp_14').convert(xy, visible, 'mpii_16')
        np.testing.assert_allclose(got[:, place], xy)
        np.testing.assert_allclose(got[:, 6], (xy[:, 2] + xy[:, 3]) / 2)
        np.testing.assert_allclose(got[:, 7], (xy[:, 8] + xy[:, 9]) / 2)

    def test_presence_needs_all_parts(self, pose):
        skeleton = Skeleton.from_name('lsp_14')
        xy, visible = pose('lsp_14')
        visible[0, skeleton.joints.index('left_hip')] = 0
        got, seen = skeleton.convert(xy, visible, 'mpii_16')
        mpii = Skeleton.from_name('mpii_16')
        lost = {mpii.joints[i] for i in np.flatnonzero(seen[0] == 0)}
        assert lost == {'left_hip', 'pelvis'}
        assert (got[0, mpii.index('left_hip', 'pelvis')] == 0).all()
        assert (seen[1:] == 1).all()

    @pytest.mark.parametrize('bad', [np.nan, np.inf, 1e30])
    @pytest.mark.parametrize('kind', ['numpy', 'torch'])
    def test_coordinates_of_absent_joints_cannot_matter(self, pose, bad,
                                                        kind):
        xy, visible = pose('lsp_14', absent=.3)
        worse = np.where(visible[..., None] > 0, xy, bad)
        wrap = torch.from_numpy if kind == 'torch' else np.asarray
        skeleton = Skeleton.from_name('lsp_14')
        one = skeleton.convert(wrap(xy), wrap(visible), 'mpii_16')
        two = skeleton.convert(wrap(worse), wrap(visible), 'mpii_16')
        for a, b in zip(one, two):
            np.testing.assert_array_equal(np.asarray(a), np.asarray(b))
            assert np.isfinite(np.asarray(b)).all()

    @pytest.mark.parametrize('source,target', [
        ('lsp_14', 'mpii_16'), ('mpi_inf_3dhp_28', 'h36m_17'),
        ('coco_17', 'mpii_16')])
    def test_numpy_and_torch_agree(self, pose, source, target):
        xy, visible = pose(source, absent=.2)
        skeleton = Skeleton.from_name(source)
        a = skeleton.convert(xy, visible, target, allow_missing=True)
        b = skeleton.convert(torch.from_numpy(xy), torch.from_numpy(visible),
                             target, allow_missing=True)
        np.testing.assert_allclose(a[0], b[0].numpy())
        np.testing.assert_array_equal(a[1], b[1].numpy())
        assert a[1].dtype == visible.dtype
        assert b[1].dtype == torch.float32

    def test_torch_is_differentiable_in_present_joints_alone(self, pose):
        xy, visible = pose('lsp_14', absent=.3)
        x = torch.from_numpy(xy).requires_grad_()
        got, _ = Skeleton.from_name('lsp_14').convert(
            x, torch.from_numpy(visible), 'mpii_16')
        got.sum().backward()
        assert (x.grad.numpy()[visible == 0] == 0).all()
        assert (x.grad.numpy()[visible == 1] != 0).all()

    def test_sequences_and_3d(self):
        x = np.random.default_rng(0).normal(size=(2, 7, 28, 3))
        got, _ = Skeleton.from_name('mpi_inf_3dhp_28').convert(
            x, np.ones((2, 7, 28)), 'h36m_17', allow_missing=True)
        assert got.shape == (2, 7, 17, 3)
        np.testing.assert_allclose(got[:, :, 0], x[:, :, 4])  # pelvis


class TestFlip:

    @pytest.mark.parametrize('name', BODIES)
    def test_undoes_itself_and_moves_sides(self, name):
        skeleton = Skeleton.from_name(name)
        flip = skeleton.flip_indices
        assert [flip[i] for i in flip] == list(range(len(skeleton)))
        for i, j in enumerate(flip):
            a, b = skeleton.joints[i], skeleton.joints[j]
            swap = {'left': 'right', 'right': 'left'}
            side, _, rest = a.partition('_')
            assert b == (f'{swap[side]}_{rest}' if side in swap else a)

    def test_mpii_literally(self):
        assert Skeleton.from_name('mpii_16').flip_indices == [
            5, 4, 3, 2, 1, 0, 6, 7, 8, 9, 15, 14, 13, 12, 11, 10]

    @pytest.mark.parametrize('name', BODIES)
    def test_limbs_are_symmetric_and_connect_all(self, name):
        skeleton = Skeleton.from_name(name)
        flip = skeleton.flip_indices
        limbs = {frozenset(pair) for pair in skeleton.limb_indices}
        assert {frozenset(flip[i] for i in pair) for pair in limbs} == limbs
        group = {0}
        for _ in range(len(skeleton)):
            group |= {j for pair in limbs if pair & group for j in pair}
        assert group == set(range(len(skeleton)))


class TestMetainfo:

    @pytest.mark.filterwarnings('ignore:The metainfo config file')
    @pytest.mark.parametrize('file,name', [
        ('mpii.py', 'mpii_16'), ('h36m.py', 'h36m_17'),
        ('coco.py', 'coco_17')])
    def test_mmposes_own(self, file, name):
        parsed = parse_pose_metainfo(
            dict(from_file=f'configs/_base_/datasets/{file}'))
        skeleton = Skeleton.from_metainfo(parsed)
        assert skeleton.name == name
        assert skeleton.joints == Skeleton.from_name(name).joints
        assert skeleton.flip_indices == list(parsed['flip_indices'])
        assert skeleton.landmarks == Skeleton.from_name(name).landmarks

    @pytest.mark.parametrize('name', BODIES)
    def test_round_trip_raw_and_parsed(self, name):
        skeleton = Skeleton.from_name(name)
        raw = skeleton.metainfo()
        parsed = parse_pose_metainfo(raw)
        assert parsed['num_keypoints'] == len(skeleton)
        assert list(parsed['flip_indices']) == skeleton.flip_indices
        assert [tuple(x) for x in parsed['skeleton_links']] == \
            skeleton.limb_indices
        for form in (raw, parsed):
            again = Skeleton.from_metainfo(form)
            assert again.joints == skeleton.joints
            assert set(map(frozenset, again.limbs)) == set(
                map(frozenset, skeleton.limbs))
            assert again.flip_indices == skeleton.flip_indices

    def test_a_users_own_set(self):
        raw = dict(dataset_name='arm', keypoint_info={
            0: dict(name='left_hand', id=0, color=[0, 0, 0], swap='right_hand'
                    ),
            1: dict(name='right_hand', id=1, color=[0, 0, 0],
                    swap='left_hand'),
            2: dict(name='tip', id=2, color=[0, 0, 0], swap='')},
            skeleton_info={0: dict(link=('left_hand', 'tip'), id=0)})
        skeleton = Skeleton.from_metainfo(raw)
        assert skeleton.name == 'arm'
        assert skeleton.flip_indices == [1, 0, 2]
        assert skeleton.limbs == (('left_hand', 'tip'), )

    def test_swaps_that_are_not_mutual(self):
        raw = Skeleton.from_name('mpii_16').metainfo()
        raw['keypoint_info'][0]['swap'] = 'left_knee'
        with pytest.raises(ValueError, match='must be mutual'):
            Skeleton.from_metainfo(raw)

    def test_neither_form(self):
        with pytest.raises(ValueError, match='keypoint_info'):
            Skeleton.from_metainfo(dict(joints=['nose']))


class TestErrors:

    def test_unknown_set(self):
        with pytest.raises(ValueError, match="'mpi_16'.*mpii_16"):
            Skeleton.from_name('mpi_16')

    def test_unknown_joint(self):
        with pytest.raises(ValueError, match='left_foot.*left_ankle'):
            Skeleton.from_name('mpii_16').index('head_top', 'left_foot')

    def test_joint_twice(self):
        with pytest.raises(ValueError, match="twice.*'nose'"):
            Skeleton('x', ('nose', 'nose'))

    def test_limb_of_an_unknown_joint(self):
        with pytest.raises(ValueError, match="limb.*'chin'"):
            Skeleton('x', ('nose', 'tail'), (('nose', 'chin'), ))

    def test_pair_of_an_unknown_joint(self):
        with pytest.raises(ValueError, match="mirror pair.*'right_ear'"):
            Skeleton('x', ('left_ear', ), (), (('left_ear', 'right_ear'), ))

    def test_unpaired_side(self):
        with pytest.raises(ValueError, match='left_ear.*no mirror pair'):
            Skeleton('x', ('left_ear', 'right_ear'))
        with pytest.raises(ValueError, match='right_eye.*no mirror pair'):
            Skeleton('x', ('nose', 'right_eye'))

    def test_joint_in_two_pairs(self):
        with pytest.raises(ValueError, match="'left_a'.*more than one"):
            Skeleton('x', ('left_a', 'right_a', 'right_b'), (),
                     (('left_a', 'right_a'), ('left_a', 'right_b')))

    @pytest.mark.parametrize('kind', ['numpy', 'torch'])
    def test_wrong_joint_count(self, kind):
        ones = torch.ones if kind == 'torch' else np.ones
        skeleton = Skeleton.from_name('lsp_14')
        with pytest.raises(ValueError, match='keypoints have 16 joints'):
            skeleton.convert(ones((1, 16, 2)), ones((1, 14)), 'mpii_16')
        with pytest.raises(ValueError, match='visible have 16 joints'):
            skeleton.convert(ones((1, 14, 2)), ones((1, 16)), 'mpii_16')

    def test_joints_that_cannot_be_had(self, pose):
        xy, visible = pose('mpii_16')
        source = Skeleton.from_name('mpii_16')
        with pytest.raises(ValueError, match="'nose'.*allow_missing"):
            source.convert(xy, visible, 'coco_17')
        got, seen = source.convert(xy, visible, 'coco_17',
                                   allow_missing=True)
        coco = Skeleton.from_name('coco_17')
        assert (seen[:, :5] == 0).all() and (got[:, :5] == 0).all()
        assert (seen[:, coco.index('left_wrist')] == 1).all()

    def test_same_joints(self):
        check_same_joints(['a', 'b'], ['a', 'b'], 'data')
        with pytest.raises(ValueError, match=r"missing \['b'\].*\['c'\]"):
            check_same_joints(['a', 'b'], ['a', 'c'], 'data')
        with pytest.raises(ValueError, match='order differs.*0: a / b'):
            check_same_joints(['a', 'b'], ['b', 'a'], 'data')
