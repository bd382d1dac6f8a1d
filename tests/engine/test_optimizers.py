"""Which optimizer holds which parameters, and how they are built."""
from __future__ import annotations

import copy

import pytest
import torch
from mmengine.config import ConfigDict
from mmengine.model import BaseModel
from mmengine.optim import OptimWrapper, OptimWrapperDict, build_optim_wrapper
from mmengine.registry import DefaultScope, init_default_scope
from torch import nn

from mirrorpose.engine import AutocastOptimWrapper, PoseRunner
from mirrorpose.engine.optimizers import PerChildOptimWrapperConstructor
from mirrorpose.testing import ToyWGAN, toy_gan_cfg

if DefaultScope.get_current_instance() is None:
    init_default_scope('mmpose')

ADAM = dict(type='Adam', lr=1e-3)


class Model(BaseModel):
    """Four children: two to train alone, one of several layers, one bare."""

    def __init__(self):
        super().__init__()
        self.critic = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))
        self.generator = nn.Linear(2, 3)
        self.encoder = nn.Linear(3, 2)
        self.sigmoid = nn.Sigmoid()

    def forward(self, x):
        return x


def entries(**changes):
    out = dict(critic=dict(optimizer=ADAM),
               generator=dict(optimizer=ADAM,
                              children=['generator', 'encoder']))
    out.update(changes)
    return out


def build(cfg=None, model=None, **kwargs):
    return PerChildOptimWrapperConstructor(
        copy.deepcopy(cfg or entries()), **kwargs)(model or Model())


def held(wrapper):
    return {id(p) for group in wrapper.optimizer.param_groups
            for p in group['params']}


class TestWhoHoldsWhat:

    def test_every_parameter_is_in_one(self):
        model = Model()
        wrapper = build(model=model)
        assert isinstance(wrapper, OptimWrapperDict)
        assert list(wrapper.keys()) == ['critic', 'generator']
        assert held(wrapper['critic']) == {id(p) for p in
                                           model.critic.parameters()}
        assert held(wrapper['generator']) == {
            id(p) for n in ('generator', 'encoder')
            for p in getattr(model, n).parameters()}

    def test_through_a_config(self):
        """As the runner builds it, from mmengine's own registry."""
        cfg = ConfigDict(entries(),
                         constructor='PerChildOptimWrapperConstructor')
        wrapper = build_optim_wrapper(Model(), cfg)
        assert set(wrapper.keys()) == {'critic', 'generator'}
        assert 'children' in cfg.generator  # the config is as it was

    def test_wrapped_model_and_children(self, monkeypatch):
        """Wrappers are looked through; names do not change."""
        class Wrapper(nn.Module):
            def __init__(self, module):
                super().__init__()
                self.module = module

        monkeypatch.setattr('mirrorpose.engine.optimizers.is_model_wrapper',
                            lambda m: isinstance(m, Wrapper))
        model = Model()
        model.critic = Wrapper(model.critic)
        cfg = entries(critic=dict(optimizer=ADAM, paramwise_cfg=dict(
            custom_keys={'critic.0.weight': dict(lr_mult=.5)})))
        wrapper = build(cfg, Wrapper(model))
        rates = {id(g['params'][0]): g['lr']
                 for g in wrapper['critic'].optimizer.param_groups}
        assert rates[id(model.critic.module[0].weight)] == .5e-3
        assert rates[id(model.critic.module[0].bias)] == 1e-3

    def test_frozen_parameters_are_left_out(self):
        model = Model()
        model.encoder.requires_grad_(False)
        model.critic[1].requires_grad_(False)
        wrapper = build(model=model)
        assert held(wrapper['generator']) == {
            id(p) for p in model.generator.parameters()}
        assert held(wrapper['critic']) == {
            id(p) for p in model.critic[0].parameters()}
        # ... and need no optimizer.
        cfg = entries(generator=dict(optimizer=ADAM))
        assert len(held(build(cfg, model)['generator'])) == 2

    def test_tensor_shared_within_an_optimizer(self):
        model = Model()
        model.encoder.weight = nn.Parameter(model.generator.weight.T.clone())
        model.generator.bias = nn.Parameter(torch.zeros(3))
        model.encoder.weight = model.generator.weight
        assert len(held(build(model=model)['generator'])) == 3


class TestOptions:

    def test_each_keeps_its_own(self):
        cfg = entries(
            critic=dict(type='AutocastOptimWrapper', optimizer=dict(
                type='SGD', lr=.1, weight_decay=.01),
                clip_grad=dict(max_norm=1.)))
        wrapper = build(cfg)
        assert isinstance(wrapper['critic'], AutocastOptimWrapper)
        assert type(wrapper['generator']) is OptimWrapper
        assert isinstance(wrapper['critic'].optimizer, torch.optim.SGD)
        assert isinstance(wrapper['generator'].optimizer, torch.optim.Adam)
        assert wrapper['critic'].clip_grad_kwargs == dict(max_norm=1.)
        assert wrapper.get_lr() == {'critic.lr': [.1],
                                    'generator.lr': [1e-3]}

    def test_paramwise_cfg(self):
        decay = dict(type='AdamW', lr=1e-3, weight_decay=.1)
        model = Model()
        cfg = entries(critic=dict(optimizer=decay, paramwise_cfg=dict(
            norm_decay_mult=0., bias_lr_mult=2.)))
        groups = {id(g['params'][0]): g
                  for g in build(cfg, model)['critic'].optimizer.param_groups}
        assert groups[id(model.critic[1].weight)]['weight_decay'] == 0
        assert groups[id(model.critic[0].weight)]['weight_decay'] == .1
        assert groups[id(model.critic[0].bias)]['lr'] == 2e-3
        assert len(build(cfg, model)['generator'].optimizer.param_groups) == 1

    def test_paramwise_cfg_for_all(self):
        decay = dict(type='AdamW', lr=1e-3, weight_decay=.1)
        cfg = dict(critic=dict(optimizer=decay), generator=dict(
            optimizer=decay, children=['generator', 'encoder'],
            paramwise_cfg=dict(bias_lr_mult=3.)))
        wrapper = build(cfg, paramwise_cfg=dict(bias_lr_mult=2.))

        def rates(name):
            return {g['lr'] for g in wrapper[name].optimizer.param_groups}

        assert rates('critic') == {1e-3, 2e-3}
        assert rates('generator') == {1e-3, 3e-3}

    def test_custom_keys_match_the_models_names(self):
        cfg = entries(generator=dict(
            optimizer=ADAM, children=['generator', 'encoder'],
            paramwise_cfg=dict(custom_keys={'encoder.': dict(lr_mult=.1)})))
        groups = build(cfg)['generator'].optimizer.param_groups
        assert sorted(g['lr'] for g in groups) == pytest.approx(
            [1e-4, 1e-4, 1e-3, 1e-3])

    def test_constructor_of_an_entry(self):
        cfg = entries(critic=dict(
            constructor='DefaultOptimWrapperConstructor', optimizer=ADAM))
        assert len(held(build(cfg)['critic'])) == 4
        with pytest.raises(KeyError, match='Nowhere'):
            build(entries(critic=dict(constructor='Nowhere',
                                      optimizer=ADAM)))

    def test_clipped_norms_are_logged_apart(self):
        cfg = entries()
        for entry in cfg.values():
            entry['clip_grad'] = dict(max_norm=1.)
        wrapper = build(cfg)
        assert {w.grad_name for w in wrapper.values()} == {
            'grad_norm_critic', 'grad_norm_generator'}


class TestErrors:

    @pytest.mark.parametrize('cfg, message', [
        (dict(critic=dict(optimizer=ADAM)),
         r'4 parameters are in no optimizer, the first is generator.weight: '
         r"add \['encoder', 'generator'\] to the children of one of "
         r"\['critic'\]"),
        (entries(critic=dict(optimizer=ADAM, children=['critic', 'encoder'])),
         "encoder.weight is in two optimizers, 'critic' and 'generator'"),
        (entries(critic=dict(optimizer=ADAM, children=['critics'])),
         r"critic holds \['critics'\].*the children \['critic', 'data_pre"),
        (dict(discriminator=dict(optimizer=ADAM)),
         r"discriminator holds \['discriminator'\].*\.children"),
        (entries(critic=dict(optimizer=ADAM, children='critic')),
         "lists names of children, got 'critic'"),
        (entries(critic=dict(optimizer=ADAM, children=[])),
         r'lists names of children, got \[\]'),
        (entries(idle=dict(optimizer=ADAM, children=['sigmoid'])),
         r"idle holds \['sigmoid'\].*no parameter"),
        (entries(critic=dict(lr=.1)), r"critic has no optimizer.*\['lr'\]"),
        (entries(type='AmpOptimWrapper'), r"\['type'\].*into each entry"),
        (entries(type='OptimWrapper', optimizer=ADAM),
         r"\['optimizer', 'type'\].*_delete_=True"),
        ({}, 'names no optimizer')])
    def test_value(self, cfg, message):
        with pytest.raises(ValueError, match=message):
            PerChildOptimWrapperConstructor(copy.deepcopy(cfg))(Model())

    @pytest.mark.parametrize('entry', ['Adam', ['critic'], 1e-3])
    def test_type(self, entry):
        with pytest.raises(TypeError, match='critic has to be a dict'):
            build(entries(critic=entry))

    def test_tensor_shared_between_optimizers(self):
        model = Model()
        model.generator.bias = model.critic[0].bias
        with pytest.raises(ValueError, match='same tensor as critic.0.bias'):
            build(model=model)

    def test_parameter_of_the_model_itself(self):
        model = Model()
        model.scale = nn.Parameter(torch.ones(()))
        with pytest.raises(ValueError, match='the first is scale'):
            build(model=model)

    def test_unknown_option(self):
        with pytest.raises(TypeError, match='accumulate'):
            build(entries(critic=dict(optimizer=ADAM, accumulate=2)))


def test_wrong_wrapper(monkeypatch):
    """mmengine's default one would call a loss that is not there."""
    class Wrapper(nn.Module):
        def __init__(self, module):
            super().__init__()
            self.module = module

    monkeypatch.setattr('mirrorpose.engine.optimizers.is_model_wrapper',
                        lambda m: isinstance(m, Wrapper))
    assert build(model=Wrapper(Model()))  # not by steps: anything goes
    cfg = toy_gan_cfg('.').optim_wrapper
    del cfg['constructor']
    with pytest.raises(ValueError, match='Wrapper cannot train ToyWGAN.*'
                       'PerChildDistributedDataParallel'):
        build(cfg, Wrapper(ToyWGAN()))


class TestWithSteps:
    """What the steps of a model need is checked before it trains."""

    @staticmethod
    def train(tmp_path, **optimizers):
        cfg = toy_gan_cfg(tmp_path)
        for name, entry in optimizers.items():
            if entry is None:
                del cfg.optim_wrapper[name]
            else:
                cfg.optim_wrapper[name] = entry
        cfg.experiment_name = tmp_path.name
        cfg.param_scheduler = []
        PoseRunner.from_cfg(cfg).train()

    def test_step_without_its_optimizer(self, tmp_path):
        everything = dict(optimizer=ADAM,
                          children=['critic', 'generator', 'encoder'])
        with pytest.raises(ValueError, match="step 'critic' of ToyWGAN uses "
                           "the optimizer 'critic'.*defines"):
            self.train(tmp_path, critic=None, generator=everything)

    def test_child_in_the_wrong_optimizer(self, tmp_path):
        with pytest.raises(ValueError, match=(
                r"step 'generator' of ToyWGAN trains \['encoder'\], which "
                r"optimizer 'generator' does not hold.*\.children=")):
            self.train(
                tmp_path, generator=dict(optimizer=ADAM),
                critic=dict(optimizer=ADAM, children=['critic', 'encoder']))

    @pytest.mark.parametrize('kind', ['OptimWrapper', 'AutocastOptimWrapper'])
    def test_runs_resumes_and_schedules(self, tmp_path, kind, monkeypatch):
        """Two optimizers through the runner: exact after a resume."""
        monkeypatch.setattr('mmengine.config.config.FormatCode',
                            lambda text, **_: (text, True))

        def run(folder, **changes):
            cfg = toy_gan_cfg(folder, model=dict(critic_steps=3), **changes)
            for entry in (cfg.optim_wrapper.critic,
                          cfg.optim_wrapper.generator):
                entry.type = kind
            cfg.experiment_name = f'{kind}-{folder.name}'
            runner = PoseRunner.from_cfg(cfg)
            runner.train()
            return runner

        whole = run(tmp_path / 'whole')
        again = run(tmp_path / 'again', resume=True, load_from=str(
            tmp_path / 'whole/epoch_1.pth'))
        assert again.iter == whole.iter == 16
        for key, value in whole.model.state_dict().items():
            assert torch.equal(again.model.state_dict()[key], value), key
        # Both schedules ran to their ends.
        assert whole.optim_wrapper.get_lr() == {
            'critic.lr': [pytest.approx(2e-3)],
            'generator.lr': [pytest.approx(1e-3)]}
        saved = torch.load(tmp_path / 'whole/epoch_1.pth', weights_only=True)
        assert set(saved['optimizer']) == {'critic', 'generator'}
        # 8 iterations: the critic stepped 8 times, the generator twice.
        assert [float(saved['optimizer'][n]['state'][0]['step'])
                for n in ('critic', 'generator')] == [8., 2.]
