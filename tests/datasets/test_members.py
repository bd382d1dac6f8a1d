"""Wrapped data sets, against what their own indexing gives."""
from __future__ import annotations

import pytest
from mmengine.dataset import BaseDataset, ConcatDataset, RepeatDataset
from mmpose.datasets import CombinedDataset
from mmpose.registry import DATASETS
from torch.utils.data import Subset

import mirrorpose  # noqa: F401
from mirrorpose.datasets.keyed import KeyedDataset
from mirrorpose.datasets.members import (
    leaves,
    locate,
    raw_info,
    raw_infos,
    sample_name,
)
from mirrorpose.structures import Skeleton


@DATASETS.register_module(force=True)
class Named(BaseDataset):
    """Samples ``a0``, ``a1`` ... or, without a letter, 0, 1 ..."""

    def __init__(self, number: int, letter: str = '') -> None:
        self.number, self.letter = number, letter
        super().__init__(serialize_data=False)  # else gc.collect(), .5 s

    def load_data_list(self) -> list[dict]:
        return [dict(id=f'{self.letter}{i}' if self.letter else i)
                for i in range(self.number)]


def combined(*parts) -> CombinedDataset:
    out = CombinedDataset(Skeleton.from_name('mpii_16').metainfo(), [
        dict(type='Named', number=1)])
    out.datasets = list(parts)
    out._lens = [len(p) for p in parts]
    out._len = sum(out._lens)
    return out


def nested():
    return combined(combined(Named(3, 'a'), Named(2, 'b')),
                    RepeatDataset(Named(4, 'c'), 2),
                    ConcatDataset([Named(1, 'd'), Named(2, 'e')]))


@pytest.mark.parametrize('dataset', [
    nested(), Named(5, 'f'), RepeatDataset(nested(), 3),
    KeyedDataset(nested())], ids=lambda d: type(d).__name__)
def test_every_index(dataset):
    found = leaves(dataset)
    for index in range(len(dataset)):
        place = locate(dataset, index)
        inner = dataset.dataset if isinstance(dataset, KeyedDataset) \
            else dataset
        held = inner[index]
        assert place.leaf.dataset[place.index]['id'] == held['id']
        assert sample_name(place) == held['id']
        assert found[place.leaf.number].dataset is place.leaf.dataset
        assert place.leaf.alone == (len(found) == 1)
        assert place.start + place.index == index
        assert place.stop - place.start == len(place.leaf.dataset)


def test_numbers_are_told_apart():
    both = ConcatDataset([Named(2), Named(2)])
    assert [sample_name(locate(both, i)) for i in range(4)] == [
        '0/0', '0/1', '1/0', '1/1']
    assert sample_name(locate(Named(2), 1)) == '1'


def test_random_and_opaque_wrappers():
    out = nested()
    out.resample = True
    assert locate(out, 3) is None
    part = Subset(Named(4, 'a'), [2, 3, 0, 1])
    assert [leaf.dataset for leaf in leaves(part)] == [part]
    assert sample_name(locate(part, 1)) == '1'
    assert raw_info(part, 1) is None and raw_infos(part) == []
