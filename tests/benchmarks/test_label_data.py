"""Nobody is on two sides."""
from __future__ import annotations

import numpy as np
import pytest
from mmengine.registry import init_default_scope
from mmpose.registry import DATASETS

from benchmarks.labels.data import SidedLsp, held_out, training
from benchmarks.labels.runs import Name, settings
from mirrorpose.datasets.members import leaves, raw_infos
from mirrorpose.engine.runner import resolve
from mirrorpose.models.data_preprocessors import CropPreprocessor


def training_set(data, percent, seed):
    """Config of a run's people. LSPET's are left out: theirs are other ids.
    """
    cfg = resolve(settings(Name(data, 'semi', False, percent, seed), False))
    found = cfg.train_dataloader.dataset
    for part in found.dataset.datasets:
        part.datasets = part.datasets[:1]
    return found


def ids(config):
    """Ids of a data set's people, without reading an image."""
    init_default_scope('mmpose')
    return [{str(i['id']) for i in raw_infos(leaf.dataset)}
            for leaf in leaves(DATASETS.build(config))]


def sides(data, percent, seed):
    """Annotated, un-annotated, validation and test people of a run."""
    return (*ids(training_set(data, percent, seed).dataset),
            *(ids(held_out(data, side))[0]
              for side in ('validation', 'test')))


def check(data, sizes):
    before: set[str] = set()
    for percent in (5, 20, 80):
        known, other, validation, test = sides(data, percent, 1)
        both = known | other
        assert len(known) + len(other) == len(both) == sizes[0]
        assert (len(validation), len(test)) == sizes[1:]
        assert not both & validation and not both & test
        assert not validation & test
        assert len(known) == pytest.approx(percent / 100 * sizes[0], abs=2)
        assert before < known  # nested
        before = known
    assert sides(data, 80, 2)[0] != before


def test_sides_of_the_world():
    check('synthetic', (4000, 500, 1000))


def test_sides_of_lsp(data_root):
    check('lsp', (500, 500, 1000))


def test_labels_do_not_travel(data_root):
    """A batch with un-annotated people: no joint, no silhouette of theirs.
    """
    init_default_scope('mmpose')
    dataset = DATASETS.build(training_set('lsp', 20, 0))
    first = len(dataset.datasets[0])
    rows = [0, 1, first, first + 1]
    batch = dataset.get_batch(rows, np.arange(4, dtype=np.uint64))
    samples = CropPreprocessor()(batch, True)['data_samples']
    assert samples.labelled.tolist() == [True, True, False, False]
    assert samples.heatmaps[2:].abs().max() == 0
    assert samples.keypoint_weights[2:].abs().max() == 0
    assert samples.silhouette[2:].abs().max() == 0
    assert samples.silhouette[:2].flatten(1).amax(1).min() > .9
    assert samples.heatmaps[:2].amax() > .9


def test_wrong_sides():
    with pytest.raises(ValueError, match='side is one of'):
        SidedLsp(side='train')
    with pytest.raises(ValueError, match='data is one of'):
        training('mpii', (32, 0))
