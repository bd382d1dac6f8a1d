"""How well a recognized pose is explained: scores of predictions.

*Plausibility* is what the pose VAE thinks of a pose, *fidelity* how well the
image VAE rebuilds the image from it. Both are nats, higher is better, at the
mean of the latents, so that a score is a function of image and pose alone.
They are comparable between images of one model, and not calibrated:
``benchmarks/score_calibration.py`` shows the true error against each.
(Measured there: plausibility tells wrong poses and joints, if not as well as
the heatmap's maximum; fidelity tells hard images, and nothing about a joint.)
"""
from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor

from ..pose import probability
from . import objective


class Scores(NamedTuple):
    """Scores of a batch.

    Attributes:
        plausibility (Tensor): (N,) bound of log p(y), Eq. 34.
        keypoint_plausibility (Tensor): (N, K) log p(y_j|z) of every joint's
            map.
        fidelity (Tensor): (N,) bound of log p(x|y), Eq. 31.
        keypoint_fidelity (Tensor): (N, K) mean of log p(x|y,a,s) over the
            cells about a joint, weighted by its Gaussian; nats a cell.
        fidelity_map (Tensor): (N, 1, h, w) log p(x|y,a,s) of every cell.
    """

    plausibility: Tensor
    keypoint_plausibility: Tensor
    fidelity: Tensor
    keypoint_fidelity: Tensor
    fidelity_map: Tensor


def plausibility_scores(pose_vae: Any, pose: Tensor) -> tuple[Tensor, Tensor]:
    """Plausibility of maps, (N,) and (N, K).

    Args:
        pose_vae (PoseVAE): The prior.
        pose (Tensor): (N, K, h, w) clean maps, as it was trained on.
    """
    out = pose_vae(pose, torch.zeros_like)
    bound = objective.pose_bound(pose, out)
    joints = _per_map(pose, out.mean, out.log_variance).sum((2, 3))
    return torch.stack(list(bound.values())).sum(0), joints


def fidelity_scores(image_vae: Any, image: Tensor, pose: Tensor,
                    mask: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Fidelity, (N,) and (N, K), and the map (N, 1, h, w) of its first term.

    Args:
        image_vae (ImageVAE): The generator and its recognizers.
        image (Tensor): (N, 3, h, w) reduced image.
        pose (Tensor): (N, K, h, w) clean maps.
        mask (Tensor): (N, 1, h, w) silhouette.
    """
    out = image_vae(image, pose, mask, torch.zeros_like)
    bound = objective.image_bound(image, out)
    cells = _per_map(image, out.mean, out.log_variance).sum(1, keepdim=True)
    weight = pose / pose.sum((2, 3), keepdim=True).clamp(min=1e-6)
    return (torch.stack(list(bound.values())).sum(0),
            (weight * cells).sum((2, 3)), cells)


def _per_map(x: Tensor, mean: Tensor,
             log_variance: Tensor | float) -> Tensor:
    """log N(x | mean, variance) of every element, shaped like x."""
    if isinstance(log_variance, Tensor):
        log_variance = log_variance.flatten()[:, None]
    return probability.log_likelihood(
        x.flatten()[:, None], mean.flatten()[:, None],
        log_variance).view_as(x)


def add_scores(scores: Scores, people: Any, fields: Any) -> None:
    """Writes the scores of a batch into mmpose's predictions.

    Args:
        scores (Scores): Of N images.
        people (list[InstanceData]): Get ``plausibility``, ``fidelity`` (1,)
            and ``keypoint_plausibility``, ``keypoint_fidelity`` (1, K), as
            numpy arrays like mmpose's own.
        fields (list[PixelData]): Get ``fidelity`` (1, h, w).
    """
    arrays = {name: value.float().cpu().numpy()
              for name, value in scores._asdict().items()
              if name != 'fidelity_map'}
    for i, (person, field) in enumerate(zip(people, fields)):
        for name, value in arrays.items():
            person.set_field(value[i:i + 1], name)
        field.set_data(dict(fidelity=scores.fidelity_map[i]))
