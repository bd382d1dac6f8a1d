"""Where completers and their parts have their weights from."""
from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from torch import nn

from .ridge import RidgeCompleter


def find_checkpoint(path: str | Path) -> Path:
    """A file of weights, by its name or by the folder of its training.

    Args:
        path (str | Path): A checkpoint; or a work dir, of which the last
            good checkpoint is taken.

    Raises:
        FileNotFoundError: There is none; the message says which command
            makes one.
    """
    # The engine imports the models.
    from mirrorpose.engine.checkpoint_hook import last_good_checkpoint
    path = Path(path)
    if path.is_file():
        return path
    found = last_good_checkpoint(path) if path.is_dir() else None
    if found is None:
        where = path.parent if path.suffix == '.pth' else path
        raise FileNotFoundError(
            f'there is no checkpoint {path}' if path.suffix == '.pth' else
            f'there is no checkpoint in {path}, where `python tools/train.py '
            f'configs/{where.name}.py` puts it')
    return found


def give_checkpoint(part: Any, path: str | Path) -> Path:
    """Gives a completer all the weights of a training.

    Args:
        part (nn.Module): The completer. One with a ``learner`` searches over
            that, and the weights are the learner's.
        path (str | Path): See :func:`find_checkpoint`.

    Returns:
        Path: The file that was taken.

    Raises:
        FileNotFoundError: There is no checkpoint.
        ValueError: It is of another model, or of another size.
    """
    from mirrorpose.engine.checkpoint import give_weights, load
    learner, found = getattr(part, 'learner', part), find_checkpoint(path)
    give_weights(learner, load(found), found)
    learner.weights_from = str(found)
    part.eval()
    return found


def pretrain(model: nn.Module) -> None:
    """Loads what ``init_cfg`` names, in the model and in any part of it.

    A whole part's local file has to fit it; other files (an address, a
    ``prefix``) are left to mmengine.

    Raises:
        FileNotFoundError, ValueError: See :func:`give_checkpoint`.
    """
    part: Any
    for part in model.modules():
        own = getattr(part, 'init_cfg', None) or ()
        for config in [own] if isinstance(own, dict) else own:
            if config.get('type') != 'Pretrained':
                continue
            if 'prefix' in config or '://' in config['checkpoint']:
                part.init_weights()
                part.weights_from = config['checkpoint']
            else:
                give_checkpoint(part, config['checkpoint'])


def untrained(model: nn.Module) -> list[str]:
    """Parts that learn and were given no weights, the largest of each kind.

    Args:
        model (nn.Module): Built from a config.

    Returns:
        list[str]: Names as of ``named_modules``; ``['']`` for the whole.
    """
    return list(_untrained(model, ''))


def _untrained(part: nn.Module, name: str) -> Iterator[str]:
    given = [m for m in part.modules() if hasattr(m, 'weights_from')]
    if part in given or not _learns(part):
        return
    if not given:
        yield name
        return
    if any(p.requires_grad for p in part.parameters(recurse=False)):
        yield name
    for child, module in part.named_children():
        yield from _untrained(module, f'{name}.{child}'.lstrip('.'))


def _learns(part: nn.Module) -> bool:
    # A Gaussian has no gradients, and knows what it was fitted to.
    return any(p.requires_grad for p in part.parameters()) or any(
        isinstance(m, RidgeCompleter) and m.count < 2
        for m in part.modules())
