"""Tiny clips, made by the tests themselves."""
from __future__ import annotations

import zipfile
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
from mmengine.registry import DefaultScope, init_default_scope

import mirrorpose  # noqa: F401
from mirrorpose.datasets.keyed import sample_keys


@pytest.fixture(autouse=True, scope='session')
def mmpose_scope():
    """Configs are built by mmpose's names."""
    if DefaultScope.get_current_instance() is None:
        init_default_scope('mmpose')


def picture(clip: int, frame: int, width: int = 32, height: int = 32):
    """A frame whose pixels say which it is: blue the clip, green the frame.

    Flat, so that compression and resizing keep it.
    """
    return np.full((height, width, 3), (20 * clip, 10 * frame, 99), np.uint8)


def which(image) -> tuple[int, int]:
    """Clip and frame of a (3, S, S) crop of :func:`picture`."""
    middle = np.asarray(image)[:, 4, 4].astype(float)
    return round(middle[0] / 20), round(middle[1] / 10)


def keys(number: int, seed: int = 0):
    return sample_keys(seed, 0, list(range(number)), [0] * number)


@pytest.fixture(scope='session')
def toy():
    """The helpers above, for tests that cannot import this file."""
    return SimpleNamespace(picture=picture, which=which, keys=keys,
                           write_archive=write_archive)


@pytest.fixture
def folders(tmp_path):
    """Clips a, b, c of 4, 7 and 12 frames as PNG files."""
    for clip, count in enumerate((4, 7, 12)):
        place = tmp_path / 'clips' / 'abc'[clip]
        place.mkdir(parents=True)
        for frame in range(count):
            cv2.imwrite(str(place / f'{frame}.png'), picture(clip, frame))
    return tmp_path


@pytest.fixture
def archive(folders):
    """The same clips in one zip."""
    with zipfile.ZipFile(folders / 'clips.zip', 'w') as file:
        for path in sorted((folders / 'clips').rglob('*.png')):
            file.write(path, path.relative_to(folders / 'clips'))
    return folders


def write_archive(root, name='people', clips=4, frames=6, joint_set='lsp_14',
                  size=40, masks=True, **extra):
    """A data set in the prepared layout, random joints."""
    from mirrorpose.structures import Skeleton
    skeleton = Skeleton.from_name(joint_set)
    folder = root / name
    folder.mkdir(parents=True)
    rng = np.random.default_rng(3)
    total = clips * frames
    names = [f'c{c}/{f:03d}.jpg' for c in range(clips) for f in range(frames)]
    with zipfile.ZipFile(folder / 'images.zip', 'w') as file:
        for i, member in enumerate(names):
            image = picture(i // frames, i % frames, size, size)
            file.writestr(member, cv2.imencode('.jpg', image)[1].tobytes())
    if masks:
        with zipfile.ZipFile(folder / 'masks.zip', 'w') as file:
            for member in names:
                mask = np.zeros((size, size), np.uint8)
                mask[:, :size // 2] = 255
                file.writestr(member.replace('.jpg', '.png'),
                              cv2.imencode('.png', mask)[1].tobytes())
    arrays = dict(
        names=np.array(names),
        clip=np.repeat([f'c{c}' for c in range(clips)], frames),
        group=np.repeat([f'p{c // 2}' for c in range(clips)], frames),
        action=np.repeat(['walk', 'wait'] * (clips // 2), frames),
        subset=np.repeat(['train', 'train', 'train', 'test'], frames),
        scale=np.full(total, 2.), shape=np.tile([size, size], (total, 1)),
        keypoints=rng.uniform(4, size - 4, (total, len(skeleton), 2)),
        visible=np.ones((total, len(skeleton)), np.uint8),
        joints=np.array(joint_set)) | extra
    np.savez(folder / 'frames.npz', **arrays)
    return arrays


@pytest.fixture
def prepared(tmp_path):
    """Four clips of two people in the prepared layout."""
    return tmp_path, write_archive(tmp_path)
