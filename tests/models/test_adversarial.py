"""Training by several steps: what learns, when, from what, and where.

The function ``work`` of this file is what the two processes run.
"""
from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from mmengine.logging import MessageHub
from mmengine.model import BaseModel, MMSeparateDistributedDataParallel
from mmengine.optim import OptimWrapper, OptimWrapperDict
from mmengine.registry import DefaultScope, init_default_scope
from scipy.stats import wasserstein_distance
from torch import nn

from mirrorpose.engine.optimizers import PerChildOptimWrapperConstructor
from mirrorpose.engine.per_child import PerChildDistributedDataParallel
from mirrorpose.models.adversarial import AdversarialMixin, unwrap
from mirrorpose.testing import (
    ToyWGAN,
    run_processes,
    toy_gan_optimizers,
    toy_points,
)

if DefaultScope.get_current_instance() is None:
    init_default_scope('mmpose')

KINDS = dict(plain={}, stock={}, parts=dict(micro_batches=2))


def rows_of(data, rows):
    return {k: v[rows] for k, v in data.items()}


def make(seed=0, **kwargs):
    torch.manual_seed(seed)
    return ToyWGAN(**kwargs)


def weights(model):
    return {k: v.detach().clone() for k, v in model.state_dict().items()}


def assert_same(one, two):
    assert one.keys() == two.keys() and one
    for key in one:
        assert torch.equal(one[key], two[key]), key


@pytest.fixture(autouse=True)
def hub(request):
    """A message hub in which no runner has left an iteration."""
    return MessageHub.get_instance(f'{request.node.name}-{id(request)}')


# -- two processes ----------------------------------------------------------

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


# -- one process ------------------------------------------------------------

def distance(a, b):
    """Sliced Wasserstein distance of points in the plane."""
    angles = np.arange(8) * np.pi / 8
    return np.mean([wasserstein_distance(a @ way, b @ way) for way in
                    np.stack([np.cos(angles), np.sin(angles)], 1)])


def test_learns_a_ring():
    model = make(critic_steps=5)
    optimizers = toy_gan_optimizers(model)
    data = toy_points(256)
    held_out = torch.stack(toy_points(512, seed=9)['inputs']).numpy()
    before = distance(model.generate(512).numpy(), held_out)
    g = torch.Generator().manual_seed(0)
    samples = np.array(data['data_samples'], dtype=object)
    inputs = torch.stack(data['inputs'])
    for _ in range(400):
        rows = torch.randint(256, (64, ), generator=g)
        model.train_step(dict(inputs=inputs[rows],
                              data_samples=samples[rows].tolist()),
                         optimizers)
    made = model.generate(512).numpy()
    after = distance(made, held_out)
    assert before > .5 and after < .25, (before, after)
    radius = np.linalg.norm(made, axis=1)
    assert .7 < np.median(radius) < 1.2
    # All around, no mode is missing.
    angle = np.arctan2(made[:, 1], made[:, 0])
    assert (np.histogram(angle, 4, (-np.pi, np.pi))[0] > 40).all()


def by_hand(model, batches, every):
    """The same training, written out."""
    g_params = [*model.generator.parameters(), *model.encoder.parameters()]
    critic = torch.optim.Adam(model.critic.parameters(), 2e-3,
                              betas=(.5, .9))
    maker = torch.optim.Adam(g_params, 2e-3, betas=(.5, .9))
    for i, real in enumerate(batches):
        n = len(real)
        fake = model.generator(torch.randn(n, 2)).detach()
        u = torch.special.ndtr(torch.randn(n))[:, None]
        between = (u * real + (1 - u) * fake).requires_grad_()
        slope, = torch.autograd.grad(model.critic(between).sum(), between,
                                     create_graph=True)
        loss = model.critic(fake).mean() - model.critic(real).mean() + (
            (slope.norm(dim=1) - 1)**2).mean()
        critic.zero_grad()
        loss.backward()
        critic.step()
        if (i + 1) % every:
            continue
        z = torch.randn(n, 2)
        fake = model.generator(z)
        loss = -model.critic(fake).mean() + F.mse_loss(
            model.generator(model.encoder(real)), real) + F.mse_loss(
                model.encoder(fake), z)
        maker.zero_grad()
        loss.backward()
        maker.step()
        critic.zero_grad()
    return weights(model)


@pytest.mark.parametrize('every', [1, 3])
def test_is_the_training_written_out(every):
    data = toy_points(32)
    parts = [rows_of(data, slice(i, i + 8)) for i in (0, 8, 16, 24)] * 3
    model = make(critic_steps=every)
    optimizers = toy_gan_optimizers(model)
    torch.manual_seed(1)
    for part in parts:
        model.train_step(part, optimizers)
    other = make(critic_steps=every)
    torch.manual_seed(1)
    wanted = by_hand(other, [torch.stack(p['inputs']) for p in parts], every)
    for key, value in weights(model).items():
        if key != 'critic.4.bias':  # its gradient is 0, but for rounding
            torch.testing.assert_close(value, wanted[key], rtol=1e-4,
                                       atol=1e-5, msg=key)


class TestTurns:

    def which(self, steps, iterations, first=0, told=True):
        """Names of the steps that ran, by iteration."""
        torch.manual_seed(0)
        model = Three(steps)
        hub = MessageHub.get_current_instance()
        out = []
        for i in range(first, first + iterations):
            if told:
                hub.update_info('iter', i)
            logs = model.train_step(batch(), Three.optimizers(model))
            out.append(''.join(k[-1] for k in logs if k.count('_') == 1))
        return out

    def test_one_after_the_other(self):
        steps = [dict(name='a', trains=['a']), dict(name='c', trains=['c']),
                 dict(name='b', trains=['b'])]
        assert self.which(steps, 2) == ['acb', 'acb']

    def test_every_and_start(self):
        steps = [dict(name='a', trains=['a']),
                 dict(name='b', trains=['b'], every=3),
                 dict(name='c', trains=['c'], every=2, start=3)]
        assert self.which(steps, 9) == [
            'a', 'a', 'ab', 'a', 'ac', 'ab', 'ac', 'a', 'abc']

    def test_resumed_run_keeps_the_phase(self):
        steps = [dict(name='a', trains=['a']), dict(name='c', trains=['c']),
                 dict(name='b', trains=['b'], every=5)]
        whole = self.which(steps, 12)
        assert whole[7:] == self.which(steps, 5, first=7)
        assert whole[7:] != whole[:5]  # or there would be nothing to keep

    def test_without_a_runner(self):
        steps = [dict(name='a', trains=['a']), dict(name='c', trains=['c']),
                 dict(name='b', trains=['b'], every=2)]
        assert self.which(steps, 4, told=False) == ['ac', 'acb'] * 2

    def test_hub_that_stands_still(self):
        """What a runner of another run has left does not stop the count."""
        MessageHub.get_current_instance().update_info('iter', 6)
        steps = [dict(name='a', trains=['a']), dict(name='c', trains=['c']),
                 dict(name='b', trains=['b'], every=2)]
        assert self.which(steps, 4, told=False) == ['ac', 'acb'] * 2


class Three(AdversarialMixin, BaseModel):
    """Three numbers, each with an optimizer; losses are as wanted."""

    def __init__(self, steps=None, losses=None, **kwargs):
        super().__init__()
        for name in 'abc':
            setattr(self, name, nn.Linear(2, 2))
        self.wanted, self.seen = losses or {}, {}
        self.set_steps(steps or [dict(name=n, trains=[n]) for n in 'abc'],
                       **kwargs)

    @staticmethod
    def optimizers(model):
        return PerChildOptimWrapperConstructor({
            n: dict(optimizer=dict(type='SGD', lr=.1)) for n in 'abc'})(model)

    def forward(self, inputs, mode='tensor'):
        return self.loss() if mode == 'loss' else inputs

    def _losses(self, step, part):
        self.seen[step.name] = {
            k: p.requires_grad for k, p in self.named_parameters()}
        if step.name in self.wanted:
            return self.wanted[step.name](self, part)
        return super()._losses(step, part)

    def a_losses(self, inputs):
        return dict(loss_x=self.a(self.b(self.c(inputs))).square().mean(),
                    loss_y=[self.a.weight.sum(), self.a.bias.sum()],
                    mon_z=inputs.mean(), plain=inputs.sum())

    def b_losses(self, inputs):
        return dict(loss_x=self.a(self.b(self.c(inputs))).square().mean())

    c_losses = b_losses


def batch(number=4):
    return dict(inputs=torch.arange(2. * number).view(number, 2))


class TestFreezing:

    def test_only_what_a_step_trains_moves(self):
        model = Three(losses=dict(b=lambda m, x: dict(
            loss_x=0 * m.b.weight.sum()), c=lambda m, x: dict(
                loss_x=0 * m.c.weight.sum())))
        before = weights(model)
        model.train_step(batch(), Three.optimizers(model))
        moved = {k for k, v in model.state_dict().items()
                 if not torch.equal(v, before[k])}
        assert moved == {'a.weight', 'a.bias'}
        for step, flags in model.seen.items():
            assert flags == {k: k.startswith(step) for k in flags}
        assert all(p.requires_grad and p.grad is None
                   for p in model.parameters())

    def test_gradient_passes_through_what_is_frozen(self):
        """c is below two frozen layers, and learns all the same."""
        model = Three()
        before = model.c.weight.clone()
        model.train_step(batch(), Three.optimizers(model))
        assert not torch.equal(model.c.weight, before)

    def test_flags_come_back_after_an_exception(self):
        def fails(model, part):
            raise KeyError('broken sample')

        model = Three(losses=dict(b=fails))
        model.c.bias.requires_grad_(False)  # stays so
        with pytest.raises(KeyError, match='broken sample'):
            model.train_step(batch(), Three.optimizers(model))
        assert {k for k, p in model.named_parameters()
                if not p.requires_grad} == {'c.bias'}

class TestLogs:

    def test_names_and_sums(self):
        model = Three()
        x = batch()['inputs']
        y = model.a(model.b(model.c(x))).square().mean()
        z = model.a.weight.sum() + model.a.bias.sum()
        got = model.train_step(batch(), Three.optimizers(model))
        assert list(got) == ['loss_a', 'loss_a_x', 'loss_a_y', 'mon_a_z',
                             'mon_a_plain', 'loss_b', 'loss_b_x', 'loss_c',
                             'loss_c_x']
        assert float(got['loss_a']) == pytest.approx(float((y + z).detach()))
        assert float(got['loss_a_y']) == pytest.approx(float(z.detach()))
        assert float(got['mon_a_z']) == 3.5
        assert not any(v.requires_grad or v.ndim for v in got.values())

    def test_only_losses_are_minimised(self):
        """A logged value changes nothing."""
        def more(model, part):
            return dict(Three.a_losses(model, **part),
                        acc_x=1e9 * model.a.weight.sum(),
                        kl_x=model.a.weight.square().sum())

        torch.manual_seed(0)
        one = Three()
        torch.manual_seed(0)
        two = Three(losses=dict(a=more))
        for model in (one, two):
            model.train_step(batch(), Three.optimizers(model))
        assert_same(weights(one), weights(two))

    def test_cut_graph(self):
        model = Three(losses=dict(a=lambda m, x: dict(
            loss_x=m.b.weight.sum())))
        with pytest.raises(RuntimeError, match="'a' of Three: its loss does "
                           r"not depend on any parameter of \['a'\]"):
            model.train_step(batch(), Three.optimizers(model))

    def test_there_is_no_single_loss(self):
        model = Three()
        with pytest.raises(RuntimeError, match='PerChildDistributed'):
            model(torch.zeros(1, 2), mode='loss')


class TestCache:

    def run(self, **kwargs):
        seen = []

        def first(model, part):
            hidden = model.a(part['inputs'])
            model.step_cache.update(hidden=hidden, more=[hidden, dict(
                x=hidden)], word='x')
            return dict(loss_x=hidden.mean())

        def second(model, part):
            seen.append(dict(model.step_cache))
            return dict(loss_x=model.b(model.step_cache['hidden']).mean())

        model = Three(losses=dict(a=first, b=second), **kwargs)
        for _ in range(2):
            wanted = model.a(batch()['inputs']).detach()
            model.train_step(batch(), Three.optimizers(model))
        return model, seen, wanted

    def test_later_steps_see_what_was_left_detached(self):
        model, seen, wanted = self.run()
        assert not seen[-1]['hidden'].requires_grad
        assert not seen[-1]['more'][1]['x'].requires_grad
        assert seen[-1]['word'] == 'x'
        assert torch.equal(model.cached('hidden'), wanted)
        assert model.cached('other') is None

    def test_parts_have_their_own(self):
        model, seen, wanted = self.run(micro_batches=3)
        assert [len(c['hidden']) for c in seen] == [1, 1, 2] * 2
        torch.testing.assert_close(model.cached('hidden'), wanted)

    def test_model_can_be_copied(self):
        """As the hook of averaged weights does."""
        model, _, wanted = self.run()
        other = copy.deepcopy(model)
        other.train_step(batch(), Three.optimizers(other))
        assert torch.equal(model.cached('hidden'), wanted)


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


class TestErrors:

    @pytest.mark.parametrize('steps, message', [
        ([], 'need a name each'),
        ([dict(name='a', trains=['a'])] * 2, r"name each, got \['a', 'a'\]"),
        ([dict(name='a', trains=['a', 'x'])],
         r"'a' of Three trains 'x', but the model has the children "
         r"\['a', 'b', 'c', 'data_preprocessor'\]"),
        ([dict(name='a', trains=['data_preprocessor'])],
         'no parameter that can be trained'),
        ([dict(name='a', trains=['a'], loss='nothing')],
         "from the method 'nothing', which the model has not"),
        ([dict(name='a', trains=['a']), dict(name='b', trains=['b'])],
         r"no step trains \['c'\]: put each into `trains`"),
        ([dict(name='a', trains=['a', 'c']), dict(name='b',
                                                  trains=['b', 'c'])],
         "'c' is trained by two optimizers, 'a' and 'b'"),
        ([dict(name='a', trains=[])], 'lists the children'),
        ([dict(name='a', trains='abc')], "lists the children.*'abc'"),
        ([dict(name='a', trains=['a'], every=0)], 'every must be at least 1'),
        ([dict(name='a', trains=['a'], start=-1)], 'start at least 0')])
    def test_steps(self, steps, message):
        with pytest.raises(ValueError, match=message):
            Three(None).set_steps(steps)

    @pytest.mark.parametrize('step', [
        dict(name='a', trains=['a'], evry=2), dict(name='a'),
        dict(trains=['a'])])
    def test_keys(self, step):
        with pytest.raises(TypeError, match="keys.*'name', 'trains', 'optim"):
            Three([step])

    def test_same_optimizer_in_two_steps(self):
        model = Three([dict(name='a', trains=['a', 'c'], optimizer='all'),
                       dict(name='b', trains=['b', 'c'], optimizer='all')])
        wrapper = PerChildOptimWrapperConstructor(dict(all=dict(
            optimizer=dict(type='SGD', lr=.1), children=list('abc'))))(model)
        logs = model.train_step(batch(), wrapper)
        assert {'loss_a', 'loss_b'} <= logs.keys()

    def test_frozen_child_needs_no_step(self):
        class Half(Three):
            def set_steps(self, steps, **kwargs):
                self.c.requires_grad_(False)
                super().set_steps([dict(name=n, trains=[n]) for n in 'ab'])

        model = Half()
        wrapper = PerChildOptimWrapperConstructor({
            n: dict(optimizer=dict(type='SGD', lr=.1)) for n in 'ab'})(model)
        before = model.c.weight.clone()
        model.train_step(batch(), wrapper)
        assert torch.equal(model.c.weight, before)

    def test_parameter_of_the_model_itself(self):
        class Loose(Three):
            def set_steps(self, steps, **kwargs):
                self.scale = nn.Parameter(torch.ones(()))
                super().set_steps(steps, **kwargs)

        with pytest.raises(ValueError, match=r"trains \['scale'\].*move"):
            Loose()

    def test_micro_batches(self):
        with pytest.raises(ValueError, match='at least 1, got 0'):
            Three(micro_batches=0)

    def test_no_steps(self):
        model = Three()
        model.steps = ()
        with pytest.raises(RuntimeError, match='set_steps'):
            model.train_step(batch(), Three.optimizers(model))

    def test_one_optimizer(self):
        model = Three()
        one = OptimWrapper(torch.optim.SGD(model.parameters(), lr=.1))
        with pytest.raises(ValueError, match='several optimizers.*PerChild'
                           r'.*a=dict\(...\), b='):
            model.train_step(batch(), one)

    def test_unknown_optimizer(self):
        model = Three()
        few = OptimWrapperDict(a=OptimWrapper(torch.optim.SGD(
            model.parameters(), lr=.1)))
        with pytest.raises(ValueError, match="'b' of Three uses the optimizer"
                           r" 'b', but optim_wrapper defines \['a'\]"):
            model.train_step(batch(), few)


class TestNoise:

    def test_steps_draw_apart_and_iterations_too(self):
        model = make(noise='sample')
        like = torch.zeros(3, 2)
        seen = []
        for iteration in (4, 5):
            for step in (0, 1):
                model._iteration, model._running = iteration, step
                seen.append(model.sample_noise([1, 2, 3])(like))
        for i in range(4):
            for k in range(i):
                assert not torch.equal(seen[i], seen[k])

    def test_depends_on_the_seed_of_the_run(self, hub):
        model, like = make(noise='sample'), torch.zeros(3, 2)
        one = model.sample_noise([1, 2, 3])(like)
        hub.update_info('seed', 3)
        assert not torch.equal(one, model.sample_noise([1, 2, 3])(like))

    def test_unknown_noise(self):
        with pytest.raises(ValueError, match="'torch' or 'sample', got 'x'"):
            make(noise='x')


def test_generate_moves_no_random_state():
    model = make(dropout=.5)
    torch.manual_seed(3)
    wanted = torch.rand(1)
    torch.manual_seed(3)
    made = model.generate(8)
    assert torch.equal(torch.rand(1), wanted)
    assert torch.equal(made, model.generate(8)) and model.generator.training
