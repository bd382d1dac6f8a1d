"""Motions: families of actions as smooth functions of time.

Each action maps times to joint angles, the orientation of the pelvis and a
height above the ground, by sines and by quintic blends between key poses; so
poses exist at any time and speeds and accelerations are finite. What varies
(tempo, reach, side, key poses, direction) is drawn from the *take*: an
integer that names one performance. Walking and running go on the spot, as on
a treadmill, so that a camera that stands still sees a whole take.
"""
from __future__ import annotations

from collections.abc import Callable

import numpy as np

from . import daily_actions as daily
from . import sport_actions as sport
from .body import JOINT_INDEX, Body, forward_kinematics, limit_angles, rotation
from .rng import keyed_rng
from .takes import Motion, Take

#: Action families, by name.
ACTIONS: dict[str, Callable[[Take], Motion]] = dict(
    stand=daily.stand, walk=daily.walk, run=daily.run, squat=sport.squat,
    sit=daily.sit, reach=daily.reach, wave=daily.wave, dance=sport.dance,
    bend=daily.bend, lie=daily.lie, kick=sport.kick,
    handstand=sport.handstand, cartwheel=sport.cartwheel, jump=sport.jump,
    throw=sport.throw, lunge=sport.lunge, crawl=daily.crawl,
    gymnastics=sport.gymnastics)

#: How often each action occurs among the images of the world.
ACTION_WEIGHTS: dict[str, float] = dict(
    stand=.07, walk=.07, run=.07, squat=.05, sit=.06, reach=.06, wave=.05,
    dance=.10, bend=.05, lie=.05, kick=.06, handstand=.03, cartwheel=.03,
    jump=.06, throw=.08, lunge=.06, crawl=.03, gymnastics=.02)

# How far below each joint the skin is when it carries the body, mm.
_CONTACT = {'toe': 14, 'foot': 16, 'ankle': 62, 'knee': 55, 'hip': 110,
            'pelvis': 120, 'hand': 22, 'wrist': 30, 'elbow': 40,
            'shoulder': 65, 'head': 100, 'head_top': 12, 'neck': 65,
            'clavicle': 60}
_CONTACT_28 = np.array([
    _CONTACT.get(j if j == 'head_top' else j.rsplit('_', 1)[-1], 105)
    for j in JOINT_INDEX])


def perform(seed: int, body: Body, action: str, take: int,
            times: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A person performs an action.

    Args:
        seed (int): The world's seed.
        body (Body): Who.
        action (str): One of ``ACTIONS``.
        take (int): Which performance of the action.
        times (np.ndarray): (T,) seconds, any values.

    Returns:
        tuple: (T, 28, 3) joints in mm in the world frame (z up, ground at
        0), (T, 28, 3, 3) their frames, and (T, D) the joint angles in
        degrees.

    Raises:
        ValueError: The action is unknown.
    """
    if action not in ACTIONS:
        raise ValueError(f'unknown action {action!r}; known are '
                         f'{list(ACTIONS)}')
    times = np.asarray(times, dtype=np.float64)
    motion = ACTIONS[action](Take(seed, action, take, times))
    angles = limit_angles(motion.angles)
    root = rotation(*motion.turn.T)
    joints, frames = forward_kinematics(body, angles, root)
    # A smooth minimum of the heights of the skin puts the body on the
    # ground in any pose; a sharp one would jerk when support changes.
    heights = joints[..., 2] - _CONTACT_28
    least = heights.min(1, keepdims=True)
    ground = least[:, 0] - 25 * np.log(
        np.exp((least - heights) / 25).sum(1))
    joints[..., 2] += (motion.lift - ground)[:, None]
    # Where on the ground, drifting slowly about the middle.
    rng = keyed_rng(seed, 'drift', action, take)
    start, rate = rng.uniform(0, 2 * np.pi, 2), rng.uniform(.04, .12, 2)
    joints[..., :2] += (120 * np.sin(
        2 * np.pi * times[:, None] * rate + start))[:, None]
    return joints, frames, angles
