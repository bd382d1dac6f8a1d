import copy
import json
import math

import numpy as np
import pytest
from mmengine.logging import MMLogger
from mmpose.evaluation.metrics import MpiiPCKAccuracy, PCKAccuracy
from mmpose.registry import METRICS

import mirrorpose  # noqa: F401
from mirrorpose.evaluation import LspPCK, MpiiPCKTable
from mirrorpose.structures.skeleton import Skeleton

MPII = Skeleton.from_name('mpii_16')
COLUMNS = dict(
    Head=('head_top', 'upper_neck'),
    Shoulder=('left_shoulder', 'right_shoulder'),
    Elbow=('left_elbow', 'right_elbow'), Wrist=('left_wrist', 'right_wrist'),
    Hip=('left_hip', 'right_hip'), Knee=('left_knee', 'right_knee'),
    Ankle=('left_ankle', 'right_ankle'))


def people(count=40, seed=0, hidden=.25, noise=12.):
    rng = np.random.default_rng(seed)
    gt = rng.uniform(0, 100, (count, 16, 2)).astype(np.float32)
    pred = (gt + rng.normal(0, noise, gt.shape)).astype(np.float32)
    return pred, gt, (rng.random((count, 16)) >= hidden).astype(np.float32)


def by_hand(pred, gt, visible, norm, thr):
    """The definition, one joint of one person at a time."""
    hits, counts = [0] * 16, [0] * 16
    for p, g, v in zip(pred, gt, visible):
        shown = [k for k in range(16) if v[k] > 0]
        if norm == 'bbox':
            if not shown:
                continue
            size = max(max(float(g[k][a]) for k in shown) -
                       min(float(g[k][a]) for k in shown) for a in (0, 1))
        else:
            a = MPII.joints.index('left_shoulder')
            b = MPII.joints.index('right_hip')
            if not (v[a] > 0 and v[b] > 0):
                continue
            size = math.dist(map(float, g[a]), map(float, g[b]))
        for k in shown:
            counts[k] += 1
            error = math.dist(map(float, p[k]), map(float, g[k]))
            hits[k] += error <= thr * size
    score = {j: 100. * hits[i] / counts[i]
             for i, j in enumerate(MPII.joints) if counts[i]}
    row = {c: np.mean([score[j] for j in js if j in score])
           for c, js in COLUMNS.items()}
    row['Total'] = np.mean(list(score.values()))
    row['Total14'] = np.mean([s for j, s in score.items()
                              if j not in ('pelvis', 'thorax')])
    return row


@pytest.mark.parametrize('norm', ['bbox', 'torso'])
@pytest.mark.parametrize('thr', [.05, .2, .5])
def test_against_a_loop(norm, thr):
    pred, gt, visible = people()
    got = LspPCK.calculate(pred, gt, visible, norm, thr)
    want = by_hand(pred, gt, visible, norm, thr)
    assert list(got) == list(want)
    for column in want:
        assert got[column] == pytest.approx(want[column], abs=1e-9), column


def test_threshold_is_inclusive():
    gt = np.zeros((1, 16, 2))
    gt[0, 0] = 100, 0
    pred = gt.copy()
    pred[..., 1] = 20
    ones = np.ones((1, 16))
    assert LspPCK.calculate(pred, gt, ones)['Total'] == 100
    pred[..., 1] = np.nextafter(20, 21)
    assert LspPCK.calculate(pred, gt, ones)['Total'] == 0


def test_torso_is_a_diagonal_by_name():
    """LSP's joints 10 and 3 count from one: left shoulder, right hip."""
    lsp = Skeleton.from_name('lsp_14').joints
    assert (lsp[9], lsp[2]) == ('left_shoulder', 'right_hip')
    _, gt, _ = people(5)
    a, b = MPII.index(lsp[9], lsp[2])
    np.testing.assert_allclose(
        LspPCK.normalisers(gt, np.ones((5, 16)), 'torso'),
        np.linalg.norm(gt[:, a].astype(float) - gt[:, b], axis=1))


@pytest.mark.parametrize('rubbish', [np.nan, np.inf, 1e9])
@pytest.mark.parametrize('norm', ['bbox', 'torso'])
def test_unannotated_joints_cannot_matter(rubbish, norm):
    pred, gt, visible = people()
    want = LspPCK.calculate(pred, gt, visible, norm)
    gt[visible == 0] = rubbish
    assert LspPCK.calculate(pred, gt, visible, norm) == want
    pred[visible == 0] = rubbish
    assert LspPCK.calculate(pred, gt, visible, norm) == want


def test_prediction_that_is_not_finite_is_wrong():
    _, gt, _ = people(4)
    pred = gt.copy()
    pred[:, MPII.index('left_wrist')] = np.nan
    row = LspPCK.calculate(pred, gt, np.ones((4, 16)))
    assert row['Wrist'] == 50 and row['Head'] == 100


def as_samples(pred, gt, visible, boxes=None, head=None):
    out = []
    for i in range(len(gt)):
        truth = dict(keypoints=gt[i:i + 1],
                     keypoints_visible=visible[i:i + 1])
        if boxes is not None:
            truth['bboxes'] = boxes[i:i + 1]
        if head is not None:
            truth['head_size'] = head[i:i + 1]
        out.append(dict(id=i, gt_instances=truth,
                        pred_instances=dict(keypoints=pred[i:i + 1])))
    return out


def evaluate(metric, samples):
    metric.dataset_meta = dict(
        keypoint_id2name=dict(enumerate(MPII.joints)),
        flip_indices=MPII.flip_indices)
    for sample in samples:
        metric.process([], [copy.deepcopy(sample)])
    return metric.evaluate(len(samples))


def test_agrees_with_mmpose_on_the_tight_box():
    pred, gt, visible = people(200)
    shown = visible[..., None] > 0
    low = np.where(shown, gt, np.inf).min(1)
    high = np.where(shown, gt, -np.inf).max(1)
    samples = as_samples(pred, gt, visible, np.concatenate([low, high], 1))
    theirs = evaluate(PCKAccuracy(thr=.2, prefix='a'), samples)
    ours = evaluate(LspPCK(), samples)
    assert ours['pck/Total'] == pytest.approx(100 * theirs['a/PCK'])


def test_padded_box_does_not_matter():
    pred, gt, visible = people()
    tight = evaluate(LspPCK(), as_samples(pred, gt, visible))
    padded = np.tile([[-500., -500, 900, 900]], (len(gt), 1))
    assert evaluate(LspPCK(), as_samples(pred, gt, visible,
                                         padded)) == tight


def test_table_and_json(tmp_path, monkeypatch):
    lines = []
    logger = MMLogger.get_current_instance()
    monkeypatch.setattr(logger, 'log', lambda level, text: lines.append(text))
    monkeypatch.setattr(logger, 'info', lines.append)
    pred, gt, visible = people()
    visible[:3, MPII.index('right_hip')] = 0
    out = tmp_path / 'deep' / 'pck.json'
    metric = METRICS.build(dict(type='LspPCK', norm=['bbox', 'torso'],
                                out_file=str(out)))
    results = evaluate(metric, as_samples(pred, gt, visible))
    row = LspPCK.calculate(pred, gt, visible, 'torso')
    assert results['pck/Total_torso'] == row['Total']
    text = '\n'.join(map(str, lines))
    assert 'Shoulder' in text and f'{row["Total"]:.2f}' in text
    content = json.loads(out.read_text())
    assert content['people'] == len(gt)
    assert content['results']['torso'] == row
    lost = int((visible[:, MPII.index('left_shoulder', 'right_hip')] == 0
                ).any(1).sum())
    assert content['left_out'] == dict(bbox=0, torso=lost)
    assert f'{lost} of {len(gt)} people have no torso diagonal' in text


def test_a_joint_that_nobody_has(tmp_path):
    pred, gt, visible = people()
    visible[:, MPII.index('left_knee', 'right_knee')] = 0
    metric = LspPCK(out_file=str(tmp_path / 'x.json'))
    results = evaluate(metric, as_samples(pred, gt, visible))
    assert math.isnan(results['pck/Knee'])
    assert math.isfinite(results['pck/Total'])
    content = json.loads((tmp_path / 'x.json').read_text())
    assert content['results']['bbox']['Knee'] is None


def test_other_joint_sets():
    h36m = Skeleton.from_name('h36m_17')
    rng = np.random.default_rng(0)
    gt = rng.uniform(0, 100, (9, 17, 2))
    row = LspPCK.calculate(gt, gt, np.ones((9, 17)), joints='h36m_17')
    assert row['Ankle'] == row['Total'] == 100
    wrong = gt.copy()
    wrong[:, h36m.index('right_foot')] += 1000
    row = LspPCK.calculate(wrong, gt, np.ones((9, 17)), joints='h36m_17')
    assert row['Ankle'] == 50
    with pytest.raises(ValueError, match='left_wrist'):
        LspPCK.calculate(gt, gt, np.ones((9, 17)),
                         joints=[f'j{i}' for i in range(17)])


def test_bad_input():
    pred, gt, visible = people(4)
    with pytest.raises(ValueError, match=r'\(4, 15, 2\)'):
        LspPCK.calculate(pred[:, :15], gt, visible)
    for norm in ('head', [], ['bbox', 'bbox']):
        with pytest.raises(ValueError, match='norm'):
            LspPCK(norm=norm)
    with pytest.raises(ValueError, match='positive'):
        LspPCK(thr=0)
    with pytest.raises(ValueError, match='sample 0'):
        evaluate(LspPCK(), as_samples(pred[:, :15], gt, visible))


def test_pckh_is_mmposes(tmp_path):
    pred, gt, visible = people(50)
    head = np.random.default_rng(1).uniform(10, 30, (50, 1))
    samples = as_samples(pred, gt, visible, head=head)
    theirs = evaluate(MpiiPCKAccuracy(prefix='a'), samples)
    out = tmp_path / 'pckh.json'
    ours = evaluate(MpiiPCKTable(out_file=str(out)), samples)
    for column in COLUMNS:
        assert ours[f'pckh/{column}'] == pytest.approx(
            float(theirs[f'a/{column} PCK']))
    assert ours['pckh/Total'] == pytest.approx(float(theirs['a/PCK']))
    assert json.loads(out.read_text())['results']['head']['Total'] == (
        ours['pckh/Total'])
