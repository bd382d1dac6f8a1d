"""Annotations that cannot be true, found before a run starts.

Rules, for every joint that is annotated (visibility above 0); what stands at
others never matters:

============== ===========================================================
kind           broken is
============== ===========================================================
joints         another number of joints than the metainfo's
not_finite     a coordinate is NaN or infinite
visibility     a visibility other than 0, 1, 2 (mmpose's own classes have
               cut COCO's down to 0 and 1 before it comes here)
box            a box that is not finite, or without width or height
none_visible   a labelled sample without any annotated joint
far_outside    a joint farther outside of the image than the longer side of
               the part of the box that is inside; LSP, LSPET, MPII and COCO
               hold none. Without the image's size, left and above count
duplicate      an id that another sample has too
============== ===========================================================

Joints that are less far outside (people cut off by the border, as many data
sets annotate them) are counted and used: kind ``outside``.
"""
from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from mmengine.logging import print_log

from mirrorpose.structures import Skeleton

from .broken import HOW_TO_SKIP, BrokenSampleError, BrokenSamples
from .members import leaves, raw_infos, sample_names


@dataclass(frozen=True)
class Finding:
    """Something about one sample's annotation.

    Attributes:
        sample (str): Its name.
        index (int): Its position among those that were checked.
        kind (str): See the table above.
        reason (str): In words, with the joints' names.
        broken (bool): False: only counted.
    """

    sample: str
    index: int
    kind: str
    reason: str
    broken: bool = True


def check_annotations(infos: Sequence[Mapping[str, Any]],
                      joints: Skeleton | Mapping[str, Any],
                      names: Sequence[str] | None = None,
                      sizes: np.ndarray | None = None,
                      max_outside: float = 1.) -> list[Finding]:
    """Checks the annotations of a data set, all at once.

    Args:
        infos (Sequence[Mapping]): N of mmpose's ``data_info``: keypoints
            (n, K, 2 or 3), keypoints_visible (n, K[, 2]), bbox (n, 4) as
            x1, y1, x2, y2, id, is_labeled, img_path or img; width and height,
            ori_shape or img_shape. What is absent is not checked; n is 1
            unless the data set is bottom-up.
        joints (Skeleton | Mapping): The joint set, or its metainfo.
        names (Sequence[str], optional): (N,) names of the samples. Defaults
            to their ids.
        sizes (np.ndarray, optional): (N, 2) image sizes (w, h) in pixels,
            which then need not be in the infos.
        max_outside (float): How far outside is too far, in sides of the
            box. Defaults to 1.

    Returns:
        list[Finding]: By index.
    """
    skeleton = joints if isinstance(joints, Skeleton) else \
        Skeleton.from_metainfo(joints)
    if names is None:
        names = [str(info.get('id', i)) for i, info in enumerate(infos)]
    found = _duplicates(names)
    found += _boxes(infos, names)
    rows, lost = _sound_shapes(infos, len(skeleton))
    found += [Finding(names[i], i, 'joints', reason) for i, reason in lost]
    for dims in sorted({infos[i]['keypoints'].shape[2] for i in rows}):
        chosen = [i for i in rows
                  if infos[i]['keypoints'].shape[2] == dims]
        found += _joints(infos, chosen, skeleton, names, sizes, max_outside)
    return sorted(found, key=lambda f: f.index)


def check_dataset(dataset: Any, max_outside: float = 1.) -> list[Finding]:
    """Checks every data set below a wrapper; no image is read.

    Args:
        dataset: A data set of mmpose, or a wrapper around some.
        max_outside (float): See :func:`check_annotations`.
    """
    found = []
    for leaf in leaves(dataset):
        infos = raw_infos(leaf.dataset)
        metainfo = getattr(leaf.dataset, 'metainfo', None)
        if infos and metainfo:
            found += check_annotations(
                infos, metainfo, sample_names(leaf, infos),
                max_outside=max_outside)
    return found


def report_findings(findings: Sequence[Finding], broken: BrokenSamples,
                    where: str = '') -> None:
    """Applies the policy, and logs what is only counted.

    Args:
        findings (Sequence[Finding]): Of one data set.
        broken (BrokenSamples): Its list.
        where (str): What to mend, such as the annotation file.

    Raises:
        BrokenSampleError: The policy is ``'error'``: how many samples are
            broken, and the first of them.
        RuntimeError: More are broken than the list allows; all are listed.
    """
    bad = [f for f in findings if f.broken]
    counted = Counter(f.kind for f in findings if not f.broken)
    for kind, number in counted.items():
        first = next(f for f in findings if f.kind == kind and not f.broken)
        print_log(f'{number} samples {where}: {kind}, used as they are; the '
                  f'first is {first.sample}: {first.reason}',
                  logger='current')
    if not bad:
        return
    if broken.policy == 'error':
        kinds = ', '.join(f'{n} {k}' for k, n in
                          Counter(f.kind for f in bad).items())
        first = bad[0]
        some = '; '.join(f'sample {f.sample}: {f.reason}' for f in bad[:5])
        count = '1 annotation is' if len(bad) == 1 else \
            f'{len(bad)} annotations are'
        raise BrokenSampleError(
            f'{count} broken{f" in {where}" if where else ""} ({kinds}): '
            f'{some}. Mend them; {HOW_TO_SKIP}',
            first.sample, first.reason, where)
    broken.report_all([(f.sample, f.reason, where) for f in bad])


# -- the rules ---------------------------------------------------------------
def _duplicates(names: Sequence[str]) -> list[Finding]:
    if len(set(names)) == len(names):
        return []
    first: dict[str, int] = {}
    found = []
    for i, name in enumerate(names):
        if first.setdefault(name, i) != i:
            found.append(Finding(
                name, i, 'duplicate', f'samples {first[name]} and {i} have '
                f'the same id {name!r}; ids must be distinct'))
    return found


def _boxes(infos: Sequence[Mapping[str, Any]],
           names: Sequence[str]) -> list[Finding]:
    rows = [i for i, info in enumerate(infos) if info.get('bbox') is not None]
    if not rows:
        return []
    boxes = [np.asarray(infos[i]['bbox']).reshape(-1, 4) for i in rows]
    owner = np.repeat(rows, [len(b) for b in boxes])
    stacked = np.concatenate(boxes).astype(np.float64)
    finite = np.isfinite(stacked).all(axis=1)
    with np.errstate(invalid='ignore'):
        flat = (stacked[:, 2:] - stacked[:, :2] <= 0).any(axis=1)
    bad = ~finite | flat
    return [Finding(names[i], int(i), 'box',
                    f'the box (x1, y1, x2, y2) {np.round(box, 3).tolist()} '
                    + ('has no width or height' if good else
                       'is not finite'))
            for i, box, good in zip(owner[bad], stacked[bad], finite[bad])]


def _sound_shapes(infos: Sequence[Mapping[str, Any]], count: int
                  ) -> tuple[list[int], list[tuple[int, str]]]:
    """Samples that can be stacked, and what is wrong with the others."""
    sound, lost = [], []
    for i, info in enumerate(infos):
        points = info.get('keypoints')
        if points is None:
            continue
        visible = info.get('keypoints_visible')
        shape = np.shape(points)
        if len(shape) != 3 or shape[1] != count or shape[2] not in (2, 3):
            lost.append((i, f'keypoints have the shape {shape}, but '
                            f'{count} joints make (1, {count}, 2)'))
        elif visible is not None and np.shape(visible)[:2] != shape[:2]:
            lost.append((i, 'keypoints_visible has the shape '
                            f'{np.shape(visible)}, keypoints {shape}'))
        else:
            sound.append(i)
    return sound, lost


def _joints(infos: Sequence[Mapping[str, Any]], rows: list[int],
            skeleton: Skeleton, names: Sequence[str],
            sizes: np.ndarray | None, max_outside: float) -> list[Finding]:
    """All rules about joints, for samples of one shape."""
    people = [infos[i]['keypoints'] for i in rows]
    points = np.concatenate(people).astype(np.float64)
    visible = np.concatenate([_visible(infos[i]) for i in rows])
    owner = np.repeat(rows, [len(p) for p in people])
    annotated = ~(visible <= 0)  # NaN is not 0
    found = []

    def tell(which: np.ndarray, kind: str, text: str,
             values: np.ndarray, broken: bool = True) -> None:
        """One finding a person; ``which`` is (M, K) bool."""
        for m in np.nonzero(which.any(axis=1))[0]:
            ks = np.nonzero(which[m])[0]
            some = ', '.join(f'{skeleton.joints[k]} {_short(values[m, k])}'
                             for k in ks[:4])
            more = f' and {len(ks) - 4} more' if len(ks) > 4 else ''
            found.append(Finding(names[owner[m]], int(owner[m]), kind,
                                 text.format(some + more), broken))

    unknown = ~np.isin(visible, (0, 1, 2))
    tell(unknown, 'visibility', 'the visibility is none of 0, 1, 2: {}',
         visible)
    lost = annotated & ~np.isfinite(points).all(axis=2)
    tell(lost, 'not_finite', 'joints are annotated but not finite: {}',
         points)

    present = np.zeros(len(infos), bool)
    np.logical_or.at(present, owner, annotated.any(axis=1))
    for i in rows:
        if not present[i] and infos[i].get('is_labeled', True):
            found.append(Finding(names[i], i, 'none_visible', 'the sample '
                                 'counts as labelled, but no joint is '
                                 'annotated'))
    if points.shape[2] == 2:
        outside, side = _outside(infos, points, annotated & ~lost, owner,
                                 sizes)
        far = outside > max_outside * side[:, None]
        tell(far, 'far_outside', 'joints lie farther outside of the image '
             'than the person is large: {}', points)
        tell((outside > 0) & ~far, 'outside', 'joints lie outside of the '
             'image: {}', points, broken=False)
    return found


def _visible(info: Mapping[str, Any]) -> np.ndarray:
    """Visibility (n, K) float64; all 1 where nothing is said."""
    visible = info.get('keypoints_visible')
    if visible is None:
        return np.ones(info['keypoints'].shape[:2])
    visible = np.asarray(visible, dtype=np.float64)
    return visible[..., 0] if visible.ndim == 3 else visible


def _outside(infos: Sequence[Mapping[str, Any]], points: np.ndarray,
             annotated: np.ndarray, owner: np.ndarray,
             sizes: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    """How far outside of the image joints are, and how large people.

    Returns:
        tuple: (M, K) pixels, at most 0 inside; (M,) the longer side of the
        part of the box that is inside, of the whole box where none is.
    """
    size = np.array([_size(infos[i]) if sizes is None else sizes[i]
                     for i in owner], dtype=np.float64)
    where = np.where(annotated[..., None], points, np.nan)
    with np.errstate(invalid='ignore'):
        outside = np.maximum(-where, where - size[:, None]).max(axis=2)
    outside = np.nan_to_num(outside, nan=-np.inf)
    # No image, no outside: poses alone, whose camera looks at (0, 0).
    blind = [not infos[i].get('img_path') and infos[i].get('img') is None
             for i in owner]
    outside[np.array(blind, bool)] = -np.inf

    # A box that was made from the joints grows with one that is far away,
    # so only its part inside of the image tells how large people are.
    low = np.where(annotated[..., None], points, np.inf).min(axis=1)
    high = np.where(annotated[..., None], points, -np.inf).max(axis=1)
    boxes = [np.asarray(infos[i]['bbox']).reshape(-1, 4)
             for i in dict.fromkeys(owner.tolist())
             if infos[i].get('bbox') is not None]
    if sum(map(len, boxes)) == len(owner):
        low, high = np.split(np.concatenate(boxes).astype(np.float64), 2, 1)
    with np.errstate(invalid='ignore'):
        inside = (np.minimum(high, size) - np.maximum(low, 0)).max(axis=1)
        whole = (high - low).max(axis=1)
    side = np.where(inside > 0, inside, whole)
    return outside, np.nan_to_num(side, nan=0., posinf=0., neginf=0.)


def _size(info: Mapping[str, Any]) -> tuple[float, float]:
    """Image size (w, h) in pixels, infinite where it is not known."""
    if info.get('width') and info.get('height'):
        return info['width'], info['height']
    shape = info.get('ori_shape') or info.get('img_shape')
    return (shape[1], shape[0]) if shape else (np.inf, np.inf)


def _short(value: np.ndarray) -> str:
    numbers = [f'{v:g}' for v in np.atleast_1d(value)]
    return numbers[0] if len(numbers) == 1 else f'({", ".join(numbers)})'
