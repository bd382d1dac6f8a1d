"""A retrieval evaluation of the published size, and what else could search.

    python benchmarks/retrieval_speed.py [--threads 2] [--variants kept]

Pr-VIPE's Human3.6M keys: four views of about 9.8 thousand frames, so 12
ordered pairs and 117 thousand queries; 128 dimensions, 17 joints. Embeddings
are a noisy projection of poses that move as people do (random walks in clips
of two subjects), so that the figures mean nothing but the searches are real.
Timed: the whole of ``PoseRetrieval.calculate``, then the search alone by
``utils.nearest``, by faiss (flat; where installed) and by plain numpy (on a
part). Writes ``benchmarks/results/retrieval_speed.json``.
"""
from __future__ import annotations

import argparse
import json
import os
import platform
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

import mirrorpose  # noqa: F401
from mirrorpose.evaluation import PoseRetrieval
from mirrorpose.utils.nearest import nearest

ROOT = Path(__file__).resolve().parents[1]


def clocks(work: Callable[[], object]) -> dict[str, float]:
    """Seconds by the clock and of processors."""
    clock, spent = time.perf_counter(), time.process_time()
    work()
    return dict(clock=time.perf_counter() - clock,
                processors=time.process_time() - spent)


def world(frames: int, views: int, dims: int) -> dict:
    """Samples as ``PoseRetrieval.calculate`` takes them."""
    rng = np.random.default_rng(0)
    clips = 60  # of Human3.6M's two test subjects
    length = -(-frames // clips)
    bodies = 250 * rng.normal(size=(1, 1, 17, 3))
    path = bodies + 12 * rng.normal(size=(clips, length, 17, 3)).cumsum(1)
    path = (path - path[:, :, :1]).reshape(-1, 17, 3)[:frames]
    base = path.reshape(frames, -1) @ rng.normal(size=(51, dims)) / 300
    clip = np.arange(frames) // length
    return dict(
        embeddings=np.concatenate([
            base + .3 * rng.normal(size=base.shape) for _ in range(views)]
        ).astype(np.float32),
        poses=np.concatenate([path] * views).astype(np.float32),
        views=np.repeat(np.arange(views), frames),
        clips=np.tile(clip, views),
        seconds=np.tile(np.arange(frames) % length / 5, views),
        subjects=np.tile(clip % 2, views))


def numpy_search(queries: np.ndarray, gallery: np.ndarray,
                 k: int) -> np.ndarray:
    """Brute force as first written: a distance matrix, then a sort."""
    distances = ((queries**2).sum(1)[:, None] - 2 * queries @ gallery.T
                 + (gallery**2).sum(1))
    return np.argsort(distances, 1)[:, :k]


def main() -> None:
    """Measures and writes."""
    parser = argparse.ArgumentParser(description='Speed of retrieval')
    parser.add_argument('--frames', type=int, default=9_774)
    parser.add_argument('--threads', type=int, default=os.cpu_count())
    parser.add_argument('--device', default='cpu')
    parser.add_argument('--variants', nargs='+', default=['kept'])
    parser.add_argument('--references', nargs='*', default=[])
    parser.add_argument('--out', type=Path, default=(
        ROOT / 'benchmarks' / 'results' / 'retrieval_speed.json'))
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    views, dims, k = 4, 128, 20
    data = world(args.frames, views, dims)
    made: dict = {}
    whole = clocks(lambda: made.update(PoseRetrieval.calculate(
        **data, variants=args.variants, references=args.references,
        device=args.device)))
    queries = made['rows']['model'][args.variants[0]]['queries']
    print(f'{queries} queries, {args.frames} a gallery, {dims} dimensions, '
          f'{args.threads} threads\n')
    print(f'{"whole evaluation, " + ", ".join(args.variants):40} '
          f'{whole["clock"]:7.1f} s, {whole["processors"]:7.1f} s of '
          'processors')
    units = torch.nn.functional.normalize(torch.from_numpy(
        data['embeddings'])).view(views, args.frames, dims)
    one, other = units[0].contiguous(), units[1].contiguous()
    pairs = views * (views - 1)
    kept: dict[str, np.ndarray] = {}
    ways: dict[str, tuple[Callable[[], object], float]] = {
        'search, mirrorpose': (lambda: kept.update(ours=nearest(
            one, other, k)[0][1].numpy()), pairs)}
    try:
        import faiss
    except ImportError:
        print('faiss is not installed: no comparison with it')
    else:
        faiss.omp_set_num_threads(args.threads)

        def flat() -> None:
            index = faiss.IndexFlatL2(dims)
            index.add(other.numpy())
            kept['faiss'] = index.search(one.numpy(), k)[1]
        ways['search, faiss IndexFlatL2'] = (flat, pairs)
    part = max(1, args.frames // 10)
    ways['search, numpy'] = (lambda: kept.update(numpy=numpy_search(
        one[:part].numpy(), other.numpy(), k)), pairs * args.frames / part)
    search = {}
    for name, (work, times) in ways.items():
        search[name] = {key: min(value, again) * times for (key, value), again
                        in zip(clocks(work).items(), clocks(work).values())}
        print(f'{name:40} {search[name]["clock"]:7.1f} s, '
              f'{search[name]["processors"]:7.1f} s of processors')
    for name, index in kept.items():  # ties may be in another order
        same = np.mean([len(np.intersect1d(a, b)) / k for a, b in zip(
            kept['ours'], index)])
        assert same > .999, f'{name} finds {same:.4f} of the same'
    args.out.parent.mkdir(parents=True, exist_ok=True)
    args.out.write_text(json.dumps(dict(
        queries=queries, gallery=args.frames, dimensions=dims, k=k,
        variants=args.variants, references=args.references,
        device=args.device, threads=args.threads, evaluation=whole,
        search_of_all_pairs=search,
        machine=platform.processor() or platform.machine(),
        torch=torch.__version__), indent=2) + '\n')


if __name__ == '__main__':
    main()
