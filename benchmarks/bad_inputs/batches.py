"""Cases: what reaches the model, and how many at once."""
from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import torch
from mmengine.dataset import DefaultSampler, pseudo_collate
from mmpose.registry import DATASETS, MODELS
from torch import Tensor, nn
from torch.utils.data import DataLoader

from mirrorpose.engine import PoseRunner
from mirrorpose.engine.curriculum import CurriculumRunner
from mirrorpose.engine.odd_batches import check_loader
from mirrorpose.testing import toy_cfg

from . import error, rule

_BATCH_NORM = nn.Sequential(nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3))


def step(folder: Path, labels: tuple[bool, ...] = (True, ) * 4,
         spoil: Any = None) -> dict[str, Tensor]:
    """Losses of the toy MirrorNet on people of whom some are labelled."""
    cfg = toy_cfg(folder)
    torch.manual_seed(0)
    model = MODELS.build(copy.deepcopy(cfg.model))
    people = DATASETS.build(cfg.train_dataloader.dataset)
    batch = pseudo_collate([people[i] for i in range(len(labels))])
    for sample, labelled in zip(batch['data_samples'], labels):
        sample.set_metainfo(dict(is_labeled=labelled))
    if spoil is not None:
        spoil(batch['data_samples'])
    data = model.data_preprocessor(batch, True)
    return model(data['inputs'], data['data_samples'], mode='loss')


def loader(number: int, batch_size: int = 4, drop_last: bool = False,
           round_up: bool = True) -> DataLoader:
    """A training loader over so many samples."""
    return DataLoader(range(number), batch_size=batch_size,
                      sampler=DefaultSampler(range(number),
                                             round_up=round_up),
                      drop_last=drop_last)


@error('no labelled sample in a batch', 'ValueError',
       'none of the 4 samples of this batch is annotated (the first is 0-0)',
       'use SemiSupervisedSampler')
def none_labelled(folder: Path) -> None:
    """MirrorNet wants one."""
    step(folder, (False, ) * 4)


@rule('no unlabelled sample in a batch', 'the step is that of supervised '
      'training')
def none_unlabelled(folder: Path) -> None:
    """All terms are there and finite."""
    losses = step(folder)
    assert 'mon_bound_labelled' in losses
    assert 'mon_bound_unlabelled' not in losses
    assert all(bool(v.isfinite()) for v in losses.values())


@error('sample without heatmaps in a batch', 'ValueError',
       'sample 0-2 has no heatmaps', 'needs GenerateTarget')
def no_heatmaps(folder: Path) -> None:
    """The pipeline lacks the codec."""
    def spoil(samples: list) -> None:
        del samples[2].gt_fields
    step(folder, spoil=spoil)


@error('batch with another joint count than the model', 'ValueError',
       'sample 0-0 has 14', 'the same joint set')
def other_count(folder: Path) -> None:
    """Fourteen maps for sixteen joints."""
    def spoil(samples: list) -> None:
        for sample in samples:
            maps = sample.gt_fields.heatmaps[:14]
            sample.gt_fields = type(sample.gt_fields)(heatmaps=maps)
    step(folder, spoil=spoil)


@error('empty training set', 'ValueError', '(range) is empty',
       'check ann_file, data_root, part and label_fraction')
def empty(folder: Path) -> None:
    """Nothing passed the filters."""
    check_loader(loader(0), _BATCH_NORM)


@error('training set smaller than a batch, with drop_last', 'ValueError',
       'has 3 samples, fewer than a batch of 4', 'set drop_last=False')
def no_batch(folder: Path) -> None:
    """The epoch would have no iteration."""
    check_loader(loader(3, drop_last=True), _BATCH_NORM)


@error('last batch of one sample, with BatchNorm', 'ValueError',
       'the last batch of an epoch has one sample (9 samples, batch_size=4',
       'Set drop_last=True')
def one_left(folder: Path) -> None:
    """Nine in fours."""
    check_loader(loader(9), _BATCH_NORM)


@error('batch_size=1, with BatchNorm', 'ValueError',
       'every batch has one sample', 'Choose a larger batch_size')
def one_each(folder: Path) -> None:
    """Statistics of one."""
    check_loader(loader(9, 1), _BATCH_NORM)


@error('unequal numbers of batches on two ranks', 'ValueError',
       'unequal numbers of batches [3, 2]', 'Set round_up=True')
def unequal(folder: Path) -> None:
    """One would wait for the other for ever."""
    check_loader(loader(17, round_up=False), _BATCH_NORM, world_size=2)


@rule('unequal sizes of the last batch on the ranks', 'allowed: each rank '
      'weighs the same in the gradient')
def unequal_sizes(folder: Path) -> None:
    """Five batches each, the last of 4 and of 3."""
    check_loader(loader(39, round_up=False), _BATCH_NORM, world_size=2)


@error('loss that is not finite', 'FloatingPointError',
       'iteration 0: these terms are not finite', 'Lower the learning rate',
       cut='{')
def not_finite(folder: Path) -> None:
    """The maps of all people are NaN."""
    train(folder, spoilt=range(12))


@rule("loss that is not finite with on_nonfinite='skip'", 'the batch is left '
      'out, counted and written to `work_dir/nonfinite/`; more than '
      '`max_skipped` within 1,000 iterations stop the run')
def left_out(folder: Path) -> None:
    """One of four batches."""
    runner = train(folder, [5], on_nonfinite='skip', max_skipped=1)
    assert len(list((folder / 'nonfinite').glob('*.pth'))) == 1
    assert all(bool(v.isfinite().all())
               for v in runner.model.state_dict().values())


def train(folder: Path, spoilt: Any, **options: Any) -> PoseRunner:
    """Trains the pose VAE for an epoch, some people's maps being NaN."""
    cfg = CurriculumRunner(toy_cfg(folder)).stage_config('pose_vae')
    cfg.work_dir = str(folder)
    for hook in cfg.custom_hooks:
        if hook.type == 'NonFiniteGuard':
            hook.update(options)
    cfg.train_cfg.max_epochs, cfg.train_dataloader.batch_size = 1, 3
    runner = PoseRunner.from_cfg(cfg)

    def spoil(sample: dict) -> dict:
        if sample['data_samples'].metainfo['img_id'] in spoilt:
            sample['data_samples'].gt_fields.heatmaps.fill_(torch.nan)
        return sample

    people: Any = runner.train_dataloader.dataset
    people.pipeline.transforms.append(spoil)
    runner.train()
    return runner
