"""View-invariant pose retrieval: images of like poses, seen from elsewhere."""
from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from mmengine.evaluator import BaseMetric
from mmengine.logging import print_log
from mmpose.registry import METRICS

from ..structures.skeleton import Skeleton
from .frame_keys import read_frame_keys, select
from .pck import format_table, write_json
from .retrieval_protocol import (
    Settings,
    make_samples,
    unit_embeddings,
    view_pairs,
)
from .retrieval_scores import (
    by_embedding,
    by_pose,
    evaluate_pair,
    mean_of_pairs,
)
from .root_relative import as_array


def by_pair(variants: Mapping[str, Any], top: int) -> list[str]:
    """A table a variant: queries' views down, galleries' across.

    Args:
        variants (Mapping): Variant to ``pairs``, as ``calculate`` has them
            for one row.
        top (int): K of ``Recall@K`` where there is one, else of ``Hit@K``.
    """
    out = []
    for variant, values in variants.items():
        pairs = values['pairs']
        names = sorted({n for pair in pairs for n in pair.split(' > ')})
        key = next((k for k in (f'Recall@{top}', f'Hit@{top}') if any(
            k in p for p in pairs.values())), None)
        if key:
            out.append(f'{variant}, {key}: query (down) > gallery\n'
                       + format_table([(a, {b: pairs.get(
                           f'{a} > {b}', {}).get(key, np.nan)
                           for b in names}) for a in names]))
    return out


@METRICS.register_module()
class PoseRetrieval(BaseMetric):
    """Do the nearest embeddings from another camera show the same pose?

    For each ordered pair of views, frames of the first are queries and
    frames of the second the gallery, ranked by the Euclidean distance of
    unit embeddings, exactly. What is found is judged by its true pose.
    Results are means over queries, then over pairs of views.

    - ``Hit@K``: among the first K is one with NP-MPJPE <= ``hit``: P-MPJPE
      over the length of the query's torso (Pr-VIPE, Sun et al., 2020).
    - ``rotation-MPJPE@K`` (or ``canonical-MPJPE@K``), ``P-MPJPE@K``: mean
      error of the first K in mm, after root-centring and rotation with the
      scale kept (or as canonical poses are), and after a similarity.
    - ``PCK@K``, ``bestPCK@K``: percent of joints within ``threshold``, mean
      and greatest of the first K, aligned as MPJPE.
    - ``Recall@K``: the same instant is among the first K; of the queries
      whose instant the gallery has, variant ``kept`` only.

    Variants: ``kept`` (the gallery is the whole other view, as Pr-VIPE's),
    ``removed`` (without ``gap`` seconds around the query in its clip),
    ``cross_subject`` (other people only). With ``kept`` an embedding of the
    background and the hour is enough.

    Rules: a query without any eligible item is left out and counted
    (``unanswered``); one with fewer than K is judged by those. Samples
    without three annotated joints are left out and counted (``unjudged``),
    as are repetitions of a frame (``repeated``; the first is kept). Pairs
    with fewer than three common joints never hit and have no error.

    Args:
        frame_keys (str | Sequence[str], optional): Evaluate these frames
            only (:func:`.frame_keys.read_frame_keys`).
        frame_offset (int): Number of the first frame in the data set, where
            keys count from 0. Defaults to 0.
        query_fields (Mapping[str, str], optional): Name to a field of
            ``pred_instances``: further embeddings of the queries, of inputs
            with missing joints for example, searched in the same gallery.
        pose_key (str, optional): Defaults to ``keypoints_3d_canonical`` with
            canonical alignment, else to ``keypoints_3d_camera``.
        out_file (str, optional): JSON file for the tables by view pair.
        collect_device (str): Defaults to ``'cpu'``.
        prefix (str, optional): Defaults to ``'retrieval'``.
        settings: As :class:`.retrieval_protocol.Settings`. With one subject
            ``cross_subject`` is skipped, with a warning.

    Raises:
        TypeError: A setting that there is not.
        ValueError: An unknown or impossible value.
    """

    default_prefix = 'retrieval'

    def __init__(self, frame_keys: str | Sequence[str] | None = None,
                 frame_offset: int = 0,
                 query_fields: Mapping[str, str] | None = None,
                 pose_key: str | None = None, out_file: str | None = None,
                 collect_device: str = 'cpu', prefix: str | None = None,
                 **settings: Any) -> None:
        super().__init__(collect_device=collect_device, prefix=prefix)
        self.settings = Settings(**settings)
        self.keys = read_frame_keys(frame_keys) if frame_keys else None
        self.frame_offset = frame_offset
        self.query_fields = dict(query_fields or {})
        self.pose_key = pose_key or 'keypoints_3d_' + (
            'canonical' if self.settings.alignment == 'canonical' else
            'camera')
        self.out_file = out_file

    def process(self, data_batch: Any, data_samples: Sequence[dict]) -> None:
        """Keeps one result a sample.

        Args:
            data_batch (Any): Unused.
            data_samples (Sequence[dict]): With ``pred_instances.embedding``
                (1, D), the true pose (1, K, 3) in mm in
                ``gt_instance_labels`` or ``gt_instances``, and the metainfo
                ``subject``, ``sequence``, ``camera``, ``seconds`` and
                (for frame keys) ``frame``.

        Raises:
            ValueError: A sample lacks one of them.
        """
        wanted = ('subject', 'sequence', 'camera', 'seconds', *(
            ('frame', ) if self.keys else ()))
        for sample in data_samples:
            pred = sample.get('pred_instances') or {}
            lost = [f for f in ('embedding', *self.query_fields.values())
                    if f not in pred]
            lost += [f for f in wanted if f not in sample]
            truth = next((g[self.pose_key] for g in (
                sample.get('gt_instance_labels') or {},
                sample.get('gt_instances') or {}) if self.pose_key in g),
                None)
            if lost or truth is None:
                raise ValueError(
                    f'sample {sample.get("id")!r} lacks '
                    f'{lost or [self.pose_key]}: PoseRetrieval reads '
                    'pred_instances.embedding, the true pose '
                    f'{self.pose_key!r} and the metainfo {list(wanted)}')
            self.results.append(dict(
                {f: sample[f] for f in wanted},
                pose=as_array(truth).reshape(-1, 3),
                embedding=as_array(pred['embedding']).reshape(-1),
                further={name: as_array(pred[field]).reshape(-1)
                         for name, field in self.query_fields.items()}))

    def compute_metrics(self, results: list) -> dict[str, float]:
        """Calculates, prints and writes the tables."""
        sizes = {len(r['pose']) for r in results}
        if len(sizes) > 1:
            raise ValueError(f'true poses have {sorted(sizes)} joints: '
                             'retrieval compares poses of one joint set')
        if self.keys:
            subject, sequence, camera = ([r[k] for r in results] for k in (
                'subject', 'sequence', 'camera'))
            chosen, lost = select(
                self.keys, subject, sequence, camera,
                [int(r['frame']) - self.frame_offset for r in results])
            print_log(f'{len(chosen)} of {len(results)} samples have a frame '
                      f'key; {len(lost)} of {len(self.keys)} keys have no '
                      'sample', logger='current')
            results = [results[i] for i in chosen]
        subjects = [str(r['subject']) for r in results]
        settings = self.settings
        if len(set(subjects)) < 2 and 'cross_subject' in settings.variants:
            print_log('one subject: no cross_subject retrieval',
                      logger='current', level=logging.WARNING)
            settings = replace(settings, variants=[
                v for v in settings.variants if v != 'cross_subject'])
        made = self.calculate(
            np.stack([r['embedding'] for r in results]),
            np.stack([r['pose'] for r in results]),
            [r['camera'] for r in results],
            [f'{r["subject"]}/{r["sequence"]}' for r in results],
            [r['seconds'] for r in results], subjects,
            joints=self._skeleton(), further_queries={
                name: np.stack([r['further'][name] for r in results])
                for name in self.query_fields}, **vars(settings))
        for variant, values in made['rows']['model'].items():
            if values['unanswered']:
                print_log(
                    f'{variant}: {values["unanswered"]} of '
                    f'{values["unanswered"] + values["queries"]} queries have '
                    'no eligible item in their gallery and are left out of '
                    'the means', logger='current', level=logging.WARNING)
        rows = [(f'{row} {variant}', values['mean'])
                for row, table in made['rows'].items()
                for variant, values in table.items()]
        head = rows[0][1]
        print_log('\n' + '\n\n'.join(
            format_table([(title, {k: v for k, v in values.items()
                                   if k.endswith(f'@{top}')})
                          for title, values in rows])
            for top in settings.topk
            if any(k.endswith(f'@{top}') for k in head)), logger='current')
        for text in by_pair(made['rows']['model'], settings.topk[0]):
            print_log('\n' + text, logger='current')
        if self.out_file:
            write_json(self.out_file, made)
        return {(f'{variant}/{key}' if row == 'model' else
                 f'{row}/{variant}/{key}'): value
                for row, table in made['rows'].items()
                for variant, values in table.items()
                for key, value in values['mean'].items()}

    def _skeleton(self) -> Skeleton:
        meta = self.dataset_meta or {}
        if 'keypoint_id2name' in meta or 'keypoint_info' in meta:
            return Skeleton.from_metainfo(meta)
        return Skeleton.from_name('h36m_17')

    @staticmethod
    def calculate(embeddings: Any, poses: Any, views: Sequence[Any],
                  clips: Sequence[Any], seconds: Sequence[float],
                  subjects: Sequence[Any] | None = None, *,
                  visible: Any = None,
                  further_queries: Mapping[str, Any] | None = None,
                  joints: Skeleton | str = 'h36m_17', seed: int = 0,
                  **settings: Any) -> dict[str, Any]:
        """Evaluates embeddings.

        Args:
            embeddings (np.ndarray | Tensor): (N, D); scaled to unit length.
            poses (np.ndarray | Tensor): (N, K, 3) true poses in mm; a joint
                with NaN is absent.
            views (Sequence): N cameras.
            clips (Sequence): N clips; one is of one person.
            seconds (Sequence[float]): N times within the clip, the same for
                all views of an instant (to a millisecond).
            subjects (Sequence, optional): N people.
            visible (np.ndarray | Tensor, optional): (N, K), positive where a
                joint is annotated.
            further_queries (Mapping, optional): Name to (N, D) embeddings
                that ask in place of ``embeddings``; the gallery stays.
            joints (Skeleton | str): The K joints. Defaults to
                ``'h36m_17'``.
            seed (int): Of the random reference.
            settings: As :class:`.retrieval_protocol.Settings`.

        Returns:
            dict[str, Any]: ``rows``: ``'model'``, the names of further
            queries and references, to variants, to ``mean`` (means over
            view pairs), ``pairs`` (``'a > b'`` to the same of one pair) and
            the counts ``queries`` and ``unanswered``; ``unjudged``,
            ``repeated``, ``views``, ``samples``.

        Raises:
            ValueError: Lengths or shapes that do not fit, embeddings that
                are not finite or zero, one view (without ``same_view``), a
                gallery smaller than the greatest K, or ``cross_subject``
                with fewer than two people.
        """
        how = Settings(**settings)
        device = torch.device(how.device)
        units = {name: unit_embeddings(e, name, len(views)) for name, e in (
            {'model': embeddings} | dict(further_queries or {})).items()}
        samples, dropped = make_samples(poses, visible, views, clips,
                                        seconds, subjects, joints, device)
        if 'cross_subject' in how.variants and (
                subjects is None or samples.subject_count < 2):
            raise ValueError('cross_subject needs the subjects of samples, '
                             'and two of them at least')
        order = torch.from_numpy(samples.order)
        units = {n: u[order].to(device) for n, u in units.items()}
        ways = {name: by_embedding(u, units['model'])
                for name, u in units.items()}
        if 'oracle' in how.references:
            ways['oracle'] = by_pose(samples.poses, samples.seen, how.turn)
        if 'random' in how.references:
            ways['random'] = by_embedding(torch.randn(
                len(order), 8, generator=torch.Generator().manual_seed(seed)
            ).to(device))
        tables: dict[str, dict[str, dict]] = {
            name: {v: {} for v in how.variants} for name in ways}
        for title, query, item, own in view_pairs(
                samples, how.gallery, how.same_view, max(how.topk)):
            for name, way in ways.items():
                found = evaluate_pair(samples, way, query, item, own, how)
                for variant, values in found.items():
                    tables[name][variant][title] = values
        return dict(
            rows={name: {v: mean_of_pairs(t) for v, t in table.items() if t}
                  for name, table in tables.items()},
            samples=len(order), views=samples.view_names, **dropped)
