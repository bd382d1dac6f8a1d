"""Rows of the benchmark of 3D labels, on a tiny world."""
from __future__ import annotations

import json
import math

import numpy as np
import pytest
from mmengine.config import Config
from mmengine.logging import MessageHub, MMLogger
from mmengine.registry import init_default_scope
from mmpose.registry import DATA_SAMPLERS, DATASETS
from mmpose.visualization import PoseLocalVisualizer

from benchmarks import metric_pose_supervision as bench
from mirrorpose.datasets.multiview.detections import (
    Detections,
    write_detections,
)

ROOT = bench.ROOT
GLOBAL = (MessageHub, MMLogger, PoseLocalVisualizer)
TINY = '''
_base_ = ['{root}/configs/metric_pose_synthetic.py']
source = dict(subjects=5, clips=1, seconds=6., num_cameras=2, image_size=32)
held_out = dict(_delete_=True, val=['person_003'], test=['person_004'])
few = dict(source=source, held_out=held_out, cache_dir='{cache}')
train_dataloader = dict(
    batch_size=20, num_workers=0, persistent_workers=False,
    sampler=dict(groups_per_batch=8, annotated_groups=2,
                 subjects_per_batch=2), dataset=few)
val_dataloader = dict(num_workers=0, persistent_workers=False, dataset=few)
test_dataloader = dict(num_workers=0, persistent_workers=False, dataset=few)
model = dict(
    backbone=dict(base_channels=8, stem_channels=8),
    head=dict(in_channels=64, pose=dict(hidden=16), loss=dict(warm_up=1)))
log_level = 'ERROR'
'''


@pytest.fixture
def tiny(tmp_path, monkeypatch):
    init_default_scope('mmpose')
    held = [(c, dict(c._instance_dict)) for c in GLOBAL]
    (tmp_path / 'tiny.py').write_text(TINY.format(
        root=ROOT, cache=tmp_path / 'cache'))
    monkeypatch.setitem(bench.CONFIGS, 'synthetic', str(tmp_path / 'tiny'))
    monkeypatch.setitem(bench.EPOCHS, 'synthetic', 1)
    monkeypatch.setattr(bench, 'ROOT', tmp_path)
    monkeypatch.setattr(bench, 'OUT', tmp_path / 'out.json')
    monkeypatch.setattr('mmengine.config.config.FormatCode',
                        lambda text, **_: (text, True))
    yield tmp_path
    for kind, instances in held:
        kind._instance_dict.clear()
        kind._instance_dict.update(instances)


@pytest.mark.parametrize('labels', list(bench.LABELS))
def test_who_has_labels(tiny, labels):
    """Each row's data set can be built, and its batches hold labels."""
    cfg = bench.config('synthetic', 'metric', labels, 0, bench.CHOSEN)
    data = DATASETS.build(dict(cfg.train_dataloader.dataset,
                               inputs='keypoints'))
    table = data.view_groups()
    who = {data.subjects[s] for s in table['subject'][table['annotated']]}
    instants = len(set(table['group'][table['annotated']]))
    share = dict(all=1., one=1.).get(labels)
    if labels.startswith('one'):
        assert who == {'person_000'}
        assert instants == 12 * (share or .1) // 1
    else:
        assert who == {'person_000', 'person_001', 'person_002'}
        assert instants == (36 if share else 3)  # one each at least
    made = DATA_SAMPLERS.build(dict(cfg.train_dataloader.sampler, seed=0),
                               default_args=dict(dataset=data))
    for batch in np.array(list(made)).reshape(-1, 20):
        assert table['annotated'][batch].sum() >= 4


def test_all_methods_get_the_same_batches(tiny):
    cfgs = [bench.config('synthetic', m, '5 %', 0, bench.CHOSEN)
            for m in (*bench.METHODS, *bench.OPTIONS)]
    first = cfgs[0]
    for cfg in cfgs[1:]:
        data = dict(cfg.train_dataloader.dataset)
        data.pop('triangulated', None)
        assert data == first.train_dataloader.dataset
        assert cfg.train_dataloader.sampler == first.train_dataloader.sampler
        assert cfg.optim_wrapper == first.optim_wrapper
        assert cfg.param_scheduler == first.param_scheduler
    weights = [(c.model.head.loss.loss_weight,
                (c.model.adversary or {}).get('loss_weight'),
                c.model.get('consistency_weight', 0.),
                'uncertainty' in c.model.head) for c in cfgs]
    assert weights == [
        (0., None, 0., False), (.1, None, 0., False), (.1, .03, 0., False),
        (.1, None, 0., False), (0., None, 0., False),
        (.1, None, 0., False), (.1, None, 0., True), (.1, None, .1, False)]
    assert [c.model.head.loss.get('form') for c in cfgs].count('infonce') == 2


def test_pixels_begin_at_the_recognizer(tiny, monkeypatch):
    monkeypatch.setitem(bench.CONFIGS, 'pixels', bench.CONFIGS['synthetic'])
    with pytest.raises(SystemExit, match='recognizer_views_synthetic.py'):
        bench.config('pixels', 'metric', '5 %', 0, bench.CHOSEN)
    (tiny / bench.RECOGNIZER).parent.mkdir(parents=True)
    (tiny / bench.RECOGNIZER).touch()
    cfg = bench.config('pixels', 'metric', '5 %', 0, bench.CHOSEN)
    assert cfg.model.backbone.init_cfg.checkpoint == bench.RECOGNIZER
    assert cfg.train_dataloader.dataset.get('inputs', 'image') == 'image'


def test_which_rows_are_run(tiny, monkeypatch):
    def asked_for(data, labels, methods=None):
        return bench.methods_at(data, labels, methods)

    assert asked_for('mocap', '5 %') == [*bench.METHODS, *bench.OPTIONS]
    assert asked_for('mocap', '1 %') == [*bench.METHODS, *bench.COMPARED]
    assert asked_for('mocap', 'all') == [*bench.METHODS, 'infonce']
    assert asked_for('lifting', '1 %') == [*bench.METHODS, 'infonce']
    assert asked_for('mocap', '1 %', ['metric']) == ['metric']
    assert asked_for('pixels', 'one') == ['baseline', 'metric', 'infonce']
    assert not asked_for('pixels', '1 %')
    asked = []
    monkeypatch.setattr(bench, 'floor', lambda data: None)
    monkeypatch.setattr(bench, 'trained', lambda cfg, name: (
        asked.append(name), {bench.KEY: 1.})[1])
    with pytest.raises(SystemExit, match='tune synthetic'):
        bench.run('synthetic', [0], ['5 %'])
    bench.keep('synthetic', 'tuning', dict(chosen=dict(rate=1e-3, metric=.1,
                                                       identity=.03)))
    bench.run('synthetic', [0, 1], ['one', '5 %'])
    assert len(asked) == 2 * (6 + 8)
    assert 'synthetic/metric+consistency/5%/1' in asked


def test_triangulated_rows_are_trained(tiny, monkeypatch):
    """From detections, which here are the true joints: near all labels."""
    (tiny / 'found.py').write_text(TINY.format(
        root=ROOT, cache=tiny / 'cache').replace(
            'metric_pose_synthetic', 'metric_pose_detected_synthetic')
        .partition('model = dict')[0] + f'''
found = dict(detections='{tiny / 'found.npz'}')
train_dataloader.update(dataset=dict(few, **found))
val_dataloader.update(dataset=dict(few, **found))
test_dataloader.update(dataset=dict(few, **found))
model = dict(backbone=dict(channels=64, num_blocks=1), head=dict(
    in_channels=64, pose=dict(hidden=64), loss=dict(warm_up=1)))
log_level = 'ERROR'
''')
    monkeypatch.setitem(bench.CONFIGS, 'synthetic', str(tiny / 'found'))
    monkeypatch.setitem(bench.EPOCHS, 'synthetic', 100)
    data = DATASETS.build(dict(
        Config.fromfile(tiny / 'found.py').train_dataloader.dataset,
        part='all', held_out=None,
        annotated=None, triangulated=False, detections=None))
    write_detections(tiny / 'found.npz', Detections(
        data.ids, data.keypoints, np.ones(data.visible.shape, np.float32),
        data.size))
    scores = {}
    for method in ('baseline', 'triangulated'):
        cfg = bench.config('synthetic', method, 'one, 10 %', 0,
                           dict(bench.CHOSEN, rate=1e-2))
        assert cfg.train_dataloader.dataset.get('triangulated', False) == (
            method == 'triangulated')
        # Have the people without labels been learnt?
        cfg.test_dataloader.dataset.part = 'train'
        scores[method] = bench.trained(cfg, f'synthetic/{method}')[bench.KEY]
        for kind in GLOBAL:
            kind._instance_dict.clear()  # as another process
    assert scores['triangulated'] < .9 * scores['baseline'], scores


def test_the_floor_is_the_mean_pose(tiny):
    bench.floor('synthetic')
    cfg = bench.config('synthetic', 'baseline', 'all', 0, bench.CHOSEN)
    sets = [DATASETS.build(dict(loader.dataset, augmentation=None))
            for loader in (cfg.train_dataloader, cfg.test_dataloader)]
    poses = [d.labels(np.arange(len(d)))['keypoints_3d_canonical'].numpy()
             for d in sets]  # every instant has as many views
    want = np.linalg.norm(poses[1] - poses[0].mean(0), axis=-1).mean()
    assert bench.held()['synthetic']['floor'][bench.KEY] == pytest.approx(
        want, rel=1e-4)


def test_rows_of_options_are_trained(tiny, capsys):
    """Through the runner, from few labels to numbers; resumed, not mixed."""
    rows = {}
    for method in ('metric', *bench.OPTIONS):
        if 'triangulated' in method:
            continue  # of detections, below
        cfg = bench.config('synthetic', method, 'one, 10 %', 0,
                           bench.CHOSEN)
        rows[f'{method}/5 %/0'] = scores = bench.trained(
            cfg, f'synthetic/{method}/0')
        assert math.isfinite(scores[bench.KEY])
        assert math.isfinite(scores['camera_frame/MPJPE'])
        assert not any(k.startswith('retrieval') for k in scores)
        assert set(bench.SURE) <= set(scores) or \
            method != 'metric+uncertainty'
    # What was trained is not trained again.
    folder = tiny / 'work_dirs/metric_pose/synthetic/metric/0'
    (folder / 'scores.json').write_text('{"kept": 1.0}')
    again = bench.config('synthetic', 'metric', 'one, 10 %', 0, bench.CHOSEN)
    assert bench.trained(again, 'synthetic/metric/0') == {'kept': 1.}
    # Other settings in the same place are no result of these.
    for kind in GLOBAL:
        kind._instance_dict.clear()  # as another process
    other = bench.config('synthetic', 'metric', 'one, 10 %', 0,
                         dict(bench.CHOSEN, metric=.3))
    assert bench.KEY in bench.trained(other, 'synthetic/metric/0')
    aside, = folder.parent.glob('0.before-*')
    assert json.loads((aside / 'scores.json').read_text()) == {'kept': 1.}
    bench.keep('synthetic', 'rows', rows)
    capsys.readouterr()
    bench.table('synthetic')
    shown = capsys.readouterr().out
    assert 'metric+consistency, 5 %, 1 seeds' in shown
    assert 'canonical_sureness/rank_correlation' in shown
