"""Schedules of a resumed run whose config changed.

mmengine restores schedulers with all that they were built with, so a longer
or earlier decay in the config would be ignored in silence.
"""
from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

#: What of a scheduler's state is its progress; all else comes from the config.
PROGRESS = {'last_step', '_global_step', '_last_value', 'verbose'}


class Fresh(NamedTuple):
    """Schedulers as they were built.

    Attributes:
        states (list[dict]): Of each scheduler.
        values (list[list[float]]): What each governs (lr, momentum), by
            parameter group.
    """

    states: list[dict[str, Any]]
    values: list[list[float]]


def flat(schedulers: Any) -> Iterator[Any]:
    """All schedulers of a runner, several optimizers' too.

    But for those that go by validation scores, which nobody can replay.
    """
    if isinstance(schedulers, Mapping):
        for part in schedulers.values():
            yield from flat(part)
    else:
        yield from (s for s in schedulers or ()
                    if not getattr(s, 'need_val_args', False))


def remember(schedulers: Any) -> Fresh:
    """Takes down what was built, before a checkpoint is loaded."""
    every = list(flat(schedulers))
    return Fresh([copy.deepcopy(s.state_dict()) for s in every],
                 [[g[s.param_name] for g in s.optimizer.param_groups]
                  for s in every])


def changed(schedulers: Any, fresh: Fresh) -> list[str]:
    """In what the loaded schedulers differ from those that were built.

    Returns:
        list[str]: Such as ``'LinearLR: end 600 -> 200'``; empty if nothing
        does.
    """
    out = []
    for scheduler, built in zip(flat(schedulers), fresh.states):
        loaded = scheduler.state_dict()
        name = type(scheduler).__name__
        out += [f'{name}: {key} {loaded.get(key)} -> {built.get(key)}'
                for key in sorted(set(built) | set(loaded))
                if key not in PROGRESS and loaded.get(key) != built.get(key)]
    return list(dict.fromkeys(out))


def replay(schedulers: Any, fresh: Fresh, epochs: int,
           iterations: int) -> None:
    """Brings schedulers to where they would be, had they begun the run.

    Args:
        schedulers (list | dict): Of the runner; its optimizers' groups are
            set too.
        fresh (Fresh): What was built.
        epochs (int): That are behind.
        iterations (int): That are behind.
    """
    every: Sequence[Any] = list(flat(schedulers))
    for scheduler, state, values in zip(every, fresh.states, fresh.values):
        scheduler.load_state_dict(copy.deepcopy(state))
        for group, value in zip(scheduler.optimizer.param_groups, values):
            group[scheduler.param_name] = value
    by_epoch = [s for s in every if s.by_epoch]
    by_iteration = [s for s in every if not s.by_epoch]
    done = 0
    for epoch in range(max(epochs, 1)):
        until = iterations if epoch + 1 >= epochs else (
            iterations * (epoch + 1) // epochs)
        for _ in range(until - done):
            for scheduler in by_iteration:
                scheduler.step()
        done = until
        if epoch < epochs:
            for scheduler in by_epoch:
                scheduler.step()
