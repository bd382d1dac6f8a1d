"""The draws have mmpose's distributions, and follow from the keys alone."""
from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from mmpose.datasets.transforms import (
    GetBBoxCenterScale,
    PackPoseInputs,
    RandomBBoxTransform,
    RandomFlip,
    RandomHalfBody,
    TopdownAffine,
    YOLOXHSVRandomAug,
)
from scipy import stats

from mirrorpose.datasets.crops.augment import choose_half, draw
from mirrorpose.datasets.crops.draws import mix, truncated_normal, uniforms
from mirrorpose.datasets.crops.pipeline import CropPlan

N = 20000
KEYS = np.arange(N, dtype=np.uint64)  # as bad as keys can be


def plan(**kwargs):
    return CropPlan(GetBBoxCenterScale(), TopdownAffine((64, 64)),
                    PackPoseInputs(), **kwargs)


def ks(sample, other):
    """p-value of a two-sided Kolmogorov-Smirnov test."""
    return stats.kstest(sample, other).pvalue


def test_splitmix():
    # First outputs of the generator for seed 1234567 (its reference code).
    states = 1234567 + np.arange(3, dtype=np.uint64) * np.uint64(
        0x9E3779B97F4A7C15)
    with np.errstate(over='ignore'):
        assert mix(states).tolist() == [6457827717110365317,
                                        3203168211198807973,
                                        9817491932198370423]


@pytest.mark.parametrize('stream', [0, 1, 7])
def test_uniform_and_independent(stream):
    u = uniforms(KEYS, 6, stream)
    assert u.min() >= 0 and u.max() < 1
    for column in u.T:
        assert ks(column, 'uniform') > 1e-3
    correlation = np.corrcoef(np.column_stack(
        [u, uniforms(KEYS, 2, stream + 1), np.roll(u[:, 0], 1)]).T)
    assert np.abs(correlation - np.eye(9)).max() < .04


def test_truncated_normal():
    x = truncated_normal(uniforms(KEYS, 1)[:, 0])
    assert x.dtype == np.float32 and np.abs(x).max() <= 1
    assert ks(x, stats.truncnorm(-1, 1).cdf) > 1e-3
    ends = truncated_normal(np.array([0., 1 - 2.**-53]))
    np.testing.assert_allclose(ends, [-1, 1], atol=1e-6)


@pytest.mark.parametrize('options', [
    dict(),
    dict(shift_factor=.3, shift_prob=1., scale_factor=(.75, 1.25),
         scale_prob=.4, rotate_factor=40., rotate_prob=.9)])
def test_box_transform(options):
    step = RandomBBoxTransform(**options)
    found = draw(plan(transform=step), KEYS)
    np.random.seed(0)  # noqa: NPY002  (mmpose draws there)
    offset, scale, rotation = step._get_transform_params(N)
    assert found.offset.dtype == found.scale.dtype == np.float32
    for ours, theirs, prob, rest in (
            (found.offset[:, 0], offset[:, 0], step.shift_prob, 0),
            (found.offset[:, 1], offset[:, 1], step.shift_prob, 0),
            (found.scale, scale[:, 0], step.scale_prob, 1),
            (found.rotation, rotation, step.rotate_prob, 0)):
        share = (ours != rest).mean()
        assert abs(share - prob) < 4 * np.sqrt(prob * (1 - prob) / N) + 1e-9
        assert ks(ours[ours != rest], theirs[theirs != rest]) > 1e-3
    # One chance shifts both axes.
    assert ((found.offset[:, 0] != 0) == (found.offset[:, 1] != 0)).all()
    parts = np.column_stack([found.offset, found.scale, found.rotation])
    assert np.abs(np.corrcoef(parts.T) - np.eye(4)).max() < .04


@pytest.mark.parametrize('prob', [.5, .2, [.3]])
def test_flip(prob):
    direction = ['horizontal'] if isinstance(prob, list) else 'horizontal'
    found = draw(plan(flip=RandomFlip(prob, direction)), KEYS).flip
    want = prob[0] if isinstance(prob, list) else prob
    assert abs(found.mean() - want) < 4 * np.sqrt(want * (1 - want) / N)


def test_colour():
    step = YOLOXHSVRandomAug(hue_delta=12, saturation_delta=40,
                             value_delta=30)
    found = draw(plan(colour=step), KEYS).colour
    np.random.seed(0)  # noqa: NPY002
    theirs = np.array([step._get_hsv_gains() for _ in range(N)])
    assert found.dtype == theirs.dtype == np.int16
    for ours, truth in zip(found.T, theirs.T):
        values = np.unique(np.concatenate([ours, truth]))
        table = [[(x == v).sum() for v in values] for x in (ours, truth)]
        assert stats.chi2_contingency(table).pvalue > 1e-3


def test_half_body():
    step = RandomHalfBody(min_total_keypoints=7, prob=.4)
    ids = dict(upper_body_ids=[0, 1, 2, 3, 4, 5], lower_body_ids=[6, 7, 8, 9])
    rng = np.random.default_rng(0)
    visible = (rng.random((4000, 10)) > .3).astype(np.float32)
    drawn = draw(plan(half_body=step), KEYS[:4000]).half
    which = choose_half(plan(half_body=step), visible, drawn, ids)
    for i, (seen, values) in enumerate(zip(visible, drawn)):
        draws = iter(values.tolist())
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(np.random, 'rand', lambda draws=draws: next(draws))
            truth = step._random_select_half_body(
                keypoints_visible=seen[None], **ids)[0]
        assert np.nonzero(which[i])[0].tolist() == sorted(truth or [])
    assert .1 < which.any(1).mean() < .5


def test_a_function_of_the_key():
    full = plan(flip=RandomFlip(), half_body=RandomHalfBody(),
                transform=RandomBBoxTransform(), colour=YOLOXHSVRandomAug())
    whole = draw(full, KEYS)
    order = np.random.default_rng(0).permutation(N)
    for a, b in zip(whole, draw(full, KEYS[order])):
        np.testing.assert_array_equal(a[order], b)
    for i in (0, 7, 4321):
        for a, b in zip(whole, draw(full, KEYS[i:i + 1])):
            np.testing.assert_array_equal(a[i:i + 1], b)
    # Taking a transform out does not change the draws of the others.
    alone = draw(plan(transform=RandomBBoxTransform()), KEYS)
    np.testing.assert_array_equal(alone.rotation, whole.rotation)


def test_nothing_is_drawn_without_transforms():
    empty = plan()
    found = draw(empty, KEYS[:5])
    assert not empty.is_random and not found.flip.any()
    assert (found.scale == 1).all() and not found.rotation.any()
    assert SimpleNamespace(**found._asdict()).offset.sum() == 0
