"""Images edited by their keypoints: KeypointGAN's Figures 9 and 10."""
from __future__ import annotations

import difflib
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from ..datasets.broken import BrokenSampleError
from ..datasets.frames.squares import cut, frame_squares
from ..datasets.reading import read_image
from ..models.adversarial import unwrap
from ..models.keypointgan import KeypointGAN
from ..models.pose.representations import (
    cells_from_normalised,
    normalised_from_cells,
)
from ..visualization.drawing import denormalise

#: How an image of any size becomes the network's square.
CROPS = ('centre', 'fit')
#: What a move is told in.
UNITS = ('pixel', 'fraction')


class Subjects(NamedTuple):
    """Images as the network sees them, and where it finds their joints.

    Attributes:
        images (np.ndarray): (N, S, S, 3) uint8 BGR.
        keypoints (np.ndarray): (N, K, 2) float32 pixels of them, (0, 0) the
            centre of the first.
        names (list[str]): N, for captions and messages.
    """

    images: np.ndarray
    keypoints: np.ndarray
    names: list[str]


class PoseEditor:
    """Reads poses off images, changes them, and makes the images of them.

    What is edited are the keypoints in the bottleneck: the decoder draws
    the new pose with the appearance of an image (Eq. 3). It knows what it
    was trained on: images like those of the training data, cut like them.

    Args:
        model (nn.Module): A trained KeypointGAN, for example
            ``load_model('configs/keypointgan_synthetic.py', checkpoint)``.
        batch_size (int): Images at a time. Defaults to 32.

    Attributes:
        size (int): S, side of the network's images in pixels.
        skeleton (Skeleton): The K joints.
        drawn (list[str]): Those of them in which a limb ends.

    Raises:
        TypeError: The model is no KeypointGAN.
        ValueError: Its decoder reads no appearance, or its images are not
            square.
    """

    def __init__(self, model: nn.Module, batch_size: int = 32) -> None:
        if not isinstance(model, KeypointGAN):
            raise TypeError(f'a {type(model).__name__} makes no images of '
                            'keypoints: an edit needs a KeypointGAN, whole')
        generator: Any = unwrap(model.generator)
        if not getattr(generator, 'conditional', False):
            raise ValueError(
                'the decoder of this model reads no appearance frame '
                '(generator.conditional=False), so it cannot keep the look '
                'of an image: train one with generator.conditional=True')
        high, wide = model.renderer.size
        if high != wide:
            raise ValueError(f'images of this model have {wide} x {high} '
                             'pixels; only square ones can be edited')
        if batch_size < 1:
            raise ValueError(f'batch_size must be positive, got {batch_size}')
        if not model.bottleneck:
            warnings.warn('this model was trained without a bottleneck: its '
                          'decoder never saw a drawn skeleton, and edits may '
                          'look worse than its reconstructions',
                          stacklevel=2)
        self.model, self.batch_size = model.eval(), batch_size
        self.skeleton, self.size = model.skeleton, int(high)
        renderer: Any = model.renderer
        ends = renderer.parts[renderer.weights > 0].unique().tolist()
        self.drawn = [self.skeleton.joints[i] for i in ends]
        # Drawn in one channel, a pose and the same with its sides exchanged
        # are one picture, so that names may be corrected.
        flip = torch.as_tensor(self.skeleton.flip_indices,
                               device=renderer.parts.device)
        self._sides_alike = renderer.channels == 1 and _limbs(
            renderer.parts) == _limbs(flip[renderer.parts])

    @torch.no_grad()
    def read(self, images: Sequence[str | Path | np.ndarray],
             crop: str = 'centre') -> Subjects:
        """Brings images to the network's size and finds their joints.

        Args:
            images (Sequence): N paths, or (H, W, 3) uint8 arrays in BGR, of
                any sizes.
            crop (str): ``'centre'``: the largest square in the middle, as
                frame sources with ``crop='centre'`` cut it (a square image
                is taken whole); ``'fit'``: the whole image, its outer
                pixels repeated to make it square. Defaults to ``'centre'``.

        Returns:
            Subjects: Where sides are corrected (``correct_sides``) joints
            have the names of ``keypoints_corrected``.

        Raises:
            ValueError: No image, one that cannot be read (the message names
                it), or an unknown crop.
        """
        if crop not in CROPS:
            raise ValueError(f'crop is one of {CROPS}, got {crop!r}')
        if not len(images):
            raise ValueError('there is no image to edit')
        squares = np.stack([self._square(image, number, crop)
                            for number, image in enumerate(images)])
        found = [self._keypoints(self._normalised(part))
                 for part in self._parts(squares)]
        return Subjects(squares, self._pixels(torch.cat(found)), [
            f'image {i}' if isinstance(image, np.ndarray)
            else Path(image).name for i, image in enumerate(images)])

    @torch.no_grad()
    def decode(self, keypoints: np.ndarray,
               appearances: np.ndarray) -> np.ndarray:
        """Makes the images of poses, each with the look of an image.

        Args:
            keypoints (np.ndarray): (N, K, 2) pixels of the square images.
            appearances (np.ndarray): (N, S, S, 3) uint8 BGR.

        Returns:
            np.ndarray: (N, S, S, 3) uint8 BGR.

        Raises:
            ValueError: Shapes do not fit.
        """
        wanted = (len(keypoints), len(self.skeleton), 2)
        sides = (len(keypoints), self.size, self.size, 3)
        if np.shape(keypoints) != wanted or np.shape(appearances) != sides:
            raise ValueError(
                f'keypoints are {wanted} and appearances {sides}, got '
                f'{np.shape(keypoints)} and {np.shape(appearances)}')
        points = normalised_from_cells(torch.as_tensor(
            np.asarray(keypoints, np.float32)), (self.size, self.size))
        made = [denormalise(self.model.decode(
            p.to(self._device), self._normalised(a)),
            self.model.data_preprocessor)
            for p, a in zip(self._parts(points), self._parts(appearances))]
        return np.ascontiguousarray(np.concatenate(made)[..., ::-1])

    def swap(self, poses: Subjects, appearances: Subjects) -> np.ndarray:
        """Every pose with every appearance (the paper's Figure 9).

        Args:
            poses (Subjects): P whose poses are taken.
            appearances (Subjects): A whose looks are taken.

        Returns:
            np.ndarray: (P, A, S, S, 3) uint8 BGR.
        """
        p, a = len(poses.images), len(appearances.images)
        made = self.decode(np.repeat(poses.keypoints, a, 0), np.tile(
            appearances.images, (p, 1, 1, 1)))
        return made.reshape(p, a, *made.shape[1:])

    def move(self, subjects: Subjects,
             moves: Mapping[str, Sequence[float]],
             unit: str = 'pixel') -> np.ndarray:
        """Poses of which some joints are moved (the paper's Figure 10).

        A joint has to stay within the picture.

        Args:
            subjects (Subjects): N of them.
            moves (Mapping[str, Sequence[float]]): Joint to (dx, dy), x right
                and y down.
            unit (str): ``'pixel'`` of the square image, or ``'fraction'`` of
                its side. Defaults to ``'pixel'``.

        Returns:
            np.ndarray: (N, K, 2) pixels.

        Raises:
            ValueError: An unknown joint or unit, a joint at the end of no
                limb, or one that would leave the picture.
        """
        out = subjects.keypoints.copy()
        for name, by in moves.items():
            joint = self.joint(name)
            out[:, joint] += self._step(name, by, unit)
            for number, (x, y) in enumerate(out[:, joint].tolist()):
                if min(x, y) < 0 or max(x, y) > self.size - 1:
                    left, top = subjects.keypoints[number, joint].tolist()
                    last = self.size - 1
                    raise ValueError(
                        f'{subjects.names[number]}: {name} would stand at '
                        f'({x:.0f}, {y:.0f}), outside of the picture of '
                        f'{self.size} x {self.size} pixels; from '
                        f'({left:.0f}, {top:.0f}) it can move by '
                        f'{-left:.0f} to {last - left:.0f} in x and by '
                        f'{-top:.0f} to {last - top:.0f} in y')
        return out

    def walk(self, subjects: Subjects, joint: str,
             by: Sequence[float] | None = None, steps: int = 8,
             unit: str = 'pixel', radius: float = .15) -> np.ndarray:
        """Poses of which one joint walks along a path.

        What of the path lies outside of the picture is held at its border.

        Args:
            subjects (Subjects): N of them.
            joint (str): Its name.
            by (Sequence[float], optional): (dx, dy): in a straight line from
                where it is, both ends included. Defaults to None: clockwise
                on a circle about where it is, beginning on its right.
            steps (int): T, at least 2. Defaults to 8.
            unit (str): Of ``by``, see :meth:`move`. Defaults to ``'pixel'``.
            radius (float): Of the circle, as a share of the image's side.
                Defaults to 0.15.

        Returns:
            np.ndarray: (N, T, K, 2) pixels.

        Raises:
            ValueError: An unknown joint or unit, a joint at the end of no
                limb, or too few steps.
        """
        index = self.joint(joint)
        if steps < 2:
            raise ValueError(f'a path has at least 2 steps, got {steps}')
        if by is None:
            if not radius > 0:
                raise ValueError(f'radius must be positive, got {radius}')
            angle = np.arange(steps) * 2 * np.pi / steps
            path = radius * self.size * np.stack(
                [np.cos(angle), np.sin(angle)], 1)
        else:
            path = np.linspace(0, 1, steps)[:, None] * self._step(
                joint, by, unit)
        out = np.repeat(subjects.keypoints[:, None], steps, 1)
        out[:, :, index] = (out[:, :, index] + path).clip(0, self.size - 1)
        return out

    def joint(self, name: str) -> int:
        """The index of a joint that is drawn.

        Raises:
            ValueError: There is none of this name, or no limb ends in it.
        """
        joints = list(self.skeleton.joints)
        if name not in joints:
            near = difflib.get_close_matches(name, joints, 1)
            raise ValueError(
                f'{self.skeleton.name!r} has no joint {name!r}'
                + (f': did you mean {near[0]!r}?' if near else '.')
                + f' Its joints are {joints}')
        if name not in self.drawn:
            raise ValueError(f'no limb ends in {name!r}, so moving it '
                             f'changes nothing; drawn are {self.drawn}')
        return joints.index(name)

    # -- between pixels and the network ------------------------------------
    @property
    def _device(self) -> torch.device:
        return next(self.model.parameters()).device

    def _parts(self, rows: Any) -> list[Any]:
        return [rows[i:i + self.batch_size]
                for i in range(0, len(rows), self.batch_size)]

    def _square(self, image: str | Path | np.ndarray, number: int,
                crop: str) -> np.ndarray:
        where = (f'image {number}' if isinstance(image, np.ndarray)
                 else str(image))
        if not isinstance(image, np.ndarray):
            try:
                image = read_image(image)
            except BrokenSampleError as error:
                # The data sets' advice, to go on without it, is no use here.
                raise ValueError(f'{where} cannot be edited: {error.reason}; '
                                 'give another image') from error
        if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
            raise ValueError(f'{where} is {image.shape} {image.dtype}; '
                             '(H, W, 3) uint8 in BGR is wanted')
        high, wide = image.shape[:2]
        if crop == 'centre':
            square = frame_squares('centre', (high, wide), 1, None, 1.,
                                   where)[0]
        else:
            side = max(high, wide)
            square = np.array([(wide - side) // 2, (high - side) // 2, side])
        return cut(image, square, self.size)

    def _normalised(self, images: np.ndarray) -> Tensor:
        """(N, S, S, 3) uint8 BGR to (N, 3, S, S), what the networks read."""
        pixels = torch.from_numpy(np.ascontiguousarray(
            images.transpose(0, 3, 1, 2)))
        preprocessor: Any = self.model.data_preprocessor
        return preprocessor(dict(inputs=dict(image=pixels)))['inputs'][
            'image']

    def _keypoints(self, images: Tensor) -> Tensor:
        """Named keypoints in [-1, 1]; drawn they are the model's own."""
        model = self.model
        keypoints = model.head(model.translate(images))
        if model.correct_sides and self._sides_alike:
            keypoints = model.side_corrected(keypoints)[0]
        return keypoints.float().cpu()

    def _pixels(self, keypoints: Tensor) -> np.ndarray:
        return cells_from_normalised(keypoints, (
            self.size, self.size)).numpy()

    def _step(self, joint: str, by: Sequence[float],
              unit: str) -> np.ndarray:
        if unit not in UNITS:
            raise ValueError(f'unit is one of {UNITS}, got {unit!r}')
        step = np.asarray(by, np.float32)
        if step.shape != (2, ) or not np.isfinite(step).all():
            raise ValueError(f'{joint} moves by (dx, dy), two numbers, got '
                             f'{by}')
        return step * (self.size if unit == 'fraction' else 1)


def _limbs(parts: Tensor) -> set[frozenset[frozenset[int]]]:
    """Limbs as sets of two ends, an end as the set of its joints.

    Args:
        parts (Tensor): (2 E, M), ``SkeletonRenderer.parts``.
    """
    first, second = (p.tolist() for p in parts.chunk(2))
    return {frozenset(map(frozenset, ends)) for ends in zip(first, second)}
