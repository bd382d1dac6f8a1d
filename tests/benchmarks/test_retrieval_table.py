"""The retrieval table: against the metric, by loops, and on a tiny world."""
from __future__ import annotations

import json
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from benchmarks import metric_pose_supervision as bench
from benchmarks.retrieval import data as views
from benchmarks.retrieval import measure, rows, scores, sheet, tables
from mirrorpose.apis import PoseIndex
from mirrorpose.datasets.multiview import MultiViewDataset
from mirrorpose.evaluation import PoseRetrieval
from mirrorpose.evaluation.retrieval_protocol import make_samples
from mirrorpose.evaluation.retrieval_scores import by_embedding
from mirrorpose.models.losses import perceptual_features

CLIPS = [f's{s}c{c}' for s in range(2) for c in range(3)]


def walk(seed=0, frames=8, cameras=3):
    """Arguments of PoseRetrieval.calculate: people who move slowly."""
    rng = np.random.default_rng(seed)
    mean = 250 * rng.normal(size=(17, 3))
    lists = {k: [] for k in ('poses', 'embeddings', 'views', 'clips',
                             'seconds', 'subjects')}
    project = rng.normal(size=(51, 6)) / 1000
    for clip in CLIPS:
        path = mean + 25 * rng.normal(size=(frames, 17, 3)).cumsum(0)
        path -= path[:, :1]
        for f in range(frames):
            for c in range(cameras):
                if (f + c) % 7 == 6:  # this camera missed it
                    continue
                lists['poses'].append(path[f])
                lists['embeddings'].append(
                    path[f].ravel() @ project + .5 * rng.normal(size=6))
                lists['views'].append(f'C{c}')
                lists['clips'].append(clip)
                lists['seconds'].append(f / 2)
                lists['subjects'].append(clip[:2])
    return {k: np.array(v) for k, v in lists.items()}


@pytest.fixture(scope='module')
def judged():
    """The world, its samples in order, unit vectors, and what is judged."""
    world = walk()
    samples, _ = make_samples(
        world['poses'], None, world['views'], world['clips'],
        world['seconds'], world['subjects'], views.SKELETON,
        torch.device('cpu'))
    units = torch.nn.functional.normalize(torch.from_numpy(
        world['embeddings'][samples.order]).float())
    azimuth = np.random.default_rng(1).uniform(-np.pi, np.pi,
                                               len(samples.order))
    found = scores.judge(samples, by_embedding(units), len(CLIPS), azimuth)
    return SimpleNamespace(world=world, samples=samples, units=units,
                           azimuth=azimuth, found=found)


def test_the_numbers_are_the_metric_s(judged):
    made = PoseRetrieval.calculate(
        **judged.world, topk=(1, 10), alignment='canonical', references=())
    pairs = scores.pair_names(judged.samples)
    for variant, wanted in made['rows']['model'].items():
        row = scores.table([judged.found[variant]], pairs)
        assert row['queries'] == wanted['queries']
        assert row['unanswered'] == wanted['unanswered']
        for column in scores.COLUMNS[:-1]:
            assert (column in row['mean']) == (column in wanted['mean'])
            if column in wanted['mean']:
                assert row['mean'][column] == pytest.approx(
                    wanted['mean'][column], abs=1e-3)
                for pair in pairs:
                    assert row['pairs'][pair][column] == pytest.approx(
                        wanted['pairs'][pair][column], abs=1e-3)
    kept = made['rows']['model']['kept']['mean']
    removed = made['rows']['model']['removed']['mean']
    for value in (kept['Recall@1'], kept['Hit@1'], removed['Hit@10']):
        assert 2 < value < 98  # numbers that say something


def test_turned_by_a_loop(judged):
    s = judged.samples
    angles = []
    for q in range(len(s.order)):
        for view in range(3):
            items = np.flatnonzero((s.views == view) & (
                s.subjects != s.subjects[q]))
            if view == s.views[q]:
                continue
            off = (judged.units[items] - judged.units[q]).norm(dim=1)
            apart = abs(judged.azimuth[items[int(off.argmin())]]
                        - judged.azimuth[q])
            angles.append((s.views[q], view, np.degrees(
                min(apart, 2 * np.pi - apart))))
    wanted = np.mean([np.mean([a for v, w, a in angles if (v, w) == pair])
                      for pair in {(v, w) for v, w, _ in angles}])
    found = scores.means(judged.found['cross_subject'])[0, -1]
    assert found == pytest.approx(wanted, abs=1e-6)


def test_a_clip_that_is_drawn_twice_counts_twice(judged):
    one = judged.found['removed']
    twice = one._replace(
        sums=np.concatenate([one.sums[:1], one.sums[:1], one.sums[2:]]),
        counts=np.concatenate([one.counts[:1], one.counts[:1],
                               one.counts[2:]]))
    weights = np.array([[2., 0, 1, 1, 1, 1]])
    np.testing.assert_allclose(scores.means(one, weights)[0, 2:],
                               scores.means(twice)[0, 2:])
    row = scores.table([one], scores.pair_names(judged.samples))
    low, high = row['clips']['P-MPJPE@1']
    assert low < row['mean']['P-MPJPE@1'] < high
    assert row['seeds']['Hit@1'] is None


def test_differences_are_paired(judged):
    one = judged.found['kept']
    worse = one._replace(sums=one.sums.copy())
    error = scores.COLUMNS.index('P-MPJPE@1')
    worse.sums[..., error] += 10 * one.counts[..., error]
    made = scores.difference([worse, worse], [one, one])
    assert made['mean']['P-MPJPE@1'] == 10.
    assert made['clips']['P-MPJPE@1'] == [10., 10.]
    assert made['seeds']['P-MPJPE@1'] == [10., 10.]
    assert made['mean']['Recall@1'] == 0.
    fewer = one._replace(counts=one.counts - 1)
    with pytest.raises(ValueError, match='different queries'):
        scores.difference([one], [fewer])
    with pytest.raises(ValueError, match='paired'):
        scores.difference([one], [one, one])


# -- 2D joints --------------------------------------------------------------
class Views:
    """2D joints of a data set."""

    inputs = 'keypoints'

    def __init__(self, number):
        rng = np.random.default_rng(number)
        self.keypoints = 100 * rng.normal(size=(number, 17, 2))
        self.visible = np.full((number, 17), 2)
        self.rows = np.arange(number)

    def __len__(self):
        return len(self.rows)


def test_missing_limbs():
    held = Views(200)
    joints = views.SKELETON.joints
    both = views.unseen('both legs', held)
    assert {joints[i] for i in np.flatnonzero(~both.all(0))} == {
        'left_knee', 'left_foot', 'right_knee', 'right_foot'}
    assert (both == both[:1]).all()
    arm = views.unseen('an arm', held)
    lost = [{joints[i] for i in np.flatnonzero(~row)} for row in arm]
    left = sum(r == {'left_elbow', 'left_wrist'} for r in lost)
    right = sum(r == {'right_elbow', 'right_wrist'} for r in lost)
    assert left + right == 200 and 60 < left < 140
    each = views.unseen('an arm and a leg', held)
    assert ((~each).sum(1) == 4).all()
    assert np.array_equal(each, views.unseen('an arm and a leg', held))
    with pytest.raises(ValueError, match='none of'):
        views.unseen('a tail', held)


def test_joints_are_searched_as_an_index_does():
    held = SimpleNamespace(data=Views(30), samples=SimpleNamespace(
        order=np.random.default_rng(0).permutation(30)))
    seen = views.unseen('an arm and a leg', held.data)
    order = held.samples.order
    way = rows.by_joints(held, seen)
    query, items = torch.arange(10), torch.arange(10, 30)
    (distance, found), = way(query, items, 4, [])
    index = PoseIndex.from_poses(held.data.keypoints[order[10:]])
    wanted = index.search(held.data.keypoints[order[:10]], 4,
                          seen[order[:10]])
    assert np.array_equal(found.numpy(), wanted.indices)
    np.testing.assert_allclose(distance.numpy(), wanted.distances, atol=1e-4)


# -- a tiny world -----------------------------------------------------------
@pytest.fixture(scope='module')
def tiny(tmp_path_factory):
    """Held-out views, as images and as joints."""
    source = dict(type='SyntheticViews', subjects=2, clips=2, seconds=4,
                  fps=2, image_size=32, num_cameras=3)
    cache = str(tmp_path_factory.mktemp('views'))
    return {inputs: views.prepared(MultiViewDataset(
        source, inputs=inputs, test_mode=True, cache_dir=cache))
        for inputs in ('image', 'keypoints')}


@pytest.fixture(scope='module')
def trained(tmp_path_factory):
    """One finished run, and one that is not."""
    root = tmp_path_factory.mktemp('runs')
    first, other, *_ = rows.runs('lifting', ['5 %'], 1, root)
    model = rows.untrained('lifting', 5)
    for run in (first, other):
        run.folder.mkdir(parents=True)
        model.cfg.dump(str(run.folder / 'config.py'))
        torch.save(dict(state_dict=model.state_dict(), meta={}),
                   run.folder / 'epoch_1.pth')
        (run.folder / 'last_checkpoint').write_text(
            str(run.folder / 'epoch_1.pth'))
    (first.folder / 'scores.json').write_text('{}')
    return root, model


@pytest.fixture(scope='module')
def found(tiny, trained):
    root, _ = trained
    return measure.measure(tiny['keypoints'], 'lifting', rows.runs(
        'lifting', ['5 %'], 1, root), root / 'retrieval')


def test_what_is_there_is_measured(tiny, trained, found):
    held, model = tiny['keypoints'], trained[1]
    made, left = found
    assert list(made) == ['oracle', 'random', '2D joints', 'untrained',
                          'baseline/5 %']
    assert left['metric/5 %'] == 'not trained (seeds 0)'
    assert 'no images' in left['ImageNet']
    assert sorted(made['random']) == [0, 1, 2]
    # the weights are the run's, and the order is that of the truth
    vectors = []
    for i in range(len(held.data)):
        sample = held.data[i]
        vectors.append(model(sample['inputs'][None], [
            sample['data_samples']], mode='predict')[0].pred_instances
            .embedding[0])
    told = held.data.view_groups()
    wanted = PoseRetrieval.calculate(
        np.stack(vectors),
        held.data.labels(told['index'])['keypoints_3d_canonical'],
        told['camera'], [str(c) for c in told['sequence']], told['seconds'],
        told['subject'], topk=(1, 10), alignment='canonical')['rows']
    for row, of in (('model', 'baseline/5 %'), ('oracle', 'oracle')):
        got = scores.table([made[of][0]['whole']['removed']],
                           scores.pair_names(held.samples))['mean']
        for column in got.keys() - {'turned@1'}:
            assert got[column] == pytest.approx(
                wanted[row]['removed']['mean'][column], abs=1e-3)


def test_nothing_is_measured_twice(tiny, trained, found, monkeypatch):
    root, _ = trained
    monkeypatch.setattr(measure, 'search', None)
    again, _ = measure.measure(tiny['keypoints'], 'lifting', rows.runs(
        'lifting', ['5 %'], 1, root), root / 'retrieval')
    one, other = (f['baseline/5 %'][0]['an arm']['kept']
                  for f in (again, found[0]))
    assert np.array_equal(one.sums, other.sums)
    assert one.unanswered == other.unanswered
    # younger weights, or other queries, are
    weights = root / 'lifting/baseline/5%/0/epoch_1.pth'
    weights.touch()
    for changes in (dict(), dict(after=weights)):
        if not changes:
            monkeypatch.setattr(measure, 'digest', lambda held: 'other')
        with pytest.raises(ZeroDivisionError):
            measure.kept(root / 'retrieval/baseline_5%_0.npz',
                         tiny['keypoints'], lambda: 1 // 0, **changes)


def test_the_page(tiny, found):
    made = measure.results(tiny['keypoints'], *found)
    made = json.loads(json.dumps(made))
    labels = {f'{m}/5 %/{s}': {'canonical_frame/MPJPE': e} for m, s, e in (
        ('baseline', 0, 100.), ('baseline', 1, 110.), ('metric', 0, 80.),
        ('metric', 1, 99.))}
    labels['metric+uncertainty/5 %/1'] = {
        'canonical_frame/MPJPE': 98.01, 'canonical_sureness/MPJPE@50': 77.}
    text = tables.page(dict(lifting=dict(rows=labels)), dict(lifting=made))
    # 20 % and 10 %: 15, and 12.7 times the standard error of 5
    assert ('| 5 % | 105.0 ± 7.1 (2) | 89.5 ± 13.4 (2) | – | '
            '+15.0 % (-48.5, +78.5) | – |') in text
    assert '| metric+uncertainty, 5 % | 89.5 ± 13.4 (2) | 98.0 (1) | ' \
        '+1.0 % | – | 77.00 |' in text
    assert 'is 21 % where' in text
    assert '| 1 > 2 | 1 > 3 | 2 > 1 |' in text
    assert 'metric/5 %: not trained (seeds 0)' in text
    assert 'baseline/5 %, its 3D pose' in text
    assert '| 2D joints | ' in text and 'both legs' in text
    row = made['variants']['kept']['oracle']
    assert f'{row["mean"]["Recall@1"]:.1f} [' in text
    assert tables.page({}, {}).count('Not measured yet.') == 2
    # What lies beside the baseline has columns once it is measured.
    labels['triangulated/5 %/0'] = {'canonical_frame/MPJPE': 60.}
    text = tables.page(dict(mocap=dict(
        rows=labels, floor={'canonical_frame/MPJPE': 126.84})), {})
    assert '126.8 mm' in text and '| 60.0 (1) |' in text
    assert '| +40.0 % |' in text and 'infonce' not in text


def test_all_data_have_a_title():
    assert set(tables.TITLES) == set(bench.CONFIGS)


def test_differences_of_rows(found):
    made, _ = found
    both = dict(made, **{'metric/5 %': made['baseline/5 %']})
    out = measure.differences(both)
    title = 'metric/5 % - baseline/5 %'
    assert set(out['kept']) == {title, f'{title}, its 3D pose'}
    assert out['kept'][title]['mean']['Hit@1'] == 0.
    assert out['kept'][title]['of_seeds'] == [0]


def test_images(tiny, monkeypatch):
    held = tiny['image']
    # some places have the package
    monkeypatch.setattr(perceptual_features.importlib.util, 'find_spec',
                        lambda name: None)
    ways, left = rows.trivial(held)
    assert set(ways) == {'mean colour', 'thumbnail'}
    assert 'not installed' in left['ImageNet']
    colour, small = rows.thumbnails(held)
    assert small.shape == (len(held.data), 192)
    for i in (0, 7):
        np.testing.assert_allclose(
            colour[i], held.data.image(i).mean((0, 1)) / 255, atol=3e-3)


def test_the_sheet(tiny):
    held = tiny['keypoints']
    model = rows.untrained('lifting', 0)
    vectors, _ = rows.embed(model, held)
    s = held.samples
    for row in sheet.chosen_queries(held, 4).tolist():
        instant, found = sheet.found_by(held, vectors, row, 3, 'removed')
        assert s.clips[instant] == s.clips[row]
        assert s.seconds[instant] == s.seconds[row]
        assert len(found) == 3 and (s.views[found] != s.views[row]).all()
        near = (s.clips[found] == s.clips[row]) & (
            np.abs(s.seconds[found] - s.seconds[row]) <= 1)
        assert not near.any()
        _, others = sheet.found_by(held, vectors, row, 3, 'cross_subject')
        assert (s.subjects[others] != s.subjects[row]).all()
        _, first = sheet.found_by(held, vectors, row, 1, 'kept')
        items = np.flatnonzero(s.views != s.views[row])
        units = vectors[torch.from_numpy(s.order)]
        assert first[0] == items[int((units[items] - units[row]).norm(
            dim=1).argmin())]
    image = sheet.sheet(model, held, 'removed', 2, 3)
    assert image.dtype == np.uint8 and image.shape[1] > 5 * sheet.SIDE
    assert image.shape[0] > 2 * 2 * sheet.SIDE


def test_a_sheet_of_images(tiny, monkeypatch):
    held = tiny['image']
    monkeypatch.setitem(rows.CONFIGS, 'synthetic', 'metric_pose_synthetic')
    model = rows.untrained('synthetic', 0)
    assert sheet.sheet(model, held, 'kept', 1, 2).std() > 10


def test_images_beside_what_was_found_in_them(tiny):
    """Rows of images and of 2D joints; the sheet shows the images."""
    held = replace(tiny['keypoints'], seen=tiny['image'].data)
    made, _ = rows.trivial(held)
    assert {rows.JOINTS, 'thumbnail', 'mean colour'} <= set(made)
    np.testing.assert_array_equal(
        sheet._read(held, 0), sheet._read(tiny['image'], 0))
