"""Checkpoints: plain contents, atomic files, honest errors."""
from __future__ import annotations

import collections
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.logging import HistoryBuffer, MessageHub
from torch import nn

from mirrorpose.engine import checkpoint as checkpoints


class Evil:
    """An object whose unpickling would run code."""

    def __init__(self, path) -> None:
        self.path = str(path)

    def __reduce__(self):
        return os.mkdir, (self.path, )


class TestPlain:

    def test_numpy_becomes_torch_and_numbers(self):
        got = checkpoints.plain(dict(
            a=np.arange(3, dtype=np.int32), b=np.float32(.5),
            c=np.int64(7), d=np.array(['x', 'y']), e=np.bool_(True)))
        assert torch.equal(got['a'], torch.arange(3, dtype=torch.int32))
        assert got['b'] == .5 and type(got['b']) is float
        assert got['c'] == 7 and type(got['c']) is int
        assert got['d'] == ['x', 'y']
        assert got['e'] is True

    def test_containers_are_walked(self):
        tensor = torch.ones(2)
        got = checkpoints.plain(collections.OrderedDict(
            a=(1, [np.float64(2.), None]), b={np.int64(3): 'x'}, c=tensor))
        assert type(got) is dict
        assert got == dict(a=(1, [2., None]), b={3: 'x'}, c=tensor)
        assert type(got['a'][1][0]) is float

    def test_array_is_copied(self):
        array = np.zeros(2)
        got = checkpoints.plain(array)
        array[0] = 1
        assert got[0] == 0

    @pytest.mark.parametrize('thing,name', [
        (HistoryBuffer(), 'HistoryBuffer'), (object(), 'object'),
        (nn.Linear(1, 1), 'Linear'), (Path('x'), 'Path'),
        ({1, 2}, 'set'), (len, 'builtin_function')])
    def test_objects_are_refused_with_their_place(self, thing, name):
        with pytest.raises(TypeError, match=name):
            checkpoints.plain(thing)
        with pytest.raises(
                TypeError, match=r"checkpoint\['meta'\]\['x'\]\[1\]"):
            checkpoints.plain(dict(meta=dict(x=[0, thing])))

    def test_keys(self):
        with pytest.raises(TypeError, match='key'):
            checkpoints.plain({None: 1})


def hub_state() -> dict:
    hub = MessageHub.get_instance('test_checkpoint')
    for step in range(3):
        hub.update_scalar('train/loss', float(step))
    hub.update_info('iter', 3)
    hub.update_info('thing', [object()], resumed=True)
    return hub.state_dict()


class TestMakeSafe:

    def test_loads_without_trust(self, tmp_path):
        model = nn.Linear(2, 3)
        optimizer = torch.optim.Adam(model.parameters())
        model(torch.ones(1, 2)).sum().backward()
        optimizer.step()
        checkpoint = dict(
            state_dict=model.state_dict(), optimizer=optimizer.state_dict(),
            meta=dict(epoch=1, flips=np.array([1, 0]),
                      config='a = 1', seed=np.int64(3)),
            message_hub=hub_state())
        checkpoints.make_safe(checkpoint)
        torch.save(checkpoint, tmp_path / 'x.pth')
        got = torch.load(tmp_path / 'x.pth', weights_only=True)
        assert got['meta']['epoch'] == 1 and got['meta']['seed'] == 3
        assert got['meta']['flips'].tolist() == [1, 0]
        assert got['message_hub']['runtime_info'] == dict(iter=3)
        assert got['message_hub']['log_scalars'] == {}
        again = torch.optim.Adam(model.parameters())
        again.load_state_dict(got['optimizer'])
        MessageHub.get_instance('test_checkpoint_2').load_state_dict(
            got['message_hub'])

    def test_foreign_entry_is_named(self):
        with pytest.raises(TypeError, match=(
                r"checkpoint\['extra'\]\['a'\].*object")):
            checkpoints.make_safe(dict(state_dict={}, extra=dict(a=object())))


class TestLoad:

    def test_checkpoint(self, tmp_path):
        path = tmp_path / 'a.pth'
        torch.save(dict(state_dict=dict(w=torch.ones(2)), meta=dict(e=1)),
                   path)
        got = checkpoints.load(path)
        assert got['meta'] == dict(e=1)
        assert torch.equal(got['state_dict']['w'], torch.ones(2))

    def test_bare_state_dict(self, tmp_path):
        path = tmp_path / 'a.pth'
        torch.save(nn.Linear(2, 1).state_dict(), path)
        assert set(checkpoints.load(path)['state_dict']) == {'weight', 'bias'}

    def test_missing(self, tmp_path):
        with pytest.raises(FileNotFoundError, match='nothing.pth'):
            checkpoints.load(tmp_path / 'nothing.pth')

    @pytest.mark.parametrize('keep', [.3, .9, .999])
    def test_truncated(self, tmp_path, keep):
        path = tmp_path / 'a.pth'
        torch.save(dict(state_dict=dict(w=torch.ones(5000))), path)
        data = path.read_bytes()
        path.write_bytes(data[:int(len(data) * keep)])
        with pytest.raises(ValueError, match='damaged or no'):
            checkpoints.load(path)

    @pytest.mark.parametrize('content', [b'', b'hello, I am no checkpoint',
                                         b'\x80\x02}q\x00.'])
    def test_no_checkpoint(self, tmp_path, content):
        path = tmp_path / 'a.pth'
        path.write_bytes(content)
        with pytest.raises(ValueError, match='a.pth'):
            checkpoints.load(path)

    def test_something_else_saved(self, tmp_path):
        path = tmp_path / 'a.pth'
        torch.save([1, 2], path)
        with pytest.raises(ValueError, match='holds a list'):
            checkpoints.load(path)

    def test_foreign_object_is_named_and_not_run(self, tmp_path):
        path, trap = tmp_path / 'a.pth', tmp_path / 'trap'
        torch.save(dict(state_dict={}, x=Evil(trap)), path)
        with pytest.raises(ValueError, match='mkdir.*--trust-checkpoint'):
            checkpoints.load(path)
        assert not trap.exists()
        checkpoints.load(path, trust=True)  # what the flag is for
        assert trap.exists()

    def test_evil_beside_mmengines_objects_is_not_run(self, tmp_path):
        path, trap = tmp_path / 'a.pth', tmp_path / 'trap'
        torch.save(dict(state_dict={}, a=HistoryBuffer(), x=Evil(trap)),
                   path)
        with pytest.raises(ValueError, match='objects that are not'):
            checkpoints.load(path)
        assert not trap.exists()

    def test_stock_mmengine_file(self, tmp_path):
        path = tmp_path / 'a.pth'
        torch.save(dict(
            state_dict=dict(w=torch.ones(2)),
            meta=dict(dataset_meta=dict(sigmas=np.ones(3, np.float32),
                                        flips=np.arange(3))),
            message_hub=MessageHub.get_instance('test_stock').state_dict()
            | dict(log_scalars={'loss': HistoryBuffer([1., 2.], [1, 1])})),
            path)
        with pytest.raises(Exception, match='weights_only'):
            torch.load(path)  # as stock mmengine does
        got = checkpoints.load(path)
        assert torch.equal(got['state_dict']['w'], torch.ones(2))
        assert got['message_hub']['log_scalars']['loss'].mean() == 1.5
        assert (got['meta']['dataset_meta']['flips'] == np.arange(3)).all()

    def test_bare_state_dict_of_numpy(self, tmp_path):
        path = tmp_path / 'a.pth'
        torch.save(dict(w=np.ones(2)), path)
        assert 'state_dict' in checkpoints.load(path)


class TestCheckFits:

    def test_fits(self):
        model = nn.Linear(2, 3)
        state = model.state_dict()
        checkpoints.check_fits(model, dict(state_dict=state), 'f')
        wrapped = {f'module.{k}': v for k, v in state.items()}
        checkpoints.check_fits(model, dict(state_dict=wrapped), 'f')
        part = dict(weight=state['weight'], other=torch.ones(1))
        checkpoints.check_fits(model, dict(state_dict=part), 'f')

    def test_foreign(self):
        with pytest.raises(ValueError, match='f.pth is not of this model.*'
                           'none of its 1 tensors.*conv.weight'):
            checkpoints.check_fits(
                nn.Linear(2, 3),
                dict(state_dict={'conv.weight': torch.ones(3, 2)}), 'f.pth')

    def test_another_size(self):
        state = nn.Linear(5, 3).state_dict()  # the bias fits
        with pytest.raises(ValueError, match=r'another size.*weight: '
                           r'\(3, 5\) in the file, \(3, 2\)'):
            checkpoints.check_fits(nn.Linear(2, 3), dict(state_dict=state),
                                   'f.pth')
