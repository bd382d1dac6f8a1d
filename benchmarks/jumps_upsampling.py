"""Completers on held-out motion capture: Table I of JUMPS, and more.

    python -m benchmarks.completion.training ridge_both_0 regressor_both_0 ...
    python benchmarks/jumps_upsampling.py [--only PART ...]

Test clips are those of whole subjects (CMU) and styles (Bandai-Namco) that
no completer was trained on, each seen by one camera; holes are drawn for 48
frames at a time. Every completer is called as a user calls it,
``mirrorpose.apis.complete``. PCKh by the distance from neck to head top;
``AUC`` is its area over [0, 1]; ``unseen`` are the 16 joints that are never
inputs, ``lost`` those of the twelve that a hole hides. Intervals are 95 %
over clips. Parts: ``table1`` (rows and columns of the paper, completers
beside them), ``literal`` (the paper's search to the letter, on fewer
frames), ``holes`` (a table each), ``crossed`` (trained on the other
collection, or on the embedded world), ``seeds``, ``variants`` (what the
training of JUMPS has beyond the paper), ``options`` (of the search),
``hypotheses`` (is the spread the error?), ``answers`` (is the truth among
eight?). Results are added to
``benchmarks/results/jumps_upsampling.json`` part by part.
"""
from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from by_parts import run_parts
from completion import rows
from completion.answers import Windows
from completion.clips import Clip, held_out, through
from completion.scores import COLUMNS, paired, score
from completion.training import checkpoint

from mirrorpose.models.completion import InterpolationCompleter

ROOT = Path(__file__).resolve().parents[1]
OUT = ROOT / 'benchmarks' / 'results' / 'jumps_upsampling.json'
MOTIONS = ('cmu', 'bandai')
#: Clips of a collection at most, and frames of a clip.
MANY = (40, 120)
UNSEEN = dict(type='UnseenJoints')
HOLES: dict[str, list[dict]] = {
    '20 % of joints dropped': [dict(type='RandomDrops', p=.2)],
    'a limb for 0.5 s': [dict(type='HiddenLimb', seconds=.5)],
    'a limb for 1 s': [dict(type='HiddenLimb', seconds=1.)],
    'a limb throughout': [dict(type='HiddenLimb', seconds=1e3)],
    '8 frames': [dict(type='MissingFrames', n=8)],
    '14 frames': [dict(type='MissingFrames', n=14)],
    '24 frames': [dict(type='MissingFrames', n=24)],
}
Made = tuple[str, Callable[[], Any], str]


def completers(motion: str = 'both') -> list[Made]:
    """Rivals, and JUMPS as it works best."""
    return [
        ('interpolation', InterpolationCompleter, 'blend'),
        ('8 nearest poses', lambda: rows.nearest(motion), 'blend'),
        ('ridge', lambda: rows.trained(f'ridge_{motion}_0'), 'blend'),
        ('regressor', lambda: rows.trained(f'regressor_{motion}_0'),
         'blend'),
        ('ridge, then regressor', lambda: rows.cascade(motion), 'blend'),
    ]


def jumps_rows(model: Any, chosen: dict[str, tuple[dict, str]]
               ) -> list[Made]:
    """Rows of one trained model."""
    return [(name, lambda o=options: rows.jumps(model, o), overlap)
            for name, (options, overlap) in chosen.items()]


def table(made: Sequence[Made], clips: dict[str, list[Clip]],
          title: str) -> dict[str, Any]:
    """Runs all rows on all collections, prints and returns the table."""
    print(f'\n{title}')
    print(f'{"":30s} {"":7s} all: ' + ' '.join(f'{c:>6s}' for c in COLUMNS)
          + '   unseen AUC [95 %]        lost AUC  s/s')
    found: dict[str, Any] = {}
    for name, build, overlap in made:
        completer = build()
        for motion, its in clips.items():
            done, spent, _ = rows.run(completer, its, overlap)
            values, parts = score(done, its)
            found.setdefault(motion, {})[name] = dict(
                values, seconds=round(spent, 4))
            found.setdefault('_parts', {}).setdefault(motion, {})[
                name] = parts
            never = values.get('unseen', {})
            lost = values.get('lost', {}).get('AUC', float('nan'))
            print(f'{name:30s} {motion:7s}      ' + ' '.join(
                f'{values["all"][c]:6.3f}' for c in COLUMNS)
                + f'   {never.get("AUC", np.nan):6.3f} '
                f'{never.get("interval", ("", ""))}  {lost:6.3f}  '
                f'{spent:.4f}', flush=True)
    return found


def differences(found: dict[str, Any], base: str,
                joints: str = 'unseen') -> dict[str, Any]:
    """Each row against one, over the same clips; removes the sums."""
    parts = found.pop('_parts')
    return {motion: {name: paired(its[joints], of[base][joints])
                     for name, its in of.items()
                     if name != base and joints in its}
            for motion, of in parts.items()}


def clips_of(number: int | None, longest: int) -> dict[str, list[Clip]]:
    """Held-out clips of both collections."""
    return {m: held_out(m, number, longest) for m in MOTIONS}


def table1() -> dict[str, Any]:
    """12 joints to 28."""
    clips = {m: through(c, [UNSEEN]) for m, c in clips_of(*MANY).items()}
    model = rows.model_of('jumps_both_0')
    found = table([*completers(), *jumps_rows(model, rows.JUMPS_ROWS)],
                  clips, '12 joints to 28')
    against = differences(found, 'regressor')
    return dict(found, against_regressor=against,
                jumps=str(checkpoint('jumps_both_0').name))


def literal() -> dict[str, Any]:
    """The paper's search, 48 frames of 8 clips of each collection."""
    clips = {m: through(c, [UNSEEN]) for m, c in clips_of(8, 48).items()}
    model = rows.model_of('jumps_both_0')
    found = table([*jumps_rows(model, rows.LITERAL_ROWS),
                   *jumps_rows(model, {'JUMPS': rows.JUMPS_ROWS['JUMPS']})],
                  clips, 'Eqs. 9 and 10 to the letter')
    found.pop('_parts')
    return found


def holes() -> dict[str, Any]:
    """Each kind of hole among the twelve joints."""
    clips, model = clips_of(*MANY), rows.model_of('jumps_both_0')
    out = {}
    for name, pattern in HOLES.items():
        its = {m: through(c, [UNSEEN, *pattern]) for m, c in clips.items()}
        found = table([*completers(), *jumps_rows(model, {
            'JUMPS': rows.JUMPS_ROWS['JUMPS']}),
            ('JUMPS around ridge', lambda: rows.jumps(model, dict(
                first=rows.trained('ridge_both_0'))), 'blend'),
            ('ridge, JUMPS, then regressor', lambda: rows.cascade(
                model=model), 'blend')], its, name)
        against = differences(found, 'interpolation', 'lost')
        out[name] = dict(found, lost_against_interpolation=against)
    return out


def crossed() -> dict[str, Any]:
    """Trained on one collection, tested on the other."""
    out = {}
    for motion, other in (('cmu', 'bandai'), ('bandai', 'cmu'),
                          ('synthetic', 'cmu'), ('synthetic', 'bandai')):
        clips = {other: through(held_out(other, *MANY), [UNSEEN])}
        made = [completers()[0], *completers(motion)[1:]] if (
            motion != 'synthetic') else completers(motion)[2:3]
        try:
            model = rows.model_of(f'jumps-short_{motion}_0')
            made += jumps_rows(model, {'JUMPS': rows.JUMPS_ROWS['JUMPS']})
        except FileNotFoundError as error:
            print(error)
        found = table(made, clips, f'trained on {motion}')
        found.pop('_parts')
        out[f'{motion} to {other}'] = found[other]
    return out


def spread_of(names: Sequence[str], clips: dict[str, list[Clip]],
              **options: Any) -> dict[str, Any]:
    """Unseen area of several trainings, of JUMPS with options."""
    out: dict[str, Any] = {}
    for name in names:
        try:
            completer = rows.trained(name)
        except FileNotFoundError as error:
            print(error)
            continue
        if options:
            completer = rows.jumps(completer.model, options)
        for motion, its in clips.items():
            done, _, _ = rows.run(completer, its)
            values, _ = score(done, its)
            out.setdefault(name, {})[motion] = {
                k: values[k]['AUC'] for k in ('unseen', 'all')}
        print(name, out[name], flush=True)
    return out


def seeds() -> dict[str, Any]:
    """The same training from other seeds."""
    clips = {m: through(c, [UNSEEN]) for m, c in clips_of(*MANY).items()}
    return spread_of([f'{kind}_both_{seed}' for kind in (
        'regressor', 'jumps-short') for seed in range(3)], clips)


def variants() -> dict[str, Any]:
    """What the training has beyond the paper, one thing at a time."""
    clips = {m: through(c, [UNSEEN]) for m, c in clips_of(*MANY).items()}
    found = spread_of([f'jumps-{v}_both_0' for v in (
        'paper', 'prior', 'masked', 'short', 'R1')], clips)
    started = spread_of([f'jumps-{v}_both_0' for v in (
        'paper', 'prior', 'masked', 'short', 'R1')], clips,
        search=dict(steps=0))
    found.update({f'{name}, no step': v for name, v in started.items()})
    # The paper's row without E was trained without it.
    without = spread_of([f'jumps-{v}_both_0' for v in (
        'paper', 'noencoder')], clips, use_encoder=False, restarts=8)
    return dict(found, **{f'{name}, searched without E': v
                          for name, v in without.items()})


def options() -> dict[str, Any]:
    """What the search has beyond the paper, with and without noise."""
    clips, model = clips_of(*MANY), rows.model_of('jumps_both_0')
    ridge = rows.trained('ridge_both_0')
    regressor = rows.trained('regressor_both_0')
    chosen: dict[str, tuple[dict, str]] = {
        'JUMPS': (dict(), 'blend'),
        'latents on the shell': (dict(search=dict(longest=1.)), 'blend'),
        'critic .1': (dict(search=dict(critic_weight=.1)), 'blend'),
        'aligned without scale': (dict(search=dict(alignment='rigid')),
                                  'blend'),
        'aligned without rotation': (dict(search=dict(alignment='scaling')),
                                     'blend'),
        '200 steps, patience 5': (dict(search=dict(steps=200, patience=5)),
                                  'blend'),
        'around ridge': (dict(first=ridge), 'blend'),
        'around ridge, held .5': (dict(first=ridge, first_weight=.5),
                                  'blend'),
        'around regressor': (dict(first=regressor), 'blend'),
        'around regressor, held .5': (
            dict(first=regressor, first_weight=.5), 'blend'),
        'around regressor, held 1': (
            dict(first=regressor, first_weight=1.), 'blend'),
    }
    out = {}
    for name, pattern in (('clean', []),
                          ('detector', [dict(type='DetectorNoise')])):
        its = {m: through(c, [UNSEEN, *pattern]) for m, c in clips.items()}
        found = table([*completers()[2:4], *jumps_rows(model, chosen)], its,
                      f'options of the search, {name}')
        against = differences(found, 'JUMPS')
        out[name] = dict(found, against_default=against)
    return out


def hypotheses() -> dict[str, Any]:
    """Several answers for a limb that is never seen: is the truth there?

    The spread of each completer against its error (Spearman), and the best
    of 8 searches against the mean answer.
    """
    from scipy.stats import spearmanr
    clips, model = clips_of(40, 96), rows.model_of('jumps_both_0')
    its = {m: through(c, [UNSEEN, HOLES['a limb throughout'][0]])
           for m, c in clips.items()}
    made: list[Made] = [
        ('ridge', lambda: rows.trained('ridge_both_0'), 'blend'),
        ('regressor', lambda: rows.trained('regressor_both_0'), 'blend'),
        ('JUMPS, 8 starts', lambda: rows.jumps(model, dict(
            restarts=7, temperature=.3)), 'blend')]
    out: dict[str, Any] = {}
    for name, build, overlap in made:
        completer = build()
        for motion, known in its.items():
            done, _, spread = rows.run(completer, known, overlap)
            values, _ = score(done, known)
            error, guess = [], []
            for p, s, c in zip(done, spread, known):
                lost = c.present & ~c.observed
                error.append(np.linalg.norm(p - c.truth, axis=-1)[lost])
                guess.append(s[lost])
            e, g = np.concatenate(error), np.concatenate(guess)
            out.setdefault(motion, {})[name] = dict(
                lost=values['lost']['AUC'], unseen=values['unseen']['AUC'],
                spearman=round(float(spearmanr(e, g)[0]), 3),
                error=round(float(e.mean()), 2),
                spread=round(float(g.mean()), 2),
                within_2_spreads=round(float((e < 2 * g).mean()), 3))
            print(f'{name:20s} {motion:7s}', out[motion][name], flush=True)
    return out


def answers() -> dict[str, Any]:
    """Eight answers for windows in which a limb is never seen."""
    model = rows.model_of('jumps_both_0')
    ridge = rows.trained('ridge_both_0')
    made = {'regressor': (rows.trained('regressor_both_0'), None),
            'ridge': (ridge, ridge),
            'JUMPS': (rows.jumps(model, dict()),
                      rows.jumps(model, dict(restarts=7)))}
    out: dict[str, Any] = {}
    for motion, clips in clips_of(40, 96).items():
        windows = Windows(through(clips, [
            UNSEEN, HOLES['a limb throughout'][0]]))
        for name, (one, several) in made.items():
            row = windows.judge(one, several)
            out.setdefault(motion, {})[name] = row
            print(f'{name:12s} {motion:7s}', row, flush=True)
    return out


PARTS = dict(table1=table1, literal=literal, holes=holes, crossed=crossed,
             seeds=seeds, variants=variants, options=options,
             hypotheses=hypotheses, answers=answers)


if __name__ == '__main__':
    run_parts(__doc__, PARTS, OUT)
