"""Where frames come from.

A source is a registered class whose :meth:`FrameSource.scan` names clips and
whose :meth:`FrameSource.images` reads one, so that a data set's ``sources``
can name it in a config::

    sources=[dict(type='FrameFolders', folder='videos/crops.zip')]
"""
from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
from mmengine.logging import print_log

from mirrorpose.structures.skeleton import Skeleton

from ..lsp import default_data_root
from .cache import VERSION, FrameCache, ReadClip
from .clips import HALVES, Clip, digest, share_groups
from .squares import CROPS, boxes_of, cut, frame_squares, to_crop


class FrameSource(ABC):
    """Clips of one kind. Subclasses write :meth:`scan` and :meth:`images`.

    Args:
        name (str): What the names of its clips begin with.
        crop (str): ``'whole'``, ``'centre'``, ``'clip'`` or ``'frame'``; see
            :func:`squares.frame_squares`. Defaults to ``'whole'``.
        padding (float): Side of the square over the box, for ``'clip'`` and
            ``'frame'``. Defaults to 1.25.
        stride (int): Every so many-th frame is taken. Defaults to 1.
        half (str, optional): ``'first'`` or ``'second'`` half of every clip
            (the paper: images from the first, poses from the second).
            Defaults to both.
        min_frames (int): Shorter clips are left out, and how many is
            logged. Defaults to 1.
        split (Mapping, optional): Parts of the groups (people), see
            :func:`clips.share_groups`. Defaults to none.
        part (str, optional): Which of them. Defaults to all groups.
        split_seed (int): Defaults to 0.
        actions (Sequence[str], optional): Only clips of these. Defaults to
            all.

    Attributes:
        skeleton (Skeleton, optional): The joints of the annotation, known
            once the source is scanned; None where there is none.

    Raises:
        ValueError: An argument is out of range.
    """

    skeleton: Skeleton | None = None

    def __init__(self, name: str, crop: str = 'whole', padding: float = 1.25,
                 stride: int = 1, half: str | None = None,
                 min_frames: int = 1,
                 split: Mapping[str, float | Sequence[str]] | None = None,
                 part: str | None = None, split_seed: int = 0,
                 actions: Sequence[str] | None = None) -> None:
        if crop not in CROPS:
            raise ValueError(f'crop must be one of {CROPS}, got {crop!r}')
        if padding <= 0 or stride < 1 or min_frames < 1:
            raise ValueError(
                'padding must be positive, stride and min_frames at least 1, '
                f'got {padding}, {stride} and {min_frames}')
        if half is not None and half not in HALVES:
            raise ValueError(f'half must be one of {list(HALVES)}, got '
                             f'{half!r}')
        if part is not None and part not in (split or {}):
            raise ValueError(f'part {part!r} is none of split, which has '
                             f'{list(split or {})}')
        if split and part is None:
            raise ValueError(f'split has {list(split)}: say which with part=')
        self.name, self.crop, self.padding = name, crop, padding
        self.stride, self.half, self.min_frames = stride, half, min_frames
        self.split, self.part, self.split_seed = split, part, split_seed
        self.actions = actions

    # -- what a source says ------------------------------------------------
    @abstractmethod
    def scan(self, root: Path) -> list[Clip]:
        """Names all clips, with what is annotated; reads no image.

        Args:
            root (Path): The data root.
        """

    @abstractmethod
    def images(self, clip: Clip) -> Iterator[np.ndarray]:
        """Reads the images of a clip, (H, W, 3) uint8 BGR, in order."""

    def masks(self, clip: Clip) -> Iterator[np.ndarray] | None:
        """Reads the person's masks, (H, W) uint8, 255 inside; None: none."""
        return None

    def annotate(self, clip: Clip) -> Clip:
        """A clip with its keypoints, where they are not cheap to scan."""
        return clip

    def shape(self, clip: Clip) -> tuple[int, int]:
        """(height, width) of the images of a clip."""
        height, width = next(iter(self.images(clip.rows(slice(0, 1))))
                             ).shape[:2]
        return height, width

    # -- what the data sets ask --------------------------------------------
    def select(self, data_root: str | None = None) -> list[Clip]:
        """The clips of this part, half and stride.

        Raises:
            FileNotFoundError: The data are missing.
            ValueError: No clip is left.
        """
        root = Path(default_data_root() if data_root is None else data_root)
        clips = found = self.scan(root)
        if self.actions is not None:
            wanted = {a.lower() for a in self.actions}
            unknown = wanted - {c.action.lower() for c in clips}
            if unknown:
                raise ValueError(
                    f'{self.name}: no clip has the actions '
                    f'{sorted(unknown)}; there are '
                    f'{sorted({c.action for c in clips})}')
            clips = [c for c in clips if c.action.lower() in wanted]
        if self.split:
            parts = share_groups([c.group for c in clips], self.split,
                                 self.split_seed, self.name)
            clips = [c for c in clips if parts.get(c.group) == self.part]
        if self.half:
            clips = [c.half(self.half) for c in clips]
        if self.stride > 1:
            clips = [c.rows(slice(None, None, self.stride)) for c in clips]
        kept = [c for c in clips if len(c) >= self.min_frames]
        if len(kept) < len(clips):
            print_log(f'{self.name}: {len(clips) - len(kept)} of '
                      f'{len(clips)} clips have fewer than '
                      f'{self.min_frames} frames and are left out', 'current')
        if not kept:
            raise ValueError(f'{self.name}: none of {len(found)} clips is '
                             f'left with part={self.part!r}, '
                             f'half={self.half!r}, '
                             f'min_frames={self.min_frames}')
        return kept

    def squares(self, clip: Clip, shape: tuple[int, int]) -> np.ndarray:
        """(T, 3) what is cut out of each frame: left, top, side."""
        boxes = clip.boxes
        if boxes is None and clip.keypoints is not None:
            assert clip.visible is not None
            boxes = boxes_of(clip.keypoints, clip.visible)
        return frame_squares(self.crop, shape, len(clip), boxes,
                             self.padding, f'{self.name}/{clip.name}')

    def open(self, clips: Sequence[Clip], size: int, masked: bool,
             cache_dir: Path) -> FrameCache:
        """The frames of clips at a size, from the cache.

        Args:
            clips (Sequence[Clip]): Of :meth:`select`.
            size (int): Side in pixels.
            masked (bool): Black out what lies outside the masks.
            cache_dir (Path): Folder of all caches.
        """
        key = digest(VERSION, type(self).__name__, size, masked, self.crop,
                     self.padding, *(v for c in clips for v in (
                         c.name, c.frames, c.stamp, c.boxes, c.keypoints,
                         c.visible)))
        return FrameCache.open(
            cache_dir, self.name.replace('/', '_'), key, size,
            sum(map(len, clips)),
            [self._reader(c, size, masked) for c in clips],
            [c.name for c in clips])

    def _reader(self, clip: Clip, size: int, masked: bool):
        def read() -> ReadClip:
            found = self.annotate(clip)
            state: dict[str, np.ndarray] = {}
            where = f'{self.name}/{clip.name}'

            def frames() -> Iterator[np.ndarray]:
                masks = self.masks(clip) if masked else None
                if masked and masks is None:
                    raise ValueError(
                        f'{where}: masks=True, but the source has none; pass '
                        'masks=False')
                shape = None
                for i, image in enumerate(self.images(clip)):
                    if shape is None:
                        shape = (image.shape[0], image.shape[1])
                        state['squares'] = self.squares(found, shape)
                    elif image.shape[:2] != shape:
                        raise ValueError(
                            f'{where}: frame {clip.frames[i]!r} has '
                            f'{image.shape[1]} x {image.shape[0]} pixels, '
                            f'the first one {shape[1]} x {shape[0]}; the '
                            'frames of a clip have one size. Resize them, '
                            'or make two clips of it')
                    square = state['squares'][i]
                    crop = cut(image, square, size)
                    if masks is not None:
                        mask = next(masks)
                        if mask.shape != shape:
                            raise ValueError(
                                f'{where}: mask and image of frame '
                                f'{clip.frames[i]!r} differ in size, '
                                f'{mask.shape} and {shape}')
                        share = cut(mask, square, size).astype(np.uint16)
                        crop = ((crop * share[..., None] + 127) // 255
                                ).astype(np.uint8)
                    yield crop

            def keypoints() -> np.ndarray:
                if found.keypoints is None or found.visible is None:
                    return np.zeros((len(clip), 0, 3), np.float32)
                seen = to_crop(found.keypoints, state['squares'], size)
                flags = (np.asarray(found.visible) > 0).astype(np.float32)
                return np.concatenate([seen, flags[..., None]], -1)

            return ReadClip(frames(), keypoints, lambda: state['squares'])

        return read
