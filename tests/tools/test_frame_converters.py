"""Converters of frames and poses, on fixtures of the documented layouts."""
import importlib.util
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
from mmengine.registry import DefaultScope, init_default_scope
from mmpose.registry import DATASETS
from scipy.io import savemat

import mirrorpose  # noqa: F401
from mirrorpose.datasets.preparation import ConversionError, run_converter

TOOLS = Path(__file__).parents[2] / 'tools' / 'dataset_converters'


@pytest.fixture(autouse=True, scope='module')
def mmpose_scope():
    if DefaultScope.get_current_instance() is None:
        init_default_scope('mmpose')


def load(name):
    spec = importlib.util.spec_from_file_location(f'converter_{name}',
                                                  TOOLS / f'{name}.py')
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def convert(name, source, out, *options):
    load(name).main([str(source), '--out', str(out), *options])


def spot(points, width, height):
    """A picture with a bright disc at the first of the points."""
    image = np.full((height, width, 3), 40, np.uint8)
    x, y = np.round(points[0] * 16).astype(int).tolist()
    cv2.circle(image, (x, y), 6 << 4, (255, 255, 255), -1, cv2.LINE_AA, 4)
    return image


def bright(image):
    """Where the disc of :func:`spot` is in a (3, S, S) crop."""
    value = np.clip(image.numpy()[0].astype(float) - 100, 0, None)
    y, x = np.mgrid[:value.shape[0], :value.shape[1]]
    return np.array([(value * x).sum(), (value * y).sum()]) / value.sum()


def frames_of(root, name, joints, size=64, **source):
    return DATASETS.build(dict(
        type='FramePairDataset', joints=joints, size=size, test_mode=True,
        data_root=str(root), sources=[dict(
            type='FrameArchive', file=f'{name}/frames.npz', **source)]))


def check_spots(data, joint=0):
    """The first point lies where the picture shows it."""
    for i in range(len(data)):
        item = data[i]
        place = item['data_samples'].gt_instances.keypoints[0, joint]
        assert np.abs(bright(item['inputs']) - place).max() < .6


def write_image(path, image):
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), image)


@pytest.fixture
def human(tmp_path):
    """Two actors, two sequences of five frames."""
    root = tmp_path / 'human_images'
    rng = np.random.default_rng(0)
    for actor in ('S1', 'S11'):
        for sequence in ('Directions 1', 'Waiting'):
            for frame in (1, 2, 9, 10, 11):
                points = rng.uniform(30, 100, (32, 2))
                stem = f'{sequence}/{frame}'
                write_image(root / actor / 'WithBackground' / f'{stem}.jpg',
                            spot(points, 128, 128))
                mask = np.zeros((128, 128), np.uint8)
                mask[:, 20:] = 255
                write_image(root / actor / 'BackgroudMask' / f'{stem}.png',
                            mask)
                place = root / actor / 'Landmarks' / f'{stem}.mat'
                place.parent.mkdir(parents=True, exist_ok=True)
                savemat(place, dict(keypoints_2d=points[:, ::-1] / 128))
    return root


def test_simple_human36m(human, tmp_path):
    convert('simple_human36m', human, tmp_path / 'out')
    data = frames_of(tmp_path / 'out', 'simple_human36m', 'human36m_32', 128,
                     subset='train')
    assert data.clips() == {'simple_human36m/S1/Directions 1',
                            'simple_human36m/S1/Waiting'}
    check_spots(data)
    assert data[0]['data_samples'].metainfo['action'] == 'directions'
    order = [data.get_data_info(i)['img_path'][-10:] for i in range(5)]
    assert order == [f'{n:06d}.jpg' for n in (1, 2, 9, 10, 11)]
    masked = DATASETS.build(dict(
        type='FramePairDataset', joints='human36m_32', masks=True,
        data_root=str(tmp_path / 'out'), sources=[dict(
            type='FrameArchive', file='simple_human36m/frames.npz',
            subset='test')]))
    image = masked[0]['inputs']['image']
    assert not image[..., :20].any() and image[..., 20:].any()
    (human / 'S1/Landmarks/Waiting/9.mat').unlink()
    with pytest.raises(ConversionError, match=r'Waiting/9\.mat is missing'):
        convert('simple_human36m', human, tmp_path / 'again')
    assert not list((tmp_path / 'again').rglob('*.npz'))


def test_halves_of_simple_human36m_feed_training(human, tmp_path):
    from mmengine.config import Config
    convert('simple_human36m', human, tmp_path / 'out')
    cfg = Config.fromfile(TOOLS.parents[1]
                          / 'configs/_base_/datasets/simple_human36m.py')
    train = cfg.train_dataloader.dataset
    for part in (train.frames, train.poses):
        part.data_root = str(tmp_path / 'out')
    train.frames.sources[0].actions = ['directions', 'waiting']
    train.poses.sources[0].source.actions = ['directions', 'waiting']
    data = DATASETS.build(train)
    assert len(data) == 2 and len(data.poses) == 6  # 2 and 3 of 5 frames
    assert all(c.endswith('#2/2') for c in data.poses.clips())


def test_penn_action(tmp_path):
    root = tmp_path / 'Penn_Action'
    rng = np.random.default_rng(1)
    for video, train in (('0001', 1), ('0002', -1)):
        points = rng.uniform(40, 200, (4, 13, 2))
        visible = np.ones((4, 13), bool)
        visible[2] = False
        for frame in range(4):
            write_image(root / 'frames' / video / f'{frame + 1:06d}.jpg',
                        spot(points[frame], 300, 240))
        (root / 'labels').mkdir(exist_ok=True)
        savemat(root / 'labels' / f'{video}.mat', dict(
            x=points[..., 0] + 1, y=points[..., 1] + 1, visibility=visible,
            train=train, action='squat', nframes=4))
    convert('penn_action', root, tmp_path / 'out')
    with np.load(tmp_path / 'out/penn_action/frames.npz') as arrays:
        assert arrays['joints'].tolist()[0] == 'head'
        assert arrays['subset'].tolist() == ['train'] * 3 + ['test'] * 3
        assert set(arrays['action']) == {'squat'}
        scale, points = arrays['scale'], arrays['keypoints']
    # the head is no joint of the twelve: its disc is looked for by hand
    data = frames_of(tmp_path / 'out', 'penn_action', 'alphapose_12', 160)
    assert len(data) == 6
    for i in range(6):
        assert np.abs(bright(data[i]['inputs']) - points[i, 0]).max() < .6
        assert data[i]['data_samples'].metainfo['pixel_scale'] == (
            pytest.approx(scale[i]))
    shutil.rmtree(root / 'frames/0002')
    with pytest.raises(ConversionError, match=r"same videos.*0002"):
        convert('penn_action', root, tmp_path / 'again')


def face(seed):
    return np.random.default_rng(seed).uniform(70, 180, (68, 2))


def write_pts(path, points):
    lines = '\n'.join(f'{x:.6f} {y:.6f}' for x, y in points + 1)
    path.write_text(f'version: 1\nn_points:  68\n{{\n{lines}\n}}\n')


def test_300w(tmp_path):
    root = tmp_path / '300w'
    for seed, folder in enumerate(('afw', 'helen/trainset', 'helen/testset',
                                   'lfpw/trainset', 'lfpw/testset', 'ibug')):
        image = root / folder / f'image_{seed}.png'
        write_image(image, spot(face(seed), 260, 250))
        write_pts(image.with_suffix('.pts'), face(seed))
    convert('w300', root, tmp_path / 'out')
    train = frames_of(tmp_path / 'out', '300w', 'ibug_68', subset='train')
    test = frames_of(tmp_path / 'out', '300w', 'ibug_68', subset='test')
    assert (len(train), len(test)) == (3, 3)
    check_spots(train)
    check_spots(test)
    (root / 'afw/image_0.pts').write_text('version: 1\nn_points: 3\n{\n1 2}')
    with pytest.raises(ConversionError, match='68 points'):
        convert('w300', root, tmp_path / 'again')
    (root / 'afw/image_0.png').unlink()
    with pytest.raises(ConversionError, match='no image'):
        convert('w300', root, tmp_path / 'again')


def test_cathead(tmp_path):
    root = tmp_path / 'CAT_DATASET'
    rng = np.random.default_rng(4)
    truth = {}
    for number in range(20):
        points = rng.uniform(60, 160, (9, 2)).round()
        path = root / f'CAT_0{number % 2}' / f'{number:08d}_000.jpg'
        write_image(path, spot(points, 220, 210))
        Path(f'{path}.cat').write_text('9 ' + ' '.join(
            f'{v:g}' for v in points.ravel()) + ' ')
        truth[f'CAT_0{number % 2}/{number:08d}_000'] = points
    convert('cathead', root, tmp_path / 'out')
    data = frames_of(tmp_path / 'out', 'cathead', 'cathead_7', 160)
    assert len(data) == 20
    check_spots(data)
    item = data[0]['data_samples']
    kept = truth[item.metainfo['clip'].removeprefix('cathead/')][
        [0, 1, 2, 3, 4, 7, 8]]
    gaps = np.linalg.norm(np.diff(kept, axis=0), axis=1)
    seen = np.linalg.norm(np.diff(item.gt_instances.keypoints[0], axis=0),
                          axis=1)
    np.testing.assert_allclose(seen * item.metainfo['pixel_scale'], gaps,
                               rtol=1e-3)
    with np.load(tmp_path / 'out/cathead/frames.npz') as arrays:
        assert 0 < (arrays['subset'] == 'test').sum() < 8
    next(root.rglob('*.cat')).write_text('7 1 2 3')
    with pytest.raises(ConversionError, match='9 points'):
        convert('cathead', root, tmp_path / 'again')


def test_multipie(tmp_path, capsys):
    root = tmp_path / 'labels' / '05_1'
    root.mkdir(parents=True)
    for subject in (1, 2):
        savemat(root / f'{subject:03d}_01_01_051_06_lm.mat',
                dict(pts=face(subject) + 1))
    savemat(root / '003_01_01_240_06_lm.mat', dict(pts=np.ones((39, 2))))
    convert('multipie', tmp_path / 'labels', tmp_path / 'out')
    assert '1 profiles' in capsys.readouterr().out
    poses = DATASETS.build(dict(
        type='UnpairedPoseDataset', joints='ibug_68', size=64,
        data_root=str(tmp_path / 'out'), sources=[dict(
            type='FramePoses', source=dict(
                type='FrameArchive', file='multipie/frames.npz',
                crop='frame'))]))
    assert len(poses) == 2 and poses.present.all()
    want = face(1)
    ratio = (np.ptp(poses.poses[0], 0) / np.ptp(want, 0))
    assert ratio[0] == pytest.approx(ratio[1], rel=1e-4)
    assert not (tmp_path / 'out/multipie/images.zip').exists()


def test_voxceleb2(tmp_path):
    root = tmp_path / 'vox2'
    path = root / 'dev/mp4/id00012/21Uxsk56VDQ/00001.mp4'
    path.parent.mkdir(parents=True)
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*'mp4v'), 25,
                             (64, 64))
    assert writer.isOpened()
    for frame in range(30):
        writer.write(np.full((64, 64, 3), 8 * frame, np.uint8))
    writer.release()
    convert('voxceleb2', root, tmp_path / 'out', '--size', '32', '--stride',
            '4', '--most', '5')
    data = DATASETS.build(dict(
        type='FramePairDataset', joints='ibug_68', size=32,
        data_root=str(tmp_path / 'out'), order='any', sources=[dict(
            type='FrameArchive', file='voxceleb2/frames.npz')]))
    assert data.clips() == {'voxceleb2/id00012/21Uxsk56VDQ/00001'}
    assert data.store.groups == ['voxceleb2/id00012']
    levels = data.store.images(np.arange(5)).float().mean((1, 2, 3))
    assert np.abs(levels.numpy() - 32 * np.arange(5)).max() < 6
    path.write_bytes(b'nothing')
    with pytest.raises(ConversionError, match=r'00001\.mp4'):
        convert('voxceleb2', root, tmp_path / 'again')


@pytest.mark.parametrize('name', ['simple_human36m', 'penn_action', 'w300',
                                  'cathead', 'multipie', 'voxceleb2'])
def test_empty_source_and_help(name, tmp_path, capsys):
    module = load(name)
    empty = tmp_path / 'empty'
    empty.mkdir()
    assert run_converter(module.main, [str(empty), '--out',
                                       str(tmp_path / 'out')]) == 1
    assert 'error:' in capsys.readouterr().err
    with pytest.raises(SystemExit):
        module.main(['--help'])
    assert 'were not at hand' in capsys.readouterr().out
