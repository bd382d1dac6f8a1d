"""NaN and infinity are named, kept out of the weights, and written down."""
from __future__ import annotations

import math
from types import SimpleNamespace

import pytest
import torch
from mmengine.hooks import Hook
from mmpose.registry import HOOKS, MODELS

from mirrorpose.engine import NonFiniteGuard
from mirrorpose.models.mirrornet.pretraining import PoseAutoencoding
from mirrorpose.testing import ToyWGAN, toy_gan_cfg


@MODELS.register_module(force=True)
class PoisonedPoseAutoencoding(PoseAutoencoding):
    """Some steps have a loss, or only a gradient, that is not finite."""

    def __init__(self, loss_at=(), gradient_at=(), **kwargs):
        super().__init__(**kwargs)
        self.loss_at, self.gradient_at = set(loss_at), set(gradient_at)
        self.step = 0

    def loss(self, inputs, data_samples):
        step, self.step = self.step, self.step + 1
        if step in self.loss_at:
            inputs = inputs * math.nan
        losses = super().loss(inputs, data_samples)
        weight = next(p for p in self.parameters() if p.requires_grad)
        if step in self.loss_at:
            losses['loss_plausibility'] = weight.sum() * math.inf
        if step in self.gradient_at:  # sqrt at 0: finite, gradient not
            losses['loss_zero'] = ((weight - weight.detach())**2).sum().sqrt()
        return losses


@HOOKS.register_module(force=True)
class Witness(Hook):
    """Keeps the weights before each iteration."""

    seen: list = []

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        self.seen.append({k: v.clone() for k, v in
                          runner.model.state_dict().items()})


def runner(toy, folder, guard=None, **model):
    Witness.seen.clear()
    cfg = toy.cfg(folder)
    hooks = [dict(type='NonFiniteGuard', **(guard or {})),
             dict(type='Witness')]
    cfg.stages[0].model.update(type='PoisonedPoseAutoencoding', **model)
    from mirrorpose.engine import PoseRunner
    from mirrorpose.engine.curriculum import CurriculumRunner
    made = CurriculumRunner(cfg).stage_config('pose_vae')
    made.work_dir, made.custom_hooks = str(folder), hooks
    return PoseRunner.from_cfg(made)


def equal(a, b):
    return all(torch.equal(a[k], b[k]) for k in a)


def untouched(step, made):
    """The parameters; running statistics may have moved."""
    names = [k for k, _ in made.model.named_parameters()]
    return equal({k: Witness.seen[step][k] for k in names},
                 made.model.state_dict())


def test_a_loss_stops_the_run(toy, tmp_path):
    made = runner(toy, tmp_path, loss_at=[4])
    with pytest.raises(FloatingPointError, match=(
            "iteration 4: .*'loss_plausibility': .*(inf|nan).*samples "
            r"\['2-\d+'.*on_nonfinite='skip'")):
        made.train()
    assert untouched(4, made)
    # What was in the batch, loadable without trust.
    path, = (tmp_path / 'nonfinite').iterdir()
    held = torch.load(path, weights_only=True)
    assert path.name == 'iter_4_rank_0.pth' and len(held['ids']) == 4
    assert [i.shape for i in held['inputs']] == [(3, 32, 32)] * 4
    assert held['keypoints'][0].shape == (1, 16, 2)
    # The checkpoint is from before.
    assert [p.name for p in tmp_path.glob('*.pth')] == ['epoch_1.pth']


def test_a_gradient_alone_stops_the_run(toy, tmp_path):
    made = runner(toy, tmp_path, gradient_at=[1])
    with pytest.raises(FloatingPointError, match=(
            r"iteration 1: the gradients of \['pose_vae\..*'\] \(1 param")):
        made.train()
    assert untouched(1, made)


def test_skipping(toy, tmp_path):
    """Weights, and running statistics, are those of before the batch."""
    made = runner(toy, tmp_path, dict(on_nonfinite='skip', max_skipped=2),
                  loss_at=[4], gradient_at=[6])
    made.train()
    for bad in (4, 6):
        assert equal(Witness.seen[bad], Witness.seen[bad + 1])
    assert not equal(Witness.seen[5], Witness.seen[6])
    assert all(v.isfinite().all() for v in made.model.state_dict().values())
    assert len(list((tmp_path / 'nonfinite').iterdir())) == 2


def test_skipping_has_a_limit(toy, tmp_path):
    made = runner(toy, tmp_path, dict(on_nonfinite='skip', max_skipped=1),
                  loss_at=[2, 4])
    with pytest.raises(FloatingPointError, match=(
            r'2 batches were skipped within 1000 iterations \(\[2, 4\]\), '
            'more than max_skipped=1')):
        made.train()


def test_the_count_survives_a_resumed_run():
    one, two = (NonFiniteGuard('skip') for _ in range(2))
    one.skipped = [3, 9]
    two.load_state_dict(one.state_dict())
    assert two.skipped == [3, 9]


def test_no_checkpoint_with_nan(toy, tmp_path):
    """Between two looks, NaN may reach the weights, but no file."""
    made = runner(toy, tmp_path, dict(interval=50), loss_at=[1])
    with pytest.raises(FloatingPointError, match='no checkpoint is written'):
        made.train()
    assert not list(tmp_path.glob('*.pth'))


@pytest.mark.parametrize('kwargs', [
    dict(on_nonfinite='ignore'), dict(max_skipped=-1), dict(interval=0),
    dict(on_nonfinite='skip', interval=5)])
def test_arguments(kwargs):
    with pytest.raises(ValueError):
        NonFiniteGuard(**kwargs)


class TestTerms:

    @staticmethod
    def after(hook, iteration=0, folder='runs/x', **outputs):
        made = SimpleNamespace(iter=iteration, work_dir=str(folder))
        hook.after_train_iter(made, iteration, outputs={
            k: torch.as_tensor(v) for k, v in outputs.items()})

    def test_finite(self):
        self.after(NonFiniteGuard(), loss_a=1., loss_b=[2., 3.])

    @pytest.mark.parametrize('bad', [math.nan, math.inf, -math.inf])
    def test_names_the_term(self, bad, tmp_path):
        with pytest.raises(FloatingPointError, match=(
                "iteration 7: these terms are not finite: {'loss_fidelity':"
                )) as caught:
            self.after(NonFiniteGuard(), 7, tmp_path, loss_recognition=1.,
                       loss_fidelity=bad)
        assert "finite: {'loss_recognition" not in str(caught.value)

    def test_interval(self, tmp_path):
        hook = NonFiniteGuard(interval=5)
        self.after(hook, 0, loss=math.nan)
        with pytest.raises(FloatingPointError):
            self.after(hook, 4, tmp_path, loss=math.nan)

    def test_nothing_logged(self):
        hook = NonFiniteGuard()
        hook.after_train_iter(SimpleNamespace(iter=0), 0, outputs=None)
        self.after(hook)


@MODELS.register_module(force=True)
class PoisonedWGAN(ToyWGAN):
    """The critic's loss is NaN in the fourth iteration."""

    calls = 0

    def critic_losses(self, **batch):
        losses = super().critic_losses(**batch)
        type(self).calls += 1
        if type(self).calls == 4:
            losses = {k: v * math.nan if 'loss' in k else v
                      for k, v in losses.items()}
        return losses


def test_two_optimizers_rest_together(toy, tmp_path):
    """A critic that is not finite keeps the generator from stepping, too."""
    from mirrorpose.engine import PoseRunner
    PoisonedWGAN.calls = 0
    Witness.seen.clear()
    cfg = toy_gan_cfg(tmp_path, model=dict(type='PoisonedWGAN'))
    cfg.custom_hooks = [
        dict(type='NonFiniteGuard', on_nonfinite='skip', max_skipped=1),
        dict(type='Witness')]
    PoseRunner.from_cfg(cfg).train()
    assert equal(Witness.seen[3], Witness.seen[4])
    assert not equal(Witness.seen[2], Witness.seen[3])
    assert not equal(Witness.seen[4], Witness.seen[5])
