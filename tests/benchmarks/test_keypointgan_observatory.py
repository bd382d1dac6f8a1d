"""What the logs of runs tell about the observatory's thresholds."""
from __future__ import annotations

import sys
from pathlib import Path

# As scripts import each other.
sys.path.append(str(Path(__file__).resolve().parents[2] / 'benchmarks'))

from keypointgan_observatory import looked  # noqa: E402

LOG = '''\
2026/11/22 01:02:03 - mmengine - WARNING - KeypointObservatory: iteration \
1249: mon_spread_ratio is 0.0705, below 0.3, mean of 5 looks: modes collapse
2026/11/22 01:02:04 - mmengine - WARNING - KeypointObservatory: iteration \
1299: mon_swap_ratio is 1.09, below 1.1, mean of 5 looks: the decoder
2026/11/22 01:03:03 - mmengine - INFO - Iter(val) [4/4]    nme/right_side: \
100.0  nme/NME: 20.5  nme/NME_corrected: 20.4  nme/NME_oracle: 20.3  time: 1
2026/11/22 01:04:03 - mmengine - WARNING - KeypointObservatory: iteration \
2249: mon_spread_ratio is 0.05, below 0.3, mean of 5 looks: modes collapse
2026/11/22 01:05:03 - mmengine - INFO - Iter(val) [4/4]    keypoints/error: \
9.25  keypoints/error_corrected: 9.2  keypoints/error_oracle: 6.5  time: 1
'''


def test_last_score_and_first_warnings(tmp_path: Path) -> None:
    cut = LOG.index('2026/11/22 01:04')
    for start, text in dict(a=LOG[:cut], b=LOG[cut:]).items():
        (tmp_path / start).mkdir()
        (tmp_path / start / f'{start}.log').write_text(text)
    assert looked(tmp_path) == dict(error=9.25, oracle=6.5, warned={
        'mon_spread_ratio': (1249, .0705), 'mon_swap_ratio': (1299, 1.09)})


def test_a_run_without_validation(tmp_path: Path) -> None:
    assert looked(tmp_path) == dict(error=None, oracle=None, warned={})
