"""Models from a config and a checkpoint."""
from __future__ import annotations

from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.model.utils import revert_sync_batchnorm
from mmengine.registry import init_default_scope
from mmpose.apis.inference import dataset_meta_from_config
from mmpose.datasets.datasets.utils import parse_pose_metainfo
from mmpose.registry import MODELS
from torch import nn

from ..engine import checkpoint as checkpoints
from ..structures import Skeleton


def load_model(config: str | Path | Config,
               checkpoint: str | Path | None = None,
               device: str = 'cpu',
               stage: str | None = None,
               trust: bool = False) -> nn.Module:
    """Builds a model in evaluation mode, with the weights of a checkpoint.

    As mmpose's ``init_model``, but the checkpoint is loaded without trust,
    and refused where it does not fit.

    Args:
        config (str | Path | Config): The config.
        checkpoint (str | Path, optional): A local file. Defaults to None:
            initial weights.
        device (str): Defaults to ``'cpu'``.
        stage (str, optional): Stage of a curriculum whose model is wanted,
            such as ``'pose_vae'``. Defaults to the config's top level.
        trust (bool): See :func:`mirrorpose.engine.checkpoint.load`.

    Returns:
        nn.Module: The model; ``cfg`` and ``dataset_meta`` are set as mmpose
        sets them, so its inferencer and visualizer take it.

    Raises:
        FileNotFoundError: Config or checkpoint is missing.
        ValueError: The checkpoint is damaged, holds code, or is of another
            model; or there is no such stage.
    """
    if not isinstance(config, Config):
        config = Config.fromfile(config)
    config = config.copy()
    if stage is not None:
        config = _stage_config(config, stage)
    init_default_scope(config.get('default_scope', 'mmpose'))
    backbone = config.model.get('backbone')
    if backbone is not None and checkpoint is not None:
        backbone.init_cfg = None
    model = revert_sync_batchnorm(MODELS.build(config.model))
    model.cfg = config
    meta: Any = {}
    if checkpoint is not None:
        held = checkpoints.load(checkpoint, device, trust)
        checkpoints.check_fits(model, held, str(checkpoint))
        state = {k.removeprefix('module.'): v
                 for k, v in held['state_dict'].items()}
        missing = sorted(set(model.state_dict()) - set(state))
        if missing:
            raise ValueError(
                f'checkpoint {checkpoint} lacks {len(missing)} tensors of '
                f'the model ({missing[:3]}): is it of another stage? Name '
                "it, for example stage='pose_vae'")
        model.load_state_dict(state, strict=False)
        meta = held.get('meta', {}).get('dataset_meta') or {}
    if not meta and config.get('test_dataloader'):
        meta = dataset_meta_from_config(config, 'test')
    skeleton = getattr(model, 'skeleton', None)
    if not meta and isinstance(skeleton, Skeleton):
        meta = parse_pose_metainfo(dict(skeleton.metainfo()))
    model.dataset_meta = meta
    return model.to(device).eval()


def _stage_config(config: Config, name: str) -> Config:
    from ..engine.curriculum import CurriculumRunner
    config.setdefault('work_dir', 'work_dirs')
    runner = CurriculumRunner(config)
    if name not in runner.stage_names:
        raise ValueError(f'there is no stage {name!r}; the stages are '
                         f'{runner.stage_names}')
    for stage in runner.stages:  # weights come from the checkpoint alone
        stage.pop('init_from', None)
        stage.pop('load_from_stage', None)
    return runner.stage_config(name)
