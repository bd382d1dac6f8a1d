"""Findings of the doctor, and how they are printed. Standard library only."""
from __future__ import annotations

import json
import textwrap
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

#: What a finding can be; a problem keeps training from working.
LEVELS = ('ok', 'note', 'problem')
_MARKS = {'ok': 'ok', 'note': 'note', 'problem': 'PROBLEM'}


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        section (str): Headline that it stands under.
        level (str): One of ``LEVELS``.
        text (str): What was found, one sentence.
        fix (str): The command (or change) that mends it; '' where nothing
            has to be done.
        details (tuple[str, ...]): Further lines.
    """

    section: str
    level: str
    text: str
    fix: str = ''
    details: tuple[str, ...] = ()


@dataclass
class Report:
    """All findings of a run, in order.

    Attributes:
        findings (list[Finding]): What was found.
        facts (dict): Numbers and versions, for the JSON file.
    """

    findings: list[Finding] = field(default_factory=list)
    facts: dict[str, Any] = field(default_factory=dict)

    def add(self, section: str, level: str, text: str, fix: str = '',
            details: Iterable[str] = ()) -> None:
        """Appends a finding.

        Raises:
            ValueError: The level is unknown.
        """
        if level not in LEVELS:
            raise ValueError(f'level must be one of {LEVELS}, got {level!r}')
        self.findings.append(Finding(section, level, ' '.join(text.split()),
                                     fix, tuple(details)))

    @property
    def problems(self) -> list[Finding]:
        """What keeps training from working."""
        return [f for f in self.findings if f.level == 'problem']

    def to_dict(self) -> dict[str, Any]:
        """The report as plain types."""
        counts = {level: sum(f.level == level for f in self.findings)
                  for level in LEVELS}
        return dict(works=not self.problems, counts=counts, facts=self.facts,
                    findings=[asdict(f) for f in self.findings])

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Report:
        """Inverse of :meth:`to_dict`."""
        report = cls(facts=dict(content['facts']))
        for item in content['findings']:
            report.findings.append(Finding(
                **{**item, 'details': tuple(item['details'])}))
        return report

    def write(self, path: str | Path) -> None:
        """Writes the report as JSON."""
        target = Path(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(json.dumps(self.to_dict(), indent=1) + '\n',
                          encoding='utf-8')

    def render(self, width: int = 100, show_ok: bool = True) -> str:
        """The report as text, one section after another.

        Args:
            width (int): Columns. Defaults to 100.
            show_ok (bool): Show what is in order, too. Defaults to True.
        """
        lines: list[str] = []
        shown = [f for f in self.findings if show_ok or f.level != 'ok']
        for section in dict.fromkeys(f.section for f in shown):
            if lines:
                lines.append('')
            lines.append(section)
            for finding in shown:
                if finding.section == section:
                    lines += _render(finding, width)
        counts = self.to_dict()['counts']
        verdict = ('training would work' if not self.problems else
                   f'{counts["problem"]} '
                   f'{"problem" if counts["problem"] == 1 else "problems"} '
                   'to mend first')
        lines += ['', f'{verdict} ({counts["ok"]} ok, {counts["note"]} '
                      f'{"note" if counts["note"] == 1 else "notes"}, '
                      f'{counts["problem"]} '
                      f'{"problem" if counts["problem"] == 1 else "problems"}'
                      ')']
        return '\n'.join(lines)


def _render(finding: Finding, width: int) -> list[str]:
    indent = ' ' * 11
    lines = textwrap.wrap(
        finding.text, max(width, 40), break_long_words=False,
        break_on_hyphens=False,
        initial_indent=f'  {_MARKS[finding.level]:<9}',
        subsequent_indent=indent)
    lines += [indent + line for detail in finding.details
              for line in detail.splitlines()]
    # a command is not broken: it is there to be copied
    return lines + ([f'{indent}-> {finding.fix}'] if finding.fix else [])
