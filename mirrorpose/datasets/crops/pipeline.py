"""Reads a stock pipeline into a plan that whole batches can follow."""
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from mmcv.transforms import BaseTransform
from mmengine.dataset import BaseDataset
from mmpose.datasets import CombinedDataset
from mmpose.datasets.datasets.base import BaseCocoStyleDataset
from mmpose.datasets.transforms import (
    GenerateTarget,
    GetBBoxCenterScale,
    LoadImage,
    PackPoseInputs,
    RandomBBoxTransform,
    RandomFlip,
    RandomHalfBody,
    TopdownAffine,
    YOLOXHSVRandomAug,
)

from ..combined import CombinedPoseDataset
from ..reading import COLOR_TYPES
from ..transforms import (
    DropLabels,
    LoadBlankImage,
    LoadCheckedImage,
    LoadSilhouette,
    SplitSilhouette,
)
from .geometry import rotated_extent

#: What the fast pipeline can do, in the order that it does it in.
ORDER: dict[type, int] = {
    LoadImage: 0, LoadCheckedImage: 0, LoadBlankImage: 0, DropLabels: 0,
    LoadSilhouette: 0, GetBBoxCenterScale: 1, RandomFlip: 2,
    RandomHalfBody: 3, RandomBBoxTransform: 4, TopdownAffine: 5,
    YOLOXHSVRandomAug: 6, GenerateTarget: 7, SplitSilhouette: 8,
    PackPoseInputs: 9}

_IMAGE = (LoadImage, LoadCheckedImage, LoadBlankImage)
_NEEDED = (GetBBoxCenterScale, TopdownAffine, PackPoseInputs)
_ADVICE = ('use the stock pipeline for this loader: take the data set out of '
           'its CachedCropDataset (in our configs: leave crop_cache out)')


@dataclass(frozen=True)
class Loading:
    """How the image of one leaf data set comes to be.

    Attributes:
        blank (bool): There is none: only poses are wanted.
        color_type (str), backend_args (dict | None): The image's.
        drop_labels (bool): The labels are removed.
        mask_threshold (int | None): ``LoadSilhouette``'s, None without it.
        steps (tuple): The transforms themselves.
    """

    blank: bool = False
    color_type: str = 'color'
    backend_args: dict | None = None
    drop_labels: bool = False
    mask_threshold: int | None = None
    steps: tuple[BaseTransform, ...] = ()

    @property
    def channels(self) -> int:
        """Of the image: 3, and one for a silhouette."""
        return 3 if self.mask_threshold is None else 4


@dataclass(frozen=True)
class CropPlan:
    """What is done to every sample after it is loaded.

    Attributes:
        box (GetBBoxCenterScale): Its padding.
        affine (TopdownAffine): Its input size, and whether UDP.
        pack (PackPoseInputs): Its keys.
        flip, half_body, transform, colour, target: The stock transforms, or
            None where the pipeline lacks them.
        silhouette_size (tuple[int, int] | None): (w, h) in cells.
    """

    box: GetBBoxCenterScale
    affine: TopdownAffine
    pack: PackPoseInputs
    flip: RandomFlip | None = None
    half_body: RandomHalfBody | None = None
    transform: RandomBBoxTransform | None = None
    colour: YOLOXHSVRandomAug | None = None
    target: GenerateTarget | None = None
    silhouette_size: tuple[int, int] | None = None
    steps: tuple[BaseTransform, ...] = field(default=(), compare=False)

    @property
    def input_size(self) -> tuple[int, int]:
        """(w, h) of the network's input in pixels."""
        w, h = self.affine.input_size
        return int(w), int(h)

    @property
    def flip_prob(self) -> float:
        """Probability of a mirror image."""
        if self.flip is None:
            return 0.
        prob = self.flip.prob
        return float(prob[0] if isinstance(prob, list) else prob)

    @property
    def is_random(self) -> bool:
        """Whether anything is drawn."""
        return any((self.flip, self.half_body, self.transform, self.colour))

    def margin(self) -> float:
        """Side of the square that can be seen, over the box's longer side.

        Scale times the extent of the turned box, plus the shift: with scales
        up to 1.25 and turns of more than 45 degrees ``1.25 * sqrt(2)``.
        """
        move = self.transform
        if move is None:
            return 1.
        scale = max(move.scale_factor) if move.scale_prob > 0 else 1.
        if move.scale_prob < 1:
            scale = max(scale, 1.)
        turn = move.rotate_factor if move.rotate_prob > 0 else 0.
        shift = move.shift_factor if move.shift_prob > 0 else 0.
        return (scale * rotated_extent(self.input_size, turn)
                + 2 * abs(shift))


def find_leaves(dataset: Any, config: dict, after: Sequence = ()
                ) -> list[tuple[Any, dict, list[BaseTransform]]]:
    """The data sets at the bottom of a nested one, in the order of indices.

    Args:
        dataset: The data set as built.
        config (dict): Its config.
        after (Sequence): Transforms that follow.

    Returns:
        list: Data set, config, and all the transforms that its samples go
        through; in the order of :func:`mirrorpose.datasets.members.leaves`.

    Raises:
        ValueError: A wrapper or data set that does more than put samples
            through its pipeline.
    """
    name = type(dataset).__name__
    steps = list(getattr(getattr(dataset, 'pipeline', None), 'transforms',
                         ())) + list(after)
    if type(dataset) in (CombinedDataset, CombinedPoseDataset):
        if dataset.resample:
            raise ValueError('the fast pipeline cannot do '
                             f'sample_ratio_factor of {name}; {_ADVICE}')
        return [leaf for child, cfg in zip(dataset.datasets,
                                           config['datasets'])
                for leaf in find_leaves(child, cfg, steps)]
    if not isinstance(dataset, BaseDataset) or isinstance(dataset,
                                                          CombinedDataset):
        raise ValueError(f'the fast pipeline cannot look into {name}, only '
                         'into CombinedPoseDataset and single data sets; '
                         f'{_ADVICE}')
    own = type(dataset).prepare_data
    if own not in (BaseDataset.prepare_data,
                   BaseCocoStyleDataset.prepare_data):
        raise ValueError(f'{name} has a prepare_data of its own, which the '
                         f'fast pipeline cannot do; {_ADVICE}')
    if getattr(dataset, 'data_mode', 'topdown') != 'topdown':
        raise ValueError(f'{name} has data_mode={dataset.data_mode!r}; the '
                         'fast pipeline crops one person a sample '
                         f"('topdown'); {_ADVICE}")
    return [(dataset, config, steps)]


def read_pipeline(steps: Sequence[BaseTransform],
                  where: str) -> tuple[Loading, CropPlan]:
    """Reads the transforms of one leaf data set.

    Args:
        steps (Sequence[BaseTransform]): All of them, as built.
        where (str): Name of the data set, for messages.

    Returns:
        tuple[Loading, CropPlan]: What differs from leaf to leaf, and what
        must not.

    Raises:
        ValueError: A transform, an option of one, or an order that the fast
            pipeline cannot do; the message names it.
    """
    found: dict[type, BaseTransform] = {}
    last: type | None = None
    for step in steps:
        kind = type(step)
        if kind not in ORDER:
            raise ValueError(
                f'{where}: the fast pipeline cannot do '
                f'{kind.__module__}.{kind.__name__}; {_ADVICE}. It can do '
                f'{", ".join(k.__name__ for k in ORDER)}')
        if kind in found:
            raise ValueError(f'{where}: {kind.__name__} stands twice in the '
                             f'pipeline; {_ADVICE}')
        if last is not None and ORDER[kind] < ORDER[last]:
            raise ValueError(
                f'{where}: the fast pipeline cannot do {kind.__name__} after '
                f'{last.__name__}, only in the order '
                f'{", ".join(k.__name__ for k in ORDER)}; put it there, or '
                f'{_ADVICE}')
        found[kind] = step
        last = kind
    lost = [k.__name__ for k in _NEEDED if k not in found]
    if lost:
        raise ValueError(f'{where}: the pipeline lacks {lost}, so its samples '
                         f'are no crops of people; {_ADVICE}')
    _check_options(found, where)
    return _loading(found, where), _plan(found)


def _loading(found: dict[type, Any], where: str) -> Loading:
    mask = found.get(LoadSilhouette)
    images = [found[k] for k in _IMAGE if k in found]
    if len(images) > 1 or (mask is not None and LoadBlankImage in found):
        raise ValueError(
            f'{where}: a sample has one image, but the pipeline has '
            f'{[k.__name__ for k in found if ORDER[k] == 0]}')
    image = images[0] if images else None
    if (mask is None) != (SplitSilhouette not in found):
        raise ValueError(f'{where}: LoadSilhouette and SplitSilhouette belong '
                         'together; the pipeline has only one of them')
    return Loading(
        blank=LoadBlankImage in found,
        color_type=getattr(image, 'color_type', 'color'),
        backend_args=getattr(image, 'backend_args', None),
        drop_labels=DropLabels in found,
        mask_threshold=None if mask is None else mask.threshold,
        steps=tuple(s for k, s in found.items() if ORDER[k] == 0))


def _plan(found: dict[type, Any]) -> CropPlan:
    split = found.get(SplitSilhouette)
    return CropPlan(
        found[GetBBoxCenterScale], found[TopdownAffine],
        found[PackPoseInputs], found.get(RandomFlip),
        found.get(RandomHalfBody), found.get(RandomBBoxTransform),
        found.get(YOLOXHSVRandomAug), found.get(GenerateTarget),
        None if split is None else split.heatmap_size,
        tuple(s for k, s in found.items() if ORDER[k] > 0))


def _check_options(found: dict[type, Any], where: str) -> None:
    """Refuses options that would be done otherwise, or not at all."""
    def refuse(step: Any, option: str) -> None:
        raise ValueError(f'{where}: the fast pipeline cannot do '
                         f'{type(step).__name__}({option}); {_ADVICE}')

    load = found.get(LoadImage) or found.get(LoadCheckedImage)
    if load is not None:
        if load.to_float32:
            refuse(load, 'to_float32=True')
        if load.imdecode_backend != 'cv2':
            refuse(load, f'imdecode_backend={load.imdecode_backend!r}')
        if load.color_type not in COLOR_TYPES:
            refuse(load, f'color_type={load.color_type!r}')
        if load.ignore_empty:
            refuse(load, 'ignore_empty=True')
        if load.file_client_args is not None:
            refuse(load, f'file_client_args={load.file_client_args}')
    if (mask := found.get(LoadSilhouette)) is not None and not mask.required:
        refuse(mask, 'required=False')
    if (flip := found.get(RandomFlip)) is not None and flip.direction not in (
            'horizontal', ['horizontal']):
        refuse(flip, f'direction={flip.direction!r}')
    if mask is not None and YOLOXHSVRandomAug in found:
        refuse(found[YOLOXHSVRandomAug], 'with LoadSilhouette')
    if (target := found.get(GenerateTarget)) is not None and isinstance(
            target.encoder_cfg, list):
        refuse(target, 'with several encoders')


def same_plan(plans: Sequence[CropPlan], names: Sequence[str]) -> CropPlan:
    """The plan that all leaves share.

    Raises:
        ValueError: They differ; the message shows two.
    """
    texts = [[repr(step) for step in plan.steps] for plan in plans]
    for text, name in zip(texts, names):
        if text != texts[0]:
            ours, theirs = (' -> '.join(t) for t in (texts[0], text))
            raise ValueError(
                'the fast pipeline does the same to every sample after it is '
                f'loaded, but {names[0]} goes through {ours} and {name} '
                f'through {theirs}; {_ADVICE}')
    return plans[0]
