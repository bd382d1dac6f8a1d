"""Retrieval against a double loop over queries and gallery."""
from __future__ import annotations

import itertools
import json
import math

import numpy as np
import pytest
import torch
from mmengine.structures import InstanceData
from mmpose.registry import METRICS
from mmpose.structures import PoseDataSample

import mirrorpose.evaluation  # noqa: F401
from mirrorpose.evaluation.retrieval import PoseRetrieval
from mirrorpose.structures import Skeleton

SKELETON = Skeleton.from_name('h36m_17')
TOPK = (1, 3, 5)


def world(seed=0, subjects=2, clips=2, frames=5, views=3, hidden=0.):
    """Poses that move slowly, and noisy embeddings of them."""
    rng = np.random.default_rng(seed)
    out = dict(embeddings=[], poses=[], views=[], clips=[], seconds=[],
               subjects=[])
    mean = 250 * rng.normal(size=(17, 3))
    project = rng.normal(size=(51, 12)) / 600
    for s, c in itertools.product(range(subjects), range(clips)):
        path = 100 * rng.normal(size=(frames, 17, 3)).cumsum(0) + mean
        for f, v in itertools.product(range(frames), range(views)):
            turn = np.linalg.qr(rng.normal(size=(3, 3)))[0]
            turn *= np.sign(np.linalg.det(turn))
            pose = (path[f] - path[f][:1]) @ turn
            pose[rng.random(17) < hidden] = np.nan
            out['embeddings'].append(
                (path[f] - path[f][:1]).ravel() @ project
                 + rng.normal(size=12))
            out['poses'].append(pose)
            out['views'].append(f'C{v}')
            out['clips'].append(f's{s}c{c}')
            out['seconds'].append(f / 4)
            out['subjects'].append(f's{s}')
    order = rng.permutation(len(out['views']))
    return {k: [v[i] for i in order] if k in ('views', 'clips', 'subjects')
            else np.array(v)[order] for k, v in out.items()}


def kabsch(a, b, scale):
    """a onto b, about the origin."""
    u, s, vt = np.linalg.svd(a.T @ b)
    fix = np.array([1, 1, np.sign(np.linalg.det(u @ vt))])
    size = (s * fix).sum() / (a**2).sum() if scale else 1.
    return size * a @ u @ np.diag(fix) @ vt


def judge(found, query, alignment):
    """MPJPE, P-MPJPE, PCK, NP-MPJPE of one pair."""
    both = np.isfinite(found).all(1) & np.isfinite(query).all(1)
    torso = sum(np.linalg.norm(query[a] - query[b])
                for a, b in ((0, 7), (7, 8)))
    if both.sum() < 3:
        return [np.nan] * 4
    a, b = (p[both] - p[0] for p in (found, query))
    moved = kabsch(a, b, False) if alignment == 'rotation' else a
    off = np.linalg.norm(moved - b, axis=1)
    a, b = a - a.mean(0), b - b.mean(0)
    similar = np.linalg.norm(kabsch(a, b, True) - b, axis=1).mean()
    return [off.mean(), similar, 100 * (off <= 150).mean(), similar / torso]


def slowly(w, variant, topk=TOPK, gap=.5, alignment='rotation', ask=None,
           others=False, own=False, hit=.1):
    """The definitions, one query at a time."""
    n = len(w['views'])
    unit = w['embeddings'] / np.linalg.norm(w['embeddings'], axis=1,
                                            keepdims=True)
    ask = unit if ask is None else ask / np.linalg.norm(ask, axis=1,
                                                        keepdims=True)
    usable = [i for i in range(n) if np.isfinite(w['poses'][i][0]).all()
              and np.isfinite(w['poses'][i]).all(1).sum() >= 3]
    names = sorted(set(w['views']))
    pairs = {}
    combos = [(a, tuple(x for x in names if x != a)) for a in names] if \
        others else [(a, (b, )) for a in names for b in names
                     if a != b or own]
    for a, gallery_views in combos:
        totals, unanswered = [], 0
        for q in usable:
            if w['views'][q] != a:
                continue
            eligible = []
            for g in usable:
                if w['views'][g] not in gallery_views:
                    continue
                near = (w['clips'][q] == w['clips'][g] and abs(
                    w['seconds'][q] - w['seconds'][g]) <= gap + 1e-9)
                same = w['subjects'][q] == w['subjects'][g]
                if variant == 'removed' and near or (
                        variant == 'cross_subject' and (same or near)):
                    continue
                eligible.append(g)
            off = [np.linalg.norm(ask[q] - unit[g]) for g in eligible]
            first = [eligible[i] for i in np.argsort(off)[:max(topk)]]
            if not first:
                unanswered += 1
                continue
            judged = np.array([judge(w['poses'][g], w['poses'][q], alignment)
                               for g in first])
            values = {}
            for k in topk:
                part = judged[:k]
                values[f'Hit@{k}'] = 100. * (part[:, 3] <= hit).any()
                means = [np.mean(c[np.isfinite(c)]) if np.isfinite(c).any()
                         else np.nan for c in part[:, :3].T]
                values |= {f'{alignment}-MPJPE@{k}': means[0],
                           f'P-MPJPE@{k}': means[1], f'PCK@{k}': means[2]}
                values[f'bestPCK@{k}'] = (
                    np.nanmax(part[:, 2]) if np.isfinite(part[:, 2]).any()
                    else np.nan)
                if variant == 'kept':
                    sync = [g for g in usable
                            if w['views'][g] in gallery_views
                            and w['clips'][g] == w['clips'][q]
                            and w['seconds'][g] == w['seconds'][q]]
                    values[f'Recall@{k}'] = 100. * any(
                        g in sync for g in first[:k]) if sync else np.nan
            totals.append(values)
        title = f'{a} > ' + ('others' if others else gallery_views[0])
        pairs[title] = {k: np.nanmean([t[k] for t in totals])
                        for k in totals[0]} if totals else None
        if totals:
            pairs[title] |= dict(queries=len(totals), unanswered=unanswered)
    return pairs


def compare(made, expected):
    assert set(made['pairs']) == set(expected)
    for title, values in expected.items():
        assert made['pairs'][title] == pytest.approx(values, rel=1e-5,
                                                     nan_ok=True), title
    for key, value in made['mean'].items():
        assert value == pytest.approx(np.nanmean(
            [v[key] for v in expected.values()]), rel=1e-5)


class TestAgainstLoops:

    @pytest.mark.parametrize('variant, alignment, hit', [
        ('kept', 'rotation', .1), ('removed', 'canonical', .4),
        ('cross_subject', 'rotation', .5)])
    def test_one_variant(self, variant, alignment, hit):
        w = world()
        made = PoseRetrieval.calculate(
            **w, variants=[variant], topk=TOPK, gap=.5, alignment=alignment,
            hit=hit, references=())
        compare(made['rows']['model'][variant],
                slowly(w, variant, alignment=alignment, hit=hit))
        assert made['samples'] == 60 and made['views'] == ['C0', 'C1', 'C2']
        hits = made['rows']['model'][variant]['mean']['Hit@1']
        assert 0 < hits < 100  # a test that says something

    def test_all_variants_at_once(self):
        w = world(1)
        made = PoseRetrieval.calculate(
            **w, variants=['cross_subject', 'kept', 'removed'], topk=TOPK,
            gap=.5, references=())
        for variant, values in made['rows']['model'].items():
            compare(values, slowly(w, variant))

    def test_joints_missing_in_the_truth(self):
        w = world(2, hidden=.35)
        made = PoseRetrieval.calculate(**w, variants=['kept', 'removed'],
                                       topk=TOPK, gap=.5, references=())
        assert made['unjudged'] > 5
        for variant, values in made['rows']['model'].items():
            compare(values, slowly(w, variant))

    def test_visible_is_as_nan(self):
        w = world(2, hidden=.35)
        seen = np.isfinite(w['poses']).all(-1)
        filled = dict(w, poses=np.where(seen[..., None], w['poses'], 1e4))
        options = dict(variants=['removed'], topk=TOPK, references=['oracle'])
        assert PoseRetrieval.calculate(
            **filled, visible=seen, **options)['rows'] == (
                PoseRetrieval.calculate(**w, **options)['rows'])

    def test_all_other_views_together(self):
        w = world(3)
        made = PoseRetrieval.calculate(
            **w, variants=['kept', 'removed'], topk=TOPK, gap=.5,
            gallery='others', references=())
        for variant, values in made['rows']['model'].items():
            compare(values, slowly(w, variant, others=True))

    def test_in_the_same_view(self):
        w = world(4, views=1)
        made = PoseRetrieval.calculate(**w, variants=['removed'], topk=TOPK,
                                       gap=.5, same_view=True, references=())
        compare(made['rows']['model']['removed'],
                slowly(w, 'removed', own=True))

    def test_the_whole_clip_removed(self):
        w = world(5)
        made = PoseRetrieval.calculate(**w, variants=['removed'], topk=TOPK,
                                       gap=math.inf, references=())
        compare(made['rows']['model']['removed'],
                slowly(w, 'removed', gap=1e9))

    def test_queries_with_missing_joints(self):
        """Other embeddings ask, the gallery stays."""
        w = world(6)
        noisy = w['embeddings'] + np.random.default_rng(0).normal(
            size=w['embeddings'].shape)
        made = PoseRetrieval.calculate(
            **w, variants=['kept'], topk=TOPK, references=(),
            further_queries={'no legs': noisy})
        compare(made['rows']['no legs']['kept'], slowly(w, 'kept', ask=noisy))
        compare(made['rows']['model']['kept'], slowly(w, 'kept'))

    def test_a_missing_view(self):
        w = world(7)
        gone = np.random.default_rng(0).random(60) > .3
        w = {k: [x for x, g in zip(v, gone) if g] if isinstance(v, list)
             else v[gone] for k, v in w.items()}
        made = PoseRetrieval.calculate(**w, variants=['kept'], topk=TOPK,
                                       references=())
        compare(made['rows']['model']['kept'], slowly(w, 'kept'))


class TestReferences:

    @pytest.mark.parametrize('alignment', ['rotation', 'canonical'])
    @pytest.mark.parametrize('hidden', [0, .2])
    def test_the_oracle_is_the_ceiling(self, alignment, hidden):
        w = world(8, hidden=hidden)
        rows = PoseRetrieval.calculate(**w, topk=TOPK,
                                       alignment=alignment)['rows']
        assert set(rows) == {'model', 'oracle', 'random'}
        key = f'{alignment}-MPJPE@1'
        for variant in ('kept', 'removed'):
            mean = {r: t[variant]['mean'][key] for r, t in rows.items()}
            assert mean['oracle'] < min(mean['model'], mean['random'])
            if alignment == 'rotation':  # these poses face anywhere
                assert mean['model'] < mean['random']

    def test_rotated_copies_are_found(self):
        """The true pose of the same instant is nearest from every view."""
        w = world(9)
        oracle = PoseRetrieval.calculate(
            **w, variants=['kept'], topk=[1], references=['oracle'])['rows'][
                'oracle']['kept']['mean']
        assert oracle['Recall@1'] == oracle['Hit@1'] == 100
        assert oracle['rotation-MPJPE@1'] < .01

    def test_random_is_chance(self):
        w = world(10, frames=20, clips=1, subjects=1)
        made = PoseRetrieval.calculate(**w, variants=['kept'], topk=[5],
                                       references=['random'])['rows']
        # 120 queries of one in four: 25 +- 4
        assert 10 < made['random']['kept']['mean']['Recall@5'] < 40


class TestRules:

    def test_no_eligible_neighbour(self):
        """The only clip of a person, all of it removed."""
        w = world(clips=1, subjects=1)
        made = PoseRetrieval.calculate(**w, variants=['kept', 'removed'],
                                       topk=TOPK, gap=math.inf,
                                       references=())
        table = made['rows']['model']['removed']
        assert table['queries'] == 0 and table['unanswered'] == 30
        assert all(math.isnan(v) for v in table['mean'].values())
        assert made['rows']['model']['kept']['unanswered'] == 0

    def test_some_are_unanswered(self):
        w = world()
        lonely = [i for i, s in enumerate(w['subjects'])
                  if s == 's1' and w['views'][i] != 'C0']
        keep = np.setdiff1d(np.arange(60), lonely)
        w = {k: [v[i] for i in keep] if isinstance(v, list) else v[keep]
             for k, v in w.items()}
        made = PoseRetrieval.calculate(**w, variants=['cross_subject'],
                                       topk=TOPK, gap=.5, references=())
        pairs = made['rows']['model']['cross_subject']['pairs']
        assert pairs['C0 > C1']['unanswered'] == 10
        assert pairs['C0 > C1']['queries'] == 10
        expected = slowly(w, 'cross_subject')
        for title, values in expected.items():
            if values:
                assert pairs[title] == pytest.approx(values, rel=1e-5)
            else:
                assert pairs[title]['queries'] == 0

    def test_fewer_than_k_after_removal(self):
        w = world(subjects=1, clips=1, frames=5)
        made = PoseRetrieval.calculate(**w, variants=['removed'], topk=[5],
                                       gap=.5, references=())
        compare(made['rows']['model']['removed'],
                slowly(w, 'removed', topk=[5]))

    def test_repeated_frames_count_once(self):
        w = world()
        again = {k: v + v[:7] if isinstance(v, list) else
                 np.concatenate([v, v[:7] * 1.1 if k == 'embeddings'
                                 else v[:7]]) for k, v in w.items()}
        made = PoseRetrieval.calculate(**again, topk=TOPK)
        assert made['repeated'] == 7 and made['samples'] == 60
        assert made['rows'] == PoseRetrieval.calculate(**w, topk=TOPK)['rows']

    def test_the_scale_of_an_embedding_does_not_count(self):
        w = world()
        scaled = dict(w, embeddings=w['embeddings'] * np.linspace(
            .1, 9, 60)[:, None])
        one, other = (PoseRetrieval.calculate(**x, topk=TOPK, references=())[
            'rows']['model']['kept']['mean'] for x in (w, scaled))
        assert one == pytest.approx(other)

    def test_collapsed_embeddings_are_no_better_than_chance(self):
        w = world(11, frames=25, clips=2)
        w['embeddings'] = np.ones_like(w['embeddings'])
        recall = PoseRetrieval.calculate(
            **w, variants=['kept'], topk=[1], references=())['rows'][
                'model']['kept']['mean']['Recall@1']
        assert recall < 5


class TestErrors:

    def change(self, error, options=None, **columns):
        w = dict(world(), **columns)
        with pytest.raises(ValueError, match=error):
            PoseRetrieval.calculate(**w, **dict(dict(topk=TOPK),
                                                **(options or {})))

    def test_gallery_smaller_than_k(self):
        self.change("'C0 > C1' has 20 frames, but the 21 nearest",
                    dict(topk=[1, 21]))

    def test_single_view(self):
        self.change('same_view', views=['C0'] * 60)

    def test_single_subject(self):
        self.change('two of them', dict(variants=['cross_subject']),
                    subjects=['s'] * 60)
        self.change('subjects', dict(variants=['cross_subject']),
                    subjects=None)

    def test_nan(self):
        broken = world()['embeddings']
        broken[[3, 5]] = np.nan
        self.change('2 of 60.*number 3', embeddings=broken)
        broken[[3, 5]] = 0
        self.change('2 embeddings.*zero', embeddings=broken)
        self.change('no finite time', seconds=np.full(60, np.nan))
        self.change('no sample has a true pose',
                    poses=np.full((60, 17, 3), np.nan))

    def test_mixed_joint_sets(self):
        self.change("'h36m_17'", poses=np.zeros((60, 16, 3)))

    def test_lengths(self):
        self.change('equally many', clips=['a'] * 59)
        self.change('must be', embeddings=np.ones((59, 3)))
        self.change('further', dict(further_queries=dict(
            further=np.ones((3, 12)))))

    def test_a_clip_of_two_people(self):
        self.change('two subjects', clips=['walk'] * 60)

    @pytest.mark.parametrize('options', [
        dict(topk=[]), dict(topk=[0]), dict(topk=[1, 1]), dict(gap=-1),
        dict(gap=math.nan), dict(hit=0), dict(threshold=-1),
        dict(variants=['all']), dict(variants=[]), dict(gallery='all'),
        dict(alignment='procrustes'), dict(references=['best']),
        dict(same_view=True, variants=['kept'])])
    def test_settings(self, options):
        self.change('must|unknown|same_view', options)
        with pytest.raises(ValueError, match='must|unknown|same_view'):
            METRICS.build(dict(type='PoseRetrieval', **options))

    def test_a_misspelt_setting(self):
        with pytest.raises(TypeError, match='top_k'):
            METRICS.build(dict(type='PoseRetrieval', top_k=[1]))


def samples(w, frames_from=0, **fields):
    for i in range(len(w['views'])):
        yield PoseDataSample(
            metainfo=dict(
                id=i, subject=w['subjects'][i], sequence=w['clips'][i],
                camera=w['views'][i], seconds=w['seconds'][i],
                frame=round(w['seconds'][i] * 4) + frames_from),
            pred_instances=InstanceData(
                embedding=torch.from_numpy(w['embeddings'][i][None]),
                **{k: v[i][None] for k, v in fields.items()}),
            gt_instance_labels=InstanceData(
                keypoints_3d_camera=torch.from_numpy(w['poses'][i][None]))
        ).to_dict()


class TestMetric:

    def build(self, **options):
        metric = METRICS.build(dict(type='PoseRetrieval', topk=TOPK,
                                    **options))
        metric.dataset_meta = SKELETON.metainfo()
        return metric

    def test_as_calculate(self, tmp_path):
        w = world()
        noisy = w['embeddings'] + 1
        metric = self.build(out_file=str(tmp_path / 'out.json'), gap=.5,
                            query_fields={'occluded': 'hidden'})
        metric.process({}, list(samples(w, hidden=noisy)))
        made = metric.evaluate(60)
        rows = PoseRetrieval.calculate(
            **w, topk=TOPK, gap=.5, references=('oracle', 'random'),
            further_queries={'occluded': noisy},
            variants=['kept', 'removed', 'cross_subject'])['rows']
        for row, table in rows.items():
            for variant, values in table.items():
                for key, value in values['mean'].items():
                    name = f'retrieval/{variant}/{key}' if row == 'model' \
                        else f'retrieval/{row}/{variant}/{key}'
                    assert made[name] == pytest.approx(value)
        held = json.loads((tmp_path / 'out.json').read_text())
        assert held['rows']['model']['kept']['pairs']['C0 > C1']

    def test_one_subject(self):
        w = world(subjects=1, frames=20)
        metric = self.build()
        metric.process({}, list(samples(w)))
        assert not any('cross' in k for k in metric.evaluate(len(w['views'])))

    @pytest.mark.parametrize('first', [0, 1])
    def test_frame_keys(self, first, tmp_path):
        w = world()
        keys = [(w['subjects'][i], w['clips'][i], w['views'][i],
                 round(w['seconds'][i] * 4)) for i in range(50)]
        path = tmp_path / 'keys.txt'
        path.write_text('\n'.join(
            f'{s}:{c}:{v}:{f:06d}' for s, c, v, f in keys)
            + '\ns9:s9c0:C1:000001\n')
        metric = self.build(frame_keys=str(path), frame_offset=first,
                            references=())
        metric.process({}, list(samples(w, first)))
        part = {k: v[:50] for k, v in w.items()}
        expected = PoseRetrieval.calculate(**part, topk=TOPK)['rows'][
            'model']['removed']['mean']
        made = metric.evaluate(60)
        for key, value in expected.items():
            assert made[f'retrieval/removed/{key}'] == pytest.approx(value)

    def test_bad_samples(self):
        w = world()
        one, other, *_ = samples(w)
        del one['subject']
        with pytest.raises(ValueError, match="lacks.*'subject'"):
            self.build().process({}, [one])
        with pytest.raises(ValueError, match='keypoints_3d_canonical'):
            self.build(alignment='canonical').process({}, [other])
        metric = self.build()
        few = dict(w, poses=w['poses'][:, :14])
        metric.process({}, [other, next(samples(few))])
        with pytest.raises(ValueError, match=r'\[14, 17\] joints'):
            metric.evaluate(2)
