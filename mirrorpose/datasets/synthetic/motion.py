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
from typing import NamedTuple

import numpy as np

from .body import (
    DOF_INDEX,
    DOFS,
    JOINT_INDEX,
    LIMITS,
    Body,
    forward_kinematics,
    limit_angles,
    rotation,
)
from .rng import keyed_rng


class Motion(NamedTuple):
    """Joint angles and the pelvis of T instants.

    Attributes:
        angles (np.ndarray): (T, D) degrees, not yet within the limits.
        turn (np.ndarray): (T, 3) degrees about x, y, z of the pelvis.
        lift (np.ndarray): (T,) mm between the ground and the lowest point.
    """

    angles: np.ndarray
    turn: np.ndarray
    lift: np.ndarray


class Take:
    """Random choices of one performance, and helpers to compose motions.

    Args:
        seed (int): The world's seed.
        action (str): The action.
        take (int): Which performance of the action.
        times (np.ndarray): (T,) seconds.
    """

    def __init__(self, seed: int, action: str, take: int,
                 times: np.ndarray) -> None:
        self.key = (seed, 'take', action, take)
        self.rng = keyed_rng(*self.key)
        self.times = times
        self.side, self.other = (('left', 'right') if self.rng.random() < .5
                                 else ('right', 'left'))

    def between(self, low: float, high: float) -> float:
        """A number of this take."""
        return float(self.rng.uniform(low, high))

    def maybe(self, chance: float) -> bool:
        """A decision of this take."""
        return bool(self.rng.random() < chance)

    def pose(self, **degrees: float) -> np.ndarray:
        """(D,) a pose from degrees.

        ``both_`` sets left and right, ``near_`` and ``far_`` the sides that
        this take has chosen.
        """
        out = np.zeros(len(DOFS))
        for name, value in degrees.items():
            first, rest = name.split('_', 1)
            sides = dict(both=('left', 'right'), near=(self.side, ),
                         far=(self.other, )).get(first)
            for dof in ([name] if sides is None
                        else [f'{s}_{rest}' for s in sides]):
                out[DOF_INDEX[dof]] = value
        return out

    def still(self, pose: np.ndarray) -> np.ndarray:
        """(T, D) one pose held."""
        return np.repeat(pose[None], len(self.times), 0)

    def phase(self, hertz: float) -> np.ndarray:
        """(T,) radians of a cycle with a random start."""
        return 2 * np.pi * (hertz * self.times + self.between(0, 1))

    def swing(self, low: np.ndarray, high: np.ndarray, hertz: float,
              sharp: float = 0.) -> np.ndarray:
        """(T, D) to and fro between two poses.

        Args:
            low (np.ndarray): (D,) pose at one end.
            high (np.ndarray): (D,) pose at the other end.
            hertz (float): Cycles per second.
            sharp (float): Above 0, time is spent at the ends. Defaults to 0.
        """
        wave = np.sin(self.phase(hertz))
        if sharp > 0:
            wave = np.tanh(sharp * wave) / np.tanh(sharp)
        part = (.5 + .5 * wave)[:, None]
        return low * (1 - part) + high * part

    def waver(self, degrees: np.ndarray | float, hertz: float = .5
              ) -> np.ndarray:
        """(T, D) slow smooth noise: three sines a channel."""
        rate = self.rng.uniform(.15, 1, (3, len(DOFS))) * hertz
        start = self.rng.uniform(0, 2 * np.pi, (3, len(DOFS)))
        waves = np.sin(2 * np.pi * rate * self.times[:, None, None] + start)
        return degrees * waves.mean(1)

    def knots(self, draw: Callable[[np.random.Generator], np.ndarray],
              seconds: float) -> np.ndarray:
        """(T, ...) quintic blends between values drawn knot by knot."""
        place = self.times / seconds + self.between(0, 1)
        first = np.floor(place).astype(int)
        values = {k: draw(keyed_rng(*self.key, 'knot', k))
                  for k in sorted({*first, *(first + 1)})}
        part = place - first
        part = part ** 3 * (10 - 15 * part + 6 * part ** 2)
        start = np.stack([values[k] for k in first])
        end = np.stack([values[k + 1] for k in first])
        part = part.reshape((-1, ) + (1, ) * (start.ndim - 1))
        return start * (1 - part) + end * part

    def finish(self, angles: np.ndarray, *, noise: float = 10., x=0., y=0.,
               z=0., lift=0.) -> Motion:
        """A motion with the take's noise and direction added."""
        sway = self.waver(1.)
        turn = np.stack([np.broadcast_to(v, self.times.shape)
                         for v in (x, y, z)], -1).astype(float)
        turn[:, 0] += 4 * sway[:, 0]
        turn[:, 1] += 4 * sway[:, 1]
        turn[:, 2] += self.between(0, 360) + 25 * sway[:, 2]
        return Motion(angles + self.waver(noise), turn,
                      np.broadcast_to(lift, self.times.shape).astype(float))


def _idle_arms(take: Take) -> dict[str, float]:
    """What arms do that have nothing to do."""
    kind = int(take.rng.integers(5))
    if kind == 0:  # hands on hips
        return dict(both_shoulder_elevation=45, both_shoulder_plane=-15,
                    both_shoulder_rotation=60, both_elbow_flexion=95)
    if kind == 1:  # folded
        return dict(both_shoulder_elevation=35, both_shoulder_plane=70,
                    both_shoulder_rotation=60, both_elbow_flexion=110)
    if kind == 2:  # one hand up
        return dict(near_shoulder_elevation=take.between(40, 150),
                    near_shoulder_plane=take.between(0, 100),
                    near_elbow_flexion=take.between(0, 120),
                    far_shoulder_elevation=8)
    return dict(both_shoulder_elevation=take.between(4, 20),
                both_shoulder_plane=take.between(0, 60),
                both_elbow_flexion=take.between(5, 45))


def _stand(take: Take) -> Motion:
    """Standing, shifting weight, gesturing."""
    low = take.pose(**_idle_arms(take), near_knee_flexion=take.between(0, 35),
                    near_hip_flexion=take.between(0, 20),
                    both_hip_abduction=take.between(1, 14))
    high = low + take.pose(**_idle_arms(take),
                           trunk_rotation=take.between(-25, 25)) * .4
    return take.finish(take.swing(low, high, take.between(.2, .5)), noise=16)


def _gait(take: Take, run: bool) -> Motion:
    """Walking and running, hip and knee after the gait curves in Winter."""
    hertz = take.between(1.2, 1.5) if run else take.between(.7, 1.05)
    stride = take.between(.75, 1.25)
    phase = take.phase(hertz)
    angles = take.still(take.pose(
        trunk_flexion=take.between(5, 18) if run else take.between(0, 8),
        both_shoulder_plane=82))
    elbow = take.between(75, 110) if run else take.between(10, 40)
    for side, shift in (('left', 0.), ('right', np.pi)):
        hip, knee = phase + shift, .5 + .5 * np.cos(phase + shift - 4.6)
        if run:
            values = dict(hip_flexion=18 + 38 * stride * np.cos(hip),
                          knee_flexion=22 + 92 * stride * knee ** 1.5,
                          ankle_flexion=-8 - 22 * np.cos(hip + .6))
        else:
            values = dict(hip_flexion=9 + 23 * stride * np.cos(hip),
                          knee_flexion=8 + 56 * knee ** 2,
                          ankle_flexion=-12 * np.cos(hip + .6))
        swing = -np.cos(hip)
        values |= dict(
            shoulder_elevation=(14 + 38 * stride * swing if run
                                else 8 + 22 * stride * swing),
            elbow_flexion=elbow + (14 if run else 12) * swing)
        for name, value in values.items():
            angles[:, DOF_INDEX[f'{side}_{name}']] += value
    angles[:, DOF_INDEX['trunk_rotation']] += 8 * stride * np.cos(phase)
    lift = 45 * (1 + np.cos(2 * phase + 1)) if run else 0.
    return take.finish(angles, noise=8, lift=lift)


def _walk(take: Take) -> Motion:
    """Walking on the spot."""
    return _gait(take, False)


def _run(take: Take) -> Motion:
    """Running on the spot."""
    return _gait(take, True)


def _squat(take: Take) -> Motion:
    """Squats."""
    deep, arms = take.between(.5, 1), take.between(20, 110)
    low = take.pose(both_hip_flexion=115 * deep, both_knee_flexion=130 * deep,
                    both_ankle_flexion=22 * deep, trunk_flexion=38 * deep,
                    both_hip_abduction=take.between(8, 35),
                    both_shoulder_elevation=arms, both_shoulder_plane=85,
                    both_elbow_flexion=take.between(0, 90))
    high = take.pose(both_shoulder_elevation=take.between(5, 80),
                     both_shoulder_plane=80, both_hip_abduction=10,
                     both_elbow_flexion=take.between(0, 60))
    return take.finish(take.swing(low, high, take.between(.3, .6)), noise=12)


def _sit(take: Take) -> Motion:
    """Sitting: on a seat, cross-legged or with stretched legs."""
    kind = int(take.rng.integers(3))
    legs = (dict(both_hip_flexion=88, both_knee_flexion=take.between(60, 110),
                 both_hip_abduction=take.between(0, 25)),
            dict(both_hip_flexion=100, both_hip_abduction=48,
                 both_hip_rotation=-40, both_knee_flexion=120),
            dict(both_hip_flexion=80, near_knee_flexion=take.between(0, 100),
                 far_knee_flexion=take.between(0, 30),
                 both_hip_abduction=take.between(0, 30)))[kind]
    low = take.pose(**legs, trunk_flexion=take.between(0, 45),
                    both_shoulder_elevation=take.between(10, 60),
                    both_shoulder_plane=take.between(20, 90),
                    both_elbow_flexion=take.between(20, 110))
    high = low + take.pose(trunk_flexion=take.between(-25, 25),
                           trunk_rotation=take.between(-35, 35),
                           near_shoulder_elevation=take.between(-10, 80),
                           far_elbow_flexion=take.between(-30, 30))
    return take.finish(take.swing(low, high, take.between(.15, .4)),
                       noise=14, y=take.between(-25, 5))


def _reach(take: Take) -> Motion:
    """Reaching up, far out and low."""
    low = take.pose(both_shoulder_elevation=10, both_elbow_flexion=40)
    high = take.pose(near_shoulder_elevation=take.between(60, 172),
                     near_shoulder_plane=take.between(-20, 115),
                     near_elbow_flexion=take.between(0, 30),
                     far_shoulder_elevation=take.between(0, 60),
                     trunk_flexion=take.between(-12, 50),
                     trunk_lateral=take.between(-25, 25),
                     trunk_rotation=take.between(-35, 35),
                     near_hip_flexion=take.between(0, 55),
                     near_knee_flexion=take.between(0, 45))
    return take.finish(take.swing(low, high, take.between(.3, .6), 1.2),
                       noise=14)


def _wave(take: Take) -> Motion:
    """Waving with one arm or both."""
    arms = 'both' if take.maybe(.3) else 'near'
    low = take.pose(**_idle_arms(take))
    lift, plane = take.between(70, 165), take.between(-10, 80)
    parts = {f'{arms}_shoulder_elevation': lift,
             f'{arms}_shoulder_plane': plane,
             f'{arms}_shoulder_rotation': take.between(-60, 0)}
    mask = take.pose(**dict.fromkeys(parts, 1.),
                     **{f'{arms}_elbow_flexion': 1.})
    base = low * (1 - mask) + take.pose(**parts)
    a = base + take.pose(**{f'{arms}_elbow_flexion': take.between(5, 40)})
    b = base + take.pose(**{f'{arms}_elbow_flexion': take.between(70, 120),
                            f'{arms}_shoulder_rotation': 25.})
    return take.finish(take.swing(a, b, take.between(.7, 1.3)), noise=12)


def _dance(take: Take) -> Motion:
    """Everything swings at the beat and at its half."""
    beat = take.between(.5, .85)
    base = take.pose(both_hip_flexion=22, both_knee_flexion=38,
                     both_shoulder_elevation=75, both_shoulder_plane=40,
                     both_elbow_flexion=60, both_hip_abduction=14,
                     both_ankle_flexion=8)
    half = np.array([(h - lo) / 2 for lo, h in LIMITS.values()])
    size = half * take.rng.uniform(0, .75, len(DOFS))
    rate = beat * take.rng.choice([.5, 1.], len(DOFS))
    start = take.rng.uniform(0, 2 * np.pi, len(DOFS))
    angles = base + size * np.sin(
        2 * np.pi * rate * take.times[:, None] + start)
    turn = take.between(-90, 90) * np.sin(take.phase(beat / 4))
    return take.finish(angles, noise=10, z=turn)


def _bend(take: Take) -> Motion:
    """Bending down to pick something up, tie a shoe, touch the toes."""
    knees = take.between(0, 70)
    low = take.pose(trunk_flexion=take.between(45, 92),
                    both_hip_flexion=take.between(50, 95),
                    both_knee_flexion=knees, both_ankle_flexion=knees * .25,
                    near_shoulder_elevation=take.between(60, 120),
                    far_shoulder_elevation=take.between(0, 120),
                    both_shoulder_plane=85, neck_flexion=-20,
                    trunk_rotation=take.between(-30, 30),
                    both_hip_abduction=take.between(2, 30))
    high = take.pose(**_idle_arms(take), both_hip_abduction=8)
    # The legs stay upright: the pelvis turns by what the hips flex.
    angles = take.swing(low, high, take.between(.25, .45), 1.)
    pitch = angles[:, DOF_INDEX['left_hip_flexion']] - angles[
        :, DOF_INDEX['left_knee_flexion']] * .5
    return take.finish(angles, noise=10, y=pitch)


def _lie(take: Take) -> Motion:
    """Lying and moving on the back, the belly or a side; push-ups, planks."""
    kind = int(take.rng.integers(4))
    if kind == 3:  # plank and push-up
        low = take.pose(both_shoulder_elevation=60, both_shoulder_plane=60,
                        both_elbow_flexion=110, neck_flexion=-30)
        high = take.pose(both_shoulder_elevation=80, both_shoulder_plane=88,
                         both_elbow_flexion=5, neck_flexion=-30,
                         both_toe_flexion=40)
        return take.finish(take.swing(low, high, take.between(.3, .6)),
                           noise=6, y=take.between(68, 80))
    low, high = (take.pose(
        near_shoulder_elevation=take.between(5, 170),
        far_shoulder_elevation=take.between(5, 170),
        both_shoulder_plane=take.between(-20, 90),
        near_elbow_flexion=take.between(0, 120),
        far_elbow_flexion=take.between(0, 120),
        near_hip_flexion=take.between(-10, 90),
        far_hip_flexion=take.between(-10, 60),
        both_hip_abduction=take.between(0, 35),
        near_knee_flexion=take.between(0, 110),
        far_knee_flexion=take.between(0, 80),
        trunk_flexion=take.between(-20, 35)) for _ in range(2))
    turn = ((0., -85.), (0., 88.), (85., 0.))[kind]
    return take.finish(take.swing(low, high, take.between(.15, .4)),
                       noise=12, x=turn[0], y=turn[1])


def _kick(take: Take) -> Motion:
    """Kicks to the front, the side and high, with the arms as balance."""
    front = take.maybe(.6)
    lean = take.between(0, 30)
    low = take.pose(near_hip_flexion=-20, near_knee_flexion=70,
                    far_knee_flexion=15, trunk_flexion=10,
                    both_shoulder_elevation=30, both_elbow_flexion=60)
    high = take.pose(
        near_hip_flexion=take.between(60, 128) if front else 30,
        near_hip_abduction=take.between(0, 20) if front else take.between(
            45, 66),
        near_knee_flexion=take.between(0, 40),
        near_ankle_flexion=-35, far_knee_flexion=take.between(5, 30),
        trunk_lateral=(lean if take.side == 'right' else -lean),
        trunk_flexion=-8, near_shoulder_elevation=take.between(20, 100),
        far_shoulder_elevation=take.between(30, 120),
        near_shoulder_plane=take.between(-30, 60),
        far_shoulder_plane=take.between(10, 110),
        both_elbow_flexion=take.between(10, 100))
    angles = take.swing(low, high, take.between(.45, .75), .8)
    tilt = take.between(0, 35) * (1 if take.side == 'left' else -1)
    return take.finish(angles, noise=12, x=0. if front else tilt)


def _handstand(take: Take) -> Motion:
    """Upside down on the hands, legs together, split or bent."""
    base = dict(both_shoulder_elevation=172, both_shoulder_plane=60,
                both_elbow_flexion=take.between(0, 25),
                neck_flexion=take.between(-45, 10))
    low = take.pose(**base, near_hip_flexion=take.between(-20, 90),
                    far_hip_flexion=take.between(-20, 20),
                    both_hip_abduction=take.between(0, 60),
                    near_knee_flexion=take.between(0, 120),
                    both_ankle_flexion=-40)
    high = take.pose(**base, both_hip_flexion=take.between(-15, 20),
                     trunk_flexion=take.between(-25, 5),
                     both_hip_abduction=take.between(0, 40),
                     far_knee_flexion=take.between(0, 70),
                     both_ankle_flexion=-45)
    return take.finish(take.swing(low, high, take.between(.2, .45)),
                       noise=10, x=180 + take.between(-15, 15),
                       y=take.between(-20, 20))


def _cartwheel(take: Take) -> Motion:
    """Wheels: the whole body turns about its front axis."""
    low, high = (take.pose(
        both_shoulder_elevation=take.between(120, 170),
        both_shoulder_plane=take.between(-10, 20),
        both_hip_abduction=take.between(25, 62),
        near_hip_flexion=take.between(-15, 40),
        far_knee_flexion=take.between(0, 40),
        trunk_lateral=take.between(-20, 20)) for _ in range(2))
    turn = np.degrees(take.phase(take.between(.3, .45)))
    return take.finish(take.swing(low, high, take.between(.3, .6)), noise=10,
                       x=turn if take.side == 'left' else -turn)


def _jump(take: Take) -> Motion:
    """Jumping jacks, tuck and star jumps."""
    hertz = take.between(.6, .9)
    begin = take.between(0, 1)
    wave = .5 + .5 * np.sin(2 * np.pi * (hertz * take.times + begin))
    low = take.pose(both_hip_flexion=45, both_knee_flexion=65,
                    both_ankle_flexion=18, trunk_flexion=28,
                    both_shoulder_elevation=20, both_elbow_flexion=40)
    tuck = take.maybe(.4)
    high = take.pose(
        both_shoulder_elevation=take.between(60, 170),
        both_shoulder_plane=take.between(-10, 90),
        both_hip_abduction=0 if tuck else take.between(10, 60),
        near_hip_flexion=take.between(40, 115) if tuck else 5,
        far_hip_flexion=take.between(40, 115) if tuck else 5,
        both_knee_flexion=take.between(60, 130) if tuck else 10,
        both_ankle_flexion=-40)
    angles = low * (1 - wave[:, None]) + high * wave[:, None]
    return take.finish(angles, noise=12,
                       lift=take.between(200, 600) * wave ** 2)


def _throw(take: Take) -> Motion:
    """Throwing, serving, batting: one arm swings over the trunk's turn."""
    sign = 1 if take.side == 'left' else -1
    low = take.pose(near_shoulder_elevation=take.between(70, 120),
                    near_shoulder_plane=-30, near_shoulder_rotation=-60,
                    near_elbow_flexion=take.between(70, 130),
                    far_shoulder_elevation=take.between(50, 130),
                    far_shoulder_plane=80, trunk_rotation=45 * sign,
                    trunk_flexion=-15, far_hip_flexion=take.between(0, 70),
                    far_knee_flexion=take.between(10, 90),
                    near_knee_flexion=25, both_hip_abduction=18)
    high = take.pose(near_shoulder_elevation=take.between(60, 170),
                     near_shoulder_plane=take.between(70, 120),
                     near_elbow_flexion=take.between(0, 25),
                     far_shoulder_elevation=25, far_elbow_flexion=70,
                     trunk_rotation=-45 * sign,
                     trunk_flexion=take.between(10, 45),
                     far_hip_flexion=take.between(20, 75),
                     far_knee_flexion=take.between(20, 75),
                     near_hip_flexion=-15, near_knee_flexion=20)
    return take.finish(take.swing(low, high, take.between(.5, .8), .8),
                       noise=12, y=take.between(0, 12))


def _lunge(take: Take) -> Motion:
    """Lunges, fencing, yoga."""
    low = take.pose(near_hip_flexion=take.between(60, 105),
                    near_knee_flexion=take.between(60, 110),
                    far_hip_flexion=-22, far_knee_flexion=take.between(0, 60),
                    far_hip_abduction=take.between(0, 35),
                    near_shoulder_elevation=take.between(0, 172),
                    far_shoulder_elevation=take.between(0, 172),
                    near_shoulder_plane=take.between(-20, 110),
                    far_shoulder_plane=take.between(-20, 110),
                    trunk_rotation=take.between(-40, 40),
                    trunk_lateral=take.between(-25, 25),
                    trunk_flexion=take.between(-20, 30))
    high = low * .55 + take.pose(
        both_elbow_flexion=take.between(0, 80),
        both_shoulder_elevation=take.between(0, 50))
    return take.finish(take.swing(low, high, take.between(.2, .5), 1.),
                       noise=14)


def _crawl(take: Take) -> Motion:
    """On hands and knees, or on hands and feet."""
    bear = take.maybe(.4)
    hip, knee = (95, 35) if bear else (85, 88)
    wave = np.sin(take.phase(take.between(.4, .7)))[:, None]
    mean = take.pose(both_shoulder_elevation=88, both_shoulder_plane=88,
                     both_elbow_flexion=take.between(0, 25),
                     both_hip_flexion=hip, both_knee_flexion=knee,
                     neck_flexion=-35)
    step = take.pose(near_shoulder_elevation=18, far_shoulder_elevation=-18,
                     near_hip_flexion=-18, far_hip_flexion=18,
                     near_knee_flexion=10, trunk_lateral=8)
    return take.finish(mean + step * wave, noise=8,
                       y=take.between(85, 100) if bear else take.between(
                           78, 95))


def _gymnastics(take: Take) -> Motion:
    """Any pose within the limits, any orientation: what LSP is hard for."""
    low, high = np.array(list(LIMITS.values())).T

    def pose(rng: np.random.Generator) -> np.ndarray:
        return low + (high - low) * rng.beta(1.3, 1.3, len(DOFS))

    seconds = take.between(.9, 1.5)
    tilt = (lambda rng: rng.uniform(-180, 180, 2)) if take.maybe(.5) else (
        lambda rng: rng.normal(0, 35, 2))
    turn = take.knots(tilt, take.between(2., 3.5))
    return take.finish(take.knots(pose, seconds), noise=6, x=turn[:, 0],
                       y=turn[:, 1], lift=take.between(0, 300))


#: Action families, by name.
ACTIONS: dict[str, Callable[[Take], Motion]] = dict(
    stand=_stand, walk=_walk, run=_run, squat=_squat, sit=_sit, reach=_reach,
    wave=_wave, dance=_dance, bend=_bend, lie=_lie, kick=_kick,
    handstand=_handstand, cartwheel=_cartwheel, jump=_jump, throw=_throw,
    lunge=_lunge, crawl=_crawl, gymnastics=_gymnastics)

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
