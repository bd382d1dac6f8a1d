"""PoseRunner: safe checkpoints both ways, resuming, global batch sizes."""
from __future__ import annotations

import copy
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.runner import Runner

from mirrorpose.engine import runner as runners
from mirrorpose.engine.memory_layout import to_channels_last
from mirrorpose.engine.runner import PoseRunner, resolve, set_everywhere


@pytest.fixture(scope='module')
def done(tmp_path_factory):
    return tmp_path_factory.mktemp('done')


@pytest.fixture
def trained(toy, done):
    """The folder of a stage of three epochs, trained once."""
    if not (done / 'last_checkpoint').is_file():
        toy.runner(done).train()
        toy.Diary.epochs.clear()
    return done


class TestCheckpoints:

    def test_are_safe(self, trained):
        for name in ('epoch_2.pth', 'epoch_3.pth'):
            got = torch.load(trained / name, weights_only=True)
            assert got['meta']['epoch'] == int(name[6])
            assert set(got) >= {'state_dict', 'optimizer', 'message_hub'}
        assert not list(trained.glob('*.part'))
        assert not (trained / 'epoch_1.pth').exists()

    def test_hold_the_weights(self, toy, trained, tmp_path):
        runner = toy.runner(tmp_path)
        got = torch.load(trained / 'epoch_3.pth', weights_only=True)
        before = {k: v.clone() for k, v in runner.model.state_dict().items()}
        runner.load_checkpoint(str(trained / 'epoch_3.pth'))
        after = runner.model.state_dict()
        assert set(after) == set(got['state_dict'])
        for key, value in after.items():
            assert torch.equal(value, got['state_dict'][key])
        assert any(not torch.equal(before[k], after[k]) for k in after)

    def test_resuming_reads_the_file_once(self, toy, trained, tmp_path,
                                          monkeypatch):
        path, read = str(trained / 'epoch_2.pth'), []
        load = runners.checkpoints.load

        def counted(filename, *args, **kwargs):
            read.append(str(filename))
            return load(filename, *args, **kwargs)

        monkeypatch.setattr(runners.checkpoints, 'load', counted)
        runner = toy.runner(tmp_path, load_from=path, resume=True)
        runner.load_or_resume()
        assert read == [path] and runner.epoch == 2
        # What is loaded afterwards is read anew.
        runner.load_checkpoint(str(trained / 'epoch_3.pth'))
        wanted = torch.load(trained / 'epoch_3.pth',
                            weights_only=True)['state_dict']
        for key, value in runner.model.state_dict().items():
            assert torch.equal(value, wanted[key])

    @pytest.mark.parametrize('kind', [PoseRunner, Runner])
    def test_resume_continues_the_count(self, toy, trained, tmp_path, kind):
        """Stock mmengine resumes our file too."""
        runner = toy.runner(
            tmp_path, kind, load_from=str(trained / 'epoch_2.pth'),
            resume=True)
        runner.load_or_resume()
        assert (runner.epoch, runner.iter) == (2, 6)
        state = runner.optim_wrapper.state_dict()['state']
        wanted = torch.load(trained / 'epoch_2.pth',
                            weights_only=True)['optimizer']['state']
        assert torch.equal(state[0]['exp_avg'], wanted[0]['exp_avg'])
        runner.train()
        assert toy.Diary.epochs == [(tmp_path.name, 2)]
        assert runner.iter == 9

    def test_stock_file_is_read_and_resumed(self, toy, tmp_path):
        """mmengine's own files hold history buffers and arrays."""
        stock = toy.runner(tmp_path / 'stock', Runner)
        stock.train()
        path = tmp_path / 'stock/epoch_2.pth'
        with pytest.raises(Exception, match='weights_only'):
            torch.load(path)
        toy.Diary.epochs.clear()
        runner = toy.runner(tmp_path / 'ours', load_from=str(path),
                            resume=True)
        runner.train()
        assert toy.Diary.epochs == [('ours', 2)]

    def test_foreign_file(self, toy, tmp_path):
        torch.save(torch.nn.Linear(2, 2).state_dict(), tmp_path / 'x.pth')
        runner = toy.runner(tmp_path)
        with pytest.raises(ValueError, match='x.pth is not of this model'):
            runner.load_checkpoint(str(tmp_path / 'x.pth'))

    def test_missing_file(self, toy, tmp_path):
        runner = toy.runner(tmp_path, load_from=str(tmp_path / 'no.pth'))
        with pytest.raises(FileNotFoundError, match='no.pth'):
            runner.train()

    def test_revised_keys(self, toy, trained, tmp_path):
        """A caller's renaming comes before the comparison."""
        got = torch.load(trained / 'epoch_3.pth', weights_only=True)
        renamed = {f'old.{k}': v for k, v in got['state_dict'].items()}
        torch.save(dict(state_dict=renamed), tmp_path / 'x.pth')
        runner = toy.runner(tmp_path)
        runner.load_checkpoint(str(tmp_path / 'x.pth'),
                               revise_keys=[(r'^old\.', '')])
        for key, value in runner.model.state_dict().items():
            assert torch.equal(value, got['state_dict'][key])

    def test_failed_save_keeps_the_last(self, toy, trained, tmp_path,
                                        monkeypatch):
        runner = toy.runner(tmp_path)
        runner.load_or_resume()
        runner.save_checkpoint(str(tmp_path), 'a.pth', by_epoch=False,
                               save_optimizer=False)
        old = (tmp_path / 'a.pth').read_bytes()

        def broken(self, out_dir, filename, *args, **kwargs):
            Path(out_dir, filename).write_bytes(b'half')
            raise OSError('disk full')

        monkeypatch.setattr(Runner, 'save_checkpoint', broken)
        with pytest.raises(OSError, match='disk full'):
            runner.save_checkpoint(str(tmp_path), 'a.pth')
        assert (tmp_path / 'a.pth').read_bytes() == old


class TestResolve:

    CFG = dict(
        label_fraction=.4, split_seed=3, batch_size_is_global=True,
        train_dataloader=dict(
            batch_size=128, sampler=dict(type='S', batch_size=128),
            dataset=dict(datasets=[
                dict(label_fraction=1., split_seed=0),
                dict(datasets=[dict(label_fraction=1., other=1)])])),
        stage_data=dict(poses=dict(dataset=dict(label_fraction=1.))))

    def make(self, **changes):
        return Config(dict(copy.deepcopy(self.CFG), **changes))

    def test_label_fraction_reaches_every_data_set(self):
        cfg = resolve(self.make())
        first, second = cfg.train_dataloader.dataset.datasets
        assert first == dict(label_fraction=.4, split_seed=3)
        assert second.datasets[0] == dict(label_fraction=.4, other=1)
        assert cfg.stage_data.poses.dataset.label_fraction == .4

    @pytest.mark.parametrize('value', [0, -.2, 1.2, 80])
    def test_fraction_out_of_range(self, value):
        with pytest.raises(ValueError, match=rf'\(0, 1\], got {value}'):
            resolve(self.make(label_fraction=value))

    def test_global_batch_is_divided_once(self, monkeypatch):
        monkeypatch.setattr(runners, 'get_world_size', lambda: 4)
        cfg = resolve(resolve(self.make()))
        assert cfg.train_dataloader.batch_size == 32
        assert cfg.train_dataloader.sampler.batch_size == 32

    def test_one_process_divides_nothing(self):
        assert resolve(self.make()).train_dataloader.batch_size == 128

    def test_not_global(self, monkeypatch):
        monkeypatch.setattr(runners, 'get_world_size', lambda: 4)
        cfg = resolve(self.make(batch_size_is_global=False))
        assert cfg.train_dataloader.batch_size == 128

    def test_cannot_be_divided(self, monkeypatch):
        monkeypatch.setattr(runners, 'get_world_size', lambda: 3)
        with pytest.raises(ValueError, match='128 cannot be split.*3 proc'):
            resolve(self.make())

    def test_from_cfg_resolves(self, toy, tmp_path):
        cfg = toy.cfg(tmp_path)
        cfg.train_dataloader.dataset.label_fraction = 1.
        cfg.label_fraction = .25
        runner = PoseRunner.from_cfg(cfg)
        assert runner.cfg.train_dataloader.dataset.label_fraction == .25

    def test_set_everywhere(self):
        node = dict(a=1, b=[dict(a=2), dict(c=(dict(a=3), ))],
                    d=dict(a=dict(a=4)))
        assert set_everywhere(node, 'a', 9) == 4
        assert node == dict(a=9, b=[dict(a=9), dict(c=(dict(a=9), ))],
                            d=dict(a=dict(a=9)))


def test_channels_last(toy, tmp_path, monkeypatch):
    monkeypatch.setattr(torch.backends.cpu, 'get_cpu_capability',
                        lambda: 'AVX512')  # where its narrow networks may
    runner = toy.runner(tmp_path, channels_last=True)
    weights = [p for p in runner.model.parameters() if p.ndim == 4
               and min(p.shape) > 1]
    assert weights
    assert all(p.is_contiguous(memory_format=torch.channels_last)
               for p in weights)


@pytest.mark.parametrize('capability, channels, stride, refused', [
    ('AVX2', 4, 2, True), ('AVX2', 8, 2, False), ('AVX2', 4, 1, False),
    ('AVX512', 4, 2, False)])
def test_channels_last_where_it_corrupts_memory(monkeypatch, capability,
                                                channels, stride, refused):
    monkeypatch.setattr(torch.backends.cpu, 'get_cpu_capability',
                        lambda: capability)
    net = torch.nn.Sequential(torch.nn.Conv2d(channels, 8, 1, stride))
    if refused:
        with pytest.raises(ValueError, match=r'8 channels \(0\). Set '
                           'channels_last=False'):
            to_channels_last(net)
    else:
        to_channels_last(net)


def test_runs_of_one_process_log_apart(toy, tmp_path):
    """mmengine alone writes the second run's scalars into the first's."""
    for name in ('one', 'two'):
        cfg = toy.cfg(tmp_path / name)
        cfg.visualizer = dict(
            type='PoseLocalVisualizer', name='shared',
            vis_backends=[dict(type='LocalVisBackend')])
        PoseRunner.from_cfg(cfg).train()
    for name in ('one', 'two'):
        logged, = (tmp_path / name).glob('*/vis_data/scalars.json')
        assert 'loss' in logged.read_text()
