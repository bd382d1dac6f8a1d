"""Where parts of completers have their weights from."""
from __future__ import annotations

import pytest
import torch
from torch import nn

from mirrorpose.models.completion import RegressorCompleter, RidgeCompleter
from mirrorpose.models.completion.weights import (
    find_checkpoint,
    give_checkpoint,
    untrained,
)

SMALL = dict(width=8, dilations=(1, ))


def write(path, model):
    torch.save(dict(state_dict=model.state_dict(), meta={}), path)
    return path


@pytest.fixture
def folder(tmp_path):
    """The work dir of two epochs; weights are the number of the epoch."""
    for epoch in (1, 2):
        model = RegressorCompleter(**SMALL)
        nn.init.constant_(model.network.last.bias, epoch)
        write(tmp_path / f'epoch_{epoch}.pth', model)
    return tmp_path


def test_a_file_or_the_last_of_a_folder(folder):
    assert find_checkpoint(folder).name == 'epoch_2.pth'
    first = folder / 'epoch_1.pth'
    assert find_checkpoint(str(first)) == first


def test_a_damaged_one_is_passed_over(folder):
    last = folder / 'epoch_2.pth'
    last.write_bytes(last.read_bytes()[:1000])
    assert find_checkpoint(folder).name == 'epoch_1.pth'


@pytest.mark.parametrize('name, message', [
    ('regressor_mocap', r'configs/regressor_mocap\.py'),
    ('a/epoch_3.pth', 'no checkpoint .*epoch_3')])
def test_none(tmp_path, name, message):
    with pytest.raises(FileNotFoundError, match=message):
        find_checkpoint(tmp_path / name)


def test_all_weights_are_given(folder):
    model = RegressorCompleter(**SMALL).train()
    assert give_checkpoint(model, folder).name == 'epoch_2.pth'
    assert (model.network.last.bias == 2).all() and not model.training
    with pytest.raises(ValueError, match='another size'):
        give_checkpoint(RegressorCompleter(width=4, dilations=(1, )), folder)


def test_a_search_has_the_weights_of_its_learner(folder):
    search = nn.Module()
    search.learner = RegressorCompleter(**SMALL)
    give_checkpoint(search, folder)
    assert (search.learner.network.last.bias == 2).all()


def test_who_lacks_weights(folder, make_windows, twelve):
    both = nn.ModuleDict(dict(a=RegressorCompleter(**SMALL),
                              b=nn.Sequential(nn.ReLU())))
    assert untrained(both) == ['']
    both['c'] = RegressorCompleter(**SMALL)
    give_checkpoint(both['c'], folder)
    assert untrained(both) == ['a']
    give_checkpoint(both['a'], folder)
    assert untrained(both) == []
    both['r'] = RidgeCompleter(rank=4)
    assert untrained(both) == ['r']
    both['r'].fit([dict(inputs=make_windows(9, 0), observed=twelve(9))])
    assert untrained(both) == []
    assert untrained(nn.ReLU()) == []
