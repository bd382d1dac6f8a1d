"""A curriculum: runs, skips, resumes, and stays a plain config at the top."""
from __future__ import annotations

import json

import pytest
import torch
from mmengine.config import Config
from mmengine.runner import Runner
from mmpose.registry import RUNNERS

from mirrorpose.engine import curriculum
from mirrorpose.engine.curriculum import (
    CurriculumRunner,
    check_stages,
)


class TestCheckStages:

    def test_good(self):
        check_stages([dict(name='a'), dict(name='b', load_from_stage='a'),
                      dict(name='c', init_from=dict(x='a', y='b'))])

    @pytest.mark.parametrize('stages,text', [
        ([], 'has no stages'),
        ([dict(epochs=3)], 'name is needed'),
        ([dict(name='a', epoch=3)], r"stage 0 \('a'\).*'epoch'.*epochs"),
        ([dict(name='a'), dict(name='a')], "two stages are called 'a'"),
        ([dict(name='a', load_from_stage='b'), dict(name='b')],
         r"'a' starts from \['b'\]"),
        ([dict(name='a', init_from=dict(x='a'))], r"starts from \['a'\]"),
    ])
    def test_errors(self, stages, text):
        with pytest.raises(ValueError, match=text):
            check_stages(stages)

    def test_config_without_stages(self, tmp_path):
        with pytest.raises(ValueError, match='no stages'):
            CurriculumRunner(Config(dict(work_dir=str(tmp_path))))


class TestModels:
    """Mistakes of a later stage are told of before the first is trained."""

    def test_a_later_stage(self, toy, tmp_path, monkeypatch):
        said = []
        monkeypatch.setattr(curriculum, 'print_log',
                            lambda text, **_: said.append(text))
        cfg = toy.cfg(tmp_path)
        cfg.stages[-1]['cfg'] = dict(model=dict(no_such_option=1))
        with pytest.raises(TypeError, match='no_such_option'):
            CurriculumRunner(cfg).train()
        assert repr(cfg.stages[-1]['name']) in said[0]
        assert 'cannot be trained' in said[0]
        assert not any(tmp_path.rglob('*.pth'))

    def test_nothing_is_drawn(self, toy, tmp_path):
        runner = CurriculumRunner(toy.cfg(tmp_path))
        before = torch.get_rng_state()
        runner.check_models(runner.stage_names)
        assert torch.equal(before, torch.get_rng_state())


class TestStageConfig:

    @pytest.fixture
    def make(self, toy, tmp_path):
        def build(*stages, **changes):
            return CurriculumRunner(toy.cfg(
                tmp_path, stages=list(stages), **changes))
        return build

    def test_model_and_data_are_taken(self, toy, tmp_path):
        runner = CurriculumRunner(toy.cfg(tmp_path))
        cfg, top = runner.stage_config('pose_vae'), toy.cfg(tmp_path)
        assert cfg.model.type == 'PoseAutoencoding'
        assert set(cfg.model) == {'type', 'pose_vae', 'data_preprocessor'}
        assert cfg.model.pose_vae == top.model.pose_vae
        assert cfg.train_dataloader.dataset.number == 12
        assert cfg.test_evaluator.type == 'MeanBound'
        assert cfg.train_cfg.max_epochs == 3
        assert cfg.work_dir == str(tmp_path / 'pose_vae')
        for key in ('stages', 'runner_type', 'stage_data'):
            assert key not in cfg
        # The top level is untouched.
        assert runner.cfg.model.type == 'MirrorNet'
        assert runner.cfg.train_cfg.max_epochs == 2

    def test_stage_without_validation(self, make):
        poses = dict(train_dataloader=dict(batch_size=4))
        cfg = make(dict(name='a', data='poses'),
                   stage_data=dict(poses=poses)).stage_config('a')
        for split in ('val', 'test'):
            for part in ('dataloader', 'evaluator', 'cfg'):
                assert cfg[f'{split}_{part}'] is None

    def test_cfg_has_the_last_word(self, make):
        cfg = make(dict(name='a', epochs=5, cfg=dict(
            train_cfg=dict(max_epochs=7), model=dict(sigma=3.)))
        ).stage_config('a')
        assert cfg.train_cfg.max_epochs == 7
        assert cfg.model.sigma == 3.

    def test_label_fraction_reaches_a_stage(self, make):
        cfg = make(dict(name='a', data='poses'), label_fraction=.2,
                   stage_data=dict(poses=dict(train_dataloader=dict(
                       dataset=dict(label_fraction=1.))))).stage_config('a')
        assert cfg.train_dataloader.dataset.label_fraction == .2

    @pytest.mark.parametrize('stage,text', [
        (dict(model=dict(type='X', take=['decoder'])),
         r"takes \['decoder'\].*pose_vae"),
        (dict(data='pictures'), "'pictures'; `stage_data` has.*poses"),
    ])
    def test_errors(self, make, stage, text):
        with pytest.raises(ValueError, match=text):
            make(dict(name='a', **stage)).stage_config('a')

    def test_damaged_stage_data(self, make):
        with pytest.raises(ValueError, match='needs train_dataloader'):
            make(dict(name='a', data='poses'),
                 stage_data=dict(poses=dict(val_dataloader={}))
                 ).stage_config('a')

    def test_missing_prerequisite(self, toy, tmp_path):
        runner = CurriculumRunner(toy.cfg(tmp_path, only_stage='joint'))
        with pytest.raises(FileNotFoundError, match=(
                "'joint' starts from 'pose_vae'.*--stage pose_vae")):
            runner.train()

    def test_unknown_stage(self, toy, tmp_path):
        with pytest.raises(ValueError, match="no stage 'jiont'.*'joint'"):
            CurriculumRunner(toy.cfg(tmp_path, only_stage='jiont'))

    @pytest.mark.parametrize('epochs,last,want', [
        (6, 2, [4, 5, 6]), (5, 2, [4, 5]), (3, 10, [1, 2, 3])])
    def test_average_last_validates_the_last_epochs(
            self, toy, tmp_path, epochs, last, want):
        """With a validation every 4 epochs besides."""
        cfg = toy.cfg(tmp_path)
        cfg.train_cfg.val_interval = 4
        cfg.stages[0].update(epochs=epochs, average_last=last)
        cfg.stages = cfg.stages[:1]
        cfg.stage_data.poses.train_dataloader.dataset.number = 4
        CurriculumRunner(cfg).train()
        scores = json.loads((tmp_path / 'pose_vae/scores.json').read_text())
        assert [int(k) for k in scores['epochs']] == want


class TestRun:

    def test_all(self, toy, tmp_path):
        """Runs, breaks, resumes, skips; weights are handed on exactly."""
        cfg = toy.cfg(tmp_path)
        cfg.stages[1].cfg = dict(custom_hooks=[
            *cfg.custom_hooks, dict(type='PowerCut', epoch=1)])
        runner = RUNNERS.build(cfg)
        assert isinstance(runner, CurriculumRunner)
        with pytest.raises(KeyboardInterrupt, match='power cut'):
            runner.train()
        assert toy.Diary.epochs == [('pose_vae', 0), ('pose_vae', 1),
                                    ('pose_vae', 2), ('joint', 0)]
        assert runner.finished('pose_vae') and not runner.finished('joint')
        state = json.loads((tmp_path / 'curriculum.json').read_text())
        assert state['pose_vae']['finished']
        assert state['pose_vae']['epochs'] == 3

        # init_from: the joint stage started from the pose VAE, exactly.
        given = torch.load(tmp_path / 'pose_vae/epoch_3.pth',
                           weights_only=True)['state_dict']
        start = toy.Diary.weights['joint']
        mine = [k for k in start if k.startswith('pose_vae.')]
        assert mine
        for key in mine:
            assert torch.equal(start[key], given[key]), key

        # The interrupted stage goes on at its second epoch, the first is
        # skipped.
        toy.Diary.epochs.clear()
        again = RUNNERS.build(toy.cfg(tmp_path))
        again.train()
        assert toy.Diary.epochs == [('joint', 1)]
        broken = torch.load(tmp_path / 'joint/epoch_1.pth',
                            weights_only=True)['state_dict']
        resumed = toy.Diary.weights['joint']
        assert resumed.keys() == broken.keys()

        # A rerun of all does nothing.
        toy.Diary.epochs.clear()
        files = {p: p.stat().st_mtime_ns for p in tmp_path.rglob('*.pth')}
        RUNNERS.build(toy.cfg(tmp_path)).train()
        assert toy.Diary.epochs == []
        assert files == {p: p.stat().st_mtime_ns
                         for p in tmp_path.rglob('*.pth')}

        # The stage that is trained last is tested; its config stands alone.
        metrics = RUNNERS.build(toy.cfg(tmp_path)).test()
        assert 0 <= metrics['PCK'] <= 1
        dumped = Config.fromfile(tmp_path / 'joint/joint.py')
        assert dumped.model.type == 'MirrorNet'
        assert 'stages' not in dumped

        # Moved folders are found again.
        moved = tmp_path.with_name(tmp_path.name + '_moved')
        tmp_path.rename(moved)
        assert RUNNERS.build(toy.cfg(moved)).finished('joint')

    def test_only_stage(self, toy, tmp_path):
        RUNNERS.build(toy.cfg(tmp_path, only_stage='pose_vae')).train()
        assert {s for s, _ in toy.Diary.epochs} == {'pose_vae'}
        assert not (tmp_path / 'joint').exists()

    def test_load_from_stage(self, toy, tmp_path):
        cfg = toy.cfg(tmp_path)
        first = dict(cfg.stages[0].to_dict(), epochs=1)
        cfg.stages = [first, dict(first, name='more',
                                  load_from_stage='pose_vae')]
        RUNNERS.build(cfg).train()
        # Diary writes before load_from is read: look at the first moments
        # through the learning rate 0 below instead.
        cfg = toy.cfg(tmp_path / 'still')
        cfg.stages = [first, dict(
            first, name='more', load_from_stage='pose_vae',
            cfg=dict(optim_wrapper=dict(optimizer=dict(lr=0.))))]
        RUNNERS.build(cfg).train()
        one, two = (torch.load(tmp_path / f'still/{s}/epoch_1.pth',
                               weights_only=True)['state_dict']
                    for s in ('pose_vae', 'more'))
        weights = [k for k in one if 'running' not in k
                   and 'num_batches' not in k]
        assert all(torch.equal(one[k], two[k]) for k in weights)

    def test_damaged_manifest(self, toy, tmp_path):
        (tmp_path / 'curriculum.json').write_text('{"pose_vae": {')
        with pytest.raises(ValueError, match='curriculum.json is damaged'):
            RUNNERS.build(toy.cfg(tmp_path)).train()

    def test_nothing_to_test(self, toy, tmp_path):
        with pytest.raises(FileNotFoundError, match='no stage is trained'):
            RUNNERS.build(toy.cfg(tmp_path)).test()


def test_top_level_runs_with_stock_mmengine(toy, tmp_path):
    """As mmpose's own tools build it: Runner.from_cfg, whatever it names."""
    runner = Runner.from_cfg(toy.cfg(tmp_path))
    assert type(runner) is Runner
    runner.train()
    assert toy.Diary.epochs == [(tmp_path.name, 0), (tmp_path.name, 1)]
    assert 0 <= runner.test()['PCK'] <= 1
