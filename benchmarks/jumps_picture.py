"""The animation of the README: held-out motion before and after completion.

    python benchmarks/jumps_picture.py

Three clips, not chosen (the first of CMU, the first and the last of
Bandai-Namco's test part): 12 of 28 joints with gaps above, ridge's and the
regressor's answer in the middle, the truth below. Writes
``docs/images/jumps.gif``.
"""
from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from completion import rows
from completion.clips import SKELETON, held_out, through
from mmengine.logging import MMLogger
from PIL import Image

from mirrorpose.visualization.drawing import draw_skeleton

ROOT = Path(__file__).resolve().parents[1]
FRAMES, SIDE = 60, 200


def cell(points: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """One person of one frame."""
    image = np.full((SIDE, SIDE, 3), 24, np.uint8)
    return draw_skeleton(image, points, seen, SKELETON)


def main() -> None:
    """Completes, draws and writes."""
    torch.set_num_threads(1)
    MMLogger.get_instance('mmengine').setLevel('ERROR')
    clips = through([*held_out('cmu', 1, FRAMES),
                     *held_out('bandai', 2, FRAMES)], [
        dict(type='UnseenJoints'), dict(type='RandomDrops', p=.1),
        dict(type='HiddenLimb', seconds=.5)])
    done, _, _ = rows.run(rows.cascade(), clips)
    columns = []
    for clip, answer in zip(clips, done):
        # The camera follows the body.
        middle = clip.truth.mean(1, keepdims=True)
        scale = .42 * SIDE / np.abs(clip.truth - middle).max()

        def placed(points: np.ndarray, m: np.ndarray = middle,
                   s: float = scale) -> np.ndarray:
            return (points - m) * s + SIDE / 2

        columns.append([np.vstack([
            cell(placed(clip.seen)[t], clip.observed[t]),
            cell(placed(answer)[t], clip.present[t]),
            cell(placed(clip.truth)[t], clip.present[t])])
            for t in range(min(len(clip.truth), FRAMES))])
    frames = [Image.fromarray(np.hstack([c[min(t, len(c) - 1)]
                                         for c in columns])).quantize(48)
              for t in range(FRAMES)]
    out = ROOT / 'docs/images/jumps.gif'
    frames[0].save(out, save_all=True, append_images=frames[1:], duration=40,
                   loop=0)
    print('written to', out.relative_to(ROOT))


if __name__ == '__main__':
    main()
