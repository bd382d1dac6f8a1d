"""Completed pose sequences in the formats of other tools."""
from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..utils.files import write_atomically, write_text
from .completion import CompletedTrack
from .pose_files import PoseFile, frame_number

#: Formats that have a place for several answers.
WITH_HYPOTHESES = ('mmpose', 'npz')


def write_pose_file(path: str | Path, source: PoseFile,
                    done: Sequence[CompletedTrack], joints: str) -> None:
    """Writes completed tracks; an input in JSON keeps its format.

    Scores are 1 where a joint was observed and 0.5 where it was completed;
    mmpose's format and npz hold the spread, too, and further answers:
    ``keypoint_hypotheses`` of an instance (S, K, 2), and ``hypotheses``
    (P, S, T, K, 2).

    Args:
        path (str | Path): Ends in ``.npz`` or ``.json``.
        source (PoseFile): What was read.
        done (Sequence[CompletedTrack]): One a track of it.
        joints (str): Name of their joint set.

    Raises:
        ValueError: Another ending, or hypotheses for a format that has no
            place for them.
    """
    path = Path(path)
    kind = written_format(path, source)
    if kind not in WITH_HYPOTHESES and any(
            one.hypotheses is not None for one in done):
        raise ValueError(
            f'{path}: the format {kind!r}, that of the input, holds one '
            'answer to each person and frame, and no hypotheses: write to '
            '.npz')
    if kind == 'npz':
        _write_npz(path, source, done, joints)
        return
    rows = [(track.first + i, track.name, one.keypoints[i], one.spread[i],
             one.observed[i], None if one.hypotheses is None else
             one.hypotheses[:, i])
            for track, one in zip(source.tracks, done)
            for i in range(len(one.keypoints))]
    rows.sort(key=lambda row: row[0])
    if kind == 'mmpose':
        by_frame: dict[int, list] = {n: [] for n in sorted(source.frames)}
        for number, name, points, spread, seen, several in rows:
            person = dict(
                track_id=_plain_id(name), keypoints=_numbers(points),
                keypoint_scores=np.where(seen, 1., .5).tolist(),
                keypoint_spread=_numbers(spread))
            if several is not None:
                person['keypoint_hypotheses'] = _numbers(several)
            by_frame.setdefault(number, []).append(person)
        content: Any = dict(
            meta_info=dict(joints=joints),
            instance_info=[
                dict(frame_id=_frame_name(source.frames, n),
                     instances=people)
                for n, people in sorted(by_frame.items())])
    else:
        who = 'idx' if kind == 'alphapose' else 'track_id'
        content = []
        for number, name, points, _, seen, _ in rows:
            triples = np.concatenate(
                [points, np.where(seen, 1., .5)[:, None]], 1)
            content.append({
                'image_id': _frame_name(source.frames, number),
                'category_id': 1, 'keypoints': _numbers(triples.ravel()),
                'score': float(np.where(seen, 1., .5).mean()),
                who: _plain_id(name)})
    write_text(path, json.dumps(content, allow_nan=False) + '\n')


def written_format(path: str | Path, source: PoseFile) -> str:
    """The format that a file of this name gets.

    Args:
        path (str | Path): Ends in ``.npz`` or ``.json``.
        source (PoseFile): What was read.

    Raises:
        ValueError: Another ending.
    """
    suffix = Path(path).suffix
    if suffix == '.npz':
        return 'npz'
    if suffix != '.json':
        raise ValueError(f'{path}: the output ends in .json or .npz')
    return source.format if source.format != 'npz' else 'mmpose'


def _frame_name(names: dict[int, Any], number: int) -> Any:
    """What a frame is called that the input leaves out."""
    if number in names:
        return names[number]
    (a, first), *others = sorted(names.items())
    step = ((frame_number(others[-1][1]) - frame_number(first)) //
            (others[-1][0] - a)) if others else 1
    value = frame_number(first) + step * (number - a)
    if not isinstance(first, str):
        return value
    stem = Path(first).stem
    last = list(re.finditer(r'\d+', stem))[-1]
    digits = f'{value:0{len(last.group())}d}'
    return str(Path(first).with_name(
        stem[:last.start()] + digits + stem[last.end():]
        + Path(first).suffix))


def _plain_id(name: str) -> int | str:
    return int(name) if re.fullmatch(r'-?\d+', name) else name


def _numbers(values: np.ndarray) -> list:
    """Nested lists; None where a value is not finite."""
    rounded = np.round(values.astype(np.float64), 4)
    if values.ndim > 1:
        return [_numbers(v) for v in values]
    return [float(v) if np.isfinite(v) else None for v in rounded]


def _write_npz(path: Path, source: PoseFile,
               done: Sequence[CompletedTrack], joints: str) -> None:
    total = max(max(source.frames, default=-1) + 1, max(
        t.first + len(d.keypoints) for t, d in zip(source.tracks, done)))
    count = done[0].keypoints.shape[1]
    points = np.full((len(done), total, count, 2), np.nan, np.float32)
    spread = np.full(points.shape[:-1], np.nan, np.float32)
    observed = np.zeros(points.shape[:-1], bool)
    for i, (track, one) in enumerate(zip(source.tracks, done)):
        rows = slice(track.first, track.first + len(one.keypoints))
        points[i, rows], spread[i, rows] = one.keypoints, one.spread
        observed[i, rows] = one.observed
    arrays: dict[str, Any] = dict(
        keypoints=points, spread=spread, observed=observed,
        joints=np.array(joints),
        track_ids=np.array([t.name for t in source.tracks]))

    if done[0].hypotheses is not None:
        several = np.full((len(done), len(done[0].hypotheses),
                           *points.shape[1:]), np.nan, np.float32)
        for i, (track, one) in enumerate(zip(source.tracks, done)):
            several[i, :, track.first:track.first + len(
                one.keypoints)] = one.hypotheses
        arrays['hypotheses'] = several

    def save(part: Path) -> None:
        with part.open('wb') as file:
            np.savez_compressed(file, **arrays)

    write_atomically(path, save)
