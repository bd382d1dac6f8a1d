"""Memory of large CPU tensors that is used again.

The system hands out large blocks page by page, each cleared at its first
touch: for a batch of 64 images that costs more time than filling it.
"""
from __future__ import annotations

import math
import sys
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor


class TensorPool:
    """Gives out tensors; takes their memory back when nobody has it.

    A tensor, its views, and whatever autograd keeps of them hold a reference
    to the block that they lie in. A block is given out again only when no
    one does, so nothing that is still in use ever changes.

    Args:
        dtype (str): numpy's name of the type. Defaults to ``'float32'``.
        blocks (int): How many blocks are kept; a request that finds none of
            them free gets memory of its own. Defaults to 2.
    """

    def __init__(self, dtype: str = 'float32', blocks: int = 2) -> None:
        self.dtype, self.blocks = dtype, blocks
        self._kept: list[np.ndarray] = []

    def __deepcopy__(self, memo: dict) -> TensorPool:
        return type(self)(self.dtype, self.blocks)

    def __reduce__(self) -> tuple:
        return type(self), (self.dtype, self.blocks)

    def empty(self, shape: Sequence[int]) -> Tensor:
        """An uninitialised tensor of a shape."""
        length = math.prod(shape)
        free = [i for i in range(len(self._kept)) if self._is_free(i)]
        for i in free:
            if len(self._kept[i]) >= length:
                return self._give(self._kept[i], length, shape)
        for i in reversed(free):  # too small
            del self._kept[i]
        block = np.empty(length, self.dtype)
        if len(self._kept) < self.blocks:
            self._kept.append(block)
        return self._give(block, length, shape)

    def _is_free(self, index: int) -> bool:
        # The list holds it, and the call itself.
        return sys.getrefcount(self._kept[index]) <= 2

    @staticmethod
    def _give(block: np.ndarray, length: int, shape: Sequence[int]) -> Tensor:
        return torch.from_numpy(block[:length].reshape(tuple(shape)))
