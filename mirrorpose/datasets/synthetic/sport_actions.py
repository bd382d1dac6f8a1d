"""What people do in sports: squats, dance, kicks, handstands, throws."""
from __future__ import annotations

import numpy as np

from .body import DOFS, LIMITS
from .takes import Motion, Take


def squat(take: Take) -> Motion:
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


def dance(take: Take) -> Motion:
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


def kick(take: Take) -> Motion:
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


def handstand(take: Take) -> Motion:
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


def cartwheel(take: Take) -> Motion:
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


def jump(take: Take) -> Motion:
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


def throw(take: Take) -> Motion:
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


def lunge(take: Take) -> Motion:
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


def gymnastics(take: Take) -> Motion:
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
