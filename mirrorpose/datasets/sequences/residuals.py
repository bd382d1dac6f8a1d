"""The errors of a real detector, laid onto other motion.

:class:`DetectorNoise` has the statistics of a detector; this has its very
errors, with whatever goes wrong together: LSP and LSPET come with BlazePose's
landmarks beside the truth.
"""
from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from mmpose.registry import TRANSFORMS

from mirrorpose.structures.joint_sets import LIMB_JOINTS
from mirrorpose.structures.skeleton import Skeleton

from ..crops.draws import uniforms
from ..lsp import default_data_root
from ..splits import ranked_split
from .clips import SKELETON
from .holes import HolePattern

_LSP = Skeleton.from_name('lsp_14')
#: Where BlazePose's 33 landmarks have the limb joints.
BLAZEPOSE = {
    f'{side}_{joint}': first + 2 * i + s
    for first, limb in ((11, ('shoulder', 'elbow', 'wrist')),
                        (23, ('hip', 'knee', 'ankle')))
    for i, joint in enumerate(limb)
    for s, side in enumerate(('left', 'right'))}


class Residuals(NamedTuple):
    """Errors of a detector on M people, for the 12 ``LIMB_JOINTS``.

    Attributes:
        error (np.ndarray): (M, 12, 2) float32, found minus true, in units
            of the canonical frame; 0 where not known.
        confidence (np.ndarray): (M, 12) float32, the detector's own.
        known (np.ndarray): (M, 12) bool, where the truth is annotated.
        truth (np.ndarray): (M, 12, 2) float32, the joints in that unit,
            from the middle of the hips.
        names (list[str]): M ids.
    """

    error: np.ndarray
    confidence: np.ndarray
    known: np.ndarray
    truth: np.ndarray
    names: list[str]


def blazepose_residuals(path: str | Path) -> Residuals:
    """BlazePose's errors on LSP or LSPET.

    People without a detection, without an annotated head top and hips, or
    smaller than 10 pixels from head to hips are left out.

    Args:
        path (str | Path): ``lsp.npz`` or ``lspet.npz`` with the arrays
            ``names``, ``joints`` (N, 14, 2), ``blazepose`` (N, 33, 3) and,
            where not all joints are annotated, ``visible`` (N, 14).

    Raises:
        FileNotFoundError: The file is missing.
        ValueError: It has no such arrays.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f'{path} not found: set MIRRORPOSE_DATA (or '
                                'data_root) to the folder that holds it')
    with np.load(path, allow_pickle=False) as data:
        lost = sorted({'names', 'joints', 'blazepose'} - set(data.files))
        if lost:
            raise ValueError(f'{path} lacks {lost}; it holds {data.files}')
        names, joints = data['names'], data['joints'].astype(float)
        found = data['blazepose'].astype(float)
        visible = (data['visible'] > 0 if 'visible' in data.files
                   else np.ones(joints.shape[:2], bool))
    frame = _LSP.index('head_top', 'left_hip', 'right_hip')
    hips = joints[:, frame[1:]].mean(1)
    size = 2 * np.linalg.norm(joints[:, frame[0]] - hips, axis=-1)
    found = found[:, [BLAZEPOSE[j] for j in LIMB_JOINTS]]
    rows = _LSP.index(*LIMB_JOINTS)
    use = (np.isfinite(found).all((1, 2)) & (size > 20)
           & visible[:, frame].all(1))
    unit = size[use, None, None]
    truth = (joints[use][:, rows] - hips[use, None]) / unit
    error = (found[use][..., :2] - joints[use][:, rows]) / unit
    known = visible[use][:, rows]
    return Residuals(
        np.where(known[..., None], error, 0).astype(np.float32),
        found[use][..., 2].astype(np.float32), known,
        truth.astype(np.float32),
        [f'{path.stem}/{n}' for n in names[use]])


@TRANSFORMS.register_module()
class ReplayedNoise(HolePattern):
    """A real detector's errors on single images, replayed over time.

    A window holds the errors of one person for a while, then those of
    another, and so on: at each frame it goes on to the next with probability
    ``1 - exp(-1 / (hold * fps))``. So in every frame errors are a person's,
    with whatever goes wrong together, and of the distribution that they have
    in the file (a blend of two people's would thin its outliers out and
    spread them over more frames); in time they correlate by ``exp(-t /
    hold)``. Only the 12 limb joints are observed. A joint that was not
    annotated has no known error: it is not observed while that person's
    errors are held.

    Args:
        files (Sequence[str]): Below the data root; see
            :func:`blazepose_residuals`. Defaults to LSP's;
            ``('lsp/lsp.npz', 'lspet/lspet.npz')`` are both.
        part (str): ``'train'``, ``'test'`` or ``'all'`` of the people, by a
            hash of the name: half each (not LSP's own halves). Defaults to
            ``'all'``.
        hold (float): Mean seconds of a person. Defaults to 0.13, at which
            the correlation falls to 1 / e as measured for OpenPose.
        drop_below (float): Joints less confident than this are not
            observed. Defaults to 0.1.
        strength (float): Factor on the errors. Defaults to 1.
        fps (float): Defaults to 25.
        data_root (str, optional): Defaults to the environment variable
            ``MIRRORPOSE_DATA``, then ``data/``.

    Raises:
        FileNotFoundError: A file is missing.
        ValueError: An argument is out of range.
    """

    def __init__(self, files: Sequence[str] = ('lsp/lsp.npz', ),
                 part: str = 'all', hold: float = .13,
                 drop_below: float = .1, strength: float = 1.,
                 fps: float = 25., data_root: str | None = None) -> None:
        if part not in ('train', 'test', 'all'):
            raise ValueError("part must be 'train', 'test' or 'all', got "
                             f'{part!r}')
        if hold <= 0 or fps <= 0 or strength < 0 or not (
                0 <= drop_below <= 1):
            raise ValueError(
                'hold and fps must be positive, strength not negative, '
                f'drop_below in [0, 1]; got {hold}, {fps}, {strength}, '
                f'{drop_below}')
        root = Path(default_data_root() if data_root is None else data_root)
        parts = [blazepose_residuals(root / f) for f in files]
        names = [n for p in parts for n in p.names]
        keep = np.ones(len(names), bool)
        if part != 'all':
            keep = ranked_split(names, .5, 0) == (part == 'train')
        if not keep.any():
            raise ValueError(f'{list(files)} give no person for {part!r}')
        self.files, self.part, self.hold = tuple(files), part, hold
        self.drop_below, self.strength, self.fps = drop_below, strength, fps
        self._error, self._confidence, self._known = (
            np.concatenate(arrays)[keep] for arrays in zip(
                *(p[:3] for p in parts)))
        self._joints = np.array(SKELETON.index(*LIMB_JOINTS))

    def _detect(self, keypoints, observed, keys, confidence):
        count, frames, joints = observed.shape
        draws = uniforms(keys, 2 * frames).reshape(count, 2, frames)
        goes = draws[:, 0] < 1 - np.exp(-1 / (self.hold * self.fps))
        begin = np.maximum.accumulate(
            np.where(goes, np.arange(frames), 0), axis=1)
        people = (np.take_along_axis(draws[:, 1], begin, 1)
                  * len(self._error)).astype(np.int64)
        points = keypoints.copy()
        points[:, :, self._joints] += self.strength * self._error[people]
        sure = self._confidence[people]
        seen = np.zeros((count, frames, joints), bool)
        seen[:, :, self._joints] = self._known[people] & (
            sure >= self.drop_below)
        all_sure = np.zeros((count, frames, joints), np.float32)
        all_sure[:, :, self._joints] = sure
        return points, observed & seen, confidence * all_sure
