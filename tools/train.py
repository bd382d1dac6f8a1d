"""Train a model, or a whole curriculum of stages.

    python tools/train.py configs/mirrornet_hrnet_lsp.py

The arguments are those of mmpose's ``tools/train.py``. A config with
``runner_type`` is run by that runner (``CurriculumRunner`` runs its stages in
order, skips finished ones and resumes a broken one); any other config by
``PoseRunner``, mmengine's runner with checkpoints that load safely.
"""

from __future__ import annotations

import argparse
import os
import sys
import warnings
from collections.abc import MutableMapping
from typing import Any

import cli


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description='Train a pose model or a curriculum of stages')
    parser.add_argument('config', help='config file')
    parser.add_argument('--resume', nargs='?', const='auto', metavar='CKPT',
                        help='resume from this checkpoint; without a value, '
                        'from the latest one in the work dir')
    parser.add_argument('--amp', action='store_true',
                        help='automatic mixed precision (bfloat16)')
    parser.add_argument('--no-validate', action='store_true',
                        help='do not evaluate during training')
    parser.add_argument('--auto-scale-lr', action='store_true',
                        help='scale the learning rate by the actual batch '
                        'size over auto_scale_lr.base_batch_size')
    parser.add_argument('--stage', metavar='NAME',
                        help='run this stage of the curriculum only')
    parser.add_argument('--list-stages', action='store_true',
                        help='print the stages of the curriculum and stop')
    cli.add_common_arguments(parser)
    args = parser.parse_args(argv)
    cli.export_local_rank(args)
    return args


def stage_names(cfg: MutableMapping[str, Any]) -> list[str]:
    """Return the names of the stages of a curriculum, in order."""
    return [stage['name'] for stage in cfg.get('stages') or []]


def enable_amp(optim_wrapper: MutableMapping[str, Any],
               on_accelerator: bool) -> int:
    """Turn optimizer wrappers into mixed-precision ones, in place.

    Args:
        optim_wrapper: Config of one wrapper, or of several by name
            (``OptimWrapperDict``), to any depth.
        on_accelerator: mmengine's ``AmpOptimWrapper`` insists on one; the
            CPU gets our ``AutocastOptimWrapper``.

    Returns:
        int: How many wrappers were changed.

    Raises:
        cli.UsageError: A wrapper has a type of its own.
    """
    if 'optimizer' not in optim_wrapper:
        return sum(
            enable_amp(member, on_accelerator)
            for member in optim_wrapper.values()
            if isinstance(member, MutableMapping))
    kind = optim_wrapper.get('type', 'OptimWrapper')
    name = kind if isinstance(kind, str) else kind.__name__
    name = name.rpartition('.')[2]
    if name not in ('OptimWrapper', 'AmpOptimWrapper',
                    'AutocastOptimWrapper'):
        raise cli.UsageError(f'--amp cannot replace the optimizer wrapper '
                             f'{name!r}; set its precision in the config.')
    if on_accelerator:
        optim_wrapper['type'] = 'AmpOptimWrapper'
        optim_wrapper.setdefault('dtype', 'bfloat16')
        if optim_wrapper['dtype'] == 'bfloat16':
            # bfloat16 has the range of float32: nothing to scale
            optim_wrapper.setdefault('loss_scale', 1.0)
    else:
        optim_wrapper['type'] = 'AutocastOptimWrapper'
        for key in ('loss_scale', 'use_fsdp'):
            optim_wrapper.pop(key, None)
    return 1


def merge_args(cfg: Any, args: argparse.Namespace) -> None:
    """Write the command line into the config.

    Raises:
        cli.UsageError: An argument does not fit the config.
    """
    from mirrorpose.engine.dist import has_accelerator
    cli.merge_common(cfg, args)
    if args.no_validate:
        for part in cli.configs_of(cfg):
            for key in ('val_cfg', 'val_dataloader', 'val_evaluator'):
                if part is cfg or key in part:
                    part[key] = None
    if args.amp:
        if not cfg.get('optim_wrapper'):
            raise cli.UsageError('--amp: the config has no optim_wrapper.')
        on_accelerator = has_accelerator()
        for part in cli.configs_of(cfg):
            if part.get('optim_wrapper'):
                changed = enable_amp(part['optim_wrapper'], on_accelerator)
                if not changed and part is cfg:
                    raise cli.UsageError('--amp: optim_wrapper names no '
                                         'optimizer.')
    restarted = int(os.environ.get('TORCHELASTIC_RESTART_COUNT', '0')) > 0
    if args.resume == 'auto' or restarted:
        # torchrun starts a broken run again with the same arguments
        cfg.resume = True
        cfg.load_from = None
    elif args.resume is not None:
        cli.require_checkpoint(args.resume)
        if stage_names(cfg) and args.stage is None:
            raise cli.UsageError(
                '--resume CKPT: a checkpoint belongs to one stage; name it '
                'with --stage, or leave CKPT out: a curriculum goes on '
                'where it was.')
        cfg.resume = True
        cfg.load_from = args.resume
    if args.auto_scale_lr:
        if not cfg.get('auto_scale_lr'):
            raise cli.UsageError('--auto-scale-lr needs auto_scale_lr=dict('
                                 'base_batch_size=...) in the config.')
        for part in cli.configs_of(cfg):
            if part.get('auto_scale_lr'):
                part['auto_scale_lr']['enable'] = True
    if args.stage is not None:
        names = stage_names(cfg)
        if not names:
            raise cli.UsageError(f'--stage: {args.config} has no stages.')
        if args.stage not in names:
            raise cli.UsageError(f'--stage {args.stage}: no such stage; the '
                                 f'stages are {", ".join(names)}.')
        cfg.only_stage = args.stage
    cli.merge_options(cfg, args.cfg_options)
    cli.move_preprocess_cfg(cfg)


def main() -> None:
    """Train as the command line says."""
    args = parse_args()
    cli.require_config(args.config)
    # mmengine 0.10.7 still uses it, and there is nothing to do about it here
    warnings.filterwarnings('ignore', 'pkg_resources is deprecated')
    import mirrorpose  # noqa: F401
    from mirrorpose.engine.dist import setup_distributed, teardown_distributed
    cfg = cli.load_config(args.config)
    if args.list_stages:
        names = stage_names(cfg)
        if not names:
            raise cli.UsageError(f'--list-stages: {args.config} has no '
                                 'stages.')
        print('\n'.join(names))
        return
    merge_args(cfg, args)
    setup_distributed(cfg, args.launcher)
    try:
        from mmpose.registry import RUNNERS
        cfg.setdefault('runner_type', 'PoseRunner')
        RUNNERS.build(cfg).train()
    finally:
        teardown_distributed()


if __name__ == '__main__':
    sys.exit(cli.run(main))
