"""Signs of health of adversarial training, logged beside its losses."""
from __future__ import annotations

from typing import Any

import torch
from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmpose.registry import HOOKS
from torch import Tensor

from .optimizers import members

__all__ = ['AdversarialMonitor', 'mean_pairwise_distance']


def mean_pairwise_distance(x: Tensor, most: int = 64) -> Tensor:
    """Mean Euclidean distance between the samples of a batch.

    Args:
        x (Tensor): (N, ...); the distance is over all entries of a sample.
        most (int): Rows beyond are left out. Defaults to 64.

    Returns:
        Tensor: Scalar; 0 where all samples are equal, or there is only one.
    """
    x = x.detach()[:most].flatten(1).float()
    if len(x) < 2:
        return x.new_zeros(())
    return torch.pdist(x).mean()


@HOOKS.register_module()
class AdversarialMonitor(Hook):
    """Logs gradient norms of every optimizer, and the spread of what is made.

    - ``mon_grad_norm_{name}``: norm of all gradients as optimizer ``name``
      steps with them (after clipping). A critic whose norm goes to 0 has won
      or died; one that grows is about to diverge.
    - ``mon_spread``: mean pairwise distance of the generated samples, and
      ``mon_spread_ratio``: the same over that of the real ones: near 1 in
      health, towards 0 when modes collapse. They are there when a step of
      the model leaves samples in ``step_cache`` under the names below.

    Values stay on the device; whoever writes the log fetches them. A step
    that does not run in every iteration is looked at the next time it does.

    Args:
        interval (int): Look every so many iterations. Defaults to 10.
        generated (str): Name in ``step_cache``. Defaults to
            ``'generated'``.
        real (str): Name in ``step_cache``. Defaults to ``'real'``.
        samples (int): Of a batch, for the distances. Defaults to 64.

    Raises:
        ValueError: An argument is out of range.
    """

    # Before RuntimeInfoHook (10), which hands the outputs to the log.
    priority = 5
    SPREAD = 'samples, not an optimizer'

    def __init__(self, interval: int = 10, generated: str = 'generated',
                 real: str = 'real', samples: int = 64) -> None:
        if interval < 1 or samples < 2:
            raise ValueError('interval must be at least 1 and samples at '
                             f'least 2, got {interval} and {samples}')
        self.interval, self.samples = interval, samples
        self.generated, self.real = generated, real
        self._norms: dict[str, Tensor] = {}
        self._handles: list[Any] = []
        self._names: list[str] = []
        self._wanted: set[str] = set()

    def before_train(self, runner: Any) -> None:
        """Looks over the shoulder of every optimizer."""
        wrappers = members(runner.optim_wrapper)

        def watch(name: str) -> Any:
            def note(optimizer: torch.optim.Optimizer, args: Any,
                     kwargs: Any) -> None:
                if name in self._wanted:
                    self._note(name, optimizer)
            return note

        self._names = list(wrappers)
        self._handles = [m.optimizer.register_step_pre_hook(watch(name))
                         for name, m in wrappers.items()]

    def after_train(self, runner: Any) -> None:
        """Leaves the optimizers alone."""
        for handle in self._handles:
            handle.remove()
        self._handles = []

    def before_train_iter(self, runner: Any, batch_idx: int,
                          data_batch: Any = None) -> None:
        """Decides what is looked at."""
        if (runner.iter + 1) % self.interval == 0:
            self._wanted = {*self._names, self.SPREAD}
        self._norms = {}

    def _note(self, name: str, optimizer: torch.optim.Optimizer) -> None:
        grads = [p.grad for group in optimizer.param_groups
                 for p in group['params'] if p.grad is not None]
        if grads:
            self._wanted.discard(name)
            norms = torch.stack([n.float() for n in
                                 torch._foreach_norm(grads)])
            self._norms[name] = torch.linalg.vector_norm(norms)

    def after_train_iter(self, runner: Any, batch_idx: int,
                         data_batch: Any = None,
                         outputs: dict | None = None) -> None:
        """Adds to what the step logs."""
        if outputs is None:
            return
        outputs.update({f'mon_grad_norm_{name}': norm
                        for name, norm in self._norms.items()})
        if self.SPREAD not in self._wanted:
            return
        model = runner.model
        if is_model_wrapper(model):
            model = model.module
        generated = model.cached(self.generated) \
            if hasattr(model, 'cached') else None
        if generated is None:
            return
        self._wanted.discard(self.SPREAD)
        spread = mean_pairwise_distance(generated, self.samples)
        outputs['mon_spread'] = spread
        real = model.cached(self.real)
        if real is not None:
            outputs['mon_spread_ratio'] = spread / mean_pairwise_distance(
                real, self.samples).clamp(min=1e-12)
