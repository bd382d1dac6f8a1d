"""Limits of logged values: when one is passed, and what to do then."""
from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

__all__ = ['Limit', 'Watch']


@dataclass(frozen=True)
class Limit:
    """Where a logged value begins to be bad.

    Args:
        key (str): Its name in the log.
        title (str): Its name for people.
        side (str): ``'below'`` or ``'above'``: where it is bad.
        value (float): The threshold.
        meaning (str): What has happened then; a clause.
        advice (str): What to change; a sentence.

    Raises:
        ValueError: Another side, or a threshold that is not finite.
    """

    key: str
    title: str
    side: str
    value: float
    meaning: str
    advice: str

    def __post_init__(self) -> None:
        if self.side not in ('below', 'above') or not math.isfinite(
                self.value):
            raise ValueError(
                f'the limit of {self.key} is a finite number that values '
                f'fall below or rise above, got {self.side!r} and '
                f'{self.value}')

    def passed(self, number: float) -> bool:
        """Whether a value is bad; NaN is not, since nothing is known."""
        return number < self.value if self.side == 'below' else \
            number > self.value


class Watch:
    """Says which limits are passed, and does not repeat itself.

    A limit counts as passed when the mean over the last looks is beyond it:
    a look at a few samples is noisy.

    Args:
        limits (Sequence[Limit]): A value may have several.
        begin (int): Iterations whose values are not judged. Defaults to 0.
        window (int): Looks that are averaged. Defaults to 1.
        repeat (int): A limit is spoken of once in so many iterations at
            most, however long it is passed. Defaults to 1000.

    Raises:
        ValueError: A number is out of range.
    """

    def __init__(self, limits: Sequence[Limit], begin: int = 0,
                 window: int = 1, repeat: int = 1000) -> None:
        if begin < 0 or window < 1 or repeat < 1:
            raise ValueError(
                'begin must not be negative, window and repeat must be at '
                f'least 1, got {begin}, {window} and {repeat}')
        self.limits, self.begin = list(limits), begin
        self.window, self.repeat = window, repeat
        self._seen: dict[str, deque[float]] = {}
        self._told: dict[str, int] = {}

    def see(self, iteration: int, values: Mapping[str, float]) -> list[str]:
        """Takes one look's values.

        Args:
            iteration (int): Counted from 0.
            values (Mapping[str, float]): By name; others than the limits'
                are not read, nor are those that are not finite.

        Returns:
            list[str]: A text for each limit that is to be spoken of now.
        """
        if iteration < self.begin:
            return []
        for key in dict.fromkeys(limit.key for limit in self.limits):
            number = float(values.get(key, math.nan))
            if math.isfinite(number):
                self._seen.setdefault(key, deque(
                    maxlen=self.window)).append(number)
        return [self._text(limit, iteration) for limit in self.limits
                if limit.key in values and self._due(limit, iteration)]

    def _mean(self, limit: Limit) -> float:
        seen = self._seen.get(limit.key, ())
        return sum(seen) / self.window if len(seen) == self.window \
            else math.nan

    def _due(self, limit: Limit, iteration: int) -> bool:
        told = self._told.get(f'{limit.key} {limit.side}')
        return limit.passed(self._mean(limit)) and (
            told is None or iteration - told >= self.repeat)

    def _text(self, limit: Limit, iteration: int) -> str:
        self._told[f'{limit.key} {limit.side}'] = iteration
        looks = f', mean of {self.window} looks' if self.window > 1 else ''
        return (f'iteration {iteration}: {limit.key} is '
                f'{self._mean(limit):.3g}, {limit.side} {limit.value:g}'
                f'{looks}: {limit.meaning}. {limit.advice} (Said again after '
                f'{self.repeat} iterations at the earliest.)')

    def state_dict(self) -> dict[str, Any]:
        """What a resumed run goes on with."""
        return dict(seen={k: list(v) for k, v in self._seen.items()},
                    told=dict(self._told))

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Takes what :meth:`state_dict` gave."""
        self._seen = {k: deque(v, maxlen=self.window)
                      for k, v in state['seen'].items()}
        self._told = {k: int(v) for k, v in state['told'].items()}
