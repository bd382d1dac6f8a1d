"""The world's people moved by captured joints.

Motion capture gives places of joints and no rotations. Each segment gets a
frame from the joints around it (a bone, and the plane in which the next
joint bends), the skeleton is the captured one (mean offsets in those
frames), and the world's skin, dressed as one of its identities, is hung onto
it. So the drawn limbs end at the captured joints. What joints do not tell is
left where it follows from the neighbours: the head looks where the shoulders
face, hands turn with the forearms, limbs that are straight twist with the
trunk.

World frame: x forward, y to the left, z up, mm, as in the embedded world.
"""
from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from ..synthetic import mesh
from ..synthetic.appearance import Appearance, make_appearance
from ..synthetic.body import _CHAIN, JOINT_INDEX, PARENTS, Body, make_body

_SIDES = ('left', 'right')
#: Share of the trunk's forward direction in a limb's, so that a straight
#: limb has a twist; sine of the bend at which both weigh the same.
_STRAIGHT = .15
#: Height of the middle of the head over its top, in statures (mesh.py).
_HEAD = .070


@dataclass(frozen=True)
class DrivenClip:
    """A clip of a dressed person.

    Attributes:
        joints (np.ndarray): (T, 28, 3) mm, where the skin hangs.
        frames (np.ndarray): (T, 28, 3, 3).
        rest (np.ndarray): (V, 3) skin, see ``mesh.rest_vertices``.
        look (Appearance): Colours.
    """

    joints: np.ndarray
    frames: np.ndarray
    rest: np.ndarray
    look: Appearance

    def vertices(self, frame: int) -> np.ndarray:
        """(V, 3) mm."""
        return mesh.pose_vertices(self.rest, self.joints[frame],
                                  self.frames[frame])


def world_joints(positions: np.ndarray) -> np.ndarray:
    """(..., 3) metres, y up and z forward, to the world's mm, z up."""
    return positions[..., [2, 0, 1]].astype(np.float64) * 1000


def segment_frames(joints: np.ndarray) -> np.ndarray:
    """Frames of the 28 joints from their places alone.

    Args:
        joints (np.ndarray): (T, 28, 3), any unit, z up.

    Returns:
        np.ndarray: (T, 28, 3, 3), columns x (forward), y (left), z (up) of
        each joint's segment, as ``forward_kinematics`` gives them; those of
        limbs hang along -z.
    """
    def place(name: str) -> np.ndarray:
        return joints[:, JOINT_INDEX[name]]

    out = np.empty((*joints.shape[:2], 3, 3))

    def put(name: str, up: np.ndarray, left: np.ndarray | None = None,
            forward: np.ndarray | None = None) -> np.ndarray:
        z = _unit(up)
        if left is not None:
            x = _unit(np.cross(left, z))
        else:
            assert forward is not None
            x = _unit(_across(forward, z))
        out[:, JOINT_INDEX[name]] = frame = np.stack(
            [x, np.cross(z, x), z], -1)
        return frame

    hips = place('left_hip') - place('right_hip')
    shoulders = place('left_shoulder') - place('right_shoulder')
    hips, shoulders = _unit(hips), _unit(shoulders)
    waist, chest = place('spine2') - place('pelvis'), \
        place('neck') - place('spine2')
    lower = put('pelvis', place('spine2') - place('pelvis'), hips)
    put('spine', waist + _length(waist) * _unit(chest), hips)
    put('spine2', chest, hips + shoulders)
    upper = put('spine3', chest, shoulders)
    put('spine4', chest, shoulders)
    put('neck', place('head') - place('neck'), shoulders)
    put('head', place('head_top') - place('head'), shoulders)
    put('head_top', place('head_top') - place('head'), shoulders)
    for side in _SIDES:
        shoulder, elbow, wrist, hand = (
            place(f'{side}_{j}') for j in ('shoulder', 'elbow', 'wrist',
                                           'hand'))
        out[:, JOINT_INDEX[f'{side}_clavicle']] = upper
        arm, forearm = elbow - shoulder, wrist - elbow
        # The forearm bends forwards; an arm that hangs straight twists
        # with the chest, one that points forwards has its front below.
        ahead = upper[..., 0] + .5 * np.abs(
            (_unit(arm) * upper[..., 0]).sum(-1, keepdims=True)
        ) * upper[..., 2]
        put(f'{side}_shoulder', -arm, forward=_unit(forearm)
            + _STRAIGHT * _across(ahead, _unit(arm)))
        bent = put(f'{side}_elbow', -forearm, forward=-_unit(arm)
                   + _STRAIGHT * _across(ahead, _unit(forearm)))
        palm = hand - wrist
        short = _length(palm) < .04 * _length(forearm)
        put(f'{side}_wrist', -np.where(short, forearm, palm),
            forward=bent[..., 0])
        out[:, JOINT_INDEX[f'{side}_hand']] = out[
            :, JOINT_INDEX[f'{side}_wrist']]
        hip, knee, ankle, toe = (
            place(f'{side}_{j}') for j in ('hip', 'knee', 'ankle', 'toe'))
        thigh, shank, foot = knee - hip, ankle - knee, toe - ankle
        put(f'{side}_hip', -thigh, forward=-_unit(shank)
            + 2 * _STRAIGHT * _across(lower[..., 0], _unit(thigh)))
        put(f'{side}_knee', -shank, forward=_unit(thigh)
            + 2 * _STRAIGHT * _unit(foot))
        # The rest foot slopes down by 14.5 degrees (body.py).
        x = _unit(foot)
        z = _unit(_across(-shank, x))
        turn = np.arctan2(.029, .112)
        sole = np.cos(turn) * x + np.sin(turn) * z
        put(f'{side}_ankle', np.cos(turn) * z - np.sin(turn) * x,
            forward=sole)
        out[:, JOINT_INDEX[f'{side}_foot']] = out[
            :, JOINT_INDEX[f'{side}_ankle']]
        out[:, JOINT_INDEX[f'{side}_toe']] = out[
            :, JOINT_INDEX[f'{side}_ankle']]
    return out


def captured_body(joints: np.ndarray, frames: np.ndarray,
                  base: Body) -> Body:
    """The skeleton of a clip with the girth of an identity.

    Args:
        joints (np.ndarray): (T, 28, 3) mm.
        frames (np.ndarray): (T, 28, 3, 3).
        base (Body): Whose girth it is.

    Returns:
        Body: In its rest pose, the mean of each bone in its parent's frame.
    """
    offsets = joints - joints[:, PARENTS]
    local = np.einsum('tjab,tja->tjb', frames[:, PARENTS], offsets).mean(0)
    rest = np.zeros((28, 3))
    for joint, parent in _CHAIN:
        rest[joint] = rest[parent] + local[joint]
    rest[:, 2] -= min(rest[JOINT_INDEX[f'{s}_toe'], 2] for s in _SIDES) - 15
    return Body(base.identity, float(rest[JOINT_INDEX['head_top'], 2]), rest,
                base.girth)


def drive(joints: np.ndarray, seed: int, identity: int) -> DrivenClip:
    """Dresses a captured clip.

    Args:
        joints (np.ndarray): (T, 28, 3) mm, z up.
        seed (int): The world's.
        identity (int): Whose clothes and girth.

    Raises:
        ValueError: A joint is not finite.
    """
    if not np.isfinite(joints).all():
        raise ValueError('a body cannot be drawn from joints that are not '
                         'known (NaN)')
    joints = joints.copy()
    frames = segment_frames(joints)
    base, look = _person(seed, identity)
    # The skin's head is centred on its joint; captured ones sit at the
    # skull's base.
    top = joints[:, JOINT_INDEX['head_top']]
    stature = captured_body(joints, frames, base).stature
    joints[:, JOINT_INDEX['head']] = top - _HEAD * stature * frames[
        :, JOINT_INDEX['head'], :, 2]
    body = captured_body(joints, frames, base)
    return DrivenClip(joints, frames, mesh.rest_vertices(body, look.loose),
                      look)


@lru_cache(maxsize=64)
def _person(seed: int, identity: int) -> tuple[Body, Appearance]:
    return make_body(seed, identity), make_appearance(seed, identity)


def _length(vectors: np.ndarray) -> np.ndarray:
    return np.linalg.norm(vectors, axis=-1, keepdims=True)


def _unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.maximum(_length(vectors), 1e-9)


def _across(vectors: np.ndarray, axis: np.ndarray) -> np.ndarray:
    """What is left of vectors without their part along a unit axis."""
    return vectors - (vectors * axis).sum(-1, keepdims=True) * axis
