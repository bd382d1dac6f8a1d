"""Cases: checkpoint files, and resuming."""
from __future__ import annotations

import os
import pickle
from pathlib import Path
from typing import Any

import torch
from torch import nn

from mirrorpose.engine import checkpoint as checkpoints
from mirrorpose.engine.identity import check_same_run

from . import error

_MODEL = nn.Linear(2, 3)


class Code:
    """An object that runs a command when it is unpickled."""

    def __reduce__(self) -> tuple:
        return os.system, ('false', )


def saved(folder: Path, content: Any) -> Path:
    """A checkpoint file with this content."""
    path = folder / 'epoch_3.pth'
    torch.save(content, path)
    return path


def fit(folder: Path, state: dict) -> None:
    """Loads a state dict for a layer of 2 inputs and 3 outputs."""
    path = saved(folder, dict(state_dict=state))
    checkpoints.check_fits(_MODEL, checkpoints.load(path), str(path))


@error('checkpoint missing', 'FileNotFoundError', '…/epoch_3.pth',
       'there is no checkpoint')
def missing(folder: Path) -> None:
    """There is no such file."""
    checkpoints.load(folder / 'epoch_3.pth')


@error('truncated checkpoint', 'DamagedCheckpointError', '…/epoch_3.pth',
       'it is damaged', cut='PytorchStreamReader')
def truncated(folder: Path) -> None:
    """Half of it."""
    path = saved(folder, dict(state_dict=_MODEL.state_dict()))
    path.write_bytes(path.read_bytes()[:-500])
    checkpoints.load(path)


@error('checkpoint of zero bytes', 'DamagedCheckpointError', '…/epoch_3.pth',
       'it is damaged', cut='Ran out of input')
def empty(folder: Path) -> None:
    """A disk that was full."""
    (folder / 'epoch_3.pth').write_bytes(b'')
    checkpoints.load(folder / 'epoch_3.pth')


@error('checkpoint with an object that runs code', 'ValueError',
       'posix.system', '--trust-checkpoint')
def code(folder: Path) -> None:
    """The object is named and not made."""
    checkpoints.load(saved(folder, dict(state_dict={}, extra=Code())))


@error('checkpoint with a pickled model', 'ValueError', 'Linear',
       '--trust-checkpoint')
def whole_model(folder: Path) -> None:
    """torch.save(model) instead of its state."""
    checkpoints.load(saved(folder, _MODEL))


@error('another file', 'ValueError', '…/epoch_3.pth', 'holds a list')
def no_checkpoint(folder: Path) -> None:
    """Something else that torch saved."""
    checkpoints.load(saved(folder, [1, 2, 3]))


@error('a pickle file', 'DamagedCheckpointError', '…/epoch_3.pth',
       'it is damaged', cut='Weights only')
def pickled(folder: Path) -> None:
    """Not saved by torch."""
    (folder / 'epoch_3.pth').write_bytes(pickle.dumps(dict(a=print)))
    checkpoints.load(folder / 'epoch_3.pth')


@error('checkpoint of another model', 'ValueError',
       'epoch_3.pth is not of this model', "(it has ['conv.weight'], the "
       "model ['bias', 'weight'])")
def foreign(folder: Path) -> None:
    """No name in common."""
    fit(folder, {'conv.weight': torch.zeros(3, 2)})


@error('checkpoint of the same model in another size', 'ValueError',
       'weight: (3, 5) in the file, (3, 2) in the model',
       'use the config that it was trained with')
def other_size(folder: Path) -> None:
    """Five inputs instead of two."""
    fit(folder, dict(weight=torch.zeros(3, 5), bias=torch.zeros(3)))


@error('something to be saved that could not be loaded safely', 'TypeError',
       "['model'] holds a torch.nn.modules.linear.Linear",
       'store numbers, strings or tensors')
def unsafe(folder: Path) -> None:
    """Found when it is saved, not when it is needed."""
    checkpoints.make_safe(dict(state_dict={}, meta=dict(model=_MODEL)))


def identity(**changes: Any) -> dict:
    """What a checkpoint knows of its run."""
    return dict(config={'optim_wrapper.optimizer.lr': 1e-3}, world_size=2,
                splits={'0: LspDataset lsp/lsp.npz': dict(
                    digest='1f0e', label_fraction=.2)}) | changes


@error('resuming with another number of processes', 'ValueError',
       'a run with 2 process(es), this one has 4', 'Resume with 2')
def processes(folder: Path) -> None:
    """Two, then four."""
    check_same_run(identity(), identity(world_size=4))


@error('resuming with another split', 'ValueError', 'label_fraction: 0.2',
       'Use the same split, or begin a new run from the weights')
def split(folder: Path) -> None:
    """More labels than before."""
    check_same_run(identity(), identity(splits={
        '0: LspDataset lsp/lsp.npz': dict(digest='77ab',
                                          label_fraction=.4)}))
