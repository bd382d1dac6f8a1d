"""Random numbers that are a function of a key and a counter alone.

One hash a number, all samples at once: nothing depends on the order in which
samples are asked for, on the batch that they stand in, or on the process.
"""
from __future__ import annotations

import numpy as np
from scipy.special import ndtr, ndtri

from mirrorpose.utils.random_state import mix

_STEP = np.uint64(0x9E3779B97F4A7C15)


def uniforms(keys: np.ndarray, count: int, stream: int = 0) -> np.ndarray:
    """Uniform numbers of each key.

    Args:
        keys (np.ndarray): (N,) uint64.
        count (int): Numbers a key.
        stream (int): Streams of one key are independent. Defaults to 0.

    Returns:
        np.ndarray: (N, count) float64 in [0, 1).
    """
    start = mix(keys ^ mix(np.array([stream], np.uint64)))
    counters = np.arange(1, count + 1, dtype=np.uint64) * _STEP
    bits = mix(start[:, None] + counters)
    return (bits >> np.uint64(11)) * 2.**-53


def truncated_normal(uniform: np.ndarray) -> np.ndarray:
    """Standard normal numbers given to lie in [-1, 1], by the inverse CDF.

    Args:
        uniform (np.ndarray): Any shape, in [0, 1).

    Returns:
        np.ndarray: The same shape, float32 as mmpose's draws.
    """
    low, high = ndtr(-1.), ndtr(1.)
    drawn = ndtri(low + uniform * (high - low))
    return np.clip(drawn, -1, 1).astype(np.float32)
