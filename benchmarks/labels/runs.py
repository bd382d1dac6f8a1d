"""Named trainings: their configs, folders, and what they start from.

``plain_20_0`` is the row ``plain`` with 20 % of LSP + LSPET annotated and the
seed 0, which draws the annotated people, the order and the augmentation;
``synthetic:plain_20_0`` the same on the embedded world, ``plain-long_20_0``
three times as long. All rows of one share and seed begin at one recognizer,
``start_20_0``, and share one mask estimator, image VAE and pose VAE
(``masks_20_0``, ``images_20_0``, ``poses_20_0``), trained on the annotated
part.
"""
from __future__ import annotations

import copy
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from mmengine.config import Config

import mirrorpose  # noqa: F401  (registers everything)
from mirrorpose.engine.checkpoint_hook import last_good_checkpoint

from . import data as people
from .rows import (
    LONG,
    LONGER,
    MEAN,
    PAPER_SIZE,
    ROWS,
    SIGMA,
    STD,
    STEPS,
    TAIL,
    TEMPERATURE,
    UNPAIRED,
    Row,
)

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / 'work_dirs' / f'label_efficiency{TAIL}'
PERCENT = (5, 20, 80)
SEEDS = (0, 1, 2)
#: Steps of the common start by share of labels: until the plain recognizer
#: has stopped gaining, which more people take longer to reach.
START_STEPS = {5: 2000, 20: 4000, 80: 8000}
#: Steps of the parts, by their name.
PART_STEPS = {'masks': 1000, 'poses': 2500, 'images': 1500,
              'masks-more': 4000, 'images-tight': 1500,
              'poses-mocap': 2500, 'poses-all': 2500}
_PARTS = ('masks', 'poses', 'images')
_EXTRAS = ('start', *PART_STEPS)
#: Stands for the weights of the prior in PosePriorLoss.
_PRIOR = 'poses.pth'
_CONFIG = ROOT / 'configs' / (
    'mirrornet_hrnet_lsp.py' if PAPER_SIZE else
    'mirrornet_small_synthetic.py')
#: A ResNet-18 of 24 channels: 1.9 M parameters, 80 ms a step of 32.
_NETWORKS: dict = {} if PAPER_SIZE else dict(
    backbone=dict(base_channels=24, stem_channels=24),
    head=dict(in_channels=192, deconv_out_channels=(64, 64, 64)))


class Name(NamedTuple):
    """A run taken apart.

    Attributes:
        data (str): ``'lsp'`` or ``'synthetic'``.
        row (str): Key of ``rows.ROWS``, or ``start``, ``masks``, ``poses``,
            ``images``.
        long (bool): Three times the steps.
        percent (int): Share of annotated people.
        seed (int): Of the run.
    """

    data: str
    row: str
    long: bool
    percent: int
    seed: int

    def __str__(self) -> str:
        lead = '' if self.data == 'lsp' else f'{self.data}:'
        tail = '-long' if self.long else ''
        return f'{lead}{self.row}{tail}_{self.percent}_{self.seed}'

    @classmethod
    def parse(cls, text: str) -> Name:
        """Reads a name.

        Raises:
            ValueError: There is no such run; says how they are called.
        """
        data, _, rest = text.rpartition(':')
        parts = rest.rsplit('_', 2)
        row = parts[0]
        long = row.endswith('-long')
        row = row.removesuffix('-long')
        known = row in ROWS or (row in _EXTRAS and not long)
        if len(parts) == 3 and parts[1].isdigit() and parts[2].isdigit() \
                and known and (data or 'lsp') in people.DATA \
                and (not long or row in (*LONGER, *UNPAIRED)) \
                and int(parts[1]) in START_STEPS:
            name = cls(data or 'lsp', row, long, int(parts[1]),
                       int(parts[2]))
            if str(name) == text:
                return name
        raise ValueError(
            f'{text!r} is no run. They are called like plain_20_0 (row, '
            f'per cent of labels, seed), plain-long_20_0 ({", ".join(LONGER)}'
            f') or synthetic:plain_20_0; rows are {", ".join(ROWS)}, '
            f'per cents {PERCENT}, and before them come '
            f'{", ".join(_EXTRAS)}')

    def other(self, row: str) -> Name:
        """Another run of the same data, share and seed."""
        return self._replace(row=row, long=False)

    @property
    def folder(self) -> Path:
        """Where it lies."""
        return FOLDER / str(self).replace(':', '-')

    @property
    def steps(self) -> int:
        """Optimizer steps."""
        if self.row == 'start':
            return START_STEPS[self.percent]
        return PART_STEPS.get(self.row, STEPS * (LONG if self.long else 1))

    @property
    def counts(self) -> tuple[int, int]:
        """Annotated and un-annotated images a step."""
        return ROWS[self.row].counts if self.row in ROWS else (32, 0)

    def needs(self) -> list[Name]:
        """The runs that have to be there before it."""
        if self.row.startswith('images'):
            return [self.other('masks')]
        if self.row in _EXTRAS:
            return []
        row = ROWS[self.row]
        parts = [row.parts.get(p, p) if row.mirrored else
                 row.parts.get(p, '') for p in _PARTS]
        before = [*(['start'] if row.started else []), *filter(None, parts)]
        taught = [self._replace(row=row.teacher)] if row.teacher else []
        return [*map(self.other, before), *taught]

    def checkpoint(self) -> Path | None:
        """The checkpoint at its end; None while it is not done."""
        path = self.folder / f'iter_{self.steps}.pth'
        return path if path.is_file() else None


@lru_cache(maxsize=1)
def _base() -> Config:
    """MirrorNet at the benchmark's size."""
    cfg = Config.fromfile(_CONFIG)
    for key in ('stages', 'stage_data', 'runner_type'):
        cfg.pop(key, None)
    cfg.merge_from_dict(dict(model=copy.deepcopy(_NETWORKS)))
    cfg.model.head.decoder = people.CODEC
    return cfg


def settings(name: Name, started: bool = True) -> Config:
    """The config of a run.

    Args:
        name (Name): Of the run.
        started (bool): With the weights of the runs that it begins at.

    Raises:
        FileNotFoundError: One of them is not done; says which.
    """
    cfg = copy.deepcopy(_base())
    whole = cfg.model.to_dict()
    if 'images-tight' in (name.row, *ROWS.get(
            name.row, Row('')).parts.values()):
        _tighten(whole['image_vae'])
    cfg.model = _model(name, whole)
    cfg.optim_wrapper = dict(
        type=ROWS[name.row].wrapper if name.row in ROWS else
        'AutocastOptimWrapper', optimizer=dict(type='Adam', lr=1e-3))
    ranges = ROWS[name.row].ranges if name.row in ROWS else 'plain'
    cfg.train_dataloader = people.training(
        name.data, name.counts, ranges, masks=name.row.startswith('masks'),
        mocap=name.row == 'poses-mocap',
        codec=cfg.model.head.decoder.to_dict() if 'head' in cfg.model
        else None)
    if name.row in ROWS and ROWS[name.row].head == 'coordinates':
        cfg.crop_cache = None  # which draws maps
    cfg.label_fraction, cfg.split_seed = name.percent / 100, name.seed
    if name.row == 'poses-all':
        cfg.label_fraction = 1.
    cfg.randomness = dict(seed=name.seed)
    _schedule(cfg, name)
    if started:
        for source in name.needs():
            _start(cfg.model, source)
    cfg.work_dir, cfg.resume = str(name.folder), True
    cfg.experiment_name = name.folder.name
    return cfg


def _tighten(image_vae: dict) -> None:
    """Appearance as one vector of 24 numbers, of no place."""
    image_vae['appearance_recognizer'].update(
        vector_size=(2, 2), latent_channels=24)
    image_vae['generator'].update(appearance_channels=24)


def _model(name: Name, whole: dict) -> dict:
    """The model's config; ``whole`` is MirrorNet's."""
    shared = dict(data_preprocessor=dict(whole['data_preprocessor']),
                  test_cfg=whole['test_cfg'])
    nets = {k: whole[k] for k in ('backbone', 'head')}
    if name.row.startswith('masks'):
        return dict(shared, type='MaskEstimation',
                    mask_estimator=whole['mask_estimator'])
    if name.row.startswith('poses'):
        return dict(shared, type='PoseAutoencoding',
                    pose_vae=whole['pose_vae'])
    if name.row.startswith('images'):
        return dict(shared, type='ImageAutoencoding', **{
            k: whole[k] for k in ('image_vae', 'mask_estimator')})
    row = ROWS.get(name.row, Row('the common start'))
    augments = []
    if row.recombination is not None:
        augments.append(dict(type='Recombination', skeleton='mpii_16',
                             mean=MEAN, std=STD, **row.recombination))
    if row.colours:
        augments.append(dict(type='StrongColours', mean=MEAN, std=STD))
    if augments:
        shared['data_preprocessor']['batch_augments'] = augments
    if row.mirrored:
        return {**whole, **shared, **row.options}
    if row.head:
        nets.update(_ordinary(row, whole))
    return dict(shared, type=row.model, **nets, **row.options)


def _ordinary(row: Row, whole: dict) -> dict:
    """mmpose's own head of maps or coordinates, and what belongs to it."""
    maps = row.head == 'heatmaps'
    loss = dict(type='KeypointMSELoss' if maps else 'SmoothL1Loss',
                use_target_weight=True)
    if row.prior:
        # The checkpoint is the trained part's, see _start.
        loss = dict(type='PosePriorLoss', loss=loss, weight=row.prior,
                    prior=whole['pose_vae'], checkpoint=_PRIOR,
                    **(dict(radius=round(3 * SIGMA), temperature=TEMPERATURE)
                       if maps else {}))
    if maps:
        return dict(head=dict(whole['head'], loss=loss),
                    train_cfg=dict(compute_acc=False))
    return dict(neck=dict(type='GlobalAveragePooling'), head=dict(
        type='RegressionHead', num_joints=16, loss=loss,
        in_channels=whole['head']['in_channels'],
        decoder=dict(type='RegressionLabel',
                     input_size=people.CODEC['input_size'])))


def _schedule(cfg: Config, name: Name) -> None:
    """Steps instead of epochs; rows fade out over their second half."""
    steps = name.steps
    cfg.train_cfg = dict(by_epoch=False, max_iters=steps,
                         val_interval=max(steps // 4, 1))
    fades = name.row in ROWS
    cfg.param_scheduler = [dict(
        type='LinearLR', start_factor=1., end_factor=.02, by_epoch=False,
        begin=steps // 2, end=steps)] if fades else []
    # Curves are for seeing saturation; rows are measured at their end.
    watched = name.row == 'start' or name.long
    cfg.val_dataloader = people.validation_loader(name.data) if watched \
        else None
    cfg.val_evaluator = dict(type='LspPCK', norm=['bbox', 'torso']) \
        if watched else None
    cfg.val_cfg = dict() if watched else None
    cfg.test_dataloader = cfg.test_evaluator = cfg.test_cfg = None
    cfg.log_processor = dict(by_epoch=False, window_size=50)
    cfg.default_hooks.logger = dict(type='LoggerHook', interval=100,
                                    log_metric_by_epoch=False)
    cfg.default_hooks.checkpoint = dict(
        type='CheckpointHook', by_epoch=False, interval=min(250, steps),
        max_keep_ckpts=1, save_last=True)
    cfg.custom_hooks = [dict(type='NonFiniteGuard')]


def _start(model: dict, source: Name) -> None:
    """Lets children begin with another run's weights."""
    found = last_good_checkpoint(source.folder) if source.checkpoint() \
        else None
    if found is None:
        raise FileNotFoundError(
            f'{source} is not trained; make it by python -m '
            f'benchmarks.labels.training {source}')
    if source.row in ROWS:
        model['teacher_init'] = dict(type='Pretrained',
                                     checkpoint=str(found))
        return
    children = dict(start=('backbone', 'head'), masks=('mask_estimator', ),
                    poses=('pose_vae', ), images=('image_vae', ))
    for child in children[source.row.partition('-')[0]]:
        if child == 'pose_vae' and child not in model:
            model['head']['loss']['checkpoint'] = str(found)
            continue
        if child == 'head' and model['head']['type'] == 'RegressionHead':
            continue
        model[child]['init_cfg'] = dict(
            type='Pretrained', prefix=f'{child}.', checkpoint=str(found))
