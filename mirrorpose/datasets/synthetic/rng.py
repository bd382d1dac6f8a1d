"""Random numbers by name: what is drawn depends on the key alone.

Every part of the world draws from its own counter-based generator, whose key
is a hash of the world's seed and of what is drawn (an identity, a scene, a
camera ...). So nothing depends on the order in which samples are asked for,
or on the process that asks.
"""
from __future__ import annotations

import hashlib

import numpy as np


def keyed_rng(*key: int | str) -> np.random.Generator:
    """A generator whose stream is a function of ``key`` alone.

    Args:
        *key (int | str): What the numbers are for, e.g. ``(seed, 'body',
            identity)``.

    Returns:
        np.random.Generator: A Philox generator (Salmon et al., "Parallel
        random numbers: as easy as 1, 2, 3", SC 2011).
    """
    digest = hashlib.blake2b('/'.join(map(str, key)).encode(),
                             digest_size=16).digest()
    return np.random.Generator(
        np.random.Philox(key=np.frombuffer(digest, np.uint64)))
