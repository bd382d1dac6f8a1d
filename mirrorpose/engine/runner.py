"""mmengine's Runner with our checkpoints and global batch sizes."""
from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config, ConfigDict
from mmengine.dist import get_world_size, is_main_process
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner
from mmengine.runner.checkpoint import _load_checkpoint_to_model
from mmpose.registry import RUNNERS

from . import checkpoint as checkpoints


def set_everywhere(node: Any, key: str, value: Any) -> int:
    """Sets every dict entry ``key`` below a config. Returns how many."""
    count = 0
    if isinstance(node, dict):
        for k in node:
            if k == key and not isinstance(node[k], dict):
                node[k] = value
                count += 1
            else:
                count += set_everywhere(node[k], key, value)
    elif isinstance(node, (list, tuple)):
        count += sum(set_everywhere(item, key, value) for item in node)
    return count


def resolve(cfg: Config) -> Config:
    """Applies the variables of our configs that reach into many places.

    ``label_fraction`` and ``split_seed`` at the top level set those of every
    data set below. ``batch_size_is_global=True`` divides the training batch
    size by the number of processes.

    Raises:
        ValueError: The global batch size cannot be divided evenly, or a
            label fraction lies outside (0, 1].
    """
    fraction = cfg.get('label_fraction')
    if fraction is not None and not 0 < fraction <= 1:
        raise ValueError(f'label_fraction lies in (0, 1], got {fraction}')
    for key in ('label_fraction', 'split_seed'):
        if cfg.get(key) is not None:
            for value in cfg._cfg_dict.values():
                if isinstance(value, (dict, list)):
                    set_everywhere(value, key, cfg[key])
    world = get_world_size()
    if cfg.get('batch_size_is_global') and world > 1:
        loader = cfg.train_dataloader
        if loader.batch_size % world:
            raise ValueError(
                f'the global batch size {loader.batch_size} cannot be split '
                f'over {world} processes; choose a multiple, or set '
                'batch_size_is_global=False')
        loader.batch_size //= world
        if 'batch_size' in loader.get('sampler', {}):
            loader.sampler.batch_size = loader.batch_size
        cfg.batch_size_is_global = False  # done, for whoever resolves again
    return cfg


class _FormattedOnce(Config):
    """A config that is formatted once, not at every checkpoint.

    mmengine writes the config's text into each checkpoint, and formatting
    a curriculum's takes more than a second.
    """

    @property
    def pretty_text(self) -> str:
        """The text of mmengine's ``Config.pretty_text``."""
        now = repr(self._cfg_dict)
        held = self.__dict__.get('_formatted')
        if held is None or held[0] != now:
            held = (now, super().pretty_text)
            object.__setattr__(self, '_formatted', held)
        return held[1]


@RUNNERS.register_module()
class PoseRunner(Runner):
    """mmengine's Runner; saves safely, loads without trust, resumes.

    Everything else is mmengine's. Foreign checkpoints are refused instead of
    warned about.
    """

    @classmethod
    def from_cfg(cls, cfg: Config | ConfigDict) -> PoseRunner:
        """Builds from a config, after :func:`resolve`.

        ``channels_last=True`` in the config lays weights out so, which the
        convolutions then pass on.
        """
        cfg = resolve(cfg)
        if type(cfg) is Config:
            cfg = copy.copy(cfg)
            object.__setattr__(cfg, '__class__', _FormattedOnce)
        runner = super().from_cfg(cfg)
        # For noise that is a function of the seed.
        runner.message_hub.update_info('seed', int(runner.seed))
        if cfg.get('channels_last'):
            runner.model.to(memory_format=torch.channels_last)
        return runner

    def load_checkpoint(self,
                        filename: str,
                        map_location: Any = 'cpu',
                        strict: bool = False,
                        revise_keys: list | None = None) -> dict:
        """Loads a local file safely; other addresses as mmengine does.

        Raises:
            FileNotFoundError, ValueError: See
                :func:`mirrorpose.engine.checkpoint.load` and ``check_fits``.
        """
        revise = revise_keys or [(r'^module.', '')]
        if '://' in str(filename):
            return super().load_checkpoint(filename, map_location, strict,
                                           revise)
        checkpoint = checkpoints.load(filename, map_location)
        self.call_hook('after_load_checkpoint', checkpoint=checkpoint)
        model = self.model.module if is_model_wrapper(self.model) \
            else self.model
        checkpoints.check_fits(model, checkpoint, str(filename), revise)
        checkpoint = _load_checkpoint_to_model(model, checkpoint, strict,
                                               revise_keys=revise)
        self._has_loaded = True
        self.logger.info(f'Load checkpoint from {filename}')
        return checkpoint

    def save_checkpoint(self, out_dir: str, filename: str,
                        *args: Any, **kwargs: Any) -> None:
        """Saves safe contents, written beside and renamed."""
        if not is_main_process():
            return

        def write(part: Path) -> None:
            super(PoseRunner, self).save_checkpoint(
                str(part.parent), part.name, *args, **kwargs)

        checkpoints.write_atomically(Path(out_dir) / filename, write)

    def call_hook(self, fn_name: str, **kwargs: Any) -> None:
        """Runs the hooks; the last word on a checkpoint is ours."""
        super().call_hook(fn_name, **kwargs)
        if fn_name == 'before_save_checkpoint':
            checkpoints.make_safe(kwargs['checkpoint'])
