"""The joint sets of detectors.

Orders are those of mmpose's metainfo (``coco_wholebody``, ``halpe26``) and
of OpenPose's BODY_25 (its ``pose/poseParametersRender``). Importing this
module adds them to what :meth:`Skeleton.from_name` knows.

Two joints of different sets stand for one landmark only where both are
annotated alike. The big toe is the ``toe`` of MPI-INF-3DHP, whose last foot
joint is the tip; heels, small toes and faces have no partner there.
"""
from __future__ import annotations

from .skeleton import (
    _ARMS_LEGS,
    _LIMBS_ARMS,
    _LIMBS_LEGS,
    SKELETONS,
    Skeleton,
    _pairs,
)

_COCO = SKELETONS['coco_17']
_FEET = ('big_toe', 'small_toe', 'heel')
_FEET_LIMBS = tuple((f'{side}_ankle', f'{side}_{part}')
                    for side in ('left', 'right') for part in _FEET)
_FEET_LANDMARKS = {'left_big_toe': 'left_toe', 'right_big_toe': 'right_toe'}

#: COCO-WholeBody without face and hands.
_COCO_23 = Skeleton(
    'coco_wholebody_feet_23',
    _COCO.joints + tuple(f'{side}_{part}' for side in ('left', 'right')
                         for part in _FEET),
    _COCO.limbs + _FEET_LIMBS, _COCO.pairs + _pairs(*_FEET),
    _FEET_LANDMARKS)

#: Halpe's ``head`` is its top, its ``hip`` the middle of the hips.
_HALPE_26 = Skeleton(
    'halpe_26',
    _COCO.joints + ('head', 'neck', 'hip') + tuple(
        f'{side}_{part}' for part in _FEET for side in ('left', 'right')),
    _LIMBS_LEGS + _LIMBS_ARMS + (
        ('left_hip', 'hip'), ('right_hip', 'hip'), ('head', 'neck'),
        ('neck', 'hip'), ('neck', 'left_shoulder'),
        ('neck', 'right_shoulder'), ('left_eye', 'right_eye'),
        ('nose', 'left_eye'), ('nose', 'right_eye'),
        ('left_eye', 'left_ear'), ('right_eye', 'right_ear'),
        ('left_ear', 'left_shoulder'),
        ('right_ear', 'right_shoulder')) + _FEET_LIMBS,
    _COCO.pairs + _pairs(*_FEET),
    {**_FEET_LANDMARKS, 'head': 'head_top', 'hip': 'pelvis'})

#: COCO's body without its face, in COCO's order: the joints that JUMPS takes
#: from AlphaPose ([DERIVED], spec 3.1).
_ALPHAPOSE_12 = Skeleton(
    'alphapose_12', _COCO.joints[5:],
    _LIMBS_LEGS + _LIMBS_ARMS + (
        ('left_hip', 'right_hip'), ('left_shoulder', 'left_hip'),
        ('right_shoulder', 'right_hip'),
        ('left_shoulder', 'right_shoulder')),
    _pairs(*_ARMS_LEGS))

#: OpenPose's neck and mid hip are the middles of shoulders and hips.
_BODY_25 = Skeleton(
    'body_25',
    ('nose', 'neck', 'right_shoulder', 'right_elbow', 'right_wrist',
     'left_shoulder', 'left_elbow', 'left_wrist', 'mid_hip', 'right_hip',
     'right_knee', 'right_ankle', 'left_hip', 'left_knee', 'left_ankle',
     'right_eye', 'left_eye', 'right_ear', 'left_ear', 'left_big_toe',
     'left_small_toe', 'left_heel', 'right_big_toe', 'right_small_toe',
     'right_heel'),
    _LIMBS_LEGS + _LIMBS_ARMS + (
        ('neck', 'mid_hip'), ('neck', 'right_shoulder'),
        ('neck', 'left_shoulder'), ('mid_hip', 'right_hip'),
        ('mid_hip', 'left_hip'), ('neck', 'nose'), ('nose', 'right_eye'),
        ('right_eye', 'right_ear'), ('nose', 'left_eye'),
        ('left_eye', 'left_ear'), ('left_ankle', 'left_big_toe'),
        ('left_big_toe', 'left_small_toe'), ('left_ankle', 'left_heel'),
        ('right_ankle', 'right_big_toe'),
        ('right_big_toe', 'right_small_toe'),
        ('right_ankle', 'right_heel')),
    _pairs('eye', 'ear', *_ARMS_LEGS, *_FEET),
    {**_FEET_LANDMARKS, 'neck': 'thorax', 'mid_hip': 'pelvis'})

#: Those of this module, by name.
DETECTOR_SETS: dict[str, Skeleton] = {
    s.name: s for s in (_COCO_23, _HALPE_26, _ALPHAPOSE_12, _BODY_25)}
SKELETONS.update(DETECTOR_SETS)
