"""Recombined images in the report."""
from __future__ import annotations

import copy

import numpy as np
import pytest

from mirrorpose.visualization import gallery, recombination_gallery
from mirrorpose.visualization.page import Section
from mirrorpose.visualization.report_pictures import made_sections
from mirrorpose.visualization.work_dir import read_stages

OPTIONS = dict(type='Recombination', skeleton='mpii_16', scene_prob=1.,
               appearance_prob=0., jitter={}, estimator='model')


@pytest.fixture(scope='module')
def held(finished_work_dir):
    stages = read_stages(finished_work_dir)[0]
    networks = gallery.load_networks(stages)[0]
    batch, _, skeleton = gallery.load_samples(stages, 4)
    return stages, networks, batch, skeleton


def test_found_where_a_stage_has_it(held):
    stages = [copy.copy(s) for s in held[0]]
    assert recombination_gallery.recombination_of(stages) is None
    assert made_sections(stages, held[1], held[2], held[3], []) == []
    last = next(s for s in reversed(stages) if s.config is not None)
    last.config = copy.deepcopy(last.config)
    last.config.model.data_preprocessor.batch_augments = [OPTIONS]
    stage, options = recombination_gallery.recombination_of(stages)
    assert stage is last and options['scene_prob'] == 1.
    section, = made_sections(stages, held[1], held[2], held[3], [])
    assert isinstance(section, Section) and section.html.count('<img') == 20
    # A mean teacher has it itself.
    del last.config.model.data_preprocessor.batch_augments
    last.config.model.recombination = OPTIONS
    assert recombination_gallery.recombination_of(stages)[0] is last
    del last.config.model.recombination
    notes = []
    last.config.model.data_preprocessor.batch_augments = [
        dict(OPTIONS, skeleton='lsp_14')]
    assert made_sections(stages, held[1], held[2], held[3], notes) == []
    assert '16 joints' in notes[0]


def test_people_stay_and_scenes_change(held):
    stages, networks, batch, skeleton = held
    rows = recombination_gallery.made_rows(
        stages[-1], OPTIONS, networks.preprocessor, batch, skeleton)
    assert len(rows) == 4
    plain = networks.preprocessor(dict(
        inputs=list(batch['inputs']),
        data_samples=batch['data_samples']), False)['inputs']
    images = recombination_gallery.denormalise(plain, networks.preprocessor)
    changed = []
    for row, image, sample in zip(rows, images, batch['data_samples']):
        assert [t.caption for t in row.tiles] == [
            'annotated', 'draw 1', 'draw 2', 'draw 3', 'draw 4']
        xy, there = gallery.input_points(sample)
        middle = xy[skeleton.index('pelvis', 'thorax')].mean(0).round(
            ).astype(int)
        for tile in row.tiles[1:]:
            apart = np.abs(tile.image.astype(int) - image)
            assert apart[middle[1], middle[0]].max() <= 8
            changed.append((apart[[0, -1]] > 8).mean())
    assert np.mean(changed) > .3
