"""The metric in a test loop: its table, its files, its frame keys."""
from __future__ import annotations

import json
import logging
import math

import pytest
import torch
from mmengine.structures import InstanceData
from mmpose.registry import METRICS
from mmpose.structures import PoseDataSample
from retrieval_loops import SKELETON, TOPK, world

import mirrorpose.evaluation  # noqa: F401
from mirrorpose.evaluation.retrieval import PoseRetrieval


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

    def test_pairs_of_views_are_printed(self, monkeypatch):
        from mirrorpose.evaluation import retrieval
        said = []
        monkeypatch.setattr(retrieval, 'print_log',
                            lambda text, **how: said.append(text))
        w = world()
        metric = self.build(references=(), variants=['kept', 'removed'])
        metric.process({}, list(samples(w)))
        metric.evaluate(len(w['views']))
        rows = PoseRetrieval.calculate(
            **w, topk=TOPK, variants=['kept', 'removed'])['rows']['model']
        names = sorted(set(w['views']))
        for variant, key in (('kept', f'Recall@{TOPK[0]}'),
                             ('removed', f'Hit@{TOPK[0]}')):
            text, = (t for t in said if f'{variant}, {key}' in t)
            lines = text.strip().splitlines()
            assert lines[1].split()[1:] == names
            for name, line in zip(names, lines[3:]):
                cells = line.split(' | ')[1].split()
                for other, found in zip(names, cells):
                    want = rows[variant]['pairs'].get(f'{name} > {other}')
                    assert found == (f'{want[key]:.2f}' if want else '-')

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

    def test_unanswered_queries_are_told(self, monkeypatch):
        """All of the only clip is too near in time."""
        from mirrorpose.evaluation import retrieval
        said = []
        monkeypatch.setattr(retrieval, 'print_log', lambda text, **how:
                            said.append((text, how.get('level'))))
        w = world(subjects=1, clips=1)
        metric = self.build(gap=math.inf, variants=['kept', 'removed'])
        metric.process({}, list(samples(w)))
        made = metric.evaluate(len(w['views']))
        assert math.isnan(made['retrieval/removed/Hit@1'])
        told = [t for t, level in said if level == logging.WARNING]
        assert len(told) == 1 and told[0].startswith(
            'removed: 30 of 30 queries have no eligible item')
