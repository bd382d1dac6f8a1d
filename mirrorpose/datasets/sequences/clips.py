"""Motion clips in memory: 28 joints in metres, one array for all clips.

Windows are never stored. A clip is resampled once when it is loaded, and a
window is then 24 rows of the array.
"""
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from mirrorpose.structures.skeleton import Skeleton

SKELETON = Skeleton.from_name('mpi_inf_3dhp_28')
_JOINTS = len(SKELETON)


@dataclass(frozen=True)
class MotionClips:
    """Clips of one or many people.

    Attributes:
        positions (np.ndarray): (T, 28, 3) float32, metres relative to
            ``root``, y up; 0 where a joint is not present.
        root (np.ndarray): (T, 3) float32, metres, y up.
        present (np.ndarray): (T, 28) bool, False where the source does not
            know the joint.
        names (tuple[str]): C distinct names of clips.
        groups (tuple[str]): C subjects, styles or whatever may not be split.
        start (np.ndarray): (C,) int64, first row of each clip.
        length (np.ndarray): (C,) int64, its rows.
        fps (float): Frames per second of all clips.
        derived (np.ndarray): (C, 28) bool, joints that the source does not
            measure but derives from others.
    """

    positions: np.ndarray
    root: np.ndarray
    present: np.ndarray
    names: tuple[str, ...]
    groups: tuple[str, ...]
    start: np.ndarray
    length: np.ndarray
    fps: float
    derived: np.ndarray

    def __len__(self) -> int:
        return len(self.names)

    @property
    def nbytes(self) -> int:
        """Memory of the arrays."""
        return (self.positions.nbytes + self.root.nbytes
                + self.present.nbytes)

    def select(self, keep: np.ndarray) -> MotionClips:
        """The clips where ``keep`` (C,) bool holds, in new arrays."""
        chosen = np.nonzero(keep)[0]
        rows = (np.concatenate([np.arange(s, s + n) for s, n in zip(
            self.start[chosen], self.length[chosen])])
            if len(chosen) else np.zeros(0, np.int64))
        length = self.length[chosen]
        return MotionClips(
            self.positions[rows], self.root[rows], self.present[rows],
            tuple(self.names[i] for i in chosen),
            tuple(self.groups[i] for i in chosen), _starts(length), length,
            self.fps, self.derived[chosen])

    def resampled(self, fps: float) -> MotionClips:
        """The same motion at another rate.

        Positions between frames come from a cubic through the four frames
        around (Catmull and Rom, 1974). A joint is present where all frames
        that it is made of are. There is no low-pass filter: from 30 to 25
        frames none is needed.

        Args:
            fps (float): Frames per second.
        """
        if abs(fps / self.fps - 1) < 1e-4:
            # BVH files write a thirtieth of a second as 0.033333.
            return replace(self, fps=fps)
        step = self.fps / fps
        # The last frame is kept where the rates meet there.
        length = np.floor((self.length - 1) / step + 1e-6).astype(
            np.int64) + 1
        clip = np.repeat(np.arange(len(self)), length)
        place = step * (np.arange(length.sum()) - _starts(length)[clip])
        whole = np.floor(place + 1e-6).astype(np.int64)
        part = np.clip(place - whole, 0, 1)
        part[part < 1e-6] = 0
        t, t2, t3 = part, part**2, part**3
        weights = np.stack([-t + 2 * t2 - t3, 2 - 5 * t2 + 3 * t3,
                            t + 4 * t2 - 3 * t3, t3 - t2], -1) / 2
        last = self.length[clip] - 1
        rows = whole[:, None] + np.arange(-1, 3)
        weights = _fold_ends(weights, rows, last)
        rows = np.clip(rows, 0, last[:, None]) + self.start[clip][:, None]
        weights = weights.astype(np.float32)
        present = np.ones((len(clip), _JOINTS), bool)
        positions = np.zeros((len(clip), _JOINTS, 3), np.float32)
        root = np.zeros((len(clip), 3), np.float32)
        for k in range(4):
            w = weights[:, k]
            positions += w[:, None, None] * self.positions[rows[:, k]]
            root += w[:, None] * self.root[rows[:, k]]
            present &= self.present[rows[:, k]] | (w == 0)[:, None]
        positions[~present] = 0
        return MotionClips(positions, root, present, self.names, self.groups,
                           _starts(length), length, fps, self.derived)

    def windows(self, frames: int, stride: int) -> np.ndarray:
        """All windows that lie within one clip.

        Args:
            frames (int): Length of a window.
            stride (int): Rows between the first frames.

        Returns:
            np.ndarray: (W, 2) int64: clip, and first frame in the clip.
        """
        counts = np.where(self.length >= frames,
                          (self.length - frames) // stride + 1, 0)
        clip = np.repeat(np.arange(len(self)), counts)
        first = (np.arange(counts.sum()) - _starts(counts)[clip]) * stride
        return np.stack([clip, first], -1)


def _starts(length: np.ndarray) -> np.ndarray:
    return np.concatenate([[0], np.cumsum(length)[:-1]]).astype(
        np.int64) if len(length) else np.zeros(0, np.int64)


def _fold_ends(weights: np.ndarray, rows: np.ndarray,
               last: np.ndarray) -> np.ndarray:
    """Moves the weights of frames beyond a clip's ends into it.

    The motion goes on there along a line: f(-1) = 2 f(0) - f(1).
    """
    weights = weights.copy()
    for outside, edge, inner, next_in in (
            (rows[:, 0] < 0, 0, 1, 2),
            ((rows[:, 3] > last) & (rows[:, 2] <= last), 3, 2, 1)):
        moved = np.where(outside, weights[:, edge], 0)
        weights[:, edge] -= moved
        weights[:, inner] += 2 * moved
        weights[:, next_in] -= moved
    # At the very last frame the part is 0, and so are these weights.
    return np.where((rows < 0) | (rows > last[:, None]), 0, weights)


def make_clips(positions: np.ndarray, root: np.ndarray,
               names: Sequence[str], groups: Sequence[str],
               length: Sequence[int] | np.ndarray, fps: float,
               derived: np.ndarray, where: str) -> MotionClips:
    """Checks motion and gives it its form.

    Joints with a coordinate that is not finite become absent; frames
    without a finite root lose all joints.

    Args:
        positions (np.ndarray): (T, 28, 3) metres, relative to the root.
        root (np.ndarray): (T, 3) metres.
        names (Sequence[str]): C clips.
        groups (Sequence[str]): C groups.
        length (Sequence[int]): C numbers of rows, T together.
        fps (float): Frames per second.
        derived (np.ndarray): (28,) or (C, 28) bool.
        where (str): The source, for messages.

    Raises:
        ValueError: Shapes, names or the rate do not fit.
    """
    length = np.asarray(length, np.int64)
    if positions.shape != (len(root), _JOINTS, 3) or root.shape[1:] != (3, ):
        raise ValueError(
            f'{where}: positions must be (T, {_JOINTS}, 3) and root (T, 3), '
            f'got {positions.shape} and {root.shape}')
    if not len(names) == len(groups) == len(length) or (
            length.sum() != len(root)) or (length < 1).any():
        raise ValueError(
            f'{where}: {len(names)} names, {len(groups)} groups and '
            f'{len(length)} lengths (together {length.sum()} frames) do not '
            f'fit {len(root)} frames')
    if len(set(names)) != len(names):
        twice = sorted({n for n in names if list(names).count(n) > 1})[:5]
        raise ValueError(f'{where}: clips share the names {twice}')
    if not (np.isfinite(fps) and fps > 0):
        raise ValueError(f'{where}: fps must be positive, got {fps}')
    present = np.isfinite(positions).all(-1) & np.isfinite(root).all(
        -1)[:, None]
    positions = np.where(present[..., None], positions, 0).astype(np.float32)
    root = np.where(np.isfinite(root), root, 0).astype(np.float32)
    return MotionClips(
        positions, root, present, tuple(names), tuple(groups),
        _starts(length), length, float(fps),
        np.broadcast_to(np.asarray(derived, bool),
                        (len(names), _JOINTS)).copy())


def concatenate(parts: Sequence[MotionClips]) -> MotionClips:
    """Puts clips of one rate together; names have to differ.

    Raises:
        ValueError: Nothing to put together, another rate or a name twice.
    """
    if not parts:
        raise ValueError('no motion source was given')
    rates = {p.fps for p in parts}
    if len(rates) > 1:
        raise ValueError(f'clips of different rates: {sorted(rates)}; '
                         'resample them first')
    names = [n for p in parts for n in p.names]
    if len(set(names)) != len(names):
        twice = sorted({n for n in names if names.count(n) > 1})[:5]
        raise ValueError(f'clips share the names {twice}: is a source given '
                         'twice?')
    length = np.concatenate([p.length for p in parts])
    return MotionClips(
        np.concatenate([p.positions for p in parts]),
        np.concatenate([p.root for p in parts]),
        np.concatenate([p.present for p in parts]), tuple(names),
        tuple(g for p in parts for g in p.groups), _starts(length), length,
        parts[0].fps, np.concatenate([p.derived for p in parts]))
