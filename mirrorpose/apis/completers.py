"""Completers from files, configs and models."""
from __future__ import annotations

from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmpose.registry import MODELS
from torch import nn

from ..engine import checkpoint as checkpoints
from ..models.completion.completer import Completer
from ..models.completion.weights import pretrain, untrained
from .completion_default import default_completer


def load_completer(path: str | Path, config: str | Path | Config |
                   None = None, device: str = 'cpu',
                   trust: bool = False) -> Any:
    """Builds a completer from a checkpoint of ``tools/train.py``.

    Args:
        path (str | Path): The checkpoint.
        config (str | Path | Config, optional): Its config; by default the
            one that the checkpoint holds.
        device (str): Defaults to ``'cpu'``.
        trust (bool): See :func:`mirrorpose.engine.checkpoint.load`.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It is damaged, says nothing of its config, or is of
            another model.
        TypeError: The model completes nothing.
    """
    held = checkpoints.load(path, device, trust)
    if config is None:
        text = held.get('meta', {}).get('cfg')
        if not text:
            raise ValueError(f'checkpoint {path} does not hold its config; '
                             'pass config=')
        config = Config.fromstring(text, '.py')
    cfg: Any = config if isinstance(config, Config) else Config.fromfile(
        config)
    init_default_scope(cfg.get('default_scope', 'mmpose'))
    model = MODELS.build(cfg.model)
    checkpoints.give_weights(model, held, path)
    return find_completer(model.to(device).eval())


def find_completer(model: Any) -> Any:
    """The completer that a model is, holds, or offers.

    A model offers one by a method ``as_completer()``, as JUMPS does.

    Raises:
        TypeError: There is none.
    """
    if hasattr(model, 'as_completer'):
        return model.as_completer()
    children = list(model.children()) if isinstance(model, nn.Module) else []
    for part in (model, *children):
        if isinstance(part, Completer):
            return part
    raise TypeError(
        f'{type(model).__name__} neither is nor holds a completer, which has '
        'complete(keypoints, observed, confidence)')


def as_completer(completer: Any) -> Any:
    """A completer from whatever names one.

    Args:
        completer: See :func:`mirrorpose.apis.completion.complete`.

    Raises:
        TypeError: It completes nothing.
        ValueError: A config of something that learns, without weights for
            all of it.
    """
    if completer is None:
        return default_completer()
    if isinstance(completer, (str, Path)):
        if str(completer).endswith('.py'):
            completer = Config.fromfile(completer).model
        else:
            return load_completer(completer)
    if isinstance(completer, dict):
        init_default_scope('mmpose')
        completer = _with_weights(completer)
    if isinstance(completer, nn.Module):
        completer.eval()
    return find_completer(completer)


def _with_weights(config: dict) -> Any:
    """Builds a completer, all parts of which that learn have weights.

    A config names them by ``checkpoint``, ``PART_checkpoint``, or
    ``init_cfg`` of any part.
    """
    model = MODELS.build(config)
    if not isinstance(model, nn.Module):
        return model
    pretrain(model)
    lost = untrained(model)
    if lost:
        parts = ', '.join(
            f'{n} ({type(model.get_submodule(n)).__name__})' for n in lost)
        of = f' of {parts}' if lost != [''] else ''
        raise ValueError(
            f'the config of {type(model).__name__} names no weights{of}, and '
            'untrained it completes nothing: pass the path of its '
            'checkpoint, name it in the config (checkpoint=..., '
            "first_checkpoint=...), or init_cfg=dict(type='Pretrained', "
            'checkpoint=...)')
    return model
