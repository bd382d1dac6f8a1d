"""A config and its data, spoilt in turn."""
from __future__ import annotations

import argparse
import json
import logging
from pathlib import Path

import cv2
import mmengine.config.config
import numpy as np
import pytest
from mmengine.config import Config
from mmengine.logging import MMLogger

from mirrorpose.doctor import config as doctor_config

ROOT = Path(__file__).resolve().parents[2]
SYNTHETIC = (f"_base_ = ['{ROOT}/configs/mirrornet_small_synthetic.py']\n")


@pytest.fixture
def examine(monkeypatch, tmp_path):
    """Runs the checks of a config in this process, and cleans up."""
    monkeypatch.setattr(mmengine.config.config, 'FormatCode',
                        mmengine.config.config.FormatCode)
    levels = {k: v.level for k, v in MMLogger._instance_dict.items()}

    def run(path, **options):
        known = dict(config=str(path), work_dir=str(tmp_path / 'work'),
                     stage=None, images='4', near_duplicates=False,
                     no_step=True)
        return doctor_config.examine(argparse.Namespace(**{**known,
                                                           **options}))

    yield run
    for name, logger in MMLogger._instance_dict.items():
        logger.setLevel(levels.get(name, logging.INFO))


def texts(report, level):
    return [f.text for f in report.findings if f.level == level]


def test_every_stage_of_a_curriculum_trains_a_step(examine, tmp_path):
    path = tmp_path / 'small.py'
    path.write_text(SYNTHETIC + """
stages = [dict(_base_.stages[3]),
          dict(name='semi_supervised', epochs=2,
               init_from=dict(pose_vae='pose_vae'))]
""")
    report = examine(path, no_step=False)
    assert not report.problems, report.render()
    steps = report.facts['steps']
    assert list(steps) == [s['name'] for s in Config.fromfile(path).stages]
    said = '\n'.join(texts(report, 'ok'))
    assert '2 stages' in said and 'fit together' in said
    assert 'semi_supervised: a step on' in said
    assert 'labelled and unlabelled samples are apart (500 and 1500)' in said
    assert 'no sample id is in training and in test' in said
    assert not (tmp_path / 'work').exists()
    # two checkpoints of all weights and Adam's two moments, and one in work
    one = sum(4 * (s['state'] + s['moments']) for s in steps.values())
    assert report.facts['checkpoint_bytes'] == pytest.approx(3 * one, rel=.01)


def test_what_does_not_fit_is_told_with_its_stages(examine, tmp_path):
    path = tmp_path / 'spoilt.py'
    path.write_text(SYNTHETIC + 'model = dict(sigma=2., head=dict('
                    'in_channels=77))\nconsistency = "warn"\n')
    report = examine(path, stage='semi_supervised', no_step=False)
    found = '\n'.join(f'{f.section}: {f.text} -> {f.fix}'
                      for f in report.problems)
    assert 'sigma=2 cells' in found
    assert 'Training: semi_supervised: a step fails' in found
    assert '77' in found


def test_missing_data_come_with_the_command(examine, tmp_path, monkeypatch):
    monkeypatch.setenv('MIRRORPOSE_DATA', str(tmp_path / 'nowhere'))
    report = examine(ROOT / 'configs/mirrornet_small_lsp.py',
                     stage='recognizer')
    assert report.problems
    assert any(f.fix.startswith('python tools/dataset_converters/lsp.py '
                                'lsp_dataset.zip') for f in report.problems)


@pytest.mark.parametrize('content, words', [
    ('model = dict(', 'cannot be used'),
    ("_base_ = ['nowhere.py']", 'nowhere.py')])
def test_a_config_that_cannot_be_read(examine, tmp_path, content, words):
    path = tmp_path / 'broken.py'
    path.write_text(content)
    report = examine(path)
    assert words in report.problems[0].text


@pytest.fixture
def people(tmp_path):
    """Two COCO files whose images overlap in one file and in one view."""
    folder = tmp_path / 'data' / 'images'
    folder.mkdir(parents=True)
    def image(name, seed, quality=95, size=64):
        draw = np.random.default_rng(seed)
        pixels = cv2.resize(draw.integers(0, 255, (6, 6, 3), dtype=np.uint8),
                            (64, 64), interpolation=cv2.INTER_CUBIC)
        pixels = cv2.resize(pixels, (size, size))
        cv2.imwrite(str(folder / name), pixels,
                    [cv2.IMWRITE_JPEG_QUALITY, quality])

    def annotations(file, images):
        from mirrorpose.structures import Skeleton
        names = Skeleton.from_name('mpii_16').joints
        content = dict(
            images=[dict(id=i, file_name=n, width=64, height=64)
                    for i, n in enumerate(images)],
            categories=[dict(id=1, name='person', keypoints=list(names))],
            annotations=[dict(
                id=i, image_id=i, category_id=1, iscrowd=0,
                bbox=[4, 4, 50, 50], area=2500,
                keypoints=[v for k in range(16)
                           for v in (8 + 3 * k, 8 + (5 * k) % 40, 2)])
                for i in range(len(images))])
        (tmp_path / 'data' / file).write_text(json.dumps(content))

    train = [f'train{i}.jpg' for i in range(6)]
    test = [f'test{i}.jpg' for i in range(4)]
    for i, name in enumerate(train):
        image(name, seed=i)
    for i, name in enumerate(test):
        image(name, seed=100 + i)
    (folder / 'test1.jpg').write_bytes((folder / 'train3.jpg').read_bytes())
    image('test2.jpg', seed=4, quality=60, size=80)
    annotations('train.json', train)
    annotations('test.json', test)
    config = tmp_path / 'people.py'
    config.write_text(SYNTHETIC + f'''
stages = None
runner_type = 'PoseRunner'
model = dict(_delete_=True, type='PoseRecognition',
             data_preprocessor=_base_.model.data_preprocessor,
             backbone=_base_.model.backbone,
             head=dict(_base_.model.head, decoder=_base_.codec))
load = [dict(type='LoadImage')]
people = dict(type='CocoPoseDataset', data_root={str(tmp_path / 'data')!r})
train_dataloader = dict(
    _delete_=True, batch_size=2, num_workers=0,
    sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(people, ann_file='train.json',
                 pipeline=load + _base_.augment + _base_.pack))
val_dataloader = dict(
    _delete_=True, batch_size=2, num_workers=0,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(people, ann_file='test.json', test_mode=True,
                 pipeline=load + _base_.box + _base_.affine[:1]
                 + _base_.pack))
test_dataloader = val_dataloader
''')
    return config


def test_leakage_is_found_by_content(examine, people):
    report = examine(people, near_duplicates=True, no_step=False)
    leak, = report.problems
    assert leak.section == 'Splits'
    assert leak.text.startswith('1 test images are in the training data')
    assert 'test1.jpg' in leak.details[0] and 'train3.jpg' in leak.details[0]
    near = next(f for f in report.findings if 'almost equal' in f.text)
    assert near.level == 'note' and len(near.details) == 1
    assert 'test2.jpg' in near.details[0] and 'train4.jpg' in near.details[0]
    assert 'the config: a step on' in '\n'.join(texts(report, 'ok'))


def test_broken_images_and_annotations_are_found(examine, people):
    folder = people.parent / 'data'
    file = folder / 'images' / 'train0.jpg'
    file.write_bytes(file.read_bytes()[:-200])
    content = json.loads((folder / 'test.json').read_text())
    content['annotations'][2]['keypoints'][0] = -4000.
    (folder / 'test.json').write_text(json.dumps(content))
    report = examine(people, images='all')
    found = {f.text: f.details for f in report.problems}
    images = next(d for t, d in found.items() if '1 of 6 images' in t)
    assert 'truncated' in images[0] and 'train0.jpg' in images[0]
    joints = next(d for t, d in found.items() if '1 annotations' in t)
    assert 'far_outside' in next(t for t in found if '1 annotations' in t)
    assert 'test/2' in joints[0]


def test_the_same_people_in_training_and_test(examine, people):
    people.write_text(people.read_text()
                      + "val_dataloader['dataset']['ann_file'] = "
                      "'train.json'\n")
    report = examine(people)
    assert any('6 samples of CocoPoseDataset(train.json) are trained on and '
               'tested on' in f.text for f in report.problems)
