"""The picture of the README, from a finished quickstart.

bash tools/quickstart.sh && python benchmarks/readme_picture.py
"""
from __future__ import annotations

from pathlib import Path

import matplotlib

matplotlib.use('Agg')
import matplotlib.pyplot as plt  # noqa: E402

import mirrorpose  # noqa: E402, F401
from mirrorpose.structures import Skeleton  # noqa: E402
from mirrorpose.visualization import gallery  # noqa: E402
from mirrorpose.visualization.work_dir import read_stages  # noqa: E402

ROOT = Path(__file__).resolve().parents[1]
PEOPLE = 3


def main() -> None:
    """Draws the first test people, unchosen."""
    stages, _ = read_stages(ROOT / 'work_dirs' / 'quickstart')
    networks, _ = gallery.load_networks(stages)
    loaded = gallery.load_samples(stages, PEOPLE)
    rows = gallery.people(networks, loaded[0], Skeleton.from_name('mpii_16'))
    width = max(len(row.tiles) for row in rows)
    figure, axes = plt.subplots(PEOPLE, width,
                                figsize=(1.55 * width, 1.75 * PEOPLE))
    for row, line in zip(rows, axes):
        for axis in line:
            axis.axis('off')
        for tile, axis in zip(row.tiles, line):
            axis.imshow(tile.image)
            axis.set_title(tile.caption, fontsize=6, wrap=True)
    figure.tight_layout(pad=.4)
    path = ROOT / 'docs' / 'images' / 'mirrornet.png'
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)
    print(path)


if __name__ == '__main__':
    main()
