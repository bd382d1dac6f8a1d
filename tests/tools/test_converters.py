"""The converters, on fixtures in the published layouts."""
import importlib.util
import os
import zipfile
from pathlib import Path

import cv2
import numpy as np
import pytest
from scipy.io import loadmat, savemat

import mirrorpose  # noqa: F401
from mirrorpose.datasets.lsp import LspDataset
from mirrorpose.datasets.preparation import (
    ConversionError,
    crop_matrix,
    run_converter,
    warp,
)
from mirrorpose.datasets.silhouettes import SilhouetteDataset

TOOLS = Path(__file__).parents[2] / 'tools' / 'dataset_converters'


def load(name):
    spec = importlib.util.spec_from_file_location(f'converter_{name}',
                                                  TOOLS / f'{name}.py')
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


lsp = load('lsp')
silhouettes = load('silhouettes')
COUNT = 12


def picture(i, width=60, height=70):
    rng = np.random.default_rng(i)
    return rng.integers(0, 255, (height, width, 3), dtype=np.uint8)


@pytest.fixture
def source(tmp_path):
    """LSP as published: joints.mat (3, 14, N) and images/im0001.jpg."""
    folder = tmp_path / 'lsp_dataset'
    (folder / 'images').mkdir(parents=True)
    (folder / 'visualized').mkdir()
    rng = np.random.default_rng(0)
    joints = np.concatenate([rng.uniform(5, 55, (2, 14, COUNT)),
                             rng.integers(0, 2, (1, 14, COUNT))])
    savemat(folder / 'joints.mat', dict(joints=joints))
    for i in range(COUNT):
        cv2.imwrite(str(folder / 'images' / f'im{i + 1:04d}.jpg'), picture(i))
        cv2.imwrite(str(folder / 'visualized' / f'im{i + 1:04d}.jpg'),
                    picture(i))
    return folder


def zipped(folder: Path) -> Path:
    path = folder.with_suffix('.zip')
    with zipfile.ZipFile(path, 'w') as archive:
        for file in sorted(folder.rglob('*')):
            archive.write(file, file.relative_to(folder.parent))
    return path


def run(*args):
    lsp.main([*map(str, args), '--expect', str(COUNT)])


@pytest.mark.parametrize('packed', [False, True])
def test_lsp(source, tmp_path, packed):
    run(zipped(source) if packed else source, '--out', tmp_path / 'out')
    raw = loadmat(source / 'joints.mat')['joints']
    with np.load(tmp_path / 'out' / 'lsp' / 'lsp.npz') as data:
        np.testing.assert_allclose(data['joints'],
                                   raw[:2].transpose(2, 1, 0), rtol=1e-6)
        np.testing.assert_array_equal(data['occluded'], raw[2].T)
        assert data['train'].tolist() == [True] * 6 + [False] * 6
        assert data['names'][3] == 'im0004'
    archive = zipfile.ZipFile(tmp_path / 'out' / 'lsp' / 'images.zip')
    assert archive.read('im0004.jpg') == (
        source / 'images' / 'im0004.jpg').read_bytes()
    train = LspDataset(data_root=str(tmp_path / 'out'))
    assert len(train) == 6
    with pytest.raises(FileNotFoundError, match='--masks'):
        LspDataset(data_root=str(tmp_path / 'out'), with_silhouette=True)


def test_extension(source, tmp_path):
    rng = np.random.default_rng(1)
    joints = np.concatenate([rng.uniform(5, 55, (14, 2, COUNT)),
                             np.ones((14, 1, COUNT))], axis=1)
    joints[3, 2, 5] = 0
    joints[3, :2, 5] = -900
    joints[2:, 2, 7] = 0
    savemat(source / 'joints.mat', dict(joints=joints))
    run(source, '--extended', '--out', tmp_path / 'out')
    data = LspDataset('lspet/lspet.npz', str(tmp_path / 'out'))
    assert len(data) == COUNT
    assert data[5]['bbox'].min() > 0
    assert data[5]['keypoints_visible'].sum() == 14     # hip and pelvis gone
    run(source, '--extended', '--out', tmp_path / 'out', '--min-visible', 12)
    assert len(LspDataset('lspet/lspet.npz', str(tmp_path / 'out'))) == 11


def test_high_resolution_extension(source, tmp_path):
    """HR-LSPET: images at the top, png, numbers with gaps."""
    folder = tmp_path / 'hr-lspet'
    folder.mkdir()
    for i in range(4):
        cv2.imwrite(str(folder / f'im{2 * i + 1:05d}.png'),
                    picture(i, 300, 200))
    joints = np.ones((14, 3, 4))
    joints[:, :2] = np.random.default_rng(0).uniform(50, 150, (14, 2, 4))
    savemat(folder / 'joints.mat', dict(joints=joints))
    lsp.main([str(folder), '--extended', '--out', str(tmp_path / 'out'),
              '--size', '64'])
    data = LspDataset('lspet/lspet.npz', str(tmp_path / 'out'), pipeline=[
        dict(type='mmpose.LoadImage')])
    assert [data[i]['id'] for i in range(4)] == [
        f'lspet/im{n:05d}' for n in (1, 3, 5, 7)]
    assert data[0]['img'].shape == (64, 64, 3)
    box = data[0]['bbox'][0]
    assert max(box[2:] - box[:2]) == pytest.approx(64 / 1.45, rel=1e-4)
    np.testing.assert_allclose((box[:2] + box[2:]) / 2, 32, atol=1e-3)


def test_crop_moves_image_and_joints_alike():
    image = np.zeros((400, 600, 3), np.uint8)
    cv2.circle(image, (350, 210), 12, (255, 255, 255), -1)
    for size in (40, 128, 500):
        matrix = crop_matrix([250, 100, 420, 330], size, 1.45)
        small = warp(image, matrix, size)[..., 0].astype(float)
        y, x = np.mgrid[:size, :size]
        centre = np.array([(small * x).sum(), (small * y).sum()]) / small.sum()
        want = matrix[:, :2] @ [350, 210] + matrix[:, 2]
        assert np.abs(centre - want).max() < .75 * max(1, size / 332)


def test_shrinking_averages():
    board = (np.indices((400, 400)).sum(0) % 2 * 255).astype(np.uint8)
    small = warp(board, crop_matrix([50, 50, 350, 350], 50, 1.2), 50)
    assert np.abs(small[5:-5, 5:-5].astype(float) - 127.5).max() < 20


def test_masks(source, tmp_path):
    raw = loadmat(source / 'joints.mat')['joints']
    folder = tmp_path / 'masks'
    folder.mkdir()
    for i in range(COUNT - 1):
        mask = np.zeros((70, 60), np.uint8)
        x, y = raw[0, :, i], raw[1, :, i]
        if i != 2:
            mask[int(y.min()):int(y.max()) + 2,
                 int(x.min()):int(x.max()) + 2] = 255
        else:
            mask[:8] = 255
        cv2.imwrite(str(folder / f'im{i + 1:04d}_segmentation.png'), mask)
    run(source, '--out', tmp_path / 'out', '--masks', folder)
    with np.load(tmp_path / 'out' / 'lsp' / 'lsp.npz') as data:
        quality = data['mask_quality']
    assert quality[0, 0] > .95 and quality[2, 0] < .85
    assert quality[COUNT - 1, 0] == 0, 'no mask, no quality'
    good = LspDataset(data_root=str(tmp_path / 'out'), with_silhouette=True)
    assert 'lsp/im0003' not in {good[i]['id'] for i in range(len(good))}
    cv2.imwrite(str(folder / 'im0005.png'), np.ones((9, 9), np.uint8))
    (folder / 'im0005_segmentation.png').unlink()
    with pytest.raises(ConversionError, match='im0005.*(9, 9)'):
        run(source, '--out', tmp_path / 'out', '--masks', folder)


def test_observer_centric(source, tmp_path):
    joints = loadmat(source / 'joints.mat')['joints'][:2]
    other = tmp_path / 'LSP-joints-OC.mat'
    savemat(other, dict(joints=joints))
    with pytest.raises(ConversionError, match="the person's"):
        joints[0, 8, :6], joints[0, 9, :6] = 10, 20
        joints[0, 8, 6:], joints[0, 9, 6:] = 20, 10
        savemat(other, dict(joints=joints))
        run(source, '--out', tmp_path / 'out', '--observer', other)
    joints[0, 8], joints[0, 9] = 10, 20
    savemat(other, dict(joints=joints))
    run(source, '--out', tmp_path / 'out', '--observer', other)
    data = LspDataset(data_root=str(tmp_path / 'out'),
                      annotations='observer')
    np.testing.assert_allclose(data[0]['keypoints'][0, 12, 0], 10)
    person = LspDataset(data_root=str(tmp_path / 'out'))
    assert person[0]['keypoints'][0, 12, 0] != 10


def test_errors(source, tmp_path, capsys):
    out = ('--out', tmp_path / 'out')
    with pytest.raises(ConversionError, match='does not exist'):
        run(tmp_path / 'nothing.zip', *out)
    with pytest.raises(ConversionError, match='12 images, expected 2000'):
        lsp.main([str(source), *map(str, out)])
    with pytest.raises(ConversionError, match='leave out --extended'):
        run(source, '--extended', *out)
    packed = zipped(source)
    packed.write_bytes(packed.read_bytes()[:5000])
    with pytest.raises(ConversionError, match='neither a folder nor'):
        run(packed, *out)

    rng = np.random.default_rng(0)
    mat = (source / 'joints.mat').read_bytes()
    for content, text in (
            (dict(joints=np.ones((3, 13, COUNT))), r'\(3, 13, 12\)'),
            (dict(joints=np.ones((14, 3, COUNT))), 'add --extended'),
            (dict(other=1), 'no array "joints"'),
            (dict(joints=np.full((3, 14, COUNT), np.nan)), 'not finite'),
            (dict(joints=np.ones((3, 14, COUNT))), 'no extent'),
            (dict(joints=rng.random((3, 14, COUNT - 1))),
             '11 people in joints.mat, expected 12')):
        savemat(source / 'joints.mat', content)
        with pytest.raises(ConversionError, match=text):
            run(source, *out)
    (source / 'joints.mat').write_bytes(b'rubbish')
    with pytest.raises(ConversionError, match='no readable MATLAB'):
        run(source, *out)
    (source / 'joints.mat').unlink()
    with pytest.raises(ConversionError, match='holds no joints.mat'):
        run(source, *out)
    (source / 'joints.mat').write_bytes(mat)

    image = source / 'images' / 'im0007.jpg'
    whole = image.read_bytes()
    image.write_bytes(whole[:len(whole) // 2])
    with pytest.raises(ConversionError, match='im0007.jpg cannot be read'):
        run(source, *out)
    left = [f for f in (tmp_path / 'out').rglob('*') if f.is_file()]
    assert not left, 'a broken conversion leaves nothing behind'
    arguments = [str(source), *map(str, out), '--expect', str(COUNT)]
    assert run_converter(lsp.main, arguments) == 1
    assert 'error: image' in capsys.readouterr().err
    image.unlink()
    with pytest.raises(ConversionError, match='11 images, expected 12'):
        run(source, *out)


def test_failure_keeps_what_was_there(source, tmp_path):
    run(source, '--out', tmp_path / 'out')
    before = {f.name: f.read_bytes()
              for f in (tmp_path / 'out' / 'lsp').iterdir()}
    (source / 'images' / 'im0012.jpg').write_bytes(b'')
    with pytest.raises(ConversionError):
        run(source, '--out', tmp_path / 'out')
    after = {f.name: f.read_bytes()
             for f in (tmp_path / 'out' / 'lsp').iterdir()}
    assert before == after


def test_silhouettes(tmp_path):
    for stem in 'ab':
        for kind in ('images', 'masks'):
            (tmp_path / kind).mkdir(exist_ok=True)
        image = np.zeros((300, 200, 3), np.uint8)
        image[100:200, 80:130] = 200
        cv2.imwrite(str(tmp_path / 'images' / f'{stem}.jpg'), image)
        cv2.imwrite(str(tmp_path / 'masks' / f'{stem}.png'),
                    (image[..., 0] > 0).astype(np.uint8))
    silhouettes.main([str(tmp_path), '--out', str(tmp_path), '--name', 'new',
                      '--size', '96'])
    data = SilhouetteDataset(str(tmp_path / 'new'), image_dir='images.zip',
                             mask_dir='masks.zip')
    assert len(data) == 2
    np.testing.assert_allclose(data[0]['bbox'], [[32, 16, 64, 80]], atol=1)
    (tmp_path / 'images' / 'b.jpg').unlink()
    with pytest.raises(ConversionError, match='b.png'):
        silhouettes.main([str(tmp_path), '--out', str(tmp_path)])


REAL = Path(os.environ.get('MIRRORPOSE_DATA', '')) / 'lsp'


@pytest.mark.skipif(not (REAL / 'joints.mat').is_file(),
                    reason='real LSP not found; set MIRRORPOSE_DATA')
def test_real_lsp_round_trip(tmp_path):
    lsp.main([str(REAL), '--out', str(tmp_path)])
    with np.load(tmp_path / 'lsp' / 'lsp.npz') as new, np.load(
            REAL / 'lsp.npz') as old:
        for key in ('names', 'joints', 'occluded', 'train', 'joint_names'):
            np.testing.assert_array_equal(new[key], old[key])
    a, b = (zipfile.ZipFile(p / 'images.zip')
            for p in (tmp_path / 'lsp', REAL))
    assert sorted(a.namelist()) == sorted(b.namelist())
    assert all(a.read(n) == b.read(n) for n in a.namelist()[::50])
