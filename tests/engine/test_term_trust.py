"""TermTrust: what it logs, when it warns, and that nothing else changes."""
from __future__ import annotations

import logging
from types import SimpleNamespace

import pytest
import torch

from mirrorpose.engine import TermTrust, term_trust, watching_hook
from tests.models.conftest import build, make_batch, mirrornet_cfg


@pytest.fixture
def said(monkeypatch):
    out = []
    monkeypatch.setattr(watching_hook, 'print_log',
                        lambda text, logger, level: out.append((level, text)))
    return out


class Data(torch.nn.Module):
    """The preprocessor's part."""

    def forward(self, batch, training):
        return dict(inputs=batch[0], data_samples=batch[1])


def start(labels=(True, False, True, True), weights=None, **options):
    model = build(mirrornet_cfg(term_weights=weights)).train()
    model.data_preprocessor = Data()
    hook = TermTrust(**{'interval': 2, 'begin': 0, 'window': 1, **options})
    runner = SimpleNamespace(iter=0, model=model)
    hook.before_train(runner)
    return hook, runner, make_batch(labels)


def test_it_looks_every_so_often(said):
    hook, runner, batch = start()
    seen = []
    for runner.iter in range(4):
        outputs = dict(loss=torch.zeros(()))
        hook.after_train_iter(runner, runner.iter, batch, outputs)
        seen.append({k for k in outputs if k.startswith('mon_')})
    assert not seen[0] and not seen[2] and seen[1] == seen[3]
    assert seen[1] >= {'mon_truth_over_swapped', 'mon_truth_over_moved',
                       'mon_gradient_ratio_fidelity'}


def test_untrained_terms_are_told_of_once(said):
    """An untrained image VAE reads no pose; thresholds may be others."""
    always = {k.key: 2. if k.side == 'below' else -1.
              for some in term_trust.LIMITS.values() for k in some}
    hook, runner, batch = start(interval=1, repeat=100, limits=always)
    for runner.iter in range(3):
        hook.after_train_iter(runner, 0, batch, {})
    told = [t for level, t in said if level == logging.WARNING]
    assert len(told) == len(set(told)) == len(always)
    assert any('term_weights.fidelity=0' in t for t in told)


def test_terms_without_weight_are_not_judged(said):
    always = {k.key: 2. if k.side == 'below' else -1.
              for some in term_trust.LIMITS.values() for k in some}
    hook, runner, batch = start(weights=dict(fidelity=0., plausibility=0.),
                                interval=1, limits=always)
    hook.after_train_iter(runner, 0, batch, {})
    assert not said


def test_a_switched_off_warning(said):
    off = dict.fromkeys(k.key for some in term_trust.LIMITS.values()
                        for k in some)
    hook, runner, batch = start(interval=1, limits=off)
    outputs = {}
    hook.after_train_iter(runner, 0, batch, outputs)
    assert outputs and not said


def test_other_models_are_passed_over(said):
    hook = TermTrust(interval=1)
    runner = SimpleNamespace(iter=0, model=torch.nn.Linear(1, 1))
    hook.before_train(runner)
    outputs = {}
    hook.after_train_iter(runner, 0, None, outputs)
    assert not outputs


def test_resumed_it_does_not_repeat_itself(said):
    hook, runner, batch = start(interval=1, repeat=1000,
                                limits=dict(mon_truth_over_swapped=2.))
    hook.after_train_iter(runner, 0, batch, {})
    number = len(said)
    other = TermTrust(interval=1, begin=0, window=1, repeat=1000,
                      limits=dict(mon_truth_over_swapped=2.))
    other.load_state_dict(hook.state_dict())
    other.before_train(runner)
    other.after_train_iter(runner, 0, batch, {})
    assert number and len(said) == number


@pytest.mark.parametrize('wrong, message', [
    (dict(interval=0), 'interval must be'),
    (dict(samples=1), 'samples at least 2'),
    (dict(limits=dict(mon_nothing=1.)), 'mon_nothing'),
])
def test_wrong_arguments(wrong, message):
    with pytest.raises(ValueError, match=message):
        TermTrust(**wrong)
