"""Recombination as a data preprocessor."""
from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mmpose.registry import MODELS

from .crop_preprocessor import CropPreprocessor


@MODELS.register_module()
class RecombinationPreprocessor(CropPreprocessor):
    """mmpose's ``PoseDataPreprocessor`` that recombines training images.

    In anybody's top-down config, in place of ``PoseDataPreprocessor``::

        data_preprocessor=dict(
            type='RecombinationPreprocessor', mean=..., std=...,
            bgr_to_rgb=True, recombination=dict(skeleton='coco_17'))

    A share of the annotated images of every training batch shows its people
    in other scenes and colours; see :class:`Recombination`, which stands
    before any other of ``batch_augments``. Validation and prediction see
    nothing of it. Batches of the crop cache are taken too.

    Silhouettes, where a data set has them, make better mattes: put
    ``LoadSilhouette`` (``required=False`` where some people have none) behind
    ``LoadImage``. They come as a fourth channel of the image, which is taken
    off here. In the crop cache, ``SplitSilhouette`` with the size of the
    input does the same.

    Args:
        mean, std, pad_size_divisor, pad_value, bgr_to_rgb, rgb_to_bgr,
            non_blocking, batch_augments: As mmpose's.
        recombination (Mapping): Options of :class:`Recombination`, but for
            ``mean`` and ``std``; ``skeleton`` is needed.

    Raises:
        TypeError: No ``recombination`` is given.
    """

    def __init__(self,
                 mean: Sequence[float] | None = None,
                 std: Sequence[float] | None = None,
                 pad_size_divisor: int = 1,
                 pad_value: float = 0,
                 bgr_to_rgb: bool = False,
                 rgb_to_bgr: bool = False,
                 non_blocking: bool | None = False,
                 batch_augments: list[dict] | None = None,
                 recombination: Mapping[str, Any] | None = None) -> None:
        if recombination is None:
            raise TypeError('RecombinationPreprocessor needs recombination='
                            "dict(skeleton='coco_17', ...), the joint set of "
                            'the labels')
        first = dict(type='Recombination', mean=mean, std=std,
                     **recombination)
        super().__init__(mean, std, pad_size_divisor, pad_value, bgr_to_rgb,
                         rgb_to_bgr, non_blocking,
                         [first, *(batch_augments or [])])

    def forward(self, data: dict, training: bool = False) -> dict:
        """Makes inputs and data samples; recombines them in training."""
        images = data.get('inputs') if isinstance(data, dict) else None
        if not isinstance(images, (list, tuple)) or not any(
                x.shape[0] == 4 for x in images):
            return super().forward(data, training)
        samples = data['data_samples']
        for image, sample in zip(images, samples):
            if training and image.shape[0] == 4:
                sample.gt_instance_labels.set_field(
                    image[3:].to(self.device).float() / 255, 'silhouette')
        out = super().forward(dict(
            data, inputs=[x[:3] for x in images]), training)
        for sample in out['data_samples']:
            if training and 'gt_instance_labels' in sample:
                sample.gt_instance_labels.pop('silhouette', None)
        return out
