"""KeypointGAN's monitors: constructed faults, and a training with them."""
from __future__ import annotations

import json
import logging
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmpose.registry import HOOKS, MODELS
from torch import Tensor, nn

from mirrorpose.engine import PoseRunner, keypoint_observatory, watching_hook
from mirrorpose.engine.keypoint_observatory import KeypointObservatory

sys.path.insert(0, str(Path(__file__).parents[1] / 'models' / 'keypointgan'))
from stick_figures import (  # noqa: E402
    StickFigures,
    model_cfg,
    optim_cfg,
)

SEEN = {'mon_swap_ratio', 'mon_log_structure', 'mon_spread_ratio',
        'mon_sides_exchanged', 'mon_discriminator_gap',
        'mon_discriminator_slope'}


@pytest.fixture
def said(monkeypatch: Any) -> list[tuple[int, str]]:
    """What is logged: level and text."""
    out: list[tuple[int, str]] = []
    for module in (keypoint_observatory, watching_hook):
        monkeypatch.setattr(
            module, 'print_log',
            lambda text, logger, level=logging.INFO: out.append((level,
                                                                 text)))
    return out


class Stage:
    """A model, a batch of stick figures, and the hook around them."""

    def __init__(self, model: dict | None = None, **kwargs: Any) -> None:
        torch.manual_seed(0)
        self.model = MODELS.build(model_cfg(**(model or {})))
        self.model.train()
        self.batch = StickFigures(8).get_batch(
            list(range(8)), np.arange(8, dtype=np.uint64))
        for i, sample in enumerate(self.batch['data_samples']):
            sample.set_metainfo(dict(clip=f'clip {i // 2}'))
        self.hook = KeypointObservatory(**{
            'interval': 1, 'begin': 0, 'window': 1, **kwargs})
        self.runner = SimpleNamespace(iter=0, model=self.model)
        self.hook.before_train(self.runner)

    def look(self, **outputs: Tensor) -> dict[str, float]:
        self.hook.after_train_iter(self.runner, self.runner.iter,
                                   self.batch, outputs)
        self.runner.iter += 1
        return {k: float(v) for k, v in outputs.items()}

    def leave(self, generated: Tensor, real: Tensor) -> None:
        self.model.step_cache.update(generated=generated, real=real)


class Decoder(nn.Module):
    """Makes an image by a function of skeleton and frame."""

    conditional = True

    def __init__(self, make: Any) -> None:
        super().__init__()
        self.make = make

    def forward(self, pose: Tensor, frame: Tensor) -> Tensor:
        return self.make(pose, frame)


def warnings_of(said: list, key: str) -> list[str]:
    return [t for level, t in said if level == logging.WARNING and key in t]


# -- constructed faults ------------------------------------------------------
def test_decoder_that_ignores_the_frame(said: list) -> None:
    stage = Stage()
    stage.model.generator = Decoder(lambda y, c: y.expand_as(c) - 1)
    assert stage.look()['mon_swap_ratio'] == 1
    text, = warnings_of(said, 'mon_swap_ratio')
    assert 'through the skeleton' in text and 'model.bottleneck=True' in text


def test_decoder_that_reads_the_frame(said: list) -> None:
    stage = Stage()
    # Frames of a subject are alike, and so is what is made of them.
    stage.batch['inputs']['condition'] = stage.batch['inputs']['image']
    stage.model.generator = Decoder(lambda y, c: .9 * c)
    assert stage.look()['mon_swap_ratio'] > 10
    assert not warnings_of(said, 'mon_swap_ratio')


def test_collapsed_poses(said: list) -> None:
    stage = Stage()
    poses = stage.batch['poses']
    stage.leave(poses[:1].expand_as(poses), poses)
    assert stage.look()['mon_spread_ratio'] == 0
    text, = warnings_of(said, 'mon_spread_ratio')
    assert 'modes collapse' in text and 'adversarial_weight' in text
    stage.leave(poses, poses)
    assert stage.look()['mon_spread_ratio'] == 1


def test_spread_is_the_other_hooks_where_it_looked(said: list) -> None:
    stage = Stage()
    poses = stage.batch['poses']
    stage.leave(poses, poses)
    logs = stage.look(mon_spread_ratio=torch.tensor(.125))
    assert logs['mon_spread_ratio'] == .125
    assert len(warnings_of(said, 'is 0.125')) == 1


@pytest.mark.parametrize('after, gap, texts', [
    (lambda s: (40 * (s - .5)).sigmoid(), 1., ['saturated', 'no gradient']),
    (lambda s: 0 * s + .5, 0., ['useless']),
    (lambda s: s.clamp(max=.5), .5, [])])
def test_discriminators(said: list, after: Any, gap: float,
                        texts: list[str]) -> None:
    stage = Stage()

    class Judge(nn.Module):
        """1 where the brightest pixel is white, 0 on black, or as told."""

        def forward(self, x: Tensor) -> list[Tensor]:
            return [after(x.flatten(1).amax(1, keepdim=True))]

    class Black(nn.Module):
        def forward(self, x: Tensor) -> tuple[Tensor]:
            return torch.zeros_like(x[:, :1]),

    stage.model.discriminator, stage.model.backbone = Judge(), Black()
    # The brightest pixels of the drawings are nearly white.
    assert stage.look()['mon_discriminator_gap'] == pytest.approx(gap,
                                                                  abs=.02)
    found = ' '.join(warnings_of(said, 'mon_discriminator'))
    for text in ('saturated', 'no gradient', 'useless'):
        assert (text in found) is (text in texts)


def test_exchanged_sides(said: list) -> None:
    stage = Stage()
    flip = stage.model.skeleton.flip_indices
    own = stage.batch['poses']

    class Says(nn.Module):
        def __init__(self, pose: Tensor) -> None:
            super().__init__()
            self.pose = pose

        def forward(self, skeleton: Tensor) -> Tensor:
            return self.pose

    stage.model.head = Says(own)
    for share in (0, 2, 3, 8):
        other = own.clone()
        other[:share] = own[:share, flip]
        stage.model.offline_head = Says(other)
        assert stage.look()['mon_sides_exchanged'] == share / 8
    text, = warnings_of(said, 'mon_sides_exchanged')  # 3 of 8; then silence
    assert '0.375' in text and 'left and right' in text


def test_hidden_picture(said: list) -> None:
    stage = Stage()

    class Copies(nn.Module):
        def forward(self, x: Tensor) -> tuple[Tensor]:
            return .2 * (x.mean(1, keepdim=True) + 1),

    stage.model.backbone = Copies()
    assert stage.look()['mon_log_structure'] > .5
    text, = warnings_of(said, 'mon_log_structure')
    assert 'no drawings' in text and 'render_weight' in text


# -- when it looks, and at whom ----------------------------------------------
def test_no_swap_without_a_frame_is_said_once(said: list) -> None:
    stage = Stage(model=dict(generator=dict(
        type='ConditionalDecoder', width=4, conditional=False)))
    assert all('mon_swap_ratio' not in stage.look() for _ in range(3))
    assert [t for _, t in said if 'swap test is off' in t] == [said[0][1]]
    assert 'generator.conditional=False' in said[0][1]


def test_one_subject_is_said_once(said: list) -> None:
    stage = Stage()
    for sample in stage.batch['data_samples']:
        sample.set_metainfo(dict(group='one person'))  # of several clips
    assert all('mon_swap_ratio' not in stage.look() for _ in range(3))
    assert sum('one subject' in t for _, t in said) == 1


def test_interval_samples_and_other_models() -> None:
    stage = Stage(interval=3, samples=4)
    seen: list[int] = []
    stage.model.backbone.register_forward_hook(
        lambda m, args, out: seen.append(len(args[0])))
    assert [bool(stage.look()) for _ in range(6)] == [
        False, False, True] * 2
    assert seen == [4, 4]
    stage.runner.model = nn.Linear(1, 1)  # another stage of the curriculum
    stage.hook.before_train(stage.runner)
    assert [stage.look() for _ in range(3)] == [{}, {}, {}]


def test_batches_as_lists_and_without_names() -> None:
    stage = Stage()
    whole = stage.look()
    plain = stage.batch
    stage.batch = dict(plain, poses=list(plain['poses']),
                       inputs={k: list(v)
                               for k, v in plain['inputs'].items()})
    assert stage.look() == whole
    stage.batch = {k: v for k, v in plain.items() if k != 'data_samples'}
    assert 'mon_swap_ratio' in stage.look()
    stage.batch = dict(poses=plain['poses'])
    assert stage.look() == {}


def test_switched_off_thresholds(said: list) -> None:
    stage = Stage(swap_ratio=None, log_structure=None, spread_ratio=None,
                  sides_exchanged=None, gap=(None, None), slope=None)
    stage.model.generator = Decoder(lambda y, c: torch.zeros_like(c))
    assert stage.look()['mon_swap_ratio'] == 1
    assert stage.hook.limits == [] and said == []


@pytest.mark.parametrize('wrong', [
    dict(interval=0), dict(samples=1), dict(gap=(1., )), dict(begin=-1),
    dict(window=0), dict(repeat=0), dict(swap_ratio=float('nan'))])
def test_refuses(wrong: dict) -> None:
    with pytest.raises(ValueError, match='got'):
        KeypointObservatory(**wrong)


def test_is_in_the_schedule_and_only_watches() -> None:
    root = Path(__file__).parents[2]
    cfg = Config.fromfile(root / 'configs' / 'keypointgan_synthetic.py')
    hook, = [h for h in cfg.custom_hooks
             if h['type'] == 'KeypointObservatory']
    assert len(HOOKS.build(hook).limits) == 7


# -- a training --------------------------------------------------------------
def train(folder: Path, hooks: list[dict]) -> tuple[dict, list[dict], str]:
    """Weights, logged lines and the log of two epochs of four iterations."""
    loader = dict(batch_size=4, num_workers=0,
                  sampler=dict(type='DefaultSampler', shuffle=True),
                  dataset=dict(type='StickFigures', number=16))
    PoseRunner.from_cfg(Config(dict(
        custom_imports=dict(imports=['mirrorpose']),
        default_scope='mmpose', work_dir=str(folder), log_level='INFO',
        experiment_name=f'observatory_{folder.name}',
        randomness=dict(seed=0), param_scheduler=[],
        default_hooks=dict(
            timer=dict(type='IterTimerHook'),
            logger=dict(type='LoggerHook', interval=1),
            checkpoint=dict(type='CheckpointHook', interval=2),
            sampler_seed=dict(type='DistSamplerSeedHook')),
        custom_hooks=hooks, model=model_cfg(), optim_wrapper=optim_cfg(),
        train_cfg=dict(by_epoch=True, max_epochs=2),
        train_dataloader=loader))).train()
    held = torch.load(folder / 'epoch_2.pth', map_location='cpu',
                      weights_only=False)
    lines, = folder.glob('*/vis_data/scalars.json')
    log, = folder.glob('*/*.log')
    return held['state_dict'], [json.loads(x) for x in lines.read_text()
                                .splitlines()], log.read_text()


def test_training_is_watched_and_not_changed(tmp_path: Path,
                                             monkeypatch: Any) -> None:
    monkeypatch.setattr('mmengine.config.config.FormatCode',
                        lambda text, **_: (text, True))
    monitor = dict(type='AdversarialMonitor', interval=2)
    plain, _, _ = train(tmp_path / 'plain', [monitor])
    watched, lines, log = train(tmp_path / 'watched', [
        dict(type='KeypointObservatory', interval=2, samples=4, begin=0,
             window=2, repeat=1000, swap_ratio=1e6), monitor])
    assert all(set(x) >= SEEN for x in lines[1:] if 'iter' in x)
    assert not SEEN & set(lines[0])
    # The threshold is out of reach: passed at looks 2, 3 and 4, said once.
    assert log.count('mon_swap_ratio is ') == 1
    assert 'WARNING' in next(x for x in log.splitlines()
                             if 'mon_swap_ratio is ' in x)
    assert set(plain) == set(watched)
    for name, value in plain.items():
        assert torch.equal(value, watched[name]), name
