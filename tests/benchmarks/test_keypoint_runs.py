"""Names, configs, data and plan of KeypointGAN's benchmarks."""
from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.registry import init_default_scope
from mmpose.registry import DATASETS, MODELS

from benchmarks.keypoints import plan, runs, supervised
from benchmarks.keypoints.runs import (
    ITERATIONS,
    POSES,
    REAL,
    REGRESSOR,
    ROWS,
    parts,
    settings,
)
from benchmarks.keypoints.supervised import LabelledFrames, check_disjoint
from benchmarks.keypoints.training import lay_out

EVERY = plan.with_needs(n for g in plan.GROUPS.values() for n in g)
ROOT = os.environ.get('MIRRORPOSE_DATA', 'data')


def needs(*files: str) -> None:
    """Skips where real data are absent."""
    for file in files:
        if not (Path(ROOT) / file).is_file():
            pytest.skip(f'{file} is not in {ROOT}')


def needs_of(poses: str) -> None:
    """Skips where the data of a set of poses are absent."""
    init_default_scope('mmpose')
    if poses in ('mocap', 'people', 'silhouettes'):
        needs('mocap/cmu31_30fps.npz', 'mocap/bandai26_30fps.npz')
    if poses == 'people':
        needs('multiview/balancing.npz', 'videos/videos.npz', 'lsp/lsp.npz',
              'lspet/lspet.npz')
    if poses == 'silhouettes':
        needs('lsp/lsp.npz', 'lspet/masks.zip')
    if poses == 'faces':
        needs('faces/faces.npz')


def few(cfg):
    """The same config with little of the embedded world."""
    frames = cfg.train_dataloader.dataset.get(
        'frames', cfg.train_dataloader.dataset)
    for source in frames.sources:
        if source.type == 'SyntheticClips':
            source.clips = 4
    piles = [cfg.train_dataloader.dataset.get('poses')]
    if 'stage_data' in cfg:
        piles.append(cfg.stage_data.poses.train_dataloader.dataset)
    for pile in piles:
        for source in (pile or {}).get('sources', ()):
            if source.type == 'FramePoses' and (
                    source.source.type == 'SyntheticClips'):
                source.source.clips = 4
    for part in [cfg.val_dataloader.dataset,
                 *cfg.test_dataloader.dataset.datasets]:
        for source in part.sources:
            if source.type == 'SyntheticClips':
                source.clips = 2
    return cfg


# -- names -----------------------------------------------------------------
def test_names():
    assert parts('keypointgan_all_0') == ('keypointgan', 'all', 0)
    assert parts('one_cycle_5000_12') == ('one_cycle', '5000', 12)
    assert parts('regressor_people') == ('regressor', 'people', 0)
    assert parts('supervised_faces_1') == ('supervised', 'faces', 1)
    for name in EVERY:
        row, poses, seed = parts(name)
        assert name in (f'{row}_{poses}', f'{row}_{poses}_{seed}')


@pytest.mark.parametrize('text', [
    'keypointgan', 'keypointgan_all', 'keypointgan_all_x', 'gan_all_0',
    'keypointgan_51_0', 'regressor_all_0', 'regressor', 'regressor_world',
    'supervised_50_0', 'supervised_mocap_0', 'supervised_all'])
def test_what_is_no_run(text):
    with pytest.raises(ValueError, match='a run is named like'):
        parts(text)


def test_unknown_poses():
    with pytest.raises(ValueError, match='poses are all, 50'):
        runs.base('7')


# -- configs ---------------------------------------------------------------
def test_rows_are_the_switches_of_table_4():
    """All rows differ in these alone, and none in schedule or precision."""
    plain = settings('keypointgan_all_0')
    for row, chosen in ROWS.items():
        cfg = settings(f'{row}_all_0')
        model = MODELS.build(dict(cfg.model))
        assert model.bottleneck == chosen['bottleneck']
        assert model.generator.conditional == chosen['conditional']
        assert bool(model.cycle_weight) == chosen['second_cycle']
        for key in ('train_cfg', 'train_dataloader', 'param_scheduler',
                    'custom_hooks', 'test_dataloader'):
            assert cfg.get(key) == plain.get(key), (row, key)
        for step in ('generator', 'discriminator', 'regressor'):
            mine, other = (dict(c.optim_wrapper[step]) for c in (cfg, plain))
            mine.pop('children'), other.pop('children')
            assert mine == other, (row, step)


def test_lengths():
    assert settings('cyclegan_all_2').train_cfg.max_iters == ITERATIONS
    assert settings('supervised_all_0').train_cfg.max_iters == ITERATIONS
    assert settings('regressor_50').train_cfg.max_iters == REGRESSOR
    assert settings('keypointgan_50_1').randomness.seed == 1
    batch = {settings(n).train_dataloader.batch_size for n in (
        'supervised_people_0', 'keypointgan_people_0')}
    assert batch == {16}  # as many images seen


def test_layout():
    model = MODELS.build(settings('keypointgan_all_0').model)
    lay_out(model)

    def last(child):
        weight = next(p for p in child.parameters()
                      if p.ndim == 4 and min(p.shape[1:]) > 1)
        return weight.is_contiguous(memory_format=torch.channels_last)

    assert last(model.backbone) and last(model.generator)
    assert not last(model.head) and not last(model.discriminator)
    assert all(b.is_contiguous(memory_format=torch.channels_last)
               for b in model.perceptual.buffers() if b.ndim == 4)


# -- data ------------------------------------------------------------------
@pytest.mark.parametrize('poses', POSES + REAL)
def test_data_build(poses):
    """One size and one joint set everywhere; the model takes a batch."""
    needs_of(poses)
    cfg = few(runs.base(poses))
    train = DATASETS.build(cfg.train_dataloader.dataset)
    test = DATASETS.build(cfg.test_dataloader.dataset)
    val = DATASETS.build(cfg.val_dataloader.dataset)
    alone = DATASETS.build(cfg.stage_data.poses.train_dataloader.dataset)
    model = MODELS.build(cfg.model)
    fit, held = test.datasets
    joints = model.skeleton.joints
    for data in (train.frames, train.poses, val, fit, held, alone):
        assert data.size == runs.SIZE == model.renderer.size[0]
        assert data.skeleton.joints == joints
    assert (fit.role, held.role) == ('fit', 'test')
    assert fit.clips() <= train.frames.clips()
    for clips in (val.clips(), held.clips()):
        assert not clips & (train.frames.clips() | train.poses.clips())
    if poses in ('50', '500', '5000'):
        assert len(alone) == len(train.poses) <= int(poses)
    batch = train.get_batch([0, 1], np.array([3, 4], np.uint64))
    inputs = model.data_preprocessor(batch, True)
    out = model.cycle(inputs['inputs']['image'],
                      inputs['inputs']['condition'])
    assert out.keypoints.shape == inputs['poses'].shape
    assert out.image.shape == inputs['inputs']['image'].shape


@pytest.fixture(scope='module')
def labelled():
    init_default_scope('mmpose')
    cfg = few(settings('supervised_all_0'))
    return DATASETS.build(cfg.train_dataloader.dataset), cfg


def test_labels_move_with_the_image(labelled):
    """A spot painted on each joint is found where the label says."""
    data, _ = labelled
    keys = np.arange(6, dtype=np.uint64) + 11
    joint = data.skeleton.joints.index('left_wrist')
    rows = data.rows[np.arange(6)]
    images = torch.zeros(6, 3, data.size, data.size, dtype=torch.uint8)
    grid = torch.arange(data.size)
    for i, row in enumerate(rows):
        x, y = data.store.keypoints[row][joint]
        spot = torch.exp(-((grid - x)[None]**2 + (grid - y)[:, None]**2) / 8)
        images[i] = (255 * spot).to(torch.uint8)

    class Painted:
        def __getattr__(self, name):
            return getattr(held, name)

        def images(self, chosen):
            return images

    held = data.store
    data.store = Painted()
    try:
        batch = data.get_batch(np.arange(6), keys)
    finally:
        data.store = held
    mirrored = 0
    for image, sample in zip(batch['inputs'].float(), batch['data_samples']):
        labels = sample.gt_instance_labels
        weight = image[0] / image[0].sum()
        found = torch.stack([(weight.sum(0) * grid).sum(),
                             (weight.sum(1) * grid).sum()])
        points = labels.keypoint_labels[0] * data.size
        names = [data.skeleton.flip_indices[joint], joint]
        off = [float((points[j] - found).norm()) for j in names]
        seen = [float(labels.keypoint_weights[0, j]) for j in names]
        which = int(np.argmin(off))
        mirrored += 1 - which
        assert off[which] < .7 or not seen[which]
    assert 0 < mirrored < 6  # keys of which some mirror


def test_supervised_frames_are_those_without_labels(labelled):
    data, cfg = labelled
    other = DATASETS.build(dict(few(settings(
        'keypointgan_all_0')).train_dataloader.dataset.frames))
    assert type(data).__name__ == LabelledFrames.__name__
    assert np.array_equal(data.rows, other.rows)
    assert data.clips() == other.clips()
    test = DATASETS.build(cfg.test_dataloader.dataset.datasets[-1])
    check_disjoint(data, test)
    with pytest.raises(ValueError, match='learnt from and tested on'):
        check_disjoint(data, other)


@pytest.mark.parametrize('poses', REAL)
def test_real_supervision_sees_no_test_clip(poses):
    needs_of(poses)
    cfg = settings(f'supervised_{poses}_0')
    data = DATASETS.build(cfg.train_dataloader.dataset)
    test = DATASETS.build(cfg.test_dataloader.dataset.datasets[-1])
    check_disjoint(data, test)
    if poses != 'people':  # there the test is another view
        assert not set(data.store.groups) & set(test.store.groups)


def test_a_supervised_step_learns(labelled):
    data, cfg = labelled
    torch.manual_seed(0)
    model = MODELS.build(cfg.model).train()
    assert model.backbone.out_channels == model.head.in_channels
    assert model.head.out_channels == len(data.skeleton)
    batch = model.data_preprocessor(data.get_batch(
        list(range(4)), np.arange(4, dtype=np.uint64)), True)
    rate = torch.optim.Adam(model.parameters(), lr=1e-3)
    losses = []
    for _ in range(12):
        loss, _ = model.parse_losses(model(**batch, mode='loss'))
        rate.zero_grad()
        loss.backward()
        rate.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < .7 * losses[0]


# -- full size -------------------------------------------------------------
def test_full_size_is_the_published_one():
    """By the environment, in a process of its own: 128 pixels, all widths."""
    code = ('from benchmarks.keypoints import runs\n'
            'from mmpose.registry import MODELS\n'
            'cfg = runs.settings("keypointgan_all_0")\n'
            'cfg.model.perceptual.features = "random"\n'
            'model = MODELS.build(cfg.model)\n'
            'print(sum(p.numel() for p in model.backbone.parameters()),\n'
            '      sum(p.numel() for p in model.generator.parameters()),\n'
            '      sum(p.numel() for p in model.discriminator.parameters()),\n'
            '      cfg.train_dataloader.dataset.frames.sources[0]'
            '.image_size,\n'
            '      runs.SIZE, runs.FOLDER.name, runs.result("a").name)\n')
    out = subprocess.run(
        [sys.executable, '-c', code], cwd=runs.ROOT, text=True, check=True,
        env=dict(os.environ, KEYPOINTGAN_SIZE='full'), capture_output=True)
    assert out.stdout.splitlines()[-1].split() == [
        '3124801', '4825635', '8288067', '128', '128', 'keypoints_full',
        'a_full.json']
    assert not runs.FULL and runs.SIZE == 64


# -- plan ------------------------------------------------------------------
def test_the_issue_is_covered():
    """Table 4 with three seeds, Table 5, another prior, real frames."""
    assert {parts(n) for n in plan.GROUPS['table4']} == {
        (row, 'all', seed) for row in ROWS for seed in range(3)}
    assert {parts(n)[1] for n in plan.GROUPS['table5']} == {
        '50', '500', '5000'}
    assert plan.GROUPS['prior'][0] == 'keypointgan_mocap_0'
    for poses in REAL:
        for row in ('keypointgan', 'supervised'):
            assert f'{row}_{poses}_0' in plan.GROUPS['frames']
    assert 'supervised_all_0' in plan.GROUPS['frames']


@pytest.mark.parametrize('option', runs.OPTIONS)
def test_options_begin_at_their_own_regressor(option):
    name = f'keypointgan-{option}_all_2'
    assert parts(name)[2] == 2
    before, = runs.needs(name)
    own = option not in ('random', 'adversarial2', 'adversarial05')
    assert before == (f'regressor-{option}_all' if own else 'regressor_all')
    assert runs.iterations(before) == REGRESSOR
    model, plain = settings(name).model, settings('keypointgan_all_2').model
    assert model != plain and (model.head != plain.head) is own
    assert settings(before).model.head == model.head
    assert plain.head.either_side and model.head.either_side is not own
    both = f'keypointgan-paper-{option}_all_0'
    assert not settings(both).model.head.either_side
    assert runs.needs(both)[0].startswith('regressor-paper')
    for wrong in (f'supervised-{option}_all_0', 'keypointgan-no_all_0'):
        with pytest.raises(ValueError, match='a run is named like'):
            parts(wrong)


def test_what_comes_before():
    assert plan.with_needs(['keypointgan_50_0', 'cyclegan_50_1']) == [
        'regressor_50', 'keypointgan_50_0', 'cyclegan_50_1']
    assert plan.with_needs(['supervised_all_0']) == ['supervised_all_0']


def test_costs_add_up(monkeypatch, tmp_path):
    monkeypatch.setattr(plan, 'FOLDER', tmp_path)
    monkeypatch.setattr(runs, 'FOLDER', tmp_path)
    result = tmp_path / 'cost.json'
    monkeypatch.setattr(plan, 'RESULT', result)
    monkeypatch.setattr(plan, 'GROUPS', dict(
        one=['keypointgan_all_0', 'supervised_all_0'],
        two=['keypointgan_all_1', 'keypointgan_people_0']))
    assert 'No cost is known' in plan.plan(['one'])
    result.write_text(json.dumps(dict(rows={
        name: {'as trained': dict(seconds=s)} for name, s in (
            ('keypointgan_all', .2), ('supervised_all', .1),
            ('regressor_all', .05), ('keypointgan_people', .4))})))
    first = (.05 * REGRESSOR + .3 * ITERATIONS) / 3600
    second = (.05 * REGRESSOR + .6 * ITERATIONS) / 3600
    text = plan.plan(['one', 'two'])
    assert f'| one | 3 | {first:.1f} | {first:.1f} |' in text
    # The regressor of ``all`` is counted once, that of ``people`` is new.
    assert f'| two | 3 | {second:.1f} | {second:.1f} |' in text
    assert f'{first + second:.1f} hours of one core' in text
    folder = tmp_path / 'keypointgan_all_0'
    folder.mkdir()
    (folder / f'iter_{ITERATIONS}.pth').touch()
    (folder / 'run.json').write_text('{"cpu_seconds": 600}')
    assert f'| keypointgan_all_0 | {ITERATIONS} | 0.200 | 10.0 | done |' \
        in plan.plan(['one'])


def test_the_plan_fits_a_night():
    """What was measured, times what is planned: 12 hours of one core."""
    held = json.loads(plan.RESULT.read_text())
    spent = [plan.seconds(n, held) for n in EVERY]
    assert None not in spent
    total = sum(s * runs.iterations(n) for s, n in zip(spent, EVERY))
    assert total < 14 * 3600


def test_unfinished_runs_are_not_scored(monkeypatch, tmp_path):
    monkeypatch.setattr(runs, 'FOLDER', tmp_path)
    folder = tmp_path / 'keypointgan_all_0'
    folder.mkdir()
    (folder / 'iter_250.pth').touch()
    assert runs.trained('keypointgan', 'all') == []
    with pytest.raises(FileNotFoundError, match='not trained to its end'):
        runs.checkpoint('keypointgan_all_0')
    (folder / f'iter_{ITERATIONS}.pth').touch()
    assert runs.trained('keypointgan', 'all') == ['keypointgan_all_0']
    assert supervised.__doc__
