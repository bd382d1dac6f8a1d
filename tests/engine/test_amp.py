"""bfloat16 on the CPU; gradient accumulation."""
from __future__ import annotations

import pytest
import torch
from mmpose.registry import OPTIM_WRAPPERS
from torch import nn

from mirrorpose.engine import AutocastOptimWrapper, amp


@pytest.fixture(autouse=True)
def _has_bfloat16(monkeypatch):
    """Whatever the processor has."""
    monkeypatch.setattr(amp, 'cpu_has_bfloat16', lambda: True)


def build(parameters, **kwargs):
    return OPTIM_WRAPPERS.build(dict(
        type='AutocastOptimWrapper',
        optimizer=torch.optim.SGD(parameters, lr=.05), **kwargs))


def test_runs_bfloat16_inside_and_float32_outside():
    model = nn.Linear(4, 4)
    wrapper = build(model.parameters())
    assert isinstance(wrapper, AutocastOptimWrapper)
    x = torch.randn(2, 4)
    with wrapper.optim_context(model):
        inside = model(x)
    outside = model(x)
    assert inside.dtype == torch.bfloat16
    assert outside.dtype == torch.float32
    torch.testing.assert_close(inside.float(), outside, rtol=.03, atol=.03)
    assert model.weight.dtype == torch.float32


class TestWithoutInstructions:

    @pytest.fixture(autouse=True)
    def _has_none(self, monkeypatch, _has_bfloat16):
        monkeypatch.setattr(amp, 'cpu_has_bfloat16', lambda: False)
        amp._tell.cache_clear()

    def inside(self, **kwargs):
        model = nn.Linear(4, 4)
        wrapper = build(model.parameters(), **kwargs)
        with wrapper.optim_context(model):
            out = model(torch.randn(2, 4)).dtype
        assert out == wrapper.precision
        return out

    def test_stays_in_float32_and_says_so_once(self, monkeypatch):
        said = []
        monkeypatch.setattr(amp, 'print_log', lambda text, **_:
                            said.append(text))
        assert self.inside() == self.inside() == torch.float32
        assert len(said) == 1 and 'runs in float32' in said[0]

    def test_unless_it_is_asked_for(self):
        assert self.inside(emulate=True) == torch.bfloat16

    def test_an_accelerator_has_it(self, monkeypatch):
        monkeypatch.setattr(amp, 'get_device', lambda: 'cuda')
        wrapper = build(nn.Linear(1, 1).parameters())
        assert wrapper.precision == torch.bfloat16


@pytest.mark.parametrize('flags, has', [
    ((True, False), True), ((False, True), True), ((False, False), False)])
def test_what_the_processor_has(monkeypatch, flags, has):
    monkeypatch.undo()  # the fixture's
    monkeypatch.setattr(amp.platform, 'machine', lambda: 'x86_64')
    for check, value in zip(('_is_avx512_bf16_supported',
                             '_is_amx_tile_supported'), flags):
        monkeypatch.setattr(torch.cpu, check, lambda value=value: value,
                            raising=False)
    amp.cpu_has_bfloat16.cache_clear()
    assert amp.cpu_has_bfloat16() is has
    amp.cpu_has_bfloat16.cache_clear()


def test_learns():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Linear(16, 1))
    wrapper = build(model.parameters())
    x = torch.randn(64, 4)
    y = x.sum(1, keepdim=True)
    history = []
    for _ in range(60):
        with wrapper.optim_context(model):
            loss = (model(x).float() - y).square().mean()
        wrapper.update_params(loss)
        history.append(loss.item())
    assert history[-1] < .2 * history[0]


def test_gradient_accumulation():
    """Two halves make the step of the whole."""
    torch.manual_seed(0)
    models = [nn.Linear(3, 1) for _ in range(2)]
    models[1].load_state_dict(models[0].state_dict())
    x, y = torch.randn(8, 3), torch.randn(8, 1)
    whole = build(models[0].parameters())
    parts = build(models[1].parameters(), accumulative_counts=2)
    with whole.optim_context(models[0]):
        out = models[0](x)
    whole.update_params((out.float() - y).square().mean())
    parts.initialize_count_status(models[1], 0, 2)
    for rows in (slice(0, 4), slice(4, 8)):
        before = models[1].weight.clone()
        with parts.optim_context(models[1]):
            out = models[1](x[rows])
        parts.update_params((out.float() - y[rows]).square().mean())
        if rows.start == 0:  # nothing moves before the second half
            assert torch.equal(before, models[1].weight)
    torch.testing.assert_close(models[0].weight, models[1].weight,
                               rtol=.02, atol=1e-3)


@pytest.mark.parametrize('dtype', ['float16', 'fp32'])
def test_other_types(dtype):
    with pytest.raises(ValueError, match=f"bfloat16, not '{dtype}'"):
        build(nn.Linear(1, 1).parameters(), dtype=dtype)


def test_unknown_option():
    with pytest.raises(TypeError, match='scale'):
        build(nn.Linear(1, 1).parameters(), loss_scale='dynamic')


@pytest.mark.parametrize('options', [
    dict(type='AutocastOptimWrapper'),
    dict(type='OptimWrapper', accumulative_counts=2),
    dict(type='AutocastOptimWrapper', accumulative_counts=2)], ids=str)
def test_in_a_stage(toy, tmp_path, options):
    optimizer = dict(type='Adam', lr=3e-3)
    runner = toy.runner(tmp_path,
                        optim_wrapper=dict(optimizer=optimizer, **options))
    losses = []

    def watch(_, batch_idx, data_batch=None, outputs=None):
        losses.append(float(outputs['loss']))

    runner._hooks[0].after_train_iter = watch
    before = {k: v.clone() for k, v in runner.model.named_parameters()}
    runner.train()
    assert len(losses) == 9 and sum(losses[-3:]) < sum(losses[:3])
    moved = [k for k, p in runner.model.named_parameters()
             if not torch.equal(p, before[k])]
    assert moved
    assert all(p.dtype == torch.float32 for p in runner.model.parameters())
