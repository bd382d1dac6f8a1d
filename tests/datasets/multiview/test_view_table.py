"""Views: the index, its checks, and crops."""
from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from mirrorpose.datasets.multiview.synthetic import SyntheticViews
from mirrorpose.datasets.multiview.views import (
    Views,
    apply_matrices,
    check_views,
    crop_matrix,
    square_boxes,
)
from mirrorpose.datasets.synthetic.camera import look_at


@pytest.fixture(scope='module')
def views():
    return SyntheticViews(2, 1, 1, 2, 32, 2).read('')


def test_round_trip(views, tmp_path):
    views.save(tmp_path / 'v.npz')
    again = Views.load(tmp_path / 'v.npz')
    for name in ('poses', 'K', 'cameras', 'clips', 'seconds'):
        np.testing.assert_array_equal(getattr(again, name),
                                      getattr(views, name))
    assert again.size == views.size == 32
    assert len(views) == 2 * 1 * 2 * 2


def test_crop_matrix_is_the_window_of_a_camera():
    camera = look_at('a', np.array([3000., 500, 1200]), np.zeros(3), 3., 900,
                     1000)
    matrix = crop_matrix(np.array([100.3]), np.array([50.]),
                         np.array([300.]), 64)[0]
    np.testing.assert_allclose(matrix @ camera.K,
                               camera.window(100.3, 50., 300., 64).K)


def test_squares_hold_their_boxes():
    rng = np.random.default_rng(0)
    low = rng.uniform(0, 50, (9, 2))
    high = low + rng.uniform(1, 80, (9, 2))
    crops = crop_matrix(*square_boxes(low, high, 1.2), 100)
    corners = apply_matrices(crops, np.stack([low, high], 1))
    # 1 / 1.2 of the square is the longer side, in the middle.
    np.testing.assert_allclose((corners[:, 1] - corners[:, 0]).max(1),
                               100 / 1.2)
    np.testing.assert_allclose(corners.mean(1), 49.5)


def spoil(views, **changes):
    return replace(views, **{k: f(getattr(views, k).copy())
                             for k, f in changes.items()})


def first_twice(values):
    values[1] = values[0]
    return values


@pytest.mark.parametrize('changes, message', [
    (dict(poses=lambda v: v[:, :16]), 'mixed joint sets'),
    (dict(frame=first_twice), 'duplicate frames'),
    (dict(cameras=first_twice), "two views of camera 'camera0'"),
    (dict(clips=first_twice), "clip 'person_000/[a-z]+_000' stands there"),
    (dict(seconds=lambda v: v[:-1]), "instants, but {'seconds': 3}"),
    (dict(R=lambda v: v[:-1]), "views, but {'R': 7}")])
def test_bad_index(views, changes, message):
    with pytest.raises(ValueError, match=f'here: .*{message}'):
        check_views(spoil(views, **changes), 'here')


def test_empty(views):
    with pytest.raises(ValueError, match='there is no view'):
        check_views(views.keep_views(np.zeros(len(views), bool)), 'here')
