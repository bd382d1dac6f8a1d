"""Leeds Sports Pose and its extension (Johnson and Everingham, 2010, 2011).

14 annotated joints become MPII's 16 by name; pelvis and thorax are the
midpoints of the hips and of the shoulders (MirrorNet, Section 5.1).
"""
from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.logging import print_log
from mmpose.datasets.datasets.base import BaseCocoStyleDataset
from mmpose.registry import DATASETS

from mirrorpose.structures.skeleton import Skeleton

from .broken import HOW_TO_SKIP, BrokenSampleError
from .splits import PARTS, select_part, split_digest
from .zip_backend import open_archive, zip_path

#: Quality of a silhouette, columns of ``mask_quality``: the share of the
#: drawn skeleton that the mask covers, and the share of the mask that lies
#: outside the widened skeleton.
MIN_COVERAGE, MAX_OUTSIDE = .85, .35


def default_data_root() -> str:
    """The data folder: ``MIRRORPOSE_DATA``, or ``data/`` where it is unset."""
    return os.environ.get('MIRRORPOSE_DATA') or 'data/'


def pose_data_info(keypoints: np.ndarray, visible: np.ndarray,
                   sample: str) -> dict[str, Any]:
    """Checks one pose and gives it the form that mmpose's transforms read.

    Coordinates of unannotated joints are replaced by 0 before anything
    looks at them, so their values cannot matter.

    Args:
        keypoints (np.ndarray): (K, 2) coordinates in pixels.
        visible (np.ndarray): (K,), positive where annotated.
        sample (str): Name of the sample, for messages.

    Returns:
        dict: ``keypoints`` (1, K, 2), ``keypoints_visible`` (1, K) in
        {0, 1}, the tight box of the annotated joints ``bbox`` (1, 4) as
        x1, y1, x2, y2, ``bbox_score`` (1,), all float32, ``num_keypoints``.

    Raises:
        ValueError: An annotated joint is not finite, or the annotated
            joints span no box.
    """
    present = np.asarray(visible) > 0
    points = np.where(present[:, None], keypoints, 0).astype(np.float32)
    bad = np.nonzero(~np.isfinite(points).all(axis=1))[0]
    if len(bad):
        raise BrokenSampleError(
            f'{sample}: joints {bad.tolist()} are annotated but not finite '
            f'({points[bad].tolist()}); mark them as unannotated or mend '
            f'their coordinates, {HOW_TO_SKIP}', sample,
            f'joints {bad.tolist()} are annotated but not finite')
    if present.sum() < 2:
        raise BrokenSampleError(
            f'{sample}: {int(present.sum())} annotated joints span no box; '
            f'at least 2 are needed. Annotate it, {HOW_TO_SKIP}', sample,
            f'{int(present.sum())} annotated joints span no box')
    low, high = points[present].min(axis=0), points[present].max(axis=0)
    if not (high - low > 0).all():
        raise BrokenSampleError(
            f'{sample}: the box of the annotated joints has no extent '
            f'(width {high[0] - low[0]:g}, height {high[1] - low[1]:g}); '
            f'mend the joints, {HOW_TO_SKIP}', sample,
            'the box of the annotated joints has no extent')
    return dict(
        keypoints=points[None],
        keypoints_visible=present[None].astype(np.float32),
        bbox=np.concatenate([low, high])[None].astype(np.float32),
        bbox_score=np.ones(1, dtype=np.float32),
        num_keypoints=int(present.sum()))


class LabelSplitDataset(BaseCocoStyleDataset):
    """Top-down data set with an explicit split into labelled and not.

    Subclasses write :meth:`load_people`. The split comes first and
    ``indices`` after it, so ``indices`` never moves a sample across.

    Args:
        label_fraction (float): Share of the samples that count as labelled.
            Defaults to 1.
        part (str): ``'all'``, ``'labelled'`` or ``'unlabelled'``. A sample
            of the unlabelled part still carries its annotations: the
            transform ``DropLabels`` removes them. Defaults to ``'all'``.
        split_seed (int): Seed of the split. Defaults to 0.
        on_broken (str): ``'skip'`` leaves out people whose annotation is
            broken, after the split, and keeps their names in ``left_out``;
            our runner sets it by the config's ``broken_samples``. Defaults
            to ``'error'``.
        others: As mmpose's ``BaseCocoStyleDataset``. ``data_root`` defaults
            to the environment variable ``MIRRORPOSE_DATA``, then ``data/``.

    Raises:
        ValueError: An argument is out of range.
    """

    METAINFO: dict = Skeleton.from_name('mpii_16').metainfo()
    #: Name of the set of samples of this part, known once it is loaded.
    split_digest = ''

    def __init__(self,
                 ann_file: str = '',
                 data_root: str | None = None,
                 label_fraction: float = 1.0,
                 part: str = 'all',
                 split_seed: int = 0,
                 metainfo: dict | None = None,
                 filter_cfg: dict | None = None,
                 indices: int | Sequence[int] | None = None,
                 serialize_data: bool = True,
                 pipeline: Sequence[dict | Callable] = (),
                 test_mode: bool = False,
                 lazy_init: bool = False,
                 max_refetch: int = 1000,
                 on_broken: str = 'error') -> None:
        if on_broken not in ('error', 'skip'):
            raise ValueError("on_broken must be 'error' or 'skip', got "
                             f'{on_broken!r}')
        self.on_broken = on_broken
        self.left_out: list[tuple[str, str, str]] = []
        if not 0 <= label_fraction <= 1:
            raise ValueError('label_fraction must lie in [0, 1], got '
                             f'{label_fraction}')
        if part not in PARTS:
            raise ValueError(f'part must be one of {PARTS}, got {part!r}')
        self.label_fraction = label_fraction
        self.part = part
        self.split_seed = split_seed
        super().__init__(
            ann_file=str(ann_file),
            data_root=default_data_root() if data_root is None else data_root,
            data_prefix=dict(img=''),
            metainfo=metainfo,
            filter_cfg=filter_cfg,
            indices=indices,
            serialize_data=serialize_data,
            pipeline=list(pipeline),
            test_mode=test_mode,
            lazy_init=lazy_init,
            max_refetch=max_refetch)

    def load_people(self) -> list[dict]:
        """Reads all samples, before the split into labelled and not.

        Returns:
            list[dict]: ``data_info`` of each sample; ``id`` is distinct.
        """
        raise NotImplementedError

    def person_info(self, keypoints: np.ndarray, visible: np.ndarray,
                    sample: str) -> dict[str, Any]:
        """:func:`pose_data_info` under the data set's policy.

        Returns:
            dict: Of the person; where it is broken and is to be left out,
            ``broken`` alone, the reason.
        """
        try:
            return pose_data_info(keypoints, visible, sample)
        except BrokenSampleError as error:
            if self.on_broken == 'error':
                raise
            return dict(broken=error.reason)

    def load_data_list(self) -> list[dict]:
        """Reads the samples of the part that was asked for.

        Raises:
            ValueError: The part is empty.
        """
        people = self.load_people()
        ids = [p['id'] for p in people]
        chosen = select_part(ids, self.label_fraction, self.part,
                             self.split_seed)
        people = [p for p, keep in zip(people, chosen) if keep]
        digest = split_digest([p['id'] for p in people])
        self.split_digest = digest
        drawn = len(people)
        self.left_out = [(str(p['id']), p['broken'], str(self.ann_file))
                         for p in people if 'broken' in p]
        people = [p for p in people if 'broken' not in p]
        people = self.select_people(people)
        if not people:
            raise ValueError(
                f'{type(self).__name__}: no sample is left of {len(ids)} '
                f'with part={self.part!r}, '
                f'label_fraction={self.label_fraction}')
        if self.part != 'all':
            print_log(
                f'{type(self).__name__} {self.ann_file}: {drawn} of '
                f'{len(ids)} samples, {self.part}, label_fraction '
                f'{self.label_fraction}, seed {self.split_seed}, digest '
                f'{digest}', logger='current')
        return people

    def select_people(self, people: list[dict]) -> list[dict]:
        """Leaves out samples after the split; keeps all by default."""
        return people


@DATASETS.register_module()
class LspDataset(LabelSplitDataset):
    """Leeds Sports Pose, and its extension, in the prepared layout.

    ``tools/dataset_converters/lsp.py`` writes it: an npz with names, joints
    and flags, and beside it ``images.zip`` and, for silhouettes,
    ``masks.zip``. LSP's ``occluded`` joints are annotated, so they are
    used; joints of the extension that are not ``visible`` are not annotated:
    their visibility and coordinates are 0, and a midpoint is absent when one
    of its parents is. No person is left out for hard or missing joints.

    Silhouettes may have been chosen with the help of the joints, so they
    count as labels: asking for them on samples that count as unlabelled or
    as test is an error.

    Args:
        ann_file (str): The npz below ``data_root``. Defaults to
            ``'lsp/lsp.npz'``; the extension is ``'lspet/lspet.npz'``.
        subset (str): ``'train'``, ``'test'`` or ``'all'`` of LSP's standard
            split into 1,000 and 1,000. The extension is all ``'train'``.
            Defaults to ``'train'``.
        annotations (str): ``'person'``: left and right are the person's
            (as published); ``'observer'``: they go by the image. The two
            are different files and never mixed: observer-centric joints
            are in ``<name>_oc.npz``. Defaults to ``'person'``.
        with_silhouette (bool): Add ``silhouette_path``. Defaults to False.
        min_mask_quality (bool): With silhouettes, leave out the people
            whose silhouette fails the quality gate (coverage > .85, outside
            < .35); how many is logged. Defaults to True.
        label_fraction, part, split_seed and others: see
            :class:`LabelSplitDataset`.

    Raises:
        FileNotFoundError: Data are missing; the message holds the command
            that prepares them.
        ValueError: Wrong arguments, or damaged data (the message names the
            sample).
    """

    def __init__(self,
                 ann_file: str = 'lsp/lsp.npz',
                 data_root: str | None = None,
                 subset: str = 'train',
                 annotations: str = 'person',
                 with_silhouette: bool = False,
                 min_mask_quality: bool = True,
                 label_fraction: float = 1.0,
                 part: str = 'all',
                 **kwargs: Any) -> None:
        if subset not in ('train', 'test', 'all'):
            raise ValueError("subset must be 'train', 'test' or 'all', got "
                             f'{subset!r}')
        if annotations not in ('person', 'observer'):
            raise ValueError("annotations must be 'person' or 'observer', "
                             f'got {annotations!r}')
        if with_silhouette:
            if subset != 'train':
                raise ValueError(
                    f'with_silhouette=True with subset={subset!r}: the '
                    'silhouettes carry label information and are training '
                    "targets only; use subset='train'")
            if part == 'unlabelled' or (part == 'all' and label_fraction < 1):
                raise ValueError(
                    f'with_silhouette=True with part={part!r} and '
                    f'label_fraction={label_fraction} would show silhouettes '
                    'of people who count as unlabelled; use '
                    "part='labelled'")
        self.subset = subset
        self.annotations = annotations
        self.with_silhouette = with_silhouette
        self.min_mask_quality = min_mask_quality
        path = Path(ann_file)
        if annotations == 'observer' and not path.stem.endswith('_oc'):
            path = path.with_name(f'{path.stem}_oc{path.suffix}')
        elif annotations == 'person' and path.stem.endswith('_oc'):
            raise ValueError(
                f'{str(ann_file)!r} holds observer-centric joints, but '
                "annotations='person'; pass annotations='observer'")
        super().__init__(
            ann_file=str(path),
            data_root=data_root,
            label_fraction=label_fraction,
            part=part,
            **kwargs)

    def _missing(self, path: Path, what: str) -> FileNotFoundError:
        """Tells what is missing and which command prepares it."""
        if self.annotations == 'observer':
            source = 'lsp_dataset.zip --observer LSP-joints-OC.mat'
        elif 'lspet' in path.parts[-2:][0]:
            source = 'lspet_dataset.zip --extended'
        else:
            source = 'lsp_dataset.zip'
        masks = ' --masks MASKS' if what == 'silhouettes' else ''
        root = self.data_root or 'data/'
        return FileNotFoundError(
            f'{what} not found: {path}. Prepare them with\n'
            f'  python tools/dataset_converters/lsp.py {source}{masks} '
            f'--out {root}\n'
            'or set the environment variable MIRRORPOSE_DATA (or data_root '
            'in the config) to the folder that holds '
            f'{path.parent.name}/{path.name}')

    def load_people(self) -> list[dict]:
        """Reads the npz and the archives beside it."""
        path = Path(self.ann_file)
        if not path.is_file():
            raise self._missing(path, 'annotations')
        images, masks = path.with_name('images.zip'), path.with_name(
            'masks.zip')
        if not images.is_file():
            raise self._missing(images, 'images')
        if self.with_silhouette and not masks.is_file():
            raise self._missing(masks, 'silhouettes')
        with np.load(path, allow_pickle=False) as arrays:
            data = {k: arrays[k] for k in arrays.files}
        names, joints, visible, train = self._check(data, path)

        skeleton = Skeleton.from_name('lsp_14')
        keypoints, present = skeleton.convert(joints, visible, 'mpii_16')
        have_image = {Path(m).stem: m for m in open_archive(images).namelist()}
        have_mask = ({Path(m).stem: m for m in open_archive(masks).namelist()}
                     if self.with_silhouette else {})
        quality = data.get('mask_quality')
        if self.with_silhouette and self.min_mask_quality and quality is None:
            raise ValueError(
                f'{path} has no mask_quality, so the quality gate cannot be '
                'applied; pass min_mask_quality=False to use every '
                'silhouette')
        good = np.ones(len(names), dtype=bool)
        if quality is not None:
            # In the precision of the file: .85 as stored fails "> .85".
            good = ((quality[:, 0] > quality.dtype.type(MIN_COVERAGE)) &
                    (quality[:, 1] < quality.dtype.type(MAX_OUTSIDE)))
        # Both conventions of one image fall on the same side of a split.
        collection = path.stem.removesuffix('_oc')
        people = []
        for i, name in enumerate(names):
            if self.subset != 'all' and train[i] != (self.subset == 'train'):
                continue
            sample = f'{collection}/{name}'
            if name not in have_image:
                raise FileNotFoundError(f'{sample}: image {name!r} is '
                                        f'missing from {images}')
            info = self.person_info(keypoints[i], present[i], sample)
            info.update(
                id=sample,
                img_id=sample,
                img_path=zip_path(images, have_image[name]),
                is_labeled=True)
            if self.with_silhouette:
                info['silhouette_good'] = bool(good[i])
                if name in have_mask:
                    info['silhouette_path'] = zip_path(masks, have_mask[name])
                elif good[i] or not self.min_mask_quality:
                    raise FileNotFoundError(f'{sample}: silhouette {name!r} '
                                            f'is missing from {masks}')
            people.append(info)
        if not people:
            raise ValueError(f'{path} has no person in the '
                             f'{self.subset!r} subset')
        return people

    def _check(self, data: dict[str, np.ndarray], path: Path) -> tuple:
        """Checks the arrays and returns those that are used.

        Returns:
            tuple: names list[str]; joints (N, 14, 2) float32, meaningless
            where not annotated; visible (N, 14) float32; train (N,) bool.
        """
        lsp = Skeleton.from_name('lsp_14')
        lost = [k for k in ('names', 'joints', 'joint_names')
                if k not in data]
        if lost:
            raise ValueError(f'{path} lacks the arrays {lost}; it has '
                             f'{sorted(data)}')
        joints = data['joints']
        if joints.ndim != 3 or joints.shape[1:] != (len(lsp), 2):
            raise ValueError(f'{path}: joints must have the shape '
                             f'(N, {len(lsp)}, 2), got {joints.shape}')
        order = [str(j) for j in data['joint_names']]
        unknown = [j for j in order if j not in lsp.joints]
        if unknown or sorted(order) != sorted(lsp.joints):
            raise ValueError(f'{path}: joint_names must be '
                             f'{list(lsp.joints)}, got {order}')
        names = [str(n) for n in data['names']]
        if 'visible' in data:
            visible = data['visible'] > 0
        elif 'occluded' in data:
            visible = np.ones(joints.shape[:2], dtype=bool)
        else:
            raise ValueError(f'{path} says neither which joints are "visible" '
                             'nor which are "occluded"; it has '
                             f'{sorted(data)}')
        train = (data['train'].astype(bool) if 'train' in data else
                 np.ones(len(names), dtype=bool))
        for what, array in (('joints', joints), ('visible', visible),
                            ('train', train)):
            if len(array) != len(names):
                raise ValueError(f'{path}: {len(names)} names, but '
                                 f'{len(array)} rows in {what}')
        kept = (data['annotations'].item() if 'annotations' in data else
                'person')
        if kept != self.annotations:
            raise ValueError(f'{path} holds {kept}-centric joints, but '
                             f'annotations={self.annotations!r}')
        columns = [order.index(j) for j in lsp.joints]
        return (names, joints[:, columns].astype(np.float32),
                visible[:, columns].astype(np.float32), train)

    def select_people(self, people: list[dict]) -> list[dict]:
        """Applies the quality gate of the silhouettes."""
        if not (self.with_silhouette and self.min_mask_quality):
            return people
        good = [p for p in people if p['silhouette_good']]
        print_log(
            f'LspDataset {self.ann_file}: {len(people) - len(good)} of '
            f'{len(people)} people are left out because their silhouette '
            'fails the quality gate', logger='current')
        return good
