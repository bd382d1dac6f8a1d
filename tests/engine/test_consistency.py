"""What check_consistency finds, on configs that are spoilt one by one."""
from __future__ import annotations

import copy
import random
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmpose.registry import RUNNERS

from mirrorpose.engine.consistency import (
    check_consistency,
    find_inconsistencies,
    side_by_side,
)
from mirrorpose.structures import Skeleton

ROOT = Path(__file__).resolve().parents[2]
ENTRIES = sorted(ROOT.glob('configs/*.py'))
STOCK = [
    'body_2d_keypoint/topdown_heatmap/coco/'
    'td-hm_res50_8xb64-210e_coco-256x192.py',
    'body_2d_keypoint/topdown_heatmap/coco/'
    'td-hm_hrnet-w32_udp-8xb64-210e_coco-256x192.py',
    'body_2d_keypoint/topdown_heatmap/coco/'
    'td-hm_hrnet-w32_8xb64-210e_coco-aic-256x192-combine.py',
    'body_2d_keypoint/topdown_heatmap/coco/'
    'cspnext-m_udp_8xb256-210e_aic-coco-256x192.py',
    'body_2d_keypoint/topdown_heatmap/jhmdb/'
    'td-hm_cpm_8xb32-40e_jhmdb-sub1-368x368.py',
    'body_2d_keypoint/topdown_heatmap/mpii/'
    'td-hm_hrnet-w32_8xb64-210e_mpii-256x256.py',
    'body_2d_keypoint/topdown_regression/coco/'
    'td-reg_res50_rle-8xb64-210e_coco-256x192.py',
    'body_2d_keypoint/integral_regression/coco/'
    'ipr_res50_8xb64-210e_coco-256x256.py',
    'body_2d_keypoint/simcc/coco/'
    'simcc_res50_8xb64-210e_coco-256x192.py',
    'body_2d_keypoint/rtmpose/coco/'
    'rtmpose-m_8xb256-420e_coco-256x192.py',
    'body_2d_keypoint/rtmpose/body8/'
    'rtmpose-m_8xb256-420e_body8-256x192.py',
    'body_2d_keypoint/associative_embedding/coco/'
    'ae_hrnet-w32_8xb24-300e_coco-512x512.py',
    'body_3d_keypoint/video_pose_lift/h36m/'
    'video-pose-lift_tcn-27frm-supv_8xb128-160e_h36m.py',
    'animal_2d_keypoint/topdown_heatmap/animalpose/'
    'td-hm_res50_8xb64-210e_animalpose-256x256.py',
    'face_2d_keypoint/topdown_heatmap/wflw/'
    'td-hm_hrnetv2-w18_8xb64-60e_wflw-256x256.py',
    'hand_3d_keypoint/internet/interhand3d/'
    'internet_res50_4xb16-20e_interhand3d-256x256.py',
]


def stock(name: str) -> Config:
    import mmpose
    path = Path(mmpose.__file__).parent / '.mim/configs' / name
    if not path.is_file():
        pytest.skip(f'this mmpose has no config {name}')
    return Config.fromfile(path)


@pytest.fixture(scope='module')
def entry() -> Config:
    init_default_scope('mmpose')
    return Config.fromfile(ROOT / 'configs/mirrornet_small_synthetic.py')


@pytest.fixture
def cfg(entry) -> Config:
    return copy.deepcopy(entry)


def affine(cfg, loader='train_dataloader'):
    return next(t for t in cfg[loader].dataset.pipeline
                if t['type'] == 'TopdownAffine')


def encoder(cfg):
    return next(t.encoder for t in cfg.train_dataloader.dataset.pipeline
                if t['type'] == 'GenerateTarget')


def raw(**changes) -> dict:
    info = copy.deepcopy(Skeleton.from_name('mpii_16').metainfo())
    info.update(changes)
    return info


def text_of(cfg) -> str:
    return '\n'.join(str(f) for f in find_inconsistencies(cfg) if f.fatal)


# -- no false alarms -------------------------------------------------------
@pytest.mark.parametrize('path', ENTRIES, ids=lambda p: p.stem)
def test_our_entries_and_their_stages_fit(path, tmp_path, monkeypatch):
    monkeypatch.setenv('MIRRORPOSE_DATA', str(tmp_path / 'nowhere'))
    cfg = Config.fromfile(path)
    cfg.work_dir = str(tmp_path)
    init_default_scope('mmpose')
    assert not find_inconsistencies(cfg)
    for stage in cfg.get('stages') or []:
        stage.pop('init_from', None)
        stage.pop('load_from_stage', None)
    if not cfg.get('stages'):
        return
    runner = RUNNERS.build(cfg)
    for name in runner.stage_names:
        assert not find_inconsistencies(runner.stage_config(name)), name


@pytest.mark.parametrize('name', STOCK, ids=lambda n: n.split('/')[-1])
def test_stock_configs_fit(name):
    init_default_scope('mmpose')
    assert not [f for f in find_inconsistencies(stock(name)) if f.fatal]


def test_faults_that_mmpose_ships_are_doubtful_only():
    """Its deepfashion2 swaps vest_kpt9 one way; coco_aic lacks a weight."""
    init_default_scope('mmpose')
    one, = find_inconsistencies(stock(
        'body_2d_keypoint/topdown_heatmap/coco/'
        'td-hm_hrnet-w32_8xb64-210e_coco-aic-256x192-combine.py'))
    assert not one.fatal and '18 numbers for 19 joints' in one.what


# -- one fault each ---------------------------------------------------------
def wrong_val_joints(cfg):
    names = Skeleton.from_name('mpii_16').metainfo()
    info = names['keypoint_info']
    info[0]['name'], info[1]['name'] = 'right_knee', 'right_ankle'
    info[0]['swap'], info[1]['swap'] = 'left_knee', 'left_ankle'
    cfg.val_dataloader.dataset.metainfo = names


def other_joint_set(cfg):
    cfg.val_dataloader.dataset.joints = 'h36m_17'


def unknown_limb(cfg):
    info = raw()
    info['skeleton_info'][0]['link'] = ('right_ankle', 'right_nee')
    cfg.val_dataloader.dataset.metainfo = info


def one_way_swap(cfg):
    info = raw()
    info['keypoint_info'][0]['swap'] = 'left_knee'
    cfg.val_dataloader.dataset.metainfo = info


def no_swap(cfg):
    info = raw()
    for i in (0, 5):
        info['keypoint_info'][i]['swap'] = ''
    cfg.val_dataloader.dataset.metainfo = info


def swap_of_nobody(cfg):
    info = raw()
    info['keypoint_info'][0]['swap'] = 'left_ankel'
    cfg.val_dataloader.dataset.metainfo = info


def shuffled_ids(cfg):
    info = raw()
    old = info['keypoint_info']
    info['keypoint_info'] = {i: old[i] for i in [1, 0, *range(2, 16)]}
    cfg.val_dataloader.dataset.metainfo = info


def short_sigmas(cfg):
    cfg.val_dataloader.dataset.metainfo = raw(sigmas=[.07] * 15)


def wrong_crop(cfg):
    affine(cfg).input_size = (64, 96)


def wrong_test_crop(cfg):
    affine(cfg, 'test_dataloader').input_size = (96, 96)


def wrong_sigma_in_pipeline(cfg):
    encoder(cfg).sigma = 2.


def other_codec(cfg):
    cfg.model.head.decoder = dict(type='OneHotHeatmap', input_size=(64, 64),
                                  heatmap_size=(16, 16))


def wrong_map_size(cfg):
    for codec in (encoder(cfg), cfg.model.head.decoder):
        codec.heatmap_size = (32, 32)
    cfg.model.pose_vae.map_size = (32, 32)


def wrong_joint_count(cfg):
    cfg.model.head.out_channels = 17


def wrong_model_sigma(cfg):
    cfg.model.sigma = 2.


def default_model_sigma(cfg):
    del cfg.model['sigma']  # the default of MirrorNet is 2


def wrong_vae_sigma(cfg):
    cfg.model.pose_vae.sigma = 2.


def wrong_vae_maps(cfg):
    cfg.model.pose_vae.map_size = (16, 24)


def wrong_vae_joints(cfg):
    cfg.model.pose_vae.skeleton = 'lsp_14'
    for part in ('recognizer', 'generator'):
        cfg.model.pose_vae[part].pop('in_channels', None)


def wrong_vector_size(cfg):
    cfg.model.pose_vae.generator.vector_size = (4, 4)


def torso_of_mmpose(cfg):
    cfg.val_evaluator = dict(type='PCKAccuracy', norm_item=['bbox', 'torso'])


def mpii_metric_on_others(cfg):
    cfg.train_dataloader.dataset = dict(
        type='SyntheticPoseDataset', num_samples=9, joints='h36m_17',
        pipeline=cfg.train_dataloader.dataset.pipeline)
    cfg.val_dataloader.dataset.joints = 'h36m_17'
    cfg.test_dataloader.dataset.joints = 'h36m_17'
    cfg.val_evaluator = dict(type='MpiiPCKAccuracy', norm_item='bbox')


def oks_without_sigmas(cfg):
    cfg.val_dataloader.dataset.metainfo = raw(sigmas=[])
    cfg.val_evaluator = dict(type='CocoMetric', ann_file='x.json')


def short_std(cfg):
    cfg.model.data_preprocessor.std = [58.]


def zero_std(cfg):
    cfg.model.data_preprocessor.std = [58., 0., 58.]


def sampler_of_another_batch(cfg):
    cfg.train_dataloader.sampler.batch_size = 16


def flip_test_without_indices(cfg):
    cfg.model.test_cfg.flip_test = True
    pack = next(t for t in cfg.val_dataloader.dataset.pipeline
                if t['type'] == 'PackPoseInputs')
    pack.meta_keys = tuple(k for k in pack.meta_keys if k != 'flip_indices')


@pytest.mark.parametrize('spoil, words', [
    (wrong_val_joints, ['train_dataloader.dataset (CombinedPoseDataset)',
                        'val_dataloader.dataset', '0  right_ankle',
                        'right_knee', 'KeypointConverter']),
    (other_joint_set, ['16 in training, 17 in val', 'root']),
    (unknown_limb, ["['right_nee']", 'skeleton_info']),
    (one_way_swap, ["'right_ankle' swaps with 'left_knee'", 'involution']),
    (no_swap, ["'left_ankle' has no \"swap\"", "'right_ankle'"]),
    (swap_of_nobody, ["'left_ankel'", 'no joint']),
    (shuffled_ids, ['ids of keypoint_info', '[1, 0, 2']),
    (short_sigmas, ['sigmas has 15 numbers for 16']),
    (wrong_crop, ['TopdownAffine', '64 x 96', '64 x 64',
                  'train_dataloader.dataset.pipeline']),
    (wrong_test_crop, ['test_dataloader.dataset.pipeline', '96 x 96']),
    (wrong_sigma_in_pipeline, ['sigma=2.0 / 1.0', 'model.head.decoder']),
    (other_codec, ['MSRAHeatmap / OneHotHeatmap']),
    (wrong_map_size, ['16 maps of 32 x 32', '16 of 16 x 16']),
    (wrong_joint_count, ['draws 16 maps', 'gives 17', 'has 16 joints']),
    (wrong_model_sigma, ['model (MirrorNet)', 'sigma=2 cells']),
    (default_model_sigma, ['model (MirrorNet)', 'sigma=2 cells']),
    (wrong_vae_sigma, ['model.pose_vae', 'set sigma=1 in both']),
    (wrong_vae_maps, ['map_size=(16, 16)', '(16, 24) (h, w)']),
    (wrong_vae_joints, ["'lsp_14'", 'right_wrist']),
    (wrong_vector_size, ['model.pose_vae', 'vector_size']),
    (torso_of_mmpose, ["['left_knee', 'left_ankle']", 'LspPCK']),
    (mpii_metric_on_others, ['MPII', '17', 'val_evaluator']),
    (oks_without_sigmas, ['OKS', 'sigmas']),
    (short_std, ['std=[58.0]', 'model.data_preprocessor']),
    (zero_std, ['not positive']),
    (sampler_of_another_batch, ['batch_size=32', '16']),
    (flip_test_without_indices, ['flip_indices', 'val_dataloader']),
], ids=lambda v: v.__name__ if callable(v) else '')
def test_a_fault_is_named_with_its_place(cfg, spoil, words):
    assert not find_inconsistencies(cfg)
    spoil(cfg)
    text = text_of(cfg)
    assert all(w in text for w in words), text
    assert '->' in text


def test_doubtful_values_do_not_stop(cfg):
    cfg.model.data_preprocessor.update(mean=[.485, .456, .406],
                                       std=[.229, .224, .225])
    one, = check_consistency(cfg)
    assert not one.fatal and '255' in one.fix


@pytest.mark.parametrize('shape, words', [
    (dict(simcc_split_ratio=3.), '576 bins along x, the model gives 17 of '
     '384'),
    (dict(input_size=(192, 192)), 'the crop is 192 x 256')])
def test_simcc_bins(shape, words):
    init_default_scope('mmpose')
    cfg = stock('body_2d_keypoint/simcc/coco/'
                'simcc_res50_8xb64-210e_coco-256x192.py')
    for codec in (cfg.model.head.decoder, encoder(cfg)):
        codec.update(shape)
    assert words in text_of(cfg)


def test_regression_head_and_joints():
    init_default_scope('mmpose')
    cfg = stock('body_2d_keypoint/topdown_regression/coco/'
                'td-reg_res50_rle-8xb64-210e_coco-256x192.py')
    cfg.model.head.num_joints = 16
    assert 'the codec encodes 17 joints, the model gives 16' in text_of(cfg)


def test_converters_are_followed():
    init_default_scope('mmpose')
    cfg = stock('body_2d_keypoint/topdown_heatmap/coco/'
                'td-hm_hrnet-w32_8xb64-210e_coco-aic-256x192-combine.py')

    def converter(node):
        for t in node.get('pipeline') or []:
            if t['type'] == 'KeypointConverter':
                return node, t
        for inner in [node.get('dataset'), *(node.get('datasets') or [])]:
            found = converter(inner) if inner else None
            if found:
                return found
        return None

    node, step = converter(cfg.train_dataloader.dataset)
    step.num_keypoints = 18
    assert 'it makes 18 joints' in text_of(cfg)
    node.pipeline.remove(step)
    assert 'nothing converts them' in text_of(cfg)
    del cfg.model.test_cfg['output_keypoint_indices']
    assert '19 in training, 17 in val' in text_of(cfg)


def test_targets_that_are_drawn_on_the_device(cfg):
    """A preprocessor's codec counts where the pipeline has none."""
    pipeline = cfg.train_dataloader.dataset.pipeline
    drawn = dict(encoder(cfg))
    cfg.train_dataloader.dataset.pipeline = [
        t for t in pipeline if t['type'] != 'GenerateTarget']
    cfg.model.data_preprocessor.codec = drawn
    assert not find_inconsistencies(cfg)
    cfg.model.data_preprocessor.codec = dict(drawn, sigma=2.)
    assert 'sigma=2.0 / 1.0' in text_of(cfg)
    assert 'model.data_preprocessor.codec' in text_of(cfg)


# -- how it is told ----------------------------------------------------------
def test_all_differences_in_one_error(cfg):
    wrong_joint_count(cfg)
    torso_of_mmpose(cfg)
    with pytest.raises(ValueError) as error:
        check_consistency(cfg)
    text = str(error.value)
    assert '2 differences' in text and '\n1. ' in text and '\n2. ' in text
    assert "consistency = 'warn'" in text


@pytest.mark.parametrize('policy', ['warn', 'off'])
def test_policies(cfg, policy):
    wrong_joint_count(cfg)
    cfg.consistency = policy
    assert bool(check_consistency(cfg)) == (policy == 'warn')
    with pytest.raises(ValueError, match='17'):
        check_consistency(cfg, 'error')


def test_unknown_policy(cfg):
    with pytest.raises(ValueError, match="got 'loud'"):
        check_consistency(cfg, 'loud')


def test_random_states_rest(cfg):
    torch.manual_seed(3)
    random.seed(3)
    before = torch.get_rng_state(), random.getstate(), np.random.get_state()  # noqa: NPY002
    find_inconsistencies(cfg)
    assert torch.equal(before[0], torch.get_rng_state())
    assert before[1] == random.getstate()
    assert all(np.array_equal(a, b) for a, b in
               zip(before[2], np.random.get_state()))  # noqa: NPY002


def test_side_by_side_shows_what_differs():
    table = side_by_side(['a', 'bb', 'c'], ['a', 'x', 'c', 'd'], 'one',
                         'other')
    assert [line.split() for line in table.splitlines()] == [
        ['one', 'other'], ['1', 'bb', 'x'], ['3', '-', 'd']]
    many = side_by_side(['a'] * 20, ['b'] * 20, 'one', 'other', most=5)
    assert many.splitlines()[-1].strip() == '... and 15 more'
