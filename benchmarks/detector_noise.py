"""How real detectors err: what ``DetectorNoise``'s defaults come from.

    python benchmarks/detector_noise.py

BlazePose's 12 limb joints against the truth of LSP and LSPET (size,
correlation between joints, outliers, swaps, confidence), and OpenPose's
against the triangulation of four views of ``multiview/balancing.npz``
(correlation in time; what the triangulation took from a view's error is
missing there). Errors are in units of the canonical frame, twice the distance
from head top to the hips' middle. Beside each stands what ``DetectorNoise``
makes. Writes ``benchmarks/results/detector_noise.json``.
"""
from __future__ import annotations

import json
from pathlib import Path

import numpy as np

import mirrorpose  # noqa: F401  (makes mmpose importable)
from mirrorpose.datasets.lsp import default_data_root
from mirrorpose.datasets.sequences import (
    LIMB_JOINTS,
    DetectorNoise,
    blazepose_residuals,
)
from mirrorpose.structures import Skeleton

ROOT = Path(__file__).resolve().parents[1]
OURS = Skeleton.from_name('mpi_inf_3dhp_28')
FAR = .08
CHAINS = [[f'{side}_{j}' for j in limb] for side in ('left', 'right')
          for limb in (('shoulder', 'elbow', 'wrist'),
                       ('hip', 'knee', 'ankle'))]


def made_errors(far: float) -> tuple[np.ndarray, ...]:
    """The same of ``DetectorNoise``, from one frame of many windows."""
    keys = np.arange(6000, dtype=np.uint64) * np.uint64(7919)
    still = np.zeros((6000, 1, 28, 2), np.float32)
    noise = DetectorNoise(swaps=0., drop_below=0., outliers=far)
    seen = noise.detect(still, np.ones((6000, 1, 28), bool), keys)
    rows = OURS.index(*LIMB_JOINTS)
    return (seen.keypoints[:, 0, rows], seen.confidence[:, 0, rows],
            np.ones((6000, 12), bool))


def summary(error: np.ndarray, confidence: np.ndarray,
            known: np.ndarray) -> dict[str, float]:
    """The figures of the table."""
    length = np.linalg.norm(error, axis=-1)
    good = error[((length < FAR) & known).all(1)]
    table = np.corrcoef(good[..., 0].T) + np.corrcoef(good[..., 1].T)
    place = {j: i for i, j in enumerate(LIMB_JOINTS)}
    one, two, other = [], [], []
    for i, a in enumerate(LIMB_JOINTS):
        for j, b in enumerate(LIMB_JOINTS[:i]):
            chain = next((c for c in CHAINS if a in c and b in c), None)
            apart = abs(chain.index(a) - chain.index(b)) if chain else 3
            (one, two, other)[apart - 1].append(table[place[a], j] / 2)
    out = dict(
        jitter=float(good.std((0, 1)).mean()), neighbours=np.mean(one),
        two_apart=np.mean(two), others=np.mean(other),
        far=float((length > FAR)[known].mean()),
        far_median=float(np.median(length[known & (length > FAR)])),
        confidence_below_tenth=float((confidence < .1)[known].mean()))
    for low, high in ((0, .02), (.04, .08), (.08, .16), (.16, .4)):
        at = known & (length >= low) & (length < high)
        out[f'confidence_{low}_{high}'] = float(np.median(confidence[at]))
    return {k: round(float(v), 3) for k, v in out.items()}


def swapped_share(error: np.ndarray, truth: np.ndarray) -> float:
    """Pairs of joints that fit exchanged and do not fit as they are."""
    seen, shares = truth + error, []
    for part in ('shoulder', 'elbow', 'wrist', 'hip', 'knee', 'ankle'):
        pair = [LIMB_JOINTS.index(f'{s}_{part}') for s in ('left', 'right')]
        plain = np.linalg.norm(error[:, pair], axis=-1).sum(1)
        turned = np.linalg.norm(seen[:, pair] - truth[:, pair[::-1]],
                                axis=-1).sum(1)
        shares.append(((turned < plain / 2) & (turned < .1)).mean())
    return round(float(np.mean(shares)), 3)


def time_correlation(root: Path) -> dict[str, float]:
    """Of OpenPose's errors, by frames at 60 per second."""
    with np.load(root / 'multiview/balancing.npz') as data:
        seen, points = data['kp2d'].astype(float), data['joints3d']
    cameras = json.loads((root / 'multiview/cameras.json').read_text())
    errors = []
    for view, camera in enumerate(cameras):
        place = (points @ np.array(camera['R']).T + camera['T']) @ np.array(
            camera['K']).T
        errors.append(seen[view, ..., :2] - place[..., :2] / place[..., 2:])
    error = np.stack(errors)
    error[(seen[..., :2] == 0).all(-1)] = np.nan
    error[np.linalg.norm(error, axis=-1) > 40] = np.nan
    error -= np.nanmean(error, 1, keepdims=True)
    return {str(lag): round(float(
        np.nanmean(error[:, lag:] * error[:, :-lag])
        / np.nanmean(error**2)), 2) for lag in (1, 2, 5, 8, 12)}


def main() -> None:
    """Measures, prints and writes."""
    root = Path(default_data_root())
    results: dict[str, dict] = {}
    for name in ('lsp', 'lspet'):
        found = blazepose_residuals(root / name / f'{name}.npz')
        results[name] = summary(*found[:3])
        results[name]['swapped'] = swapped_share(found.error, found.truth)
    results['DetectorNoise'] = summary(*made_errors(.05))
    results['time (OpenPose)'] = time_correlation(root)
    noise = DetectorNoise()
    results['time (DetectorNoise)'] = {
        lag: round((1 - noise.white) * float(
            np.exp(-int(lag) / 60 / noise.seconds)), 2)
        for lag in results['time (OpenPose)']}
    for name, figures in results.items():
        print(name)
        for key, value in figures.items():
            print(f'  {key:24s} {value}')
    out = ROOT / 'benchmarks/results/detector_noise.json'
    out.write_text(json.dumps(results, indent=1) + '\n')
    print(out.relative_to(ROOT))


if __name__ == '__main__':
    main()
