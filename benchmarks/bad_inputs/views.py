"""Cases: synchronised views, metric pose and retrieval."""
from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.structures import InstanceData
from mmpose.registry import DATA_SAMPLERS, DATASETS, METRICS
from mmpose.structures import PoseDataSample

from mirrorpose.apis import PoseIndex
from mirrorpose.datasets.multiview import MultiViewDataset, SyntheticViews
from mirrorpose.datasets.multiview.views import Views

from . import error, rule
from .commands import command


class _Changed(SyntheticViews):
    """Two people before two cameras, four instants, the index changed."""

    def __init__(self, change: Callable[[Views], Views]) -> None:
        super().__init__(2, 1, 1, 2, 32, 2, name='changed')
        self.change = change

    def read(self, data_root: str = '') -> Views:
        """The world's index, changed."""
        return self.change(super().read(data_root))


def views(folder: Path, change: Callable[[Views], Views] = lambda v: v,
          **options: Any) -> Any:
    """A data set of views, by its config's options."""
    return MultiViewDataset(_Changed(change), inputs='keypoints',
                            cache_dir=str(folder), **options)


def without(*rows: int) -> Callable[[Views], Views]:
    """Leaves views out: of 8, two an instant."""
    return lambda v: v.keep_views(~np.isin(np.arange(len(v)), rows))


def uncalibrated(held: Views) -> Views:
    """Nobody knows where the second camera stands."""
    rotation = held.R.copy()
    rotation[held.cameras == 'camera1'] = np.nan
    return replace(held, R=rotation)


def retrieval(frames: int = 4, cameras: tuple[str, ...] = ('C0', 'C1'),
              joints: tuple[int, ...] = (17, ), people: int = 2,
              broken: bool = False, **options: Any) -> dict[str, float]:
    """The metric over embeddings of random poses, as a runner asks it."""
    metric = METRICS.build(dict(dict(
        type='PoseRetrieval', topk=[1], references=[]), **options))
    rng = np.random.default_rng(0)
    shapes = [joints[i % len(joints)] for i in range(people * frames)]
    poses = [300 * rng.normal(size=(k, 3)) for k in shapes]
    out = []
    for person in range(people):
        for frame in range(frames):
            pose = poses[person * frames + frame]
            for camera in cameras:
                vector = rng.normal(size=8)
                if broken and frame == 1:
                    vector[:] = np.nan
                out.append(PoseDataSample(
                    metainfo=dict(
                        id=f'{person}:{frame}:{camera}', camera=camera,
                        subject=f'S{person}', sequence=f'S{person}/walk',
                        seconds=frame / 4, frame=frame),
                    pred_instances=InstanceData(embedding=vector[None]),
                    gt_instance_labels=InstanceData(
                        keypoints_3d_camera=pose[None])).to_dict())
    metric.process({}, out)
    return metric.compute_metrics(metric.results)


@rule('missing view', 'the instant stays with its other views where they '
      'are `min_views` (2), else it is left out and counted in the log')
def missing_view(folder: Path) -> None:
    """One view of the first of four instants."""
    assert len(views(folder, without(1))) == 6
    assert len(views(folder, without(1), min_views=1)) == 7


@error('missing view, where all are required', 'ValueError',
       'instants miss views: 1, the first is frame 0 of person_000/',
       'let require_all_views be False')
def required_view(folder: Path) -> None:
    """One of two."""
    views(folder, without(1), require_all_views=True)


@error('single view', 'ValueError', 'no instant is seen by 2 cameras',
       'min_views=1 for a test on single views')
def single_view(folder: Path) -> None:
    """One camera alone."""
    views(folder, without(1, 3, 5, 7))


@error('single views in a sampler of view groups', 'ValueError',
       'no view group has 2 views (the largest has 1)',
       'take more cameras')
def single_group(folder: Path) -> None:
    """A data set for tests, used to train."""
    data = views(folder, without(1, 3, 5, 7), min_views=1)
    DATA_SAMPLERS.build(dict(type='ViewGroupSampler', dataset=data,
                             groups_per_batch=2, subjects_per_batch=2))


@rule('view groups with fewer views than a sampler takes of each',
      'left out, and counted in the log')
def small_groups(folder: Path) -> None:
    """One of four instants has a single view."""
    sampler = DATA_SAMPLERS.build(dict(
        type='ViewGroupSampler', groups_per_batch=2, subjects_per_batch=2,
        gap_seconds=.1, dataset=views(folder, without(1), min_views=1)))
    assert len(sampler.views) == 3


@error('triangulated labels from true 2D joints', 'ValueError',
       'would read the true 2D joints of un-annotated instants',
       'tools/detect_views.py')
def true_joints(folder: Path) -> None:
    """Without a recognizer's."""
    views(folder, annotated=dict(fraction=.5), triangulated=True)


@error('fewer people than a batch wants', 'ValueError',
       'a batch wants 4 subjects and there are 2',
       'set subjects_per_batch=2')
def few_people(folder: Path) -> None:
    """Two of four."""
    DATA_SAMPLERS.build(dict(type='ViewGroupSampler', dataset=views(folder),
                             groups_per_batch=4))


@error('camera without calibration', 'ValueError',
       "4 views have no calibration, the first is camera 'camera1'",
       "set uncalibrated='unannotated'")
def no_calibration(folder: Path) -> None:
    """Half of the views."""
    views(folder, uncalibrated)


@rule("camera without calibration, with uncalibrated='unannotated'",
      'its views stay, without 3D joints')
def kept_uncalibrated(folder: Path) -> None:
    """The other camera's views have theirs."""
    data = views(folder, uncalibrated, uncalibrated='unannotated')
    table = data.view_groups()
    assert len(data) == 8
    assert ((table['camera'] == 'camera0') == table['annotated']).all()


@error('camera of a real rig without calibration', 'ValueError',
       "the camera 'S1_2' has no calibration (R, T)", 'leave its rig out')
def rig(folder: Path) -> None:
    """A file of cameras in which one lacks its place."""
    from mirrorpose.datasets.multiview.cameras import read_rigs
    lens = dict(f=[[1e3], [1e3]], c=[[5e2], [5e2]], w=1000, h=1000)
    place = dict(R=np.eye(3).tolist(), T=[[0], [0], [5]])
    path = folder / 'h36m.json'
    path.write_text(json.dumps(dict(S1_1=dict(lens, **place), S1_2=lens)))
    read_rigs(path)


@error('mixed joint sets: 2D joints of another set than the 3D ones',
       'ValueError', 'mixed joint sets: poses (4, 17, 3) and keypoints '
       '(8, 14, 2)', 'convert with Skeleton.convert')
def mixed(folder: Path) -> None:
    """Fourteen and seventeen."""
    views(folder, lambda v: replace(v, keypoints=v.keypoints[:, :14]))


@error('duplicate frames', 'ValueError',
       "frame 0 of clip 'person_000/", 'number them anew')
def duplicate(folder: Path) -> None:
    """All instants are number 0."""
    views(folder, lambda v: replace(v, frame=v.frame * 0))


@error('two views of one instant by the same camera', 'ValueError',
       "has two views of camera 'camera0'", 'keep one of them')
def same_camera(folder: Path) -> None:
    """The second camera has the first one's name."""
    views(folder, lambda v: replace(
        v, cameras=np.full_like(v.cameras, 'camera0')))


@error('unknown subject in the list of annotated ones', 'ValueError',
       "annotated['subjects'] names 'S9'", 'the subjects are')
def unknown_subject(folder: Path) -> None:
    """A typing error."""
    views(folder, annotated=dict(subjects=['S9']))


@error('prepared views missing', 'FileNotFoundError',
       'prepared views not found: …/h36m/views.npz',
       'Prepare them by `python tools/dataset_converters/h36m.py SOURCE`')
def not_prepared(folder: Path) -> None:
    """The converter was not run."""
    DATASETS.build(dict(
        type='MultiViewDataset', data_root=str(folder),
        source=dict(type='PreparedViews', folder='h36m')))


@error('retrieval with a gallery smaller than K', 'ValueError',
       "the gallery of 'C0 > C1' has 8 frames, but the 20 nearest",
       'lower topk')
def small_gallery(folder: Path) -> None:
    """Eight frames, twenty wanted."""
    retrieval(topk=[1, 20])


@rule('index with fewer poses than the k that are asked for',
      'what there is; the rest has the distance infinity and the place -1')
def small_index(folder: Path) -> None:
    """Three of five."""
    index = PoseIndex.from_embeddings(np.eye(3))
    found = index.search(np.eye(3)[:1], k=5)
    assert [len(i) for i in found.items] == [3]
    assert np.isinf(found.distances[0, 3:]).all()
    assert (found.indices[0, 3:] == -1).all()


@rule('retrieval query with no eligible neighbour', 'left out of the means, '
      'counted as `unanswered`, and named in the log')
def unanswered(folder: Path) -> None:
    """One person in one clip, all of which is too near in time."""
    path = folder / 'tables.json'
    made = retrieval(people=1, variants=['kept', 'removed'],
                     gap=float('inf'), out_file=str(path))
    table = json.loads(path.read_text())['rows']['model']
    assert table['removed']['unanswered'] == 4 * 2
    assert table['kept']['unanswered'] == 0
    assert np.isnan(made['removed/Hit@1'])


@rule('retrieval query with fewer eligible neighbours than K',
      'judged by those that there are')
def few_eligible(folder: Path) -> None:
    """Two of four frames are far enough in time; five are asked for."""
    path = folder / 'tables.json'
    retrieval(people=2, variants=['removed'], topk=[1, 5], gap=1.5,
              out_file=str(path))
    table = json.loads(path.read_text())['rows']['model']['removed']
    assert table['unanswered'] == 0 and np.isfinite(table['mean']['Hit@5'])


@error('retrieval over samples of one view', 'ValueError',
       "all samples are of the view 'C0'", 'same_view=True')
def one_view(folder: Path) -> None:
    """One camera alone."""
    retrieval(cameras=('C0', ))


@rule('retrieval across people, of one person', 'the variant '
      '`cross_subject` is left out, with a warning')
def one_person(folder: Path) -> None:
    """The others stay."""
    made = retrieval(people=1)
    assert 'kept/Hit@1' in made
    assert not [k for k in made if k.startswith('cross_subject')]


@error('retrieval over true poses of mixed joint sets', 'ValueError',
       'true poses have [14, 17] joints', 'poses of one joint set')
def mixed_truth(folder: Path) -> None:
    """Two data sets in one test."""
    retrieval(joints=(17, 14))


@rule('a frame that stands twice among the samples of retrieval',
      'the first is kept; `repeated` counts the others')
def repeated(folder: Path) -> None:
    """All of the second camera's do."""
    path = folder / 'tables.json'
    retrieval(cameras=('C0', 'C1', 'C1'), out_file=str(path))
    made = json.loads(path.read_text())
    assert (made['samples'], made['repeated']) == (16, 8)


@error('embeddings that are not finite', 'ValueError',
       '4 of 16 embeddings (model) are not finite, the first is number 2',
       'look at its weights')
def broken_embeddings(folder: Path) -> None:
    """A training that failed."""
    retrieval(broken=True)


@error('index asked with poses of another joint set', 'UsageError',
       "the index holds poses of 'coco_17', not of 'h36m_17'",
       'convert them with Skeleton.convert')
def other_index(folder: Path) -> None:
    """Both have seventeen joints."""
    poses = 90 * np.random.default_rng(0).normal(size=(5, 17, 3))
    for name, joints in (('a', 'coco_17'), ('b', 'h36m_17')):
        np.savez(folder / f'{name}.npz', keypoints_3d=poses, joints=joints)
    index = str(folder / 'index.npz')
    command('search_poses', 'build', index, str(folder / 'a.npz'))
    command('search_poses', 'find', index, str(folder / 'b.npz'))


@error('index that was cut off', 'UsageError',
       '…/index.npz is no index of mirrorpose, or damaged',
       'build it again', cut='(BadZip')
def cut_index(folder: Path) -> None:
    """A copy that was interrupted."""
    index = folder / 'index.npz'
    PoseIndex.from_embeddings(np.eye(9)).save(index)
    index.write_bytes(index.read_bytes()[:200])
    np.savez(folder / 'a.npz', keypoints_3d=np.zeros((1, 17, 3)),
             joints='h36m_17')
    command('search_poses', 'find', str(index), str(folder / 'a.npz'))
