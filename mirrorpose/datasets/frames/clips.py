"""What a clip is called, whose it is, and which part of it is taken."""
from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import Any

import numpy as np

#: What ``half`` can be, and the ending that it gives to a clip's name.
HALVES = {'first': '#1/2', 'second': '#2/2'}


@dataclass(frozen=True)
class Clip:
    """One clip, before its images are read.

    Attributes:
        name (str): Distinct within its source.
        group (str): The person (or whatever may not be on two sides).
        frames (tuple): What the source reads its frames by: file names,
            numbers.
        stamp (str): What the content of the images depends on.
        keypoints (np.ndarray, optional): (T, K, 2) pixels of the stored
            images, (0, 0) the centre of the first pixel.
        visible (np.ndarray, optional): (T, K), positive where annotated.
        boxes (np.ndarray, optional): (T, 4) x1, y1, x2, y2 in pixels.
        scale (float | np.ndarray): Pixels of the original image in one of
            the stored; of all frames, or (T,).
        action (str): What is done, for tables; may be ''.
    """

    name: str
    group: str
    frames: tuple
    stamp: str = ''
    keypoints: np.ndarray | None = None
    visible: np.ndarray | None = None
    boxes: np.ndarray | None = None
    scale: float | np.ndarray = 1.
    action: str = ''

    def __post_init__(self) -> None:
        for what in ('keypoints', 'visible', 'boxes'):
            value = getattr(self, what)
            if value is not None and len(value) != len(self.frames):
                raise ValueError(
                    f'clip {self.name!r} has {len(self.frames)} frames, but '
                    f'{len(value)} rows of {what}')
        if (self.keypoints is None) != (self.visible is None):
            raise ValueError(f'clip {self.name!r}: keypoints and visible '
                             'come together')

    def __len__(self) -> int:
        return len(self.frames)

    def rows(self, chosen: slice) -> Clip:
        """The clip with some of its frames only."""
        def cut(value: np.ndarray | None) -> np.ndarray | None:
            return None if value is None else value[chosen]

        return replace(
            self, frames=self.frames[chosen], keypoints=cut(self.keypoints),
            visible=cut(self.visible), boxes=cut(self.boxes),
            scale=self.scale if np.ndim(self.scale) == 0 else np.asarray(
                self.scale)[chosen])

    def half(self, which: str) -> Clip:
        """The first or second half, named so.

        Of an odd number of frames the second half has one more.
        """
        middle = len(self) // 2
        part = slice(None, middle) if which == 'first' else slice(middle,
                                                                  None)
        return replace(self.rows(part), name=self.name + HALVES[which])


def shared_clips(one: Iterable[str], other: Iterable[str]) -> list[str]:
    """Clips of which both sides hold frames.

    Two different halves of one clip share none.

    Args:
        one (Iterable[str]): Names of clips, with the ending of a half where
            only that half is held.
        other (Iterable[str]): As well.

    Returns:
        list[str]: Names without the ending, sorted.
    """
    def parts(names: Iterable[str]) -> dict[str, set[str]]:
        out: dict[str, set[str]] = {}
        for name in names:
            base, mark, ending = name.rpartition('#')
            whole = not mark or f'#{ending}' not in HALVES.values()
            out.setdefault(name if whole else base, set()).update(
                HALVES.values() if whole else {f'#{ending}'})
        return out

    left, right = parts(one), parts(other)
    return sorted(n for n in left.keys() & right.keys()
                  if left[n] & right[n])


def share_groups(groups: Sequence[str],
                 split: Mapping[str, float | Sequence[str]],
                 seed: int, where: str) -> dict[str, str]:
    """Says to which part of a split each group belongs.

    Parts that name groups (patterns as of ``fnmatch``) take theirs first.
    The others take shares of the rest, ranked by
    ``sha256(f'{seed}:{group}')``, in the order of the split; shares that
    are together 1 leave none over.

    Args:
        groups (Sequence[str]): With repetitions.
        split (Mapping[str, float | Sequence[str]]): Name of a part to its
            share in (0, 1], or to names of groups.
        seed (int): Of the ranking.
        where (str): The source, for messages.

    Returns:
        dict: Group to part; groups that no part takes are left out.

    Raises:
        ValueError: A share is out of range, an unknown or shared group, or
            a part that is left with none.
    """
    names = sorted(set(groups))
    parts: dict[str, str] = {}
    shares: dict[str, float] = {}
    for part, wanted in split.items():
        if isinstance(wanted, (int, float)):
            if not 0 < wanted <= 1:
                raise ValueError(f'{where}: split[{part!r}] must be names or '
                                 f'a share in (0, 1], got {wanted}')
            shares[part] = float(wanted)
            continue
        for pattern in ([wanted] if isinstance(wanted, str) else wanted):
            hits = [n for n in names if fnmatchcase(n, pattern)]
            if not hits:
                raise ValueError(f'{where}: split[{part!r}] names '
                                 f'{pattern!r}, but the groups are '
                                 f'{names[:8]} ... ({len(names)})')
            for name in hits:
                if parts.setdefault(name, part) != part:
                    raise ValueError(f'{where}: the group {name!r} belongs '
                                     f'to {parts[name]!r} and to {part!r}')
    if sum(shares.values()) > 1 + 1e-9:
        raise ValueError(f'{where}: the shares {shares} exceed 1')
    rest = sorted((n for n in names if n not in parts), key=lambda n:
                  hashlib.sha256(f'{seed}:{n}'.encode()).digest())
    low = 0.
    for part, share in shares.items():
        high = low + share
        chosen = rest[round(low * len(rest)):round(high * len(rest))]
        if not chosen:
            raise ValueError(f'{where}: split[{part!r}]={share} of '
                             f'{len(rest)} groups leaves none')
        parts.update(dict.fromkeys(chosen, part))
        low = high
    return parts


def digest(*content: Any) -> str:
    """16 hex digits of arrays and of whatever has a ``repr``."""
    out = hashlib.sha256()
    for part in content:
        if isinstance(part, np.ndarray):
            out.update(repr((part.shape, part.dtype.str)).encode())
            out.update(np.ascontiguousarray(part).tobytes())
        else:
            out.update(f'{part!r}\n'.encode())
    return out.hexdigest()[:16]
