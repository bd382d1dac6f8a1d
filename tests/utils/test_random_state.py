"""The state of every generator, there and back."""
from __future__ import annotations

import random

import numpy as np
import torch

from mirrorpose.engine import checkpoint
from mirrorpose.utils import random_state


def draw():
    return (random.random(), random.gauss(0, 1), np.random.rand(),
            np.random.standard_normal(), torch.rand(2).tolist(),
            torch.randn(3).tolist())


def test_round_trip_through_a_safe_file(tmp_path):
    random.gauss(0, 1), np.random.standard_normal()  # half a pair is cached
    state = random_state.collect()
    expected = [draw() for _ in range(3)]
    torch.save(checkpoint.plain(state), tmp_path / 'state.pth')
    for _ in range(5):
        draw()
    random_state.restore(torch.load(tmp_path / 'state.pth',
                                    weights_only=True))
    assert [draw() for _ in range(3)] == expected


def test_preserved():
    state = random_state.collect()
    expected = draw()
    random_state.restore(state)
    with random_state.preserved():
        draw()
        torch.manual_seed(7)
    assert draw() == expected


def test_preserved_through_an_exception():
    state = random_state.collect()
    expected = draw()
    random_state.restore(state)
    try:
        with random_state.preserved():
            draw()
            raise KeyError
    except KeyError:
        pass
    assert draw() == expected


def test_seeded_is_a_function_of_the_key():
    key = 2**63 + 12345
    with random_state.seeded(key):
        one = draw()
    draw()
    with random_state.seeded(key):
        assert draw() == one
    with random_state.seeded(key + 1):
        other = draw()
    assert all(a != b for a, b in zip(one, other))


def test_seeded_leaves_the_stream_alone():
    state = random_state.collect()
    expected = draw()
    random_state.restore(state)
    with random_state.seeded(3):
        draw()
    assert draw() == expected
