"""The state of every random generator, as plain data.

What a checkpoint has to hold so that a resumed run draws what the run that
was never stopped would have drawn.
"""
from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch


def collect() -> dict[str, Any]:
    """The generators of this process: python, numpy, torch and its device.

    Returns:
        dict: Numbers, strings, lists and tensors alone.
    """
    version, internal, gauss = random.getstate()
    legacy: Any = np.random.get_state(legacy=True)
    kind, keys, position, has_gauss, cached = legacy
    state = dict(
        python=[version, list(internal), gauss],
        numpy=[str(kind), torch.from_numpy(np.asarray(keys).astype(np.int64)),
               int(position), int(has_gauss), float(cached)],
        torch=torch.get_rng_state())
    if torch.cuda.is_available() and torch.cuda.is_initialized():
        state['cuda'] = torch.cuda.get_rng_state()
    return state


def restore(state: dict[str, Any]) -> None:
    """Puts the generators back to what :func:`collect` saw."""
    version, internal, gauss = state['python']
    random.setstate((int(version), tuple(int(i) for i in internal), gauss))
    kind, keys, position, has_gauss, cached = state['numpy']
    np.random.set_state((kind, keys.cpu().numpy().astype(np.uint32),
                         position, has_gauss, cached))
    torch.set_rng_state(state['torch'].cpu())
    if 'cuda' in state and torch.cuda.is_available():
        torch.cuda.set_rng_state(state['cuda'].cpu())


@contextmanager
def preserved() -> Iterator[None]:
    """What is drawn inside does not move what is drawn after."""
    state = collect()
    try:
        yield
    finally:
        restore(state)


@contextmanager
def seeded(key: int, restores: bool = True) -> Iterator[None]:
    """Python, numpy and torch (CPU) draw as a function of a key.

    Args:
        key (int): Below 2**64.
        restores (bool): Put the generators back afterwards. A data worker,
            all of whose draws are keyed, need not. Defaults to True.
    """
    if restores:
        before = random.getstate(), np.random.get_state(), \
            torch.default_generator.get_state()
    random.seed(key)
    np.random.seed([key & 0xFFFF_FFFF, key >> 32])
    torch.default_generator.manual_seed(key & 0x7FFF_FFFF_FFFF_FFFF)
    try:
        yield
    finally:
        if restores:
            random.setstate(before[0])
            np.random.set_state(before[1])
            torch.default_generator.set_state(before[2])


def mix(values: np.ndarray) -> np.ndarray:
    """splitmix64's finaliser: uint64 in, well mixed uint64 out.

    Steele, Lea and Flood, "Fast splittable pseudorandom number generators",
    OOPSLA 2014.
    """
    z = values.astype(np.uint64) + np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))
