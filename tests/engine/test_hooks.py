"""Scores of the last epochs, finite losses, averaged weights, boards."""
from __future__ import annotations

import json
from types import SimpleNamespace

import pytest
import torch

from mirrorpose.engine import AverageScores
from mirrorpose.engine.hooks import CurriculumProgress


class TestAverageScores:

    def test_arithmetic(self):
        scores = {e: dict(a=float(e), b=2. * e) for e in (2, 4, 6, 8, 9, 10)}
        mean = AverageScores.average(scores, 10, 3)
        assert mean == dict(a=9., b=18.)
        assert AverageScores.average(scores, 10, 5) == dict(
            a=pytest.approx(33 / 4), b=pytest.approx(66 / 4))
        assert AverageScores.average({}, 10, 3) == {}

    def test_only_scores_that_all_epochs_have(self):
        scores = {1: dict(a=1., b=1.), 2: dict(a=2.)}
        assert AverageScores.average(scores, 2, 2) == dict(a=1.5)

    def run(self, folder, values, last=2):
        hook = AverageScores(last=last)
        for epoch, value in values:
            hook.after_val_epoch(
                SimpleNamespace(work_dir=str(folder), epoch=epoch),
                dict(pck=value))
        return json.loads((folder / 'scores.json').read_text())

    def test_file(self, tmp_path):
        got = self.run(tmp_path, [(1, 10.), (2, 20.), (3, 40.)])
        assert got == dict(mean=dict(pck=30.), averaged_epochs=[2, 3],
                           epochs={'1': dict(pck=10.), '2': dict(pck=20.),
                                   '3': dict(pck=40.)})

    def test_resumed_run_goes_on(self, tmp_path):
        self.run(tmp_path, [(1, 10.), (2, 20.)])
        got = self.run(tmp_path, [(3, 40.)])
        assert got['mean'] == dict(pck=30.)
        assert set(got['epochs']) == {'1', '2', '3'}

    def test_repeated_epochs_replace_what_was_lost(self, tmp_path):
        self.run(tmp_path, [(1, 10.), (2, 20.), (3, 99.)])
        got = self.run(tmp_path, [(2, 30.)])
        assert got['epochs'] == {'1': dict(pck=10.), '2': dict(pck=30.)}
        assert got['mean'] == dict(pck=20.)

    def test_last(self):
        with pytest.raises(ValueError, match='positive, got 0'):
            AverageScores(last=0)

    def test_in_a_stage(self, toy, tmp_path):
        toy.runner(tmp_path).train()
        got = json.loads((tmp_path / 'scores.json').read_text())
        assert set(got['epochs']) == {'1', '2', '3'}
        assert got['averaged_epochs'] == [2, 3]
        for name, value in got['mean'].items():
            assert value == pytest.approx(
                (got['epochs']['2'][name] + got['epochs']['3'][name]) / 2)
        assert 'bound/explained' in got['mean']


class TestCurriculumProgress:

    def test_remaining(self):
        # 4 more epochs of 10 s; 5 known to take 3 s, 2 as all on average.
        assert CurriculumProgress.remaining(
            10., 4, [('a', 5), ('b', 2)], dict(a=3., c=5.)) == \
            pytest.approx(40 + 15 + 2 * (3 + 5 + 10) / 3)
        assert CurriculumProgress.remaining(10., 0, [], {}) == 0

    def test_prints_a_line_an_epoch(self, monkeypatch, capsys):
        clock = iter([100., 100., 120., 140.])
        monkeypatch.setattr('mirrorpose.engine.hooks.time.monotonic',
                            lambda: next(clock))
        hook = CurriculumProgress([('joint', 5), ('more', 3)])
        hook.before_train(SimpleNamespace(epoch=2))  # resumed
        hook.after_train_epoch(SimpleNamespace(epoch=2))
        first = capsys.readouterr().out
        assert 'joint: epoch 3 of 5; 1 stages after it' in first
        assert 'about 0:01:40 left' in first  # 2 and 3 epochs of 20 s
        hook.after_train_epoch(SimpleNamespace(epoch=3))
        assert 'epoch 4 of 5' in (out := capsys.readouterr().out)
        assert 'about 0:01:20 left' in out


class TestOtherHooks:

    def test_averaged_weights(self, toy, tmp_path):
        cfg = toy.cfg(tmp_path)
        hooks = cfg.custom_hooks.to_dict() if hasattr(
            cfg.custom_hooks, 'to_dict') else list(cfg.custom_hooks)
        hooks.append(dict(type='EMAHook', ema_type='ExpMomentumEMA',
                          momentum=.3))
        runner = toy.runner(tmp_path, custom_hooks=hooks)
        runner.train()
        got = torch.load(tmp_path / 'epoch_3.pth', weights_only=True)
        key = 'pose_vae.generator.head.mean.weight'
        raw = got['ema_state_dict'][f'module.{key}']
        assert not torch.equal(raw, got['state_dict'][key])
        # ... and a broken run goes on with both.
        toy.Diary.epochs.clear()
        again = toy.runner(tmp_path / 'again', custom_hooks=hooks,
                           load_from=str(tmp_path / 'epoch_2.pth'),
                           resume=True)
        again.train()
        assert [e for _, e in toy.Diary.epochs] == [2]

    def test_tensorboard(self, toy, tmp_path):
        pytest.importorskip('torch.utils.tensorboard',
                            reason='tensorboard is not installed')
        runner = toy.runner(tmp_path, visualizer=dict(
            type='PoseLocalVisualizer', name='board',
            vis_backends=[dict(type='LocalVisBackend'),
                          dict(type='TensorboardVisBackend')]))
        runner.train()
        assert list(tmp_path.rglob('events.out.tfevents*'))
