"""mmpose's inferencer takes MirrorNet's configs as they are."""
from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from mmpose.apis import MMPoseInferencer

from mirrorpose.apis import load_model, recognize

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize('name', ['mirrornet_small_lsp',
                                  'mirrornet_resnet50_mpii'])
def test_it_finds_what_recognize_finds(name, tmp_path):
    config = str(ROOT / 'configs' / f'{name}.py')
    torch.manual_seed(0)
    model = load_model(config)
    meta = {k: v.tolist() if isinstance(v, np.ndarray) else v
            for k, v in model.dataset_meta.items()}
    torch.save(dict(state_dict=model.state_dict(),
                    meta=dict(dataset_meta=meta)), tmp_path / 'some.pth')
    rng = np.random.default_rng(0)
    image = cv2.resize(rng.integers(0, 255, (12, 12, 3), np.uint8),
                       (120, 90), interpolation=cv2.INTER_CUBIC)
    cv2.imwrite(str(tmp_path / 'a.png'), image)
    made = next(MMPoseInferencer(
        config, str(tmp_path / 'some.pth'), device='cpu',
        det_model='whole_image')(str(tmp_path / 'a.png')))
    want, = recognize(model, [image])[0]
    np.testing.assert_allclose(
        made['predictions'][0][0]['keypoints'],
        want.pred_instances.keypoints[0], atol=1e-2)
