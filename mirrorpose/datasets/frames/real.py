"""Real frames in layouts of their own: views, crops, faces, people."""
from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from mmpose.registry import DATASETS

from mirrorpose.structures.skeleton import Skeleton

from ..joint_names import named_skeleton
from ..reading import read_image
from ..zip_backend import split_zip_path, zip_path
from .archives import known_or_named, load_arrays
from .clips import Clip, digest
from .files import ImageFileSource, file_stamp, read_images

#: BlazePose's 33 landmarks (MediaPipe's order); those that no joint set of
#: mirrorpose names are left without counterpart.
_BLAZEPOSE_NAMES = (
    'nose', '', 'left_eye', '', '', 'right_eye', '', 'left_ear', 'right_ear',
    '', '', 'left_shoulder', 'right_shoulder', 'left_elbow', 'right_elbow',
    'left_wrist', 'right_wrist', '', '', '', '', '', '', 'left_hip',
    'right_hip', 'left_knee', 'right_knee', 'left_ankle', 'right_ankle',
    'left_heel', 'right_heel', 'left_big_toe', 'right_big_toe')


@DATASETS.register_module()
class ViewFrames(ImageFileSource):
    """Each camera's view of each clip, of data prepared for several views.

    Reads what ``tools/dataset_converters/h36m.py`` and ``mpi_inf_3dhp.py``
    write (``mirrorpose/datasets/multiview/prepared.py`` has the layout): so
    Human3.6M and MPI-INF-3DHP are prepared once for all systems. Groups are
    subjects, actions are the clips'.

    Args:
        folder (str): Below the data root, e.g. ``'h36m'``.
        subjects (Sequence[str], optional): Only these. Defaults to all.
        cameras (Sequence[str], optional): Only these. Defaults to all.
        name (str, optional): Defaults to the folder.
        others: See :class:`FrameSource`.
    """

    def __init__(self, folder: str, subjects: Sequence[str] | None = None,
                 cameras: Sequence[str] | None = None,
                 name: str | None = None, **kwargs) -> None:
        super().__init__(name or folder, **kwargs)
        self.folder, self.subjects, self.cameras = folder, subjects, cameras

    def scan(self, root: Path) -> list[Clip]:
        """Reads the index."""
        path = root / self.folder / 'views.npz'
        data = load_arrays(
            path, {'joints', 'clips', 'clip_subject', 'clip_action', 'clip',
                   'frame', 'instant', 'camera', 'keypoints', 'crop',
                   'image'},
            f'Prepare them with: python tools/dataset_converters/'
            f'{Path(self.folder).name}.py SOURCE --out DATA.')
        names = [str(n) for n in data['joints']]
        self.skeleton = (Skeleton.from_name('human36m_32')
                         if len(names) == 32 and names[4] == 'site_04' else
                         known_or_named(names))
        archive = path.with_name('images.zip')
        stamp, side = file_stamp(archive), None
        clip = data['clip'][data['instant']]
        frame = data['frame'][data['instant']]
        order = np.lexsort((frame, data['camera'], clip))
        change = np.nonzero((clip[order][1:] != clip[order][:-1]) | (
            data['camera'][order][1:] != data['camera'][order][:-1]))[0] + 1
        out = []
        for rows in np.split(order, change) if len(order) else []:
            number, camera = clip[rows[0]], str(data['camera'][rows[0]])
            subject = str(data['clip_subject'][number])
            if self.subjects is not None and subject not in self.subjects or (
                    self.cameras is not None and camera not in self.cameras):
                continue
            frames = tuple(zip_path(archive, str(n))
                           for n in data['image'][rows])
            side = side or read_image(frames[0]).shape[0]
            crop = data['crop'][rows].astype(float)
            zoom = side / crop[:, 2]
            points = (data['keypoints'][rows] + .5 - crop[:, None, :2]
                      ) * zoom[:, None, None] - .5
            visible = np.isfinite(points).all(-1)
            out.append(Clip(
                f'{data["clips"][number]}.{camera}', subject, frames, stamp,
                np.where(visible[..., None], points, 0).astype(np.float32),
                visible.astype(np.uint8), scale=1 / zoom,
                action=str(data['clip_action'][number])))
        return out


@DATASETS.register_module()
class FaceClips(ImageFileSource):
    """Short clips of faces with 68 landmarks each.

    An npz with ``names``, ``landmarks`` (T, 68, 2), ``person``, ``clip`` and
    ``source_split`` (T,), and beside it ``images.zip`` of 128 x 128 pixels.
    People are in both source splits, so groups are people.

    Args:
        file (str): Defaults to ``'faces/faces.npz'``.
        name (str): Defaults to ``'faces'``.
        others: See :class:`FrameSource`; ``min_frames`` defaults to 2, as
            most people also have frames that stand alone.
    """

    def __init__(self, file: str = 'faces/faces.npz', name: str = 'faces',
                 min_frames: int = 2, **kwargs) -> None:
        super().__init__(name, min_frames=min_frames, **kwargs)
        self.file = file

    def scan(self, root: Path) -> list[Clip]:
        """Reads the npz."""
        path = root / self.file
        data = load_arrays(
            path, {'names', 'landmarks', 'person', 'clip', 'source_split'},
            'Any other faces can be given as FrameArchive or FrameFolders.')
        self.skeleton = Skeleton.from_name('ibug_68')
        if data['landmarks'].shape[1:] != (68, 2):
            raise ValueError(f'{path}: landmarks must be (T, 68, 2), got '
                             f'{data["landmarks"].shape}')
        images = path.with_name('images.zip')
        stamp = file_stamp(images)
        clips: dict[str, list[int]] = {}
        for i, key in enumerate(zip(data['source_split'], data['person'],
                                    data['clip'])):
            clips.setdefault('{}/{}_{}'.format(*key), []).append(i)
        return [Clip(
            name, str(data['person'][rows[0]]),
            tuple(zip_path(images, str(n)) for n in data['names'][rows]),
            stamp, data['landmarks'][rows].astype(np.float32),
            np.ones((len(rows), 68), np.uint8))
            for name, rows in sorted(clips.items())]

    def shape(self, clip: Clip) -> tuple[int, int]:
        """All are 128 x 128."""
        return 128, 128


@DATASETS.register_module()
class MultiviewCrops(ImageFileSource):
    """One person before several cameras, each camera one clip.

    ``NAME.npz`` with ``kp2d`` (V, T, K, 3) in the pixels of the videos,
    ``crop_box`` (V, 3) centre and side of the crops, ``joint_names``; and
    ``NAME_crops.zip`` with ``cam1/000.jpg`` ... of 256 x 256.

    Args:
        file (str): Defaults to ``'multiview/balancing.npz'``.
        threshold (float): Keypoints of less confidence count as absent.
            Defaults to 0.2.
        name (str, optional): Defaults to the file's folder and stem.
        others: See :class:`FrameSource`. Groups are cameras: the person is
            one.
    """

    def __init__(self, file: str = 'multiview/balancing.npz',
                 threshold: float = .2, name: str | None = None,
                 **kwargs) -> None:
        super().__init__(name or Path(file).with_suffix('').as_posix(),
                         **kwargs)
        self.file, self.threshold = file, threshold

    def scan(self, root: Path) -> list[Clip]:
        """Reads the npz."""
        path = root / self.file
        data = load_arrays(path, {'kp2d', 'crop_box', 'joint_names'},
                           'The crops of other cameras can be given as '
                           'FrameArchive.')
        self.skeleton = named_skeleton([str(j) for j in data['joint_names']])
        archive = path.with_name(f'{path.stem}_crops.zip')
        stamp, out, side = file_stamp(archive), [], 256
        for camera, (found, box) in enumerate(zip(data['kp2d'],
                                                  data['crop_box'])):
            scale = float(box[2]) / side
            # The crop's corner is the box's: pixel edges, not centres.
            points = (found[..., :2] + .5 - (box[:2] - box[2] / 2)
                      ) / scale - .5
            visible = found[..., 2] > self.threshold
            out.append(Clip(
                f'cam{camera + 1}', f'cam{camera + 1}', tuple(
                    zip_path(archive, f'cam{camera + 1}/{t:03d}.jpg')
                    for t in range(len(found))), stamp,
                np.where(visible[..., None], points, 0).astype(np.float32),
                visible.astype(np.uint8), scale=scale))
        return out

    def shape(self, clip: Clip) -> tuple[int, int]:
        """All are 256 x 256."""
        return 256, 256


@DATASETS.register_module()
class VideoCrops(ImageFileSource):
    """Clips with BlazePose's landmarks as pseudo-labels.

    An npz with ``CLIP_frame`` (T,) and ``CLIP_kp`` (T, 33, 3) for each clip,
    and beside it ``crops.zip`` with ``CLIP/0000.jpg`` ... The landmarks are
    a detector's: good for looking at results, not for a table.

    Args:
        file (str): Defaults to ``'videos/videos.npz'``.
        threshold (float): Landmarks of less visibility count as absent.
            Defaults to 0.5.
        name (str): Defaults to ``'videos'``.
        others: See :class:`FrameSource`.
    """

    def __init__(self, file: str = 'videos/videos.npz',
                 threshold: float = .5, name: str = 'videos',
                 **kwargs) -> None:
        super().__init__(name, **kwargs)
        self.file, self.threshold = file, threshold

    def scan(self, root: Path) -> list[Clip]:
        """Reads the npz."""
        path = root / self.file
        data = load_arrays(path, set(), 'Other clips can be given as '
                           'FrameFolders or VideoFiles.')
        own = [n or f'blazepose_{i}' for i, n in enumerate(_BLAZEPOSE_NAMES)]
        self.skeleton = named_skeleton(
            {f'blazepose_{i}': '' for i, n in enumerate(_BLAZEPOSE_NAMES)
             if not n}, own)
        archive = path.with_name('crops.zip')
        stamp, out = file_stamp(archive), []
        for name in sorted(k[:-6] for k in data if k.endswith('_frame')):
            found = data[f'{name}_kp'].astype(np.float32)
            visible = found[..., 2] > self.threshold
            out.append(Clip(
                name, name, tuple(zip_path(archive, f'{name}/{t:04d}.jpg')
                                  for t in data[f'{name}_frame']),
                digest(stamp), found[..., :2], visible.astype(np.uint8)))
        return out


@DATASETS.register_module()
class SilhouetteStills(ImageFileSource):
    """People of an annotated data set with silhouettes, one image a clip.

    A person whose silhouette fails the data set's quality gate is left out,
    so that with ``masks=True`` everybody stands before black.

    Args:
        dataset (dict): An ``LspDataset`` without pipeline and silhouettes.
        name (str): As its ids begin. Defaults to ``'lspet'``.
        others: See :class:`FrameSource`. Groups are people.
    """

    def __init__(self, dataset: Mapping, name: str = 'lspet',
                 **kwargs) -> None:
        super().__init__(name, **kwargs)
        self.config = dict(dataset)
        self._masks: dict[str, str] = {}

    def scan(self, root: Path) -> list[Clip]:
        """Builds the data set; reads no image."""
        data: Any = DATASETS.build(dict(
            self.config, data_root=str(root), with_silhouette=True,
            serialize_data=False, pipeline=[]))
        self.skeleton = Skeleton.from_metainfo(data.metainfo)
        archives = {split_zip_path(person[key])[0]
                    for person in data.data_list[:1]
                    for key in ('img_path', 'silhouette_path')}
        stamp = digest(*(file_stamp(Path(a)) for a in sorted(archives)))
        out = []
        for person in data.data_list:
            if not person['silhouette_good']:
                continue
            path = str(person['img_path'])
            self._masks[path] = str(person['silhouette_path'])
            one = str(person['id']).removeprefix(f'{self.name}/')
            out.append(Clip(
                one, one, (path, ), stamp,
                np.asarray(person['keypoints'], np.float32),
                (np.asarray(person['keypoints_visible']) > 0).astype(
                    np.uint8)))
        return out

    def masks(self, clip: Clip) -> Iterator[np.ndarray]:
        """Reads the silhouettes."""
        return (m[..., 0] for m in read_images(
            [self._masks[f] for f in clip.frames]))
