"""Who may find whom: rules, settings, and what is refused."""
from __future__ import annotations

import math

import numpy as np
import pytest
from mmpose.registry import METRICS
from retrieval_loops import TOPK, compare, slowly, world

import mirrorpose.evaluation  # noqa: F401
from mirrorpose.evaluation.retrieval import PoseRetrieval


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
