"""Annotation checks against a loop over people and joints."""
from __future__ import annotations

import time

import numpy as np
import pytest

import mirrorpose  # noqa: F401
from mirrorpose.datasets import LspDataset
from mirrorpose.datasets.annotation_checks import (
    check_annotations,
    check_dataset,
    report_findings,
)
from mirrorpose.datasets.broken import BrokenSampleError, BrokenSamples
from mirrorpose.structures import Skeleton

MPII = Skeleton.from_name('mpii_16')
SIZE = (640, 480)


def person(number=0, **changes) -> dict:
    """A sound person, 100 to 300 pixels from the image's corner."""
    rng = np.random.default_rng(number)
    points = rng.uniform(100, 300, (1, 16, 2)).astype(np.float32)
    info = dict(
        id=f's{number}', img_path=f'{number}.jpg', keypoints=points,
        keypoints_visible=np.ones((1, 16), np.float32),
        bbox=np.concatenate([points.min(1), points.max(1)], 1))
    return info | changes


def altered(number=0, joint=3, point=None, visible=None) -> dict:
    info = person(number)
    if point is not None:
        info['keypoints'][0, joint] = point
        info['bbox'] = np.concatenate([info['keypoints'].min(1),
                                       info['keypoints'].max(1)], 1)
    if visible is not None:
        info['keypoints_visible'][0, joint] = visible
    return info


def kinds(*infos, **options) -> list[tuple[str, str, bool]]:
    return [(f.sample, f.kind, f.broken)
            for f in check_annotations(infos, MPII, **options)]


class TestRules:

    def test_sound(self):
        assert kinds(*[person(i) for i in range(50)]) == []

    @pytest.mark.parametrize('value', [np.nan, np.inf, -np.inf])
    def test_not_finite(self, value):
        bad = person(1)
        bad['keypoints'][0, 3, 1] = value
        found = check_annotations([person(), bad, person(2)], MPII)
        assert [(f.index, f.kind) for f in found] == [(1, 'not_finite')]
        assert MPII.joints[3] in found[0].reason

    @pytest.mark.parametrize('value', [np.nan, np.inf, -5000., 7.])
    def test_absent_joints_may_hold_anything(self, value):
        bad = person()
        bad['keypoints'][0, 3] = value
        bad['keypoints_visible'][0, 3] = 0
        assert kinds(bad) == []

    @pytest.mark.parametrize('value', [3, -1, .5, np.nan, np.inf])
    def test_visibility(self, value):
        assert kinds(altered(visible=value)) == [('s0', 'visibility', True)]

    def test_visibility_2_is_known(self):
        assert kinds(altered(visible=2)) == []

    @pytest.mark.parametrize('box', [
        [10, 10, 10, 50], [10, 10, 50, 10], [50, 50, 10, 10],
        [10, 10, np.nan, 50], [10, 10, np.inf, 50]])
    def test_box(self, box):
        bad = person(bbox=np.array([box], np.float32))
        assert ('s0', 'box', True) in kinds(bad)

    def test_no_visible_joint(self):
        bare = person(keypoints_visible=np.zeros((1, 16)))
        assert kinds(bare) == [('s0', 'none_visible', True)]
        assert kinds(bare | dict(is_labeled=False)) == []

    def test_outside_is_counted_and_far_outside_is_broken(self):
        """The person is about 200 pixels large."""
        assert kinds(altered(point=(-150, 200))) == [
            ('s0', 'outside', False)]
        assert kinds(altered(point=(-320, 200))) == [
            ('s0', 'far_outside', True)]
        assert kinds(altered(point=(200, -320))) == [
            ('s0', 'far_outside', True)]
        assert kinds(altered(point=(-320, 200)), max_outside=5) == [
            ('s0', 'outside', False)]

    @pytest.mark.parametrize('size', [
        dict(width=640, height=480), dict(ori_shape=(480, 640)),
        dict(img_shape=(480, 640))])
    def test_right_and_below_where_the_size_is_known(self, size):
        far = altered(point=(1500, 200))
        assert kinds(far) == []
        assert kinds(far | size) == [('s0', 'far_outside', True)]
        assert kinds(far, sizes=np.array([SIZE])) == [
            ('s0', 'far_outside', True)]
        assert kinds(altered(point=(700, 200)) | size) == [
            ('s0', 'outside', False)]
        assert kinds(altered(point=(630, 470)) | size) == []

    def test_poses_without_image_have_no_outside(self):
        assert kinds(altered(point=(-5000, 200)) | dict(img_path='')) == []

    def test_joint_count(self):
        bad = person(keypoints=np.zeros((1, 14, 2)),
                     keypoints_visible=np.ones((1, 14)))
        found = check_annotations([bad, person(1)], MPII.metainfo())
        assert [(f.sample, f.kind) for f in found] == [('s0', 'joints')]
        assert '(1, 14, 2)' in found[0].reason and '16' in found[0].reason
        assert kinds(person(keypoints_visible=np.ones((1, 15)))) == [
            ('s0', 'joints', True)]

    def test_duplicate_ids(self):
        found = check_annotations(
            [person(0), person(1), person(2, id='s0')], MPII)
        assert [(f.sample, f.index, f.kind) for f in found] == [
            ('s0', 2, 'duplicate')]
        assert 'samples 0 and 2' in found[0].reason

    def test_three_dimensions_and_several_people(self):
        deep = person(keypoints=np.full((1, 16, 3), -900.))
        assert kinds(deep) == []
        crowd = person(1, keypoints=np.repeat(person()['keypoints'], 3, 0),
                       keypoints_visible=np.ones((3, 16)),
                       bbox=np.repeat(person()['bbox'], 3, 0))
        assert kinds(crowd) == []
        crowd['keypoints'][2, 5] = np.nan
        assert kinds(deep, crowd) == [('s1', 'not_finite', True)]


def slow_kinds(infos) -> set[tuple[int, str]]:
    """The rules once more, joint by joint."""
    out, seen = set(), {}
    for i, info in enumerate(infos):
        if info['id'] in seen:
            out.add((i, 'duplicate'))
        seen[info['id']] = i
        x1, y1, x2, y2 = (float(v) for v in info['bbox'][0])
        if not all(np.isfinite([x1, y1, x2, y2])) or x2 <= x1 or y2 <= y1:
            out.add((i, 'box'))
        marked = 0
        inside = max(min(x2, SIZE[0]) - max(x1, 0),
                     min(y2, SIZE[1]) - max(y1, 0))
        side = inside if inside > 0 else max(x2 - x1, y2 - y1)
        side = side if np.isfinite(side) else 0
        for (x, y), v in zip(info['keypoints'][0],
                             info['keypoints_visible'][0]):
            if v not in (0, 1, 2):
                out.add((i, 'visibility'))
            if v <= 0:
                continue
            marked += 1
            if not (np.isfinite(x) and np.isfinite(y)):
                out.add((i, 'not_finite'))
                continue
            outside = max(-x, -y, x - SIZE[0], y - SIZE[1])
            if outside > side:
                out.add((i, 'far_outside'))
            elif outside > 0:
                out.add((i, 'outside'))
        if not marked and info.get('is_labeled', True):
            out.add((i, 'none_visible'))
    return out


def test_against_a_loop():
    rng = np.random.default_rng(0)
    infos = [person(i, width=SIZE[0], height=SIZE[1]) for i in range(400)]
    values = [np.nan, np.inf, -30, -2000, 700, 3000, 0, 250]
    for info in infos:
        for _ in range(rng.integers(0, 3)):
            k = rng.integers(16)
            choice = rng.integers(6)
            if choice < 3:
                info['keypoints'][0, k, rng.integers(2)] = rng.choice(values)
            elif choice == 3:
                info['keypoints_visible'][0, k] = rng.choice(
                    [0, 1, 2, 3, -1, np.nan])
            elif choice == 4:
                info['bbox'][0, rng.integers(4)] = rng.choice(values)
            else:
                info['id'] = f's{rng.integers(20)}'
        if rng.random() < .05:
            info['keypoints_visible'][:] = 0
            info['is_labeled'] = bool(rng.random() < .5)
    found = check_annotations(infos, MPII)
    assert {(f.index, f.kind) for f in found} == slow_kinds(infos)
    assert len({f.kind for f in found}) == 7  # all but the joint count
    assert [f.index for f in found] == sorted(f.index for f in found)


def test_speed():
    infos = [person(i % 100, id=i) for i in range(20_000)]
    start = time.process_time()
    assert check_annotations(infos, MPII) == []
    assert time.process_time() - start < 2  # 0.3 s on an idle core


class TestDataSets:

    def test_fixture_and_policies(self, lsp_root, tmp_path):
        dataset = LspDataset(data_root=str(lsp_root), subset='all')
        assert check_dataset(dataset) == []
        dataset = LspDataset(data_root=str(lsp_root), subset='all',
                             serialize_data=False)
        dataset.data_list[4]['keypoints'][0, 2] = np.nan
        dataset.data_list[5]['keypoints'][0, 2] = -5
        dataset.data_list[6]['id'] = dataset.data_list[7]['id']
        found = check_dataset(dataset)
        assert [(f.index, f.kind) for f in found] == [
            (4, 'not_finite'), (5, 'outside'), (7, 'duplicate')]

        with pytest.raises(BrokenSampleError) as error:
            report_findings(found, BrokenSamples(), 'lsp.npz')
        for part in ('2 annotations are broken in lsp.npz',
                     '1 not_finite', 'lsp/im00005',
                     'right_hip', 'lsp/im00008', "policy='skip'"):
            assert part in str(error.value)
        broken = BrokenSamples('skip', .1, tmp_path / 'b.csv', 20)
        report_findings(found, broken, 'lsp.npz')
        assert set(broken.reasons) == {'lsp/im00005', 'lsp/im00008'}
        with pytest.raises(RuntimeError, match='2 of 20'):
            report_findings(found, BrokenSamples('skip', .05, None, 20))
        report_findings(found[1:2], BrokenSamples())  # only counted

    def test_names_of_several_data_sets(self, lsp_root):
        from mmengine.dataset import ConcatDataset
        parts = [LspDataset(data_root=str(lsp_root), serialize_data=False)
                 for _ in range(2)]
        for dataset in parts:
            for i, info in enumerate(dataset.data_list):
                info['id'] = i
        parts[1].data_list[3]['bbox'][:] = 0
        found = check_dataset(ConcatDataset(parts))
        assert [(f.sample, f.kind) for f in found] == [('1/3', 'box')]
        assert check_dataset(parts[1])[0].sample == '3'

    def test_real_data_are_sound(self, data_root):
        for name in ('lsp', 'lspet'):
            if not (data_root / name / f'{name}.npz').is_file():
                pytest.skip('no LSP')
            dataset = LspDataset(ann_file=f'{name}/{name}.npz',
                                 serialize_data=False,
                                 data_root=str(data_root), subset='all')
            assert check_dataset(dataset) == []
