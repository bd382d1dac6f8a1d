"""Broken annotations under the policy of the config, through the runner."""
from __future__ import annotations

import csv

import numpy as np
import pytest

from mirrorpose.datasets import BrokenSampleError, PoseCollectionDataset
from mirrorpose.engine.runner import resolve


@pytest.fixture
def poses(tmp_path):
    """Forty poses, two of them broken."""
    rng = np.random.default_rng(0)
    points = rng.uniform(0, 99, (40, 16, 2)).astype(np.float32)
    points[7, 3] = np.nan
    points[9] = 5.
    path = tmp_path / 'poses.npz'
    from mirrorpose.structures import Skeleton
    np.savez(path, keypoints=points,
             joints=np.array(Skeleton.from_name('mpii_16').joints))
    return path


def build(path, **kwargs):
    return PoseCollectionDataset(ann_file=path.name,
                                 data_root=str(path.parent), **kwargs)


def test_error_names_the_sample_and_the_way_out(poses):
    with pytest.raises(BrokenSampleError, match=(
            r"poses/.*joints \[.*\] are annotated but not finite.*"
            r"broken_samples=dict\(policy='skip'\)")):
        build(poses)


def test_skip_leaves_them_out_after_the_split(poses):
    whole = build(poses, on_broken='skip')
    assert len(whole) == 38 and len(whole.left_out) == 2
    reasons = sorted(r for _, r, _ in whole.left_out)
    assert 'not finite' in reasons[0] and 'no extent' in reasons[1]
    # Nobody moves across the split because somebody else is broken.
    parts = [build(poses, on_broken='skip', part=p, label_fraction=.5)
             for p in ('labelled', 'unlabelled')]
    assert sum(len(p) + len(p.left_out) for p in parts) == 40
    assert len(parts[0]) + len(parts[0].left_out) == 20


def test_the_config_says_so_once(poses, tmp_path):
    from mmengine.config import Config
    cfg = resolve(Config(dict(
        broken_samples=dict(policy='skip', max_share=.1),
        train_dataloader=dict(dataset=dict(
            type='CombinedPoseDataset', datasets=[
                dict(type='PoseCollectionDataset', ann_file=poses.name,
                     data_root=str(poses.parent))])))))
    leaf = cfg.train_dataloader.dataset.datasets[0]
    assert leaf.on_broken == 'skip'
    from mirrorpose.datasets.guarded import open_broken_samples
    made = PoseCollectionDataset(**{k: v for k, v in leaf.items()
                                    if k != 'type'})
    broken = open_broken_samples(made, tmp_path, **cfg.broken_samples)
    with (tmp_path / 'broken_samples.csv').open() as file:
        rows = list(csv.DictReader(file))
    assert len(broken) == len(rows) == 2
    assert {r['sample'] for r in rows} == {s for s, _, _ in made.left_out}
    # ... and more than the share allows stops the run.
    with pytest.raises(RuntimeError, match='2 of 40'):
        open_broken_samples(made, tmp_path / 'other', policy='skip',
                            max_share=.01)
