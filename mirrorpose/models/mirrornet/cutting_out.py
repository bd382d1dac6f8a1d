"""People cut out of images that nobody has annotated."""
from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from mmengine.config import Config
from mmengine.runner.checkpoint import _load_checkpoint
from mmpose.registry import MODELS
from torch import Tensor, nn

from ..pose.representations import draw_gaussians, peaks, soft_argmax
from ..steps import evaluating
from .batch import reduce_image
from .compositing import image_size
from .mattes import LimbCapsules

_PARTS = ('backbone', 'neck', 'head', 'mask_estimator')


def load_recognizer(config: str | Path | Config,
                    checkpoint: str | Path) -> nn.Module:
    """Builds a trained top-down heatmap model, frozen.

    Args:
        config (str | Path | Config): Of any mmpose config with such a model;
            the mask estimator of a ``MirrorNet`` is used too.
        checkpoint (str | Path): Its weights.

    Raises:
        ValueError: The checkpoint lacks weights of the recognizer or of the
            mask estimator.
    """
    if not isinstance(config, Config):
        config = Config.fromfile(config)
    model = MODELS.build(config.model)
    # mmengine's, which reads paths, URLs and model zoos.
    held = _load_checkpoint(str(checkpoint), map_location='cpu')
    state = held.get('state_dict', held)
    lost = [k for k in model.load_state_dict(state, strict=False).missing_keys
            if k.startswith(tuple(f'{p}.' for p in _PARTS))]
    if lost:
        raise ValueError(f'{checkpoint} lacks {len(lost)} weights of the '
                         f'model in its config, first: {lost[:3]}; give the '
                         'config that it was trained with')
    return model.requires_grad_(False).eval()


@torch.no_grad()
def recognize_mattes(model: Any, inputs: Tensor, capsules: LimbCapsules,
                     stride: int = 1, min_score: float = .2,
                     min_joints: int = 6, sigma: float = 2.,
                     temperature: float = .1) -> Tensor:
    """Mattes of people whose pose a recognizer finds.

    Args:
        model (nn.Module): A top-down heatmap model with the joints of the
            capsules. Its mask estimator is used where it has one, capsules
            otherwise.
        inputs (Tensor): (N, 3, H, W) normalised.
        capsules (LimbCapsules): Draws the recognized pose.
        stride (int): See :meth:`LimbCapsules.forward`.
        min_score (float): Joints whose maximum is lower are not drawn.
        min_joints (int): With fewer joints nobody is drawn.
        sigma (float): Of the maps that the mask estimator is shown, where
            the model has no ``sigma`` of its own.
        temperature (float): Of the soft-argmax, the same.

    Returns:
        Tensor: (N, 1, H, W) in [0, 1].

    Raises:
        ValueError: The model finds other joints, or no maps of them.
    """
    parts = [part for name in _PARTS if isinstance(
        part := getattr(model, name, None), nn.Module)]
    with evaluating(*parts):
        maps = model.head(model.extract_feat(inputs))
        if isinstance(maps, (list, tuple)):  # stacks
            maps = maps[-1]
        if not isinstance(maps, Tensor) or maps.ndim != 4 or maps.shape[
                1] != len(capsules.skeleton):
            shape = tuple(getattr(maps, 'shape', ()))
            raise ValueError(
                'people are cut out by the heatmaps (N, '
                f'{len(capsules.skeleton)}, h, w) of a recognizer; this one '
                f'gives {shape or type(maps).__name__}. Check `skeleton`')
        maps = maps.float()
        h, w = maps.shape[-2:]
        points, score = peaks(maps)
        estimator = getattr(model, 'mask_estimator', None)
        if estimator is not None:
            sigma = getattr(model, 'sigma', sigma)
            cells = soft_argmax(maps, getattr(
                model, 'temperature', temperature), max(1, round(3 * sigma)))
            raw = estimator(reduce_image(inputs, maps),
                            draw_gaussians(cells, (h, w), sigma))
            mask = estimator.sharpen(raw.float())
            return F.interpolate(mask, inputs.shape[-2:], mode='bilinear',
                                 align_corners=False)
    ratio = maps.new_tensor([inputs.shape[-1] / w, inputs.shape[-2] / h])
    with torch.autocast(inputs.device.type, enabled=False):
        seen = score >= min_score
        enough = seen.sum(1) >= min_joints
        return capsules(points * ratio, seen & enough[:, None],
                        image_size(inputs), stride, 2.)
