"""The report's pictures of completed pose sequences."""
from __future__ import annotations

import tempfile
from collections.abc import Sequence
from html import escape
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
from mmpose.registry import DATASETS

from ..structures import Skeleton
from .curves import figure_png
from .drawing import data_uri
from .gallery import BROKEN, load_model, mmpose_scope, one_line
from .sequences import animate_completion, joint_paths_figure
from .work_dir import Stage, find

#: Frames of a clip that are shown.
FRAMES = 75
_PIXELS = 200.  # a canonical unit; a standing person is 1.4 high
#: Whose paths are drawn: one that is seen, and those that are mostly not.
JOINTS = ('left_wrist', 'left_hand', 'right_toe', 'head_top')


def shows_sequences(stage: Stage) -> bool:
    """Whether its test data are pose sequences."""
    loader = (stage.config or {}).get('test_dataloader')
    return 'PoseSequenceDataset' in set(find(loader, 'type'))


def sequence_html(stages: Sequence[Stage], number: int,
                  notes: list[str]) -> str:
    """Animations and joint paths of the last stage that has weights.

    Args:
        stages (Sequence[Stage]): Of a work dir.
        number (int): Clips of the test part to show at most.
        notes (list[str]): What could not be drawn is added.

    Returns:
        str: HTML; says so where there is nothing.
    """
    for stage in reversed(stages):
        if stage.checkpoint is None or not shows_sequences(stage):
            continue
        try:
            return _clips(stage, min(number, 3))
        except BROKEN as error:
            notes.append(f'the sequences of stage {stage.name} cannot be '
                         f'drawn: {one_line(error)}')
    return '<p>There are no weights yet.</p>'


def _clips(stage: Stage, number: int) -> str:
    # Here: the interface for users imports this package.
    from ..apis.completers import find_completer
    from ..apis.completion import complete
    completer = find_completer(load_model(stage))
    config: Any = stage.config
    with mmpose_scope():
        data = DATASETS.build(config.test_dataloader.dataset)
    skeleton = Skeleton.from_name('mpi_inf_3dhp_28')
    long = np.nonzero(data.clips.length >= data.frames)[0]
    chosen = long[np.linspace(0, len(long) - 1, number).astype(int)]
    parts = []
    for clip in chosen:
        got = data.get_clip(int(clip))
        seen, observed, sure, truth, present = (
            got[k][0, :FRAMES].numpy() for k in (
                'detected', 'observed', 'confidence', 'inputs', 'present'))
        track = _track(seen, observed, sure)
        done = complete(track.keypoints, sure, observed,
                        'mpi_inf_3dhp_28', completer=completer)
        # The truth as a third person, to the right of the completion.
        step = np.array([1.2 * _PIXELS, 0.])
        right = SimpleNamespace(keypoints=np.where(
            present[..., None], truth * _PIXELS + step, np.nan))
        nobody = _track(np.zeros_like(seen), np.zeros_like(observed), sure)
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / 'clip.gif'
            animate_completion(file, [track, nobody], [done, right],
                               skeleton, skeleton, data.fps, 260)
            picture = file.read_bytes()
        paths = figure_png(joint_paths_figure(
            track, done, skeleton, skeleton, JOINTS, data.fps))
        name = escape(data.clips.names[clip])
        uri = data_uri(picture).replace('image/png', 'image/gif')
        parts.append(
            f'<h3>{name}</h3><figure><img src="{uri}" alt="{name}" '
            'style="width:auto;max-width:100%"><figcaption>what is seen; '
            'what is made of it, and the truth beside it</figcaption>'
            f'</figure><div class="curves"><figure><img src="'
            f'{data_uri(paths)}" alt="joint paths"></figure></div>')
    return '\n'.join(parts)


def _track(points: np.ndarray, observed: np.ndarray,
           sure: np.ndarray) -> Any:
    return SimpleNamespace(
        first=0, confidence=sure * observed, keypoints=np.where(
            observed[..., None], points * _PIXELS, np.nan))
