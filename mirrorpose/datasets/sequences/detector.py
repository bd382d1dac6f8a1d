"""Errors as real detectors make them.

Defaults were measured (``benchmarks/detector_noise.py``), in units of the
canonical frame, in which a standing person is about 1.4 high:

- *jitter* and its correlation between joints: BlazePose against LSP's truth.
  Among people all of whose 12 joints lie within 0.08 of the truth, errors have
  a standard deviation of 0.018 along either axis and correlate by 0.27 between
  neighbours (shoulder and elbow, ...), 0.08 over two, 0.03 elsewhere.
- its correlation in time: OpenPose against the triangulation of four views
  (60 frames/s): 0.79 after one frame, 0.69 after two, 0.48 after five: an
  exponential of 0.13 s and a tenth that is white.
- *outliers*: 15 % of BlazePose's joints on LSP, 39 % on LSPET, lie farther
  off than 0.08, in the median 0.18 and 0.22. Sport images that were chosen to
  be hard: the default is 5 %. How long they last was not measured.
- *swaps* of left and right: 2 % of LSP's pairs of joints, 3 % of LSPET's.
- *confidence*: its median on LSP is 0.99 below 0.02, 0.97 at 0.04 to 0.08,
  0.86 beyond, and it is below 0.1 for 3 %: a logistic of the error with much
  noise.
"""
from __future__ import annotations

import numpy as np
from mmpose.registry import TRANSFORMS
from scipy.special import expit, ndtri

from ..crops.draws import uniforms
from .clips import SKELETON
from .holes import HolePattern

_SWAPPED = {'arm': ('clavicle', 'shoulder', 'elbow', 'wrist', 'hand'),
            'leg': ('hip', 'knee', 'ankle', 'foot', 'toe')}
#: The error below which confidence is the same.
_SURE = .02


def joint_distances() -> np.ndarray:
    """(28, 28) int: limbs between two joints of the skeleton."""
    count = len(SKELETON)
    out = np.full((count, count), count)
    np.fill_diagonal(out, 0)
    for a, b in SKELETON.limb_indices:
        out[a, b] = out[b, a] = 1
    for via in range(count):  # Floyd and Warshall
        out = np.minimum(out, out[:, via, None] + out[via])
    return out


@TRANSFORMS.register_module()
class DetectorNoise(HolePattern):
    """Jitter, outliers, swapped limbs, lost joints, and confidence.

    Jitter is Gaussian with the correlation ``body + (1 - body) *
    neighbours ** limbs_between`` between joints and ``white * [t = 0] +
    (1 - white) * exp(-|t| / seconds)`` in time. Outliers and swaps come in
    runs: two-state Markov chains with the given share and mean length;
    neighbouring joints fail together more often than not. An outlier is
    displaced for the whole window by one vector of any direction and a
    log-normal length.

    Args:
        jitter (float): Standard deviation of x and of y, in canonical
            units. Defaults to 0.018.
        seconds (float): Correlation time of jitter and confidence. Defaults
            to 0.13.
        white (float): Share of the variance that is independent in each
            frame. Defaults to 0.1.
        neighbours (float): Correlation of joints one limb apart, beyond
            that of all. Defaults to 0.25.
        body (float): Correlation of all joints. Defaults to 0.03.
        outliers (float): Share of joints far off. Defaults to 0.05.
        outlier_size (float): Median of the displacement. Defaults to 0.2.
        outlier_spread (float): Standard deviation of its logarithm.
            Defaults to 0.7.
        outlier_seconds (float): Mean length of a run. Defaults to 0.12.
        swaps (float): Share of frames in which left and right arms are
            exchanged, and legs likewise. Defaults to 0.02.
        swap_seconds (float): Mean length of a run. Defaults to 0.2.
        confidence (tuple[float, float, float]): Logit of the median at
            small errors, what every doubling of the error takes, and the
            standard deviation of the logit. Defaults to (4.7, 1, 3).
        drop_below (float): Joints less confident than this are not
            observed. Defaults to 0.1.
        fps (float): Defaults to 25.

    Raises:
        ValueError: An argument is out of range.
    """

    def __init__(self, jitter: float = .018, seconds: float = .13,
                 white: float = .1, neighbours: float = .25,
                 body: float = .03, outliers: float = .05,
                 outlier_size: float = .2, outlier_spread: float = .7,
                 outlier_seconds: float = .12, swaps: float = .02,
                 swap_seconds: float = .2,
                 confidence: tuple[float, float, float] = (4.7, 1., 3.),
                 drop_below: float = .1, fps: float = 25.) -> None:
        for name, value in (('white', white), ('neighbours', neighbours),
                            ('body', body), ('drop_below', drop_below)):
            if not 0 <= value <= 1:
                raise ValueError(f'{name} must lie in [0, 1], got {value}')
        for name, value in (('outliers', outliers), ('swaps', swaps)):
            if not 0 <= value < 1:
                raise ValueError(f'{name} must lie in [0, 1), got {value}')
        for name, value in (
                ('jitter', jitter), ('outlier_size', outlier_size),
                ('outlier_spread', outlier_spread)):
            if value < 0:
                raise ValueError(f'{name} must not be negative, got {value}')
        for name, value in (
                ('seconds', seconds), ('outlier_seconds', outlier_seconds),
                ('swap_seconds', swap_seconds), ('fps', fps)):
            if value <= 0:
                raise ValueError(f'{name} must be positive, got {value}')
        if len(confidence) != 3 or confidence[2] < 0:
            raise ValueError('confidence must be a level, a slope and a '
                             f'spread, got {confidence}')
        self.jitter, self.seconds, self.white = jitter, seconds, white
        self.neighbours, self.body = neighbours, body
        self.outliers, self.outlier_size = outliers, outlier_size
        self.outlier_spread, self.outlier_seconds = (outlier_spread,
                                                     outlier_seconds)
        self.swaps, self.swap_seconds = swaps, swap_seconds
        self.confidence, self.drop_below, self.fps = (
            tuple(confidence), drop_below, fps)
        distance = joint_distances()
        near = np.where(distance == 0, 1., float(neighbours) ** distance)
        together = body + (1 - body) * near
        # The unit matrix on the diagonal keeps a correlation of 1 regular.
        self._mix = np.linalg.cholesky(
            together + 1e-9 * np.eye(len(SKELETON))).astype(np.float32)
        self._pairs = [
            (np.array(SKELETON.index(*(f'left_{j}' for j in joints))),
             np.array(SKELETON.index(*(f'right_{j}' for j in joints))))
            for joints in _SWAPPED.values()]

    def _detect(self, keypoints, observed, keys, confidence):
        count, frames, joints = observed.shape
        size = frames * joints
        draws = uniforms(keys, 4 * size)
        normal = ndtri(np.clip(draws, 1e-12, None)).astype(
            np.float32).reshape(count, 4, frames, joints)
        offset = self._in_time(self._between_joints(normal[:, :2]))
        offset = self.jitter * np.moveaxis(offset, 1, -1)
        if self.outliers:
            offset += self._outlier_offsets(normal[:, 2], keys)
        points = self._swapped(keypoints + offset, observed, keys)
        error = np.linalg.norm(points - keypoints, axis=-1)
        level, slope, spread = self.confidence
        logit = level - slope * np.log2(
            np.maximum(error, _SURE) / _SURE) + spread * self._in_time(
                normal[:, 3])
        sure = confidence * expit(logit)
        return points, observed & (sure >= self.drop_below), sure

    def _between_joints(self, white: np.ndarray) -> np.ndarray:
        """(..., K) independent normals -> correlated between joints.

        Of unit variance, each row on its own.
        """
        return white @ self._mix.T  # one product a window

    def _in_time(self, white: np.ndarray) -> np.ndarray:
        """(..., F, K) normals -> correlated in time, of unit variance."""
        frames = white.shape[-2]
        lag = np.abs(np.arange(frames)[:, None] - np.arange(frames))
        kernel = self.white * (lag == 0) + (1 - self.white) * np.exp(
            -lag / (self.seconds * self.fps))
        factor = np.linalg.cholesky(kernel).astype(np.float32)
        return factor @ white

    def _outlier_offsets(self, white: np.ndarray,
                         keys: np.ndarray) -> np.ndarray:
        """(N, F, K, 2), 0 where a joint is no outlier."""
        state = _runs(self._between_joints(white), self.outliers,
                      self.outlier_seconds * self.fps)
        turn, size = np.split(uniforms(keys, 2 * white.shape[-1], 1), 2, 1)
        length = self.outlier_size * np.exp(
            self.outlier_spread * ndtri(np.clip(size, 1e-12, None)))
        vector = length[..., None] * np.stack(
            [np.cos(2 * np.pi * turn), np.sin(2 * np.pi * turn)], -1)
        return state[..., None] * vector[:, None].astype(np.float32)

    def _swapped(self, points: np.ndarray, observed: np.ndarray,
                 keys: np.ndarray) -> np.ndarray:
        """Exchanges left and right arms, and legs, for some frames."""
        if not self.swaps:
            return points
        drawn = uniforms(keys, 2 * points.shape[1], 2).reshape(
            len(points), -1, 2)
        state = _runs(ndtri(np.clip(drawn, 1e-12, None)), self.swaps,
                      self.swap_seconds * self.fps)
        points = points.copy()
        for limb, (left, right) in enumerate(self._pairs):
            window, frame = np.nonzero(state[..., limb])
            window, frame = window[:, None], frame[:, None]
            both = (observed[window, frame, left]
                    & observed[window, frame, right])[..., None]
            one = points[window, frame, left]
            other = points[window, frame, right]
            points[window, frame, left] = np.where(both, other, one)
            points[window, frame, right] = np.where(both, one, other)
        return points


def _runs(normal: np.ndarray, share: float, length: float) -> np.ndarray:
    """Two-state Markov chains along axis 1.

    Args:
        normal (np.ndarray): (N, F, K) standard normals, independent in time.
        share (float): Of frames that are on, in (0, 1).
        length (float): Mean frames of a run, at least what the share needs.

    Returns:
        np.ndarray: (N, F, K) bool.
    """
    # Runs are at least one frame; a large share needs longer ones.
    length = max(length, 1., share / (1 - share))
    begins = share / (1 - share) / length
    on, starts, stays = ndtri([share, begins, 1 - 1 / length])
    state = np.empty(normal.shape, bool)
    state[:, 0] = normal[:, 0] < on
    for frame in range(1, normal.shape[1]):
        state[:, frame] = normal[:, frame] < np.where(
            state[:, frame - 1], stays, starts)
    return state
