"""KeypointGAN on images from elsewhere, and pictures of its test."""
from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmpose.apis import MMPoseInferencer, inference_topdown, init_model

from mirrorpose.apis import load_model, recognize
from mirrorpose.engine.runner import PoseRunner
from mirrorpose.models.keypointgan.regressor import pack

ROOT = Path(__file__).resolve().parents[2]
SMALL = dict(
    backbone=dict(width=4), head=dict(width=4), generator=dict(width=4),
    discriminator=dict(width=4), perceptual=dict(
        type='PerceptualLoss', features='random', width=2))


@pytest.fixture(scope='module')
def files(tmp_path_factory):
    """A small model of the embedded world: config and checkpoint."""
    folder = tmp_path_factory.mktemp('keypointgan')
    cfg = Config.fromfile(ROOT / 'configs' / 'keypointgan_synthetic.py')
    cfg.merge_from_dict(dict(model=SMALL))
    # Few frames: none to fit the post-processing to.
    held = cfg.test_dataloader.dataset.datasets = \
        cfg.test_dataloader.dataset.datasets[1:]
    for data in held:
        data.update(limit=3, cache_dir=str(folder / 'cache'))
        for source in data.sources:
            source.update(clips=2, frames=4, shots=1)
    cfg.test_dataloader.update(num_workers=0, persistent_workers=False)
    cfg.work_dir = str(folder / 'run')
    path = folder / 'small.py'
    cfg.dump(str(path))
    torch.manual_seed(0)
    model = load_model(str(path))
    meta = {k: v.tolist() if isinstance(v, np.ndarray) else v
            for k, v in model.dataset_meta.items()}  # as runners save it
    torch.save(dict(state_dict=model.state_dict(),
                    meta=dict(dataset_meta=meta)), folder / 'some.pth')
    return path, folder / 'some.pth', folder


@pytest.fixture(scope='module')
def image():
    rng = np.random.default_rng(0)
    return cv2.resize(rng.integers(0, 255, (12, 12, 3), np.uint8), (96, 96),
                      interpolation=cv2.INTER_CUBIC)


def test_all_ways_find_the_same(files, image, tmp_path):
    """mmpose's and ours; in pixels of the image."""
    path, weights, _ = files
    model = load_model(str(path), str(weights))
    box = np.array([[10., 20., 74., 84.]])
    ours, = recognize(model, [image], [box])[0]
    stock, = inference_topdown(init_model(str(path), str(weights), 'cpu'),
                               image, box)
    for sample in (ours, stock):
        found = sample.pred_instances.keypoints
        assert found.shape == (1, 16, 2)
        # The box is a square of 64 pixels: what is read is its content.
        crop = torch.from_numpy(image[20:84, 10:74]).permute(2, 0, 1)
        read = model.data_preprocessor(dict(
            inputs=[crop], data_samples=[sample]), False)['inputs']
        with torch.no_grad():
            points, scores = model.head.estimate(model.backbone(read), {})
        want = pack(points, scores, (64, 64))[0].keypoints[0]
        np.testing.assert_allclose(found[0], want + [10., 20.], atol=.1)
    np.testing.assert_allclose(ours.pred_instances.keypoints,
                               stock.pred_instances.keypoints, atol=1e-3)
    cv2.imwrite(str(tmp_path / 'a.png'), image)
    made = next(MMPoseInferencer(str(path), str(weights), device='cpu',
                                 det_model='whole_image')(
        str(tmp_path / 'a.png')))['predictions'][0][0]
    whole, = recognize(model, [image])[0]
    np.testing.assert_allclose(made['keypoints'],
                               whole.pred_instances.keypoints[0], atol=1e-3)


def test_tests_are_drawn_on_what_was_read(files):
    """Frames of the drawn world have no file; crops are drawn enlarged."""
    path, weights, folder = files
    cfg = Config.fromfile(path)
    cfg.load_from = str(weights)
    cfg.default_hooks.visualization.update(enable=True, out_dir='drawn')
    PoseRunner.from_cfg(cfg).test()
    pictures = sorted((folder / 'run').glob('*/drawn/*.png'))
    assert len(pictures) == 3
    drawn = cv2.imread(str(pictures[-1]))
    assert drawn.shape == (256, 256, 3)
    assert len(np.unique(drawn.reshape(-1, 3), axis=0)) > 20
