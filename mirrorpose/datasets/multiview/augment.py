"""Augmentation of views: a function of keys, and of groups where it must be.

Scale and shift in the image plane, colour and erasing are each view's own. A
horizontal flip makes another pose of a pose, so all views of a group are
flipped together, and the labels with them (spec 4.3).
"""
from __future__ import annotations

import cv2
import numpy as np

from ..crops.draws import uniforms
from .views import SKELETON, inside_crop

_FLIP, _PLANE, _COLOUR, _ERASE = 0x666C, 0x706C, 0x636F, 0x6572


class Augmentation:
    """What happens to training views; the defaults are spec 4.3's.

    Args:
        flip (float): Chance that a view group is mirrored. Defaults to 0.5.
        scale (float): The image is scaled by up to this share, either way.
            Defaults to 0.1.
        shift (float): It is moved by up to this share of its side.
            Defaults to 0.05.
        colour (float): Gain of each channel within 1 -+ this, and an offset
            within -+ 64 times this. Defaults to 0.2.
        erase (float): Chance of one grey rectangle of 2 to 15 % of the
            area (Zhong et al., "Random erasing", AAAI 2020). Defaults to 0.
        noise (float): Standard deviation of what is added to 2D joints, in
            shares of the image's side; it goes nowhere but into the 2D
            joints. Defaults to 0.

    Raises:
        ValueError: A value is out of range.
    """

    def __init__(self, flip: float = .5, scale: float = .1,
                 shift: float = .05, colour: float = .2, erase: float = 0.,
                 noise: float = 0.) -> None:
        for name, value in (('flip', flip), ('scale', scale),
                            ('shift', shift), ('colour', colour),
                            ('erase', erase), ('noise', noise)):
            if not 0 <= value <= (1 if name in ('flip', 'erase') else .9):
                raise ValueError(f'augmentation: {name} is out of range: '
                                 f'{value}')
        self.flip, self.scale, self.shift = flip, scale, shift
        self.colour, self.erase, self.noise = colour, erase, noise

    def flips(self, shared: np.ndarray) -> np.ndarray:
        """(N,) bool from (N,) keys that the views of a group share."""
        return uniforms(shared, 1, _FLIP)[:, 0] < self.flip

    def __call__(self, images: np.ndarray | None, points: np.ndarray,
                 visible: np.ndarray, flip: np.ndarray, keys: np.ndarray,
                 size: int) -> tuple:
        """Augments a batch.

        Args:
            images (np.ndarray | None): (N, S, S, 3) uint8.
            points (np.ndarray): (N, 17, 2) pixels.
            visible (np.ndarray): (N, 17) bool.
            flip (np.ndarray): (N,) bool.
            keys (np.ndarray): (N,) uint64.
            size (int): S.

        Returns:
            tuple: images, points and visibility alike, and (N, 3, 3)
            matrices that scale and shift flipped pixels.
        """
        points = points.copy()
        points[flip] = points[flip][:, SKELETON.flip_indices]
        points[flip, :, 0] = size - 1 - points[flip, :, 0]
        visible = visible.copy()
        visible[flip] = visible[flip][:, SKELETON.flip_indices]
        draw = 2 * uniforms(keys, 3, _PLANE) - 1
        zoom = 1 + self.scale * draw[:, 0]
        middle = (size - 1) / 2
        matrices = np.tile(np.eye(3), (len(keys), 1, 1))
        matrices[:, 0, 0] = matrices[:, 1, 1] = zoom
        matrices[:, :2, 2] = (middle * (1 - zoom)[:, None]
                              + self.shift * size * draw[:, 1:])
        points = (points * zoom[:, None, None]
                  + matrices[:, None, :2, 2]).astype(np.float32)
        visible &= inside_crop(points, size)
        if images is not None:
            images = self._images(images, flip, matrices, keys)
        if self.noise:
            u = uniforms(keys, 2 * points.shape[1], _PLANE + 1)
            n = len(SKELETON)
            # Box and Muller's normal numbers.
            radius = np.sqrt(-2 * np.log1p(-u[:, :n]))
            turn = 2 * np.pi * u[:, n:]
            points += (self.noise * size * radius[..., None] * np.stack(
                [np.cos(turn), np.sin(turn)], -1)).astype(np.float32)
        return images, points, visible, matrices

    def _images(self, images: np.ndarray, flip: np.ndarray,
                matrices: np.ndarray, keys: np.ndarray) -> np.ndarray:
        count, size = images.shape[:2]
        draw = 2 * uniforms(keys, 4, _COLOUR) - 1
        gain = 1 + self.colour * draw[:, :3]
        offset = 64 * self.colour * draw[:, 3:]
        values = np.arange(256)[None, :, None]
        tables = np.clip((values - 128) * gain[:, None] + 128
                         + offset[:, None], 0, 255).astype(np.uint8)
        erase = uniforms(keys, 6, _ERASE)
        out = np.empty(images.shape, np.uint8)
        for i in range(count):
            image = images[i]
            matrix = matrices[i, :2]
            if flip[i]:
                matrix = matrix @ np.array([[-1, 0, size - 1], [0, 1, 0],
                                            [0, 0, 1]])
            image = cv2.warpAffine(image, matrix, (size, size),
                                   flags=cv2.INTER_LINEAR)
            if self.colour:
                image = cv2.LUT(image, tables[i:i + 1])
            out[i] = image
            if erase[i, 0] < self.erase:
                area = .02 + .13 * erase[i, 1]
                ratio = np.exp((2 * erase[i, 2] - 1) * np.log(3))
                h, w = (np.sqrt([area * ratio, area / ratio]) * size).clip(
                    1, size).astype(int)
                y = int(erase[i, 3] * (size - h))
                x = int(erase[i, 4] * (size - w))
                out[i, y:y + h, x:x + w] = int(255 * erase[i, 5])
        return out
