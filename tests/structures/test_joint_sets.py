"""Detectors' joint sets against mmpose's own and the descriptions."""
from __future__ import annotations

from pathlib import Path

import mmpose
import numpy as np
import pytest
from mmengine.config import Config

from mirrorpose.structures import Skeleton
from mirrorpose.structures.joint_sets import DETECTOR_SETS

BASE = Path(mmpose.__file__).parent / '.mim/configs/_base_/datasets'
NAMES = sorted(DETECTOR_SETS)
MPI = Skeleton.from_name('mpi_inf_3dhp_28')
# Written down a second time: joint of the set, landmark among the 28.
KNOWN = [
    ('coco_wholebody_feet_23', 'left_big_toe', 'left_toe'),
    ('coco_wholebody_feet_23', 'right_knee', 'right_knee'),
    ('halpe_26', 'head', 'head_top'), ('halpe_26', 'neck', 'neck'),
    ('halpe_26', 'hip', 'pelvis'), ('halpe_26', 'right_big_toe', 'right_toe'),
    ('alphapose_12', 'left_shoulder', 'left_shoulder'),
    ('body_25', 'mid_hip', 'pelvis'),
    ('body_25', 'right_big_toe', 'right_toe')]


def _mmpose_joints(file: str, count: int) -> list[str]:
    info = Config.fromfile(BASE / file).dataset_info.keypoint_info
    return [info[i]['name'] for i in range(count)]


@pytest.mark.parametrize('name,file,count', [
    ('halpe_26', 'halpe26.py', 26),
    ('coco_wholebody_feet_23', 'coco_wholebody.py', 23)])
def test_order_is_mmposes(name, file, count):
    assert list(Skeleton.from_name(name).joints) == _mmpose_joints(file,
                                                                   count)


def test_mirror_pairs_are_mmposes():
    info = Config.fromfile(BASE / 'halpe26.py').dataset_info
    halpe = Skeleton.from_metainfo(info)
    assert halpe.name == 'halpe_26'
    assert halpe.flip_indices == Skeleton.from_name('halpe_26').flip_indices


def test_twelve_are_cocos_body():
    assert Skeleton.from_name('alphapose_12').joints == Skeleton.from_name(
        'coco_17').joints[5:]


def test_body_25_by_openposes_table():
    body = Skeleton.from_name('body_25')
    assert len(body) == 25
    # pose/poseParametersRender: 1 Neck, 8 MidHip, 14 LAnkle, 24 RHeel
    assert [body.joints[i] for i in (1, 8, 14, 19, 24)] == [
        'neck', 'mid_hip', 'left_ankle', 'left_big_toe', 'right_heel']
    # its neck lies between the shoulders, which is not MPI's
    assert body.landmark('neck') == 'thorax'


@pytest.mark.parametrize('name,joint,landmark', KNOWN)
def test_both_ways(name, joint, landmark):
    skeleton = Skeleton.from_name(name)
    x = np.random.default_rng(0).normal(size=(3, len(skeleton), 2))
    there, seen = skeleton.convert(x, np.ones(x.shape[:2]), MPI,
                                   allow_missing=True)
    i, j = skeleton.joints.index(joint), MPI.joints.index(landmark)
    np.testing.assert_allclose(there[:, j], x[:, i])
    assert (seen[:, j] == 1).all()
    back, seen = MPI.convert(there, seen, skeleton, allow_missing=True)
    np.testing.assert_allclose(back[:, i], x[:, i])
    assert (seen[:, i] == 1).all()


@pytest.mark.parametrize('name', NAMES)
def test_limbs_connect_all_joints(name):
    skeleton = Skeleton.from_name(name)
    reached = {skeleton.limbs[0][0]}
    for _ in skeleton.joints:
        reached |= {b for a, b in skeleton.limbs if a in reached}
        reached |= {a for a, b in skeleton.limbs if b in reached}
    assert reached == set(skeleton.joints)


@pytest.mark.parametrize('name', NAMES)
def test_flip_undoes_itself(name):
    skeleton = Skeleton.from_name(name)
    flip = skeleton.flip_indices
    assert [flip[i] for i in flip] == list(range(len(skeleton)))
    assert Skeleton.from_metainfo(skeleton.metainfo()).joints == \
        skeleton.joints


def test_faces_and_heels_have_no_partner():
    for name in NAMES:
        skeleton = Skeleton.from_name(name)
        matrix = MPI.matrix(skeleton)
        lost = {j for j, row in zip(skeleton.joints, matrix)
                if not row.any()}
        assert all(j.split('_')[-1] in ('nose', 'eye', 'ear', 'heel') or
                   'small_toe' in j for j in lost)
