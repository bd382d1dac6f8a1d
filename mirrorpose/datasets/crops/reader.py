"""Batches from annotations in columns and crops in memory-mapped files."""
from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
import torch
from torch.utils.data import get_worker_info

from . import geometry
from .augment import REPLACE, Boxes, Draws, draw, move_boxes
from .batch import BatchSpec, CropBatch
from .cache import CropCache
from .draws import uniforms
from .memory import TensorPool
from .people import People, join_people, take
from .pipeline import CropPlan


class CropReader:
    """What a process needs to make batches; cheap to send to a worker.

    Args:
        plan (CropPlan): The pipeline.
        metainfo (dict): Of the data set.
        warp (str): ``'loader'`` or ``'device'``.
        parts (Sequence): Annotations and crops of each leaf data set, in the
            order of indices; no crops where there are no images.
        good (Sequence[np.ndarray]): (N,) bool for each leaf: not broken.
    """

    def __init__(self, plan: CropPlan, metainfo: dict, warp: str,
                 parts: Sequence[tuple[People, CropCache | None]],
                 good: Sequence[np.ndarray]) -> None:
        self.plan, self.warp = plan, warp
        names = ('flip_indices', 'upper_body_ids', 'lower_body_ids')
        self.metainfo = {k: metainfo[k] for k in names if k in metainfo}
        counts = [len(people) for people, _ in parts]
        self.people = join_people([people for people, _ in parts])
        self.caches = [cache for _, cache in parts if cache is not None]
        self.leaf = np.repeat(np.arange(len(counts)), counts)
        self.row = np.concatenate([np.arange(c) for c in counts])
        self.good = [np.nonzero(known if cache is None else
                                known & (cache.broken == ''))[0]
                     for known, (_, cache) in zip(good, parts)]
        self.all_good = sum(map(len, self.good)) == sum(counts)
        self.first = np.cumsum([0, *counts])
        if self.caches:
            self.origin, self.scale = (
                np.concatenate([getattr(c, name) for c in self.caches])
                for name in ('origin', 'scale'))
        self.spec = self._make_spec(metainfo)
        self._pool = TensorPool('uint8')

    def __len__(self) -> int:
        return len(self.row)

    def _make_spec(self, metainfo: dict) -> BatchSpec:
        target, pack = self.plan.target, self.plan.pack
        weights = None
        if target is not None and target.use_dataset_keypoint_weights:
            weights = tuple(np.ravel(
                metainfo['dataset_keypoint_weights']).tolist())
        instances = dict(pack.instance_mapping_table)
        if pack.pack_transformed:
            instances['transformed_keypoints'] = 'transformed_keypoints'
        return BatchSpec(
            self.plan.input_size, self.people.keypoints.shape[1],
            None if target is None else dict(target.encoder_cfg), weights,
            self.plan.silhouette_size, tuple(pack.meta_keys), instances,
            self.plan.colour is not None)

    def get_batch(self, indices: Sequence[int],
                  keys: np.ndarray | None = None) -> dict:
        """A collated batch; every number in it follows from the keys.

        Args:
            indices (Sequence[int]): (N,) indices.
            keys (np.ndarray, optional): (N,) uint64. Not needed where
                nothing is drawn.

        Returns:
            dict: ``inputs``, a :class:`CropBatch`.

        Raises:
            ValueError: There are no keys, and the pipeline draws.
            RuntimeError: All samples of a data set are broken.
        """
        people = self.people
        rows = np.asarray(indices, dtype=np.int64)
        if keys is None:
            if self.plan.is_random:
                raise ValueError('get_batch needs a key a sample: the '
                                 'pipeline draws random numbers')
            keys = np.zeros(len(rows), np.uint64)
        keys = np.asarray(keys, dtype=np.uint64)
        rows = self._replace_broken(rows, keys)
        draws = draw(self.plan, keys)
        boxes = move_boxes(self.plan, people.boxes(rows), draws,
                           self.metainfo)
        to_input = geometry.warp_matrices(
            boxes.center, boxes.scale, boxes.rotation, self.plan.input_size,
            self.plan.affine.use_udp)
        points = geometry.transform_points(boxes.keypoints, to_input)
        to_crop = np.zeros_like(to_input)
        images = None
        if self.caches:
            images, to_crop = self._images(rows, to_input, boxes, draws)
        records = self._records(people, rows, boxes, draws, points)
        labelled = np.array([bool(v) for v in records['is_labeled']]) \
            if 'is_labeled' in self.spec.meta_keys \
            and 'is_labeled' in records else np.ones(len(rows), bool)
        n = len(rows)
        numbers = np.concatenate([
            points.reshape(n, -1), boxes.visible.reshape(n, -1),
            labelled[:, None], to_crop.reshape(n, 6), draws.colour],
            axis=1, dtype=np.float32, casting='unsafe')
        return dict(inputs=CropBatch(
            self.spec, images, self.warp == 'loader',
            torch.from_numpy(numbers), records))

    def _replace_broken(self, rows: np.ndarray,
                        keys: np.ndarray) -> np.ndarray:
        """Another sample of the same data set for each broken one."""
        if self.all_good:
            return rows
        rows, chance = rows.copy(), uniforms(keys, 1, REPLACE)[:, 0]
        for leaf, good in enumerate(self.good):
            mine = np.nonzero(self.leaf[rows] == leaf)[0]
            bad = mine[~np.isin(self.row[rows[mine]], good)]
            if len(bad):
                if not len(good):
                    raise RuntimeError(f'all {len(self.row)} samples are '
                                       'broken' if len(self.good) == 1 else
                                       f'all samples of member {leaf} of the '
                                       'data set are broken')
                rows[bad] = self.first[leaf] + good[
                    (chance[bad] * len(good)).astype(np.int64)]
        return rows

    def _images(self, rows: np.ndarray, to_input: np.ndarray, boxes: Boxes,
                draws: Draws) -> tuple[torch.Tensor, np.ndarray]:
        """Inputs, or crops that the device is to warp, channels last.

        Returns:
            tuple[Tensor, np.ndarray]: (N, h, w, C) uint8, and maps
            (N, 2, 3) from the input to the crop.
        """
        crops = [self.caches[leaf][row] for leaf, row in zip(
            self.leaf[rows].tolist(), self.row[rows].tolist())]
        on_device = self.warp == 'device'
        # Mirrored before the warp as in mmpose: OpenCV rounds positions, and
        # not alike from the right as from the left.
        width = None if on_device else np.array([c.shape[1] for c in crops])
        from_crop = geometry.from_crop(to_input, *geometry.mirror_crop(
            self.origin[rows], self.scale[rows], boxes.width, draws.flip,
            width))
        if on_device:
            return self._stack(crops), geometry.invert(from_crop)
        w, h = self.plan.input_size
        images = self._empty((len(rows), h, w, crops[0].shape[2]))
        out = images.numpy()
        # OpenCV has no batches.
        for target, crop, matrix, flip in zip(out, crops, from_crop,
                                              draws.flip.tolist()):
            cv2.warpAffine(cv2.flip(crop, 1) if flip else crop, matrix,
                           (w, h), dst=target, flags=cv2.INTER_LINEAR)
        if self.plan.colour is not None:
            for target, gains in zip(out, draws.colour):
                jitter_colour(target, gains)
        return images, np.zeros_like(to_input)

    def _empty(self, shape: tuple[int, ...]) -> torch.Tensor:
        """An uninitialised uint8 tensor; in a worker, in shared memory.

        torch's collate function does the same, which saves a copy.
        """
        if get_worker_info() is None:
            return self._pool.empty(shape)
        storage = torch.UntypedStorage._new_shared(int(np.prod(shape)))
        return torch.empty(0, dtype=torch.uint8).set_(storage).view(shape)

    def _stack(self, crops: list[np.ndarray]) -> torch.Tensor:
        """Crops in one tensor, black to the right and below."""
        sizes = np.array([crop.shape[:2] for crop in crops])
        # Few different sizes, so that the device's memory can be reused.
        side = (32 * np.ceil(sizes.max(0) / 32)).astype(int).tolist()
        images = self._empty((len(crops), *side, crops[0].shape[2]))
        for target, crop in zip(images.numpy(), crops):
            h, w = crop.shape[:2]
            target[:h, :w] = crop
            target[h:] = 0
            target[:h, w:] = 0
        return images

    def _records(self, people: People, rows: np.ndarray, boxes: Boxes,
                 draws: Draws, points: np.ndarray) -> dict[str, Any]:
        """The columns that data samples are made of."""
        plan, n = self.plan, len(rows)
        records = {k: take(v, rows) for k, v in people.columns.items()}
        shape = people.shape[rows]
        if plan.flip is not None and 'bbox' in records:
            box = records['bbox']
            mirrored = box.copy()
            width = boxes.width[:, None, None].astype(box.dtype)
            mirrored[..., ::2] = width - box[..., -2::-2] - 1
            records['bbox'] = np.where(draws.flip[:, None, None], mirrored,
                                       box)
        wanted = set(self.spec.meta_keys)
        if plan.flip is not None:
            records['flip'] = draws.flip.tolist()
            records['flip_direction'] = ['horizontal' if f else None
                                         for f in records['flip']]
        shapes = [tuple(s) for s in shape.tolist()]
        records.update(
            keypoints=boxes.keypoints[:, None],
            keypoints_visible=boxes.visible[:, None],
            bbox_scale=boxes.scale[:, None], input_center=boxes.center,
            input_scale=boxes.scale, ori_shape=shapes, img_shape=shapes,
            input_size=[plan.input_size] * n)
        if 'bbox_center' in wanted:
            records['bbox_center'] = boxes.center[:, None]
        if plan.transform is not None and 'bbox_rotation' in wanted:
            records['bbox_rotation'] = boxes.rotation[:, None]
        if plan.pack.pack_transformed:
            records['transformed_keypoints'] = points[:, None]
        return records


def jitter_colour(image: np.ndarray, gains: np.ndarray) -> None:
    """``YOLOXHSVRandomAug`` with given gains, in place.

    Args:
        image (np.ndarray): (H, W, 3) uint8 BGR.
        gains (np.ndarray): (3,) int16 for hue (0..179), saturation, value.
    """
    hsv = cv2.cvtColor(image, cv2.COLOR_BGR2HSV).astype(np.int16)
    hsv[..., 0] = (hsv[..., 0] + gains[0]) % 180
    hsv[..., 1:] = np.clip(hsv[..., 1:] + gains[1:], 0, 255)
    cv2.cvtColor(hsv.astype(np.uint8), cv2.COLOR_HSV2BGR, dst=image)
