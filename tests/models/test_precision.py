"""Networks that stay in float32 under autocast, in training and alone."""
from __future__ import annotations

import copy
import pickle

import pytest
import torch
from mmengine.optim import OptimWrapperDict
from mmengine.registry import DefaultScope, init_default_scope
from torch import nn

from mirrorpose.engine import AutocastOptimWrapper, amp
from mirrorpose.models.precision import always_float32
from mirrorpose.testing import ToyWGAN, toy_gan_optimizers, toy_points

if DefaultScope.get_current_instance() is None:
    init_default_scope('mmpose')


def make(**kwargs):
    torch.manual_seed(0)
    return ToyWGAN(noise='sample', **kwargs)


def weights(model):
    return {k: v.detach().clone() for k, v in model.state_dict().items()}


class Types(nn.Module):
    """Says in what type it computes."""

    def __init__(self, module):
        super().__init__()
        self.module_, self.seen = module, []

    def forward(self, x):
        out = self.module_(x)
        self.seen.append(out.dtype)
        return out


class ScaledOptimWrapper(AutocastOptimWrapper):
    """mmengine's AmpOptimWrapper, on a CPU."""

    def __init__(self, scale, **kwargs):
        super().__init__(**kwargs)
        self.scaler = torch.amp.GradScaler('cpu', init_scale=scale,
                                           growth_interval=10**6)

    def backward(self, loss, **kwargs):
        self.scaler.scale(loss).backward(**kwargs)
        self._inner_count += 1

    def step(self, **kwargs):
        self.scaler.step(self.optimizer)
        self.scaler.update()


class TestTraining:

    @pytest.fixture(autouse=True)
    def _has_bfloat16(self, monkeypatch):
        """Whatever the processor has."""
        monkeypatch.setattr(amp, 'cpu_has_bfloat16', lambda: True)

    def train(self, float32=True, wrapper='AutocastOptimWrapper', steps=1,
              **kwargs):
        model = make(float32=float32, **kwargs)
        for name in ('critic', 'generator', 'encoder'):
            inner = getattr(model, name)[4]
            getattr(model, name)[4] = Types(inner)
        optimizers = toy_gan_optimizers(model, 'SGD', wrapper)
        for _ in range(steps):
            logs = model.train_step(toy_points(8), optimizers)
        return model, logs

    def test_critic_stays_in_float32(self):
        model, logs = self.train()
        assert set(model.critic[4].seen) == {torch.float32}
        assert len(model.critic[4].seen) == 4  # three times, and in G's step
        assert set(model.generator[4].seen) == {torch.bfloat16}
        assert all(v.isfinite() for v in logs.values())
        assert not torch.is_autocast_enabled('cpu')

    def test_that_it_is_asked_for(self):
        model, _ = self.train(float32=False)
        assert torch.bfloat16 in model.critic[4].seen

    def test_trains_as_in_float32(self):
        half, _ = self.train(steps=10)
        full, _ = self.train(steps=10, wrapper='OptimWrapper')
        begin = weights(self.train(wrapper='OptimWrapper')[0])
        for key, value in weights(full).items():
            assert (weights(half)[key] - value).abs().max() < .02, key
        assert any((value - begin[key]).abs().max() > .02
                   for key, value in weights(full).items())

    def test_exception_in_the_critic(self):
        """Autocast is what it was, inside and after."""
        model, _ = self.train()

        def fails(module, args):
            raise KeyError('x')

        handle = model.critic[2].register_forward_pre_hook(fails)
        with torch.autocast('cpu', dtype=torch.bfloat16):
            with pytest.raises(KeyError):
                model.critic(torch.zeros(1, 2))
            assert torch.is_autocast_enabled('cpu')
            assert model.generator(torch.zeros(1, 2)).dtype == torch.bfloat16
            handle.remove()
            assert model.critic(torch.zeros(1, 2)).dtype == torch.float32
        assert not torch.is_autocast_enabled('cpu')

    def test_loss_scale(self):
        """Scaling by a power of two changes no bit of the update."""
        got = []
        for scale in (1., 2.**12):
            model = make()
            optimizers = toy_gan_optimizers(model, 'SGD')
            scaled = OptimWrapperDict(**{
                k: ScaledOptimWrapper(scale, optimizer=v.optimizer)
                for k, v in optimizers.items()})
            for _ in range(3):
                model.train_step(toy_points(8), scaled)
            got.append(weights(model))
        for key, value in got[0].items():
            assert torch.equal(got[1][key], value), key


class Both(nn.Module):
    """Takes tensors in all places, and gives back what it was given."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(2, 2))

    def forward(self, x, more, flag, scale=None):
        return x @ self.weight, more, flag, scale


class TestAlone:

    def test_inputs_are_widened(self):
        """Tensors everywhere; integers and the rest stay what they are."""
        half, whole = torch.ones(1, 2).bfloat16(), torch.ones(2).long()
        with torch.autocast('cpu', dtype=torch.bfloat16):
            out, more, flag, scale = always_float32(Both())(
                half, [half, (whole, half.half())], 'x',
                scale=dict(a=half.double()))
        assert out.dtype == torch.float32
        assert more[0].dtype == more[1][1].dtype == torch.float32
        assert more[1][0].dtype == torch.int64 and flag == 'x'
        assert scale['a'].dtype == torch.float64

    def test_twice_is_once(self):
        layer = always_float32(always_float32(nn.Linear(2, 2)))
        assert len(layer._forward_pre_hooks) == len(layer._forward_hooks) == 1

    def test_inside_itself(self):
        outer = always_float32(nn.Sequential(always_float32(nn.Linear(2, 2)),
                                             nn.Linear(2, 2)))
        with torch.autocast('cpu', dtype=torch.bfloat16):
            assert outer(torch.ones(1, 2)).dtype == torch.float32
            assert torch.is_autocast_enabled('cpu')

    @pytest.mark.parametrize('copied', [
        copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))])
    def test_copies(self, copied):
        layer = always_float32(nn.Linear(2, 2))
        layer(torch.ones(1, 2))
        other = copied(layer)
        with torch.autocast('cpu', dtype=torch.bfloat16):
            assert other(torch.ones(1, 2)).dtype == torch.float32
