"""Random people, the mean error of them by hand, and a metric's test loop."""
from __future__ import annotations

import numpy as np

from mirrorpose.structures import Skeleton

LSP = Skeleton.from_name('lsp_14')
FLIP = LSP.flip_indices


def people(count=20, joints=14, seed=0, noise=2.):
    rng = np.random.default_rng(seed)
    gt = rng.uniform(5, 120, (count, joints, 2))
    visible = rng.random((count, joints)) > .2
    visible[:, :2] = True
    return gt + rng.normal(0, noise, gt.shape), gt, visible


def by_hand(pred, gt, visible, factor=1.):
    total = []
    for n in range(len(pred)):
        for k in range(len(gt[n])):
            if visible[n, k]:
                dx, dy = pred[n, k] - gt[n, k]
                total.append(factor * (dx * dx + dy * dy)**.5)
    return sum(total) / len(total)


def samples(pred, gt, visible, size=128, corrected=None, **meta):
    out = []
    for n in range(len(pred)):
        found = dict(keypoints=pred[n][None])
        if corrected is not None:
            found['keypoints_corrected'] = corrected[n][None]
        out.append(dict(
            id=str(n), pred_instances=found, img_shape=(size, size),
            pixel_scale=2.5, gt_instances=dict(
                keypoints=gt[n][None],
                keypoints_visible=visible[n][None].astype(np.float32)),
            **{k: v[n] if isinstance(v, list) else v
               for k, v in meta.items()}))
    return out


def run(metric, joints, *groups):
    metric.dataset_meta = dict(
        Skeleton.from_name(joints).metainfo(), dataset_name=joints)
    for group in groups:
        for sample in group:  # one a batch, as in a test loop
            metric.process({}, [sample])
    return metric.compute_metrics(metric.results)
