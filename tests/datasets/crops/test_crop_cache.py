"""The cache is whole or absent, built once, and built anew when it must."""
from __future__ import annotations

import json
import multiprocessing
import os
import pickle
import shutil
import signal
import threading
import time
import zipfile
from pathlib import Path

import cv2
import numpy as np
import pytest
from mmpose.registry import DATASETS

from mirrorpose.datasets.broken import BrokenSampleError
from mirrorpose.datasets.crops import building, cache, locking, source
from mirrorpose.datasets.crops.building import crop_region
from mirrorpose.datasets.crops.cache import CropCache
from mirrorpose.datasets.synthetic import SyntheticWorld

LOAD = [dict(type='LoadImage')]


def slow_build(config: dict, log: str, delay: float) -> None:
    """The program of the processes: names itself at each image it reads.

    Without a delay it waits at the fifth until another process waits.
    """
    read, waits = source.Source.read, Path(f'{log}.waits')

    def slowly(self, group):
        with Path(log).open('a') as file:
            file.write(f'{os.getpid()}\n')
        if not delay and group == [4]:
            wait_for(waits)
        time.sleep(delay)
        return read(self, group)

    def say(text, **kwargs):
        if 'waiting' in text:
            waits.write_text(text)
    source.Source.read, locking.print_log = slowly, say
    DATASETS.build(config).prepare()


def start(config: dict, log: Path, delay: float):
    process = multiprocessing.get_context('fork').Process(
        target=slow_build, args=(config, str(log), delay))
    process.start()
    return process


def wait_for(path: Path, seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not path.exists():
        assert time.monotonic() < end, f'{path} did not appear'
        time.sleep(.01)


@pytest.fixture
def said(monkeypatch):
    """What is logged."""
    texts: list[str] = []
    for module in (building, cache, locking):
        monkeypatch.setattr(module, 'print_log',
                            lambda text, **kwargs: texts.append(text))
    return texts


@pytest.fixture
def config(tmp_path, crops):
    return dict(
        type='CachedCropDataset', cache_dir=str(tmp_path / 'cache'),
        threads=1, dataset=dict(
            crops.frames(tmp_path / 'source', people=8),
            pipeline=LOAD + crops.pipeline()))


@pytest.fixture
def build(config):
    def make(**kwargs):
        return DATASETS.build(dict(config, **kwargs)).prepare()
    return make


def folders(config):
    root = Path(config['cache_dir'])
    return sorted(f.name for f in root.iterdir() if f.is_dir())


def test_crops_hold_the_pixels_of_the_images(config, build):
    reader = build()
    cache = reader.caches[0]
    assert len(cache) == 8 and cache.pixels.dtype == np.uint8
    assert isinstance(cache.pixels, np.memmap)
    for i in range(8):
        image = cv2.imread(f'{config["dataset"]["data_root"]}/images/{i}.png')
        x, y = cache.origin[i].astype(int)
        w, h = cache.size[i]
        np.testing.assert_array_equal(cache[i], image[y:y + h, x:x + w])
        np.testing.assert_array_equal(cache.shape[i], image.shape[:2])
        np.testing.assert_array_equal(cache.scale[i], 1)
    stored = np.load(cache.folder / building.IMAGES)
    assert stored.shape == (int(cache.size.prod(1).sum()) * 3, )


def test_regions_hold_what_is_seen_and_no_more():
    rng = np.random.default_rng(0)
    for _ in range(500):
        shape = tuple(rng.integers(1, 300, 2).tolist())
        center, side = rng.uniform(-100, 400, 2), rng.uniform(1, 500)
        limit = int(rng.integers(8, 300))
        first, end, size = crop_region(center, side, shape, limit)
        w, h = shape[1], shape[0]
        assert (first >= 0).all() and (first < end).all()
        assert (end <= [w, h]).all() and (size <= limit).all()
        assert (size >= 1).all() and (size <= end - first).all()
        factor = ((end - first) / size).max()
        low = np.clip(np.floor(center - side / 2) - 1, 0, [w - 1, h - 1])
        high = np.clip(np.ceil(center + side / 2) + 2, low + 1, [w, h])
        assert (first <= low).all() and (end >= high).all()
        if (high - low).max() <= limit:
            assert (size == end - first).all()
            assert (first == low).all() and (end == high).all()
        else:
            assert size.max() == limit
            assert (low - first <= factor + 1).all()


def test_opened_again_without_reading(config, build, monkeypatch):
    first = build().caches[0]
    stamp = (first.folder / building.IMAGES).stat().st_mtime_ns

    def never(self, group):
        raise AssertionError('read again')
    monkeypatch.setattr('mirrorpose.datasets.crops.source.Source.read', never)
    again = build().caches[0]
    assert again.folder == first.folder
    assert (again.folder / building.IMAGES).stat().st_mtime_ns == stamp
    other = pickle.loads(pickle.dumps(again))
    assert len(pickle.dumps(again)) < 500
    np.testing.assert_array_equal(other[3], first[3])


def test_a_changed_key_builds_anew(config, build, crops):
    data = config['dataset']
    root = Path(data['data_root'])
    keys = [build().caches[0].folder.name]

    def changed(**kwargs):
        keys.append(build(**kwargs).caches[0].folder.name)
        assert len(set(keys)) == len(keys), kwargs
    changed(size=100)
    changed(margin=1.5)
    wide = crops.pipeline()
    wide[0] = dict(wide[0], padding=1.5)
    changed(dataset=dict(data, pipeline=LOAD + wide))
    tall = crops.pipeline(codec=dict(type='MSRAHeatmap', sigma=2.,
                                     input_size=(48, 64),
                                     heatmap_size=(12, 16)))
    changed(dataset=dict(data, pipeline=LOAD + tall))
    changed(dataset=dict(data, indices=5))
    changed(dataset=dict(data, pipeline=[dict(
        type='LoadImage', color_type='color_ignore_orientation')]
        + crops.pipeline()))
    # Content: a box, and the pixels of an image.
    notes = json.loads((root / 'people.json').read_text())
    notes['annotations'][3]['bbox'][2] += 7
    (root / 'people.json').write_text(json.dumps(notes))
    changed()
    cv2.imwrite(str(root / 'images/2.png'), np.zeros((200, 260, 3), np.uint8))
    changed()
    assert folders(config) == sorted(keys)


def test_same_key_whatever_changes_no_pixel(config, build, crops):
    name = build().caches[0].folder.name
    steps = crops.pipeline(codec=dict(
        type='OneHotHeatmap', input_size=(96, 96), heatmap_size=(24, 24)))
    other = dict(config['dataset'], pipeline=LOAD + [
        dict(type='DropLabels')] + steps)
    assert build(dataset=other).caches[0].folder.name == name
    assert folders(config) == [name]


def test_members_of_archives_are_known_by_content(tmp_path, crops, config):
    data = dict(config['dataset'])
    root = Path(data['data_root'])

    def build(place):
        root2 = tmp_path / place
        root2.mkdir()
        shutil.copy(root / 'people.json', root2)
        with zipfile.ZipFile(root2 / 'images.zip', 'w') as archive:
            for path in sorted((root / 'images').iterdir()):
                archive.write(path, path.name)
        return DATASETS.build(dict(config, dataset=dict(
            data, data_root=str(root2), image_dir='images.zip'))
        ).prepare().caches[0].folder.name
    first = build('one')
    assert build('moved') == first
    cv2.imwrite(str(root / 'images/2.png'), np.zeros((200, 260, 3), np.uint8))
    assert build('changed') != first


def test_embedded_data_are_known_by_config_and_content(tmp_path, crops,
                                                       monkeypatch):
    def build(**kwargs):
        return DATASETS.build(dict(
            type='CachedCropDataset', cache_dir=str(tmp_path), dataset=dict(
                type='SyntheticPoseDataset', num_samples=4, image_size=32,
                cache=False, pipeline=crops.pipeline(32), **kwargs))
        ).prepare().caches[0].folder.name
    first = build()
    assert build() == first and build(seed=1) != first
    render = SyntheticWorld.sample

    def brighter(self, index):
        made = render(self, index)
        return dict(made, image=made['image'] // 2 + 100)
    monkeypatch.setattr(SyntheticWorld, 'sample', brighter)
    assert build() != first


def test_a_killed_build_leaves_nothing_half(config, build, tmp_path):
    process = start(config, tmp_path / 'log', .2)
    wait_for(tmp_path / 'log')
    time.sleep(.5)  # in the middle: eight images take 1.6 s
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    left = folders(config)
    assert len(left) == 1 and left[0].endswith(locking.PART)
    cache = build().caches[0]
    assert folders(config) == [cache.folder.name]
    assert cache.folder.name in left[0]
    assert cache[7].shape[2] == 3 and (cache.broken == '').all()


def test_leftovers_of_other_caches_go_too(config, build):
    root = Path(config['cache_dir'])
    root.mkdir()
    for name in ('.Dead-1.77.part', '.Alive-2.78.part', '.Dead-3.79.old'):
        (root / name).mkdir()
        (root / name / 'images.npy').write_text('half')
    with (root / '.Alive-2.lock').open('a+') as file:
        assert locking._try(file)  # its builder is at work
        name = build().caches[0].folder.name
    assert folders(config) == ['.Alive-2.78.part', name]


def test_two_processes_build_once(config, tmp_path):
    log = tmp_path / 'log'
    first = start(config, log, 0)
    wait_for(log)
    second = start(config, log, 0)
    for process in (first, second):
        process.join(60)
        assert process.exitcode == 0
    assert log.read_text().split() == [str(first.pid)] * 8
    assert f'process {first.pid} on' in Path(f'{log}.waits').read_text()
    assert len(folders(config)) == 1


def test_waits_for_the_lock_and_says_for_whom(tmp_path, said):
    order = []

    def slow(part):
        order.append('begin')
        (part / 'x').write_text('x')
        time.sleep(.4)
        order.append('end')

    def flaw(folder):
        return None if (folder / 'x').is_file() else 'x is missing'
    first = threading.Thread(target=locking.build_once, args=(
        tmp_path / 'a', flaw, slow, 'thing'))
    first.start()
    while not order:
        time.sleep(.01)
    assert locking.build_once(tmp_path / 'a', flaw, slow, 'thing') is False
    assert order == ['begin', 'end']
    first.join()
    assert f'process {os.getpid()} on' in said[0]


def test_without_locks_nothing_is_damaged(tmp_path, monkeypatch):
    """Two build; the second finds the whole folder of the first."""
    monkeypatch.setattr(locking, 'fcntl', None)

    def flaw(folder):
        return None if (folder / 'x').is_file() else 'x is missing'

    def late(part):
        (part / 'x').write_text('late')
        other = tmp_path / 'a'
        if not other.exists():  # meanwhile
            locking.build_once(other, flaw, lambda p: (
                p / 'x').write_text('first'), 'thing')
    monkeypatch.setattr(locking.os, 'getpid', iter(range(9)).__next__)
    locking.build_once(tmp_path / 'a', flaw, late, 'thing')
    assert (tmp_path / 'a/x').read_text() == 'first'
    assert [f.name for f in tmp_path.iterdir() if f.is_dir()] == ['a']


@pytest.mark.parametrize('harm', ['short', 'lost', 'manifest', 'index'])
def test_a_damaged_cache_is_built_anew(config, build, said, harm):
    folder = build().caches[0].folder
    good = (folder / building.IMAGES).read_bytes()
    if harm == 'short':
        (folder / building.IMAGES).write_bytes(good[:-100])
    elif harm == 'lost':
        (folder / building.INDEX).unlink()
    elif harm == 'manifest':
        (folder / building.MANIFEST).write_text('{"bytes": ')
    else:
        (folder / building.INDEX).write_bytes(b'x')
    again = build().caches[0]
    assert (again.folder / building.IMAGES).read_bytes() == good
    assert any('is damaged' in text for text in said)
    assert folders(config) == [folder.name]


def test_full_disk_is_an_error_beforehand(config, build, monkeypatch):
    usage = shutil.disk_usage('/')
    monkeypatch.setattr(building.shutil, 'disk_usage',
                        lambda p: usage._replace(free=12345))
    with pytest.raises(OSError, match=r'needs? \d+ bytes.*12345 bytes') as e:
        build()
    assert 'cache_dir' in str(e.value) and 'MIRRORPOSE_CACHE' in str(e.value)
    assert folders(config) == []


def test_disk_that_fills_up_meanwhile(config, build, monkeypatch):
    def full(*args, **kwargs):
        raise OSError(28, 'No space left on device')
    monkeypatch.setattr(building.np, 'savez', full)
    with pytest.raises(OSError, match='has filled up.*cache_dir'):
        build()
    assert folders(config) == []


def test_space_is_bounded_from_above(config, build, monkeypatch):
    asked = []
    monkeypatch.setattr(
        'mirrorpose.datasets.crops.cache.check_space',
        lambda part, most, count, what: asked.append(most))
    for size in (None, 64):
        cache = build(size=size).caches[0]
        assert cache.pixels.nbytes <= asked[-1] < 4 * 8 * 256**2 * 3


def test_broken_images(config, build, tmp_path):
    path = Path(config['dataset']['data_root']) / 'images/5.png'
    path.write_bytes(path.read_bytes()[:-2000])
    with pytest.raises(BrokenSampleError, match='truncated'):
        build()
    assert folders(config) == []
    skip = dict(policy='skip', max_share=.2, csv=str(tmp_path / 'b.csv'))
    reader = build(broken=skip)
    cache = reader.caches[0]
    assert np.nonzero(cache.broken != '')[0].tolist() == [5]
    assert 'people/5' in (tmp_path / 'b.csv').read_text()
    # Known from the cache, too, to whoever opens it.
    with pytest.raises(BrokenSampleError, match='people/5'):
        build()
    (tmp_path / 'b.csv').unlink()
    build(broken=skip)
    assert 'truncated' in (tmp_path / 'b.csv').read_text()
    with pytest.raises(RuntimeError, match='max_share'):
        build(broken=dict(skip, max_share=.1, csv=None))


def test_images_of_another_size_than_annotated(config, build):
    data = config['dataset']
    data = dict(data, pipeline=[dict(type='LoadCheckedImage'),
                                *data['pipeline'][1:]])
    path = Path(data['data_root']) / 'people.json'
    notes = json.loads(path.read_text())
    for image in notes['images']:
        image.update(width=260, height=200)
    path.write_text(json.dumps(notes))
    build(dataset=data)
    notes['images'][6].update(width=200, height=260)
    path.write_text(json.dumps(notes))
    with pytest.raises(BrokenSampleError, match='people/6.*260 x 200'):
        build(dataset=data, size=200)


def test_boxes_without_extent_are_broken(config, build):
    path = Path(config['dataset']['data_root']) / 'people.json'
    notes = json.loads(path.read_text())
    notes['annotations'][2]['bbox'] = [10, 10, float('inf'), 5]
    path.write_text(json.dumps(notes))
    with pytest.raises(BrokenSampleError, match='people/2.*its box'):
        build()


def test_people_of_one_image_decode_it_once(config, build, monkeypatch):
    path = Path(config['dataset']['data_root']) / 'people.json'
    notes = json.loads(path.read_text())
    for note in notes['annotations']:
        note['image_id'] = note['image_id'] // 4
    path.write_text(json.dumps(notes))
    seen = []
    read = source.read_image
    monkeypatch.setattr(source, 'read_image', lambda p, *a: (
        seen.append(p), read(p, *a))[1])
    assert len(build(threads=3).caches[0]) == 8
    assert len(seen) == 2


def test_progress_on_a_terminal_and_in_a_log(monkeypatch, said):
    class Terminal:
        def __init__(self):
            self.text = ''

        def write(self, text):
            self.text += text

        def flush(self):
            pass

        def isatty(self):
            return True
    clock = iter(range(0, 10000, 4))
    monkeypatch.setattr(building.Timer, 'since_start',
                        lambda self: float(next(clock)))
    bar = building.Progress(5)
    for _ in range(5):
        bar.update(1)
    assert '4 of 5 people cropped' in said[0]
    terminal = Terminal()
    monkeypatch.setattr(building.sys, 'stdout', terminal)
    bar = building.Progress(4)
    bar.bar.file = terminal
    for _ in range(4):
        bar.update(1)
    bar.end()
    assert '4/4' in terminal.text and 'ETA' in terminal.text


def test_opening_a_folder(config, build):
    cache = build().caches[0]
    assert CropCache(cache.folder)[0].shape == cache[0].shape
