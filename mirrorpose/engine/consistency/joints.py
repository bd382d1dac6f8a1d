"""Joint names, flip pairs, limbs and weights, within and between data sets."""
from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from mmpose.registry import METRICS

from .reading import (
    Chain,
    JointSet,
    arguments,
    children,
    joint_set,
    leaves,
    type_name,
)
from .report import Inconsistency, side_by_side

#: How data sets write the side of a joint, left and right.
_SIDES = ((r'left', 'right'), (r'Left', 'Right'), (r'LEFT', 'RIGHT'),
          (r'^L_', 'R_'), (r'^l_', 'r_'), (r'_L$', '_R'), (r'_l$', '_r'))
_SPLITS = ('train', 'val', 'test')


def other_side(name: str, known: Mapping[str, Any]) -> str | None:
    """The joint of the right that belongs to one of the left, by name."""
    for left, right in _SIDES:
        partner = re.sub(left, right, name, count=1)
        if partner != name and partner in known:
            return partner
    return None


def check_joint_set(joints: JointSet) -> Iterator[Inconsistency]:
    """Mirror pairs, limbs, weights and sigmas of one joint set.

    What mmpose ships is reported as doubtful only: it is not the user's to
    mend.
    """
    info = joints.raw['keypoint_info']
    fatal = not joints.shipped
    where = f'{joints.where}, metainfo {joints.dataset_name!r}'

    def fault(what: str, fix: str) -> Inconsistency:
        return Inconsistency(where, what, fix, fatal)

    if list(info) != list(range(len(info))):
        yield fault(
            f'the ids of keypoint_info are {list(info)[:8]} ..., not 0, 1, 2 '
            '... in this order; mmpose takes the order of the entries for '
            'flips and colours, and the ids for the channels',
            'number the joints from 0 in the order in which they stand')
    names = [str(v['name']) for v in info.values()]
    twice = sorted({n for n in names if names.count(n) > 1})
    if twice:
        yield fault(f'the names {twice} are given twice',
                    'give every joint a name of its own')
    swaps = {str(v['name']): str(v.get('swap') or '') for v in info.values()}
    yield from _check_swaps(swaps, fault)
    limbs = [tuple(v['link']) for v in
             (joints.raw.get('skeleton_info') or {}).values()]
    for limb in limbs:
        unknown = [j for j in limb if j not in swaps]
        if unknown:
            yield fault(f'the limb {limb} of skeleton_info names {unknown}, '
                        f'which {"is" if len(unknown) == 1 else "are"} no '
                        'joint of keypoint_info',
                        f'use names of {names}')
    for key in ('joint_weights', 'sigmas'):
        values = joints.raw.get(key)
        if values is None:
            yield fault(f'{key} is missing', f'give {key} one number a joint '
                        f'({len(names)})')
        elif len(values) not in (0, len(names)):
            yield fault(f'{key} has {len(values)} numbers for {len(names)} '
                        'joints', f'give {key} one number a joint')


def _check_swaps(swaps: Mapping[str, str],
                 fault: Any) -> Iterator[Inconsistency]:
    """A flip must undo itself, and take left to right."""
    told: set[str] = set()
    for name, other in swaps.items():
        if not other or name in told:
            continue
        if other not in swaps:
            yield fault(f'{name!r} swaps with {other!r}, which is no joint',
                        'let "swap" name the joint of the other side, or \'\'')
        elif other != name and swaps[other] != name:
            yield fault(
                f'{name!r} swaps with {other!r}, but {other!r} swaps with '
                f'{swaps[other]!r}: flip_indices is no involution, and a '
                'picture flipped twice would not be itself',
                f'set the "swap" of {other!r} to {name!r}')
            told.add(other)
    for name, other in swaps.items():
        partner = other_side(name, swaps)
        if partner is None or other == partner or name in told:
            continue
        says = f'swaps with {other!r}' if other else 'has no "swap"'
        yield fault(
            f'{name!r} {says}, though there is a {partner!r}: flipped '
            'pictures would keep (or get) wrong labels there',
            f'set the "swap" of {name!r} to {partner!r}, and that of '
            f'{partner!r} to {name!r}')


def has_predictions(model: Mapping | None) -> bool:
    """Whether the model predicts joints (a pre-trained part may not)."""
    return isinstance(model, Mapping) and 'head' in model


def check_joints(cfg: Mapping) -> Iterator[Inconsistency]:
    """Joint sets of all loaders, each alone and against each other."""
    sets: dict[str, JointSet] = {}
    told: set[str] = set()
    for split in _SPLITS:
        loader = cfg.get(f'{split}_dataloader')
        for place, node in _data_sets(loader, f'{split}_dataloader'):
            outer = joint_set(node, place)
            if outer is not None and split not in sets:
                sets[split] = outer
            yield from _check_nested(node, place, outer)
            for leaf, inner in [(place, node), *leaves(node, place)]:
                found = joint_set(inner, leaf)
                key = repr(found.raw) if found is not None else ''
                if found is not None and key not in told:
                    told.add(key)
                    yield from check_joint_set(found)
    for split in ('val', 'test'):
        if 'train' not in sets or split not in sets:
            continue
        if _converts(cfg, split):
            continue
        one, other = sets['train'], sets[split]
        predicted = _predicted(cfg, one.names)
        same_as_val = split == 'test' and 'val' in sets and (
            sets['val'].names == other.names)
        if predicted != other.names and not same_as_val:
            yield Inconsistency(
                f'{one.where} and {other.where}',
                f'the joints differ ({len(predicted)} in training, '
                f'{len(other.names)} in {split}):\n'
                + side_by_side(predicted, other.names,
                               f'train ({one.dataset_name})',
                               f'{split} ({other.dataset_name})'),
                'give both data sets the same metainfo, or convert one '
                "with KeypointConverter, by name; mirrorpose's data sets "
                'convert to MPII\'s 16 by themselves')


def _predicted(cfg: Mapping, names: list[str]) -> list[str]:
    """Names of the joints that a trained model gives when tested."""
    test = (cfg.get('model') or {}).get('test_cfg') or {}
    chosen = test.get('output_keypoint_indices')
    if chosen and all(0 <= i < len(names) for i in chosen):
        return [names[i] for i in chosen]
    return names


def _data_sets(loader: Any, where: str) -> list[tuple[str, Mapping]]:
    """The outermost data sets of a loader (or of a list of loaders)."""
    if isinstance(loader, (list, tuple)):
        return [found for i, one in enumerate(loader)
                for found in _data_sets(one, f'{where}[{i}]')]
    if isinstance(loader, Mapping) and isinstance(loader.get('dataset'),
                                                  Mapping):
        return [(f'{where}.dataset', loader['dataset'])]
    return []


def _converts(cfg: Mapping, split: str) -> bool:
    """Whether an evaluator converts keypoints to other joints itself."""
    evaluators = cfg.get(f'{split}_evaluator')
    if isinstance(evaluators, Mapping):
        # mmpose's MultiDatasetEvaluator holds its metrics
        evaluators = evaluators.get('metrics') or [evaluators]
    for metric in evaluators or ():
        if isinstance(metric, Mapping):
            given = arguments(metric, METRICS)
            if given.get('pred_converter') or given.get('gt_converter'):
                return True
    return False


def _check_nested(node: Mapping, where: str,
                  outer: JointSet | None) -> Iterator[Inconsistency]:
    """Data sets inside a combining one against its joint set."""
    if outer is None:
        return
    for place, child in children(node, where):
        place, child, pipeline = _unwrapped(child, place)
        inner = joint_set(child, place)
        yield from _check_nested(child, place, inner)
        converters = [t for t in pipeline
                      if type_name(t) == 'KeypointConverter']
        if inner is None:
            continue
        if converters:
            yield from _check_converter(converters[-1], place, inner, outer)
        elif any('Converter' in type_name(t) for t in pipeline):
            continue
        elif len(inner.names) != len(outer.names):
            yield Inconsistency(
                f'{inner.where} in {outer.where}',
                f'the joints differ ({len(inner.names)} inside, '
                f'{len(outer.names)} outside) and nothing converts them:\n'
                + side_by_side(outer.names, inner.names, 'outside', 'inside'),
                'put a KeypointConverter into the inner pipeline, or give '
                'both the same metainfo')
        elif inner.names != outer.names:
            yield Inconsistency(
                f'{inner.where} in {outer.where}',
                'the joints have other names or another order, and nothing '
                'converts them:\n' + side_by_side(outer.names, inner.names,
                                                  'outside', 'inside'),
                'put a KeypointConverter into the inner pipeline, or give '
                'both the same metainfo', fatal=sorted(inner.names) == sorted(
                    outer.names))


def _unwrapped(node: Mapping, where: str
               ) -> tuple[str, Mapping, list[Mapping]]:
    """What a wrapper (``RepeatDataset``) wraps, with all its transforms."""
    pipeline = [t for t in node.get('pipeline') or []
                if isinstance(t, Mapping)]
    while isinstance(node.get('dataset'), Mapping) and not node.get(
            'metainfo'):
        node, where = node['dataset'], f'{where}.dataset'
        pipeline = [t for t in node.get('pipeline') or []
                    if isinstance(t, Mapping)] + pipeline
    return where, node, pipeline


def _check_converter(converter: Mapping, where: str, inner: JointSet,
                     outer: JointSet) -> Iterator[Inconsistency]:
    """A KeypointConverter's counts and indices."""
    place = f'{where}.pipeline (KeypointConverter)'
    count = converter.get('num_keypoints')
    if count != len(outer.names):
        yield Inconsistency(
            place, f'it makes {count} joints, but {outer.where} has '
            f'{len(outer.names)}', f'set num_keypoints={len(outer.names)}')
    for pair in converter.get('mapping') or ():
        sources = pair[0] if isinstance(pair[0], (list, tuple)) else [pair[0]]
        if any(not 0 <= s < len(inner.names) for s in sources) or not (
                0 <= pair[1] < len(outer.names)):
            yield Inconsistency(
                place, f'the mapping {tuple(pair)} leaves the '
                f'{len(inner.names)} source joints or the '
                f'{len(outer.names)} target joints',
                'indices count from 0')


def training_joints(cfg: Mapping) -> JointSet | None:
    """The joint set that the model is trained (else tested) on."""
    found = (evaluated_joints(cfg, split) for split in _SPLITS)
    return next((joints for joints in found if joints is not None), None)


def evaluated_joints(cfg: Mapping, split: str) -> JointSet | None:
    """The joint set of a validation or test loader."""
    for place, node in _data_sets(cfg.get(f'{split}_dataloader'),
                                  f'{split}_dataloader'):
        found = joint_set(node, place)
        if found is not None:
            return found
    return None


def loader_chains(cfg: Mapping, split: str) -> list[Chain]:
    """The pipelines of all leaf data sets of a loader."""
    from .reading import chains
    return [chain for place, node in _data_sets(
        cfg.get(f'{split}_dataloader'), f'{split}_dataloader')
        for chain in chains(node, place)]
