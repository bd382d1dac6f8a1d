"""One batch, its parts, and two processes: the same gradients.

The function ``work`` of this file is what the two processes run.
"""
from __future__ import annotations

import copy

import pytest
import torch
from mmengine.logging import MessageHub
from mmengine.model import MMSeparateDistributedDataParallel
from mmengine.registry import DefaultScope, init_default_scope
from torch import nn

from mirrorpose.engine.per_child import PerChildDistributedDataParallel
from mirrorpose.models.adversarial import unwrap
from mirrorpose.testing import (
    ToyWGAN,
    assert_same,
    run_processes,
    toy_gan_optimizers,
    toy_points,
    weights,
)

if DefaultScope.get_current_instance() is None:
    init_default_scope('mmpose')

pytestmark = pytest.mark.usefixtures('hub')
KINDS = dict(plain={}, stock={}, parts=dict(micro_batches=2))


def rows_of(data, rows):
    return {k: v[rows] for k, v in data.items()}


def make(seed=0, **kwargs):
    torch.manual_seed(seed)
    return ToyWGAN(**kwargs)


def several_steps(wrapped, model, data):
    """Six iterations; every gradient that an optimizer steps with."""
    # With SGD: Adam would turn the rounding of the critic's last bias, whose
    # gradient is 0 in WGAN-GP, into full steps.
    optimizers = toy_gan_optimizers(wrapped, 'SGD')
    seen = []

    def note(optimizer, args, kwargs):
        seen.append(torch.cat([p.grad.flatten() for g in
                               optimizer.param_groups for p in g['params']
                               if p.grad is not None]).clone())

    for member in optimizers.values():
        member.optimizer.register_step_pre_hook(note)
    hub = MessageHub.get_current_instance()
    hub.update_info('seed', 5)
    for iteration in range(6):
        hub.update_info('iter', iteration)
        wrapped.train_step(data, optimizers)
    return dict(gradients=seen, weights=weights(model))


def work(rank, folder):
    """One of the processes."""
    out = {}
    data = rows_of(toy_points(8), slice(4 * rank, 4 * rank + 4))
    for name, options in KINDS.items():
        kind = MMSeparateDistributedDataParallel if name == 'stock' \
            else PerChildDistributedDataParallel
        model = make(seed=rank, noise='sample', critic_steps=2, **options)
        wrapped = kind(model, device_ids=None)
        torch.manual_seed(100 + rank)  # must not matter
        out[name] = several_steps(wrapped, model, data)
    out['stock']['weights'] = {k.replace('.module.', '.'): v for k, v in
                               out['stock']['weights'].items()}

    # The wrapper, besides training.
    model = make(seed=rank, noise='sample')
    model.gan_loss.register_buffer('drawn', torch.full((2, ), float(rank)))
    bare_names = list(model.state_dict())
    wrapped = PerChildDistributedDataParallel(model, device_ids=None)
    copied = copy.deepcopy(model)
    with torch.no_grad():
        for p in copied.parameters():
            p.add_(1)
    held = weights(copied)
    loaded = model.load_state_dict(held)
    z = torch.randn(3, 2)
    with wrapped.no_sync():
        quiet = [c.require_backward_grad_sync for c in model.children()
                 if hasattr(c, 'require_backward_grad_sync')]
    out['wrapper'] = dict(
        names=list(model.state_dict()) == bare_names,
        loads=not loaded.missing_keys and not loaded.unexpected_keys and all(
            torch.equal(v, held[k]) for k, v in model.state_dict().items()),
        calls=torch.equal(wrapped(z), model.generator(z)),
        unwraps=type(unwrap(wrapped)) is ToyWGAN
        and type(unwrap(model.critic)) is nn.Sequential,
        quiet=quiet == [False] * 3, drawn=model.gan_loss.drawn.tolist())
    try:
        bare = make(noise='sample')
        bare.train_step(data, toy_gan_optimizers(bare))
        out['bare'] = 'trained'
    except RuntimeError as error:
        out['bare'] = str(error)
    return out


@pytest.fixture(scope='module')
def ranks(tmp_path_factory):
    """What each of the two processes found."""
    return run_processes(f'{__file__}:work', 2,
                         tmp_path_factory.mktemp('adversarial'))


@pytest.fixture(scope='module')
def alone():
    """The same in this process, with the joint batch."""
    model = make(noise='sample', critic_steps=2)
    return several_steps(model, model, toy_points(8))


class TestTwoProcesses:

    @pytest.mark.parametrize('kind', KINDS)
    def test_equal_one_process(self, ranks, alone, kind):
        for rank in ranks:
            got = rank[kind]
            assert len(got['gradients']) == 6 + 3
            for mine, wanted in zip(got['gradients'], alone['gradients']):
                torch.testing.assert_close(mine, wanted, rtol=1e-4,
                                           atol=1e-6)
            assert got['weights'].keys() == alone['weights'].keys()
            for key, value in alone['weights'].items():
                torch.testing.assert_close(got['weights'][key], value,
                                           rtol=1e-4, atol=1e-6)

    @pytest.mark.parametrize('kind', KINDS)
    def test_ranks_are_equal_to_the_bit(self, ranks, kind):
        assert_same(ranks[0][kind]['weights'], ranks[1][kind]['weights'])

    def test_that_can_fail(self, alone):
        """Half the batch, or other noise, gives other gradients."""
        model = make(noise='sample', critic_steps=2)
        half = several_steps(model, model, rows_of(toy_points(8), slice(0, 4)))
        model = make(noise='torch', critic_steps=2)
        noisy = several_steps(model, model, toy_points(8))
        for wrong in (half, noisy):
            assert max((a - b).abs().max() for a, b in zip(
                wrong['gradients'], alone['gradients'])) > 1e-2

    @pytest.mark.parametrize('what', ['names', 'loads', 'calls', 'unwraps',
                                      'quiet'])
    def test_wrapper(self, ranks, what):
        assert all(rank['wrapper'][what] for rank in ranks)

    def test_what_is_not_wrapped_begins_alike(self, ranks):
        assert [r['wrapper']['drawn'] for r in ranks] == [[0., 0.]] * 2

    def test_without_the_wrapper(self, ranks):
        for rank in ranks:
            assert "'PerChildDistributedDataParallel'" in rank['bare']
            assert "'critic' is not wrapped" in rank['bare']


class TestMicroBatches:

    @pytest.mark.parametrize('parts', [2, 3, 8, 99])
    def test_gradient_is_that_of_the_whole(self, alone, parts):
        model = make(noise='sample', critic_steps=2, micro_batches=parts)
        got = several_steps(model, model, toy_points(8))
        for mine, wanted in zip(got['gradients'], alone['gradients']):
            torch.testing.assert_close(mine, wanted, rtol=1e-4, atol=1e-6)

    def test_logs_are_those_of_the_whole(self):
        logs = []
        for parts in (1, 3):
            model = make(noise='sample', micro_batches=parts)
            logs.append(model.train_step(toy_points(8),
                                         toy_gan_optimizers(model)))
        for key, value in logs[0].items():
            torch.testing.assert_close(logs[1][key], value, rtol=1e-4,
                                       atol=1e-6, msg=key)

    def test_stock_accumulation_is_refused(self):
        model = make()
        optimizers = toy_gan_optimizers(model, accumulative_counts=2)
        with pytest.raises(ValueError, match='micro_batches'):
            model.train_step(toy_points(4), optimizers)
