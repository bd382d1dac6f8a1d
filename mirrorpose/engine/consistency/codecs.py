"""The codec in its places: pipelines, head, pose prior, preprocessor."""
from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from mmpose.models.pose_estimators import TopdownPoseEstimator
from mmpose.registry import KEYPOINT_CODECS, MODELS

from mirrorpose.structures import Skeleton

from .joints import loader_chains, training_joints
from .reading import (
    arguments,
    codecs_below,
    decoder_of,
    is_codec,
    resolve_type,
    type_name,
)
from .report import Inconsistency, side_by_side
from .shapes import compare, encode, predict_shapes, run_part

_SPLITS = ('train', 'val', 'test')


def _equal(a: Any, b: Any) -> bool:
    if isinstance(a, (list, tuple)) and isinstance(b, (list, tuple)):
        return len(a) == len(b) and all(map(_equal, a, b))
    return bool(np.all(a == b))


def describe_difference(one: Mapping, other: Mapping) -> str:
    """Arguments in which two codecs differ, defaults filled in."""
    if type_name(one) != type_name(other):
        return f'{type_name(one)} / {type_name(other)}'
    a, b = (arguments(c, KEYPOINT_CODECS) for c in (one, other))
    return ', '.join(f'{k}={a.get(k)!r} / {b.get(k)!r}'
                     for k in sorted({*a, *b})
                     if not _equal(a.get(k), b.get(k)))


def _size(value: Any) -> tuple[int, int] | None:
    if isinstance(value, (list, tuple)) and len(value) == 2:
        return int(value[0]), int(value[1])
    return None


def input_size(codec: Mapping) -> tuple[int, int] | None:
    """A codec's input (w, h); None where it has none."""
    return _size(arguments(codec, KEYPOINT_CODECS).get('input_size'))


def training_codecs(cfg: Mapping) -> list[tuple[str, Mapping]]:
    """Codecs that draw the training targets, in pipelines or on the device."""
    found = [(f'{where}.encoder', t['encoder'])
             for chain in loader_chains(cfg, 'train')
             for where, t in chain.of_type('GenerateTarget')]
    model = cfg.get('model') or {}
    found += codecs_below(model.get('data_preprocessor'),
                          'model.data_preprocessor')
    return [(w, c) for w, c in found if is_codec(c)]


def check_codecs(cfg: Mapping) -> Iterator[Inconsistency]:
    """Everything about codecs that two places of a config can disagree in."""
    model = cfg.get('model') or {}
    decoder = decoder_of(model)
    joints = training_joints(cfg)
    count = len(joints.names) if joints is not None else None
    yield from _check_input_sizes(cfg, decoder)
    drawing = training_codecs(cfg)
    if decoder is not None and count is not None:
        yield from _check_encoder(drawing, decoder, count)
    codec = decoder or (drawing[0] if drawing else None)
    if codec is None or count is None:
        return
    yield from _check_predictions(cfg, codec, count, joints.where
                                  if joints is not None else '')
    yield from _check_pose_vae(model, codec,
                               joints.names if joints is not None else [])
    yield from _check_sigma(model, codec)


def _check_input_sizes(cfg: Mapping, decoder: tuple[str, Mapping] | None
                       ) -> Iterator[Inconsistency]:
    """Each pipeline crops to the size that its codec reckons with."""
    told: set[Any] = set()
    for split in _SPLITS:
        for chain in loader_chains(cfg, split):
            crops = chain.of_type('TopdownAffine')
            encoders = [(f'{w}.encoder', t['encoder']) for w, t in
                        chain.of_type('GenerateTarget')
                        if is_codec(t.get('encoder'))]
            if not crops:
                continue
            where, crop = crops[-1]
            have = _size(crop.get('input_size'))
            for place, codec in [*encoders, *([decoder] if decoder else [])]:
                want = input_size(codec)
                key = (place.rpartition('pipeline')[2], have, want)
                if have and want and have != want and key not in told:
                    told.add(key)
                    yield Inconsistency(
                        f'{where} (TopdownAffine) and {place}',
                        f'the crop is {have[0]} x {have[1]} (w x h), the '
                        f'codec reckons with {want[0]} x {want[1]}',
                        "write input_size=codec['input_size'] in both")
                if type_name(codec) == 'UDPHeatmap' and not crop.get(
                        'use_udp') and 'udp' not in told:
                    told.add('udp')
                    yield Inconsistency(
                        f'{where} (TopdownAffine) and {place}',
                        'UDPHeatmap measures between pixel centres, this '
                        'crop does not: joints would be off by a fraction '
                        'of a pixel', 'set use_udp=True in TopdownAffine',
                        fatal=False)


def _check_encoder(drawing: Sequence[tuple[str, Mapping]],
                   decoder: tuple[str, Mapping],
                   count: int) -> Iterator[Inconsistency]:
    """What draws the targets and what decodes predictions are one codec."""
    place, reader = decoder
    told = set()
    for where, codec in drawing:
        size = input_size(codec) or input_size(reader)
        difference = describe_difference(codec, reader)
        if not difference or size is None or difference in told:
            continue
        told.add(difference)
        drawn = encode(codec, count, size)
        read = encode(reader, count, size)
        if drawn is None or read is None:
            continue
        shapes = all(k in drawn and drawn[k].shape == v.shape
                     for k, v in read.items())
        if shapes and all(np.allclose(drawn[k], v, atol=1e-5)
                          for k, v in read.items()):
            continue  # they differ in decoding alone
        yield Inconsistency(
            f'{where} and {place}',
            f'targets are drawn by one codec and read by another: '
            f'{difference}', f'name one codec and use it in both, e.g. '
            f'{place.removeprefix("model.")}=codec')


def _check_predictions(cfg: Mapping, codec: tuple[str, Mapping], count: int,
                       data: str) -> Iterator[Inconsistency]:
    """Joint count and map size of the model against the codec."""
    model = cfg.get('model') or {}
    place, config = codec
    size = input_size(config)
    head = model.get('head')
    kind = resolve_type(model, MODELS)
    if not isinstance(head, Mapping) or kind is None or not issubclass(
            kind, TopdownPoseEstimator):
        return
    encoded = encode(config, count, size) if size is not None else None
    shapes = predict_shapes(model, size) if size is not None else None
    name = f'model.head ({type_name(head)})'
    if encoded is not None and shapes is not None:
        differences = compare(encoded, shapes)
        have = _declared_joints(head)
        for line in differences:
            fix = (f'{data} has {count} joints: give the head as many'
                   if have is not None and have % count else
                   'change heatmap_size (or simcc_split_ratio) of the codec '
                   "or the head's deconvolutions until they agree")
            yield Inconsistency(f'{name} and {place} ({type_name(config)})',
                                line, fix)
        return
    have = _declared_joints(head)
    if have is not None and have % count:
        yield Inconsistency(
            f'{name} and {data}', f'the head predicts {have} joints, the '
            f'data have {count}', f'give the head {count}')


def _declared_joints(head: Mapping) -> int | None:
    """The joint count that a head's config names."""
    head = head.get('pose_cfg', head)
    for key in ('num_joints', 'num_keypoints', 'out_channels'):
        value = head.get(key)
        if isinstance(value, int):
            return value
    return None


def _is_pose_vae(node: Any) -> bool:
    from mirrorpose.models.mirrornet.pose_vae import PoseVAE
    kind = resolve_type(node, MODELS)
    return kind is not None and issubclass(kind, PoseVAE)


def _check_pose_vae(model: Mapping, codec: tuple[str, Mapping],
                    names: Sequence[str]) -> Iterator[Inconsistency]:
    """A pose VAE's joints, map size and sigma against data and codec."""
    place, config = codec
    given = arguments(config, KEYPOINT_CODECS)
    for key, node in model.items():
        if not _is_pose_vae(node):
            continue
        where = f'model.{key} ({type_name(node)})'
        vae = arguments(node, MODELS)
        try:
            known = list(Skeleton.from_name(vae['skeleton']).joints)
        except ValueError as error:
            yield Inconsistency(where, str(error), 'name a known joint set')
            continue
        if known != list(names):
            yield Inconsistency(
                f'{where} and the training data',
                f'the joints of {vae["skeleton"]!r} are not those of the '
                'data:\n' + side_by_side(known, names, vae['skeleton'],
                                         'data'),
                'set skeleton to the joint set of the data')
        maps = _size(given.get('heatmap_size'))
        drawn = _size(vae.get('map_size'))
        if maps is not None and drawn is not None and drawn != maps[::-1]:
            yield Inconsistency(
                f'{where} and {place}',
                f'it draws maps of {drawn} (h, w), the codec of {maps} '
                '(w, h)', f'set map_size={maps[::-1]}')
        elif maps is not None:
            shape = (1, len(known), maps[1], maps[0])
            out = run_part(node, shape)
            if isinstance(out, str):
                yield Inconsistency(where, out,
                                    'vector_size, the numbers of channels '
                                    'and map_size have to fit each other')
            elif out and out[0] != shape:
                yield Inconsistency(
                    where, f'of maps {shape[1:]} it makes {out[0][1:]}',
                    'vector_size of recognizer and generator have to fit '
                    'map_size (an eighth of it)')
        yield from _same_sigma(where, vae.get('sigma'), place, given)


def _check_sigma(model: Mapping, codec: tuple[str, Mapping]
                 ) -> Iterator[Inconsistency]:
    """A model that draws poses itself draws them as the codec does."""
    place, config = codec
    kind = resolve_type(model, MODELS)
    from mirrorpose.models.mirrornet import MirrorNet
    if kind is None or not issubclass(kind, MirrorNet):
        return
    mine = arguments(model, MODELS)
    if mine.get('pose_form') != 'coordinates':
        return
    yield from _same_sigma(f'model ({type_name(model)})', mine.get('sigma'),
                           place, arguments(config, KEYPOINT_CODECS))


def _same_sigma(where: str, sigma: Any, place: str,
                codec: Mapping[str, Any]) -> Iterator[Inconsistency]:
    theirs = codec.get('sigma')
    if not isinstance(sigma, (int, float)) or not isinstance(
            theirs, (int, float)):
        return
    if not math.isclose(sigma, theirs):
        yield Inconsistency(
            f'{where} and {place}',
            f'it draws joints with sigma={sigma:g} cells, the codec with '
            f'{theirs:g}: what the recognizer learns to draw is not what the '
            'generative terms see', f'set sigma={theirs:g} in both')
