"""KeypointGAN on real frames, and the recognizer that has their labels.

    python -m benchmarks.keypoints.training --group frames
    python benchmarks/keypointgan_frames.py [--only PART ...]

Parts: ``people`` and ``silhouettes`` (in percent of the image's side; the
second are thousands of people before black, in sports), ``faces`` (in percent
of the distance of the eyes' outer corners) and ``world``, the embedded world
of the ablation. Rows: KeypointGAN; the same with an adversarial weight of 2
(``adversarial2``) or 0.5 (``adversarial05``) in place of the paper's 10,
learnt from warps of single images (``tps``), and with the second cycle, which
the paper drops (``bottleneck``, as in Table 4); the supervised recognizer
(benchmarks/keypoints/supervised.py), which learns from the annotations of the
same frames in as many images; and the mean pose of the prior, the floor.
Figures: as predicted, corrected by the frozen regressor, under the better of
the two mirror labellings (oracle), and all three after a linear map that is
fitted on the labelled training frames (``post``). Rows that are not trained
are named and left out. Results are added to
``benchmarks/results/keypointgan_frames.json`` part by part, with what the data
are too small to show.
"""
from __future__ import annotations

from functools import partial
from typing import Any

from by_parts import run_parts
from keypoints.runs import result, trained
from keypoints.scores import mean_pose
from keypoints.tables import line, table

OUT = result('keypointgan_frames')
ROWS = ('keypointgan', 'keypointgan-adversarial2', 'keypointgan-adversarial05',
        'keypointgan-tps', 'keypointgan-adversarial2-tps',
        'bottleneck-adversarial2', 'supervised')
#: Of all data; the others where they were trained.
OF_ALL = ('keypointgan', 'supervised')
#: Title, poses, and what the table can and cannot show.
DATA = dict(
    people=('People: % of the side of the image', 'people', (
        'Four people in all. KeypointGAN and the supervised recognizer learn '
        'from 604 frames of three of them, 300 of these views of one clip by '
        'three cameras; the test is the fourth camera\'s view of the same '
        'clip: the same person, clothes, room and instants. So the table '
        'shows whether joints are found in a new view without labels, and '
        'nothing about new people or places. The 100 test frames are '
        'of one motion, so differences within a few tenths are of the clip, '
        'not of the methods. The labels of two of the training '
        'clips are a detector\'s (BlazePose), those of the test OpenPose\'s: '
        'the supervised figure is also about how the two annotate.')),
    silhouettes=('People before black: % of the side of the image',
                 'silhouettes', (
        'Nobody is on two sides: 3,313 people to learn from in pairs of warps '
        'of one image, poses of others, 829 people in the test; all of '
        'LSPET, in sports and upside down. The silhouettes are pseudo masks '
        'that were chosen with the help of the joints, so this is not quite '
        'without labels; and they are given in the test as well, so that '
        'the figures are no results on LSPET.')),
    faces=('Faces: % of the distance of the outer eye corners', 'faces', (
        'Nobody is on two sides: 1,401 frames of 139 people to learn from, '
        'landmarks of others as poses, 640 test frames of 52 people. Clips '
        'have two or three frames, so that pairs differ little in pose and '
        'much less than a video\'s. Images, poses and test are of one '
        'collection and one annotation: the domain gap that the paper '
        'crosses (VoxCeleb2, MultiPIE, 300-W) is not measured, and its '
        'figures (8.67 without, 5.12 with the linear map) are of another '
        'test at four times the pixels. A landmark is hardly known to better '
        'than a pixel of 64.')),
    world=('The embedded world: % of the side of the image', 'all', (
        'Drawn people: what they show about real ones is the order of '
        'methods at best.')))


def part(key: str) -> dict[str, Any]:
    """One table."""
    title, poses, limits = DATA[key]
    found = table({row: trained(row, poses) for row in ROWS
                   if row in OF_ALL or trained(row, poses)}, title)
    found['mean pose'] = dict(mean=mean_pose(poses))
    line('mean pose', 0, found['mean pose'])
    print(limits, flush=True)
    return dict(found, unit=title.partition(': ')[2], limits=limits)


PARTS = {key: partial(part, key) for key in DATA}


if __name__ == '__main__':
    run_parts(__doc__, PARTS, OUT)
