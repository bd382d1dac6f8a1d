"""A curriculum: stages in one config, each a Runner in its own folder.

The top level of the config is a complete config of the last joint stage,
which stock mmpose builds and runs. ``stages`` is a list of dicts that say, in
order, how a stage differs from it:

    dict(name='pose_vae',             # its folder under the work dir
         epochs=200,
         model=dict(type='PoseAutoencoding',
                    take=['pose_vae', 'data_preprocessor']),
         data='poses',                # a key of `stage_data`
         init_from=dict(pose_vae='earlier_stage'),
         load_from_stage='earlier_stage',
         average_last=10,
         cfg=dict(...))

``model`` replaces the model; ``take`` names what it shares with the top
level's model, so each network is written down once. ``data`` replaces the
data loaders and evaluators by an entry of the config's ``stage_data``.
``init_from`` starts children of the model from those of an earlier stage,
``load_from_stage`` the whole model. ``average_last`` validates each of the
last epochs. ``cfg`` is merged at the end, as a child config would be. Only
``name`` is needed. The checkpoint of a stage is all that the next one knows.
"""
from __future__ import annotations

import copy
import gc
import json
import logging
import time
from pathlib import Path
from typing import Any

from mmengine.config import Config, ConfigDict
from mmengine.dist import barrier, broadcast_object_list, is_main_process
from mmengine.logging import print_log
from mmengine.registry import init_default_scope
from mmpose.registry import MODELS, RUNNERS

from ..utils.files import locked, write_text
from ..utils.random_state import preserved
from .checkpoint_hook import last_checkpoint, last_good_checkpoint
from .runner import PoseRunner, check_training, resolve, set_everywhere

MANIFEST = 'curriculum.json'
_STAGE_KEYS = {'name', 'epochs', 'model', 'data', 'init_from',
               'load_from_stage', 'average_last', 'cfg'}
_DATA_KEYS = tuple(f'{split}_{part}' for split in ('train', 'val', 'test')
                   for part in ('dataloader', 'evaluator', 'cfg'))


def check_stages(stages: list[dict]) -> None:
    """Checks names and references of a stage list.

    Raises:
        ValueError: No stages, a stage without a name, an unknown key, a
            name used twice, or a reference to a stage that comes later.
    """
    if not stages:
        raise ValueError('the config has no stages; give it `stages = '
                         '[dict(name=..., cfg=dict(...)), ...]`')
    seen: list[str] = []
    for number, stage in enumerate(stages):
        unknown = set(stage) - _STAGE_KEYS
        if unknown or not stage.get('name'):
            raise ValueError(
                f'stage {number} ({stage.get("name")!r}) has the keys '
                f'{sorted(stage)}; known are {sorted(_STAGE_KEYS)}, and name '
                'is needed')
        if stage['name'] in seen:
            raise ValueError(f'two stages are called {stage["name"]!r}')
        wanted = list((stage.get('init_from') or {}).values())
        if stage.get('load_from_stage'):
            wanted.append(stage['load_from_stage'])
        late = [w for w in wanted if w not in seen]
        if late:
            raise ValueError(f'stage {stage["name"]!r} starts from {late}, '
                             f'but only {seen} come before it')
        seen.append(stage['name'])


def stop_workers(runner: PoseRunner) -> None:
    """Ends a runner's persistent data workers at once.

    Left to the garbage collector they miss the word to stop, and each costs
    a wait of five seconds.
    """
    for loop in (runner._train_loop, runner._val_loop, runner._test_loop):
        loader: Any = getattr(loop, 'dataloader', None)
        if getattr(loader, '_iterator', None) is not None:
            loader._iterator = None


@RUNNERS.register_module()
class CurriculumRunner:
    """Runs the stages of a config in order.

    A rerun skips the stages that are finished and goes on in the one that
    broke. ``curriculum.json`` in the work dir says what was done.

    Args:
        cfg (Config): A config with ``stages`` and ``work_dir``. Its optional
            ``only_stage`` names the one stage to run.

    Raises:
        ValueError: See :func:`check_stages`; or ``only_stage`` is unknown.
    """

    def __init__(self, cfg: Config) -> None:
        stages = [s.to_dict() if isinstance(s, ConfigDict) else dict(s)
                  for s in cfg.get('stages') or []]
        check_stages(stages)
        self.cfg, self.stages = cfg, stages
        self.work_dir = Path(cfg.work_dir)
        only = cfg.get('only_stage')
        if only and only not in self.stage_names:
            raise ValueError(f'there is no stage {only!r}; the stages are '
                             f'{self.stage_names}')
        self.only = only

    @classmethod
    def from_cfg(cls, cfg: Config) -> CurriculumRunner:
        """Builds from a config; mmengine's ``RUNNERS.build`` calls this."""
        return cls(cfg)

    @property
    def stage_names(self) -> list[str]:
        """Names of the stages, in order."""
        return [s['name'] for s in self.stages]

    # -- configs ----------------------------------------------------------
    def stage_config(self, name: str) -> Config:
        """The complete config of one stage.

        Raises:
            FileNotFoundError: A stage that it starts from is not trained.
        """
        stage = self.stages[self.stage_names.index(name)]
        cfg = copy.deepcopy(self.cfg)
        for key in ('stages', 'runner_type', 'only_stage'):
            cfg._cfg_dict.pop(key, None)
        self._take_model(cfg, stage)
        self._take_data(cfg, stage)
        cfg._cfg_dict.pop('stage_data', None)
        if stage.get('epochs') is not None:
            cfg.train_cfg.max_epochs = stage['epochs']
        if stage.get('average_last') and cfg.get('val_dataloader'):
            # mmengine compares the milestone with the epoch to come, so
            # this validates exactly the last `average_last` epochs.
            epochs, last = cfg.train_cfg.max_epochs, stage['average_last']
            cfg.train_cfg.dynamic_intervals = [(max(epochs - last + 2, 1), 1)]
            for hook in cfg.get('custom_hooks', []):
                if hook.type == 'AverageScores':
                    hook.last = last
        cfg.merge_from_dict(copy.deepcopy(stage.get('cfg') or {}))
        folder = self.work_dir / name
        cfg.work_dir = str(folder)
        # mmengine shares logger and message hub between runs of one name.
        cfg.experiment_name = f'{name}_{time.strftime("%Y%m%d_%H%M%S")}' \
            f'_{time.monotonic_ns()}'
        for child, source in (stage.get('init_from') or {}).items():
            cfg.model[child]['init_cfg'] = dict(
                type='Pretrained', prefix=f'{child}.',
                checkpoint=str(self._weights(name, source)))
        if stage.get('load_from_stage'):
            cfg.load_from = str(self._weights(name,
                                              stage['load_from_stage']))
        for key in ('label_fraction', 'split_seed'):
            if cfg.get(key) is not None:
                set_everywhere(cfg._cfg_dict, key, cfg[key])
        return cfg

    @staticmethod
    def _take_model(cfg: Config, stage: dict) -> None:
        spec = copy.deepcopy(stage.get('model'))
        if spec is None:
            return
        take = spec.pop('take', [])
        absent = [child for child in take if child not in cfg.model]
        if absent:
            raise ValueError(
                f'stage {stage["name"]!r} takes {absent} from the model, '
                f'which has {sorted(cfg.model)}')
        shared = {child: copy.deepcopy(cfg.model[child]) for child in take}
        cfg._cfg_dict['model'] = ConfigDict({**shared, **spec})

    @staticmethod
    def _take_data(cfg: Config, stage: dict) -> None:
        key = stage.get('data')
        if key is None:
            return
        known = cfg.get('stage_data') or {}
        if key not in known:
            raise ValueError(f'stage {stage["name"]!r} wants the data '
                             f'{key!r}; `stage_data` has {sorted(known)}')
        entry = known[key]
        unknown = set(entry) - set(_DATA_KEYS)
        if unknown or 'train_dataloader' not in entry:
            raise ValueError(f'stage_data[{key!r}] has {sorted(entry)}; it '
                             'needs train_dataloader, and may have '
                             f'{list(_DATA_KEYS)}')
        cfg._cfg_dict['train_dataloader'] = copy.deepcopy(
            entry['train_dataloader'])
        if 'val_dataloader' in entry:
            for name in ('val_dataloader', 'val_evaluator'):
                cfg._cfg_dict[name] = copy.deepcopy(entry[name])
                cfg._cfg_dict[name.replace('val', 'test', 1)] = copy.deepcopy(
                    entry[name])
        else:  # nothing to validate on
            for name in ('dataloader', 'evaluator', 'cfg'):
                cfg._cfg_dict[f'val_{name}'] = None
                cfg._cfg_dict[f'test_{name}'] = None

    def _weights(self, name: str, source: str) -> Path:
        found = last_checkpoint(self.work_dir / source)
        if found is None:
            raise FileNotFoundError(
                f'stage {name!r} starts from {source!r}, which has no '
                f'checkpoint in {self.work_dir / source}; run it first '
                f'(--stage {source}), or run the whole curriculum')
        return found

    # -- state ------------------------------------------------------------
    def state(self) -> dict[str, Any]:
        """The manifest: what each stage did."""
        path = self.work_dir / MANIFEST
        if not path.is_file():
            return {}
        try:
            return json.loads(path.read_text())
        except json.JSONDecodeError as error:
            raise ValueError(f'{path} is damaged ({error}); delete it, and '
                             'the stages go on from their checkpoints'
                             ) from error

    def _remember(self, name: str, **facts: Any) -> None:
        if not is_main_process():
            return
        path = self.work_dir / MANIFEST
        with locked(path):  # stages may run side by side
            state = self.state()
            state.setdefault(name, {}).update(facts)
            write_text(path, json.dumps(state, indent=1))

    def finished(self, name: str) -> bool:
        """A stage is finished when it says so and its weights are there."""
        return bool(self.state().get(name, {}).get('finished')
                    and last_checkpoint(self.work_dir / name))

    # -- running ----------------------------------------------------------
    def check_models(self, names: list[str]) -> None:
        """Builds the models of stages, and lets them go.

        A file that a later stage lacks is told of before hours of the
        first.

        Raises:
            Exception: What building one raises; the log names its stage.
        """
        init_default_scope(self.cfg.get('default_scope') or 'mmpose')
        for name in names:
            cfg = copy.deepcopy(self.cfg)
            stage = self.stages[self.stage_names.index(name)]
            self._take_model(cfg, stage)
            cfg.merge_from_dict(copy.deepcopy(stage.get('cfg') or {}))
            try:
                with preserved():
                    check_training(MODELS.build(cfg.model))
            except Exception:
                print_log(f'curriculum: the model of the stage {name!r} '
                          'cannot be trained; nothing was',
                          logger='current', level=logging.ERROR)
                raise

    def train(self) -> None:
        """Runs what is left to run."""
        names = [self.only] if self.only else self.stage_names
        self.check_models([n for n in names if not self.finished(n)][1:])
        for name in names:
            place = f'stage {self.stage_names.index(name) + 1} of ' \
                    f'{len(self.stages)}, {name!r}'
            if self.finished(name):
                print_log(f'curriculum: {place} is finished, skipped',
                          logger='current')
                continue
            self._run_stage(name, place)

    def _run_stage(self, name: str, place: str) -> None:
        cfg = self.stage_config(name)
        folder = self.work_dir / name
        if is_main_process():
            folder.mkdir(parents=True, exist_ok=True)
            # Dumped before the batch size is divided: it runs alone with
            # any tools/train.py.
            cfg.dump(str(folder / f'{name}.py'))
        resume = self._resumable(folder)
        if resume is not None:
            cfg.resume, cfg.load_from = True, str(resume)
        epochs = cfg.get('train_cfg', {}).get('max_epochs')
        print_log(f'curriculum: {place}, {epochs} epochs'
                  + (f', resumed from {resume.name}' if resume else ''),
                  logger='current')
        started = time.monotonic()
        cfg.custom_hooks = [*cfg.get('custom_hooks', []),
                            self._progress(name)]
        runner = PoseRunner.from_cfg(resolve(cfg))
        runner.train()
        seconds = time.monotonic() - started
        stop_workers(runner)
        del runner
        gc.collect()  # models and optimizer states of the stage
        barrier()
        before = self.state().get(name, {}).get('seconds', 0.)
        self._remember(name, finished=True, epochs=epochs,
                       seconds=round(before + seconds, 1))
        print_log(f'curriculum: {place} took {seconds / 60:.1f} min',
                  logger='current')

    @staticmethod
    def _resumable(folder: Path) -> Path | None:
        """What a broken stage goes on from: one answer for all processes."""
        found = [last_good_checkpoint(folder) if is_main_process() else None]
        broadcast_object_list(found)
        return found[0]

    def _progress(self, name: str) -> dict:
        """Config of the hook that tells how far the curriculum is."""
        state, todo = self.state(), []
        first = self.stage_names.index(name)
        for stage in self.stages[first:]:
            if self.only in (None, stage['name']) and not self.finished(
                    stage['name']):
                todo.append((stage['name'], int(
                    stage.get('epochs') or self.cfg.train_cfg.max_epochs)))
        spent = {n: s['seconds'] / s['epochs'] for n, s in state.items()
                 if s.get('finished') and s.get('epochs')}
        return dict(type='CurriculumProgress', stages=todo, spent=spent)

    def test(self) -> dict[str, float]:
        """Tests the last stage that is trained."""
        for name in reversed(self.stage_names):
            found = last_checkpoint(self.work_dir / name)
            if found is not None:
                cfg = self.stage_config(name)
                cfg.load_from = str(found)
                return PoseRunner.from_cfg(cfg).test()
        raise FileNotFoundError(f'no stage is trained in {self.work_dir}')
