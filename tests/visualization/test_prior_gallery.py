"""Recognized poses and the pose prior's opinion of them."""
from __future__ import annotations

import numpy as np
import pytest
import torch

from mirrorpose.models.pose import normalised_from_cells
from mirrorpose.visualization import gallery, prior_gallery
from mirrorpose.visualization.work_dir import read_stages


@pytest.fixture(scope='module')
def held(finished_work_dir):
    stages = read_stages(finished_work_dir)[0]
    networks = gallery.load_networks(stages)[0]
    batch, total, skeleton = gallery.load_samples(stages, 100)
    assert total == len(batch['inputs']) == 8
    return networks, batch, skeleton, prior_gallery.judge(networks, batch)


def test_scores_are_the_priors_own(held):
    """The pose VAE's score of the pixels that are drawn."""
    networks, _, _, judged = held
    cells = torch.from_numpy(judged.before) * (16 / 64)
    with torch.no_grad():
        score = networks.pose_vae.score(normalised_from_cells(
            cells, (16, 16))).numpy()
    np.testing.assert_allclose(judged.score, score, rtol=.05)
    assert judged.images.shape == (8, 64, 64, 3)


def test_least_plausible_first(held):
    judged = held[3]
    chosen = prior_gallery.least_plausible(judged, 3)
    rest = np.delete(judged.score, chosen)
    assert sorted(judged.score[chosen]) == list(judged.score[chosen])
    assert judged.score[chosen].max() <= rest.min()


def test_errors_in_a_loop(held):
    _, _, _, judged = held
    for i, found in enumerate(prior_gallery.errors(judged)):
        truth, present = gallery.input_points(judged.samples[i])
        mine = [np.hypot(*(judged.before[i, k] - truth[k])) / 64
                for k in range(16) if present[k]]
        assert found == pytest.approx(np.mean(mine), rel=1e-5)


def test_rows_tell_counts_and_nats(held):
    _, _, skeleton, judged = held
    rows = prior_gallery.prior_rows(judged, [5, 2], skeleton)
    assert len(rows) == 2 and [len(r.tiles) for r in rows] == [3, 3]
    assert rows[0].title.endswith(str(judged.samples[5].metainfo['id']))
    assert rows[0].tiles[1].caption.endswith(
        f'{judged.score[5]:.0f} nats')
    assert rows[0].tiles[2].caption.startswith('after the prior: ')
    assert not np.array_equal(rows[0].tiles[0].image, rows[1].tiles[0].image)


def test_batches_make_no_difference(held, monkeypatch):
    networks, batch, _, judged = held
    monkeypatch.setattr(prior_gallery, '_BATCH', 3)
    again = prior_gallery.judge(networks, batch)
    np.testing.assert_allclose(again.before, judged.before, atol=1e-3)
    np.testing.assert_allclose(again.score, judged.score, rtol=1e-4)
    np.testing.assert_array_equal(again.images, judged.images)


def test_without_a_prior(held):
    with pytest.raises(ValueError, match='pose VAE'):
        prior_gallery.judge(gallery.Networks(), held[1])
