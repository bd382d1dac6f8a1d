"""The world that measured tables were made in: changing it voids them."""
from __future__ import annotations

import numpy as np
import pytest

from mirrorpose.datasets.synthetic import SyntheticPoseDataset

#: Pixels of right ankle, neck, head top and left wrist; quarters' mean grey.
KNOWN = {
    ('train', 3): ([[51.82, 64.18], [46.47, 17.45], [42.67, 7.18],
                    [32.43, 28.33]], [[64.6, 60.3], [70.1, 52.6]]),
    ('val', 0): ([[23.97, 63.03], [19.36, 25.14], [18.93, 15.22],
                  [18.90, 14.80]], [[134.5, 135.7], [156.8, 162.9]]),
    ('test', 3): ([[58.35, 86.44], [60.61, 32.96], [63.09, 21.51],
                   [64.00, 54.70]], [[133.0, 111.0], [126.8, 119.1]])}


@pytest.mark.parametrize('split, index', KNOWN)
def test_the_world_is_as_it_was_measured(split, index):
    people = SyntheticPoseDataset(num_samples=4, split=split, image_size=96,
                                  pipeline=[])
    person = people[index]
    places, grey = KNOWN[split, index]
    np.testing.assert_allclose(person['keypoints'][0, [0, 8, 9, 15]], places,
                               atol=.02)
    quarters = person['img'].reshape(2, 48, 2, 48, 3).mean((1, 3, 4))
    # Less than a grey level between versions of OpenCV.
    np.testing.assert_allclose(quarters, grey, atol=.5)
