"""What an index of poses is made of: embeddings of images, vectors, poses."""
from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ..datasets.reading import read_image
from .recognition import recognize


@torch.no_grad()
def embed_images(model: nn.Module | Callable[[list], Any],
                 images: Sequence[Any], batch_size: int = 32) -> np.ndarray:
    """Embeddings of people.

    Args:
        model (nn.Module | Callable): A model with ``cfg`` whose predictions
            have ``pred_instances.embedding`` (:func:`.load_model`), or any
            function of a list of images, (H, W, 3) uint8 BGR, that gives
            (n, D).
        images (Sequence): Paths or such images, a person each.
        batch_size (int): Defaults to 32.

    Returns:
        np.ndarray: (N, D) float32.

    Raises:
        ValueError: No images, or a model that gives no embeddings.
    """
    if not len(images):
        raise ValueError('there are no images to embed')
    if isinstance(model, nn.Module) and hasattr(model, 'cfg'):
        people = recognize(model, images, batch_size=batch_size)
        found = [p[0].pred_instances for p in people]
        if 'embedding' not in found[0]:
            raise ValueError(f'{type(model).__name__} predicts '
                             f'{found[0].keys()}, and no embedding: its head '
                             'has to be an EmbeddingHead')
        return np.stack([np.asarray(f.embedding).reshape(-1) for f in found])
    out = []
    for start in range(0, len(images), batch_size):
        pixels = [i if isinstance(i, np.ndarray) else read_image(str(i))
                  for i in images[start:start + batch_size]]
        made = _array(model(pixels))
        if made.ndim != 2 or len(made) != len(pixels):
            raise ValueError(f'the model gave {made.shape} for '
                             f'{len(pixels)} images; (n, D) is wanted')
        out.append(made.astype(np.float32))
    return np.concatenate(out)


def _array(values: Any) -> np.ndarray:
    return values.detach().cpu().numpy() if isinstance(
        values, Tensor) else np.asarray(values)


def unit_vectors(embeddings: Any) -> np.ndarray:
    """Embeddings (N, D) of unit length, float32.

    Raises:
        ValueError: Another shape, or a row that is not finite or zero.
    """
    values = _array(embeddings).astype(np.float32)
    if values.ndim != 2:
        raise ValueError(f'embeddings are (N, D), got {values.shape}')
    length = np.linalg.norm(values, axis=1, keepdims=True)
    wrong = ~(np.isfinite(length) & (length > 0))[:, 0]
    if wrong.any():
        raise ValueError(f'{int(wrong.sum())} embeddings are zero or not '
                         f'finite, the first is number {wrong.argmax()}')
    return values / length


def centred_poses(poses: Any, visible: Any, least: int
                  ) -> tuple[np.ndarray, np.ndarray]:
    """Poses about their centroid, 0 where absent, and which joints are there.

    Args:
        poses (np.ndarray | Tensor): (N, K, 2 or 3), NaN where absent.
        visible (np.ndarray | Tensor, optional): (N, K).
        least (int): Joints that a pose needs.

    Returns:
        tuple: (N, K, 2 or 3) float32 and (N, K) bool.

    Raises:
        ValueError: Shapes do not fit, or a pose has too few joints.
    """
    values = _array(poses).astype(np.float64)
    if values.ndim != 3 or values.shape[2] not in (2, 3):
        raise ValueError(f'poses are (N, K, 2 or 3), got {values.shape}')
    seen = np.isfinite(values).all(2)
    if visible is not None:
        visible = _array(visible)
        if visible.shape != seen.shape:
            raise ValueError(f'visible is {visible.shape}, poses are '
                             f'{values.shape}')
        seen &= visible > 0
    few = seen.sum(1) < least
    if few.any():
        raise ValueError(f'{int(few.sum())} poses have fewer than {least} '
                         f'joints, the first is number {few.argmax()}: leave '
                         'them out')
    values = np.where(seen[..., None], values, 0.)
    # single precision is kept for what differs between people
    centre = values.sum(1, keepdims=True) / seen.sum(1)[:, None, None]
    return ((values - centre) * seen[..., None]).astype(np.float32), seen
