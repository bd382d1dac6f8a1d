"""What the converters share: the layout that ``FrameArchive`` reads."""
from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mirrorpose.structures.skeleton import SKELETONS

from ..preparation import (
    ConversionError,
    encode_image,
    write_zip,
    written_together,
)
from .squares import boxes_of, cut, squares_around, to_crop


@dataclass
class PreparedFrame:
    """One frame of the prepared layout.

    Attributes:
        name (str): Member of ``images.zip``, with its ending.
        clip (str): Its clip.
        image (np.ndarray | bytes, optional): (H, W, 3) uint8 BGR, or the
            file as it is; None for poses alone.
        group (str): Its person; the clip by default.
        subset (str): ``'train'`` or ``'test'``.
        keypoints (np.ndarray, optional): (K, 2) pixels of the image.
        visible (np.ndarray, optional): (K,); all by default.
        mask (bytes, optional): PNG file.
        action (str): What is done.
        scale (float): Original pixels in one of the image.
        shape (tuple[int, int]): Height and width; of the image by default.
    """

    name: str
    clip: str
    image: np.ndarray | bytes | None = None
    group: str = ''
    subset: str = 'train'
    keypoints: np.ndarray | None = None
    visible: np.ndarray | None = None
    mask: bytes | None = None
    action: str = ''
    scale: float = 1.
    shape: tuple[int, int] = (0, 0)


def reduced(frame: PreparedFrame, size: int, padding: float
            ) -> PreparedFrame:
    """A square crop around the keypoints instead of the whole image.

    Args:
        frame (PreparedFrame): With an image array and keypoints.
        size (int): Side of the crop in pixels.
        padding (float): Side of the square over the longer side of the box.

    Raises:
        ConversionError: Fewer than two keypoints are visible.
    """
    assert isinstance(frame.image, np.ndarray)
    assert frame.keypoints is not None
    visible = (np.ones(len(frame.keypoints)) if frame.visible is None else
               frame.visible)
    box = boxes_of(frame.keypoints[None], visible[None])
    if not np.isfinite(box).all():
        raise ConversionError(f'{frame.name}: fewer than two visible '
                              'keypoints; there is nothing to crop around')
    square = squares_around(box, padding)
    frame.image = cut(frame.image, square[0], size)
    frame.keypoints = to_crop(frame.keypoints[None], square, size)[0]
    frame.scale *= float(square[0, 2]) / size
    frame.shape = size, size
    return frame


def write_frames(folder: str | Path, frames: Iterable[PreparedFrame],
                 joints: str | Sequence[str] | None) -> tuple[int, int]:
    """Writes the layout, all or nothing.

    Frames of one clip have to come one after the other.

    Args:
        folder (str | Path): E.g. ``DATA/penn_action``.
        frames (Iterable[PreparedFrame]): Read once, written as they come.
        joints (str | Sequence[str], optional): Joint set of the keypoints,
            or their names; None: there are none.

    Returns:
        tuple[int, int]: Frames and clips.

    Raises:
        ConversionError: There is no frame, or some have keypoints of another
            number, images or masks and others not.
    """
    count = (None if joints is None else len(SKELETONS[joints].joints)
             if isinstance(joints, str) else len(joints))
    rows: list[PreparedFrame] = []
    masks: list[tuple[str, bytes]] = []

    def images() -> Iterator[tuple[str, bytes]]:
        for frame in frames:
            have = None if frame.keypoints is None else len(frame.keypoints)
            if have != count:
                raise ConversionError(f'{frame.name} has {have} keypoints, '
                                      f'expected {count}')
            image, frame.image = frame.image, None
            rows.append(frame)
            if frame.mask is not None:
                masks.append((frame.name.rpartition('.')[0] + '.png',
                              frame.mask))
                frame.mask = None
            if isinstance(image, np.ndarray):
                frame.shape = (image.shape[0], image.shape[1])
                yield frame.name, encode_image(image, '.jpg')
            elif image is not None:
                yield frame.name, image

    with written_together(folder) as part:
        written = write_zip(part / 'images.zip', images())
        if not rows:
            raise ConversionError('the source has no frame')
        if written not in (0, len(rows)) or len(masks) not in (0, len(rows)):
            raise ConversionError(f'{written} images and {len(masks)} masks '
                                  f'for {len(rows)} frames')
        if not written:
            (part / 'images.zip').unlink()
        if masks:
            write_zip(part / 'masks.zip', masks)
        arrays = dict(
            names=np.array([f.name for f in rows]),
            clip=np.array([f.clip for f in rows]),
            group=np.array([f.group or f.clip for f in rows]),
            subset=np.array([f.subset for f in rows]),
            action=np.array([f.action for f in rows]),
            scale=np.array([f.scale for f in rows], np.float32))
        if all(f.shape != (0, 0) for f in rows):
            arrays['shape'] = np.array([f.shape for f in rows], np.int32)
        if joints is not None:
            arrays.update(
                joints=np.array(joints),
                keypoints=np.stack([np.asarray(f.keypoints, np.float32)
                                    for f in rows]),
                visible=np.stack([
                    np.ones(count or 0) if f.visible is None else f.visible
                    for f in rows]).astype(np.uint8))
        np.savez(part / 'frames.npz', **arrays)
    return len(rows), len({f.clip for f in rows})


def frame_command(text: str | None, source: str,
                  size: int | None = None) -> argparse.ArgumentParser:
    """The command line that converters of frames share.

    Args:
        text (str, optional): What it does, the converter's docstring.
        source (str): What the user names.
        size (int, optional): Default side of the crops, for converters that
            cut them.
    """
    parser = argparse.ArgumentParser(
        description=text, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument('source', help=source)
    parser.add_argument('--out', default='data',
                        help='data root to write to (default: data)')
    if size is not None:
        parser.add_argument(
            '--size', type=int, default=size, metavar='N',
            help=f'side of the crops in pixels (default: {size})')
    return parser


def convert_frames(
        parser: argparse.ArgumentParser, arguments: Sequence[str] | None,
        read: Callable[[argparse.Namespace], Iterator[PreparedFrame]],
        folder: str, joints: str | Sequence[str] | None) -> None:
    """Parses a command line, and writes what ``read`` yields.

    Args:
        parser (argparse.ArgumentParser): Of :func:`frame_command`.
        arguments (Sequence[str], optional): Defaults to the process's.
        read (Callable): Yields the frames.
        folder (str): Below ``--out``.
        joints (str | Sequence[str], optional): As of :func:`write_frames`.
    """
    args = parser.parse_args(arguments)
    place = Path(args.out) / folder
    frames, clips = write_frames(place, read(args), joints)
    print(f'{place}: {frames} frames of {clips} clips')
