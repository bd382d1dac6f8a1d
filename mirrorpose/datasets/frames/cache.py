"""Frames cut and brought to size once, in one memory-mapped array."""
from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple
from zipfile import BadZipFile

import numpy as np
from mmengine.logging import print_log

from ..crops.building import full_disk_explained
from ..crops.locking import build_once

VERSION = 1
PIXELS, INDEX = 'frames.bin', 'index.npz'


class ReadClip(NamedTuple):
    """A clip as it is read.

    Attributes:
        frames (Iterator): (S, S, 3) uint8 BGR, one after the other.
        keypoints (Callable): Gives (T, K, 3) float32 once all frames are
            read: pixels of the crops and visibility.
        squares (Callable): Gives (T, 3) int64 then: left, top, side.
    """

    frames: Iterator[np.ndarray]
    keypoints: Callable[[], np.ndarray]
    squares: Callable[[], np.ndarray]


class FrameCache:
    """The frames of one source in a folder; opened once a process.

    Args:
        folder (Path): A whole cache.

    Attributes:
        pixels (np.ndarray): (T, 3, S, S) uint8 BGR, memory-mapped: all
            clips, one behind the other.
        length (np.ndarray): (C,) int64, frames of each clip.
        keypoints (np.ndarray): (T, K, 3) float32, pixels of the crops and
            visibility; K is 0 where the source has no annotation.
        squares (np.ndarray): (T, 3) int64, what was cut out.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        with np.load(folder / INDEX, allow_pickle=False) as arrays:
            self.length = arrays['length']
            self.keypoints = arrays['keypoints']
            self.squares = arrays['squares']
            size = int(arrays['size'])
        self.pixels = np.memmap(folder / PIXELS, np.uint8, 'r', shape=(
            int(self.length.sum()), 3, size, size))

    def __reduce__(self) -> tuple:
        return type(self), (self.folder, )

    @classmethod
    def open(cls, root: Path, name: str, key: str, size: int, most: int,
             clips: Sequence[Callable[[], ReadClip]],
             names: Sequence[str]) -> FrameCache:
        """Opens the cache of a source, after building it if need be.

        Args:
            root (Path): Folder of the caches.
            name (str): Of the source.
            key (str): Over all that the frames depend on.
            size (int): Side of the crops.
            most (int): How many frames there are at most.
            clips (Sequence[Callable]): Each reads one clip.
            names (Sequence[str]): Of the clips, for the log.

        Raises:
            OSError: The disk is full; nothing of the cache is left.
        """
        folder = root / f'frames-{name}-{key}'
        what = f'frame cache of {name}'

        def build(part: Path) -> None:
            print_log(f'{what}: up to {most} frames of {len(clips)} clips, '
                      f'{most * size * size * 3 / 2**20:.0f} MiB in {folder}',
                      'current')
            with full_disk_explained(part, what):
                _write(part, size, clips, what)

        build_once(folder, find_flaw, build, what)
        return cls(folder)


def _write(part: Path, size: int, clips: Sequence[Callable[[], ReadClip]],
           what: str) -> None:
    lengths, points, squares = [], [], []
    with (part / PIXELS).open('wb') as file:
        for number, read in enumerate(clips, 1):
            clip, count = read(), 0
            for frame in clip.frames:
                file.write(np.ascontiguousarray(
                    frame.transpose(2, 0, 1)).data)
                count += 1
            lengths.append(count)
            points.append(clip.keypoints())
            squares.append(clip.squares())
            if number % max(len(clips) // 5, 1) == 0:
                print_log(f'{what}: {number} of {len(clips)} clips',
                          'current')
    np.savez(part / INDEX, length=np.array(lengths, np.int64),
             keypoints=np.concatenate(points),
             squares=np.concatenate(squares), size=size)


def find_flaw(folder: Path) -> str | None:
    """What is wrong with a cache, or None."""
    try:
        with np.load(folder / INDEX, allow_pickle=False) as arrays:
            size, total = int(arrays['size']), int(arrays['length'].sum())
        found = (folder / PIXELS).stat().st_size
    except FileNotFoundError as error:
        return f'{Path(str(error.filename)).name} is missing'
    except (OSError, ValueError, KeyError, BadZipFile):
        return f'{INDEX} cannot be read'
    wanted = total * 3 * size * size
    if found != wanted:
        return f'{PIXELS} has {found} bytes instead of {wanted}'
    return None
