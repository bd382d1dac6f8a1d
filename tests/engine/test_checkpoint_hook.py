"""The order in which checkpoints come and go, and which is the newest."""
from __future__ import annotations

from pathlib import Path

import pytest
import torch

from mirrorpose.engine.checkpoint_hook import (
    DurableCheckpointHook,
    last_checkpoint,
    last_good_checkpoint,
)


def test_last_checkpoint(tmp_path):
    assert last_checkpoint(tmp_path) is None
    (tmp_path / 'last_checkpoint').write_text('/elsewhere/run/epoch_2.pth\n')
    assert last_checkpoint(tmp_path) is None
    (tmp_path / 'epoch_2.pth').write_bytes(b'')
    assert last_checkpoint(tmp_path) == tmp_path / 'epoch_2.pth'


@pytest.mark.parametrize('pointer', ['', '/elsewhere/epoch_9.pth',
                                     'epoch_9.pth', 'gone.pth', None])
def test_a_pointer_that_was_left_behind(tmp_path, pointer):
    """A kill between the new file and the pointer to it."""
    for epoch in (2, 9, 10):
        (tmp_path / f'epoch_{epoch}.pth').touch()
    (tmp_path / 'best_pck_epoch_11.pth').touch()
    (tmp_path / 'epoch_12.pth.part').touch()
    if pointer is not None:
        (tmp_path / 'last_checkpoint').write_text(pointer)
    assert last_checkpoint(tmp_path).name == 'epoch_10.pth'


@pytest.mark.parametrize('damage', ['truncated', 'empty', 'flipped', 'text'])
def test_a_damaged_newest_one_is_set_aside(tmp_path, damage, caplog):
    for epoch in (1, 2):
        torch.save(dict(state_dict=dict(a=torch.randn(5000)), meta={}),
                   tmp_path / f'epoch_{epoch}.pth')
    (tmp_path / 'last_checkpoint').write_text('epoch_2.pth')
    path = tmp_path / 'epoch_2.pth'
    data = bytearray(path.read_bytes())
    if damage == 'flipped':
        data[len(data) // 2] ^= 0xFF
    path.write_bytes(dict(truncated=data[:len(data) // 2], empty=b'',
                          flipped=data, text=b'hello')[damage])
    found = last_good_checkpoint(tmp_path)
    assert found.name == 'epoch_1.pth'
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        'epoch_1.pth', 'epoch_2.pth.damaged', 'last_checkpoint']


def test_nothing_is_left_of_damaged_ones(tmp_path):
    (tmp_path / 'epoch_1.pth').write_bytes(b'x')
    assert last_good_checkpoint(tmp_path) is None


class TestInTraining:

    def test_the_new_one_is_there_before_the_old_one_goes(
            self, toy, tmp_path, monkeypatch):
        seen = []
        real = Path.unlink

        def unlink(self, missing_ok=False):
            if self.suffix == '.pth':
                pointer = (tmp_path / 'last_checkpoint').read_text()
                seen.append((self.name, pointer, sorted(
                    p.name for p in tmp_path.glob('epoch_*.pth'))))
            real(self, missing_ok=missing_ok)

        monkeypatch.setattr(Path, 'unlink', unlink)
        runner = toy.runner(tmp_path)
        hook, = (h for h in runner.hooks
                 if isinstance(h, DurableCheckpointHook))
        hook.max_keep_ckpts = 1
        runner.train()
        assert seen == [
            ('epoch_1.pth', 'epoch_2.pth', ['epoch_1.pth', 'epoch_2.pth']),
            ('epoch_2.pth', 'epoch_3.pth', ['epoch_2.pth', 'epoch_3.pth'])]

    def test_a_failed_save_keeps_the_one_before(self, toy, tmp_path,
                                                monkeypatch):
        real, calls = torch.save, []

        def save(*args, **kwargs):
            calls.append(1)
            if len(calls) == 2:
                raise OSError(28, 'No space left on device')
            return real(*args, **kwargs)

        monkeypatch.setattr('torch.save', save)
        with pytest.raises(OSError, match='no space'):
            toy.runner(tmp_path).train()
        assert [p.name for p in tmp_path.glob('*.pt*')] == ['epoch_1.pth']
        assert (tmp_path / 'last_checkpoint').read_text() == 'epoch_1.pth'

    def test_best_ones(self, toy, tmp_path):
        hooks = dict(toy.cfg(tmp_path).default_hooks.to_dict())
        hooks['checkpoint'].update(save_best='bound/explained',
                                   rule='greater')
        toy.runner(tmp_path, default_hooks=hooks).train()
        best = sorted(p.name for p in tmp_path.glob('best_*'))
        assert len(best) == 1
        # ... and a run in a moved folder finds it.
        moved = tmp_path.with_name('moved')
        tmp_path.rename(moved)
        hooks['checkpoint']['max_keep_ckpts'] = 3
        runner = toy.runner(moved, default_hooks=hooks, resume=True)
        runner.train()
        assert [p.name for p in moved.glob('best_*')] == best

    def test_stale_parts_go_and_two_runs_do_not_meet(self, toy, tmp_path):
        (tmp_path / 'epoch_7.pth.part').write_text('half')
        toy.runner(tmp_path).train()
        assert not list(tmp_path.glob('*.part'))
