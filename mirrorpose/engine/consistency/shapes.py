"""What a codec draws against what a model gives, by running both once.

Models are built and run on the meta device: shapes without numbers, tenths
of a second for HRNet-W32. Whatever cannot be run so is left alone.
"""
from __future__ import annotations

import copy
import logging
import warnings
from collections.abc import Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from mmengine.logging import MMLogger
from mmpose.registry import KEYPOINT_CODECS, MODELS
from torch import Tensor
from torch.overrides import TorchFunctionMode

from .reading import defaults, resolve_type, untouched_random_states

#: What a codec's ``encode`` gives that a head has to give too.
TARGETS = ('heatmaps', 'keypoint_labels', 'keypoint_x_labels',
           'keypoint_y_labels')

_PREDICTED: dict[str, list[tuple[int, ...]] | None] = {}


def probe_pose(count: int, size: tuple[int, int]) -> np.ndarray:
    """Keypoints (1, count, 2) spread over an image (w, h), none on a grid."""
    i = np.arange(count, dtype=np.float32)
    x = size[0] * (0.2 + 0.6 * ((0.618034 * i + 0.137) % 1))
    y = size[1] * (0.2 + 0.6 * ((0.754878 * i + 0.371) % 1))
    return np.stack([x, y], -1)[None].astype(np.float32)


def encode(codec: Mapping, count: int,
           size: tuple[int, int]) -> dict[str, np.ndarray] | None:
    """What a codec draws of ``count`` joints; None where it cannot be told.

    Args:
        codec (Mapping): Its config.
        count (int): Number of joints.
        size (tuple[int, int]): Image (w, h) that the joints lie in.
    """
    if resolve_type(codec, KEYPOINT_CODECS) is None:
        return None
    try:
        built = KEYPOINT_CODECS.build(copy.deepcopy(dict(codec)))
        encoded = built.encode(probe_pose(count, size),
                               np.ones((1, count), np.float32))
    except Exception:  # a codec of another kind (3D, bottom-up)
        return None
    return {k: np.asarray(v) for k, v in encoded.items() if k in TARGETS}


class _ShapesOnly(TorchFunctionMode):
    """Leaves out what changes no shape and is slow on the meta device."""

    _SKIPPED = frozenset((Tensor.normal_, Tensor.uniform_, Tensor.bernoulli_,
                          F.batch_norm, F.group_norm, F.instance_norm,
                          F.layer_norm))

    def __torch_function__(self, func: Any, types: Any, args: Any = (),
                           kwargs: Any = None) -> Any:
        if func in self._SKIPPED:
            return args[0]
        return func(*args, **(kwargs or {}))


@contextmanager
def _on_meta() -> Any:
    """New tensors have shapes and no numbers."""
    with torch.device('meta'), _ShapesOnly():
        yield


@contextmanager
def _quiet() -> Any:
    """mmengine's loggers say nothing while a model is tried."""
    loggers = list(MMLogger._instance_dict.values())
    levels = [logger.level for logger in loggers]
    try:
        for logger in loggers:
            logger.setLevel(logging.ERROR)
        with warnings.catch_warnings():
            warnings.simplefilter('ignore')
            yield
    finally:
        for logger, level in zip(loggers, levels):
            logger.setLevel(level)


def _tensors(value: Any) -> list[Tensor]:
    if isinstance(value, Tensor):
        return [value]
    if isinstance(value, Mapping):
        value = list(value.values())
    if isinstance(value, (list, tuple)):
        return [t for item in value for t in _tensors(item)]
    return []


def predict_shapes(model: Mapping,
                   size: tuple[int, int]) -> list[tuple[int, ...]] | None:
    """Shapes of what backbone, neck and head give for one image.

    Args:
        model (Mapping): Config of a top-down estimator.
        size (tuple[int, int]): Image (w, h).

    Returns:
        list[tuple[int, ...]] | None: Shapes of the output tensors in order,
        None where the model cannot be run on the meta device.
    """
    parts = [model[key] for key in ('backbone', 'neck', 'head')
             if model.get(key)]
    key = repr((parts, size))
    if key not in _PREDICTED:  # the stages of a curriculum share a model
        _PREDICTED[key] = _run_parts(parts, size)
    return _PREDICTED[key]


def _run_parts(configs: list[Mapping],
               size: tuple[int, int]) -> list[tuple[int, ...]] | None:
    try:
        with untouched_random_states(), _quiet(), torch.no_grad():
            with _on_meta():
                parts = [MODELS.build(_plain(config)) for config in configs]
                x: Any = torch.empty(1, 3, size[1], size[0])
                for part in parts:
                    part.eval()  # some backbones return None from it
                    x = part.forward(x)
            return [tuple(t.shape) for t in _tensors(x)]
    except Exception:
        return None


def run_part(part: Mapping, *shapes: tuple[int, ...]) -> str | list[tuple]:
    """Runs one network on the meta device.

    Args:
        part (Mapping): Its config.
        *shapes (tuple[int, ...]): Shapes of its inputs.

    Returns:
        str | list[tuple]: Shapes of the outputs, or the error's text.
    """
    with untouched_random_states(), _quiet(), torch.no_grad():
        try:
            with _on_meta():
                built = MODELS.build(_plain(part))
        except Exception as error:
            return f'it cannot be built: {_first_line(error)}'
        built.eval()
        try:
            with _on_meta():
                out = built(*(torch.empty(s) for s in shapes))
        except NotImplementedError:
            return []  # an operator without a meta kernel
        except Exception as error:
            return f'it cannot take {shapes}: {_first_line(error)}'
        return [tuple(t.shape) for t in _tensors(out)]


def _plain(node: Mapping) -> dict:
    """A copy of a model's entry that loads no weights."""
    out = copy.deepcopy(dict(node))
    kind = resolve_type(out, MODELS)
    out.pop('init_cfg', None)
    if kind is not None and 'pretrained' in defaults(kind):
        out.pop('pretrained', None)
    return out


def _first_line(error: BaseException) -> str:
    text = str(error).strip().splitlines()
    return f'{type(error).__name__}: {text[0][:160] if text else ""}'


def compare(encoded: Mapping[str, np.ndarray],
            shapes: list[tuple[int, ...]]) -> list[str]:
    """Differences between targets and predictions.

    Args:
        encoded (Mapping): Targets of one sample, see :func:`encode`.
        shapes (list[tuple]): Shapes of the predictions, batch first.

    Returns:
        list[str]: One line a difference; empty where they fit or cannot be
        compared.
    """
    out = []
    if 'heatmaps' in encoded:
        maps = [s for s in shapes if len(s) == 4]
        want = encoded['heatmaps'].shape
        if maps and len(want) == 3 and maps[-1][1:] != want:
            have = maps[-1][1:]
            out.append(f'the codec draws {want[0]} maps of '
                       f'{want[2]} x {want[1]} (w x h), the model gives '
                       f'{have[0]} of {have[2]} x {have[1]}')
        return out
    if 'keypoint_x_labels' in encoded:
        vectors = [s for s in shapes if len(s) == 3]
        for axis, have in zip('xy', vectors[-2:]):
            want = encoded[f'keypoint_{axis}_labels'].shape
            if len(want) == 3 and have[1:] != want[1:]:
                out.append(
                    f'the codec draws {want[1]} vectors of {want[2]} bins '
                    f'along {axis}, the model gives {have[1]} of {have[2]}')
        return out
    if 'keypoint_labels' in encoded:
        points = [s for s in shapes if len(s) == 3]
        want = encoded['keypoint_labels'].shape
        if points and len(want) == 3 and points[-1][1] != want[1]:
            out.append(f'the codec encodes {want[1]} joints, the model gives '
                       f'{points[-1][1]}')
    return out
