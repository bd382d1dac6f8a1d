"""The exported recognizer in a process that cannot import mirrorpose."""
from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import DefaultScope
from mmpose.apis import inference_topdown
from mmpose.registry import MODELS

from mirrorpose.apis import load_model
from mirrorpose.apis.export import export_recognizer

ROOT = Path(__file__).resolve().parents[2]
CODEC = dict(type='MSRAHeatmap', input_size=(64, 64), heatmap_size=(16, 16),
             sigma=1.)
ONE_HOT = dict(type='OneHotHeatmap', input_size=(64, 64),
               heatmap_size=(16, 16))
BOXES = [[3., 5., 60., 80.], [20., 0., 70., 50.]]

# What runs without mirrorpose. Parts of mmpose's own dependencies that this
# machine lacks are replaced by empty modules.
FOREIGN = """
import importlib.util, sys, types, warnings
warnings.simplefilter('ignore')

class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.partition('.')[0] == 'mirrorpose':
            raise ModuleNotFoundError('mirrorpose is not to be imported')

sys.meta_path.insert(0, Refuse())
for name, attributes in {
        'torchvision': (), 'torchvision.transforms': ('ToPILImage', ),
        'mmdet': (), 'mmdet.utils': ('ConfigType', 'reduce_mean')}.items():
    if importlib.util.find_spec(name.partition('.')[0]) is None \\
            or name.partition('.')[0] in made:
        made.add(name)
        sys.modules[name] = types.ModuleType(name)
        sys.modules[name].__path__ = []
        sys.modules[name].__spec__ = importlib.util.spec_from_loader(
            name, None)
        for attribute in attributes:
            setattr(sys.modules[name], attribute, type(attribute, (), {}))
try:
    import mmcv.ops
except ImportError:
    ops = sys.modules['mmcv.ops'] = types.ModuleType('mmcv.ops')
    ops.MultiScaleDeformableAttention = type('Absent', (), {})
import numpy as np
from mmpose.apis import inference_topdown, init_model

image, boxes, out, *folders = sys.argv[1:]
found = {}
for i, folder in enumerate(folders):
    model = init_model(folder + '/recognizer.py', folder + '/recognizer.pth',
                       device='cpu')
    people = inference_topdown(model, image, np.array(eval(boxes)))
    for key in ('keypoints', 'keypoint_scores'):
        found[f'{key}{i}'] = np.concatenate(
            [p.pred_instances[key] for p in people])
    found[f'type{i}'] = type(model).__name__
    found[f'names{i}'] = list(model.dataset_meta['keypoint_name2id'])
assert not [m for m in sys.modules if m.startswith('mirrorpose')]
np.savez(out, **found)
"""


def write(folder, cfg, name='model'):
    """A config file and a checkpoint of random weights."""
    folder.mkdir(parents=True, exist_ok=True)
    config = folder / f'{name}.py'
    Config(cfg).dump(config)
    torch.manual_seed(3)
    with DefaultScope.overwrite_default_scope('mmpose'):
        model = MODELS.build(cfg['model'])
    for module in model.modules():  # statistics of a trained network
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_(0, .1)
            module.running_var.uniform_(.5, 1.5)
    for parameter in model.head.parameters():
        parameter.data.normal_(0, .3)
    path = folder / f'{name}.pth'
    torch.save(dict(state_dict=model.state_dict(), meta={}), path)
    return config, path


def small_mirrornet():
    """MirrorNet with its curriculum; its pipelines read no images."""
    return Config.fromfile(
        str(ROOT / 'configs' / 'mirrornet_small_synthetic.py')).to_dict()


def hourglass(test_cfg=None, **kwargs):
    """Parts that mmpose does not have: backbone and codec."""
    base = small_mirrornet()
    return dict(
        test_dataloader=base['test_dataloader'],
        model=dict(
            dict(type='PoseRecognition',
                 data_preprocessor=dict(
                     type='CropPreprocessor', mean=[100.] * 3, std=[50.] * 3,
                     bgr_to_rgb=True),
                 backbone=dict(type='BottleneckHourglass', num_stacks=2,
                               channels=16, depth=2),
                 head=dict(type='CPMHead', in_channels=16, out_channels=16,
                           num_stages=2, deconv_out_channels=None,
                           loss=dict(type='HeatmapNLLLoss', variance=.01),
                           decoder=ONE_HOT),
                 test_cfg=dict(flip_test=True, scores=True)), **kwargs))


@pytest.fixture(scope='module')
def image(tmp_path_factory):
    path = tmp_path_factory.mktemp('image') / 'image.png'
    cv2.imwrite(str(path), np.random.RandomState(0).randint(
        0, 255, (90, 75, 3), np.uint8))
    return path


def keypoints(people):
    return np.concatenate([p.pred_instances.keypoints for p in people])


def test_same_keypoints_without_mirrorpose(tmp_path, image):
    made = [write(tmp_path / 'a', small_mirrornet()),
            write(tmp_path / 'b', hourglass())]
    expected = []
    for i, (config, checkpoint) in enumerate(made):
        done = export_recognizer(config, checkpoint, tmp_path / f'out{i}')
        assert done.config.read_text().count('mirrorpose') == 1  # its origin
        cfg = Config.fromfile(str(config))
        cfg.model.test_cfg.pop('scores', None)
        # inference_topdown reads a file; the embedded world does not.
        model = load_model(cfg, checkpoint)
        model.cfg.test_dataloader.dataset.pipeline.insert(
            0, dict(type='LoadImage'))
        expected.append(keypoints(inference_topdown(
            model, str(image), np.array(BOXES))))
    out = tmp_path / 'found.npz'
    done = subprocess.run(
        [sys.executable, '-c', 'made = set()\n' + FOREIGN, str(image),
         repr(BOXES), str(out), str(tmp_path / 'out0'),
         str(tmp_path / 'out1')],
        cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    found = np.load(out)
    for i, points in enumerate(expected):
        np.testing.assert_allclose(found[f'keypoints{i}'], points, atol=1e-5)
        assert points.shape == (2, 16, 2) and points.std() > 1
        assert found[f'type{i}'] == 'TopdownPoseEstimator'
        assert 'right_ankle' in found[f'names{i}']
    assert sorted(p.name for p in (tmp_path / 'out0').iterdir()) == [
        'recognizer.pth', 'recognizer.py']
    assert sorted(p.name for p in (tmp_path / 'out1').iterdir()) == [
        'recognizer.pth', 'recognizer.py',
        'recognizer_bottleneck_hourglass.py', 'recognizer_codecs.py']


def test_config_is_stock(tmp_path):
    config, checkpoint = write(tmp_path, hourglass())
    done = export_recognizer(config, checkpoint, tmp_path / 'out')
    cfg = Config.fromfile(str(done.config))
    assert cfg.model.data_preprocessor.type == 'PoseDataPreprocessor'
    assert cfg.model.test_cfg == dict(flip_test=True)
    assert 'loss' not in cfg.model.head
    held = torch.load(done.checkpoint, weights_only=True)
    assert all(k.startswith(('backbone.', 'head.'))
               for k in held['state_dict'])
    assert held['meta']['dataset_meta']['flip_indices'][0] == 5


def test_averaged_and_raw_weights(tmp_path):
    """EMAHook exchanges averages and last weights when it saves."""
    config, checkpoint = write(tmp_path, hourglass())
    held = torch.load(checkpoint)
    raw = {f'module.{k}': v + (.25 if v.is_floating_point() else 0)
           for k, v in held['state_dict'].items()}
    torch.save(dict(held, ema_state_dict=dict(raw, steps=torch.tensor(3))),
               checkpoint)
    for wanted, offset in ((False, 0), (True, .25)):
        done = export_recognizer(config, checkpoint, tmp_path / 'out',
                                 raw_weights=wanted)
        found = torch.load(done.checkpoint)['state_dict']
        key = 'backbone.stem.0.weight'
        torch.testing.assert_close(found[key],
                                   held['state_dict'][key] + offset)


def test_checkpoint_of_another_stage(tmp_path):
    """The recognizer's stage fits the config of the whole curriculum."""
    cfg = small_mirrornet()
    config, checkpoint = write(tmp_path, cfg)
    held = torch.load(checkpoint)
    part = {k: v for k, v in held['state_dict'].items()
            if k.startswith(('backbone', 'head'))}
    torch.save(dict(state_dict=part, meta={}), checkpoint)
    assert export_recognizer(config, checkpoint,
                             tmp_path / 'out').checkpoint.is_file()
    rest = {k: v for k, v in held['state_dict'].items() if k not in part}
    torch.save(dict(state_dict=rest, meta={}), checkpoint)
    with pytest.raises(ValueError, match='has no recognizer.*pose_vae'):
        export_recognizer(config, checkpoint, tmp_path / 'other')
    assert not (tmp_path / 'other').exists()


def test_what_cannot_be_exported(tmp_path):
    config, checkpoint = write(tmp_path, hourglass())
    cfg = Config.fromfile(str(config))

    def export(**kwargs):
        other = cfg.copy()
        other.model = dict(cfg.model, **kwargs)
        return export_recognizer(other, checkpoint, tmp_path / 'out')

    with pytest.raises(ValueError, match='no averaged weights'):
        export_recognizer(cfg, checkpoint, tmp_path / 'out', True)
    with pytest.raises(ValueError, match='no top-down estimator'):
        export(type='PoseVAE')
    with pytest.raises(ValueError, match='no decoder'):
        export(head=dict(cfg.model.head, decoder=None))
    with pytest.raises(ValueError, match='not of this config'):
        export(backbone=dict(cfg.model.backbone, channels=32))
    with pytest.raises(ValueError, match='SkeletonBottleneck exists only in '
                       'mirrorpose.*imports mirrorpose.structures'):
        export(neck=dict(type='SkeletonBottleneck'))
    other = cfg.copy()
    other.test_dataloader.dataset.pipeline = []
    with pytest.raises(ValueError, match='pipeline'):
        export_recognizer(other, checkpoint, tmp_path / 'out')


def test_command(tmp_path):
    done = subprocess.run(
        [sys.executable, str(ROOT / 'tools' / 'export_recognizer.py'),
         'configs/no_such.py', 'x.pth', str(tmp_path)],
        cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert 'does not exist' in done.stderr
    assert 'Traceback' not in done.stderr
