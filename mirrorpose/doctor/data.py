"""Data sets of a config: are they there, sound, and apart."""
from __future__ import annotations

import copy
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from mmengine.config import Config
from mmpose.registry import DATASETS

from mirrorpose.datasets.annotation_checks import check_dataset
from mirrorpose.datasets.members import raw_infos
from mirrorpose.datasets.reading import read_image
from mirrorpose.engine.consistency.reading import (
    defaults,
    leaves,
    resolve_type,
    type_name,
)

from . import leakage
from .findings import Report

DATA, SPLITS = 'Data', 'Splits'
_SPLITS = ('train', 'val', 'test')


@dataclass
class Collection:
    """One leaf data set, wherever a config names it.

    Attributes:
        node (Mapping): Its config, without pipeline.
        title (str): What it is called in the report.
        places (dict[str, set[str]]): Split to the stages that use it so.
        dataset: The built data set; None where that failed.
        infos (list[Mapping]): Its ``data_info``.
        facts (list[str]): What is in order about it.
        broken (bool): Something is not.
    """

    node: Mapping
    title: str
    places: dict[str, set[str]] = field(default_factory=dict)
    dataset: Any = None
    infos: list[Mapping] = field(default_factory=list)
    facts: list[str] = field(default_factory=list)
    broken: bool = False

    @property
    def source(self) -> tuple:
        """What ids are distinct in: class and file (or seed)."""
        return (type_name(self.node), self.node.get('data_root'),
                self.node.get('ann_file'), self.node.get('seed', 0),
                repr(self.node.get('world')))

    def paths(self) -> list[str]:
        """Files of its images; none for images that come with the data."""
        return [str(i['img_path']) for i in self.infos if i.get('img_path')
                and not isinstance(i.get('img'), np.ndarray)
                and not isinstance(i['img_path'], (list, tuple))]


def _without_pipeline(node: Mapping) -> dict:
    out = copy.deepcopy(dict(node))
    kind = resolve_type(out, DATASETS)
    if 'pipeline' in out or kind is None or 'pipeline' in defaults(kind):
        out['pipeline'] = []
    return out


def _title(node: Mapping) -> str:
    parts = [str(node[k]) for k in ('ann_file', 'subset', 'split', 'part')
             if node.get(k)]
    if node.get('with_silhouette'):
        parts.append('with silhouettes')
    return f'{type_name(node)}({", ".join(parts)})' if parts else \
        type_name(node)


def collect(stages: Mapping[str, Config]) -> list[Collection]:
    """All distinct leaf data sets of some runs."""
    found: dict[str, Collection] = {}
    for stage, cfg in stages.items():
        for split in _SPLITS:
            loader = cfg.get(f'{split}_dataloader')
            if not isinstance(loader, Mapping):
                continue
            for _, node in leaves(loader.get('dataset') or {}, ''):
                plain = _without_pipeline(node)
                key = json.dumps(plain, sort_keys=True, default=repr)
                entry = found.setdefault(key, Collection(plain,
                                                         _title(node)))
                entry.places.setdefault(split, set()).add(stage)
    return list(found.values())


def build(collections: Sequence[Collection], report: Report) -> None:
    """Builds each data set; what is missing says how to get it."""
    for entry in collections:
        try:
            entry.dataset = DATASETS.build(copy.deepcopy(dict(entry.node)))
            entry.infos = list(raw_infos(entry.dataset))
        except Exception as error:
            text = str(error).strip() or type(error).__name__
            lines = text.splitlines()
            command = next((s.strip() for s in lines
                            if s.strip().startswith(('python ', 'bash '))),
                           '')
            said = lines[0].removesuffix('Prepare them with').rstrip()
            report.add(DATA, 'problem', f'{entry.title}: {said}', command,
                       [s.removeprefix('or ') for s in lines[1:]
                        if s.strip() != command])
            continue
        if not len(entry.dataset):
            report.add(DATA, 'problem', f'{entry.title} is empty',
                       'check ann_file, indices and filter_cfg')


def summarise(collections: Sequence[Collection], report: Report) -> None:
    """One line about each data set that is in order."""
    for entry in collections:
        if entry.dataset is None or not len(entry.dataset) or entry.broken:
            continue
        splits = ', '.join(s for s in _SPLITS if s in entry.places)
        report.add(DATA, 'ok', '; '.join(
            [f'{entry.title} ({splits}): {len(entry.dataset)} samples',
             *entry.facts]))


def check_annotations(collections: Sequence[Collection],
                      report: Report) -> None:
    """Coordinates, visibilities, boxes and ids, without reading images."""
    for entry in collections:
        if entry.dataset is None or not any('keypoints' in i for i in
                                            entry.infos[:1]):
            continue
        findings = check_dataset(entry.dataset)
        broken = [f for f in findings if f.broken]
        counted = Counter(f.kind for f in findings if not f.broken)
        for kind, number in counted.items():
            entry.facts.append(f'{number} with joints {kind} of the image, '
                               'used as they are')
        if broken:
            kinds = Counter(f.kind for f in broken)
            said = ', '.join(f'{n} {k}' for k, n in kinds.items())
            entry.broken = True
            report.add(
                DATA, 'problem', f'{entry.title}: {len(broken)} annotations '
                f'are broken ({said})', "mend them, or set broken_samples="
                "dict(policy='skip') in the config",
                [f'{f.sample}: {f.reason}' for f in broken[:3]])


def check_images(collections: Sequence[Collection], report: Report,
                 count: int | None) -> None:
    """Decodes some images of each data set.

    Args:
        collections (Sequence[Collection]): Built ones.
        report (Report): Gets the findings.
        count (int | None): How many of each, evenly spread; None for all.
    """
    for entry in collections:
        paths = list(dict.fromkeys(entry.paths()))
        if not paths:
            continue
        if count is not None and count < len(paths):
            paths = [paths[i] for i in np.linspace(
                0, len(paths) - 1, count).round().astype(int)]
        bad = []
        for path in paths:
            try:
                read_image(path)
            except (ValueError, OSError) as error:
                bad.append(str(error).splitlines()[0])
        if bad:
            entry.broken = True
            report.add(
                DATA, 'problem', f'{entry.title}: {len(bad)} of '
                f'{len(paths)} images that were decoded are broken',
                "mend them, or set broken_samples=dict(policy='skip') in "
                'the config', bad[:3])
        else:
            entry.facts.append(f'{len(paths)} of {len(set(entry.paths()))} '
                               'images decode')


def _on(collections: Sequence[Collection], *splits: str) -> list[Collection]:
    return [c for c in collections if c.dataset is not None
            and any(s in c.places for s in splits)]


def check_ids(collections: Sequence[Collection], report: Report) -> None:
    """Ids that stand in training and test, or on both sides of the labels."""
    train, held_out = _on(collections, 'train'), _on(collections, 'val',
                                                     'test')
    shared = _shared_ids(train, held_out)
    for one, other, ids in shared:
        report.add(
            SPLITS, 'problem', f'{len(ids)} samples of {one.title} are '
            f'trained on and tested on ({other.title})',
            'give training and test different subsets',
            [f'e.g. {", ".join(ids[:5])}'])
    if train and held_out and not shared:
        report.add(SPLITS, 'ok', 'no sample id is in training and in test')
    labelled = [c for c in train if c.node.get('part') == 'labelled']
    others = [c for c in train if c.node.get('part') == 'unlabelled']
    mixed = _shared_ids(labelled, others)
    for one, _, ids in mixed:
        report.add(
            SPLITS, 'problem', f'{len(ids)} samples of {one.title} count as '
            'labelled and as unlabelled',
            'give both parts the same label_fraction and split_seed',
            [f'e.g. {", ".join(ids[:5])}'])
    if labelled and others and not mixed:
        counts = [sum(len(c.infos) for c in side)
                  for side in (_distinct(labelled), others)]
        report.add(SPLITS, 'ok', 'labelled and unlabelled samples are apart '
                   f'({counts[0]} and {counts[1]})')


def _distinct(collections: Sequence[Collection]) -> list[Collection]:
    """One collection a source: with and without silhouettes is one."""
    best: dict[tuple, Collection] = {}
    for entry in collections:
        held = best.get(entry.source)
        if held is None or len(entry.infos) > len(held.infos):
            best[entry.source] = entry
    return list(best.values())


def _shared_ids(one: Sequence[Collection], other: Sequence[Collection]
                ) -> list[tuple[Collection, Collection, list[str]]]:
    found = []
    seen: set[tuple] = set()
    for a in one:
        for b in other:
            if a.source != b.source:
                continue
            mine = {str(i['id']) for i in a.infos if 'id' in i}
            both = [str(i['id']) for i in b.infos
                    if str(i.get('id')) in mine]
            key = (a.source, tuple(both))
            if both and key not in seen:
                seen.add(key)
                found.append((a, b, both))
    return found


def check_leakage(collections: Sequence[Collection], report: Report,
                  near: bool = False) -> None:
    """The same image in training and in test, by content.

    Args:
        collections (Sequence[Collection]): Built ones.
        report (Report): Gets the findings.
        near (bool): Look for almost equal images, too.
    """
    sides = [[p for c in _on(collections, *splits) for p in c.paths()]
             for splits in (('train', ), ('val', 'test'))]
    if not all(sides):
        return
    numbers = [len(set(s)) for s in sides]
    try:
        pairs = leakage.equal_files(*sides)
    except (OSError, KeyError, ValueError) as error:
        report.add(SPLITS, 'note', f'images could not be compared: {error}')
        return
    if pairs:
        report.add(
            SPLITS, 'problem', f'{len(pairs)} test images are in the '
            'training data, byte for byte', 'take them out of one of the '
            'two: subset, or a list of indices',
            [f'{p.other} = {p.one}' for p in pairs[:3]])
    else:
        report.add(SPLITS, 'ok', f'none of {numbers[1]} test images is among '
                   f'the {numbers[0]} training images (by content)')
    if not near:
        return
    exact = {(p.one, p.other) for p in pairs}
    small = [leakage.read_small(s, read_image) for s in sides]
    close = [(small[0][1][a], small[1][1][b])
             for a, b in leakage.near_pairs(small[0][0], small[1][0])]
    close = [c for c in close if c not in exact]
    if close:
        report.add(SPLITS, 'note', f'{len(close)} pairs of training and test '
                   'images look almost equal: look at them', '',
                   [f'{b} ~ {a}' for a, b in close[:5]])
    else:
        report.add(SPLITS, 'ok', 'no test image looks almost like a training '
                   'image')


def check_label_leakage(collections: Sequence[Collection],
                        report: Report) -> None:
    """The same image annotated once and un-annotated elsewhere."""
    train = _on(collections, 'train')
    sides = [[p for c in train if c.node.get('part') == part
              for p in c.paths()] for part in ('labelled', 'unlabelled')]
    if not all(sides):
        return
    try:
        pairs = leakage.equal_files(*sides)
    except (OSError, KeyError, ValueError):
        return  # told where training and test are compared
    # several people of one image may be on both sides
    pairs = [p for p in pairs if p.one != p.other]
    if pairs:
        report.add(
            SPLITS, 'note', f'{len(pairs)} unlabelled images are among the '
            'labelled ones, byte for byte: less than it seems is unlabelled',
            '', [f'{p.other} = {p.one}' for p in pairs[:3]])
