"""Labelled instants beside the pairs of a batch (spec 4.3)."""
from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from mmengine.logging import print_log

if TYPE_CHECKING:
    from .sampler import ViewGroupSampler


class AnnotatedGroups:
    """The annotated instants of a sampler.

    Args:
        sampler (ViewGroupSampler): Knows views, subjects, clips and times.
        table (dict[str, np.ndarray]): Its data set's ``view_groups()``.
        number (int): Instants that each process gets in a step.

    Raises:
        TypeError: The table does not say what is annotated.
        ValueError: Nothing is.
    """

    def __init__(self, sampler: ViewGroupSampler,
                 table: dict[str, np.ndarray], number: int) -> None:
        if 'annotated' not in table:
            raise TypeError(
                'annotated_groups wants a data set whose view_groups() say '
                f'what is annotated; they hold {sorted(table)}')
        self.sampler, self.number = sampler, number
        self.known = np.zeros(int(table['index'].max()) + 1, bool)
        self.known[table['index']] = table['annotated']
        self.rows = np.flatnonzero([
            self.known[views].any() for views in sampler.views])
        if not len(self.rows):
            raise ValueError(
                f'annotated_groups={number}, but none of the '
                f'{len(sampler.views)} view groups has 3D labels: look at '
                "the data set's annotated, or set annotated_groups=0")
        most = len(sampler.packing(self.rows))
        wanted = number * sampler.world_size
        if most < wanted:
            print_log(
                f'{len(self.rows)} instants are annotated, and no more than '
                f'{most} of them are {sampler.gap:g} s apart; a step takes '
                f'{wanted}: some will be nearer, or stand there twice',
                'current', logging.WARNING)

    def stream(self, epoch: int) -> AnnotatedStream:
        """Those of an epoch."""
        return AnnotatedStream(self, epoch)


class AnnotatedStream:
    """What an epoch draws, lap by lap; all processes draw alike.

    Args:
        groups (AnnotatedGroups): From these.
        epoch (int): Its number.
    """

    def __init__(self, groups: AnnotatedGroups, epoch: int) -> None:
        self.groups, self.sampler = groups, groups.sampler
        # A stream of its own: the pairs are the same with and without.
        self.rng = np.random.Generator(np.random.Philox(
            key=[(self.sampler.seed + 0x6C6162656C) % 2**64, epoch]))
        self.left = np.zeros(0, np.int64)

    def draw(self, hands: Sequence[Sequence[int]],
             others: Sequence[int]) -> list[int]:
        """The annotated views of this process in one step.

        Args:
            hands (Sequence[Sequence[int]]): Subjects of each process.
            others (Sequence[int]): Instants that the step has already.
        """
        number = self.groups.number
        used: list[int] = []
        out: list[int] = []
        for rank, hand in enumerate(hands):
            rows: list[int] = []
            for apart in (True, True, False):
                self._pick(rows, hand, used, [*others, *used] if apart
                           else None)
                if len(rows) == number:
                    break
                # Used up, or too near: what is out comes back.
                lap = np.setdiff1d(self.groups.rows, self.left)
                self.left = np.concatenate([self.left, self.rng.permutation(
                    lap) if self.sampler.shuffle else lap])
            while len(rows) < number:  # a step wants more than there are
                rows += self.left[:number - len(rows)].tolist()
            used += rows
            for row in rows:
                views = self._views(row)
                if rank == self.sampler.rank:
                    out += views
        return out

    def _pick(self, rows: list[int], hand: Sequence[int], used: Sequence[int],
              others: Sequence[int] | None) -> None:
        """Moves instants from what is left to ``rows``.

        The hand's subjects first; the gap is kept from ``others`` and
        among ``rows``, unless ``others`` is None.
        """
        sampler = self.sampler
        taken: dict[int, list[float]] = {}
        for row in [] if others is None else [*others, *rows]:
            taken.setdefault(int(sampler.sequence[row]), []).append(
                float(sampler.seconds[row]))
        chosen = []
        for at in np.argsort(~np.isin(sampler.subject[self.left], hand),
                             kind='stable'):
            if len(rows) == self.groups.number:
                break
            row = int(self.left[at])
            times = taken.setdefault(int(sampler.sequence[row]), [])
            time = float(sampler.seconds[row])
            near = others is not None and any(
                abs(time - t) < sampler.gap - 1e-9 for t in times)
            if not near and row not in rows and row not in used:
                chosen.append(at)
                rows.append(row)
                times.append(time)
        self.left = np.delete(self.left, chosen)

    def _views(self, row: int) -> list[int]:
        """Different cameras of an instant, those with labels first."""
        views = self.sampler.views[row]
        if self.sampler.shuffle:
            views = self.rng.permutation(views)
        order = np.argsort(~self.groups.known[views], kind='stable')
        return views[order][:self.sampler.views_per_group].tolist()
