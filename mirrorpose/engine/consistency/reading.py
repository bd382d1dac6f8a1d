"""What a config says about data sets, pipelines and codecs, built of nothing.

No data set is built and no annotation is read: joint sets come from the
metainfo of the classes and of the config.
"""
from __future__ import annotations

import copy
import functools
import inspect
import random
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.config import Config
from mmpose.registry import DATASETS, KEYPOINT_CODECS

from mirrorpose.structures import Skeleton

#: Data sets whose argument ``joints`` names the joint set of their samples.
_JOINTS_BY_NAME = ('CombinedPoseDataset', 'FramePairDataset',
                   'StillPairDataset', 'SyntheticPoseDataset',
                   'UnpairedPoseDataset')


@contextmanager
def untouched_random_states() -> Iterator[None]:
    """Leaves the random states of python, numpy and torch as they were."""
    python, legacy = random.getstate(), np.random.get_state()  # noqa: NPY002
    try:
        with torch.random.fork_rng(devices=[]):
            yield
    finally:
        random.setstate(python)
        np.random.set_state(legacy)  # noqa: NPY002


def resolve_type(node: Any, registry: Any) -> type | None:
    """The class that a config entry names; None where there is none."""
    kind = node.get('type') if isinstance(node, Mapping) else None
    if isinstance(kind, type):
        return kind
    if not isinstance(kind, str):
        return None
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        try:
            found = registry.get(kind)
        except Exception:  # a scope whose package is not installed
            return None
    return found if isinstance(found, type) else None


def defaults(kind: type) -> dict[str, Any]:
    """Default arguments of a class, also those behind ``**kwargs``."""
    out: dict[str, Any] = {}
    for cls in kind.__mro__:
        init = cls.__dict__.get('__init__')
        if init is None:
            continue
        parameters = inspect.signature(init).parameters.values()
        for p in parameters:
            if p.default is not p.empty:
                out.setdefault(p.name, p.default)
        if not any(p.kind is p.VAR_KEYWORD for p in parameters):
            break
    return out


def arguments(node: Mapping, registry: Any) -> dict[str, Any]:
    """A config entry with the defaults of its class filled in."""
    kind = resolve_type(node, registry)
    filled = defaults(kind) if kind is not None else {}
    return {**filled, **{k: v for k, v in node.items() if k != 'type'}}


def type_name(node: Mapping) -> str:
    """What a config entry is called in a message."""
    kind = node.get('type', '?')
    return kind if isinstance(kind, str) else kind.__name__


@dataclass
class JointSet:
    """A joint set as a data set has it.

    Attributes:
        where (str): The config entry that it comes from.
        raw (Mapping): mmpose's raw metainfo (``keypoint_info`` ...).
        shipped (bool): It is a file of mmpose, not the user's.
    """

    where: str
    raw: Mapping[str, Any]
    shipped: bool = False

    @property
    def dataset_name(self) -> str:
        """The metainfo's ``dataset_name``."""
        return str(self.raw.get('dataset_name', ''))

    @property
    def names(self) -> list[str]:
        """Joint names, in the order of the channels."""
        info = self.raw['keypoint_info']
        return [str(info[i]['name']) for i in sorted(info)]


@dataclass
class Chain:
    """The transforms that the samples of one leaf data set go through."""

    where: str
    transforms: list[tuple[str, Mapping]]
    converted: bool = False
    codecs: list[tuple[str, Any]] = field(default_factory=list)

    def of_type(self, *names: str) -> list[tuple[str, Mapping]]:
        """Transforms of these types, with their places."""
        return [(w, t) for w, t in self.transforms if type_name(t) in names]


def _metainfo_file(name: str) -> Path | None:
    """A metainfo file, found as mmpose finds it."""
    import mmpose
    own = Path(mmpose.__file__).parent / '.mim/configs/_base_/datasets'
    path = Path(name) if Path(name).is_file() else own / Path(name).name
    return path if path.is_file() else None


@functools.lru_cache(maxsize=64)
def _read_metainfo(path: str, stamp: int) -> Mapping[str, Any]:
    """``dataset_info`` of a metainfo file; ``stamp`` tells a changed one."""
    content = Config.fromfile(path).get('dataset_info') or {}
    return content.to_dict() if hasattr(content, 'to_dict') else content


def raw_metainfo(metainfo: Any) -> tuple[Mapping[str, Any] | None, bool]:
    """Raw metainfo of an inline dict or of ``from_file``.

    Returns:
        tuple: The metainfo (None where it cannot be had) and whether it is a
        file of mmpose's own.
    """
    if not isinstance(metainfo, Mapping):
        return None, False
    shipped = 'from_file' in metainfo
    if shipped:
        path = _metainfo_file(str(metainfo['from_file']))
        if path is None:
            return None, False
        shipped = 'mmpose' in path.resolve().parts
        metainfo = _read_metainfo(str(path), path.stat().st_mtime_ns)
    return (metainfo, shipped) if 'keypoint_info' in metainfo else (None,
                                                                    False)


def joint_set(node: Mapping, where: str) -> JointSet | None:
    """The joint set of a data set's config entry, without building it.

    Wrappers (``dataset=...``) are looked through. None where it cannot be
    told.
    """
    if not isinstance(node, Mapping):
        return None
    kind = resolve_type(node, DATASETS)
    given = node.get('metainfo')
    label = f'{where} ({type_name(node)})'
    if given is None and type_name(node) in _JOINTS_BY_NAME:
        name = node.get('joints', 'mpii_16')
        try:
            given = Skeleton.from_name(name).metainfo()
        except ValueError:
            return None  # the data set says so when it is built
    if given is None and isinstance(node.get('dataset'), Mapping):
        return joint_set(node['dataset'], f'{where}.dataset')
    if given is None:
        given = copy.deepcopy(getattr(kind, 'METAINFO', None))
    raw, shipped = raw_metainfo(given)
    return None if raw is None else JointSet(label, raw, shipped)


def _transforms(node: Mapping, where: str) -> list[tuple[str, Mapping]]:
    listed = node.get('pipeline') or []
    return [(f'{where}.pipeline[{i}]', t) for i, t in enumerate(listed)
            if isinstance(t, Mapping)]


def children(node: Mapping, where: str) -> list[tuple[str, Mapping]]:
    """The data sets inside a combining or wrapping one."""
    if isinstance(node.get('datasets'), (list, tuple)):
        return [(f'{where}.datasets[{i}]', d)
                for i, d in enumerate(node['datasets'])
                if isinstance(d, Mapping)]
    if isinstance(node.get('dataset'), Mapping):
        return [(f'{where}.dataset', node['dataset'])]
    return []


def chains(node: Mapping, where: str,
           after: tuple[tuple[str, Mapping], ...] = ()) -> list[Chain]:
    """Pipelines of all leaf data sets below a config entry.

    A leaf's own transforms come first, then those of the data sets around
    it.
    """
    mine = _transforms(node, where)
    inner = children(node, where)
    if not inner:
        steps = [*mine, *after]
        return [Chain(where, steps, any(
            'Converter' in type_name(t) for _, t in steps))]
    return [chain for place, child in inner
            for chain in chains(child, place, (*mine, *after))]


def leaves(node: Mapping, where: str) -> list[tuple[str, Mapping]]:
    """All leaf data sets below a config entry, with their places."""
    inner = children(node, where)
    if not inner:
        return [(where, node)]
    return [leaf for place, child in inner for leaf in leaves(child, place)]


def is_codec(node: Any) -> bool:
    """Whether a config entry names a registered codec."""
    return resolve_type(node, KEYPOINT_CODECS) is not None


def codecs_below(node: Any, where: str) -> list[tuple[str, Mapping]]:
    """Codecs anywhere below a config entry (not below another codec)."""
    if isinstance(node, Mapping):
        if is_codec(node):
            return [(where, node)]
        return [found for k, v in node.items()
                for found in codecs_below(v, f'{where}.{k}')]
    if isinstance(node, (list, tuple)):
        return [found for i, v in enumerate(node)
                for found in codecs_below(v, f'{where}[{i}]')]
    return []


def decoder_of(model: Mapping) -> tuple[str, Mapping] | None:
    """The codec that decodes a model's predictions, with its place."""
    head = model.get('head')
    for _ in range(3):  # heads around heads (VisPredictHead)
        if not isinstance(head, Mapping):
            return None
        for key in ('data_decoder', 'decoder'):
            if is_codec(head.get(key)):
                return f'model.head.{key}', head[key]
        head = head.get('pose_cfg')
    return None
