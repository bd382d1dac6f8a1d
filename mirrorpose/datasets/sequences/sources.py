"""Where motion comes from: archives, the embedded world, files.

A source is a registered class whose :meth:`MotionSource.load` gives clips, so
that a data set's ``sources`` can name it in a config::

    sources=[dict(type='MocapArchive', file='mocap/cmu31_30fps.npz', ...)]
"""
from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np
from mmpose.registry import DATASETS

from mirrorpose.structures.skeleton import check_same_joints

from ..preparation import progress
from ..synthetic.body import make_body
from ..synthetic.motion import ACTION_WEIGHTS, ACTIONS, perform
from ..synthetic.rng import keyed_rng
from .clips import SKELETON, MotionClips, concatenate, make_clips
from .readers import JOINT_MAPS, read_motion


class MotionSource(ABC):
    """Gives clips of one kind.

    Args:
        name (str): What the names of its clips begin with.
        held_out (Mapping): The groups that are not trained on; see
            :func:`parts.assign_parts`. None by default.
    """

    def __init__(self, name: str, held_out: Mapping | None = None) -> None:
        self.name = name
        self.held_out: Mapping = held_out or {}

    @abstractmethod
    def load(self, data_root: str) -> MotionClips:
        """Reads all clips, at the source's own rate."""


def group_names(names: Sequence[str], pattern: str | None,
                merge: Mapping[str, str], where: str) -> list[str]:
    """The group of each clip, from its name.

    Args:
        names (Sequence[str]): Clips.
        pattern (str, optional): Regular expression whose only bracket is the
            group. By default every clip is its own.
        merge (Mapping[str, str]): Groups that are one with others.
        where (str): The source, for messages.

    Raises:
        ValueError: A name does not match, or ``merge`` names no group.
    """
    if pattern is None:
        found = list(names)
    else:
        hits = [re.search(pattern, n) for n in names]
        lost = [n for n, hit in zip(names, hits) if hit is None]
        if lost:
            raise ValueError(f'{where}: groups={pattern!r} does not match '
                             f'the clips {lost[:5]}, so nobody knows whom '
                             'they belong to')
        found = [hit.group(1) for hit in hits if hit is not None]
    unknown = sorted(set(merge) - set(found))
    if unknown:
        raise ValueError(f'{where}: merge names {unknown}, but the groups '
                         f'are {sorted(set(found))}')
    return [merge.get(g, g) for g in found]


@DATASETS.register_module()
class MocapArchive(MotionSource):
    """Motion capture in one npz.

    Arrays: ``pos`` (T, J, 3) metres relative to ``root`` (T, 3), y up;
    ``to28`` (28, J) and ``names28``; ``clip_name``, ``clip_start`` and
    ``clip_len`` (C,); ``fps``; optionally ``clip_group`` (C,) and
    ``derived`` (28,). Without ``derived``, a joint that ``to28`` makes of
    several nodes counts as derived. :func:`write_archive` writes it, as
    ``tools/dataset_converters/{motion,mpi_inf_3dhp}.py`` do.

    Args:
        file (str): The npz below the data root.
        name (str, optional): Defaults to the file's stem.
        groups (str, optional): See :func:`group_names`; overrides
            ``clip_group``.
        merge (Mapping[str, str], optional): See :func:`group_names`.
        held_out (Mapping, optional): See :class:`MotionSource`.

    Raises:
        FileNotFoundError: The file is missing.
        ValueError: Its content is not as above.
    """

    def __init__(self, file: str, name: str | None = None,
                 groups: str | None = None,
                 merge: Mapping[str, str] | None = None,
                 held_out: Mapping | None = None) -> None:
        super().__init__(name or Path(file).stem, held_out)
        self.file, self.groups = file, groups
        self.merge: Mapping[str, str] = merge or {}

    def load(self, data_root: str) -> MotionClips:
        """Reads the archive."""
        path = Path(data_root) / self.file
        if not path.is_file():
            raise FileNotFoundError(
                f'motion archive not found: {path}. Set MIRRORPOSE_DATA (or '
                f'data_root in the config) to the folder that holds '
                f'{self.file}. BVH files, and AMC files as CMU has them, '
                'become an archive by tools/dataset_converters/motion.py, '
                'MPI-INF-3DHP by tools/dataset_converters/mpi_inf_3dhp.py; '
                'the *_synthetic.py configs need no data')
        with np.load(path, allow_pickle=False) as arrays:
            data = {k: arrays[k] for k in arrays.files}
        needed = {'pos', 'root', 'to28', 'names28', 'clip_name',
                  'clip_start', 'clip_len', 'fps'}
        if needed - set(data):
            raise ValueError(f'{path} lacks {sorted(needed - set(data))}; '
                             f'it holds {sorted(data)}')
        check_same_joints(SKELETON.joints, [str(n) for n in data['names28']],
                          str(path))
        pos, to28 = data['pos'], data['to28'].astype(np.float32)
        if pos.ndim != 3 or to28.shape != (len(SKELETON), pos.shape[1]):
            raise ValueError(f'{path}: pos {pos.shape} must be (T, J, 3) and '
                             f'to28 {to28.shape} (28, J)')
        starts, length = data['clip_start'], data['clip_len']
        if (starts < 0).any() or (starts + length > len(pos)).any():
            raise ValueError(f'{path}: clips reach beyond the {len(pos)} '
                             'frames')
        rows = np.concatenate([np.arange(s, s + n) for s, n in zip(
            starts, length)]) if len(starts) else np.zeros(0, int)
        names = [str(n) for n in data['clip_name']]
        if self.groups is None and 'clip_group' in data:
            groups = group_names([str(g) for g in data['clip_group']], None,
                                 self.merge, str(path))
        else:
            groups = group_names(names, self.groups, self.merge, str(path))
        derived = data.get('derived', (to28 != 0).sum(1) > 1)
        return make_clips(
            _apply(to28, pos, rows), data['root'][rows],
            [f'{self.name}/{n}' for n in names], groups, length,
            float(data['fps']), derived, str(path))


def write_archive(path: str | Path, clips: MotionClips) -> None:
    """Writes clips as :class:`MocapArchive` reads them.

    Args:
        path (str | Path): The npz.
        clips (MotionClips): Absent joints become NaN. A joint that is
            derived in one clip counts as derived.
    """
    np.savez(
        path, pos=np.where(clips.present[..., None], clips.positions, np.nan),
        root=clips.root, to28=np.eye(len(SKELETON), dtype=np.float32),
        names28=np.array(SKELETON.joints), clip_name=np.array(clips.names),
        clip_group=np.array(clips.groups), clip_start=clips.start,
        clip_len=clips.length, fps=np.float32(clips.fps),
        derived=clips.derived.any(0))


def _apply(matrix: np.ndarray, nodes: np.ndarray,
           rows: np.ndarray) -> np.ndarray:
    """(T, 28, 3) float32 joints; NaN only where a used node has one."""
    out = np.empty((len(rows), len(matrix), 3), np.float32)
    for joint, weights in enumerate(matrix):
        used = np.nonzero(weights)[0]
        if not len(used):
            out[:, joint] = np.nan
            continue
        out[:, joint] = sum(
            weights[k] * nodes[rows, k].astype(np.float32) for k in used)
    return out


@DATASETS.register_module()
class SyntheticMotions(MotionSource):
    """Motions of the embedded world, without pictures.

    Each clip is another performance; people come back. Groups are people.

    Args:
        clips (int): How many. Defaults to 400.
        people (int): How many. Defaults to 40.
        seconds (float): Length of a clip. Defaults to 4.
        seed (int): Names the world. Defaults to 0.
        actions (Sequence[str], optional): Restricts the actions. Defaults to
            all, as often as in the world's images.
        fps (float): Defaults to 25.
        name (str): Defaults to ``'synthetic'``.
        held_out (Mapping, optional): See :class:`MotionSource`.

    Raises:
        ValueError: An argument is out of range.
    """

    def __init__(self, clips: int = 400, people: int = 40,
                 seconds: float = 4., seed: int = 0,
                 actions: Sequence[str] | None = None, fps: float = 25.,
                 name: str = 'synthetic',
                 held_out: Mapping | None = None) -> None:
        super().__init__(name, held_out)
        if not 1 <= people <= clips or seconds <= 0 or fps <= 0:
            raise ValueError(
                'clips must be at least people, and people, seconds and fps '
                f'positive; got {clips}, {people}, {seconds} and {fps}')
        unknown = sorted(set(actions or ()) - set(ACTIONS))
        if unknown:
            raise ValueError(f'unknown actions {unknown}; known are '
                             f'{list(ACTIONS)}')
        self.clips, self.people, self.seconds = clips, people, seconds
        self.seed, self.fps = seed, fps
        self.actions = list(actions or ACTIONS)

    def load(self, data_root: str = '') -> MotionClips:
        """Performs the clips."""
        positions, actions = _perform_clips(
            self.clips, self.people, max(round(self.seconds * self.fps), 1),
            self.seed, tuple(self.actions), self.fps)
        people = np.arange(self.clips) % self.people
        root = positions[:, SKELETON.index('pelvis')[0]]
        return make_clips(
            positions - root[:, None], root,
            [f'{self.name}/{a}_{n:05d}' for n, a in enumerate(actions)],
            [f'person_{p:03d}' for p in people],
            np.full(self.clips, len(root) // self.clips), self.fps,
            np.zeros(len(SKELETON), bool), self.name)


@lru_cache(maxsize=2)
def _perform_clips(clips: int, people: int, frames: int, seed: int,
                   actions: tuple[str, ...], fps: float
                   ) -> tuple[np.ndarray, list[str]]:
    """(T, 28, 3) float32 metres, y up, and the action of each clip.

    Kept, as training, validation and test ask for the same.
    """
    weights = np.array([ACTION_WEIGHTS[a] for a in actions])
    bodies = [make_body(seed, i) for i in range(people)]
    out = np.empty((clips, frames, len(SKELETON), 3), np.float32)
    chosen = []
    for number in range(clips):
        rng = keyed_rng(seed, 'motion clip', number)
        chosen.append(str(rng.choice(actions, p=weights / weights.sum())))
        times = rng.uniform(0, 20) + np.arange(frames) / fps
        joints, _, _ = perform(seed, bodies[number % people], chosen[-1],
                               number, times)
        # z up, x forward, y to the left becomes y up, z forward.
        out[number] = joints[..., [1, 2, 0]] / 1000
    return out.reshape(-1, len(SKELETON), 3), chosen


@DATASETS.register_module()
class MotionFiles(MotionSource):
    """BVH files, or Acclaim's AMC files with their ASF skeleton.

    Args:
        files (str): A glob pattern below the data root, e.g.
            ``'bvh/**/*.bvh'`` or ``'cmu/*/*.amc'``.
        joints (str | Mapping[str, str | Mapping[str, float]]): Which joint
            of the file each of the 28 is, or a mean of which: a name of
            ``readers.JOINT_MAPS``, or a mapping. Joints that are left out
            are absent.
        scale (float): Metres a unit of length. BVH files do not say theirs;
            AMC files of CMU are in 1/0.45 inch, 0.0564 m.
        asf (str, optional): The skeleton of AMC files, relative to each
            file's folder; by default the only ``*.asf`` there.
        fps (float, optional): The rate of AMC files, which do not say it
            (CMU: 120). Not for BVH.
        target_fps (float): The files are resampled to it. Defaults to 25.
        groups, merge, held_out: As of :class:`MocapArchive`; names are paths
            without suffix.
        name (str): Defaults to ``'files'``.

    Raises:
        FileNotFoundError: No file matches.
        ValueError: A file is not readable, or lacks a mapped joint.
    """

    def __init__(self, files: str,
                 joints: str | Mapping[str, str | Mapping[str, float]],
                 scale: float = 1., asf: str | None = None,
                 fps: float | None = None, target_fps: float = 25.,
                 groups: str | None = None,
                 merge: Mapping[str, str] | None = None,
                 held_out: Mapping | None = None,
                 name: str = 'files') -> None:
        super().__init__(name, held_out)
        if isinstance(joints, str):
            if joints not in JOINT_MAPS:
                raise ValueError(f'unknown joint map {joints!r}; known are '
                                 f'{sorted(JOINT_MAPS)}')
            joints = JOINT_MAPS[joints]
        SKELETON.index(*joints)
        if scale <= 0 or target_fps <= 0:
            raise ValueError('scale and target_fps must be positive, got '
                             f'{scale} and {target_fps}')
        self.files, self.joints, self.scale = files, joints, scale
        self.asf, self.fps, self.target_fps = asf, fps, target_fps
        self.groups = groups
        self.merge: Mapping[str, str] = merge or {}

    def load(self, data_root: str) -> MotionClips:
        """Reads the files."""
        paths = sorted(Path(data_root).glob(self.files))
        if not paths:
            raise FileNotFoundError(f'no file matches {self.files!r} below '
                                    f'{Path(data_root)}')
        names = [p.relative_to(data_root).with_suffix('').as_posix()
                 for p in paths]
        groups = group_names(names, self.groups, self.merge, self.files)
        parts = []
        todo = list(zip(paths, names, groups))
        # Hundreds of files take minutes: then say how far it is.
        for path, name, group in (progress(todo, 'motion files')
                                  if len(todo) > 50 else todo):
            motion = read_motion(path, self.asf, self.fps)
            matrix = motion.matrix(self.joints)
            joints = _apply(matrix, motion.positions * self.scale,
                            np.arange(len(motion.positions)))
            pelvis = SKELETON.index('pelvis')[0]
            root = (joints[:, pelvis] if (matrix[pelvis] != 0).any() else
                    motion.positions[:, 0].astype(np.float32) * self.scale)
            parts.append(make_clips(
                joints - root[:, None], root, [f'{self.name}/{name}'],
                [group], [len(joints)], motion.fps,
                (matrix != 0).sum(1) > 1, str(path)).resampled(
                    self.target_fps))
        return concatenate(parts)
