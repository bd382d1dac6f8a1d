"""Tests of trust: does a generative term know what it is asked?

A term that is to teach the recognizer has to tell the truth from the
recognizer's own errors, and its gradient has to point from these to the
truth. Random damage is the easier test, and says little: errors of a
recognizer are often *more* plausible than the truth (docs/mirrornet.md).
"""
from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ..pose import draw_gaussians, soft_argmax
from ..steps import evaluating
from . import objective
from .batch import PoseBatch

__all__ = ['TERMS', 'mean_of', 'trust']

#: The bounds that the recognizer's pose enters (Eqs. 31 and 34).
TERMS = ('plausibility', 'fidelity')
#: How far a joint is moved for the test, over the width of the maps.
MOVED = .25


def bounds(model: Any, image: Tensor, pose: Tensor,
           mask: Tensor | None = None) -> dict[str, Tensor]:
    """Both bounds of poses, (N,) nats, at the means of the latents.

    Args:
        model (MirrorNet): In eval mode.
        image (Tensor): (N, 3, h, w) reduced image.
        pose (Tensor): (N, K, h, w).
        mask (Tensor, optional): (N, 1, h, w). Defaults to the one that the
            model estimates from the pose.
    """
    if mask is None:
        mask = model.estimate_mask(image, pose)
    image_out = model.image_vae(image, pose, mask, torch.zeros_like)
    pose_out = model.pose_vae(pose, torch.zeros_like)
    both = (objective.pose_bound(pose, pose_out),
            objective.image_bound(image, image_out))
    return {name: torch.stack(list(bound.values())).sum(0)
            for name, bound in zip(TERMS, both)}


def move_joint(cells: Tensor, present: Tensor, far: float) -> Tensor:
    """Poses with one joint displaced, each another one, in turn.

    Args:
        cells (Tensor): (N, K, 2).
        present (Tensor): (N, K); rows without a joint stay.
        far (float): Cells; up and down, left and right in turn.
    """
    n, k = present.shape
    turn = torch.arange(n, device=cells.device)
    # The (i mod K)-th joint, or the next one that is present.
    order = (turn[:, None] + torch.arange(k, device=cells.device)) % k
    first = present.gather(1, order).float().argmax(1)
    which = order.gather(1, first[:, None])[:, 0]
    ways = cells.new_tensor([[1, 0], [-1, 0], [0, 1], [0, -1]]) * far
    out = cells.clone()
    out[turn, which] += ways[turn % 4]
    return out


def trust(model: Any, inputs: Tensor, batch: PoseBatch
          ) -> dict[str, Tensor]:
    """Runs all tests on the annotated images of a batch.

    The networks look in eval mode and at the means of the latents: nothing
    is drawn at random, and no parameter gets a gradient.

    Args:
        model (MirrorNet): Any mode; left as it was.
        inputs (Tensor): (N, 3, H, W) normalised images.
        batch (PoseBatch): What :func:`gather` makes of them.

    Returns:
        dict[str, Tensor]: Each (M,) over the M annotated images, NaN where a
        test does not apply (a right pose has no way to go):

        - ``truth_over_swapped``: 1 where the image VAE explains an image
          better by its own pose than by the next one's, 0 elsewhere;
        - ``truth_over_moved``: the same against a pose with one joint moved
          by a quarter of the image;
        - ``truth_over_own_{term}``: 1 where the bound prefers the truth to
          the recognized pose, of images with a wrong joint (farther off than
          two sigma of a drawn map);
        - ``cosine_{term}``: of the bound's gradient by the recognized pose
          with the way to the truth, mean over the wrong joints; for the
          model's ``pose_form``;
        - ``gradient_ratio_{term}``: norm of the weighted terms' gradient by
          the recognizer's maps, over that of the recognition term.
    """
    known = batch.labelled
    image, truth = batch.image[known], batch.pose[known]
    present = batch.present[known]
    shown = present[..., None, None]
    size = (truth.shape[-2], truth.shape[-1])
    with evaluating(model), torch.autocast(inputs.device.type,
                                           enabled=False):
        with torch.no_grad():
            mean = model.recognize(inputs[known].float())[-1]
            radius = max(1, round(3 * model.sigma))
            right = soft_argmax(truth, model.temperature, radius)
            redrawn = draw_gaussians(right, size, model.sigma) * shown
            found = _compare(model, image, redrawn, right, present)
            cells = soft_argmax(mean, model.temperature, radius)
            wrong = present & ((cells - right).norm(dim=-1)
                               > 2 * model.sigma)
            some = wrong.any(1)
            own = draw_gaussians(cells, size, model.sigma) * shown
            mine = bounds(model, image, own)
            theirs = bounds(model, image, redrawn)
        for term in TERMS:
            found[f'truth_over_own_{term}'] = _where(
                some, (theirs[term] > mine[term]).float())
        found.update(_gradients(model, image, mean, truth, right, present,
                                wrong))
    return found


def mean_of(found: dict[str, Tensor]) -> dict[str, Tensor]:
    """Means over images, medians of ratios; NaN where nothing applies."""
    return {k: v.nanmedian() if 'ratio' in k and len(v) else v.nanmean()
            for k, v in found.items()}


def _where(rows: Tensor, values: Tensor) -> Tensor:
    return torch.where(rows, values, values.new_tensor(torch.nan))


def _compare(model: Any, image: Tensor, redrawn: Tensor, cells: Tensor,
             present: Tensor) -> dict[str, Tensor]:
    """The image VAE's own tests, under the mask of the truth."""
    mask = model.estimate_mask(image, redrawn)

    def fidelity(pose: Tensor) -> Tensor:
        out = model.image_vae(image, pose, mask, torch.zeros_like)
        return objective.fidelity(image, out)

    size = (redrawn.shape[-2], redrawn.shape[-1])
    moved = draw_gaussians(move_joint(cells, present, MOVED * size[1]), size,
                           model.sigma) * present[..., None, None]
    whole, enough = fidelity(redrawn), present.any(1)
    found = dict(truth_over_moved=_where(
        enough, (whole > fidelity(moved)).float()))
    if len(image) > 1:
        found['truth_over_swapped'] = _where(
            enough, (whole > fidelity(redrawn.roll(1, 0))).float())
    return found


def _gradients(model: Any, image: Tensor, mean: Tensor, truth: Tensor,
               right: Tensor, present: Tensor, wrong: Tensor
               ) -> dict[str, Tensor]:
    """Directions at the wrong joints, and how hard the terms pull."""
    size = (truth.shape[-2], truth.shape[-1])
    radius = max(1, round(3 * model.sigma))
    found: dict[str, Tensor] = {}
    with torch.enable_grad():
        maps = mean.detach().requires_grad_()
        recognition = objective.recognition(truth, maps, model.pose_variance,
                                            present).sum()
        norm = torch.autograd.grad(recognition, maps)[0].flatten(1).norm(
            dim=1)
        by_place = model.pose_form == 'coordinates'
        place = soft_argmax(maps, model.temperature, radius) if by_place \
            else maps
        pose = draw_gaussians(place, size, model.sigma) if by_place \
            else place
        way = ((right if by_place else truth) - place).detach().flatten(2)
        for term, value in bounds(model, image, pose).items():
            slope, pull = torch.autograd.grad(value.sum(), (place, maps),
                                              retain_graph=True)
            each = torch.cosine_similarity(slope.flatten(2), way, dim=-1)
            found[f'cosine_{term}'] = _where(
                wrong.any(1), (each * wrong).sum(1)
                / wrong.sum(1).clamp(min=1))
            found[f'gradient_ratio_{term}'] = (
                model.term_weights[term] * pull.flatten(1).norm(dim=1)
                / (model.recognition_weight * norm).clamp(min=1e-12))
    return found

