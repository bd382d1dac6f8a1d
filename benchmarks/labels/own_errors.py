"""A prior taught by the recognizer's own errors, and choosing by scores.

Two uses of a pose prior beside a loss, both after the recognizer and without
another training of it:

* *own errors*: a small network learns to tell the truth from the common
  start's poses of recombined, partly covered training people (``ranker``),
  or to undo their errors (``refiner``); beside it the ranker of random
  damage, one joint displaced. Does it prefer the truth to wrong poses of
  held-out people, and does its gradient point there?
* *choice*: six views of a held-out person (turned, scaled, mirrored) give six
  poses; which of them is taken, by the maps' maxima, by these and a prior, or
  the mean? The prior's weight is chosen on half of the people, the others are
  measured, and the other way round.

Validation people only.
"""
from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from mmengine.dataset import pseudo_collate
from mmengine.registry import init_default_scope
from mmpose.registry import DATASETS, MODELS
from torch import Tensor, nn

from mirrorpose.evaluation import LspPCK
from mirrorpose.models.mirrornet.batch import gather
from mirrorpose.models.mirrornet.compositing import warp
from mirrorpose.models.mirrornet.recombination_draws import Affine
from mirrorpose.models.pose import normalised_from_cells, soft_argmax
from mirrorpose.models.pose.representations import peaks
from mirrorpose.models.rivals.strong_view import in_pixels
from mirrorpose.structures import Skeleton

from .cost import Stepper
from .data import CODEC, held_out
from .evaluation import load
from .plan import MIDDLE
from .runs import SEEDS, Name, settings

__all__ = ['measure']

CELLS, STRIDE = CODEC['heatmap_size'], 4
#: Training: people seen, and steps of the small networks.
POSES, STEPS, BATCH = 12_800, 3000, 256
#: Views of a person: degrees, scale, mirrored.
VIEWS = ((0., 1., False), (0., 1., True), (15., 1., False), (-15., 1., False),
         (0., .85, False), (0., 1.15, False))
WEIGHTS = (0., .03, .1, .3, 1., 3.)


class Poses:
    """Recognized poses and the truth, in cells.

    Attributes:
        said, truth (Tensor): (N, K, 2).
        sure (Tensor): (N, K) maxima of the maps.
        present (Tensor): (N, K) bool.
    """

    def __init__(self, said: Tensor, truth: Tensor, sure: Tensor,
                 present: Tensor) -> None:
        self.said, self.truth = said, truth
        self.sure, self.present = sure, present

    def wrong(self, far: float = 2.) -> Tensor:
        """Present joints farther off than so many cells, (N, K)."""
        return ((self.said - self.truth).norm(dim=-1) > far) & self.present


def recognize(model: Any, inputs: Tensor) -> tuple[Tensor, Tensor]:
    """Places in cells, and maxima."""
    with torch.no_grad():
        maps = model.recognize(inputs)[-1]
    return soft_argmax(maps, .1, 3), peaks(maps)[1]


def training_poses(start: Name) -> Poses:
    """The start's poses of training people it has to find anew."""
    stepper = Stepper(start._replace(row='recombination-occluders'))
    model, parts = load(start), []
    for _ in range(POSES // 32):
        data = stepper.model.data_preprocessor(stepper.batch(), True)
        batch = gather(data['inputs'], data['data_samples'])
        said, sure = recognize(model, data['inputs'])
        parts.append((said, soft_argmax(batch.pose, .1, 3), sure,
                      batch.present))
    return Poses(*(torch.cat(p) for p in zip(*parts)))


class Small(nn.Module):
    """A network over a pose in its own frame: a score, or a correction."""

    def __init__(self, joints: int, outputs: int, width: int = 256) -> None:
        super().__init__()
        self.net = nn.Sequential(
            nn.Linear(4 * joints, width), nn.ReLU(), nn.Linear(width, width),
            nn.ReLU(), nn.Linear(width, outputs))

    def forward(self, cells: Tensor, sure: Tensor, present: Tensor
                ) -> Tensor:
        """(N, outputs), by the pose, its maxima (or 0) and who is there."""
        seen = present[..., None].float()
        number = seen.sum(1, keepdim=True).clamp(min=1)
        middle = (cells * seen).sum(1, keepdim=True) / number
        offset = (cells - middle) * seen
        size = (offset.square().sum((1, 2), keepdim=True)
                / number).clamp(min=1e-6).sqrt()
        return self.net(torch.cat([(offset / size).flatten(1),
                                   sure * present, present.float()], 1))


def fit(loss: Callable[[Tensor], Tensor], network: nn.Module,
        number: int) -> None:
    """Adam, falling to zero."""
    torch.manual_seed(0)
    optimizer = torch.optim.Adam(network.parameters(), 1e-3)
    schedule = torch.optim.lr_scheduler.LinearLR(optimizer, 1., .02, STEPS)
    for _ in range(STEPS):
        optimizer.zero_grad()
        loss(torch.randint(number, (BATCH, ))).backward()
        optimizer.step()
        schedule.step()
    network.requires_grad_(False)


def ranker(poses: Poses, own: bool) -> Small:
    """Truth above the recognizer's errors, or above random damage."""
    rows = torch.nonzero(poses.wrong().any(1))[:, 0]
    network = Small(poses.said.shape[1], 1)
    none = torch.zeros_like(poses.sure)

    def loss(draw: Tensor) -> Tensor:
        index = rows[draw]
        truth, present = poses.truth[index], poses.present[index]
        if own:
            other = poses.said[index]
        else:
            which = F.one_hot((torch.rand(present.shape) * present).argmax(1),
                              present.shape[1])[..., None]
            other = truth + which * (torch.rand(len(index), 1, 2) - .5) * 16
        gap = network(truth, none[index], present) - network(
            other, none[index], present)
        return F.softplus(-gap).mean()

    fit(loss, network, len(rows))
    return network


def refiner(poses: Poses) -> Small:
    """From a recognized pose and its maxima to the truth."""
    network = Small(poses.said.shape[1], 2 * poses.said.shape[1])

    def loss(draw: Tensor) -> Tensor:
        found = refined(network, poses.said[draw], poses.sure[draw],
                        poses.present[draw])
        off = (found - poses.truth[draw]).norm(dim=-1)
        return (off * poses.present[draw]).sum() / poses.present[draw].sum()

    fit(loss, network, len(poses.said))
    return network


def refined(network: Small, cells: Tensor, sure: Tensor,
            present: Tensor) -> Tensor:
    """A corrected pose (N, K, 2)."""
    return cells + network(cells, sure, present).view_as(cells)


def prefers(score: Callable[[Tensor], Tensor], held: Poses
            ) -> dict[str, float]:
    """Of held-out people with a wrong joint: truth preferred; direction."""
    wrong = held.wrong()
    rows = wrong.any(1)
    better = score(held.truth) > score(held.said)
    place = held.said.clone().requires_grad_()
    slope, = torch.autograd.grad(score(place).sum(), place)
    cosine = torch.cosine_similarity(slope, held.truth - held.said, dim=-1)
    return dict(people=int(rows.sum()),
                truth_over_own=round(float(better[rows].float().mean()), 3),
                cosine=round(float(cosine[wrong].mean()), 3))


def pck(cells: Tensor, held: Poses) -> dict[str, float]:
    """PCK@0.2 of poses in cells; normalisers are those of the truth."""
    truth, present = held.truth.numpy(), held.present.numpy()
    off = np.linalg.norm(cells.numpy() - truth, axis=-1)
    out = {}
    for norm in ('bbox', 'torso'):
        size = LspPCK.normalisers(truth, present, norm)
        counted = present & np.isfinite(size)[:, None]
        right = off <= .2 * np.nan_to_num(size)[:, None]
        out[norm] = round(100 * float(right[counted].mean()), 2)
    return out


def seen_from(model: Any, inputs: Tensor, angle: float, scale: float,
              mirrored: bool) -> tuple[Tensor, Tensor]:
    """Places (N, K, 2) in cells of images as a view of them shows them.

    Args:
        model (PoseRecognition): Finds them in the view.
        inputs (Tensor): (N, 3, 64, 64).
        angle (float): Degrees by which the view is turned.
        scale (float): Factor on sizes.
        mirrored (bool): Left is right.

    Returns:
        tuple[Tensor, Tensor]: Places, and maxima (N, K).
    """
    drawn = np.full((len(inputs), 5), .5)
    drawn[:, 0], drawn[:, 4] = angle >= 0, not mirrored
    size = (inputs.shape[-2], inputs.shape[-1])
    matrices = Affine(abs(angle), (scale, scale), 0., .5).matrices(drawn, size)
    found = [recognize(model, part) for part in warp(
        inputs, matrices, 'zeros').split(100)]
    moved, value = (torch.cat(t) for t in zip(*found))
    if mirrored:
        pairs = list(Skeleton.from_name('mpii_16').flip_indices)
        moved, value = moved[:, pairs], value[:, pairs]
    pixels = torch.from_numpy(in_pixels(matrices, size)).float()
    back = (moved * STRIDE) @ pixels[:, :, :2].transpose(1, 2) + pixels[
        :, None, :, 2]
    return back / STRIDE, value


def validation(model: Any, data: str) -> tuple[Poses, Tensor, Tensor]:
    """Held-out people; what six views of each say, and how surely.

    Returns:
        tuple: The upright view's poses; (V, N, K, 2) cells of that view;
        (V, N, K) maxima.
    """
    init_default_scope('mmpose')
    dataset = DATASETS.build(held_out(data, maps=True))
    batch = pseudo_collate([dataset[i] for i in range(len(dataset))])
    prepared = model.data_preprocessor(batch, False)
    inputs = prepared['inputs']
    held = gather(inputs, prepared['data_samples'])
    places, sure = zip(*(seen_from(model, inputs, *v) for v in VIEWS))
    truth = soft_argmax(held.pose, .1, 3)
    return (Poses(places[0], truth, sure[0], held.present),
            torch.stack(places), torch.stack(sure))


def choose(places: Tensor, sure: Tensor, held: Poses,
           scores: dict[str, Callable[[Tensor], Tensor]]) -> dict[str, Any]:
    """PCK of the chosen view by each rule."""
    v, n = sure.shape[:2]
    weight = held.present.float()
    surely = (sure * weight).sum(-1) / weight.sum(-1)
    rows = torch.arange(n)

    def of(value: Tensor) -> Tensor:
        return places[value.argmax(0), rows]

    error = ((places - held.truth).norm(dim=-1) * weight).sum(-1)
    found: dict[str, Any] = {
        'the upright view': pck(places[0], held),
        'the surest view': pck(of(surely), held),
        'surest view of each joint': pck(places.gather(0, sure.argmax(0)[
            None, ..., None].expand(1, -1, -1, 2))[0], held),
        'mean of the views': pck(places.mean(0), held),
        'the best view, by the truth': pck(of(-error), held)}
    for name, score in scores.items():
        each = torch.stack([score(p) for p in places])
        each = (each - each.mean(0)) / each.std().clamp(min=1e-6)
        base = (surely - surely.mean(0)) / surely.std().clamp(min=1e-6)
        chosen, picked = torch.empty_like(places[0]), []
        for side in (0, 1):  # chosen on one half, measured on the other
            tune, rest = rows % 2 == side, rows % 2 != side
            part = Poses(*(t[tune] for t in (held.said, held.truth, held.sure,
                                             held.present)))
            best = max(WEIGHTS, key=lambda w: pck(
                of(base + w * each)[tune], part)['torso'])
            chosen[rest] = of(base + best * each)[rest]
            picked.append(best)
        found[f'surest, and {name}'] = dict(pck(chosen, held),
                                            weights=picked)
    return found


def plausibility(name: Name, present: Tensor) -> Callable[[Tensor], Tensor]:
    """The pose VAE's bound of poses in cells."""
    model = MODELS.build(settings(name._replace(
        row='plausibility-coordinates')).model)
    model.init_weights()
    prior = model.pose_vae.eval().requires_grad_(False)
    return lambda cells: prior.score(normalised_from_cells(cells, CELLS),
                                     present)


def judge(seed: int) -> dict[str, Any]:
    """All figures of one seed's start."""
    start = Name('lsp', 'start', False, MIDDLE, seed)
    trained = training_poses(start)
    held, places, sure = validation(load(start), start.data)
    none = torch.zeros_like(held.sure)

    def ranked(network: Small) -> Callable[[Tensor], Tensor]:
        return lambda cells: network(cells, none, held.present)[:, 0]

    scores = {'plausibility': plausibility(start, held.present),
              'ranker of own errors': ranked(ranker(trained, True)),
              'ranker of random damage': ranked(ranker(trained, False))}
    network = refiner(trained)
    return dict(
        wrong_in_training=round(float(trained.wrong().sum()
                                      / trained.present.sum()), 3),
        wrong_held_out=round(float(held.wrong().sum()
                                   / held.present.sum()), 3),
        prefers={k: prefers(s, held) for k, s in scores.items()},
        refined=dict(before=pck(held.said, held), after=pck(refined(
            network, held.said, held.sure, held.present), held)),
        choice=choose(places, sure, held, scores))


def measure() -> dict[str, Any]:
    """Every seed whose start and pose VAE are there."""
    out = {}
    for seed in SEEDS:
        name = Name('lsp', 'plausibility-coordinates', False, MIDDLE, seed)
        if any(n.checkpoint() is None for n in name.needs()):
            continue
        out[str(seed)] = judge(seed)
        print(seed, out[str(seed)], flush=True)
    return out
