"""Calibrated cameras: rigs around the place where people act.

A camera maps world points to pixels without distortion,
``x = K (R X + t)``, z forward, x right, y down; pixel centres have integer
coordinates, as in mmpose. Cropping and scaling an image only changes ``K``,
so a window that is cut around a person is a calibrated camera again.
"""
from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from .rng import keyed_rng


@dataclass(frozen=True)
class Camera:
    """A pinhole camera.

    Attributes:
        name (str): Its name in the rig.
        K (np.ndarray): (3, 3) intrinsics in pixels.
        R (np.ndarray): (3, 3) rotation, world to camera.
        t (np.ndarray): (3,) translation in mm, world to camera.
        image_size (tuple[int, int]): Width and height in pixels.
    """

    name: str
    K: np.ndarray
    R: np.ndarray
    t: np.ndarray
    image_size: tuple[int, int]

    @property
    def center(self) -> np.ndarray:
        """(3,) the camera's place in the world, in mm."""
        return -self.R.T @ self.t

    def to_camera(self, points: np.ndarray) -> np.ndarray:
        """(..., 3) world points in mm to the camera frame."""
        return points @ self.R.T + self.t

    def to_pixels(self, points: np.ndarray) -> np.ndarray:
        """(..., 3) points of the camera frame to (..., 2) pixels."""
        return (points @ self.K.T)[..., :2] / points[..., 2:]

    def project(self, points: np.ndarray) -> np.ndarray:
        """(..., 3) world points in mm to (..., 2) pixels."""
        return self.to_pixels(self.to_camera(points))

    def window(self, left: float, top: float, side: float,
               image_size: int) -> Camera:
        """The camera whose image is a square window of this one's.

        Args:
            left (float): Left edge of the window, in pixels from the left
                edge of this image.
            top (float): Top edge of the window, likewise.
            side (float): Side of the window in pixels.
            image_size (int): Side of the new image in pixels.
        """
        zoom = image_size / side
        # An edge lies half a pixel outside the centre of the outer pixel.
        move = np.array([[zoom, 0, (.5 - left) * zoom - .5],
                         [0, zoom, (.5 - top) * zoom - .5], [0, 0, 1]])
        return replace(self, K=move @ self.K,
                       image_size=(image_size, image_size))


def look_at(name: str, center: np.ndarray, target: np.ndarray, roll: float,
            focal: float, size: int) -> Camera:
    """A camera at a place that looks at a point.

    Args:
        name (str): Its name.
        center (np.ndarray): (3,) place in mm.
        target (np.ndarray): (3,) point in mm that is seen in the middle.
        roll (float): Turn about the optical axis in degrees.
        focal (float): Focal length in pixels.
        size (int): Side of the image in pixels.
    """
    ahead = (target - center) / np.linalg.norm(target - center)
    right = np.cross(ahead, (0., 0., 1.))
    right /= np.linalg.norm(right)
    upright = np.stack([right, np.cross(ahead, right), ahead])
    cos, sin = np.cos(np.radians(roll)), np.sin(np.radians(roll))
    rot = np.array([[cos, -sin, 0], [sin, cos, 0], [0, 0, 1]]) @ upright
    middle = (size - 1) / 2
    return Camera(name, np.array([[focal, 0, middle], [0, focal, middle],
                                  [0, 0, 1.]]), rot, -rot @ center,
                  (size, size))


def make_camera(seed: int, scene: int, number: int,
                num_cameras: int) -> Camera:
    """One of the synchronised cameras of a scene.

    They stand around the origin at 2.4 to 5.5 m, evenly spread with jitter,
    most at the height of a standing person, some near the ground or above
    the heads.

    Args:
        seed (int): The world's seed.
        scene (int): The scene.
        number (int): Which camera, from 0.
        num_cameras (int): How many cameras the scene has.

    Returns:
        Camera: Its full 1000 x 1000 sensor.
    """
    begin = keyed_rng(seed, 'rig', scene).uniform(0, 360)
    rng = keyed_rng(seed, 'rig', scene, number)
    azimuth = np.radians(begin + 360 * number / num_cameras
                         + rng.normal(0, 8))
    distance = rng.uniform(2400, 5500)
    kind = rng.random()
    height = (rng.uniform(700, 1800) if kind < .7 else
              rng.uniform(2000, 3600) if kind < .9 else
              rng.uniform(200, 600))
    center = np.array([distance * np.cos(azimuth),
                       distance * np.sin(azimuth), height])
    target = np.array([0, 0, 850.]) + rng.normal(0, 60, 3)
    return look_at(f'camera{number}', center, target, rng.normal(0, 4),
                   rng.uniform(900, 1500), 1000)


def person_window(rng: np.random.Generator, pixels: np.ndarray,
                  truncated: float) -> tuple[float, float, float]:
    """A square window around a person, as photographers and detectors cut.

    Args:
        rng (np.random.Generator): Source of the choices.
        pixels (np.ndarray): (T, K, 2) joints that it should hold, the first
            instant being the one that must stay recognisable.
        truncated (float): Chance of a window that cuts the person off.

    Returns:
        tuple: Left and top edge and the side, in pixels.
    """
    low, high = pixels.min((0, 1)), pixels.max((0, 1))
    side = float((high - low).max()) * rng.uniform(1.12, 1.5)
    room = np.maximum(side - (high - low), 0)
    middle = (low + high) / 2 + rng.uniform(-.4, .4, 2) * room
    cut, shift = rng.uniform(.5, .85), rng.uniform(-.5, .5, 2)
    if rng.random() < truncated:
        tight = side * cut
        place = middle + shift * (side - tight)
        inside = (np.abs(pixels[0] - place) < tight / 2).all(-1)
        if inside.mean() >= .5:
            side, middle = tight, place
    return middle[0] - side / 2, middle[1] - side / 2, side
