"""The data sets inside of a wrapper, and the names of their samples."""
from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mmengine.dataset import BaseDataset, RepeatDataset
from mmpose.datasets import CombinedDataset
from torch.utils.data import ConcatDataset, Subset


@dataclass(frozen=True)
class Leaf:
    """A data set that wraps no other.

    Attributes:
        dataset: The data set.
        number (int): Which of the wrapper's leaves it is.
        alone (bool): Whether the wrapper has no other.
    """

    dataset: Any
    number: int
    alone: bool


@dataclass(frozen=True)
class Place:
    """Where an index of a wrapper leads.

    Attributes:
        leaf (Leaf): The data set that the sample comes from.
        index (int): Its index there.
        start, stop (int): The wrapper's indices that lead to this leaf.
    """

    leaf: Leaf
    index: int
    start: int
    stop: int


def _children(dataset: Any) -> list[Any] | None:
    if isinstance(dataset, (CombinedDataset, ConcatDataset)):
        return list(dataset.datasets)
    inner: Any = vars(dataset).get('dataset') if hasattr(
        dataset, '__dict__') else None
    if isinstance(dataset, RepeatDataset) or (
            hasattr(inner, '__len__') and not isinstance(dataset, Subset)
            and len(inner) == len(dataset)):
        return [inner]  # the latter: index for index, as KeyedDataset
    return None


def _leaves(dataset: Any) -> list[Any]:
    children = _children(dataset)
    if children is None:
        return [dataset]
    return [leaf for child in children for leaf in _leaves(child)]


def leaves(dataset: Any) -> list[Leaf]:
    """The data sets that are wrapped, in order; the data set itself if none.

    Args:
        dataset: A data set, or mmpose's ``CombinedDataset``, mmengine's
            ``ConcatDataset`` or ``RepeatDataset`` around some, or a wrapper
            with an attribute ``dataset`` of equal length.
    """
    found = _leaves(dataset)
    return [Leaf(d, i, len(found) == 1) for i, d in enumerate(found)]


def locate(dataset: Any, index: int) -> Place | None:
    """Finds where an index leads.

    Args:
        dataset: As for :func:`leaves`.
        index (int): At least 0, below ``len(dataset)``.

    Returns:
        Place | None: None where that is random (a ``CombinedDataset`` with
        ``sample_ratio_factor``).
    """
    before, base, alone = 0, 0, len(_leaves(dataset)) == 1
    while (children := _children(dataset)) is not None:
        if getattr(dataset, 'resample', False):
            return None
        if len(children) == 1:
            # Every lap of a RepeatDataset has the same samples: stay in it.
            lap = index // len(children[0])
            base += lap * len(children[0])
            index -= lap * len(children[0])
            dataset = children[0]
            continue
        for child in children:
            if index < len(child):
                dataset = child
                break
            index -= len(child)
            base += len(child)
            before += len(_leaves(child))
    return Place(Leaf(dataset, before, alone), index, base,
                 base + len(dataset))


def raw_info(dataset: Any, index: int) -> Mapping[str, Any] | None:
    """A leaf's ``data_info`` as it was loaded; no image, no metainfo.

    Returns:
        Mapping | None: None for data sets that have none.
    """
    if isinstance(dataset, BaseDataset):
        # Not mmpose's: it copies the metainfo into each of them.
        return BaseDataset.get_data_info(dataset, index)
    return None


def raw_infos(dataset: Any) -> list[Mapping[str, Any]]:
    """All of a leaf's ``data_info``; empty for data sets that have none."""
    if not isinstance(dataset, BaseDataset):
        return []
    dataset.full_init()
    return [BaseDataset.get_data_info(dataset, i)
            for i in range(len(dataset))]


def _name(leaf: Leaf, index: int, info: Mapping[str, Any] | None) -> str:
    known = (info or {}).get('id', index)
    # A number is distinct within its own data set alone.
    return str(known) if leaf.alone or isinstance(known, str) else \
        f'{leaf.number}/{known}'


def sample_names(leaf: Leaf,
                 infos: Sequence[Mapping[str, Any]]) -> list[str]:
    """Names of all samples of a leaf, as :func:`sample_name` gives them."""
    return [_name(leaf, i, info) for i, info in enumerate(infos)]


def sample_name(place: Place) -> str:
    """The name under which a sample is listed: its id.

    A number gets its data set's number in front where there are several.
    """
    return _name(place.leaf, place.index,
                 raw_info(place.leaf.dataset, place.index))
