"""Metrics against the joints that they are given, and the model's input."""
from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from mmpose.evaluation.metrics import (
    NME,
    CocoMetric,
    JhmdbPCKAccuracy,
    MpiiPCKAccuracy,
    PCKAccuracy,
)
from mmpose.registry import METRICS, MODELS

from mirrorpose.evaluation.pck import LspPCK, _landmarks
from mirrorpose.structures import Skeleton

from .joints import evaluated_joints, has_predictions, loader_chains
from .reading import JointSet, arguments, leaves, resolve_type, type_name
from .report import Inconsistency, side_by_side

#: The joints 4 and 5 that mmpose takes for the torso: JHMDB's.
_TORSO = ({'left_shoulder', 'right_hip'}, {'right_shoulder', 'left_hip'})


def _metrics(evaluator: Any, where: str) -> list[tuple[str, Mapping]]:
    if isinstance(evaluator, Mapping):
        if isinstance(evaluator.get('metrics'), (list, tuple)):
            return _metrics(evaluator['metrics'], f'{where}.metrics')
        return [(where, evaluator)]
    if isinstance(evaluator, (list, tuple)):
        return [found for i, one in enumerate(evaluator)
                for found in _metrics(one, f'{where}[{i}]')]
    return []


def check_metrics(cfg: Mapping) -> Iterator[Inconsistency]:
    """Each metric against the joints of its loader."""
    told: set[str] = set()
    for split in ('val', 'test'):
        joints = evaluated_joints(cfg, split)
        if joints is None:
            continue
        for where, metric in _metrics(cfg.get(f'{split}_evaluator'),
                                      f'{split}_evaluator'):
            kind = resolve_type(metric, METRICS)
            if kind is None:
                continue
            given = arguments(metric, METRICS)
            if given.get('pred_converter') or given.get('gt_converter'):
                continue  # it looks at other joints than the data set's
            for finding in _check_metric(kind, given, joints,
                                         f'{where} ({type_name(metric)})',
                                         cfg, split):
                if finding.what not in told:
                    told.add(finding.what)
                    yield finding


def _check_metric(kind: Any, given: Mapping, joints: JointSet, where: str,
                  cfg: Mapping, split: str) -> Iterator[Inconsistency]:
    both = f'{where} and {joints.where}'
    names = joints.names
    norms = given.get('norm_item') or ()
    norms = [norms] if isinstance(norms, str) else list(norms)
    if issubclass(kind, PCKAccuracy) and 'torso' in norms and (
            set(names[4:6]) not in _TORSO):
        yield Inconsistency(
            both, "norm_item='torso' is the distance of the joints 4 and 5, "
            f'which are {names[4:6]} here: a torso in JHMDB alone',
            "use LspPCK(norm='torso'), which looks joints up by name, or "
            "norm_item='bbox'")
    if issubclass(kind, JhmdbPCKAccuracy):
        yield from _expect(both, names, 'JHMDB',
                           _shipped_names('jhmdb.py'), 'PCKAccuracy')
    elif issubclass(kind, MpiiPCKAccuracy):
        yield from _expect(both, names, 'MPII',
                           list(Skeleton.from_name('mpii_16').joints),
                           'LspPCK, or PCKAccuracy')
        if 'head' in norms:
            yield from _check_head_sizes(cfg, split, where)
    if issubclass(kind, LspPCK):
        try:
            _landmarks(Skeleton.from_metainfo(joints.raw))
        except ValueError as error:
            yield Inconsistency(both, str(error), 'use PCKAccuracy, or '
                                'convert the data to the 16 joints')
    if issubclass(kind, NME) and given.get('norm_mode') == \
            'keypoint_distance':
        indices = given.get('keypoint_indices')
        if indices is None and joints.dataset_name not in \
                kind.DEFAULT_KEYPOINT_INDICES:
            yield Inconsistency(
                both, 'it knows no two joints to measure '
                f'{joints.dataset_name!r} by', 'give keypoint_indices=(a, b)')
        elif indices is not None and (len(indices) != 2 or not all(
                0 <= i < len(names) for i in indices)):
            yield Inconsistency(
                both, f'keypoint_indices={tuple(indices)} are no two of '
                f'{len(names)} joints', 'give two indices from 0')
    if issubclass(kind, CocoMetric) and 'keypoints' in str(
            given.get('iou_type', 'keypoints')):
        sigmas = joints.raw.get('sigmas')
        if sigmas is not None and len(sigmas) != len(names):
            yield Inconsistency(
                both, f'OKS needs a sigma a joint, the metainfo has '
                f'{len(sigmas)} for {len(names)}',
                'give the metainfo sigmas, or use PCKAccuracy')


def _shipped_names(file: str) -> list[str]:
    from .reading import raw_metainfo
    raw, _ = raw_metainfo(dict(from_file=file))
    return JointSet('', raw).names if raw is not None else []


def _expect(where: str, names: list[str], title: str, expected: list[str],
            instead: str) -> Iterator[Inconsistency]:
    """A metric with joint indices written into it needs these joints."""
    if expected and names != expected:
        yield Inconsistency(
            where, f'it has the indices of {title}\'s {len(expected)} joints '
            'written into it, and the data have others:\n'
            + side_by_side(expected, names, title, 'data'),
            f'use {instead}')


def _check_head_sizes(cfg: Mapping, split: str,
                      where: str) -> Iterator[Inconsistency]:
    loader = cfg.get(f'{split}_dataloader') or {}
    for place, node in leaves(loader.get('dataset') or {},
                              f'{split}_dataloader.dataset'):
        if 'Mpii' in type_name(node) and not node.get('headbox_file'):
            yield Inconsistency(
                f'{where} and {place}', "norm_item='head' needs head sizes, "
                'and the data set has no headbox_file',
                "set headbox_file='.../mpii_gt_val.mat'")


def check_inputs(cfg: Mapping) -> Iterator[Inconsistency]:
    """Normalisation, flip test and batch composition."""
    model = cfg.get('model') or {}
    prepare = model.get('data_preprocessor')
    if isinstance(prepare, Mapping):
        yield from _check_normalisation(prepare)
    yield from _check_flip_test(cfg, model)
    loader = cfg.get('train_dataloader') or {}
    sampler = loader.get('sampler') if isinstance(loader, Mapping) else None
    if isinstance(sampler, Mapping) and 'batch_size' in sampler and \
            loader.get('batch_size') not in (None, sampler['batch_size']):
        yield Inconsistency(
            'train_dataloader',
            f'batch_size={loader["batch_size"]}, but its '
            f'{type_name(sampler)} composes batches of '
            f'{sampler["batch_size"]}', 'give both the same number')


def _check_normalisation(prepare: Mapping) -> Iterator[Inconsistency]:
    where = f'model.data_preprocessor ({type_name(prepare)})'
    given = arguments(prepare, MODELS)
    mean, std = given.get('mean'), given.get('std')
    if (mean is None) != (std is None):
        yield Inconsistency(where, f'mean={mean}, std={std}: one without '
                            'the other', 'give both or neither')
        return
    if mean is None or std is None:
        return
    numbers = all(isinstance(v, (int, float)) for v in (*mean, *std))
    if not numbers or len(mean) != len(std) or len(mean) not in (1, 3):
        yield Inconsistency(where, f'mean={list(mean)}, std={list(std)}',
                            'give three numbers each (or one, for grey '
                            'pictures)')
        return
    if min(std) <= 0:
        yield Inconsistency(where, f'std={list(std)} is not positive',
                            'give the spread of the pixel values')
    elif 0 < max(mean) <= 1:
        yield Inconsistency(
            where, f'mean={list(mean)} is that of pixel values in [0, 1], '
            'but pictures come as 0 to 255', 'multiply mean and std by 255',
            fatal=False)
    if given.get('bgr_to_rgb') and given.get('rgb_to_bgr'):
        yield Inconsistency(where, 'bgr_to_rgb and rgb_to_bgr are both set',
                            'set one of them')


def _check_flip_test(cfg: Mapping, model: Mapping) -> Iterator[Inconsistency]:
    """A flip test reads flip_indices from the packed samples."""
    if not has_predictions(model) or not (model.get('test_cfg') or {}).get(
            'flip_test'):
        return
    for split in ('val', 'test'):
        for chain in loader_chains(cfg, split):
            for where, pack in chain.of_type('PackPoseInputs'):
                keys = pack.get('meta_keys')
                if keys is not None and 'flip_indices' not in keys:
                    yield Inconsistency(
                        f'model.test_cfg and {where}',
                        "flip_test=True needs 'flip_indices' among the "
                        'meta_keys of PackPoseInputs',
                        "add 'flip_indices' to meta_keys")
                    return
