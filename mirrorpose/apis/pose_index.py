"""An index of people by their pose: build, save, load, add, search."""
from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from ..structures import Skeleton
from ..structures.pairwise import TURNS, paired_distances, pairwise_distances
from ..utils.nearest import best, nearest
from .embedding import (
    centred_poses,
    embed_images,
    embed_keypoints,
    model_joints,
    to_model_joints,
    unit_vectors,
)
from .index_files import read_index, write_index
from .model_identity import model_digest

#: What an index holds.
KINDS = ('embeddings', 'poses')


class Found(NamedTuple):
    """What a search found.

    Attributes:
        distances (np.ndarray): (Q, k) float64, ascending, infinity where
            there is none.
        indices (np.ndarray): (Q, k) int64 places in the index, -1 there.
        items (list[list[Any]]): What was found, without the missing ones.
    """

    distances: np.ndarray
    indices: np.ndarray
    items: list[list[Any]]


class PoseIndex:
    """Finds the most alike poses, exactly.

    Of ``embeddings`` by Euclidean distance of unit vectors; of ``poses``, 2D
    or 3D, by the root mean square distance of the joints that both have,
    after centring, and by ``turn`` and ``unit_size`` rotation (in the image
    plane for 2D) and scaling to one size. Missing joints need no treatment.

    Built by :meth:`from_embeddings`, :meth:`from_poses`,
    :meth:`from_images` or :meth:`from_keypoints`; the last two note which
    model made the embeddings, and those of another are refused.

    Args:
        kind (str): One of ``KINDS``.
        values (np.ndarray): (N, D) unit vectors, or (N, K, 2 or 3) poses, 0
            where absent; float32.
        visible (np.ndarray, optional): (N, K) bool, for poses.
        items (Sequence): N names or plain JSON values: what a user gets
            back.
        joints (str, optional): Name of the joint set of poses, or of
            ``drawn``.
        turn (str): ``'rotation'`` or ``'none'``.
        unit_size (bool): Size does not count.
        least (int): Common joints that a comparison of poses needs.
        model (Mapping, optional): Of embeddings, the
            :func:`.model_digest` of what made them.
        drawn (np.ndarray, optional): Of embeddings of 2D poses: these,
            (N, K, 3) x, y and 1 where present; float32. Searches do not
            read them.

    Raises:
        TypeError: Items that JSON cannot hold.
        ValueError: Anything that does not fit.
    """

    def __init__(self, kind: str, values: np.ndarray,
                 visible: np.ndarray | None, items: Sequence[Any],
                 joints: str | None = None, turn: str = 'none',
                 unit_size: bool = False, least: int = 3,
                 model: Mapping[str, str] | None = None,
                 drawn: np.ndarray | None = None) -> None:
        if kind not in KINDS or turn not in TURNS or least < 2:
            raise ValueError(
                f'kind must be of {list(KINDS)}, turn of {list(TURNS)} and '
                f'least at least 2; got {kind!r}, {turn!r}, {least}')
        self.kind, self.joints = kind, joints
        self.turn, self.unit_size, self.least = turn, bool(unit_size), least
        self.values = np.ascontiguousarray(values, np.float32)
        self.visible = None if visible is None else np.asarray(visible, bool)
        self.items = _plain(items)
        self.model = dict(model) if model else None
        self.drawn = None if drawn is None else np.asarray(drawn, np.float32)
        shape = self.values.shape
        if len(shape) != (2 if kind == 'embeddings' else 3) or (
                kind == 'poses' and (shape[2] not in (2, 3)
                                     or self.visible is None
                                     or self.visible.shape != shape[:2])):
            raise ValueError(f'an index of {kind} cannot hold values of the '
                             f'shape {shape}')
        if self.drawn is not None and self.drawn.shape[:1] != shape[:1]:
            raise ValueError(f'{len(self.drawn)} drawn poses for '
                             f'{len(self.values)} {kind}')
        if len(self.items) != len(self.values):
            raise ValueError(f'{len(self.items)} items for '
                             f'{len(self.values)} {kind}')
        if not np.isfinite(self.values).all():
            raise ValueError(f'{kind} of an index must be finite')

    def __len__(self) -> int:
        return len(self.values)

    def __repr__(self) -> str:
        what = f'{self.kind} {self.values.shape[1:]}'
        return f'PoseIndex({len(self)} {what}, joints={self.joints!r})'

    # -- building ---------------------------------------------------------
    @classmethod
    def from_embeddings(cls, embeddings: Any,
                        items: Sequence[Any] | None = None) -> PoseIndex:
        """Indexes embeddings.

        Args:
            embeddings (np.ndarray | Tensor): (N, D); scaled to unit length.
            items (Sequence, optional): Defaults to the numbers from 0.

        Raises:
            ValueError: Another shape, or a row that is not finite or zero.
        """
        values = unit_vectors(embeddings)
        return cls('embeddings', values, None, _or_numbers(items, values))

    @classmethod
    def from_poses(cls, poses: Any, visible: Any = None,
                   items: Sequence[Any] | None = None,
                   joints: str | Skeleton | None = None,
                   turn: str | None = None, unit_size: bool | None = None,
                   least: int = 3) -> PoseIndex:
        """Indexes poses.

        Args:
            poses (np.ndarray | Tensor): (N, K, 3) in mm, or (N, K, 2) in
                pixels; a joint with NaN is absent.
            visible (np.ndarray | Tensor, optional): (N, K), positive where a
                joint is present.
            items (Sequence, optional): Defaults to the numbers from 0.
            joints (str | Skeleton, optional): The K joints.
            turn (str, optional): Defaults to ``'rotation'`` for 3D, so that
                the camera does not count, and ``'none'`` for 2D.
            unit_size (bool, optional): Defaults to False for 3D and True
                for 2D.
            least (int): Pairs with fewer common joints are not found.
                Defaults to 3.

        Raises:
            ValueError: Shapes do not fit, or a pose has too few joints.
        """
        values, seen = centred_poses(poses, visible, least)
        flat = values.shape[2] == 2
        if joints is not None:
            skeleton = Skeleton.from_name(joints) if isinstance(
                joints, str) else joints
            if len(skeleton) != values.shape[1]:
                raise ValueError(f'{skeleton.name!r} has {len(skeleton)} '
                                 f'joints, poses have {values.shape[1]}')
            joints = skeleton.name
        return cls('poses', values, seen, _or_numbers(items, values), joints,
                   turn or ('none' if flat else 'rotation'),
                   flat if unit_size is None else unit_size, least)

    @classmethod
    def from_images(cls, images: Sequence[Any],
                    model: nn.Module | Callable[[list], Any],
                    items: Sequence[Any] | None = None,
                    batch_size: int = 32) -> PoseIndex:
        """Indexes images by a model's embeddings.

        Args:
            images (Sequence): Paths or (H, W, 3) uint8 arrays in BGR, a
                person each.
            model (nn.Module | Callable): See :func:`embed_images`.
            items (Sequence, optional): Defaults to the paths, or numbers.
            batch_size (int): Defaults to 32.
        """
        if items is None and all(isinstance(i, (str, Path)) for i in images):
            items = [str(i) for i in images]
        values = unit_vectors(embed_images(model, images, batch_size))
        return cls('embeddings', values, None, _or_numbers(items, values),
                   model=model_digest(model))

    @classmethod
    def from_keypoints(cls, keypoints: Any, model: nn.Module,
                       visible: Any = None,
                       items: Sequence[Any] | None = None,
                       joints: str | Skeleton | None = None) -> PoseIndex:
        """Indexes 2D poses by a lifting model's embeddings.

        So poses are compared by what they are in 3D, from whatever side.

        Args:
            keypoints (np.ndarray | Tensor): (N, K, 2) pixels, NaN where
                absent.
            model (nn.Module): See :func:`.embed_keypoints`.
            visible (np.ndarray | Tensor, optional): (N, K).
            items (Sequence, optional): Defaults to the numbers from 0.
            joints (str | Skeleton, optional): The K joints. Defaults to the
                model's.
        """
        values = unit_vectors(embed_keypoints(model, keypoints, visible,
                                              joints))
        points, seen = to_model_joints(model, keypoints, visible, joints)
        return cls('embeddings', values, None, _or_numbers(items, values),
                   model_joints(model).name, model=model_digest(model),
                   drawn=np.concatenate([points, seen[..., None]], -1))

    def add(self, values: Any, items: Sequence[Any] | None = None,
            visible: Any = None,
            joints: str | Skeleton | None = None) -> None:
        """Adds embeddings or poses of the kind that the index holds.

        Args:
            values (np.ndarray | Tensor): As it was built from.
            items (Sequence, optional): Defaults to the numbers that follow.
            visible (np.ndarray | Tensor, optional): (N, K), for poses.
            joints (str | Skeleton, optional): Refused where they are not
                the index's.

        Raises:
            ValueError: Another kind, size or joint set.
        """
        made, seen = self._read(values, visible, joints)
        count = len(self)
        if items is None:
            items = range(count, count + len(made))
        drawn = None if self.drawn is None else np.zeros(
            (len(made), *self.drawn.shape[1:]), np.float32)
        self.extend(PoseIndex(
            self.kind, made, seen, items, self.joints, self.turn,
            self.unit_size, self.least, self.model, drawn))

    def extend(self, other: PoseIndex) -> None:
        """Adds all that another index holds.

        Raises:
            ValueError: It is of another kind, size, joint set or model.
        """
        if (self.kind, self.turn, self.unit_size, self.drawn is None) != (
                other.kind, other.turn, other.unit_size,
                other.drawn is None):
            raise ValueError(f'{other} does not go into {self}: their '
                             'items are not compared alike')
        self._check_model(other.model)
        self._check_fit(other.values, other.joints)
        self.values = np.concatenate([self.values, other.values])
        if self.visible is not None:
            self.visible = np.concatenate([self.visible, other.visible])
        if self.drawn is not None:
            self.drawn = np.concatenate([self.drawn, other.drawn])
        self.items += other.items

    def _check_model(self, digest: Mapping[str, str] | None) -> None:
        if None in (self.model, digest) or self.model == digest:
            return
        assert self.model is not None and digest is not None
        other = ' and '.join(k for k in self.model
                             if self.model[k] != digest.get(k))
        raise ValueError(
            'embeddings of different models cannot be compared: the index '
            f'was made by {_named(self.model)}, this is {_named(digest)} '
            f'(another {other}). Take the config and the checkpoint that '
            'it was built with, or build it again')

    def _read(self, values: Any, visible: Any, joints: Any
              ) -> tuple[np.ndarray, np.ndarray | None]:
        seen = None
        if self.kind == 'embeddings':
            made = unit_vectors(values)
        else:
            made, seen = centred_poses(values, visible, self.least)
        self._check_fit(made, joints)
        return made, seen

    def _check_fit(self, made: np.ndarray,
                   joints: str | Skeleton | None) -> None:
        name = joints.name if isinstance(joints, Skeleton) else joints
        if self.kind == 'poses' and name is not None \
                and self.joints not in (None, name):
            raise ValueError(
                f'the index holds poses of {self.joints!r}, not of '
                f'{name!r}: convert them with Skeleton.convert')
        if made.shape[1:] != self.values.shape[1:]:
            raise ValueError(
                f'the index holds {self.kind} of the shape '
                f'{self.values.shape[1:]}, not {made.shape[1:]}: another '
                'model or joint set?')

    # -- search -----------------------------------------------------------
    def search(self, queries: Any, k: int = 5, visible: Any = None,
               joints: str | Skeleton | None = None,
               device: str | torch.device = 'cpu',
               model: Any = None) -> Found:
        """The k nearest of each query.

        Args:
            queries (np.ndarray | Tensor): (Q, D) or (Q, K, 2 or 3), as the
                index was built from.
            k (int): Defaults to 5; where there are fewer, infinity and -1.
            visible (np.ndarray | Tensor, optional): (Q, K), for poses.
            joints (str | Skeleton, optional): Of the queries.
            device (str | torch.device): That searches. Defaults to
                ``'cpu'``.
            model (nn.Module, optional): What has made the queries: refused
                where another model made the index. Defaults to None: nobody
                knows.

        Returns:
            Found: Distances of embeddings in [0, 2], of poses in their unit
            (mm), of poses of unit size in [0, 2].

        Raises:
            ValueError: Queries that do not fit the index, or k below 1.
        """
        self._check_model(model_digest(model))
        made, seen = self._read(queries, visible, joints)
        query, held = (torch.from_numpy(v).to(device)
                       for v in (made, self.values))
        if self.kind == 'embeddings':
            (distances, indices), = nearest(query, held, k)
        else:
            assert seen is not None and self.visible is not None
            distances, indices = self._search_poses(
                query, torch.from_numpy(seen).to(device), held,
                torch.from_numpy(self.visible).to(device), k)
        index = indices.cpu().numpy()
        return Found(distances.double().cpu().numpy(), index,
                     [[self.items[i] for i in row if i >= 0]
                      for row in index])

    def _search_poses(self, query: Tensor, seen: Tensor, held: Tensor,
                      there: Tensor, k: int) -> tuple[Tensor, Tensor]:
        full = bool(seen.all()) and bool(there.all())

        def scores(part: slice) -> Tensor:
            return -pairwise_distances(
                query[part], held, None if full else seen[part],
                None if full else there, self.turn, self.unit_size,
                self.least)

        def exact(part: slice, index: Tensor) -> Tensor:
            one, other = torch.broadcast_tensors(
                query[part, None].double(), held[index].double())
            return paired_distances(
                one, other, seen[part, None] & there[index], self.turn,
                self.unit_size)
        # single precision ranks near poses roughly: more, then exactly
        more = min(len(held), 2 * k + 8)
        (distances, indices), = best(
            scores, exact, len(query), len(held), max(more, k),
            chunk=max(1, 2**20 // max(len(held), 1)))
        return distances[:, :k], indices[:, :k]

    # -- files ------------------------------------------------------------
    def save(self, path: str | Path) -> None:
        """Writes the index, in one piece, as an ``.npz`` of plain arrays.

        Raises:
            ValueError: The name does not end in ``.npz``.
        """
        arrays = {k: getattr(self, k) for k in ('values', 'visible', 'drawn')
                  if getattr(self, k) is not None}
        write_index(path, dict(
            kind=self.kind, joints=self.joints, turn=self.turn,
            unit_size=self.unit_size, least=self.least, items=self.items,
            model=self.model), arrays)

    @classmethod
    def load(cls, path: str | Path) -> PoseIndex:
        """Reads an index.

        Raises:
            FileNotFoundError: There is no such file.
            ValueError: The file is no index, damaged, or of a later version.
        """
        head, arrays = read_index(path)
        return cls(head['kind'], arrays['values'], arrays.get('visible'),
                   head['items'], head['joints'], head['turn'],
                   head['unit_size'], head['least'], head.get('model'),
                   arrays.get('drawn'))


def _named(digest: Mapping[str, str]) -> str:
    return (f'{digest.get("model")} (config {digest.get("config")}, weights '
            f'{digest.get("weights")})')


def _or_numbers(items: Sequence[Any] | None, values: np.ndarray
                ) -> Sequence[Any]:
    return range(len(values)) if items is None else items


def _plain(items: Sequence[Any]) -> list[Any]:
    try:
        return json.loads(json.dumps([
            str(i) if isinstance(i, Path) else i for i in items]))
    except (TypeError, ValueError) as error:
        raise TypeError('items of an index must be what JSON holds (text, '
                        f'numbers, lists, mappings): {error}') from error
