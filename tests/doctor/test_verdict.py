"""What holds a training back."""
from __future__ import annotations

import pytest

from mirrorpose.doctor import verdict
from mirrorpose.doctor.stepping import STEP_PARTS

FACTS = dict(
    loader=300., step=900., training=295., workers=1, cores=8, device='cuda',
    cached=False, efficiency=.5, convolution='float32',
    pipeline={'read and decode': .002, 'geometry': .001, 'collate': 1e-5},
    convolutions={'float32': 100., 'bfloat16, channels_last': 400.},
    parts=dict(zip(STEP_PARTS, (.001, .01, .02, .002))))


def test_a_slow_loader_and_spare_cores():
    found = verdict.judge(FACTS)
    assert found.bottleneck == 'loader'
    assert 'gives 300 images/s, the step takes 900' in found.reason
    assert '66% of a sample is "read and decode"' in found.reason
    assert 'num_workers=3 (now 1' in found.advice
    assert 'CachedCropDataset' in found.advice


@pytest.mark.parametrize('change, bottleneck, words', [
    (dict(workers=7), 'loader', 'CachedCropDataset'),
    (dict(workers=7, cached=True, pipeline={'batch from the data set': .01}),
     'loader', "warp='device'"),
    (dict(workers=7, pipeline={'OfAUser': .01}), 'loader', '"OfAUser"'),
    (dict(loader=2000.), 'forward and backward', 'AutocastOptimWrapper'),
    (dict(loader=2000., convolution='bfloat16, channels_last',
          efficiency=.1), 'forward and backward', 'torch.compile'),
    (dict(loader=2000., convolution='bfloat16, channels_last'),
     'forward and backward', 'smaller backbone'),
    (dict(loader=2000., parts=dict(zip(STEP_PARTS, (.02, .01, .01, .001)))),
     'transfer and preparation', 'uint8'),
    (dict(loader=2000., parts=dict(zip(STEP_PARTS, (.001, .01, .01, .02)))),
     'optimizer', 'accumulative_counts'),
    (dict(loader=2000., parts={}), 'step', '--trace')])
def test_other_bottlenecks(change, bottleneck, words):
    found = verdict.judge({**FACTS, 'training': 800., **change})
    assert found.bottleneck == bottleneck and words in found.advice


def test_loader_and_step_that_share_the_cores():
    found = verdict.judge({**FACTS, 'device': 'cpu', 'training': 150.})
    assert 'together they reach 150, since they share the cores' in \
        found.reason
