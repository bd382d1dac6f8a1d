#!/usr/bin/env python
"""Prepares silhouettes for ``SilhouetteDataset``.

    python tools/dataset_converters/silhouettes.py upi-s1h --layout up_s1h \
        --out data --name up_s1h
    python tools/dataset_converters/silhouettes.py my_photos --out data \
        --name my_photos

Takes UP-S1h (Lassner et al., CVPR 2017) unpacked, without the sources whose
images LSP and MPII hold too, or a folder with ``images/`` and ``masks/`` that
are paired by name. Writes square person crops, all or nothing, to
``OUT/NAME/images.zip`` and ``masks.zip``, which the data set reads:

    dict(type='SilhouetteDataset', data_root='data/up_s1h',
         image_dir='images.zip', mask_dir='masks.zip')
"""
from __future__ import annotations

import argparse
import importlib.util
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

if importlib.util.find_spec('mirrorpose') is None:
    # A clone that is not installed.
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from mirrorpose.datasets.preparation import (
    ConversionError,
    crop_matrix,
    decode_image,
    encode_image,
    progress,
    run_converter,
    warp,
    write_zip,
    written_together,
)
from mirrorpose.datasets.silhouettes import (
    UP_S1H_SHARED,
    find_up_s1h,
    list_files,
    mask_box,
    pair_by_stem,
)

CROP_PADDING = 1.5


def convert(args: argparse.Namespace) -> None:
    """Converts; see the module's text."""
    source = Path(args.source)
    try:
        if args.layout == 'up_s1h':
            pairs = find_up_s1h(source, args.exclude)
        else:
            pairs = pair_by_stem(list_files(source / 'images'),
                                 list_files(source / 'masks'),
                                 args.mask_suffix)
    except (FileNotFoundError, ValueError) as error:
        raise ConversionError(str(error)) from error
    crops: list[tuple[str, bytes]] = []

    def image_files():
        """Yields names and bytes of the images, and collects the masks."""
        for stem in progress(list(pairs), args.name):
            image_path, mask_path = pairs[stem]
            image = decode_image(Path(image_path).read_bytes(), image_path)
            mask = decode_image(Path(mask_path).read_bytes(),
                                mask_path)[..., 0]
            if image.shape[:2] != mask.shape:
                raise ConversionError(
                    f'{stem}: mask {mask.shape} and image {image.shape[:2]} '
                    'differ in size (height, width)')
            try:
                box = mask_box(mask, stem)
            except ValueError as error:
                raise ConversionError(str(error)) from error
            mask = (mask > mask.max() / 2).astype(np.uint8) * 255
            if args.size:
                matrix = crop_matrix(box, args.size, CROP_PADDING)
                image = warp(image, matrix, args.size)
                mask = (warp(mask, matrix, args.size) >= 128).astype(
                    np.uint8) * 255
            crops.append((stem + '.png', encode_image(mask, '.png')))
            yield stem + '.jpg', encode_image(image, '.jpg')

    with written_together(Path(args.out) / args.name) as part:
        count = write_zip(part / 'images.zip', image_files())
        write_zip(part / 'masks.zip', crops)
    print(f'{Path(args.out) / args.name}: {count} people')


def main(arguments: Sequence[str] | None = None) -> None:
    """Parses the command line and converts."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument('source', help='the unpacked folder')
    parser.add_argument('--layout', choices=('folder', 'up_s1h'),
                        default='folder')
    parser.add_argument('--out', default='data',
                        help='data root to write to (default: data)')
    parser.add_argument('--name', default='silhouettes',
                        help='folder below the data root')
    parser.add_argument('--size', type=int, default=256, metavar='N',
                        help='side of the crops in pixels; 0 keeps whole '
                        'images (default: 256)')
    parser.add_argument('--mask-suffix', default='.png',
                        help="how a mask's name ends (layout folder)")
    parser.add_argument('--exclude', nargs='*', default=list(UP_S1H_SHARED),
                        help='sources of UP-S1h to leave out')
    convert(parser.parse_args(arguments))


if __name__ == '__main__':
    raise SystemExit(run_converter(main))
