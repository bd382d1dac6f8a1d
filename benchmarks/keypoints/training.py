"""The trainings behind KeypointGAN's tables, each resumed where it stopped.

    python -m benchmarks.keypoints.training keypointgan_all_0 cyclegan_all_0

A run is named row, poses and seed. Poses are ``all`` of the embedded world's
other people, 50, 500 or 5000 of them, or ``mocap`` (captured motion,
projected); or, for real frames, ``people`` and ``faces``. The regressor that
is pre-trained on the poses alone, ``regressor_POSES``, is shared by all rows
and seeds and is trained before the first of them. Runs lie in
``work_dirs/keypoints``.
"""
from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from mmengine.config import Config

import mirrorpose  # noqa: F401  (registers everything)
from mirrorpose.engine.checkpoint_hook import last_good_checkpoint
from mirrorpose.engine.curriculum import CurriculumRunner
from mirrorpose.engine.runner import PoseRunner

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / 'work_dirs' / 'keypoints'
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
#: Which poses, and the data that they and the images come from.
POSES = ('all', '50', '500', '5000', 'mocap')
REAL = ('people', 'faces')
#: Iterations of a regressor and of a row.
REGRESSOR, ITERATIONS = 3000, 3000
#: Says in a run's folder that it is finished.
DONE = 'done.txt'
#: Poses of captured motion in the joints of the embedded world's config.
MOCAP = dict(
    type='MotionPoses', part='all', stride=30,
    cameras=dict(elevation=(-10., 30.)), sources=[
        dict(type='MocapArchive', file='mocap/cmu31_30fps.npz'),
        dict(type='MocapArchive', file='mocap/bandai26_30fps.npz')])


def base(poses: str) -> Config:
    """The config of the data, at 64 pixels and the widths of two cores.

    Raises:
        ValueError: Unknown poses.
    """
    cfg = Config.fromfile(ROOT / 'configs' / 'keypointgan_synthetic.py')
    if poses in REAL:
        data = Config.fromfile(ROOT / 'configs' / '_base_' / 'datasets' /
                               f'{poses}_frames.py')
        _set(data._cfg_dict, 'size', 64)
        for key in ('train_dataloader', 'val_dataloader', 'test_dataloader',
                    'val_evaluator', 'test_evaluator', 'stage_data'):
            cfg[key] = data[key]
        for part in ('head', 'renderer'):
            cfg.model[part].skeleton = data.joints
    elif poses in ('50', '500', '5000'):
        for loader in (cfg.train_dataloader.dataset.poses,
                       cfg.stage_data.poses.train_dataloader.dataset):
            loader.limit = int(poses)
    elif poses == 'mocap':
        for loader in (cfg.train_dataloader.dataset.poses,
                       cfg.stage_data.poses.train_dataloader.dataset):
            loader.update(sources=[MOCAP], data_root=_data_root(),
                          mirror=.5, scale=(.9, 1.1), shift=.05)
    elif poses != 'all':
        raise ValueError(f'poses are {", ".join(POSES + REAL)}, got '
                         f'{poses!r}')
    return cfg


def _data_root() -> str:
    return Config.fromfile(ROOT / 'configs' / '_base_' / 'datasets' /
                           'mocap_sequences.py').data_root


def _set(node: Any, key: str, value: Any) -> None:
    """Sets a key of data sets wherever it stands."""
    if isinstance(node, dict):
        if key in node and 'Dataset' in str(node.get('type')):
            node[key] = value
        for child in node.values():
            _set(child, key, value)
    elif isinstance(node, list):
        for child in node:
            _set(child, key, value)


def _epochs(loader: Any, iterations: int) -> tuple[int, int]:
    """Epochs of at least so many iterations, and iterations an epoch."""
    from mmengine.registry import init_default_scope
    from mmpose.registry import DATASETS
    init_default_scope('mmpose')
    steps = max(len(DATASETS.build(loader.dataset)) // loader.batch_size, 1)
    return -(-iterations // steps), steps


def regressor(poses: str) -> Path:
    """Trains the regressor of a set of poses, or what is left of it."""
    cfg = base(poses)
    cfg.work_dir = str(FOLDER / f'regressor_{poses}')
    loader = cfg.stage_data.poses.train_dataloader
    cfg.stages[0].epochs = _epochs(loader, REGRESSOR)[0]
    cfg.only_stage = 'regressor'
    CurriculumRunner(cfg).train()
    found = last_good_checkpoint(Path(cfg.work_dir) / 'regressor')
    assert found is not None
    return Path(found)


def parts(name: str) -> tuple[str, str, int]:
    """Row, poses and seed of a name.

    Raises:
        ValueError: An unknown name.
    """
    row, poses, seed = (name.rsplit('_', 2) + ['', ''])[:3]
    if row not in ROWS or poses not in POSES + REAL or not seed.isdigit():
        raise ValueError(
            f'a run is named like keypointgan_all_0: one of {list(ROWS)}, '
            f'one of {POSES + REAL}, a seed; got {name!r}')
    return row, poses, int(seed)


def settings(name: str) -> Config:
    """The config of a row, without the regressor's weights.

    Raises:
        ValueError: An unknown name.
    """
    row, poses, seed = parts(name)
    chosen, cfg = ROWS[row], base(poses)
    cfg.model.bottleneck = chosen['bottleneck']
    cfg.model.generator.conditional = chosen['conditional']
    if chosen['second_cycle']:
        cfg.model.second_cycle = dict()
        cfg.optim_wrapper.discriminator.children = [
            'discriminator', 'image_discriminator']
    for key in ('stages', 'stage_data', 'runner_type'):
        cfg._cfg_dict.pop(key, None)
    cfg.randomness = dict(seed=seed)
    cfg.work_dir, cfg.experiment_name = str(FOLDER / name), name
    cfg.resume = True
    return cfg


def checkpoint(name: str) -> Path:
    """The last good checkpoint of a row.

    Raises:
        FileNotFoundError: There is none; says which command makes it.
    """
    folder = FOLDER / name
    found = last_good_checkpoint(folder) if folder.is_dir() else None
    if not found:
        raise FileNotFoundError(
            f'no checkpoint of {name} in {folder}; make it by '
            f'python -m benchmarks.keypoints.training {name}')
    return Path(found)


def trained(row: str, poses: str) -> list[str]:
    """Names of the finished runs of a row, by seed."""
    folders = FOLDER.glob(f'{row}_{poses}_*')
    return sorted(f.name for f in folders if (f / DONE).is_file())


def train(name: str) -> None:
    """Trains a row, or what is left of it."""
    cfg = settings(name)
    epochs, steps = _epochs(cfg.train_dataloader, ITERATIONS)
    cfg.train_cfg.update(max_epochs=epochs,
                         val_interval=max(epochs // 5, 1))
    done = FOLDER / name / DONE
    if done.is_file():
        print(f'{name}: done')
        return
    cfg.model.head.init_cfg = dict(
        type='Pretrained', prefix='head.',
        checkpoint=str(regressor(parts(name)[1])))
    PoseRunner.from_cfg(cfg).train()
    done.write_text(f'{epochs} epochs of {steps} iterations\n')


def main() -> None:
    """Trains the named runs, one after the other."""
    parser = argparse.ArgumentParser(description='Train KeypointGAN rows')
    parser.add_argument('runs', nargs='+')
    for name in parser.parse_args().runs:
        train(name)


if __name__ == '__main__':
    main()
