"""Names, schedules and starts of the label benchmark's runs."""
from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest
import torch
from mmengine.registry import init_default_scope
from mmpose.registry import MODELS

from benchmarks.labels import cost, ledger, plan, rows, runs
from benchmarks.labels.data import DATA
from benchmarks.labels.runs import Name, settings

EVERY = [n for group in plan.GROUPS.values() for n in group]


def test_names_are_read_back():
    for name in plan.with_needs(EVERY):
        assert Name.parse(str(name)) == name
    folders = [n.folder for n in plan.with_needs(EVERY)]
    assert len(set(folders)) == len(folders)


@pytest.mark.parametrize('text', [
    'plain', 'plain_20', 'plain_21_0', 'plane_20_0', 'plain_20_-1',
    'world:plain_20_0', 'lsp:plain_20_0', 'start-long_20_0',
    'jitter-long_20_0', 'plain_020_0'])
def test_what_is_no_run(text):
    with pytest.raises(ValueError, match='is no run. They are called'):
        Name.parse(text)


def test_steps_are_equal_within_a_table():
    """Every row of a group, and its guests, have as many steps."""
    from benchmarks.labels.comparison import rows_of
    for group in plan.GROUPS:
        for names in rows_of(group).values():
            assert len({n.steps for n in names}) == 1
    assert Name.parse('plain-long_20_0').steps == 3 * rows.STEPS


def test_the_issue_is_covered():
    """Four rows, three shares and seeds, both data sets; five batches."""
    for group, data in (('main', 'lsp'), ('synthetic', 'synthetic')):
        held = {(n.row, n.percent, n.seed) for n in plan.GROUPS[group]
                if n.data == data}
        assert held == {(r, p, s) for r in ('plain', 'supervised', 'semi',
                                            'teacher')
                        for p in (5, 20, 80) for s in (0, 1, 2)}
    shares = [rows.ROWS[n.row].counts for n in plan.GROUPS['compositions']
              if n.seed == 0]
    assert [tuple(4 * c for c in s) for s in shares] == [
        (32, 96), (48, 80), (64, 64), (80, 48), (96, 32)]
    assert set(DATA) == {'lsp', 'synthetic'}


def test_what_comes_before():
    semi = Name.parse('synthetic:semi_5_2')
    assert [str(n) for n in plan.with_needs([semi])] == [
        'synthetic:start_5_2', 'synthetic:masks_5_2', 'synthetic:semi_5_2']
    terms = Name.parse('synthetic:semi-terms_5_2')
    assert [n.row for n in terms.needs()] == ['start', 'masks', 'poses',
                                              'images']
    assert [str(n) for n in Name.parse('plain-long_20_0').needs()] == [
        'start_20_0']
    assert [str(n) for n in Name.parse('self-training-long_20_1').needs()
            ] == ['start_20_1', 'supervised-long_20_1']
    assert 'masks-more_20_0' in map(str, Name.parse(
        'better-masks_20_0').needs())
    assert [str(n) for n in Name.parse('unpaired-long_20_0').needs()] == [
        'poses_20_0']
    everybody = settings(Name.parse('poses-all_20_0'))
    assert everybody.label_fraction == 1.
    captured = settings(Name.parse('poses-mocap_20_0'))
    assert {d.type for d in captured.train_dataloader.dataset.datasets} == {
        'PoseCollectionDataset'}


def test_the_taught_are_measured(monkeypatch, tmp_path):
    """The student, and its teacher is the row that it names."""
    monkeypatch.setattr(runs, 'FOLDER', tmp_path)
    init_default_scope('mmpose')
    name = Name.parse('self-training_20_0')
    torch.manual_seed(5)
    for before in name.needs():
        before.folder.mkdir()
        model = MODELS.build(settings(before, False).model)
        torch.save(dict(state_dict=model.state_dict(), meta={}),
                   before.folder / f'iter_{before.steps}.pth')
    taught = MODELS.build(settings(name).model)
    taught.init_weights()
    for key, value in taught.teacher.state_dict().items():
        assert torch.equal(value, model.state_dict()[key]), key
    assert not torch.equal(taught.head.final_layer.weight,
                           taught.teacher.head.final_layer.weight)
    for started in (True, False):
        assert settings(name, started).model.evaluate == 'student'


@pytest.fixture(scope='module')
def configs():
    return {row: settings(Name('synthetic', row, False, 20, 1), False)
            for row in rows.ROWS}


def test_every_row_builds(configs):
    init_default_scope('mmpose')
    for row, cfg in configs.items():
        with torch.device('meta'):
            model = MODELS.build(cfg.model)
        assert type(model).__name__ == rows.ROWS[row].model
        if rows.ROWS[row].head != 'coordinates':
            assert model.head.decoder.sigma == getattr(
                model, 'sigma', 1.) == 1.
        loader = cfg.train_dataloader
        assert loader.batch_size == sum(rows.ROWS[row].counts)


def test_rows_differ_in_nothing_else(configs):
    """Schedule, optimizer and seed are the plain recognizer's."""
    plain = configs['plain']
    for row, cfg in configs.items():
        for key in ('param_scheduler', 'randomness', 'label_fraction',
                    'split_seed', 'channels_last'):
            assert cfg[key] == plain[key], (row, key)
        assert cfg.train_cfg.max_iters == rows.STEPS
        assert cfg.optim_wrapper.optimizer == plain.optim_wrapper.optimizer
        assert (cfg.optim_wrapper.type == plain.optim_wrapper.type) == (
            row != 'float32')
        assert cfg.model.backbone == plain.model.backbone
        if not rows.ROWS[row].head:
            assert cfg.model.head == plain.model.head


def test_nothing_starts_untrained(monkeypatch, tmp_path):
    monkeypatch.setattr(runs, 'FOLDER', tmp_path)
    with pytest.raises(FileNotFoundError, match='training start_20_0'):
        settings(Name.parse('plain_20_0'))


def test_rows_begin_at_one_recognizer(monkeypatch, tmp_path):
    """The start's weights stand in the models that are built."""
    monkeypatch.setattr(runs, 'FOLDER', tmp_path)
    init_default_scope('mmpose')
    start = Name.parse('start_20_0')
    start.folder.mkdir()
    torch.manual_seed(5)
    model = MODELS.build(settings(start).model)
    torch.save(dict(state_dict=model.state_dict(), meta={}),
               start.folder / f'iter_{start.steps}.pth')
    for row in ('plain', 'teacher', 'recombination'):
        other = MODELS.build(settings(Name.parse(f'{row}_20_0')).model)
        other.init_weights()
        nets = [other] + ([other.teacher] if row == 'teacher' else [])
        for net in nets:
            for key, value in model.state_dict().items():
                assert torch.equal(net.state_dict()[key], value), (row, key)


@pytest.mark.parametrize('kind', ['maps', 'coordinates'])
def test_a_prior_in_the_loss_of_an_ordinary_head(monkeypatch, tmp_path,
                                                 kind):
    """Trained poses, the start's weights, two steps, and the score."""
    from benchmarks.labels.cost import Stepper
    monkeypatch.setattr(runs, 'FOLDER', tmp_path)
    init_default_scope('mmpose')
    name = Name.parse(f'synthetic:{kind}-prior_20_0')
    assert [n.row for n in name.needs()] == ['start', 'poses']
    held = {}
    torch.manual_seed(5)
    for before in name.needs():
        before.folder.mkdir()
        held[before.row] = MODELS.build(settings(before, False).model)
        torch.save(dict(state_dict=held[before.row].state_dict(), meta={}),
                   before.folder / f'iter_{before.steps}.pth')
    model = MODELS.build(settings(name).model)
    model.init_weights()
    for part, other in ((model.backbone, held['start'].backbone),
                        (model.head.loss_module.prior,
                         held['poses'].pose_vae)):
        for key, value in other.state_dict().items():
            assert torch.equal(part.state_dict()[key], value), key
    monkeypatch.setattr(cost, 'settings', lambda *_, **__: settings(name))
    stepper = Stepper(name)
    losses = stepper.model.train_step(stepper.batch(), stepper.wrapper)
    assert losses['loss_kpt'].isfinite()
    plain = Name.parse(f'synthetic:{kind}_20_0')
    assert [n.row for n in plain.needs()] == ['start']


def test_the_papers_size():
    """In a process of its own: the size is read on import."""
    code = """
import torch
from mmengine.registry import init_default_scope
from mmpose.registry import MODELS
from benchmarks.labels import ledger
from benchmarks.labels.runs import Name, settings
init_default_scope('mmpose')
for row in ('semi', 'teacher', 'maps-prior'):
    cfg = settings(Name('lsp', row, False, 20, 0), False)
    with torch.device('meta'):
        model = MODELS.build(cfg.model)
    assert model.head.decoder.input_size == (256, 256)
    assert getattr(model, 'sigma', 2.) == 2.
    assert type(model.backbone).__name__ == 'HRNet'
assert 'label_efficiency_full' in cfg.work_dir
assert ledger.LEDGER.name == 'label_efficiency_runs_full.json'
"""
    done = subprocess.run(
        [sys.executable, '-W', 'ignore', '-c', code], text=True,
        env=dict(os.environ, LABELS_SIZE='full'), capture_output=True,
        cwd=runs.ROOT)
    assert done.returncode == 0, done.stderr


def test_costs_add_up(monkeypatch, tmp_path):
    monkeypatch.setattr(runs, 'FOLDER', tmp_path)
    result = tmp_path / 'held.json'
    result.write_text(json.dumps(dict(cost=dict(rows={
        'start': dict(seconds=.1), 'plain': dict(seconds=.2)}))))
    monkeypatch.setattr(plan, 'RESULT', result)
    monkeypatch.setattr(ledger, 'LEDGER', tmp_path / 'runs.json')
    one, two = Name.parse('plain_20_0'), Name.parse('plain_5_0')
    monkeypatch.setattr(plan, 'GROUPS', dict(main=[one, two], long=[one]))
    text = plan.plan(['main', 'long'])
    hours = (.1 * (runs.START_STEPS[20] + runs.START_STEPS[5])
             + .2 * 2 * rows.STEPS) / 3600
    assert f'| main | 4 | {hours:.1f} | {hours:.1f} |' in text
    assert '| long | 0 | 0.0 | 0.0 |' in text  # counted already
    one.folder.mkdir()
    (one.folder / f'iter_{one.steps}.pth').touch()
    (one.folder / 'run.json').write_text('{"cpu_seconds": 600}')
    assert f'| {one} | {one.steps} | 10.0 | done |' in plan.plan(['main'])


def test_the_literal_objective_is_the_plain_recognizers():
    """Equal gradients to the last bit, generative terms or not."""
    from benchmarks.recombination_speed import make_batch
    init_default_scope('mmpose')
    batch, gradients = make_batch(64, 4, False), []
    state: dict = {}
    for row in ('plain', 'literal', 'terms-coordinates'):
        cfg = settings(Name('synthetic', row, False, 20, 0), False)
        cfg.model.data_preprocessor.type = 'CropPreprocessor'
        torch.manual_seed(0)
        model = MODELS.build(cfg.model).train()
        state = state or {k: v.clone()
                          for k, v in model.state_dict().items()}
        model.load_state_dict(state, strict=False)
        data = model.data_preprocessor(dict(inputs=batch), True)
        losses = model.loss(**data)
        sum(v for k, v in losses.items() if k.startswith('loss')).backward()
        gradients.append({k: p.grad for k, p in model.named_parameters()
                          if k.startswith(('backbone.', 'head.'))})
    plain, literal, terms = gradients
    assert all(torch.equal(plain[k], literal[k]) for k in plain)
    assert not all(torch.allclose(plain[k], terms[k]) for k in plain)
