r"""Edit images by their keypoints with a trained KeypointGAN.

    python tools/edit_pose.py CONFIG CKPT a.jpg b.jpg c.jpg --out grid.png
    python tools/edit_pose.py CONFIG CKPT a.jpg --move left_wrist=+12,-8 \
        --move left_elbow=+6,-4 --out moved.png
    python tools/edit_pose.py CONFIG CKPT a.jpg --sweep left_wrist \
        --out sweep.png
    python tools/edit_pose.py configs/keypointgan_synthetic.py CKPT \
        --validation 6 --out grid.png

Without --move and --sweep: each image's pose with each image's look (the
paper's Figure 9). With them: the image before and after (Figure 10). Images
of any size become the network's square by --crop; they should look like the
training data, cut like them.
"""

from __future__ import annotations

import argparse
import math
import sys
import warnings
from pathlib import Path
from typing import Any

import cli
import numpy as np

IMAGES = ('.jpg', '.jpeg', '.png', '.bmp', '.webp')


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description='Edit images by their keypoints with a KeypointGAN')
    parser.add_argument('config', metavar='CONFIG')
    parser.add_argument('checkpoint', metavar='CKPT',
                        help='of the stage that trains the whole KeypointGAN')
    parser.add_argument('images', nargs='*', metavar='IMAGE',
                        help='files, or folders of them')
    parser.add_argument('--validation', type=int, metavar='N',
                        help="instead of files: N frames of the config's "
                        'validation data, of as many clips as there are')
    parser.add_argument('--out', required=True, metavar='FILE.png',
                        help='gets the pictures')
    parser.add_argument('--appearance', nargs='+', default=[],
                        metavar='IMAGE', help='the looks: the columns of the '
                        'grid (default: the images), or one for the edits '
                        '(default: each image its own)')
    parser.add_argument('--move', action='append', default=[],
                        metavar='JOINT=DX,DY',
                        help='move a joint, x right and y down; may be '
                        'repeated. It has to stay within the picture')
    parser.add_argument('--sweep', metavar='JOINT[=DX,DY]',
                        help='a joint walks: on a circle about where it is, '
                        'or in a straight line by DX,DY; held at the border '
                        'of the picture')
    parser.add_argument('--unit', choices=['pixel', 'fraction'],
                        default='pixel', help="of DX,DY: the network's "
                        "image's pixels, or shares of its side (default: "
                        '%(default)s)')
    parser.add_argument('--steps', type=int, default=8, metavar='N',
                        help='of --sweep (default: %(default)s)')
    parser.add_argument('--crop', choices=['centre', 'fit'],
                        default='centre', help='the largest square in the '
                        'middle, or the whole image, its outer pixels '
                        'repeated (default: %(default)s)')
    parser.add_argument('--most', type=int, default=8, metavar='N',
                        help='images at most, spread evenly over those that '
                        'are given (default: %(default)s)')
    parser.add_argument('--device', default='cpu')
    parser.add_argument('--trust-checkpoint', action='store_true',
                        help='unpickle a checkpoint that holds more than '
                        'tensors and plain data; this can run any code')
    # images may stand behind options too
    return parser.parse_intermixed_args(argv)


def find_images(given: list[str], most: int) -> list[str]:
    """The files that are meant, folders opened.

    Raises:
        cli.UsageError: A name is neither, or a folder holds no image.
    """
    found: list[str] = []
    for name in given:
        place = Path(name)
        if place.is_dir():
            inside = sorted(str(p) for p in place.iterdir()
                            if p.suffix.lower() in IMAGES)
            if not inside:
                raise cli.UsageError(f'the folder {name} holds no image '
                                     f'({", ".join(IMAGES)}).')
            found += inside
        elif place.is_file():
            found.append(name)
        else:
            raise cli.UsageError(f'there is no image {name}.')
    return [found[i] for i in spread(len(found), most)]


def spread(count: int, most: int) -> list[int]:
    """At most so many numbers below ``count``, evenly spaced."""
    wanted = min(count, most)
    return [(2 * i + 1) * count // (2 * wanted) for i in range(wanted)]


def read_move(text: str, option: str) -> tuple[str, tuple[float, float]]:
    """``JOINT=DX,DY``.

    Raises:
        cli.UsageError: It is something else.
    """
    joint, _, numbers = text.partition('=')
    try:
        dx, dy = (float(n) for n in numbers.split(','))
    except ValueError:
        dx = dy = math.nan
    if not joint or not math.isfinite(dx + dy):
        raise cli.UsageError(f'{option} {text}: JOINT=DX,DY is wanted, such '
                             'as left_wrist=+12,-8.')
    return joint, (dx, dy)


def check(args: argparse.Namespace) -> None:
    """What can be told before anything slow is imported.

    Raises:
        cli.UsageError: Arguments do not fit together, or a file is missing.
    """
    cli.require_config(args.config)
    cli.require_checkpoint(args.checkpoint)
    if not args.out.endswith('.png'):
        raise cli.UsageError(f'--out must end in .png, got {args.out}.')
    if bool(args.images) == (args.validation is not None):
        raise cli.UsageError('give images (files or folders), or '
                             '--validation N for frames of the config.')
    if min(args.most, args.validation or 1, args.steps - 1) < 1:
        raise cli.UsageError('--most and --validation must be at least 1, '
                             '--steps at least 2.')
    if (args.move or args.sweep) and len(args.appearance) > 1:
        raise cli.UsageError('edits take one --appearance for all images; '
                             f'got {len(args.appearance)}.')


def validation_frames(cfg: Any, number: int
                      ) -> tuple[list[np.ndarray], list[str]]:
    """Frames (S, S, 3) BGR of the validation data, and their names.

    Raises:
        cli.UsageError: The config has none, or of another kind.
    """
    from mmpose.registry import DATASETS

    from mirrorpose.datasets.frames.pairs import FrameDataset
    wanted = cfg.get('val_dataloader') or {}
    if not wanted.get('dataset'):
        raise cli.UsageError('the config has no validation data: give '
                             'images.')
    dataset = DATASETS.build(wanted['dataset'])
    if not isinstance(dataset, FrameDataset):
        raise cli.UsageError('the validation data of the config are '
                             f'{type(dataset).__name__}, no frames: give '
                             'images.')
    clips: dict[str, list[int]] = {}
    for i in range(len(dataset)):
        clips.setdefault(dataset.get_data_info(i)['clip'], []).append(i)
    # One of each clip, its middle, before a second of any.
    chosen = [frames[len(frames) // 2] for frames in clips.values()]
    chosen = [chosen[i] for i in spread(len(chosen), number)]
    rest = [i for i in range(len(dataset)) if i not in set(chosen)]
    chosen += [rest[i] for i in spread(len(rest), number - len(chosen))
               ] if number > len(chosen) else []
    images = dataset.store.images(dataset.rows[chosen]).permute(0, 2, 3, 1)
    return (list(images.numpy()),
            [dataset.get_data_info(i)['id'] for i in chosen])


def draw(args: argparse.Namespace, editor: Any, subjects: Any,
         looks: Any) -> tuple[np.ndarray, str]:
    """The sheet that was asked for, RGB, and what is on it."""
    from mirrorpose.visualization import edit_sheets
    from mirrorpose.visualization.sheets import picture_sheet
    n, size, names = len(subjects.names), editor.size, subjects.names
    images = subjects.images[..., ::-1]
    if not (args.move or args.sweep):
        looks = looks or subjects
        print(f'decoding {n} poses x {len(looks.names)} looks', flush=True)
        made = editor.swap(subjects, looks)
        rows = edit_sheets.swap_rows(
            images, subjects.keypoints, names, looks.images[..., ::-1],
            looks.names, made[..., ::-1], editor.skeleton)
        return (picture_sheet(rows, heads=2),
                f'{n} poses (rows) x {len(looks.names)} looks (columns)')
    seen = subjects.images if looks is None else np.repeat(looks.images, n, 0)
    rows, told = [], []
    if args.move:
        moves = dict(read_move(m, '--move') for m in args.move)
        after = editor.move(subjects, moves, args.unit)
        print(f'decoding {n} poses before and after', flush=True)
        plain = editor.decode(subjects.keypoints, seen)
        edited = editor.decode(after, seen)
        rows += edit_sheets.move_rows(
            images, subjects.keypoints, after, plain[..., ::-1],
            edited[..., ::-1], names, editor.skeleton)
        told.append(f'{", ".join(moves)} moved in {n} images')
    if args.sweep:
        joint, by = (read_move(args.sweep, '--sweep') if '=' in args.sweep
                     else (args.sweep, None))
        path = editor.walk(subjects, joint, by, args.steps, args.unit)
        print(f'decoding {n} x {args.steps} poses', flush=True)
        made = editor.decode(
            path.reshape(-1, *path.shape[2:]), np.repeat(
                seen, args.steps, 0)).reshape(n, args.steps, size, size, 3)
        for i in range(n):
            rows += edit_sheets.walk_rows(
                images[i], subjects.keypoints[i], path[i],
                made[i][..., ::-1], names[i], joint, editor.skeleton)
        told.append(f'{joint} in {args.steps} places in {n} images')
    return picture_sheet(rows), ', '.join(told)


def main(argv: list[str] | None = None) -> None:
    """Edit as the command line says.

    Raises:
        cli.UsageError: An argument, file, image or the model is wrong.
    """
    args = parse_args(argv)
    check(args)
    files = find_images(args.images, args.most)
    looks = find_images(args.appearance, args.most)
    if args.move or args.sweep:
        looks = looks[:1]
    warnings.filterwarnings('ignore', 'pkg_resources is deprecated')
    from mirrorpose.apis import PoseEditor, load_model
    from mirrorpose.utils.files import write_atomically
    from mirrorpose.visualization.drawing import png
    cfg = cli.load_config(args.config)
    try:
        model = load_model(cfg, args.checkpoint, args.device,
                           trust=args.trust_checkpoint)
    except (OSError, TypeError, ValueError) as error:
        raise cli.UsageError(
            f'{error}. (An edit needs the config of a KeypointGAN and the '
            'checkpoint of a stage that trains all of it.)') from error
    try:
        editor = PoseEditor(model)
        for joint in [m.partition('=')[0] for m in (
                *args.move, args.sweep or '') if m]:
            editor.joint(joint)  # before images are read
        if args.validation:
            frames, names = validation_frames(cfg, args.validation)
            subjects = editor.read(frames)._replace(names=names)
        else:
            subjects = editor.read(files, args.crop)
        print(f'{args.checkpoint}: {len(subjects.names)} images at '
              f'{editor.size} x {editor.size} pixels', flush=True)
        sheet, told = draw(args, editor, subjects,
                           editor.read(looks, args.crop) if looks else None)
    except (OSError, TypeError, ValueError) as error:
        raise cli.UsageError(str(error)) from error
    content = png(sheet)
    write_atomically(Path(args.out), lambda part: part.write_bytes(content))
    print(f'{args.out}: {told}, {sheet.shape[1]} x {sheet.shape[0]} pixels')


if __name__ == '__main__':
    sys.exit(cli.run(main))
