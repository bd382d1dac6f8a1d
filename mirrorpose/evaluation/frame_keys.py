"""Frame keys of published retrieval benchmarks.

Pr-VIPE (Sun et al., ECCV 2020) published which frames its cross-view
retrieval is evaluated on, one text file a view, one key a line
(google-research, ``poem/eval/frames`` and ``poem/pr_vipe/eval/frames``):

============  =========================================================
Human3.6M     ``subject:action:camera:frame``, such as
              ``S11:Directions 1:54138969:000020``
MPI-INF-3DHP  ``subject:sequence:video:camera:frame``, such as
              ``S1:Seq1:V0:C0:003370``; video and camera are the same
============  =========================================================

Frames count from 0: the first of these is the 21st frame of its video. Keys
of other benchmarks are read from a CSV with the columns ``subject, sequence,
camera, frame``.
"""
from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple


class FrameKey(NamedTuple):
    """One frame of one camera.

    Attributes:
        subject (str): As the file writes it.
        sequence (str): Action or sequence.
        camera (str): Its name or number.
        frame (int): Counted from 0.
    """

    subject: str
    sequence: str
    camera: str
    frame: int


def parse_key(text: str) -> FrameKey:
    """Reads a key of Human3.6M (4 parts) or MPI-INF-3DHP (5 parts).

    Raises:
        ValueError: It is neither.
    """
    parts = text.strip().split(':')
    if len(parts) == 5:
        if re.sub(r'\D', '', parts[2]) != re.sub(r'\D', '', parts[3]):
            raise ValueError(f'frame key {text.strip()!r}: video {parts[2]} '
                             f'is not that of camera {parts[3]}')
        parts.pop(2)
    if len(parts) != 4 or not parts[3].isdigit() or not all(parts):
        raise ValueError(
            f'{text.strip()!r} is no frame key: subject:action:camera:frame '
            'or subject:sequence:video:camera:frame is read')
    subject, sequence, camera, frame = parts
    return FrameKey(subject, sequence, camera, int(frame))


def read_frame_keys(paths: str | Path | Sequence[str | Path]
                    ) -> list[FrameKey]:
    """Reads files of keys.

    Args:
        paths (str | Path | Sequence): Text files of keys, ``.csv`` files, or
            folders, whose ``.txt`` files are read by name.

    Returns:
        list[FrameKey]: In the order of the files.

    Raises:
        FileNotFoundError: A path is not there, or a folder holds no keys.
        ValueError: A line is no key (the message says which), or a key
            stands twice.
    """
    if isinstance(paths, (str, Path)):
        paths = [paths]
    keys: list[FrameKey] = []
    for path in map(Path, paths):
        files = sorted(path.glob('*.txt')) if path.is_dir() else [path]
        if not files or not files[0].is_file():
            raise FileNotFoundError(
                f'there are no frame keys at {path}; Pr-VIPE\'s are in '
                'google-research, poem/eval/frames')
        for file in files:
            keys += _read(file)
    if len(set(keys)) < len(keys):
        twice = Counter(keys).most_common(1)[0][0]
        raise ValueError(f'the frame {tuple(twice)} stands twice in '
                         f'{[str(p) for p in paths]}')
    return keys


def _read(file: Path) -> list[FrameKey]:
    lines = file.read_text(encoding='utf-8').splitlines()
    if file.suffix == '.csv':
        rows = csv.DictReader(lines)
        lost = [c for c in FrameKey._fields if c not in (
            rows.fieldnames or ())]
        if lost:
            raise ValueError(f'{file} lacks the columns {lost}; it has '
                             f'{rows.fieldnames}')
        entries: Iterable[tuple[int, str]] = (
            (n, ':'.join(str(row[c]) for c in FrameKey._fields))
            for n, row in enumerate(rows, 2))
    else:
        entries = enumerate(lines, 1)
    keys = []
    for number, text in entries:
        if text.strip():
            try:
                keys.append(parse_key(text))
            except ValueError as error:
                raise ValueError(f'{file}, line {number}: {error}') from error
    return keys


def _plain(text: object) -> str:
    return re.sub(r'[^a-z0-9]+', '_', str(text).lower()).strip('_')


def _camera(name: object) -> str:
    """Its digits without leading zeros where it ends in some."""
    digits = re.search(r'(\d+)$', str(name))
    return str(int(digits[1])) if digits else _plain(name)


def comparable(subject: object, sequence: object, camera: object,
               frame: int) -> tuple[str, str, str, int]:
    """A frame such that different spellings of it are equal.

    Case and punctuation do not count, a sequence may begin with its subject
    (``S1_Seq1`` or ``Seq1``), and a camera is its number (``C0``,
    ``video_0`` or ``0``).
    """
    who = _plain(subject)
    what = _plain(sequence)
    what = what.removeprefix(f'{who}_') or what
    return who, what, _camera(camera), int(frame)


def select(keys: Sequence[FrameKey],
           subjects: Sequence[object],
           sequences: Sequence[object],
           cameras: Sequence[object],
           frames: Sequence[int]) -> tuple[list[int], list[FrameKey]]:
    """Finds the frames of keys among samples.

    Args:
        keys (Sequence[FrameKey]): What is wanted.
        subjects (Sequence): Of N samples.
        sequences (Sequence): Of N samples.
        cameras (Sequence): Of N samples.
        frames (Sequence[int]): Of N samples, counted from 0.

    Returns:
        tuple: Indices of samples, ascending, and the keys that no sample
        has.

    Raises:
        ValueError: No key is found.
    """
    wanted = {comparable(*key): key for key in keys}
    have = [comparable(*row) for row in zip(subjects, sequences, cameras,
                                            frames)]
    indices = [i for i, one in enumerate(have) if one in wanted]
    found = {have[i] for i in indices}
    lost = [key for one, key in wanted.items() if one not in found]
    if not indices:
        raise ValueError(
            f'none of {len(keys)} frame keys is among the {len(have)} '
            f'samples: the first key is {tuple(keys[0])}, the first sample '
            f'{have[:1]}. Frames of keys count from 0; for a data set that '
            'counts from 1 give frame_offset=1')
    return indices, lost
