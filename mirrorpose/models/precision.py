"""Networks that stay in float32 where everything around runs in half."""
from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

__all__ = ['always_float32']


def _widened(value: Any) -> Any:
    if isinstance(value, Tensor) and value.dtype in (torch.float16,
                                                     torch.bfloat16):
        return value.float()
    if isinstance(value, (list, tuple)) and type(value) in (list, tuple):
        return type(value)(_widened(v) for v in value)
    if isinstance(value, dict):
        return {k: _widened(v) for k, v in value.items()}
    return value


# Functions of a module, no closures: models with them can be copied and
# pickled.
def _enter(module: nn.Module, args: tuple, kwargs: dict) -> tuple:
    device = next((p.device.type for p in module.parameters()), 'cpu')
    context = torch.autocast(device, enabled=False)
    context.__enter__()
    module.__dict__.setdefault('_float32_contexts', []).append(context)
    return _widened(args), _widened(kwargs)


def _leave(module: nn.Module, args: tuple, output: Any) -> None:
    if module.__dict__.get('_float32_contexts'):
        module.__dict__['_float32_contexts'].pop().__exit__(None, None, None)


def always_float32(module: nn.Module) -> nn.Module:
    """Lets a network run in float32 whatever autocast is on around it.

    Inputs in half precision are widened. Does nothing the second time.

    Args:
        module (nn.Module): Changed in place: gets two forward hooks.

    Returns:
        nn.Module: The module.
    """
    if _enter not in module._forward_pre_hooks.values():
        module.register_forward_pre_hook(_enter, with_kwargs=True)
        module.register_forward_hook(_leave, always_call=True)
    return module
