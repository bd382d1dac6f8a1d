"""What ``train.py`` and ``test.py`` share: errors, configs, arguments."""

from __future__ import annotations

import argparse
import difflib
import inspect
import os
import sys
from collections.abc import Callable, Iterator, MutableMapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
if (ROOT / 'mirrorpose' / '__init__.py').is_file():
    # the package of this checkout, whatever else is installed
    sys.path.insert(0, str(ROOT))


class UsageError(Exception):
    """A mistake of the user, told in one line."""


def run(main: Callable[[], None]) -> int:
    """Run ``main``; turn a :class:`UsageError` into one line and status 2."""
    try:
        main()
    except UsageError as error:
        print(f'{Path(sys.argv[0]).name}: {error}', file=sys.stderr)
        return 2
    return 0


def add_common_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments that mmpose's train.py and test.py share."""
    from mmengine.config import DictAction
    parser.add_argument('--work-dir', metavar='DIR',
                        help='folder for logs, checkpoints and results')
    parser.add_argument('--show-dir', metavar='DIR',
                        help='save pictures of predictions there')
    parser.add_argument('--show', action='store_true',
                        help='show predictions in a window')
    parser.add_argument('--interval', type=int, default=1, metavar='N',
                        help='draw every N-th sample')
    parser.add_argument('--wait-time', type=float, default=1, metavar='S',
                        help='seconds that a window stays')
    parser.add_argument('--cfg-options', nargs='+', action=DictAction,
                        metavar='KEY=VALUE',
                        help='overwrite entries of the config, for example '
                        'train_cfg.max_epochs=3; lists as key="[a,b]"')
    parser.add_argument('--launcher', default='none',
                        choices=['none', 'pytorch', 'slurm', 'mpi'],
                        help='what starts the processes of a distributed run')
    parser.add_argument('--trust-checkpoint', action='store_true',
                        help='unpickle checkpoints that hold more than '
                        'tensors and plain data; this can run any code, so '
                        'only for files whose origin you know')
    # torch.distributed.launch passes it; torchrun sets the variable instead
    parser.add_argument('--local_rank', '--local-rank', type=int, default=0,
                        help=argparse.SUPPRESS)


def export_local_rank(args: argparse.Namespace) -> None:
    """Set LOCAL_RANK where the launcher passed an argument instead."""
    os.environ.setdefault('LOCAL_RANK', str(args.local_rank))


def require_config(path: str) -> None:
    """Check that a config file exists, before anything slow is imported.

    Raises:
        UsageError: It does not; a config with a similar name is proposed.
    """
    if Path(path).is_file():
        return
    known = sorted(str(p.relative_to(ROOT))
                   for p in (ROOT / 'configs').glob('*.py'))
    near = difflib.get_close_matches(path, known, n=1)
    advice = f' Did you mean {near[0]}?' if near else ''
    raise UsageError(f'config {path} does not exist.{advice}')


def load_config(path: str) -> Any:
    """Read a config file.

    Args:
        path: Path of the file.

    Returns:
        Config: The config; its ``custom_imports`` have been imported.

    Raises:
        UsageError: The file, or one that it inherits from, is absent or no
            valid config.
    """
    from mmengine.config import Config
    from mmengine.config.utils import ConfigParsingError
    require_config(path)
    try:
        return Config.fromfile(path)
    except (FileNotFoundError, ConfigParsingError, SyntaxError) as error:
        text = ' '.join(str(error).split())
        raise UsageError(f'config {path} cannot be read: {text}') from error


def require_checkpoint(path: str) -> None:
    """Check that a checkpoint exists, as far as that can be told.

    Raises:
        UsageError: ``path`` names no file (addresses such as ``http://`` are
            left to mmengine).
    """
    if '://' not in path and not Path(path).is_file():
        raise UsageError(f'checkpoint {path} does not exist.')


def configs_of(cfg: MutableMapping[str, Any]) -> Iterator[MutableMapping]:
    """Yield the config, then what each stage of a curriculum overrides."""
    yield cfg
    for stage in cfg.get('stages') or []:
        if stage.get('cfg'):
            yield stage['cfg']


def merge_common(cfg: Any, args: argparse.Namespace) -> None:
    """Apply the arguments of :func:`add_common_arguments`.

    ``--cfg-options`` is not among them; it comes last, by
    :func:`merge_options`.

    Raises:
        UsageError: Pictures are asked for without a visualization hook.
    """
    # which one holds: argument, then config, then the name of the config
    if args.work_dir is not None:
        cfg.work_dir = args.work_dir
    elif cfg.get('work_dir') is None:
        cfg.work_dir = str(Path('work_dirs') / Path(args.config).stem)
    if args.trust_checkpoint:
        cfg.trust_checkpoint = True
    if not (args.show or args.show_dir is not None):
        return
    if args.interval < 1:
        raise UsageError(f'--interval must be at least 1, got '
                         f'{args.interval}.')
    if 'visualization' not in (cfg.get('default_hooks') or {}):
        raise UsageError(
            '--show and --show-dir need default_hooks.visualization='
            "dict(type='PoseVisualizationHook') in the config.")
    for part in configs_of(cfg):
        hook = (part.get('default_hooks') or {}).get('visualization')
        if hook is None:
            continue
        hook['enable'] = True
        hook['show'] = args.show
        if args.show:
            hook['wait_time'] = args.wait_time
        hook['out_dir'] = args.show_dir
        hook['interval'] = args.interval


def merge_options(cfg: Any, options: dict[str, Any] | None) -> None:
    """Apply ``--cfg-options``.

    Raises:
        UsageError: A first part of a key is neither in the config nor an
            argument of mmengine's Runner, which a typing error is.
    """
    if not options:
        return
    from mmengine.runner import Runner
    known = set(cfg.keys()) | set(
        inspect.signature(Runner.__init__).parameters) | {
            'sync_bn', 'find_unused_parameters', 'compile', 'only_stage',
            'runner_type', 'stages', 'preprocess_cfg', 'trust_checkpoint',
            'resume_changed', 'broken_samples', 'channels_last',
            'consistency'}
    for key in options:
        first = key.partition('.')[0]
        if first not in known:
            near = difflib.get_close_matches(first, sorted(known), n=1)
            advice = f' Did you mean {near[0]}?' if near else ''
            raise UsageError(f'--cfg-options {key}: the config has no '
                             f'{first!r}.{advice}')
    try:
        cfg.merge_from_dict(options)
    except (KeyError, TypeError, AssertionError, IndexError) as error:
        raise UsageError(f'--cfg-options cannot be applied: '
                         f'{error}') from error


def move_preprocess_cfg(cfg: Any) -> None:
    """Give the model the config's ``preprocess_cfg``, as mmpose does."""
    if 'preprocess_cfg' in cfg:
        cfg.model.setdefault('data_preprocessor', cfg.preprocess_cfg)
