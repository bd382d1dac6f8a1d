"""The entry configs of JUMPS."""
from __future__ import annotations

from pathlib import Path

import pytest
from mmengine.config import Config
from mmengine.logging import MessageHub, MMLogger
from mmengine.registry import init_default_scope
from mmengine.visualization import Visualizer
from mmpose.registry import MODELS, RUNNERS

import mirrorpose.datasets.sequences
import mirrorpose.models.jumps  # noqa: F401
from mirrorpose.engine.optimizers import PerChildOptimWrapperConstructor
from mirrorpose.models.jumps.networks import weight_count

ROOT = Path(__file__).resolve().parents[3]
ENTRIES = sorted(ROOT.glob('configs/jumps_*.py'))


@pytest.mark.parametrize('path', ENTRIES, ids=lambda p: p.stem)
def test_models_and_optimizers(path):
    init_default_scope('mmpose')
    cfg = Config.fromfile(path)
    model = MODELS.build(cfg.model)
    assert [weight_count(getattr(model, n)) for n in (
        'encoder', 'generator', 'critic')] == [1_148_096, 1_148_480,
                                               1_115_393]
    entries = {k: v for k, v in cfg.optim_wrapper.items()
               if k != 'constructor'}
    wrappers = PerChildOptimWrapperConstructor(entries)(model)
    for name, wrapper in wrappers.items():
        group = wrapper.optimizer.param_groups[0]
        assert group['betas'] == (.5, .999) and group['eps'] == 1e-8
        assert name == 'generator' or group['lr'] == 1e-4
    assert model.weights['penalty_weight'] == 10


@pytest.mark.parametrize('path', ENTRIES, ids=lambda p: p.stem)
def test_parts_of_the_data(path):
    """Nothing is chosen by looking at the test."""
    cfg = Config.fromfile(path)
    loaders = {p: cfg[f'{p}_dataloader'] for p in ('train', 'val', 'test')}
    for part, loader in loaders.items():
        assert loader.dataset.part == part
        assert loader.dataset.sources == cfg.train_dataloader.dataset.sources
        held_out = [s.held_out for s in loader.dataset.sources]
        assert all(h.val and h.test for h in held_out)
    for part in ('val', 'test'):
        assert loaders[part].dataset.holes == [dict(type='UnseenJoints')]
        assert loaders[part].dataset.stride == 24


def test_the_paper_s_numbers():
    cfg = Config.fromfile(ROOT / 'configs/jumps_mpi_inf_3dhp.py')
    assert cfg.train_dataloader.batch_size == 256
    data = cfg.train_dataloader.dataset
    assert data.views == 80 and not data.mirror and not data.holes
    assert data.random_start
    assert cfg.train_cfg.max_epochs == 60
    assert cfg.optim_wrapper.generator.optimizer.lr == 1e-4
    model = MODELS.build(cfg.model)
    assert model.weights == dict(
        penalty_weight=10., position_weight=200., velocity_weight=100.,
        latent_weight=2., mixed_weight=1., prior_weight=0.)
    assert not model.masked_share


def test_r1_by_one_option():
    cfg = Config.fromfile(ROOT / 'configs/jumps_mpi_inf_3dhp.py')
    cfg.merge_from_dict({f'model.{n}.design': 'R1' for n in (
        'encoder', 'generator', 'critic')})
    model = MODELS.build(cfg.model)
    assert weight_count(model.critic) == 1_115_393
    assert model.critic.norm == 'none'


def test_synthetic_config_trains(tmp_path):
    """Two iterations, a validation and a checkpoint through the runner."""
    held = [(c, dict(c._instance_dict)) for c in (MessageHub, MMLogger,
                                                  Visualizer)]
    cfg = Config.fromfile(ROOT / 'configs/jumps_synthetic.py')
    cfg.merge_from_dict({
        'work_dir': str(tmp_path), 'log_level': 'ERROR',
        'experiment_name': tmp_path.name,
        'train_dataloader.batch_size': 8, 'val_dataloader.batch_size': 8,
        'train_dataloader.dataset.indices': 16,
        'val_dataloader.dataset.indices': 8, 'train_cfg.max_epochs': 1,
        'train_cfg.val_interval': 1, 'default_hooks.checkpoint.interval': 1})
    for loader in (cfg.train_dataloader, cfg.val_dataloader,
                   cfg.test_dataloader):
        loader.dataset.sources[0].update(clips=20, people=10, seconds=2.)
    cfg.test_dataloader = cfg.test_cfg = cfg.test_evaluator = None
    try:
        runner = RUNNERS.build(cfg)
        runner.train()
        scores = runner.message_hub.get_info('eval_results', None)
        logged = runner.message_hub.log_scalars
        assert 'val/bound/mpjpe' in logged and 'val/bound/unseen_auc' in \
            logged, (scores, sorted(logged))
        assert 'train/mon_generator_mpjpe' in logged
        assert 'train/mon_critic_slope' in logged
        assert runner.iter == 2
    finally:
        for kind, instances in held:
            kind._instance_dict.clear()
            kind._instance_dict.update(instances)
    assert (tmp_path / 'epoch_1.pth').is_file()
