"""2D joints that a recognizer found in views, in place of the true ones."""
from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ...utils.files import write_atomically
from .views import SKELETON

__all__ = ['Detections', 'detect', 'read_detections', 'view_id',
           'write_detections']

#: The command that makes such a file.
COMMAND = ('python tools/detect_views.py DATA_CONFIG RECOGNIZER_CONFIG '
           'CHECKPOINT OUT.npz')


class Detections(NamedTuple):
    """What was found in N views.

    Attributes:
        ids (np.ndarray): (N,) str, ``metainfo['id']`` of the views.
        keypoints (np.ndarray): (N, 17, 2) float32, pixels of the crops.
        scores (np.ndarray): (N, 17) float32.
        size (int): Side of the crops.
    """

    ids: np.ndarray
    keypoints: np.ndarray
    scores: np.ndarray
    size: int


def view_id(clip: str, frame: int, camera: str) -> str:
    """The name by which detections know a view."""
    return f'{clip}:{frame}:{camera}'


def detect(find: Callable[[Sequence[np.ndarray]], Iterable[Any]],
           data: Any, batch_size: int = 256) -> Detections:
    """Finds joints in all views of a data set.

    Args:
        find (Callable): Images (S, S, 3) uint8 BGR to ``PoseDataSample``s,
            such as ``lambda x: [p[0] for p in recognize(model, x)]``.
        data (MultiViewDataset): With images.
        batch_size (int): Images a call. Defaults to 256.

    Raises:
        ValueError: The recognizer has other joints than the views.
    """
    points, scores = [], []
    for start in range(0, len(data), batch_size):
        rows = range(start, min(start + batch_size, len(data)))
        for sample in find([np.array(data.image(i)) for i in rows]):
            found = sample.pred_instances
            if found.keypoints.shape[1] != len(SKELETON):
                raise ValueError(
                    f'the recognizer finds {found.keypoints.shape[1]} joints,'
                    f' views have the {len(SKELETON)} of {SKELETON.name}')
            points.append(found.keypoints[0])
            scores.append(found.keypoint_scores[0])
    return Detections(data.ids, np.asarray(points, np.float32),
                      np.asarray(scores, np.float32), data.size)


def write_detections(path: Path, found: Detections) -> None:
    """Writes an npz; nothing is left of a broken write."""
    def save(target: Path) -> None:
        with target.open('wb') as file:
            np.savez_compressed(file, joints=np.array(SKELETON.joints),
                                **found._asdict())
    write_atomically(path, save)


def read_detections(path: Path, ids: np.ndarray, size: int,
                    min_score: float) -> tuple[np.ndarray, np.ndarray]:
    """What was found in some views.

    Args:
        path (Path): Of :func:`write_detections`.
        ids (np.ndarray): (N,) the views.
        size (int): Side of their crops.
        min_score (float): Joints of less count as not found.

    Returns:
        tuple: (N, 17, 2) float32 pixels of the crops, and (N, 17) uint8,
        1 where found; NaN and infinite coordinates are not.

    Raises:
        FileNotFoundError: There is no such file; says what makes it.
        ValueError: It is damaged, of other joints, or views are not in it.
    """
    if not path.is_file():
        raise FileNotFoundError(f'there are no detections {path}; make them '
                                f'with: {COMMAND}')
    try:
        with np.load(path) as data:
            held = {k: data[k] for k in ('ids', 'keypoints', 'scores',
                                         'joints', 'size')}
    except Exception as error:
        raise ValueError(f'{path} is no file of detections ({error}); make '
                         f'it again: {COMMAND}') from error
    names, count = tuple(held['joints'].tolist()), len(held['ids'])
    if names != tuple(SKELETON.joints) or held['keypoints'].shape != (
            count, len(SKELETON), 2) or held['scores'].shape != (
            count, len(SKELETON)):
        raise ValueError(f'{path} holds {held["keypoints"].shape} keypoints '
                         f'of {len(names)} joints, wanted (N, '
                         f'{len(SKELETON)}, 2) of {SKELETON.name}')
    order = np.argsort(held['ids'])
    known = held['ids'][order]
    place = np.minimum(np.searchsorted(known, ids), max(count - 1, 0))
    absent = known[place] != ids if count else np.ones(len(ids), bool)
    if absent.any():
        raise ValueError(
            f'{path} has no detections of {int(absent.sum())} of {len(ids)} '
            f'views, e.g. {ids[absent][0]!r}: it is of other data; {COMMAND}')
    rows = order[place]
    points = held['keypoints'][rows].astype(np.float32) * (
        size / int(held['size']))
    there = np.isfinite(points).all(-1) & (held['scores'][rows] >= min_score)
    return (np.where(there[..., None], points, 0).astype(np.float32),
            there.astype(np.uint8))
