"""Reading under a policy, from any data set and in several workers."""
from __future__ import annotations

import csv

import cv2
import numpy as np
import pytest
import torch
from mmengine.dataset import BaseDataset, Compose, RepeatDataset
from mmpose.datasets import CombinedDataset
from mmpose.registry import DATASETS
from torch.utils.data import DataLoader, Dataset

import mirrorpose  # noqa: F401
from mirrorpose.datasets import LspDataset
from mirrorpose.datasets.broken import BrokenSampleError, BrokenSamples
from mirrorpose.datasets.guarded import (
    guard,
    guarded_getitem,
    open_broken_samples,
    why_broken,
)
from mirrorpose.datasets.keyed import KeyedDataset, make_keyed
from mirrorpose.structures import Skeleton

METAINFO = Skeleton.from_name('mpii_16').metainfo()


@DATASETS.register_module(force=True)
class Folder(BaseDataset):
    """Images of a folder; what comes out is id, grey level and a draw."""

    def __init__(self, folder, load='LoadCheckedImage', draw=True) -> None:
        self.folder, self.load, self.draw = folder, load, draw
        super().__init__(pipeline=[], serialize_data=False)
        self.pipeline = Compose([dict(type=load), self._out])

    def load_data_list(self) -> list[dict]:
        return [dict(id=f'{self.folder.name}/{i}',
                     img_path=str(self.folder / f'{i}.png'))
                for i in range(10)]

    def _out(self, results) -> dict:
        if not self.draw:
            return results
        return dict(id=results['id'], grey=int(results['img'][0, 0, 0]),
                    draw=float(torch.rand(())))


@pytest.fixture
def folder(tmp_path):
    """Ten images; the third is empty, the seventh missing."""
    for i in range(10):
        cv2.imwrite(str(tmp_path / f'{i}.png'),
                    np.full((8, 8, 3), 20 * i, np.uint8))
    (tmp_path / '3.png').write_bytes(b'')
    (tmp_path / '7.png').unlink()
    return tmp_path


def skipping(folder, total=10, share=.2) -> BrokenSamples:
    return BrokenSamples('skip', share, folder / 'out' / 'b.csv', total)


class TestWhichErrors:

    def test_mmposes_own_loader(self, folder):
        dataset = Folder(folder, 'LoadImage')
        for index, reason in ((3, ''), (7, 'No such file')):
            with pytest.raises(Exception) as error:
                dataset[index]
            found = why_broken(error.value)
            assert found is not None and reason in found[0]
            assert found[1] == str(folder / f'{index}.png')

    def test_programs_errors_pass_through(self):
        for error in (ValueError('a shape'), AttributeError('no shape'),
                      KeyError('img'), RuntimeError('x')):
            assert why_broken(error) is None

        class Wrong(Dataset):
            def __len__(self):
                return 3

            def __getitem__(self, index):
                raise ValueError('a programming error')

        with pytest.raises(ValueError, match='a programming error'):
            guarded_getitem(Wrong(), 0, 1, BrokenSamples('skip', 1, None, 3))

    def test_other_missing_files(self):
        error = FileNotFoundError(2, 'No such file', 'mask.png')
        assert why_broken(error)[1] == 'mask.png'


class TestPolicies:

    @pytest.mark.parametrize('load', ['LoadImage', 'LoadCheckedImage'])
    @pytest.mark.parametrize('index', [3, 7])
    def test_error(self, folder, load, index):
        with pytest.raises(BrokenSampleError) as error:
            guarded_getitem(Folder(folder, load), index, 1, BrokenSamples())
        text = str(error.value)
        for part in (f'{folder.name}/{index}', f'{index}.png',
                     'broken_samples'):
            assert part in text
        assert text.count(f'{index}.png') == 1 or load == 'LoadImage'

    def test_skip_lists_and_replaces(self, folder):
        dataset, broken = Folder(folder), skipping(folder)
        got = [guarded_getitem(dataset, i, 99 + i, broken)['id']
               for i in range(10)]
        names = {f'{folder.name}/{i}' for i in range(10)}
        for i, name in enumerate(got):
            assert name in names - {f'{folder.name}/3', f'{folder.name}/7'}
            if i not in (3, 7):
                assert name == f'{folder.name}/{i}'
        with broken.csv.open(newline='') as file:
            table = list(csv.reader(file))
        assert [r[0] for r in table[1:]] == [f'{folder.name}/3',
                                             f'{folder.name}/7']
        assert 'zero bytes' in table[1][1] and 'missing' in table[2][1]
        assert table[1][2] == str(folder / '3.png')

    def test_too_many(self, folder):
        dataset, broken = Folder(folder), skipping(folder, share=.1)
        guarded_getitem(dataset, 3, 1, broken)
        with pytest.raises(RuntimeError, match='2 of 10'):
            guarded_getitem(dataset, 7, 1, broken)

    def test_all_substitutes_broken(self, folder):
        for path in folder.glob('*.png'):
            path.write_bytes(b'')
        with pytest.raises(RuntimeError, match=r'5 samples drawn.*/3 are'):
            guarded_getitem(Folder(folder), 3, 1, skipping(folder, share=1),
                            tries=5)


class TestSubstitutes:

    def test_a_function_of_the_key(self, folder):
        dataset = Folder(folder)
        got = {k: guarded_getitem(dataset, 3, k, skipping(folder))['id']
               for k in range(200)}
        again = {k: guarded_getitem(dataset, 3, k, skipping(folder))['id']
                 for k in range(200)}
        assert got == again
        counts = np.unique(list(got.values()), return_counts=True)[1]
        assert len(counts) == 8  # all that are whole, about equally often
        assert counts.min() > 10 and counts.max() < 45

    def test_same_whether_known_or_found_just_now(self, folder):
        dataset = KeyedDataset(Folder(folder), guard(skipping(folder)))
        first = [dataset[3, k] for k in range(50)]
        dataset = KeyedDataset(Folder(folder), guard(skipping(folder)))
        assert [dataset[3, k] for k in range(50)] == first  # draws too
        fresh = KeyedDataset(Folder(folder), guard(
            BrokenSamples('skip', .2, None, 10)))
        assert fresh[3, 49] == first[49]

    def test_from_the_same_part_of_the_data(self, folder, tmp_path_factory):
        other = tmp_path_factory.mktemp('other')
        for i in range(10):
            cv2.imwrite(str(other / f'{i}.png'), np.zeros((8, 8, 3)))
        both = CombinedDataset(METAINFO, [
            dict(type='Folder', folder=f, draw=False)
            for f in (other, folder)])
        broken = skipping(folder, 20)
        for key in range(50):
            name = guarded_getitem(both, 13, key, broken)['id']
            assert name.startswith(folder.name)
        repeated = RepeatDataset(Folder(folder), 3)
        for key in range(50):
            assert guarded_getitem(repeated, 23, key, broken)['id'] not in (
                f'{folder.name}/3', f'{folder.name}/7')
        assert set(broken.reasons) == {f'{folder.name}/3', f'{folder.name}/7'}


class TestLoader:

    @pytest.mark.parametrize('workers', [0, 2])
    def test_batches_do_not_depend_on_workers(self, folder, workers):
        def batches(number):
            broken = BrokenSamples('skip', .2, folder / f'{number}.csv', 10)
            loader = DataLoader(
                Folder(folder), batch_size=5, num_workers=number,
                sampler=torch.utils.data.SequentialSampler(range(10)),
                multiprocessing_context='fork' if number else None)
            keyed = make_keyed(loader, 0, guard(broken))
            out = []
            for epoch in range(3):
                keyed.start(epoch)
                out += [b['id'] + b['draw'].tolist() for b in loader]
            return out, set(broken.reasons)

        assert batches(workers) == batches(0)
        assert batches(workers)[1] == {f'{folder.name}/3',
                                       f'{folder.name}/7'}

    def test_the_error_of_a_worker_names_the_sample(self, folder):
        loader = DataLoader(Folder(folder), batch_size=5, num_workers=1,
                            multiprocessing_context='fork')
        make_keyed(loader, 0, guard(BrokenSamples()))
        with pytest.raises(BrokenSampleError, match=f'{folder.name}/3'):
            list(loader)


class TestOpen:
    """What the runner does with ``broken_samples`` of a config."""

    def test_annotations_and_files_in_one_list(self, lsp_root, tmp_path):
        def dataset():
            out = LspDataset(data_root=str(lsp_root), serialize_data=False,
                             pipeline=[dict(type='LoadCheckedImage')])
            out.data_list[2]['keypoints'][0, 0] = np.nan
            out.data_list[5]['img_path'] += '.lost'
            return KeyedDataset(out)

        with pytest.raises(BrokenSampleError,
                           match='lsp/lsp.npz.*lsp/im00003.*right_ankle'):
            open_broken_samples(dataset(), tmp_path)
        with pytest.raises(RuntimeError, match='1 of 10.*allows 0'):
            open_broken_samples(dataset(), tmp_path, 'skip')
        for _ in range(2):  # the second time resumed
            data = dataset()
            broken = open_broken_samples(data, tmp_path, 'skip', .2)
            assert broken.total == 10
            data.fetch = guard(broken)
            got = {data[i, 7 + i]['id'] for i in range(10)}
            assert got == {f'lsp/im{i:05d}' for i in range(1, 11)} - {
                'lsp/im00003', 'lsp/im00006'}
        with (tmp_path / 'broken_samples.csv').open(newline='') as file:
            table = list(csv.reader(file))
        assert [r[0] for r in table] == ['sample', 'lsp/im00003',
                                         'lsp/im00006']
        assert table[1][2].endswith('lsp.npz')
        assert table[2][2].endswith('im00006.jpg.lost')
