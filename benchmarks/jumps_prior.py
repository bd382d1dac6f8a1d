"""What JUMPS' critic can tell apart, as a prior of sequences.

    python benchmarks/jumps_prior.py

Held-out windows against the same windows damaged. ``pairs``: how often the
true one scores higher than its own damaged copy; ``ROC``: than any damaged
window (chance is 0.5 in both). Beside it the log density of the ridge
completer's Gaussian, which was fitted to the same motion in 15 s. Writes
``benchmarks/results/jumps_prior.json``.
"""
from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import torch
from completion import rows
from completion.clips import PIXELS, SKELETON, held_out
from mmengine.logging import MMLogger
from torch import Tensor

from mirrorpose.models.pose.canonical_frame import canonical_frame

ROOT = Path(__file__).resolve().parents[1]


def windows() -> Tensor:
    """(N, 24, 28, 2) canonical, of both collections."""
    cut = [torch.from_numpy(c.truth / PIXELS).unfold(0, 24, 24).movedim(-1, 1)
           for m in ('cmu', 'bandai') for c in held_out(m, 100, 240)
           if c.present.all()]
    x = torch.cat(cut)
    return canonical_frame(x).apply(x)


def damages(x: Tensor) -> dict[str, Tensor]:
    """The same windows with something wrong."""
    noise = torch.Generator().manual_seed(0)
    rows_, count = torch.arange(len(x)), len(x)

    def moved(size: float) -> Tensor:
        joint = torch.randint(28, (count, ), generator=noise)
        turn = 6.2832 * torch.rand(count, generator=noise)
        out = x.clone()
        out[rows_, :, joint] += size * torch.stack(
            [turn.cos(), turn.sin()], -1)[:, None]
        return out

    def jitter(size: float) -> Tensor:
        return x + size * torch.randn(x.shape, generator=noise)

    other = x[torch.randperm(count, generator=noise)]
    arm = SKELETON.index('left_elbow', 'left_wrist', 'left_hand')
    shoulder = SKELETON.index('left_shoulder')
    strange = x.clone()
    strange[:, :, arm] = other[:, :, arm] - other[:, :, shoulder] + \
        x[:, :, shoulder]
    legs = [[f'{s}_{j}' for j in ('hip', 'knee', 'ankle', 'foot', 'toe')]
            for s in ('left', 'right')]
    left, right = (SKELETON.index(*names) for names in legs)
    swapped = x.clone()
    swapped[:, :, left], swapped[:, :, right] = x[:, :, right], x[:, :, left]
    order = torch.rand(count, 24, generator=noise).argsort(1)
    half = x.clone()
    half[:, 12:] = other[:, 12:]
    return {
        'a joint .05 off': moved(.05), 'a joint .1 off': moved(.1),
        'a joint .3 off': moved(.3), 'jitter .005': jitter(.005),
        'jitter .02': jitter(.02), 'frozen': x[:, :1].expand_as(x),
        'played backwards': x.flip(1), 'frames shuffled': x[
            rows_[:, None], order],
        'legs exchanged': swapped, "somebody else's arm": strange,
        'a cut to another clip': half, 'upside down': -x,
        'noise': .3 * torch.randn(x.shape, generator=noise)}


def compared(score: Callable[[Tensor], Tensor], x: Tensor,
             damaged: dict[str, Tensor]) -> dict[str, dict[str, float]]:
    """Pairs and ROC of every damage."""
    with torch.no_grad():
        true = score(x)
        out = {}
        for name, wrong in damaged.items():
            other = score(wrong.contiguous())
            roc = (true[:, None] > other).float().mean()
            out[name] = dict(
                pairs=round(float((true > other).float().mean()), 3),
                ROC=round(float(roc), 3))
    return out


def main() -> None:
    """Measures, prints and writes."""
    torch.set_num_threads(1)
    MMLogger.get_instance('mmengine').setLevel('ERROR')
    x = windows()
    damaged = damages(x)
    model, ridge = rows.model_of('jumps_both_0'), rows.trained('ridge_both_0')
    found = {'critic': compared(model.score, x, damaged),
             'Gaussian': compared(ridge.score, x, damaged)}
    print(f'{len(x)} windows{"":14s}critic: pairs   ROC   Gaussian: pairs'
          '   ROC')
    for name in damaged:
        one, two = found['critic'][name], found['Gaussian'][name]
        print(f'{name:30s}{one["pairs"]:8.3f}{one["ROC"]:7.3f}'
              f'{two["pairs"]:14.3f}{two["ROC"]:8.3f}')
    out = ROOT / 'benchmarks/results/jumps_prior.json'
    out.write_text(json.dumps(dict(windows=len(x), **found), indent=1) + '\n')
    print('written to', out.relative_to(ROOT))


if __name__ == '__main__':
    main()
