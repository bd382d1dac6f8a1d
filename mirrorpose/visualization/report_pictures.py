"""The sections of a report that are looked at."""
from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Any

import numpy as np

from . import gallery, prior_gallery, recombination_gallery
from .drawing import data_uri, png
from .keypoint_gallery import keypoint_sections, shows_keypoints
from .page import Section
from .sequence_gallery import sequence_html, shows_sequences
from .work_dir import Stage

_COLOR_KEY = ('<p class="faint">Limbs and joints: '
              '<span class="key" style="background:#00ff00"></span>left '
              '<span class="key" style="background:#ff8000"></span>right '
              '<span class="key" style="background:#3399ff"></span>middle'
              '</p>')


def picture_sections(stages: Sequence[Stage], number: int,
                     notes: list[str]) -> list[Section]:
    """Gallery, pose samples and image samples, as far as there are any.

    Of a completer: sequences in motion. Of a KeypointGAN: its monitors, and
    every stage of its cycle.
    """
    if any(shows_keypoints(stage) for stage in stages):
        return keypoint_sections(stages, number, notes)
    if any(shows_sequences(stage) for stage in stages):
        return [Section('Completed sequences', sequence_html(
            stages, number, notes))]
    networks, problems = gallery.load_networks(stages)
    notes += problems
    if networks.preprocessor is None:
        notes.append('no pictures: no stage has weights that can be loaded')
        return [Section('Gallery', '<p>There are no weights yet.</p>')]
    sections = []
    try:
        batch, total, skeleton = gallery.load_samples(stages, number)
    except gallery.BROKEN as error:
        notes.append('no test images to draw: ' + gallery.one_line(error))
        batch = None
        sections.append(Section(
            'Gallery', '<p>There are no test images here.</p>'))
    if batch is not None:
        try:
            rows = gallery.people(networks, batch, skeleton)
            sections.append(Section('Gallery', gallery_html(
                networks, rows, total)))
        except gallery.BROKEN as error:
            notes.append('the gallery cannot be drawn: '
                         + gallery.one_line(error))
        sections += prior_sections(stages, networks, number, notes)
        sections += made_sections(stages, networks, batch, skeleton, notes)
    sections.append(Section('Poses from the pose VAE', pose_html(
        networks, notes)))
    sections.append(Section('Images from the image VAE', image_html(
        networks, batch, notes)))
    return sections


def gallery_html(networks: gallery.Networks, rows: Sequence[gallery.Row],
                 total: int) -> str:
    """The gallery of test images."""
    html = (f'<p>{len(rows)} of the {total} test images, evenly spaced, not '
            'chosen. Joints that are not annotated are not drawn; counted '
            'are joints within 0.2 of the tight box (PCK). The generators '
            'work on the reduced image.</p>' + _COLOR_KEY
            + _sources(networks))
    return html + gallery_rows(rows)


def prior_sections(stages: Sequence[Stage], networks: gallery.Networks,
                   number: int, notes: list[str]) -> list[Section]:
    """Poses before and after the prior, and the least plausible ones."""
    if networks.recognizer is None or networks.pose_vae is None:
        return []
    try:
        batch, total, skeleton = gallery.load_samples(
            stages, prior_gallery.POOL * number)
        judged = prior_gallery.judge(networks, batch)
        count = len(judged.samples)
        error = prior_gallery.errors(judged)
        worst = prior_gallery.least_plausible(judged, number)
        # Those of the gallery are spread the same way.
        spread = ((np.arange(min(number, count)) + 0.5) * count
                  / min(number, count)).astype(int).tolist()
        shown = [gallery_rows(prior_gallery.prior_rows(
            judged, chosen, skeleton)) for chosen in (spread, worst)]
    except gallery.BROKEN as error_:
        notes.append('the pose prior cannot be shown: '
                     + gallery.one_line(error_))
        return []
    return [
        Section('Poses before and after the prior', (
            '<p>The recognized pose, and what the pose VAE gives back for '
            'it. Nats are the bound of its log-probability: comparable '
            'between images, not calibrated. A pose that looks more usual '
            'need not be nearer to the truth: compare the counts.</p>'
            + _COLOR_KEY + shown[0])),
        Section('Worst cases by plausibility', (
            f'<p>The {len(worst)} least plausible of {count} test images '
            f'(evenly spaced over {total}). Mean error over the side of the '
            f'input: {np.nanmean(error[worst]):.3f} here, '
            f'{np.nanmean(error):.3f} over all {count}.</p>' + shown[1]))]


def made_sections(stages: Sequence[Stage], networks: gallery.Networks,
                  batch: dict[str, list], skeleton: Any,
                  notes: list[str]) -> list[Section]:
    """Images that recombination makes, where a stage trains on such."""
    found = recombination_gallery.recombination_of(stages)
    if found is None:
        return []
    try:
        rows = recombination_gallery.made_rows(
            *found, networks.preprocessor, batch, skeleton)
    except gallery.BROKEN as error:
        notes.append('the images that training makes cannot be shown: '
                     + gallery.one_line(error))
        return []
    return [Section('Images that were made', (
        '<p>Test people, recombined as training recombines its own: another '
        "image's scene, another person's colours, people behind or in front. "
        'They are cut out by capsules around the annotated limbs; training '
        'takes silhouettes where it has them.</p>' + gallery_rows(rows)))]


def gallery_rows(rows: Sequence[gallery.Row]) -> str:
    """Rows of pictures under their titles."""
    return ''.join(
        f'<h3>{escape(row.title)}</h3><div class="row">'
        + ''.join(_tile(t) for t in row.tiles) + '</div>' for row in rows)


def pose_html(networks: gallery.Networks, notes: list[str]) -> str:
    """Samples of the pose VAE."""
    if networks.pose_vae is None:
        notes.append('no pose samples: the pose VAE is not trained yet')
        return '<p>The pose VAE is not trained yet.</p>'
    try:
        rows = gallery.sampled_poses(networks.pose_vae)
    except gallery.BROKEN as error:
        notes.append('poses cannot be sampled: ' + gallery.one_line(error))
        return '<p>There are no samples.</p>'
    return ('<p>Drawn from its prior: a standard normal latent, decoded. '
            'Joints whose map stays below 0.2 are not drawn as peaks.</p>'
            + _COLOR_KEY + ''.join(
                f'<h3>{escape(row.title)}</h3>' + _sheet([row])
                for row in rows))


def image_html(networks: gallery.Networks, batch: dict[str, list] | None,
               notes: list[str]) -> str:
    """Samples of the image VAE."""
    if networks.image_vae is None or networks.mask_estimator is None:
        notes.append('no image samples: the image VAE is not trained yet')
        return '<p>The image VAE is not trained yet.</p>'
    if batch is None:
        return '<p>There are no test images whose poses could be used.</p>'
    few = {k: v[:5] for k, v in batch.items()}
    try:
        drawn = gallery.sampled_images(networks, few)
        swapped = gallery.swapped_appearances(networks, few)
    except gallery.BROKEN as error:
        notes.append('images cannot be sampled: ' + gallery.one_line(error))
        return '<p>There are no samples.</p>'
    return ('<p>Every row has one annotated pose. Latents that are drawn '
            'come from a standard normal; the others are those of the image.'
            '</p><h3>Appearance and scene drawn</h3>' + _sheet(drawn)
            + '<h3>Appearance of another person</h3><p>Rows: pose and scene; '
            'columns: whose appearance.</p>' + _sheet(swapped))


def _sources(networks: gallery.Networks) -> str:
    names = dict(recognizer='recognizer', mask_estimator='mask estimator',
                 image_vae='image VAE', pose_vae='pose VAE')
    known = [f'{names[k]}: {v}' for k, v in networks.sources.items()]
    return f'<p class="faint">Weights. {escape("; ".join(known))}.</p>'


def _tile(tile: gallery.Tile) -> str:
    return (f'<figure><img alt="{escape(tile.caption)}" '
            f'src="{data_uri(png(tile.image))}">'
            f'<figcaption>{escape(tile.caption)}</figcaption></figure>')


def _sheet(rows: Sequence[gallery.Row]) -> str:
    """Rows of equal length on one grid; captions above the first."""
    width = max(len(row.tiles) for row in rows)
    cells = ''
    for i, row in enumerate(rows):
        for tile in row.tiles:
            caption = f'<figcaption>{escape(tile.caption)}</figcaption>' \
                if i == 0 and tile.caption else ''
            cells += (f'<figure>{caption}<img alt="{escape(tile.caption)}" '
                      f'src="{data_uri(png(tile.image))}"></figure>')
    return (f'<div class="wide"><div class="sheet" style="grid-template-'
            f'columns:repeat({width},minmax(0,150px))">{cells}</div></div>')
