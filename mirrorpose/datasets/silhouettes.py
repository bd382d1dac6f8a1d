"""Silhouettes for the mask estimator: UP-S1h, or any folder of masks."""
from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import mmengine.fileio as fileio
import numpy as np
from mmengine.logging import print_log
from mmpose.registry import DATASETS

from mirrorpose.structures.skeleton import Skeleton

from .joint_names import named_skeleton
from .lsp import LabelSplitDataset
from .zip_backend import open_archive, zip_path

IMAGE_SUFFIXES = ('.jpg', '.jpeg', '.png', '.bmp')

#: Sub-folders of UP-S1h whose images LSP and MPII hold too; MirrorNet
#: (Section 5.2) leaves them out, so that no test image is seen.
UP_S1H_SHARED = ('lsp', 'lsp_extended', 'mpii')


def list_files(place: str | Path) -> dict[str, str]:
    """Lists a folder or a zip archive.

    Args:
        place (str | Path): A folder (its files, no sub-folders), or a
            ``.zip`` (all its members).

    Returns:
        dict[str, str]: File name to a path that mmengine reads.

    Raises:
        FileNotFoundError: There is no such folder or archive.
    """
    place = Path(place)
    if place.suffix == '.zip':
        return {name: zip_path(place, name)
                for name in open_archive(place).namelist()
                if not name.endswith('/')}
    if not place.is_dir():
        raise FileNotFoundError(f'folder {str(place)!r} does not exist')
    return {f.name: str(f) for f in sorted(place.iterdir()) if f.is_file()}


def pair_by_stem(images: Mapping[str, str], masks: Mapping[str, str],
                 mask_suffix: str = '.png',
                 image_suffix: str = '') -> dict[str, tuple[str, str]]:
    """Pairs images and masks by the name before the suffix.

    Args:
        images (Mapping[str, str]): File name to path; masks that lie in the
            same folder are recognised by their suffix.
        masks (Mapping[str, str]): File name to path.
        mask_suffix (str): How a mask's name ends. Defaults to ``'.png'``.
        image_suffix (str): What stands between the stem and the file type
            of an image. Defaults to nothing.

    Returns:
        dict[str, tuple[str, str]]: Stem to the paths of image and mask.

    Raises:
        ValueError: There is no mask, or a mask has no image or several.
    """
    shared = dict(images) == dict(masks)
    found: dict[str, list[str]] = {}
    for name, path in images.items():
        suffix = Path(name).suffix
        if suffix.lower() not in IMAGE_SUFFIXES or (
                shared and name.endswith(mask_suffix)):
            continue
        stem = name[:-len(suffix)]
        if stem.endswith(image_suffix):
            found.setdefault(stem[:len(stem) - len(image_suffix)],
                             []).append(path)
    pairs: dict[str, tuple[str, str]] = {}
    alone: list[str] = []
    several: list[str] = []
    for name, path in masks.items():
        if not name.endswith(mask_suffix):
            continue
        stem = name[:-len(mask_suffix)]
        own = found.get(stem, [])
        if len(own) == 1:
            pairs[stem] = (own[0], path)
        else:
            (several if own else alone).append(name)
    if alone or several:
        raise ValueError(
            f'{len(alone)} masks have no image (first: {alone[:5]}), '
            f'{len(several)} have more than one (first: {several[:5]}); '
            'names must agree up to the suffix')
    if not pairs:
        raise ValueError(f'no file ends in {mask_suffix!r}, so there is no '
                         f'mask among {sorted(masks)[:5]} ...')
    return dict(sorted(pairs.items()))


def find_up_s1h(root: str | Path,
                exclude: Sequence[str] = UP_S1H_SHARED
                ) -> dict[str, tuple[str, str]]:
    """Finds the pairs of UP-S1h (Lassner et al., CVPR 2017) as published.

    The archive holds one folder a source below ``data/``. Where an image
    comes whole (``00001_full.png`` with ``00001_segmentation_full.png``) the
    whole one is taken, else ``im0001.png`` (or ``.jpg``) with
    ``im0001_segmentation.png``. Part segmentations are ignored.

    Args:
        root (str | Path): The unpacked archive, or its ``data`` folder.
        exclude (Sequence[str]): Sources to leave out. Defaults to those
            whose images LSP and MPII hold too.

    Returns:
        dict[str, tuple[str, str]]: ``source/stem`` to image and mask path.

    Raises:
        FileNotFoundError: There is no such folder.
        ValueError: No source is left, or a mask has no image.
    """
    root = Path(root)
    root = root / 'data' if (root / 'data').is_dir() else root
    if not root.is_dir():
        raise FileNotFoundError(f'UP-S1h not found: {root}. Unpack '
                                'upi-s1h.zip there')
    sources = sorted(f for f in root.iterdir() if f.is_dir())
    kept = [f for f in sources if f.name not in exclude]
    if not kept:
        raise ValueError(f'{root} has the sources '
                         f'{[f.name for f in sources]}, and all are excluded '
                         f'({list(exclude)})')
    pairs: dict[str, tuple[str, str]] = {}
    for source in kept:
        files = list_files(source)
        files = {n: p for n, p in files.items()
                 if not n.endswith('_part_segmentation.png')}
        whole = any(n.endswith('_segmentation_full.png') for n in files)
        kinds = {n: p for n, p in files.items()
                 if n.rsplit('.', 1)[0].endswith('_full') == whole}
        own = pair_by_stem(
            kinds, kinds,
            '_segmentation_full.png' if whole else '_segmentation.png',
            '_full' if whole else '')
        pairs.update({f'{source.name}/{k}': v for k, v in own.items()})
    return pairs


def mask_box(mask: np.ndarray, sample: str) -> np.ndarray:
    """The tight box of a silhouette.

    Args:
        mask (np.ndarray): (H, W), positive = person (values above half of
            the maximum, so soft edges do not count).
        sample (str): Name of the sample, for messages.

    Returns:
        np.ndarray: (4,) float32 x1, y1, x2, y2, pixel borders.

    Raises:
        ValueError: The mask is empty.
    """
    if mask.max() == 0:
        raise ValueError(f'{sample}: the silhouette is empty; leave the '
                         'sample out')
    person = mask > mask.max() / 2
    rows = np.nonzero(person.any(axis=1))[0]
    columns = np.nonzero(person.any(axis=0))[0]
    return np.array([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1],
                    dtype=np.float32)


def read_gray(path: str) -> np.ndarray:
    """Reads an image file as (H, W) uint8.

    Raises:
        ValueError: It cannot be decoded.
    """
    data = np.frombuffer(fileio.get(path), dtype=np.uint8)
    image = cv2.imdecode(data, cv2.IMREAD_GRAYSCALE) if len(data) else None
    if image is None:
        raise ValueError(f'{path!r} cannot be decoded as an image; it is '
                         'damaged or of another type')
    return image


@DATASETS.register_module()
class SilhouetteDataset(LabelSplitDataset):
    """People with silhouettes, joints being optional.

    The box is that of the silhouette. A person without joints has
    ``is_labeled=False`` and no visible joint: the mask estimator then takes
    the pose from a recognizer.

    Args:
        data_root (str, optional): Folder of the data set. Defaults to
            ``MIRRORPOSE_DATA``.
        layout (str): ``'folder'``: images and masks in two folders or zip
            archives (or one), paired by stem. ``'up_s1h'``: UP-S1h as
            published, with ``image_dir`` as its folder. Masks are decoded
            once at the start, for their boxes. Defaults to ``'folder'``.
        image_dir (str, optional): Folder or ``.zip`` below ``data_root``.
            Defaults to ``'images'``, for UP-S1h to ``'upi-s1h'``.
        mask_dir (str): The same for masks. Defaults to ``'masks'``.
        mask_suffix (str): How a mask's name ends. Defaults to ``'.png'``.
        exclude (Sequence[str]): UP-S1h's sources to leave out. Defaults to
            those whose images LSP and MPII hold too.
        ann_file (str): Joints: an npz with ``names``, ``keypoints``
            (N, K, 2), ``visible`` (N, K), or a JSON list of
            ``{"name", "keypoints": [[x, y, v], ...]}``; names are stems.
            Defaults to none.
        joints (str | Sequence[str] | Mapping[str, str]): What the K joints
            are; see :func:`named_skeleton`. Defaults to ``'mpii_16'``.
        label_fraction, part, split_seed and others: see
            :class:`LabelSplitDataset`.

    Raises:
        FileNotFoundError, ValueError: Missing, unpaired, empty or damaged
            files; the message names them.
    """

    def __init__(self,
                 data_root: str | None = None,
                 layout: str = 'folder',
                 image_dir: str | None = None,
                 mask_dir: str = 'masks',
                 mask_suffix: str = '.png',
                 exclude: Sequence[str] = UP_S1H_SHARED,
                 ann_file: str = '',
                 joints: str | Sequence[str] | Mapping[str, str] = 'mpii_16',
                 **kwargs: Any) -> None:
        if layout not in ('folder', 'up_s1h'):
            raise ValueError("layout must be 'folder' or 'up_s1h', got "
                             f'{layout!r}')
        self.layout = layout
        self.image_dir = image_dir or ('images' if layout == 'folder' else
                                       'upi-s1h')
        self.mask_dir = mask_dir
        self.mask_suffix = mask_suffix
        self.exclude = tuple(exclude)
        self.joints = joints
        super().__init__(
            ann_file=ann_file,
            data_root=data_root,
            **kwargs)

    def load_people(self) -> list[dict]:
        """Pairs the files, and reads boxes and joints."""
        root = Path(self.data_root)
        try:
            if self.layout == 'up_s1h':
                pairs = find_up_s1h(root / self.image_dir, self.exclude)
            else:
                pairs = pair_by_stem(
                    list_files(root / self.image_dir),
                    list_files(root / self.mask_dir), self.mask_suffix)
        except FileNotFoundError as error:
            raise FileNotFoundError(
                f'{error}. Put images and masks there, or prepare them with\n'
                '  python tools/dataset_converters/silhouettes.py SRC '
                f'--out {root}\nor set MIRRORPOSE_DATA (or data_root in the '
                'config) to the folder that holds them') from error
        poses = self._read_joints() if self.ann_file else {}
        unknown = [n for n in poses if n not in pairs]
        if unknown:
            raise ValueError(f'{self.ann_file} has joints for {len(unknown)} '
                             f'names without image, first: {unknown[:5]}')
        people = []
        for stem, (image, mask) in pairs.items():
            box = mask_box(read_gray(mask), stem)[None]
            if stem in poses:
                info = self.person_info(*poses[stem], stem)
            else:
                count = len(self.metainfo['keypoint_id2name'])
                info = dict(
                    keypoints=np.zeros((1, count, 2), np.float32),
                    keypoints_visible=np.zeros((1, count), np.float32),
                    bbox_score=np.ones(1, np.float32), num_keypoints=0)
            info.update(id=f'{self.layout}/{stem}', img_id=stem, bbox=box,
                        img_path=image, silhouette_path=mask,
                        is_labeled=stem in poses)
            people.append(info)
        lost = sum(not p['is_labeled'] for p in people)
        if poses and lost:
            print_log(f'SilhouetteDataset {root}: {lost} of {len(people)} '
                      'people have no joints', logger='current')
        return people

    def _read_joints(self) -> dict[str, tuple[np.ndarray, np.ndarray]]:
        """Reads the joints and converts them by name.

        Returns:
            dict: Stem to (16, 2) coordinates and (16,) visibility.
        """
        path = Path(self.ann_file)
        if not path.is_file():
            raise FileNotFoundError(f'joints not found: {path}')
        if path.suffix == '.json':
            entries: list[dict[str, Any]] = json.loads(path.read_text())
            names = [str(e['name']) for e in entries]
            table = np.array([e['keypoints'] for e in entries], np.float32)
            if table.ndim != 3 or table.shape[2] != 3:
                raise ValueError(f'{path}: keypoints must be [[x, y, v], '
                                 f'...] alike for all, got {table.shape}')
            points, visible = table[..., :2], table[..., 2]
        else:
            with np.load(path, allow_pickle=False) as data:
                names = [str(n) for n in data['names']]
                points = data['keypoints'].astype(np.float32)
                visible = data['visible'].astype(np.float32)
        skeleton = named_skeleton(self.joints)
        target = Skeleton.from_metainfo(self.metainfo)
        points, visible = skeleton.convert(points, visible, target,
                                           allow_missing=True)
        return {n: (points[i], visible[i]) for i, n in enumerate(names)}
