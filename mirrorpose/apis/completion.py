"""Dense and complete pose sequences from sparse ones."""
from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import torch

from ..models.completion.completer import SKELETON
from ..models.pose.filling import interpolate_in_time
from ..structures import Skeleton
from ..structures import joint_sets as _joint_sets  # noqa: F401  (registers)
from .completers import as_completer
from .completion_windows import CompletedJoints, Track, complete_tracks


class CompletedTrack(NamedTuple):
    """A completed sequence of one person.

    Attributes:
        keypoints (np.ndarray): (T, K, 2) float32, the unit of the input,
            finite everywhere but at joints that only the input knows and
            never shows.
        spread (np.ndarray): (T, K) float32, one standard deviation of a
            position in the same unit; NaN where the completer says nothing.
        observed (np.ndarray): (T, K) bool, joints that were in the input.
        hypotheses (np.ndarray, optional): (S, T, K, 2) float32, further
            answers, if they were asked for.
    """

    keypoints: np.ndarray
    spread: np.ndarray
    observed: np.ndarray
    hypotheses: np.ndarray | None = None


def complete(keypoints: Any,
             confidence: Any = None,
             visible: Any = None,
             joints: str | Skeleton = 'coco_17',
             to: str | Skeleton = 'mpi_inf_3dhp_28',
             completer: Any = None,
             overlap: str = 'blend',
             threshold: float = 0.,
             batch_size: int = 256,
             hypotheses: int = 0) -> Any:
    """Completes pose sequences of any length.

    Args:
        keypoints (np.ndarray | Sequence[np.ndarray]): (T, K, 2) of one
            person, or a list of such tracks, (T_i, K, 2). (T, K, 3) holds
            the confidence too. x right, y down, any unit. Frames follow one
            another without a gap: a frame in which nobody was found is a row
            of NaN. Coordinates that are not finite are missing.
        confidence (optional): (T, K) in [0, 1], or a list of such. Observed
            joints are kept in proportion to it by completers that do so.
            Values beyond 1, as some detectors give them, count as 1.
        visible (optional): (T, K), positive where observed; or a list. By
            default what is finite and of a confidence above ``threshold``.
        joints (str | Skeleton): What the K joints are. Defaults to
            ``'coco_17'``.
        to (str | Skeleton): What to return; its joints must be among those
            that the completer knows (MPI-INF-3DHP's 28, and what is made of
            them) or among the input's, which are only interpolated in time.
            Defaults to ``'mpi_inf_3dhp_28'``.
        completer (optional): A completer, a model that holds one, its config
            (dict, or the path of a file with ``model``, which then names its
            weights), or the path of a checkpoint. Defaults to None: what is
            measured to be best for each kind of hole, as far as it was
            trained here. That is ``configs/cascade_mocap.py`` where
            ``work_dirs/ridge_mocap`` and ``work_dirs/regressor_mocap`` of
            the current folder hold checkpoints (its part for limbs that are
            hidden throughout, if ``work_dirs/jumps_mocap`` does, too), and
            else ``InterpolationCompleter``: no trained weights come with
            mirrorpose. The log says which was taken.
        overlap (str): ``'blend'`` averages overlapping windows, ``'select'``
            takes each frame from the window that fits it best, as JUMPS,
            and ``'none'`` lays windows end to end. Defaults to
            ``'blend'``.
        threshold (float): Joints of a confidence up to it are missing.
            Defaults to 0.
        batch_size (int): Windows at a time. Defaults to 256.
        hypotheses (int): Beside the answer, give so many others, of a
            completer that can: ridge draws them from its Gaussian, JUMPS
            searches from so many starts. Windows are joined by blending,
            number by number (laid end to end by ``overlap='none'``).
            Windows of one number share the latent that was drawn, but need
            not tell one story where they meet. Defaults to 0.

    Returns:
        CompletedTrack | list[CompletedTrack]: One a track, as given.

    Raises:
        ValueError: No frames; a wrong joint count; an unknown joint set; no
            joint in common; a track in which nothing is observed, or all in
            one place; shapes that do not fit; or joints that cannot be had.
        TypeError: Something that completes nothing, or that gives no
            hypotheses.
    """
    if overlap not in ('blend', 'select', 'none'):
        raise ValueError("overlap must be 'blend', 'select' or 'none', got "
                         f'{overlap!r}')
    if batch_size < 1:
        raise ValueError(f'batch_size must be positive, got {batch_size}')
    if hypotheses < 0:
        raise ValueError(f'hypotheses must not be negative, got {hypotheses}')
    source, target = (Skeleton.from_name(s) if isinstance(s, str) else s
                      for s in (joints, to))
    one = not isinstance(keypoints, (list, tuple))
    tracks = [keypoints] if one else list(keypoints)
    sides = []
    for name, given in (('confidence', confidence), ('visible', visible)):
        given = [None] * len(tracks) if given is None else (
            [given] if one else list(given))
        if len(given) != len(tracks):
            raise ValueError(f'{len(given)} arrays of {name} were given to '
                             f'{len(tracks)} tracks')
        sides.append(given)
    read = [_read_track(k, c, v, source, threshold, '' if one else
                        f'track {i}: ')
            for i, (k, c, v) in enumerate(zip(tracks, *sides))]
    if not read:
        return []
    model = as_completer(completer)
    if hypotheses and not hasattr(model, 'hypotheses'):
        raise TypeError(
            f'a {type(model).__name__} gives one answer and no hypotheses: '
            'name a completer that does, RidgeCompleter (the checkpoint of '
            'configs/ridge_mocap.py) or JumpsCompleter '
            '(configs/jumps_search_mocap.py)')
    done = complete_tracks(model, read, source, overlap, batch_size,
                           [''] if one else [f'track {i}: ' for i in
                                             range(len(read))], hypotheses)
    out = [_to_joints(track, own, source, target)
           for track, own in zip(done, read)]
    return out[0] if one else out


def _read_track(keypoints: Any, confidence: Any, visible: Any,
                source: Skeleton, threshold: float, where: str) -> Track:
    points = np.asarray(keypoints, np.float64)
    if points.ndim != 3 or points.shape[2] not in (2, 3):
        raise ValueError(f'{where}keypoints must be (T, K, 2), or (T, K, 3) '
                         f'with confidence, got {points.shape}')
    if not len(points):
        raise ValueError(f'{where}the sequence has no frames')
    if points.shape[1] != len(source):
        raise ValueError(
            f'{where}{points.shape[1]} joints were given as '
            f'{source.name!r}, which has {len(source)}: {list(source.joints)}')
    if points.shape[2] == 3:
        confidence = points[..., 2] if confidence is None else confidence
        points = points[..., :2]
    seen = np.isfinite(points).all(-1)
    trust = np.ones(seen.shape)
    for name, given in (('confidence', confidence), ('visible', visible)):
        if given is None:
            continue
        given = np.asarray(given, np.float64)
        if given.shape != seen.shape:
            raise ValueError(f'{where}{name} is {given.shape}, keypoints '
                             f'want {seen.shape}')
        seen &= given > (threshold if name == 'confidence' else 0)
        if name == 'confidence':
            trust = np.clip(np.nan_to_num(given), 0, 1)
    # Far coordinates would lose the person's shape in float32.
    far = np.abs(points[seen]).max(initial=0)
    if far > 1e12:
        raise ValueError(f'{where}coordinates reach {far:.3g}; mark such '
                         'joints as missing (NaN)')
    return Track(*(torch.from_numpy(a) for a in (
        np.where(seen[..., None], points, 0.), seen,
        np.where(seen, trust, 0.))))


def _to_joints(done: CompletedJoints, own: Track, source: Skeleton,
               target: Skeleton) -> CompletedTrack:
    """The joints that were asked for."""
    matrix = torch.from_numpy(SKELETON.matrix(target))
    given = [source.landmark(j) for j in source.joints]
    passed = [(i, given.index(target.landmark(j)))
              for i, j in enumerate(target.joints)
              if not bool(matrix[i].any()) and target.landmark(j) in given]
    lost = [j for i, j in enumerate(target.joints)
            if not bool(matrix[i].any()) and i not in dict(passed)]
    if lost:
        raise ValueError(
            f'{lost} of {target.name!r} are neither made of the joints of '
            f'{SKELETON.name!r} nor in the input ({source.name!r}); ask for '
            'another joint set')
    # The answer, then the hypotheses.
    points = torch.einsum('jk,stkc->stjc', matrix, torch.cat(
        [done.points[None], done.hypotheses]))
    # of means, as if their parts erred alike: never too small
    spread = done.spread @ matrix.T
    observed = torch.zeros(spread.shape, dtype=torch.bool)
    if passed:
        mine, theirs = [list(c) for c in zip(*passed)]
        seen = own.observed[:, theirs]
        filled = interpolate_in_time(own.points[None, :, theirs], seen[None])
        points[:, :, mine] = filled[0].masked_fill(
            ~seen.any(0)[:, None], float('nan'))
        spread[:, mine] = float('nan')
    for i, name in enumerate(target.joints):
        if target.landmark(name) in given:
            observed[:, i] = own.observed[:, given.index(
                target.landmark(name))]
    several = points[1:].float().numpy() if len(points) > 1 else None
    return CompletedTrack(points[0].float().numpy(), spread.float().numpy(),
                          observed.numpy(), several)
