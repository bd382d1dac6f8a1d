"""Images per second on one core: mmpose's stock pipeline and the crop cache.

    python benchmarks/pipeline.py

Sources are 1280 x 720 JPEGs: video frames of three cameras of the shared data
(``multiview/``, reduced to 720 lines) beside each other, each with its
person; without ``MIRRORPOSE_DATA``, enlarged pictures of the synthetic world.
Both sides do what ``configs/_base_/datasets/lsp.py`` does (256 x 256, flip,
scale, turn, 16 Gaussian maps, ImageNet's mean). They take turns in one
process on one thread, after the first epoch: files and cache are in memory.
Measured is processor time, which other work on the machine disturbs less
than it does the clock. Writes ``benchmarks/results/pipeline.json``.

``all`` is everything up to normalised inputs and heatmaps; ``loader`` what is
left to a core when the rest is done by a GPU: mmpose's data set and collation
on one side, ``get_batch`` on the other, which either warps, or copies crops
for the device to warp.
"""
from __future__ import annotations

import argparse
import copy
import json
import os
import platform
import statistics
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import cv2
import numpy as np
import torch
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmengine.logging import MMLogger
from mmengine.registry import init_default_scope
from mmpose.registry import DATASETS, MODELS

import mirrorpose  # noqa: F401  (registers everything)
import mirrorpose.datasets.crops
import mirrorpose.models.data_preprocessors  # noqa: F401
from mirrorpose.datasets.synthetic import SyntheticWorld
from mirrorpose.structures import Skeleton

ROOT = Path(__file__).resolve().parents[1]
WIDTH, HEIGHT = 1280, 720
NORMALISE = dict(mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375],
                 bgr_to_rgb=True)


# -- sources ------------------------------------------------------------------
def video_frames(root: Path, count: int
                 ) -> Iterator[tuple[np.ndarray, list[np.ndarray]]]:
    """Frames of three cameras beside each other, and (16, 3) joints each."""
    folder = root / 'multiview'
    with np.load(folder / 'balancing.npz') as data:
        names = [str(n) for n in data['joint_names']]
        points = data['kp2d']
    mpii = Skeleton.from_name('mpii_16').joints
    pairs = dict(pelvis=('left_hip', 'right_hip'),
                 thorax=('left_shoulder', 'right_shoulder'))
    parents = [[names.index(p) for p in pairs.get(j, (j, ))] for j in mpii]
    cameras = (0, 2, 3)
    films = [cv2.VideoCapture(str(folder / f'balancing_cam{c + 1}.mp4'))
             for c in cameras]
    edges = np.linspace(0, WIDTH, len(cameras) + 1).round().astype(int)
    for moment in range(count):
        picture = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
        people = []
        for c, film, x, end in zip(cameras, films, edges, edges[1:]):
            frame = film.read()[1]
            scale = (end - x) / frame.shape[1]
            tile = cv2.resize(frame, None, fx=scale, fy=scale,
                              interpolation=cv2.INTER_AREA)
            top = max(0, (tile.shape[0] - HEIGHT) // 2)
            tile = tile[top:top + HEIGHT, :end - x]
            picture[:tile.shape[0], x:x + tile.shape[1]] = tile
            table = points[c, moment]
            person = np.array([table[p].mean(0) for p in parents])
            person[:, :2] = person[:, :2] * scale + [x, -top]
            people.append(person)
        yield picture, people


def world_frames(count: int
                 ) -> Iterator[tuple[np.ndarray, list[np.ndarray]]]:
    """Three synthetic people beside each other, enlarged."""
    world = SyntheticWorld(image_size=128)
    side = HEIGHT // 2 + 40
    for moment in range(count):
        picture = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
        people = []
        for place in range(3):
            sample = world.sample(3 * moment + place)
            x, y = place * side, 160
            picture[y:y + side, x:x + side] = cv2.resize(
                sample['image'], (side, side), interpolation=cv2.INTER_CUBIC)
            joints = sample['joints_16'] * (side / 128) + [x, y]
            people.append(np.column_stack([
                joints, sample['visible_16'] > 0]))
        yield picture, people


def write_sources(folder: Path, count: int) -> tuple[dict, str, float]:
    """JPEGs and COCO annotations: config, what they are, bytes each."""
    root = os.environ.get('MIRRORPOSE_DATA')
    real = bool(root) and (Path(str(root)) / 'multiview').is_dir()
    frames = video_frames(Path(str(root)), count) if real else world_frames(
        count)
    images, notes = [], []
    for number, (picture, people) in enumerate(frames):
        name = f'{number:04d}.jpg'
        cv2.imwrite(str(folder / name), picture, [cv2.IMWRITE_JPEG_QUALITY,
                                                  90])
        images.append(dict(id=number, file_name=name))
        for person in people:
            seen = person[:, 2] > 0
            low, high = (f(person[seen, :2], 0) for f in (np.min, np.max))
            table = np.column_stack([person[:, :2], 2 * seen])
            notes.append(dict(
                id=len(notes), image_id=number, category_id=1, iscrowd=0,
                bbox=[*low.tolist(), *(high - low).tolist()],
                keypoints=table.ravel().tolist()))
    (folder / 'people.json').write_text(json.dumps(dict(
        images=images, annotations=notes, categories=[dict(
            id=1, name='person',
            keypoints=list(Skeleton.from_name('mpii_16').joints))])))
    size = statistics.mean(f.stat().st_size for f in folder.glob('*.jpg'))
    what = ('video frames of three cameras (multiview/) beside each other'
            if real else 'enlarged pictures of the synthetic world')
    return dict(type='CocoPoseDataset', data_root=str(folder), image_dir='',
                ann_file='people.json', joints='mpii_16'), what, size


# -- clocks -------------------------------------------------------------------
class Clock:
    """Processor time of this thread by part, in seconds."""

    def __init__(self) -> None:
        self.parts: dict[str, float] = defaultdict(float)
        self.depth: list[float] = []

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        """Adds what happens inside, less the parts in it."""
        start = time.thread_time()
        self.depth.append(0.)
        yield
        spent = time.thread_time() - start
        inner = self.depth.pop()
        self.parts[name] += spent - inner
        if self.depth:
            self.depth[-1] += spent

    def wrap(self, owner: Any, attribute: str, name: str) -> None:
        """Times a function or method."""
        function = getattr(owner, attribute)

        def timed(*args: Any, **kwargs: Any) -> Any:
            with self.part(name):
                return function(*args, **kwargs)
        setattr(owner, attribute, timed)


def stock_side(config: dict, clock: Clock | None) -> tuple[Callable, Callable]:
    """Loader and preprocessor of mmpose."""
    data = DATASETS.build(copy.deepcopy(config))
    model = MODELS.build(dict(type='PoseDataPreprocessor', **NORMALISE))
    if clock is not None:
        for i, step in enumerate(data.pipeline.transforms):
            def timed(results: dict, step: Any = step) -> dict:
                with clock.part(type(step).__name__):
                    return step(results)
            data.pipeline.transforms[i] = timed
        clock.wrap(data, 'get_data_info', 'annotation')

    def load(rows: np.ndarray, keys: np.ndarray) -> Any:
        items = [data[i] for i in rows.tolist()]
        if clock is None:
            return pseudo_collate(items)
        with clock.part('collate'):
            return pseudo_collate(items)

    def finish(batch: Any) -> Any:
        if clock is None:
            return model(batch, True)
        with clock.part('preprocessor'):
            return model(batch, True)
    return load, finish


def fast_side(config: dict, cache: Path, warp: str,
              clock: Clock | None) -> tuple[Callable, Callable, Any]:
    """Loader and preprocessor of mirrorpose."""
    data = DATASETS.build(dict(
        type='CachedCropDataset', dataset=copy.deepcopy(config), warp=warp,
        cache_dir=str(cache)))
    read = data.prepare()
    model = MODELS.build(dict(type='CropPreprocessor', **NORMALISE))
    if clock is not None:
        clock.wrap(read, '_images', 'crop and warp')
        clock.wrap(read, '_records', 'records')
        clock.wrap(read, 'get_batch', 'draws and boxes')
        clock.wrap(model, '_targets', 'targets')
        clock.wrap(model, '_inputs', 'normalise')

    def finish(batch: Any) -> Any:
        if clock is None:
            return model(batch, True)
        with clock.part('preprocessor, rest'):
            return model(batch, True)
    return (lambda rows, keys: read.get_batch(rows, keys)), finish, data


def per_image(work: Callable, rows: np.ndarray, keys: np.ndarray,
              batch: int) -> tuple[float, float]:
    """Milliseconds an image: processor, wall clock."""
    busy, wall = time.process_time(), time.perf_counter()
    for i in range(0, len(rows), batch):
        work(rows[i:i + batch], keys[i:i + batch])
    return ((time.process_time() - busy) / len(rows) * 1e3,
            (time.perf_counter() - wall) / len(rows) * 1e3)


def main() -> None:
    """Measures, prints the tables, writes the JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--frames', type=int, default=64)
    parser.add_argument('--batch', type=int, default=64)
    parser.add_argument('--rounds', type=int, default=7)
    parser.add_argument('--out', type=Path,
                        default=ROOT / 'benchmarks/results/pipeline.json')
    args = parser.parse_args()
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    init_default_scope('mmpose')
    MMLogger.get_instance('mmengine', log_level='WARNING')
    settings = Config.fromfile(ROOT / 'configs/_base_/datasets/lsp.py')
    with TemporaryDirectory() as name:
        folder = Path(name) / 'source'
        folder.mkdir()
        config, what, size = write_sources(folder, args.frames)
        config['pipeline'] = [dict(type='LoadImage')] + [
            dict(p) for p in settings.augment + settings.pack]
        report = measure(config, Path(name) / 'cache', args.batch,
                         args.rounds)
    report = dict(
        sources=dict(what=what, width=WIDTH, height=HEIGHT,
                     jpeg_bytes=round(size), people=args.frames * 3),
        machine=dict(processor=platform.processor() or platform.machine(),
                     opencv=cv2.__version__, torch=torch.__version__,
                     numpy=np.__version__), **report)
    show(report)
    args.out.parent.mkdir(parents=True, exist_ok=True)
    args.out.write_text(json.dumps(report, indent=1) + '\n')
    print('written to', args.out)


def measure(config: dict, cache: Path, batch: int, rounds: int) -> dict:
    """All figures, in milliseconds of processor time an image."""
    stock = stock_side(config, None)
    *warped, data = fast_side(config, cache, 'loader', None)
    crops = fast_side(config, cache, 'device', None)[:2]
    people = len(data)
    rng = np.random.default_rng(0)

    works: dict[str, tuple[Callable, int]] = {
        'stock, all': (lambda r, k: stock[1](stock[0](r, k)), 1),
        'stock, loader': (stock[0], 1),
        'fast, all': (lambda r, k: warped[1](warped[0](r, k)), 8),
        'fast, loader warps': (warped[0], 8),
        'fast, device warps': (crops[0], 8),
    }
    times: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for turn in range(rounds + 1):
        for name, (work, laps) in works.items():
            rows = np.concatenate([rng.permutation(people)
                                   for _ in range(laps)])
            keys = rng.integers(0, 2**63, len(rows)).astype(np.uint64)
            result = per_image(work, rows, keys, batch)
            if turn:  # the first epoch reads files and builds
                times[name].append(result)
    middle = {name: tuple(statistics.median(v[i] for v in values)
                          for i in (0, 1)) for name, values in times.items()}
    parts = {}
    for name, make in (
            ('stock', lambda c: stock_side(config, c)),
            ('fast', lambda c: fast_side(config, cache, 'loader', c)[:2])):
        clock = Clock()
        load, finish = make(clock)
        laps = 1 if name == 'stock' else 8
        for _ in range(2):
            clock.parts.clear()
            rows = np.concatenate([rng.permutation(people)
                                   for _ in range(laps)])
            keys = rng.integers(0, 2**63, len(rows)).astype(np.uint64)
            per_image(lambda r, k, f=finish, g=load: f(g(r, k)), rows, keys,
                      batch)
        parts[name] = {k: v / len(rows) * 1e3 for k, v in clock.parts.items()}
    cost = {name: value[0] for name, value in middle.items()}
    cached = data.prepare().caches[0]
    return dict(
        batch=batch, rounds=rounds,
        milliseconds={k: dict(processor=p, wall=w)
                      for k, (p, w) in middle.items()},
        spread={k: [min(v)[0], max(v)[0]] for k, v in times.items()},
        images_per_core_second={k: 1e3 / v for k, v in cost.items()},
        ratio=dict(
            everything=cost['stock, all'] / cost['fast, all'],
            loader_when_the_device_warps=(cost['stock, loader']
                                          / cost['fast, device warps']),
            loader_when_it_warps=(cost['stock, loader']
                                  / cost['fast, loader warps'])),
        parts=parts,
        cache=dict(bytes_a_person=cached.pixels.nbytes / people,
                   limit=data.size, margin=data.margin,
                   reduced=float((cached.scale > 1).any(1).mean())))


def show(report: dict) -> None:
    """Prints the tables."""
    for name, parts in report['parts'].items():
        print(f'\n{name}: where the time goes, ms of processor time an image')
        for part, spent in sorted(parts.items(), key=lambda p: -p[1]):
            print(f'  {part:22s} {spent:8.4f}')
        print(f'  {"sum":22s} {sum(parts.values()):8.4f}')
    print(f'\n{"":22s} {"ms":>8s} {"images/s":>9s}   (medians of '
          f'{report["rounds"]} rounds, one core)')
    for name, value in report['milliseconds'].items():
        print(f'{name:22s} {value["processor"]:8.3f} '
              f'{1e3 / value["processor"]:9.0f}')
    print('\nratio: ' + ', '.join(f'{k.replace("_", " ")} {v:.1f}'
                                  for k, v in report['ratio'].items()))


if __name__ == '__main__':
    main()
