"""Acclaim's skeleton (ASF) and motion (AMC) files, as CMU publishes them.

The format: J. Lander, "Working with motion capture file formats", Game
Developer, January 1998.
"""
from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from .bvh import rotations
from .motion import RecordedMotion

_KNOWN = ('rx', 'ry', 'rz')


@dataclass(frozen=True)
class _Bone:
    name: str
    parent: int
    vector: np.ndarray  # (3,) from the parent's end to its own, in the world
    axes: np.ndarray  # (3, 3) its own axes in the world
    order: str
    freedom: tuple[str, ...]


@dataclass(frozen=True)
class AcclaimSkeleton:
    """The skeleton of an ASF file; the root is bone 0.

    Attributes:
        bones (tuple): The root and the bones, parents first.
        origin (np.ndarray): (3,) the root's position.
        degrees (bool): Angles are degrees, else radians.
        where (str): The file, for messages.
    """

    bones: tuple[_Bone, ...]
    origin: np.ndarray
    degrees: bool
    where: str


def _turn(order: str, angles: np.ndarray, degrees: bool) -> np.ndarray:
    """(T, 3, 3): ``'XYZ'`` turns about x first, in fixed axes: Rz Ry Rx."""
    if not degrees:
        angles = np.degrees(angles)
    return rotations(order[::-1], angles[:, ::-1])


def _sections(path: str | Path) -> dict[str, list[list[str]]]:
    """Lines of each ``:section``, in words, without comments."""
    out: dict[str, list[list[str]]] = {}
    lines: list[list[str]] = []
    for text in Path(path).read_text(encoding='utf-8',
                                     errors='replace').splitlines():
        words = text.split('#')[0].split()
        if words and words[0].startswith(':'):
            lines = out.setdefault(words[0].lower(), [])
            if len(words) > 1:
                lines.append(words[1:])
        elif words:
            lines.append(words)
    return out


def read_asf(path: str | Path) -> AcclaimSkeleton:
    """Reads a skeleton.

    Raises:
        ValueError: Sections are missing or not readable.
    """
    sections = _sections(path)
    lost = [s for s in (':root', ':bonedata', ':hierarchy')
            if s not in sections]
    if lost:
        raise ValueError(f'{path} lacks {lost}: is it an ASF file?')
    units = {w[0].lower(): w[1] for w in sections.get(':units', [])
             if len(w) > 1}
    degrees = units.get('angle', 'deg').lower().startswith('deg')
    try:
        root = {w[0].lower(): w[1:] for w in sections[':root']}
        order = tuple(w.lower() for w in root.get(
            'order', ['tx', 'ty', 'tz', 'rx', 'ry', 'rz']))
        axis = root.get('axis', ['XYZ'])[0].upper()
        bones = [_Bone('root', -1, np.zeros(3), _turn(
            axis, np.array([root.get('orientation', [0, 0, 0])], float),
            degrees)[0], axis, order)]
        raw = _bone_data(sections[':bonedata'])
        for line in sections[':hierarchy']:
            if line[0] in ('begin', 'end'):
                continue
            parent = [b.name for b in bones].index(line[0])
            for name in line[1:]:
                data = raw[name]
                direction = np.array(data['direction'], float)
                vector = (direction / np.linalg.norm(direction)
                          * float(data['length'][0]))
                axis = (data['axis'][3] if len(data['axis']) > 3
                        else 'XYZ').upper()
                bones.append(_Bone(
                    name, parent, vector, _turn(axis, np.array(
                        [data['axis'][:3]], float), degrees)[0], axis,
                    tuple(w.lower() for w in data.get('dof', []))))
        origin = np.array(root.get('position', [0, 0, 0]), float)
    except (KeyError, ValueError, IndexError) as error:
        raise ValueError(f'{path} is not readable: {error!r}') from None
    for bone in bones[1:]:
        odd = sorted(set(bone.freedom) - set(_KNOWN))
        if odd:
            raise ValueError(f'{path}: {bone.name} has the degrees of '
                             f'freedom {odd}; only {_KNOWN} are read')
    return AcclaimSkeleton(tuple(bones), origin, degrees, str(path))


def _bone_data(lines: list[list[str]]) -> dict[str, dict[str, list[str]]]:
    out: dict[str, dict[str, list[str]]] = {}
    bone: dict[str, list[str]] = {}
    for line in lines:
        if line[0] == 'begin':
            bone = {}
        elif line[0] == 'end':
            out[bone['name'][0]] = bone
        else:
            bone.setdefault(line[0].lower(), line[1:])
    return out


def read_amc(path: str | Path, skeleton: AcclaimSkeleton,
             fps: float) -> RecordedMotion:
    """Reads the motion of a skeleton.

    Nodes are the root and the ends of the bones, by the bones' names.

    Args:
        path (str | Path): The file.
        skeleton (AcclaimSkeleton): Of :func:`read_asf`.
        fps (float): Frames per second, which the file does not say.

    Raises:
        ValueError: A line is not readable, or a frame lacks a bone.
    """
    bones = skeleton.bones
    columns, width = {}, 0
    for bone in bones:
        columns[bone.name] = slice(width, width + len(bone.freedom))
        width += len(bone.freedom)
    degrees, rows = skeleton.degrees, []
    row = np.zeros(0)
    for number, text in enumerate(Path(path).read_text(
            encoding='utf-8', errors='replace').splitlines(), 1):
        words = text.split('#')[0].split()
        if not words:
            continue
        if words[0].startswith(':'):
            if words[0].lower() in (':degrees', ':radians'):
                degrees = words[0].lower() == ':degrees'
        elif len(words) == 1 and words[0].isdigit():
            row = np.full(width, np.nan)
            rows.append(row)
        else:
            where = columns.get(words[0])
            try:
                if where is None or not rows:
                    raise ValueError('no bone of the skeleton')
                row[where] = np.array(words[1:], float).reshape(
                    where.stop - where.start)
            except ValueError as error:
                raise ValueError(f'{path}, line {number}: {words[0]!r}: '
                                 f'{error}') from None
    table = np.array(rows)
    if not len(table):
        raise ValueError(f'{path} has no frame: is it an AMC file?')
    lost = [b.name for b in bones if np.isnan(table[:, columns[b.name]]
                                              ).any()]
    if lost:
        raise ValueError(f'{path}: {lost} are missing in some frame')
    return RecordedMotion(
        tuple(b.name for b in bones),
        _forward(skeleton, {n: table[:, c] for n, c in columns.items()},
                 degrees), float(fps), str(path))


def _forward(skeleton: AcclaimSkeleton, values: dict[str, np.ndarray],
             degrees: bool) -> np.ndarray:
    """(T, J, 3) ends of the bones."""
    bones, frames = skeleton.bones, len(values['root'])
    places = np.empty((frames, len(bones), 3))
    turns: list[np.ndarray] = []
    for number, bone in enumerate(bones):
        table = values[bone.name]
        angles = np.zeros((frames, 3))
        move = np.zeros((frames, 3))
        for column, name in enumerate(bone.freedom):
            axis = 'xyz'.index(name[1])
            if name[0] == 't':
                move[:, axis] = table[:, column]
            else:
                angles[:, bone.order.index(name[1].upper())] = table[
                    :, column]
        # Angles are about the bone's own axes.
        turn = bone.axes @ _turn(bone.order, angles, degrees) @ bone.axes.T
        if bone.parent < 0:
            places[:, number] = skeleton.origin + move
        else:
            turn = turns[bone.parent] @ turn
            places[:, number] = places[:, bone.parent] + turn @ bone.vector
        turns.append(turn)
    return places
