"""What recombination costs a training step.

    python benchmarks/recombination_speed.py --sizes 64 256

The small recognizer of configs/mirrornet_small_lsp.py makes whole training
steps (preprocessor, forward, backward, Adam) on batches of the crop cache's
kind, as they come from the loader, with and without recombination. The forms
take turns step by step, so that whatever else the machine does hits them
alike; the median step is compared. Scenes and appearance as in the configs,
mattes from capsules or from silhouettes. Writes
results/recombination_speed.json.
"""
from __future__ import annotations

import argparse
import copy
import json
import platform
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmpose.registry import MODELS, OPTIM_WRAPPERS

import mirrorpose  # noqa: F401
from mirrorpose.datasets.crops.batch import BatchSpec, CropBatch
from mirrorpose.datasets.synthetic.world import SyntheticWorld

ROOT = Path(__file__).resolve().parents[1]
RESULT = ROOT / 'benchmarks' / 'results' / 'recombination_speed.json'
FORMS: dict[str, tuple[dict | None, bool]] = {
    'plain': (None, False),
    'capsules': (dict(mattes='capsules'), False),
    'silhouettes': (dict(mattes='silhouette'), True),
    'capsules, people behind and in front': (
        dict(mattes='capsules', behind_prob=.3, front_prob=.3), False)}


def make_batch(size: int, number: int, masks: bool) -> CropBatch:
    """People of the embedded world, as the loader gives them."""
    cells = size // 4
    codec = dict(type='MSRAHeatmap', input_size=(size, size),
                 heatmap_size=(cells, cells), sigma=1.)
    people = [SyntheticWorld(image_size=size).sample(i)
              for i in range(number)]
    points = np.stack([p['joints_16'] for p in people]).reshape(number, -1)
    seen = np.stack([p['visible_16'] > 0 for p in people])
    numbers = np.concatenate([
        points, seen, np.ones((number, 1)),
        np.tile([1, 0, 0, 0, 1, 0], (number, 1)), np.zeros((number, 3))], 1)
    images = np.stack([p['image'] for p in people])
    if masks:
        images = np.concatenate([images, np.stack(
            [p['silhouette'] for p in people])[..., None]], -1)
    spec = BatchSpec((size, size), 16, codec, None,
                     (size, size) if masks else None, ('id', ), {})
    return CropBatch(spec, torch.from_numpy(images), True,
                     torch.from_numpy(numbers.astype(np.float32)),
                     dict(id=[str(i) for i in range(number)]))


class Step:
    """One recognizer with its optimizer.

    Args:
        cfg (Config): Of the small curriculum.
        options (dict, optional): Of ``Recombination``; None: without.
        batch (CropBatch): What it is trained on.
        wrapper (str): Type of the optimizer wrapper.
        device (str): Where.
    """

    def __init__(self, cfg: Config, options: dict | None, batch: CropBatch,
                 wrapper: str, device: str) -> None:
        model = copy.deepcopy(dict(cfg.model))
        before = dict(model['data_preprocessor'], type='CropPreprocessor')
        if options is not None:
            before.update(type='RecombinationPreprocessor',
                          recombination=dict(skeleton='mpii_16', **options))
        torch.manual_seed(0)
        self.model = MODELS.build(dict(
            type='PoseRecognition', data_preprocessor=before,
            backbone=model['backbone'], head=model['head'])).to(device)
        self.model.to(memory_format=torch.channels_last).train()
        self.wrapper = OPTIM_WRAPPERS.build(dict(
            type=wrapper, optimizer=torch.optim.Adam(
                self.model.parameters(), lr=1e-4)))
        self.batch, self.device = batch, device

    def __call__(self) -> tuple[float, float]:
        """Seconds of a step, and of the preprocessor in it."""
        begin = self._now()
        with self.wrapper.optim_context(self.model):
            data = self.model.data_preprocessor(dict(inputs=self.batch), True)
            middle = self._now()
            losses = self.model(**data, mode='loss')
        total, _ = self.model.parse_losses(losses)
        self.wrapper.update_params(total)
        return self._now() - begin, middle - begin

    def _now(self) -> float:
        if self.device != 'cpu':
            torch.cuda.synchronize()
        # Other jobs of the machine do not count.
        return time.process_time() if self.device == 'cpu' else \
            time.perf_counter()


def measure(cfg: Config, size: int, batch: int, rounds: int,
            device: str) -> dict[str, Any]:
    """Medians of every form, and their ratio to the plain step."""
    wrapper = cfg.optim_wrapper.type
    plain, masked = (make_batch(size, batch, m) for m in (False, True))
    steps = {name: Step(cfg, options, masked if masks else plain, wrapper,
                        device) for name, (options, masks) in FORMS.items()}
    times: dict[str, list] = {name: [] for name in steps}
    for number in range(rounds + 2):
        for name, step in steps.items():
            spent = step()
            if number > 1:
                times[name].append(spent)
    out: dict[str, Any] = dict(parameters=sum(
        p.numel() for p in steps['plain'].model.parameters()))
    medians = {k: np.median(np.array(v), 0) * 1e3 for k, v in times.items()}
    for name, (whole, before) in medians.items():
        # Pair by pair: what else ran then, ran beside both.
        ratio = np.array(times[name])[:, 0] / np.array(
            times['plain'])[:, 0]
        out[name] = dict(step_ms=round(float(whole), 1),
                         preprocessor_ms=round(float(before), 1),
                         ratio=round(float(np.median(ratio)), 3))
    return out


def main() -> None:
    """Prints a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--sizes', type=int, nargs='+', default=[64, 256])
    parser.add_argument('--batch', type=int, default=32)
    parser.add_argument('--rounds', type=int, default=15)
    parser.add_argument('--out', type=Path, default=RESULT)
    args = parser.parse_args()
    init_default_scope('mmpose')
    cfg = Config.fromfile(ROOT / 'configs/mirrornet_small_lsp.py')
    device = 'cuda' if torch.cuda.is_available() else 'cpu'
    found: dict[str, Any] = dict(
        batch=args.batch, rounds=args.rounds, device=device,
        threads=torch.get_num_threads(), machine=platform.machine(),
        optim_wrapper=cfg.optim_wrapper.type, sizes={})
    for size in args.sizes:
        rows = measure(cfg, size, args.batch, args.rounds, device)
        found['sizes'][str(size)] = rows
        print(f'{size} px, batch {args.batch}, '
              f'{rows["parameters"] / 1e6:.2f} M parameters, {device}')
        for name in FORMS:
            row = rows[name]
            print(f'  {name:38s} {row["step_ms"]:8.1f} ms  preprocessor '
                  f'{row["preprocessor_ms"]:6.1f} ms  x {row["ratio"]:.3f}',
                  flush=True)
    args.out.write_text(json.dumps(found, indent=1) + '\n')


if __name__ == '__main__':
    main()
