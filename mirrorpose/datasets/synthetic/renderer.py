"""Paints a posed mesh: lit quads from back to front.

The canvas has four channels: blue, green, red and the number of the part
(``mesh.PARTS``), so colour, silhouette and visibility always agree. It has
twice the image's resolution; averaging it down smooths the edges.
"""
from __future__ import annotations

import cv2
import numpy as np

from . import mesh
from .appearance import Appearance
from .body import SKELETON_28
from .camera import Camera

#: Part number of things in front of the person, and of other people.
OCCLUDER, BYSTANDER = 255, 254
SUPERSAMPLING = 2

# Joints are under the skin of these parts; seen there, a joint is visible.
_OWN = {
    'spine3': ('chest_left', 'chest_right', 'belly'),
    'spine4': ('chest_left', 'chest_right', 'neck', 'hair'),
    'spine2': ('belly', 'chest_left', 'chest_right'),
    'spine': ('belly', 'pelvis_left', 'pelvis_right', 'skirt'),
    'pelvis': ('pelvis_left', 'pelvis_right', 'belly', 'left_thigh',
               'right_thigh', 'skirt'),
    'neck': ('neck', 'chest_left', 'chest_right', 'hair', 'head'),
    'head': ('head', 'hair'), 'head_top': ('head', 'hair'),
}
for _side in ('left', 'right'):
    for _joint, _parts in dict(
            clavicle=('chest_left', 'chest_right', 'neck', 'hair'),
            shoulder=(f'chest_{_side}', f'{_side}_upper_arm'),
            elbow=(f'{_side}_upper_arm', f'{_side}_forearm'),
            wrist=(f'{_side}_forearm', f'{_side}_hand'),
            hand=(f'{_side}_hand', ),
            hip=(f'pelvis_{_side}', f'{_side}_thigh', 'belly', 'skirt'),
            knee=(f'{_side}_thigh', f'{_side}_shank', 'skirt'),
            ankle=(f'{_side}_shank', f'{_side}_foot'),
            foot=(f'{_side}_foot', ), toe=(f'{_side}_foot', )).items():
        _OWN[f'{_side}_{_joint}'] = _parts
_OWNS = np.zeros((28, 256), bool)
for _i, _name in enumerate(SKELETON_28.joints):
    _OWNS[_i, [mesh.PART_INDEX[p] for p in _OWN[_name]]] = True
# What is behind the person hides nothing; a joint at the very outline (the
# top of the head) is seen there.
_OWNS[:, [0, BYSTANDER]] = True


def _cross(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """(N, 3) vector products; numpy's own takes four times as long."""
    return (a[:, (1, 2, 0)] * b[:, (2, 0, 1)]
            - a[:, (2, 0, 1)] * b[:, (1, 2, 0)])


def paint_person(canvas: np.ndarray, camera: Camera, vertices: np.ndarray,
                 look: Appearance, light: np.ndarray, ambient: float,
                 part: int | None = None) -> None:
    """Paints a person on the canvas.

    Args:
        canvas (np.ndarray): (S, S, 4) uint8, changed in place.
        camera (Camera): Whose image has S / 2 pixels a side.
        vertices (np.ndarray): (V, 3) mm, world frame.
        look (Appearance): Colours of the quads.
        light (np.ndarray): (3,) unit vector to the light.
        ambient (float): Share of light that comes from everywhere.
        part (int, optional): One part number for all quads. Defaults to
            None: each its own.
    """
    seen = camera.to_camera(vertices)
    if seen[:, 2].min() < 150:  # somebody stands in the lens
        return
    pixels = (camera.to_pixels(seen) + .5) * SUPERSAMPLING - .5
    corners = pixels[mesh.QUADS]
    a = corners[:, 2] - corners[:, 0]
    b = corners[:, 3] - corners[:, 1]
    facing = a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0] < 0
    keep = np.flatnonzero((facing | mesh.FACE_IS['skirt']) & look.shown)
    world = vertices[mesh.QUADS[keep]]
    normal = _cross(world[:, 2] - world[:, 0], world[:, 3] - world[:, 1])
    normal /= np.sqrt((normal ** 2).sum(1, keepdims=True)) + 1e-9
    lit = normal @ light
    # Light wraps a little around edges; quads that look down get less.
    shade = ambient * (.85 + .15 * normal[:, 2]) + (1 - ambient) * np.clip(
        .25 + .75 * lit, 0, None)
    color = look.colors[keep] * shade[:, None] * 1.25
    depth = np.sqrt((seen[mesh.QUADS[keep]].mean(1) ** 2).sum(1))
    depth[mesh.IS_DECAL[keep]] -= 30
    order = np.argsort(-depth, kind='stable')
    paint = np.empty((len(keep), 4))
    paint[:, :3] = color.clip(0, 255)
    paint[:, 3] = mesh.FACE_ID[keep] if part is None else part
    quads = np.round(corners[keep][order] * 16).astype(np.int32)
    fill = cv2.fillConvexPoly
    for quad, tone in zip(quads, paint[order].tolist()):
        fill(canvas, quad, tone, 8, 4)


def joint_visibility(parts: np.ndarray, pixels: np.ndarray) -> np.ndarray:
    """Looks up what covers each joint.

    Args:
        parts (np.ndarray): (S, S) part numbers on the painted canvas.
        pixels (np.ndarray): (28, 2) joints in pixels of the final image.

    Returns:
        np.ndarray: (28,) int: 0 outside the image, 1 inside but hidden by
        an occluder or another part of the body, 2 inside and seen.
    """
    size = parts.shape[0]
    side = size // SUPERSAMPLING
    inside = ((pixels >= -.5) & (pixels <= side - .5)).all(1)
    place = np.clip(np.round((pixels + .5) * SUPERSAMPLING - .5), 0,
                    size - 1).astype(int)
    seen = parts[place[:, 1], place[:, 0]]
    return np.where(inside, 1 + _OWNS[np.arange(28), seen], 0)


def compose(canvas: np.ndarray, background: np.ndarray
            ) -> tuple[np.ndarray, np.ndarray]:
    """Averages the canvas down onto the background.

    Args:
        canvas (np.ndarray): (2H, 2W, 4) uint8.
        background (np.ndarray): (H, W, 3) uint8 BGR.

    Returns:
        tuple: (H, W, 3) uint8 BGR image and (H, W) uint8 silhouette of the
        person, 0 or 255.
    """
    height, width = background.shape[:2]
    part = cv2.extractChannel(canvas, 3)
    clear, mask = (cv2.resize(cv2.inRange(part, low, high), (width, height),
                              interpolation=cv2.INTER_AREA)
                   for low, high in ((0, 0), (1, BYSTANDER - 1)))
    person = cv2.cvtColor(cv2.resize(canvas, (width, height),
                                     interpolation=cv2.INTER_AREA),
                          cv2.COLOR_BGRA2BGR)
    image = cv2.add(person, cv2.multiply(
        background, cv2.cvtColor(clear, cv2.COLOR_GRAY2BGR), scale=1 / 255))
    return image, cv2.threshold(mask, 127, 255, cv2.THRESH_BINARY)[1]
