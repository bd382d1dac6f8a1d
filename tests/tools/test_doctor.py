"""tools/doctor.py: environments, configs and data that are spoilt."""
from __future__ import annotations

import argparse
import importlib.util
import json
import logging
import os
import subprocess
import sys
from pathlib import Path

import cv2
import mmengine.config.config
import numpy as np
import pytest
from mmengine.config import Config
from mmengine.logging import MMLogger

from mirrorpose.doctor import config as doctor_config
from mirrorpose.doctor import distributions, leakage, machine, stages
from mirrorpose.doctor.findings import Report
from mirrorpose.doctor.packages import (
    _check_owners,
    how_to_install,
    matching_torchvision,
    torchvision_requirement,
)
from mirrorpose.doctor.probes import run_trials

ROOT = Path(__file__).resolve().parents[2]
DOCTOR = ROOT / 'tools' / 'doctor.py'


def doctor(*args, path=None, **env):
    """Runs the tool; ``path`` goes before all other modules."""
    env = dict(os.environ, OMP_NUM_THREADS='1', **env)
    if path is not None:
        env['PYTHONPATH'] = str(path)
    return subprocess.run(
        [sys.executable, str(DOCTOR), *map(str, args)], env=env, cwd=ROOT,
        capture_output=True, text=True, timeout=200)


# -- the environment ---------------------------------------------------------
class TestEnvironment:

    def test_this_one_works(self, tmp_path):
        file = tmp_path / 'sub' / 'answer.json'
        done = doctor('--json', file)
        assert done.returncode == 0, done.stdout + done.stderr
        assert 'training would work' in done.stdout.splitlines()[-1]
        assert not done.stderr.strip()
        answer = json.loads(file.read_text())
        assert answer['works'] and answer['counts']['problem'] == 0
        import torch
        assert answer['facts']['packages']['torch'] == torch.__version__
        assert answer['facts']['cores'] >= 1

    def test_absent_mmpose_and_a_torch_that_kills_the_process(self, tmp_path):
        (tmp_path / 'sitecustomize.py').write_text(
            'import sys\nsys.modules["mmpose"] = None\n')
        (tmp_path / 'torch').mkdir()
        (tmp_path / 'torch' / '__init__.py').write_text(
            'import os\nos.abort()\n')
        done = doctor('--quiet', path=tmp_path)
        assert done.returncode == 1 and 'Traceback' not in done.stderr
        lines = done.stdout.splitlines()
        torch = next(i for i, s in enumerate(lines) if 'torch is inst' in s)
        assert 'PROBLEM' in lines[torch]
        assert 'SIGABRT' in lines[torch] + lines[torch + 1]
        absent = next(i for i, s in enumerate(lines)
                      if 'not installed: mmpose' in s)
        assert lines[absent + 1].strip() == f'-> {how_to_install(ROOT)}'
        assert 'to mend first' in lines[-1]

    def test_numpy_abi_has_its_command(self, tmp_path):
        package = tmp_path / 'xtcocotools'
        package.mkdir()
        (package / '__init__.py').write_text(
            'raise ValueError("numpy.dtype size changed, may indicate '
            'binary incompatibility. Expected 96 from C header, got 88")\n')
        (tmp_path / 'sitecustomize.py').write_text(
            'import sys\n'
            'for name in ("torch", "mmengine", "mmcv", "mmpose", "scipy",\n'
            '             "matplotlib"):\n    sys.modules[name] = None\n')
        done = doctor('--quiet', path=tmp_path)
        assert done.returncode == 1
        lines = done.stdout.splitlines()
        place = next(i for i, s in enumerate(lines) if 'xtcocotools' in s)
        assert any('-> python -m pip install "numpy<2"' in s
                   for s in lines[place:place + 5])

    @pytest.mark.parametrize('args, words', [
        (['--config', 'nowhere.py'], 'nowhere.py does not exist'),
        (['--images', 'some'], 'a number or "all"')])
    def test_usage(self, args, words):
        done = doctor(*args)
        assert done.returncode == 2 and words in done.stderr


def fake_distribution(folder: Path, name: str, version: str, module: str):
    info = folder / f'{name.replace("-", "_")}-{version}.dist-info'
    info.mkdir()
    (info / 'METADATA').write_text(
        f'Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n')
    (info / 'RECORD').write_text(f'{module}/__init__.py,,\n'
                                 f'{info.name}/METADATA,,\n')


@pytest.mark.parametrize('two, module, level, keep', [
    ((('opencv-python', '4.11'), ('opencv-python-headless', '4.11')), 'cv2',
     'note', 'opencv-python==4.11'),
    ((('opencv-python', '4.11'), ('opencv-python-headless', '5.0')), 'cv2',
     'problem', 'opencv-python==4.11'),
    ((('mmcv-lite', '2.2.0'), ('onedl-mmcv', '2.3.6')), 'mmcv', 'problem',
     'onedl-mmcv==2.3.6'),
    ((('mmcv', '2.1.0'), ('mmcv-lite', '2.1.0')), 'mmcv', 'problem',
     'mmcv==2.1.0')])
def test_two_owners_of_one_import_name(tmp_path, two, module, level, keep):
    for name, version in two:
        fake_distribution(tmp_path, name, version, module)
    found = distributions.installed([str(tmp_path)])
    assert {(d.name, d.version) for d in found} == set(two)
    report = Report()
    _check_owners(report, found)
    finding, = report.findings
    assert finding.level == level and all(n in finding.text for n, _ in two)
    assert finding.fix.endswith(f'install --no-deps {keep}')
    assert finding.fix.startswith('python -m pip uninstall -y ')


def test_one_owner_each(tmp_path):
    fake_distribution(tmp_path, 'mmcv-lite', '2.2.0', 'mmcv')
    fake_distribution(tmp_path, 'opencv-python', '4.11', 'cv2')
    report = Report()
    _check_owners(report, distributions.installed([str(tmp_path)]))
    assert [f.level for f in report.findings] == ['ok']


@pytest.mark.parametrize('torch, vision', [
    ('2.1.0', '0.16.0'), ('2.4.1+cu121', '0.19.1'), ('2.13.0+cpu', '0.28.0'),
    ('1.13.1', None), ('', None), (None, None)])
def test_torchvision_of_a_torch(torch, vision):
    assert matching_torchvision(torch) == vision


def test_torchvision_is_of_torchs_release_and_build():
    assert torchvision_requirement('2.4.1+cu121') == (
        'torchvision==0.19.1+cu121')
    assert torchvision_requirement('2.13.0') == 'torchvision==0.28.0'


def test_how_to_install(tmp_path):
    assert how_to_install(tmp_path) == 'python -m pip install mirrorpose'
    (tmp_path / 'tools').mkdir()
    (tmp_path / 'tools' / 'install.sh').write_text('')
    assert how_to_install(tmp_path) == 'bash tools/install.sh --here'
    (tmp_path / '.venv').mkdir()
    (tmp_path / '.venv' / 'mirrorpose-install.json').write_text('{}')
    assert how_to_install(tmp_path).startswith(
        f'source {tmp_path}/.venv/bin/activate')


def test_trials_go_on_after_a_death():
    done = run_trials([
        ('good', 'result = [1, 2]'),
        ('kills', 'import os, signal; os.kill(os.getpid(), signal.SIGKILL)'),
        ('absent', 'import no_such_module.inner'),
        ('raises', 'raise RuntimeError("first line\\nsecond")'),
        ('exits', 'import os; os._exit(7)'),
        ('talks', 'print("[]"); result = "said"')])
    assert list(done) == ['good', 'kills', 'absent', 'raises', 'exits',
                          'talks']
    assert done['good'].result == [1, 2] and done['talks'].result == 'said'
    assert done['kills'].died and 'SIGKILL' in done['kills'].error
    assert done['absent'].absent == 'no_such_module'
    assert done['raises'].error == 'RuntimeError: first line'
    assert done['exits'].died and 'status 7' in done['exits'].error


def test_a_trial_that_hangs_is_stopped():
    done = run_trials([('hangs', 'import time; time.sleep(60)'),
                       ('after', 'result = 1')], timeout=2)
    assert 'hung' in done['hangs'].error and done['after'].ok


@pytest.mark.parametrize('text, cores', [
    ('150000 100000', 1.5), ('max 100000', None), ('nonsense', None)])
def test_cpu_quota_of_a_container(tmp_path, text, cores):
    (tmp_path / 'cpu.max').write_text(text)
    assert machine._cpu_quota(tmp_path) == cores


def test_a_folder_that_cannot_be_written(tmp_path):
    assert machine.can_write(tmp_path / 'a' / 'b') == ''
    file = tmp_path / 'file'
    file.write_text('')
    assert 'is no folder' in machine.can_write(file / 'below')


def test_report_is_read_back_and_rendered():
    report = Report(facts=dict(a=1))
    report.add('One', 'ok', 'fine  and\n well')
    report.add('Two', 'problem', 'w' * 20 + ' ' + 'x' * 30, 'mend it',
               ['a detail'])
    same = Report.from_dict(json.loads(json.dumps(report.to_dict())))
    assert same == report
    text = report.render(40)
    assert text.splitlines() == [
        'One', '  ok       fine and well', '',
        'Two', '  PROBLEM  ' + 'w' * 20, '           ' + 'x' * 30,
        '           a detail', '           -> mend it', '',
        '1 problem to mend first (1 ok, 0 notes, 1 problem)']
    assert 'One' not in report.render(show_ok=False)
    with pytest.raises(ValueError, match='bad'):
        report.add('One', 'bad', '')


def test_conflicts_are_not_imported_by_the_parent():
    """What the tool itself imports is the standard library and its own."""
    code = ('import sys; sys.argv = ["doctor.py"]; '
            f'sys.path.insert(0, {str(DOCTOR.parent)!r}); import doctor; '
            'doctor.without_its_init(); import mirrorpose.doctor.packages, '
            'mirrorpose.doctor.machine; '
            'print([m for m in ("numpy", "torch", "mmengine", "cv2", '
            '"packaging") if m in sys.modules])')
    done = subprocess.run([sys.executable, '-c', code], text=True,
                          capture_output=True)
    assert done.stdout.strip() == '[]', done.stderr


# -- a config and its data ---------------------------------------------------
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


SYNTHETIC = (f"_base_ = ['{ROOT}/configs/mirrornet_small_synthetic.py']\n")


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


def test_perceptual_hash_against_its_definition():
    from scipy.fft import dctn
    rng = np.random.default_rng(1)
    small = rng.normal(size=(5, 16, 16)).astype(np.float32)
    for image, bits in zip(small, leakage.perceptual_hash(small)):
        low = dctn(image, type=2)[1:9, 1:9].ravel()
        assert np.array_equal(np.unpackbits(bits), low > np.median(low))


def test_near_pairs_counts_bits():
    rng = np.random.default_rng(2)
    one = rng.normal(size=(40, 16, 16)).astype(np.float32)
    other = rng.normal(size=(30, 16, 16)).astype(np.float32)
    other[7] = one[3] + 0.02 * rng.normal(size=(16, 16))
    mine, theirs = (np.unpackbits(leakage.perceptual_hash(s), axis=1)
                    for s in (one, other))
    expected = [(a, b) for b in range(30) for a in range(40)
                if (mine[a] != theirs[b]).sum() <= 8
                and np.abs(one[a] - other[b]).mean() <= .25]
    assert leakage.near_pairs(one, other, block=7) == expected == [(3, 7)]


def test_equal_files_in_archives_and_folders(tmp_path):
    import zipfile
    archive = tmp_path / 'a.zip'
    with zipfile.ZipFile(archive, 'w') as file:
        file.writestr('x.jpg', b'same content')
        file.writestr('y.jpg', b'other stuff!')
    loose = tmp_path / 'loose.jpg'
    loose.write_bytes(b'same content')
    longer = tmp_path / 'longer.jpg'
    longer.write_bytes(b'same content, and more')
    prefix = f'zip://{archive}/'
    pairs = leakage.equal_files(
        [prefix + 'x.jpg', prefix + 'y.jpg'],
        [str(longer), str(loose), str(tmp_path / 'absent.jpg')])
    assert [tuple(p) for p in pairs] == [(prefix + 'x.jpg', str(loose))]


@pytest.mark.parametrize('ratio, batch, smallest', [
    ((96, 32), 128, 4), ((3, 1), 8, 4), ((1, 1), 6, 2), (None, 8, 2),
    ([5], 10, 5 - 3), ((0.5, 0.5), 8, 8)])
def test_smallest_batch_keeps_the_ratio(ratio, batch, smallest):
    sampler = dict(type='S') if ratio is None else dict(
        type='S', source_ratio=ratio)
    loader = dict(batch_size=batch, sampler=sampler)
    assert stages.smallest_batch(loader) == smallest


def test_installed_it_finds_its_package(tmp_path):
    place = tmp_path / 'site-packages/mirrorpose/.mim/tools'
    place.mkdir(parents=True)
    (place / 'doctor.py').write_bytes(DOCTOR.read_bytes())
    spec = importlib.util.spec_from_file_location('installed_doctor',
                                                  place / 'doctor.py')
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)
    found: Path = tool.ROOT
    assert found.relative_to(tmp_path).as_posix() == 'site-packages'


def test_the_child_that_dies_is_a_problem(tmp_path, monkeypatch):
    spec = importlib.util.spec_from_file_location('doctor_tool', DOCTOR)
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)
    monkeypatch.setattr(tool, 'ROOT', tmp_path)  # no package there
    (tmp_path / 'mirrorpose').mkdir()
    (tmp_path / 'mirrorpose' / '__init__.py').write_text('import os\n'
                                                         'os._exit(3)\n')
    answer = tool.examine_config(argparse.Namespace(
        config='c.py', json=None, quiet=False))
    assert not answer['works']
    assert 'status 3' in answer['findings'][0]['text']
