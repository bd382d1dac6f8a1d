"""Steps that cannot be: each is refused, with what to do."""
from __future__ import annotations

import pytest
import torch
from mmengine.optim import OptimWrapper, OptimWrapperDict
from torch import nn

from mirrorpose.engine.optimizers import PerChildOptimWrapperConstructor
from mirrorpose.testing import ThreeSteps, three_inputs

pytestmark = pytest.mark.usefixtures('hub')


class TestErrors:

    @pytest.mark.parametrize('steps, message', [
        ([], 'need a name each'),
        ([dict(name='a', trains=['a'])] * 2, r"name each, got \['a', 'a'\]"),
        ([dict(name='a', trains=['a', 'x'])],
         r"'a' of ThreeSteps trains 'x', but the model has the children "
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
            ThreeSteps(None).set_steps(steps)

    @pytest.mark.parametrize('step', [
        dict(name='a', trains=['a'], evry=2), dict(name='a'),
        dict(trains=['a'])])
    def test_keys(self, step):
        with pytest.raises(TypeError, match="keys.*'name', 'trains', 'optim"):
            ThreeSteps([step])

    def test_same_optimizer_in_two_steps(self):
        model = ThreeSteps([dict(name='a', trains=['a', 'c'], optimizer='all'),
                       dict(name='b', trains=['b', 'c'], optimizer='all')])
        wrapper = PerChildOptimWrapperConstructor(dict(all=dict(
            optimizer=dict(type='SGD', lr=.1), children=list('abc'))))(model)
        logs = model.train_step(three_inputs(), wrapper)
        assert {'loss_a', 'loss_b'} <= logs.keys()

    def test_frozen_child_needs_no_step(self):
        class Half(ThreeSteps):
            def set_steps(self, steps, **kwargs):
                self.c.requires_grad_(False)
                super().set_steps([dict(name=n, trains=[n]) for n in 'ab'])

        model = Half()
        wrapper = PerChildOptimWrapperConstructor({
            n: dict(optimizer=dict(type='SGD', lr=.1)) for n in 'ab'})(model)
        before = model.c.weight.clone()
        model.train_step(three_inputs(), wrapper)
        assert torch.equal(model.c.weight, before)

    def test_parameter_of_the_model_itself(self):
        class Loose(ThreeSteps):
            def set_steps(self, steps, **kwargs):
                self.scale = nn.Parameter(torch.ones(()))
                super().set_steps(steps, **kwargs)

        with pytest.raises(ValueError, match=r"trains \['scale'\].*move"):
            Loose()

    def test_micro_batches(self):
        with pytest.raises(ValueError, match='at least 1, got 0'):
            ThreeSteps(micro_batches=0)

    def test_no_steps(self):
        model = ThreeSteps()
        model.steps = ()
        with pytest.raises(RuntimeError, match='set_steps'):
            model.train_step(three_inputs(), ThreeSteps.optimizers(model))

    def test_one_optimizer(self):
        model = ThreeSteps()
        one = OptimWrapper(torch.optim.SGD(model.parameters(), lr=.1))
        with pytest.raises(ValueError, match='several optimizers.*PerChild'
                           r'.*a=dict\(...\), b='):
            model.train_step(three_inputs(), one)

    def test_unknown_optimizer(self):
        model = ThreeSteps()
        few = OptimWrapperDict(a=OptimWrapper(torch.optim.SGD(
            model.parameters(), lr=.1)))
        with pytest.raises(ValueError, match="'b' of ThreeSteps uses the "
                           r"optimizer 'b', but optim_wrapper defines "
                           r"\['a'\]"):
            model.train_step(three_inputs(), few)
