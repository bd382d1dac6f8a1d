"""The converter of MPI-INF-3DHP, on fixtures of its documented layout.

The data need a licence and were not at hand: what is tested is that files of
this layout become the motion that they were made of.
"""
from __future__ import annotations

import runpy
import zipfile
from pathlib import Path

import cv2
import numpy as np
import pytest
from mmengine.config import Config
from mmengine.logging import MessageHub, MMLogger
from mmengine.visualization import Visualizer
from mmpose.registry import DATASETS, RUNNERS
from scipy.io import savemat
from scipy.spatial.transform import Rotation

ROOT = Path(__file__).resolve().parents[3]
TOOL = ROOT / 'tools/dataset_converters/mpi_inf_3dhp.py'


@pytest.fixture(scope='module')
def tool():
    """What the script defines."""
    return runpy.run_path(str(TOOL))


def calibration(cameras) -> str:
    text = 'Skeletool Camera Calibration File V1.0\n'
    for number, (k, rt) in enumerate(cameras):
        four = np.eye(4)
        four[:3, :3] = k
        text += (f'name          {number}\n  sensor      10 10\n'
                 '  size        2048 2048\n  animated    0\n  intrinsic   '
                 + ' '.join(f'{v:.7g}' for v in four.ravel())
                 + '\n  extrinsic   '
                 + ' '.join(f'{v:.9g}' for v in rt.ravel())
                 + '\n  radial      0\n')
    return text


def write_sequence(folder: Path, frames: int, seed: int) -> np.ndarray:
    """Two cameras; returns the motion in the world, metres, y up."""
    rng = np.random.default_rng(seed)
    rest = rng.normal(0, .3, (28, 3)) + [0, 1, 0]
    time = np.arange(frames)[:, None, None] / 25
    world = rest + .1 * np.sin(time + rng.uniform(0, 6, (28, 3)))
    cameras, two, three = [], np.empty((2, 1), object), np.empty(
        (2, 1), object)
    for number in range(2):
        k = np.array([[1500., 0, 1024], [0, 1500, 1050], [0, 0, 1]])
        turn = np.diag([1., -1, -1]) @ Rotation.from_euler(
            'XYZ', rng.normal(0, 20, 3), degrees=True).as_matrix()
        rt = np.eye(4)
        rt[:3, :3], rt[:3, 3] = turn, [100 * number, 900, 4000]
        cameras.append((k, rt))
        mm = world.reshape(-1, 3) * 1000
        three[number, 0] = (mm @ turn.T + rt[:3, 3]).reshape(frames, 84)
        two[number, 0] = cv2.projectPoints(
            mm, cv2.Rodrigues(turn)[0], rt[:3, 3], k, None)[0].reshape(
                frames, 56)
    folder.mkdir(parents=True)
    savemat(folder / 'annot.mat', dict(
        annot2=two, annot3=three, univ_annot3=three,
        frames=np.arange(frames)[:, None], cameras=np.arange(2)[None]))
    (folder / 'camera.calibration').write_text(calibration(cameras))
    return world


@pytest.fixture
def published(tmp_path):
    """Four sequences of two subjects, one of them at 50 per second."""
    root = tmp_path / 'mpi_inf_3dhp'
    worlds = {(s, q): write_sequence(root / f'S{s}/Seq{q}', n, 7 * s + q)
              for s, q, n in ((1, 1, 40), (1, 2, 61), (2, 1, 50),
                              (2, 2, 30))}
    return root, worlds


@pytest.mark.parametrize('camera', [0, 1])
@pytest.mark.parametrize('zipped', [False, True])
def test_motion_comes_back(tool, published, tmp_path, camera, zipped):
    root, worlds = published
    if zipped:
        with zipfile.ZipFile(tmp_path / 'a.zip', 'w') as archive:
            for file in root.rglob('*'):
                archive.write(file, file.relative_to(tmp_path))
        root = tmp_path / 'a.zip'
    tool['main']([str(root), '--out', str(tmp_path / 'out'), '--partial',
                  '--camera', str(camera)])
    source = dict(type='MocapArchive', file='mpi_inf_3dhp/motion.npz',
                  held_out=dict(test=['S2']))
    data = DATASETS.build(dict(
        type='PoseSequenceDataset', sources=[source], part='all',
        data_root=str(tmp_path / 'out'), stride=1))
    assert data.clips.names == tuple(f'motion/S{s}_Seq{q}' for s, q in worlds)
    assert data.clips.groups == ('S1', 'S1', 'S2', 'S2')
    assert data.clips.length.tolist() == [40, 31, 50, 30]
    assert not data.derived.any()
    for (key, world), start, length in zip(
            worlds.items(), data.clips.start, data.clips.length):
        want = world[::2] if key == (1, 2) else world
        rows = slice(start, start + length)
        np.testing.assert_allclose(
            data.clips.positions[rows] + data.clips.root[rows][:, None],
            want, atol=1e-5)
    np.testing.assert_allclose(data.clips.positions[:, 4], 0, atol=1e-6)


def test_jumps_trains_on_what_was_converted(tool, tmp_path, monkeypatch):
    """configs/jumps_mpi_inf_3dhp.py as published: a step and a validation.

    Smaller are the batch and the number of views.
    """
    for subject in (1, 7, 8):  # 7 and 8 are held out
        write_sequence(tmp_path / f'raw/S{subject}/Seq1', 50, subject)
    monkeypatch.setenv('MIRRORPOSE_DATA', str(tmp_path / 'data'))
    tool['main']([str(tmp_path / 'raw'), '--out', str(tmp_path / 'data'),
                  '--partial'])
    cfg = Config.fromfile(ROOT / 'configs/jumps_mpi_inf_3dhp.py')
    cfg.merge_from_dict({
        'work_dir': str(tmp_path / 'work'), 'log_level': 'ERROR',
        'experiment_name': tmp_path.name, 'train_cfg.max_epochs': 1,
        'train_dataloader.batch_size': 8,
        'train_dataloader.dataset.views': 3, 'test_cfg': None,
        'test_dataloader': None, 'test_evaluator': None})
    for loader in (cfg.train_dataloader, cfg.val_dataloader):
        loader.update(num_workers=0, persistent_workers=False)
    held = [(c, dict(c._instance_dict)) for c in (MessageHub, MMLogger,
                                                  Visualizer)]
    try:
        runner = RUNNERS.build(cfg)
        runner.train()
        logged = runner.message_hub.log_scalars
        assert runner.iter == 1
        for name in ('mpjpe', 'unseen_auc'):
            value = logged[f'val/bound/{name}'].current()
            assert np.isfinite(value) and value >= 0
        assert np.isfinite(logged['train/mon_generator_mpjpe'].current())
        people = [loader.dataset.clips.groups for loader in (
            runner.train_dataloader, runner.val_dataloader)]
    finally:
        for kind, instances in held:
            kind._instance_dict.clear()
            kind._instance_dict.update(instances)
    assert set(people[0]) == {'S1'} and set(people[1]) == {'S7'}
    assert (tmp_path / 'work/epoch_1.pth').is_file()


def test_a_wrong_calibration_is_seen(tool, published, tmp_path):
    root, _ = published
    # annot3 is in the camera's frame, so only intrinsics can tell.
    path = root / 'S1/Seq1/camera.calibration'
    path.write_text(path.read_text().replace('1500', '900'))
    with pytest.raises(tool['ConversionError'], match='pixels away'):
        tool['main']([str(root), '--out', str(tmp_path), '--partial'])
    assert not list(tmp_path.glob('mpi_inf_3dhp/motion*'))


def spoil_annotation(root, **changes):
    savemat(root / 'S1/Seq1/annot.mat', changes)


@pytest.mark.parametrize('spoil, arguments, message', [
    (lambda r: None, [], 'S3/Seq1'),
    (lambda r: None, ['--partial', '--camera', '5'], 'camera 5'),
    (lambda r: (r / 'S1/Seq1/camera.calibration').unlink(), ['--partial'],
     'which way is up'),
    (lambda r: (r / 'S1/Seq1/camera.calibration').write_text('name 0\n'),
     ['--partial'], 'intrinsic'),
    (lambda r: (r / 'S1/Seq1/annot.mat').write_bytes(b'no'), ['--partial'],
     'MATLAB'),
    (lambda r: spoil_annotation(r, annot2=np.zeros(3)), ['--partial'],
     'annot2'),
    (lambda r: spoil_annotation(r, annot2=np.array(
        [np.zeros((4, 34)), 0], object)), ['--partial'], 'training'),
])
def test_bad_sources(tool, published, tmp_path, spoil, arguments, message):
    root, _ = published
    spoil(root)
    with pytest.raises(tool['ConversionError'], match=message):
        tool['main']([str(root), '--out', str(tmp_path / 'o'), *arguments])


def test_nothing_there(tool, tmp_path):
    with pytest.raises(tool['ConversionError'], match='annot.mat'):
        tool['main']([str(tmp_path)])


def test_published_cameras_stand_upright(tool, data_root):
    """The calibrations that mmpose ships: y up in their world."""
    import json
    path = data_root / 'cameras/mpi_inf_3dhp.json'
    if not path.is_file():
        pytest.skip('no cameras/mpi_inf_3dhp.json in MIRRORPOSE_DATA')
    for camera in json.loads(path.read_text()).values():
        rt = np.eye(4)
        rt[:3, :3] = camera['R']
        down = np.array([[[0., 1., 0.]]]) + 0  # the camera's y, a vector
        assert tool['world_motion'](down, rt)[0, 0, 1] < -.5e-3
