"""Virtual cameras: one a window, all windows at once.

Every step is arithmetic on single elements, so what a camera sees does not
depend on the batch that it stands in.
"""
from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..crops.draws import uniforms

_STREAM = 0x63616D  # 'cam'


@dataclass(frozen=True)
class VirtualCameras:
    """Pinhole cameras around the body, looking at it without roll.

    The paper does not say how its viewpoints were drawn; ranges are
    [DERIVED] (spec 3.3). Angles and distance are uniform.

    Attributes:
        azimuth (tuple[float, float]): Degrees. At 0 the camera stands at +z
            and a person who faces +z faces it, at 90 it stands at +x.
        elevation (tuple[float, float]): Degrees, positive is above.
        distance (tuple[float, float]): Metres to the target.
        min_depth (float): Metres in front of the camera that no joint comes
            nearer than: where somebody runs towards the camera it stands
            farther away than drawn.
    """

    azimuth: tuple[float, float] = (0., 360.)
    elevation: tuple[float, float] = (-20., 40.)
    distance: tuple[float, float] = (3., 6.)
    min_depth: float = 1.

    def __post_init__(self) -> None:
        for name in ('azimuth', 'elevation', 'distance'):
            low, high = getattr(self, name)
            if not (np.isfinite([low, high]).all() and low <= high):
                raise ValueError(f'cameras: {name} must be an ascending '
                                 f'pair, got {(low, high)}')
        if self.distance[0] <= 0 or self.min_depth <= 0:
            raise ValueError('cameras: distance and min_depth must be '
                             f'positive, got {self.distance} and '
                             f'{self.min_depth}')
        if not -90 < self.elevation[0] <= self.elevation[1] < 90:
            raise ValueError('cameras: elevation must lie within (-90, 90) '
                             f'degrees, got {self.elevation}')

    def draw(self, keys: np.ndarray) -> np.ndarray:
        """Azimuth and elevation in degrees, and distance in metres.

        Args:
            keys (np.ndarray): (N,) uint64.

        Returns:
            np.ndarray: (N, 3) float64, a function of each key alone.
        """
        low, high = np.array([self.azimuth, self.elevation, self.distance]).T
        return low + (high - low) * uniforms(keys, 3, _STREAM)

    def project(self, points: np.ndarray, target: np.ndarray,
                draws: np.ndarray) -> np.ndarray:
        """Looks at points.

        Args:
            points (np.ndarray): (N, F, K, 3) float32 metres, y up.
            target (np.ndarray): (N, 3) what each camera looks at.
            draws (np.ndarray): (N, 3) of :meth:`draw`.

        Returns:
            np.ndarray: (N, F, K, 2) float32, x right, y down, in units of
            the focal length, the axis at (0, 0).
        """
        azimuth, elevation = np.radians(draws[:, :2]).T
        ca, sa, ce, se = (
            v.astype(np.float32)[:, None, None] for v in (
                np.cos(azimuth), np.sin(azimuth), np.cos(elevation),
                np.sin(elevation)))
        goal = target.astype(np.float32)[:, None, None]
        x = points[..., 0] - goal[..., 0]
        y = points[..., 1] - goal[..., 1]
        z = points[..., 2] - goal[..., 2]
        across = ca * x - sa * z
        ahead = sa * x + ca * z  # towards the camera, horizontally
        near = se * y + ce * ahead
        up = ce * y - se * ahead
        distance = np.maximum(draws[:, 2].astype(np.float32),
                              near.max((1, 2)) + np.float32(self.min_depth))
        depth = distance[:, None, None] - near
        out = np.empty((*x.shape, 2), np.float32)
        np.divide(across, depth, out=out[..., 0])
        np.divide(-up, depth, out=out[..., 1])
        return out
