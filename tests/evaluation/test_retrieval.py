"""Retrieval against a double loop over queries and gallery."""
from __future__ import annotations

import math

import numpy as np
import pytest
from retrieval_loops import TOPK, compare, slowly, world

from mirrorpose.evaluation.retrieval import PoseRetrieval


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
