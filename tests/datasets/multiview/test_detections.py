"""2D joints of a recognizer in place of the true ones."""
from __future__ import annotations

import numpy as np
import pytest
import torch
from mmengine.structures import InstanceData
from mmpose.structures import PoseDataSample

from mirrorpose.datasets.multiview.detections import (
    detect,
    write_detections,
)


def finder(keypoints, scores):
    """A recognizer that knows the answers, in order."""
    rest = list(zip(keypoints, scores))

    def find(images):
        out = []
        for image in images:
            assert image.shape == (32, 32, 3) and image.dtype == np.uint8
            points, score = rest.pop(0)
            sample = PoseDataSample()
            sample.pred_instances = InstanceData(
                keypoints=points[None], keypoint_scores=score[None])
            out.append(sample)
        return out
    return find


@pytest.fixture
def found(make_views, tmp_path):
    """A file of detections two pixels off, some without a score."""
    data = make_views()
    rng = np.random.default_rng(0)
    off = rng.choice([-2., 2.], data.keypoints.shape)
    scores = rng.random(data.keypoints.shape[:2]).astype(np.float32)
    made = detect(finder(data.keypoints + off, scores), data, 50)
    write_detections(tmp_path / 'found.npz', made)
    return made


def test_inputs_are_what_was_found(make_views, found, tmp_path):
    """Of the views that are kept, in their order; labels stay the truth."""
    kept = dict(inputs='keypoints', held_out=dict(val=['person_001']),
                part='train', annotated=dict(fraction=.5, seed=0))
    truth = make_views(**kept)
    data = make_views(detections=str(tmp_path / 'found.npz'),
                      min_score=.3, **kept)
    place = {name: i for i, name in enumerate(found.ids.tolist())}
    rows = np.arange(len(data))
    batch, other = data.get_batch(rows), truth.get_batch(rows)
    for i, (inputs, sample) in enumerate(zip(batch['inputs'],
                                             batch['data_samples'])):
        at = place[sample.id]
        there = found.scores[at] >= .3
        np.testing.assert_array_equal(inputs[:, 2] > 0, there)
        np.testing.assert_allclose(
            sample.gt_instances.keypoints[0][there],
            found.keypoints[at][there], atol=1e-4)
        np.testing.assert_array_equal(inputs[~there], 0)
        for key in ('keypoints_3d_canonical', 'pose_annotated'):
            assert torch.equal(
                sample.gt_instance_labels[key].nan_to_num(),
                other['data_samples'][i].gt_instance_labels[key]
                .nan_to_num())
    assert not torch.equal(batch['inputs'], other['inputs'])


def test_crops_of_another_size(make_views, found, tmp_path):
    write_detections(tmp_path / 'twice.npz', found._replace(
        keypoints=2 * found.keypoints, size=64))
    a, b = (make_views(inputs='keypoints', detections=str(tmp_path / name))
            for name in ('found.npz', 'twice.npz'))
    np.testing.assert_allclose(a.keypoints, b.keypoints, rtol=1e-6)


def test_nothing_found_where_it_is_not_finite(make_views, found, tmp_path):
    points = found.keypoints.copy()
    points[0, 3] = np.nan
    write_detections(tmp_path / 'nan.npz', found._replace(keypoints=points))
    data = make_views(inputs='keypoints', detections=str(tmp_path / 'nan.npz'))
    assert data.visible.sum() == data.visible.size - 1
    assert np.isfinite(data.keypoints).all()


class TestBadInput:

    def read(self, make_views, tmp_path, name='found.npz', **kwargs):
        return make_views(**{'inputs': 'keypoints',
                             'detections': str(tmp_path / name), **kwargs})

    def test_no_file(self, make_views, tmp_path):
        with pytest.raises(FileNotFoundError, match='detect_views.py'):
            self.read(make_views, tmp_path)

    def test_damaged(self, make_views, found, tmp_path):
        whole = (tmp_path / 'found.npz').read_bytes()
        (tmp_path / 'found.npz').write_bytes(whole[:len(whole) // 2])
        with pytest.raises(ValueError, match='make it again'):
            self.read(make_views, tmp_path)

    def test_other_views(self, make_views, found, tmp_path):
        write_detections(tmp_path / 'found.npz', found._replace(
            ids=found.ids[:9], keypoints=found.keypoints[:9],
            scores=found.scores[:9]))
        with pytest.raises(ValueError, match='no detections of 63 of 72'):
            self.read(make_views, tmp_path)

    def test_other_joints(self, make_views, found, tmp_path):
        write_detections(tmp_path / 'found.npz', found._replace(
            keypoints=found.keypoints[:, :14], scores=found.scores[:, :14]))
        with pytest.raises(ValueError, match='17, 2'):
            self.read(make_views, tmp_path)
        data = make_views()
        with pytest.raises(ValueError, match='finds 14 joints'):
            detect(finder(data.keypoints[:, :14],
                          np.ones((len(data), 14))), data)

    def test_images_have_none(self, make_views, found, tmp_path):
        with pytest.raises(ValueError, match="inputs='keypoints'"):
            self.read(make_views, tmp_path, inputs='image')
