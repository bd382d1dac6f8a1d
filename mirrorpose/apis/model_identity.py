"""Which model has made an embedding."""
from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

#: What a config says about training or building alone.
_ASIDE = frozenset({'init_cfg', 'train_cfg', 'test_cfg', 'adversary'})


def model_digest(model: Any) -> dict[str, str] | None:
    """What tells a model from others: its config's and weights' digests.

    Args:
        model (nn.Module | Callable): From :func:`.load_model`; of anything
            else nothing is known.

    Returns:
        dict[str, str] | None: ``model`` (its class), ``config`` and
        ``weights``, 16 hex digits each. Where the file lies, and what serves
        training alone, does not count.
    """
    if not isinstance(model, nn.Module) or not hasattr(model, 'cfg'):
        return None
    held: Any = model.cfg
    config: Any = held.to_dict() if hasattr(held, 'to_dict') else held
    loader = config.get('test_dataloader') or {}
    text = json.dumps([_plain(config.get('model')),
                       _plain(loader.get('dataset', {}).get('pipeline'))],
                      sort_keys=True, default=str)
    digest = hashlib.sha256()
    for name, value in sorted(model.state_dict().items()):
        if 'adversary.' not in name:
            digest.update(f'{name}{value.dtype}{tuple(value.shape)}'.encode())
            digest.update(value.detach().cpu().contiguous().flatten().view(
                torch.uint8).numpy().tobytes())
    return dict(model=type(model).__name__,
                config=hashlib.sha256(text.encode()).hexdigest()[:16],
                weights=digest.hexdigest()[:16])


def _plain(node: Any) -> Any:
    """Without what does not change an embedding."""
    if isinstance(node, Mapping):
        return {k: _plain(v) for k, v in node.items() if k not in _ASIDE}
    if isinstance(node, (list, tuple)):
        return [_plain(v) for v in node]
    return node
