"""Cases: joints, boxes, ids, joint sets, splits."""
from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from mirrorpose.datasets import (
    CocoPoseDataset,
    CombinedPoseDataset,
    LspDataset,
    PoseCollectionDataset,
)
from mirrorpose.datasets.annotation_checks import (
    check_annotations,
    report_findings,
)
from mirrorpose.datasets.broken import BrokenSamples
from mirrorpose.datasets.splits import ranked_split
from mirrorpose.datasets.transforms import DropLabels
from mirrorpose.structures import Skeleton

from . import error, rule

_MPII = Skeleton.from_name('mpii_16')
_SKIP = "broken_samples=dict(policy='skip')"


def person(name: str, **changes: Any) -> dict:
    """A sound person of 16 joints, 100 to 300 pixels from the corner."""
    grid = np.linspace(100, 300, 16, dtype=np.float32)
    return dict(id=name, img_path=f'{name}.jpg', keypoints=np.stack(
        [grid, grid[::-1]], 1)[None], keypoints_visible=np.ones((1, 16)),
        bbox=np.array([[100, 100, 300, 300]], np.float32)) | changes


def check(**changes: Any) -> None:
    """Checks three people, of whom the second is changed."""
    people = [person(f'people/{i}') for i in range(3)]
    people[1].update(changes)
    report_findings(check_annotations(people, _MPII), BrokenSamples(),
                    'people.json')


def joints(value: Any, joint: str = 'left_knee') -> np.ndarray:
    """Sound joints, but one that stands at ``value``."""
    points = person('')['keypoints']
    points[0, _MPII.index(joint)[0]] = value
    return points


@error('NaN as a coordinate of an annotated joint', 'BrokenSampleError',
       'people/1: joints are annotated but not finite: left_knee', _SKIP)
def nan(folder: Path) -> None:
    """One coordinate is NaN."""
    check(keypoints=joints((np.nan, 120)))


@error('infinite coordinate', 'BrokenSampleError', 'left_knee (inf, 120)',
       _SKIP)
def infinite(folder: Path) -> None:
    """One coordinate is infinite."""
    check(keypoints=joints((np.inf, 120)))


@error('joint far outside of the image', 'BrokenSampleError',
       'left_knee (-2000, 120)', _SKIP)
def far_outside(folder: Path) -> None:
    """Ten times as far as the person is large."""
    check(keypoints=joints((-2000, 120)))


@rule('joint outside of the image by less than the box is large (negative '
      'coordinates)', 'people cut off by the border: used, counted in the '
      'log')
def outside(folder: Path) -> None:
    """Thirty pixels."""
    people = [person('a', keypoints=joints((-30, 120)))]
    found = check_annotations(people, _MPII)
    assert [(f.kind, f.broken) for f in found] == [('outside', False)]
    report_findings(found, BrokenSamples())


@rule('anything, NaN too, as coordinates of a joint that is not annotated',
      'never read')
def absent(folder: Path) -> None:
    """Visibility 0."""
    visible = np.ones((1, 16))
    visible[0, _MPII.index('left_knee')] = 0
    check(keypoints=joints(np.nan), keypoints_visible=visible)


@error('visibility 3', 'BrokenSampleError',
       'people/1: the visibility is none of 0, 1, 2: right_ankle 3', _SKIP)
def visibility(folder: Path) -> None:
    """COCO knows 0, 1 and 2."""
    check(keypoints_visible=np.array([[3] + [1] * 15]))


@error('box without area', 'BrokenSampleError',
       'people/1: the box (x1, y1, x2, y2) [100.0, 100.0, 100.0, 300.0]',
       _SKIP)
def flat_box(folder: Path) -> None:
    """No width."""
    check(bbox=np.array([[100, 100, 100, 300]]))


@error('labelled sample without any annotated joint', 'BrokenSampleError',
       'people/1: the sample counts as labelled', _SKIP)
def bare(folder: Path) -> None:
    """Nothing is visible."""
    check(keypoints_visible=np.zeros((1, 16)))


@error('an id used twice', 'BrokenSampleError',
       "samples 0 and 1 have the same id 'people/0'", _SKIP)
def twice(folder: Path) -> None:
    """Two people of one name."""
    check(id='people/0')


@error('wrong joint count', 'BrokenSampleError',
       'people/1: keypoints have the shape (1, 14, 2), but 16 joints', _SKIP)
def wrong_count(folder: Path) -> None:
    """Fourteen joints in a set of sixteen."""
    check(keypoints=np.zeros((1, 14, 2)))


def coco(folder: Path, joints: list[str], numbers: list[float]) -> None:
    """Reads a COCO file of one person."""
    (folder / 'a.json').write_text(json.dumps(dict(
        images=[dict(id=1, file_name='a.jpg', width=64, height=48)],
        categories=[dict(id=1, name='person', keypoints=joints)],
        annotations=[dict(id=7, image_id=1, category_id=1, iscrowd=0,
                          bbox=[1, 1, 30, 30], keypoints=numbers)])))
    CocoPoseDataset(ann_file='a.json', data_root=str(folder))


@error('COCO annotation with too few numbers', 'ValueError', 'a/7: 5 numbers',
       '2 joints make 6')
def few_numbers(folder: Path) -> None:
    """A number is lost."""
    coco(folder, ['left_hip', 'right_hip'], [1, 2, 2, 3, 4])


@error('unknown joint name', 'ValueError', "['left_kne']",
       "joints=dict(your_name='known_name')")
def unknown_name(folder: Path) -> None:
    """A typing error in a category."""
    coco(folder, ['left_hip', 'left_kne'], [1, 2, 2, 3, 4, 2])


@error('joint with a side but no mirror joint', 'ValueError', "['left_hip']",
       'add them to the pairs')
def unpaired(folder: Path) -> None:
    """A flip would keep it on the wrong side."""
    Skeleton('mine', ('left_hip', 'nose'))


@error('mirror joints that are not mutual', 'ValueError',
       "'left_hip' swaps with 'right_hip', but 'right_hip' swaps with",
       'mirror pairs must be mutual')
def not_mutual(folder: Path) -> None:
    """Only one of the two names the other."""
    info = Skeleton('mine', ('left_hip', 'right_hip'), (),
                    (('left_hip', 'right_hip'),)).metainfo()
    info['keypoint_info'][1]['swap'] = ''
    Skeleton.from_metainfo(info)


@error('data sets with other joints in one batch', 'ValueError',
       "missing ['right_ankle'", 'Convert with Skeleton.convert')
def other_joints(folder: Path) -> None:
    """People of 16 joints among people of 17."""
    CombinedPoseDataset([dict(
        type='SyntheticPoseDataset', num_samples=1, lazy_init=True,
        cache=False, joints='h36m_17')])


@error('joints of the other convention of left and right', 'ValueError',
       'lsp_oc.npz', "annotations='observer'")
def observer(folder: Path) -> None:
    """Observer-centric joints read as the person's."""
    LspDataset(ann_file='lsp/lsp_oc.npz', data_root=str(folder))


@error('pose file that does not say what its joints are', 'ValueError',
       'p.npz does not say what its 14 joints are', 'pass joints=')
def nameless(folder: Path) -> None:
    """Bare numbers."""
    np.savez(folder / 'p.npz', keypoints=np.zeros((3, 14, 2)))
    PoseCollectionDataset('p.npz', data_root=str(folder))


@error('overlapping split: an id on both sides', 'ValueError',
       "not distinct: ['people/0']", 'one sample on both sides')
def overlap(folder: Path) -> None:
    """Labelled and unlabelled at once."""
    ranked_split(['people/0', 'people/1', 'people/0'], .5, 0)


@error('silhouettes of test people', 'ValueError', "subset='test'",
       "use subset='train'")
def silhouettes_of_test(folder: Path) -> None:
    """They were chosen with the help of the joints."""
    LspDataset(data_root=str(folder), subset='test', with_silhouette=True)


@error('labels that reach an unlabelled sample before they are dropped',
       'ValueError', "DropLabels came too late: ['heatmaps']",
       'put it before LoadSilhouette, TopdownAffine and GenerateTarget')
def late_drop(folder: Path) -> None:
    """The maps are drawn already."""
    DropLabels()(dict(person('people/1'), heatmaps=np.zeros((16, 4, 4))))
