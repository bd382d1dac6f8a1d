"""Removing labels, so that un-annotated samples stay un-annotated."""
from __future__ import annotations

import numpy as np
from mmcv.transforms import BaseTransform
from mmpose.registry import TRANSFORMS

# Everything that a joint or a silhouette could be read from. The box stays:
# a person detector gives it without labels.
_LABEL_KEYS = ('silhouette_path', 'silhouette_img', 'silhouette_good',
               'segmentation', 'mask', 'raw_ann_info', 'keypoints_3d',
               'keypoints_3d_visible', 'keypoints_cam', 'keypoints_occluded',
               'head_size', 'area', 'num_keypoints')


@TRANSFORMS.register_module()
class DropLabels(BaseTransform):
    """Makes a sample un-annotated.

    Stands at the head of the un-annotated child's pipeline: before
    ``LoadSilhouette`` and before any codec sees the keypoints.

    Required Keys:

        - keypoints
        - keypoints_visible

    Modified Keys:

        - keypoints (all 0)
        - keypoints_visible (all 0)
        - is_labeled (False)

    Removed Keys: silhouettes, 3D keypoints, raw annotations and whatever
    else a label could be read from. ``bbox`` is kept.
    """

    def transform(self, results: dict) -> dict:
        """Removes the labels.

        Raises:
            ValueError: Labels have already gone into maps or image channels.
        """
        late = [k for k in ('heatmaps', 'silhouette', 'keypoint_labels',
                            'transformed_keypoints') if k in results]
        image = results.get('img')
        if image is not None and image.ndim == 3 and image.shape[2] == 4:
            late.append('the 4th channel of img')
        if late:
            raise ValueError(
                f'DropLabels came too late: {late} already hold labels; put '
                'it before LoadSilhouette, TopdownAffine and GenerateTarget')
        results['is_labeled'] = False
        results['keypoints'] = np.zeros_like(results['keypoints'])
        results['keypoints_visible'] = np.zeros_like(
            results['keypoints_visible'])
        for key in _LABEL_KEYS:
            results.pop(key, None)
        return results

    def __repr__(self) -> str:
        return f'{type(self).__name__}()'
