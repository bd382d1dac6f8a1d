"""A run that was broken ends with the weights of one that was not.

Bit for bit, for every combination that changes where randomness comes from.
"""
from __future__ import annotations

import contextlib
import copy
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.hooks import Hook
from mmpose.registry import HOOKS

from mirrorpose.testing.kills import first_difference
from mirrorpose.testing.variants import VARIANTS, make


def run(cfg, cut=None, resume=False):
    from mirrorpose.engine import PoseRunner
    from mirrorpose.engine.curriculum import stop_workers
    cfg = copy.deepcopy(cfg)
    cfg.experiment_name = f'resume_{np.random.default_rng().integers(1e15)}'
    cfg.resume = resume
    if cut is not None:
        cfg.custom_hooks = [*cfg.get('custom_hooks', []),
                            dict(type='PowerCutAt', iteration=cut)]
    runner = PoseRunner.from_cfg(cfg)
    try:
        runner.train()
    except KeyboardInterrupt:
        pass
    finally:
        stop_workers(runner)
    return runner


def same(a, b):
    """Walks two checkpoints; every number has to be the same."""
    found = first_difference(a, b)
    assert found is None, found


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


def variant(toy, name, folder):
    return make(name, folder)


#: The adversarial one and the curriculum have tests of their own below.
PLAIN = [name for name in VARIANTS
         if name not in ('two_optimizers', 'curriculum')]


@pytest.mark.parametrize('name', PLAIN)
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


def test_two_optimizers(toy, tmp_path):
    """Critic and generator take turns, the latents are drawn."""
    whole, broken = tmp_path / 'whole', tmp_path / 'broken'
    run(variant(toy, 'two_optimizers', whole))
    run(variant(toy, 'two_optimizers', broken), cut=11)
    assert list(broken.glob('*.pth'))
    run(variant(toy, 'two_optimizers', broken), resume=True)
    one, two = final(whole), final(broken)
    assert set(one[1]['optimizer']) == {'critic', 'generator'}
    assert one[0] == two[0]
    same(one[1], two[1])


def test_every_stage_of_a_curriculum(toy, tmp_path):
    """The joint stage too: noise of the VAEs, batch statistics."""
    from mirrorpose.engine import CurriculumRunner

    def go(folder, *cuts):
        for cut in (*cuts, None):
            cfg = toy.cfg(folder)
            if cut is not None:
                cfg.custom_hooks = [*cfg.custom_hooks,
                                    dict(type='PowerCutAt', iteration=cut)]
            with contextlib.suppress(KeyboardInterrupt):
                CurriculumRunner(cfg).train()

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


def test_workers_do_not_matter(toy, tmp_path):
    """The same weights with no worker, two, and two that stay."""
    ends = []
    for name in ('epoch', 'epoch_2_workers', 'epoch_2_persistent_workers'):
        run(variant(toy, name, tmp_path / name))
        ends.append(final(tmp_path / name)[1]['state_dict'])
    same(ends[0], ends[1])
    same(ends[0], ends[2])


def synthetic(folder, workers):
    """The recognizer of the small synthetic config, from its crop cache."""
    from mmengine.config import Config

    from mirrorpose.engine.curriculum import CurriculumRunner
    root = Path(__file__).resolve().parents[2]
    cfg = Config.fromfile(root / 'configs' / 'mirrornet_small_synthetic.py')
    cfg.work_dir, cfg.log_level = str(folder), 'WARNING'
    cfg = CurriculumRunner(cfg).stage_config('recognizer')
    loader = cfg.train_dataloader
    loader.batch_size, loader.num_workers = 8, workers
    loader.persistent_workers = workers > 0
    loader.dataset.num_samples = 96  # a quarter of them is annotated
    cfg.work_dir, cfg.train_cfg.max_epochs = str(folder), 3
    for key in ('val_dataloader', 'val_evaluator', 'val_cfg'):
        cfg[key] = None
    cfg.model.backbone.base_channels = cfg.model.backbone.stem_channels = 8
    cfg.model.head.update(in_channels=64, deconv_out_channels=(8, 8, 8))
    cfg.custom_hooks = [h for h in cfg.custom_hooks
                        if h.type != 'CurriculumProgress']
    return cfg


def test_the_crop_cache(toy, tmp_path):
    """Batches made whole: any number of workers, broken or not."""
    run(synthetic(tmp_path / 'whole', 0))
    run(synthetic(tmp_path / 'broken', 2), cut=4)
    assert list((tmp_path / 'broken').glob('*.pth'))
    run(synthetic(tmp_path / 'broken', 2), resume=True)
    one, two = (final(tmp_path / f) for f in ('whole', 'broken'))
    assert one[0] == two[0]
    same(one[1], two[1])
