"""Samples that have no image."""
from __future__ import annotations

import numpy as np
from mmcv.transforms import BaseTransform
from mmpose.registry import TRANSFORMS


@TRANSFORMS.register_module()
class LoadBlankImage(BaseTransform):
    """Stands in for ``LoadImage`` where only poses are needed.

    One black pixel is enough for mmpose's geometric transforms, and
    ``TopdownAffine`` still gives an input of the full size: a pose VAE
    trains through the same pipelines without an image being read. A mirror
    image is then taken about x = 0, for box and keypoints alike, so nothing
    changes inside the crop.

    Modified Keys:

        - img (1, 1, 3) uint8, an image that was there is replaced
        - img_shape, ori_shape (1, 1)

    Added Keys:

        - img_path (empty, where there was none)
    """

    def transform(self, results: dict) -> dict:
        """Adds the blank image."""
        results['img'] = np.zeros((1, 1, 3), dtype=np.uint8)
        results['img_shape'] = results['ori_shape'] = (1, 1)
        results.setdefault('img_path', '')
        return results

    def __repr__(self) -> str:
        return f'{type(self).__name__}()'
