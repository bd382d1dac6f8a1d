"""mmengine's Runner with our checkpoints and global batch sizes."""
from __future__ import annotations

import copy
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config, ConfigDict
from mmengine.dist import (
    all_gather_object,
    broadcast_object_list,
    get_rank,
    get_world_size,
    is_main_process,
)
from mmengine.hooks import EarlyStoppingHook
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner
from mmengine.runner.base_loop import BaseLoop
from mmengine.runner.checkpoint import _load_checkpoint_to_model
from mmengine.visualization import Visualizer
from mmpose.registry import DATASETS, RUNNERS

from ..datasets.crops import use_crop_cache
from ..datasets.lsp import LabelSplitDataset
from ..models.adversarial import unwrap
from ..utils import random_state
from ..utils.files import Owned, remove_stale, write_atomically
from ..version import __version__
from . import checkpoint as checkpoints
from . import identity, schedules
from .checkpoint import plain
from .checkpoint_hook import last_good_checkpoint
from .consistency import check_consistency
from .loops import TRAIN_LOOPS
from .memory_layout import to_channels_last
from .optimizers import members


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
    size by the number of processes. ``crop_cache`` puts the training data
    into a :class:`CachedCropDataset`.

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
    policy = (cfg.get('broken_samples') or {}).get('policy')
    if policy is not None and cfg.get('train_dataloader'):
        _set_policy(cfg.train_dataloader, policy)
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
    return use_crop_cache(cfg)


def _set_policy(node: Any, policy: str) -> None:
    """Tells our data sets what to do with broken annotations."""
    if isinstance(node, dict):
        kind = node.get('type')
        kind = DATASETS.get(kind) if isinstance(kind, str) else kind
        if isinstance(kind, type) and issubclass(kind, LabelSplitDataset):
            node.setdefault('on_broken', policy)
        for value in node.values():
            _set_policy(value, policy)
    elif isinstance(node, (list, tuple)):
        for value in node:
            _set_policy(value, policy)


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


#: Parts of mmengine that our runner replaces by exact or faster ones.
REPLACED_HOOKS = {'CheckpointHook': 'DurableCheckpointHook',
                  'RuntimeInfoHook': 'LazyRuntimeInfoHook'}


def check_training(model: torch.nn.Module) -> None:
    """Asks a model that has a ``check_training``, before the first step.

    Raises:
        Exception: What it lacks.
    """
    asked = getattr(unwrap(model), 'check_training', None)
    if callable(asked):
        asked()


@RUNNERS.register_module()
class PoseRunner(Runner):
    """mmengine's Runner, exact when resumed and safe to load.

    Checkpoints are written whole or not at all, load without trust, and hold
    the random state of every process, so a run that was killed goes on to
    the weights of one that was not (docs/engine.md). Foreign checkpoints are
    refused instead of warned about. Everything else is mmengine's.
    """

    _load_from: str | None
    _rank_states: list[dict] | None = None
    _held: dict | None = None
    _owned: Owned | None = None

    @classmethod
    def from_cfg(cls, cfg: Config | ConfigDict) -> PoseRunner:
        """Builds from a config, after :func:`resolve` and a check.

        Joint names, counts, flips, limbs, codec and metric have to agree
        (:mod:`mirrorpose.engine.consistency`; ``consistency='warn'`` only
        says so, ``'off'`` does not look). ``channels_last=True`` in the
        config lays weights out so, which the convolutions then pass on.
        """
        cfg = resolve(cfg)
        check_consistency(cfg)
        if type(cfg) is Config:
            cfg = copy.copy(cfg)
            object.__setattr__(cfg, '__class__', _FormattedOnce)
        runner = super().from_cfg(cfg)
        # For noise that is a function of the seed.
        runner.message_hub.update_info('seed', int(runner.seed))
        if cfg.get('channels_last'):
            to_channels_last(runner.model)
        return runner

    # -- parts ------------------------------------------------------------
    def register_default_hooks(self, hooks: dict | None = None) -> None:
        """Registers mmengine's default hooks, or our better ones."""
        hooks = copy.copy(hooks or {})
        for name, stock in (('checkpoint', dict(type='CheckpointHook',
                                                interval=1)),
                            ('runtime_info', dict(type='RuntimeInfoHook'))):
            hooks.setdefault(name, stock)
        for name, hook in hooks.items():
            if isinstance(hook, dict) and hook.get('type') in REPLACED_HOOKS:
                hooks[name] = dict(hook, type=REPLACED_HOOKS[hook['type']])
        super().register_default_hooks(hooks)

    def _maybe_compile(self, target: str) -> None:
        """Compiles the networks of the model where the config says so.

        mmengine compiles the whole ``train_step``, with data samples,
        logging and optimizer inside. Here every child with parameters is
        compiled in place; names in checkpoints stay.
        """
        options = self.cfg.get('compile')
        if not options or target != 'train_step':
            return
        options = dict(options) if isinstance(options, dict) else {}
        model = self.model.module if is_model_wrapper(self.model) \
            else self.model
        for child in model.children():
            if any(True for _ in child.parameters()):
                child.compile(**options)
        self.logger.info('the networks are compiled in their first steps, '
                         'which takes minutes')

    def build_visualizer(
            self, visualizer: Visualizer | dict | None = None) -> Visualizer:
        """mmengine keeps one visualizer a name, with its first folder.

        A second run of a process would log into the first run's, or into a
        folder that is gone, so each gets a name of its own.
        """
        if isinstance(visualizer, dict):
            name = visualizer.get('name', self.experiment_name)
            visualizer = dict(visualizer,
                              name=f'{name}_{time.monotonic_ns()}')
        return super().build_visualizer(visualizer)

    def build_train_loop(self, loop: BaseLoop | dict) -> BaseLoop:
        """Builds the training loop: exact ones for ``by_epoch``."""
        if isinstance(loop, dict) and 'by_epoch' in loop \
                and 'type' not in loop:
            loop = dict(loop)
            loop['type'] = TRAIN_LOOPS[bool(loop.pop('by_epoch'))]
        return super().build_train_loop(loop)

    # -- what a checkpoint has to know -------------------------------------
    def identity(self) -> dict[str, Any]:
        """Config, splits and processes of this run."""
        entries = identity.config_entries(self.cfg)
        return dict(config=entries, config_hash=identity.config_hash(entries),
                    splits=identity.splits(self.train_dataloader.dataset),
                    world_size=self.world_size)

    def _rank_state(self) -> dict[str, Any]:
        """What this process alone knows."""
        state: dict[str, Any] = dict(random=random_state.collect())
        model = self.model.module if is_model_wrapper(self.model) \
            else self.model
        if self.world_size > 1:  # statistics of its own batches
            state['buffers'] = {k: v.detach().cpu().clone()
                                for k, v in model.named_buffers()}
        if any(getattr(m, '_accumulative_counts', 1) > 1
               for m in members(self.optim_wrapper).values()):
            state['gradients'] = {
                k: p.grad.detach().cpu().clone()
                for k, p in model.named_parameters() if p.grad is not None}
        return state

    def collect_rank_states(self) -> None:
        """Brings the states of all processes together, for the next save.

        Every process has to call it, as the checkpoint hook does.
        """
        mine = self._rank_state()
        if self.world_size == 1:
            self._rank_states = [mine]
        else:
            # Bytes as a tensor would need a device; objects go by gloo too.
            self._rank_states = all_gather_object(plain(mine))

    def _hook_states(self) -> dict[str, Any]:
        states: dict[str, Any] = {}
        for name, hook in self._named_hooks():
            if isinstance(hook, EarlyStoppingHook):
                states[name] = dict(wait_count=hook.wait_count,
                                    best_score=hook.best_score)
            elif hasattr(hook, 'state_dict'):
                states[name] = hook.state_dict()
        return states

    def _named_hooks(self) -> Iterator[tuple[str, Any]]:
        seen: Counter[str] = Counter()
        for hook in self.hooks:
            name = type(hook).__name__
            seen[name] += 1
            yield f'{name} {seen[name]}', hook

    # -- saving -----------------------------------------------------------
    def save_checkpoint(self, out_dir: str, filename: str,
                        *args: Any, **kwargs: Any) -> None:
        """Saves safe contents, written beside and renamed."""
        states, self._rank_states = self._rank_states, None
        if not is_main_process():
            return
        self._saving = states or [self._rank_state()]

        def write(part: Path) -> None:
            super(PoseRunner, self).save_checkpoint(
                str(part.parent), part.name, *args, **kwargs)

        write_atomically(Path(out_dir) / filename, write)

    def call_hook(self, fn_name: str, **kwargs: Any) -> None:
        """Runs the hooks; the last word on a checkpoint is ours."""
        super().call_hook(fn_name, **kwargs)
        if fn_name == 'before_save_checkpoint':
            kwargs['checkpoint']['mirrorpose'] = dict(
                self.identity(), ranks=self._saving,
                hooks=self._hook_states(), version=__version__)
            checkpoints.make_safe(kwargs['checkpoint'])

    # -- loading ----------------------------------------------------------
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
        checkpoint = self._held or checkpoints.load(
            filename, map_location,
            trust=bool(self.cfg.get('trust_checkpoint')))
        self.call_hook('after_load_checkpoint', checkpoint=checkpoint)
        model = self.model.module if is_model_wrapper(self.model) \
            else self.model
        checkpoints.check_fits(model, checkpoint, str(filename), revise)
        checkpoint = _load_checkpoint_to_model(model, checkpoint, strict,
                                               revise_keys=revise)
        self._has_loaded = True
        self.logger.info(f'Load checkpoint from {filename}')
        return checkpoint

    def load_or_resume(self) -> None:
        """Loads or resumes; a damaged newest checkpoint is passed over."""
        if not self._has_loaded and self._resume and self._load_from is None:
            found = last_good_checkpoint(Path(self.work_dir)) \
                if is_main_process() else None
            path = [str(found) if found else None]
            broadcast_object_list(path)
            if path[0] is None:
                self.logger.info(f'{self.work_dir} holds no checkpoint yet: '
                                 'the run begins anew')
                self._has_loaded = True
                return
            self._load_from = path[0]
        super().load_or_resume()

    def resume(self, filename: str, resume_optimizer: bool = True,
               resume_param_scheduler: bool = True,
               map_location: Any = 'default') -> None:
        """Goes on from a checkpoint, as if the run had not stopped.

        Raises:
            ValueError: It is of a run with another split or another number
                of processes, see :func:`identity.check_same_run`.
        """
        held = checkpoints.load(
            filename, trust=bool(self.cfg.get('trust_checkpoint'))
        ) if '://' not in str(filename) else {}
        saved = held.get('mirrorpose')
        if saved is None:
            self.logger.warning(
                f'{filename} is not of a mirrorpose run: its random state is '
                'unknown, so what follows is not what an unbroken run would '
                'have done')
        else:
            self._check_identity(saved)
        # Read once, to the CPU: model and optimizers copy it from there.
        self._held = held or None
        fresh = schedules.remember(self.param_schedulers)
        try:
            super().resume(filename, resume_optimizer,
                           resume_param_scheduler, map_location)
        finally:
            self._held = None
        news = schedules.changed(self.param_schedulers, fresh)
        if news and resume_optimizer and resume_param_scheduler:
            schedules.replay(self.param_schedulers, fresh, self.epoch,
                             self.iter)
            self.logger.warning(
                'the schedule is that of the config now, as if it had been '
                'from the start: ' + '; '.join(news))
        if saved is None:
            return
        loop: Any = self.train_loop
        if hasattr(loop, 'resume_from'):
            loop.resume_from(saved['ranks'][get_rank()] if len(
                saved['ranks']) > get_rank() else None)
        for name, hook in self._named_hooks():
            state = saved['hooks'].get(name)
            if state is None:
                continue
            if isinstance(hook, EarlyStoppingHook):
                hook.wait_count = state['wait_count']
                hook.best_score = state['best_score']
            elif hasattr(hook, 'load_state_dict'):
                hook.load_state_dict(state)

    def _check_identity(self, saved: dict[str, Any]) -> None:
        try:
            changed = identity.check_same_run(saved, self.identity())
        except ValueError as error:
            if not self.cfg.get('resume_changed'):
                raise
            self.logger.warning(f'resume_changed=True, so this is allowed: '
                                f'{error}')
            return
        if changed:
            self.logger.warning(
                'the run goes on with another config: ' + '; '.join(changed))

    # -- running ----------------------------------------------------------
    def train(self) -> torch.nn.Module:
        """Trains, as the only process (group) in its work dir."""
        check_training(self.model)
        if is_main_process():
            self._owned = Owned(Path(self.work_dir))
            stale = remove_stale(Path(self.work_dir))
            if stale:
                self.logger.info(f'half-written files of a stopped run were '
                                 f'removed: {stale}')
        try:
            return super().train()
        finally:
            if self._owned is not None:
                self._owned.release()
                self._owned = None
