"""What makes two runs the same run."""
from __future__ import annotations

from types import SimpleNamespace

import pytest
from mmengine.config import Config

from mirrorpose.engine import identity


def cfg(**changes):
    made = Config(dict(
        model=dict(type='A', head=dict(type='B', sizes=[1, 2])),
        train_dataloader=dict(batch_size=4, num_workers=2, dataset=dict(
            type='D', data_root='here', pipeline=[dict(type='T', p=.5)])),
        optim_wrapper=dict(optimizer=dict(type='Adam', lr=.1)),
        train_cfg=dict(by_epoch=True, max_epochs=3, val_interval=1),
        custom_hooks=[dict(type='AverageScores', last=3)],
        work_dir='x', unused=dict(a=1)))
    made.merge_from_dict(changes)
    return identity.config_entries(made)


def test_entries_are_flat_and_plain():
    entries = cfg()
    assert entries['model.head.sizes'] == [1, 2]
    assert entries['train_dataloader.dataset.pipeline[0].p'] == .5
    assert not any(k.startswith(('unused', 'work_dir', 'custom_hooks'))
                   for k in entries)


@pytest.mark.parametrize('change', [
    {'work_dir': 'y'}, {'train_dataloader.num_workers': 0},
    {'train_dataloader.dataset.data_root': 'there'}, {'unused.a': 2},
    {'train_cfg.val_interval': 7}])
def test_harmless_changes(change):
    assert identity.differences(cfg(), cfg(**change)) == []
    assert identity.config_hash(cfg()) == identity.config_hash(cfg(**change))


@pytest.mark.parametrize(('change', 'line'), [
    ({'optim_wrapper.optimizer.lr': .2},
     'optim_wrapper.optimizer.lr: 0.1 in the checkpoint, 0.2 now'),
    ({'train_cfg.max_epochs': 5},
     'train_cfg.max_epochs: 3 in the checkpoint, 5 now'),
    ({'model.head.new': 'x'},
     'model.head.new: absent in the checkpoint, x now')])
def test_changes_are_said(change, line):
    assert identity.differences(cfg(), cfg(**change)) == [line]
    assert identity.config_hash(cfg()) != identity.config_hash(cfg(**change))


class Leaf:

    def __init__(self, digest, number=5):
        self.split_digest, self.ann_file = digest, '/somewhere/lsp/lsp.npz'
        self.label_fraction, self.number = .2, number

    def __len__(self):
        return self.number


def test_splits_of_nested_data_sets():
    nested = SimpleNamespace(dataset=SimpleNamespace(
        datasets=[Leaf('a'), SimpleNamespace(datasets=[Leaf('b', 7)])]))
    assert identity.splits(nested) == {
        '0: Leaf lsp/lsp.npz': dict(digest='a', samples=5,
                                    label_fraction=.2),
        '1: Leaf lsp/lsp.npz': dict(digest='b', samples=7,
                                    label_fraction=.2)}


def same_run(**changes):
    saved = dict(config=dict(a=1), splits=identity.splits(Leaf('a')),
                 world_size=1)
    return identity.check_same_run(saved, dict(saved, **changes))


def test_the_same_run():
    assert same_run() == []
    assert same_run(config=dict(a=2)) == ['a: 1 in the checkpoint, 2 now']


def test_another_split():
    with pytest.raises(ValueError, match=r'digest: a in the checkpoint, b '
                       'now.*held out.*resume_changed=True'):
        same_run(splits=identity.splits(Leaf('b')))


def test_another_number_of_processes():
    with pytest.raises(ValueError, match='1 process.*this one has 4.*'
                       'load_from'):
        same_run(world_size=4)
