"""Filling a crop cache: reading, cropping, writing."""
from __future__ import annotations

import errno
import json
import shutil
import sys
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import cv2
import numpy as np
from mmengine.logging import print_log
from mmengine.utils import ProgressBar
from mmengine.utils.timer import Timer

from ..broken import BrokenSampleError, BrokenSamples
from .source import EMBEDDED, Source

#: Goes up when the same key would give other pixels.
VERSION = 1
IMAGES, INDEX, MANIFEST = 'images.npy', 'index.npz', 'manifest.json'

#: A sample and its info -> centre (2,) and side of the square that is seen.
Square = Callable[[int, dict], tuple[np.ndarray, float]]


def crop_region(center: np.ndarray, side: float, shape: tuple[int, int],
                limit: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The pixels of an image that a crop is made of.

    Args:
        center (np.ndarray): (2,) pixels.
        side (float): Side of the square that is needed.
        shape (tuple[int, int]): (h, w) of the image.
        limit (int): Longest side of a crop; larger ones are reduced.

    Returns:
        tuple[np.ndarray, np.ndarray, np.ndarray]: First pixel, end, and size
        of the crop, each (2,) (x, y) int64. What interpolation looks at
        beyond the square is part of it, what lies outside of the image is
        not: it is black either way.
    """
    last = np.array([shape[1], shape[0]]) - 1

    def clipped(beyond: int) -> tuple[np.ndarray, np.ndarray]:
        first = np.floor(center - side / 2) - beyond
        end = np.ceil(center + side / 2) + 1 + beyond
        first = np.clip(first, 0, last)
        return (first.astype(np.int64),
                np.clip(end, first + 1, last + 1).astype(np.int64))

    first, end = clipped(1)
    factor = (end - first).max() / limit
    if factor <= 1:
        return first, end, end - first
    first, end = clipped(int(np.ceil(factor)))
    factor = (end - first).max() / limit
    size = np.maximum(1, np.rint((end - first) / factor))
    return first, end, size.astype(np.int64)


_ROOM = ('Make room (caches that no config uses any more lie there too), name '
         'another folder by cache_dir or MIRRORPOSE_CACHE, or choose a '
         'smaller size of the crops')


def check_space(folder: Path, most: int, count: int, what: str) -> None:
    """Stops before anything is written where it would not fit.

    Raises:
        OSError: With the bytes that are needed and free.
    """
    needed = most + 1024 * (count + 1)
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise OSError(
            errno.ENOSPC,
            f'{what} may need {needed} bytes ({needed / 2**30:.2f} GiB) in '
            f'{folder.parent}, and {free} bytes ({free / 2**30:.2f} GiB) are '
            f'free. {_ROOM}')


@contextmanager
def full_disk_explained(folder: Path, what: str) -> Iterator[None]:
    """Says what to do when the disk fills up meanwhile."""
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise OSError(
            error.errno,
            f'{what}: the disk of {folder.parent} has filled up while it was '
            f'built ({shutil.disk_usage(folder.parent).free} bytes are free '
            f'now). Nothing of it is left there. {_ROOM}') from error


class Builder:
    """Writes the files of a cache; its arrays are those of ``CropCache``.

    Args:
        part (Path): Empty folder.
        source (Source): Images.
        limit (int): Longest side of a crop in pixels.
        square (Callable): Which square of the image is needed.
        broken (BrokenSamples): What happens to broken samples.
    """

    def __init__(self, part: Path, source: Source, limit: int,
                 square: Square, broken: BrokenSamples) -> None:
        count = len(source)
        self.part, self.source, self.limit = part, source, limit
        self.square, self.broken = square, broken
        self.start = np.zeros(count, np.int64)
        self.size = np.ones((count, 2), np.int64)
        self.origin = np.zeros((count, 2))
        self.scale = np.ones((count, 2))
        self.shape = np.zeros((count, 2), np.int32)
        self.why = [''] * count
        self.extra: dict[str, np.ndarray] = {}

    def run(self, key: str, threads: int) -> None:
        """Reads everything and writes everything."""
        source, count = self.source, len(self.source)
        progress = Progress(count)
        header = dict(descr='|u1', fortran_order=False)
        with (self.part / IMAGES).open('wb') as file:
            # The length is not known yet; a number that takes as much room.
            np.lib.format.write_array_header_1_0(
                file, dict(header, shape=(10**18, )))
            begin = file.tell()
            for results in _in_order(source, threads):
                for index, image, info in results:
                    if source.embedded:
                        self._keep(index, info, count)
                    crop = self._crop(index, image, info)
                    self.start[index] = file.tell() - begin
                    file.write(crop.data)
                progress.update(len(results))
            length = file.tell() - begin
            file.seek(0)
            np.lib.format.write_array_header_1_0(
                file, dict(header, shape=(length, )))
            assert file.tell() == begin, 'the header has changed its length'
        np.savez(self.part / INDEX, start=self.start, size=self.size,
                 origin=self.origin, scale=self.scale, shape=self.shape,
                 broken=np.array(self.why),
                 channels=np.array(source.loading.channels), **self.extra)
        files = {name: (self.part / name).stat().st_size
                 for name in (IMAGES, INDEX)}
        (self.part / MANIFEST).write_text(json.dumps(dict(
            version=VERSION, key=key, people=count, limit=self.limit,
            bytes=files, broken=sum(map(bool, self.why)),
            reduced=int((self.scale > 1).any(1).sum())), indent=1))
        progress.end()

    def _crop(self, index: int, image: np.ndarray | BrokenSampleError,
              info: dict) -> np.ndarray:
        """The crop of a sample; one black pixel for a broken one."""
        nothing = np.zeros((1, 1, self.source.loading.channels), np.uint8)
        if isinstance(image, BrokenSampleError):
            self._report(index, image.reason, image.where)
            return nothing
        self.shape[index] = image.shape[:2]
        center, side = self.square(index, info)
        if not (np.isfinite(center).all() and 0 < side < np.inf):
            box = np.asarray(info.get('bbox')).tolist()
            self._report(index, f'its box {box} has no extent or is not '
                         'finite', str(info.get('img_path', '')))
            return nothing
        height, width = image.shape[:2]
        first, end, size = crop_region(center, side, (height, width),
                                       self.limit)
        self.size[index] = size
        self.scale[index] = (end - first) / size
        # A reduced pixel's centre is that of the area it averages.
        self.origin[index] = first + (self.scale[index] - 1) / 2
        crop = image[first[1]:end[1], first[0]:end[0]]
        if (size != end - first).any():
            crop = cv2.resize(crop, size.tolist(),
                              interpolation=cv2.INTER_AREA)
        return np.ascontiguousarray(crop)

    def _report(self, index: int, reason: str, where: str) -> None:
        self.broken.report(self.source.sample(index), reason, where)
        self.why[index] = reason

    def _keep(self, index: int, info: dict, count: int) -> None:
        """Keeps the annotations that came with an image."""
        for name in EMBEDDED:
            if name in info:
                value = np.asarray(info[name])
                if name not in self.extra:
                    self.extra[name] = np.zeros((count, *value.shape),
                                                value.dtype)
                self.extra[name][index] = value


def _in_order(source: Source, threads: int) -> Iterator[list]:
    """Results of all groups; some are read ahead in threads."""
    groups = source.groups()
    if threads < 2 or source.embedded:
        yield from map(source.read, groups)
        return
    with ThreadPoolExecutor(threads) as pool:
        waiting: deque[Future] = deque()
        try:
            for group in groups:
                waiting.append(pool.submit(source.read, group))
                if len(waiting) > 2 * threads:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()


class Progress:
    """mmengine's progress bar on a terminal, lines of the log elsewhere.

    Args:
        total (int): People to crop.
    """

    def __init__(self, total: int) -> None:
        self.total, self.done, self.pending = total, 0, 0
        self.bar = ProgressBar(total) if sys.stdout.isatty() else None
        self.timer, self.said = Timer(), 0.

    def update(self, count: int) -> None:
        """Counts people; shows it twice a second, or every ten seconds."""
        self.done += count
        self.pending += count
        now = self.timer.since_start()
        if now - self.said < (.5 if self.bar else 10.):
            return
        self.said = now
        if self.bar:
            self.bar.update(self.pending)
        else:
            left = now / self.done * (self.total - self.done)
            print_log(f'{self.done} of {self.total} people cropped, '
                      f'{self.done / now:.0f} a second, {left:.0f} s to go',
                      logger='current')
        self.pending = 0

    def end(self) -> None:
        """Shows the end."""
        if self.bar:
            if self.pending:
                self.bar.update(self.pending)
            sys.stdout.write('\n')
        print_log(f'{self.total} people cropped in '
                  f'{self.timer.since_start():.0f} s', logger='current')
