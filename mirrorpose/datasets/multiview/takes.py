"""Which captured clips are filmed, when, and who performs them."""
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from mmpose.registry import DATASETS

from ..sequences.clips import SKELETON as SKELETON_28
from ..sequences.clips import MotionClips
from ..sequences.sources import MotionSource
from ..synthetic.rng import keyed_rng
from .driven import world_joints
from .sources import file_stamp
from .views import SKELETON

#: From the 28 joints of captured motion to those of the views.
TO_17 = SKELETON_28.matrix(SKELETON)


@dataclass(frozen=True)
class Take:
    """One clip as it is filmed.

    Attributes:
        name (str): With the person.
        person (str): Who is seen.
        identity (int): Clothes and girth.
        group (str): The source's group.
        joints (np.ndarray): (T, 28, 3) mm, z up, ground at 0.
        frames (np.ndarray): (T,) numbers of the captured frames.
        seconds (np.ndarray): (T,).
    """

    name: str
    person: str
    identity: int
    group: str
    joints: np.ndarray
    frames: np.ndarray
    seconds: np.ndarray


class MotionTakes:
    """Chooses clips and instants of motion sources and who performs them.

    A person is an appearance and belongs to one group of the source, so
    that what holds out groups holds out people, too.

    Args:
        sources (Sequence[dict]): Motion sources.
        people (int): Appearances of each group; its clips are dealt to them
            in turns.
        fps (float): Instants a second.
        clips (int, optional): At most so many clips a person, chosen by a
            hash. None: all.
        seconds (float, optional): At most so many of each clip.
        seed (int): Of appearances and choices.

    Raises:
        ValueError: An argument is out of range.
    """

    def __init__(self, sources: Sequence[dict], people: int, fps: float,
                 clips: int | None, seconds: float | None,
                 seed: int) -> None:
        if people < 1 or fps <= 0 or (clips is not None and clips < 1) or (
                seconds is not None and seconds <= 0):
            raise ValueError('people, fps, clips and seconds must be '
                             f'positive; got {people}, {fps}, {clips} and '
                             f'{seconds}')
        self.sources, self.people, self.fps = list(sources), people, fps
        self.clips, self.seconds, self.seed = clips, seconds, seed

    def key(self, data_root: str) -> dict[str, Any]:
        """What the takes depend on."""
        stamps = [file_stamp(p) for s in self.sources if 'file' in s
                  for p in [Path(data_root) / s['file']] if p.is_file()]
        sources = [{k: v for k, v in s.items() if k != 'held_out'}
                   for s in self.sources]
        return dict(sources=sources, people=self.people, fps=self.fps,
                    clips=self.clips, seconds=self.seconds, seed=self.seed,
                    files=stamps)

    def load(self, data_root: str) -> list[Take]:
        """All takes, in the order of the sources.

        Raises:
            FileNotFoundError: A file is missing.
            ValueError: No clip has all joints.
        """
        takes: list[Take] = []
        for config in self.sources:
            source = DATASETS.build(config)
            if not isinstance(source, MotionSource):
                raise TypeError(f'{config.get("type")} is no MotionSource')
            takes += self._of_source(source, source.load(data_root))
        if not takes:
            raise ValueError('no clip of the motion sources has all 28 '
                             'joints')
        return takes

    def _of_source(self, source: MotionSource,
                   motion: MotionClips) -> list[Take]:
        whole = np.array([motion.present[s:s + n].all() for s, n in zip(
            motion.start, motion.length)], bool)
        groups = sorted(set(motion.groups))
        takes = []
        for group in groups:
            mine = [i for i in np.flatnonzero(whole)
                    if motion.groups[i] == group]
            order = keyed_rng(self.seed, 'takes', source.name,
                              group).permutation(len(mine))
            counts = dict.fromkeys(range(self.people), 0)
            for turn, place in enumerate(order.tolist()):
                person = turn % self.people
                if self.clips is not None and counts[person] >= self.clips:
                    break
                counts[person] += 1
                takes.append(self._take(source, motion, mine[place],
                                        group, person))
        return takes

    def _take(self, source: MotionSource, motion: MotionClips, clip: int,
              group: str, person: int) -> Take:
        # Seeds of identities are far from those of the world's samples.
        rng = keyed_rng(self.seed, 'dressed', source.name, group, person)
        length = int(motion.length[clip])
        step = max(round(motion.fps / self.fps), 1)
        last = length if self.seconds is None else min(
            length, round(self.seconds * motion.fps))
        frames = np.arange(0, max(last, 1), step)
        rows = motion.start[clip] + frames
        every = slice(int(motion.start[clip]),
                      int(motion.start[clip]) + length)
        ground = np.percentile(
            (motion.positions[every] + motion.root[every][:, None])[
                ..., 1].min(1), 1)
        points = motion.positions[rows] + motion.root[rows][:, None]
        points = points - np.array([0, ground, 0], np.float32)
        who = f'{group}_{person:02d}'
        return Take(
            f'{who}/{motion.names[clip]}', who, int(rng.integers(1 << 40)),
            group, world_joints(points), frames, frames / motion.fps)


def takes_to_columns(takes: Sequence[Take]) -> dict[str, np.ndarray]:
    """Columns of clips and instants of :class:`Views`."""
    length = [len(t.frames) for t in takes]
    return dict(
        subjects=np.array([t.person for t in takes]),
        actions=np.array([t.name.split('/')[-1] for t in takes]),
        clips=np.array([t.name for t in takes]),
        groups=np.array([t.group for t in takes]),
        clip=np.repeat(np.arange(len(takes)), length),
        frame=np.concatenate([t.frames for t in takes]),
        seconds=np.concatenate([t.seconds for t in takes]),
        up=np.tile(np.array([0, 0, 1], np.float32), (len(takes), 1)))
