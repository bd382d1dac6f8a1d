r"""Find people in like poses: in files of 2D or 3D poses, or in images.

    python tools/search_poses.py build index.npz a.json b.json --from coco_17
    python tools/search_poses.py find index.npz query.json --sheet found.png
    python tools/search_poses.py build index.npz people/*.jpg --model CONFIG \
        --checkpoint FILE
    python tools/search_poses.py find index.npz query.jpg --model CONFIG \
        --checkpoint FILE --sheet found.png
    python tools/search_poses.py build index.npz a.json --from coco_17 \
        --model configs/metric_pose_lifting_mocap.py --checkpoint FILE

Without a model, poses are compared as they are. With a model of 2D poses (the
last line) they are compared by its embeddings, which are alike from every
view; with a model of images, images are. An index remembers its model and is
searched by no other.

Files of 2D poses are those of complete_poses.py (mmpose, COCO, AlphaPose,
npz); an .npz with keypoints_3d (N, K, 3) in mm holds 3D poses, which are
compared from every side. Joints may be missing: without a model they are left
out of each comparison, with one they are no input.
"""

from __future__ import annotations

import argparse
import sys
import warnings
from pathlib import Path
from typing import Any, NamedTuple

import cli
import numpy as np

IMAGES = ('.jpg', '.jpeg', '.png', '.bmp')


class Poses(NamedTuple):
    """Poses of files: (N, K, 2 or 3), (N, K), a name each, joint set."""

    points: np.ndarray
    visible: np.ndarray
    names: list[str]
    joints: str


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description='Find people in like poses')
    commands = parser.add_subparsers(dest='command', required=True)
    for name, text in (('build', 'make an index'),
                       ('find', 'search an index')):
        sub = commands.add_parser(name, help=text, description=text)
        sub.add_argument('index', metavar='INDEX.npz')
        sub.add_argument('files', nargs='+', metavar='FILE',
                         help='poses (.json, .npz) or images of a person')
        sub.add_argument('--from', dest='joints', metavar='JOINTS',
                         help='joint set of the files, such as coco_17')
        sub.add_argument('--threshold', type=float, default=0., metavar='C',
                         help='joints of a confidence up to C are missing '
                         '(default: 0)')
        sub.add_argument('--every', type=int, default=1, metavar='N',
                         help='take every N-th pose (default: 1)')
        sub.add_argument('--model', metavar='CONFIG.py',
                         help='a model with an EmbeddingHead, for images, or '
                         'of 2D poses (with a PoseEncoder)')
        sub.add_argument('--checkpoint', metavar='FILE')
        if name == 'build':
            sub.add_argument('--turn', choices=['none', 'rotation'],
                             help='also compare poses that are turned '
                             '(default: rotation for 3D, none for 2D)')
            sub.add_argument('--add', action='store_true',
                             help='add to the index that is there')
        else:
            sub.add_argument('-k', type=int, default=5,
                             help='neighbours (default: 5)')
            sub.add_argument('--sheet', metavar='FILE.png',
                             help='draw queries and neighbours')
            sub.add_argument('--most', type=int, default=12, metavar='N',
                             help='queries on the sheet (default: 12, spread '
                             'evenly)')
    return parser.parse_args(argv)


def read_poses(args: argparse.Namespace) -> Poses:
    """Poses of all files, those without three joints left out.

    Raises:
        cli.UsageError: Joints that are not named, or differ, or no pose.
    """
    from mirrorpose.structures import SKELETONS, Skeleton
    points, weights, names, sets = [], [], [], []
    for file in args.files:
        made, weight, rows, joints = _read_file(file)
        joints = args.joints or joints
        if joints is None:
            fit = sorted(n for n, s in SKELETONS.items()
                         if len(s) == made.shape[1])
            raise cli.UsageError(
                f'{file} does not say what its {made.shape[1]} joints are: '
                f'name them with --from; {fit or "no known set"} would fit.')
        if len(Skeleton.from_name(joints)) != made.shape[1]:
            raise cli.UsageError(f'{file} has {made.shape[1]} joints, '
                                 f'{joints} has another number.')
        points.append(made)
        weights.append(weight)
        names += [f'{Path(file).stem}:{row}' for row in rows]
        sets.append((joints, made.shape[2]))
    if len(set(sets)) > 1:
        raise cli.UsageError(f'files of different joints or dimensions '
                             f'cannot be compared: {sorted(set(sets))}.')
    every = max(1, args.every)
    pose, trust = np.concatenate(points), np.concatenate(weights)
    seen = (trust > args.threshold) & np.isfinite(pose).all(-1)
    keep = np.flatnonzero(seen.sum(1) >= 3)[::every]
    if not len(keep):
        raise cli.UsageError('no pose has three joints.')
    return Poses(pose[keep], seen[keep], [names[i] for i in keep], sets[0][0])


def _read_file(file: str) -> tuple[np.ndarray, np.ndarray, list[str], Any]:
    from mirrorpose.apis.pose_files import read_pose_file
    if file.endswith('.npz'):
        with np.load(file, allow_pickle=False) as held:
            if 'keypoints_3d' in held:
                pose = held['keypoints_3d'].astype(np.float64)
                if pose.ndim != 3 or pose.shape[2] != 3:
                    raise cli.UsageError(f'{file}: keypoints_3d must be '
                                         f'(N, K, 3), got {pose.shape}.')
                joints = str(held['joints']) if 'joints' in held else None
                return (pose, np.ones(pose.shape[:2]),
                        [str(i) for i in range(len(pose))], joints)
    read = read_pose_file(file)
    tracks = read.tracks
    several = len(tracks) > 1
    return (np.concatenate([t.keypoints for t in tracks]),
            np.concatenate([t.confidence for t in tracks]),
            [f'{t.name}:{t.first + i}' if several else str(t.first + i)
             for t in tracks for i in range(len(t.keypoints))], read.joints)


def _model(args: argparse.Namespace, why: str) -> Any:
    if not args.model:
        raise cli.UsageError(f'{why} --model, whose head is an '
                             'EmbeddingHead.')
    cli.require_config(args.model)
    if not args.checkpoint:
        raise cli.UsageError('--model needs --checkpoint: without it the '
                             'weights are random.')
    cli.require_checkpoint(args.checkpoint)
    from mirrorpose.apis import load_model
    return load_model(args.model, args.checkpoint)


def _are_images(args: argparse.Namespace) -> bool:
    kinds = {f.lower().endswith(IMAGES) for f in args.files}
    if len(kinds) > 1:
        raise cli.UsageError('images and files of poses cannot be mixed.')
    return kinds.pop()


def _known(poses: Poses, model: Any) -> Poses:
    """Those of which the model knows three joints."""
    from mirrorpose.apis.embedding import LEAST_JOINTS, to_model_joints
    seen = to_model_joints(model, poses.points, poses.visible,
                           poses.joints)[1]
    keep = np.flatnonzero(seen.sum(1) >= LEAST_JOINTS)
    if not len(keep):
        raise cli.UsageError(f'no pose has {LEAST_JOINTS} joints that the '
                             'model knows.')
    if len(keep) < len(poses.names):
        print(f'{len(poses.names) - len(keep)} poses have fewer than '
              f'{LEAST_JOINTS} joints that the model knows: left out')
    return Poses(poses.points[keep], poses.visible[keep],
                 [poses.names[i] for i in keep], poses.joints)


def build(args: argparse.Namespace) -> str:
    """Make or extend an index."""
    from mirrorpose.apis.pose_index import PoseIndex
    old = PoseIndex.load(args.index) if args.add else None
    images = _are_images(args)
    if args.turn and (images or args.model):
        raise cli.UsageError('--turn is for poses that are compared as they '
                             'are, without --model.')
    if images:
        new = PoseIndex.from_images(args.files,
                                    _model(args, 'images need'))
    elif args.model:
        model = _model(args, '')
        poses = _known(read_poses(args), model)
        new = PoseIndex.from_keypoints(
            poses.points, model, poses.visible,
            [dict(name=n) for n in poses.names], poses.joints)
    else:
        if old is not None and old.kind != 'poses':
            raise cli.UsageError(f'{args.index} holds {old.kind}: add with '
                                 'the --model that made it.')
        poses = read_poses(args)
        new = PoseIndex.from_poses(
            poses.points, poses.visible,
            [dict(name=n) for n in poses.names], poses.joints,
            old.turn if old is not None else args.turn)
    if old is not None:
        old.extend(new)
        new = old
    new.save(args.index)
    return f'{args.index}: {len(new)} {new.kind}'


def find(args: argparse.Namespace) -> str:
    """Search an index, print what was found, and draw it."""
    from mirrorpose.apis.embedding import embed_images, embed_keypoints
    from mirrorpose.apis.pose_index import PoseIndex
    from mirrorpose.visualization.drawing import png
    from mirrorpose.visualization.gallery import Row
    from mirrorpose.visualization.sheets import picture_sheet
    index = PoseIndex.load(args.index)
    images = _are_images(args)
    if index.kind == 'poses':
        if images or args.model:
            raise cli.UsageError(
                f'{args.index} holds poses that are compared as they are: '
                'ask it with poses, without --model, or build it with one.')
        poses = read_poses(args)
        found = index.search(poses.points, args.k, poses.visible,
                             poses.joints)
    else:
        model = _model(args, f'{args.index} holds embeddings of '
                       f'{"images" if index.drawn is None else "2D poses"}: '
                       'it needs the')
        if images:
            poses = None
            asked = embed_images(model, args.files)
        else:
            poses = _known(read_poses(args), model)
            asked = embed_keypoints(model, poses.points, poses.visible,
                                    poses.joints)
        found = index.search(asked, args.k, model=model)
    names = [str(f) for f in args.files] if poses is None else poses.names
    unit = '' if index.kind == 'embeddings' or index.unit_size else ' mm'
    for name, items, row in zip(names, found.items, found.distances):
        print(name + ': ' + ', '.join(
            f'{_name(i)} ({d:.3g}{unit})' for i, d in zip(items, row)))
    if args.sheet:
        count = min(args.most, len(names))
        shown = ((np.arange(count) + .5) * len(names) / count).astype(int)
        rows = [Row('', _tiles(index, poses, names, found, int(q), unit))
                for q in shown]
        from mirrorpose.utils.files import write_atomically
        content = png(picture_sheet(rows))
        write_atomically(Path(args.sheet),
                         lambda part: part.write_bytes(content))
        return f'{args.sheet}: {count} of {len(names)} queries'
    return f'{len(names)} queries'


def _name(item: Any) -> str:
    return str(item['name'] if isinstance(item, dict) else item)


def _tiles(index: Any, poses: Poses | None, names: list[str], found: Any,
           q: int, unit: str) -> list:
    from mirrorpose.structures import Skeleton
    from mirrorpose.visualization.sheets import pose_tile
    places = [p for p in found.indices[q] if p >= 0]
    captions = [f'{d:.3g}{unit} {_name(i)}' for d, i in zip(
        found.distances[q], found.items[q])]
    title = f'query {names[q]}'
    if poses is None:
        tiles = [_picture(title, names[q])]
    else:
        skeleton = Skeleton.from_name(poses.joints)
        pose, seen = poses.points[q], poses.visible[q]
        tiles = [pose_tile(title, pose, seen, skeleton)]
    for place, caption in zip(places, captions):
        if index.kind == 'poses':
            other, there = index.values[place], index.visible[place]
            tiles.append(pose_tile(caption, _turned(
                other, pose, there & seen, index.turn), there, skeleton))
        elif index.drawn is not None:
            made = index.drawn[place]
            tiles.append(pose_tile(caption, made[:, :2], made[:, 2] > 0,
                                   Skeleton.from_name(index.joints)))
        else:
            tiles.append(_picture(caption, _name(index.items[place])))
    return tiles


def _picture(caption: str, file: str) -> Any:
    from mirrorpose.datasets.reading import read_image
    from mirrorpose.visualization.sheets import image_tile
    return image_tile(caption, np.ascontiguousarray(
        read_image(file)[..., ::-1]))


def _turned(pose: np.ndarray, to: np.ndarray, both: np.ndarray,
            turn: str) -> np.ndarray:
    """A found pose as seen by the query's camera."""
    if turn == 'none':
        return pose
    import torch

    from mirrorpose.structures.alignment import align
    flat = pose.shape[1] == 2
    made = [torch.from_numpy(np.pad(np.nan_to_num(p), ((0, 0), (0, 1)))
                             if flat else np.nan_to_num(p)).double()
            for p in (pose, to)]
    moved = align(*made, torch.from_numpy(both), scale=False).apply(made[0])
    return moved.numpy()[:, :pose.shape[1]]


def main(argv: list[str] | None = None) -> None:
    """Build or search as the command line says.

    Raises:
        cli.UsageError: A file, joint set or model is wrong.
    """
    args = parse_args(argv)
    if args.command == 'find' and args.sheet and not args.sheet.endswith(
            '.png'):
        raise cli.UsageError(f'--sheet must end in .png, got {args.sheet}.')
    for file in args.files:
        if not Path(file).is_file():
            raise cli.UsageError(f'there is no file {file}.')
    warnings.filterwarnings('ignore', 'pkg_resources is deprecated')
    try:
        print(build(args) if args.command == 'build' else find(args))
    except (OSError, TypeError, ValueError) as error:
        raise cli.UsageError(str(error)) from error


if __name__ == '__main__':
    sys.exit(cli.run(main))
