"""Who may find whom: settings, samples, pairs of views, exclusions.

Samples are put in an order in which everything that a query must not find
is one range of the gallery.
"""
from __future__ import annotations

import itertools
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from mmengine.logging import print_log
from torch import Tensor

from ..structures.skeleton import Skeleton
from .root_relative import as_array, root_of, torso_size

#: Which items a query may find: all of the other view; without those near in
#: time; of other people alone.
VARIANTS = ('kept', 'removed', 'cross_subject')
#: Alignments of the true poses before MPJPE and PCK.
ALIGNMENTS = ('rotation', 'canonical')
#: Rows to compare with.
REFERENCES = ('oracle', 'random')
#: Common joints that a comparison needs.
LEAST_JOINTS = 3


@dataclass(frozen=True)
class Settings:
    """How retrieval is evaluated.

    Attributes:
        variants (Sequence[str]): Some of ``VARIANTS``. Defaults to all.
        topk (Sequence[int]): Defaults to (1, 5, 10, 20).
        gap (float): Seconds before and after a query, included, that
            ``removed`` leaves out of its clip; infinity is the whole clip.
            Defaults to 1.
        alignment (str): ``'rotation'`` or ``'canonical'``. Defaults to
            ``'rotation'``.
        gallery (str): ``'pair'``: one other view; ``'others'``: all other
            views together. Defaults to ``'pair'``.
        same_view (bool): Also find within one view, never in ``kept``.
            Defaults to False.
        threshold (float): Of PCK, mm. Defaults to 150.
        hit (float): Of NP-MPJPE. Defaults to 0.1.
        references (Sequence[str]): Rows to compare with: ``'oracle'`` (the
            nearest true pose) and ``'random'``. Defaults to both.
        device (str | torch.device): That searches. Defaults to ``'cpu'``.

    Raises:
        ValueError: An unknown or impossible setting.
    """

    variants: Sequence[str] = VARIANTS
    topk: Sequence[int] = (1, 5, 10, 20)
    gap: float = 1.
    alignment: str = 'rotation'
    gallery: str = 'pair'
    same_view: bool = False
    threshold: float = 150.
    hit: float = .1
    references: Sequence[str] = REFERENCES
    device: str | torch.device = 'cpu'

    def __post_init__(self) -> None:
        for what, given, known in (
                ('variants', self.variants, VARIANTS),
                ('references', self.references, REFERENCES),
                ('alignment', [self.alignment], ALIGNMENTS),
                ('gallery', [self.gallery], ('pair', 'others'))):
            unknown = [g for g in given if g not in known]
            if unknown:
                raise ValueError(f'{what} {unknown} are unknown; known are '
                                 f'{list(known)}')
        if not self.variants:
            raise ValueError(f'variants must name some of {list(VARIANTS)}')
        if not self.topk or min(self.topk) < 1 or (
                len(set(self.topk)) < len(self.topk)):
            raise ValueError('topk must be different numbers from 1, got '
                             f'{tuple(self.topk)}')
        if not self.gap >= 0 or self.threshold <= 0 or self.hit <= 0:
            raise ValueError(
                'gap must be at least 0, threshold and hit positive, got '
                f'{self.gap}, {self.threshold}, {self.hit}')
        if self.same_view and tuple(self.variants) == ('kept', ):
            raise ValueError(
                'same_view finds in the query\'s own view, where "kept" '
                'would find the query itself: add "removed"')

    @property
    def turn(self) -> str:
        """What turns a true pose before MPJPE and PCK."""
        return 'none' if self.alignment == 'canonical' else 'rotation'


@dataclass
class Samples:
    """Frames, ordered by subject, clip and time.

    Attributes:
        order (np.ndarray): (N,), their places in the caller's arrays.
        views, clips, subjects (np.ndarray): (N,) int64.
        seconds (np.ndarray): (N,) float64.
        view_names (list[str]): What the numbers of views stand for.
        poses (Tensor): (N, K, 3) float64, root-relative mm, 0 where absent.
        seen (Tensor): (N, K) bool.
        torso (Tensor): (N,) float64, NaN where unknown.
    """

    order: np.ndarray
    views: np.ndarray
    clips: np.ndarray
    subjects: np.ndarray
    seconds: np.ndarray
    view_names: list[str]
    poses: Tensor
    seen: Tensor
    torso: Tensor

    @property
    def subject_count(self) -> int:
        """How many people there are."""
        return len(np.unique(self.subjects))


def make_samples(poses: Any, visible: Any, views: Sequence[Any],
                 clips: Sequence[Any], seconds: Sequence[float],
                 subjects: Sequence[Any] | None, joints: Skeleton | str,
                 device: torch.device) -> tuple[Samples, dict[str, int]]:
    """Checks, centres and orders samples.

    Args:
        poses (np.ndarray | Tensor): (N, K, 3) in mm, NaN where absent.
        visible (np.ndarray | Tensor, optional): (N, K).
        views (Sequence): N cameras.
        clips (Sequence): N clips.
        seconds (Sequence[float]): N times.
        subjects (Sequence, optional): N people.
        joints (Skeleton | str): The K joints.
        device (torch.device): For poses.

    Returns:
        tuple: Those that can be judged, each frame once, and how many were
        left out, ``unjudged`` and ``repeated``.

    Raises:
        ValueError: Lengths or shapes do not fit, or nothing is left.
    """
    skeleton = Skeleton.from_name(joints) if isinstance(joints, str) \
        else joints
    poses = as_array(poses).astype(np.float64)
    total = len(views)
    lengths = {'poses': len(poses), 'views': total, 'clips': len(clips),
               'seconds': len(seconds),
               'subjects': total if subjects is None else len(subjects)}
    if len(set(lengths.values())) > 1 or not total:
        raise ValueError(f'samples must be equally many, got {lengths}')
    if poses.shape[1:] != (len(skeleton), 3):
        raise ValueError(f'poses must be (N, {len(skeleton)}, 3) for '
                         f'{skeleton.name!r}, got {poses.shape}')
    seen = np.isfinite(poses).all(-1)
    if visible is not None:
        seen &= as_array(visible).reshape(seen.shape) > 0
    root = root_of(skeleton)
    # without its root a pose cannot be centred, and so not be compared
    fine = seen[:, root].all(1) & (seen.sum(1) >= LEAST_JOINTS)
    order, columns, names = order_samples(
        views, clips, seconds, clips if subjects is None else subjects)
    order, columns = order[fine[order]], [c[fine[order]] for c in columns]
    view, clip, _, time = columns
    once = np.ones(len(order), bool)
    once[1:] = (view[1:] != view[:-1]) | (clip[1:] != clip[:-1]) | (
        np.diff(time) > 1e-6)
    dropped = dict(unjudged=int((~fine).sum()), repeated=int((~once).sum()))
    if not once.any():
        raise ValueError('no sample has a true pose: nothing that was found '
                         'can be judged')
    if any(dropped.values()):
        print_log(f'{dropped["repeated"]} frames stand twice, '
                  f'{dropped["unjudged"]} have no true pose: left out',
                  logger='current', level=logging.WARNING)
    rows = order[once]
    view, clip, subject, time = (c[once] for c in columns)
    poses = np.where(seen[..., None], poses, np.nan)[rows]
    torso = torso_size(poses, skeleton)
    poses = poses - poses[:, root].mean(1, keepdims=True)
    return Samples(
        rows, view, clip, subject, time, names,
        torch.from_numpy(np.nan_to_num(poses)).to(device),
        torch.from_numpy(seen[rows]).to(device),
        torch.from_numpy(torso).to(device)), dropped


def unit_embeddings(embeddings: Any, name: str, total: int
                    ) -> Tensor:
    """Embeddings (N, D) of unit length, float32.

    Raises:
        ValueError: Another shape, or rows that are not finite or zero.
    """
    values = torch.as_tensor(as_array(embeddings)).float()
    if values.ndim != 2 or len(values) != total:
        raise ValueError(f'embeddings ({name}) must be ({total}, D), got '
                         f'{tuple(values.shape)}')
    broken = ~values.isfinite().all(1)
    if broken.any():
        raise ValueError(
            f'{int(broken.sum())} of {total} embeddings ({name}) are not '
            f'finite, the first is number {int(broken.float().argmax())}: '
            'the model gives them; look at its weights and its losses')
    length = values.norm(dim=1, keepdim=True)
    if (length == 0).any():
        raise ValueError(f'{int((length == 0).sum())} embeddings ({name}) '
                         'are zero and have no direction: look at the '
                         "model's weights")
    return values / length


def order_samples(views: Sequence[Any], clips: Sequence[Any],
                  seconds: Sequence[float], subjects: Sequence[Any]
                  ) -> tuple[np.ndarray, list[np.ndarray], list[str]]:
    """Numbers for names, and the order of subject, clip and time.

    Returns:
        tuple: The order (N,); views, clips, subjects and seconds in it; the
        names of the views.

    Raises:
        ValueError: A clip of two subjects, or times that are not finite.
    """
    names, view = np.unique(np.asarray(views).astype(str),
                            return_inverse=True)
    clip_names, clip = np.unique(np.asarray(clips).astype(str),
                                 return_inverse=True)
    _, subject = np.unique(np.asarray(subjects).astype(str),
                           return_inverse=True)
    time = np.asarray(seconds, np.float64)
    if not np.isfinite(time).all():
        raise ValueError(f'{int((~np.isfinite(time)).sum())} samples have '
                         'no finite time (seconds)')
    owner = np.zeros(len(clip_names), np.int64)
    owner[clip] = subject
    if (owner[clip] != subject).any():
        wrong = clip_names[clip[(owner[clip] != subject).argmax()]]
        raise ValueError(f'the clip {wrong!r} belongs to two subjects: the '
                         'name of a clip has to contain its subject')
    order = np.lexsort((view, time, clip, subject))
    return order, [a[order] for a in (view, clip, subject, time)], list(
        map(str, names))


def near_ranges(clips: np.ndarray, seconds: np.ndarray,
                other_clips: np.ndarray, other_seconds: np.ndarray,
                gap: float) -> np.ndarray:
    """Ranges of the others within a time of each, in the same clip.

    Args:
        clips (np.ndarray): (Q,) int64, of the queries.
        seconds (np.ndarray): (Q,).
        other_clips (np.ndarray): (M,) int64, in runs.
        other_seconds (np.ndarray): (M,), ascending within a run.
        gap (float): In seconds, included; infinity is the whole clip.

    Returns:
        np.ndarray: (Q, 2) int64, first and behind the last.
    """
    if not len(other_clips):
        return np.zeros((len(clips), 2), np.int64)
    # clips as numbers in the order of their runs
    runs = np.r_[True, other_clips[1:] != other_clips[:-1]]
    rank = np.full(int(max(clips.max(initial=0), other_clips.max())) + 1, -1)
    rank[other_clips[runs]] = np.arange(runs.sum())
    low = min(seconds.min(initial=0), other_seconds.min())
    high = max(seconds.max(initial=0), other_seconds.max())
    gap = min(gap, high - low) + 1e-6  # 50 / 50 - 49 / 50 is not 1 / 50
    width = high - low + 2 * gap + 1
    line = rank[other_clips[runs]].repeat(np.diff(np.r_[
        np.flatnonzero(runs), len(other_clips)])) * width + (
            other_seconds - low)
    at = rank[clips] * width + (seconds - low)
    found = np.stack([np.searchsorted(line, at - gap, 'left'),
                      np.searchsorted(line, at + gap, 'right')], 1)
    return np.where(rank[clips][:, None] < 0, 0, found)


def subject_ranges(subjects: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Ranges of the others that show the same person; others ascending."""
    return np.stack([np.searchsorted(others, subjects, 'left'),
                     np.searchsorted(others, subjects, 'right')], 1)


def view_pairs(samples: Samples, gallery: str, same_view: bool, k: int
               ) -> list[tuple[str, np.ndarray, np.ndarray, bool]]:
    """Which rows ask which.

    Returns:
        list[tuple]: Title, rows of the queries and of the gallery, and
        whether the gallery is the queries' own view.

    Raises:
        ValueError: One view, or a gallery of fewer than k frames.
    """
    held = [v for v in range(len(samples.view_names))
            if (samples.views == v).any()]
    if len(held) < 2 and not same_view:
        raise ValueError(
            f'all samples are of the view {samples.view_names[held[0]]!r}: '
            'retrieval across views needs two; same_view=True finds within '
            'one')
    rows = {v: np.flatnonzero(samples.views == v) for v in held}
    name = samples.view_names
    if gallery == 'others':
        made = [(f'{name[v]} > others', rows[v],
                 np.flatnonzero(samples.views != v), False)
                for v in held if len(held) > 1]
    else:
        made = [(f'{name[a]} > {name[b]}', rows[a], rows[b], False)
                for a, b in itertools.permutations(held, 2)]
    if same_view:
        made += [(f'{name[v]} > {name[v]}', rows[v], rows[v], True)
                 for v in held]
    small = [(t, len(g)) for t, _, g, _ in made if len(g) < k]
    if small:
        raise ValueError(
            f'the gallery of {small[0][0]!r} has {small[0][1]} frames, but '
            f'the {k} nearest are asked for ({len(small)} of {len(made)} '
            'galleries are too small): lower topk')
    return made
