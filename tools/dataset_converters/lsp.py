#!/usr/bin/env python
"""Prepares Leeds Sports Pose, or its extension, for ``LspDataset``.

    python tools/dataset_converters/lsp.py lsp_dataset.zip --out data
    python tools/dataset_converters/lsp.py lspet_dataset.zip --extended \
        --out data

Takes the archives as published, or folders with the same content: LSP
(``lsp_dataset.zip`` or ``lsp_dataset_original.zip``: ``joints.mat`` (3, 14,
2000) and ``images/im0001.jpg`` ...), LSPET (``joints.mat`` (14, 3, 10000) and
``images/im00001.jpg`` ...) and HR-LSPET (the same with ``im00001.png`` ... at
the top). Every image is decoded once. Writes, all or nothing,
``OUT/lsp/lsp.npz`` and ``images.zip`` (``OUT/lspet/...``), and ``masks.zip``
where masks are given.
"""
from __future__ import annotations

import argparse
import importlib.util
import io
import re
import sys
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from scipy.io import loadmat
from scipy.io.matlab import MatReadError

if importlib.util.find_spec('mirrorpose') is None:
    # A clone that is not installed.
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from mirrorpose.datasets.preparation import (
    ConversionError,
    Source,
    crop_matrix,
    decode_image,
    encode_image,
    progress,
    run_converter,
    warp,
    write_zip,
    written_together,
)
from mirrorpose.structures.skeleton import Skeleton

LSP = Skeleton.from_name('lsp_14')
CROP_PADDING = 1.45


def read_joints(data: bytes, name: str,
                extended: bool) -> tuple[np.ndarray, np.ndarray]:
    """Reads ``joints.mat``.

    Args:
        data (bytes): The file.
        name (str): Its name, for messages.
        extended (bool): Expect LSPET's (14, 3, N) instead of LSP's
            (3, 14, N), or (2, 14, N) without flags.

    Returns:
        tuple: (N, 14, 2) float32 coordinates and (N, 14) uint8 flags:
        occluded (LSP) or visible (LSPET).

    Raises:
        ConversionError: The array is missing, has another shape, or holds
            values that are not finite.
    """
    try:
        content = loadmat(io.BytesIO(data))
    except (MatReadError, ValueError, NotImplementedError) as error:
        raise ConversionError(f'{name} is no readable MATLAB file '
                              f'({error})') from error
    joints = content.get('joints')
    wanted = '(14, 3, N)' if extended else '(3, 14, N)'
    if joints is None or joints.ndim != 3:
        raise ConversionError(
            f'{name} has no array "joints" of the shape {wanted}; it holds '
            f'{ {k: np.shape(v) for k, v in content.items() if k[0] != "_"} }')
    shape = joints.shape[:2]
    if extended and shape == (14, 3):
        table = joints.transpose(2, 0, 1)
    elif not extended and shape in ((3, 14), (2, 14)):
        table = joints.transpose(2, 1, 0)
    else:
        other = shape == ((3, 14) if extended else (14, 3))
        advice = ('' if not other else '; this is LSP, so leave out '
                  '--extended' if extended else '; this is the extension, '
                  'so add --extended')
        raise ConversionError(f'{name}: joints has the shape {joints.shape}, '
                              f'expected {wanted}{advice}')
    flags = (table[..., 2] if table.shape[2] == 3 else
             np.zeros(table.shape[:2]))
    used = flags > 0 if extended else np.ones(flags.shape, bool)
    bad = np.argwhere(used & ~np.isfinite(table[..., :2]).all(axis=-1))
    if len(bad):
        raise ConversionError(
            f'{name}: joint {LSP.joints[bad[0][1]]} of image '
            f'{bad[0][0] + 1} is not finite ({len(bad)} such joints)')
    return (np.nan_to_num(table[..., :2]).astype(np.float32),
            (flags > 0).astype(np.uint8))


def find_images(source: Source) -> list[str]:
    """Finds the images, ``im<number>.jpg`` or ``.png``, by number.

    Raises:
        ConversionError: There is none, or a number twice.
    """
    found: dict[int, str] = {}
    for name in source.names:
        match = re.fullmatch(r'im(\d+)\.(jpg|jpeg|png)', name.split('/')[-1])
        if not match or 'visualized' in name.split('/'):
            continue
        number = int(match[1])
        if number in found:
            raise ConversionError(f'image {number} is there twice: '
                                  f'{found[number]} and {name}')
        found[number] = name
    if not found:
        raise ConversionError(f'{source.path} holds no images '
                              'im<number>.jpg or .png')
    return [found[n] for n in sorted(found)]


def find_masks(source: Source) -> dict[str, str]:
    """Finds masks: image stem to ``<stem>.png``, ``<stem>_segmentation.png``.

    Raises:
        ConversionError: There is none.
    """
    found = {}
    for name in source.names:
        match = re.fullmatch(r'(im\d+)(_segmentation)?\.png',
                             name.split('/')[-1])
        if match:
            found[match[1]] = name
    if not found:
        raise ConversionError(f'{source.path} holds no masks im<number>.png '
                              'or im<number>_segmentation.png')
    return found


def mask_quality(mask: np.ndarray, joints: np.ndarray,
                 visible: np.ndarray) -> tuple[float, float, float]:
    """Measures how a silhouette fits the joints.

    Args:
        mask (np.ndarray): (H, W) bool.
        joints (np.ndarray): (14, 2) in the mask's pixels.
        visible (np.ndarray): (14,), positive = annotated.

    Returns:
        tuple: The share of the skeleton's pixels that the mask covers, the
        share of the mask that lies farther than 0.15 of the longer side of
        the person's box from the skeleton, and the mask's share of the image.
    """
    if not mask.any():
        return 0., 1., 0.
    lines = np.zeros(mask.shape, np.uint8)
    points = np.round(joints).astype(int)
    for a, b in LSP.limb_indices:
        if visible[a] > 0 and visible[b] > 0:
            cv2.line(lines, tuple(map(int, points[a])),
                     tuple(map(int, points[b])), 255)
    shown = joints[np.asarray(visible) > 0]
    reach = 0.15 * float((shown.max(axis=0) - shown.min(axis=0)).max())
    far = cv2.distanceTransform(255 - lines, cv2.DIST_L2, 5) > reach
    drawn = lines > 0
    coverage = float((mask & drawn).sum() / max(drawn.sum(), 1))
    return coverage, float((mask & far).sum() / mask.sum()), float(mask.mean())


def check_observer(joints: np.ndarray, name: str) -> None:
    """Refuses person-centric joints where observer-centric ones are meant.

    Raises:
        ConversionError: The right shoulder is on neither side of the left
            one in 85 % of the images, which only the person's own sides
            explain.
    """
    right, left = LSP.index('right_shoulder', 'left_shoulder')
    share = float((joints[:, right, 0] < joints[:, left, 0]).mean())
    if .15 < share < .85:
        raise ConversionError(
            f'{name}: the right shoulder lies left of the left one in '
            f'{100 * share:.0f} % of the images, so these sides are the '
            "person's, not the observer's")


def convert(args: argparse.Namespace) -> None:
    """Converts; see the module's text."""
    source = Source(args.source)
    name = 'lspet' if args.extended else 'lsp'
    joints, flags = read_joints(source.read(source.find('joints.mat')),
                                'joints.mat', args.extended)
    images = find_images(source)
    high_resolution = args.extended and images[0].endswith('.png')
    expected = args.expect or (len(joints) if high_resolution else
                               10000 if args.extended else 2000)
    for what, count in (('images', len(images)), ('people in joints.mat',
                                                  len(joints))):
        if count != expected:
            raise ConversionError(
                f'{args.source} has {count} {what}, expected {expected}; the '
                f'download may be incomplete (pass --expect {count} if that '
                'is all there is)')
    visible = flags if args.extended else np.ones_like(flags)
    names = [Path(n).stem for n in images]
    kept = np.arange(len(names))
    if args.min_visible:
        kept = kept[visible.sum(axis=1) >= args.min_visible]
        print(f'{len(names) - len(kept)} people with fewer than '
              f'{args.min_visible} annotated joints are left out')
    spans = np.array([_span(joints[i], visible[i]) for i in kept])
    if not spans.all():
        lost = [names[i] for i in kept[~spans]]
        raise ConversionError(
            f'{len(lost)} people have fewer than two annotated joints or no '
            f'extent: {lost[:10]}; leave them out with --min-visible 2 or '
            'more')

    observer = None
    if args.observer:
        path = Path(args.observer)
        if not path.is_file():
            raise ConversionError(f'{path} does not exist')
        observer = read_joints(path.read_bytes(), path.name, False)
        if len(observer[0]) != len(joints):
            raise ConversionError(f'{path} has {len(observer[0])} people, '
                                  f'joints.mat {len(joints)}')
        check_observer(observer[0], path.name)
    mask_source = Source(args.masks) if args.masks else None
    masks = find_masks(mask_source) if mask_source else {}

    matrices = np.tile(np.eye(2, 3, dtype=np.float32), (len(names), 1, 1))
    if args.size:
        for i in kept:
            shown = joints[i][visible[i] > 0]
            matrices[i] = crop_matrix([*shown.min(axis=0),
                                       *shown.max(axis=0)], args.size,
                                      CROP_PADDING)

    def moved(points: np.ndarray) -> np.ndarray:
        """Joints in the coordinates of what is written."""
        return (np.einsum('nij,nkj->nki', matrices[:, :, :2], points) +
                matrices[:, None, :, 2]).astype(np.float32)

    joints = moved(joints)
    quality = np.zeros((len(names), 3), np.float32)
    shapes: dict[int, tuple[int, int]] = {}

    def image_files():
        """Yields names and bytes of the images."""
        for i in progress(kept, 'images'):
            data = source.read(images[i])
            image = decode_image(data, images[i])
            shapes[i] = image.shape[:2]
            if args.size:
                data = encode_image(warp(image, matrices[i], args.size),
                                    '.jpg')
                yield names[i] + '.jpg', data
            else:
                yield names[i] + Path(images[i]).suffix, data

    def mask_files():
        """Yields names and bytes of the masks, and fills in quality."""
        for i in progress([i for i in kept if names[i] in masks], 'masks'):
            mask = decode_image(mask_source.read(masks[names[i]]),
                                masks[names[i]])[..., 0]
            if mask.shape != shapes[i]:
                raise ConversionError(
                    f'mask {masks[names[i]]} is {mask.shape}, its image '
                    f'{shapes[i]} (height, width)')
            mask = (mask > mask.max() / 2).astype(np.uint8) * 255
            if args.size:
                mask = warp(mask, matrices[i], args.size)
                mask = (mask >= 128).astype(np.uint8) * 255
            quality[i] = mask_quality(mask > 0, joints[i], visible[i])
            yield names[i] + '.png', encode_image(mask, '.png')

    with written_together(Path(args.out) / name) as part:
        write_zip(part / 'images.zip', image_files())
        arrays = dict(names=np.array([names[i] for i in kept]),
                      joints=joints[kept], joint_names=np.array(LSP.joints),
                      to_crop=matrices[kept])
        arrays['visible' if args.extended else 'occluded'] = flags[kept]
        if not args.extended:
            # The standard split: the first half trains, the second tests.
            arrays['train'] = kept < len(names) // 2
        if masks:
            count = write_zip(part / 'masks.zip', mask_files())
            arrays['mask_quality'] = quality[kept]
            print(f'{count} of {len(kept)} people have a mask')
        np.savez_compressed(part / f'{name}.npz', **arrays)
        if observer is not None:
            arrays.update(joints=moved(observer[0])[kept],
                          occluded=observer[1][kept],
                          annotations=np.array('observer'))
            np.savez_compressed(part / f'{name}_oc.npz', **arrays)
    print(f'{Path(args.out) / name}: {len(kept)} people')


def _span(points: np.ndarray, visible: np.ndarray) -> bool:
    """Whether the annotated joints span a box."""
    shown = points[visible > 0]
    return len(shown) >= 2 and bool((np.ptp(shown, axis=0) > 0).all())


def main(arguments: Sequence[str] | None = None) -> None:
    """Parses the command line and converts."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument('source', help='archive or folder as published')
    parser.add_argument('--out', default='data',
                        help='data root to write to (default: data)')
    parser.add_argument('--extended', action='store_true',
                        help='the source is LSPET or HR-LSPET')
    parser.add_argument('--observer', metavar='MAT',
                        help='observer-centric joints (3, 14, N) of the same '
                        'images, written as lsp_oc.npz')
    parser.add_argument('--masks', metavar='DIR_OR_ZIP',
                        help='masks <image>.png or <image>_segmentation.png')
    parser.add_argument('--size', type=int, default=0, metavar='N',
                        help='write square person crops of N pixels (1.45 x '
                        'the joints\' box) instead of whole images')
    parser.add_argument('--min-visible', type=int, default=0, metavar='N',
                        help='leave out people with fewer annotated joints')
    parser.add_argument('--expect', type=int, default=0, metavar='N',
                        help='number of images (default: 2000; LSPET: 10000)')
    args = parser.parse_args(arguments)
    if args.observer and args.extended:
        raise ConversionError('--observer is for LSP, not for the extension')
    convert(args)


if __name__ == '__main__':
    raise SystemExit(run_converter(main))
