"""Cases: command lines. All of them end with status 2 and one line."""
from __future__ import annotations

import importlib
import os
import sys
from pathlib import Path
from unittest import mock

from . import ROOT, error

_CONFIG = str(ROOT / 'configs' / 'mirrornet_small_synthetic.py')


def command(tool: str, *arguments: str) -> None:
    """Runs a tool in this process."""
    with mock.patch.object(sys, 'path', [str(ROOT / 'tools'), *sys.path]), \
            mock.patch.object(sys, 'argv', [tool, *arguments]), \
            mock.patch.dict(os.environ):
        module = importlib.import_module(tool)
        # "test" is the name of a package of Python's own, too.
        assert Path(module.__file__ or '').parent == ROOT / 'tools'
        module.main()


@error('unknown config', 'UsageError', 'configs/mirrornet_smal_lsp.py',
       'Did you mean configs/mirrornet_small_lsp.py?')
def config(folder: Path) -> None:
    """A typing error."""
    command('train', 'configs/mirrornet_smal_lsp.py')


@error('config with a syntax error', 'UsageError', '…/mine.py',
       'cannot be read')
def syntax(folder: Path) -> None:
    """A bracket is lost."""
    (folder / 'mine.py').write_text('model = dict(\n')
    command('train', str(folder / 'mine.py'))


@error('config that inherits from a file that is not there', 'UsageError',
       'mine.py', 'none.py')
def base(folder: Path) -> None:
    """A typing error."""
    (folder / 'mine.py').write_text("_base_ = ['./none.py']\n")
    command('train', str(folder / 'mine.py'))


@error('typing error in --cfg-options', 'UsageError',
       '--cfg-options optim_wraper.optimizer.lr',
       'Did you mean optim_wrapper?')
def cfg_options(folder: Path) -> None:
    """A typing error."""
    command('train', _CONFIG, '--cfg-options',
            'optim_wraper.optimizer.lr=0.1')


@error('--cfg-options into a list at a place that it does not have',
       'UsageError', '--cfg-options', 'cannot be applied')
def cfg_index(folder: Path) -> None:
    """Beyond the end."""
    command('train', _CONFIG, '--cfg-options', 'custom_hooks.99.type=X')


@error('unknown stage on the command line', 'UsageError', '--stage jiont',
       'the stages are')
def stage(folder: Path) -> None:
    """A typing error."""
    command('train', _CONFIG, '--stage', 'jiont')


@error('checkpoint of a stage, without the stage', 'UsageError',
       '--resume CKPT', 'name it with --stage')
def resume(folder: Path) -> None:
    """A curriculum has several."""
    (folder / 'a.pth').write_bytes(b'')
    command('train', _CONFIG, '--resume', str(folder / 'a.pth'))


@error('checkpoint to resume from is not there', 'UsageError', '…/b.pth',
       'does not exist')
def no_resume(folder: Path) -> None:
    """A typing error."""
    command('train', _CONFIG, '--resume', str(folder / 'b.pth'))


@error('--auto-scale-lr without a base batch size', 'UsageError',
       '--auto-scale-lr', 'auto_scale_lr=dict(base_batch_size=...)')
def auto_scale(folder: Path) -> None:
    """The config does not say what to scale from."""
    command('train', _CONFIG, '--auto-scale-lr')


@error('--interval 0', 'UsageError', '--interval', 'at least 1, got 0')
def interval(folder: Path) -> None:
    """Every zeroth picture."""
    command('train', _CONFIG, '--show-dir', str(folder), '--interval', '0')
