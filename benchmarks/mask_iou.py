"""The mask estimator against true masks that it has never seen.

    python benchmarks/mask_iou.py [--work-dir work_dirs/mirrornet_small_lsp]

The estimator is trained on pseudo silhouettes of annotated LSP and LSPET
people. Here it meets the 34 COCO people with true masks in
``MIRRORPOSE_DATA/coco_mini``, with the annotated pose (COCO has no head top
and no neck) and with the pose of the recognizer of the same curriculum, as
MirrorNet uses it. Writes results/mask_iou.json.
"""
from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import numpy as np
import torch

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))


def main() -> None:
    """Prints a table."""
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('--config', default=str(
        ROOT / 'configs' / 'mirrornet_small_lsp.py'))
    parser.add_argument('--work-dir', type=Path,
                        default=ROOT / 'work_dirs' / 'mirrornet_small_lsp')
    parser.add_argument('--recognizer', default='baseline',
                        help='the stage whose recognizer gives the pose')
    parser.add_argument('--out', type=Path, default=ROOT / 'benchmarks' /
                        'results' / 'mask_iou.json')
    args = parser.parse_args()
    from mmengine.config import Config
    from mmengine.dataset import pseudo_collate
    from mmengine.registry import init_default_scope
    from mmpose.registry import DATASETS, MODELS

    import mirrorpose  # noqa: F401
    from mirrorpose.engine import checkpoint
    from mirrorpose.engine.checkpoint_hook import last_checkpoint
    from mirrorpose.models.mirrornet.batch import gather
    from mirrorpose.models.pose import draw_gaussians, soft_argmax
    init_default_scope('mmpose')
    cfg = Config.fromfile(args.config)
    model = MODELS.build(cfg.model).eval()
    for stage, child in (('mask_estimator', 'mask_estimator.'),
                         (args.recognizer, ('backbone.', 'head.'))):
        path = last_checkpoint(args.work_dir / stage)
        if path is None:
            raise SystemExit(f'{args.work_dir / stage} has no checkpoint; '
                             f'train it first: python tools/train.py '
                             f'{args.config} --stage {stage}')
        state = {k: v for k, v in checkpoint.load(path)['state_dict'].items()
                 if k.startswith(child)}
        missing = [k for k in model.state_dict() if k.startswith(child)
                   and k not in state]
        if missing:
            raise SystemExit(f'{path} lacks {missing[:3]}')
        model.load_state_dict(state, strict=False)

    codec = cfg.codec
    data = DATASETS.build(dict(
        type='SilhouetteDataset', data_root=cfg.data_root + 'coco_mini',
        image_dir='people.zip', mask_dir='people.zip',
        ann_file='people.json', joints='coco_17', test_mode=True,
        pipeline=[
            dict(type='LoadImage'), dict(type='LoadSilhouette'),
            dict(type='GetBBoxCenterScale', padding=1.25),
            dict(type='TopdownAffine', input_size=codec.input_size),
            dict(type='GenerateTarget', encoder=codec),
            dict(type='SplitSilhouette', heatmap_size=codec.heatmap_size),
            dict(type='PackPoseInputs', meta_keys=cfg.meta_keys)]))
    batch = model.data_preprocessor(
        pseudo_collate([data[i] for i in range(len(data))]), False)
    with torch.no_grad():
        held = gather(batch['inputs'], batch['data_samples'], 16)
        maps = model.recognize(batch['inputs'])[-1]
        size = tuple(maps.shape[-2:])
        cells = soft_argmax(maps, model.temperature,
                            max(1, round(3 * model.sigma)))
        found = draw_gaussians(cells, size, model.sigma)
        filled = torch.where(held.present[..., None, None], held.pose, found)
        truth = held.silhouette > .5
        rows = {}
        for name, pose in (('annotated pose, 14 joints', held.pose),
                           ('annotated, head and neck recognized', filled),
                           ('recognized pose', found),
                           ('no pose (blank maps)',
                            torch.zeros_like(found))):
            mask = model.mask_estimator(held.image, pose) > .5
            both = (mask & truth).flatten(1).sum(1).double()
            either = (mask | truth).flatten(1).sum(1).clamp(min=1)
            iou = (both / either).numpy()
            rows[name] = dict(median=round(float(np.median(iou)), 3),
                              mean=round(float(iou.mean()), 3),
                              worst=round(float(iou.min()), 3))
    print(f'{len(data)} people of COCO with true masks, '
          f'{size[0]} x {size[1]} cells')
    for name, row in rows.items():
        print(f'{name:38s} IoU median {row["median"]:.3f}  mean '
              f'{row["mean"]:.3f}  worst {row["worst"]:.3f}')
    args.out.write_text(json.dumps(dict(
        command='python benchmarks/mask_iou.py', people=len(data),
        cells=list(size), iou=rows), indent=1) + '\n')


if __name__ == '__main__':
    main()
