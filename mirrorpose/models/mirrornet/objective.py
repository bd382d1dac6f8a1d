"""MirrorNet's bounds, one function a term, in the paper's numbering.

Every function returns nats, one value a sample (N,). A bound is a dict of
its terms with their signs, so that ``sum(bound.values())`` is the number to
maximise. ``present`` is (N, K) and leaves unannotated joints out.
"""
from __future__ import annotations

import math

from torch import Tensor

from ..pose import probability
from .image_vae import ImageVAEOutput
from .pose_vae import PoseVAEOutput

Bound = dict[str, Tensor]


def _over_maps(present: Tensor | None) -> Tensor | None:
    return None if present is None else present[..., None, None]


def recognition(pose: Tensor,
                mean: Tensor,
                variance: float = 0.01,
                present: Tensor | None = None) -> Tensor:
    """log q_alpha(y|x) of an annotated pose (Eqs. 28, 30).

    Args:
        pose (Tensor): (N, K, h, w) annotated heatmaps.
        mean (Tensor): (N, K, h, w) the recognizer's.
        variance (float): v_alpha. The paper fixes 0.01.
        present (Tensor, optional): (N, K) annotated joints.
    """
    return probability.log_likelihood(pose, mean, math.log(variance),
                                      _over_maps(present))


def fidelity(image: Tensor, out: ImageVAEOutput) -> Tensor:
    """log p_theta(x|y,a,s), the first term of Eqs. 15, 26 and 31."""
    return probability.log_likelihood(image, out.mean, out.log_variance)


def plausibility(pose: Tensor,
                 out: PoseVAEOutput,
                 variance: float = 0.,
                 present: Tensor | None = None) -> Tensor:
    """log p_phi(y|z), the second term of Eqs. 15, 26 and the first of 34.

    Args:
        pose (Tensor): (N, K, h, w) heatmaps, or the mean of q(y|x).
        out (PoseVAEOutput): Of a pass over them.
        variance (float): v_alpha when ``pose`` is a mean: the expectation
            over q(y|x) is then exact and holds no sampling noise.
        present (Tensor, optional): (N, K) annotated joints.
    """
    if variance:
        return probability.expected_log_likelihood(
            pose, variance, out.mean, out.log_variance, _over_maps(present))
    return probability.log_likelihood(pose, out.mean, out.log_variance,
                                      _over_maps(present))


def entropy(mean: Tensor, variance: float = 0.01) -> Tensor:
    """-E log q_alpha(y|x), the third term of Eq. 15.

    With a fixed variance it is a constant: part of the bound's value, and
    nothing to optimise.
    """
    return probability.entropy(math.log(variance), mean)


def image_bound(image: Tensor, out: ImageVAEOutput) -> Bound:
    """L(x|y) of the image VAE (Eq. 31)."""
    return dict(
        fidelity=fidelity(image, out),
        kl_appearance=-probability.kl_standard_normal(*out.appearance),
        kl_scene=-probability.kl_standard_normal(*out.scene))


def pose_bound(pose: Tensor,
               out: PoseVAEOutput,
               variance: float = 0.,
               present: Tensor | None = None) -> Bound:
    """L(y) of the pose VAE (Eq. 34)."""
    return dict(
        plausibility=plausibility(pose, out, variance, present),
        kl_primitive=-probability.kl_standard_normal(*out.primitive))


def unsupervised_bound(image: Tensor,
                       mean: Tensor,
                       image_out: ImageVAEOutput,
                       pose: Tensor,
                       pose_out: PoseVAEOutput,
                       variance: float = 0.01,
                       sampled: bool = False) -> Bound:
    """L(x), six terms (Eq. 15).

    Args:
        image (Tensor): (N, 3, h, w) reduced image.
        mean (Tensor): (N, K, h, w) mean of q_alpha(y|x).
        image_out (ImageVAEOutput): Of a pass over image and pose.
        pose (Tensor): (N, K, h, w) what stood for y: a sample (literal), or
            the mean, whose plausibility is then taken in expectation.
        pose_out (PoseVAEOutput): Of a pass over the pose.
        variance (float): v_alpha. Defaults to 0.01.
        sampled (bool): ``pose`` is a sample of q(y|x). Defaults to False.
    """
    return dict(
        image_bound(image, image_out),
        entropy=entropy(mean, variance),
        **pose_bound(pose, pose_out, 0. if sampled else variance))


def supervised_bound(image: Tensor,
                     image_out: ImageVAEOutput,
                     annotation: Tensor,
                     pose_out: PoseVAEOutput,
                     mean: Tensor,
                     variance: float = 0.01,
                     weight: float = 1.,
                     present: Tensor | None = None,
                     pose: Tensor | None = None) -> Bound:
    """L+(x, y) = L(x, y) + lambda log q_alpha(y|x) (Eqs. 26, 27).

    Args:
        image (Tensor): (N, 3, h, w) reduced image.
        image_out (ImageVAEOutput): Of a pass over image and pose.
        annotation (Tensor): (N, K, h, w) annotated heatmaps.
        pose_out (PoseVAEOutput): Of a pass over the pose.
        mean (Tensor): (N, K, h, w) the recognizer's.
        variance (float): v_alpha. Defaults to 0.01.
        weight (float): lambda. Defaults to 1.
        present (Tensor, optional): (N, K) annotated joints.
        pose (Tensor, optional): (N, K, h, w) what stood for y in the
            generative terms when it was not the annotation (which the paper
            takes, and which leaves the recognizer's gradient untouched). It
            holds all joints, so ``present`` does not apply to it.
    """
    bound = dict(
        image_bound(image, image_out),
        recognition=weight * recognition(annotation, mean, variance, present))
    if pose is None:
        return bound | pose_bound(annotation, pose_out, 0., present)
    return bound | pose_bound(pose, pose_out)


def semi_supervised(supervised: Bound, unsupervised: Bound) -> Bound:
    """Eq. 29: annotated samples give L+, the others L.

    Args:
        supervised (Bound): Terms (n,) of the annotated samples.
        unsupervised (Bound): Terms (m,) of the others.

    Returns:
        Bound: Scalars, each term summed over the samples that have it.
    """
    out: Bound = {}
    for bound in (supervised, unsupervised):
        for name, term in bound.items():
            total = term.sum()
            out[name] = out[name] + total if name in out else total
    return out
