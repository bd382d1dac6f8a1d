"""The synthetic world: every label is known, nothing is stored.

    world = SyntheticWorld(seed=0, image_size=128)
    sample = world.sample(7)          # one image with all its labels
    views = world.views(7)            # the same instant from every camera
    clip = world.clip(7, frames=24)   # the same camera from then on
    joints = world.pose(identity=3, action='walk', time=[0., .04])

All of them draw from generators that are keyed by what is drawn, so any
sample can be asked for first, last or in another process, and
``views(i)[k]`` and ``clip(i, n)[0]`` are the very samples that
``sample(i)`` is one of.
"""
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np

from .appearance import make_appearance, suited
from .body import SKELETON_28, Body, make_body
from .camera import Camera, make_camera, person_window
from .mesh import pose_vertices, rest_vertices
from .motion import ACTION_WEIGHTS, ACTIONS, perform
from .renderer import (
    BYSTANDER,
    OCCLUDER,
    SUPERSAMPLING,
    compose,
    joint_visibility,
    paint_person,
)
from .rng import keyed_rng
from .scene import degrade, draw_occluders, draw_shadow, make_background

#: First index of each split; the world has a billion people for each.
SPLIT_START = {'train': 0, 'val': 1_000_000_000, 'test': 2_000_000_000}
SPLIT_SIZE = 1_000_000_000

# A camera's window holds what the person does in the second that follows
# the start of a shot.
_ANCHORS = np.array([0., .25, .5, .75, 1.])
_LIMBS = np.array(SKELETON_28.limb_indices)
_TO_16 = SKELETON_28.matrix(SKELETON_28.from_name('mpii_16'))
_TO_17 = SKELETON_28.matrix(SKELETON_28.from_name('h36m_17'))


@dataclass(frozen=True)
class Instant:
    """Who does what, where and when.

    Attributes:
        identity (int): The person: body and looks.
        action (str): One of ``motion.ACTIONS``.
        take (int): Which performance of the action.
        time (float): Seconds since the start of the take.
        scene (int): Place: cameras, backgrounds, light, occluders.
        start (float): When the shot began; the cameras' windows hold the
            second after it. All frames of a clip share it.
    """

    identity: int
    action: str
    take: int
    time: float
    scene: int
    start: float


class SyntheticWorld:
    """Articulated people before calibrated cameras.

    Same arguments, same bytes (for one version of numpy and OpenCV). It
    keeps no state but small caches, so it is cheap to make, to pickle and
    to share. Person, motion and light are one for all cameras of a scene;
    backgrounds, occluders and bystanders are each camera's own and stand
    still.

    Args:
        seed (int): Names the world; worlds share no person, place or
            motion. Defaults to 0.
        image_size (int): Side of the square images in pixels, at least 16.
            Defaults to 128.
        num_cameras (int): Synchronised cameras of each scene, at least 2.
            Defaults to 4.
        truncated (float): Chance that a camera's window cuts the person
            off. Defaults to 0.15.
        occluded (float): Chance of things between camera and person.
            Defaults to 0.4.
        bystanders (float): Chance of another person in the background.
            Defaults to 0.2.
        actions (Sequence[str], optional): Restricts the actions that
            indices draw from. Defaults to None: all.
        suits (bool): People, but for bystanders, wear suits whose left and
            right limbs differ in colour. Defaults to False.

    Raises:
        ValueError: An argument is out of range.
    """

    def __init__(self,
                 seed: int = 0,
                 image_size: int = 128,
                 num_cameras: int = 4,
                 truncated: float = .15,
                 occluded: float = .4,
                 bystanders: float = .2,
                 actions: Sequence[str] | None = None,
                 suits: bool = False) -> None:
        if image_size < 16:
            raise ValueError(f'image_size must be at least 16 pixels, got '
                             f'{image_size}')
        if num_cameras < 2:
            raise ValueError(f'num_cameras must be at least 2, got '
                             f'{num_cameras}')
        for name, value in (('truncated', truncated), ('occluded', occluded),
                            ('bystanders', bystanders)):
            if not 0 <= value <= 1:
                raise ValueError(f'{name} is a probability, got {value}')
        unknown = [a for a in actions or () if a not in ACTIONS]
        if unknown or (actions is not None and not actions):
            raise ValueError(f'unknown actions {unknown} of {actions}; known '
                             f'are {list(ACTIONS)}')
        self.seed = seed
        self.image_size = image_size
        self.num_cameras = num_cameras
        self.truncated = truncated
        self.occluded = occluded
        self.bystanders = bystanders
        self.actions = tuple(actions or ACTIONS)
        self.suits = suits
        weight = np.array([ACTION_WEIGHTS[a] for a in self.actions])
        self._weight = (weight / weight.sum()).cumsum()

    # -- who, what, where, when -------------------------------------------
    def instant(self, index: int) -> Instant:
        """The instant that an index names.

        Each index has its own person, take and scene.

        Args:
            index (int): 0 or above.

        Raises:
            ValueError: The index is negative.
        """
        return self._draw(index)[0]

    def _draw(self, index: int) -> tuple[Instant, int]:
        if index < 0:
            raise ValueError(f'index must not be negative, got {index}')
        index = int(index)
        rng = keyed_rng(self.seed, 'sample', index)
        which = int(np.searchsorted(self._weight, rng.random()))
        action = self.actions[min(which, len(self.actions) - 1)]
        time = round(float(rng.uniform(0, 6)), 3)
        camera = int(rng.integers(self.num_cameras))
        return Instant(index, action, index, time, index, time), camera

    def body(self, identity: int) -> Body:
        """The proportions of a person."""
        return _body(self.seed, identity)

    def pose(self,
             identity: int,
             action: str,
             time: float | Sequence[float] | np.ndarray,
             take: int = 0) -> np.ndarray:
        """Joints of a person who does something, without any image.

        Args:
            identity (int): The person.
            action (str): One of ``motion.ACTIONS``.
            time (float | Sequence[float]): Seconds, one value or T.
            take (int): Which performance. Defaults to 0.

        Returns:
            np.ndarray: (28, 3) or (T, 28, 3) joints in mm, world frame: z
            up, the ground at 0.

        Raises:
            ValueError: The action is unknown.
        """
        times = np.atleast_1d(np.asarray(time, np.float64))
        joints, _, _ = perform(self.seed, self.body(identity), action, take,
                               times)
        return joints if np.ndim(time) else joints[0]

    def rig(self, scene: int) -> tuple[Camera, ...]:
        """The full sensors of a scene's cameras, before windows are cut."""
        return tuple(make_camera(self.seed, scene, i, self.num_cameras)
                     for i in range(self.num_cameras))

    # -- images -----------------------------------------------------------
    def sample(self, index: int, image: bool = True) -> dict[str, Any]:
        """One image and its labels.

        Args:
            index (int): 0 or above. Each has a person of its own;
                ``SPLIT_START`` says where the splits begin.
            image (bool): Whether to make the image; without it there are no
                'image', 'silhouette' and 'visible_*', and it is quick.
                Defaults to True.

        Returns:
            dict: See :meth:`render`.
        """
        instant, camera = self._draw(index)
        return dict(self.render(instant, camera, image), index=int(index))

    def views(self, index: int, image: bool = True) -> list[dict[str, Any]]:
        """The instant of an index from all cameras of its scene.

        Returns:
            list[dict]: One sample a camera, as from :meth:`render`; the one
            whose ``camera.name`` is that of ``sample(index)`` equals it.
        """
        instant = self.instant(index)
        return [dict(self.render(instant, camera, image), index=int(index))
                for camera in range(self.num_cameras)]

    def clip(self, index: int, frames: int, fps: float = 25.,
             image: bool = True) -> list[dict[str, Any]]:
        """What the camera of ``sample(index)`` sees from then on.

        Args:
            index (int): 0 or above.
            frames (int): How many frames; the first is ``sample(index)``.
            fps (float): Frames per second. Defaults to 25.
            image (bool): See :meth:`sample`. Defaults to True.

        Returns:
            list[dict]: As from :meth:`render`. The window is that of the
            first frame and holds the following second.

        Raises:
            ValueError: ``frames`` or ``fps`` is not positive.
        """
        if frames < 1 or fps <= 0:
            raise ValueError(f'a clip needs frames >= 1 and fps > 0, got '
                             f'{frames} and {fps}')
        instant, camera = self._draw(index)
        return [dict(self.render(
            replace(instant, time=instant.start + f / fps), camera, image),
            index=int(index)) for f in range(frames)]

    def camera(self, instant: Instant, camera: int) -> Camera:
        """The calibrated camera whose image is cut around the person."""
        return self._frame(instant, camera)[0]

    def _frame(self, instant: Instant, camera: int
               ) -> tuple[Camera, np.ndarray, np.ndarray]:
        """Camera, (28, 3) joints and (28, 3, 3) frames of an instant."""
        sensor = make_camera(self.seed, instant.scene, camera,
                             self.num_cameras)
        times = np.concatenate([[instant.time], instant.start + _ANCHORS])
        joints, frames, _ = perform(self.seed, _body(
            self.seed, instant.identity), instant.action, instant.take, times)
        rng = keyed_rng(self.seed, 'window', *self._shot(instant), camera)
        window = person_window(rng, sensor.project(joints[1:]),
                               self.truncated)
        return (sensor.window(*window, self.image_size), joints[0],
                frames[0])

    @staticmethod
    def _shot(instant: Instant) -> tuple:
        return (instant.identity, instant.action, instant.take,
                instant.scene, f'{instant.start:.6f}')

    def render(self, instant: Instant, camera: int, image: bool = True
               ) -> dict[str, Any]:
        """What one camera sees at an instant.

        Args:
            instant (Instant): From :meth:`instant`, or any other.
            camera (int): Number of the camera in the scene's rig.
            image (bool): See :meth:`sample`. Defaults to True.

        Returns:
            dict: With these items; S is the image size, K one of 28
            (``mpi_inf_3dhp_28``), 16 (``mpii_16``), 17 (``h36m_17``):

            - image (S, S, 3) uint8 BGR, silhouette (S, S) uint8, 255 where
              the person is seen (neither other people nor occluders)
            - joints_K_world, joints_K_camera (K, 3) float64 mm;
              joints_K (K, 2) float64 pixels, outside the image too
            - visible_K (K,) int: 2 inside the image and seen, 1 inside but
              hidden by the own body or something else, 0 outside. A joint
              that is made of others is as visible as the least of them
            - bbox (4,) float64 xyxy, tight around the joints of the 16 and
              clipped to the image
            - camera (Camera), instant (Instant), identity, action, time

        Raises:
            ValueError: The scene has no such camera.
        """
        if not 0 <= camera < self.num_cameras:
            raise ValueError(f'no camera {camera}; a scene has '
                             f'{self.num_cameras}')
        view, world, frames = self._frame(instant, camera)
        local = view.to_camera(world)
        pixels = view.to_pixels(local)
        out: dict[str, Any] = dict(
            camera=view, instant=instant, identity=instant.identity,
            action=instant.action, time=instant.time)
        for count, matrix in ((28, None), (16, _TO_16), (17, _TO_17)):
            points = world if matrix is None else matrix @ world
            seen = local if matrix is None else matrix @ local
            out[f'joints_{count}_world'] = points
            out[f'joints_{count}_camera'] = seen
            out[f'joints_{count}'] = view.to_pixels(seen)
        box = out['joints_16']
        edge = self.image_size - 1
        out['bbox'] = np.concatenate([box.min(0).clip(0, edge),
                                      box.max(0).clip(0, edge)])
        if not image:
            return out
        pic, silhouette, parts = self._paint(instant, view, world, frames)
        seen28 = joint_visibility(parts, pixels)
        out |= dict(image=pic, silhouette=silhouette, visible_28=seen28)
        for count, matrix in ((16, _TO_16), (17, _TO_17)):
            parts_of = np.where(matrix > 0, seen28, 2).min(1)
            # A mean of joints can be inside while one of them is not.
            place = out[f'joints_{count}']
            inside = ((place >= -.5) & (place <= edge + .5)).all(1)
            out[f'visible_{count}'] = np.where(
                inside, np.maximum(parts_of, 1), 0)
        return out

    def _light(self, scene: int) -> tuple[np.ndarray, float]:
        rng = keyed_rng(self.seed, 'light', scene)
        light = rng.normal(0, 1, 3)
        light[2] = abs(light[2]) + .3
        return light / np.linalg.norm(light), float(rng.uniform(.4, .8))

    def _paint(self, instant: Instant, view: Camera, world: np.ndarray,
               frames: np.ndarray
               ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Image, silhouette and the part numbers on the canvas."""
        size, shot = self.image_size, self._shot(instant)
        light, ambient = self._light(instant.scene)
        ahead = view.R[2] * (1, 1, 0)
        horizon = view.project(view.center + ahead * 1e6)[1]
        background = _background(self.seed, instant.scene, view.name, size,
                                 float(horizon))
        rng = keyed_rng(self.seed, 'shot', *shot, view.name)
        canvas = np.zeros((size * SUPERSAMPLING, size * SUPERSAMPLING, 4),
                          np.uint8)
        if rng.random() < .55 and view.center[2] > 300:
            reach = world[:, 2:] / max(light[2], .25)
            ground = (world - reach * light) * (1, 1, 0)
            if view.to_camera(ground)[:, 2].min() > 500:
                spots = view.project(ground)
                thick = 90 * view.K[0, 0] / view.to_camera(ground)[0, 2]
                background = draw_shadow(background, spots[_LIMBS], thick,
                                         (1 - ambient) * .8)
        if rng.random() < self.bystanders:
            self._paint_bystander(canvas, instant, view, light, ambient, rng)
        look, rest = _looks(self.seed, instant.identity, self.suits)
        paint_person(canvas, view, pose_vertices(rest, world, frames), look,
                     light, ambient)
        draw_occluders(canvas, self.seed, instant.scene, view.name,
                       self.occluded, OCCLUDER)
        image, silhouette = compose(canvas, background)
        image = degrade(image, self.seed, (*shot, view.name),
                        round(instant.time * 1e6))
        return image, silhouette, canvas[..., 3]

    def _paint_bystander(self, canvas: np.ndarray, instant: Instant,
                         view: Camera, light: np.ndarray, ambient: float,
                         rng: np.random.Generator) -> None:
        """Another person stands behind, beside the one that counts."""
        # Negative identities are nobody's sample.
        other = -1 - int(rng.integers(1 << 40))
        action = list(ACTIONS)[rng.integers(len(ACTIONS))]
        joints, frames, _ = perform(self.seed, _body(self.seed, other),
                                    action, other,
                                    np.array([rng.uniform(0, 6)]))
        aside = view.R[0] * (1, 1, 0)
        behind = view.R[2] * (1, 1, 0)
        behind = behind / np.linalg.norm(behind)
        place = (aside * rng.choice((-1, 1)) * rng.uniform(400, 1100)
                 + behind * rng.uniform(500, 2500))
        look, rest = _looks(self.seed, other)
        paint_person(canvas, view, pose_vertices(rest, joints[0] + place,
                                                 frames[0]),
                     look, light, ambient, BYSTANDER)


# Small caches: they speed up clips and views and change no result.
@lru_cache(maxsize=64)
def _body(seed: int, identity: int) -> Body:
    return make_body(seed, identity)


@lru_cache(maxsize=64)
def _looks(seed: int, identity: int, suits: bool = False) -> tuple:
    look = make_appearance(seed, identity)
    look = suited(look) if suits else look
    return look, rest_vertices(_body(seed, identity), look.loose)


@lru_cache(maxsize=16)
def _background(seed: int, scene: int, camera: str, size: int,
                horizon: float) -> np.ndarray:
    image = make_background(seed, scene, camera, size, horizon)
    image.setflags(write=False)
    return image
