"""Several processes for models whose children train in turn."""
from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from mmengine.device import get_device
from mmengine.dist import broadcast
from mmengine.model import (
    MMDistributedDataParallel,
    MMSeparateDistributedDataParallel,
)
from mmengine.registry import MODEL_WRAPPERS
from torch import nn
from torch.nn.parallel import DistributedDataParallel

__all__ = ['PerChildDistributedDataParallel']


class _Child(MMDistributedDataParallel):
    """A wrapped child whose weights have the names of the bare one."""

    def state_dict(self, *args: Any, **kwargs: Any) -> Any:
        return self.module.state_dict(*args, **kwargs)

    def _load_from_state_dict(self, state_dict: dict, prefix: str,
                              *args: Any) -> None:
        for key in [k for k in state_dict if k.startswith(prefix)]:
            state_dict[f'{prefix}module.{key[len(prefix):]}'] = \
                state_dict.pop(key)
        super()._load_from_state_dict(state_dict, prefix, *args)


# The runner looks wrappers up in mmengine's own registry.
@MODEL_WRAPPERS.register_module()
class PerChildDistributedDataParallel(MMSeparateDistributedDataParallel):
    """Wraps each child by itself, for models that train by several steps.

    What mmengine's ``MMSeparateDistributedDataParallel`` is for, with its
    faults mended (0.10.7): there, weights are saved as
    ``child.module.weight`` but looked for as ``child.weight``, so that a
    resumed run begins with random weights after no more than a warning;
    ``no_sync`` and calling the model fail; children without a trainable
    parameter keep the weights that each process drew.

    Args:
        module (nn.Module): A ``BaseModel``; its ``train_step`` is called.
            Children are replaced by wrapped ones in place, where they have
            something to train.
        broadcast_buffers (bool): Defaults to False.
        find_unused_parameters (bool): Defaults to False.
        **kwargs: As for torch's ``DistributedDataParallel``.
    """

    def __init__(self, module: nn.Module, broadcast_buffers: bool = False,
                 find_unused_parameters: bool = False,
                 **kwargs: Any) -> None:
        nn.Module.__init__(self)  # as the parent: this is no DDP itself
        self.module = module
        for name, child in module.named_children():
            child = child.to(get_device())
            if any(p.requires_grad for p in child.parameters()):
                module._modules[name] = _Child(
                    module=child, broadcast_buffers=broadcast_buffers,
                    find_unused_parameters=find_unused_parameters, **kwargs)
            else:
                for tensor in (*child.parameters(), *child.buffers()):
                    broadcast(tensor.data)

    @contextmanager
    def no_sync(self) -> Iterator[None]:
        """No child averages its gradients inside."""
        with ExitStack() as stack:
            for child in self.module.children():
                if isinstance(child, DistributedDataParallel):
                    stack.enter_context(child.no_sync())
            yield

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Calls the model."""
        return self.module(*args, **kwargs)
