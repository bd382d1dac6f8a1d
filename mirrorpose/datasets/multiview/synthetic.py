"""The embedded world, seen by all cameras of an instant."""
from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from mmpose.registry import DATASETS

from ..synthetic.motion import ACTION_WEIGHTS, ACTIONS
from ..synthetic.rng import keyed_rng
from ..synthetic.world import Instant, SyntheticWorld
from .sources import Crop, ViewSource
from .views import Views

#: How a place (cameras, backgrounds, light) is shared between clips.
PLACES = ('clip', 'subject', 'all')


@DATASETS.register_module()
class SyntheticViews(ViewSource):
    """Subjects of the embedded world, each in motions of their own.

    A subject is a body and its clothes; a clip is one performance of one
    action by one subject. Subject p of the world is the same whatever the
    number of subjects is. Every image has exposure, noise and a window of
    its own.

    Args:
        subjects (int): How many. Defaults to 8.
        clips (int): Performances of each subject. Defaults to 8.
        seconds (float): Length of a clip. Defaults to 10.
        fps (float): Instants a second. Defaults to 2.
        image_size (int): Side of the crops in pixels. Defaults to 96.
        num_cameras (int): Defaults to 4.
        actions (Sequence[str], optional): Restricts the actions. Defaults
            to all, as often as in the world's images.
        place (str): Cameras, backgrounds and light change with each
            ``'clip'``, each ``'subject'``, or are one for ``'all'``, as in
            a laboratory. Defaults to ``'clip'``.
        seed (int): Names the world. Defaults to 0.
        world (dict, optional): Further arguments of
            :class:`SyntheticWorld`. Defaults to None.
        name (str): Defaults to ``'synthetic'``.

    Raises:
        ValueError: An argument is out of range.
    """

    def __init__(self, subjects: int = 8, clips: int = 8,
                 seconds: float = 10., fps: float = 2.,
                 image_size: int = 96, num_cameras: int = 4,
                 actions: Sequence[str] | None = None, place: str = 'clip',
                 seed: int = 0, world: dict[str, Any] | None = None,
                 name: str = 'synthetic') -> None:
        super().__init__(name)
        if min(subjects, clips) < 1 or seconds <= 0 or fps <= 0:
            raise ValueError('subjects, clips, seconds and fps must be '
                             f'positive; got {subjects}, {clips}, {seconds} '
                             f'and {fps}')
        if place not in PLACES:
            raise ValueError(f'place must be one of {PLACES}, got {place!r}')
        self.subjects, self.clips = subjects, clips
        self.seconds, self.fps, self.place = seconds, fps, place
        self.seed, self.options = seed, dict(world or {})
        self.world = SyntheticWorld(
            seed, image_size, **dict(self.options, num_cameras=num_cameras,
                                     actions=actions))

    def key(self, data_root: str) -> dict:
        """The arguments: there are no files."""
        world = self.world
        return dict(
            kind='synthetic', subjects=self.subjects, clips=self.clips,
            seconds=self.seconds, fps=self.fps, size=world.image_size,
            cameras=world.num_cameras, actions=list(world.actions),
            place=self.place, seed=self.seed,
            world=sorted(map(list, self.options.items())))

    def _plan(self) -> tuple[list[str], list[str], list[tuple]]:
        """Actions and names of clips, and (identity, take, scene) of each."""
        actions, names, who = [], [], []
        chosen = self.world.actions
        weights = np.array([ACTION_WEIGHTS[a] for a in chosen])
        for person in range(self.subjects):
            for clip in range(self.clips):
                rng = keyed_rng(self.seed, 'view clip', person, clip)
                action = str(rng.choice(chosen, p=weights / weights.sum()))
                take = int(rng.integers(1 << 40))
                scene = {'clip': take, 'subject': person, 'all': 0}[
                    self.place]
                actions.append(action)
                names.append(f'person_{person:03d}/{action}_{clip:03d}')
                who.append((person, take, scene))
        assert set(actions) <= set(ACTIONS)
        return actions, names, who

    def _instants(self) -> list[Instant]:
        """All instants, clip after clip."""
        actions, _, who = self._plan()
        times = np.arange(self._length()) / self.fps
        return [Instant(person, action, take, float(t), scene, float(t))
                for action, (person, take, scene) in zip(actions, who)
                for t in times]

    def _length(self) -> int:
        return max(round(self.seconds * self.fps), 1)

    def read(self, data_root: str = '') -> Views:
        """Poses and cameras, without images."""
        actions, names, who = self._plan()
        world, length = self.world, self._length()
        rows: dict[str, list] = {k: [] for k in (
            'K', 'R', 't', 'keypoints', 'cameras')}
        poses = []
        for instant in self._instants():
            for camera in range(world.num_cameras):
                seen = world.render(instant, camera, image=False)
                view = seen['camera']
                rows['K'].append(view.K)
                rows['R'].append(view.R)
                rows['t'].append(view.t)
                rows['keypoints'].append(seen['joints_17'])
                rows['cameras'].append(view.name)
            poses.append(seen['joints_17_world'])
        count, cameras = len(poses), world.num_cameras
        keypoints = np.array(rows['keypoints'], np.float32)
        inside = ((keypoints >= -.5)
                  & (keypoints <= world.image_size - .5)).all(-1)
        return Views(
            subjects=np.array([f'person_{p:03d}' for p, *_ in who]),
            actions=np.array(actions), clips=np.array(names),
            groups=np.array([f'person_{p:03d}' for p, *_ in who]),
            clip=np.repeat(np.arange(len(names)), length),
            frame=np.tile(np.arange(length), len(names)),
            seconds=np.tile(np.arange(length) / self.fps, len(names)),
            poses=np.array(poses, np.float32),
            up=np.tile(np.array([0, 0, 1], np.float32), (len(names), 1)),
            instant=np.repeat(np.arange(count), cameras),
            cameras=np.array(rows['cameras']), K=np.array(rows['K']),
            R=np.array(rows['R']), t=np.array(rows['t']),
            keypoints=keypoints, visible=(2 * inside).astype(np.int8),
            paths=np.full(count * cameras, ''), size=world.image_size)

    def images(self, data_root: str, views: Views) -> Iterator[Crop]:
        """Renders all views, and looks which joints are hidden."""
        for instant in self._instants():
            for camera in range(self.world.num_cameras):
                made = self.world.render(instant, camera)
                yield Crop(made['image'], made['visible_17'].astype(np.int8))
