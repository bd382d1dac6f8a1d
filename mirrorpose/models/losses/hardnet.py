"""HardNet's loss over synchronised views.

Mishchuk et al., "Working hard to know your neighbor's margins", 2017, with
the masks that views of moving people need.
"""
from __future__ import annotations

from typing import NamedTuple

import torch
from mmpose.registry import MODELS
from torch import Tensor, nn
from torch.nn import functional

from ..pose.gathering import gather_rows, joint_mean, rows_before
from ..pose.views import ViewLabels

FORMS = ('triplet', 'softmax', 'contrastive', 'infonce')
NEGATIVES = ('hardest', 'random')
PAIRS = ('all', 'first')
CANDIDATES = ('place', 'all')
#: Inside the square root, as in HardNet's code: its slope at 0 is infinite.
EPSILON = 1e-6


class Mined(NamedTuple):
    """Which rows are compared.

    Attributes:
        anchor (Tensor): (P,) int64.
        positive (Tensor): (P,) int64, another view of the anchor's instant.
        near (Tensor): (P,) int64, the anchor, or the positive where that
            has the harder negative (anchor swap).
        negative (Tensor): (P,) int64.
        allowed (Tensor): (M, M) bool, all that may be negatives.
    """

    anchor: Tensor
    positive: Tensor
    near: Tensor
    negative: Tensor
    allowed: Tensor


def distances(a: Tensor, b: Tensor) -> Tensor:
    """Euclidean distances of rows of (P, D), differentiable at 0."""
    return ((a - b).square().sum(-1) + EPSILON).sqrt()


def all_distances(rows: Tensor) -> Tensor:
    """(M, M) Euclidean distances of the rows of (M, D)."""
    squares = rows.square().sum(1)
    squared = squares[:, None] + squares - 2 * rows @ rows.T
    return (squared.clamp(min=0) + EPSILON).sqrt()


def pose_distances(pose: Tensor, annotated: Tensor) -> Tensor:
    """(M, M) mean joint distances; infinite where one is not annotated.

    Args:
        pose (Tensor): (M, K, 3); NaN or anything where not annotated.
        annotated (Tensor): (M,) bool.
    """
    clean = pose.masked_fill(~annotated[:, None, None], 0.).transpose(0, 1)
    mean = torch.cdist(clean, clean).mean(0)
    both = annotated[:, None] & annotated
    return mean.masked_fill(~both, float('inf'))


@MODELS.register_module()
class HardNetLoss(nn.Module):
    """Views of one instant closer than the hardest negative of the batch.

    For a pair (a, p) of views of one instant, with anchor swap [CODE:
    DagnyT/hardnet]:

        d+ = |a - p|,   d- = min(min_j |a - n_j|, min_i |n_i - p|)
        loss = max(0, margin + d+ - d-)                             (M3)

    A negative is another instant, of the same subject and not near in time
    (spec T4.2, T4.3). Pairs without any negative do not count. With several
    processes the negatives are those of all of them, and the gradient is
    that of one process with the joint batch. Runs in float32 whatever the
    autocast.

    Args:
        margin (float): mu. Defaults to 1, for vectors of unit length.
        form (str): ``'triplet'``; ``'softmax'``: -log(exp(-d+) / (exp(-d+)
            + exp(-d-))); ``'contrastive'``: d+ + max(0, margin - d-);
            ``'infonce'``: -log(exp(a.p / T) / (exp(a.p / T) + sum_j exp(a.n_j
            / T))) over all negatives of a, which no hardest one can drive
            to a point (van den Oord et al., 2018). Defaults to
            ``'triplet'``.
        temperature (float): T of the last form. Defaults to 0.1.
        negatives (str): ``'hardest'``, or ``'random'``: one that is drawn.
            Defaults to ``'hardest'``.
        warm_up (int): For so many training steps negatives are random: the
            hardest of a network without training drive all embeddings to
            one point (T4.4). Counted in a buffer. Defaults to 0.
        anchor_swap (bool): Negatives of the positive count as well.
            Defaults to True.
        pairs (str): ``'all'`` ordered pairs of a group's views, or its
            ``'first'`` two in the order of the batch. Defaults to ``'all'``.
        candidates (str): Where negatives of a stand: ``'place'``, the
            images that have in their group the place that p has in its own,
            as in HardNet, or ``'all'`` images, those of a's own camera
            included. Defaults to ``'all'`` (spec 4.1).
        near_seconds (float): tau; images of the same sequence that are
            closer in time are no negatives. Defaults to 1.
        within_subject (bool): Only images of the same subject are
            negatives. Defaults to True.
        within_sequence (bool): Only images of the same sequence are: for
            data whose sequences differ in clothes or place, as those of
            MPI-INF-3DHP do. Defaults to False.
        duplicate_floor (float): Images with a smaller distance are no
            negatives. Defaults to 0.008 (HardNet's).
        pose_floor (float, optional): Images whose poses have a smaller mean
            joint distance are no negatives where both are annotated, in the
            unit of the poses. Defaults to None: poses are not looked at.
        all_ranks (bool): Negatives of all processes. Defaults to True.
        loss_weight (float): Defaults to 1.

    Raises:
        ValueError: An unknown option, or a negative number.
    """

    calls: Tensor

    def __init__(self,
                 margin: float = 1.,
                 form: str = 'triplet',
                 temperature: float = 0.1,
                 negatives: str = 'hardest',
                 warm_up: int = 0,
                 anchor_swap: bool = True,
                 pairs: str = 'all',
                 candidates: str = 'all',
                 near_seconds: float = 1.,
                 within_subject: bool = True,
                 within_sequence: bool = False,
                 duplicate_floor: float = 0.008,
                 pose_floor: float | None = None,
                 all_ranks: bool = True,
                 loss_weight: float = 1.) -> None:
        super().__init__()
        for name, value, known in (
                ('form', form, FORMS), ('negatives', negatives, NEGATIVES),
                ('pairs', pairs, PAIRS),
                ('candidates', candidates, CANDIDATES)):
            if value not in known:
                raise ValueError(f'{name} is one of {known}, got {value!r}')
        for name, number in (
                ('margin', margin), ('warm_up', warm_up),
                ('near_seconds', near_seconds), ('loss_weight', loss_weight),
                ('duplicate_floor', duplicate_floor),
                ('pose_floor', pose_floor or 0.)):
            if not number >= 0:
                raise ValueError(f'{name} must not be negative, got {number}')
        if not temperature > 0:
            raise ValueError(f'temperature must be positive, got '
                             f'{temperature}')
        self.temperature = temperature
        self.margin, self.form, self.negatives = margin, form, negatives
        self.anchor_swap, self.pairs = anchor_swap, pairs
        self.candidates, self.near_seconds = candidates, near_seconds
        self.within_subject, self.pose_floor = within_subject, pose_floor
        self.within_sequence = within_sequence
        self.duplicate_floor, self.all_ranks = duplicate_floor, all_ranks
        self.loss_weight, self.warm_up = loss_weight, int(warm_up)
        if warm_up:
            self.register_buffer('calls', torch.zeros((),
                                                      dtype=torch.float64))

    # -- which ------------------------------------------------------------
    def eligible(self, spread: Tensor, views: ViewLabels,
                 similarity: Tensor | None = None) -> Tensor:
        """(M, M) bool: may this image be a negative of that one?

        Args:
            spread (Tensor): (M, M) distances of embeddings.
            views (ViewLabels): Of M images.
            similarity (Tensor, optional): (M, M) :func:`pose_distances`.
        """
        out = (views.group[:, None] != views.group) & ~views.near(
            self.near_seconds) & (spread >= self.duplicate_floor)
        if self.within_subject:
            out &= views.subject[:, None] == views.subject
        if self.within_sequence:
            out &= views.sequence[:, None] == views.sequence
        if similarity is not None and self.pose_floor is not None:
            out &= similarity >= self.pose_floor
        return out

    @torch.no_grad()
    def mine(self, rows: Tensor, views: ViewLabels, first: int, number: int,
             pose: Tensor | None = None,
             annotated: Tensor | None = None) -> Mined:
        """Pairs of views with their negatives.

        Args:
            rows (Tensor): (M, D) embeddings.
            views (ViewLabels): Of M images.
            first (int): Anchors are rows [first, first + number).
            number (int): See ``first``.
            pose (Tensor, optional): (M, K, 3), for ``pose_floor``.
            annotated (Tensor, optional): (M,) bool.
        """
        spread = all_distances(rows)
        similarity = None
        if self.pose_floor is not None and pose is not None:
            assert annotated is not None
            similarity = pose_distances(pose, annotated)
        allowed = self.eligible(spread, views, similarity)
        order = spread
        if self._draws():
            order = torch.rand_like(spread)
        same = views.group[:, None] == views.group
        place = same.tril(-1).sum(1)  # in the group, in the batch's order
        if self.candidates == 'all':
            place_of = torch.zeros_like(place)
            hardest, at = order.masked_fill(~allowed, float('inf')).min(
                1, keepdim=True)
        else:
            place_of = place
            found = [order.masked_fill(
                ~(allowed & (place == p)), float('inf')).min(1)
                for p in range(int(place.max()) + 1)]
            hardest = torch.stack([f[0] for f in found], 1)
            at = torch.stack([f[1] for f in found], 1)
        pairs = views.positives()
        if self.pairs == 'first':
            pairs &= (place[:, None] == 0) & (place == 1)
        a, p = pairs[first:first + number].nonzero(as_tuple=True)
        a = a + first
        found_a = hardest[a, place_of[p]].isfinite()
        found_p = hardest[p, place_of[a]].isfinite() & self.anchor_swap
        neg_a, neg_p = at[a, place_of[p]], at[p, place_of[a]]
        far = spread.new_full((), float('inf'))
        to_a = torch.where(found_a, spread[a, neg_a], far)
        to_p = torch.where(found_p, spread[p, neg_p], far)
        swap = to_p < to_a
        keep = found_a | found_p
        return Mined(
            anchor=a[keep],
            positive=p[keep],
            near=torch.where(swap, p, a)[keep],
            negative=torch.where(swap, neg_p, neg_a)[keep],
            allowed=allowed)

    def _draws(self) -> bool:
        """Are negatives random in this step?"""
        warming = self.warm_up and self.training and \
            float(self.calls) < self.warm_up
        return self.negatives == 'random' or bool(warming)

    # -- how much ---------------------------------------------------------
    def compare(self, positive: Tensor, negative: Tensor) -> Tensor:
        """The loss (P,) of distances d+ and d-, both (P,)."""
        if self.form == 'softmax':
            return functional.softplus(positive - negative)
        if self.form == 'contrastive':
            return positive + functional.relu(self.margin - negative)
        return functional.relu(self.margin + positive - negative)

    def against_all(self, rows: Tensor, mined: Mined) -> Tensor:
        """The loss (P,) of pairs against all negatives of their anchors.

        Args:
            rows (Tensor): (M, D) embeddings of unit length.
            mined (Mined): The pairs.
        """
        allowed = mined.allowed[mined.anchor]
        logits = rows[mined.anchor] @ rows.T / self.temperature
        own = (rows[mined.anchor] * rows[mined.positive]).sum(1)
        # Not -inf: an anchor without a negative would have no gradient.
        others = logits.masked_fill(~allowed, -1e4).logsumexp(1)
        return functional.softplus(others - own / self.temperature)

    def forward(self, embedding: Tensor, views: ViewLabels,
                pose: Tensor | None = None,
                annotated: Tensor | None = None) -> dict[str, Tensor]:
        """The loss, and what shows a collapse of it.

        Args:
            embedding (Tensor): (N, D), of unit length.
            views (ViewLabels): Of the N images.
            pose (Tensor, optional): (N, K, 3), for ``pose_floor``; what
                stands where not annotated is not read.
            annotated (Tensor, optional): (N,) bool.

        Returns:
            dict[str, Tensor]: ``loss_metric``; ``mon_positive`` and
            ``mon_negative``, the means of d+ and d-; ``mon_active``, the
            share of pairs with d- < margin + d+; ``mon_spread``, the root
            mean square distance of the embeddings from their mean, 0 where
            they are all alike. The last four are of this process's pairs.

        Raises:
            ValueError: Shapes that do not fit, or ``pose_floor`` without
                poses.
        """
        if embedding.ndim != 2 or len(embedding) != len(views.group):
            raise ValueError('embeddings are (N, D) with a label each, got '
                             f'{tuple(embedding.shape)} and '
                             f'{len(views.group)} labels')
        if self.pose_floor is not None and (pose is None
                                            or annotated is None):
            raise ValueError('pose_floor compares poses: give pose and '
                             'annotated, or set pose_floor=None')
        with torch.autocast(embedding.device.type, enabled=False):
            own = embedding if embedding.dtype == torch.float64 \
                else embedding.float()
            rows, first = own, 0
            if self.all_ranks:
                rows, views = gather_rows(own), views.gather()
                first = rows_before(len(own), own.device)
                if self.pose_floor is not None:
                    assert pose is not None and annotated is not None
                    pose = gather_rows(pose.detach())
                    annotated = gather_rows(annotated.long()) > 0
            mined = self.mine(rows.detach(), views, first, len(own), pose,
                              annotated)
            if self.warm_up and self.training:
                self.calls += 1
            positive = distances(rows[mined.anchor], rows[mined.positive])
            negative = distances(rows[mined.near], rows[mined.negative])
            loss = self.loss_weight * joint_mean(
                self.against_all(rows, mined)
                if self.form == 'infonce'
                else self.compare(positive, negative))
        with torch.no_grad():
            active = (negative < self.margin + positive).to(positive)
            number = max(len(positive), 1)
            centred = own - own.mean(0)
            return dict(
                loss_metric=loss,
                mon_positive=positive.detach().sum() / number,
                mon_negative=negative.detach().sum() / number,
                mon_active=active.sum() / number,
                mon_spread=centred.square().sum(1).mean().sqrt())
