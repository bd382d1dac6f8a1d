import numpy as np
import pytest

from mirrorpose.datasets.lsp import LspDataset
from mirrorpose.datasets.transforms import DropLabels, LoadBlankImage


def sample():
    return dict(keypoints=np.ones((1, 16, 2), np.float32),
                keypoints_visible=np.ones((1, 16), np.float32),
                bbox=np.array([[0, 0, 9, 9.]]), is_labeled=True,
                silhouette_path='m.png', segmentation=[[0, 0, 1, 1, 1, 0]],
                head_size=np.ones((1, 1)))


def test_nothing_of_the_label_is_left():
    out = DropLabels()(sample())
    assert out['is_labeled'] is False
    assert not out['keypoints'].any() and not out['keypoints_visible'].any()
    assert set(out) == {'keypoints', 'keypoints_visible', 'bbox',
                        'is_labeled'}
    np.testing.assert_array_equal(out['bbox'], sample()['bbox'])


@pytest.mark.parametrize('late', [
    dict(heatmaps=np.ones((16, 4, 4))),
    dict(transformed_keypoints=np.ones((1, 16, 2))),
    dict(img=np.zeros((4, 4, 4), np.uint8))])
def test_too_late(late):
    with pytest.raises(ValueError, match='too late'):
        DropLabels()(sample() | late)


def test_unlabelled_samples_pass_the_pipeline(lsp_root):
    data = LspDataset(data_root=str(lsp_root), label_fraction=.5,
                      part='unlabelled', pipeline=[
                          dict(type='DropLabels'), dict(type='LoadImage'),
                          dict(type='LoadSilhouette', required=False),
                          dict(type='GetBBoxCenterScale'),
                          dict(type='RandomFlip'),
                          dict(type='TopdownAffine', input_size=(64, 64)),
                          dict(type='GenerateTarget', encoder=dict(
                              type='OneHotHeatmap', input_size=(64, 64),
                              heatmap_size=(16, 16))),
                          dict(type='SplitSilhouette', heatmap_size=(16, 16)),
                          dict(type='PackPoseInputs', meta_keys=(
                              'id', 'is_labeled'))])
    assert len(data) == 5
    for i in range(5):
        out = data[i]['data_samples']
        assert out.is_labeled is False
        assert not out.gt_fields.heatmaps.any()
        assert not out.gt_instance_labels.keypoint_weights.any()
        assert 'silhouette' not in out.gt_fields


def test_blank_image_gives_the_same_targets(lsp_root):
    def run(load):
        return LspDataset(data_root=str(lsp_root), pipeline=[
            load, dict(type='GetBBoxCenterScale'),
            dict(type='RandomFlip', prob=1., direction='horizontal'),
            dict(type='TopdownAffine', input_size=(64, 64)),
            dict(type='GenerateTarget', encoder=dict(
                type='OneHotHeatmap', input_size=(64, 64),
                heatmap_size=(16, 16))), dict(type='PackPoseInputs')])

    real, blank = run(dict(type='LoadImage')), run(
        dict(type='LoadBlankImage'))
    for i in range(len(real)):
        a, b = real[i]['data_samples'], blank[i]['data_samples']
        assert (a.gt_fields.heatmaps == b.gt_fields.heatmaps).all()
        assert blank[i]['inputs'].shape == real[i]['inputs'].shape
        assert not blank[i]['inputs'].any()
    assert LoadBlankImage()({})['img'].shape == (1, 1, 3)
