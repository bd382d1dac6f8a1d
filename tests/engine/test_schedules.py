"""A changed schedule counts as if it had been from the start."""
import pytest
import torch
from mmengine.optim import LinearLR, MultiStepLR, ReduceOnPlateauLR

from mirrorpose.engine import schedules

from .conftest import stage_only

STEPS, EPOCHS = 5, 6


def _built(kind, **arguments):
    weight = torch.nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.SGD([weight], .1)
    return [kind(optimizer, **arguments),
            LinearLR(optimizer, start_factor=.1, begin=0, end=8,
                     by_epoch=False)], optimizer


def _ran(built, epochs):
    made, optimizer = built
    for _ in range(epochs):
        for _ in range(STEPS):
            made[1].step()
        made[0].step()
    return optimizer.param_groups[0]['lr']


@pytest.mark.parametrize('epochs', [1, 3, 6])
def test_equals_an_unbroken_run(epochs):
    old = dict(milestones=[1, 4], by_epoch=True)
    new = dict(milestones=[2, 3], gamma=.5, by_epoch=True)
    built = _built(MultiStepLR, **old)
    _ran(built, epochs)
    saved = [s.state_dict() for s in built[0]]
    again, optimizer = _built(MultiStepLR, **new)
    fresh = schedules.remember(again)
    for scheduler, state in zip(again, saved):
        scheduler.load_state_dict(state)
    news = schedules.changed(again, fresh)
    assert any('gamma 0.1 -> 0.5' in n for n in news)
    schedules.replay(again, fresh, epochs, epochs * STEPS)
    want = _built(MultiStepLR, **new)
    assert optimizer.param_groups[0]['lr'] == _ran(want, epochs)
    for one, other in zip(again, want[0]):
        assert one.state_dict() == other.state_dict()


def test_the_same_schedule_is_left_alone():
    built = _built(MultiStepLR, milestones=[1], by_epoch=True)
    _ran(built, 2)
    again, _ = _built(MultiStepLR, milestones=[1], by_epoch=True)
    fresh = schedules.remember(dict(one=again))
    for scheduler, old in zip(again, built[0]):
        scheduler.load_state_dict(old.state_dict())
    assert not schedules.changed(dict(one=again), fresh)


def test_what_goes_by_scores_is_left_alone():
    weight = torch.nn.Parameter(torch.zeros(1))
    plateau = ReduceOnPlateauLR(torch.optim.SGD([weight], .1), 'score')
    assert list(schedules.flat([plateau])) == []
    assert list(schedules.flat(None)) == []


def test_a_resumed_run_follows_its_config(tmp_path):
    """An earlier decay in the config is not ignored."""
    def run(folder, epochs, milestone, resume=False):
        runner = stage_only(
            folder, train_cfg=dict(by_epoch=True, max_epochs=epochs),
            param_scheduler=[dict(type='MultiStepLR', milestones=[milestone],
                                  gamma=.1, by_epoch=True)], resume=resume)
        runner.train()
        return runner.optim_wrapper.get_lr()['lr'][0]

    first = run(tmp_path / 'a', 2, 9)
    assert run(tmp_path / 'a', 3, 1, True) == pytest.approx(.1 * first)
    assert run(tmp_path / 'a', 4, 1, True) == pytest.approx(.1 * first)
