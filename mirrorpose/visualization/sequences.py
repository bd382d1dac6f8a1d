"""Pose sequences before and after completion, in motion and over time."""
from __future__ import annotations

import io
import json
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from PIL import Image

from ..structures import Skeleton
from ..utils.files import write_atomically, write_text
from .drawing import draw_skeleton, joint_colors, limb_colors

#: Frames that an animation shows at most; the first ones.
MOST_FRAMES = 600
_MARGIN = .06


def _scene(tracks: Sequence[Any], done: Sequence[Any]
           ) -> tuple[np.ndarray, np.ndarray]:
    """All people of all frames, (T, P, K, 2) before and after.

    NaN where there is nobody, or no joint.
    """
    if len(tracks) != len(done) or not done:
        raise ValueError(f'{len(tracks)} tracks and {len(done)} completions '
                         'cannot be drawn side by side')
    start = min(t.first for t in tracks)
    total = max(t.first - start + len(d.keypoints)
                for t, d in zip(tracks, done))
    total = min(total, MOST_FRAMES)
    before, after = (np.full((total, len(done), a.keypoints.shape[1], 2),
                             np.nan) for a in (tracks[0], done[0]))
    for i, (track, one) in enumerate(zip(tracks, done)):
        first = track.first - start
        count = max(min(len(one.keypoints), total - first), 0)
        seen = (np.asarray(track.confidence) > 0)[..., None]
        before[first:first + count, i] = np.where(
            seen, track.keypoints, np.nan)[:count]
        after[first:first + count, i] = one.keypoints[:count]
    return before, after


def _to_canvas(parts: Sequence[np.ndarray], height: int
               ) -> tuple[list[np.ndarray], int]:
    """Pixels that show everything, and the width of the canvas."""
    points = np.concatenate([p.reshape(-1, 2) for p in parts])
    points = points[np.isfinite(points).all(1)]
    if not len(points):
        raise ValueError('there is no finite joint to draw')
    # A single wild joint must not make everybody small.
    low, high = np.percentile(points, [.2, 99.8], axis=0)
    size = np.maximum(high - low, 1e-6 * max(float(np.ptp(points)), 1e-9))
    scale = height * (1 - 2 * _MARGIN) / max(size[1], size[0] / 2.5)
    width = int(np.clip(size[0] * scale + 2 * _MARGIN * height, height / 2,
                        2.5 * height))
    centre = (low + high) / 2
    middle = np.array([width, height]) / 2
    return [(p - centre) * scale + middle for p in parts], width


def animate_completion(path: str | Path,
                       tracks: Sequence[Any],
                       done: Sequence[Any],
                       source: Skeleton,
                       target: Skeleton,
                       fps: float = 25.,
                       height: int = 320) -> None:
    """Input beside output, as ``.gif`` or as a ``.html`` that opens offline.

    Args:
        path (str | Path): Ends in ``.gif`` or ``.html``.
        tracks (Sequence[PoseTrack]): ``first``, ``keypoints`` (T, K, 2) and
            ``confidence`` (T, K) of each person.
        done (Sequence[CompletedTrack]): ``keypoints`` (T, J, 2) of each.
        source (Skeleton): The K joints.
        target (Skeleton): The J joints.
        fps (float): Defaults to 25; at most 600 frames are shown.
        height (int): Of a picture in pixels. Defaults to 320.

    Raises:
        ValueError: Another ending, nothing to draw, or shapes that do not
            fit.
    """
    path = Path(path)
    if path.suffix not in ('.gif', '.html'):
        raise ValueError(f'{path}: animations end in .gif or .html')
    if fps <= 0 or height < 16:
        raise ValueError('fps must be positive and height at least 16, got '
                         f'{fps} and {height}')
    parts, width = _to_canvas(_scene(tracks, done), height)
    if path.suffix == '.html':
        write_text(path, _page(parts, (source, target), (width, height),
                               fps))
        return
    frames = []
    for t in range(len(parts[0])):
        sides = []
        for points, skeleton in zip(parts, (source, target)):
            image = np.full((height, width, 3), 24, np.uint8)
            for person in points[t]:
                image = draw_skeleton(image, person,
                                      np.isfinite(person).all(-1), skeleton)
            sides.append(image)
        line = np.full((height, 2, 3), 96, np.uint8)
        frames.append(Image.fromarray(np.hstack(
            [sides[0], line, sides[1]])).quantize(64))
    buffer = io.BytesIO()
    frames[0].save(buffer, 'GIF', save_all=True, append_images=frames[1:],
                   duration=max(round(1000 / fps), 20), loop=0)
    write_atomically(path, lambda part: part.write_bytes(buffer.getvalue()))


def _page(parts: Sequence[np.ndarray], skeletons: Sequence[Skeleton],
          size: tuple[int, int], fps: float) -> str:
    scenes = []
    for points, skeleton, title in zip(parts, skeletons,
                                       ('input', 'completed')):
        rounded = np.round(points, 1)
        scenes.append(dict(
            title=f'{title}: {skeleton.name}',
            limbs=skeleton.limb_indices,
            limbColors=_css(limb_colors(skeleton)),
            jointColors=_css(joint_colors(skeleton)),
            frames=[[[None if not np.isfinite(j).all() else j.tolist()
                      for j in person] for person in frame]
                    for frame in rounded]))
    content = json.dumps(scenes, allow_nan=False).replace('<', '\\u003c')
    titles = ''.join(
        f'<figure><figcaption>{escape(str(s["title"]))}</figcaption><canvas '
        f'width="{size[0]}" height="{size[1]}"></canvas></figure>'
        for s in scenes)
    return _PAGE.replace('@TITLES@', titles).replace(
        '@FPS@', str(fps)).replace('@SCENES@', content)


def _css(colors: np.ndarray) -> list[str]:
    return [f'#{r:02x}{g:02x}{b:02x}' for r, g, b in colors.tolist()]


_PAGE = '''<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>Completed poses</title>
<style>body{font:14px sans-serif;background:#fff;color:#222}
figure{display:inline-block;margin:4px}canvas{background:#181818}
input{width:60%}</style></head><body>
@TITLES@
<p><button id="play">pause</button>
<input id="at" type="range" min="0" value="0"> <span id="n"></span></p>
<script>
const scenes = @SCENES@, fps = @FPS@;
const canvases = document.querySelectorAll('canvas');
const at = document.getElementById('at'), n = document.getElementById('n');
const play = document.getElementById('play');
at.max = scenes[0].frames.length - 1;
let running = true;
function draw() {
  const t = +at.value;
  n.textContent = 'frame ' + t;
  scenes.forEach((s, i) => {
    const c = canvases[i].getContext('2d');
    c.clearRect(0, 0, c.canvas.width, c.canvas.height);
    for (const person of s.frames[t]) {
      c.lineWidth = 2;
      s.limbs.forEach(([a, b], l) => {
        if (!person[a] || !person[b]) return;
        c.strokeStyle = s.limbColors[l];
        c.beginPath(); c.moveTo(...person[a]); c.lineTo(...person[b]);
        c.stroke();
      });
      person.forEach((p, j) => {
        if (!p) return;
        c.fillStyle = s.jointColors[j];
        c.beginPath(); c.arc(p[0], p[1], 2.5, 0, 7); c.fill();
      });
    }
  });
}
play.onclick = () => {
  running = !running; play.textContent = running ? 'pause' : 'play'; };
at.oninput = draw;
setInterval(() => {
  if (running) at.value = (+at.value + 1) % scenes[0].frames.length;
  draw();
}, 1000 / fps);
draw();
</script></body></html>
'''


def joint_paths_figure(track: Any, done: Any, source: Skeleton,
                       target: Skeleton, joints: Sequence[str],
                       fps: float | None = None) -> Figure:
    """Coordinates of joints over time: what was seen, what was completed.

    Args:
        track (PoseTrack): ``first``, ``keypoints`` and ``confidence``.
        done (CompletedTrack): ``keypoints``, ``spread`` (a band of one
            standard deviation where it is known) and ``observed``.
        source (Skeleton): Joints of the track.
        target (Skeleton): Joints of the completion.
        joints (Sequence[str]): Those of the target to draw, a row each.
        fps (float, optional): The axis shows seconds; frames by default.

    Raises:
        ValueError: An unknown joint, or none.
    """
    rows = target.index(*joints)
    if not rows:
        raise ValueError('name at least one joint to draw')
    time = (track.first + np.arange(len(done.keypoints))).astype(float)
    time = time / fps if fps else time
    given = {source.landmark(j): i for i, j in enumerate(source.joints)}
    figure = Figure(figsize=(8, .6 + 1.5 * len(rows)), dpi=130)
    grid = figure.subplots(len(rows), 2, squeeze=False, sharex=True)
    for row, (index, name) in enumerate(zip(rows, joints)):
        for axis, letter in enumerate('xy'):
            axes = grid[row][axis]
            path = done.keypoints[:, index, axis]
            axes.plot(time, path, color='#1f6fb4', linewidth=1.3,
                      label='completed')
            # spread is of both coordinates together
            band = done.spread[:, index] / np.sqrt(2)
            if np.isfinite(band).any():
                axes.fill_between(time, path - band, path + band, alpha=.2,
                                  color='#1f6fb4', linewidth=0)
            place = given.get(target.landmark(name))
            if place is not None:
                seen = done.observed[:, index]
                axes.plot(time[seen], track.keypoints[seen, place, axis],
                          '.', color='#d1621b', markersize=3,
                          label='observed')
            axes.set_title(f'{name.replace("_", " ")}, {letter}', loc='left',
                           fontsize=8.5)
            axes.tick_params(labelsize=7.5)
            axes.grid(color='#e3e3e3', linewidth=.6)
            if letter == 'y':
                axes.invert_yaxis()  # image rows run down
    for axes in grid[-1]:
        axes.set_xlabel('seconds' if fps else 'frame', fontsize=8)
    grid[0][0].legend(fontsize=7.5, frameon=False)
    figure.tight_layout()
    return figure
