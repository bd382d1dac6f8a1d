"""The entry configs of JUMPS."""
from __future__ import annotations

from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.logging import MessageHub, MMLogger
from mmengine.registry import init_default_scope
from mmengine.visualization import Visualizer
from mmpose.registry import MODELS, RUNNERS

import mirrorpose.datasets.sequences
import mirrorpose.models.jumps  # noqa: F401
from mirrorpose.apis.completers import as_completer
from mirrorpose.engine.optimizers import PerChildOptimWrapperConstructor
from mirrorpose.models.jumps import JumpsCompleter, SearchSettings
from mirrorpose.models.jumps.networks import weight_count

ROOT = Path(__file__).resolve().parents[3]
#: Those that train; the others search over what was trained.
ENTRIES = [p for p in sorted(ROOT.glob('configs/jumps_*.py'))
           if not p.stem.startswith('jumps_search')]
SEARCHES = sorted(ROOT.glob('configs/jumps_search*.py'))


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


def test_r1_has_no_norm_in_the_critic():
    """Its counts are those of all entries, above."""
    path = ROOT / 'configs/jumps_r1_mocap.py'
    assert path in ENTRIES
    cfg, other = (Config.fromfile(p) for p in (
        path, ROOT / 'configs/jumps_mocap.py'))
    model = MODELS.build(cfg.model)
    assert model.critic.norm == 'none'
    for part in (model.encoder.trunk, model.critic.trunk):
        assert part[0].kernel_size == (4, 1)
    assert cfg.model.generator.design == 'R1'
    # All else is as it is with S5.
    for config in (cfg, other):
        for part in ('encoder', 'generator', 'critic'):
            config.model[part].pop('design')
    assert {k: v for k, v in cfg.items() if k != 'design'} == {
        k: v for k, v in other.items() if k != 'design'}


@pytest.fixture
def searched(tmp_path, monkeypatch):
    """A folder in which JUMPS was trained; the weights of its last epoch."""
    monkeypatch.chdir(tmp_path)
    init_default_scope('mmpose')
    folder = tmp_path / 'work_dirs/jumps_mocap'
    folder.mkdir(parents=True)
    cfg = Config.fromfile(ROOT / 'configs/jumps_mocap.py')
    for epoch in (1, 2):
        torch.manual_seed(epoch)
        model = MODELS.build(cfg.model)
        torch.save(dict(state_dict=model.state_dict(), meta={}),
                   folder / f'epoch_{epoch}.pth')
    return model


@pytest.mark.parametrize('path', SEARCHES, ids=lambda p: p.stem)
def test_searches_take_the_last_weights(path, searched):
    completer = as_completer(str(path))
    assert isinstance(completer, JumpsCompleter)
    for name, value in searched.state_dict().items():
        assert torch.equal(completer.model.state_dict()[name], value), name
    if 'paper' in path.stem:
        assert completer.settings == SearchSettings.paper()
        assert completer.restarts == 7 and completer.use_encoder
        assert not completer.keep
    else:
        assert completer.settings == SearchSettings()
        assert not completer.restarts and completer.keep


def test_a_search_without_weights(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(FileNotFoundError, match='configs/jumps_mocap.py'):
        as_completer(str(SEARCHES[0]))


def test_what_the_search_can_do_besides(searched):
    """The options that its config has in remarks."""
    cfg = Config.fromfile(SEARCHES[0]).model
    for option in (dict(restarts=7, temperature=.3),
                   dict(first=dict(type='InterpolationCompleter')),
                   dict(first_weight=.5)):
        for name in option:
            assert f'{name}=' in SEARCHES[0].read_text()
        cfg.update(option)
        assert MODELS.build(cfg).restarts == 7


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
