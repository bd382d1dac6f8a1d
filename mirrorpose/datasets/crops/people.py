"""The annotations of a data set as columns, read once."""
from __future__ import annotations

import copy
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..transforms import DropLabels
from .augment import Boxes
from .pipeline import CropPlan, Loading

#: What the fast pipeline computes; everything else is a column.
COMPUTED = ('ori_shape', 'img_shape', 'input_size', 'input_center',
            'input_scale', 'flip', 'flip_direction', 'bbox_center',
            'bbox_scale', 'bbox_rotation')
#: What only the stock pipeline holds at its end.
_UNKNOWN = ('img', 'img_mask', 'heatmaps', 'keypoint_weights', 'silhouette',
            'transformed_keypoints', 'dataset', 'field_mapping_table',
            'label_mapping_table', 'instance_mapping_table')
#: Stands where a sample lacks a key that others have.
MISSING = '<missing>'


def wanted_keys(plan: CropPlan) -> list[str]:
    """Keys of a sample that its ``PoseDataSample`` is made of.

    Raises:
        ValueError: ``PackPoseInputs`` asks for what is not kept.
    """
    lost = [k for k in plan.pack.meta_keys if k in _UNKNOWN]
    if lost:
        raise ValueError(
            f'the fast pipeline cannot do PackPoseInputs(meta_keys) with '
            f'{lost}; leave them out, or use the stock pipeline for this '
            'loader')
    keys = list(plan.pack.meta_keys) + list(plan.pack.instance_mapping_table)
    return [k for k in dict.fromkeys(keys)
            if k not in COMPUTED + ('keypoints', 'keypoints_visible')]


@dataclass
class People:
    """N annotated people.

    Attributes:
        center (np.ndarray), scale (np.ndarray): (N, 2) float32, of the
            padded box (w, h).
        keypoints (np.ndarray): (N, K, 2) pixels.
        visible (np.ndarray): (N, K).
        shape (np.ndarray): (N, 2) int32, (h, w) of the images; zero where
            not yet known.
        columns (dict): Further keys: an array (N, ...), or a list.
    """

    center: np.ndarray
    scale: np.ndarray
    keypoints: np.ndarray
    visible: np.ndarray
    shape: np.ndarray
    columns: dict[str, Any] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.center)

    def boxes(self, rows: np.ndarray | slice = slice(None)) -> Boxes:
        """The boxes of some people."""
        center = self.center[rows]
        return Boxes(center, self.scale[rows], self.keypoints[rows],
                     self.visible[rows], self.shape[rows, 1],
                     np.zeros(len(center), np.float32))


def read_people(infos: Iterable[dict], plan: CropPlan, loading: Loading,
                constants: dict, where: str) -> People:
    """Puts what a data set says about its samples into columns.

    Args:
        infos (Iterable[dict]): The ``data_info`` of each sample.
        plan (CropPlan): The pipeline.
        loading (Loading): ``DropLabels`` and ``LoadBlankImage`` among it are
            run here.
        constants (dict): What is the same for all, from the metainfo.
        where (str): Name of the data set, for messages.

    Raises:
        ValueError: A sample is not one person with 2D keypoints.
    """
    drop = next((s for s in loading.steps if type(s) is DropLabels), None)
    keys = wanted_keys(plan)
    center, scale, points, visible, shape = [], [], [], [], []
    lists: dict[str, list] = {k: [] for k in keys}
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')  # MPII brings its own box centres
        for info in infos:
            name = f'{where}, sample {info.get("id")!r}'
            _check(info, name)
            if drop is not None:
                info = drop(info)
            if loading.blank:
                info.setdefault('img_path', '')
            # The box before GetBBoxCenterScale: it does not change it.
            info = plan.box(info)
            center.append(info['bbox_center'][0])
            scale.append(info['bbox_scale'][0])
            points.append(info['keypoints'][0])
            visible.append(info['keypoints_visible'][0])
            shape.append((1, 1) if loading.blank else (0, 0))
            for key in keys:
                lists[key].append(info[key] if key in info else
                                  constants.get(key, MISSING))
    if len({len(p) for p in points}) > 1:
        raise ValueError(f'{where}: the samples have different numbers of '
                         f'joints: {sorted({len(p) for p in points})}')
    columns = {k: _column(v) for k, v in lists.items()
               if any(_given(x) for x in v)}
    return People(np.array(center, np.float32), np.array(scale, np.float32),
                  np.array(points), np.array(visible),
                  np.array(shape, np.int32), columns)


def _given(value: Any) -> bool:
    return not (isinstance(value, str) and value == MISSING)


def _check(info: dict, name: str) -> None:
    for key, shape in (('bbox', (1, 4)), ('keypoints', (1, None, 2)),
                       ('keypoints_visible', (1, None))):
        value = info.get(key)
        found = getattr(value, 'shape', None)
        if found is None or len(found) != len(shape) or any(
                s not in (None, f) for s, f in zip(shape, found)):
            raise ValueError(
                f'{name}: {key} has the shape {found}, and the fast pipeline '
                f'wants {shape} (None: the number of joints), one person a '
                'sample; use the stock pipeline for this loader')


def _column(values: Sequence[Any]) -> Any:
    """An array where all values are arrays alike, else a list."""
    first = values[0]
    if isinstance(first, np.ndarray) and all(
            isinstance(v, np.ndarray) and v.shape == first.shape
            and v.dtype == first.dtype for v in values):
        return np.stack(values)
    return list(values)


def join_people(parts: Sequence[People]) -> People:
    """People of several data sets, one after the other.

    Raises:
        ValueError: They have different numbers of joints.
    """
    counts = [p.keypoints.shape[1] for p in parts]
    if len(set(counts)) > 1:
        raise ValueError(f'the data sets have {counts} joints; they must have '
                         'the same')
    columns: dict[str, Any] = {}
    for key in dict.fromkeys(k for p in parts for k in p.columns):
        own = [p.columns.get(key, [MISSING] * len(p)) for p in parts]
        if all(isinstance(c, np.ndarray) and c.shape[1:] == own[0].shape[1:]
               and c.dtype == own[0].dtype for c in own):
            columns[key] = np.concatenate(own)
        else:
            columns[key] = [v for c in own for v in c]
    return People(columns=columns, **{
        name: np.concatenate([getattr(p, name) for p in parts]) for name in
        ('center', 'scale', 'keypoints', 'visible', 'shape')})


def take(column: Any, rows: np.ndarray) -> Any:
    """Rows of a column."""
    if isinstance(column, np.ndarray):
        return column[rows]
    return [column[r] for r in rows.tolist()]


def constants_of(top: Any, leaf: Any) -> dict:
    """What mmpose adds to every sample from the metainfo.

    A ``CombinedDataset`` replaces what its members added, except for the
    name and the limbs.
    """
    own, outer = leaf.metainfo, top.metainfo
    names = ('dataset_name', 'skeleton_links')
    others = ('upper_body_ids', 'lower_body_ids', 'flip_pairs',
              'dataset_keypoint_weights', 'flip_indices')
    return copy.deepcopy({**{k: own[k] for k in names if k in own},
                          **{k: outer[k] for k in others if k in outer}})
