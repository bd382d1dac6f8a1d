"""How a difference between two parts of a config is told."""
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Inconsistency:
    """One way in which the parts of a config do not fit together.

    Attributes:
        where (str): The places in the config, e.g. ``'model.head'``.
        what (str): What is wrong; may have several lines.
        fix (str): How to mend it.
        fatal (bool): False where training is possible and only doubtful.
    """

    where: str
    what: str
    fix: str
    fatal: bool = True

    def __str__(self) -> str:
        first, *rest = self.what.splitlines()
        lines = [f'{self.where}: {first}', *(f'  {line}' for line in rest),
                 f'  -> {self.fix}']
        return '\n'.join(lines)


def side_by_side(one: Sequence[str], other: Sequence[str], title: str,
                 other_title: str, most: int = 12) -> str:
    """Two lists of joint names beside each other, where they differ.

    Args:
        one (Sequence[str]): The first list.
        other (Sequence[str]): The second list.
        title (str): What the first is.
        other_title (str): What the second is.
        most (int): Rows that are shown. Defaults to 12.

    Returns:
        str: A table of the rows that differ, with the index of each.
    """
    rows = []
    for i in range(max(len(one), len(other))):
        a = one[i] if i < len(one) else '-'
        b = other[i] if i < len(other) else '-'
        if a != b:
            rows.append((i, a, b))
    wide = max([len(title), *(len(a) for _, a, _ in rows)], default=0)
    lines = [f'{"":>4}  {title:<{wide}}  {other_title}']
    lines += [f'{i:>4}  {a:<{wide}}  {b}' for i, a, b in rows[:most]]
    if len(rows) > most:
        lines.append(f'{"":>4}  ... and {len(rows) - most} more')
    return '\n'.join(lines)


def format_findings(findings: Sequence[Inconsistency]) -> str:
    """A numbered list of what does not fit."""
    return '\n'.join(f'{i}. {finding}'
                     for i, finding in enumerate(findings, 1))
