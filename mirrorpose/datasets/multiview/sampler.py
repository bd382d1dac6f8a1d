"""Whole view groups in every batch."""
from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Any

import numpy as np
from mmengine.dist import get_dist_info, sync_random_seed
from mmengine.logging import print_log
from mmpose.registry import DATA_SAMPLERS
from torch.utils.data import Sampler

from .annotated_groups import AnnotatedGroups


@DATA_SAMPLERS.register_module()
class ViewGroupSampler(Sampler):
    """Batches of view groups: several subjects, distant times.

    A batch of one process holds ``groups_per_batch`` instants, equally many
    of each of ``subjects_per_batch`` subjects, and ``views_per_group``
    different cameras of each, one behind the other: views ``[g * V, (g + 1)
    * V)`` of a batch are group g. Within one clip no two instants of a step
    are nearer than ``gap_seconds``, over all processes, since negatives come
    from all of them (spec 4.1, temporal relations).

    ``annotated_groups`` more instants have 3D labels (spec 4.3: pairs, plus
    labelled images) and stand behind the others. They are drawn from all
    annotated instants without repetition until these are used up, those of
    the batch's subjects first, and keep the gap from everything in the step.
    Where too few are annotated for that (a warning says so), nearer ones
    follow, then repetitions; losses know that they are no negatives. The
    other instants are the same with and without.

    An epoch has ``groups // (groups_per_batch * processes)`` steps, the same
    number everywhere. Each subject's instants are drawn without repetition
    until they are used up, then anew; subjects take turns. The order is a
    function of (seed, epoch) alone, whatever was drawn before. Groups with
    fewer than ``views_per_group`` views are left out.

    It is a plain sampler: give the loader ``batch_size = views_per_group *
    (groups_per_batch + annotated_groups)``, or both of them one
    ``batch_size``, which the runner then divides among processes where
    ``batch_size_is_global``.

    Args:
        dataset: Offers ``view_groups()``, see :class:`MultiViewDataset`.
        groups_per_batch (int, optional): Of one process, without the
            annotated ones. Defaults to 32.
        views_per_group (int): Defaults to 2.
        subjects_per_batch (int): Defaults to 4.
        annotated_groups (int): Of one process, on top. Defaults to 0.
        gap_seconds (float): Defaults to 1.
        shuffle (bool): Without, subjects, instants and cameras come in
            order, as far as the gap allows. Defaults to True.
        seed (int, optional): Defaults to a seed shared by all processes.
        batch_size (int, optional): In the place of ``groups_per_batch``:
            views of one process, the annotated ones included.

    Raises:
        TypeError: The data set has no ``view_groups``, or these do not say
            what is annotated.
        ValueError: A batch of this kind does not exist, or nothing is
            annotated.
    """

    def __init__(self, dataset: Any, groups_per_batch: int | None = None,
                 views_per_group: int = 2, subjects_per_batch: int = 4,
                 gap_seconds: float = 1., shuffle: bool = True,
                 seed: int | None = None, batch_size: int | None = None,
                 annotated_groups: int = 0) -> None:
        if not hasattr(dataset, 'view_groups'):
            raise TypeError('ViewGroupSampler wants a data set with '
                            'view_groups(), as MultiViewDataset, got '
                            f'{type(dataset).__name__}')
        if batch_size is not None:
            if groups_per_batch is not None or batch_size % max(
                    views_per_group, 1):
                raise ValueError(
                    'batch_size takes the place of groups_per_batch and is a '
                    f'multiple of views_per_group; got {batch_size}, '
                    f'{groups_per_batch} and {views_per_group}')
            groups_per_batch = batch_size // max(views_per_group, 1)
            groups_per_batch -= annotated_groups
        elif groups_per_batch is None:
            groups_per_batch = 32
        if min(groups_per_batch, subjects_per_batch) < 1 or \
                views_per_group < 2 or min(gap_seconds,
                                           annotated_groups) < 0:
            raise ValueError(
                'groups_per_batch and subjects_per_batch must be at least 1, '
                'views_per_group 2, gap_seconds and annotated_groups 0; got '
                f'{groups_per_batch}, {subjects_per_batch}, '
                f'{views_per_group}, {gap_seconds} and {annotated_groups}')
        if groups_per_batch % subjects_per_batch:
            raise ValueError(
                f'{groups_per_batch} groups cannot be shared equally by '
                f'{subjects_per_batch} subjects; change groups_per_batch or '
                'subjects_per_batch')
        self.rank, self.world_size = get_dist_info()
        self.groups_per_batch = groups_per_batch
        self.annotated_groups = annotated_groups
        self.batch_size = views_per_group * (
            groups_per_batch + annotated_groups)
        self.views_per_group = views_per_group
        self.subjects_per_batch = subjects_per_batch
        self.gap, self.shuffle, self.epoch = gap_seconds, shuffle, 0
        self.seed = sync_random_seed() if seed is None else seed
        table = dataset.view_groups()
        self._read(table)
        self.share = groups_per_batch // subjects_per_batch
        self._check()
        self.labelled = None if not annotated_groups else AnnotatedGroups(
            self, table, annotated_groups)
        self.iterations = max(
            len(self.views) // (groups_per_batch * self.world_size), 1)

    def _read(self, table: dict[str, np.ndarray]) -> None:
        """Groups with enough views, and what they are of."""
        order = np.lexsort((table['index'], table['group']))
        group = table['group'][order]
        _, first, count = np.unique(group, return_index=True,
                                    return_counts=True)
        keep = count >= self.views_per_group
        if not keep.any():
            raise ValueError(
                f'no view group has {self.views_per_group} views (the '
                f'largest has {count.max(initial=0)}), and a single view has '
                'no partner: take more cameras, or fewer views_per_group '
                '(2 at least)')
        if not keep.all():
            print_log(
                f'ViewGroupSampler: {int((~keep).sum())} of {len(keep)} view '
                f'groups have fewer than {self.views_per_group} views and '
                'are left out', 'current')
        self.views = [table['index'][order[f:f + c]] for f, c in zip(
            first[keep], count[keep])]
        rows = order[first[keep]]
        self.subject = table['subject'][rows]
        self.sequence = table['sequence'][rows]
        self.seconds = np.asarray(table['seconds'], float)[rows]
        self.members = {int(s): np.flatnonzero(self.subject == s)
                        for s in np.unique(self.subject)}

    def _check(self) -> None:
        """Stops where a batch cannot be filled."""
        people = len(self.members)
        if people < self.subjects_per_batch:
            raise ValueError(
                f'a batch wants {self.subjects_per_batch} subjects and there '
                f'are {people}; set subjects_per_batch={people}')
        # How often a subject's turn can come in one step, over all ranks.
        turns, rest = divmod(self.subjects_per_batch * self.world_size,
                             people)
        turns = min(turns + (2 if rest else 0), self.world_size)
        for subject, rows in self.members.items():
            most = len(self.packing(rows))
            if most < turns * self.share:
                raise ValueError(
                    f'subject {subject} has {most} instants that are '
                    f'{self.gap:g} s apart, and a step may want '
                    f'{turns * self.share} of them ({turns} x {self.share} '
                    f'in {self.world_size} processes); take fewer '
                    'groups_per_batch, more subjects_per_batch, or a smaller '
                    'gap_seconds')

    def packing(self, rows: np.ndarray) -> list[int]:
        """A largest set of instants of which no two are too near."""
        out: list[int] = []
        last: dict[int, float] = {}
        for row in rows[np.lexsort((self.seconds[rows],
                                    self.sequence[rows]))].tolist():
            clip, time = int(self.sequence[row]), float(self.seconds[row])
            if time - last.get(clip, -np.inf) >= self.gap - 1e-9:
                out.append(row)
                last[clip] = time
        return out

    def __iter__(self) -> Iterator[int]:
        """Indices of this process, batch by batch, group by group."""
        rng = np.random.Generator(np.random.Philox(
            key=[self.seed % 2**64, self.epoch]))
        queues = {s: self._lap(rows, rng) for s, rows in
                  self.members.items()}
        labelled = None if self.labelled is None else \
            self.labelled.stream(self.epoch)
        deck: list[int] = []
        for _ in range(self.iterations):
            hands = []
            for _ in range(self.world_size):
                hand, deck = self._deal(deck, rng)
                hands.append(hand)
            dealt = [s for hand in hands for s in hand]
            drawn = {s: iter(self._draw(s, dealt.count(s) * self.share,
                                        queues, rng))
                     for s in dict.fromkeys(dealt)}
            # Every process walks over what all of them get.
            dealt_rows = [[row for subject in hand for row in islice(
                drawn[subject], self.share)] for hand in hands]
            for row in dealt_rows[self.rank]:
                yield from self._cameras(row)
            if labelled is not None:
                yield from labelled.draw(
                    hands, [row for rows in dealt_rows for row in rows])

    def _lap(self, rows: np.ndarray, rng: np.random.Generator) -> list[int]:
        """One pass over a subject's instants, last first."""
        order = rng.permutation(rows) if self.shuffle else rows
        return order[::-1].tolist()

    def _deal(self, deck: list[int], rng: np.random.Generator
              ) -> tuple[list[int], list[int]]:
        """Different subjects for one process, in turns."""
        hand: list[int] = []
        later: list[int] = []
        while len(hand) < self.subjects_per_batch:
            if not deck:
                names = np.array(sorted(self.members))
                deck = (rng.permutation(names) if self.shuffle
                        else names).tolist()
            subject = deck.pop(0)
            (later if subject in hand else hand).append(subject)
        return hand, later + deck

    def _draw(self, subject: int, count: int, queues: dict[int, list[int]],
              rng: np.random.Generator) -> list[int]:
        """The next instants of a subject that keep the gap."""
        out: list[int] = []
        taken: dict[int, list[float]] = {}
        for lap in range(2):
            queue, waiting = queues[subject], []
            while queue and len(out) < count:
                row = queue.pop()
                times = taken.setdefault(int(self.sequence[row]), [])
                time = float(self.seconds[row])
                if row in out or any(abs(time - t) < self.gap - 1e-9
                                     for t in times):
                    waiting.append(row)
                else:
                    out.append(row)
                    times.append(time)
            queue += waiting[::-1]
            if len(out) == count:
                return out
            if not lap:  # used up: the next pass comes after what waits
                queues[subject] = self._lap(self.members[subject],
                                            rng) + queue
        # Chance left too little room: a set that is known to fit.
        rows = np.array(self.packing(self.members[subject]))
        if self.shuffle:
            rows = rng.permutation(rows)
        return rows[:count].tolist()

    def _cameras(self, row: int) -> list[int]:
        views = self.views[row]
        if self.shuffle:
            rng = np.random.Generator(np.random.Philox(
                key=[(self.seed * 1_000_003 + self.epoch) % 2**64, row]))
            views = rng.permutation(views)
        return views[:self.views_per_group].tolist()

    def __len__(self) -> int:
        return self.iterations * self.batch_size

    def set_epoch(self, epoch: int) -> None:
        """Called by mmengine before each epoch."""
        self.epoch = epoch
