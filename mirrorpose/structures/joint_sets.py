"""The joint sets of detectors, and those that KeypointGAN learns.

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
#: The 12 joints that detectors share (JUMPS, Section IV).
LIMB_JOINTS = tuple(f'{side}_{joint}' for side in ('left', 'right')
                    for joint in ('shoulder', 'elbow', 'wrist', 'hip',
                                  'knee', 'ankle'))
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

#: Human3.6M's 32 joints. 0 and 11 lie at one place, as do 13, 16 and 24 and,
#: nearly, the ends of the hands. The limbs are 'human36m_simple2' of
#: KeypointGAN's code, 16 of them between 17 joints.
_HUMAN36M_32 = Skeleton(
    'human36m_32',
    ('hip', 'right_hip', 'right_knee', 'right_ankle', 'right_ball',
     'right_toes', 'left_hip', 'left_knee', 'left_ankle', 'left_ball',
     'left_toes', 'pelvis', 'thorax', 'neck_base', 'head_center',
     'head_back', 'left_collar', 'left_shoulder', 'left_elbow',
     'left_wrist', 'left_wrist2', 'left_thumb', 'left_little',
     'left_little2', 'right_collar', 'right_shoulder', 'right_elbow',
     'right_wrist', 'right_wrist2', 'right_thumb', 'right_little',
     'right_little2'),
    (('right_hip', 'pelvis'), ('right_knee', 'right_hip'),
     ('right_ankle', 'right_knee'), ('right_toes', 'right_ankle'),
     ('left_hip', 'pelvis'), ('left_knee', 'left_hip'),
     ('left_ankle', 'left_knee'), ('left_toes', 'left_ankle'),
     ('neck_base', 'pelvis'), ('head_back', 'neck_base'),
     ('left_shoulder', 'neck_base'), ('left_elbow', 'left_shoulder'),
     ('left_wrist', 'left_elbow'), ('right_shoulder', 'neck_base'),
     ('right_elbow', 'right_shoulder'), ('right_wrist', 'right_elbow')),
    _pairs('hip', 'knee', 'ankle', 'ball', 'toes', 'collar', 'shoulder',
           'elbow', 'wrist', 'wrist2', 'thumb', 'little', 'little2'),
    # By h36m_17, which has 0, 12, 13, 14 and 15 as root, spine, thorax,
    # neck_base and head.
    {'thorax': 'spine', 'neck_base': 'thorax', 'head_center': 'neck',
     'head_back': 'head'})


def _line(first: int, last: int, closed: bool = False
          ) -> tuple[tuple[str, str], ...]:
    """Limbs along the face's points first to last."""
    ends = [(i, i + 1) for i in range(first, last)]
    return tuple((f'kpt-{i}', f'kpt-{j}') for i, j in ends + (
        [(last, first)] if closed else []))


#: The 68 points of a face under mmpose's names (its ``300w``), as polylines:
#: jaw, brows, nose, eyes, lips.
_IBUG_68 = Skeleton(
    'ibug_68', tuple(f'kpt-{i}' for i in range(68)),
    _line(0, 16) + _line(17, 21) + _line(22, 26) + _line(27, 30)
    + _line(31, 35) + _line(36, 41, True) + _line(42, 47, True)
    + _line(48, 59, True) + _line(60, 67, True),
    tuple((f'kpt-{a}', f'kpt-{b}') for a, b in [
        *((i, 16 - i) for i in range(8)), *((i, 43 - i) for i in range(
            17, 22)), (31, 35), (32, 34), (36, 45), (37, 44), (38, 43),
        (39, 42), (40, 47), (41, 46), (48, 54), (49, 53), (50, 52),
        (55, 59), (56, 58), (60, 64), (61, 63), (65, 67)]))

#: Heads of cats: seven of CatHead's nine points. That the ears' inner ends
#: are left out, and the limbs, are [DERIVED].
_CATHEAD_7 = Skeleton(
    'cathead_7',
    ('left_eye', 'right_eye', 'mouth', 'left_ear_outer', 'left_ear_tip',
     'right_ear_tip', 'right_ear_outer'),
    (('left_eye', 'right_eye'), ('left_eye', 'mouth'),
     ('right_eye', 'mouth'), ('left_ear_outer', 'left_ear_tip'),
     ('right_ear_outer', 'right_ear_tip'), ('left_ear_tip', 'left_eye'),
     ('right_ear_tip', 'right_eye')),
    _pairs('eye', 'ear_outer', 'ear_tip'))

#: Of this module, those of detectors and those of KeypointGAN, by name.
DETECTOR_SETS: dict[str, Skeleton] = {
    s.name: s for s in (_COCO_23, _HALPE_26, _ALPHAPOSE_12, _BODY_25)}
LEARNT_SETS: dict[str, Skeleton] = {
    s.name: s for s in (_HUMAN36M_32, _IBUG_68, _CATHEAD_7)}
SKELETONS.update(DETECTOR_SETS | LEARNT_SETS)
