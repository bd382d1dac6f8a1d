"""The report of whole, partial and damaged work dirs."""
from __future__ import annotations

import base64
import json
import re
import shutil
from html.parser import HTMLParser

import cv2
import numpy as np
import pytest

from mirrorpose.visualization import build_report
from mirrorpose.visualization.work_dir import CURRICULUM, read_stages

SECTIONS = ['What was run', 'Scores on the test set', 'Learning curves',
            'Gallery', 'Poses before and after the prior',
            'Worst cases by plausibility', 'Poses from the pose VAE',
            'Images from the image VAE']
OF_THE_PRIOR = ('Poses before and after the prior',
                'Worst cases by plausibility')
VOID = {'meta', 'img', 'br'}


class Page(HTMLParser):
    """What a browser would find in the file."""

    def __init__(self, path):
        super().__init__()
        self.titles, self.images, self.addresses = [], [], []
        self.rows, self.notes, self.captions = [], [], []
        self.open = []
        self.feed(path.read_text())
        assert not self.open, f'not closed: {self.open}'

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        self.addresses += [attrs[k] for k in ('src', 'href') if k in attrs]
        if tag == 'img':
            self.images.append((attrs['alt'], attrs['src']))
        if tag == 'tr':
            self.rows.append([])
        if tag in ('td', 'th'):
            self.rows[-1].append('')
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        inside = self.open[-1] if self.open else ''
        if inside == 'h2':
            self.titles.append(data)
        elif inside == 'li':
            self.notes.append(data)
        elif inside == 'figcaption':
            self.captions.append(data)
        elif 'td' in self.open or 'th' in self.open:
            self.rows[-1][-1] += data + ' '

    def row(self, name, number=0):
        found = [r for r in self.rows if r[0].strip() == name]
        return [c.split() for c in found[number][1:]]

    def picture(self, source):
        data = base64.b64decode(source.partition(',')[2])
        return cv2.imdecode(np.frombuffer(data, np.uint8), 1)


@pytest.fixture(scope='module')
def path(finished_work_dir, tmp_path_factory):
    out = tmp_path_factory.mktemp('page') / 'deep' / 'report.html'
    assert build_report(finished_work_dir, out, images=3) == out
    return out


@pytest.fixture(scope='module')
def page(path):
    return Page(path)


class TestWhole:

    def test_sections_and_nothing_missing(self, page):
        assert page.titles == SECTIONS
        assert page.notes == []

    def test_it_opens_offline(self, path, page):
        assert page.addresses
        assert all(a.startswith(('data:image/png;base64,', '#s'))
                   for a in page.addresses)
        assert not re.search(r'https?:|@import|url\(|<script|<link',
                             path.read_text())
        assert path.parent.joinpath('report.html.part').exists() is False

    def test_pictures_can_be_read(self, page):
        assert len(page.images) > 40
        for name, source in page.images:
            assert page.picture(source) is not None, name

    def test_gallery_of_every_person(self, page):
        for start, count in (('annotation', 3), ('baseline:', 3),
                             ('semi-supervised:', 3), ('estimated mask', 3),
                             ('reconstruction', 3 + 1),
                             ('recognized pose maps', 3),
                             ('after the pose VAE', 3)):
            assert sum(c.startswith(start) for c in page.captions) == count

    def test_pose_prior(self, page, path):
        # 3 of the gallery, and the worst 3 of all 8.
        for start in ('annotated', 'recognized: ', 'after the prior: '):
            assert sum(c.startswith(start) for c in page.captions) == 6
        assert 'The 3 least plausible of 8 test images' in path.read_text()

    def test_pictures_show_different_things(self, page):
        sources = [s for name, s in page.images if name == 'annotation']
        assert len(set(sources)) == 3

    def test_scores_and_differences(self, page):
        # Means of the two epochs; differences to the baseline below.
        assert page.row('baseline')[-1] == ['61.0', '±', '1.4']
        assert page.row('supervised')[-1] == ['62.5', '±', '2.1', '+1.5']
        assert page.row('semi-supervised')[-1] == ['66.0', '±', '1.4',
                                                   '+5.0']
        assert page.row('semi-supervised')[0] == ['1–2']
        assert page.row('semi-supervised')[1] == ['66.0', '+5.0']
        # The second table is of the torso.
        assert page.row('baseline', 1)[-1][0] == '32.0'
        assert page.row('semi-supervised', 1)[-1] == ['30.0', '±', '0.0',
                                                      '−2.0']

    def test_stages_with_epochs_and_minutes(self, page):
        for name in CURRICULUM:
            row = page.row(CURRICULUM[name][0])
            assert row[1:] == [['2', 'of', '2'], ['1.5'], ['finished']]

    def test_counts(self, path):
        # A quarter of 8 is annotated.
        text = path.read_text()
        assert '2 annotated, 6 un-annotated, 8 for testing' in text
        assert 'some_curriculum.py' in text

    def test_same_work_dir_same_pictures(self, page, finished_work_dir,
                                         tmp_path):
        again = Page(build_report(finished_work_dir, tmp_path / 'r.html', 3))
        assert again.images == page.images


class TestExtras:

    def test_results_and_sections(self, finished_work_dir, tmp_path):
        rows = [dict(method='baseline', labelled=1234, unlabelled=0, seed=0,
                     pck=dict(Head=90., Total=70.)),
                dict(method='semi-supervised', labelled=1234,
                     unlabelled=5678, seed=0, pck=dict(Head=91., Total=69.)),
                dict(method='semi-supervised', labelled=99, unlabelled=0,
                     seed=0, pck=dict(Head=1., Total=2.))]
        out = build_report(
            finished_work_dir, tmp_path / 'r.html', images=0,
            results=dict(results=rows), title='Quick <start>',
            extra_sections={'Time': '<p>Ten <b>minutes</b></p>'})
        page = Page(out)
        assert page.titles == ['What was run', 'Results', SECTIONS[1],
                               'Time', SECTIONS[2]]
        row = page.row('semi-supervised')
        assert row[:4] == [['1', '234'], ['5', '678'], ['0'],
                           ['91.0', '+1.0']]
        assert row[-1] == ['69.0', '−1.0'] and row[4] == ['–']
        # No baseline with as many labels: nothing to compare with.
        assert page.row('semi-supervised', 1)[-1] == ['2.0']
        text = out.read_text()
        assert '<h1>Quick &lt;start&gt;</h1>' in text
        assert '<p>Ten <b>minutes</b></p>' in text

    def test_incomplete_result_row(self, finished_work_dir, tmp_path):
        with pytest.raises(ValueError, match='pck=dict'):
            build_report(finished_work_dir, tmp_path / 'r.html', 0,
                         results=[dict(method='baseline')])
        assert not (tmp_path / 'r.html').exists()

    def test_negative_number_of_images(self, finished_work_dir):
        with pytest.raises(ValueError, match='-1'):
            build_report(finished_work_dir, images=-1)


class TestPartial:

    def keep(self, work_dir, *names):
        for name in CURRICULUM:
            if name not in names:
                shutil.rmtree(work_dir / name)

    def test_first_stages_only(self, work_dir):
        self.keep(work_dir, 'mask_estimator', 'recognizer')
        page = Page(build_report(work_dir, images=2))
        assert page.titles == [s for s in SECTIONS if s not in OF_THE_PRIOR]
        notes = ' '.join(page.notes)
        for missing in ('image VAE', 'pose VAE', 'semi-supervised',
                        'no scores yet'):
            assert missing in notes
        shown = {c.split(':')[0].split(' (')[0] for c in page.captions}
        assert shown == {'annotation', 'recognizer, pre-training',
                         'estimated mask', 'image, reduced',
                         'recognized pose maps'}

    def test_generators_without_recognizer(self, work_dir):
        self.keep(work_dir, 'mask_estimator', 'image_vae', 'pose_vae')
        page = Page(build_report(work_dir, images=2))
        shown = {c.split(' (')[0] for c in page.captions}
        assert {'reconstruction', 'after the pose VAE', 'both'} <= shown

    def test_unfinished_stage(self, work_dir):
        state = json.loads((work_dir / 'curriculum.json').read_text())
        del state['semi_supervised']
        (work_dir / 'curriculum.json').write_text(json.dumps(state))
        (work_dir / 'semi_supervised' / 'last_checkpoint').unlink()
        for file in (work_dir / 'semi_supervised').glob('*.pth'):
            file.unlink()
        page = Page(build_report(work_dir, images=1))
        assert any('semi_supervised is not finished: 0 of 2' in n
                   for n in page.notes)
        # The whole MirrorNet before it is drawn instead.
        assert any(c.startswith('supervised, continued:')
                   for c in page.captions)
        # 10 logged iterations of 6 s.
        assert page.row('Semi-supervised')[1:] == [
            ['0', 'of', '2'], ['1.0'], ['unfinished']]

    def test_shorter_supervised_stage_is_named(self, work_dir):
        shutil.copy(work_dir / 'supervised_long' / 'scores.json',
                    work_dir / 'supervised' / 'scores.json')
        (work_dir / 'supervised_long' / 'scores.json').unlink()
        page = Page(build_report(work_dir, images=0))
        assert any('shorter stage' in n for n in page.notes)
        assert page.row('supervised')[-1][0] == '62.5'


class TestDamaged:

    def test_scalars_line(self, work_dir):
        log, = (work_dir / 'baseline').glob('*/vis_data/scalars.json')
        log.write_text(log.read_text() + '{"loss": 1., "it')
        page = Page(build_report(work_dir, images=0))
        note, = page.notes
        assert 'baseline' in note and '1 line ' in note

    def test_weights_of_the_last_stage(self, work_dir):
        file = work_dir / 'semi_supervised' / 'epoch_2.pth'
        file.write_bytes(file.read_bytes()[:1000])
        page = Page(build_report(work_dir, images=1))
        note, = page.notes
        assert 'semi_supervised cannot be loaded' in note
        assert any(c.startswith('supervised, continued:')
                   for c in page.captions)

    def test_scores_and_config(self, work_dir):
        (work_dir / 'baseline' / 'scores.json').write_text('{"mean"')
        (work_dir / 'supervised' / 'supervised.py').write_text('a = (')
        page = Page(build_report(work_dir, images=0))
        notes = ' '.join(page.notes)
        assert 'baseline/scores.json is damaged' in notes
        assert 'supervised/supervised.py cannot be read' in notes
        # Without a baseline there are no differences.
        assert page.row('semi-supervised')[-1] == ['66.0', '±', '1.4']

    def test_no_images(self, work_dir):
        for file in work_dir.glob('*/*.py'):
            file.write_text(file.read_text().replace(
                'SyntheticPoseDataset', 'GoneDataset'))
        out = build_report(work_dir, images=2)
        assert out == work_dir / 'report.html'
        page = Page(out)
        notes = ' '.join(page.notes)
        assert 'no test images to draw' in notes
        assert 'cannot be counted' in notes
        assert page.titles == [s for s in SECTIONS if s not in OF_THE_PRIOR]
        # The pose VAE needs no images.
        assert 'Peaks of the generated maps' in out.read_text()


class TestUnknown:

    def test_no_such_folder(self, tmp_path):
        with pytest.raises(FileNotFoundError, match='nowhere'):
            build_report(tmp_path / 'nowhere')

    def test_no_stage_in_it(self, tmp_path):
        with pytest.raises(ValueError, match='no stage'):
            build_report(tmp_path)
        assert not list(tmp_path.iterdir())


def test_stages_come_in_the_order_of_the_curriculum(finished_work_dir):
    stages, _ = read_stages(finished_work_dir)
    assert [s.name for s in stages] == list(CURRICULUM)
    by_name = {s.name: s for s in stages}
    assert by_name['baseline'].parent == 'recognizer'
    assert by_name['supervised'].parent == 'recognizer'
    assert by_name['semi_supervised'].parent == 'supervised'
    assert by_name['recognizer'].parent is None
