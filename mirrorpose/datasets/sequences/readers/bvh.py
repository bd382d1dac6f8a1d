"""Biovision's hierarchical motion files.

Own, because the libraries that there are do not read position channels of
inner joints, which Bandai-Namco's files have.
"""
from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
from scipy.spatial.transform import Rotation

from .motion import RecordedMotion


class _Node(NamedTuple):
    name: str
    parent: int
    offset: np.ndarray
    channels: tuple[str, ...]


def read_bvh(path: str | Path) -> RecordedMotion:
    """Reads a BVH file.

    Rotations are applied in the order of the channels, the first being the
    outermost (``R = R1 R2 R3``). Position channels take the place of the
    offset, of the root and of inner joints alike: so Bandai-Namco's files
    mean it, and so Blender reads them. End sites become nodes that are
    called ``PARENT_end``.

    Args:
        path (str | Path): The file.

    Returns:
        RecordedMotion: Positions in the file's unit and axes.

    Raises:
        ValueError: The file is not complete or not of this format; the
            message says where.
    """
    words = Path(path).read_text(encoding='utf-8', errors='replace').split()
    try:
        middle = words.index('MOTION')
    except ValueError:
        raise ValueError(f'{path} has no MOTION section: is it a BVH file?'
                         ) from None
    nodes = _hierarchy(words[:middle], path)
    frames, seconds, values = _header(words[middle + 1:], path)
    width = sum(len(n.channels) for n in nodes)
    if len(values) != frames * width:
        raise ValueError(
            f'{path}: {frames} frames of {width} channels need '
            f'{frames * width} numbers, found {len(values)}; is the file '
            'cut off?')
    try:
        table = np.array(values, np.float64).reshape(frames, width)
    except ValueError as error:
        raise ValueError(f'{path}: {error}') from None
    positions = _forward(nodes, table)
    return RecordedMotion(tuple(n.name for n in nodes), positions,
                          1 / seconds, str(path))


def _header(words: list[str], path: str | Path
            ) -> tuple[int, float, list[str]]:
    """Frames, seconds a frame, and the numbers."""
    if (len(words) < 5 or words[0] != 'Frames:'
            or words[2:4] != ['Frame', 'Time:']):
        raise ValueError(f'{path}: MOTION must begin with "Frames: N" and '
                         f'"Frame Time: S", found {" ".join(words[:5])!r}')
    try:
        frames, seconds = int(words[1]), float(words[4])
    except ValueError as error:
        raise ValueError(f'{path}: {error}') from None
    if frames < 1 or not seconds > 0:
        raise ValueError(f'{path}: {frames} frames of {seconds} s')
    return frames, seconds, words[5:]


def _hierarchy(words: list[str], path: str | Path) -> list[_Node]:
    """The nodes, parents before children, in the order of their channels."""
    nodes: list[_Node] = []
    open_nodes: list[int] = []
    place = 0
    try:
        while place < len(words):
            word = words[place]
            if word in ('ROOT', 'JOINT', 'End'):
                if word == 'ROOT' and nodes:
                    raise ValueError('a second ROOT')
                parent = open_nodes[-1] if open_nodes else -1
                if (parent < 0) != (word == 'ROOT'):
                    raise ValueError(f'{word} outside of the root')
                name = (f'{nodes[parent].name}_end' if word == 'End'
                        else words[place + 1])
                if words[place + 2:place + 4] != ['{', 'OFFSET']:
                    raise ValueError(f'{name} has no OFFSET')
                offset = np.array(words[place + 4:place + 7], np.float64)
                place += 7
                channels: tuple[str, ...] = ()
                if word != 'End':
                    if words[place] != 'CHANNELS':
                        raise ValueError(f'{name} has no CHANNELS')
                    count = int(words[place + 1])
                    channels = tuple(words[place + 2:place + 2 + count])
                    place += 2 + count
                open_nodes.append(len(nodes))
                nodes.append(_Node(name, parent, offset, channels))
                continue
            if word == '}':
                open_nodes.pop()
            elif word != 'HIERARCHY':
                raise ValueError(f'unexpected {word!r}')
            place += 1
        if open_nodes or not nodes:
            raise ValueError('braces are left open' if open_nodes else
                             'there is no ROOT')
    except (ValueError, IndexError) as error:
        raise ValueError(f'{path}: HIERARCHY is not readable: {error}'
                         ) from None
    for node in nodes:
        for channel in node.channels:
            if channel[:1] not in ('X', 'Y', 'Z') or channel[1:] not in (
                    'position', 'rotation'):
                raise ValueError(f'{path}: {node.name} has the unknown '
                                 f'channel {channel!r}')
    return nodes


def _forward(nodes: list[_Node], table: np.ndarray) -> np.ndarray:
    """(T, J, 3) places of all nodes."""
    frames = len(table)
    places = np.empty((frames, len(nodes), 3))
    turns: list[np.ndarray] = []
    column = 0
    for number, node in enumerate(nodes):
        offset = np.tile(node.offset, (frames, 1))
        order, angles = '', []
        for channel in node.channels:
            if channel.endswith('position'):
                offset[:, 'XYZ'.index(channel[0])] = table[:, column]
            else:
                order += channel[0]
                angles.append(table[:, column])
            column += 1
        own = (rotations(order, np.stack(angles, -1)) if order else
               np.broadcast_to(np.eye(3), (frames, 3, 3)))
        if node.parent < 0:
            places[:, number], turn = offset, own
        else:
            above = turns[node.parent]
            places[:, number] = places[:, node.parent] + np.einsum(
                'tij,tj->ti', above, offset)
            turn = above @ own
        turns.append(turn)
    return places


def rotations(order: str, degrees: np.ndarray) -> np.ndarray:
    """Turns about axes of the moving frame, the first outermost.

    Args:
        order (str): Axes, e.g. ``'ZXY'``; any number.
        degrees (np.ndarray): (T, len(order)).

    Returns:
        np.ndarray: (T, 3, 3).
    """
    out = np.broadcast_to(np.eye(3), (len(degrees), 3, 3))
    for axis, angle in zip(order.lower(), degrees.T):
        out = out @ Rotation.from_euler(
            axis, angle[:, None], degrees=True).as_matrix()
    return out
