"""People's own data in COCO's format, converted by joint name."""
from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import mmengine.fileio as fileio
import numpy as np
from mmengine.logging import print_log
from mmpose.registry import DATASETS

from mirrorpose.structures.skeleton import Skeleton

from .joint_names import named_skeleton
from .lsp import LabelSplitDataset
from .zip_backend import zip_path


@DATASETS.register_module()
class CocoPoseDataset(LabelSplitDataset):
    """COCO keypoint JSON with any joints, as mirrorpose's 16.

    Joint names are read from the category (``"keypoints"``). Joints that the
    file lacks are absent: COCO's own people have neither head top nor upper
    neck, and pelvis and thorax are midpoints. People without any annotated
    joint are kept as unlabelled (``is_labeled=False``); crowds are left out,
    and how many is logged.

    Args:
        ann_file (str): The JSON below ``data_root``.
        image_dir (str): Folder or ``.zip`` below ``data_root`` that
            ``file_name`` is relative to. Defaults to ``'images'``.
        joints (str | Sequence[str] | Mapping[str, str], optional): What the
            joints are, or how the file's own names are to be read; see
            :func:`named_skeleton`. Defaults to None: the category's names.
        with_silhouette (bool): Keep ``segmentation``, which
            ``LoadSilhouette`` draws; people without one are left out, and
            how many is logged. Defaults to False.
        label_fraction, part, split_seed and others: see
            :class:`LabelSplitDataset`.

    Raises:
        FileNotFoundError: The JSON is missing.
        ValueError: Unknown joint names, wrong joint counts, or coordinates
            that are not finite; the message names the annotation.
    """

    def __init__(self,
                 ann_file: str,
                 data_root: str | None = None,
                 image_dir: str = 'images',
                 joints: str | Sequence[str] | Mapping[str, str] |
                 None = None,
                 with_silhouette: bool = False,
                 **kwargs: Any) -> None:
        self.image_dir = image_dir
        self.joints = joints
        self.with_silhouette = with_silhouette
        super().__init__(
            ann_file=ann_file,
            data_root=data_root,
            **kwargs)

    def load_people(self) -> list[dict]:
        """Reads the JSON."""
        path = Path(self.ann_file)
        if not path.is_file():
            raise FileNotFoundError(
                f'COCO annotations not found: {path}; check ann_file, and '
                'data_root or the environment variable MIRRORPOSE_DATA')
        content = fileio.load(str(path))
        lost = [k for k in ('images', 'annotations', 'categories')
                if k not in content]
        if lost:
            raise ValueError(f'{path} is no COCO file: it lacks {lost}')
        images = {i['id']: i for i in content['images']}
        skeletons = self._skeletons(content['categories'], path)
        target = Skeleton.from_metainfo(self.metainfo)
        place = Path(self.data_root) / self.image_dir
        people, crowds, bare = [], 0, 0
        for note in content['annotations']:
            sample = f'{path.stem}/{note["id"]}'
            if note['category_id'] not in skeletons:
                continue
            if note.get('iscrowd'):
                crowds += 1
                continue
            if self.with_silhouette and not note.get('segmentation'):
                bare += 1
                continue
            if note['image_id'] not in images:
                raise ValueError(f'{sample}: image {note["image_id"]} is not '
                                 'among the images of the file')
            skeleton = skeletons[note['category_id']]
            flat = np.array(note.get('keypoints') or
                            [0] * 3 * len(skeleton), dtype=np.float32)
            if flat.size != 3 * len(skeleton):
                raise ValueError(
                    f'{sample}: {flat.size} numbers in "keypoints", but '
                    f'{len(skeleton)} joints make {3 * len(skeleton)}')
            table = flat.reshape(-1, 3)
            points, visible = skeleton.convert(table[:, :2], table[:, 2],
                                               target, allow_missing=True)
            visible = (visible > 0).astype(np.float32)
            people.append(self._person(note, images, points, visible, place,
                                       sample))
        for count, why in ((crowds, 'crowds'),
                           (bare, 'people without segmentation')):
            if count:
                print_log(f'CocoPoseDataset {path}: {count} {why} are left '
                          'out', logger='current')
        return people

    def _skeletons(self, categories: Sequence[dict],
                   path: Path) -> dict[int, Skeleton]:
        """Joint set of each category that has joints."""
        out = {}
        for category in categories:
            names = category.get('keypoints')
            if isinstance(self.joints, Mapping) or self.joints is None:
                if names:
                    out[category['id']] = named_skeleton(self.joints or {},
                                                         names)
            else:
                out[category['id']] = named_skeleton(self.joints)
        if not out:
            raise ValueError(f'{path}: no category names its "keypoints"; '
                             "pass joints=, e.g. 'coco_17'")
        return out

    def _person(self, note: dict, images: dict, points: np.ndarray,
                visible: np.ndarray, place: Path, sample: str) -> dict:
        """Returns the ``data_info`` of one annotation."""
        image = images[note['image_id']]
        boxed = 'bbox' in note and min(note['bbox'][2:]) > 0
        if visible.sum() >= 2 or not boxed:
            info = self.person_info(points, visible, sample)
        else:
            info = dict(
                keypoints=points[None].astype(np.float32),
                keypoints_visible=visible[None],
                bbox_score=np.ones(1, np.float32),
                num_keypoints=int(visible.sum()))
        if boxed:
            x, y, w, h = note['bbox']
            info['bbox'] = np.array([[x, y, x + w, y + h]], np.float32)
        name = image['file_name']
        info.update(
            id=sample, img_id=note['image_id'],
            width=image.get('width'), height=image.get('height'),
            img_path=(zip_path(place, name) if place.suffix == '.zip' else
                      str(place / name)),
            category_id=np.array(note['category_id']),
            is_labeled=bool(visible.any()))
        if self.with_silhouette:
            info['segmentation'] = note['segmentation']
        return info
