"""MirrorNet beside its recognizer."""
from __future__ import annotations

import logging
from pathlib import Path

import mmengine.config.config
import pytest
import torch
from mmengine.config import Config
from mmengine.logging import MMLogger
from mmengine.registry import init_default_scope
from mmpose.registry import RUNNERS

from mirrorpose.doctor import ratio

ROOT = Path(__file__).resolve().parents[2]
SYNTHETIC = ROOT / 'configs/mirrornet_small_synthetic.py'


@pytest.fixture
def quiet(monkeypatch):
    """What a profile silences speaks again afterwards."""
    monkeypatch.setattr(mmengine.config.config, 'FormatCode',
                        mmengine.config.config.FormatCode)
    levels = {k: v.level for k, v in MMLogger._instance_dict.items()}
    yield
    for name, logger in MMLogger._instance_dict.items():
        logger.setLevel(levels.get(name, logging.INFO))


def test_the_recognizer_is_the_curriculums(tmp_path):
    init_default_scope('mmpose')
    cfg = Config.fromfile(SYNTHETIC)
    cfg.work_dir = str(tmp_path)
    stage = RUNNERS.build(cfg).stage_config('recognizer')
    mine = ratio.recognizer_config(cfg.model)
    assert mine == stage.model.to_dict()


def test_ratio_to_the_recognizer(quiet):
    init_default_scope('mmpose')
    cfg = Config.fromfile(SYNTHETIC)
    torch.manual_seed(0)
    found = ratio.compare(cfg, batch=4, iterations=1)
    step, inference = found['step'], found['inference']
    assert inference['counted_ratio'] == 1
    assert step['ratio'] > 1 and step['counted_ratio'] > 1
    # the same recognizer forward, then backward: three times, but for the
    # image's gradient, which nobody needs
    times = step['gflop_per_image']['recognizer'] / \
        inference['gflop_per_image']['recognizer']
    assert 2.5 < times < 3
    text = ratio.render(found, 1.96)
    assert f'= {step["ratio"]:.2f}' in text and '1.96' in text


def test_ratio_of_something_else():
    with pytest.raises(ValueError, match="'PoseRecognition'"):
        ratio.compare(Config(dict(model=dict(type='PoseRecognition'))))


def test_turns_alternate():
    calls = []
    times = ratio.interleave(
        dict(a=lambda: calls.append('a'), b=lambda: calls.append('b')), 2,
        torch.device('cpu'), warm=1)
    assert calls == ['b', 'a', 'a', 'b', 'b', 'a']
    assert {k: len(v) for k, v in times.items()} == dict(a=2, b=2)
