"""Frames in image files and in videos."""
from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np
from mmpose.registry import DATASETS

from ..broken import BrokenSampleError
from ..reading import read_image
from ..zip_backend import open_archive, zip_path
from .clips import Clip, digest
from .sources import FrameSource

IMAGE_ENDINGS = ('.jpg', '.jpeg', '.png', '.bmp', '.webp')
#: Images that are decoded at once.
_THREADS, _CHUNK = 4, 128


def read_images(paths: Sequence[str]) -> Iterator[np.ndarray]:
    """Reads images, several at once, in order.

    Raises:
        BrokenSampleError: One cannot be read. Frames are read once, into a
            cache, so that there is no going on without it.
    """
    with ThreadPoolExecutor(_THREADS) as pool:
        for start in range(0, len(paths), _CHUNK):
            try:
                yield from pool.map(read_image, paths[start:start + _CHUNK])
            except BrokenSampleError as error:
                raise BrokenSampleError(
                    f'frame {error.where} cannot be read: {error.reason}. '
                    'Get the file anew, or take the frame out of its clip',
                    error.sample, error.reason, error.where) from error


def file_stamp(path: Path) -> str:
    """Size and time of a file: another content has another stamp."""
    stat = path.stat()
    return f'{path.absolute()}:{stat.st_size}:{stat.st_mtime_ns}'


class ImageFileSource(FrameSource):
    """Sources whose frames are image files; ``frames`` are their paths."""

    def images(self, clip: Clip) -> Iterator[np.ndarray]:
        """Reads the files."""
        yield from read_images(clip.frames)


@DATASETS.register_module()
class FrameFolders(ImageFileSource):
    """Folders of frames, or one zip archive with such folders.

    Each folder that holds images is a clip, its images in the order of
    their names are the frames (numbers in names count as numbers).

    Args:
        folder (str): Folder or ``.zip`` below the data root.
        groups (int): How many leading folders of a clip's path name its
            person; 0: every clip is its own. Defaults to 0.
        name (str, optional): Defaults to the folder's.
        stills (bool): Every image is a clip of its own, for
            ``StillPairDataset``. Defaults to False.
        others: See :class:`FrameSource`.

    Raises:
        FileNotFoundError: There is no such folder or no image in it.
    """

    def __init__(self, folder: str, groups: int = 0, name: str | None = None,
                 stills: bool = False, **kwargs) -> None:
        super().__init__(name or Path(folder).with_suffix('').as_posix(),
                         **kwargs)
        self.folder, self.groups, self.stills = folder, groups, stills

    def scan(self, root: Path) -> list[Clip]:
        """Lists the folders."""
        place = root / self.folder
        if place.is_dir():
            found = {p.relative_to(place).as_posix(): str(p)
                     for p in place.rglob('*')
                     if p.suffix.lower() in IMAGE_ENDINGS}
            stamps = {k: file_stamp(Path(v)) for k, v in found.items()}
        elif place.is_file() and place.suffix == '.zip':
            members = [n for n in open_archive(place).infolist()
                       if n.filename.lower().endswith(IMAGE_ENDINGS)]
            found = {m.filename: zip_path(place, m.filename) for m in members}
            stamps = {m.filename: f'{m.CRC}:{m.file_size}' for m in members}
        else:
            raise FileNotFoundError(
                f'frames not found: {place} is neither a folder nor a .zip. '
                'Set MIRRORPOSE_DATA (or data_root in the config) to the '
                f'folder that holds {self.folder}; data sets are prepared by '
                'the commands in tools/dataset_converters/')
        if not found:
            raise FileNotFoundError(f'{place} holds no images '
                                    f'({", ".join(IMAGE_ENDINGS)})')
        clips: dict[str, list[str]] = {}
        for name in found:
            key = (name.rpartition('.')[0] if self.stills else
                   name.rpartition('/')[0] or '.')
            clips.setdefault(key, []).append(name)
        out = []
        for clip, names in sorted(clips.items()):
            names.sort(key=_by_number)
            parts = clip.split('/')
            group = '/'.join(parts[:self.groups]) if self.groups else clip
            out.append(Clip(clip, group, tuple(found[n] for n in names),
                            digest([stamps[n] for n in names])))
        return out


def _by_number(name: str) -> tuple:
    """A key by which ``2.jpg`` comes before ``10.jpg``."""
    parts, digits = [], ''
    for char in name + '\0':
        if char.isdigit() and char.isascii():
            digits += char
            continue
        if digits:
            parts.append((0, int(digits), ''))
            digits = ''
        parts.append((1, 0, char))
    return tuple(parts)


@DATASETS.register_module()
class VideoFiles(FrameSource):
    """Video files that OpenCV decodes, each one clip.

    Args:
        files (str): A glob pattern below the data root, e.g.
            ``'clips/**/*.mp4'``.
        max_frames (int, optional): Only the first so many of each. Defaults
            to all.
        name (str): Defaults to ``'videos'``.
        others: See :class:`FrameSource`.

    Raises:
        FileNotFoundError: No file matches.
        ValueError: A file is no video, or ends before the frames that it
            announces and that were asked for.
    """

    def __init__(self, files: str, max_frames: int | None = None,
                 name: str = 'videos', **kwargs) -> None:
        super().__init__(name, **kwargs)
        self.files, self.max_frames = files, max_frames

    def scan(self, root: Path) -> list[Clip]:
        """Asks every file for its number of frames."""
        paths = sorted(p for p in root.glob(self.files) if p.is_file())
        if not paths:
            raise FileNotFoundError(
                f'no video matches {self.files!r} below {root}; set '
                'MIRRORPOSE_DATA (or data_root in the config) to the folder '
                'that holds them')
        out = []
        for path in paths:
            count = _count_frames(str(path), file_stamp(path))
            if self.max_frames:
                count = min(count, self.max_frames)
            name = path.relative_to(root).with_suffix('').as_posix()
            out.append(Clip(name, name, tuple(
                f'{path}@{i}' for i in range(count)), file_stamp(path)))
        return out

    def images(self, clip: Clip) -> Iterator[np.ndarray]:
        """Decodes the file once, in order."""
        path, _, first = clip.frames[0].rpartition('@')
        wanted = [int(f.rpartition('@')[2]) for f in clip.frames]
        video, at = cv2.VideoCapture(path), 0
        try:
            for number in wanted:
                while at < number and video.grab():
                    at += 1
                fine, image = video.read()
                if not fine:
                    raise ValueError(f'{path}: frame {number} of '
                                     f'{wanted[-1] + 1} cannot be decoded; '
                                     'the file is damaged, get it anew')
                at += 1
                yield image
        finally:
            video.release()


@lru_cache(maxsize=4096)
def _count_frames(path: str, stamp: str) -> int:
    """Frames of a video that can be decoded.

    Containers announce a number that may be a little off, or none at all:
    they are counted, once a process. One that ends long before the announced
    end is damaged.
    """
    video = cv2.VideoCapture(path)
    try:
        if not video.isOpened():
            raise ValueError(
                f'{path} is no video that OpenCV decodes; convert it, e.g. '
                'ffmpeg -i IN -c:v libx264 OUT.mp4, or, if it is damaged or '
                'cut off, get it anew or take it out of the folder (OpenCV '
                f'{cv2.__version__})')
        announced, count = int(video.get(cv2.CAP_PROP_FRAME_COUNT)), 0
        while video.grab():
            count += 1
    finally:
        video.release()
    if count < .9 * announced or not count:
        raise ValueError(
            f'{path} is damaged or cut off: get it anew, or take it out of '
            f'the folder ({count} of {max(announced, 1)} frames can be '
            'decoded)')
    return count
