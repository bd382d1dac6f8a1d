"""Scores of recognized people."""
from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from mirrorpose.apis import load_model, recognize

CONFIG = (Path(__file__).resolve().parents[2] / 'configs'
          / 'mirrornet_small_synthetic.py')


def test_scores_on_request():
    torch.manual_seed(0)
    model = load_model(CONFIG)
    image = np.random.RandomState(0).randint(0, 255, (80, 60, 3), np.uint8)
    before = model.test_cfg
    plain = recognize(model, [image])[0][0].pred_instances
    scored = recognize(model, [image], scores=True)[0][0].pred_instances
    assert model.test_cfg is before
    assert 'plausibility' not in plain
    np.testing.assert_array_equal(plain.keypoints, scored.keypoints)
    for key in ('plausibility', 'fidelity'):
        assert scored[key].shape == (1, )
        assert scored[f'keypoint_{key}'].shape == (1, 16)


def test_a_plain_recognizer_has_none():
    model = load_model(CONFIG, stage='recognizer')
    with pytest.raises(TypeError, match='PoseRecognition has no scores'):
        recognize(model, [np.zeros((8, 8, 3), np.uint8)], scores=True)
