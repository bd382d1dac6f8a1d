"""What happens when a loss or a gradient is NaN or infinite."""
from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from mmengine.dist import all_reduce, get_rank, get_world_size
from mmengine.hooks import Hook
from mmengine.logging import print_log
from mmpose.registry import HOOKS
from torch import Tensor

from ..utils.files import write_atomically
from .checkpoint import plain
from .optimizers import members

#: Iterations after which a skipped batch is forgotten.
WINDOW = 1000


def sample_ids(data_batch: Any) -> list[str]:
    """The ids of the samples of a batch as the data loader gave it."""
    if not isinstance(data_batch, dict):
        return []
    if 'ids' in data_batch:
        return [str(i) for i in data_batch['ids']]
    samples = data_batch.get('data_samples') or []
    metas = [getattr(s, 'metainfo', {}) for s in samples]
    return [str(m.get('id', m.get('img_path', '?'))) for m in metas]


def batch_contents(data_batch: Any) -> dict[str, Any]:
    """A batch as tensors, numbers and strings, for ``torch.save``."""
    out: dict[str, Any] = dict(ids=sample_ids(data_batch))
    if not isinstance(data_batch, dict):
        return out
    for key, value in data_batch.items():
        if key == 'data_samples':
            continue
        try:
            out[key] = plain(value)
        except TypeError:
            continue
    for field in ('keypoints', 'keypoints_visible', 'bboxes'):
        values = [getattr(s.gt_instances, field, None)
                  for s in data_batch.get('data_samples') or []
                  if 'gt_instances' in s]
        if values and all(v is not None for v in values):
            out[field] = [torch.as_tensor(v) for v in values]
    return out


@HOOKS.register_module()
class NonFiniteGuard(Hook):
    """Keeps NaN and infinity out of the weights.

    Every optimizer looks at its gradients before it steps. If one is not
    finite nothing is stepped, and after the iteration the run stops with the
    names of the terms, the parameters and the samples; the batch is written
    to ``work_dir/nonfinite/``. With ``on_nonfinite='skip'`` the batch is left
    out, counted, and the run goes on up to a limit. All processes do the
    same. float16 with a loss scaler is left to the scaler, which skips
    infinite gradients by itself.

    Args:
        on_nonfinite (str): ``'stop'`` or ``'skip'``. Defaults to ``'stop'``.
        max_skipped (int): With ``'skip'``: more than so many skipped batches
            within 1,000 iterations stop the run. Defaults to 10.
        interval (int): Look at every so many iterations only: each look
            waits for the device. In between, NaN can reach the weights, but
            no checkpoint: they are looked at before saving. Defaults to 1.

    Raises:
        ValueError: An argument is out of range.
        FloatingPointError: In training, as said above.
    """

    # After RuntimeInfoHook, before anything that logs or saves.
    priority = 15

    def __init__(self, on_nonfinite: str = 'stop',
                 max_skipped: int = 10,
                 interval: int = 1) -> None:
        if on_nonfinite not in ('stop', 'skip'):
            raise ValueError("on_nonfinite is 'stop' or 'skip', got "
                             f'{on_nonfinite!r}')
        if max_skipped < 0:
            raise ValueError('max_skipped must not be negative, got '
                             f'{max_skipped}')
        if interval < 1 or (interval > 1 and on_nonfinite == 'skip'):
            raise ValueError("interval must be positive, and 1 with "
                             f"on_nonfinite='skip', got {interval}")
        self.on_nonfinite, self.max_skipped = on_nonfinite, max_skipped
        self.interval, self._looks = interval, True
        self._buffers: list[tuple[Tensor, Tensor]] = []
        self.skipped: list[int] = []
        self._bad: list[str] = []
        self._handles: list[Any] = []
        self._names: dict[int, str] = {}

    def state_dict(self) -> dict[str, Any]:
        """What a resumed run goes on with."""
        return dict(skipped=list(self.skipped))

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Takes what :meth:`state_dict` gave."""
        self.skipped = [int(i) for i in state['skipped']]

    def before_train(self, runner: Any) -> None:
        """Looks over the shoulder of every optimizer."""
        model = getattr(runner.model, 'module', runner.model)
        self._names = {id(p): n.replace('.module.', '.')
                       for n, p in model.named_parameters()}
        self._handles = [
            member.optimizer.register_step_pre_hook(self._check)
            for member in members(runner.optim_wrapper).values()]

    def after_train(self, runner: Any) -> None:
        """Leaves the optimizers alone."""
        for handle in self._handles:
            handle.remove()
        self._handles = []

    def before_train_iter(self, runner: Any, batch_idx: int,
                          data_batch: Any = None) -> None:
        """Remembers running statistics: a skipped batch must not stay."""
        self._looks = (runner.iter + 1) % self.interval == 0
        if self.on_nonfinite == 'skip':
            model = getattr(runner.model, 'module', runner.model)
            self._buffers = [(b, b.clone()) for b in model.buffers()]

    def before_save_checkpoint(self, runner: Any, checkpoint: dict) -> None:
        """No checkpoint holds weights that are not finite."""
        bad = [k for k, v in checkpoint['state_dict'].items()
               if v.is_floating_point() and not bool(v.isfinite().all())]
        if bad:
            raise FloatingPointError(
                f'iteration {runner.iter}: {bad[:3]} ({len(bad)} tensors) '
                'are not finite, so no checkpoint is written; the one '
                f'before is kept in {runner.work_dir}')

    def _check(self, optimizer: torch.optim.Optimizer, args: Any,
               kwargs: Any) -> None:
        """Drops all gradients when one is not finite: nothing is stepped."""
        parameters = [p for group in optimizer.param_groups
                      for p in group['params'] if p.grad is not None]
        if not parameters or not self._looks:
            return
        # One number for all, and one look at it.
        norms = torch._foreach_norm([p.grad for p in parameters])
        finite = torch.stack([n.float() for n in norms]).isfinite().all()
        # One bad step of an iteration, and its later ones rest, too.
        if not self._bad and bool(finite):
            return
        bad = [p for p, n in zip(parameters, norms) if not n.isfinite()]
        self._bad += [self._names.get(id(p), '?') for p in bad]
        for parameter in parameters:
            parameter.grad = None

    def after_train_iter(self, runner: Any, batch_idx: int,
                         data_batch: Any = None,
                         outputs: dict | None = None) -> None:
        """Says what was found, and stops or goes on."""
        if (runner.iter + 1) % self.interval:
            return
        terms = self._bad_terms(outputs or {})
        gradients, self._bad = self._bad, []
        if not self._anywhere(runner, bool(terms or gradients)):
            return
        ids = sample_ids(data_batch)
        where = self._write_batch(runner, data_batch)
        shown = {k: float(v.detach()) for k, v in (outputs or {}).items()
                 if isinstance(v, Tensor) and v.numel() == 1}
        parts = []
        if terms:
            parts.append(f'these terms are not finite: {terms}')
        if gradients:
            parts.append(f'the gradients of {gradients[:3]} '
                         f'({len(gradients)} parameters) are not finite')
        message = (
            f'iteration {runner.iter}: '
            + (' and '.join(parts) or 'another process saw a non-finite term')
            + f'; samples {ids[:4]} ({len(ids)} in the batch'
            + (f', written to {where})' if where else ')')
            + f'; all terms: { {k: round(v, 4) for k, v in shown.items()} }')
        if self.on_nonfinite == 'stop':
            raise FloatingPointError(
                message + '. Nothing was stepped with it (an optimizer '
                'whose turn came before it in the iteration was); the last '
                f'checkpoint in {runner.work_dir} is from before. Lower the '
                'learning rate, clip gradients (optim_wrapper.clip_grad), '
                "train without --amp, or leave such batches out with "
                "on_nonfinite='skip'")
        for buffer, before in self._buffers:
            buffer.copy_(before)
        self.skipped = [i for i in self.skipped
                        if i > runner.iter - WINDOW] + [runner.iter]
        if len(self.skipped) > self.max_skipped:
            raise FloatingPointError(
                f'{message}. {len(self.skipped)} batches were skipped within '
                f'{WINDOW} iterations ({self.skipped}), more than '
                f'max_skipped={self.max_skipped}')
        print_log(f'{message}. Skipped; {len(self.skipped)} of at most '
                  f'{self.max_skipped} within {WINDOW} iterations',
                  logger='current', level=30)

    @staticmethod
    def _bad_terms(outputs: dict) -> dict[str, float]:
        names = [k for k, v in outputs.items() if isinstance(v, Tensor)]
        if not names:
            return {}
        values = torch.stack([outputs[k].detach().float().mean()
                              for k in names])
        finite = values.isfinite()
        if bool(finite.all()):
            return {}
        return {k: float(v) for k, v, f in zip(names, values, finite)
                if not bool(f)}

    @staticmethod
    def _anywhere(runner: Any, bad: bool) -> bool:
        """Whether any process found something; gradients are shared."""
        if get_world_size() == 1:
            return bad
        seen = torch.tensor(float(bad),
                            device=next(runner.model.parameters()).device)
        all_reduce(seen, op='max')
        return bool(seen)

    @staticmethod
    def _write_batch(runner: Any, data_batch: Any) -> Path | None:
        path = Path(runner.work_dir) / 'nonfinite' / \
            f'iter_{runner.iter}_rank_{get_rank()}.pth'
        try:
            write_atomically(path, lambda part: torch.save(
                batch_contents(data_batch), part))
        except OSError:  # a full disk must not hide what was found
            return None
        return path
