"""Steps in turn: what runs when, what moves, what is logged and kept."""
from __future__ import annotations

import copy

import pytest
import torch
from mmengine.logging import MessageHub

from mirrorpose.testing import ThreeSteps, assert_same, three_inputs, weights

pytestmark = pytest.mark.usefixtures('hub')


class TestTurns:

    def which(self, steps, iterations, first=0, told=True):
        """Names of the steps that ran, by iteration."""
        torch.manual_seed(0)
        model = ThreeSteps(steps)
        hub = MessageHub.get_current_instance()
        out = []
        for i in range(first, first + iterations):
            if told:
                hub.update_info('iter', i)
            logs = model.train_step(three_inputs(),
                                    ThreeSteps.optimizers(model))
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


class TestFreezing:

    def test_only_what_a_step_trains_moves(self):
        model = ThreeSteps(losses=dict(b=lambda m, x: dict(
            loss_x=0 * m.b.weight.sum()), c=lambda m, x: dict(
                loss_x=0 * m.c.weight.sum())))
        before = weights(model)
        model.train_step(three_inputs(), ThreeSteps.optimizers(model))
        moved = {k for k, v in model.state_dict().items()
                 if not torch.equal(v, before[k])}
        assert moved == {'a.weight', 'a.bias'}
        for step, flags in model.seen.items():
            assert flags == {k: k.startswith(step) for k in flags}
        assert all(p.requires_grad and p.grad is None
                   for p in model.parameters())

    def test_gradient_passes_through_what_is_frozen(self):
        """c is below two frozen layers, and learns all the same."""
        model = ThreeSteps()
        before = model.c.weight.clone()
        model.train_step(three_inputs(), ThreeSteps.optimizers(model))
        assert not torch.equal(model.c.weight, before)

    def test_flags_come_back_after_an_exception(self):
        def fails(model, part):
            raise KeyError('broken sample')

        model = ThreeSteps(losses=dict(b=fails))
        model.c.bias.requires_grad_(False)  # stays so
        with pytest.raises(KeyError, match='broken sample'):
            model.train_step(three_inputs(), ThreeSteps.optimizers(model))
        assert {k for k, p in model.named_parameters()
                if not p.requires_grad} == {'c.bias'}


class TestLogs:

    def test_names_and_sums(self):
        model = ThreeSteps()
        x = three_inputs()['inputs']
        y = model.a(model.b(model.c(x))).square().mean()
        z = model.a.weight.sum() + model.a.bias.sum()
        got = model.train_step(three_inputs(), ThreeSteps.optimizers(model))
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
            return dict(ThreeSteps.a_losses(model, **part),
                        acc_x=1e9 * model.a.weight.sum(),
                        kl_x=model.a.weight.square().sum())

        torch.manual_seed(0)
        one = ThreeSteps()
        torch.manual_seed(0)
        two = ThreeSteps(losses=dict(a=more))
        for model in (one, two):
            model.train_step(three_inputs(), ThreeSteps.optimizers(model))
        assert_same(weights(one), weights(two))

    def test_cut_graph(self):
        model = ThreeSteps(losses=dict(a=lambda m, x: dict(
            loss_x=m.b.weight.sum())))
        with pytest.raises(RuntimeError, match="'a' of ThreeSteps: its loss "
                           r"does not depend on any parameter of \['a'\]"):
            model.train_step(three_inputs(), ThreeSteps.optimizers(model))

    def test_there_is_no_single_loss(self):
        model = ThreeSteps()
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

        model = ThreeSteps(losses=dict(a=first, b=second), **kwargs)
        for _ in range(2):
            wanted = model.a(three_inputs()['inputs']).detach()
            model.train_step(three_inputs(), ThreeSteps.optimizers(model))
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
        other.train_step(three_inputs(), ThreeSteps.optimizers(other))
        assert torch.equal(model.cached('hidden'), wanted)
