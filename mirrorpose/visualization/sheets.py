"""Picture sheets: a query and what was found for it, a row each."""
from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from ..structures import Skeleton
from .drawing import draw_skeleton
from .gallery import Row, Tile

_LINE = 18
_GAP = 6
_MARGIN = .1


def pose_tile(caption: str, pose: np.ndarray, visible: np.ndarray,
              skeleton: Skeleton, side: int = 160) -> Tile:
    """A pose alone, as large as fits.

    Args:
        caption (str): What stands above.
        pose (np.ndarray): (K, 2) x right, y down, or (K, 3) of which z is
            looked along.
        visible (np.ndarray): (K,), positive where present.
        skeleton (Skeleton): The K joints.
        side (int): Of the picture in pixels. Defaults to 160.

    Returns:
        Tile: (side, side, 3) uint8; blank without a joint.
    """
    points = np.asarray(pose, np.float64)[:, :2]
    seen = (np.asarray(visible) > 0) & np.isfinite(points).all(1)
    sheet = np.full((side, side, 3), 28, np.uint8)
    if not seen.any():
        return Tile(caption, sheet)
    low, high = points[seen].min(0), points[seen].max(0)
    scale = side * (1 - 2 * _MARGIN) / max(float((high - low).max()), 1e-9)
    placed = (np.where(seen[:, None], points, 0.) - (low + high) / 2
              ) * scale + (side - 1) / 2
    return Tile(caption, draw_skeleton(sheet, placed, seen, skeleton,
                                       max(2, side // 80)))


def image_tile(caption: str, image: np.ndarray, side: int = 160) -> Tile:
    """An RGB image, whole, on black.

    Args:
        caption (str): What stands above.
        image (np.ndarray): (H, W, 3) uint8.
        side (int): Of the picture in pixels. Defaults to 160.

    Returns:
        Tile: (side, side, 3) uint8.
    """
    h, w = image.shape[:2]
    scale = side / max(h, w)
    size = (max(1, round(w * scale)), max(1, round(h * scale)))
    small = cv2.resize(image, size, interpolation=cv2.INTER_AREA
                       if scale < 1 else cv2.INTER_LINEAR)
    sheet = np.zeros((side, side, 3), np.uint8)
    y, x = (side - size[1]) // 2, (side - size[0]) // 2
    sheet[y:y + size[1], x:x + size[0]] = small
    return Tile(caption, sheet)


def picture_sheet(rows: Sequence[Row], heads: int = 1) -> np.ndarray:
    """Puts rows of tiles of one size on one sheet, captions above.

    The first tile of a row, the query, stands a little apart.

    Args:
        rows (Sequence[Row]): Of equally large tiles; a row may be short.
        heads (int): First tiles that stand apart. Defaults to 1.

    Returns:
        np.ndarray: (H, W, 3) uint8 RGB.

    Raises:
        ValueError: No tile, or tiles of different sizes.
    """
    shapes = {t.image.shape for r in rows for t in r.tiles}
    if len(shapes) != 1:
        raise ValueError('a sheet needs tiles of one size, got '
                         f'{sorted(shapes)}')
    h, w = shapes.pop()[:2]
    columns = max(len(r.tiles) for r in rows)
    sheet = np.full((len(rows) * (h + _LINE + _GAP) + _GAP,
                     columns * (w + _GAP) + 3 * _GAP, 3), 255, np.uint8)
    for i, row in enumerate(rows):
        top = _GAP + i * (h + _LINE + _GAP)
        for j, tile in enumerate(row.tiles):
            left = _GAP + j * (w + _GAP) + (2 * _GAP if j >= heads else 0)
            sheet[top + _LINE:top + _LINE + h, left:left + w] = tile.image
            # the last pixels belong to the next caption
            line = np.ascontiguousarray(sheet[top:top + _LINE,
                                              left:left + w])
            cv2.putText(line, _fit(tile.caption, w), (1, _LINE - 6),
                        cv2.FONT_HERSHEY_SIMPLEX, .38, (40, 40, 40), 1,
                        cv2.LINE_AA)
            sheet[top:top + _LINE, left:left + w] = line
    return sheet


def _fit(text: str, width: int) -> str:
    """What of a caption fits: its end says more than its beginning."""
    text = text.encode('ascii', 'replace').decode()

    def size(words: str) -> int:
        return cv2.getTextSize(words, cv2.FONT_HERSHEY_SIMPLEX, .38, 1)[0][0]

    if size(text) <= width:
        return text
    while text and size(f'..{text}') > width:
        text = text[1:]
    return f'..{text}'
