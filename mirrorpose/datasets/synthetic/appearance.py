"""What an identity looks like: skin, hair, clothes.

Colours belong to the quads of the mesh. Left and right are dressed alike (but
for camouflage, which is random on both): what tells them apart are the face,
the feet, the open jacket, the print on the chest, as in photographs.
"""
from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import cv2
import numpy as np

from . import mesh
from .rng import keyed_rng

# Skin from light to dark, BGR; between the steps of Fitzpatrick's scale.
_SKIN = np.array([(190, 206, 244), (160, 186, 234), (132, 164, 217),
                  (96, 130, 190), (62, 92, 148), (42, 62, 104),
                  (30, 42, 70)], float)
_HAIR = np.array([(20, 20, 24), (30, 42, 66), (44, 72, 108), (96, 152, 190),
                  (60, 80, 150), (150, 150, 150), (210, 212, 214)], float)

#: BGR of a laboratory's suit, by side.
_SUIT = dict(left=(50., 50., 220.), right=(220., 90., 40.))
_LIMBS = ('upper_arm', 'forearm', 'hand', 'thigh', 'shank', 'foot')


class Appearance(NamedTuple):
    """What the renderer needs.

    Attributes:
        colors (np.ndarray): (F, 3) float BGR of each quad, unlit.
        shown (np.ndarray): (F,) bool, quads that exist for this identity.
        loose (dict): Factor on the radius of dressed parts.
        skin (np.ndarray): (3,) BGR.
        cloth (np.ndarray): (2, 3) BGR of the upper and lower garment.
    """

    colors: np.ndarray
    shown: np.ndarray
    loose: dict[str, float]
    skin: np.ndarray
    cloth: np.ndarray


def skin_color(rng: np.random.Generator) -> np.ndarray:
    """(3,) float BGR."""
    place = rng.uniform(0, len(_SKIN) - 1.001)
    low = int(place)
    part = place - low
    return (_SKIN[low] * (1 - part) + _SKIN[low + 1] * part
            + rng.normal(0, 6, 3)).clip(8, 250)


@lru_cache(maxsize=1)
def _palette() -> np.ndarray:
    """(4096, 3) float BGR: greys, muted, loud and skin-like colours."""
    rng = keyed_rng('palette')
    grey = rng.uniform(15, 245, (1230, 1)) + rng.normal(0, 5, (1230, 3))
    beige = np.stack([skin_color(rng) for _ in range(330)])
    hsv = rng.integers((0, 30, 50), (180, 150, 240), (2536, 3))
    hsv[::3, 1] = rng.integers(150, 255, len(hsv[::3]))
    color = cv2.cvtColor(hsv[None].astype(np.uint8), cv2.COLOR_HSV2BGR)[0]
    return np.concatenate([grey, beige, color]).clip(2, 253)


def cloth_color(rng: np.random.Generator) -> np.ndarray:
    """(3,) float BGR."""
    return _palette()[rng.integers(4096)]


def _pattern(rng: np.random.Generator, mask: np.ndarray, rings: np.ndarray,
             colors: np.ndarray) -> np.ndarray:
    """Paints one garment; returns its main colour."""
    main, second = cloth_color(rng), cloth_color(rng)
    kind = int(rng.choice(7, p=(.42, .14, .08, .08, .1, .1, .08)))
    odd = np.zeros(len(mask), bool)
    if kind == 1:  # hoops
        odd = rings % 2 == 1
    elif kind == 2:  # pin stripes down the body, the same on both sides
        odd = np.minimum(mesh.FACE_SECTOR, 7 - mesh.FACE_SECTOR) % 2 == 1
    elif kind == 3:  # checks
        odd = (rings + np.minimum(mesh.FACE_SECTOR,
                                  7 - mesh.FACE_SECTOR)) % 2 == 1
    elif kind == 4:  # camouflage
        odd = rng.random(len(mask)) < .4
    elif kind == 5:  # open in front, or a front panel
        odd = (mesh.FACE_SECTOR == 0) | (mesh.FACE_SECTOR == 7)
    elif kind == 6:  # another back
        odd = (mesh.FACE_SECTOR > 1) & (mesh.FACE_SECTOR < 6)
    colors[mask] = main
    colors[mask & odd] = second
    return main


def make_appearance(seed: int, identity: int) -> Appearance:
    """Dresses an identity.

    Args:
        seed (int): The world's seed.
        identity (int): Any integer.

    Returns:
        Appearance: Its look.
    """
    rng = keyed_rng(seed, 'look', identity)
    face, along, sector = mesh.FACE_IS, mesh.FACE_ALONG, mesh.FACE_SECTOR
    skin, hair = skin_color(rng), _HAIR[rng.integers(len(_HAIR))]
    hair = (hair + rng.normal(0, 8, 3)).clip(5, 245)
    colors = np.repeat(skin[None], len(along), 0)
    shown = np.ones(len(along), bool)
    rings = mesh.FACE_RING
    loose: dict[str, float] = {}

    def both(part: str) -> np.ndarray:
        return face[f'left_{part}'] | face[f'right_{part}']

    front = (sector == 0) | (sector == 7)
    # Legs: trousers, shorts, leggings, skirt; shoes or bare feet.
    kind = rng.random()
    skirt = kind < .15
    reach = (rng.uniform(.3, .9) if kind < .5 else rng.uniform(1., 1.3)
             if kind < .58 else 2.)
    legs = (both('thigh') & (along < reach)) | (
        both('shank') & (along + 1 < reach))
    lower = face['trunk'] & (along < .34)
    if skirt:
        shown[face['skirt'] & (along > rng.choice((.7, 1.)))] = False
        legs &= rng.random() < .3
        lower_color = _pattern(rng, lower | face['skirt'], rings, colors)
        colors[legs] = cloth_color(rng)
    else:
        shown[face['skirt']] = False
        lower_color = _pattern(rng, lower | legs, rings, colors)
        loose |= dict(thigh=rng.uniform(1., 1.22))
        if reach > 1.2:
            loose |= dict(shank=loose['thigh'] * rng.uniform(1., 1.3))
    if rng.random() < .85:
        colors[both('foot')] = cloth_color(rng)
        colors[both('foot') & ((sector == 3) | (sector == 4))] *= .6
        if rng.random() < .5:  # socks
            colors[both('shank') & (along > rng.uniform(.6, .95))
                   & ~legs] = cloth_color(rng)
    # Trunk and arms.
    kind = rng.random()
    sleeve = (0. if kind < .22 else rng.uniform(.35, .9) if kind < .62
              else 2.)
    arms = (both('upper_arm') & (along < sleeve)) | (
        both('forearm') & (along + 1 < sleeve))
    upper = face['trunk'] & (along >= .34)
    bare = rng.random() < .07
    if bare:
        upper_color = skin
        arms &= False
    else:
        upper_color = _pattern(rng, upper | arms, rings, colors)
        loose |= dict(trunk=rng.uniform(1., 1.12),
                      upper_arm=rng.uniform(1., 1.2) if sleeve else 1.)
        if sleeve > 1:
            loose |= dict(forearm=rng.uniform(1.05, 1.35))
        if rng.random() < .3:  # the shirt hangs over the belt
            colors[face['trunk'] & (along > .2) & (along < .34)] = upper_color
    if rng.random() < .25:
        colors[both('hand')] = cloth_color(rng)
    shown[face['print']] = (not bare) and rng.random() < .35
    colors[face['print']] = cloth_color(rng)
    shown[face['neckline']] = (not bare) and rng.random() < .6
    colors[face['neckline']] = skin
    # Head: hair or a hat above the forehead and at the back.
    style = rng.random()
    forehead = .62 if style < .9 else .8
    cover = face['head'] & ((along > forehead + .06)
                            | ((along > .3) & (sector > 1) & (sector < 6))
                            | ((along > forehead - .12) & ~front))
    if style > .93:
        cover &= False  # bald
    hat = rng.random() < .14
    colors[cover] = cloth_color(rng) if hat else hair
    long_hair = .05 < style < .35
    shown[face['hair']] = long_hair
    colors[face['hair']] = hair
    if style < .05:  # a beard
        colors[face['head'] & (along < .3) & (sector < 2)] = hair
        colors[face['head'] & (along < .3) & (sector > 5)] = hair
    colors[face['left_eye'] | face['right_eye']] = (
        cloth_color(rng) * .3 if rng.random() < .9 else (10, 10, 10))
    colors[face['mouth']] = skin * (.6, .55, .85)
    colors[face['nose']] = np.minimum(skin * 1.08 + 6, 255)
    colors += rng.normal(0, 4, (len(colors), 1))
    return Appearance(colors.clip(2, 253), shown, loose, skin,
                      np.stack([upper_color, lower_color]))


def suited(look: Appearance) -> Appearance:
    """The same person in a laboratory's suit: left limbs red, right blue.

    Sides are then told by colour, which the usual looks leave to the face
    and the feet.
    """
    face = mesh.FACE_IS
    colors, shown = look.colors.copy(), look.shown & ~face['skirt']
    for side, color in _SUIT.items():
        for limb in _LIMBS:
            colors[face[f'{side}_{limb}']] = color
    return look._replace(colors=colors, shown=shown)
