"""Reading samples under a policy for broken ones, from any data set."""
from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from ..utils.random_state import seeded
from .annotation_checks import check_dataset, report_findings
from .broken import BrokenSampleError, BrokenSamples, broken_sample
from .members import leaves, locate, sample_name

#: How mmpose's LoadImage ends its errors, whatever their type.
_LOAD_IMAGE = re.compile(r'`(.*)` occurs when loading `(.*?)`', re.DOTALL)

_MASK = (1 << 64) - 1


def why_broken(error: BaseException) -> tuple[str, str] | None:
    """Tells a broken sample from a broken program.

    Args:
        error (BaseException): What reading a sample raised.

    Returns:
        tuple[str, str] | None: Reason, and file or annotation, for a
        :class:`BrokenSampleError`, an error of mmpose's ``LoadImage``, or a
        missing file; None for anything else.
    """
    if isinstance(error, BrokenSampleError):
        return error.reason, error.where
    held = _LOAD_IMAGE.search(str(error))
    if held is not None:
        return held.group(1), held.group(2)
    if isinstance(error, FileNotFoundError):
        return str(error), str(error.filename or '')
    return None


def guarded_getitem(dataset: Any,
                    index: int,
                    key: int,
                    broken: BrokenSamples,
                    tries: int = 16) -> Any:
    """Reads a sample; another takes the place of a broken one.

    The substitute comes from the same data set of a wrapper, so the parts of
    a batch keep their numbers, and is a function of the key alone: it is the
    same whether the broken sample is known or found just now. It draws its
    random numbers from the key anew; for the first attempt the caller has
    seeded the generators, as ``KeyedDataset`` does.

    Args:
        dataset: The data set, or a wrapper around some.
        index (int): Which sample.
        key (int): The sample's key, below 2**64.
        broken (BrokenSamples): Policy and list.
        tries (int): At most so many samples are tried. Defaults to 16.

    Returns:
        What ``dataset[index]`` returns.

    Raises:
        BrokenSampleError: The sample is broken and the policy ``'error'``;
            names its id and file, and says what to do.
        RuntimeError: More samples are broken than the list allows, or all
            substitutes are.
    """
    known = broken.policy == 'skip' and len(broken) > 0
    first = index
    for attempt in range(tries):
        if attempt:
            index = _substitute(dataset, first, int(key), attempt)
        if known and _name(dataset, index) in broken:
            continue
        try:
            if not attempt:
                return dataset[index]
            with seeded(int(key)):
                return dataset[index]
        except Exception as error:
            found = why_broken(error)
            if found is None:
                raise
            reason, where = found
            name = _name(dataset, index) or where or str(index)
            if broken.policy == 'error':
                raise broken_sample(name, reason, where) from error
            broken.report(name, reason, where)
            known = True
    raise RuntimeError(
        f'{tries} samples drawn in the place of sample '
        f'{_name(dataset, first) or first} are all broken; '
        + (f'they are listed in {broken.csv}' if broken.csv else
           f'known are {list(broken.reasons)[:8]}') + '. Mend the data')


def open_broken_samples(dataset: Any,
                        work_dir: str | Path,
                        policy: str = 'error',
                        max_share: float = 0.01,
                        csv: str = 'broken_samples.csv',
                        max_outside: float = 1.) -> BrokenSamples:
    """Checks the annotations of a data set, and begins or goes on its list.

    What a config's ``broken_samples = dict(...)`` says, but for the first
    two arguments.

    Args:
        dataset: For training; a data set or a wrapper around some.
        work_dir (str | Path): Where the list goes.
        policy (str): ``'error'`` or ``'skip'``. Defaults to ``'error'``.
        max_share (float): See :class:`BrokenSamples`. Defaults to 0.01.
        csv (str): Name of the list. Defaults to ``'broken_samples.csv'``.
        max_outside (float): See :func:`check_annotations`. Defaults to 1.

    Returns:
        BrokenSamples: For :func:`guard`.

    Raises:
        BrokenSampleError: An annotation is broken, and the policy
            ``'error'``.
        RuntimeError: More are broken than ``max_share`` allows.
    """
    members = [leaf.dataset for leaf in leaves(dataset)]
    left_out = [row for d in members for row in getattr(d, 'left_out', ())]
    broken = BrokenSamples(policy, max_share, Path(work_dir) / csv,
                           sum(len(d) for d in members) + len(left_out))
    broken.report_all(left_out)
    files = [str(d.ann_file) for d in members if getattr(d, 'ann_file', '')]
    report_findings(check_dataset(dataset, max_outside), broken,
                    ', '.join(dict.fromkeys(files)))
    return broken


def guard(broken: BrokenSamples,
          tries: int = 16) -> Callable[[Any, int, int], Any]:
    """A ``fetch`` for :class:`mirrorpose.datasets.keyed.KeyedDataset`.

    Args:
        broken (BrokenSamples): Policy and list.
        tries (int): See :func:`guarded_getitem`.

    Returns:
        Callable: ``fetch(dataset, index, key)``, which can be pickled.
    """
    return partial(guarded_getitem, broken=broken, tries=tries)


def _name(dataset: Any, index: int) -> str:
    place = locate(dataset, index)
    return '' if place is None else sample_name(place)


def _substitute(dataset: Any, index: int, key: int, attempt: int) -> int:
    """Another index of the same data set, a function of key and attempt."""
    place = locate(dataset, index)
    start, stop = (0, len(dataset)) if place is None else (place.start,
                                                           place.stop)
    # splitmix64, in Python's integers
    z = (key + attempt * 0x9E3779B97F4A7C15) & _MASK
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & _MASK
    return start + (z ^ (z >> 31)) % (stop - start)
