"""What stands around the person: background, light, occluders, the lens.

A scene is an integer. Each of its cameras has its own static background and
its own static things in front, so a clip of one camera has a still
background, as a camera on a tripod sees it.
"""
from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np

from .appearance import cloth_color, skin_color
from .rng import keyed_rng

_TILE = 512


@lru_cache(maxsize=1)
def noise_tiles() -> np.ndarray:
    """(8, 512, 512, 3) int8 textures: white, blotchy and streaky noise."""
    rng = keyed_rng('noise tiles')
    tiles = []
    for size in (1, 1, 2, 4, 8, 24, (1, 12), (12, 1)):
        height, width = size if isinstance(size, tuple) else (size, size)
        noise = rng.standard_normal(
            (_TILE // height + 1, _TILE // width + 1, 3), np.float32)
        grey = noise.mean(-1, keepdims=True) * 1.3
        noise = .2 * noise + .8 * grey if size != 1 else noise
        noise = cv2.resize(noise, (_TILE, _TILE),
                           interpolation=cv2.INTER_CUBIC)
        tiles.append(np.clip(noise / noise.std() * 32, -127, 127))
    return np.stack(tiles).astype(np.int8)


def texture(rng: np.random.Generator, kind: int, height: int,
            width: int) -> np.ndarray:
    """(height, width, 3) int8 cut at random from a noise tile, s.d. 32."""
    tile = noise_tiles()[kind]
    if height > _TILE or width > _TILE:
        tile = np.tile(tile, (height // _TILE + 2, width // _TILE + 2, 1))
    y = int(rng.integers(tile.shape[0] - height + 1))
    x = int(rng.integers(tile.shape[1] - width + 1))
    return tile[y:y + height, x:x + width]


def add_noise(image: np.ndarray, noise: np.ndarray, gain: float
              ) -> np.ndarray:
    """A uint8 image plus ``gain`` times an int8 texture."""
    return cv2.addWeighted(image, 1., noise, gain, 0., dtype=cv2.CV_8U)


def _color(rng: np.random.Generator) -> np.ndarray:
    return skin_color(rng) if rng.random() < .2 else cloth_color(rng)


def draw_limb(image: np.ndarray, points: np.ndarray, radii: np.ndarray,
              color: np.ndarray) -> None:
    """Paints a shaded tapered limb through (P, 2) pixel points."""
    for shade, part in ((.62, 1.), (.85, .72), (1.06, .36)):
        tone = tuple(float(c) for c in (color * shade).clip(0, 255))
        for (start, end), (r0, r1) in zip(zip(points, points[1:]),
                                          zip(radii, radii[1:])):
            step = end - start
            length = float(np.hypot(*step)) + 1e-6
            across = np.array([-step[1], step[0]]) / length * part
            quad = np.array([start + across * r0, start - across * r0,
                             end - across * r1, end + across * r1])
            cv2.fillConvexPoly(image, np.round(quad * 16).astype(np.int32),
                               tone, cv2.LINE_AA, 4)
        for point, radius in zip(points, radii):
            cv2.circle(image, tuple(int(v * 16) for v in point),
                       max(int(radius * part * 16), 1), tone, -1,
                       cv2.LINE_AA, 4)


def make_background(seed: int, scene: int, camera: str, size: int,
                    horizon: float) -> np.ndarray:
    """A cluttered background.

    Args:
        seed (int): The world's seed.
        scene (int): The scene.
        camera (str): The camera's name.
        size (int): Side in pixels.
        horizon (float): Height of the horizon in the image in pixels.

    Returns:
        np.ndarray: (size, size, 3) uint8 BGR.
    """
    rng = keyed_rng(seed, 'background', scene, camera)
    grid = int(rng.integers(2, 6))
    colors = _color(rng) + rng.normal(0, rng.uniform(5, 45), (grid, grid, 3))
    image = cv2.resize(colors.clip(0, 255).astype(np.uint8), (size, size),
                       interpolation=cv2.INTER_CUBIC)
    if rng.random() < .65 and horizon < size:
        top = int(max(horizon + rng.uniform(0, .5) * (size - horizon), 0))
        ramp = np.linspace(.75, 1.1, max(size - top, 1))[:, None, None]
        floor = (_color(rng) * ramp).clip(0, 255)
        image[top:] = floor[:size - top].astype(np.uint8)
    image = add_noise(image, texture(rng, int(rng.integers(2, 8)), size,
                                     size), rng.uniform(.05, .6))
    if rng.random() < .3:  # bars, fences, tiles
        step = int(rng.integers(5, 24)) * max(size // 128, 1)
        tone = tuple(_color(rng))
        for bar in range(int(rng.integers(step)), size, step):
            if rng.random() < .95:
                cv2.line(image, (bar, 0), (bar, size), tone, 1 + step // 10)
            if step > 12:
                cv2.line(image, (0, bar), (size, bar), tone, 1)
    for _ in range(int(rng.integers(2, 16))):
        tone = tuple(_color(rng))
        place = rng.uniform(-.1, 1.1, 2) * size
        extent = rng.uniform(.03, .3, 2) * size
        kind = rng.random()
        if kind < .4:
            first, last = place - extent, place + extent
            cv2.rectangle(image, tuple(map(int, first)),
                          tuple(map(int, last)), tone,
                          -1 if rng.random() < .75 else 2)
        elif kind < .65:
            cv2.ellipse(image, tuple(map(int, place)),
                        tuple(map(int, extent)), rng.uniform(0, 180), 0, 360,
                        tone, -1, cv2.LINE_AA)
        else:
            corners = place + rng.normal(0, 1, (int(rng.integers(3, 6)), 2)
                                         ) * extent
            cv2.fillPoly(image, [np.round(corners).astype(np.int32)], tone,
                         cv2.LINE_AA)
    for _ in range(int(rng.integers(0, 5))):  # branches, poles, stray limbs
        draw_limb(image, *_limb_like(rng, size), _color(rng))
    return add_noise(image, texture(rng, int(rng.integers(0, 5)), size, size),
                     rng.uniform(.02, .35))


def _limb_like(rng: np.random.Generator, size: int
               ) -> tuple[np.ndarray, np.ndarray]:
    """Points and radii of something that looks like an arm or a leg."""
    length = rng.uniform(.1, .26) * size
    turn = rng.uniform(0, 2 * np.pi)
    bend = turn + rng.normal(0, .8)
    start = rng.uniform(0, 1, 2) * size
    middle = start + length * np.array([np.cos(turn), np.sin(turn)])
    end = middle + length * np.array([np.cos(bend), np.sin(bend)])
    thick = length * rng.uniform(.12, .22)
    return np.stack([start, middle, end]), thick * np.array([1., .8, .55])


def draw_shadow(image: np.ndarray, pixels: np.ndarray, thick: float,
                strength: float) -> np.ndarray:
    """Darkens the ground along limbs that are projected on it.

    Args:
        image (np.ndarray): (H, W, 3) uint8.
        pixels (np.ndarray): (L, 2, 2) end points of limbs on the ground.
        thick (float): Width in pixels.
        strength (float): 0 none, 1 black.
    """
    shade = np.full(image.shape[:2], 255, np.uint8)
    limit = 4 * max(image.shape)
    ends = np.clip(pixels, -limit, limit).astype(int)
    for a, b in ends.tolist():
        cv2.line(shade, a, b, int(255 * (1 - strength)), max(int(thick), 1))
    shade = cv2.blur(shade, (5, 5))
    return cv2.multiply(image, cv2.cvtColor(shade, cv2.COLOR_GRAY2BGR),
                        scale=1 / 255)


def draw_occluders(canvas: np.ndarray, seed: int, scene: int, camera: str,
                   chance: float, mark: int) -> None:
    """Paints what stands between camera and person.

    Args:
        canvas (np.ndarray): (S, S, 4) uint8, BGR and a part number;
            changed in place.
        seed (int): The world's seed.
        scene (int): The scene.
        camera (str): The camera's name.
        chance (float): Of any occluder.
        mark (int): Part number to paint.
    """
    rng = keyed_rng(seed, 'occluders', scene, camera)
    if rng.random() >= chance:
        return
    size = canvas.shape[0]
    for _ in range(int(rng.integers(1, 4))):
        color = _color(rng)
        kind = rng.random()
        place = rng.uniform(.1, .9, 2) * size
        if kind < .3:  # a post or a rail
            wide = rng.uniform(.015, .05) * size
            tilt = rng.normal(0, .12) + (np.pi / 2 if rng.random() < .6
                                         else 0)
            along = np.array([np.cos(tilt), np.sin(tilt)]) * 2 * size
            shape = np.array([place - along, place + along])
            radii = np.array([wide, wide])
        elif kind < .55:  # somebody's arm, a branch
            shape, radii = _limb_like(rng, size)
        else:  # a box, a ball, a bag
            extent = rng.uniform(.04, .13, 2) * size
            tone = (*color.clip(0, 255), mark)
            if kind < .8:
                turn = rng.normal(0, .3)
                cos, sin = np.cos(turn), np.sin(turn)
                box = np.array([(-1, -1), (1, -1), (1, 1), (-1, 1)]) * extent
                box = box @ np.array([[cos, sin], [-sin, cos]]) + place
                cv2.fillConvexPoly(canvas, np.round(box).astype(np.int32),
                                   tone)
                lid = box * .5 + place * .5
                cv2.fillConvexPoly(canvas, np.round(lid).astype(np.int32), (
                    *(color * rng.uniform(.7, 1.25)).clip(0, 255), mark))
            else:
                cv2.ellipse(canvas, tuple(map(int, place)),
                            tuple(map(int, extent)), 0, 0, 360, tone, -1)
            continue
        for shade, part in ((.65, 1.), (1.05, .55)):
            tone = (*(color * shade).clip(0, 255), mark)
            for (a, b), (r0, r1) in zip(zip(shape, shape[1:]),
                                        zip(radii, radii[1:])):
                step = b - a
                across = np.array([-step[1], step[0]]) / (
                    np.hypot(*step) + 1e-6) * part
                quad = [a + across * r0, a - across * r0, b - across * r1,
                        b + across * r1]
                cv2.fillConvexPoly(canvas, np.round(quad).astype(np.int32),
                                   tone)


def degrade(image: np.ndarray, seed: int, key: tuple, frame: int
            ) -> np.ndarray:
    """What a real camera does: exposure, blur, noise, compression.

    Args:
        image (np.ndarray): (H, W, 3) uint8 BGR.
        seed (int): The world's seed.
        key (tuple): Of the camera; fixes everything but the noise.
        frame (int): Of the instant; places the noise.

    Returns:
        np.ndarray: (H, W, 3) uint8 BGR.
    """
    rng = keyed_rng(seed, 'lens', *key)
    gamma, gain = rng.uniform(.7, 1.4), rng.uniform(.75, 1.25)
    cast, offset = rng.normal(1, .06, 3), rng.uniform(-18, 22)
    ramp = (np.arange(256) / 255)[:, None] ** gamma * 255
    table = (ramp * gain * cast + offset).clip(0, 255).astype(np.uint8)
    image = cv2.LUT(image, table.reshape(1, 256, 3))
    scale = image.shape[0] / 128
    blur = rng.random()
    if blur < .35:
        image = cv2.GaussianBlur(image, (0, 0), rng.uniform(.4, 1.3) * scale)
    elif blur < .42:  # shaken
        length = max(int(rng.uniform(3, 7) * scale), 2)
        image = cv2.blur(image, (length, 1) if rng.random() < .6
                         else (1, length))
    strength = rng.gamma(1.6, .09)
    quality = int(rng.integers(25, 95)) if rng.random() < .5 else 0
    grain = keyed_rng(seed, 'grain', *key, frame)
    image = add_noise(image, texture(grain, int(grain.integers(2)),
                                     *image.shape[:2]), min(strength, .6))
    if quality:
        _, code = cv2.imencode('.jpg', image, (cv2.IMWRITE_JPEG_QUALITY,
                                               quality))
        image = cv2.imdecode(code, cv2.IMREAD_COLOR)
    return image
