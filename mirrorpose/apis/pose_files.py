"""Pose sequences in the files of other tools.

=============  ============================================================
``mmpose``     mmpose's inferencer and demos: ``[{frame_id, instances:
               [{keypoints, keypoint_scores, track_id?}]}]``, or that under
               ``instance_info``
``coco``       COCO results: ``[{image_id, category_id, keypoints, score,
               track_id?}]``
``alphapose``  AlphaPose: as COCO, ``image_id`` a file name, ``idx`` the
               person
``npz``        ``keypoints`` (T, K, 2 or 3) or (P, T, K, 2 or 3), and
               optionally ``confidence`` or ``visible`` ([P,] T, K),
               ``joints`` (name of the set), ``track_ids``
=============  ============================================================

The third number of a joint is its confidence. Completed poses are written by
:mod:`.pose_writing`.
"""
from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ..structures import SKELETONS
from .tracking import link_people

FORMATS = ('mmpose', 'coco', 'alphapose', 'npz')


class PoseTrack(NamedTuple):
    """One person's poses, a row a frame.

    Attributes:
        name (str): Of the track.
        first (int): Number of its first frame.
        keypoints (np.ndarray): (T, K, 2) float64, NaN where nobody was found.
        confidence (np.ndarray): (T, K) float64, 0 there.
    """

    name: str
    first: int
    keypoints: np.ndarray
    confidence: np.ndarray


class PoseFile(NamedTuple):
    """What a file holds.

    Attributes:
        tracks (list[PoseTrack]): Of equal K.
        format (str): One of ``FORMATS``.
        joints (str, optional): Name of the joint set, if the file has one.
        frames (dict[int, Any]): Frame number to what the file calls it.
        tracked (bool): The file itself said who is who.
    """

    tracks: list[PoseTrack]
    format: str
    joints: str | None
    frames: dict[int, Any]
    tracked: bool


class _Found(NamedTuple):
    """A person in a frame: what the file calls both, and (K, 3)."""

    frame: Any
    person: Any
    points: np.ndarray


def read_pose_file(path: str | Path) -> PoseFile:
    """Reads any of the formats; which one is seen by the content.

    People without a number are linked from frame to frame by the distance of
    their poses (:func:`~.tracking.link_people`).

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: Another format, or a broken file; the message says what
            was found and what is read.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f'there is no pose file {path}')
    if path.suffix == '.npz':
        return _read_npz(path)
    if path.suffix != '.json':
        raise ValueError(f'{path}: files of poses end in .json or .npz; '
                         f'formats are {list(FORMATS)}')
    try:
        content = json.loads(path.read_text(encoding='utf-8'))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f'{path} is no JSON: {error}') from error
    joints = None
    if isinstance(content, dict) and 'instance_info' in content:
        meta = content.get('meta_info') or {}
        joints = meta.get('joints') or _known_set(meta)
        content = content['instance_info']
    if isinstance(content, dict):
        raise ValueError(
            f'{path} holds an object with the keys {sorted(content)[:8]}; '
            'of such only mmpose\'s with "instance_info" is read. AlphaPose '
            'has to be run with its default --format')
    if not content:
        raise ValueError(f'{path} holds no pose')
    if not isinstance(content, list) or not all(
            isinstance(entry, dict) for entry in content):
        raise ValueError(f'{path} holds no list of people or frames; formats '
                         f'are {list(FORMATS)}')
    try:
        kind, found = _people(content)
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f'{path}: {_reason(error)}') from error
    counts = {len(f.points) for f in found}
    if len(counts) != 1:
        raise ValueError(f'{path}: people have {sorted(counts)} joints; all '
                         'must have equally many' if counts else
                         f'{path} holds no person in any frame')
    return _as_file(found, kind, joints, _frame_names(content, kind))


def _known_set(meta: dict) -> str | None:
    """Name of the joint set that mmpose's demos describe, if we know it."""
    names = meta.get('keypoint_id2name') or {}
    joints = tuple(names[i] for i in sorted(names, key=int))
    return next((n for n, s in SKELETONS.items() if s.joints == joints),
                None)


def _reason(error: Exception) -> str:
    if isinstance(error, KeyError):
        return f'an entry lacks {error.args[0]!r}'
    return str(error)


def _people(content: Sequence[dict]) -> tuple[str, list[_Found]]:
    first = content[0]
    if 'instances' in first:
        found = []
        for number, entry in enumerate(content):
            frame = entry.get('frame_id', number)
            found += [_Found(frame, person.get('track_id'),
                             _mmpose_points(person))
                      for person in entry['instances']]
        return 'mmpose', found
    if 'image_id' not in first:
        shown = sorted(first)[:8]
        if 'keypoints' in first and 'keypoint_scores' in first:
            raise ValueError(
                'these are the people of one image; a sequence is wanted, '
                '[{"frame_id": ..., "instances": [...]}, ...] as mmpose\'s '
                'inferencer writes it for videos')
        raise ValueError(f'unknown format: entries hold {shown}; formats '
                         f'are {list(FORMATS)}')
    names = isinstance(first['image_id'], str) or 'idx' in first
    person = 'idx' if names else 'track_id'
    found = []
    for entry in content:
        flat = np.asarray(entry['keypoints'], np.float64).ravel()
        if len(flat) % 3 or not len(flat):
            raise ValueError(f'image {entry["image_id"]!r}: keypoints are '
                             f'triples x, y, score, got {len(flat)} numbers')
        who = entry.get(person, entry.get('track_id'))
        if isinstance(who, list):  # AlphaPose nests it in some versions
            who = who[0] if who else None
        found.append(_Found(entry['image_id'], who, flat.reshape(-1, 3)))
    return ('alphapose' if names else 'coco'), found


def _mmpose_points(person: dict) -> np.ndarray:
    points = np.asarray(person['keypoints'], np.float64)
    if points.ndim == 3 and len(points) == 1:
        points = points[0]
    if points.ndim != 2 or points.shape[1] not in (2, 3):
        raise ValueError('keypoints of an instance must be (K, 2), got '
                         f'{points.shape}: 3D results are not read')
    scores = np.asarray(person.get(
        'keypoint_scores', np.ones(len(points))), np.float64).ravel()
    if len(scores) != len(points):
        raise ValueError(f'{len(scores)} keypoint_scores for {len(points)} '
                         'keypoints')
    return np.concatenate([points[:, :2], scores[:, None]], 1)


def _frame_names(content: Sequence[dict], kind: str) -> list:
    """All frames that a file names, those without people too."""
    if kind == 'mmpose':
        return [e.get('frame_id', i) for i, e in enumerate(content)]
    return [e['image_id'] for e in content]


def frame_number(name: Any) -> int:
    """The last number in a frame's name."""
    if isinstance(name, (int, np.integer)):
        return int(name)
    digits = re.findall(r'\d+', Path(str(name)).stem)
    if not digits:
        raise ValueError(f'the image name {name!r} holds no frame number')
    return int(digits[-1])


def number_frames(names: Iterable[Any]) -> dict[Any, int]:
    """Consecutive numbers of frames.

    Numbers in the names are kept up to their common step, so that missing
    ones are gaps; ids that are scattered wider than a hundred times their
    count are no numbers of frames, and only their order counts.

    Raises:
        ValueError: A name without a number, or two with the same one.
    """
    raw = {name: frame_number(name) for name in names}
    ordered = sorted(set(raw.values()))
    if len(ordered) < len(raw):
        raise ValueError('two images have the same frame number: '
                         f'{sorted(map(str, raw))[:4]}; one file holds one '
                         'sequence')
    if len(ordered) < 2:
        return dict.fromkeys(raw, 0)
    step = int(np.gcd.reduce(np.diff(ordered)))
    span = (ordered[-1] - ordered[0]) // step + 1
    if span > 100 * len(ordered):
        place = {n: i for i, n in enumerate(ordered)}
        return {name: place[n] for name, n in raw.items()}
    return {name: (n - ordered[0]) // step for name, n in raw.items()}


def _as_file(found: Sequence[_Found], kind: str, joints: str | None,
             names: Sequence[Any]) -> PoseFile:
    numbers = number_frames(dict.fromkeys(names))
    frames = np.array([numbers[f.frame] for f in found])
    points = np.stack([f.points for f in found])
    tracked = all(f.person is not None for f in found)
    people: list[Any] = [f.person for f in found] if tracked else \
        link_people(frames, points).tolist()
    tracks = []
    for person in dict.fromkeys(people):
        rows = np.array([i for i, p in enumerate(people) if p == person])
        mine = frames[rows]
        if len(set(mine.tolist())) < len(mine):
            twice = int(np.bincount(mine).argmax())
            raise ValueError(f'person {person!r} stands twice in frame '
                             f'{twice}: tracks are not separate')
        first, count = int(mine.min()), int(np.ptp(mine)) + 1
        rows_all = np.full((count, *points.shape[1:]), np.nan)
        rows_all[mine - first] = points[rows]
        tracks.append(PoseTrack(str(person), first, rows_all[..., :2],
                                np.nan_to_num(rows_all[..., 2])))
    return PoseFile(tracks, kind, joints,
                    {n: name for name, n in numbers.items()}, tracked)


def _read_npz(path: Path) -> PoseFile:
    try:
        with np.load(path, allow_pickle=False) as arrays:
            data = {k: arrays[k] for k in arrays.files}
    except (OSError, ValueError) as error:
        raise ValueError(f'{path} is no npz of plain arrays: '
                         f'{error}') from error
    if 'keypoints' not in data:
        raise ValueError(f'{path} holds {sorted(data)}; an array keypoints '
                         '(T, K, 2 or 3) or (P, T, K, 2 or 3) is needed')
    points = data['keypoints'].astype(np.float64)
    if points.ndim == 3:
        points = points[None]
    if points.ndim != 4 or points.shape[-1] not in (2, 3):
        raise ValueError(f'{path}: keypoints must be ([P,] T, K, 2 or 3), '
                         f'got {data["keypoints"].shape}')
    trust = data.get('confidence', data.get('visible'))
    if trust is None:
        trust = points[..., 2] if points.shape[-1] == 3 else np.ones(
            points.shape[:-1])
    trust = trust.astype(np.float64)
    if trust.ndim == 2:
        trust = trust[None]
    if trust.shape != points.shape[:-1]:
        raise ValueError(f'{path}: confidence is {trust.shape}, keypoints '
                         f'are {points.shape}')
    ids = [str(i) for i in np.atleast_1d(
        data.get('track_ids', np.arange(len(points))))]
    if len(ids) != len(points) or len(set(ids)) < len(ids):
        raise ValueError(f'{path}: track_ids {ids[:4]} ({len(ids)}) must be '
                         f'distinct and as many as the {len(points)} people '
                         'of keypoints')
    tracks = []
    for name, xy, weight in zip(ids, points[..., :2], trust):
        seen = (np.isfinite(xy).all(-1) & (weight > 0)).any(1)
        if not seen.any():
            continue
        first, last = np.flatnonzero(seen)[[0, -1]]
        tracks.append(PoseTrack(name, int(first), xy[first:last + 1],
                                np.nan_to_num(weight[first:last + 1])))
    if not tracks:
        raise ValueError(f'{path} holds no pose')
    joints = data.get('joints')
    return PoseFile(tracks, 'npz', str(joints) if joints is not None
                    and joints.ndim == 0 else None,
                    {i: i for i in range(points.shape[1])}, True)
