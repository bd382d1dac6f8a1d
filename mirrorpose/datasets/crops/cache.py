"""Each person decoded and cropped once, into one memory-mapped array."""
from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.logging import print_log

from ..broken import BrokenSamples
from .building import (
    IMAGES,
    INDEX,
    MANIFEST,
    VERSION,
    Builder,
    Square,
    check_space,
    full_disk_explained,
)
from .locking import build_once
from .source import Source


def cache_key(source: Source, limit: int, geometry: Iterable[Any]) -> str:
    """SHA-256 over all that the crops of a data set depend on.

    Args:
        source (Source): Content of images, and how they are read.
        limit (int): Longest side of a crop in pixels.
        geometry (Iterable): Arrays, or anything with a ``repr``, that the
            crops depend on.
    """
    key = hashlib.sha256(f'{VERSION} {limit} {len(source)}\n'.encode())
    for part in geometry:
        if isinstance(part, np.ndarray):
            key.update(repr((part.shape, part.dtype.str)).encode())
            key.update(np.ascontiguousarray(part).data)
        else:
            key.update(repr(part).encode())
    for line in source.stamps():
        key.update(f'{line}\n'.encode())
    return key.hexdigest()


class CropCache:
    """The crops of one data set in a folder; opened once a process.

    ``images.npy`` is one flat array, a crop behind the other. A crop of C
    channels takes ``width * height * C`` bytes, at most ``limit ** 2 * C``
    and less where the person has fewer pixels or stands at the border.

    Args:
        folder (Path): A whole cache.

    Attributes:
        pixels (np.ndarray): uint8, memory-mapped.
        start (np.ndarray): (N,) int64, first byte of each crop.
        size (np.ndarray): (N, 2) int64, (w, h) of each crop.
        channels (int): 3, or 4 with silhouettes.
        origin (np.ndarray): (N, 2) and
        scale (np.ndarray): (N, 2) float64 (x, y): image pixel = origin +
            scale * crop pixel, pixel centres at integers. Where the scale is
            1 the origin is an integer, and the crop holds the image's own
            pixels.
        shape (np.ndarray): (N, 2) int32, (h, w) of the images.
        broken (np.ndarray): (N,) str, why a sample has no crop, or ''.
        extra (dict[str, np.ndarray]): Annotations of embedded data.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        with np.load(folder / INDEX, allow_pickle=False) as arrays:
            data = {k: arrays[k] for k in arrays.files}
        self.start, self.size = data.pop('start'), data.pop('size')
        self.origin, self.scale = data.pop('origin'), data.pop('scale')
        self.shape, self.broken = data.pop('shape'), data.pop('broken')
        self.channels = int(data.pop('channels'))
        self.extra = data
        self.pixels = np.load(folder / IMAGES, mmap_mode='r')

    def __getitem__(self, row: int) -> np.ndarray:
        """One crop (h, w, C)."""
        w, h = self.size[row].tolist()
        start = self.start[row]
        return self.pixels[start:start + w * h * self.channels].reshape(
            h, w, self.channels)

    def __getstate__(self) -> dict:
        return dict(folder=self.folder)

    def __setstate__(self, state: dict) -> None:
        type(self).__init__(self, state['folder'])

    def __len__(self) -> int:
        return len(self.start)

    @classmethod
    def open(cls, root: Path, key: str, source: Source, limit: int,
             square: Square, most: int, broken: BrokenSamples,
             threads: int = 1) -> CropCache:
        """Opens the cache of a data set, after building it if need be.

        Args:
            root (Path): Folder of the caches.
            key (str): See :func:`cache_key`.
            source (Source): Images.
            limit (int): Longest side of a crop in pixels.
            square (Callable): Which square of the image is needed.
            most (int): Bytes that the crops take at most.
            broken (BrokenSamples): What happens to broken samples. They are
                reported also when an existing cache holds them.
            threads (int): Images that are decoded at once. Defaults to 1.

        Raises:
            OSError: There is not enough space; nothing is written then.
            BrokenSampleError, RuntimeError: See ``BrokenSamples``.
        """
        folder = root / f'{source.name}-{key[:24]}'
        what = f'crop cache of {source.name}'

        def build(part: Path) -> None:
            check_space(part, most, len(source), what)
            print_log(f'{what}: {len(source)} people in crops of up to '
                      f'{limit} pixels, at most {most / 2**20:.0f} MiB in '
                      f'{folder}', logger='current')
            with full_disk_explained(part, what):
                Builder(part, source, limit, square, broken).run(key, threads)

        built = build_once(folder, find_flaw, build, what)
        cache = cls(folder)
        if not built:
            for i in np.nonzero(cache.broken != '')[0]:
                broken.report(source.sample(int(i)), str(cache.broken[i]))
        return cache


def find_flaw(folder: Path) -> str | None:
    """What is wrong with a cache, or None."""
    try:
        sizes = json.loads((folder / MANIFEST).read_text())['bytes']
        for name in (IMAGES, INDEX):
            found = (folder / name).stat().st_size
            if found != sizes[name]:
                return f'{name} has {found} bytes instead of {sizes[name]}'
    except FileNotFoundError as error:
        return f'{Path(str(error.filename)).name} is missing'
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return f'{MANIFEST} cannot be read'
    return None
