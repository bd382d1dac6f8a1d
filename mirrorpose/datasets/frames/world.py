"""Clips of the embedded world: nothing on disk but the cache."""
from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from mmpose.registry import DATASETS

from mirrorpose.structures.skeleton import Skeleton

from .. import synthetic
from ..synthetic.camera import Camera, make_camera, person_window
from ..synthetic.motion import ACTION_WEIGHTS, perform
from ..synthetic.rng import keyed_rng
from ..synthetic.world import SPLIT_SIZE, SPLIT_START, Instant, SyntheticWorld
from .clips import Clip, digest
from .sources import FrameSource

#: Seconds of a shot that the window holds.
_ANCHORS = np.array([0., .25, .5, .75, 1.])


class ClipWorld(SyntheticWorld):
    """The world as a standing camera sees it over several shots.

    A clip is named by its index: that person, at that place, does one thing
    after another, each for a second and each beginning at the same spot.
    One window holds all of it, so only the person moves; light, shadow and
    the camera's faults are those of the clip.

    Args:
        shots (int): Of a clip.
        others: See :class:`SyntheticWorld`.
    """

    def __init__(self, *args: Any, shots: int = 3, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.shots = shots
        self._windows: dict[int, tuple[float, float, float]] = {}

    def script(self, index: int) -> tuple[int, list[tuple[str, float]]]:
        """The camera of a clip, and action and begin of each shot."""
        rng = keyed_rng(self.seed, 'frame clip', index)
        weights = np.array([ACTION_WEIGHTS[a] for a in self.actions])
        camera = int(rng.integers(self.num_cameras))
        return camera, [
            (str(rng.choice(self.actions, p=weights / weights.sum())),
             round(float(rng.uniform(0, 6)), 3)) for _ in range(self.shots)]

    def _perform(self, index: int, shot: int, action: str, start: float,
                 times: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Joints and frames; the shot begins where the world's middle is."""
        joints, frames, _ = perform(
            self.seed, self.body(index), action, index * 16 + shot,
            np.concatenate([[start], times]))
        ground = joints[0].mean(0) * (1, 1, 0)
        return joints[1:] - ground, frames[1:]

    def _frame(self, instant: Instant, camera: int
               ) -> tuple[Camera, np.ndarray, np.ndarray]:
        """Camera, (28, 3) joints and (28, 3, 3) frames of an instant."""
        index = instant.identity
        sensor = make_camera(self.seed, instant.scene, camera,
                             self.num_cameras)
        if index not in self._windows:
            seen = [sensor.project(self._perform(
                index, n, action, start, start + _ANCHORS)[0])
                for n, (action, start) in enumerate(self.script(index)[1])]
            if len(self._windows) > 64:
                self._windows.clear()
            self._windows[index] = person_window(
                keyed_rng(self.seed, 'clip window', index, camera),
                np.concatenate(seen), self.truncated)
        joints, frames = self._perform(
            index, instant.take, instant.action, instant.start,
            np.array([instant.time]))
        return (sensor.window(*self._windows[index], self.image_size),
                joints[0], frames[0])

    @staticmethod
    def _shot(instant: Instant) -> tuple:
        return instant.identity, 'clip', instant.scene


@lru_cache(maxsize=1)
def _version() -> str:
    """Changes with whatever changes the rendered pixels."""
    files = [Path(__file__), *sorted(
        Path(str(synthetic.__file__)).parent.glob('*.py'))]
    return digest(np.__version__, cv2.__version__,
                  *(f.read_bytes() for f in files))


@DATASETS.register_module()
class SyntheticClips(FrameSource):
    """One person a clip, with one look, before one standing camera.

    A clip is one or several shots of a second, each another action of the
    same person at the same place (:class:`ClipWorld`): looks, light,
    background and window are those of the clip. Clip i of a split is the
    same for any number of clips.

    Args:
        clips (int): How many.
        frames (int): Of a clip. Defaults to 12.
        shots (int): Of a clip; they divide the frames. Defaults to 3.
        image_size (int): Side in pixels at which clips are rendered.
            Defaults to 64.
        start (int): First clip within the world's split: images and poses
            of different people come from ranges that do not meet. Defaults
            to 0.
        world_split (str): ``'train'``, ``'val'`` or ``'test'``. Defaults to
            ``'train'``.
        seed (int): Names the world. Defaults to 0.
        joints (str): ``'mpii_16'``, ``'h36m_17'`` or ``'mpi_inf_3dhp_28'``.
            Defaults to ``'mpii_16'``.
        action_names (Sequence[str], optional): Restricts what is done.
            Defaults to all of the world's.
        world (dict, optional): Further arguments of ``SyntheticWorld``. By
            default nobody is cut off, hidden or accompanied.
        name (str): Defaults to ``'synthetic'``.
        others: See :class:`FrameSource`.

    Raises:
        ValueError: An argument is out of range.
    """

    _COUNTS = {'mpii_16': 16, 'h36m_17': 17, 'mpi_inf_3dhp_28': 28}

    def __init__(self, clips: int, frames: int = 12, shots: int = 3,
                 image_size: int = 64, start: int = 0,
                 world_split: str = 'train', seed: int = 0,
                 joints: str = 'mpii_16',
                 action_names: Sequence[str] | None = None,
                 world: dict[str, Any] | None = None,
                 name: str = 'synthetic', **kwargs) -> None:
        super().__init__(name, **kwargs)
        if world_split not in SPLIT_START:
            raise ValueError(f'world_split must be one of '
                             f'{list(SPLIT_START)}, got {world_split!r}')
        if joints not in self._COUNTS:
            raise ValueError(f'joints must be one of {list(self._COUNTS)}, '
                             f'got {joints!r}')
        if clips < 1 or start < 0 or start + clips > SPLIT_SIZE:
            raise ValueError('clips must be at least 1 and start at least 0, '
                             f'got {clips} and {start}')
        if not 1 <= shots <= 16 or frames < shots or frames % shots:
            raise ValueError('frames must be a multiple of 1 to 16 shots, got '
                             f'{frames} and {shots}')
        self.count, self.frames, self.shots = clips, frames, shots
        self.first = SPLIT_START[world_split] + start
        self.joints = joints
        self._options = dict(truncated=0., occluded=0.,
                             bystanders=0.) | (world or {})
        self.world = ClipWorld(seed, image_size, shots=shots, **dict(
            self._options, actions=action_names))
        self.skeleton = Skeleton.from_name(joints)

    def scan(self, root: Path) -> list[Clip]:
        """Names the clips; nothing is rendered."""
        stamp = repr((_version(), self.world.seed,
                      self.world.image_size, self.joints,
                      sorted(self._options.items()), self.world.actions,
                      self.frames, self.shots))
        out = []
        for index in range(self.first, self.first + self.count):
            name = f'{self.world.seed}/{index}'
            out.append(Clip(name, name, tuple(
                f'{index}:{t}' for t in range(self.frames)), stamp))
        return out

    def instants(self, clip: Clip) -> list[tuple[Instant, int]]:
        """What is seen in each frame, and by which camera."""
        index = int(clip.frames[0].split(':')[0])
        camera, shots = self.world.script(index)
        each = self.frames // self.shots
        out = []
        for frame in clip.frames:
            shot, place = divmod(int(frame.split(':')[1]), each)
            action, begin = shots[shot]
            out.append((Instant(
                index, action, shot, begin + place / max(each - 1, 1), index,
                begin), camera))
        return out

    def images(self, clip: Clip) -> Iterator[np.ndarray]:
        """Renders the frames."""
        for instant, camera in self.instants(clip):
            yield self.world.render(instant, camera)['image']

    def masks(self, clip: Clip) -> Iterator[np.ndarray]:
        """Renders the silhouettes."""
        for instant, camera in self.instants(clip):
            yield self.world.render(instant, camera)['silhouette']

    def annotate(self, clip: Clip) -> Clip:
        """Joints of the frames; visible where they lie inside the image."""
        count, size = self._COUNTS[self.joints], self.world.image_size
        points = np.stack([
            self.world.render(i, c, image=False)[f'joints_{count}']
            for i, c in self.instants(clip)]).astype(np.float32)
        inside = ((points >= -.5) & (points <= size - .5)).all(-1)
        return replace(clip, keypoints=points,
                       visible=inside.astype(np.uint8))

    def shape(self, clip: Clip) -> tuple[int, int]:
        """As large as the world renders them."""
        return self.world.image_size, self.world.image_size
