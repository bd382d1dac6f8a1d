"""The people of the benchmark: who trains, who decides, who is tested.

Crops of 64 x 64, 16 x 16 maps; four times as large at full size. Three sides,
disjoint in both data sets:

* *training*: of LSP's training half, 500 people drawn by a hash, and all of
  LSPET (7,591 together); 4,000 of the embedded world. A share of them counts
  as annotated, the others come without labels.
* *validation*: the other 500 people of LSP's training half; 500 of the
  world's split ``val``. Every choice is made here.
* *test*: LSP's standard test half; 1,000 of the world's split ``test``. A run
  recognizes them when it ends; they are scored with ``--final`` alone.

Five pairs of almost equal pictures lie within LSP's training half (mirrorpose
/doctor/leakage.py), and none between LSP and LSPET.
"""
from __future__ import annotations

from typing import Any

from mmpose.registry import DATASETS

from mirrorpose.datasets.lsp import LspDataset, default_data_root
from mirrorpose.datasets.splits import ranked_split
from mirrorpose.datasets.synthetic import SyntheticPoseDataset

from .rows import CELLS, SIGMA

SIDES = ('training', 'validation', 'test')
DATA = ('lsp', 'synthetic')
#: Names the split into training and validation people.
_HELD_OUT_SEED = 64
#: A polygon without area: no pixel is the person's.
_NOBODY = [[0.] * 6]
CODEC = dict(type='MSRAHeatmap', input_size=(4 * CELLS, 4 * CELLS),
             heatmap_size=(CELLS, CELLS), sigma=SIGMA)
#: A side of the embedded world's images.
_IMAGE = 6 * CELLS
_META = ('id', 'img_id', 'img_path', 'ori_shape', 'img_shape', 'input_size',
         'input_center', 'input_scale', 'flip', 'flip_direction',
         'flip_indices', 'dataset_name', 'is_labeled', 'silhouette_good')
_BOX = [dict(type='GetBBoxCenterScale', padding=1.25)]
_AFFINE = [dict(type='TopdownAffine', input_size=CODEC['input_size'])]
_PACK = [dict(type='PackPoseInputs', meta_keys=_META)]
#: Ranges of ``RandomBBoxTransform``: HRNet's for MPII, and wider.
RANGES: dict[str, dict[str, Any]] = dict(
    plain=dict(rotate_factor=60., scale_factor=(.75, 1.25)),
    strong=dict(rotate_factor=90., scale_factor=(.6, 1.4)))


@DATASETS.register_module(force=True)
class SidedLsp(LspDataset):
    """LSP or its extension with people of the training half held out.

    Args:
        side (str): ``'training'``, ``'validation'`` or ``'test'``.
        held_out (float): Share of the training half that validates. Defaults
            to 0: all train.
        others: As :class:`LspDataset`'s, but for ``subset``.
    """

    def __init__(self, side: str = 'training', held_out: float = 0.,
                 **kwargs: Any) -> None:
        if side not in SIDES:
            raise ValueError(f'side is one of {SIDES}, got {side!r}')
        self.side, self.held_out = side, held_out
        super().__init__(subset='test' if side == 'test' else 'train',
                         **kwargs)

    def load_people(self) -> list[dict]:
        """Reads the people of one side."""
        people = super().load_people()
        if self.side != 'test':
            held = ranked_split([p['id'] for p in people], self.held_out,
                                _HELD_OUT_SEED)
            people = [p for p, out in zip(people, held)
                      if out == (self.side == 'validation')]
        if self.part == 'unlabelled':
            for person in people:
                person['segmentation'] = _NOBODY
        return people


@DATASETS.register_module(force=True)
class MasklessSynthetic(SyntheticPoseDataset):
    """People of the embedded world whose silhouettes are empty."""

    def get_data_info(self, idx: int) -> dict:
        """As the world's, with a silhouette of nobody."""
        return dict(super().get_data_info(idx), segmentation=_NOBODY)


def _members(data: str, part: str, masks: bool | None) -> list[dict]:
    """Configs of the data sets of a part of the training people.

    Args:
        data (str): ``'lsp'`` or ``'synthetic'``.
        part (str): ``'labelled'`` or ``'unlabelled'``.
        masks (bool, optional): Only people whose silhouette is good (LSP).
    """
    labelled = part == 'labelled'
    tail: list[dict] = [] if labelled else [dict(type='DropLabels')]
    load = [dict(type='LoadSilhouette'), *tail]
    split = dict(label_fraction=1., split_seed=0, part=part)
    if data == 'synthetic':
        return [dict(type='SyntheticPoseDataset' if labelled else
                     'MasklessSynthetic', num_samples=4000, split='train',
                     image_size=_IMAGE, with_silhouette=labelled,
                     pipeline=load, **split)]
    lsp = dict(type='SidedLsp', data_root=default_data_root(),
               pipeline=[dict(type='LoadCheckedImage'), *load], **split)
    if labelled:
        lsp.update(with_silhouette=True, min_mask_quality=bool(masks))
    return [dict(lsp, ann_file='lsp/lsp.npz', held_out=.5),
            dict(lsp, ann_file='lspet/lspet.npz')]


def _captured() -> list[dict]:
    """Captured motion, seen by random cameras, on blank images."""
    return [dict(type='PoseCollectionDataset', data_root=default_data_root(),
                 ann_file=f'mocap/{name}_30fps.npz', stride=5, seed=0,
                 pipeline=[dict(type='LoadBlankImage')])
            for name in ('cmu31', 'bandai26')]


def training(data: str, counts: tuple[int, int], ranges: str = 'plain',
             masks: bool = False, mocap: bool = False,
             codec: dict | None = None) -> dict:
    """The training loader's config.

    Every annotated sample carries its silhouette, at the size of the input
    (of the maps with ``masks``); most rows do not look at it.

    Args:
        data (str): ``'lsp'`` or ``'synthetic'``.
        counts (tuple[int, int]): Annotated and un-annotated images a batch.
        ranges (str): Key of :data:`RANGES`.
        masks (bool): For the mask estimator: people with a good silhouette.
        mocap (bool): Poses of captured motion, no images, in place of all.
        codec (dict, optional): Of the targets. Defaults to :data:`CODEC`.
    """
    if data not in DATA:
        raise ValueError(f'data is one of {DATA}, got {data!r}')
    size = CODEC['heatmap_size'] if masks else CODEC['input_size']
    augment = [
        *_BOX, dict(type='RandomFlip', direction='horizontal'),
        dict(type='RandomBBoxTransform', shift_prob=0., **RANGES[ranges]),
        *_AFFINE, dict(type='GenerateTarget', encoder=codec or CODEC),
        *([] if mocap else [dict(type='SplitSilhouette',
                                 heatmap_size=size)]), *_PACK]
    parts = [_captured() if mocap else _members(data, 'labelled', masks)]
    if counts[1]:
        parts.append(_members(data, 'unlabelled', None))
    loader = dict(batch_size=sum(counts), num_workers=0,
                  persistent_workers=False, drop_last=True)
    sets = [dict(type='CombinedPoseDataset', datasets=p) for p in parts]
    if len(sets) == 1:
        return dict(loader, dataset=dict(sets[0], pipeline=augment),
                    sampler=dict(type='DefaultSampler', shuffle=True))
    return dict(
        loader, dataset=dict(type='CombinedPoseDataset', datasets=sets,
                             pipeline=augment),
        sampler=dict(type='SemiSupervisedSampler', batch_size=sum(counts),
                     source_ratio=counts))


def held_out(data: str, side: str = 'validation',
             maps: bool = False) -> dict:
    """Config of the people that are measured.

    Args:
        data (str): ``'lsp'`` or ``'synthetic'``.
        side (str): ``'validation'`` or ``'test'``.
        maps (bool): With the heatmaps of their annotation.
    """
    target = [dict(type='GenerateTarget', encoder=CODEC)] if maps else []
    steps = [*_BOX, *_AFFINE, *target, *_PACK]
    if data == 'synthetic':
        number, split = dict(validation=(500, 'val'),
                             test=(1000, 'test'))[side]
        return dict(type='SyntheticPoseDataset', num_samples=number,
                    split=split, image_size=_IMAGE, test_mode=True,
                    pipeline=steps)
    return dict(type='SidedLsp', data_root=default_data_root(), side=side,
                ann_file='lsp/lsp.npz', held_out=.5, test_mode=True,
                pipeline=[dict(type='LoadCheckedImage'), *steps])


def validation_loader(data: str) -> dict:
    """The validation loader's config."""
    return dict(batch_size=100, num_workers=0, persistent_workers=False,
                drop_last=False, dataset=held_out(data),
                sampler=dict(type='DefaultSampler', shuffle=False,
                             round_up=False))
