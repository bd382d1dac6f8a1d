"""Tell where the time of a training run goes, and what to do about it.

    python tools/profile.py configs/mirrornet_small_synthetic.py
    python tools/profile.py CONFIG --stage recognizer --trace trace.json

Measures the data pipeline part by part, the loader with its workers, the
step part by part, and both together, beside what this machine can do at most
(measured in the same run), and names the bottleneck.

The standard library has a module called ``profile``, too. Whoever imports
that name with this folder on the path (``cProfile`` does, from any script
that is started here) gets the standard library's.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import sys
import sysconfig
from importlib.machinery import PathFinder
from pathlib import Path
from typing import Any


def hand_over(name: str) -> None:
    """Put the standard library's module of this name in this one's place.

    The import statement that led here then gives that module.
    """
    here = Path(__file__).resolve().parent
    places = [sysconfig.get_path('stdlib')]
    places += [p for p in sys.path if Path(p or '.').resolve() != here]
    spec = PathFinder.find_spec(name, places)
    if spec is None or spec.loader is None:
        raise ImportError(f'the standard library has no module {name!r}',
                          name=name)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """Parse the command line."""
    from mmengine.config import DictAction
    parser = argparse.ArgumentParser(
        description='Tell where the time of a training run goes')
    parser.add_argument('config', help='config file')
    parser.add_argument('--stage', metavar='NAME',
                        help='a stage of the curriculum (default: the '
                        "config's top level, its last joint stage)")
    parser.add_argument('--iterations', type=int, default=10, metavar='N',
                        help='batches and steps that are measured '
                        '(default: 10)')
    parser.add_argument('--batch-size', type=int, metavar='N',
                        help="instead of the config's")
    parser.add_argument('--against-recognizer', action='store_true',
                        help='compare the step of a MirrorNet with that of '
                        'its recognizer alone, too')
    parser.add_argument('--trace', metavar='FILE.json',
                        help='write a trace of three steps, for '
                        'chrome://tracing or ui.perfetto.dev')
    parser.add_argument('--json', metavar='FILE',
                        help='write the numbers there, too')
    parser.add_argument('--cfg-options', nargs='+', action=DictAction,
                        metavar='KEY=VALUE',
                        help='overwrite entries of the config')
    args = parser.parse_args(argv)
    for name in ('iterations', 'batch_size'):
        value = getattr(args, name)
        if value is not None and value < 1:
            parser.error(f'--{name.replace("_", "-")} must be at least 1, '
                         f'got {value}')
    return args


def chosen(cfg: Any, args: argparse.Namespace) -> Any:
    """Return the config of the run that is to be measured.

    Raises:
        cli.UsageError: The stage is not there, or the options do not fit.
    """
    import cli

    from mirrorpose.doctor.stages import WHOLE, stage_configs
    cli.merge_options(cfg, args.cfg_options)
    cli.move_preprocess_cfg(cfg)
    if cfg.get('work_dir') is None:
        cfg.work_dir = str(Path('work_dirs') / Path(args.config).stem)
    try:
        if args.stage is not None:
            return stage_configs(cfg, args.stage)[args.stage]
    except ValueError as error:
        raise cli.UsageError(f'--stage: {error}') from error
    for key in ('stages', 'stage_data', 'runner_type'):
        cfg._cfg_dict.pop(key, None)
    if not cfg.get('train_dataloader'):
        raise cli.UsageError(f'{args.config} has no train_dataloader.')
    return stage_configs(cfg)[WHOLE]


def main(argv: list[str] | None = None) -> None:
    """Measure, print, and write what was asked for."""
    import copy
    import warnings

    import cli
    warnings.simplefilter('ignore')
    args = parse_args(argv)
    cli.require_config(args.config)
    import mirrorpose  # noqa: F401
    from mirrorpose.doctor import profiling, ratio
    cfg = chosen(cli.load_config(args.config), args)
    if args.against_recognizer and cfg.model.get('type') != 'MirrorNet':
        raise cli.UsageError('--against-recognizer is for a MirrorNet, this '
                             f'model is a {cfg.model.get("type")}.')
    model = copy.deepcopy(cfg)
    title = args.config + (f', stage {args.stage}' if args.stage else '')
    try:
        facts = profiling.profile_run(cfg, args.iterations, args.batch_size,
                                      args.trace)
    except (FileNotFoundError, ImportError, KeyError, TypeError,
            ValueError) as error:
        text = ' '.join(str(error).split())
        raise cli.UsageError(
            f'the run does not work: {type(error).__name__}: {text[:300]}. '
            f'python tools/doctor.py --config {args.config} tells more'
        ) from error
    print(profiling.render(facts, title))
    if args.trace:
        print(f'\ntrace: {args.trace}')
    if args.against_recognizer:
        facts['against_recognizer'] = ratio.compare(
            model, min(int(facts['batch_size']), args.batch_size or 16),
            args.iterations)
        print('\n' + ratio.render(facts['against_recognizer'], 1.96))
    if args.json:
        out = Path(args.json)
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(json.dumps(facts, indent=1) + '\n', encoding='utf-8')


if __name__ == '__main__':
    import cli as _cli
    sys.exit(_cli.run(main))
elif __name__ == 'profile':
    hand_over('profile')
