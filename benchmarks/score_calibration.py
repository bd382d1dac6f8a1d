"""How well do scores of a prediction tell its error?

    python tools/train.py configs/mirrornet_small_lsp.py
    python benchmarks/score_calibration.py [WORK_DIR] [--stage NAME]

On LSP's test half: the heatmap's maximum, plausibility and fidelity
(``test_cfg=dict(scores=True)``), of images and of joints, against the true
error over the longer side of the tight box. Their best combination is chosen
and fitted on people of the training half whose labels the network has not
seen; the test half is for the figures alone. Prints Spearman's correlation
with the negative error and its 95 % interval over people (bootstrap), and
writes JSON and curves to ``benchmarks/results/``.
"""
from __future__ import annotations

import argparse
import itertools
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib.figure import Figure
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmengine.logging import MMLogger
from mmengine.registry import init_default_scope
from mmpose.registry import DATASETS
from scipy.stats import rankdata

from mirrorpose.apis import load_model
from mirrorpose.evaluation import LspPCK
from mirrorpose.visualization.curves import figure_png

ROOT = Path(__file__).resolve().parents[1]
RESULT = ROOT / 'benchmarks' / 'results' / 'score_calibration.json'
#: Feature to what it is, of an image.
OF_IMAGE = {
    'maximum': 'heatmap maximum, mean of the joints',
    'lowest maximum': 'heatmap maximum, lowest of the joints',
    'plausibility': 'plausibility',
    'lowest plausibility': 'plausibility, lowest of the joints',
    'fidelity': 'fidelity',
    'fidelity at joints': 'fidelity about the joints, mean',
}
#: The same of a joint.
OF_JOINT = {
    'maximum': 'heatmap maximum',
    'plausibility': 'plausibility of the joint',
    'fidelity': 'fidelity about the joint',
    'maximum of image': 'heatmap maximum, mean of the joints',
    'plausibility of image': 'plausibility of the pose',
    'fidelity of image': 'fidelity of the image',
}
FOLDS = 5


def predict(model: Any, dataset: Any, batch_size: int = 64) -> dict:
    """Errors and scores of every person: (N, K) arrays, (N,) arrays."""
    held: dict[str, list] = {k: [] for k in (
        'error', 'present', 'keypoint_scores', 'keypoint_plausibility',
        'keypoint_fidelity', 'plausibility', 'fidelity')}
    for start in range(0, len(dataset), batch_size):
        rows = range(start, min(start + batch_size, len(dataset)))
        with torch.no_grad():
            samples = model.test_step(pseudo_collate(
                [dataset[i] for i in rows]))
        for sample in samples:
            found, truth = sample.pred_instances, sample.gt_instances
            points = np.asarray(truth.keypoints)[:, :, :2]
            present = np.asarray(truth.keypoints_visible).reshape(
                1, -1) > 0
            size = LspPCK.normalisers(points, present, 'bbox')[0]
            held['error'].append(np.linalg.norm(
                found.keypoints[0] - points[0], axis=-1) / size)
            held['present'].append(present[0])
            for key in held:
                if key in found:
                    held[key].append(found[key][0])
    out = {k: np.array(v) for k, v in held.items()}
    out['mean_error'] = np.nanmean(
        np.where(out['present'], out['error'], np.nan), 1)
    out['wrong'] = 1 - np.nanmean(np.where(
        out['present'], out['error'] <= .2, np.nan), 1)
    return out


def features(p: dict) -> tuple[dict, dict]:
    """Scores of images (N,) and of joints (N, K), by name."""
    image = {'maximum': p['keypoint_scores'].mean(1),
             'lowest maximum': p['keypoint_scores'].min(1),
             'plausibility': p['plausibility'],
             'lowest plausibility': p['keypoint_plausibility'].min(1),
             'fidelity': p['fidelity'],
             'fidelity at joints': p['keypoint_fidelity'].mean(1)}
    joint = {'maximum': p['keypoint_scores'],
             'plausibility': p['keypoint_plausibility'],
             'fidelity': p['keypoint_fidelity']}
    for name in ('maximum', 'plausibility', 'fidelity'):
        joint[f'{name} of image'] = np.repeat(
            image[name][:, None], p['error'].shape[1], 1)
    return image, joint


def spearman(score: np.ndarray, error: np.ndarray) -> float:
    """Correlation of ranks with the negative error; ties averaged."""
    return float(np.corrcoef(rankdata(score), rankdata(-error))[0, 1])


class Combination:
    """A linear score of standardised features, fitted to the log error."""

    def __init__(self, scores: dict, error: np.ndarray,
                 names: tuple[str, ...]) -> None:
        self.names = names
        x = np.stack([scores[n].ravel() for n in names], 1)
        self.mean, self.scale = x.mean(0), x.std(0) + 1e-9
        design = np.c_[(x - self.mean) / self.scale, np.ones(len(x))]
        self.weights = np.linalg.lstsq(
            design, -np.log(error.ravel() + .01), rcond=None)[0]

    def __call__(self, scores: dict) -> np.ndarray:
        """The score of people or joints, shaped like each feature."""
        x = np.stack([scores[n] for n in self.names], -1)
        return (x - self.mean) / self.scale @ self.weights[:-1]


def best_combination(scores: dict, error: np.ndarray,
                     keep: np.ndarray) -> tuple[Combination, float]:
    """The subset of features that foretells best, over folds of people."""
    fold = np.arange(len(error)) % FOLDS

    def rows(chosen: np.ndarray) -> tuple[dict, np.ndarray]:
        mask = keep & chosen.reshape(-1, *[1] * (keep.ndim - 1))
        return {k: v[mask] for k, v in scores.items()}, error[mask]

    def quality(names: tuple[str, ...]) -> float:
        found = []
        for i in range(FOLDS):
            fit = Combination(*rows(fold != i), names)
            held_out, truth = rows(fold == i)
            found.append(spearman(fit(held_out), truth))
        return float(np.mean(found))

    subsets = [c for n in range(1, len(scores) + 1)
               for c in itertools.combinations(scores, n)]
    best = max(subsets, key=quality)
    return Combination(*rows(fold >= 0), best), quality(best)


def table(scores: dict, error: np.ndarray, keep: np.ndarray,
          draws: int, seed: int = 0) -> dict:
    """Spearman of every score, and its distance to the maximum's."""
    rng = np.random.default_rng(seed)
    people = len(error)

    def all_of(rows: np.ndarray) -> dict[str, float]:
        mask = keep[rows]
        return {k: spearman(v[rows][mask], error[rows][mask])
                for k, v in scores.items()}

    value = all_of(np.arange(people))
    drawn = [all_of(rng.integers(0, people, people)) for _ in range(draws)]
    out = {}
    for name in scores:
        sample = np.array([d[name] for d in drawn])
        apart = np.array([d[name] - d['maximum'] for d in drawn])
        out[name] = dict(
            spearman=value[name],
            interval=np.quantile(sample, [.025, .975]).tolist(),
            over_maximum=value[name] - value['maximum'],
            over_maximum_interval=np.quantile(apart, [.025, .975]).tolist())
    return out


def curve(score: np.ndarray, error: np.ndarray, bins: int = 10,
          draws: int = 1000) -> dict:
    """Mean error of every tenth of the people by score, and its interval.

    ``kept`` is the mean error of the best-scored share, for shares of
    5 % to 100 %.
    """
    rng = np.random.default_rng(0)
    order = np.argsort(-score, kind='stable')
    parts = [error[part] for part in np.array_split(order, bins)]
    low, high = zip(*(np.quantile(rng.choice(
        part, (draws, len(part))).mean(1), [.025, .975]) for part in parts))
    shares = np.arange(5, 101, 5) / 100
    return dict(
        error=[float(part.mean()) for part in parts],
        low=[float(x) for x in low], high=[float(x) for x in high],
        shares=shares.tolist(),
        kept=[float(error[order[:max(1, round(s * len(order)))]].mean())
              for s in shares])


def draw(curves: dict[str, dict], rows: dict, path: Path) -> None:
    """Two panels: error by tenth of a score, error of the best share."""
    figure = Figure(figsize=(9.2, 3.8), dpi=130)
    left, right = figure.subplots(1, 2)
    for i, (name, c) in enumerate(curves.items()):
        label = f'{name} ({rows[name]["spearman"]:.2f})'
        x = np.arange(1, len(c['error']) + 1)
        left.plot(x, c['error'], color=f'C{i}', marker='o', markersize=3,
                  label=label)
        left.fill_between(x, c['low'], c['high'], color=f'C{i}', alpha=.12,
                          linewidth=0)
        right.plot(np.array(c['shares']) * 100, c['kept'], color=f'C{i}',
                   label=label)
    left.set_xlabel('tenth of the people, best score first')
    left.set_ylabel('mean joint error / side of the tight box')
    right.set_xlabel('share of the people that is kept, %')
    right.set_ylabel('their mean joint error')
    left.legend(fontsize=8, frameon=False, title='score (Spearman)',
                title_fontsize=8)
    for axes in (left, right):
        axes.set_ylim(bottom=0)
        axes.grid(color='#e3e3e3', linewidth=.7)
        axes.set_axisbelow(True)
        for side in ('top', 'right'):
            axes.spines[side].set_visible(False)
    figure.tight_layout()
    path.write_bytes(figure_png(figure))


def render(title: str, rows: dict, names: dict) -> str:
    """A Markdown table."""
    lines = [f'| {title} | Spearman | 95 % | over the maximum | 95 % |',
             '| --- | ---: | --- | ---: | --- |']
    for name, row in rows.items():
        low, high = row['interval']
        a, b = row['over_maximum_interval']
        lines.append(
            f'| {names.get(name, name)} | {row["spearman"]:.3f} | '
            f'{low:.3f} to {high:.3f} | {row["over_maximum"]:+.3f} | '
            f'{a:+.3f} to {b:+.3f} |')
    return '\n'.join(lines)


def main() -> None:
    """Predicts, fits, prints and writes."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('work_dir', nargs='?', type=Path,
                        default=ROOT / 'work_dirs' / 'mirrornet_small_lsp')
    parser.add_argument('--stage', default='supervised_long',
                        help='a joint stage (default: %(default)s, which '
                        'has never seen the un-annotated images)')
    parser.add_argument('--draws', type=int, default=500)
    parser.add_argument('--out', type=Path, default=RESULT)
    args = parser.parse_args()
    started = time.time()
    init_default_scope('mmpose')
    MMLogger.get_instance('calibration', log_level='ERROR')
    folder = args.work_dir / args.stage
    cfg = Config.fromfile(folder / f'{args.stage}.py')
    checkpoint = folder / Path((folder / 'last_checkpoint').read_text()
                               .strip()).name
    model = load_model(cfg, checkpoint)
    model.test_cfg = dict(model.test_cfg, scores=True)
    test = cfg.test_dataloader.dataset
    held_out = dict(test, subset='train', part='unlabelled',
                    label_fraction=cfg.label_fraction, split_seed=0)
    p = predict(model, DATASETS.build(test))
    q = predict(model, DATASETS.build(held_out))
    out: dict[str, Any] = dict(
        work_dir=args.work_dir.name, stage=args.stage,
        checkpoint=checkpoint.name, test_people=len(p['error']),
        validation_people=len(q['error']), draws=args.draws,
        mean_error=float(p['mean_error'].mean()),
        pck=float(100 * (1 - p['wrong'].mean())))
    everyone = np.ones(len(p['error']), bool)
    mine, theirs = features(p), features(q)
    image, quality = best_combination(
        theirs[0], q['mean_error'], np.ones(len(q['error']), bool))
    joint, joint_quality = best_combination(theirs[1], q['error'],
                                            q['present'])
    for fit, scores, value, where in (
            (image, mine[0], quality, 'images'),
            (joint, mine[1], joint_quality, 'joints')):
        scores['combination'] = fit(scores)
        out[f'{where}_combination'] = dict(
            features=list(fit.names), weights=fit.weights[:-1].tolist(),
            validation_spearman=value)
    out['images'] = table(mine[0], p['mean_error'], everyone, args.draws)
    out['joints'] = table(mine[1], p['error'], p['present'],
                          max(args.draws // 5, 20))
    names = ('maximum', 'plausibility', 'fidelity', 'combination')
    out['curves'] = {n: curve(mine[0][n], p['mean_error']) for n in names}
    for title, key, labels in (('image', 'images', OF_IMAGE),
                               ('joint', 'joints', OF_JOINT)):
        chosen = ' + '.join(out[f'{key}_combination']['features'])
        print(render(title, out[key], dict(
            labels, combination=f'best combination ({chosen})')) + '\n')
    out['seconds'] = round(time.time() - started)
    args.out.parent.mkdir(exist_ok=True)
    args.out.write_text(json.dumps(out, indent=1) + '\n')
    draw(out['curves'], out['images'], args.out.with_suffix('.png'))
    print(f'{args.out} and .png, {out["seconds"]} s')


if __name__ == '__main__':
    main()
