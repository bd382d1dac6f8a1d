"""Anthropometry, joint limits and forward kinematics of the people.

Lengths are fractions of the stature, as in R. Drillis and R. Contini, "Body
segment parameters" (1966), the figure that D. A. Winter, "Biomechanics and
motor control of human movement", reprints. Stature is drawn from the 2012
U.S. Army survey (C. Gordon et al., ANSUR II, 2014): men 1756 +- 69 mm, women
1629 +- 64 mm. Each segment varies around its fraction from person to person,
left and right alike.

Joint limits follow the mean ranges of motion that D. C. Boone and S. P. Azen
measured ("Normal range of motion of joints in male subjects", J. Bone Joint
Surg. Am. 61, 1979) for the limbs, and the ranges of the American Academy of
Orthopaedic Surgeons ("Joint motion: method of measuring and recording",
1965) for the spine and the neck. The people here do sports and carry weight
on bent joints, so some limits lie beyond those means: hip extension (25
instead of 10 degrees), hip abduction (68 instead of 46), hip flexion (130
instead of 122), knee flexion (150 instead of 143), ankle dorsiflexion (22
instead of 13) and lateral bending of the trunk (40 instead of 35).

Frames: x forward, y to the person's left, z up; millimetres. In the rest
pose the person stands with hanging arms, all angles zero.
"""
from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from ...structures import Skeleton
from .rng import keyed_rng

#: The world's joint set.
SKELETON_28 = Skeleton.from_name('mpi_inf_3dhp_28')

#: Degrees of freedom and their limits in degrees. Directions: flexion is
#: forwards, abduction and lateral bending away from the midline (lateral
#: bending and rotation of the trunk and head: to the person's left),
#: rotation of hip and shoulder: inwards. ``shoulder_elevation`` is the angle
#: between the hanging and the lifted upper arm, in the plane that is
#: ``shoulder_plane`` ahead of the side (the globe angles of G. Wu et al.,
#: "ISB recommendation on definitions of joint coordinate systems II", 2005).
LIMITS: dict[str, tuple[float, float]] = {
    'trunk_flexion': (-35., 95.),
    'trunk_lateral': (-40., 40.),
    'trunk_rotation': (-50., 50.),
    'neck_flexion': (-55., 50.),
    'neck_lateral': (-45., 45.),
    'neck_rotation': (-80., 80.),
}
_SIDED: dict[str, tuple[float, float]] = {
    'shoulder_elevation': (-15., 178.),
    'shoulder_plane': (-40., 125.),
    'shoulder_rotation': (-75., 75.),
    'elbow_flexion': (0., 148.),
    'wrist_flexion': (-75., 76.),
    'wrist_deviation': (-36., 25.),
    'hip_flexion': (-25., 130.),
    'hip_abduction': (-27., 68.),
    'hip_rotation': (-47., 47.),
    'knee_flexion': (0., 150.),
    'ankle_flexion': (-56., 22.),
    'toe_flexion': (-20., 60.),
}
for _side in ('left', 'right'):
    LIMITS |= {f'{_side}_{k}': v for k, v in _SIDED.items()}

#: Names of the degrees of freedom, in channel order.
DOFS = tuple(LIMITS)
DOF_INDEX = {name: i for i, name in enumerate(DOFS)}
_LOW, _HIGH = np.array(list(LIMITS.values())).T

# Rest positions over the stature (x, y, z), y of the left side. Heights of
# ankle, knee, hip, shoulder and the lengths of arm segments are Drillis and
# Contini's; the shoulder joint lies inside the acromion, the hip joint inside
# the greater trochanter.
_REST = {
    'pelvis': (0, 0, .530), 'spine': (-.010, 0, .590),
    'spine2': (-.012, 0, .655), 'spine3': (-.012, 0, .725),
    'spine4': (-.010, 0, .795), 'neck': (0, 0, .850),
    'head': (.012, 0, .930), 'head_top': (.008, 0, 1.),
    'left_clavicle': (0, .015, .822), 'left_shoulder': (0, .112, .818),
    'left_elbow': (0, .112, .632), 'left_wrist': (0, .112, .486),
    'left_hand': (0, .112, .430), 'left_hip': (0, .050, .530),
    'left_knee': (0, .050, .285), 'left_ankle': (0, .050, .039),
    'left_foot': (.072, .054, .012), 'left_toe': (.112, .056, .010),
}
_PARENT = {
    'spine': 'pelvis', 'spine2': 'spine', 'spine3': 'spine2',
    'spine4': 'spine3', 'neck': 'spine4', 'head': 'neck',
    'head_top': 'head', 'left_clavicle': 'spine4',
    'left_shoulder': 'left_clavicle', 'left_elbow': 'left_shoulder',
    'left_wrist': 'left_elbow', 'left_hand': 'left_wrist',
    'left_hip': 'pelvis', 'left_knee': 'left_hip',
    'left_ankle': 'left_knee', 'left_foot': 'left_ankle',
    'left_toe': 'left_foot',
}
_PARENT |= {k.replace('left', 'right'): v.replace('left', 'right')
            for k, v in _PARENT.items() if k.startswith('left')}
# Parents before children.
_ORDER = ('pelvis', 'spine', 'spine2', 'spine3', 'spine4', 'neck', 'head',
          'head_top') + tuple(
              f'{side}_{j}' for side in ('left', 'right')
              for j in ('clavicle', 'shoulder', 'elbow', 'wrist', 'hand',
                        'hip', 'knee', 'ankle', 'foot', 'toe'))
JOINT_INDEX = {name: i for i, name in enumerate(SKELETON_28.joints)}
#: Parent of each joint in channel order, -1 for the pelvis.
PARENTS = np.array([JOINT_INDEX[_PARENT[j]] if j in _PARENT else -1
                    for j in SKELETON_28.joints])
_CHAIN = [(JOINT_INDEX[j], PARENTS[JOINT_INDEX[j]]) for j in _ORDER[1:]]


@dataclass(frozen=True)
class Body:
    """The body of one identity.

    Attributes:
        identity (int): Whose body it is.
        stature (float): Body height in mm.
        rest (np.ndarray): (28, 3) joints of the rest pose in mm, the ground
            at z = 0.
        girth (Mapping[str, float]): Factors on the thickness of body parts
            ('limbs', 'belly', 'chest', 'hips', 'head').
    """

    identity: int
    stature: float
    rest: np.ndarray
    girth: Mapping[str, float]

    @property
    def offsets(self) -> np.ndarray:
        """(28, 3) vectors in mm from each joint's parent, rest pose."""
        return self.rest - np.where(PARENTS[:, None] >= 0,
                                    self.rest[PARENTS], 0)


def make_body(seed: int, identity: int) -> Body:
    """Draws the body of an identity.

    Args:
        seed (int): The world's seed.
        identity (int): Any integer.

    Returns:
        Body: Its proportions.
    """
    rng = keyed_rng(seed, 'body', identity)
    male = rng.random() < .5
    stature = rng.normal(1756, 69) if male else rng.normal(1629, 64)
    build = float(np.clip(rng.normal(1, .14), .72, 1.45))
    scale = dict(
        trunk=rng.normal(1, .03), shoulder=rng.normal(1.05 if male else .94,
                                                      .05),
        hip=rng.normal(.96 if male else 1.05, .05),
        upper_arm=rng.normal(1, .04), forearm=rng.normal(1, .04),
        hand=rng.normal(1, .05), thigh=rng.normal(1, .035),
        shank=rng.normal(1, .035), foot=rng.normal(1, .05),
        head=rng.normal(1.0, .05))
    scale = {k: float(np.clip(v, .84, 1.16)) for k, v in scale.items()}
    along = {'elbow': 'upper_arm', 'wrist': 'forearm', 'hand': 'hand',
             'knee': 'thigh', 'ankle': 'shank', 'foot': 'foot',
             'toe': 'foot', 'neck': 'trunk', 'head': 'head',
             'head_top': 'head', 'clavicle': 'trunk'}
    rest = np.zeros((28, 3))
    for joint in _ORDER:
        place = np.array(_REST[joint.replace('right', 'left')])
        if joint in _PARENT:
            start = np.array(_REST[_PARENT[joint].replace('right', 'left')])
            step = place - start
            base = joint.split('_', 1)[-1] if '_' in joint \
                and joint != 'head_top' else joint
            if base == 'shoulder':
                step = step * (1, scale['shoulder'], 1)
            elif base == 'hip':
                step = step * (1, scale['hip'], 1)
            else:
                step = step * scale[along.get(base, 'trunk')]
            if joint.startswith('right'):
                step = step * (1, -1, 1)
            rest[JOINT_INDEX[joint]] = \
                rest[JOINT_INDEX[_PARENT[joint]]] + step
    # Legs of another length lift the pelvis; the soles stay on the ground.
    rest[:, 2] -= rest[JOINT_INDEX['left_toe'], 2] - .010
    rest /= rest[JOINT_INDEX['head_top'], 2]
    girth = dict(
        limbs=build * rng.normal(1, .05), head=scale['head'],
        belly=build * (rng.normal(1.06, .1) if male else rng.normal(.95, .1)),
        chest=build * (rng.normal(1.04, .05) if male
                       else rng.normal(.96, .05)) * scale['shoulder'] ** .5,
        hips=build ** .8 * (rng.normal(.96, .04) if male
                            else rng.normal(1.06, .05)))
    return Body(identity, float(stature), rest * stature,
                {k: float(np.clip(v, .65, 1.5)) for k, v in girth.items()})


def limit_angles(angles: np.ndarray) -> np.ndarray:
    """Bends angles smoothly into the joint limits.

    The identity in the middle 80 % of each range, and a hyperbolic tangent
    of equal slope beyond, so that a motion that is smooth stays smooth.

    Args:
        angles (np.ndarray): (..., D) degrees, channels as in ``DOFS``.

    Returns:
        np.ndarray: (..., D) degrees within ``LIMITS``.
    """
    middle, half = (_LOW + _HIGH) / 2, (_HIGH - _LOW) / 2
    unit = (angles - middle) / half
    over = np.abs(unit) - .8
    return middle + half * np.where(
        over <= 0, unit, np.sign(unit) * (.8 + .2 * np.tanh(over / .2)))


def _axis_rotations(radians: np.ndarray, axis: int) -> np.ndarray:
    """(...) angles to (..., 3, 3) rotations about one coordinate axis."""
    cos, sin = np.cos(radians), np.sin(radians)
    out = np.zeros(radians.shape + (3, 3))
    a, b = (axis + 1) % 3, (axis + 2) % 3
    out[..., axis, axis] = 1
    out[..., a, a] = out[..., b, b] = cos
    out[..., b, a], out[..., a, b] = sin, -sin
    return out


def rotation(x: np.ndarray | float, y: np.ndarray | float,
             z: np.ndarray | float) -> np.ndarray:
    """Rotation matrices Rz @ Ry @ Rx from angles in degrees."""
    x, y, z = np.broadcast_arrays(np.radians(x), np.radians(y), np.radians(z))
    return (_axis_rotations(z, 2) @ _axis_rotations(y, 1)
            @ _axis_rotations(x, 0))


# Joints that bend, and their angles (x, y, z), as linear maps of the degrees
# of freedom; composed as Rz @ Rx @ Ry for trunk and limbs (see below).
_MOVING = ('spine', 'spine2', 'spine3', 'neck', 'head') + tuple(
    f'{s}_{j}' for s in ('left', 'right')
    for j in ('clavicle', 'elbow', 'wrist', 'hip', 'knee', 'ankle', 'foot'))


def _angle_map() -> np.ndarray:
    """(J, 3, D) map from degrees of freedom to the angles of each joint."""
    out = np.zeros((len(_MOVING), 3, len(DOFS)))

    def put(joint: str, axis: int, dof: str, factor: float) -> None:
        out[_MOVING.index(joint), axis, DOF_INDEX[dof]] = factor

    for joint, part in (('spine', .35), ('spine2', .4), ('spine3', .25)):
        put(joint, 1, 'trunk_flexion', part)
        put(joint, 0, 'trunk_lateral', -part)
        put(joint, 2, 'trunk_rotation', part)
    for joint, part in (('neck', .6), ('head', .4)):
        put(joint, 1, 'neck_flexion', part)
        put(joint, 0, 'neck_lateral', -part)
        put(joint, 2, 'neck_rotation', part)
    for side, sign in (('left', 1), ('right', -1)):
        put(f'{side}_elbow', 1, f'{side}_elbow_flexion', -1)
        put(f'{side}_wrist', 0, f'{side}_wrist_flexion', -sign)
        put(f'{side}_wrist', 1, f'{side}_wrist_deviation', -1)
        put(f'{side}_hip', 1, f'{side}_hip_flexion', -1)
        put(f'{side}_hip', 0, f'{side}_hip_abduction', sign)
        put(f'{side}_hip', 2, f'{side}_hip_rotation', sign)
        put(f'{side}_knee', 1, f'{side}_knee_flexion', 1)
        put(f'{side}_ankle', 1, f'{side}_ankle_flexion', -1)
        put(f'{side}_foot', 1, f'{side}_toe_flexion', -1)
    return out


_ANGLE_MAP = _angle_map()
_MOVING_INDEX = np.array([JOINT_INDEX[j] for j in _MOVING])
_HIPS = [_MOVING.index('left_hip'), _MOVING.index('right_hip')]


def forward_kinematics(
        body: Body, angles: np.ndarray, root: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Joint positions and frames from joint angles.

    Args:
        body (Body): The proportions.
        angles (np.ndarray): (T, D) degrees, channels as in ``DOFS``.
        root (np.ndarray): (T, 3, 3) orientation of the pelvis.

    Returns:
        tuple: (T, 28, 3) joints in mm with the pelvis at the origin, and
        (T, 28, 3, 3) frames: a point that is fixed to a joint's frame at
        ``rest[j] + d`` in the rest pose lies at ``joints[j] + frames[j] @
        d``.
    """
    steps = len(angles)
    local = np.broadcast_to(np.eye(3), (steps, 28, 3, 3)).copy()
    bends = np.radians(angles @ _ANGLE_MAP.reshape(-1, len(DOFS)).T).reshape(
        steps, len(_MOVING), 3)
    about_x, about_y, about_z = (
        _axis_rotations(bends[..., a], a) for a in range(3))
    mats = about_z @ about_x @ about_y
    # Hips: flexion first seen from the pelvis, then abduction, rotation.
    mats[:, _HIPS] = (about_y @ about_x @ about_z)[:, _HIPS]
    local[:, _MOVING_INDEX] = mats
    for side, sign in (('left', 1), ('right', -1)):
        column = DOF_INDEX[f'{side}_shoulder_elevation']
        lift, plane, twist = np.radians(angles[:, column:column + 3]).T
        # Shoulder blade and collar bone carry a part of the elevation
        # (V. Inman et al., "Observations of the function of the shoulder
        # joint", 1944: one third of it in the blade).
        local[:, JOINT_INDEX[f'{side}_clavicle']] = _axis_rotations(
            sign * np.radians(9) * (1 - np.cos(lift)), 0)
        arm = lift - np.radians(9) * (1 - np.cos(lift))
        local[:, JOINT_INDEX[f'{side}_shoulder']] = (
            _axis_rotations(-sign * plane, 2) @ _axis_rotations(sign * arm, 0)
            @ _axis_rotations(sign * (plane + twist), 2))
    frames = np.empty_like(local)
    joints = np.zeros((steps, 28, 3))
    pelvis = JOINT_INDEX['pelvis']
    frames[:, pelvis] = root
    offsets = body.offsets
    for joint, parent in _CHAIN:
        joints[:, joint] = joints[:, parent] + frames[:, parent] @ offsets[
            joint]
        frames[:, joint] = frames[:, parent] @ local[:, joint]
    return joints, frames
