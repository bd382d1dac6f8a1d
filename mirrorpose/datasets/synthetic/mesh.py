"""The skin of a person: rings of vertices that follow the joints.

One fixed topology for everybody: elliptic rings along every limb and the
trunk, eight vertices a ring, quads between neighbouring rings, and a few
quads on top (face, print on the chest). A vertex follows one joint rigidly;
rings of one part may follow different joints, so the trunk bends. Radii are
fractions of the stature, of the order of the breadths and circumferences of
ANSUR II (see ``body.py``).
"""
from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .body import JOINT_INDEX, Body, make_body

#: Vertices a ring; the first looks forward, then towards the left.
SECTORS = 8

#: Parts that can be told apart in the part image, background being 0.
PARTS = ('background', 'pelvis_left', 'pelvis_right', 'belly', 'chest_left',
         'chest_right', 'neck', 'head', 'hair', 'skirt') + tuple(
             f'{side}_{p}' for side in ('left', 'right')
             for p in ('upper_arm', 'forearm', 'hand', 'thigh', 'shank',
                       'foot'))
PART_INDEX = {name: i for i, name in enumerate(PARTS)}


@dataclass
class _Ring:
    part: str
    joint: str
    along: float  # place along the part, 0 at its start, 1 at its end
    start: str
    end: str
    between: float
    shift: tuple[float, float, float]
    rx: float
    ry: float
    girth: str
    cap: float = 0.  # moves the ring along the limb by this many radii
    upright: bool = False  # a ring in the y-z plane (feet)


def _limb(part: str, joint: str, end: str, radii: tuple[float, ...],
          side: str, girth: str = 'limbs') -> list[_Ring]:
    rings = []
    first, last = radii[0], radii[-1]
    places = np.linspace(0, 1, len(radii))
    spec = [(0., -.95, first * .25), (0., -.6, first * .8)]
    spec += [(p, 0., r) for p, r in zip(places, radii)]
    spec += [(1., .6, last * .8), (1., .95, last * .25)]
    for place, cap, radius in spec:
        rings.append(_Ring(f'{side}_{part}', f'{side}_{joint}', place,
                           f'{side}_{joint}', f'{side}_{end}', place,
                           (0, 0, 0), radius, radius, girth,
                           cap * (first if place == 0 else last)))
    return rings


def _build() -> list[list[_Ring]]:
    parts: list[list[_Ring]] = []

    def stack(part: str, rows: list[tuple]) -> None:
        heights = len(rows) - 1
        parts.append([
            _Ring(part, joint, i / heights, joint, joint, 0, shift, rx, ry,
                  girth)
            for i, (joint, shift, rx, ry, girth) in enumerate(rows)])

    stack('trunk', [
        ('pelvis', (0, 0, -.055), .030, .045, 'hips'),
        ('pelvis', (-.004, 0, -.040), .055, .080, 'hips'),
        ('pelvis', (-.006, 0, -.005), .068, .096, 'hips'),
        ('spine', (.006, 0, 0), .063, .087, 'belly'),
        ('spine2', (.010, 0, 0), .058, .080, 'belly'),
        ('spine3', (.012, 0, 0), .065, .090, 'chest'),
        ('spine4', (.010, 0, -.015), .061, .098, 'chest'),
        ('spine4', (.004, 0, .028), .044, .088, 'chest'),
        ('spine4', (.002, 0, .052), .028, .040, 'chest')])
    stack('neck', [
        ('spine4', (.004, 0, .030), .034, .036, 'limbs'),
        ('neck', (.004, 0, .0), .033, .034, 'limbs'),
        ('neck', (.010, 0, .050), .033, .034, 'limbs')])
    rows = []
    for height in (-.99, -.82, -.5, -.12, .28, .62, .87, .99):
        width = (1 - height ** 2) ** .5
        jaw = .86 if height < -.4 else 1.
        rows.append(('head', (.010 if height < -.4 else 0., 0,
                              .069 * height), .056 * width,
                     .044 * width * jaw, 'head'))
    stack('head', rows)
    stack('hair', [
        ('head', (-.030, 0, .045), .020, .030, 'head'),
        ('head', (-.036, 0, .0), .030, .047, 'head'),
        ('head', (-.034, 0, -.060), .026, .046, 'head'),
        ('head', (-.032, 0, -.120), .020, .036, 'head'),
        ('head', (-.030, 0, -.150), .008, .014, 'head')])
    stack('skirt', [
        ('spine', (.004, 0, -.015), .066, .090, 'belly'),
        ('pelvis', (-.004, 0, -.005), .074, .102, 'hips'),
        ('hips', (-.002, 0, -.100), .084, .118, 'hips'),
        ('hips', (.0, 0, -.190), .094, .132, 'hips')])
    for side in ('left', 'right'):
        parts.append(_limb('upper_arm', 'shoulder', 'elbow',
                           (.034, .030, .0275, .0235), side))
        parts.append(_limb('forearm', 'elbow', 'wrist',
                           (.0235, .0255, .019, .0150), side))
        parts.append([
            _Ring(f'{side}_hand', f'{side}_wrist', i / 4, f'{side}_wrist',
                  f'{side}_hand', place, (0, 0, 0), rx, ry, 'limbs')
            for i, (place, rx, ry) in enumerate((
                (-.1, .012, .010), (.4, .022, .012), (1., .024, .011),
                (1.5, .020, .009), (1.9, .008, .004)))])
        parts.append(_limb('thigh', 'hip', 'knee',
                           (.058, .053, .043, .034), side))
        parts.append(_limb('shank', 'knee', 'ankle',
                           (.033, .035, .026, .0205), side))
        foot = ((-.042, .012, .012, .016, 'ankle'),
                (-.034, .004, .022, .021, 'ankle'),
                (.010, .002, .030, .024, 'ankle'),
                (.072, -.020, .017, .028, 'ankle'),
                (.105, -.026, .012, .024, 'foot'),
                (.122, -.027, .006, .012, 'foot'))
        parts.append([
            _Ring(f'{side}_foot', f'{side}_{joint}', i / 5, f'{side}_ankle',
                  f'{side}_ankle', 0, (x, 0, z), rx, ry, 'limbs',
                  upright=True)
            for i, (x, z, rx, ry, joint) in enumerate(foot)])
    return parts


_PARTS_RINGS = _build()
_RINGS = [r for part in _PARTS_RINGS for r in part]
_COUNT = len(_RINGS)
_PHI = 2 * np.pi * np.arange(SECTORS) / SECTORS
_GIRTHS = ('limbs', 'belly', 'chest', 'hips', 'head')

# Decals: quads a little above the skin (part, joint, centre, half edges).
_DECALS = (
    ('left_eye', 'head', (.0535, .017, .012), (.002, .008, 0),
     (0, 0, .0055)),
    ('right_eye', 'head', (.0535, -.017, .012), (.002, .008, 0),
     (0, 0, .0055)),
    ('mouth', 'head', (.0515, 0, -.037), (0, .013, 0), (.002, 0, .0045)),
    ('nose', 'head', (.0610, 0, -.008), (0, .006, 0), (-.003, 0, .014)),
    ('print', 'spine3', (.0800, 0, .020), (0, .040, 0), (.001, 0, .030)),
    ('neckline', 'spine4', (.0560, 0, .018), (0, .026, 0), (-.010, 0, .026)),
)

# Flat arrays of all rings, so that a body's vertices are one expression.
_START = np.array([JOINT_INDEX.get(r.start, JOINT_INDEX['pelvis'])
                   for r in _RINGS])
_END = np.array([JOINT_INDEX.get(r.end, JOINT_INDEX['pelvis'])
                 for r in _RINGS])
_BETWEEN = np.array([r.between for r in _RINGS])[:, None]
_SHIFT = np.array([r.shift for r in _RINGS], float)
_CAP = np.array([r.cap for r in _RINGS])
_RXY = np.array([(r.rx, r.ry) for r in _RINGS])
_GIRTH = np.array([_GIRTHS.index(r.girth) for r in _RINGS])
_OF_HEAD = np.array([r.girth == 'head' for r in _RINGS])
_UPRIGHT = np.array([r.upright for r in _RINGS])
_RING_NAME = np.array([r.part.removeprefix('left_').removeprefix('right_')
                       for r in _RINGS])
_RING_IS = {str(n): n == _RING_NAME for n in set(_RING_NAME)}

_axes = np.zeros((_COUNT, SECTORS, 3))
_axes[..., 0] = np.where(_UPRIGHT[:, None], 0, np.cos(_PHI))
_axes[..., 1] = np.sin(_PHI)
_axes[..., 2] = np.where(_UPRIGHT[:, None], np.cos(_PHI), 0)


def _follow() -> np.ndarray:
    """(V,) the joint that each vertex follows."""
    rows = []
    for ring in _RINGS:
        if ring.joint == 'hips':  # a skirt's hem goes with the thighs
            side = np.where(np.sin(_PHI) > 1e-6, JOINT_INDEX['left_hip'],
                            JOINT_INDEX['right_hip'])
            rows.append(np.where(np.abs(np.sin(_PHI)) < 1e-6,
                                 JOINT_INDEX['pelvis'], side))
        else:
            rows.append(np.full(SECTORS, JOINT_INDEX[ring.joint]))
    for _, joint, *_ in _DECALS:
        rows.append(np.full(4, JOINT_INDEX[joint]))
    return np.concatenate(rows)


FOLLOW = _follow()


def _faces() -> tuple[np.ndarray, list[str], np.ndarray, np.ndarray]:
    quads, parts, along, sector = [], [], [], []
    first = 0
    for rings in _PARTS_RINGS:
        for i in range(len(rings) - 1):
            for k in range(SECTORS):
                a = (first + i) * SECTORS + k
                b = (first + i) * SECTORS + (k + 1) % SECTORS
                quads.append([a, b, b + SECTORS, a + SECTORS])
                parts.append(rings[i].part)
                along.append((rings[i].along + rings[i + 1].along) / 2)
                sector.append(k)
        first += len(rings)
    base = _COUNT * SECTORS
    for d, (name, *_) in enumerate(_DECALS):
        quads.append([base + 4 * d + k for k in range(4)])
        parts.append(name)
        along.append(.5)
        sector.append(0)
    return np.array(quads), parts, np.array(along), np.array(sector)


#: (F, 4) vertices (counter-clockwise seen from outside), F part names, (F,)
#: place along the part, (F,) sector.
QUADS, FACE_PART, FACE_ALONG, FACE_SECTOR = _faces()
_names = np.array(FACE_PART)
#: (F,) which interval between rings of its part.
FACE_RING = np.zeros(len(QUADS), int)
for _name in set(FACE_PART):
    FACE_RING[_names == _name] = np.unique(
        FACE_ALONG[_names == _name], return_inverse=True)[1]
#: (F,) bool for each part and decal by name.
FACE_IS = {name: _names == name for name in dict.fromkeys(FACE_PART)}
IS_DECAL = np.zeros(len(QUADS), bool)
IS_DECAL[len(QUADS) - len(_DECALS):] = True


def _outwards() -> None:
    """Turns quads whose normal points inwards, once, in the rest pose."""
    body = make_body(0, 0)
    points = rest_vertices(body, {}) + body.rest[FOLLOW]
    corners = points[QUADS]
    normal = np.cross(corners[:, 2] - corners[:, 0],
                      corners[:, 3] - corners[:, 1])
    ring_centres = points[:_COUNT * SECTORS].reshape(
        _COUNT, SECTORS, 3).mean(1)
    for f, quad in enumerate(QUADS):
        if IS_DECAL[f]:
            out = np.array([1., 0, 0])
        else:
            out = corners[f].mean(0) - ring_centres[quad // SECTORS].mean(0)
        if normal[f] @ out < 0:
            QUADS[f] = quad[::-1]


def _part_ids() -> np.ndarray:
    left = FACE_SECTOR < SECTORS // 2
    ids = np.zeros(len(QUADS), int)
    for i, name in enumerate(FACE_PART):
        side = 'left' if left[i] else 'right'
        if name == 'trunk':
            ring = FACE_ALONG[i] * 8
            name = ('belly' if 2.2 < ring < 4 else
                    f'pelvis_{side}' if ring < 2.2 else f'chest_{side}')
        elif name in ('left_eye', 'right_eye', 'mouth', 'nose'):
            name = 'head'
        elif name in ('print', 'neckline'):
            name = 'chest_left'
        ids[i] = PART_INDEX[name]
    return ids


#: (F,) index into ``PARTS``.
FACE_ID = _part_ids()


def rest_vertices(body: Body, loose: dict[str, float]) -> np.ndarray:
    """Vertices of a body in the rest pose, relative to the joints.

    Args:
        body (Body): The proportions.
        loose (dict[str, float]): Factor on the radius of parts, by part
            name without its side, for what is worn over them.

    Returns:
        np.ndarray: (V, 3) mm, relative to the joint ``FOLLOW[v]`` in the
        rest pose.
    """
    unit = body.rest / body.stature
    girth = np.array([body.girth[g] for g in _GIRTHS])[_GIRTH]
    factor = girth.copy()
    for part, value in loose.items():
        factor[_RING_IS[part]] *= value
    start, end = unit[_START], unit[_END]
    step = end - start
    length = np.linalg.norm(step, axis=1, keepdims=True)
    centre = start + _BETWEEN * step + _SHIFT * np.where(
        _OF_HEAD[:, None], body.girth['head'], 1)
    centre += step / np.maximum(length, 1e-9) * (_CAP * girth)[:, None]
    size = _RXY * factor[:, None]
    spread = np.stack([size[:, 0], size[:, 1], size[:, 0]], -1)
    rings = centre[:, None] + _axes * spread[:, None]
    decals = []
    for _, joint, place, a, b in _DECALS:
        scale = body.girth['head' if joint == 'head' else 'chest']
        middle = unit[JOINT_INDEX[joint]] + np.array(place) * scale
        first, second = np.array(a) * scale, np.array(b) * scale
        decals += [middle - first - second, middle + first - second,
                   middle + first + second, middle - first + second]
    flat = np.concatenate([rings.reshape(-1, 3), np.array(decals)])
    return (flat - unit[FOLLOW]) * body.stature


def pose_vertices(rest: np.ndarray, joints: np.ndarray,
                  frames: np.ndarray) -> np.ndarray:
    """Vertices of a posed body.

    Args:
        rest (np.ndarray): (V, 3) as from :func:`rest_vertices`.
        joints (np.ndarray): (28, 3) joints in mm.
        frames (np.ndarray): (28, 3, 3) frames of the joints.

    Returns:
        np.ndarray: (V, 3) mm, in the frame of ``joints``.
    """
    return (frames[FOLLOW] @ rest[..., None])[..., 0] + joints[FOLLOW]


_outwards()
