"""Cases: clips of frames, and poses that are not theirs."""
from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
from mmpose.registry import DATASETS

from . import error, rule

_SIZE = 16


def clips(folder: Path, name: str = 'clips', **frames: int) -> None:
    """Folders of grey images, so many of each clip."""
    for clip, count in frames.items():
        place = folder / name / clip
        place.mkdir(parents=True)
        for i in range(count):
            cv2.imwrite(str(place / f'{i}.png'),
                        np.full((_SIZE, _SIZE, 3), 9 * i, np.uint8))


def annotated(folder: Path, joints: str = 'lsp_14', **known: bool) -> dict:
    """A source of one annotated clip of four frames."""
    from mirrorpose.structures import Skeleton
    clips(folder, 'people', a=4)
    count = len(Skeleton.from_name(joints))
    import zipfile
    with zipfile.ZipFile(folder / 'people' / 'images.zip', 'w') as file:
        for path in sorted((folder / 'people' / 'a').iterdir()):
            file.write(path, path.name)
    points = np.random.default_rng(0).uniform(2, 14, (4, count, 2))
    np.savez(folder / 'people' / 'frames.npz', clip=np.array(['a'] * 4),
             names=np.array([f'{i}.png' for i in range(4)]),
             keypoints=points, joints=np.array(joints),
             visible=np.array([known.get(f'frame{i}', True)
                               for i in range(4)])[:, None]
             * np.ones(count, np.uint8))
    return dict(type='FrameArchive', file='people/frames.npz')


def pairs(folder: Path, source: Any, **options: Any) -> Any:
    """Pairs of frames of a source, by its config."""
    return DATASETS.build(dict(dict(
        type='FramePairDataset', sources=[source], joints='lsp_14',
        size=_SIZE, data_root=str(folder), cache_dir=str(folder / 'cache')),
        **options))


def folders(**options: Any) -> dict:
    """The source that reads :func:`clips`."""
    return dict(type='FrameFolders', folder='clips', **options)


def write_poses(folder: Path, number: int = 5, joints: str = 'lsp_14',
                value: float | None = None) -> None:
    """A file of random poses."""
    from mirrorpose.structures import Skeleton
    points = np.random.default_rng(0).uniform(
        0, 99, (number, len(Skeleton.from_name(joints)), 2))
    if value is not None:
        points[2, 3] = value
    np.savez(folder / 'poses.npz', keypoints=points, joints=joints,
             visible=np.ones(points.shape[:2]))


def poses(folder: Path, source: Any = None, **options: Any) -> Any:
    """Unpaired poses of a source, by its config."""
    source = source or dict(type='DatasetPoses', dataset=dict(
        type='PoseCollectionDataset', ann_file='poses.npz'))
    return DATASETS.build(dict(
        type='UnpairedPoseDataset', sources=[source], joints='lsp_14',
        size=_SIZE, data_root=str(folder), **options))


def both(folder: Path, half: dict[str, str], **options: Any) -> Any:
    """Images and poses of one archive, whole or in halves."""
    source = annotated(folder)
    return DATASETS.build(dict(
        type='UnpairedDataset',
        frames=dict(
            type='FramePairDataset', joints='lsp_14', size=_SIZE,
            sources=[dict(source, half=half.get('images'))],
            data_root=str(folder), cache_dir=str(folder / 'cache')),
        poses=dict(
            type='UnpairedPoseDataset', joints='lsp_14', size=_SIZE,
            data_root=str(folder), sources=[dict(
                type='FramePoses', source=dict(
                    source, half=half.get('poses')))], **options)))


@error('a clip with one frame', 'ValueError', "'clips/b' with 1 frame",
       'Leave them out with min_frames=2')
def one_frame(folder: Path) -> None:
    """It has no partner."""
    clips(folder, a=4, b=1)
    pairs(folder, folders())


@error('a clip shorter than the gap between its frames', 'ValueError',
       "'clips/a' with 4 frames", 'min_frames=9')
def short_clip(folder: Path) -> None:
    """Four frames, partners eight away."""
    clips(folder, a=4)
    pairs(folder, folders(), gap_min=8)


@error('unreadable video', 'ValueError', '…/v/broken.mp4 is no video',
       'convert it, e.g. ffmpeg', cut='(OpenCV')
def unreadable_video(folder: Path) -> None:
    """Something else with a video's name."""
    (folder / 'v').mkdir()
    (folder / 'v' / 'broken.mp4').write_bytes(b'no video at all' * 99)
    pairs(folder, dict(type='VideoFiles', files='v/*.mp4', crop='centre'))


@error('video that was cut off', 'ValueError',
       '…/v/cut.avi is damaged or cut off',
       'get it anew, or take it out of the folder', cut='(12')
def cut_video(folder: Path) -> None:
    """A third of the file."""
    (folder / 'v').mkdir()
    path = folder / 'v' / 'cut.avi'
    video = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*'MJPG'), 5.,
                            (64, 48))
    rng = np.random.default_rng(0)
    for _ in range(40):
        video.write(rng.integers(0, 255, (48, 64, 3), np.uint8))
    video.release()
    path.write_bytes(path.read_bytes()[:path.stat().st_size // 3])
    pairs(folder, dict(type='VideoFiles', files='v/*.avi', crop='centre'))


@error('no video where some are expected', 'FileNotFoundError',
       "no video matches 'v/*.mp4'", 'set MIRRORPOSE_DATA')
def no_video(folder: Path) -> None:
    """Another folder."""
    pairs(folder, dict(type='VideoFiles', files='v/*.mp4'))


@error('images of unequal size in a clip', 'ValueError',
       "clips/b: frame '…/clips/b/2.png' has 20 x 24 pixels",
       'Resize them, or make two clips of it')
def unequal(folder: Path) -> None:
    """One of three."""
    clips(folder, a=3, b=3)
    cv2.imwrite(str(folder / 'clips/b/2.png'), np.zeros((24, 20, 3), np.uint8))
    pairs(folder, folders())


@error('images that are not square, taken whole', 'ValueError',
       'clips/a: the images have 20 x 24 pixels', "pass crop='centre'")
def not_square(folder: Path) -> None:
    """All of one size, 20 x 24."""
    clips(folder, a=2)
    for path in (folder / 'clips/a').iterdir():
        cv2.imwrite(str(path), np.zeros((24, 20, 3), np.uint8))
    pairs(folder, folders())


@error('damaged image in a clip', 'BrokenSampleError', '…/clips/a/1.png',
       'take the frame out of its clip')
def damaged(folder: Path) -> None:
    """A PNG of 40 bytes."""
    clips(folder, a=3)
    path = folder / 'clips/a/1.png'
    path.write_bytes(path.read_bytes()[:40])
    pairs(folder, folders())


@error('masks of a source that has none', 'ValueError', 'clips/a: masks=True',
       'pass masks=False')
def no_masks(folder: Path) -> None:
    """Folders hold images alone."""
    clips(folder, a=3)
    pairs(folder, folders(), masks=True)


@error('frames annotated with another joint set', 'ValueError',
       'people is annotated with another joint set',
       'set joints= to the joint set that is meant')
def other_annotation(folder: Path) -> None:
    """Bodies for a face model."""
    pairs(folder, annotated(folder), joints='ibug_68')


@rule('test frames without any annotated joint', 'left out, and counted in '
      'the log')
def not_annotated(folder: Path) -> None:
    """Two of four."""
    data = pairs(folder, annotated(folder, frame0=False, frame3=False),
                 test_mode=True)
    assert [data.get_data_info(i)['id'] for i in range(len(data))] == [
        'people/a:1', 'people/a:2']


@error('the same clip in both sources, images and poses', 'ValueError',
       "1 clip gives both images and poses, e.g. ['people/a']",
       'Take other people')
def same_clip(folder: Path) -> None:
    """The prior would hold the images' own poses."""
    both(folder, {})


@rule('the first half of a clip for images, the second for poses', 'two '
      'clips, as in the paper')
def halves(folder: Path) -> None:
    """Nothing is shared."""
    data = both(folder, dict(images='first', poses='second'))
    assert data.clips() == {'people/a#1/2'}
    assert data.poses.clips() == {'people/a#2/2'}


@error('poses with another joint set', 'ValueError',
       '…/poses.npz: none of its 68 joints',
       'set joints= to the joint set that is meant')
def other_poses(folder: Path) -> None:
    """Faces for a body model."""
    write_poses(folder, joints='ibug_68')
    poses(folder)


@error('images and poses of different joint sets', 'ValueError',
       'UnpairedDataset, frames and poses', 'Convert with Skeleton.convert')
def two_sets(folder: Path) -> None:
    """Fourteen and sixteen joints."""
    clips(folder, a=3)
    write_poses(folder)
    DATASETS.build(dict(
        type='UnpairedDataset', frames=pairs(folder, folders(),
                                             joints='mpii_16'),
        poses=poses(folder)))


@error('pose file of zero bytes', 'ValueError', '…/poses.npz is empty',
       'write it anew', cut='(No data')
def empty_file(folder: Path) -> None:
    """A disk that was full."""
    (folder / 'poses.npz').write_bytes(b'')
    poses(folder)


@error('pose file without a pose', 'ValueError',
       '…/poses.npz holds no pose', 'write it anew, or leave it out')
def no_pose(folder: Path) -> None:
    """Arrays of length 0."""
    write_poses(folder, 0)
    poses(folder)


@error('pose file missing', 'FileNotFoundError', '…/poses.npz',
       'set MIRRORPOSE_DATA', cut='case-')
def no_file(folder: Path) -> None:
    """Another folder."""
    poses(folder)


@error('pose with a coordinate that is not finite', 'BrokenSampleError',
       'poses/2: joints [3] are annotated but not finite',
       'mark them as unannotated')
def not_finite(folder: Path) -> None:
    """A joint that counts as present."""
    write_poses(folder, value=np.nan)
    poses(folder)


@error('clips without annotation as a source of poses', 'ValueError',
       'clips/a has no keypoints', 'pass annotated data')
def bare_poses(folder: Path) -> None:
    """Folders of images."""
    clips(folder, a=3)
    poses(folder, dict(type='FramePoses', source=folders()))


@error('a source of poses given twice', 'ValueError',
       "['poses/0'", 'is a source given twice?')
def twice(folder: Path) -> None:
    """All ids stand there twice."""
    write_poses(folder)
    source = dict(type='DatasetPoses', dataset=dict(
        type='PoseCollectionDataset', ann_file='poses.npz'))
    DATASETS.build(dict(
        type='UnpairedPoseDataset', sources=[source, source],
        joints='lsp_14', size=_SIZE, data_root=str(folder)))
