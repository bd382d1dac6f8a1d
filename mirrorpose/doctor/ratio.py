"""A MirrorNet step against the plain recognizer's, in one process.

Both get the same batch and take turns, so that whatever else the machine does
meets both. How much is computed is counted beside it: no implementation can
be faster than its multiply-adds by more than one that is better made.
"""
from __future__ import annotations

import copy
import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from mmengine.config import Config
from mmengine.structures import InstanceData, PixelData
from mmpose.registry import KEYPOINT_CODECS, MODELS, OPTIM_WRAPPERS
from mmpose.structures import PoseDataSample
from torch import nn

from mirrorpose.engine.consistency.codecs import input_size
from mirrorpose.engine.consistency.reading import decoder_of, defaults
from mirrorpose.models.mirrornet import PoseRecognition
from mirrorpose.structures import Skeleton

from .limits import synchronize
from .stepping import copied, count_operations


def recognizer_config(model: Mapping) -> dict:
    """The plain recognizer inside of a MirrorNet's config."""
    known = defaults(PoseRecognition)
    wanted = {'backbone', 'head', *known}
    return dict(type='PoseRecognition', **{
        k: copy.deepcopy(v) for k, v in model.items() if k in wanted})


def example_batch(cfg: Config, count: int, labelled: float = 0.75,
                  seed: int = 0) -> dict[str, list]:
    """A batch of noise images and random poses, as a loader gives it.

    Args:
        cfg (Config): With ``model.head.decoder``.
        count (int): Samples.
        labelled (float): Share of annotated ones. Defaults to MirrorNet's.
        seed (int): Of images and poses.

    Raises:
        ValueError: The config names no codec to draw targets with.
    """
    found = decoder_of(cfg.model)
    size = input_size(found[1]) if found is not None else None
    if found is None or size is None:
        raise ValueError('the config has no model.head.decoder with an '
                         'input_size; it draws the targets of this batch')
    codec = KEYPOINT_CODECS.build(dict(found[1]))
    rng = np.random.default_rng(seed)
    skeleton = Skeleton.from_name('mpii_16')
    inputs, samples = [], []
    for i in range(count):
        points = rng.uniform(0.1, 0.9, (1, len(skeleton), 2)) * size
        encoded = codec.encode(points.astype(np.float32),
                               np.ones((1, len(skeleton)), np.float32))
        sample = PoseDataSample(metainfo=dict(
            id=i, img_id=i, is_labeled=i < round(labelled * count),
            input_size=size, input_center=np.array(size) / 2,
            input_scale=np.array(size, np.float32), img_shape=size[::-1],
            ori_shape=size[::-1], flip_indices=skeleton.flip_indices))
        sample.gt_fields = PixelData(
            heatmaps=torch.from_numpy(encoded['heatmaps']))
        sample.gt_instance_labels = InstanceData(
            keypoint_weights=torch.from_numpy(encoded['keypoint_weights']))
        sample.gt_instances = InstanceData(
            keypoints=points, bboxes=np.array([[0., 0., *size]]),
            bbox_scores=np.ones(1), bbox_centers=np.array([size]) / 2,
            bbox_scales=np.array([size], np.float32),
            keypoints_visible=np.ones((1, len(skeleton))))
        samples.append(sample)
        inputs.append(torch.from_numpy(rng.integers(
            0, 256, (3, size[1], size[0]), dtype=np.uint8)))
    return dict(inputs=inputs, data_samples=samples)


def _built(config: Mapping, wrapper: Mapping, channels_last: bool,
           device: torch.device) -> tuple[Any, Any]:
    model = MODELS.build(copy.deepcopy(dict(config)))
    model.init_weights()
    model.to(device)
    if channels_last:
        model.to(memory_format=torch.channels_last)
    trained = [p for p in model.parameters() if p.requires_grad]
    kind = {k: v for k, v in wrapper.items() if k != 'optimizer'}
    return model, OPTIM_WRAPPERS.build(dict(
        type=kind.pop('type', 'OptimWrapper'), **kind,
        optimizer=torch.optim.Adam(trained, lr=1e-4)))


def interleave(runs: Mapping[str, Callable[[], Any]], iterations: int,
               device: torch.device,
               warm: int = 2) -> dict[str, list[float]]:
    """Seconds of every call, the runs taking turns.

    Args:
        runs (Mapping[str, Callable]): What is compared.
        iterations (int): Turns that count.
        device (torch.device): Waited for after every call.
        warm (int): Turns before them. Defaults to 2.
    """
    times: dict[str, list[float]] = {name: [] for name in runs}
    for turn in range(warm + iterations):
        # who comes first changes: caches are what the other left
        order = list(runs) if turn % 2 else list(runs)[::-1]
        for name in order:
            synchronize(device)
            start = time.perf_counter()
            runs[name]()
            synchronize(device)
            if turn >= warm:
                times[name].append(time.perf_counter() - start)
    return times


def _summary(times: Mapping[str, list[float]], batch: int,
             operations: Mapping[str, float]) -> dict[str, Any]:
    one, other = (np.array(times[k]) for k in ('recognizer', 'mirrornet'))
    paired = np.sort(other / one)
    return dict(
        ratio=float(np.median(other) / np.median(one)),
        quartiles=[float(q) for q in np.quantile(paired, (.25, .75))],
        fastest=float(other.min() / one.min()),
        counted_ratio=operations['mirrornet'] / operations['recognizer'],
        seconds={k: float(np.median(v)) for k, v in times.items()},
        images_s={k: float(batch / np.median(v)) for k, v in times.items()},
        gflop_per_image={k: v / batch / 1e9 for k, v in operations.items()})


def compare(cfg: Config, batch: int = 4, iterations: int = 8,
            inference: bool = True) -> dict[str, Any]:
    """Times MirrorNet and its recognizer alone, in turns.

    Precision and layout are the config's (``optim_wrapper``,
    ``channels_last``).

    Args:
        cfg (Config): Whose ``model`` is a MirrorNet.
        batch (int): Samples. Defaults to 4.
        iterations (int): Turns. Defaults to 8.
        inference (bool): Compare prediction, too. Defaults to True.

    Returns:
        dict: ``step`` and ``inference``: ``ratio`` of the median times,
        ``quartiles`` of the ratio within a turn, ``fastest``: that of the
        shortest times, ``counted_ratio`` of the operations, and what they
        are made of.

    Raises:
        ValueError: The model is no MirrorNet.
    """
    if cfg.model.get('type') != 'MirrorNet':
        raise ValueError('the ratio is that of a MirrorNet to its '
                         f'recognizer; this model is a '
                         f'{cfg.model.get("type")!r}')
    device = torch.device('cuda' if torch.cuda.is_available() else 'cpu')
    wrapper = cfg.get('optim_wrapper') or {}
    last = bool(cfg.get('channels_last'))
    models = {name: _built(config, wrapper, last, device) for name, config in
              (('recognizer', recognizer_config(cfg.model)),
               ('mirrornet', cfg.model))}
    data = example_batch(cfg, batch)

    def step(name: str) -> Callable[[], Any]:
        model, optimizer = models[name]
        return lambda: model.train_step(copied(data), optimizer)

    def predict(name: str) -> Callable[[], Any]:
        model, _ = models[name]

        def run() -> Any:
            with torch.no_grad():  # in float32, as mmpose predicts
                return model.test_step(copied(data))

        return run

    out: dict[str, Any] = dict(
        batch=batch, iterations=iterations, device=device.type,
        channels_last=last, wrapper=wrapper.get('type', 'OptimWrapper'),
        torch=torch.__version__, threads=torch.get_num_threads())
    for title, make, mode in (('step', step, True),
                              ('inference', predict, False)):
        if title == 'inference' and not inference:
            continue
        for model, _ in models.values():
            nn.Module.train(model, mode)
            if mode:
                model.train()
        runs = {name: make(name) for name in models}
        times = interleave(runs, iterations, device)
        out[title] = _summary(times, batch, {
            name: count_operations(run) for name, run in runs.items()})
    return out


def render(result: Mapping[str, Any], paper: float | None = None) -> str:
    """The comparison as text.

    Args:
        result (Mapping): Of :func:`compare`.
        paper (float, optional): The paper's ratio of multiply-adds.
    """
    lines = [f'MirrorNet against its recognizer, batches of '
             f'{result["batch"]}, {result["wrapper"]}'
             + (', channels_last' if result['channels_last'] else '')
             + f', {result["device"]}, in turns']
    for title in ('step', 'inference'):
        found = result.get(title)
        if found is None:
            continue
        low, high = found['quartiles']
        seconds, work = found['seconds'], found['gflop_per_image']
        lines.append(
            f'  {title:<10} {seconds["mirrornet"]:.3f} s / '
            f'{seconds["recognizer"]:.3f} s = {found["ratio"]:.2f} '
            f'(quartiles {low:.2f} to {high:.2f}, fastest '
            f'{found["fastest"]:.2f}); computed '
            f'{work["mirrornet"]:.2f} / {work["recognizer"]:.2f} GFLOP an '
            f'image = {found["counted_ratio"]:.2f}')
    if paper is not None:
        lines.append(f'  paper (Table 8, multiply-adds of a forward pass): '
                     f'{paper:.2f}')
    return '\n'.join(lines)
