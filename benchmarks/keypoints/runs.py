"""Named runs of KeypointGAN's benchmarks: configs, folders, lengths.

A run is named row, poses and seed, as ``keypointgan_all_0``. Poses are ``all``
of the embedded world's other people, 50, 500 or 5000 of them, or ``mocap``
(captured motion, projected); or, for real frames, ``people``, ``silhouettes``
and ``faces``.
The row ``supervised`` is the recognizer that learns from the labels of the
same frames (:mod:`.supervised`). ``regressor_POSES`` is KeypointGAN's
regressor, pre-trained on the poses alone; all rows and seeds begin at it.
Options are appended to the row, and to the regressor those that change it:
``keypointgan-paper-random_all_0`` begins at ``regressor-paper_all``. Runs
lie in ``work_dirs/keypoints``.
"""
from __future__ import annotations

import copy
import os
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config

import mirrorpose  # noqa: F401  (registers everything)
from mirrorpose.engine.checkpoint_hook import last_good_checkpoint
from mirrorpose.engine.curriculum import CurriculumRunner

from . import supervised

ROOT = Path(__file__).resolve().parents[2]
#: The published size, where there is a CUDA device or the environment asks for
#: it (``KEYPOINTGAN_SIZE``: ``full`` or ``small``); a step then takes half a
#: minute of a core.
FULL = os.environ.get('KEYPOINTGAN_SIZE', 'full' if torch.cuda.is_available()
                      else 'small') == 'full'
FOLDER = ROOT / 'work_dirs' / ('keypoints_full' if FULL else 'keypoints')
#: Pixels; width of Phi, Psi and eta (the published one is 32) and of D (64).
#: A step at half of the published widths took 1.7 times as long (0.77 against
#: 0.46 s beside two other trainings), and the tables then do not fit into
#: eight hours of one core.
SIZE, WIDTH, CRITIC_WIDTH = (128, 32, 64) if FULL else (64, 8, 16)
#: Iterations of 16 images; of a regressor's 32 poses.
ITERATIONS, REGRESSOR = (20000, 30000) if FULL else (2000, 3000)
REGRESSOR_BATCH = 32
#: Phi and Psi run in bfloat16, and they and the perceptual loss's features
#: channels-last: by measurement the fastest. Eta and D stay in float32
#: (trap T2.8), and their instance norms would copy channels-last tensors.
PRECISION = 'AutocastOptimWrapper'
#: What reconstructions are compared by in training: VGG-19's weights are not
#: at hand, and two runs compared by different features are not one row.
FEATURES = 'efficientnet_lite0'
CHANNELS_LAST = ('backbone', 'generator', 'perceptual')
#: The rows of the paper's Table 4, in its order, and the one of which it says
#: that it does not converge.
ROWS: dict[str, dict[str, Any]] = {
    'cyclegan': dict(bottleneck=False, conditional=False, second_cycle=True),
    'conditional': dict(bottleneck=False, conditional=True,
                        second_cycle=True),
    'bottleneck': dict(bottleneck=True, conditional=True, second_cycle=True),
    'keypointgan': dict(bottleneck=True, conditional=True,
                        second_cycle=False),
    'one_cycle': dict(bottleneck=False, conditional=False,
                      second_cycle=False),
    'unconditional': dict(bottleneck=True, conditional=False,
                          second_cycle=False),
}
#: What else of the model may differ: the paper's regressor, which is to name
#: the sides that one channel cannot tell; limbs of either side and those of
#: neither in channels of their own; what reconstructions are compared by; how
#: much it matters that skeleton images look like drawings (10 in the paper).
OPTIONS: dict[str, dict[str, Any]] = {
    'paper': dict(head=dict(either_side=False)),
    'channels': dict(head=dict(in_channels=3, either_side=False),
                     backbone=dict(out_channels=3),
                     generator=dict(in_channels=3),
                     discriminator=dict(in_channels=3),
                     renderer=dict(channels='side')),
    'random': dict(perceptual=dict(features='random')),
    'adversarial2': dict(adversarial_weight=2.),
    'adversarial05': dict(adversarial_weight=.5),
}
#: Pairs of warps of one image in place of frames of a clip, after the row,
#: too: where frames hardly differ, the appearance frame tells nearly all.
TPS = 'tps'
SUPERVISED, PRETRAINING = 'supervised', 'regressor'
#: Which poses, and the data that they and the images come from.
POSES = ('all', '50', '500', '5000', 'mocap')
REAL = ('people', 'silhouettes', 'faces')
#: Poses of captured motion in the joints of the embedded world's config.
MOCAP = dict(
    type='MotionPoses', part='all', stride=30,
    cameras=dict(elevation=(-10., 30.)), sources=[
        dict(type='MocapArchive', file='mocap/cmu31_30fps.npz'),
        dict(type='MocapArchive', file='mocap/bandai26_30fps.npz')])


def base(poses: str) -> Config:
    """The config of the data, of ``SIZE`` pixels and ``WIDTH``.

    Raises:
        ValueError: Unknown poses.
    """
    cfg = _read('keypointgan_synthetic.py')
    if poses in REAL:
        data = _read(f'_base_/datasets/{poses}_frames.py')
        for key in ('train_dataloader', 'val_dataloader', 'test_dataloader',
                    'val_evaluator', 'test_evaluator', 'stage_data'):
            cfg[key] = data[key]
        for part in ('head', 'renderer'):
            cfg.model[part].skeleton = data.joints
        # What a face's left is, is seen.
        cfg.model.head.either_side = poses != 'faces'
    elif poses in ('50', '500', '5000'):
        for pile in _piles(cfg):
            pile.limit = int(poses)
    elif poses == 'mocap':
        for pile in _piles(cfg):
            pile.update(sources=[MOCAP],
                        data_root=_read('_base_/datasets/mocap_sequences.py'
                                        ).data_root,
                        mirror=.5, scale=(.9, 1.1), shift=.05)
    elif poses != 'all':
        raise ValueError(f'poses are {", ".join(POSES + REAL)}, got '
                         f'{poses!r}')
    _set(cfg._cfg_dict, 'size', SIZE)
    _set(cfg._cfg_dict, 'image_size', SIZE, 'SyntheticClips')
    # At 64 pixels the third scale would see 16.
    cfg.model.discriminator.scales = 3 if FULL else 2
    cfg.model.renderer.size = SIZE
    for part in ('backbone', 'head', 'generator'):
        cfg.model[part].width = WIDTH
    cfg.model.discriminator.width = CRITIC_WIDTH
    for loader in (cfg.train_dataloader, cfg.val_dataloader,
                   cfg.test_dataloader,
                   cfg.stage_data.poses.train_dataloader):
        # Batches are read whole: one process a run is enough, and counts
        # all of its processor time.
        loader.update(num_workers=0, persistent_workers=False)
    cfg.stage_data.poses.train_dataloader.batch_size = REGRESSOR_BATCH
    return cfg


def _read(file: str) -> Config:
    """A config below ``configs``; reading one takes half a second."""
    return copy.deepcopy(_parsed(file))


@lru_cache
def _parsed(file: str) -> Config:
    return Config.fromfile(ROOT / 'configs' / file)


def _piles(cfg: Config) -> list[Any]:
    """The unpaired poses, beside images and alone."""
    return [cfg.train_dataloader.dataset.poses,
            cfg.stage_data.poses.train_dataloader.dataset]


def _set(node: Any, key: str, value: Any, kind: str = 'Dataset') -> None:
    """Sets a key wherever a type of this kind has it."""
    if isinstance(node, dict):
        if key in node and kind in str(node.get('type')):
            node[key] = value
        for child in node.values():
            _set(child, key, value, kind)
    elif isinstance(node, list):
        for child in node:
            _set(child, key, value, kind)


def result(name: str) -> Path:
    """Where a table's numbers are kept, those of full size apart."""
    return ROOT / 'benchmarks' / 'results' / (
        f'{name}{"_full" if FULL else ""}.json')


def parts(name: str) -> tuple[str, str, int]:
    """Row, poses and seed of a name.

    Raises:
        ValueError: An unknown name.
    """
    row, poses, seed = (name.rsplit('_', 2) + ['', ''])[:3]
    kind, *options = row.split('-')
    if (kind, seed) == (PRETRAINING, ''):
        seed = '0'
    elif kind == PRETRAINING:  # it has no seeds
        poses = ''
    known: tuple[str, ...] = POSES + REAL
    if kind == SUPERVISED:  # the poses' number is nothing to it
        known = ('all', *REAL)
    if kind not in (*ROWS, SUPERVISED, PRETRAINING) or (
            not set(options) <= {*OPTIONS, TPS}) or (
            options and kind == SUPERVISED) or (
            poses not in known) or not seed.isdigit():
        raise ValueError(
            'a run is named like keypointgan_all_0: one of '
            f'{[*ROWS, SUPERVISED]}, one of {POSES + REAL} (of '
            f'{SUPERVISED} all and {REAL} only), a seed; or '
            f'like regressor_all; with one of {[*OPTIONS, TPS]} after the '
            'row, as '
            f'keypointgan-paper_all_0; got {name!r}')
    return row, poses, int(seed)


def iterations(name: str) -> int:
    """How long a run is."""
    return REGRESSOR if parts(name)[0].startswith(
        PRETRAINING) else ITERATIONS


def needs(name: str) -> list[str]:
    """Runs that have to be there before it."""
    row, poses, _ = parts(name)
    kind, *options = row.split('-')
    its = [o for o in options if 'head' in OPTIONS.get(o, {})]
    return ['-'.join([PRETRAINING, *its]) + f'_{poses}'
            ] if kind in ROWS else []


def settings(name: str) -> Config:
    """The config of a run, without the weights that it begins at.

    Raises:
        ValueError: An unknown name.
    """
    row, poses, seed = parts(name)
    cfg = base(poses)
    row, *options = row.split('-')
    for option in options:
        cfg.merge_from_dict(dict(model=OPTIONS.get(option, {})))
    if TPS in options:
        frames = cfg.train_dataloader.dataset.frames
        for key in ('order', 'gap_min', 'gap_max'):
            frames.pop(key, None)
        frames.type = 'StillPairDataset'
    if row == PRETRAINING:
        cfg.work_dir = str(FOLDER)
        cfg = CurriculumRunner(cfg).stage_config('regressor')
        # After 50 seconds of one core held-out poses were off by 7.4 % of the
        # side, with the published 2e-4 by 8.6 %, at twice the width by 7.8.
        cfg.optim_wrapper.optimizer = dict(type='Adam', lr=2e-3)
        cfg.param_scheduler = _fading(REGRESSOR)
    elif row == SUPERVISED:
        supervised.configure(cfg)
        cfg.param_scheduler = _fading(ITERATIONS)
    else:
        chosen = ROWS[row]
        cfg.model.bottleneck = chosen['bottleneck']
        cfg.model.generator.conditional = chosen['conditional']
        if chosen['second_cycle']:
            cfg.model.second_cycle = dict()
            cfg.optim_wrapper.discriminator.children = [
                'discriminator', 'image_discriminator']
        cfg.optim_wrapper.generator.type = PRECISION
    for key in ('stages', 'stage_data', 'runner_type'):
        cfg._cfg_dict.pop(key, None)
    _schedule(cfg, iterations(name))
    cfg.randomness = dict(seed=seed)
    cfg.work_dir, cfg.experiment_name = str(FOLDER / name), name
    cfg.resume = True
    return cfg


def _fading(steps: int) -> list[dict]:
    """A rate that falls over the second half."""
    return [dict(type='LinearLR', start_factor=1., end_factor=.02,
                 by_epoch=False, begin=steps // 2, end=steps)]


def _schedule(cfg: Config, steps: int) -> None:
    """Iterations instead of epochs, so that all sets of data get as many."""
    cfg.train_cfg = dict(by_epoch=False, max_iters=steps,
                         val_interval=max(steps // 5, 1))
    cfg.log_processor = dict(by_epoch=False, window_size=50)
    cfg.default_hooks.logger = dict(type='LoggerHook', interval=100,
                                    log_metric_by_epoch=False)
    cfg.default_hooks.checkpoint = dict(
        type='CheckpointHook', by_epoch=False, interval=min(250, steps),
        max_keep_ckpts=1, save_last=True)


def checkpoint(name: str) -> Path:
    """The checkpoint at a run's end.

    Raises:
        FileNotFoundError: There is none; says which command makes it.
    """
    folder = FOLDER / name
    if not done(name):
        last = last_good_checkpoint(folder) if folder.is_dir() else None
        raise FileNotFoundError(
            f'{name} is not trained to its end'
            + (f' (there is {Path(last).name})' if last else '')
            + f'; python -m benchmarks.keypoints.training {name}')
    return folder / f'iter_{iterations(name)}.pth'


def done(name: str) -> bool:
    """Whether a run is finished."""
    return (FOLDER / name / f'iter_{iterations(name)}.pth').is_file()


def trained(row: str, poses: str) -> list[str]:
    """Names of the finished runs of a row, by seed."""
    found = [f.name for f in FOLDER.glob(f'{row}_{poses}_*')
             if f.name.rpartition('_')[2].isdigit() and done(f.name)]
    return sorted(found, key=lambda n: parts(n)[2])
