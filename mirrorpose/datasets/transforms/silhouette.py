"""Silhouettes, carried through the geometry as a fourth image channel.

Any transform that warps the image warps the silhouette with it, so the two
cannot come apart. Transforms of the colours belong before
:class:`LoadSilhouette` or after :class:`SplitSilhouette`.
"""
from __future__ import annotations

from collections.abc import Sequence

import cv2
import mmcv
import mmengine.fileio as fileio
import numpy as np
from mmcv.transforms import BaseTransform
from mmpose.datasets.transforms import PackPoseInputs
from mmpose.registry import TRANSFORMS
from xtcocotools import mask as coco_mask

from ..broken import BrokenSampleError


@TRANSFORMS.register_module()
class LoadSilhouette(BaseTransform):
    """Appends the person's silhouette to the image, after ``LoadImage``.

    Required Keys:

        - img (H, W, 3) uint8
        - silhouette_path, an image file of the same size (grey values, or
          0 and 1); or silhouette_img (H, W): bool, uint8 (0 or 255), or
          float in [0, 1]; or segmentation, COCO's polygons or run lengths

    Modified Keys:

        - img (H, W, 4) uint8, the last channel 0 or 255

    Removed Keys:

        - silhouette_img

    Args:
        required (bool): A sample without silhouette is an error; otherwise
            it passes unchanged. Defaults to True.
        threshold (int): Grey values from here on are person, which removes
            the soft edges of compressed masks. Defaults to 128.
    """

    def __init__(self, required: bool = True, threshold: int = 128) -> None:
        if not 1 <= threshold <= 255:
            raise ValueError('threshold must lie in [1, 255], got '
                             f'{threshold}')
        self.required = required
        self.threshold = threshold

    def _read(self, path: str) -> np.ndarray:
        """Reads a mask file as (H, W) uint8."""
        mask = mmcv.imfrombytes(fileio.get(path), flag='grayscale',
                                backend='cv2')
        if mask is None:
            raise BrokenSampleError(
                f'silhouette {path!r} cannot be decoded; write it anew',
                reason='the silhouette cannot be decoded', where=path)
        return mask * 255 if mask.max() <= 1 else mask

    @staticmethod
    def _draw(shape: Sequence[int], segmentation: list | dict) -> np.ndarray:
        """Draws COCO's polygons or run lengths as (H, W) uint8."""
        height, width = shape[:2]
        if isinstance(segmentation, list):
            runs = coco_mask.merge(
                coco_mask.frPyObjects(segmentation, height, width))
        elif isinstance(segmentation['counts'], list):
            runs = coco_mask.frPyObjects(segmentation, height, width)
        else:
            runs = segmentation
        return coco_mask.decode(runs) * np.uint8(255)

    def transform(self, results: dict) -> dict:
        """Appends the silhouette.

        Raises:
            ValueError: There is no silhouette though one is required, it
                cannot be read, or its size is not the image's.
        """
        mask = results.pop('silhouette_img', None)
        where = results.get('silhouette_path')
        if mask is None and where is None and results.get('segmentation'):
            where = 'segmentation'
            mask = self._draw(results['img'].shape, results['segmentation'])
        if mask is None and where is None:
            if not self.required:
                return results
            raise ValueError(
                f'sample {results.get("id")!r} has neither silhouette_path '
                'nor silhouette_img nor segmentation; build the data set with '
                'with_silhouette=True, or pass required=False')
        if mask is None:
            mask = self._read(str(where))
        mask = np.asarray(mask)
        if mask.ndim == 3 and mask.shape[2] == 1:
            mask = mask[..., 0]
        image = results['img']
        if mask.shape != image.shape[:2] or image.ndim != 3 or (
                image.shape[2] != 3):
            raise ValueError(
                f'silhouette {where or "in memory"} of sample '
                f'{results.get("id")!r} has the shape {mask.shape}, its '
                f'image {image.shape}; expected (H, W) and (H, W, 3)')
        if mask.dtype != np.uint8:
            if not (mask.min() >= 0 and mask.max() <= 1):
                raise ValueError(
                    f'silhouette of sample {results.get("id")!r} is '
                    f'{mask.dtype} in [{mask.min()}, {mask.max()}]; expected '
                    'bool, uint8 in {0, 255}, or float in [0, 1]')
            mask = mask * 255.
        person = (mask >= self.threshold).astype(image.dtype) * 255
        results['img'] = np.dstack([image, person])
        return results

    def __repr__(self) -> str:
        return (f'{type(self).__name__}(required={self.required}, '
                f'threshold={self.threshold})')


@TRANSFORMS.register_module()
class SplitSilhouette(BaseTransform):
    """Takes the silhouette off the image again, after ``TopdownAffine``.

    The silhouette is averaged over the area of each cell of the heatmap
    grid: cell i of ``s`` pixels a side is the mean of the input pixels
    s i .. s i + s - 1, like an image that is reduced by ``INTER_AREA``. (A
    heatmap cell of mmpose's codecs stands for the *pixel* s i, half a cell
    to the left.)

    Where the transform stands after ``GenerateTarget``, the field table of
    the codec is extended; without one, ``PackPoseInputs``' own table is.
    ``GenerateTarget`` replaces the table, so it must not come later.

    Required Keys:

        - img (H, W, 4); an image of three channels passes unchanged
        - input_size (w, h)

    Modified Keys:

        - img (H, W, 3)
        - field_mapping_table

    Added Keys:

        - silhouette (1, h, w) float32 in [0, 1]

    Args:
        heatmap_size (tuple[int, int]): Size (w, h) in cells; must divide
            the input size.
    """

    def __init__(self, heatmap_size: Sequence[int]) -> None:
        if len(heatmap_size) != 2 or min(heatmap_size) <= 0:
            raise ValueError('heatmap_size must be two positive numbers '
                             f'(w, h), got {heatmap_size}')
        self.heatmap_size = tuple(int(n) for n in heatmap_size)

    def transform(self, results: dict) -> dict:
        """Splits the channels.

        Raises:
            ValueError: The heatmap size does not divide the image's size.
        """
        image = results['img']
        if image.ndim == 3 and image.shape[2] == 3:
            return results
        if image.ndim != 3 or image.shape[2] != 4:
            raise ValueError('SplitSilhouette takes an image of 3 or 4 '
                             f'channels, got the shape {image.shape}')
        height, width = image.shape[:2]
        if width % self.heatmap_size[0] or height % self.heatmap_size[1]:
            raise ValueError(
                f'heatmap_size {self.heatmap_size} (w, h) does not divide '
                f'the input size {(width, height)}')
        mask = np.ascontiguousarray(image[..., 3]).astype(np.float32) / 255
        mask = cv2.resize(mask, self.heatmap_size,
                          interpolation=cv2.INTER_AREA)
        results['img'] = np.ascontiguousarray(image[..., :3])
        results['silhouette'] = mask[None]
        table = results.get('field_mapping_table',
                            PackPoseInputs.field_mapping_table)
        results['field_mapping_table'] = dict(table, silhouette='silhouette')
        return results

    def __repr__(self) -> str:
        return f'{type(self).__name__}(heatmap_size={self.heatmap_size})'
