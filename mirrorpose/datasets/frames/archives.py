"""Annotated frames in the layout that the converters write."""
from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
from mmpose.registry import DATASETS

from mirrorpose.structures.skeleton import SKELETONS, Skeleton

from ..joint_names import named_skeleton
from ..zip_backend import zip_path
from .clips import Clip
from .files import ImageFileSource, file_stamp, read_images


def load_arrays(path: Path, needed: set[str],
                command: str) -> dict[str, np.ndarray]:
    """Reads an npz whole.

    Raises:
        FileNotFoundError: It is missing; the message says what prepares it.
        ValueError: An array is missing.
    """
    if not path.is_file():
        raise FileNotFoundError(
            f'frames not found: {path}. {command} Set MIRRORPOSE_DATA (or '
            'data_root in the config) to the folder that holds '
            f'{path.parent.name}/{path.name}')
    try:
        with np.load(path, allow_pickle=False) as arrays:
            data = {k: arrays[k] for k in arrays.files}
    except (EOFError, BadZipFile) as error:
        raise ValueError(f'{path} is empty or damaged; write it anew '
                         f'({error})') from error
    if needed - set(data):
        raise ValueError(f'{path} lacks {sorted(needed - set(data))}; it '
                         f'holds {sorted(data)}')
    return data


@DATASETS.register_module()
class FrameArchive(ImageFileSource):
    """Frames in the layout that the converters write.

    ``FILE`` (an npz) and beside it ``images.zip`` (and ``masks.zip``).
    Arrays, T frames in the order of the clips:

    - ``names`` (T,) members of the archives (masks end in ``.png``);
    - ``clip`` (T,) names; ``group`` (T,) people, the clip's own by default;
    - ``keypoints`` (T, K, 2) pixels of the stored images, ``visible`` (T, K;
      all by default) and ``joints``: K names, or the name of a joint set;
    - ``boxes`` (T, 4), ``subset`` (T,), ``action`` (T,), ``scale`` (T,):
      pixels of the original image in one of the stored; all optional;
    - ``shape`` (T, 2) height and width, where images may be absent.

    Args:
        file (str): The npz below the data root.
        subset (str, optional): Only frames of this ``subset``. Defaults to
            all.
        command (str, optional): What prepares the data, for the message
            where they are missing.
        name (str, optional): Defaults to the npz's folder.
        others: See :class:`FrameSource`.
    """

    def __init__(self, file: str, subset: str | None = None,
                 command: str | None = None, name: str | None = None,
                 **kwargs) -> None:
        super().__init__(name or Path(file).parent.as_posix(), **kwargs)
        self.file, self.subset, self.command = file, subset, command
        self._shapes: dict[str, tuple[int, int]] = {}
        self._masks: dict[str, str] = {}

    def scan(self, root: Path) -> list[Clip]:
        """Reads the npz."""
        path = root / self.file
        how = (f'Prepare them with: {self.command}.' if self.command else
               'They are prepared by a converter in '
               'tools/dataset_converters/.')
        data = load_arrays(path, {'names', 'clip'}, how)
        count = len(data['names'])
        wrong = {k: len(v) for k, v in data.items()
                 if k != 'joints' and len(v) != count}
        if wrong:
            raise ValueError(f'{path}: {count} names, but rows {wrong}')
        self.skeleton = None
        if 'keypoints' in data:
            self.skeleton = self._joints(data, path)
        rows = np.arange(count)
        if self.subset is not None:
            if 'subset' not in data:
                raise ValueError(f'{path} has no subsets; subset='
                                 f'{self.subset!r} was asked for')
            rows = rows[data['subset'] == self.subset]
            if not len(rows):
                raise ValueError(
                    f'{path} has the subsets '
                    f'{sorted(set(data["subset"].tolist()))}, not '
                    f'{self.subset!r}')
        images, masks = path.with_name('images.zip'), path.with_name(
            'masks.zip')
        stamp = file_stamp(images) if images.is_file() else ''
        if masks.is_file():
            stamp += file_stamp(masks)
        names = data['clip'][rows]
        starts = np.nonzero(names[1:] != names[:-1])[0] + 1
        out, seen = [], set()
        for chosen in np.split(rows, starts) if len(rows) else []:
            name, first = str(data['clip'][chosen[0]]), chosen[0]
            if name in seen:
                raise ValueError(f'{path}: the frames of clip {name!r} do '
                                 'not stand together')
            seen.add(name)
            members = [str(n) for n in data['names'][chosen]]
            frames = tuple(zip_path(images, n) for n in members)
            if 'shape' in data:
                h, w = data['shape'][first].tolist()
                self._shapes[frames[0]] = (h, w)
            if masks.is_file():
                self._masks.update({f: zip_path(
                    masks, n.rpartition('.')[0] + '.png')
                    for f, n in zip(frames, members)})
            points = visible = None
            if self.skeleton is not None:
                points = data['keypoints'][chosen].astype(np.float32)
                visible = (data['visible'][chosen] if 'visible' in data else
                           np.ones(points.shape[:2], np.uint8))
            out.append(Clip(
                name, str(data['group'][first]) if 'group' in data else name,
                frames, stamp, points, visible,
                data['boxes'][chosen] if 'boxes' in data else None,
                data['scale'][chosen] if 'scale' in data else 1.,
                str(data['action'][first]) if 'action' in data else ''))
        return out

    @staticmethod
    def _joints(data: dict[str, np.ndarray], path: Path) -> Skeleton:
        """The joint set of the keypoints."""
        if 'joints' not in data:
            raise ValueError(f'{path} does not say what its '
                             f'{data["keypoints"].shape[1]} joints are; it '
                             'needs an array "joints"')
        own = data['joints']
        skeleton = (Skeleton.from_name(str(own)) if own.ndim == 0 else
                    known_or_named([str(j) for j in own]))
        if data['keypoints'].shape[1:] != (len(skeleton), 2):
            raise ValueError(
                f'{path}: keypoints {data["keypoints"].shape} are not '
                f'(T, {len(skeleton)}, 2), as joints says')
        return skeleton

    def masks(self, clip: Clip) -> Iterator[np.ndarray] | None:
        """Reads ``masks.zip`` where there is one."""
        if not self._masks:
            return None
        return (m[..., 0] for m in read_images(
            [self._masks[f] for f in clip.frames]))

    def shape(self, clip: Clip) -> tuple[int, int]:
        """As the npz says, or as the first image is."""
        return self._shapes.get(clip.frames[0]) or super().shape(clip)


def known_or_named(names: list[str]) -> Skeleton:
    """The joint set that has exactly these joints, or a new one."""
    for skeleton in SKELETONS.values():
        if list(skeleton.joints) == names:
            return skeleton
    return named_skeleton(names)
