"""Synchronised views with 3D joints for some, as an mmpose data set."""
from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.dataset import Compose
from mmengine.logging import print_log
from mmpose.datasets.datasets.utils import parse_pose_metainfo
from mmpose.registry import DATASETS
from torch.utils.data import Dataset

from ..crops.dataset import default_cache_dir
from ..keyed import sample_keys
from ..sequences.parts import in_part
from ..splits import split_digest
from .annotation import annotated_instants
from .augment import Augmentation
from .cache import open_cache
from .detections import read_detections, view_id
from .labels import view_labels
from .packing import pack
from .selection import matching, whole_groups, with_calibration
from .sources import ViewSource
from .triangulation import triangulated_poses
from .views import ROOT, SKELETON, Views

SPLIT_BY = ('subject', 'group', 'clip')
UNCALIBRATED = ('error', 'drop', 'unannotated')
#: Share of the crop's side from which on a view is doubted.
TRIANGULATION_SCALE = .03


@DATASETS.register_module()
class MultiViewDataset(Dataset):
    """Views of people by synchronised cameras; one sample is one view.

    All views of an instant are a *view group*. ``ViewGroupSampler`` puts
    whole groups into batches.

    ``[i]`` and :meth:`get_batch` give ``inputs``, (3, S, S) uint8 BGR (or
    (17, 3) float32, see ``inputs``), and a ``PoseDataSample``:

    - ``gt_instance_labels``: ``keypoints_3d_canonical`` (1, 17, 3) and
      ``keypoints_3d_camera`` (1, 17, 3), root-relative mm, float32;
      ``camera_rotation`` (1, 3, 3), canonical to camera; ``pose_annotated``
      (1,) 0. or 1.; ``intrinsics`` (1, 3, 3), ``extrinsics`` (1, 3, 4) of
      the crop, world (mm) to camera, NaN without calibration.
    - ``gt_instances``: ``keypoints`` (1, 17, 2) pixels of the input,
      ``keypoints_visible`` (1, 17), ``bboxes`` (1, 4), ``bbox_scores``.
    - metainfo: ``id``, ``img_path``, ``subject``, ``subject_index`` (among
      the subjects of this data set), ``sequence`` (the clip, with its
      subject), ``action``, ``frame``, ``seconds``, ``camera``,
      ``view_group``, ``flip``, ``input_size``.

    Un-annotated views have NaN in their 3D labels and rotation; outside of
    ``test_mode`` this object does not even keep them (see ``triangulated``
    for what can take their place). A joint that the source does not know is
    NaN in annotated views, too.

    Args:
        source (dict | ViewSource): See :mod:`.sources`.
        data_root (str): Folder of the data. Defaults to ''.
        part (str): ``'train'``, ``'val'``, ``'test'`` or ``'all'``.
        held_out (Mapping, optional): ``val`` and ``test``, each names,
            patterns or a share; see :func:`parts.assign_parts`.
        split_by (str): What is held out: ``'subject'``, ``'group'`` (of the
            source: a style, a skeleton) or ``'clip'``. Defaults to
            ``'subject'``.
        split_seed (int): Of shares. Defaults to 0.
        subjects, cameras, actions (Sequence[str], optional): Patterns of
            what is kept. Default to all.
        stride (int | Sequence[int]): Every n-th frame number of a clip is
            kept; of several numbers, every n-th of any. Defaults to 1.
        annotated (Mapping, optional): Who has 3D joints; see
            :func:`annotated_instants`. All by default.
        min_views (int): An instant that fewer cameras saw is left out and
            counted in the log. Defaults to 2; 1 for tests on one camera.
        require_all_views (bool): A missing view is an error. Defaults to
            False.
        uncalibrated (str): What happens to a view without calibration, whose
            3D joints nobody can turn into its camera's frame: ``'error'``,
            ``'drop'``, or ``'unannotated'``: it stays, without 3D joints.
            Defaults to ``'error'``.
        inputs (str): ``'image'``, or ``'keypoints'`` (17, 3): x, y of the 2D
            joints in [-1, 1], the square around them being that range, and
            1 where the joint lies in the image, else all three 0. Defaults
            to ``'image'``.
        detections (str, optional): A file of what a recognizer found in
            the views (``tools/detect_views.py``): the 2D joints are these,
            not the true ones. Needs ``inputs='keypoints'``.
        min_score (float): Detections of less count as not found. Defaults
            to 0.
        triangulated (bool): Instants without annotation get the 3D joints
            that the ``detections`` of their calibrated cameras imply, less
            the systematic error that annotated ones show
            (:func:`triangulated_poses`; lens distortion is not undone, 9 mm
            with Human3.6M's lenses). Labels are made of these, with
            ``pose_annotated`` 1; ``view_groups`` and ``pose_statistics``
            count annotated ones alone. Not in ``test_mode``. Defaults to
            False.
        augmentation (Mapping, optional): Arguments of
            :class:`Augmentation`. None in ``test_mode``, and by default.
        seed (int): Of the draws of the stock path. Defaults to 0.
        cache_dir (str, optional): Folder of the caches. Defaults to
            ``MIRRORPOSE_CACHE`` or ``work_dirs/crops``.
        pipeline (Sequence): mmpose transforms. With any, ``[i]`` runs them
            on :meth:`get_data_info` and there is no ``get_batch``. Defaults
            to ().
        test_mode (bool): Labels for all, no augmentation. Defaults to False.
        metainfo (dict, optional): Replaces the joint set's.

    Raises:
        FileNotFoundError: Data are missing.
        ValueError: An argument is out of range, nothing is left, or
            triangulation has no two calibrated cameras of any instant.
    """

    METAINFO: dict = SKELETON.metainfo()

    def __init__(self, source: dict | ViewSource, data_root: str = '',
                 part: str = 'all', held_out: Mapping | None = None,
                 split_by: str = 'subject', split_seed: int = 0,
                 subjects: Sequence[str] | None = None,
                 cameras: Sequence[str] | None = None,
                 actions: Sequence[str] | None = None,
                 stride: int | Sequence[int] = 1,
                 annotated: Mapping[str, Any] | None = None,
                 min_views: int = 2, require_all_views: bool = False,
                 uncalibrated: str = 'error', inputs: str = 'image',
                 detections: str | None = None, min_score: float = 0.,
                 triangulated: bool = False,
                 augmentation: Mapping[str, Any] | None = None,
                 seed: int = 0, cache_dir: str | None = None,
                 pipeline: Sequence[dict | Callable] = (),
                 test_mode: bool = False,
                 metainfo: dict | None = None) -> None:
        for name, value, known in (
                ('split_by', split_by, SPLIT_BY),
                ('uncalibrated', uncalibrated, UNCALIBRATED),
                ('inputs', inputs, ('image', 'keypoints'))):
            if value not in known:
                raise ValueError(f'{name} must be one of {known}, got '
                                 f'{value!r}')
        strides = np.atleast_1d(np.asarray(stride))
        if not len(strides) or strides.min() < 1 or min_views < 1:
            raise ValueError('stride and min_views must be at least 1, got '
                             f'{stride} and {min_views}')
        self.source = DATASETS.build(source) if isinstance(
            source, Mapping) else source
        if not isinstance(self.source, ViewSource):
            raise TypeError(f'source must be a ViewSource, got '
                            f'{type(self.source).__name__}')
        if inputs == 'image' and not self.source.has_images:
            raise ValueError(f'{self.source.name} has no images, only '
                             "joints; set inputs='keypoints'")
        if detections is not None and inputs != 'keypoints':
            raise ValueError("detections are 2D joints: set "
                             "inputs='keypoints'")
        if triangulated and detections is None:
            raise ValueError(
                'triangulated=True without detections would read the true '
                '2D joints of un-annotated instants, which are labels; give '
                'detections (tools/detect_views.py makes them)')
        self.inputs, self.test_mode, self.seed = inputs, test_mode, seed
        self._metainfo = parse_pose_metainfo(
            dict(metainfo or self.METAINFO))
        cache = open_cache(
            self.source, data_root,
            Path(cache_dir) if cache_dir else default_cache_dir(),
            inputs == 'image')
        self._cache = cache
        where = f'MultiViewDataset of {self.source.name}'
        views = cache.views
        names = dict(subject=views.subjects, group=views.groups,
                     clip=views.clips)[split_by]
        keep = in_part(names.tolist(), part, held_out or {}, split_seed,
                       where)
        keep &= matching(views.subjects, subjects, 'subjects', where)
        keep &= matching(views.actions, actions, 'actions', where)
        framed = (views.frame[:, None] % strides == 0).any(1)
        keep = (keep[views.clip] & framed)[views.instant]
        keep &= matching(views.cameras, cameras, 'cameras', where)
        keep &= with_calibration(views, keep, uncalibrated, where)
        rows = whole_groups(views, np.flatnonzero(keep), min_views,
                                  require_all_views, where)
        instants, group = np.unique(views.instant[rows],
                                    return_inverse=True)
        chosen = annotated_instants(views, instants, annotated, where)
        self._take(views, rows, instants, group, chosen)
        if detections is not None:
            self.keypoints, self.visible = read_detections(
                Path(detections), self.ids, views.size, min_score)
        if triangulated and not test_mode:
            self._triangulate(where)
        self.augmentation = None if test_mode or augmentation is None \
            else Augmentation(**augmentation)
        self.pipeline = Compose(list(pipeline)) if pipeline else None
        self.split_digest = split_digest(
            [f'{c}:{f}' for c, f in zip(self.clips[self.clip[chosen]],
                                        self.frame[chosen])])
        print_log(
            f'{where}, part {part}: {len(self)} views of {len(instants)} '
            f'instants, {len(self.subjects)} subjects, '
            f'{len(set(self.clip.tolist()))} clips; {int(chosen.sum())} '
            f'instants annotated (digest {self.split_digest})', 'current')

    # -- what is kept -------------------------------------------------------
    def _take(self, views: Views, rows: np.ndarray, instants: np.ndarray,
              group: np.ndarray, annotated: np.ndarray) -> None:
        """Keeps the columns of the chosen views."""
        self.clips, self.actions = views.clips, views.actions
        clip = views.clip[instants]
        self.subjects = tuple(sorted(set(views.subjects[clip].tolist())))
        place = {s: i for i, s in enumerate(self.subjects)}
        self.subject_of_clip = np.array(
            [place.get(s, -1) for s in views.subjects.tolist()])
        self.rows, self.group = rows, group
        self.clip, self.frame = clip, views.frame[instants]
        self.seconds, self.annotated = views.seconds[instants], annotated
        self.up = views.up[clip]
        self.poses = views.poses[instants].copy()
        if not self.test_mode:
            self.poses[~annotated] = np.nan
        picked = views.keep_views(np.isin(np.arange(len(views)), rows))
        self.cameras, self.paths = picked.cameras, picked.paths
        self.K, self.R, self.t = picked.K, picked.R, picked.t
        self.calibrated = picked.calibrated
        self.keypoints, self.visible = picked.keypoints, picked.visible
        self.size = views.size

    def _triangulate(self, where: str) -> None:
        """Gives 3D joints to instants that have none."""
        implied = triangulated_poses(
            self.keypoints, self.visible > 0, self.group, self.K, self.R,
            self.t, self.up, np.where(self.annotated[:, None, None],
                                      self.poses, np.nan),
            scale=self.size * TRIANGULATION_SCALE)
        without = ~self.annotated
        if without.any() and not np.isfinite(implied[without]).any():
            raise ValueError(
                f'{where}: triangulated=True, but no instant without '
                'annotation has a joint that two calibrated cameras have '
                'found; calibrate them, or leave it False')
        self.poses[without] = implied[without]
        print_log(
            f'{where}: {int(without.sum())} instants without annotation have '
            f'{100 * np.isfinite(implied[without]).all(2).mean():.1f} % of '
            'their joints from the 2D joints of their cameras', 'current')

    # -- what mmengine and samplers ask -------------------------------------
    @property
    def metainfo(self) -> dict:
        """Parsed metainfo, as mmpose's data sets give it."""
        return copy.deepcopy(self._metainfo)

    @property
    def ids(self) -> np.ndarray:
        """(N,) str: ``metainfo['id']`` of the views."""
        clip = self.clip[self.group]
        return np.array([view_id(*told) for told in zip(
            self.clips[clip], self.frame[self.group], self.cameras)])

    def full_init(self) -> None:
        """Everything is loaded already."""

    def __len__(self) -> int:
        return len(self.rows)

    def view_groups(self) -> dict[str, np.ndarray]:
        """One row a view: what ``ViewGroupSampler`` batches by.

        Returns:
            dict: ``index`` (N,) into this data set, ``group`` (N,) number
            of the instant, ``subject`` (N,) number, ``sequence`` (N,) number
            of the clip, ``seconds`` (N,), ``camera`` (N,) str, and
            ``annotated`` (N,) bool.
        """
        clip = self.clip[self.group]
        return dict(
            index=np.arange(len(self)), group=self.group.copy(),
            subject=self.subject_of_clip[clip], sequence=clip,
            seconds=self.seconds[self.group], camera=self.cameras.copy(),
            annotated=self._is_annotated(np.arange(len(self))))

    def _has_pose(self, indices: np.ndarray) -> np.ndarray:
        """(N,) bool: views whose labels can be made, annotated or implied."""
        group = self.group[indices]
        return (np.isfinite(self.poses[group, ROOT]).all(1)
                & self.calibrated[indices]
                & np.isfinite(self.up[group]).all(1))

    def _is_annotated(self, indices: np.ndarray) -> np.ndarray:
        """(N,) bool: those of annotated instants; of all in tests."""
        known = self._has_pose(indices)
        return known if self.test_mode else \
            known & self.annotated[self.group[indices]]

    def pose_statistics(self) -> tuple[np.ndarray, np.ndarray]:
        """Mean and standard deviation of the annotated canonical poses.

        Returns:
            tuple: (17, 3) and (17, 3) float32 mm; of the joints that are
            known, one vote an instant.

        Raises:
            ValueError: Nothing is annotated.
        """
        _, first = np.unique(self.group, return_index=True)
        first = first[self._is_annotated(first)]
        if not len(first):
            raise ValueError('no view is annotated, so there are no '
                             'statistics of poses')
        canonical = self.labels(first)['keypoints_3d_canonical'].numpy()
        return (np.nanmean(canonical, 0).astype(np.float32),
                np.nanstd(canonical, 0).astype(np.float32))

    # -- samples ------------------------------------------------------------
    def labels(self, indices: Sequence[int] | np.ndarray,
               flip: np.ndarray | None = None) -> dict[str, torch.Tensor]:
        """3D labels and calibration of views, stacked.

        Args:
            indices (Sequence[int]): N views.
            flip (np.ndarray, optional): (N,) bool, views whose image is
                mirrored; their labels are, too.

        Returns:
            dict: Tensors with N rows, as in the class's text.
        """
        rows = np.asarray(indices)
        group = self.group[rows]
        return view_labels(self.poses[group], self.up[group],
                           self._has_pose(rows), self.K[rows],
                           self.R[rows], self.t[rows], self.size, flip)

    def get_data_info(self, idx: int) -> dict:
        """One view as mmpose's transforms want it.

        Args:
            idx (int): View.

        Returns:
            dict: img, img_shape, ori_shape, bbox (1, 4), bbox_score,
            keypoints (1, 17, 2), keypoints_visible (1, 17),
            keypoints_3d_camera (1, 17, 3), further labels and metainfo as in
            the class's text, and mmpose's metainfo.
        """
        info: dict[str, Any] = {
            k: v.numpy() for k, v in self.labels([idx]).items()}
        visible = (self.visible[[idx]] > 0).astype(np.float32)
        info.update(self.meta(idx))
        if self.inputs == 'image':
            info['img'] = np.array(self.image(idx))
        info.update(
            img_shape=(self.size, self.size), ori_shape=(self.size,
                                                         self.size),
            bbox=np.array([[0, 0, self.size - 1, self.size - 1]],
                          np.float32),
            bbox_score=np.ones(1, np.float32),
            keypoints=np.where(visible[..., None] > 0,
                               self.keypoints[[idx]], 0),
            keypoints_visible=visible)
        for key in ('upper_body_ids', 'lower_body_ids', 'flip_pairs',
                    'dataset_keypoint_weights', 'flip_indices',
                    'skeleton_links', 'dataset_name'):
            if key in self._metainfo:
                info[key] = copy.deepcopy(self._metainfo[key])
        return info

    def image(self, idx: int) -> np.ndarray:
        """(S, S, 3) uint8 BGR, read-only: the crop of a view.

        Raises:
            ValueError: The data set gives 2D joints.
        """
        if self._cache.pixels is None:
            raise ValueError("there are no images with inputs='keypoints'")
        return self._cache.pixels[self.rows[idx]]

    def meta(self, idx: int) -> dict[str, Any]:
        """Who, when and where, of one view."""
        group = int(self.group[idx])
        clip = int(self.clip[group])
        number = int(self.subject_of_clip[clip])
        name, camera = str(self.clips[clip]), str(self.cameras[idx])
        frame = int(self.frame[group])
        return dict(
            id=view_id(name, frame, camera), img_id=int(self.rows[idx]),
            img_path=str(self.paths[idx]), subject=self.subjects[number],
            subject_index=number, sequence=name,
            action=str(self.actions[clip]), frame=frame,
            seconds=float(self.seconds[group]), camera=camera,
            view_group=group)

    def __getitem__(self, idx: int) -> dict[str, Any]:
        """One view: the stock path, for loaders that know no keys.

        Jitter and colour are drawn from torch's generator; whether a view
        is flipped is decided by its group alone, as all views of a group
        have to agree.
        """
        idx = int(idx)
        if not -len(self) <= idx < len(self):
            raise IndexError(f'{idx} of {len(self)} views')
        idx %= len(self)
        if self.pipeline is not None:
            return self.pipeline(self.get_data_info(idx))
        key = torch.randint(0, 2**62, (1, )).numpy().astype(np.uint64)
        shared = sample_keys(self.seed, 0, [int(self.group[idx])], [0])
        batch = self._batch(np.array([idx]), key, shared)
        return dict(inputs=batch['inputs'][0],
                    data_samples=batch['data_samples'][0])

    def __getitems__(self, indices: Sequence[int]) -> list[dict[str, Any]]:
        """Several views, as torch's loader asks for those of a batch.

        Without augmentation they are made at once; the same as one by one.
        """
        if self.pipeline is not None or self.augmentation is not None:
            return [self[i] for i in indices]
        rows = np.arange(len(self))[np.asarray(indices, np.int64)]
        none = np.zeros(len(rows), np.uint64)
        batch = self._batch(rows, none, none)
        return [dict(inputs=inputs, data_samples=sample) for inputs, sample
                in zip(batch['inputs'], batch['data_samples'])]

    @property
    def get_batch(self) -> Callable[..., dict[str, Any]]:
        """``get_batch(indices, keys)``: a collated batch of N views.

        ``indices`` are N views, ``keys`` (N,) uint64. Returns a dict with
        ``inputs`` (N, 3, S, S) uint8, or (N, 17, 3) float32, and
        ``data_samples``, a list of N. All randomness is a function of the
        keys; views of one group that stand in the batch share the key of
        the first of them for their flip.

        Raises:
            AttributeError: There is a pipeline, which works on samples.
        """
        if self.pipeline is not None:
            raise AttributeError('with a pipeline there is no get_batch')
        return self._get_batch

    def _get_batch(self, indices: Sequence[int],
                   keys: np.ndarray | None = None) -> dict[str, Any]:
        rows = np.asarray(indices, np.int64)
        keys = sample_keys(self.seed, 0, rows.tolist(), [0] * len(rows)) \
            if keys is None else np.asarray(keys, np.uint64)
        if len(keys) != len(rows):
            raise ValueError(f'{len(rows)} views and {len(keys)} keys')
        _, first, inverse = np.unique(self.group[rows], return_index=True,
                                      return_inverse=True)
        return self._batch(rows, keys, keys[first][inverse])

    def _batch(self, rows: np.ndarray, keys: np.ndarray,
               shared: np.ndarray) -> dict[str, Any]:
        points = self.keypoints[rows].copy()
        visible = self.visible[rows] > 0
        images = None
        if self._cache.pixels is not None:
            images = self._cache.pixels[self.rows[rows]]
        flip = np.zeros(len(rows), bool)
        matrices = None
        if self.augmentation is not None:
            flip = self.augmentation.flips(shared)
            images, points, visible, matrices = self.augmentation(
                images, points, visible, flip, keys, self.size)
        labels = self.labels(rows, flip)
        if matrices is not None:
            labels['intrinsics'] = torch.from_numpy(
                matrices.astype(np.float32)) @ labels['intrinsics']
        return pack(images, points, visible, labels, flip,
                    [self.meta(int(i)) for i in rows], self.size,
                    SKELETON.flip_indices)
