"""Mixed precision on any device."""
from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from mmengine.device import get_device
from mmengine.optim import OptimWrapper
from mmpose.registry import OPTIM_WRAPPERS
from torch import nn


@OPTIM_WRAPPERS.register_module()
class AutocastOptimWrapper(OptimWrapper):
    """Runs the forward pass in bfloat16, on a CPU too.

    mmengine's ``AmpOptimWrapper`` asserts an accelerator. bfloat16 has the
    range of float32, so no loss scaling is needed. mmpose's heatmap heads
    count the accuracy of a training batch in numpy, which has no bfloat16:
    such models want ``train_cfg=dict(compute_acc=False)``.

    Args:
        dtype (str): ``'bfloat16'``, the only one without a scaler.
        **kwargs: As for mmengine's ``OptimWrapper``.
    """

    def __init__(self, dtype: str = 'bfloat16', **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if dtype != 'bfloat16':
            raise ValueError(f'AutocastOptimWrapper runs bfloat16, not '
                             f"{dtype!r}; for float16 use mmengine's "
                             'AmpOptimWrapper on a GPU')

    @contextmanager
    def optim_context(self, model: nn.Module) -> Iterator[None]:
        """Autocast around the forward pass, besides mmengine's context."""
        device = get_device()
        with super().optim_context(model), \
                torch.autocast(device, dtype=torch.bfloat16):
            yield
