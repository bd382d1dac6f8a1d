"""What the converters in ``tools/dataset_converters/`` share."""
from __future__ import annotations

import io
import shutil
import sys
import tempfile
import time
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import cv2
import numpy as np
from PIL import Image

from .zip_backend import open_archive

_T = TypeVar('_T')


class ConversionError(ValueError):
    """The source is not what the converter expects; the text says why."""


class Source:
    """Files of a folder or of a zip archive, alike.

    A folder may hold its images in an ``images.zip``.

    Args:
        path (str | Path): The folder or archive.

    Raises:
        ConversionError: It does not exist, or is neither.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self._archives: dict[str, tuple[Path, str]] = {}
        if self.path.is_dir():
            files = sorted(f for f in self.path.rglob('*') if f.is_file())
            self.names = [f.relative_to(self.path).as_posix() for f in files]
            inner = self.path / 'images.zip'
            if inner.is_file():
                for name in open_archive(inner).namelist():
                    self._archives[f'images/{name}'] = (inner, name)
                self.names += list(self._archives)
        elif self.path.is_file() and zipfile.is_zipfile(self.path):
            self.names = [n for n in open_archive(self.path).namelist()
                          if not n.endswith('/')]
            self._archives = {n: (self.path, n) for n in self.names}
        elif self.path.exists():
            raise ConversionError(f'{self.path} is neither a folder nor a '
                                  'complete zip archive; get it anew')
        else:
            raise ConversionError(f'{self.path} does not exist')

    def read(self, name: str) -> bytes:
        """Reads one file.

        Raises:
            ConversionError: The member's check sum is wrong.
        """
        if name not in self._archives:
            return (self.path / name).read_bytes()
        archive, member = self._archives[name]
        try:
            return open_archive(archive).read(member)
        except zipfile.BadZipFile as error:
            raise ConversionError(f'{member} in {archive} is damaged: '
                                  f'{error}') from error

    def find(self, name: str) -> str:
        """Finds a file by its name, the least nested one.

        Raises:
            ConversionError: There is none.
        """
        found = sorted((n for n in self.names if n.split('/')[-1] == name),
                       key=lambda n: (n.count('/'), n))
        if not found:
            raise ConversionError(
                f'{self.path} holds no {name}; it has '
                f'{sorted(self.names)[:8]} ... ({len(self.names)} files)')
        return found[0]


def decode_image(data: bytes, name: str) -> np.ndarray:
    """Decodes an image in full.

    OpenCV fills up a truncated JPEG in silence, so Pillow, which does not,
    looks first.

    Args:
        data (bytes): The file.
        name (str): Its name, for the message.

    Returns:
        np.ndarray: (H, W, 3) uint8 BGR.

    Raises:
        ConversionError: The image is truncated or cannot be decoded.
    """
    try:
        with Image.open(io.BytesIO(data)) as image:
            image.load()
            rgb = np.asarray(image.convert('RGB'))
    except (OSError, SyntaxError, ValueError) as error:
        raise ConversionError(
            f'image {name} cannot be read ({error}); the source is damaged, '
            'get it anew') from error
    return np.ascontiguousarray(rgb[..., ::-1])


def encode_image(image: np.ndarray, suffix: str) -> bytes:
    """Encodes an image (JPEG at quality 92, or PNG)."""
    options = [cv2.IMWRITE_JPEG_QUALITY, 92] if suffix == '.jpg' else []
    done, data = cv2.imencode(suffix, image, options)
    assert done, f'OpenCV cannot write {suffix}'
    return data.tobytes()


def crop_matrix(box: Sequence[float], size: int,
                padding: float) -> np.ndarray:
    """Affine map to a square crop around a box.

    Args:
        box (Sequence[float]): x1, y1, x2, y2.
        size (int): Side of the crop in pixels.
        padding (float): Side of the square over the longer side of the box.

    Returns:
        np.ndarray: (2, 3) float32, source to crop coordinates (pixel
        centres).
    """
    x1, y1, x2, y2 = box
    side = padding * max(x2 - x1, y2 - y1)
    scale = size / side
    corner = np.array([(x1 + x2) / 2, (y1 + y2) / 2]) - side / 2
    return np.array([[scale, 0, -scale * corner[0]],
                     [0, scale, -scale * corner[1]]], dtype=np.float32)


def warp(image: np.ndarray, matrix: np.ndarray, size: int) -> np.ndarray:
    """Warps an image, averaging where it shrinks.

    Args:
        image (np.ndarray): (H, W[, C]) uint8.
        matrix (np.ndarray): (2, 3), a scale and a shift.
        size (int): Side of the result.
    """
    scale = float(matrix[0, 0])
    if scale < 0.5:
        # Bilinear sampling skips pixels below half size.
        factor = int(1 / scale)
        height, width = (max(n // factor, 1) for n in image.shape[:2])
        small = cv2.resize(image, (width, height),
                           interpolation=cv2.INTER_AREA)
        matrix = matrix.copy()
        matrix[0, 0] *= image.shape[1] / width
        matrix[1, 1] *= image.shape[0] / height
        image = small
    return cv2.warpAffine(image, matrix, (size, size),
                          flags=cv2.INTER_LINEAR)


def progress(items: Sequence[_T], what: str) -> Iterator[_T]:
    """Yields the items and prints how far it is, ten times in all."""
    start, total = time.time(), len(items)
    for i, item in enumerate(items, 1):
        yield item
        if i == total or i % max(total // 10, 1) == 0:
            spent = time.time() - start
            print(f'{what}: {i}/{total}, {spent:.0f} s, '
                  f'{spent * (total - i) / i:.0f} s to go', flush=True)


@contextmanager
def written_together(folder: str | Path) -> Iterator[Path]:
    """Files appear in a folder together, or not at all.

    Yields a temporary folder beside it; at the end its files are renamed
    into place, the npz last, so that an interrupted conversion leaves
    nothing that looks complete.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    part = Path(tempfile.mkdtemp(prefix='.partial-', dir=folder))
    try:
        yield part
        for file in sorted(part.iterdir(),
                           key=lambda f: (f.suffix == '.npz', f.name)):
            file.replace(folder / file.name)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def write_zip(path: str | Path, files: Iterable[tuple[str, bytes]]) -> int:
    """Writes files into an uncompressed zip archive.

    Images are compressed already, and stored members are read fastest. The
    time stamps are fixed, so equal files give equal archives.

    Returns:
        int: How many files were written.
    """
    count = 0
    with zipfile.ZipFile(path, 'w', zipfile.ZIP_STORED) as archive:
        for name, data in files:
            archive.writestr(zipfile.ZipInfo(name), data)
            count += 1
    return count


def run_converter(main: Any, arguments: Sequence[str] | None = None) -> int:
    """Runs a converter's main and prints its errors in one line.

    Returns:
        int: Exit status, 1 after a :class:`ConversionError`.
    """
    try:
        main(arguments)
    except ConversionError as error:
        print(f'error: {error}', file=sys.stderr)
        return 1
    return 0
