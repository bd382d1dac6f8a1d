"""Measures of what goes wrong with a KeypointGAN while it trains."""
from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..adversarial import unwrap
from ..losses.adversarial import Critic, gradient_norms, sample_means
from ..steps import evaluating

#: Below one level of an 8-bit picture a skeleton image shows nothing.
FLOOR = 1 / 255


def other_subjects(names: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """For each sample the next one of the batch that shows someone else.

    Args:
        names (Sequence[str]): The subject of each of N samples.

    Returns:
        tuple[np.ndarray, np.ndarray]: Rows that have a partner, and their
        partners, (M,) each; M = 0 where all samples are of one subject.
    """
    own, n = np.asarray(names), len(names)
    if n < 2:
        return np.zeros(0, int), np.zeros(0, int)
    rows = np.arange(n)
    after = (rows[:, None] + np.arange(1, n)) % n
    differs = own[after] != own[:, None]
    found = differs.any(1)
    return rows[found], after[rows, differs.argmax(1)][found]


def log_image(skeleton: Tensor, floor: float = FLOOR) -> Tensor:
    """Logarithm of a skeleton image, in which faint values can be seen.

    Of absolute values: a translator's output is linear, and a decoder reads
    negative values as well.

    Args:
        skeleton (Tensor): Any shape, about [0, 1].
        floor (float): What is fainter counts as this. Defaults to 1 / 255.

    Returns:
        Tensor: Same shape: 0 at the floor and below, log(1 / floor) at 1.
    """
    return (skeleton.abs() / floor).clamp(min=1).log()


def log_structure(skeleton: Tensor, drawn: Tensor,
                  floor: float = FLOOR) -> Tensor:
    """What a skeleton image holds where its drawing is blank.

    The share of the variance of log Phi(x) that lies among the pixels at
    which beta(p) is below the floor: squared differences from their own
    mean, over those of all pixels from the mean of all. A drawing has
    exactly 0, since it is blank there; an image without limbs has nearly 1.

    Args:
        skeleton (Tensor): (N, L, h, w) Phi(x), about [0, 1].
        drawn (Tensor): (N, L, h, w) beta(eta(Phi(x))) in [0, 1].
        floor (float): See :func:`log_image`. Defaults to 1 / 255.

    Returns:
        Tensor: Scalar in [0, 1]; squares are summed over samples and
        channels. 0 for a constant.
    """
    values = log_image(skeleton, floor).flatten(2)
    blank = (drawn <= floor).flatten(2).to(values)
    mean = (values * blank).sum(-1, keepdim=True) / blank.sum(
        -1, keepdim=True).clamp(min=1)
    besides = ((values - mean).square() * blank).sum()
    total = (values - values.mean(-1, keepdim=True)).square().sum()
    return besides / total.clamp(min=1e-12)


def judgement(critic: Critic, real: Tensor,
              fake: Tensor) -> tuple[Tensor, Tensor]:
    """How far a critic tells two sets apart, and what slope it leaves.

    The slope is that of the score at the fakes, in units of the mean slope
    on the way to real ones: the gap of the scores over the distance. By the
    mean value theorem the score is that steep somewhere on the way, so a
    critic whose slope is near 0 where the generator stands has become flat
    there and teaches nothing. A critic that is linear has at least 1.

    Args:
        critic (Callable): Maps (N, ...) to scores, one tensor or one a
            scale.
        real (Tensor): (N, ...).
        fake (Tensor): (N, ...).

    Returns:
        tuple[Tensor, Tensor]: Scalars: mean score of the real ones minus
        that of the fakes; the relative slope, infinite without a gap.
    """
    with torch.no_grad():
        gap = sample_means(critic(real)).mean() - sample_means(
            critic(fake)).mean()
    norms = gradient_norms(critic, fake, create_graph=False)
    apart = (fake - real).flatten(1).norm(dim=1).mean()
    return gap, norms.mean() * apart / gap.abs()


@torch.no_grad()
def swap_ratio(model: Any, pose: Tensor, image: Tensor, own: Tensor,
               other: Tensor) -> Tensor:
    """What another subject's appearance costs in the reconstruction.

    1 where the decoder does not look at the appearance frame: then the
    skeleton image, or nothing, tells what people look like.

    Args:
        model (KeypointGAN): Its decoder.
        pose (Tensor): (N, L, h, w) what the decoder reads.
        image (Tensor): (N, 3, h, w) in [-1, 1], what it should make.
        own (Tensor): (N, 3, h, w) appearance frames of the same subjects.
        other (Tensor): (N, 3, h, w) of other subjects.

    Returns:
        Tensor: Scalar: mean squared error with the others' over that with
        the own.
    """
    generator: Any = unwrap(model.generator)
    errors = [(generator(pose, frame).float() - image).square().mean()
              for frame in (own, other)]
    return errors[1] / errors[0].clamp(min=1e-12)


@torch.no_grad()
def look(model: Any, image: Tensor, poses: Tensor, pose_present: Tensor,
         condition: Tensor | None = None,
         names: Sequence[str] | None = None) -> dict[str, Tensor]:
    """All measures on one batch, by networks in eval mode.

    Args:
        model (KeypointGAN): Its modes are left as they were. No part of it
            is called through a distributed wrapper.
        image (Tensor): (N, 3, h, w) in [-1, 1].
        poses (Tensor): (N, K, 2) of the prior, in [-1, 1].
        pose_present (Tensor): (N, K) bool.
        condition (Tensor, optional): (N, 3, h, w) the appearance frames;
            without, there is no ``mon_swap_ratio``.
        names (Sequence[str], optional): The subject of each sample. By
            default all are different.

    Returns:
        dict[str, Tensor]: Scalars by their names in the log. Where all
        samples show one subject, ``mon_swap_ratio`` is left out.
    """
    backbone, head, critic = (unwrap(m) for m in (
        model.backbone, model.head, model.discriminator))
    with evaluating(model):
        skeleton = backbone(image)[-1].float()
        keypoints = head(skeleton)
        drawn = model.renderer(keypoints)
        real = model.renderer(poses, pose_present)
        gap, slope = judgement(critic, real, skeleton)
        out = dict(mon_log_structure=log_structure(skeleton, drawn),
                   mon_sides_exchanged=model.side_corrected(
                       keypoints)[1].float().mean(),
                   mon_discriminator_gap=gap, mon_discriminator_slope=slope)
        if condition is not None:
            rows, partners = other_subjects(
                list(map(str, range(len(image)))) if names is None
                else names)
            if len(rows):
                pose = drawn if model.bottleneck else skeleton
                out['mon_swap_ratio'] = swap_ratio(
                    model, pose[rows], image[rows], condition[rows],
                    condition[partners])
    return out
