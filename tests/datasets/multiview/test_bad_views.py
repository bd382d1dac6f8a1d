"""Views that lack something, and what is no argument."""
from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from mmpose.registry import DATASETS

from mirrorpose.datasets.multiview import MultiViewDataset, SyntheticViews


class Spoilt(SyntheticViews):
    """A source whose index is changed."""

    def __init__(self, change, tag):
        super().__init__(2, 1, 1, 2, 32, 2, name=f'spoilt_{tag}')
        self.change = change

    def read(self, data_root=''):
        return self.change(super().read(data_root))


def uncalibrated(views):
    R = views.R.copy()
    R[views.cameras == 'camera1'] = np.nan
    return replace(views, R=R)


def without(*rows):
    def change(views):
        return views.keep_views(~np.isin(np.arange(len(views)), rows))
    return change


@pytest.fixture
def spoilt(tmp_path):
    def build(change, **kwargs):
        return MultiViewDataset(Spoilt(change, 'x'), inputs='keypoints',
                                cache_dir=str(tmp_path), **kwargs)
    return build


class TestBadInput:

    def test_missing_view(self, spoilt):
        data = spoilt(without(1))
        assert len(data) == 6 and len(set(data.group.tolist())) == 3
        one = spoilt(without(1), min_views=1)
        assert len(one) == 7

    def test_missing_view_can_be_an_error(self, spoilt):
        with pytest.raises(ValueError, match='instants miss views: 1, the '
                           'first is frame 0 of person_000/.* 1 of 2'):
            spoilt(without(1), require_all_views=True)

    def test_single_view(self, spoilt):
        with pytest.raises(ValueError, match='no instant is seen by 2'):
            spoilt(without(1, 3, 5, 7))

    def test_camera_without_calibration(self, spoilt):
        with pytest.raises(ValueError, match="4 views have no calibration, "
                           "the first is camera 'camera1'"):
            spoilt(uncalibrated)
        kept = spoilt(uncalibrated, uncalibrated='unannotated')
        table = kept.view_groups()
        assert len(kept) == 8
        np.testing.assert_array_equal(table['annotated'],
                                      table['camera'] == 'camera0')
        sample = kept.get_batch([1])['data_samples'][0]
        labels = sample.gt_instance_labels
        assert labels.get('keypoints_3d_camera')[0].isnan().all()
        assert labels.get('extrinsics')[0].isnan().any()
        with pytest.raises(ValueError, match='no instant is seen by 2'):
            spoilt(uncalibrated, uncalibrated='drop')
        assert len(spoilt(uncalibrated, uncalibrated='drop',
                          min_views=1)) == 4

    def test_duplicate_frames(self, spoilt):
        def twice(views):
            return replace(views, frame=views.frame * 0)
        with pytest.raises(ValueError, match='duplicate frames'):
            spoilt(twice)

    def test_mixed_joint_sets(self, spoilt):
        def fewer(views):
            return replace(views, keypoints=views.keypoints[:, :14])
        with pytest.raises(ValueError, match='mixed joint sets'):
            spoilt(fewer)

    @pytest.mark.parametrize('kwargs, message', [
        (dict(split_by='view'), "split_by must be one of .*'view'"),
        (dict(inputs='pixels'), 'inputs must be one of'),
        (dict(uncalibrated='guess'), 'uncalibrated must be one of'),
        (dict(stride=0), 'stride and min_views'),
        (dict(stride=[]), 'stride and min_views'),
        (dict(stride=[2, 0]), 'stride and min_views'),
        (dict(subjects=['S1']), "subjects names 'S1'"),
        (dict(part='test'), 'no view is left'),
        (dict(held_out=dict(test=['S9'])), "names 'S9'"),
        (dict(augmentation=dict(shift=2)), 'shift is out of range')])
    def test_arguments(self, make_views, kwargs, message):
        with pytest.raises(ValueError, match=message):
            make_views(**kwargs)

    def test_no_source(self):
        with pytest.raises(TypeError, match='must be a ViewSource'):
            MultiViewDataset(range(3))

    @pytest.mark.parametrize('source, command', [
        (dict(type='PreparedViews', folder='h36m'),
         'tools/dataset_converters/h36m.py SOURCE'),
        (dict(type='TriangulatedClip'), 'MIRRORPOSE_DATA'),
        (dict(type='MocapViews', sources=[dict(
            type='MocapArchive', file='no.npz')]), 'mpi_inf_3dhp.py'),
        (dict(type='RigViews', sources=[], file='cameras/no.json'),
         'MIRRORPOSE_DATA')])
    def test_missing_folder(self, source, command, tmp_path):
        with pytest.raises(FileNotFoundError, match=command):
            DATASETS.build(dict(
                type='MultiViewDataset', source=source,
                data_root=str(tmp_path), cache_dir=str(tmp_path),
                inputs='keypoints' if source['type'] == 'RigViews'
                else 'image'))
