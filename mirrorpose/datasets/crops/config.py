"""The crop cache as one line of a config."""
from __future__ import annotations

from typing import Any


def use_crop_cache(cfg: Any) -> Any:
    """Applies the variable ``crop_cache`` of a config.

    ``crop_cache = dict(...)`` holds options of ``CachedCropDataset``
    (``dict()``: the defaults). The training data set is put into one, and
    the model's ``PoseDataPreprocessor`` becomes a ``CropPreprocessor``.
    Validation stays with the stock pipeline. mmpose's own tools ignore the
    variable, and train from the stock pipeline.

    Args:
        cfg (Config): Of a run; changed in place.

    Returns:
        Config: The same.

    Raises:
        TypeError: ``crop_cache`` is no dict.
        ValueError: The model has another preprocessor.
    """
    options = cfg.get('crop_cache')
    loader = cfg.get('train_dataloader')
    if options is None or loader is None:
        return cfg
    if not isinstance(options, dict):
        raise TypeError('crop_cache is a dict with options of '
                        f'CachedCropDataset, got {options!r}')
    if loader.dataset.type == 'CachedCropDataset':
        return cfg
    preprocessor = cfg.model.get('data_preprocessor')
    kind = preprocessor.get('type') if preprocessor else None
    if kind not in ('PoseDataPreprocessor', 'CropPreprocessor',
                    'RecombinationPreprocessor'):
        raise ValueError(
            'crop_cache needs data_preprocessor=dict(type='
            f"'PoseDataPreprocessor', ...) in the model, got {kind!r}; leave "
            'crop_cache out, or take that preprocessor')
    if kind == 'PoseDataPreprocessor':
        preprocessor['type'] = 'CropPreprocessor'
    loader.dataset = dict(type='CachedCropDataset', dataset=loader.dataset,
                          **options)
    return cfg
