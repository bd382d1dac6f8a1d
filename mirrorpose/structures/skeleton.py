"""Joint sets by name: a view of mmpose's metainfo, and conversion between.

A :class:`Skeleton` is the one place that knows the names, the limbs and the
mirror pairs of a joint set. Everything else asks it, so two parts can differ
about a joint only by saying so in an error.
"""
from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

# Landmarks that are the mean of others when a joint set lacks them
# (MirrorNet, Section 5.1: pelvis and thorax of LSP).
MIDPOINTS = {
    'pelvis': ('left_hip', 'right_hip'),
    'thorax': ('left_shoulder', 'right_shoulder'),
    'spine': ('left_hip', 'right_hip', 'left_shoulder', 'right_shoulder'),
}

_LEFT, _RIGHT, _AXIAL = [0, 255, 0], [255, 128, 0], [51, 153, 255]


def _side_color(name: str) -> list[int]:
    if name.startswith('left'):
        return _LEFT
    return _RIGHT if name.startswith('right') else _AXIAL


@dataclass(frozen=True)
class Skeleton:
    """A named, ordered set of joints.

    Args:
        name (str): Name of the joint set, e.g. ``'mpii_16'``.
        joints (tuple[str]): K distinct joint names, in channel order.
        limbs (tuple[tuple[str, str]]): Pairs of joint names.
        pairs (tuple[tuple[str, str]]): Mirror pairs (left, right). A joint
            that is in no pair is its own mirror image.
        landmarks (Mapping[str, str]): Joint name to the anatomical landmark
            that it stands for, where the two differ (Human3.6M's
            ``right_foot`` is the ankle). Used by :meth:`matrix`.

    Raises:
        ValueError: Duplicate joints, a limb or pair that names an unknown
            joint, a joint in two pairs, or a ``left_*`` joint whose
            ``right_*`` partner is missing from ``pairs``.
    """

    name: str
    joints: tuple[str, ...]
    limbs: tuple[tuple[str, str], ...] = ()
    pairs: tuple[tuple[str, str], ...] = ()
    landmarks: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        where = f'Skeleton {self.name!r}'
        if len(set(self.joints)) != len(self.joints):
            twice = sorted({j for j in self.joints
                            if self.joints.count(j) > 1})
            raise ValueError(f'{where} names these joints twice: {twice}')
        known = set(self.joints)
        for what, links in (('limb', self.limbs), ('mirror pair', self.pairs)):
            for link in links:
                unknown = [j for j in link if j not in known]
                if unknown:
                    raise ValueError(
                        f'{where}: {what} {tuple(link)} names the unknown '
                        f'joint {unknown}; known are {list(self.joints)}')
        paired = [j for pair in self.pairs for j in pair]
        twice = sorted({j for j in paired if paired.count(j) > 1})
        if twice:
            raise ValueError(f'{where}: {twice} stand in more than one '
                             'mirror pair; a flip would not undo itself')
        lonely = [j for j in self.joints if j not in paired
                  and j.split('_')[0] in ('left', 'right')]
        if lonely:
            raise ValueError(
                f'{where}: {lonely} have a side but no mirror pair, so a '
                'flipped image would keep their labels on the wrong side; '
                'add them to the pairs (metainfo: "swap")')

    # -- construction -----------------------------------------------------
    @classmethod
    def from_name(cls, name: str) -> Skeleton:
        """Returns a joint set that mirrorpose knows.

        Raises:
            ValueError: The name is unknown; the message lists what is known.
        """
        try:
            return SKELETONS[name]
        except KeyError:
            raise ValueError(f'unknown joint set {name!r}; known are '
                             f'{sorted(SKELETONS)}') from None

    @classmethod
    def from_metainfo(cls, metainfo: Mapping[str, Any]) -> Skeleton:
        """Reads mmpose's metainfo, raw (``dataset_info``) or parsed.

        A joint set that mirrorpose knows by its joints (names and order)
        keeps its landmarks.

        Raises:
            ValueError: The mapping is neither form, or is inconsistent.
        """
        if 'keypoint_info' in metainfo:
            infos = [metainfo['keypoint_info'][i]
                     for i in sorted(metainfo['keypoint_info'])]
            joints = tuple(i['name'] for i in infos)
            swaps = {i['name']: i['swap'] for i in infos if i.get('swap')}
            limbs = tuple(tuple(v['link']) for _, v in
                          sorted(metainfo.get('skeleton_info', {}).items()))
        elif 'keypoint_id2name' in metainfo:
            id2name = metainfo['keypoint_id2name']
            joints = tuple(id2name[i] for i in sorted(id2name))
            swaps = {joints[i]: joints[j]
                     for i, j in enumerate(metainfo['flip_indices']) if i != j}
            limbs = tuple((joints[i], joints[j])
                          for i, j in metainfo.get('skeleton_links', ()))
        else:
            raise ValueError(
                'metainfo has neither "keypoint_info" (mmpose\'s '
                'dataset_info) nor "keypoint_id2name" (its parsed form), '
                f'only {sorted(metainfo)}')
        for joint, other in swaps.items():
            if swaps.get(other) != joint:
                raise ValueError(
                    f'metainfo {metainfo.get("dataset_name")!r}: {joint!r} '
                    f'swaps with {other!r}, but {other!r} swaps with '
                    f'{swaps.get(other)!r}; mirror pairs must be mutual')
        pairs = tuple((a, b) for a, b in swaps.items()
                      if joints.index(a) < joints.index(b))
        for known in SKELETONS.values():
            if known.joints == joints:
                return cls(known.name, joints, limbs or known.limbs, pairs,
                           known.landmarks)
        return cls(str(metainfo.get('dataset_name', 'custom')), joints, limbs,
                   pairs)

    # -- what mmpose asks -------------------------------------------------
    def __len__(self) -> int:
        return len(self.joints)

    def index(self, *names: str) -> list[int]:
        """Channel indices of joints.

        Raises:
            ValueError: A name is unknown; the message lists what is known.
        """
        unknown = [n for n in names if n not in self.joints]
        if unknown:
            raise ValueError(f'{unknown} are no joints of {self.name!r}, '
                             f'which has {list(self.joints)}')
        return [self.joints.index(n) for n in names]

    @property
    def flip_indices(self) -> list[int]:
        """Channel permutation of a horizontal flip, of length K."""
        mirror = dict(self.pairs) | {b: a for a, b in self.pairs}
        return [self.joints.index(mirror.get(j, j)) for j in self.joints]

    @property
    def limb_indices(self) -> list[tuple[int, int]]:
        """The limbs as pairs of channel indices."""
        return [(self.joints.index(a), self.joints.index(b))
                for a, b in self.limbs]

    def metainfo(self) -> dict[str, Any]:
        """The joint set as mmpose's raw ``METAINFO`` (inline, no file)."""
        mirror = dict(self.pairs) | {b: a for a, b in self.pairs}
        lower = ('hip', 'knee', 'ankle', 'foot', 'toe', 'pelvis', 'root')
        return dict(
            dataset_name=self.name,
            keypoint_info={
                i: dict(name=j, id=i, color=_side_color(j),
                        type='lower' if j.endswith(lower) else 'upper',
                        swap=mirror.get(j, ''))
                for i, j in enumerate(self.joints)},
            skeleton_info={
                i: dict(link=(a, b), id=i, color=_side_color(
                    a if _side_color(a) != _AXIAL else b))
                for i, (a, b) in enumerate(self.limbs)},
            joint_weights=[1.] * len(self),
            # MPII's sigmas are unpublished; COCO's body average stands in.
            sigmas=[0.07] * len(self))

    # -- conversion -------------------------------------------------------
    def landmark(self, joint: str) -> str:
        """The anatomical landmark that a joint stands for."""
        return self.landmarks.get(joint, joint)

    def matrix(self, target: Skeleton) -> np.ndarray:
        """Linear map from this joint set to another, by name.

        Joints that only the target has are means of others where
        anatomy says so (pelvis: hips, thorax: shoulders).

        Returns:
            np.ndarray: (K_target, K) float64; a row of zeros marks a joint
            that this set cannot give.
        """
        here = {self.landmark(j): i for i, j in enumerate(self.joints)}
        out = np.zeros((len(target), len(self)))
        for row, joint in enumerate(target.joints):
            name = target.landmark(joint)
            parts = (name, ) if name in here else MIDPOINTS.get(name, ())
            if parts and all(p in here for p in parts):
                for part in parts:
                    out[row, here[part]] += 1 / len(parts)
        return out

    def convert(self,
                keypoints: Any,
                visible: Any,
                target: Skeleton | str,
                allow_missing: bool = False) -> tuple[Any, Any]:
        """Converts poses to another joint set, by joint name.

        Args:
            keypoints (np.ndarray | Tensor): (..., K, D) coordinates.
            visible (np.ndarray | Tensor): (..., K), positive where present.
            target (Skeleton | str): The joint set to convert to.
            allow_missing (bool): Give joints that this set cannot give
                visibility 0 instead of raising. Defaults to False.

        Returns:
            tuple: (..., K_target, D) coordinates and (..., K_target)
            visibility in {0, 1}. A joint is present when all that it is
            made of are; coordinates of absent joints are 0.

        Raises:
            ValueError: A wrong joint count, or joints that cannot be had.
        """
        target = Skeleton.from_name(target) if isinstance(target,
                                                          str) else target
        for what, have in (('keypoints', keypoints.shape[-2]),
                           ('visible', visible.shape[-1])):
            if have != len(self):
                raise ValueError(f'{what} have {have} joints, but '
                                 f'{self.name!r} has {len(self)}')
        matrix = self.matrix(target)
        missing = [j for j, row in zip(target.joints, matrix) if not row.any()]
        if missing and not allow_missing:
            raise ValueError(f'{self.name!r} cannot give {missing} of '
                             f'{target.name!r}; pass allow_missing=True to '
                             'mark them absent')
        needs = matrix > 0
        if isinstance(keypoints, Tensor):
            if not keypoints.is_floating_point():
                keypoints = keypoints.float()  # midpoints are no integers
            weight = torch.as_tensor(matrix, dtype=keypoints.dtype,
                                     device=keypoints.device)
            absent = (visible <= 0).to(keypoints.dtype)
            lost = absent @ torch.as_tensor(
                needs.T, dtype=keypoints.dtype, device=keypoints.device)
            present = (lost == 0) & torch.as_tensor(
                needs.any(1), device=keypoints.device)
            clean = torch.where(visible[..., None] > 0, keypoints, 0)
            return (weight @ clean) * present[..., None], present.to(
                visible.dtype)
        absent_np = (np.asarray(visible) <= 0).astype(np.float64)
        present_np = (absent_np @ needs.T == 0) & needs.any(1)
        clean_np = np.where(np.asarray(visible)[..., None] > 0, keypoints, 0)
        out = (matrix @ clean_np) * present_np[..., None]
        return (out.astype(keypoints.dtype),
                present_np.astype(visible.dtype))


def check_same_joints(expected: Sequence[str], received: Sequence[str],
                      what: str) -> None:
    """Compares two joint sets by name and order.

    Raises:
        ValueError: They differ; the message says where.
    """
    if list(expected) == list(received):
        return
    lost = [j for j in expected if j not in received]
    extra = [j for j in received if j not in expected]
    order = [f'{i}: {a} / {b}'
             for i, (a, b) in enumerate(zip(expected, received)) if a != b]
    raise ValueError(
        f'{what}: joint sets differ ({len(expected)} expected, '
        f'{len(received)} received); missing {lost}, unknown {extra}'
        + (f', order differs at {order[:6]}' if not lost and not extra
           else '') + '. Convert with Skeleton.convert, or mend the metainfo')


_ARMS_LEGS = ('ankle', 'knee', 'hip', 'wrist', 'elbow', 'shoulder')


def _pairs(*parts: str) -> tuple[tuple[str, str], ...]:
    return tuple((f'left_{p}', f'right_{p}') for p in parts)


_LIMBS_LEGS = (('right_ankle', 'right_knee'), ('right_knee', 'right_hip'),
               ('left_hip', 'left_knee'), ('left_knee', 'left_ankle'))
_LIMBS_ARMS = (('right_shoulder', 'right_elbow'),
               ('right_elbow', 'right_wrist'),
               ('left_shoulder', 'left_elbow'), ('left_elbow', 'left_wrist'))

_LSP_14 = Skeleton(
    'lsp_14',
    ('right_ankle', 'right_knee', 'right_hip', 'left_hip', 'left_knee',
     'left_ankle', 'right_wrist', 'right_elbow', 'right_shoulder',
     'left_shoulder', 'left_elbow', 'left_wrist', 'neck', 'head_top'),
    _LIMBS_LEGS + _LIMBS_ARMS + (
        ('right_hip', 'left_hip'), ('right_hip', 'right_shoulder'),
        ('left_hip', 'left_shoulder'), ('right_shoulder', 'neck'),
        ('left_shoulder', 'neck'), ('neck', 'head_top')),
    _pairs(*_ARMS_LEGS))

_MPII_16 = Skeleton(
    'mpii_16',
    ('right_ankle', 'right_knee', 'right_hip', 'left_hip', 'left_knee',
     'left_ankle', 'pelvis', 'thorax', 'upper_neck', 'head_top',
     'right_wrist', 'right_elbow', 'right_shoulder', 'left_shoulder',
     'left_elbow', 'left_wrist'),
    (('right_ankle', 'right_knee'), ('right_knee', 'right_hip'),
     ('right_hip', 'pelvis'), ('pelvis', 'left_hip'),
     ('left_hip', 'left_knee'), ('left_knee', 'left_ankle'),
     ('pelvis', 'thorax'), ('thorax', 'upper_neck'),
     ('upper_neck', 'head_top'), ('upper_neck', 'right_shoulder'),
     ('right_shoulder', 'right_elbow'), ('right_elbow', 'right_wrist'),
     ('upper_neck', 'left_shoulder'), ('left_shoulder', 'left_elbow'),
     ('left_elbow', 'left_wrist')),
    _pairs(*_ARMS_LEGS),
    {'upper_neck': 'neck'})

_H36M_17 = Skeleton(
    'h36m_17',
    ('root', 'right_hip', 'right_knee', 'right_foot', 'left_hip',
     'left_knee', 'left_foot', 'spine', 'thorax', 'neck_base', 'head',
     'left_shoulder', 'left_elbow', 'left_wrist', 'right_shoulder',
     'right_elbow', 'right_wrist'),
    (('root', 'left_hip'), ('left_hip', 'left_knee'),
     ('left_knee', 'left_foot'), ('root', 'right_hip'),
     ('right_hip', 'right_knee'), ('right_knee', 'right_foot'),
     ('root', 'spine'), ('spine', 'thorax'), ('thorax', 'neck_base'),
     ('neck_base', 'head')) + _LIMBS_ARMS + (
         ('thorax', 'left_shoulder'), ('thorax', 'right_shoulder')),
    _pairs('hip', 'knee', 'foot', 'shoulder', 'elbow', 'wrist'),
    {'root': 'pelvis', 'left_foot': 'left_ankle',
     'right_foot': 'right_ankle', 'neck_base': 'neck'})

_MPI_28 = Skeleton(
    'mpi_inf_3dhp_28',
    ('spine3', 'spine4', 'spine2', 'spine', 'pelvis', 'neck', 'head',
     'head_top', 'left_clavicle', 'left_shoulder', 'left_elbow',
     'left_wrist', 'left_hand', 'right_clavicle', 'right_shoulder',
     'right_elbow', 'right_wrist', 'right_hand', 'left_hip', 'left_knee',
     'left_ankle', 'left_foot', 'left_toe', 'right_hip', 'right_knee',
     'right_ankle', 'right_foot', 'right_toe'),
    (('pelvis', 'spine'), ('spine', 'spine2'), ('spine2', 'spine3'),
     ('spine3', 'spine4'), ('spine4', 'neck'), ('neck', 'head'),
     ('head', 'head_top'), ('spine4', 'left_clavicle'),
     ('left_clavicle', 'left_shoulder'), ('spine4', 'right_clavicle'),
     ('right_clavicle', 'right_shoulder')) + _LIMBS_ARMS + (
         ('left_wrist', 'left_hand'), ('right_wrist', 'right_hand'),
         ('pelvis', 'left_hip'), ('pelvis', 'right_hip')) + _LIMBS_LEGS + (
             ('left_ankle', 'left_foot'), ('left_foot', 'left_toe'),
             ('right_ankle', 'right_foot'), ('right_foot', 'right_toe')),
    _pairs('clavicle', 'shoulder', 'elbow', 'wrist', 'hand', 'hip', 'knee',
           'ankle', 'foot', 'toe'))

_COCO_17 = Skeleton(
    'coco_17',
    ('nose', 'left_eye', 'right_eye', 'left_ear', 'right_ear',
     'left_shoulder', 'right_shoulder', 'left_elbow', 'right_elbow',
     'left_wrist', 'right_wrist', 'left_hip', 'right_hip', 'left_knee',
     'right_knee', 'left_ankle', 'right_ankle'),
    _LIMBS_LEGS + _LIMBS_ARMS + (
        ('left_hip', 'right_hip'), ('left_shoulder', 'left_hip'),
        ('right_shoulder', 'right_hip'),
        ('left_shoulder', 'right_shoulder'), ('left_eye', 'right_eye'),
        ('nose', 'left_eye'), ('nose', 'right_eye'),
        ('left_eye', 'left_ear'), ('right_eye', 'right_ear'),
        ('left_ear', 'left_shoulder'), ('right_ear', 'right_shoulder')),
    _pairs('eye', 'ear', 'shoulder', 'elbow', 'wrist', 'hip', 'knee',
           'ankle'))

#: Joint sets by name.
SKELETONS: dict[str, Skeleton] = {
    s.name: s for s in (_LSP_14, _MPII_16, _H36M_17, _MPI_28, _COCO_17)}
