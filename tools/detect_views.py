r"""Find 2D joints in synchronised views, for metric pose on detections.

    python tools/detect_views.py configs/metric_pose_synthetic.py \
        configs/recognizer_views_synthetic.py CHECKPOINT OUT.npz

All views of the data config's training data set (every part of it) are given
to the recognizer, any mmpose top-down config whose joints are Human3.6M's 17.
``MultiViewDataset(detections='OUT.npz', inputs='keypoints')`` then reads what
was found in place of the true joints.
"""
from __future__ import annotations

import argparse
import sys
import warnings
from pathlib import Path
from typing import Any

import cli


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description='Find 2D joints in synchronised views')
    parser.add_argument('data', metavar='DATA_CONFIG')
    parser.add_argument('recognizer', metavar='RECOGNIZER_CONFIG')
    parser.add_argument('checkpoint', metavar='CHECKPOINT')
    parser.add_argument('out', type=Path, metavar='OUT.npz')
    parser.add_argument('--device', default='cpu')
    parser.add_argument('--batch-size', type=int, default=64)
    return parser.parse_args(argv)


def views_of(cfg: Any) -> Any:
    """The training data set with images, all parts, no augmentation."""
    from mmengine.registry import init_default_scope
    from mmpose.registry import DATASETS
    init_default_scope(cfg.get('default_scope', 'mmpose'))
    data = dict(cfg.train_dataloader.dataset)
    if data.get('type') != 'MultiViewDataset':
        raise ValueError('the data config trains on a '
                         f'{data.get("type")}, not on a MultiViewDataset')
    for key in ('detections', 'min_score', 'triangulated', 'pipeline',
                'held_out'):
        data.pop(key, None)
    return DATASETS.build(dict(data, part='all', inputs='image',
                               augmentation=None, annotated=None,
                               min_views=1))


def main(argv: list[str] | None = None) -> None:
    """Detects and writes."""
    args = parse_args(argv)
    for path in (args.data, args.recognizer):
        cli.require_config(path)
    cli.require_checkpoint(args.checkpoint)
    warnings.filterwarnings('ignore', 'pkg_resources is deprecated')
    try:
        detect_views(args)
    except (OSError, ValueError) as error:
        raise cli.UsageError(str(error)) from error


def detect_views(args: argparse.Namespace) -> None:
    """Detects and writes.

    Raises:
        ValueError: Other data, other joints, or a damaged checkpoint.
    """
    from mmengine.config import Config
    from mmengine.utils import ProgressBar

    from mirrorpose.apis import load_model, recognize
    from mirrorpose.datasets.multiview.detections import (
        detect,
        write_detections,
    )
    data = views_of(Config.fromfile(args.data))
    model = load_model(args.recognizer, args.checkpoint, args.device)
    bar = ProgressBar(len(data))

    def find(images: Any) -> list[Any]:
        found = [people[0] for people in recognize(
            model, images, batch_size=args.batch_size)]
        bar.update(len(images))
        return found

    found = detect(find, data)
    write_detections(args.out, found)
    print(f'\n{args.out}: {len(found.ids)} views, mean score '
          f'{found.scores.mean():.2f}{distance(data, found)}')


def distance(data: Any, found: Any) -> str:
    """How far from the true joints it was found, where those are seen."""
    import numpy as np
    off = np.linalg.norm(found.keypoints - data.keypoints, axis=-1)
    off = off[(data.visible == 2) & np.isfinite(off)]
    if not len(off):
        return ''
    return (f'; {off.mean():.1f} pixels of {data.size} from the true joints '
            f'that are seen (median {np.median(off):.1f})')


if __name__ == '__main__':
    sys.exit(cli.run(main))
