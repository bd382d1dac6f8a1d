"""What is done about broken samples: one policy, one list that names them.

A sample is broken when its file is missing, empty, truncated or cannot be
decoded (:mod:`.reading`), or when its annotation cannot be true
(:mod:`.annotation_checks`).
"""
from __future__ import annotations

import csv as csv_format
import io
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

try:
    import fcntl
except ImportError:  # no POSIX: one process at a time
    fcntl = None  # type: ignore[assignment]

POLICIES = ('error', 'skip')
COLUMNS = ('sample', 'reason', 'where')

_HEADER = (','.join(COLUMNS) + '\n').encode()

#: How an error tells what else can be done; the runner reads the option.
HOW_TO_SKIP = ("or go on without broken samples, which are then listed: "
               "broken_samples=dict(policy='skip') in the config")


class BrokenSampleError(ValueError):
    """One sample cannot be used; the text says what, where, what to do.

    Args:
        message (str): The whole text. Alone it is enough, since torch and
            mmpose raise errors anew from their text.
        sample (str): Name of the sample. Defaults to ''.
        reason (str): What is wrong with it. Defaults to the message.
        where (str): File or annotation that is to be mended. Defaults to ''.
    """

    def __init__(self, message: str, sample: str = '', reason: str = '',
                 where: str = '') -> None:
        super().__init__(message)
        self.sample, self.where = sample, where
        self.reason = reason or message

    def __reduce__(self) -> tuple:
        return type(self), (str(self), self.sample, self.reason, self.where)


class BrokenSamples:
    """Policy and list of the broken samples of one data set.

    The list is a CSV, one line a sample, that data loading workers, ranks
    and a resumed run share: each appends under a lock and reads what others
    appended, so every sample stands there once and the limit holds over all
    of them. Samples of an existing CSV count as broken without being read
    again; after mending some, delete their lines or the file.

    Args:
        policy (str): ``'error'``: the first broken sample stops the run.
            ``'skip'``: it is listed and another takes its place. Defaults to
            ``'error'``.
        max_share (float): The run stops when more than this share of the
            data set is broken, in [0, 1]. Defaults to 0.01.
        csv (str | Path, optional): The list, columns sample, reason, where.
            Defaults to None: kept in memory, by each process for itself.
        total (int): Samples of the data set. Defaults to 0, which allows
            none to be broken.

    Raises:
        TypeError, ValueError: An argument is out of range, or the CSV is
            something else.
    """

    def __init__(self,
                 policy: str = 'error',
                 max_share: float = 0.01,
                 csv: str | Path | None = None,
                 total: int = 0) -> None:
        if policy not in POLICIES:
            raise ValueError(f'the policy for broken samples is one of '
                             f'{POLICIES}, got {policy!r}')
        if not isinstance(max_share, (int, float)):
            raise TypeError('max_share is a number in [0, 1], got '
                            f'{max_share!r}')
        if not 0 <= max_share <= 1:
            raise ValueError(f'max_share lies in [0, 1], got {max_share}')
        if total < 0:
            raise ValueError(f'total counts samples, got {total}')
        self.policy, self.max_share, self.total = policy, max_share, total
        self.csv = None if csv is None else Path(csv)
        self._reasons: dict[str, str] = {}
        self._end = 0
        if policy == 'skip':
            self._refresh()

    def report(self, sample: str, reason: str, where: str = '') -> None:
        """Says that a sample is broken.

        Args:
            sample (str): Its name.
            reason (str): What is wrong.
            where (str): File or annotation to mend.

        Raises:
            BrokenSampleError: The policy is ``'error'``.
            RuntimeError: More samples are broken than ``max_share`` allows.
        """
        if self.policy == 'error':
            raise broken_sample(sample, reason, where)
        self.report_all([(sample, reason, where)])

    def report_all(self, rows: Sequence[tuple[str, str, str]]) -> None:
        """Says that samples are broken: all are listed, then counted.

        Args:
            rows (Sequence[tuple[str, str, str]]): Sample, reason, where.

        Raises:
            BrokenSampleError, RuntimeError: As :meth:`report`.
        """
        if self.policy == 'error' and rows:
            self.report(*rows[0])
        rows = [_one_line(*row) for row in rows]
        rows = [row for row in rows if row[0] not in self._reasons]
        if self.csv is None:
            for sample, reason, _ in rows:
                self._reasons.setdefault(sample, reason)
        elif rows:
            self._append(rows)
        self.check()

    def check(self) -> None:
        """Stops when more is broken than allowed.

        Raises:
            RuntimeError: The last reasons are named, and the file that has
                them all.
        """
        count = len(self)
        allowed = int(self.max_share * self.total + 1e-9)  # .29 of 100 is 29
        if count <= allowed:
            return
        last = [f'{s}: {r}' for s, r in list(self._reasons.items())[-3:]]
        share = (f'{count / self.total:.2%}' if self.total else
                 'more than none')
        raise RuntimeError(
            f'{count} of {self.total} samples are broken ({share}), and '
            f'max_share={self.max_share:g} allows {allowed}. The last: '
            f'{"; ".join(last)}. '
            + (f'All are listed in {self.csv}. ' if self.csv else '')
            + 'Mend the data (and delete the list), or raise max_share')

    @property
    def reasons(self) -> dict[str, str]:
        """What is wrong with each broken sample that is known so far."""
        self._refresh()
        return dict(self._reasons)

    def __contains__(self, sample: object) -> bool:
        self._refresh()
        return sample in self._reasons

    def __len__(self) -> int:
        self._refresh()
        return len(self._reasons)

    def __repr__(self) -> str:
        return (f'{type(self).__name__}({self.policy!r}, max_share='
                f'{self.max_share}, csv={str(self.csv)!r}, total='
                f'{self.total})')

    # -- the file ---------------------------------------------------------
    def _refresh(self) -> None:
        """Reads what others appended."""
        if self.csv is None:
            return
        try:
            size = self.csv.stat().st_size
        except FileNotFoundError:
            size = 0
        if size == self._end:
            return
        if size < self._end:  # deleted or shortened: begin anew
            self._reasons, self._end = {}, 0
        if size:
            with self.csv.open('rb') as file:
                self._read(file)

    def _append(self, rows: Sequence[tuple[str, str, str]]) -> None:
        """Adds lines, but those that another process has added."""
        assert self.csv is not None
        self.csv.parent.mkdir(parents=True, exist_ok=True)
        with self.csv.open('a+b') as file, _locked(file) as held:
            if os.fstat(file.fileno()).st_size < self._end:
                self._reasons, self._end = {}, 0
            self._read(file)
            new = {r[0]: r for r in reversed(rows)
                   if r[0] not in self._reasons}
            if not new:
                return
            text = io.StringIO()
            writer = csv_format.writer(text, lineterminator='\n')
            if not self._end:
                writer.writerow(COLUMNS)
            writer.writerows(reversed(new.values()))
            if held:  # what a killed process left of its line
                file.truncate(self._end)
            file.write(text.getvalue().encode())
            file.flush()
            self._read(file)

    def _read(self, file: Any) -> None:
        """Reads whole lines from where the last reading ended."""
        file.seek(self._end)
        data = file.read()
        data = data[:data.rfind(b'\n') + 1]
        body = data
        if data and not self._end:
            if not data.startswith(_HEADER):
                raise ValueError(
                    f'{self.csv} begins with {data[:40]!r}; a list of broken '
                    f'samples has the columns {",".join(COLUMNS)}. Delete it '
                    'or name another file')
            body = data[len(_HEADER):]
        for row in csv_format.reader(io.StringIO(body.decode())):
            if len(row) == len(COLUMNS):
                self._reasons.setdefault(row[0], row[1])
        self._end += len(data)


def _one_line(*texts: str) -> tuple[str, str, str]:
    sample, reason, where = (' '.join(str(t).split()) for t in texts)
    return sample, reason, where


def broken_sample(sample: str, reason: str,
                  where: str = '') -> BrokenSampleError:
    """The error about one sample.

    Args:
        sample (str): Its name.
        reason (str): What is wrong.
        where (str): File or annotation to mend. Defaults to ''.
    """
    sample, reason, where = _one_line(sample, reason, where)
    place = f' ({where})' if where and where != sample else ''
    return BrokenSampleError(
        f'sample {sample}{place} is broken: {reason}. Mend it or take it out '
        f'of the data set; {HOW_TO_SKIP}', sample, reason, where)


@contextmanager
def _locked(file: Any) -> Iterator[bool]:
    """Holds a file for this process alone; yields whether that worked."""
    held = False
    if fcntl is not None:
        try:
            fcntl.flock(file, fcntl.LOCK_EX)
            held = True
        except OSError:  # some network file systems; an append is one write
            pass
    try:
        yield held
    finally:
        if held:
            fcntl.flock(file, fcntl.LOCK_UN)
