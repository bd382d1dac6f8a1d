"""Completers on what detectors really give: Table II of JUMPS.

    python benchmarks/jumps_detector.py [--only PART ...]

``noise``: held-out motion capture with ``DetectorNoise`` (the statistics of
BlazePose and OpenPose, ``benchmarks/detector_noise.py``). ``replayed``: the
very errors of BlazePose on people of LSP and LSPET together, one person's at a
time; half of the people, by a hash of their names, though nothing was fitted
to the other half but those statistics, which are of all of them. ``openpose``:
the real four-camera clip, OpenPose's joints against their triangulation from
all views (which is not free of the detector's errors itself). ``keep``, of the
validation part and with the errors of the other half of the people: what the
robust ridge's limit is chosen by. ``damaged`` are observed joints that the
detector put farther than a fifth of a head from the truth, ``good`` the
others; each row's difference to the input is paired over clips; intervals are
95 % over clips. Adds to ``benchmarks/results/jumps_detector.json``.
"""
from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from by_parts import run_parts
from completion import rows
from completion.clips import PIXELS, TWELVE, Clip, held_out, through
from completion.scores import COLUMNS, paired, score

from mirrorpose.datasets.lsp import default_data_root
from mirrorpose.datasets.sequences import build_hole
from mirrorpose.evaluation.sequences import SequencePCKh
from mirrorpose.models.completion import (
    CascadeCompleter,
    InterpolationCompleter,
)
from mirrorpose.structures import Skeleton

ROOT = Path(__file__).resolve().parents[1]
OUT = ROOT / 'benchmarks' / 'results' / 'jumps_detector.json'
OURS = Skeleton.from_name('mpi_inf_3dhp_28')
UNSEEN = dict(type='UnseenJoints')
#: Farther off than this, over the head, a joint is damaged.
DAMAGED = .2
#: Clips of a collection at most, and frames of a clip.
MANY = (40, 120)
#: Of the robust ridge: what ``keep`` may be.
LIMITS: tuple[float | bool, ...] = (False, 5., 7., 10., 14., 20.)
#: Whose errors are replayed.
REPLAYED = dict(type='ReplayedNoise', part='test',
                files=('lsp/lsp.npz', 'lspet/lspet.npz'))


def joint_sets(clip: Clip) -> dict[str, np.ndarray]:
    """The detector's own joints by how well it did, and the unseen."""
    known, own = clip.present, clip.present & TWELVE
    heads = SequencePCKh.heads(clip.truth[None], clip.present[None])[0]
    off = np.linalg.norm(clip.seen - clip.truth, axis=-1) / np.nan_to_num(
        heads, nan=np.inf)[:, None]
    bad = clip.observed & (off > DAMAGED)
    return dict(unseen=known & ~TWELVE & ~clip.observed & ~clip.derived,
                twelve=own,
                damaged=own & bad, good=own & clip.observed & ~bad,
                lost=own & ~clip.observed)


def completers() -> dict[str, Any]:
    """Rows, beside the input itself."""
    ridge, model = rows.trained('ridge_both_0'), rows.model_of('jumps_both_0')
    smooth, robust, doubts = (rows.trained('ridge_both_0')
                              for _ in range(3))
    smooth.noise, smooth.keep = .02, False
    robust.noise, robust.keep, robust.robust = .02, False, 8
    # What the others confirm stays where it was seen.
    doubts.noise, doubts.keep, doubts.robust = .02, 14., 8
    regressor = rows.trained('regressor-detector_both_0')
    plain = rows.trained('regressor_both_0')
    return {
        'interpolation': InterpolationCompleter(),
        'ridge': ridge, 'ridge, noise .02': smooth,
        'ridge, noise .02, robust': robust,
        'ridge, noise .02, robust, kept': doubts,
        'regressor': plain,
        'regressor of noise': regressor,
        'robust ridge, then regressor': CascadeCompleter(robust, plain),
        'robust ridge, then regressor of noise': CascadeCompleter(
            robust, regressor),
        'robust ridge, kept, then regressor': CascadeCompleter(
            doubts, plain),
        'robust ridge, kept, then regressor of noise':
            CascadeCompleter(doubts, regressor),
        'JUMPS': rows.jumps(model, {}),
        'JUMPS, observed not kept': rows.jumps(model, dict(keep=False)),
        'JUMPS, 10 steps, not kept': rows.jumps(model, dict(
            keep=False, search=dict(steps=10))),
        'JUMPS around regressor of noise': rows.jumps(model, dict(
            first=regressor, first_weight=.5, keep=False,
            search=dict(steps=20))),
    }


def spread(one: np.ndarray, other: np.ndarray) -> float:
    """Standard deviation over clips of the difference in area."""
    with np.errstate(invalid='ignore'):  # clips without such joints
        each = one[:, 3] / one[:, -1] - other[:, 3] / other[:, -1]
    return round(float(np.nanstd(each, ddof=1)), 4)


def table(clips: Sequence[Clip], title: str) -> dict[str, Any]:
    """All rows on some clips."""
    print(f'\n{title}: {len(clips)} clips')
    head = ' '.join(f'{c:>6s}' for c in COLUMNS)
    print(f'{"":47s}twelve: {head}  unseen: {head}  damaged   good AUC')
    raw = [np.where(c.observed[..., None], c.seen, np.nan) for c in clips]
    found: dict[str, Any] = {}
    before, parts = score(raw, clips, joint_sets)
    for name, completer in {'input': None, **completers()}.items():
        if completer is None:
            values, its, spent = before, parts, 0.
        else:
            done, spent, _ = rows.run(completer, clips)
            values, its = score(done, clips, joint_sets)
            for which in ('damaged', 'good', 'twelve'):
                if which in its:
                    values[which]['gain'] = paired(its[which], parts[which])
                    values[which]['gain_spread'] = spread(its[which],
                                                          parts[which])
        found[name] = dict(values, seconds=round(spent, 4))
        print(f'{name:54s} ' + '          '.join(' '.join(
            f'{values.get(k, {}).get(c, np.nan):6.3f}' for c in COLUMNS)
            for k in ('twelve', 'unseen')) + '  ' + ' '.join(
                f'{values.get(k, {}).get("AUC", np.nan):6.3f}'
                for k in ('damaged', 'good')), values.get(
                    'good', {}).get('gain', ''), flush=True)
    for which in ('damaged', 'good', 'unseen'):
        if which in before:
            print(f'{which}: {before[which]["joints"]} joints of '
                  f'{before[which]["clips"]} clips')
    return found


def noise() -> dict[str, Any]:
    """Noise with the statistics of detectors."""
    return {m: table(through(held_out(m, *MANY), [
        UNSEEN, dict(type='DetectorNoise')]), f'noise, {m}')
        for m in ('cmu', 'bandai')}


def replayed() -> dict[str, Any]:
    """BlazePose's errors on half of LSP's and LSPET's people."""
    hole = build_hole(REPLAYED)
    found: dict[str, Any] = {m: table(through(held_out(m, *MANY), [
        UNSEEN, hole]), f'replayed, {m}') for m in ('cmu', 'bandai')}
    return dict(found, people='half of LSP and LSPET')


def multiview_clips() -> list[Clip]:
    """The four views of the real clip, at 30 of its 60 frames a second.

    Its upper neck stands for the neck in the size of the head, and is not
    scored; its big toes are MPI-INF-3DHP's toes.
    """
    root = Path(default_data_root()) / 'multiview'
    with np.load(root / 'balancing.npz') as data:
        seen, points = data['kp2d'].astype(float), data['joints3d']
        names = data['joint_names'].tolist()
    cameras = json.loads((root / 'cameras.json').read_text())
    theirs = {OURS.index(j)[0]: i for i, j in enumerate(
        n.replace('big_toe', 'toe').replace('upper_neck', 'neck')
        for n in names) if j in OURS.joints}
    mine, there = list(theirs), list(theirs.values())
    out = []
    for view, camera in enumerate(cameras):
        place = (points @ np.array(camera['R']).T + camera['T']) @ np.array(
            camera['K']).T
        truth = np.full((len(place[::2]), len(OURS), 2), np.nan)
        truth[:, mine] = (place[..., :2] / place[..., 2:])[::2, there]
        shown = np.zeros((*truth.shape[:2], 3))
        shown[:, mine] = seen[view, ::2, there].swapaxes(0, 1)
        present = np.isfinite(truth).all(-1)
        observed = (shown[..., :2] != 0).all(-1) & TWELVE
        rise = np.nanmax(truth[..., 1], 1) - np.nanmin(truth[..., 1], 1)
        scale = 1.4 * PIXELS / np.nanmax(rise)
        out.append(Clip(
            f'view {view}', np.nan_to_num(truth * scale).astype(np.float32),
            present, np.array([j == 'neck' for j in OURS.joints]),
            (shown[..., :2] * observed[..., None] * scale).astype(np.float32),
            observed, (np.clip(shown[..., 2], 0, 1) * observed).astype(
                np.float32)))
    return out


def openpose() -> dict[str, Any]:
    """The real clip."""
    return table(multiview_clips(), 'OpenPose against triangulation')


def keep() -> dict[str, Any]:
    """What the robust ridge mends, and what that costs, by its limit."""
    hole, found = build_hole(dict(REPLAYED, part='train')), {}
    for m in ('cmu', 'bandai'):
        clips = through(held_out(m, 14, 120, part='val'), [UNSEEN, hole])
        _, before = score([np.where(c.observed[..., None], c.seen, np.nan)
                           for c in clips], clips, joint_sets)
        found[m] = {}
        for limit in LIMITS:
            ridge = rows.trained('ridge_both_0')
            ridge.noise, ridge.keep, ridge.robust = .02, limit, 8
            _, its = score(rows.run(ridge, clips)[0], clips, joint_sets)
            found[m][str(limit)] = gain = {
                k: paired(its[k], before[k]) for k in ('damaged', 'good')}
            print(f'keep={limit}, {m}, {len(clips)} clips: ' + ', '.join(
                '{} {:+.4f} [{:+.4f}, {:+.4f}]'.format(k, *v)
                for k, v in gain.items()), flush=True)
    return found


PARTS = dict(noise=noise, replayed=replayed, openpose=openpose, keep=keep)


if __name__ == '__main__':
    run_parts(__doc__, PARTS, OUT)
