"""Weights with their channels last."""
from __future__ import annotations

import torch
from torch import nn


def narrow_strides(model: nn.Module) -> list[str]:
    """Convolutions that corrupt memory with channels last on an AVX2 CPU.

    oneDNN's backward pass of 1 x 1 convolutions with a stride writes beyond
    its buffer there, in float32, below 8 input channels (measured with torch
    2.13: the process aborts sooner or later).

    Returns:
        list[str]: Names of the modules.
    """
    return [name for name, m in model.named_modules()
            if isinstance(m, nn.Conv2d) and m.in_channels < 8
            and max(m.kernel_size) == 1 and max(m.stride) > 1]


def to_channels_last(model: nn.Module) -> None:
    """Lays weights out so, which the convolutions then pass on.

    Raises:
        ValueError: The processor cannot train the model so, see
            :func:`narrow_strides`.
    """
    on_cpu = all(p.device.type == 'cpu' for p in model.parameters())
    if on_cpu and torch.backends.cpu.get_cpu_capability() == 'AVX2':
        narrow = narrow_strides(model)
        if narrow:
            raise ValueError(
                'channels_last=True would corrupt memory on this processor '
                '(AVX2): a 1 x 1 convolution with a stride reads fewer than '
                f'8 channels ({", ".join(narrow[:3])}). Set '
                'channels_last=False, or widen the network')
    # torch's stubs lack this overload.
    model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
