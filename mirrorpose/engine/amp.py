"""Mixed precision on any device."""
from __future__ import annotations

import platform
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

import torch
from mmengine.device import get_device
from mmengine.logging import print_log
from mmengine.optim import OptimWrapper
from mmpose.registry import OPTIM_WRAPPERS
from torch import nn


@lru_cache(maxsize=1)
def cpu_has_bfloat16() -> bool:
    """Whether this processor has instructions for bfloat16.

    Without them it is emulated: a step was 20 times as slow as in float32
    on a processor with AVX2 alone. On x86 that takes AVX512-BF16 or AMX;
    elsewhere what oneDNN says of itself.
    """
    if platform.machine().lower() in ('x86_64', 'amd64', 'i686', 'x86'):
        checks = ('_is_avx512_bf16_supported', '_is_amx_tile_supported')
        known = [getattr(torch.cpu, c)() for c in checks
                 if hasattr(torch.cpu, c)]
        if known:
            return any(known)
    try:
        return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())
    except (AttributeError, RuntimeError):  # a build without oneDNN
        return False


@OPTIM_WRAPPERS.register_module()
class AutocastOptimWrapper(OptimWrapper):
    """Runs the forward pass in bfloat16, on a CPU that has it too.

    mmengine's ``AmpOptimWrapper`` asserts an accelerator. bfloat16 has the
    range of float32, so no loss scaling is needed. A CPU without instructions
    for it stays in float32, and says so. mmpose's heatmap heads count the
    accuracy of a training batch in numpy, which has no bfloat16: such models
    want ``train_cfg=dict(compute_acc=False)``.

    Args:
        dtype (str): ``'bfloat16'``, the only one without a scaler.
        emulate (bool): bfloat16 even where the processor has to emulate it,
            to see what it does to a training. Defaults to False.
        **kwargs: As for mmengine's ``OptimWrapper``.

    Attributes:
        precision (torch.dtype): In which the forward pass runs.
    """

    def __init__(self, dtype: str = 'bfloat16', emulate: bool = False,
                 **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if dtype != 'bfloat16':
            raise ValueError(f'AutocastOptimWrapper runs bfloat16, not '
                             f"{dtype!r}; for float16 use mmengine's "
                             'AmpOptimWrapper on a GPU')
        self.precision = torch.bfloat16
        if get_device() == 'cpu' and not (emulate or cpu_has_bfloat16()):
            self.precision = torch.float32
            _tell()

    @contextmanager
    def optim_context(self, model: nn.Module) -> Iterator[None]:
        """Autocast around the forward pass, besides mmengine's context."""
        with super().optim_context(model), torch.autocast(
                get_device(), dtype=torch.bfloat16,
                enabled=self.precision is torch.bfloat16):
            yield


@lru_cache(maxsize=1)
def _tell() -> None:
    """Once a process: a run may have several wrappers."""
    print_log('AutocastOptimWrapper: this processor has no instructions for '
              'bfloat16 and would be many times as slow emulating them, so '
              'training runs in float32. (optim_wrapper.emulate=True '
              'emulates.)', logger='current')
