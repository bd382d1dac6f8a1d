"""One performance of an action: its choices, and what motion is made of."""
from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from .body import DOF_INDEX, DOFS
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
