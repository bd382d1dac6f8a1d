"""What the fast pipeline can do, and how it says what it cannot."""
from __future__ import annotations

import numpy as np
import pytest
from mmengine.config import Config
from mmengine.dataset import RepeatDataset
from mmpose.registry import DATASETS
from mmpose.structures.bbox import get_udp_warp_matrix, get_warp_matrix

from mirrorpose.datasets import CocoPoseDataset
from mirrorpose.datasets.crops import geometry, use_crop_cache
from mirrorpose.datasets.crops.pipeline import find_leaves

LOAD = [dict(type='LoadImage')]


@pytest.fixture
def make(tmp_path, crops):
    source = crops.frames(tmp_path / 'source', people=3)

    def build(steps, load=LOAD, **kwargs):
        return DATASETS.build(dict(
            type='CachedCropDataset', cache_dir=str(tmp_path / 'c'),
            dataset=dict(source, pipeline=load + steps), **kwargs))
    return build


@pytest.mark.parametrize('step,text', [
    (dict(type='PhotometricDistortion'), 'PhotometricDistortion'),
    (dict(type='RandomFlip', direction='vertical'), 'vertical'),
    (dict(type='RandomFlip', prob=[.2, .2],
          direction=['horizontal', 'vertical']), 'vertical'),
    (dict(type='HandRandomFlip'), 'HandRandomFlip'),
    (dict(type='BottomupResize', input_size=(64, 64)), 'BottomupResize'),
])
def test_an_unknown_transform_is_named(make, crops, step, text):
    steps = crops.pipeline(augment=False)
    steps.insert(1, step)
    with pytest.raises(ValueError, match=text) as error:
        make(steps)
    assert 'stock pipeline' in str(error.value)
    assert 'CocoPoseDataset' in str(error.value)


@pytest.mark.parametrize('load,text', [
    (dict(type='LoadImage', to_float32=True), 'to_float32'),
    (dict(type='LoadImage', color_type='grayscale'), 'grayscale'),
    (dict(type='LoadImage', imdecode_backend='pillow'), 'pillow'),
    (dict(type='LoadImage', ignore_empty=True), 'ignore_empty'),
])
def test_an_unknown_option_is_named(make, crops, load, text):
    with pytest.raises(ValueError, match=text):
        make(crops.pipeline(), [load])


def test_a_callable_in_a_pipeline(make, crops):
    def brighten(results):
        return results
    with pytest.raises(ValueError, match='function'):
        make([brighten, *crops.pipeline()])


def test_other_orders_are_refused(make, crops):
    steps = crops.pipeline()
    steps[1], steps[2] = steps[2], steps[1]
    with pytest.raises(ValueError, match='RandomFlip after RandomBBox'):
        make(steps)
    early = crops.pipeline()
    early.insert(1, dict(type='YOLOXHSVRandomAug'))
    with pytest.raises(ValueError, match='YOLOXHSVRandomAug'):
        make(early)
    with pytest.raises(ValueError, match='twice'):
        make([crops.pipeline()[0], *crops.pipeline()])
    with pytest.raises(ValueError, match="lacks.*'TopdownAffine'"):
        make([s for s in crops.pipeline() if s['type'] != 'TopdownAffine'])


def test_codecs_and_keys_are_checked(make, crops):
    codec = dict(type='SimCCLabel', input_size=(64, 64), sigma=6.,
                 simcc_split_ratio=2.)
    with pytest.raises(ValueError, match='SimCCLabel'):
        make(crops.pipeline(codec=codec))
    steps = crops.pipeline()
    steps[-1] = dict(steps[-1], meta_keys=('id', 'transformed_keypoints'))
    with pytest.raises(ValueError, match='transformed_keypoints'):
        make(steps)
    steps = crops.pipeline()
    steps[-2] = dict(type='GenerateTarget', encoder=[steps[-2]['encoder']])
    with pytest.raises(ValueError, match='several encoders'):
        make(steps)


def test_leaves_must_share_what_follows(tmp_path, crops):
    source = crops.frames(tmp_path / 'source', people=3)
    one = dict(source, pipeline=LOAD + crops.pipeline(64))
    other = dict(source, pipeline=LOAD + crops.pipeline(32))
    with pytest.raises(ValueError, match='same to every sample'):
        DATASETS.build(dict(type='CachedCropDataset', dataset=dict(
            type='CombinedPoseDataset', datasets=[one, other])))
    blank = dict(source, pipeline=[dict(type='LoadBlankImage')])
    with pytest.raises(ValueError, match='LoadBlankImage'):
        DATASETS.build(dict(type='CachedCropDataset', dataset=dict(
            type='CombinedPoseDataset', pipeline=crops.pipeline(),
            datasets=[dict(source, pipeline=LOAD), blank])))
    with pytest.raises(ValueError, match='sample_ratio_factor'):
        DATASETS.build(dict(type='CachedCropDataset', dataset=dict(
            type='CombinedPoseDataset', pipeline=crops.pipeline(),
            sample_ratio_factor=[.5],
            datasets=[dict(source, pipeline=LOAD)])))


def test_data_sets_that_do_more_are_named(tmp_path, crops):
    class Mixing(CocoPoseDataset):
        def prepare_data(self, idx):
            return super().prepare_data(idx)

    source = crops.frames(tmp_path / 'source', people=3)
    options = {k: v for k, v in source.items() if k != 'type'}
    with pytest.raises(ValueError, match='Mixing has a prepare_data'):
        find_leaves(Mixing(**options), {})
    whole = CocoPoseDataset(**options)
    whole.data_mode = 'bottomup'
    with pytest.raises(ValueError, match="data_mode='bottomup'"):
        find_leaves(whole, {})
    with pytest.raises(ValueError, match='cannot look into RepeatDataset'):
        find_leaves(RepeatDataset(CocoPoseDataset(**options), 2), {})


@pytest.mark.parametrize('options,text', [
    (dict(warp='gpu'), "warp is one of.*'gpu'"),
    (dict(margin=0.), 'margin'), (dict(size=4), 'size'),
    (dict(broken=dict(policy='ignore')), "'ignore'")])
def test_options_are_checked(make, crops, options, text):
    with pytest.raises(ValueError, match=text):
        make(crops.pipeline(), **options)


@pytest.mark.parametrize('box,margin', [
    (dict(shift_prob=0., rotate_factor=60., scale_factor=(.75, 1.25)),
     1.25 * 2**.5),
    (dict(shift_prob=0., rotate_prob=0., scale_factor=(.8, 1.1)), 1.1),
    (dict(shift_prob=0., rotate_factor=30., scale_prob=0.),
     np.cos(np.pi / 6) + .5),
    (dict(shift_factor=.2, rotate_prob=0., scale_factor=(.5, .8),
          scale_prob=.5), 1.4)])
def test_margin_follows_from_the_pipeline(make, crops, box, margin):
    data = make(crops.pipeline(256, box=box))
    assert data.margin == pytest.approx(margin)
    assert data.size == max(256, int(np.ceil(256 * margin)))


@pytest.mark.parametrize('size', [(64, 64), (48, 64), (64, 48)])
@pytest.mark.parametrize('degrees', [0., 20., 50., 90., 180.])
def test_extent_of_turned_boxes(size, degrees):
    w, h = size
    angles = np.deg2rad(np.linspace(0, degrees, 20001))
    c, s = np.abs(np.cos(angles)), np.abs(np.sin(angles))
    truth = max((w * c + h * s).max(), (w * s + h * c).max()) / max(size)
    assert geometry.rotated_extent(size, degrees) == pytest.approx(truth,
                                                                   rel=1e-6)
    assert geometry.rotated_extent(size, -degrees) == pytest.approx(
        truth, rel=1e-6)


@pytest.mark.parametrize('use_udp', [False, True])
def test_matrices_are_mmposes(use_udp):
    rng = np.random.default_rng(0)
    n, size = 200, (48, 64)
    center = rng.uniform(-50, 1500, (n, 2)).astype(np.float32)
    scale = geometry.fix_aspect_ratio(
        rng.uniform(5, 900, (n, 2)).astype(np.float32), 48 / 64)
    turn = rng.uniform(-180, 180, n).astype(np.float32)
    turn[:20] = 0
    ours = geometry.warp_matrices(center, scale, turn, size, use_udp)
    theirs = np.array([
        (get_udp_warp_matrix if use_udp else get_warp_matrix)(
            c, s, r, output_size=size)
        for c, s, r in zip(center, scale, turn)])
    # In pixels of the input, over the whole image: far below what either
    # says of the image.
    corners = np.array([[0, 0, 1], [1500, 0, 1], [0, 1500, 1.]]).T
    np.testing.assert_allclose(ours @ corners, theirs @ corners, atol=1e-6,
                               rtol=1e-7)
    back = geometry.invert(ours)
    whole = np.concatenate([ours, np.tile([[[0, 0, 1.]]], (n, 1, 1))], 1)
    np.testing.assert_allclose(back @ whole, np.tile(
        np.eye(3)[:2], (n, 1, 1)), atol=1e-8)


def config(**kwargs):
    return Config(dict(
        train_dataloader=dict(dataset=dict(type='LspDataset')),
        model=dict(data_preprocessor=dict(type='PoseDataPreprocessor',
                                          mean=[1.])), **kwargs))


def test_one_line_of_a_config():
    plain = use_crop_cache(config())
    assert plain.train_dataloader.dataset.type == 'LspDataset'
    cached = use_crop_cache(use_crop_cache(config(
        crop_cache=dict(size=320))))  # twice changes nothing
    assert cached.train_dataloader.dataset.to_dict() == dict(
        type='CachedCropDataset', size=320, dataset=dict(type='LspDataset'))
    assert cached.model.data_preprocessor.to_dict() == dict(
        type='CropPreprocessor', mean=[1.])
    with pytest.raises(TypeError, match='crop_cache'):
        use_crop_cache(config(crop_cache=True))
    other = config(crop_cache=dict())
    other.model.data_preprocessor.type = 'BatchSyncRandomResize'
    with pytest.raises(ValueError, match='BatchSyncRandomResize'):
        use_crop_cache(other)
