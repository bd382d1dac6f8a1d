"""KeypointGAN's Table 4 and Table 5 on the embedded world.

    python -m benchmarks.keypoints.training --plan
    python -m benchmarks.keypoints.training --group table4 table5 prior
    python benchmarks/keypointgan_ablation.py [--only PART ...]

64 x 64 images, a quarter of the published widths; 128 x 128 and all of them
where there is a CUDA device, or with ``KEYPOINTGAN_SIZE=full``. People of
clips that no training saw. Errors are means over all 16 joints in percent of
the image's side: as predicted, corrected by the frozen regressor (the primary
figure, spec 2.4), under the better of the two mirror labellings (oracle), and
each after a linear map that is fitted on labelled training frames (``post``),
which no row needs but all may have. ``mean pose`` predicts the average of
the prior: what is worse has learnt nothing. Parts: ``table4`` (its five rows,
and the bottleneck without the conditional decoder, which the paper says does
not converge), ``table5`` (50, 500 and 5,000 unpaired poses), ``prior`` (poses
of captured motion instead of the world's own), ``options`` (what
becomes of left and right, and what reconstructions are compared by).
Rows that are not trained are named and left out. Results are added to
``benchmarks/results/keypointgan_ablation.json`` part by part, those of full
size to ``keypointgan_ablation_full.json``.
"""
from __future__ import annotations

from typing import Any

from by_parts import run_parts
from keypoints.runs import ROWS, result, trained
from keypoints.scores import mean_pose
from keypoints.tables import line, table

OUT = result('keypointgan_ablation')
#: The paper's humans, in percent.
PAPER = dict(cyclegan=3.54, conditional=3.60, bottleneck=2.86,
             keypointgan=2.73, one_cycle=3.39)


def table4() -> dict[str, Any]:
    """The paper's five rows, and the one that it says diverges."""
    found = table({r: trained(r, 'all') for r in ROWS}, 'Table 4')
    found['mean pose'] = dict(mean=mean_pose('all'))
    line('mean pose', 0, found['mean pose'])
    return dict(found, paper=PAPER)


def table5() -> dict[str, Any]:
    """How many unpaired poses it needs."""
    return table({f'{p} poses': trained('keypointgan', p)
                  for p in ('50', '500', '5000', 'all')}, 'Table 5')


def prior() -> dict[str, Any]:
    """Poses from another source than the images."""
    found = table({
        **{f'poses: {p}': trained('keypointgan', p)
           for p in ('all', 'mocap')},
        'poses: mocap, adversarial weight 2': trained(
            'keypointgan-adversarial2', 'mocap')}, 'Whose poses')
    found['mean pose of mocap'] = dict(mean=mean_pose('mocap'))
    line('mean pose of mocap', 0, found['mean pose of mocap'])
    return found


def options() -> dict[str, Any]:
    """KeypointGAN alone, one difference each."""
    return table({title: trained(f'keypointgan{option}', 'all')
                  for title, option in (
        ('pairs without sides', ''), ('regressor as in the paper', '-paper'),
        ('a channel a side', '-channels'),
        ('features of random weights', '-random'),
        ('... regressor as in the paper', '-paper-random'),
        ('... a channel a side', '-channels-random'))}, 'What else may differ')


PARTS = dict(table4=table4, table5=table5, prior=prior, options=options)


if __name__ == '__main__':
    run_parts(__doc__, PARTS, OUT)
