"""What is missing from a pose sequence, as objects.

The same definitions train, test and report: a pattern is registered, goes
into a config by its name, and is applied to whole batches. Patterns follow
one another in a :class:`HoleChain`, or one of several is drawn per window by
:class:`OneOfHoles`. All random numbers are functions of the windows' keys.
"""
from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from mmpose.registry import TRANSFORMS
from torch import Tensor

from mirrorpose.structures.joint_sets import LIMB_JOINTS
from mirrorpose.structures.skeleton import SKELETONS, Skeleton
from mirrorpose.utils.random_state import mix

from ..crops.draws import uniforms
from .clips import SKELETON

_SIDES = ('left', 'right')
#: What hides together.
LIMBS: dict[str, tuple[str, ...]] = {
    f'{side}_{limb}': tuple(f'{side}_{j}' for j in joints)
    for side in _SIDES for limb, joints in (
        ('arm', ('elbow', 'wrist', 'hand')),
        ('forearm', ('wrist', 'hand')),
        ('leg', ('knee', 'ankle', 'foot', 'toe')),
        ('shin', ('ankle', 'foot', 'toe')))}


class Detection(NamedTuple):
    """What a detector gives of a batch of windows.

    Attributes:
        keypoints (np.ndarray): (N, F, K, 2) float32, 0 where not observed.
        observed (np.ndarray): (N, F, K) bool.
        confidence (np.ndarray): (N, F, K) float32 in [0, 1], 0 where not
            observed.
    """

    keypoints: np.ndarray
    observed: np.ndarray
    confidence: np.ndarray


class HolePattern(ABC):
    """Hides joints, or moves them."""

    def detect(self, keypoints: np.ndarray, observed: np.ndarray,
               keys: np.ndarray,
               confidence: np.ndarray | None = None) -> Detection:
        """Applies the pattern.

        Args:
            keypoints (np.ndarray): (N, F, 28, 2) float32, in the canonical
                frame.
            observed (np.ndarray): (N, F, 28) bool, what there is so far.
            keys (np.ndarray): (N,) uint64.
            confidence (np.ndarray, optional): (N, F, 28) float32 so far;
                1 by default.

        Returns:
            Detection: In new arrays; never more observed than before.

        Raises:
            ValueError: Shapes do not fit.
        """
        if (keypoints.ndim != 4 or keypoints.shape[2] != len(SKELETON)
                or observed.shape != keypoints.shape[:3]
                or np.shape(keys) != keypoints.shape[:1]):
            raise ValueError(
                f'{type(self).__name__}: keypoints must be (N, F, '
                f'{len(SKELETON)}, 2), observed (N, F, {len(SKELETON)}) and '
                f'keys (N,); got {keypoints.shape}, {observed.shape} and '
                f'{np.shape(keys)}')
        if confidence is None:
            confidence = observed.astype(np.float32)
        points, seen, sure = self._detect(
            keypoints, observed, np.asarray(keys, np.uint64), confidence)
        seen = seen & observed
        return Detection(
            np.where(seen[..., None], points, 0).astype(np.float32), seen,
            np.where(seen, sure, 0).astype(np.float32))

    def apply(self, keypoints: Any, present: Any, keys: Any
              ) -> tuple[Any, Any]:
        """:meth:`detect` without the confidence, of arrays or tensors.

        Args:
            keypoints (np.ndarray | Tensor): (N, F, 28, 2).
            present (np.ndarray | Tensor): (N, F, 28) bool.
            keys (np.ndarray): (N,) uint64.

        Returns:
            tuple: keypoints and observed, of the kind that came in.
        """
        if isinstance(keypoints, Tensor):
            seen = self.detect(keypoints.detach().cpu().numpy(),
                               present.detach().cpu().numpy(), keys)
            return (torch.from_numpy(seen.keypoints).to(keypoints),
                    torch.from_numpy(seen.observed).to(present.device))
        return self.detect(keypoints, present, keys)[:2]

    @abstractmethod
    def _detect(self, keypoints: np.ndarray, observed: np.ndarray,
                keys: np.ndarray, confidence: np.ndarray
                ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """keypoints, observed and confidence after it."""

    def __repr__(self) -> str:
        inside = ', '.join(f'{k}={v!r}' for k, v in vars(self).items()
                           if not k.startswith('_'))
        return f'{type(self).__name__}({inside})'


def build_hole(config: Mapping[str, Any] | HolePattern) -> HolePattern:
    """A pattern from its config.

    Raises:
        TypeError: It is another transform.
    """
    hole = config if isinstance(config, HolePattern) else TRANSFORMS.build(
        dict(config))
    if not isinstance(hole, HolePattern):
        raise TypeError(f'{type(hole).__name__} is no HolePattern')
    return hole


def _check_range(name: str, value: float | Sequence[float], low: float,
                 high: float) -> tuple[float, float]:
    """A number or an ascending pair, as a pair."""
    pair = ((value, value) if isinstance(value, (int, float))
            else tuple(value))
    if len(pair) != 2 or not low <= pair[0] <= pair[1] <= high:
        raise ValueError(f'{name} must be a number, or an ascending pair, in '
                         f'[{low:g}, {high:g}]; got {value}')
    return float(pair[0]), float(pair[1])


def _span(lengths: np.ndarray, uniform: np.ndarray,
          frames: int) -> np.ndarray:
    """Frames of one run a row: (N,) lengths, (N,) uniforms -> (N, F) bool.

    A run lies within the window and starts anywhere with equal chance.
    """
    lengths = np.minimum(lengths, frames)
    start = np.floor(uniform * (frames - lengths + 1)).astype(np.int64)
    place = np.arange(frames) - start[:, None]
    return (place >= 0) & (place < lengths[:, None])


@TRANSFORMS.register_module()
class HoleChain(HolePattern):
    """Patterns, one after the other.

    Args:
        patterns (Sequence[dict | HolePattern]): In their order.
    """

    def __init__(self, patterns: Sequence[Any]) -> None:
        self.patterns = [build_hole(p) for p in patterns]

    def _detect(self, keypoints, observed, keys, confidence):
        for place, pattern in enumerate(self.patterns):
            keypoints, observed, confidence = pattern.detect(
                keypoints, observed, mix(keys + np.uint64(place + 1)),
                confidence)
        return keypoints, observed, confidence


@TRANSFORMS.register_module()
class OneOfHoles(HolePattern):
    """Each window gets one of several patterns.

    Args:
        patterns (Sequence[dict | HolePattern | None]): None leaves a window
            as it is.
        weights (Sequence[float], optional): How often; equal by default.

    Raises:
        ValueError: Weights that do not fit.
    """

    def __init__(self, patterns: Sequence[Any],
                 weights: Sequence[float] | None = None) -> None:
        self.patterns = [None if p is None else build_hole(p)
                         for p in patterns]
        self.weights = list(weights or [1.] * len(self.patterns))
        if (len(self.weights) != len(self.patterns) or not self.patterns
                or min(self.weights) < 0 or not sum(self.weights)):
            raise ValueError(f'{len(self.patterns)} patterns need as many '
                             'weights, not negative and not all 0; got '
                             f'{weights}')

    def _detect(self, keypoints, observed, keys, confidence):
        edges = np.cumsum(self.weights) / sum(self.weights)
        choice = np.searchsorted(edges[:-1], uniforms(keys, 1)[:, 0],
                                 side='right')
        out = (keypoints.copy(), observed.copy(), confidence.copy())
        for number, pattern in enumerate(self.patterns):
            rows = np.nonzero(choice == number)[0]
            if pattern is None or not len(rows):
                continue
            seen = pattern.detect(keypoints[rows], observed[rows],
                                  mix(keys[rows] + np.uint64(number + 1)),
                                  confidence[rows])
            for whole, piece in zip(out, seen):
                whole[rows] = piece
        return out


@TRANSFORMS.register_module()
class UnseenJoints(HolePattern):
    """A detector knows fewer joints, in every frame.

    Args:
        joints (str | Sequence[str]): What it knows: names among the 28, or
            the name of a joint set, of which the joints count that stand
            for the same landmark. Defaults to the 12 limb joints of JUMPS.

    Raises:
        ValueError: An unknown joint or joint set, or nothing in common.
    """

    def __init__(self, joints: str | Sequence[str] = LIMB_JOINTS) -> None:
        if isinstance(joints, str):
            known = Skeleton.from_name(joints)
            marks = {known.landmark(j) for j in known.joints}
            names: tuple[str, ...] = tuple(
                j for j in SKELETON.joints if SKELETON.landmark(j) in marks)
            if not names:
                raise ValueError(f'{joints!r} has no joint of '
                                 f'{SKELETON.name!r}; joint sets are '
                                 f'{sorted(SKELETONS)}')
        else:
            names = tuple(joints)
        self.joints = names
        self._seen = np.zeros(len(SKELETON), bool)
        self._seen[SKELETON.index(*names)] = True

    def _detect(self, keypoints, observed, keys, confidence):
        return keypoints, observed & self._seen, confidence


@TRANSFORMS.register_module()
class RandomDrops(HolePattern):
    """Joints are missing here and there, each on its own.

    Args:
        p (float | tuple[float, float]): Chance of each joint in each frame;
            of a pair, each window draws its own.
    """

    def __init__(self, p: float | Sequence[float] = .1) -> None:
        self.p = _check_range('p', p, 0, 1)

    def _detect(self, keypoints, observed, keys, confidence):
        low, high = self.p
        chance = low + (high - low) * uniforms(keys, 1, 1)
        drawn = uniforms(keys, observed[0].size).reshape(observed.shape)
        return keypoints, observed & (drawn >= chance[:, None]), confidence


@TRANSFORMS.register_module()
class HiddenLimb(HolePattern):
    """One limb is hidden for a while.

    Args:
        seconds (float | tuple[float, float]): How long; of a pair, each
            window draws its own. Longer than the window: all of it.
            Defaults to half a second.
        limbs (Sequence[str], optional): Of ``LIMBS``; arms and legs by
            default. Each window draws one.
        fps (float): Defaults to 25.
    """

    def __init__(self, seconds: float | Sequence[float] = .5,
                 limbs: Sequence[str] = ('left_arm', 'right_arm', 'left_leg',
                                         'right_leg'),
                 fps: float = 25.) -> None:
        unknown = sorted(set(limbs) - set(LIMBS))
        if unknown or not limbs:
            raise ValueError(f'unknown limbs {unknown}; known are '
                             f'{sorted(LIMBS)}')
        self.seconds = _check_range('seconds', seconds, 0, 1e6)
        self.limbs, self.fps = tuple(limbs), fps
        self._masks = np.zeros((len(limbs), len(SKELETON)), bool)
        for row, limb in enumerate(limbs):
            self._masks[row, SKELETON.index(*LIMBS[limb])] = True

    def _detect(self, keypoints, observed, keys, confidence):
        which, length, start = uniforms(keys, 3).T
        low, high = self.seconds
        frames = np.floor((low + (high - low) * length) * self.fps + .5)
        hidden = _span(frames.astype(np.int64), start, observed.shape[1])
        limb = self._masks[(which * len(self.limbs)).astype(np.int64)]
        return (keypoints, observed & ~(hidden[:, :, None] & limb[:, None]),
                confidence)


@TRANSFORMS.register_module()
class MissingFrames(HolePattern):
    """Nothing is seen for some frames in a row.

    Args:
        n (int | tuple[int, int]): How many; of a pair, each window draws
            its own. At most the window.
    """

    def __init__(self, n: int | Sequence[int] = 8) -> None:
        low, high = _check_range('n', n, 0, 1e9)
        if low != int(low) or high != int(high):
            raise ValueError(f'n must be whole frames, got {n}')
        self.n = int(low), int(high)

    def _detect(self, keypoints, observed, keys, confidence):
        length, start = uniforms(keys, 2).T
        low, high = self.n
        frames = np.floor(low + (high - low + 1) * length).astype(np.int64)
        hidden = _span(frames, start, observed.shape[1])
        return keypoints, observed & ~hidden[:, :, None], confidence
