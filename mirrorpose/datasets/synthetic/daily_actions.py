"""What people do every day: standing, walking, sitting, reaching, lying."""
from __future__ import annotations

import numpy as np

from .body import DOF_INDEX
from .takes import Motion, Take


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


def stand(take: Take) -> Motion:
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


def walk(take: Take) -> Motion:
    """Walking on the spot."""
    return _gait(take, False)


def run(take: Take) -> Motion:
    """Running on the spot."""
    return _gait(take, True)


def sit(take: Take) -> Motion:
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


def reach(take: Take) -> Motion:
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


def wave(take: Take) -> Motion:
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


def bend(take: Take) -> Motion:
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


def lie(take: Take) -> Motion:
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


def crawl(take: Take) -> Motion:
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
