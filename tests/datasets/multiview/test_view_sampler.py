"""ViewGroupSampler: whole groups, distant times, equal on all ranks."""
from __future__ import annotations

import contextlib
import copy
import time
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.model import BaseModel
from mmpose.registry import DATA_SAMPLERS, DATASETS, MODELS

from mirrorpose.datasets.multiview import ViewGroupSampler, sampler
from mirrorpose.testing import run_processes


class Table:
    """A data set that is nothing but its table."""

    def __init__(self, subjects=5, clips=3, instants=40, fps=2., views=4,
                 lost=()) -> None:
        group, rows = 0, []
        for subject in range(subjects):
            for clip in range(clips):
                for i in range(instants):
                    rows += [(group, subject, subject * clips + clip,
                              i / fps, f'c{v}') for v in range(views)
                             if (group, v) not in lost]
                    group += 1
        rows = [rows[i] for i in np.random.default_rng(0).permutation(
            len(rows))]
        columns = list(zip(*rows))
        self.table = dict(
            index=np.arange(len(rows)), group=np.array(columns[0]),
            subject=np.array(columns[1]), sequence=np.array(columns[2]),
            seconds=np.array(columns[3]), camera=np.array(columns[4]))

    def view_groups(self):
        return self.table


@pytest.fixture
def make(monkeypatch):
    def build(data=None, rank=0, world=1, epoch=0, **kwargs):
        monkeypatch.setattr(sampler, 'get_dist_info', lambda: (rank, world))
        kwargs = dict(dict(groups_per_batch=8, subjects_per_batch=4, seed=3),
                      **kwargs)
        made = ViewGroupSampler(data or Table(), **kwargs)
        made.set_epoch(epoch)
        return made
    return build


def batches(made):
    items = np.array(list(made))
    assert len(items) == len(made)
    return items.reshape(made.iterations, made.groups_per_batch,
                         made.views_per_group)


@pytest.mark.parametrize('world', [1, 2, 3])
@pytest.mark.parametrize('views', [2, 3])
def test_batches_are_what_they_promise(make, world, views):
    data = Table()
    t = data.table
    parts = [batches(make(data, r, world, views_per_group=views))
             for r in range(world)]
    assert len({p.shape for p in parts}) == 1
    for steps in zip(*parts):
        for batch in steps:
            group = t['group'][batch]
            assert (group == group[:, :1]).all()
            assert len(set(group[:, 0])) == len(group)
            for row in t['camera'][batch]:
                assert len(set(row)) == views
            counts = Counter(t['subject'][batch[:, 0]].tolist())
            assert sorted(counts.values()) == [2, 2, 2, 2]
        # The gap holds over all processes.
        rows = np.concatenate([b[:, 0] for b in steps])
        near = np.abs(t['seconds'][rows][:, None] - t['seconds'][rows]) < 1
        same = t['sequence'][rows][:, None] == t['sequence'][rows]
        assert (near & same).sum() == len(rows)


@pytest.mark.parametrize('world', [1, 2])
def test_an_epoch_sees_each_instant_about_once(make, world):
    data = Table(subjects=4)
    seen = Counter()
    for rank in range(world):
        made = make(data, rank, world, subjects_per_batch=4)
        assert made.iterations == 480 // (8 * world)
        seen.update(data.table['group'][batches(made)[..., 0].ravel()]
                    .tolist())
    assert sum(seen.values()) == 480
    assert max(seen.values()) <= 2
    assert len(seen) > .97 * 480  # the gap may make the last ones wait


def test_without_a_gap_each_instant_comes_once(make):
    data = Table(subjects=4)
    made = make(data, gap_seconds=0.)
    groups = data.table['group'][batches(made)[..., 0].ravel()]
    assert len(set(groups.tolist())) == 480


def test_is_a_function_of_seed_and_epoch(make):
    assert list(make(epoch=2)) == list(make(epoch=2))
    assert list(make(epoch=2)) != list(make(epoch=3))
    assert list(make(epoch=2)) != list(make(epoch=2, seed=4))
    walked = make()
    for epoch in range(3):
        walked.set_epoch(epoch)
        last = list(walked)
    assert last == list(make(epoch=2))


def test_all_pairs_of_cameras_come(make):
    data = Table(instants=80)
    pairs = Counter(tuple(sorted(data.table['camera'][row]))
                    for batch in batches(make(data)) for row in batch)
    assert len(pairs) == 6
    assert max(pairs.values()) < 2 * min(pairs.values())


def test_missing_views(make):
    # Instant 0 has one view left, instant 1 two.
    data = Table(lost={(0, v) for v in (0, 1, 2)} | {(1, 0), (1, 3)})
    seen = set()
    for epoch in range(3):
        for row in batches(make(data, epoch=epoch)).reshape(-1, 2):
            seen.add(data.table['group'][row[0]])
            if data.table['group'][row[0]] == 1:
                assert set(data.table['camera'][row]) == {'c1', 'c2'}
    assert 0 not in seen and 1 in seen


def test_tight_gaps_are_still_kept(make):
    # 5 s at 2 fps: exactly 5 instants fit, whatever chance would take.
    data = Table(subjects=1, clips=1, instants=10)
    made = make(data, groups_per_batch=5, subjects_per_batch=1)
    for epoch in range(20):
        made.set_epoch(epoch)
        for batch in batches(made):
            times = np.sort(data.table['seconds'][batch[:, 0]])
            assert (np.diff(times) >= 1).all()


def test_in_order(make):
    made = make(Table(subjects=4), shuffle=False, gap_seconds=0.)
    first = batches(made)[0]
    table = Table(subjects=4).table
    assert table['subject'][first[:, 0]].tolist() == [0, 0, 1, 1, 2, 2, 3, 3]
    assert table['seconds'][first[:, 0]].tolist() == [0, .5] * 4
    assert list(made) == list(made)


def test_batch_size(make):
    made = make(groups_per_batch=None, batch_size=24, views_per_group=3)
    assert made.groups_per_batch == 8 and made.batch_size == 24
    with pytest.raises(ValueError, match='multiple of views_per_group'):
        make(groups_per_batch=None, batch_size=25)
    with pytest.raises(ValueError, match='takes the place'):
        make(batch_size=16)


@pytest.mark.parametrize('kwargs, message', [
    (dict(subjects_per_batch=6, groups_per_batch=12),
     'there are 5; set subjects_per_batch=5'),
    (dict(groups_per_batch=9), 'cannot be shared equally'),
    (dict(views_per_group=5), 'largest has 4'),
    (dict(views_per_group=1), 'views_per_group 2'),
    (dict(gap_seconds=30.), 'has 3 instants that are 30 s apart'),
    (dict(world=4, gap_seconds=15.), 'in 4 processes')])
def test_errors(make, kwargs, message):
    if 'gap_seconds' in kwargs and 'world' not in kwargs:
        kwargs = dict(kwargs, groups_per_batch=16)
    with pytest.raises(ValueError, match=message):
        make(**kwargs)


def test_other_data_set():
    with pytest.raises(TypeError, match='view_groups.*got range'):
        ViewGroupSampler(range(4))


# -- with the runner -------------------------------------------------------
@MODELS.register_module(force=True)
class DiaryOfViews(BaseModel):
    """Writes down what each step is given."""

    steps: list[list[str]] = []

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.ones(1))

    def forward(self, inputs, data_samples, mode='tensor'):
        self.steps.append([s.id for s in data_samples])
        mean = torch.stack([torch.as_tensor(i).float().mean()
                            for i in inputs]).mean()
        return dict(loss=(self.weight * mean / 255).sum())


def config(folder, cache, batch=4, **changes) -> Config:
    source = dict(type='SyntheticViews', subjects=3, clips=2, seconds=2,
                  fps=2, image_size=32, num_cameras=3)
    cfg = dict(
        default_scope='mmpose', work_dir=str(folder), log_level='WARNING',
        batch_size_is_global=True, randomness=dict(seed=0),
        experiment_name=f'views_{time.monotonic_ns()}',
        default_hooks=dict(
            timer=dict(type='IterTimerHook'),
            logger=dict(type='LoggerHook', interval=1),
            checkpoint=dict(type='CheckpointHook', interval=6,
                            by_epoch=False),
            sampler_seed=dict(type='DistSamplerSeedHook')),
        optim_wrapper=dict(type='OptimWrapper',
                           optimizer=dict(type='SGD', lr=.1)),
        train_cfg=dict(by_epoch=True, max_epochs=2),
        train_dataloader=dict(
            batch_size=batch, num_workers=0, drop_last=True,
            sampler=dict(type='ViewGroupSampler', batch_size=batch,
                         subjects_per_batch=1, gap_seconds=.5),
            dataset=dict(type='MultiViewDataset', source=source,
                         augmentation=dict(), cache_dir=str(cache))),
        model=dict(type='DiaryOfViews'))
    cfg.update(copy.deepcopy(changes))
    return Config(cfg)


def train(cfg, cut=None):
    from mirrorpose.engine import PoseRunner
    if cut is not None:
        cfg.custom_hooks = [dict(type='PowerCutAt', iteration=cut)]
    DiaryOfViews.steps = []
    runner = PoseRunner.from_cfg(cfg)
    with contextlib.suppress(KeyboardInterrupt):
        runner.train()
    return DiaryOfViews.steps, float(runner.model.state_dict()[
        'weight' if 'weight' in runner.model.state_dict()
        else 'module.weight'])


def test_a_resumed_run_sees_the_same_batches(tmp_path, view_cache,
                                             monkeypatch):
    monkeypatch.setattr('mmengine.config.config.FormatCode',
                        lambda text, **_: (text, True))
    whole, end = train(config(tmp_path / 'a', view_cache))
    assert len(whole) == 2 * 12 and whole[:12] != whole[12:]
    broken, _ = train(config(tmp_path / 'b', view_cache), cut=7)
    again, resumed = train(config(tmp_path / 'b', view_cache, resume=True))
    # Saved after 6 steps, in the middle of the first epoch.
    assert broken[:6] + again == whole
    assert resumed == end


def two(rank, folder):
    """Both processes train; each says what it was given."""
    from mmengine.config import config as module

    from mirrorpose.engine.dist import setup_distributed
    # Laying the config out takes longer than training.
    module.FormatCode = lambda text, **_: (text, True)
    folder = Path(folder)
    cfg = config(folder / 'run', folder / 'cache', batch=8,
                 model_wrapper_cfg=dict(type='MMDistributedDataParallel'))
    setup_distributed(cfg, 'pytorch')
    steps, _ = train(cfg)
    return steps


def test_two_processes(tmp_path):
    ranks = run_processes(f'{__file__}:two', 2, tmp_path)
    assert len(ranks[0]) == len(ranks[1]) == 2 * 6
    data = DATASETS.build(dict(
        config(tmp_path, tmp_path / 'cache').train_dataloader.dataset))
    table, ids = data.view_groups(), {
        data.meta(i)['id']: i for i in range(len(data))}
    for steps in zip(*ranks):
        for step in steps:
            rows = np.array([ids[i] for i in step])
            group = table['group'][rows].reshape(-1, 2)
            assert len(rows) == 4 and (group[:, 0] == group[:, 1]).all()
        assert not set(steps[0]) & set(steps[1])


def test_is_registered(make_views):
    made = DATA_SAMPLERS.build(dict(
        type='ViewGroupSampler', dataset=make_views(), batch_size=12,
        subjects_per_batch=3, gap_seconds=.5, seed=0))
    assert len(made) == 4 * 12
