"""Captured motion, drawn by the embedded world."""
from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from mmpose.registry import DATASETS

from ..sequences.clips import SKELETON as SKELETON_28
from ..synthetic.appearance import suited
from ..synthetic.camera import Camera, make_camera, person_window
from ..synthetic.renderer import (
    BYSTANDER,
    OCCLUDER,
    SUPERSAMPLING,
    compose,
    joint_visibility,
    paint_person,
)
from ..synthetic.rng import keyed_rng
from ..synthetic.scene import (
    degrade,
    draw_occluders,
    draw_shadow,
    make_background,
)
from .driven import DrivenClip, drive
from .sources import Crop, ViewSource
from .takes import TO_17, MotionTakes, Take, takes_to_columns
from .views import Views

_LIMBS = np.array(SKELETON_28.limb_indices)
_PELVIS = SKELETON_28.index('pelvis')[0]


@DATASETS.register_module()
class MocapViews(ViewSource):
    """Real motion, drawn by the embedded world (see :mod:`.driven`).

    The person walks on the spot: each instant's pelvis stands at the origin
    of the ground, where the cameras look, and the poses are those of the
    capture. The labels are the captured joints.

    Args:
        sources (Sequence[dict]): Motion sources, e.g. ``MocapArchive``.
            Their ``held_out`` is not used: give it to the data set, with
            ``split_by='group'``.
        people (int): Appearances of each group. Defaults to 2.
        fps (float): Instants a second. Defaults to 2.
        clips (int, optional): At most so many clips a person. Defaults to
            None: all.
        seconds (float, optional): At most so many of each clip. Defaults
            to None.
        image_size (int): Side of the crops in pixels. Defaults to 96.
        num_cameras (int): Defaults to 4.
        truncated, occluded (float): As of ``SyntheticWorld``. Default to
            0.15 and 0.4.
        place (str): Cameras, backgrounds and light change with each
            ``'clip'`` (of a person), or are one for ``'all'``, as in a
            laboratory. Defaults to ``'clip'``.
        suits (bool): As of ``SyntheticWorld``. Defaults to False.
        seed (int): Defaults to 0.
        name (str): Defaults to ``'mocap'``.

    Raises:
        ValueError: An argument is out of range.
    """

    def __init__(self, sources: Sequence[dict], people: int = 2,
                 fps: float = 2., clips: int | None = None,
                 seconds: float | None = None, image_size: int = 96,
                 num_cameras: int = 4, truncated: float = .15,
                 occluded: float = .4, place: str = 'clip',
                 suits: bool = False, seed: int = 0,
                 name: str = 'mocap') -> None:
        super().__init__(name)
        if image_size < 16 or num_cameras < 2:
            raise ValueError('image_size must be at least 16 and num_cameras '
                             f'2, got {image_size} and {num_cameras}')
        for what, value in (('truncated', truncated),
                            ('occluded', occluded)):
            if not 0 <= value <= 1:
                raise ValueError(f'{what} is a probability, got {value}')
        if place not in ('clip', 'all'):
            raise ValueError(f"place must be 'clip' or 'all', got {place!r}")
        self.place = place
        self.takes = MotionTakes(sources, people, fps, clips, seconds, seed)
        self.size, self.num_cameras, self.seed = image_size, num_cameras, seed
        self.truncated, self.occluded = truncated, occluded
        self.suits = suits

    def key(self, data_root: str) -> Mapping[str, Any]:
        """Arguments and files."""
        return dict(kind='mocap', size=self.size, cameras=self.num_cameras,
                    truncated=self.truncated, occluded=self.occluded,
                    place=self.place, suits=self.suits,
                    **self.takes.key(data_root))

    def _on_the_spot(self, take: Take) -> np.ndarray:
        """(T, 28, 3) joints with the pelvis over the origin."""
        joints = take.joints.copy()
        joints[..., :2] -= joints[:, None, _PELVIS, :2]
        return joints

    def _scene(self, number: int) -> int:
        number = 0 if self.place == 'all' else number
        return int(keyed_rng(self.seed, 'mocap scene', number).integers(
            1 << 40))

    def read(self, data_root: str) -> Views:
        """Poses, and a window of each camera around the person."""
        takes = self.takes.load(data_root)
        cameras, poses = [], []
        K, R, t, points = [], [], [], []
        for number, take in enumerate(takes):
            rig = [make_camera(self.seed, self._scene(number), c,
                               self.num_cameras)
                   for c in range(self.num_cameras)]
            joints = self._on_the_spot(take)
            poses.append(TO_17 @ joints)
            for frame, pose in zip(take.frames.tolist(), joints):
                for sensor in rig:
                    rng = keyed_rng(self.seed, 'mocap window', take.name,
                                    frame, sensor.name)
                    view = sensor.window(*person_window(
                        rng, sensor.project(pose)[None], self.truncated),
                        self.size)
                    cameras.append(view.name)
                    K.append(view.K)
                    R.append(view.R)
                    t.append(view.t)
                    points.append(view.project(TO_17 @ pose))
        columns = takes_to_columns(takes)
        count = len(columns['clip'])
        keypoints = np.array(points, np.float32)
        inside = ((keypoints >= -.5)
                  & (keypoints <= self.size - .5)).all(-1)
        return Views(
            **columns, poses=np.concatenate(poses).astype(np.float32),
            instant=np.repeat(np.arange(count), self.num_cameras),
            cameras=np.array(cameras), K=np.array(K), R=np.array(R),
            t=np.array(t), keypoints=keypoints,
            visible=(2 * inside).astype(np.int8),
            paths=np.full(len(cameras), ''), size=self.size)

    def images(self, data_root: str, views: Views) -> Iterator[Crop]:
        """Draws all views."""
        row = 0
        for number, take in enumerate(self.takes.load(data_root)):
            clip = drive(self._on_the_spot(take), self.seed, take.identity)
            joints = self._on_the_spot(take)
            for frame in range(len(take.frames)):
                for _ in range(self.num_cameras):
                    yield self._paint(views, row, self._scene(number), take,
                                      clip, joints[frame], frame)
                    row += 1

    def _paint(self, views: Views, row: int, scene: int, take: Take,
               clip: DrivenClip, joints: np.ndarray, frame: int) -> Crop:
        """One image, as :class:`SyntheticWorld` paints its own."""
        name, size = str(views.cameras[row]), self.size
        view = Camera(name, views.K[row], views.R[row], views.t[row],
                      (size, size))
        rng = keyed_rng(self.seed, 'mocap light', scene)
        light = rng.normal(0, 1, 3)
        light[2] = abs(light[2]) + .3
        light /= np.linalg.norm(light)
        ambient = float(rng.uniform(.4, .8))
        ahead = view.R[2] * (1, 1, 0)
        background = make_background(
            self.seed, scene, name, size,
            float(view.project(view.center + ahead * 1e6)[1]))
        shot = keyed_rng(self.seed, 'mocap shot', take.name,
                         int(take.frames[frame]), name)
        canvas = np.zeros((size * SUPERSAMPLING, size * SUPERSAMPLING, 4),
                          np.uint8)
        if shot.random() < .55 and view.center[2] > 300:
            reach = joints[:, 2:].clip(0) / max(light[2], .25)
            ground = (joints - reach * light) * (1, 1, 0)
            depth = view.to_camera(ground)[:, 2]
            if depth.min() > 500:
                background = draw_shadow(
                    background, view.project(ground)[_LIMBS],
                    90 * view.K[0, 0] / depth[0], (1 - ambient) * .8)
        paint_person(canvas, view, clip.vertices(frame),
                     suited(clip.look) if self.suits else clip.look, light,
                     ambient)
        draw_occluders(canvas, self.seed, scene, name, self.occluded,
                       OCCLUDER)
        image, _ = compose(canvas, background)
        image = degrade(image, self.seed,
                        ('mocap', take.name, name), int(take.frames[frame]))
        parts = canvas[..., 3]
        assert BYSTANDER not in parts
        seen = joint_visibility(parts, view.project(joints))
        least = np.where(TO_17 > 0, seen, 2).min(1)
        inside = views.visible[row] > 0
        return Crop(image, np.where(inside, np.maximum(least, 1),
                                    0).astype(np.int8))
