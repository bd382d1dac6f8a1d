"""Synchronised views in memory: who does what, when, before which cameras.

The index of a source is arrays; images lie beside it in one uint8 array, or
there are none. World coordinates are millimetres; a camera maps world points
to the pixels of its *crop* by ``x = K (R X + t)``, z forward, x right, y
down, pixel centres at integers. Lens distortion, where a source has one, is
part of the 2D joints and of the images, and not of ``K``.
"""
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path

import numpy as np

from mirrorpose.structures.skeleton import Skeleton

SKELETON = Skeleton.from_name('h36m_17')
ROOT = SKELETON.index('root')[0]
_K = len(SKELETON)


@dataclass(frozen=True)
class Views:
    """N views of M instants in C clips.

    A clip is one subject in one sequence; its instants have distinct frame
    numbers. The views of one instant are a view group.

    Attributes:
        subjects (np.ndarray): (C,) str, subject of each clip.
        actions (np.ndarray): (C,) str.
        clips (np.ndarray): (C,) str, distinct; they include the subject.
        groups (np.ndarray): (C,) str, what may not be split, where a source
            knows more than subjects (a style, a skeleton).
        clip (np.ndarray): (M,) int64, clip of each instant.
        frame (np.ndarray): (M,) int64, number in the clip.
        seconds (np.ndarray): (M,) float64 since the clip's beginning.
        poses (np.ndarray): (M, 17, 3) float32, world frame, mm; NaN where a
            joint is not known.
        up (np.ndarray): (C, 3) float32, the world's up; NaN where nobody
            knows it.
        instant (np.ndarray): (N,) int64, instant of each view.
        cameras (np.ndarray): (N,) str.
        K (np.ndarray): (N, 3, 3) float64, NaN without calibration.
        R (np.ndarray): (N, 3, 3) float64, world to camera, NaN likewise.
        t (np.ndarray): (N, 3) float64 mm, NaN likewise.
        keypoints (np.ndarray): (N, 17, 2) float32 pixels of the crop, NaN
            where not known.
        visible (np.ndarray): (N, 17) int8: 2 seen, 1 inside the crop but
            hidden, 0 outside or not known.
        paths (np.ndarray): (N,) str, file of the image, '' without one.
        size (int): Side of the square crops in pixels.
    """

    subjects: np.ndarray
    actions: np.ndarray
    clips: np.ndarray
    groups: np.ndarray
    clip: np.ndarray
    frame: np.ndarray
    seconds: np.ndarray
    poses: np.ndarray
    up: np.ndarray
    instant: np.ndarray
    cameras: np.ndarray
    K: np.ndarray
    R: np.ndarray
    t: np.ndarray
    keypoints: np.ndarray
    visible: np.ndarray
    paths: np.ndarray
    size: int

    def __len__(self) -> int:
        return len(self.instant)

    @property
    def calibrated(self) -> np.ndarray:
        """(N,) bool: the camera's place and intrinsics are known."""
        return (np.isfinite(self.K).all((1, 2))
                & np.isfinite(self.R).all((1, 2))
                & np.isfinite(self.t).all(1))

    def keep_views(self, keep: np.ndarray) -> Views:
        """The views where ``keep`` (N,) holds; all instants stay."""
        rows = np.flatnonzero(keep)
        return replace(self, **{
            name: getattr(self, name)[rows] for name in (
                'instant', 'cameras', 'K', 'R', 't', 'keypoints', 'visible',
                'paths')})

    def save(self, path: Path) -> None:
        """Writes the arrays into an npz."""
        np.savez(path, **{f.name: np.asarray(getattr(self, f.name))
                          for f in fields(self)})

    @classmethod
    def load(cls, path: Path) -> Views:
        """Reads what :meth:`save` has written."""
        with np.load(path, allow_pickle=False) as arrays:
            data = {k: arrays[k] for k in arrays.files}
        return cls(**dict(data, size=int(data['size'])))


def check_views(views: Views, where: str) -> None:
    """Stops at an index that contradicts itself.

    Args:
        views (Views): From a source.
        where (str): The source, for messages.

    Raises:
        ValueError: Shapes differ, a clip's name or the view of an instant
            stands there twice, a frame number is used twice in a clip, or
            the joints are not those of ``h36m_17``.
    """
    if views.poses.shape[1:] != (_K, 3) or \
            views.keypoints.shape[1:] != (_K, 2):
        raise ValueError(
            f'{where}: mixed joint sets: poses {views.poses.shape} and '
            f'keypoints {views.keypoints.shape} must hold the {_K} joints of '
            f'{SKELETON.name!r}; convert with Skeleton.convert')
    for what, names, count in (
            ('clips', ('subjects', 'actions', 'clips', 'groups', 'up'),
             len(views.clips)),
            ('instants', ('clip', 'frame', 'seconds', 'poses'),
             len(views.clip)),
            ('views', ('instant', 'cameras', 'K', 'R', 't', 'keypoints',
                       'visible', 'paths'), len(views))):
        wrong = {n: len(getattr(views, n)) for n in names
                 if len(getattr(views, n)) != count}
        if wrong:
            raise ValueError(f'{where}: {count} {what}, but {wrong}')
    if not len(views):
        raise ValueError(f'{where}: there is no view')
    _check_distinct([(c, ) for c in views.clips.tolist()], where,
                    'clip {} stands there twice')
    names = views.clips[views.clip]
    _check_distinct(list(zip(names.tolist(), views.frame.tolist())), where,
                    'frame {1} of clip {0} stands there twice (duplicate '
                    'frames); keep one of them, or number them anew')
    _check_distinct(
        list(zip(names[views.instant].tolist(),
                 views.frame[views.instant].tolist(),
                 views.cameras.tolist())), where,
        'frame {1} of clip {0} has two views of camera {2} (duplicate '
        'frames); keep one of them')


def _check_distinct(keys: Sequence[tuple], where: str, text: str) -> None:
    if len(set(keys)) == len(keys):
        return
    seen: set[tuple] = set()
    for key in keys:
        if key in seen:
            raise ValueError(f'{where}: ' + text.format(*map(repr, key)))
        seen.add(key)


def crop_matrix(left: np.ndarray, top: np.ndarray, side: np.ndarray,
                size: int) -> np.ndarray:
    """(N, 3, 3) maps from pixels to the pixels of square crops.

    Args:
        left (np.ndarray): (N,) left edge in pixels from the left edge of
            the image, half a pixel outside the centre of its first column.
        top (np.ndarray): (N,) likewise.
        side (np.ndarray): (N,) pixels.
        size (int): Side of the crops in pixels.
    """
    zoom = size / np.asarray(side, float)
    out = np.zeros((len(zoom), 3, 3))
    out[:, 0, 0] = out[:, 1, 1] = zoom
    out[:, 0, 2] = (.5 - left) * zoom - .5
    out[:, 1, 2] = (.5 - top) * zoom - .5
    out[:, 2, 2] = 1
    return out


def square_boxes(low: np.ndarray, high: np.ndarray, padding: float
                 ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Left, top and side (N,) of squares around boxes.

    Args:
        low (np.ndarray): (N, 2) upper left corner, a pixel's centre.
        high (np.ndarray): (N, 2) lower right corner, likewise.
        padding (float): Side over the longer side of the box.
    """
    side = np.maximum((high - low).max(-1), 1.) * padding
    middle = (low + high) / 2 + .5  # from pixel centres to edges
    return middle[:, 0] - side / 2, middle[:, 1] - side / 2, side


def apply_matrices(matrices: np.ndarray, points: np.ndarray) -> np.ndarray:
    """(N, 3, 3) affine maps of the plane on (N, K, 2) points."""
    return (np.einsum('nij,nkj->nki', matrices[:, :2, :2], points)
            + matrices[:, None, :2, 2])


def inside_crop(points: np.ndarray, size: int) -> np.ndarray:
    """(N, K) bool: which (N, K, 2) points lie inside the crops."""
    with np.errstate(invalid='ignore'):
        return ((points >= -.5) & (points <= size - .5)).all(-1)
