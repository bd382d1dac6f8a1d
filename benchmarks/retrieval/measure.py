"""Measures rows, each once, and puts them together."""
from __future__ import annotations

import hashlib
import io
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.metric_pose_supervision import METHODS, OPTIONS
from mirrorpose.evaluation.retrieval_scores import Finder
from mirrorpose.utils.files import write_atomically

from . import rows as ways
from .data import MISSING, HeldOut, unseen
from .rows import JOINTS, POSE, SEEDS, UNTRAINED, Run
from .scores import (
    COLUMNS,
    SETTINGS,
    Judged,
    as_arrays,
    difference,
    from_arrays,
    judge,
    pair_names,
    table,
)

#: Parts of a row: part to variant to sums.
Parts = dict[str, dict[str, Judged]]
WHOLE, AS_POSE = 'whole', 'pose'
#: Queries that lack joints are asked of models with these labels.
MISSING_LABELS = ('all', '5 %')


def digest(held: HeldOut) -> str:
    """Of the queries and of how they are judged."""
    text = repr((held.data.split_digest, len(held.samples.order), SETTINGS,
                 COLUMNS, MISSING, MISSING_LABELS))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def kept(path: Path, held: HeldOut, make: Callable[[], Parts],
         after: Path | None = None, again: bool = False) -> Parts:
    """What a file holds, or what is measured and written there.

    Args:
        path (Path): An ``.npz``.
        held (HeldOut): What is searched.
        make (Callable): Measures.
        after (Path, optional): A file that the measurement must be younger
            than: the checkpoint.
        again (bool): Measure in any case.
    """
    mark = digest(held)
    if not again and path.is_file() and (
            after is None or path.stat().st_mtime >= after.stat().st_mtime):
        with np.load(path, allow_pickle=False) as file:
            arrays = {k: file[k] for k in file.files}
        if str(arrays.pop('digest')) == mark:
            return {part: from_arrays({
                k.partition('|')[2]: v for k, v in arrays.items()
                if k.startswith(f'{part}|')})
                for part in dict.fromkeys(k.partition('|')[0]
                                          for k in arrays)}
    start = time.process_time()
    parts = make()
    buffer = io.BytesIO()
    np.savez_compressed(buffer, digest=np.array(mark), **{
        f'{part}|{key}': value for part, found in parts.items()
        for key, value in as_arrays(found).items()})
    write_atomically(path, lambda f: f.write_bytes(buffer.getvalue()))
    print(f'  {path.parent.name}/{path.stem}: '
          f'{time.process_time() - start:.0f} s', flush=True)
    return parts


def search(held: HeldOut, way: Finder) -> dict[str, Judged]:
    """All variants of one way to find."""
    return judge(held.samples, way, len(held.clip_names), held.azimuth)


def of_model(model: Any, held: HeldOut, pose: bool = True,
             missing: bool = True) -> Parts:
    """Embedding, regressed pose, and queries that lack joints."""
    vectors, poses = ways.embed(model, held)
    parts = {WHOLE: search(held, ways.by_vectors(held, vectors))}
    if pose:
        parts[AS_POSE] = search(held, ways.by_vectors(
            held, poses.flatten(1) / 1000))
    if missing and held.data.inputs == 'keypoints':
        for what in MISSING:
            asked, _ = ways.embed(model, held,
                                  seen=unseen(what, held.data))
            parts[what] = search(held, ways.by_vectors(
                held, asked, vectors))
    return parts


def of_finder(held: HeldOut, way: Finder, missing: bool = False) -> Parts:
    """One way to find; of 2D joints also with some of them missing."""
    parts = {WHOLE: search(held, way)}
    if missing:
        parts |= {what: search(held, ways.by_joints(
            held, unseen(what, held.data))) for what in MISSING}
    return parts


def of_untrained(data: str, seed: int, held: HeldOut) -> Parts:
    """The network as it begins."""
    return of_model(ways.untrained(data, seed), held, pose=False)


def of_run(run: Run, held: HeldOut) -> Parts:
    """A trained model."""
    share = run.row.partition('/')[2]
    return of_model(ways.trained(run), held,
                    missing=share in MISSING_LABELS)


def measure(held: HeldOut, data: str, runs: Sequence[Run], folder: Path,
            again: bool = False
            ) -> tuple[dict[str, dict[int, Parts]], dict[str, str]]:
    """All rows that can be had.

    Args:
        held (HeldOut): What is searched.
        data (str): Of ``CONFIGS``.
        runs (Sequence[Run]): Trained or not.
        folder (Path): For the files of what was measured.
        again (bool): Measure what was measured.

    Returns:
        tuple: Row to seed to parts, and rows (or seeds of rows) that are
        left out, with their reason.
    """
    found: dict[str, dict[int, Parts]] = {}

    def add(row: str, seed: int, make: Callable[[], Parts],
            after: Path | None = None) -> None:
        name = row.replace('/', '_').replace(' ', '')
        found.setdefault(row, {})[seed] = kept(
            folder / f'{name}_{seed}.npz', held, make, after, again)

    for name, finders in ways.references(held).items():
        for seed, finder in enumerate(finders):
            add(name, seed, partial(of_finder, held, finder))
    plain, left = ways.trivial(held)
    for name, finder in plain.items():
        add(name, 0, partial(of_finder, held, finder, name == JOINTS))
    for seed in SEEDS:
        add(UNTRAINED, seed, partial(of_untrained, data, seed, held))
    lost: dict[str, list[int]] = {}
    for run in runs:
        checkpoint = run.checkpoint
        if checkpoint is None:
            lost.setdefault(run.row, []).append(run.seed)
        else:
            add(run.row, run.seed, partial(of_run, run, held), checkpoint)
    left |= {row: f'not trained (seeds {", ".join(map(str, seeds))})'
             for row, seeds in lost.items()}
    return found, left


def results(held: HeldOut, found: Mapping[str, Mapping[int, Parts]],
            left: Mapping[str, str]) -> dict[str, Any]:
    """What is written of one kind of data."""
    pairs = pair_names(held.samples)

    def tables(rows: Mapping[str, Mapping[int, Parts]],
               part: str) -> dict[str, Any]:
        chosen = {name: [p[part] for p in seeds.values() if part in p]
                  for name, seeds in rows.items()}
        variants = next(iter(found['oracle'].values()))[WHOLE]
        return {v: {name: table([f[v] for f in its], pairs)
                    for name, its in chosen.items() if its}
                for v in variants}

    whole = tables(found, WHOLE)
    for variant, its in tables(found, AS_POSE).items():
        whole[variant] |= {name + POSE: row for name, row in its.items()}
    out = dict(
        held.describe(), digest=digest(held), gap=SETTINGS.gap,
        alignment=SETTINGS.alignment, hit=SETTINGS.hit,
        seeds={name: sorted(seeds) for name, seeds in found.items()},
        variants=whole, differences=differences(found),
        left_out=dict(left))
    if held.data.inputs == 'keypoints':
        out['missing'] = {what: tables(found, what) for what in MISSING}
    return out


def differences(found: Mapping[str, Mapping[int, Parts]]
                ) -> dict[str, dict[str, Any]]:
    """What each loss adds, over common seeds, by variant."""
    baseline, metric, both = METHODS
    asked = (((metric, WHOLE), (baseline, WHOLE)),
             ((both, WHOLE), (metric, WHOLE)),
             ((metric, WHOLE), (baseline, AS_POSE)),
             *(((option, WHOLE), (metric, WHOLE)) for option in OPTIONS))
    shares = dict.fromkeys(name.partition('/')[2] for name in found
                           if name.startswith(METHODS))
    out: dict[str, dict[str, Any]] = {}
    for share in shares:
        for (one, part), (other, part2) in asked:
            a, b = (found.get(f'{m}/{share}', {}) for m in (one, other))
            seeds = sorted(set(a) & set(b))
            if not seeds:
                continue
            title = f'{one}/{share} - {other}/{share}' + (
                POSE if part2 == AS_POSE else '')
            for variant in a[seeds[0]][part]:
                out.setdefault(variant, {})[title] = dict(
                    difference([a[s][part][variant] for s in seeds],
                               [b[s][part2][variant] for s in seeds]),
                    of_seeds=seeds)
    return out
