"""From recognized people to tables, with made-up runs."""
from __future__ import annotations

import importlib.util
import json

import numpy as np
import pytest
import torch

from benchmarks.labels import (
    comparison,
    evaluation,
    ledger,
    plan,
    rows,
    runs,
    tables,
    training,
)
from benchmarks.labels.runs import ROOT, Name

PEOPLE = 40


def make(name, wrong, steps=None):
    """A finished run that misses some joints of everybody.

    Args:
        name (str): Of the run.
        wrong (int): How many of the 16 joints are far away.
        steps (int, optional): Fewer than it has: not finished.
    """
    run = Name.parse(name)
    rng = np.random.default_rng(0)
    truth = rng.uniform(0, 50, (PEOPLE, 16, 2))
    pred = truth.copy()
    pred[:, :wrong] += 500
    table = {norm: evaluation.hits(pred, truth, present(), norm)
             for norm in evaluation.NORMS}
    ledger.enter(run, dict(validation=table, test=table), cpu_seconds=120,
                 curve={steps or run.steps: dict(bbox=50., torso=25.)})
    if steps:
        held = json.loads(ledger.LEDGER.read_text())
        held['runs'][name]['steps'] = steps
        ledger.LEDGER.write_text(json.dumps(held))


def present():
    """A joint of one person is not annotated."""
    out = np.ones((PEOPLE, 16), bool)
    out[3, 12] = False
    return out


@pytest.fixture
def held(monkeypatch, tmp_path):
    monkeypatch.setattr(runs, 'FOLDER', tmp_path)
    monkeypatch.setattr(ledger, 'LEDGER', tmp_path / 'runs.json')
    for seed, wrong in ((0, 8), (1, 6)):
        make(f'start_20_{seed}', 10)
        make(f'plain_20_{seed}', wrong)
        make(f'supervised_20_{seed}', wrong - 4)
    make('teacher_20_0', 8)
    make('semi_20_0', 0, steps=250)
    return tmp_path


def test_rows_and_differences(held):
    found = comparison.compare('main', 'validation')
    assert list(found['percent']) == ['20']
    rows = found['percent']['20']['rows']
    assert list(rows) == ['start', 'plain', 'supervised', 'teacher']
    assert rows['plain']['bbox']['each'] == [50., 62.5]
    assert rows['plain']['bbox']['sd'] == pytest.approx(8.84)
    assert rows['teacher']['torso'] == dict(mean=50., each=[50.], sd=None)
    steps = rows['plain']['steps']
    assert rows['plain']['annotated_seen'] == 32 * steps
    assert rows['teacher']['unannotated_seen'] == 32 * steps
    assert rows['plain']['cpu_minutes'] == 2.
    differences = found['percent']['20']['differences']
    gain = differences['supervised - plain']['bbox']
    assert gain['mean'] == 25. and gain['each'] == [25., 25.]
    assert gain['people'] == [25., 25.]  # everybody alike
    # Seeds that one of them lacks are left out.
    assert differences['supervised - teacher']['seeds'] == [0]
    assert 'semi - plain' not in differences
    assert differences['teacher - plain']['torso']['mean'] == 0.


def test_other_people_are_not_entered(held):
    right = {n: (np.ones((PEOPLE, 16), bool), ~present())
             for n in evaluation.NORMS}
    with pytest.raises(ValueError, match='different people'):
        ledger.enter(Name.parse('teacher_20_1'), dict(validation=right))
    assert ledger.entry(Name.parse('teacher_20_1')) is None


def test_the_ledger_gives_back_what_it_was_given(held):
    run = Name.parse('plain_20_2')
    rng = np.random.default_rng(1)
    counted = ledger.table_of(Name.parse('plain_20_0'), 'test')['bbox'][1]
    right = rng.random(counted.shape) < .5
    ledger.enter(run, dict(test=dict(bbox=(right, counted))),
                 cpu_seconds=1., curve={})
    found = ledger.table_of(run, 'test')['bbox']
    np.testing.assert_array_equal(found[0], right)
    np.testing.assert_array_equal(found[1], counted)
    assert ledger.table_of(run, 'validation') is None
    lines = ledger.LEDGER.read_text().splitlines()
    assert sum('"plain_20_' in line for line in lines) == 3


def test_what_the_ledger_has_is_not_trained_again(held, monkeypatch):
    monkeypatch.setattr(training, 'settings', None)  # would raise
    training.train(Name.parse('plain_20_0'))
    with pytest.raises(TypeError):
        training.train(Name.parse('plain_20_0'), weights=True)


def test_the_page(held):
    text = tables.page(dict(
        main=comparison.compare('main', 'validation'),
        curves={'start_20_0': {500: dict(bbox=50., torso=25.)}}))
    assert '20 % of the labels, validation people:' in text
    assert '| plain recognizer | ' in text
    assert '+25.0 [+25.0, +25.0] (+25.0, +25.0)' in text
    assert '500: 25.0 (50.0)' in text


def test_the_floor(monkeypatch):
    """By hand: each of two people is off by half of their difference."""
    from mmengine.structures import InstanceData
    from mmpose.structures import PoseDataSample

    def person(center, scale, place):
        keypoints = np.zeros((1, 16, 2)) + center + scale * np.array(place)
        keypoints[0, 0] += scale  # the tight box is as large as the crop
        truth = InstanceData(keypoints=keypoints,
                             keypoints_visible=np.ones((1, 16)))
        return dict(data_samples=PoseDataSample(
            gt_instances=truth, metainfo=dict(
                input_center=np.array([center, center]),
                input_scale=np.array([scale, scale]))))

    for apart, right in ((.38, True), (.42, False)):
        monkeypatch.setattr(evaluation, 'samples', lambda *_, apart=apart: [
            person(50., 10., [0., 0.]), person(200., 40., [apart, 0.])])
        found = evaluation.mean_pose('lsp', 'validation')['bbox']
        assert found[1].all() and found[0].all() == right
        assert found[0].any() == right
    text = tables.page(dict(floor=dict(lsp=dict(test=dict(
        bbox=20., torso=7.)))))
    assert '| LSP + LSPET, test people | 7.0 | 20.0 |' in text


def test_tests_of_trust_on_the_page():
    text = tables.page(dict(trust={'terms-maps': {
        '0': dict(cosine_fidelity=.25, truth_over_moved=None),
        '1': dict(cosine_fidelity=.75, truth_over_moved=None)}}))
    assert '| cosine fidelity | 0.500 |' in text
    assert '| truth over moved | – |' in text


def test_own_errors_on_the_page():
    def seed(x):
        return dict(prefers=dict(ranker=dict(truth_over_own=x, cosine=.5)),
                    refined=dict(before=dict(torso=50., bbox=60.),
                                 after=dict(torso=50. + x, bbox=60.)),
                    choice={'the surest view': dict(torso=52., bbox=61.)})
    text = tables.page(dict(own_errors={'0': seed(.2), '1': seed(.6)}))
    assert '| ranker | 0.4 | 0.5 |' in text
    assert '| its poses refined | 50.4 | 60 |' in text
    assert '| the surest view | 52 | 61 |' in text


def test_parts_are_tested_on_held_out_people(monkeypatch, tmp_path):
    """Random weights through the whole path."""
    from mmengine.registry import init_default_scope
    from mmpose.registry import MODELS

    from benchmarks.labels import trust
    monkeypatch.setattr(runs, 'FOLDER', tmp_path)
    init_default_scope('mmpose')
    name = Name.parse('synthetic:terms-coordinates_20_0')
    for before in name.needs():
        before.folder.mkdir()
        model = MODELS.build(runs.settings(before, False).model)
        torch.save(dict(state_dict=model.state_dict(), meta={}),
                   before.folder / f'iter_{before.steps}.pth')
    whole = trust.held_out
    monkeypatch.setattr(trust, 'held_out', lambda data, maps: dict(
        whole(data, maps=maps), num_samples=8))
    found = trust.judge(name)
    assert {'truth_over_swapped', 'cosine_plausibility',
            'gradient_ratio_fidelity'} <= set(found)
    assert all(v is None or np.isfinite(v) for v in found.values())
    assert 0 <= found['truth_over_own_fidelity'] <= 1


def load_main():
    path = ROOT / 'benchmarks' / 'label_efficiency.py'
    spec = importlib.util.spec_from_file_location('label_efficiency', path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_lines_of_other_settings_do_not_count(held, monkeypatch):
    run = Name.parse('plain_20_0')
    assert ledger.entry(run)
    monkeypatch.setitem(rows.ROWS, 'plain', rows.Row('other', colours=True))
    ledger.digest.cache_clear()
    assert ledger.entry(run) is None
    monkeypatch.undo()
    ledger.digest.cache_clear()


def test_starts_of_different_machines_are_marked(held):
    for name, start in (('plain_20_0', 'a'), ('supervised_20_0', 'b')):
        table = ledger.table_of(Name.parse(name), 'validation')
        ledger.enter(Name.parse(name), dict(validation=table),
                     cpu_seconds=1., start=start)
    found = comparison.compare('main', 'validation')
    both = found['percent']['20']['differences']
    assert both['supervised - plain']['other_starts'] == [0]
    assert both['teacher - plain']['other_starts'] == [0]
    assert '| 2 † |' in tables.page(dict(main=found))


def test_what_was_measured_is_not_replaced_by_less():
    main = load_main()
    assert main.merged({'a': {'0': 1, '1': 2}}, {'a': {'1': 3}, 'b': {}}) == {
        'a': {'0': 1, '1': 3}, 'b': {}}


def test_the_test_people_are_seen_once(held):
    main = load_main()
    with pytest.raises(SystemExit, match='runs of .main. are not done'):
        main.final({}, 'main')
    with pytest.raises(SystemExit, match='looked at once'):
        main.final(dict(final=dict(main={})), 'main')


def test_the_test_people_are_measured(held, monkeypatch):
    only = [Name.parse(f'{r}_20_{s}') for r in ('plain', 'supervised')
            for s in (0, 1)]
    monkeypatch.setitem(plan.GROUPS, 'main', only)
    found = load_main().final({}, 'main')
    assert found['side'] == 'test'
    rows = found['percent']['20']['rows']
    assert rows['supervised']['bbox']['mean'] == 81.25


def test_guests_have_to_be_there_too(held, monkeypatch):
    monkeypatch.setitem(plan.GROUPS, 'terms', [Name.parse('literal_20_0')])
    make('literal_20_0', 4)
    assert comparison.missing('terms') == []
    monkeypatch.setitem(comparison.GUESTS, 'terms', ('plain', 'semi'))
    with pytest.raises(SystemExit, match=r'1 runs .*\(semi_20_0 '):
        load_main().final({}, 'terms')


def test_curves_are_read(held):
    folder = Name.parse('start_20_0').folder
    for when, steps in (('1', (10, 20)), ('2', (20, 30))):
        path = folder / when / 'vis_data' / 'scalars.json'
        path.parent.mkdir(parents=True)
        path.write_text('\n'.join(
            ['{"loss": 1.0, "step": 5}', *(json.dumps(
                {'pck/Total': s + float(when), 'pck/Total_torso': 1.,
                 'step': s}) for s in steps), '{"pck/To']))
    found = comparison.curve(Name.parse('start_20_0'))
    assert {k: v['bbox'] for k, v in found.items()} == {
        10: 11., 20: 22., 30: 32.}


def test_a_finished_run_gets_slim(held):
    run = Name.parse('plain_20_0')
    path = run.folder / f'iter_{run.steps}.pth'
    path.parent.mkdir()
    kept = dict(state_dict=dict(a=torch.ones(3)), meta=dict(iter=4))
    torch.save(dict(kept, optimizer=dict(state={}), param_schedulers=[]),
               path)
    training.slim(run)
    found = torch.load(path, weights_only=True)
    assert set(found) == set(kept)
    assert torch.equal(found['state_dict']['a'], torch.ones(3))
    training.slim(run)  # and once more: nothing to do
