"""What this machine can do at most, measured in short benchmarks."""
from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

import cv2
import numpy as np
import torch
import torch.nn.functional as F

from mirrorpose.engine.amp import cpu_has_bfloat16

#: Convolutions as backbones have them: (channels, side), 3 x 3.
SHAPES = ((64, 64), (128, 32), (256, 16))


def synchronize(device: torch.device) -> None:
    """Waits until the device has done what it was given."""
    if device.type == 'cuda':
        torch.cuda.synchronize(device)


def repeat(run: Callable[[], Any], device: torch.device,
           seconds: float = 0.3, at_least: int = 3) -> float:
    """Seconds that a call takes: the median of many, after one to warm up.

    Args:
        run (Callable): What is measured.
        device (torch.device): Waited for after every call.
        seconds (float): How long to go on. Defaults to 0.3.
        at_least (int): Calls. Defaults to 3.
    """
    run()
    synchronize(device)
    times: list[float] = []
    start = time.perf_counter()
    while len(times) < at_least or time.perf_counter() - start < seconds:
        begin = time.perf_counter()
        run()
        synchronize(device)
        times.append(time.perf_counter() - begin)
    return float(np.median(times))


def copy_bandwidth(device: torch.device) -> float:
    """Bytes a second that a copy within the device's memory moves.

    Counted once: a byte that is copied is read and written.
    """
    size = 2**28 if device.type == 'cuda' else 2**26
    one = torch.ones(size, dtype=torch.uint8, device=device)
    other = torch.empty_like(one)
    return size / repeat(lambda: other.copy_(one), device)


def transfer_bandwidth(device: torch.device) -> float | None:
    """Bytes a second from pinned memory to the device; None for the CPU."""
    if device.type != 'cuda':
        return None
    one = torch.ones(2**26, dtype=torch.uint8).pin_memory()
    other = torch.empty_like(one, device=device)
    return one.numel() / repeat(lambda: other.copy_(one, non_blocking=True),
                                device)


def convolution_rate(device: torch.device, dtype: torch.dtype,
                     channels_last: bool, batch: int = 16) -> float:
    """Operations a second of 3 x 3 convolutions, the best of a few shapes.

    A multiply-add is two operations, as in ``torch.utils.flop_counter``.

    Args:
        device (torch.device): Where.
        dtype (torch.dtype): Of the numbers.
        channels_last (bool): Their layout.
        batch (int): Images. Defaults to 16; 4 times as many on CUDA.
    """
    layout = torch.channels_last if channels_last else \
        torch.contiguous_format
    batch = 4 * batch if device.type == 'cuda' else batch
    best = 0.
    for channels, side in SHAPES:
        x = torch.randn(batch, channels, side, side, device=device,
                        dtype=dtype).to(memory_format=layout)
        weight = torch.randn(channels, channels, 3, 3, device=device,
                             dtype=dtype).to(memory_format=layout)
        with torch.no_grad():
            seconds = repeat(lambda: F.conv2d(x, weight, padding=1),  # noqa: B023
                             device, 0.2)
        best = max(best, 18. * batch * channels**2 * side**2 / seconds)
    return best


def example_jpeg(width: int = 640, height: int = 480) -> bytes:
    """A JPEG of structure and noise, for machines without data."""
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 255, (height // 16, width // 16, 3),
                          dtype=np.uint8)
    image = cv2.resize(coarse, (width, height),
                       interpolation=cv2.INTER_CUBIC).astype(np.int16)
    image += rng.integers(-12, 13, image.shape, dtype=np.int16)
    done, data = cv2.imencode('.jpg', image.clip(0, 255).astype(np.uint8))
    assert done
    return data.tobytes()


def decode_rate(files: Sequence[bytes]) -> tuple[float, float]:
    """Images and megapixels a second that one core decodes.

    Args:
        files (Sequence[bytes]): Images, as files.
    """
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        arrays = [np.frombuffer(f, np.uint8) for f in files]
        pixels = sum(cv2.imdecode(a, cv2.IMREAD_COLOR)[..., 0].size
                     for a in arrays)
        seconds = repeat(lambda: [cv2.imdecode(a, cv2.IMREAD_COLOR)
                                  for a in arrays], torch.device('cpu'))
    finally:
        cv2.setNumThreads(threads)
    return len(files) / seconds, pixels / seconds / 1e6


def measure_limits(device: torch.device, dtype: torch.dtype,
                   channels_last: bool,
                   files: Sequence[bytes] = ()) -> dict[str, Any]:
    """All limits.

    Args:
        device (torch.device): That trains.
        dtype (torch.dtype): Of the convolutions in the run.
        channels_last (bool): Their layout in the run.
        files (Sequence[bytes]): Some of the data's images; an example of
            640 x 480 is taken where there are none.

    Returns:
        dict: ``copy_gb_s``, ``transfer_gb_s`` (None on the CPU),
        ``convolution_gflop_s`` as the run has it, ``convolutions`` for every
        precision (that a CPU has instructions for) and layout,
        ``decode_images_s``, ``decode_megapixels_s`` and ``own_images``:
        whether the images were the data's.
    """
    rates = {}
    kinds = [torch.float32]
    # Emulated it takes minutes, and nobody wants it.
    if device.type != 'cpu' or cpu_has_bfloat16():
        kinds.append(torch.bfloat16)
    for kind in kinds:
        for last in (False, True):
            name = f'{str(kind).removeprefix("torch.")}' + (
                ', channels_last' if last else '')
            rates[name] = convolution_rate(device, kind, last) / 1e9
    own = f'{str(dtype).removeprefix("torch.")}' + (
        ', channels_last' if channels_last else '')
    if own not in rates:
        rates[own] = convolution_rate(device, dtype, channels_last) / 1e9
    images, megapixels = decode_rate(files or [example_jpeg()])
    transfer = transfer_bandwidth(device)
    return dict(
        copy_gb_s=copy_bandwidth(device) / 1e9,
        transfer_gb_s=None if transfer is None else transfer / 1e9,
        convolution=own, convolution_gflop_s=rates[own], convolutions=rates,
        decode_images_s=images, decode_megapixels_s=megapixels,
        own_images=bool(files))
