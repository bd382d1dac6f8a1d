"""Reading images: the pixels of mmpose's ``LoadImage``, or an error.

What comes back is always (H, W, 3) uint8 in BGR order, as OpenCV decodes it:

- grey, with or without alpha, palette and bilevel: three equal, or the
  palette's, channels;
- CMYK: the plain conversion ``R = (255 - C) (255 - K) / 255`` without colour
  profile, inverted values (Adobe) understood; within 1 of Pillow's;
- 16 bit a channel: the high byte, so the full range is taken to be 0..65535,
  and images that use a part of it come out dark (TIFF: within 1);
- alpha: dropped, not blended, so what transparent pixels hide is seen;
- EXIF orientation: applied (``'color'``), or not
  (``'color_ignore_orientation'``) where annotations refer to the stored
  rows and columns.

A JPEG must have its end marker and a PNG its end chunk: a truncated one is
an error even where a decoder fills up what is missing with grey. Damage in
the middle of a complete file is found only where the format has check sums
(PNG) or the archive does (``zip://``).
"""
from __future__ import annotations

import io
import warnings
from pathlib import Path

import cv2
import mmcv
import mmengine.fileio as fileio
import numpy as np
from PIL import Image

from .broken import HOW_TO_SKIP, BrokenSampleError

COLOR_TYPES = ('color', 'color_ignore_orientation')

_SOI, _EOI = b'\xff\xd8', b'\xff\xd9'
_PNG, _IEND = b'\x89PNG\r\n\x1a\n', b'IEND\xaeB`\x82'


def read_image(path: str | Path,
               color_type: str = 'color',
               backend_args: dict | None = None) -> np.ndarray:
    """Reads and checks one image file.

    Args:
        path (str | Path): A file that mmengine reads, e.g. ``zip://...``.
        color_type (str): One of ``COLOR_TYPES``. Defaults to ``'color'``.
        backend_args (dict, optional): As for ``mmengine.fileio.get``.

    Returns:
        np.ndarray: (H, W, 3) uint8 BGR.

    Raises:
        BrokenSampleError: The file is missing, cannot be read, is empty,
            truncated, or no image that OpenCV decodes.
        ValueError: ``color_type`` is unknown.
    """
    path = str(path)
    try:
        data = fileio.get(path, backend_args=backend_args)
    except FileNotFoundError as error:
        # The archive that is missing as a whole says how to prepare it.
        raise _broken(path, 'the file is missing',
                      '' if error.errno else str(error)) from error
    except (OSError, ValueError, RuntimeError) as error:
        raise _broken(path, 'the file cannot be read', str(error)) from error
    return decode_image(data, path, color_type)


def decode_image(data: bytes, path: str,
                 color_type: str = 'color') -> np.ndarray:
    """Decodes and checks the content of one image file.

    Args:
        data (bytes): The content.
        path (str): Its name, for messages.
        color_type (str): One of ``COLOR_TYPES``. Defaults to ``'color'``.

    Returns:
        np.ndarray: (H, W, 3) uint8 BGR.

    Raises:
        BrokenSampleError, ValueError: See :func:`read_image`.
    """
    if color_type not in COLOR_TYPES:
        raise ValueError(f'color_type is one of {COLOR_TYPES}, got '
                         f'{color_type!r}')
    if not data:
        raise _broken(path, 'the file is empty (zero bytes)')
    if is_truncated(data):
        raise _broken(path, 'the image is truncated',
                      f'{len(data)} bytes without an end')
    image, why = None, ''
    try:
        image = mmcv.imfrombytes(data, flag=color_type, backend='cv2')
    except cv2.error as error:
        why = str(error)
    if image is None:
        raise _broken(path, *_why_not(data, why))
    return image


def is_truncated(data: bytes) -> bool:
    """Whether a JPEG or PNG ends too early; False for other formats.

    What follows the end is ignored: cameras append previews and padding.
    The end marker of a thumbnail inside a JPEG's header is not its own.

    Args:
        data (bytes): Content of the file.
    """
    if data.startswith(_SOI):
        if data.endswith(_EOI):
            # Cut off right behind a thumbnail? Then it cannot be decoded.
            return False
        scan = _first_scan(data)
        return scan < 0 or data.rfind(_EOI, scan) < 0
    if data.startswith(_PNG):
        return not data.endswith(_IEND) and data.rfind(_IEND) < 0
    return False


def _first_scan(data: bytes) -> int:
    """Where the compressed pixels of a JPEG begin; -1 if nowhere."""
    at = len(_SOI)
    while at + 4 <= len(data) and data[at] == 0xFF:
        marker = data[at + 1]
        if marker == 0xFF:  # padding
            at += 1
            continue
        if marker == 0xDA:
            return at
        # Markers without a length: TEM and the restarts.
        alone = marker == 0x01 or 0xD0 <= marker <= 0xD7
        at += 2 if alone else 2 + int.from_bytes(data[at + 2:at + 4], 'big')
    return -1


def _why_not(data: bytes, error: str) -> tuple[str, str]:
    """Reason and details for content that OpenCV does not decode."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter('ignore')
            with Image.open(io.BytesIO(data)) as image:
                kind = image.format
                image.load()
    except Image.UnidentifiedImageError:
        return ('the image cannot be decoded',
                error or f'unknown format, begins with {data[:8]!r}')
    except Exception as pillow:  # decoders raise anything
        why = f'{pillow}'
        return ('the image is truncated' if 'truncated' in why.lower() else
                'the image cannot be decoded', why)
    return ('the image cannot be decoded',
            error or f'OpenCV {cv2.__version__} does not decode this {kind}, '
            'Pillow does: convert it to PNG')


def _broken(path: str, reason: str, details: str = '') -> BrokenSampleError:
    """The error, with what to do."""
    # Where the details hold the path, it is not said twice.
    details = details.replace(f'{path!r}', 'it').replace(path, 'it')
    more = f' ({" ".join(details.split())})' if details else ''
    return BrokenSampleError(
        f'{reason}: {path}{more}. Get the file anew, or take the sample out '
        f'of the data set; {HOW_TO_SKIP}',
        sample=path, reason=f'{reason}{more}', where=path)
