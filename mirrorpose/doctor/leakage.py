"""Images that stand on both sides of a split.

Equal files are found by size and CRC-32, which a zip archive holds already,
and confirmed byte by byte. Almost equal ones (scaled, recompressed) are
found by a perceptual hash and confirmed by their small grey pictures; they
are to be looked at, not to be trusted.
"""
from __future__ import annotations

import zlib
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import cv2
import mmengine.fileio as fileio
import numpy as np

from mirrorpose.datasets.zip_backend import (
    PREFIX,
    open_archive,
    split_zip_path,
)

#: (size in bytes, CRC-32) of a file.
Stamp = tuple[int, int]

_SIDE = 16


class Pair(NamedTuple):
    """A path of one side, and the equal one of the other."""

    one: str
    other: str


def _crc(path: str) -> int:
    value = 0
    with Path(path).open('rb') as file:
        while block := file.read(1 << 20):
            value = zlib.crc32(block, value)
    return value


def _size(path: str) -> int | None:
    if path.startswith(PREFIX):
        archive, member = split_zip_path(path)
        return open_archive(archive).getinfo(member).file_size
    try:
        return Path(path).stat().st_size
    except OSError:
        return None


def equal_files(one: Iterable[str], other: Iterable[str]) -> list[Pair]:
    """Files of equal content on two sides.

    Args:
        one (Iterable[str]): Paths, of files or ``zip://`` members.
        other (Iterable[str]): The other side's.

    Returns:
        list[Pair]: By the other side's path. Files that are on both sides
        are equal to themselves; what cannot be read is left out.
    """
    first, second = list(dict.fromkeys(one)), list(dict.fromkeys(other))
    sizes = [{p: _size(p) for p in side} for side in (first, second)]
    shared = {s for s in sizes[0].values() if s is not None} & {
        s for s in sizes[1].values() if s is not None}

    def stamps(side: Mapping[str, int | None]) -> dict[Stamp, list[str]]:
        found: dict[Stamp, list[str]] = defaultdict(list)
        for path, size in side.items():
            if size not in shared or size is None:
                continue  # no file of the other side is as long
            if path.startswith(PREFIX):
                archive, member = split_zip_path(path)
                crc = open_archive(archive).getinfo(member).CRC
            else:
                crc = _crc(path)
            found[(size, crc)].append(path)
        return found

    mine, theirs = stamps(sizes[0]), stamps(sizes[1])
    pairs = []
    for stamp, paths in theirs.items():
        for path in paths:
            pairs += [Pair(match, path) for match in mine.get(stamp, ())
                      if match == path or fileio.get(match)
                      == fileio.get(path)][:1]
    return pairs


def small_grey(image: np.ndarray) -> np.ndarray:
    """An image as (16, 16) float32 of mean 0 and deviation 1.

    Args:
        image (np.ndarray): (H, W, 3) uint8 BGR.
    """
    grey = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)
    small = cv2.resize(grey, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA)
    values = small.astype(np.float32)
    return (values - values.mean()) / max(float(values.std()), 1e-3)


def perceptual_hash(small: np.ndarray) -> np.ndarray:
    """64 bits of an image: signs of its lowest cosine frequencies.

    The 8 x 8 lowest without the mean, against their median (pHash).

    Args:
        small (np.ndarray): (N, 16, 16), see :func:`small_grey`.

    Returns:
        np.ndarray: (N, 8) uint8.
    """
    n = np.arange(_SIDE)
    basis = np.cos(np.pi * (2 * n[None] + 1) * np.arange(1, 9)[:, None]
                   / (2 * _SIDE))
    waves = np.einsum('ui,nij,vj->nuv', basis, small, basis)
    flat = waves.reshape(len(small), 64)
    return np.packbits(flat > np.median(flat, axis=1, keepdims=True), axis=1)


def near_pairs(one: np.ndarray, other: np.ndarray, bits: int = 8,
               difference: float = 0.25,
               block: int = 512) -> list[tuple[int, int]]:
    """Almost equal images of two sides.

    Args:
        one (np.ndarray): (N, 16, 16), see :func:`small_grey`.
        other (np.ndarray): (M, 16, 16).
        bits (int): Bits of 64 in which the hashes may differ. Defaults to 8.
        difference (float): Mean absolute difference of the small pictures,
            in deviations, up to which they are taken for equal. Defaults to
            0.25.
        block (int): Rows that are compared at once.

    Returns:
        list[tuple[int, int]]: Indices into both, by the second's.
    """
    mine, theirs = (perceptual_hash(s).view(np.uint64).ravel()
                    for s in (one, other))
    found = []
    for start in range(0, len(theirs), block):
        part = theirs[start:start + block]
        distance = _popcount(mine[None] ^ part[:, None])
        rows, columns = np.nonzero(distance <= bits)
        gap = np.abs(other[start + rows] - one[columns]).mean(axis=(1, 2))
        found += [(int(c), int(start + r)) for r, c, g in
                  zip(rows, columns, gap) if g <= difference]
    return found


_BITS = np.array([bin(i).count('1') for i in range(256)], np.uint8)


def _popcount(values: np.ndarray) -> np.ndarray:
    parts = np.ascontiguousarray(values).view(np.uint8)
    return _BITS[parts].reshape(*values.shape, 8).sum(-1)


def read_small(paths: Sequence[str],
               read: Callable[[str], np.ndarray]) -> tuple[np.ndarray,
                                                           list[str]]:
    """Small pictures of files; those that cannot be read are left out.

    Args:
        paths (Sequence[str]): Images.
        read (Callable): Gives (H, W, 3) uint8 BGR.

    Returns:
        tuple[np.ndarray, list[str]]: (N, 16, 16) and the N paths.
    """
    out, kept = [], []
    for path in dict.fromkeys(paths):
        try:
            out.append(small_grey(read(path)))
        except (ValueError, OSError):
            continue
        kept.append(path)
    return (np.stack(out) if out else np.zeros((0, _SIDE, _SIDE),
                                               np.float32), kept)
