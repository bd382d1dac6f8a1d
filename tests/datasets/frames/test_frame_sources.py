"""Folders, archives and videos."""
import shutil

import cv2
import numpy as np
import pytest

from mirrorpose.datasets.broken import BrokenSampleError
from mirrorpose.datasets.frames import FrameFolders, FrameStore, VideoFiles
from mirrorpose.structures import Skeleton

LSP = Skeleton.from_name('lsp_14')


def store(root, size=16, **source):
    return FrameStore([source], size, LSP, data_root=str(root))


@pytest.mark.parametrize('place', ['clips', 'clips.zip'])
def test_folders_and_archives_alike(archive, place, toy):
    found = store(archive, type='FrameFolders', folder=place)
    assert found.names == [f'clips/{c}' for c in 'abc']
    assert found.length.tolist() == [4, 7, 12]
    # 10.png comes after 9.png
    assert [toy.which(v) for v in found.images(np.arange(23))] == [
        (c, f) for c, n in enumerate((4, 7, 12)) for f in range(n)]


def test_cache_is_built_once_and_anew_for_other_frames(folders, toy,
                                                       monkeypatch):
    args = dict(type='FrameFolders', folder='clips')
    first = store(folders, **args)
    reads = []
    monkeypatch.setattr(FrameFolders, 'images', lambda *a: reads.append(a))
    np.testing.assert_array_equal(store(folders, **args).pixels[0],
                                  first.pixels[0])
    assert not reads
    monkeypatch.undo()
    cv2.imwrite(str(folders / 'clips/a/0.png'), toy.picture(5, 5))
    assert toy.which(store(folders, **args).images(np.array([0]))[0]) == (5, 5)


def test_damaged_cache_is_built_anew(folders, tmp_path, toy):
    args = dict(type='FrameFolders', folder='clips')
    cache = tmp_path / 'cache'
    for spoil in ('index.npz', 'frames.bin', None):
        found = FrameStore([args], 16, LSP, data_root=str(folders),
                           cache_dir=cache)
        assert toy.which(found.images(np.array([5]))[0]) == (1, 1)
        if spoil:
            (place, ) = cache.glob(f'frames-*/{spoil}')
            place.write_bytes(place.read_bytes()[:40])


def test_parts_strides_and_halves(folders, toy):
    args = dict(type='FrameFolders', folder='clips')
    assert store(folders, stride=3, **args).length.tolist() == [2, 3, 4]
    first = store(folders, half='first', **args)
    second = store(folders, half='second', **args)
    assert first.length.tolist() == [2, 3, 6]
    assert toy.which(second.images(np.array([0]))[0]) == (0, 2)
    assert second.names[0] == 'clips/a#2/2'
    assert store(folders, min_frames=5, **args).names == ['clips/b',
                                                          'clips/c']
    split = dict(train=['a', 'c'], test=['b'])
    assert store(folders, split=split, part='test', **args).names == [
        'clips/b']
    with pytest.raises(ValueError, match='none of 3 clips is left'):
        store(folders, min_frames=50, **args)
    with pytest.raises(ValueError, match='part='):
        FrameFolders('clips', split=split)
    with pytest.raises(ValueError, match='none of split'):
        FrameFolders('clips', split=split, part='val')


def test_several_sources(folders, toy):
    shutil.copytree(folders / 'clips', folders / 'more')
    found = FrameStore([dict(type='FrameFolders', folder='more'),
                        dict(type='FrameFolders', folder='clips')], 16, LSP,
                       data_root=str(folders))
    rows = np.array([40, 2, 22, 23])
    assert [toy.which(v) for v in found.images(rows)] == [
        (2, 6), (0, 2), (2, 11), (0, 0)]
    with pytest.raises(ValueError, match='given twice'):
        FrameStore([dict(type='FrameFolders', folder='clips')] * 2, 16, LSP,
                   data_root=str(folders))


def write_video(toy, path, frames=20, size=(48, 32)):
    path.parent.mkdir(parents=True, exist_ok=True)
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*'MJPG'), 25,
                             size)
    assert writer.isOpened()
    for frame in range(frames):
        writer.write(toy.picture(1, frame, *size))
    writer.release()


def test_videos(tmp_path, toy):
    write_video(toy, tmp_path / 'v/one.avi')
    write_video(toy, tmp_path / 'v/two.avi', 9)
    found = store(tmp_path, type='VideoFiles', files='v/*.avi',
                  crop='centre')
    assert found.names == ['videos/v/one', 'videos/v/two']
    assert found.length.tolist() == [20, 9]
    assert [toy.which(v)[1] for v in found.images(np.arange(20))] == list(
        range(20))
    found = store(tmp_path, type='VideoFiles', files='v/one.avi', stride=4,
                  max_frames=13, crop='centre')
    frames = [toy.which(v)[1] for v in found.images(np.arange(4))]
    assert frames == [0, 4, 8, 12]


def test_unreadable_videos(tmp_path, toy):
    path = tmp_path / 'v/broken.mp4'
    path.parent.mkdir()
    path.write_bytes(b'no video at all' * 99)
    with pytest.raises(ValueError, match=r'broken\.mp4.*no video.*ffmpeg'):
        VideoFiles('v/*.mp4').select(str(tmp_path))
    # Noise, so that a third of the file is a third of the frames.
    (tmp_path / 'w').mkdir()
    writer = cv2.VideoWriter(str(tmp_path / 'w/cut.avi'),
                             cv2.VideoWriter_fourcc(*'MJPG'), 25, (64, 48))
    rng = np.random.default_rng(0)
    for _ in range(40):
        writer.write(rng.integers(0, 255, (48, 64, 3), np.uint8))
    writer.release()
    whole = (tmp_path / 'w/cut.avi').read_bytes()
    (tmp_path / 'w/cut.avi').write_bytes(whole[:len(whole) // 3])
    with pytest.raises(ValueError, match=r'cut\.avi is damaged or cut off.*'
                       r'\(1\d of 40 frames'):
        VideoFiles('w/*.avi').select(str(tmp_path))
    with pytest.raises(FileNotFoundError, match='MIRRORPOSE_DATA'):
        VideoFiles('x/*.mp4').select(str(tmp_path))


def test_images_of_unequal_size(folders, toy):
    cv2.imwrite(str(folders / 'clips/b/3.png'), toy.picture(1, 3, 36, 36))
    with pytest.raises(ValueError, match=r'clips/b.*36 x 36.*32 x 32.*one '
                                         'size'):
        store(folders, type='FrameFolders', folder='clips')
    assert len(store(folders, type='FrameFolders', folder='clips',
                     stills=True).names) == 23


def test_missing_and_broken_files(folders, tmp_path, toy):
    with pytest.raises(FileNotFoundError, match='dataset_converters'):
        store(folders, type='FrameFolders', folder='nowhere')
    (tmp_path / 'empty').mkdir()
    with pytest.raises(FileNotFoundError, match='no images'):
        store(folders, type='FrameFolders', folder='empty')
    data = (folders / 'clips/b/2.png').read_bytes()
    (folders / 'clips/b/2.png').write_bytes(data[:60])
    with pytest.raises(BrokenSampleError, match=r'b/2\.png cannot be read: '
                       '.*take the frame out of its clip') as told:
        store(folders, type='FrameFolders', folder='clips')
    # the data sets' policy for broken samples does not reach a cache
    assert 'broken_samples' not in str(told.value)
    with pytest.raises(ValueError, match='crop must be'):
        FrameFolders('clips', crop='all')
    with pytest.raises(TypeError, match='no FrameSource'):
        store(folders, type='MocapArchive', file='x.npz')
