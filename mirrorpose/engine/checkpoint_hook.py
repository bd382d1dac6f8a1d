"""When checkpoints are written, which is the newest, and which are kept."""
from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

from mmengine.dist import is_main_process
from mmengine.hooks import CheckpointHook
from mmengine.logging import print_log
from mmpose.registry import HOOKS

from ..utils.files import write_text
from . import checkpoint as checkpoints

POINTER = 'last_checkpoint'


def _step(path: Path) -> int:
    return int(path.stem.rpartition('_')[2])


def _regular(folder: Path) -> list[Path]:
    """The checkpoints ``epoch_N.pth`` and ``iter_N.pth``, oldest first."""
    found = [p for p in folder.glob('*.pth')
             if re.fullmatch(r'(epoch|iter)_\d+', p.stem)]
    return sorted(found, key=_step)


def last_checkpoint(folder: Path) -> Path | None:
    """The newest checkpoint of a folder, wherever it was moved.

    It is what ``last_checkpoint`` names; a kill may have left that behind
    the newest file, and then the newest file counts (files are always
    whole).
    """
    files = _regular(folder)
    pointer = folder / POINTER
    named = None
    if pointer.is_file() and pointer.read_text().strip():
        named = folder / Path(pointer.read_text().strip()).name
        if not named.is_file():
            named = None
    if named is None or (named in files and files[-1] != named
                         and files[-1].stem.split('_')[0]
                         == named.stem.split('_')[0]):
        return files[-1] if files else named
    return named


def last_good_checkpoint(folder: Path) -> Path | None:
    """The newest checkpoint that can be read.

    A damaged one is named, renamed to ``*.damaged``, and the one before is
    used.
    """
    while True:
        path = last_checkpoint(folder)
        if path is None:
            return None
        try:
            checkpoints.verify(path)
            return path
        except checkpoints.DamagedCheckpointError as error:
            aside = path.with_name(path.name + '.damaged')
            path.replace(aside)
            print_log(f'{error}. It is set aside as {aside.name}; the '
                      'checkpoint before it is used', logger='current',
                      level=30)


@HOOKS.register_module()
class DurableCheckpointHook(CheckpointHook):
    """mmengine's checkpoint hook, in an order that cannot lose anything.

    The new checkpoint is written first, then the pointer, and only then is
    an old one deleted; so it is with the best one. ``PoseRunner`` puts this
    hook in the place of mmengine's.

    Args:
        others: As in mmengine's ``CheckpointHook``.
    """

    max_keep_ckpts: int
    best_ckpt_path: str | None

    def before_train(self, runner: Any) -> None:
        """Finds out which checkpoints are there."""
        kept = int(self.max_keep_ckpts)
        self.max_keep_ckpts = -1
        super().before_train(runner)
        self.max_keep_ckpts = kept
        self._own_best(runner)

    def _own_best(self, runner: Any) -> None:
        """A moved work dir: the best checkpoints are where this one is."""
        def here(path: str | None) -> str | None:
            moved = path and Path(self.out_dir) / Path(path).name
            return str(moved) if moved and moved.is_file() else None
        if getattr(self, 'best_ckpt_path', None):
            self.best_ckpt_path = here(self.best_ckpt_path)
        for key, path in getattr(self, 'best_ckpt_path_dict', {}).items():
            self.best_ckpt_path_dict[key] = here(path)

    def _save_checkpoint_with_step(self, runner: Any, step: int,
                                   meta: dict) -> None:
        name = self.filename_tmpl.format(step)
        out = Path(self.out_dir)
        self.last_ckpt = str(out / name)
        runner.message_hub.update_info('last_ckpt', self.last_ckpt)
        if hasattr(runner, 'collect_rank_states'):
            runner.collect_rank_states()
        runner.save_checkpoint(
            self.out_dir, name, self.file_client_args,
            save_optimizer=self.save_optimizer,
            save_param_scheduler=self.save_param_scheduler, meta=meta,
            by_epoch=self.by_epoch, backend_args=self.backend_args,
            **self.args)
        if not is_main_process():
            return
        folder = Path(runner.work_dir)
        write_text(folder / POINTER, os.path.relpath(out / name, folder))
        self._delete_old(out, step)

    def _delete_old(self, out: Path, step: int) -> None:
        if self.max_keep_ckpts <= 0:
            return
        kind = self.filename_tmpl.split('_')[0]
        mine = [p for p in _regular(out)
                if p.stem.startswith(kind) and _step(p) <= step]
        for path in mine[:-self.max_keep_ckpts]:
            path.unlink(missing_ok=True)

    def _save_best_checkpoint(self, runner: Any, metrics: dict) -> None:
        """Deletes the former best one after the new one is there."""
        many = getattr(self, 'best_ckpt_path_dict', None)
        if many is not None:
            before = dict(many)
            self.best_ckpt_path_dict = dict.fromkeys(many)
            super()._save_best_checkpoint(runner, metrics)
            for key, old in before.items():
                new = self.best_ckpt_path_dict.get(key)
                self._replace_best(old, new)
                if new is None:
                    self.best_ckpt_path_dict[key] = old
            return
        old = getattr(self, 'best_ckpt_path', None)
        self.best_ckpt_path = None
        super()._save_best_checkpoint(runner, metrics)
        self._replace_best(old, self.best_ckpt_path)
        if self.best_ckpt_path is None:
            self.best_ckpt_path = old

    @staticmethod
    def _replace_best(old: str | None, new: str | None) -> None:
        if old and new and Path(old).name != Path(new).name \
                and is_main_process():
            Path(old).unlink(missing_ok=True)
