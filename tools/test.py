"""Test a checkpoint, print its scores and write them down.

    python tools/test.py CONFIG CHECKPOINT --out scores.json

The arguments are those of mmpose's ``tools/test.py``. The top level of a
curriculum's config is its last joint stage, and is what is tested.
"""

from __future__ import annotations

import argparse
import json
import sys
import warnings
from pathlib import Path
from typing import Any

import cli


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description='Test a pose model')
    parser.add_argument('config', help='config file')
    parser.add_argument('checkpoint', help='checkpoint file')
    parser.add_argument('--out', metavar='FILE.json',
                        help='write the scores there')
    parser.add_argument('--dump', metavar='FILE.pkl',
                        help='write all predictions there')
    cli.add_common_arguments(parser)
    args = parser.parse_args(argv)
    cli.export_local_rank(args)
    return args


def merge_args(cfg: Any, args: argparse.Namespace) -> None:
    """Write the command line into the config.

    Raises:
        cli.UsageError: An argument does not fit the config.
    """
    cfg.load_from = args.checkpoint
    cfg.resume = False
    cli.merge_common(cfg, args)
    if args.out and not args.out.endswith('.json'):
        raise cli.UsageError(f'--out must name a .json file, got {args.out}.')
    if args.dump is not None:
        if not args.dump.endswith(('.pkl', '.pickle')):
            raise cli.UsageError(f'--dump must name a .pkl file, got '
                                 f'{args.dump}.')
        evaluators = cfg.get('test_evaluator') or []
        if not isinstance(evaluators, (list, tuple)):
            evaluators = [evaluators]
        cfg.test_evaluator = [
            *evaluators, dict(type='DumpResults', out_file_path=args.dump)]
    cli.merge_options(cfg, args.cfg_options)
    if not cfg.get('test_dataloader'):
        raise cli.UsageError(f'{args.config} has no test_dataloader.')
    cli.move_preprocess_cfg(cfg)


def plain(metrics: dict[str, Any]) -> dict[str, Any]:
    """Turn numpy and torch scalars into numbers that JSON knows."""
    return {key: value.item() if hasattr(value, 'item') else value
            for key, value in metrics.items()}


def main() -> None:
    """Test as the command line says."""
    args = parse_args()
    cli.require_config(args.config)
    cli.require_checkpoint(args.checkpoint)
    warnings.filterwarnings('ignore', 'pkg_resources is deprecated')
    import mirrorpose  # noqa: F401
    from mirrorpose.engine.dist import setup_distributed, teardown_distributed
    cfg = cli.load_config(args.config)
    merge_args(cfg, args)
    setup_distributed(cfg, args.launcher)
    try:
        from mmengine.dist import is_main_process

        from mirrorpose.engine import PoseRunner
        metrics = plain(PoseRunner.from_cfg(cfg).test() or {})
        if is_main_process():
            for key, value in metrics.items():
                shown = f'{value:.4f}' if isinstance(value, float) else value
                print(f'{key}: {shown}')
            if args.out:
                out = Path(args.out)
                out.parent.mkdir(parents=True, exist_ok=True)
                out.write_text(json.dumps(metrics, indent=1) + '\n',
                               encoding='utf-8')
    finally:
        teardown_distributed()


if __name__ == '__main__':
    sys.exit(cli.run(main))
