"""3D errors against VideoPose3D's definitions, one pose at a time."""
from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from mmengine.evaluator import Evaluator
from mmengine.structures import InstanceData
from mmpose.evaluation.functional import keypoint_mpjpe
from mmpose.registry import METRICS
from mmpose.structures import PoseDataSample
from scipy.spatial.transform import Rotation

import mirrorpose.evaluation  # noqa: F401
from mirrorpose.evaluation.pose3d import PoseErrors3D, PosePCK3D
from mirrorpose.evaluation.root_relative import (
    prepare,
    root_of,
    torso_size,
)
from mirrorpose.structures import Skeleton

RNG = np.random.default_rng(0)
GT = 300 * RNG.normal(size=(30, 17, 3))
GT -= GT[:, :1]
PRED = GT + 60 * RNG.normal(size=GT.shape)
PRED -= PRED[:, :1]


def published(pred, gt):
    """VideoPose3D's loss.py, written again for a single pose."""
    mpjpe = np.mean([np.linalg.norm(p - g) for p, g in zip(pred, gt)])
    norm_pred = np.mean([(p * p).sum() for p in pred])
    norm_both = np.mean([(p * g).sum() for p, g in zip(pred, gt)])
    n_mpjpe = np.mean([np.linalg.norm(norm_both / norm_pred * p - g)
                       for p, g in zip(pred, gt)])
    mu_g, mu_p = gt.mean(0), pred.mean(0)
    g0, p0 = gt - mu_g, pred - mu_p
    norm_g, norm_p = np.sqrt((g0**2).sum()), np.sqrt((p0**2).sum())
    g0, p0 = g0 / norm_g, p0 / norm_p
    u, s, vt = np.linalg.svd(g0.T @ p0)
    v = vt.T
    sign = np.sign(np.linalg.det(v @ u.T))
    v[:, -1] *= sign
    s[-1] *= sign
    turn = v @ u.T
    scale = s.sum() * norm_g / norm_p
    moved = scale * pred @ turn + mu_g - scale * mu_p @ turn
    p_mpjpe = np.mean(np.linalg.norm(moved - gt, axis=1))
    return dict(zip(('MPJPE', 'N-MPJPE', 'P-MPJPE'),
                    (mpjpe, n_mpjpe, p_mpjpe)))


class TestErrors:

    @pytest.mark.parametrize('kind', [np.asarray, torch.from_numpy])
    def test_published_definitions(self, kind):
        mirrored = PRED * [1, 1, -1]
        for pred in (PRED, mirrored, 3 * PRED):
            made = PoseErrors3D.calculate(kind(pred), kind(GT))
            one = [published(p, g) for p, g in zip(pred, GT)]
            for key, value in made.items():
                assert value == pytest.approx(np.mean([o[key] for o in one]),
                                              rel=1e-6)
            assert list(made) == ['MPJPE', 'N-MPJPE', 'P-MPJPE']
        assert made['N-MPJPE'] < made['MPJPE']

    def test_against_mmpose(self):
        mask = RNG.random((30, 17)) > .2
        made = PoseErrors3D.calculate(PRED, GT, mask)
        assert made['MPJPE'] == pytest.approx(
            keypoint_mpjpe(PRED, GT, mask, 'none'))
        everything = np.ones_like(mask)
        made = PoseErrors3D.calculate(PRED, GT)
        for ours, theirs in (('N-MPJPE', 'scale'),
                             ('P-MPJPE', 'procrustes')):
            assert made[ours] == pytest.approx(
                keypoint_mpjpe(PRED, GT, everything, theirs), rel=1e-6)

    def test_missing_joints_are_as_if_they_were_not_there(self):
        mask = np.zeros((30, 17))
        mask[:, :11] = 1
        hidden = np.where(mask[..., None] > 0, GT, np.nan)
        few = PoseErrors3D.calculate(PRED[:, :11], GT[:, :11])
        for gt, how in ((GT, mask), (hidden, None), (hidden, mask)):
            assert PoseErrors3D.calculate(PRED, gt, how) == pytest.approx(
                few)

    def test_root(self):
        shift = RNG.normal(size=(30, 1, 3)) * 1000
        expected = PoseErrors3D.calculate(PRED, GT)
        made = PoseErrors3D.calculate(PRED + shift, GT - shift, root=0)
        assert made == pytest.approx(expected)
        twice = PoseErrors3D.calculate(PRED + shift, GT, root=[1, 4])
        centred = [p - p[:, [1, 4]].mean(1, keepdims=True)
                   for p in (PRED, GT)]
        assert twice == pytest.approx(PoseErrors3D.calculate(*centred))
        mask = np.ones((30, 17))
        mask[3, 0] = 0  # a pose that cannot be centred
        rest = np.arange(30) != 3
        assert PoseErrors3D.calculate(PRED, GT, mask, 0) == pytest.approx(
            PoseErrors3D.calculate(PRED[rest], GT[rest]))

    def test_invariances(self):
        turn = Rotation.random(30, random_state=1).as_matrix()
        turned = np.einsum('nij,nkj->nki', turn, GT) * 2
        made = PoseErrors3D.calculate(turned, GT)
        assert made['P-MPJPE'] < 1e-6 < made['N-MPJPE'] < made['MPJPE']
        assert PoseErrors3D.calculate(.3 * GT, GT)['N-MPJPE'] < 1e-6
        mirrored = PoseErrors3D.calculate(GT * [-1, 1, 1], GT)
        assert mirrored['P-MPJPE'] > 10

    def test_degenerate(self):
        """A pose in one point has no scale and no direction."""
        zero = np.zeros_like(GT)
        made = PoseErrors3D.calculate(zero, GT)
        size = np.linalg.norm(GT, axis=-1).mean()
        assert made['MPJPE'] == made['N-MPJPE'] == pytest.approx(size)
        assert np.isfinite(made['P-MPJPE'])
        assert PoseErrors3D.calculate(PRED, zero)['P-MPJPE'] < 1e-9
        assert PoseErrors3D.calculate(zero, zero) == pytest.approx(
            {'MPJPE': 0, 'N-MPJPE': 0, 'P-MPJPE': 0})

    def test_bad_input(self):
        with pytest.raises(ValueError, match='joint set'):
            PoseErrors3D.calculate(PRED[:, :16], GT)
        with pytest.raises(ValueError, match='mask'):
            PoseErrors3D.calculate(PRED, GT, np.ones((30, 16)))
        with pytest.raises(ValueError, match='nothing to measure'):
            PoseErrors3D.calculate(PRED, GT * np.nan)
        broken = PRED.copy()
        broken[[4, 9], 2] = np.nan
        with pytest.raises(ValueError, match='2 of 30.*number 4'):
            PoseErrors3D.calculate(broken, GT)
        unseen = np.ones((30, 17))
        unseen[[4, 9]] = 0
        assert np.isfinite(PoseErrors3D.calculate(broken, GT, unseen)[
            'MPJPE'])


class TestPCK:

    def test_against_a_loop(self):
        made = PosePCK3D.calculate(PRED, GT)
        errors = [np.linalg.norm(p - g) for ps, gs in zip(PRED, GT)
                  for p, g in zip(ps, gs)]
        assert made['PCK@150'] == pytest.approx(
            100 * np.mean([e <= 150 for e in errors]))
        curve = [np.mean([e <= t for e in errors])
                 for t in np.linspace(0, 150, 31)]
        assert made['AUC'] == pytest.approx(100 * np.mean(curve))

    def test_threshold_is_included(self):
        gt = np.zeros((1, 2, 3))
        pred = np.array([[[150., 0, 0], [0, 150.001, 0]]])
        assert PosePCK3D.calculate(pred, gt)['PCK@150'] == 50
        assert PosePCK3D.calculate(gt, gt) == {'PCK@150': 100, 'AUC': 100}
        assert PosePCK3D.calculate(pred, gt, threshold=200) == pytest.approx(
            {'PCK@200': 100, 'AUC': 100 * .5 / 31})

    def test_missing_joints(self):
        hidden = GT.copy()
        hidden[:, 11:] = np.nan
        assert PosePCK3D.calculate(PRED, hidden) == pytest.approx(
            PosePCK3D.calculate(PRED[:, :11], GT[:, :11]))


def sample(pred, gt, frame='camera', **meta):
    return PoseDataSample(
        metainfo=meta,
        pred_instances=InstanceData(**{
            f'keypoints_3d_{frame}': torch.from_numpy(pred)[None]}),
        gt_instance_labels=InstanceData(**{
            f'keypoints_3d_{frame}': torch.from_numpy(gt)[None]}))


class TestMetrics:

    @pytest.mark.parametrize('frame', ['camera', 'canonical'])
    def test_through_an_evaluator(self, frame, tmp_path):
        out = tmp_path / 'errors.json'
        evaluator = Evaluator([METRICS.build(m) for m in (
            dict(type='PoseErrors3D', frame=frame, by='action',
                 out_file=str(out)),
            dict(type='PosePCK3D', frame=frame))])
        evaluator.dataset_meta = Skeleton.from_name('h36m_17').metainfo()
        actions = ['Walking' if i % 3 else 'Sitting' for i in range(30)]
        for start in range(0, 30, 7):
            evaluator.process([
                sample(p, g, frame, action=a) for p, g, a in zip(
                    PRED[start:start + 7], GT[start:start + 7],
                    actions[start:start + 7])])
        made = evaluator.evaluate(30)
        rows = np.array(actions) == 'Walking'
        whole = PoseErrors3D.calculate(PRED, GT)
        parts = [PoseErrors3D.calculate(PRED[r], GT[r])
                 for r in (rows, ~rows)]
        for key, value in whole.items():
            assert made[f'{frame}_frame/{key}'] == pytest.approx(value)
            assert made[f'{frame}_frame/{key}_by_action'] == pytest.approx(
                np.mean([p[key] for p in parts]))
        assert made[f'{frame}_frame/PCK@150'] == pytest.approx(
            PosePCK3D.calculate(PRED, GT)['PCK@150'])
        held = json.loads(out.read_text())
        assert held['frame'] == frame and held['poses'] == 30
        assert set(held['results']) == {'all', 'Walking', 'Sitting',
                                        'mean by action'}

    def test_only_some_joints(self):
        metric = METRICS.build(dict(type='PoseErrors3D', joints=[
            'head', 'left_wrist']))
        metric.dataset_meta = Skeleton.from_name('h36m_17').metainfo()
        metric.process({}, [sample(p, g).to_dict()
                            for p, g in zip(PRED, GT)])
        off = np.linalg.norm(PRED - GT, axis=-1)[:, [10, 13]]
        assert metric.evaluate(30)['camera_frame/MPJPE'] == pytest.approx(
            off.mean())

    def test_samples_without_labels_are_left_out(self):
        metric = METRICS.build(dict(type='PoseErrors3D'))
        hidden = np.full_like(GT[0], np.nan)
        metric.process({}, [sample(p, g).to_dict()
                            for p, g in zip(PRED, GT)])
        metric.process({}, [sample(PRED[0], hidden).to_dict()])
        assert metric.evaluate(31)['camera_frame/MPJPE'] == pytest.approx(
            PoseErrors3D.calculate(PRED, GT)['MPJPE'])

    def test_bad_input(self):
        with pytest.raises(ValueError, match='frame'):
            METRICS.build(dict(type='PoseErrors3D', frame='world'))
        with pytest.raises(ValueError, match='threshold'):
            METRICS.build(dict(type='PosePCK3D', threshold=0))
        metric = METRICS.build(dict(type='PoseErrors3D', frame='canonical'))
        with pytest.raises(ValueError, match='keypoints_3d_canonical'):
            metric.process({}, [sample(PRED[0], GT[0]).to_dict()])
        metric = METRICS.build(dict(type='PoseErrors3D'))
        metric.process({}, [sample(PRED[0], GT[0]).to_dict(),
                            sample(PRED[0, :14], GT[0, :14]).to_dict()])
        with pytest.raises(ValueError, match=r'\[14, 17\] joints'):
            metric.evaluate(2)
        by = METRICS.build(dict(type='PoseErrors3D', by='action'))
        with pytest.raises(ValueError, match='action'):
            by.process({}, [sample(PRED[0], GT[0]).to_dict()])


class TestParts:

    def test_root_and_torso(self):
        h36m = Skeleton.from_name('h36m_17')
        assert root_of(h36m) == [0]
        assert root_of(Skeleton.from_name('coco_17')) == [11, 12]
        spine = np.linalg.norm(GT[:, 7] - GT[:, 0], axis=1)
        spine += np.linalg.norm(GT[:, 8] - GT[:, 7], axis=1)
        np.testing.assert_allclose(torso_size(GT, h36m), spine)
        middle = GT[:, [5, 6]].mean(1) - GT[:, [11, 12]].mean(1)
        np.testing.assert_allclose(
            torso_size(GT, Skeleton.from_name('coco_17')),
            np.linalg.norm(middle, axis=1))
        assert np.isnan(torso_size(np.zeros((1, 17, 3)), h36m)).all()

    def test_prepare_leaves_its_input(self):
        pred = PRED.copy()
        prepare(pred, GT, root=3)
        assert (pred == PRED).all()
