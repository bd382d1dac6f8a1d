"""The completers of the tables, by name."""
from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from mmengine.config import Config
from mmengine.registry import init_default_scope

from mirrorpose.apis import complete
from mirrorpose.apis.completers import load_completer
from mirrorpose.datasets.sequences import PoseSequenceDataset
from mirrorpose.models.completion import CascadeCompleter
from mirrorpose.models.jumps import JumpsCompleter

from .clips import ROOT, Clip
from .nearest import NearestPoses
from .training import checkpoint

#: Eqs. 9 and 10 to the letter, and 8 starts.
LITERAL = dict(steps=200, rate=1., critic_weight=15.)
#: JUMPS' rows: arguments of JumpsCompleter, and how windows are joined. The
#: paper's rows stand twice, by its own search and by the one that works.
JUMPS_ROWS: dict[str, tuple[dict[str, Any], str]] = {
    'JUMPS': (dict(), 'blend'),
    'JUMPS, frames selected': (dict(), 'select'),
    'JUMPS, no overlap': (dict(), 'none'),
    'JUMPS, no encoder (8 starts)': (
        dict(use_encoder=False, restarts=8), 'blend'),
    'JUMPS, no Procrustes': (dict(search=dict(alignment='none')), 'blend'),
    'JUMPS, G(E(x))': (dict(search=dict(steps=0)), 'blend'),
    'JUMPS, 10 steps': (dict(search=dict(steps=10)), 'blend'),
    'JUMPS, 200 steps': (dict(search=dict(steps=200)), 'blend'),
    'JUMPS, 1 + 7 starts': (dict(restarts=7), 'blend'),
    'JUMPS, observed not kept': (dict(keep=False), 'blend'),
}
LITERAL_ROWS: dict[str, tuple[dict[str, Any], str]] = {
    'literal: full': (dict(restarts=7, keep=False, search=LITERAL),
                      'select'),
    'literal: no overlap': (dict(restarts=7, keep=False, search=LITERAL),
                            'none'),
    'literal: no encoder': (dict(use_encoder=False, restarts=8, keep=False,
                                 search=LITERAL), 'select'),
    'literal: no Procrustes': (dict(restarts=7, keep=False, search=dict(
        LITERAL, alignment='none')), 'select'),
    'literal: critic off': (dict(restarts=7, keep=False, search=dict(
        LITERAL, critic_weight=0.)), 'select'),
}


def trained(name: str) -> Any:
    """The completer of a finished run."""
    return load_completer(checkpoint(name))


def model_of(name: str) -> Any:
    """The network of a JUMPS run."""
    return trained(name).model


def jumps(model: Any, options: dict[str, Any]) -> JumpsCompleter:
    """A search over a model."""
    return JumpsCompleter(model, **options)


def nearest(motion: str, k: int = 8) -> NearestPoses:
    """k nearest poses of the training part."""
    init_default_scope('mmpose')
    cfg = Config.fromfile(ROOT / 'configs' / '_base_' / 'datasets' /
                          'mocap_sequences.py')
    sources = cfg.sources if motion == 'both' else [cfg[motion]]
    return NearestPoses(PoseSequenceDataset(
        sources=sources, part='train', data_root=cfg.data_root,
        mirror=.5, views=2, holes=[dict(type='UnseenJoints')]), k)


def cascade(motion: str = 'both', seed: int = 0,
            model: Any = None) -> CascadeCompleter:
    """Ridge for what is lost, the regressor for what is never seen.

    With a ``model`` of JUMPS as ``configs/cascade_mocap.py``, which is what
    ``complete()`` takes: limbs that are hidden throughout are its.
    """
    ridge = trained(f'ridge_{motion}_0')
    return CascadeCompleter(
        ridge, trained(f'regressor_{motion}_{seed}'),
        never=None if model is None else jumps(model, dict(first=ridge)))


def run(completer: Any, clips: Sequence[Clip],
        overlap: str = 'blend') -> tuple[list[np.ndarray], float,
                                         list[np.ndarray]]:
    """Completes clips as a user does.

    Returns:
        tuple: (T, 28, 2) of each clip, processor time a second of video (25
        frames), and the spreads.
    """
    start = time.process_time()
    done = complete([c.seen for c in clips],
                    confidence=[c.confidence for c in clips],
                    visible=[c.observed for c in clips],
                    joints='mpi_inf_3dhp_28', completer=completer,
                    overlap=overlap)
    spent = time.process_time() - start
    frames = sum(len(c.seen) for c in clips)
    return ([t.keypoints for t in done], 25 * spent / frames,
            [t.spread for t in done])


Row = tuple[str, Callable[[], Any], str]
