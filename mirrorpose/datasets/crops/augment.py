"""mmpose's random box transforms for whole batches, from keys."""
from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from . import geometry
from .draws import truncated_normal, uniforms
from .pipeline import CropPlan

#: Independent streams of one sample's key; new ones go to the end.
_FLIP, _HALF, _BOX, _COLOUR, REPLACE = range(5)


class Draws(NamedTuple):
    """What is random about N samples.

    Attributes:
        flip (np.ndarray): (N,) bool.
        half (np.ndarray): (N, 2) float64 in [0, 1): whether half a body, and
            which half.
        offset (np.ndarray): (N, 2) float32, shift over the box's size.
        scale (np.ndarray): (N,) float32.
        rotation (np.ndarray): (N,) float32, degrees.
        colour (np.ndarray): (N, 3) int16, added to hue (0..179),
            saturation and value.
    """

    flip: np.ndarray
    half: np.ndarray
    offset: np.ndarray
    scale: np.ndarray
    rotation: np.ndarray
    colour: np.ndarray


def draw(plan: CropPlan, keys: np.ndarray) -> Draws:
    """Draws from the distributions of mmpose's transforms.

    Args:
        plan (CropPlan): The pipeline.
        keys (np.ndarray): (N,) uint64.
    """
    n = len(keys)
    flip = np.zeros(n, bool)
    half = np.ones((n, 2))
    offset = np.zeros((n, 2), np.float32)
    scale = np.ones(n, np.float32)
    rotation = np.zeros(n, np.float32)
    colour = np.zeros((n, 3), np.int16)
    if plan.flip is not None:
        flip = uniforms(keys, 1, _FLIP)[:, 0] < plan.flip_prob
    if plan.half_body is not None:
        half = uniforms(keys, 2, _HALF)
    if (move := plan.transform) is not None:
        u = uniforms(keys, 7, _BOX)
        normal = truncated_normal(u[:, :4])
        low, high = move.scale_factor
        offset = np.where(u[:, 4:5] < move.shift_prob,
                          normal[:, :2] * np.float32(move.shift_factor),
                          np.float32(0))
        scale = np.where(u[:, 5] < move.scale_prob,
                         normal[:, 2] * np.float32((high - low) * .5)
                         + np.float32((high + low) * .5), np.float32(1))
        rotation = np.where(u[:, 6] < move.rotate_prob,
                            normal[:, 3] * np.float32(move.rotate_factor),
                            np.float32(0))
    if (jitter := plan.colour) is not None:
        u = uniforms(keys, 6, _COLOUR)
        gains = (2 * u[:, :3] - 1) * [jitter.hue_delta,
                                      jitter.saturation_delta,
                                      jitter.value_delta]
        colour = (gains * (u[:, 3:] >= .5)).astype(np.int16)
    return Draws(flip, half, offset, scale, rotation, colour)


@dataclass
class Boxes:
    """N people as the box transforms see them.

    Attributes:
        center (np.ndarray), scale (np.ndarray): (N, 2) float32, of the
            padded box (w, h).
        keypoints (np.ndarray): (N, K, 2), image pixels.
        visible (np.ndarray): (N, K).
        width (np.ndarray): (N,) int, width of the image.
        rotation (np.ndarray): (N,) float32, degrees.
    """

    center: np.ndarray
    scale: np.ndarray
    keypoints: np.ndarray
    visible: np.ndarray
    width: np.ndarray
    rotation: np.ndarray


def move_boxes(plan: CropPlan, boxes: Boxes, draws: Draws,
               metainfo: dict) -> Boxes:
    """Mirrors, halves, shifts, resizes and turns boxes.

    Args:
        plan (CropPlan): The pipeline.
        boxes (Boxes): As annotated.
        draws (Draws): What is random.
        metainfo (dict): ``flip_indices``, ``upper_body_ids``,
            ``lower_body_ids``.

    Returns:
        Boxes: As ``TopdownAffine`` sees them, of the input's aspect ratio.
    """
    center, scale = boxes.center, boxes.scale
    keypoints, visible = boxes.keypoints, boxes.visible
    if plan.flip is not None:
        order = np.asarray(metainfo['flip_indices'])
        keypoints = geometry.mirror_points(keypoints, boxes.width, draws.flip,
                                           order)
        visible = np.where(draws.flip[:, None], visible[:, order], visible)
        center = center.copy()
        mirrored = boxes.width.astype(np.float32) - center[:, 0] - 1
        center[:, 0] = np.where(draws.flip, mirrored, center[:, 0])
    if plan.half_body is not None:
        which = choose_half(plan, visible, draws.half, metainfo)
        halved = half_boxes(plan, keypoints, which)
        chosen = which.any(1)[:, None]
        center = np.where(chosen, halved[0], center)
        scale = np.where(chosen, halved[1], scale)
    if plan.transform is not None:
        center = center + draws.offset * scale
        scale = scale * draws.scale[:, None]
    w, h = plan.input_size
    return Boxes(center, geometry.fix_aspect_ratio(scale, w / h), keypoints,
                 visible, boxes.width, draws.rotation)


def choose_half(plan: CropPlan, visible: np.ndarray, drawn: np.ndarray,
                metainfo: dict) -> np.ndarray:
    """The joints of the half that is looked at, as ``RandomHalfBody``.

    Args:
        plan (CropPlan): The pipeline.
        visible (np.ndarray): (N, K).
        drawn (np.ndarray): (N, 2) in [0, 1).
        metainfo (dict): ``upper_body_ids`` and ``lower_body_ids``.

    Returns:
        np.ndarray: (N, K) bool; no joint where the whole body stays.
    """
    half = plan.half_body
    assert half is not None
    upper, lower = _halves(visible, metainfo)
    few_upper = upper.sum(1) < half.min_upper_keypoints
    few_lower = lower.sum(1) < half.min_lower_keypoints
    use_upper = np.where(few_upper | few_lower, few_lower,
                         drawn[:, 1] < half.upper_prioritized_prob)
    kept = (visible.sum(1) < half.min_total_keypoints) | (
        drawn[:, 0] > half.prob) | (few_upper & few_lower)
    which = np.where(use_upper[:, None], upper, lower)
    return which & ~kept[:, None]


def _halves(visible: np.ndarray,
            metainfo: dict) -> tuple[np.ndarray, np.ndarray]:
    sides = np.zeros((2, visible.shape[1]), bool)
    for side, ids in zip(sides, ('upper_body_ids', 'lower_body_ids')):
        side[list(metainfo[ids])] = True
    present = visible > 0
    return present & sides[0], present & sides[1]


def half_boxes(plan: CropPlan, keypoints: np.ndarray,
               which: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Centre and padded size (N, 2) of the box of some joints."""
    half = plan.half_body
    assert half is not None
    chosen = which[..., None]
    count = np.maximum(which.sum(1), 1)[:, None]
    center = np.where(chosen, keypoints, 0).sum(1) / count
    low = np.where(chosen, keypoints, np.inf).min(1)
    high = np.where(chosen, keypoints, -np.inf).max(1)
    extent = np.where(which.any(1)[:, None], high - low, 0)
    return (center.astype(np.float32),
            (extent * half.padding).astype(np.float32))


def seen_squares(plan: CropPlan, boxes: Boxes, margin: float,
                 metainfo: dict) -> tuple[np.ndarray, np.ndarray]:
    """The square of the image that no draw looks beyond.

    Args:
        plan (CropPlan): The pipeline.
        boxes (Boxes): As annotated.
        margin (float): Side of the square over the longer side of the
            padded box.
        metainfo (dict): ``upper_body_ids`` and ``lower_body_ids``.

    Returns:
        tuple[np.ndarray, np.ndarray]: Centres (N, 2) and sides (N,), float64
        pixels. Where half bodies are looked at, it holds theirs too.
    """
    w, h = plan.input_size
    candidates = [(boxes.center, boxes.scale)]
    if plan.half_body is not None:
        for which in _halves(boxes.visible, metainfo):
            center, scale = half_boxes(plan, boxes.keypoints, which)
            none = ~which.any(1)[:, None]
            candidates.append((np.where(none, boxes.center, center),
                               np.where(none, boxes.scale, scale)))
    low, high = [], []
    with np.errstate(invalid='ignore'):  # boxes that are not finite
        for center, scale in candidates:
            side = geometry.fix_aspect_ratio(scale, w / h).max(
                1, keepdims=True)
            reach = side.astype(np.float64) * margin / 2
            low.append(center - reach)
            high.append(center + reach)
        lowest, highest = np.min(low, axis=0), np.max(high, axis=0)
        return (lowest + highest) / 2, (highest - lowest).max(1)
