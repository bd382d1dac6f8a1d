"""tools/profile.py, its parts, and the module name that it shadows."""
from __future__ import annotations

import importlib.util
import json
import logging
import os
import subprocess
import sys
import time
from pathlib import Path

import mmengine.config.config
import pytest
import torch
from mmengine.config import Config
from mmengine.dataset import Compose
from mmengine.logging import MMLogger
from mmengine.model import BaseDataPreprocessor, BaseModel
from mmengine.optim import OptimWrapper
from mmengine.registry import init_default_scope
from mmpose.registry import RUNNERS
from torch.utils.data import DataLoader, Dataset

from mirrorpose.doctor import limits, loading, ratio, verdict
from mirrorpose.doctor.stepping import (
    STEP_PARTS,
    StepProfiler,
    count_operations,
)

ROOT = Path(__file__).resolve().parents[2]
TOOLS = ROOT / 'tools'
SYNTHETIC = ROOT / 'configs/mirrornet_small_synthetic.py'


@pytest.fixture(scope='module')
def tool():
    """tools/profile.py under another name, which hands nothing over."""
    sys.path.insert(0, str(TOOLS))  # it imports cli
    spec = importlib.util.spec_from_file_location('profile_tool',
                                                  TOOLS / 'profile.py')
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    yield module
    sys.path.remove(str(TOOLS))


@pytest.fixture
def quiet(monkeypatch):
    """What a profile silences speaks again afterwards."""
    monkeypatch.setattr(mmengine.config.config, 'FormatCode',
                        mmengine.config.config.FormatCode)
    levels = {k: v.level for k, v in MMLogger._instance_dict.items()}
    yield
    for name, logger in MMLogger._instance_dict.items():
        logger.setLevel(levels.get(name, logging.INFO))


# -- the standard library's module of that name ------------------------------
@pytest.mark.parametrize('code', [
    'import profile',
    'import cProfile, profile',
    'import profile, cProfile; import profile as again; '
    'assert again is profile'])
def test_importers_get_the_standard_library(code, tmp_path):
    script = tmp_path / 'script.py'
    script.write_text(
        f'import sys\nsys.path.insert(0, {str(TOOLS)!r})\n{code}\n'
        'import os, sysconfig\n'
        'assert os.path.dirname(profile.__file__) == '
        'sysconfig.get_path("stdlib"), profile.__file__\n'
        'assert profile.__name__ == "profile" and profile.Profile\n'
        'import cProfile\n'
        'cProfile.Profile().runcall(sorted, [2, 1])\n'
        'profile.Profile().runcall(sorted, [2, 1])\n'
        'print("fine")\n')
    done = subprocess.run([sys.executable, script], text=True,
                          capture_output=True)
    assert done.stdout == 'fine\n', done.stderr


def test_scripts_of_this_folder_still_profile(tmp_path):
    """A script beside it, as Python starts it: its folder comes first."""
    for name in ('profile.py', 'cli.py'):
        (tmp_path / name).write_bytes((TOOLS / name).read_bytes())
    (tmp_path / 'other.py').write_text(
        'import cProfile, profile, pstats\n'
        'print(profile.run.__module__, cProfile.run.__module__)\n')
    done = subprocess.run([sys.executable, tmp_path / 'other.py'], text=True,
                          capture_output=True)
    assert done.stdout == 'profile cProfile\n', done.stderr


def test_train_still_starts():
    done = subprocess.run(
        [sys.executable, '-c',
         f'import sys; sys.path.insert(0, {str(TOOLS)!r}); '
         'sys.argv = ["train.py", "--help"]; import cProfile; '
         f'exec(open({str(TOOLS / "train.py")!r}).read())'],
        text=True, capture_output=True)
    assert done.returncode == 0 and '--list-stages' in done.stdout


# -- the tool ----------------------------------------------------------------
def test_a_whole_profile(tmp_path):
    config = tmp_path / 'tiny.py'
    config.write_text(f"""
_base_ = ['{SYNTHETIC}']
stages = [dict(_base_.stages[3])]
stage_data = dict(poses=dict(train_dataloader=dict(batch_size=8)))
""")
    numbers, trace = tmp_path / 'out' / 'p.json', tmp_path / 'out' / 't.json'
    done = subprocess.run(
        [sys.executable, TOOLS / 'profile.py', config, '--stage', 'pose_vae',
         '--iterations', '2', '--json', numbers, '--trace', trace],
        env=dict(os.environ, OMP_NUM_THREADS='1'), capture_output=True,
        text=True, timeout=200, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    facts = json.loads(numbers.read_text())
    assert facts['model'] == 'PoseAutoencoding' and facts['batch_size'] == 8
    # The crop cache makes whole batches.
    assert set(facts['pipeline']) == {'batch from the data set', 'collate'}
    assert facts['single'] == pytest.approx(
        1 / sum(facts['pipeline'].values()))
    assert set(facts['parts']) == set(STEP_PARTS)
    assert 0.3 < sum(facts['parts'].values()) / facts['step_seconds'] < 3
    assert facts['convolution'] == 'bfloat16, channels_last'
    assert len(facts['limits']['convolutions']) == 4
    for rate in ('loader', 'step', 'training', 'efficiency'):
        assert facts[rate] > 0
    assert facts['step'] == pytest.approx(8 / facts['step_seconds'])
    last = done.stdout.strip().splitlines()
    assert f'Bottleneck: {facts["verdict"]["bottleneck"]}' in last
    assert any(e.get('name') == 'training step' for e in
               json.loads(trace.read_text())['traceEvents'])
    assert not list(tmp_path.glob('work_dirs*'))


def test_usage_errors(tool, tmp_path):
    import cli
    with pytest.raises(SystemExit):
        tool.parse_args(['x.py', '--iterations', '0'])
    with pytest.raises(cli.UsageError, match='no stage .*tomorrow'):
        tool.chosen(Config.fromfile(SYNTHETIC), tool.parse_args(
            ['x.py', '--stage', 'tomorrow']))
    config = tmp_path / 'empty.py'
    config.write_text("model = dict(type='MirrorNet')\n")
    with pytest.raises(cli.UsageError, match='no train_dataloader'):
        tool.chosen(Config.fromfile(config), tool.parse_args(['x.py']))


def test_the_top_level_is_the_last_joint_stage(tool):
    cfg = tool.chosen(Config.fromfile(SYNTHETIC), tool.parse_args(
        ['x.py', '--cfg-options', 'train_dataloader.num_workers=3']))
    assert cfg.model.type == 'MirrorNet' and 'stages' not in cfg
    assert cfg.train_dataloader.num_workers == 3


# -- parts of the pipeline ---------------------------------------------------
class Sleep:
    """A transform that takes a known time."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds

    def __call__(self, results):
        time.sleep(self.seconds)
        return results


class LoadImage(Sleep):
    pass


class LoadOther(LoadImage):
    pass


class TopdownAffine(Sleep):
    pass


class OfAUser(Sleep):
    pass


class Slow(Dataset):
    def __init__(self, *steps):
        self.pipeline = Compose(list(steps))

    def __len__(self):
        return 8

    def __getitem__(self, index):
        time.sleep(.002)
        return self.pipeline(dict(index=index))


def collate(items):
    time.sleep(.008)
    return items


def test_parts_are_those_of_the_clock():
    steps = [LoadOther(.004), TopdownAffine(.003), OfAUser(.001)]
    data = Slow(*steps)
    loader = DataLoader(data, batch_size=4, collate_fn=collate)
    batches = loading.take_batches(loader, 3)
    assert batches == [[0, 1, 2, 3], [4, 5, 6, 7], [0, 1, 2, 3]]
    parts = loading.profile_parts(loader, batches)
    assert list(parts) == ['data set', 'read and decode', 'geometry',
                           'OfAUser', 'collate']
    for name, seconds in zip(parts, (.002, .004, .003, .001, .002)):
        # others share the cores: late, but never early
        assert seconds <= parts[name] < seconds + .02, name
    assert data.pipeline.transforms == steps


def test_transforms_come_back_after_an_error():
    def broken(results):
        raise RuntimeError('broken')

    data = Slow(broken)
    with pytest.raises(RuntimeError, match='broken'), \
            loading.timed(data):
        data[0]
    assert data.pipeline.transforms == [broken]


def test_data_sets_that_make_whole_batches():
    class Batches(Dataset):
        def __len__(self):
            return 6

        def __getitem__(self, index):
            raise AssertionError('not asked for single samples')

        def get_batch(self, indices, keys):
            time.sleep(.01)
            return dict(inputs=torch.zeros(len(indices)))

    from mirrorpose.datasets.keyed import make_keyed
    loader = DataLoader(Batches(), batch_size=2)
    make_keyed(loader, seed=0)
    batches = loading.take_batches(loader, 3)
    assert loading.whole_batches(loader, batches)
    parts = loading.profile_parts(loader, batches)
    assert list(parts) == ['batch from the data set', 'collate']
    assert .005 <= parts['batch from the data set'] < .04
    assert loading.profile_loader(loader, batches) < 2 / .01


def test_workers_are_counted():
    """Two workers that sleep give more samples than one could."""
    rates = []
    for workers in (1, 2):
        loader = DataLoader(Slow(LoadImage(.2)), batch_size=1,
                            num_workers=workers, collate_fn=list)
        rates.append(loading.profile_loader(
            loader, loading.take_batches(loader, 8)))
    # One sleeping worker cannot give more, however idle the machine is.
    assert rates[0] <= 1.05 / .2
    assert rates[1] > 1.05 * rates[0]


def test_a_loader_without_batches():
    loader = DataLoader(Slow(), batch_size=16, drop_last=True)
    with pytest.raises(ValueError, match='drop_last'):
        loading.take_batches(loader, 2)


# -- parts of the step -------------------------------------------------------
class Preparation(BaseDataPreprocessor):
    def forward(self, data, training=False):
        time.sleep(.01)
        return dict(x=data['x'])


class Toy(BaseModel):
    """One linear layer, and a forward pass of known length."""

    def __init__(self):
        super().__init__(Preparation())
        self.linear = torch.nn.Linear(8, 4, bias=False)

    def forward(self, x, mode='tensor'):
        time.sleep(.02)
        return dict(loss=self.linear(x).square().sum())


class OwnStep(Toy):
    def train_step(self, data, optim_wrapper):
        return super().train_step(data, optim_wrapper)


def profiler(model):
    wrapper = OptimWrapper(torch.optim.SGD(model.parameters(), lr=1e-3))
    return StepProfiler(model, wrapper, torch.device('cpu'))


def test_the_step_part_by_part():
    model = Toy()
    batch = dict(x=torch.ones(5, 8))
    before = model.linear.weight.detach().clone()
    found = profiler(model).profile([batch], 2)
    first, forward, backward, last = (found['parts'][k] for k in STEP_PARTS)
    assert first >= .01 and forward >= .02
    assert max(backward, last) < forward and found['seconds'] >= .03
    # forward 5 x 8 x 4, and the weight's gradient; two operations each
    assert found['operations'] == 2 * 2 * 5 * 8 * 4
    assert not torch.equal(before, model.linear.weight)


def test_parts_train_as_the_whole_step_does():
    torch.manual_seed(0)
    one, other = Toy(), Toy()
    other.load_state_dict(one.state_dict())
    batch = dict(x=torch.randn(3, 8))
    profiler(one).parts(batch)
    profiler(other).whole(batch)
    assert torch.equal(one.linear.weight, other.linear.weight)


def test_operations_are_counted_as_torch_does():
    from torch.utils.flop_counter import FlopCounterMode
    net = torch.nn.Sequential(
        torch.nn.Conv2d(3, 8, 3, padding=1), torch.nn.ReLU(),
        torch.nn.ConvTranspose2d(8, 4, 4, 2), torch.nn.Flatten(),
        torch.nn.Linear(4 * 18 * 18, 5))
    x = torch.ones(2, 3, 8, 8)

    def run():
        net(x).sum().backward()

    with FlopCounterMode(display=False) as counter:
        run()
    assert count_operations(run) == counter.get_total_flops() > 0


def test_operations_of_a_gradient_penalty():
    """A gradient inside of the loss, which torch's own counter refuses."""
    net = torch.nn.Linear(8, 4, bias=False)

    def run():
        x = torch.ones(5, 8, requires_grad=True)
        slope, = torch.autograd.grad(net(x).square().sum(), x,
                                     create_graph=True)
        slope.square().sum().backward()

    # net(x); its gradient to x; then that product to both of its factors,
    # and what came from net(x) to the weight and to x
    assert count_operations(run) == 2 * 5 * 8 * 4 * 6


def test_a_step_of_its_own_is_not_split():
    found = profiler(OwnStep()).profile([dict(x=torch.ones(1, 8))], 1)
    assert found['parts'] == {} and found['seconds'] > .03


# -- the verdict -----------------------------------------------------------
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


# -- limits and the ratio --------------------------------------------------
def test_limits_are_in_the_right_order_of_magnitude():
    size, device = 2**24, torch.device('cpu')
    one, other = torch.ones(size, dtype=torch.uint8), torch.empty(
        size, dtype=torch.uint8)
    seconds = limits.repeat(lambda: other.copy_(one), device)
    assert 0.05 < limits.copy_bandwidth(device) / (size / seconds) < 20
    images, megapixels = limits.decode_rate([limits.example_jpeg(320, 160)])
    assert megapixels == pytest.approx(images * 320 * 160 / 1e6)
    assert limits.transfer_bandwidth(device) is None


def test_the_recognizer_is_the_curriculums(tmp_path):
    init_default_scope('mmpose')
    cfg = Config.fromfile(SYNTHETIC)
    cfg.work_dir = str(tmp_path)
    stage = RUNNERS.build(cfg).stage_config('recognizer')
    mine = ratio.recognizer_config(cfg.model)
    assert mine == stage.model.to_dict()


def test_ratio_to_the_recognizer(quiet):
    init_default_scope('mmpose')
    cfg = Config.fromfile(SYNTHETIC)
    torch.manual_seed(0)
    found = ratio.compare(cfg, batch=4, iterations=1)
    step, inference = found['step'], found['inference']
    assert inference['counted_ratio'] == 1
    assert step['ratio'] > 1 and step['counted_ratio'] > 1
    # the same recognizer forward, then backward: three times, but for the
    # image's gradient, which nobody needs
    times = step['gflop_per_image']['recognizer'] / \
        inference['gflop_per_image']['recognizer']
    assert 2.5 < times < 3
    text = ratio.render(found, 1.96)
    assert f'= {step["ratio"]:.2f}' in text and '1.96' in text


def test_ratio_of_something_else():
    with pytest.raises(ValueError, match="'PoseRecognition'"):
        ratio.compare(Config(dict(model=dict(type='PoseRecognition'))))


def test_turns_alternate():
    calls = []
    times = ratio.interleave(
        dict(a=lambda: calls.append('a'), b=lambda: calls.append('b')), 2,
        torch.device('cpu'), warm=1)
    assert calls == ['b', 'a', 'a', 'b', 'b', 'a']
    assert {k: len(v) for k, v in times.items()} == dict(a=2, b=2)
