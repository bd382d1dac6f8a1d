"""What completes where nobody names a completer."""
from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.logging import print_log
from mmengine.registry import init_default_scope
from mmpose.registry import MODELS

from ..engine.checkpoint_hook import last_checkpoint
from ..models.completion.interpolation import InterpolationCompleter

#: Of ``configs/``: its parts are what won for their kinds of holes.
BEST = 'cascade_mocap'
_PACKAGE = Path(__file__).resolve().parents[1]
_said: list[str] = []


def default_completer() -> Any:
    """The best completer that was trained in the current folder.

    ``configs/cascade_mocap.py`` where the work dirs that it names hold
    checkpoints of ridge and regressor; its part for limbs that are hidden
    throughout, only if there is one of JUMPS, too. Else interpolation. A
    function of what these folders hold. One line of the log says what was
    taken, whenever that changes.
    """
    config = _config()
    if config is None:
        _say(f'complete() interpolates, which learns nothing: mirrorpose was '
             f'installed without configs/{BEST}.py; name a completer')
        return InterpolationCompleter().eval()
    folders = {part: Path(config[f'{part}_checkpoint'])
               for part in ('first', 'second', 'never')}
    files = {part: last_checkpoint(folder)
             for part, folder in folders.items()}
    absent = [folders[p] for p in files if files[p] is None]
    if files['first'] is None or files['second'] is None:
        commands = ' and '.join(_command(f) for f in absent
                                if f != folders['never'])
        _say('complete() interpolates, which learns nothing: the current '
             f'folder lacks {_names(absent)}. Far better is what {commands} '
             'make there, or a completer of your own, completer=...')
        return InterpolationCompleter().eval()
    try:
        found = _built(str(Path.cwd()), tuple(
            (str(f), f.stat().st_mtime_ns) if f else None
            for f in files.values()))
    except (OSError, RuntimeError, ValueError) as error:
        _say(f'complete() interpolates, as {_names(folders.values())} cannot '
             f'be used: {error}', 30)
        return InterpolationCompleter().eval()
    better = f'; limbs that are hidden throughout come out better with ' \
        f'JUMPS, {_command(absent[0])} (hours)' if absent else ''
    _say(f'complete() takes configs/{BEST}.py: '
         f'{_names(f for f in files.values() if f)}{better}')
    return found


def _names(paths: Any) -> str:
    return ', '.join(str(p) for p in paths)


def _command(folder: Path) -> str:
    return f'`python tools/train.py configs/{folder.name}.py`'


def _say(text: str, level: int = 20) -> None:
    if _said != [text]:
        _said[:] = [text]
        print_log(text, logger='current', level=level)


@lru_cache(maxsize=1)
def _config() -> Any:
    """The model of the config; a built package holds it in ``.mim``."""
    for folder in (_PACKAGE / '.mim', _PACKAGE.parent):
        file = folder / 'configs' / f'{BEST}.py'
        if file.is_file():
            return Config.fromfile(file).model
    return None


@lru_cache(maxsize=1)
def _built(folder: str, files: tuple) -> Any:
    """The completer of a folder; anew where a file is another."""
    init_default_scope('mmpose')
    config = _config().copy()
    if files[2] is None:
        config.update(never=None, never_checkpoint=None)
    return MODELS.build(config).eval()
