"""What is random about recombination: a function of keys alone."""
from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from mmengine.dist import get_rank
from mmengine.logging import MessageHub
from torch import Tensor

from mirrorpose.datasets.crops.draws import uniforms
from mirrorpose.datasets.keyed import sample_keys

#: Independent streams of a key; new ones go to the end.
_GATES, _PARTNERS, _COLOURS, _PLACES = range(100, 104)


@dataclass
class Affine:
    """Ranges of a random similarity, all uniform.

    Attributes:
        rotate (float): Degrees, either way.
        scale (tuple[float, float]): Factor on sizes.
        shift (float): Share of half the image's side, either way.
        flip (float): Probability of a mirror image.
    """

    rotate: float = 30.
    scale: tuple[float, float] = (.75, 1.25)
    shift: float = .2
    flip: float = .5

    def matrices(self, drawn: np.ndarray,
                 size: tuple[int, int]) -> np.ndarray:
        """Maps for ``affine_grid``, output to source.

        Args:
            drawn (np.ndarray): (N, 5) uniform in [0, 1).
            size (tuple[int, int]): (H, W), for the aspect ratio.

        Returns:
            np.ndarray: (N, 2, 3) float32.
        """
        h, w = size
        angle = np.deg2rad((2 * drawn[:, 0] - 1) * self.rotate)
        low, high = self.scale
        inverse = 1 / (low + (high - low) * drawn[:, 1])
        cos, sin = np.cos(angle) * inverse, np.sin(angle) * inverse
        mirror = np.where(drawn[:, 4] < self.flip, -1., 1.)
        shift = (2 * drawn[:, 2:4] - 1) * self.shift
        out = np.empty((len(drawn), 2, 3), np.float32)
        out[:, 0, 0], out[:, 0, 1] = mirror * cos, -mirror * sin * h / w
        out[:, 1, 0], out[:, 1, 1] = sin * w / h, cos
        out[:, :, 2] = -np.einsum('nij,nj->ni', out[:, :, :2], shift)
        return out


def partners(drawn: np.ndarray, pool: np.ndarray) -> np.ndarray:
    """Another sample of a pool for each sample of a batch.

    Args:
        drawn (np.ndarray): (N,) uniform in [0, 1).
        pool (np.ndarray): Indices of the batch, ascending.

    Returns:
        np.ndarray: (N,) indices, never a sample's own; -1 where the pool has
        no other.
    """
    rows = np.arange(len(drawn))
    where = np.searchsorted(pool, rows)
    mine = (where < len(pool)) & (pool[np.minimum(
        where, max(len(pool) - 1, 0))] == rows) if len(pool) else \
        np.zeros(len(rows), bool)
    others = len(pool) - mine
    pick = (drawn * others).astype(np.int64)
    pick = pick + (mine & (pick >= where))
    chosen = pool[np.minimum(pick, max(len(pool) - 1, 0))] if len(pool) \
        else np.full(len(rows), -1)
    return np.where(others > 0, chosen, -1)


class StepKeys:
    """Keys of the samples of a batch, from seed, step, process and place.

    In a run, seed and step are those of mmengine's message hub, so a resumed
    run draws what an unbroken one would, however many workers load the data.
    A second batch within a step, or a call outside of a run, counts on.
    """

    def __init__(self) -> None:
        self._step: int | None = None
        self._calls = 0

    def __call__(self, number: int) -> np.ndarray:
        """(number,) uint64 keys."""
        hub = MessageHub.get_current_instance()
        step, seed = hub.get_info('iter'), hub.get_info('seed', 0)
        step = -1 if step is None else step  # nothing has been trained
        self._calls = self._calls + 1 if step == self._step else 0
        self._step = step
        rows = np.arange(number) + (get_rank() << 32)
        return sample_keys(int(seed or 0), int(step), rows,
                           [self._calls] * number)


class Draws:
    """Uniform numbers of a batch, by purpose.

    Args:
        keys (np.ndarray): (N,) uint64.
    """

    def __init__(self, keys: np.ndarray) -> None:
        self.gates = uniforms(keys, 4, _GATES)
        self.partners = uniforms(keys, 4, _PARTNERS)
        self.colours = uniforms(keys, 4, _COLOURS)
        self.places = uniforms(keys, 15, _PLACES).reshape(-1, 3, 5)


def on(device: torch.device, array: np.ndarray) -> Tensor:
    """An array on a device; numbers in single precision."""
    if array.dtype == np.float64:
        array = array.astype(np.float32)
    return torch.from_numpy(np.ascontiguousarray(array)).to(
        device, non_blocking=True)
