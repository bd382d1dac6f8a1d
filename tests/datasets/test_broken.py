"""The list of broken samples: limits, resuming, several processes."""
from __future__ import annotations

import csv
import multiprocessing
import pickle

import pytest

from mirrorpose.datasets.broken import BrokenSampleError, BrokenSamples


def rows(path) -> list[list[str]]:
    with path.open(newline='') as file:
        return list(csv.reader(file))


class TestPolicy:

    def test_error_names_everything(self):
        with pytest.raises(BrokenSampleError) as error:
            BrokenSamples().report('lsp/im1', 'truncated', '/x/im1.jpg')
        assert error.value.sample == 'lsp/im1'
        assert error.value.reason == 'truncated'
        assert error.value.where == '/x/im1.jpg'
        for part in ('lsp/im1', 'truncated', '/x/im1.jpg', "policy='skip'"):
            assert part in str(error.value)

    def test_error_survives_pickling_and_torch(self):
        """torch's workers raise an error anew from its text alone."""
        error = BrokenSampleError('text', 'a', 'b', 'c')
        again = pickle.loads(pickle.dumps(error))
        assert (str(again), again.sample, again.reason, again.where) == (
            'text', 'a', 'b', 'c')
        assert BrokenSampleError('text').reason == 'text'

    @pytest.mark.parametrize('bad, text', [
        (dict(policy='ignore'), "'error', 'skip'.*'ignore'"),
        (dict(max_share=1.5), r'\[0, 1\], got 1.5'),
        (dict(max_share=float('nan')), 'nan'),
        (dict(total=-1), '-1')])
    def test_arguments(self, bad, text):
        with pytest.raises(ValueError, match=text):
            BrokenSamples(**bad)
        with pytest.raises(TypeError, match='max_share'):
            BrokenSamples(max_share='1 %')


class TestSkip:

    def test_one_line_a_sample(self, tmp_path):
        path = tmp_path / 'new' / 'broken.csv'
        broken = BrokenSamples('skip', 1., path, 10)
        assert not path.exists() and len(broken) == 0
        for sample in ('a', 'b', 'a', 'b', 'a'):
            broken.report(sample, 'a "reason",\nin lines', 'file')
        assert rows(path) == [['sample', 'reason', 'where'],
                              ['a', 'a "reason", in lines', 'file'],
                              ['b', 'a "reason", in lines', 'file']]
        assert len(broken) == 2 and 'a' in broken and 'c' not in broken

    @pytest.mark.parametrize('csv', [False, True])
    def test_limit(self, tmp_path, csv):
        broken = BrokenSamples('skip', .1, tmp_path / 'b.csv' if csv else
                               None, 30)
        for i in range(3):
            broken.report(f's{i}', 'empty')
            broken.report(f's{i}', 'empty')
        with pytest.raises(RuntimeError, match='4 of 30.*13.33%.*allows 3.*'
                                               's3: empty') as error:
            broken.report('s3', 'empty')
        assert ('b.csv' in str(error.value)) == csv

    def test_limit_is_exact(self):
        for count in range(1, 101):
            broken = BrokenSamples('skip', count / 100, None, 100)
            broken.report_all([(str(i), 'x', '') for i in range(count)])
            with pytest.raises(RuntimeError, match=f'allows {count}[.]'):
                broken.report('one more', 'x')

    def test_no_total_allows_none(self):
        with pytest.raises(RuntimeError, match='1 of 0'):
            BrokenSamples('skip', 1.).report('a', 'empty')

    def test_all_are_listed_before_it_stops(self, tmp_path):
        broken = BrokenSamples('skip', .1, tmp_path / 'b.csv', 10)
        with pytest.raises(RuntimeError, match='5 of 10'):
            broken.report_all([(f's{i}', 'NaN', 'f') for i in range(5)])
        assert [r[0] for r in rows(broken.csv)[1:]] == [
            's0', 's1', 's2', 's3', 's4']

    def test_resumed_run_knows_them(self, tmp_path):
        path = tmp_path / 'b.csv'
        BrokenSamples('skip', .5, path, 4).report('a', 'empty')
        again = BrokenSamples('skip', .5, path, 4)
        assert 'a' in again and again.reasons == dict(a='empty')
        again.report('b', 'empty')
        with pytest.raises(RuntimeError, match='3 of 4'):
            again.report('c', 'empty')
        copy = pickle.loads(pickle.dumps(again))
        assert len(copy) == 3

    def test_a_torn_last_line_is_replaced(self, tmp_path):
        path = tmp_path / 'b.csv'
        BrokenSamples('skip', 1., path, 4).report('a', 'empty')
        with path.open('a') as file:
            file.write('b,half of a li')
        again = BrokenSamples('skip', 1., path, 4)
        assert len(again) == 1
        again.report('c', 'empty')
        assert [r[0] for r in rows(path)] == ['sample', 'a', 'c']
        path.write_text('sample,rea')
        again = BrokenSamples('skip', 1., path, 4)
        again.report('c', 'empty')
        assert [r[0] for r in rows(path)] == ['sample', 'c']

    def test_a_deleted_line_is_forgotten(self, tmp_path):
        broken = BrokenSamples('skip', 1., tmp_path / 'b.csv', 4)
        broken.report('a', 'empty')
        broken.report('b', 'empty')
        lines = broken.csv.read_text().splitlines(keepends=True)
        broken.csv.write_text(''.join([lines[0], lines[2]]))
        assert 'a' not in broken and 'b' in broken
        broken.csv.unlink()
        assert len(broken) == 0
        broken.report('c', 'empty')
        assert [r[0] for r in rows(broken.csv)] == ['sample', 'c']

    def test_another_file_is_not_overwritten(self, tmp_path):
        path = tmp_path / 'scores.csv'
        path.write_text('epoch,loss\n1,2\n')
        with pytest.raises(ValueError, match='scores.csv.*sample,reason'):
            BrokenSamples('skip', 1., path, 4)


def _report(path, start, number, total, queue) -> None:
    broken = BrokenSamples('skip', .5, path, total)
    try:
        for i in range(start, start + number):
            broken.report(f'sample {i}', 'the image is truncated', f'{i}.jpg')
        queue.put('done')
    except RuntimeError as error:
        queue.put(str(error))


def in_processes(path, spans, total) -> list[str]:
    """Each process reports its span of samples into one CSV."""
    context = multiprocessing.get_context('fork')
    queue = context.Queue()
    workers = [context.Process(target=_report, args=(
        path, start, number, total, queue)) for start, number in spans]
    for worker in workers:
        worker.start()
    said = [queue.get(timeout=60) for _ in workers]
    for worker in workers:
        worker.join(60)
    return said


class TestProcesses:

    def test_every_sample_once(self, tmp_path):
        path = tmp_path / 'b.csv'
        spans = [(0, 200), (100, 200), (50, 200)]
        assert in_processes(path, spans, 1000) == ['done'] * 3
        held = rows(path)
        assert held[0] == ['sample', 'reason', 'where']
        assert sorted(r[0] for r in held[1:]) == sorted(
            f'sample {i}' for i in range(300))
        assert all(len(r) == 3 for r in held)

    def test_the_limit_holds_over_all(self, tmp_path):
        """Neither would reach 50 of 100 alone."""
        path = tmp_path / 'b.csv'
        said = in_processes(path, [(0, 40), (40, 40)], 100)
        assert any('of 100 samples are broken' in s for s in said)
        # each stops at the first report that it makes beyond the limit
        assert 51 <= len(rows(path)) - 1 <= 52
