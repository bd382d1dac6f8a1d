"""tools/test.py of metric pose: from published layouts to both tables.

Human3.6M and MPI-INF-3DHP need licences and were not at hand: what is
converted are fixtures of their layouts, those of the converters' tests. The
weights are untrained; what is printed is compared with what follows from the
dumped predictions.
"""
from __future__ import annotations

import importlib.util
import json
import pickle
import runpy
import sys
from pathlib import Path

import h36m_layout as h36m
import mpi_inf_3dhp_layout as mpi
import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.logging import MessageHub, MMLogger
from mmengine.registry import init_default_scope
from mmpose.registry import MODELS
from mmpose.visualization import PoseLocalVisualizer

ROOT = Path(__file__).resolve().parents[2]
GLOBAL = (MessageHub, MMLogger, PoseLocalVisualizer)


@pytest.fixture
def run(tmp_path, monkeypatch, capsys):
    """Runs tools/test.py; gives scores, predictions and what was printed."""
    held = [(c, dict(c._instance_dict)) for c in GLOBAL]
    monkeypatch.syspath_prepend(ROOT / 'tools')
    monkeypatch.setattr('mmengine.config.config.FormatCode',
                        lambda text, **_: (text, True))
    spec = importlib.util.spec_from_file_location(
        'tools_test', ROOT / 'tools/test.py')
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)

    def call(config, *options):
        monkeypatch.setenv('MIRRORPOSE_DATA', str(tmp_path))
        init_default_scope('mmpose')
        cfg = Config.fromfile(config)
        torch.manual_seed(0)
        model = MODELS.build(cfg.model)
        torch.save(dict(state_dict=model.state_dict(), meta={}),
                   tmp_path / 'c.pth')
        monkeypatch.setattr(sys, 'argv', [
            'test.py', str(config), str(tmp_path / 'c.pth'), '--out',
            str(tmp_path / 's.json'), '--dump', str(tmp_path / 'd.pkl'),
            '--work-dir', str(tmp_path / 'work'), '--cfg-options',
            'test_dataloader.num_workers=0',
            'test_dataloader.persistent_workers=False',
            f'test_dataloader.dataset.cache_dir={tmp_path / "cache"}',
            *options])
        capsys.readouterr()
        tool.main()
        shown = ''.join(capsys.readouterr())
        return (json.loads((tmp_path / 's.json').read_text()),
                pickle.loads((tmp_path / 'd.pkl').read_bytes()), shown)

    yield call
    for kind, instances in held:
        kind._instance_dict.clear()
        kind._instance_dict.update(instances)


def mpjpe(samples, frame):
    errors = []
    for s in samples:
        pred, gt = (np.asarray(s[part][f'keypoints_3d_{frame}'])[0]
                    for part in ('pred_instances', 'gt_instance_labels'))
        gap = (pred - pred[:1]) - (gt - gt[:1])  # the root is first
        errors.append(np.linalg.norm(gap, axis=-1).mean())
    return np.mean(errors)


def recall(samples, field='embedding'):
    """Recall@1 by loops, over ordered pairs of views."""
    shares = []
    cameras = sorted({s['camera'] for s in samples})
    for a in cameras:
        for b in cameras:
            if a == b:
                continue
            queries, gallery = ([s for s in samples if s['camera'] == c]
                                for c in (a, b))
            right = []
            for q in queries:
                def instant(s):
                    return s['sequence'], s['frame']
                if instant(q) not in [instant(s) for s in gallery]:
                    continue
                far = [np.linalg.norm(q['pred_instances'][field]
                                      - s['pred_instances']['embedding'])
                       for s in gallery]
                right.append(instant(gallery[int(np.argmin(far))])
                             == instant(q))
            if right:
                shares.append(100 * np.mean(right))
    return np.mean(shares)


def frames_of(samples):
    return sorted({s['frame'] for s in samples})


def test_human36m(run, tmp_path):
    frames = (0, 5, 10, 20, 64, 65, 70)
    root = h36m.write_mmpose(tmp_path / 'in', subjects=(8, 9, 11),
                             held_out=(9, 11), frames=frames)
    runpy.run_path(str(h36m.TOOL))['main']([
        str(root), '--out', str(tmp_path), '--image-size', '64'])
    scores, samples, shown = run(
        ROOT / 'configs/metric_pose_h36m.py',
        'test_dataloader.dataset.source.image_size=64',
        'test_evaluator.2.metric.topk=[1,2]')
    assert frames_of(samples) == [0, 10, 20, 64, 70]
    poses = [s for s in samples if s['frame'] % 64 == 0]
    asked = [s for s in samples if s['frame'] % 10 == 0]
    assert (len(poses), len(asked)) == (2 * 2 * 4, 4 * 2 * 4)
    # The pose table, of every 64th frame, by action as the protocol asks.
    for frame in ('canonical', 'camera'):
        assert f'3D poses in the {frame} frame, 16 of 16 annotated' in shown
        assert scores[f'{frame}_frame/MPJPE'] == pytest.approx(
            mpjpe(poses, frame), rel=1e-4)
        assert scores[f'{frame}_frame/MPJPE_by_action'] == pytest.approx(
            mpjpe(poses, frame), rel=1e-4)
    assert 'Walking' in shown and 'mean by action' in shown
    # The retrieval table, of every 10th.
    assert scores['retrieval/kept/Recall@1'] == pytest.approx(recall(asked))
    for row in ('model kept', 'model removed', 'model cross_subject',
                'oracle kept', 'random kept'):
        assert row in shown
    assert {f'retrieval/removed/{k}@{n}' for n in (1, 2) for k in (
        'Hit', 'rotation-MPJPE', 'P-MPJPE', 'PCK', 'bestPCK')} <= set(scores)


def test_mpi_inf_3dhp(run, tmp_path):
    for subject in (7, 8):  # held out by the config
        mpi.write_sequence(tmp_path / 'in', subject)
    runpy.run_path(str(mpi.TOOL))['main']([
        str(tmp_path / 'in'), '--out', str(tmp_path), '--partial', '--views',
        '--cameras', '0', '1', '2', '--image-size', '64'])
    scores, samples, shown = run(
        ROOT / 'configs/metric_pose_mpi_inf_3dhp.py',
        'test_dataloader.dataset.source.image_size=64',
        'test_evaluator.3.metric.topk=[1]')
    assert {s['subject'] for s in samples} == {'S8'}
    assert frames_of(samples) == [0, 5, 10, 15, 20, 25]
    asked = [s for s in samples if s['frame'] % 10 == 0]
    assert len(samples) == 16 and len(asked) == 3 + 3 + 2
    assert '3D poses in the camera frame, 16 of 16 annotated' in shown
    assert scores['camera_frame/MPJPE'] == pytest.approx(
        mpjpe(samples, 'camera'), rel=1e-4)
    assert {'camera_frame/PCK@150', 'camera_frame/AUC'} <= set(scores)
    assert scores['retrieval/kept/Recall@1'] == pytest.approx(recall(asked))
    assert 'one subject: no cross_subject retrieval' in shown
    assert 'oracle removed' in shown


LIFTING = '''
_base_ = ['{root}/configs/metric_pose_lifting_mocap.py']
model = dict(
    backbone=dict(channels=32, num_blocks=1), head=dict(in_channels=32),
    test_cfg=dict(hide_joints=dict(
        no_left_arm=['left_elbow', 'left_wrist'],
        no_legs=['left_knee', 'left_foot', 'right_knee', 'right_foot'])))
test_dataloader = dict(dataset=dict(
    split_by='subject',
    source=dict(_delete_=True, type='SyntheticViews', subjects=3, clips=1,
                seconds=4., image_size=64, num_cameras=3),
    held_out=dict(_delete_=True, test=['person_00[12]'])))
test_evaluator = [
    dict(type='PoseRetrieval', topk=[1], references=[], query_fields=dict(
        no_left_arm='embedding_no_left_arm', no_legs='embedding_no_legs'))]
'''


def test_queries_that_lack_joints(run, tmp_path):
    """As a comment in the lifting model's config says."""
    comment = (ROOT / 'configs/_base_/models/metric_pose_lifting.py'
               ).read_text()
    for text in ('hide_joints=dict', 'query_fields=dict',
                 "no_left_arm='embedding_no_left_arm'"):
        assert text in comment and text in LIFTING.replace('\n', '')
    config = tmp_path / 'lifting.py'
    config.write_text(LIFTING.format(root=ROOT))
    scores, samples, shown = run(config)
    for row, field in (('', 'embedding'),
                       ('no_left_arm/', 'embedding_no_left_arm'),
                       ('no_legs/', 'embedding_no_legs')):
        assert scores[f'retrieval/{row}kept/Recall@1'] == pytest.approx(
            recall(samples, field))
    assert 'no_legs removed' in shown
