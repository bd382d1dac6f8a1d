"""What an index of poses is made of: embeddings of images and 2D poses."""
from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from mmengine.config import Config
from torch import Tensor, nn

from ..datasets.multiview.packing import normalised_keypoints
from ..datasets.reading import read_image
from ..models.backbones import PoseEncoder
from ..structures import Skeleton
from .recognition import recognize

#: Joints that a model must know of a 2D pose.
LEAST_JOINTS = 3


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
        TypeError: The model reads 2D poses.
        ValueError: No images, or a model that gives no embeddings.
    """
    if not len(images):
        raise ValueError('there are no images to embed')
    if reads_keypoints(model):
        raise TypeError('the model reads 2D poses and no images: give it '
                        'files of poses, or use embed_keypoints')
    if isinstance(model, nn.Module) and hasattr(model, 'cfg'):
        people = _recognize(model, images, batch_size)
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


def _recognize(model: nn.Module, images: Sequence[Any],
               batch_size: int) -> list:
    """Predictions; a data set without a pipeline gives square crops."""
    held: Any = model
    before = held.cfg
    data = before.test_dataloader.dataset
    if data.get('pipeline'):
        return recognize(model, images, batch_size=batch_size)
    size = data.get('source', {}).get('image_size')
    if size is None:
        raise ValueError(
            'the test data set of the config has neither a pipeline nor a '
            'source with an image_size, so nobody knows which images the '
            'model wants')
    changed = Config(before.to_dict())
    changed.test_dataloader.dataset.pipeline = [
        dict(type='GetBBoxCenterScale', padding=1.),
        dict(type='TopdownAffine', input_size=(size, size)),
        dict(type='PackPoseInputs')]
    held.cfg = changed
    try:
        return recognize(model, images, batch_size=batch_size)
    finally:
        held.cfg = before


def reads_keypoints(model: Any) -> bool:
    """Is it a model of 2D poses, with a ``PoseEncoder``?"""
    return isinstance(getattr(model, 'backbone', None), PoseEncoder)


def model_joints(model: nn.Module) -> Skeleton:
    """The joints of the 2D poses that a model reads.

    Raises:
        TypeError: It reads images.
        ValueError: It does not say its joints.
    """
    if not reads_keypoints(model):
        raise TypeError(
            f'{type(model).__name__} reads images and no 2D poses: its '
            'backbone has to be a PoseEncoder, as in '
            'configs/metric_pose_lifting_mocap.py')
    net: Any = model
    skeleton = getattr(net.head, 'skeleton', None)
    if skeleton is None:
        meta = getattr(model, 'dataset_meta', None) or {}
        if 'keypoint_id2name' in meta or 'keypoint_info' in meta:
            skeleton = Skeleton.from_metainfo(meta)
    number = net.backbone.num_keypoints
    if skeleton is None or len(skeleton) != number:
        raise ValueError(
            f'the model reads {number} joints, but neither its head nor its '
            f'dataset_meta says which (found '
            f'{None if skeleton is None else skeleton.name!r})')
    return skeleton


def to_model_joints(model: nn.Module, keypoints: Any, visible: Any = None,
                    joints: str | Skeleton | None = None
                    ) -> tuple[np.ndarray, np.ndarray]:
    """2D poses in the joints that a model reads.

    Args:
        model (nn.Module): With a ``PoseEncoder``.
        keypoints (np.ndarray | Tensor): (N, K, 2), a joint with NaN is
            absent.
        visible (np.ndarray | Tensor, optional): (N, K), positive where a
            joint is present.
        joints (str | Skeleton, optional): The K joints. Defaults to the
            model's.

    Returns:
        tuple: (N, J, 2) float64, 0 where absent, and (N, J) bool. Joints
        that the set does not have are absent.

    Raises:
        TypeError: The model reads images.
        ValueError: Shapes or joints do not fit.
    """
    target = model_joints(model)
    source = target if joints is None else Skeleton.from_name(
        joints) if isinstance(joints, str) else joints
    points = _array(keypoints).astype(np.float64)
    if points.ndim != 3 or points.shape[1:] != (len(source), 2):
        raise ValueError(f'2D poses of {source.name!r} are (N, '
                         f'{len(source)}, 2), got {points.shape}')
    seen = _seen(points, visible)
    return source.convert(points, seen, target, allow_missing=True)


@torch.no_grad()
def embed_keypoints(model: nn.Module, keypoints: Any, visible: Any = None,
                    joints: str | Skeleton | None = None,
                    batch_size: int = 4096) -> np.ndarray:
    """Embeddings of anybody's 2D detections, by a lifting model.

    Joints are found by their names; what a joint set does not have counts
    as not detected. Poses are placed and scaled as in training, so pixels of
    any image will do.

    Args:
        model (nn.Module): With a ``PoseEncoder`` and an ``EmbeddingHead``,
            from :func:`.load_model`.
        keypoints (np.ndarray | Tensor): (N, K, 2) pixels, NaN where absent.
        visible (np.ndarray | Tensor, optional): (N, K), positive where a
            joint is present.
        joints (str | Skeleton, optional): The K joints, such as
            ``'coco_17'``. Defaults to the model's.
        batch_size (int): Defaults to 4096.

    Returns:
        np.ndarray: (N, D) float32 of unit length.

    Raises:
        TypeError: The model reads images.
        ValueError: Shapes or joints do not fit, or a pose has fewer than
            three joints that the model knows.
    """
    points, seen = to_model_joints(model, keypoints, visible, joints)
    if not len(points):
        raise ValueError('there are no poses to embed')
    few = seen.sum(1) < LEAST_JOINTS
    if few.any():
        raise ValueError(
            f'{int(few.sum())} poses have fewer than {LEAST_JOINTS} joints '
            f'that the model knows, the first is number {few.argmax()}: '
            'leave them out')
    net: Any = model
    if not hasattr(net.head, 'embedding'):
        raise ValueError(f'{type(model).__name__} gives no embedding: its '
                         'head has to be an EmbeddingHead')
    inputs = torch.from_numpy(normalised_keypoints(points, seen))
    device = next(model.parameters()).device
    return np.concatenate([
        _array(net.head.embedding(net.extract_feat(part.to(device))).unit
               .float()) for part in inputs.split(batch_size)])


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
    seen = _seen(values, visible)
    few = seen.sum(1) < least
    if few.any():
        raise ValueError(f'{int(few.sum())} poses have fewer than {least} '
                         f'joints, the first is number {few.argmax()}: leave '
                         'them out')
    values = np.where(seen[..., None], values, 0.)
    # single precision is kept for what differs between people
    centre = values.sum(1, keepdims=True) / seen.sum(1)[:, None, None]
    return ((values - centre) * seen[..., None]).astype(np.float32), seen


def _seen(values: np.ndarray, visible: Any) -> np.ndarray:
    """(N, K) bool: finite, and visible where that is told."""
    seen = np.isfinite(values).all(2)
    if visible is not None:
        visible = _array(visible)
        if visible.shape != seen.shape:
            raise ValueError(f'visible is {visible.shape}, poses are '
                             f'{values.shape}')
        seen &= visible > 0
    return seen
