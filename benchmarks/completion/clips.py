"""Held-out clips of real motion, whole, seen by one camera each."""
from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from mmengine.config import Config
from mmengine.registry import init_default_scope

import mirrorpose  # noqa: F401  (registers everything)
from mirrorpose.datasets.keyed import sample_keys
from mirrorpose.datasets.sequences import LIMB_JOINTS, PoseSequenceDataset
from mirrorpose.datasets.sequences.holes import HoleChain, HolePattern
from mirrorpose.structures import Skeleton

ROOT = Path(__file__).resolve().parents[2]
SKELETON = Skeleton.from_name('mpi_inf_3dhp_28')
TWELVE = np.zeros(len(SKELETON), bool)
TWELVE[SKELETON.index(*LIMB_JOINTS)] = True
#: Holes are drawn for so many frames at a time, so that long clips have more.
PIECE = 48
#: The unit of a clip: a standing person is about 280 high.
PIXELS = 200.


class Clip(NamedTuple):
    """A clip and what is seen of it.

    Attributes:
        name (str): Of the clip.
        truth (np.ndarray): (T, 28, 2) float32.
        present (np.ndarray): (T, 28) bool, where the truth is known.
        derived (np.ndarray): (28,) bool, joints that nobody measured.
        seen (np.ndarray): (T, 28, 2), 0 where nothing is.
        observed (np.ndarray): (T, 28) bool.
        confidence (np.ndarray): (T, 28) in [0, 1].
    """

    name: str
    truth: np.ndarray
    present: np.ndarray
    derived: np.ndarray
    seen: np.ndarray
    observed: np.ndarray
    confidence: np.ndarray


def held_out(motion: str, clips: int | None = None,
             longest: int = 240, part: str = 'test') -> list[Clip]:
    """Clips of the test groups, all joints observed.

    Args:
        motion (str): ``'cmu'`` or ``'bandai'``.
        clips (int, optional): So many, evenly chosen; all by default.
        longest (int): Frames of a clip that are used. Defaults to 240.
        part (str): Defaults to ``'test'``.
    """
    init_default_scope('mmpose')
    cfg = Config.fromfile(
        ROOT / 'configs' / '_base_' / 'datasets' / 'mocap_sequences.py')
    data = PoseSequenceDataset(sources=[cfg[motion]], part=part, stride=24,
                               data_root=cfg.data_root, test_mode=True)
    numbers = np.nonzero(data.clips.length >= 24)[0]
    if clips is not None and clips < len(numbers):
        numbers = numbers[np.linspace(0, len(numbers) - 1,
                                      clips).astype(int)]
    out = []
    for number in numbers:
        got = data.get_clip(int(number))
        truth, present = (got[k][0, :longest].numpy() for k in (
            'inputs', 'present'))
        out.append(Clip(data.clips.names[number], truth * PIXELS, present,
                        got['derived'][0].numpy(), truth * PIXELS, present,
                        present.astype(np.float32)))
    return out


def through(clips: Sequence[Clip], holes: Sequence[dict | HolePattern],
            seed: int = 0) -> list[Clip]:
    """The clips as seen through holes; truth stays what it is."""
    chain, out = HoleChain(list(holes)), []
    for number, clip in enumerate(clips):
        length = len(clip.truth)
        pieces = -(-length // PIECE)
        rows = np.minimum(np.arange(pieces * PIECE), length - 1).reshape(
            pieces, PIECE)
        keys = sample_keys(seed, number, list(range(pieces)), [0] * pieces)
        seen = chain.detect(clip.truth[rows] / PIXELS, clip.present[rows],
                            keys)
        keypoints, observed, confidence = (
            v.reshape(-1, *v.shape[2:])[:length] for v in seen)
        out.append(clip._replace(seen=keypoints * PIXELS, observed=observed,
                                 confidence=confidence))
    return out
