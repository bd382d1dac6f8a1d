"""A run that was broken ends with the weights of one that was not.

Bit for bit, for every combination that changes where randomness comes from.
"""
from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from mmengine.hooks import Hook
from mmpose.registry import HOOKS, MODELS

from mirrorpose.models.mirrornet.pretraining import PoseAutoencoding


@HOOKS.register_module(force=True)
class PowerCutAt(Hook):
    """Breaks the run before an iteration."""

    priority = 'VERY_HIGH'

    def __init__(self, iteration: int) -> None:
        self.iteration = iteration

    def before_train_iter(self, runner, batch_idx, data_batch=None) -> None:
        if runner.iter == self.iteration:
            raise KeyboardInterrupt('power cut')


@MODELS.register_module(force=True)
class NoisyPoseAutoencoding(PoseAutoencoding):
    """Draws from all three generators in every step, and in validation."""

    def loss(self, inputs, data_samples):
        losses = super().loss(inputs, data_samples)
        dropped = torch.nn.functional.dropout(torch.ones(50), .5).mean()
        factor = 1 + .1 * (float(np.random.rand()) + float(dropped))
        return {k: v * factor for k, v in losses.items()}

    def val_step(self, data):
        np.random.rand(), torch.rand(3)
        return super().val_step(data)


JITTER = [dict(type='GetBBoxCenterScale', padding=1.),
          dict(type='RandomFlip', direction='horizontal'),
          dict(type='RandomBBoxTransform', shift_prob=.5)]


def config(toy, folder, *, batches=None, by_epoch=True, workers=0,
           persistent=False, interval=1, hooks=(), sampler=None, stage=True,
           **changes):
    """The toy's pose VAE with random augmentation."""
    cfg = toy.cfg(folder)
    cfg.custom_hooks = [*cfg.custom_hooks, *hooks]
    for key, value in changes.items():
        cfg[key] = value
    entry = cfg.stage_data.poses.train_dataloader
    entry.num_workers = workers
    if persistent:
        entry.persistent_workers = True
    entry.dataset.pipeline = JITTER + entry.dataset.pipeline[1:]
    if sampler:
        entry.sampler = sampler
    cfg.stages[0].model.type = 'NoisyPoseAutoencoding'
    from mirrorpose.engine.curriculum import CurriculumRunner
    made = CurriculumRunner(cfg).stage_config('pose_vae')
    made.work_dir = str(folder)
    made.default_hooks.checkpoint.interval = interval
    if not by_epoch:
        made.train_cfg = dict(by_epoch=False, max_iters=9, val_interval=4)
        made.default_hooks.checkpoint.by_epoch = False
    return made


def run(cfg, cut=None, resume=False):
    from mirrorpose.engine import PoseRunner
    from mirrorpose.engine.curriculum import stop_workers
    cfg = copy.deepcopy(cfg)
    cfg.experiment_name = f'resume_{np.random.default_rng().integers(1e15)}'
    cfg.resume = resume
    if cut is not None:
        cfg.custom_hooks = [*cfg.custom_hooks,
                            dict(type='PowerCutAt', iteration=cut)]
    runner = PoseRunner.from_cfg(cfg)
    try:
        runner.train()
    except KeyboardInterrupt:
        pass
    finally:
        stop_workers(runner)
    return runner


def same(a, b, where=''):
    """Walks two checkpoints; every number has to be the same."""
    assert type(a) is type(b), where
    if isinstance(a, torch.Tensor):
        assert torch.equal(a, b), where
    elif isinstance(a, dict):
        assert a.keys() == b.keys(), where
        for key in a:
            same(a[key], b[key], f'{where}[{key!r}]')
    elif isinstance(a, (list, tuple)):
        assert len(a) == len(b), where
        for number, pair in enumerate(zip(a, b)):
            same(*pair, f'{where}[{number}]')
    else:
        assert a == b or a != a, where


def final(folder):
    newest = max(folder.glob('*.pth'),
                 key=lambda p: int(p.stem.split('_')[-1]))
    held = torch.load(newest, weights_only=True)
    keep = {k: held[k] for k in ('state_dict', 'optimizer', 'ema_state_dict',
                                 'param_schedulers') if k in held}
    keep['ranks'] = held['mirrorpose']['ranks']
    keep['hooks'] = held['mirrorpose']['hooks']
    keep['epoch'], keep['iter'] = (held['meta'][k] for k in ('epoch', 'iter'))
    return newest.name, keep


EMA = dict(type='EMAHook', ema_type='ExpMomentumEMA', momentum=.3)
ADAM = dict(type='Adam', lr=3e-3)
VARIANTS = dict(
    epoch=dict(),
    epoch_2_workers=dict(workers=2),
    epoch_persistent=dict(workers=2, persistent=True),
    iteration=dict(by_epoch=False),
    iteration_2_workers=dict(by_epoch=False, workers=2),
    iteration_stream=dict(by_epoch=False, sampler=dict(
        type='InfiniteSampler')),
    inside_an_epoch=dict(default_hooks_by_iteration=True),
    averaged_weights=dict(hooks=[EMA]),
    accumulation=dict(optim_wrapper=dict(
        type='OptimWrapper', optimizer=ADAM, accumulative_counts=2)),
    bfloat16=dict(optim_wrapper=dict(type='AutocastOptimWrapper',
                                     optimizer=ADAM)),
    scheduler=dict(param_scheduler=[
        dict(type='LinearLR', start_factor=.1, begin=0, end=4,
             by_epoch=False),
        dict(type='CosineAnnealingLR', T_max=3, by_epoch=True)]),
    early_stopping=dict(hooks=[dict(
        type='EarlyStoppingHook', monitor='bound/explained', rule='greater',
        patience=5)]))


@pytest.fixture(scope='module', params=list(VARIANTS))
def straight(request, tmp_path_factory):
    """A run that is never broken, and how to make it."""
    return request.param


def variant(toy, name, folder):
    changes = copy.deepcopy(VARIANTS[name])
    inside = changes.pop('default_hooks_by_iteration', False)
    cfg = config(toy, folder, **changes)
    if inside:
        cfg.default_hooks.checkpoint.by_epoch = False
    return cfg


@pytest.mark.parametrize('name', list(VARIANTS))
def test_bit_for_bit(toy, tmp_path, name):
    # 3 epochs of 3 iterations. Broken twice: in mid-epoch, and right after
    # the first resumed step.
    whole, broken = tmp_path / 'whole', tmp_path / 'broken'
    run(variant(toy, name, whole))
    torch.manual_seed(99), np.random.seed(99)  # must not matter
    run(variant(toy, name, broken), cut=4)
    assert list(broken.glob('*.pth'))
    np.random.rand(7), torch.rand(5)
    run(variant(toy, name, broken), cut=7, resume=True)
    run(variant(toy, name, broken), resume=True)
    one, two = final(whole), final(broken)
    assert one[0] == two[0]
    same(one[1], two[1])
    scores = [(f / 'scores.json').read_text() for f in (whole, broken)]
    assert scores[0] == scores[1]


def test_that_test_can_fail(toy, tmp_path):
    """Without the random state, the broken run ends elsewhere."""
    whole, broken = tmp_path / 'whole', tmp_path / 'broken'
    run(variant(toy, 'epoch', whole))
    run(variant(toy, 'epoch', broken), cut=4)
    path = broken / 'epoch_1.pth'
    held = torch.load(path, weights_only=True)
    del held['mirrorpose']['ranks'][0]['random']
    torch.save(held, path)
    run(variant(toy, 'epoch', broken), resume=True)
    with pytest.raises(AssertionError, match='state_dict'):
        same(final(whole)[1], final(broken)[1])


def test_broken_between_save_and_validation(toy, tmp_path):
    """The validation that a kill took away is done again."""
    whole, broken = tmp_path / 'whole', tmp_path / 'broken'
    run(variant(toy, 'epoch', whole))
    cfg = variant(toy, 'epoch', broken)

    @HOOKS.register_module(force=True)
    class CutBeforeValidation(Hook):

        def before_val_epoch(self, runner):
            if runner.epoch == 2:
                raise KeyboardInterrupt

    first = copy.deepcopy(cfg)
    first.custom_hooks = [*first.custom_hooks,
                          dict(type='CutBeforeValidation')]
    run(first)
    run(cfg, resume=True)
    assert (whole / 'scores.json').read_text() == (
        broken / 'scores.json').read_text()
    same(final(whole)[1], final(broken)[1])


def test_every_stage_of_a_curriculum(toy, tmp_path):
    """The joint stage too: noise of the VAEs, batch statistics."""
    from mirrorpose.engine import CurriculumRunner

    def go(folder, *cuts):
        for cut in (*cuts, None):
            cfg = toy.cfg(folder)
            if cut is not None:
                cfg.custom_hooks = [*cfg.custom_hooks,
                                    dict(type='PowerCutAt', iteration=cut)]
            try:
                CurriculumRunner(cfg).train()
            except KeyboardInterrupt:
                pass

    go(tmp_path / 'whole')
    # The cut comes once in each stage: iterations count anew.
    go(tmp_path / 'broken', 5, 3)
    for stage in ('pose_vae', 'joint'):
        one, two = (final(tmp_path / f / stage) for f in ('whole', 'broken'))
        assert one[0] == two[0]
        same(one[1], two[1])


class TestIdentity:

    @pytest.fixture
    def stopped(self, toy, tmp_path):
        run(variant(toy, 'epoch', tmp_path), cut=4)
        return tmp_path

    def test_another_config_is_said(self, toy, stopped, caplog):
        cfg = variant(toy, 'epoch', stopped)
        cfg.optim_wrapper.optimizer.lr = 1e-4
        cfg.train_dataloader.num_workers = 1  # harmless
        from mirrorpose.engine import PoseRunner
        cfg.resume, cfg.experiment_name = True, 'another_config'
        runner = PoseRunner.from_cfg(cfg)
        said = []
        runner.logger.warning = said.append
        runner.train()
        text, = (s for s in said if 'another config' in s)
        assert 'optim_wrapper.optimizer.lr: 0.003 in the checkpoint, 0.0001' \
            in text
        assert 'workers' not in text

    def test_another_split_is_refused(self, toy, stopped):
        cfg = variant(toy, 'epoch', stopped)
        cfg.train_dataloader.dataset.split_seed = 4
        with pytest.raises(ValueError, match='training data are not those.*'
                           'split_seed: 0 in the checkpoint, 4 now.*'
                           'load_from'):
            run(cfg, resume=True)
        cfg.resume_changed = True
        run(cfg, resume=True)

    def test_another_number_of_processes_is_refused(self, toy, stopped):
        path = stopped / 'epoch_1.pth'
        held = torch.load(path, weights_only=True)
        held['mirrorpose']['world_size'] = 2
        torch.save(held, path)
        with pytest.raises(ValueError, match='2 process.*this one has 1.*'
                           'Resume with 2.*load_from'):
            run(variant(toy, 'epoch', stopped), resume=True)

    def test_another_length_of_an_epoch_is_refused(self, toy, tmp_path):
        cfg = variant(toy, 'inside_an_epoch', tmp_path)
        run(cfg, cut=5)
        cfg.train_dataloader.batch_size = 12
        with pytest.raises(RuntimeError, match='1 iterations now.*load_from'):
            run(cfg, resume=True)

    def test_a_stock_checkpoint_resumes_with_a_warning(self, toy, stopped):
        path = stopped / 'epoch_1.pth'
        held = torch.load(path, weights_only=True)
        del held['mirrorpose']
        torch.save(held, path)
        runner = run(variant(toy, 'epoch', stopped), resume=True)
        assert runner.epoch == 3


def test_no_data_is_replayed(toy, tmp_path):
    """An iteration-based run skips ahead in the sampler."""
    from mirrorpose.testing import ToyPeople
    read = []
    real = ToyPeople.__getitem__

    def count(self, index):
        if self.seed == 2:  # the training set
            read.append(index)
        return real(self, index)

    cfg = variant(toy, 'iteration', tmp_path)
    run(cfg, cut=7)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ToyPeople, '__getitem__', count)
        run(cfg, resume=True)
    assert len(read) == 2 * 4  # iterations 8 and 9, of 4 people each


def test_stock_mmengine_reads_our_checkpoint(toy, tmp_path):
    """... on this torch, and resumes from it."""
    from mmengine.runner import Runner
    cfg = variant(toy, 'epoch', tmp_path)
    cfg.model.type = 'PoseAutoencoding'
    run(cfg, cut=4)
    cfg.work_dir = str(tmp_path / 'stock')
    cfg.load_from, cfg.resume = str(tmp_path / 'epoch_1.pth'), True
    cfg.experiment_name = 'stock_resume'
    runner = Runner.from_cfg(cfg)
    runner.train()
    assert runner.epoch == 3
