"""Cases: images edited by their keypoints, through the tool."""
from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from mmengine.config import Config
from mmpose.registry import MODELS

from . import error, rule
from .commands import command

_MODEL = dict(
    type='KeypointGAN',
    backbone=dict(type='SkeletonTranslator', width=2),
    head=dict(type='SkeletonRegressor', skeleton='lsp_14', width=2),
    generator=dict(type='ConditionalDecoder', width=2),
    discriminator=dict(type='MultiScaleDiscriminator', width=2, scales=1),
    renderer=dict(type='SkeletonRenderer', skeleton='lsp_14', size=32),
    perceptual=dict(type='PerceptualLoss', features='random', width=2),
    pool_size=2)


def edit(folder: Path, *words: str, image: Any = None, stage: bool = False,
         **changes: Any) -> None:
    """Runs the tool on an image with a model of initial weights."""
    model: dict[str, Any] = copy.deepcopy(dict(_MODEL, **changes))
    Config(dict(model=model)).dump(folder / 'mine.py')
    if stage:
        model = dict(type='SkeletonRegressorPretraining',
                     head=model['head'], renderer=model['renderer'])
    torch.manual_seed(0)
    torch.save(dict(state_dict=MODELS.build(model).state_dict(), meta={}),
               folder / 'epoch_3.pth')
    if image is None:
        image = folder / 'a.png'
        cv2.imwrite(str(image), np.full((40, 60, 3), 99, np.uint8))
    command('edit_pose', str(folder / 'mine.py'),
            str(folder / 'epoch_3.pth'), *([str(image)] if image else []),
            '--out', str(folder / 'sheet.png'), *words)


@error('unknown joint to be moved', 'UsageError',
       "'lsp_14' has no joint 'left_wirst'", "did you mean 'left_wrist'?")
def unknown_joint(folder: Path) -> None:
    """A typing error."""
    edit(folder, '--move', 'left_wirst=4,0')


@error('move without numbers', 'UsageError', '--move left_wrist',
       'JOINT=DX,DY is wanted, such as left_wrist=+12,-8')
def no_numbers(folder: Path) -> None:
    """Only the joint."""
    edit(folder, '--move', 'left_wrist')


@error('joint moved out of the picture', 'UsageError',
       'a.png: left_wrist would stand at', 'it can move by')
def outside(folder: Path) -> None:
    """Five hundred pixels of thirty-two."""
    edit(folder, '--move', 'left_wrist=500,0')


@rule('joint that walks (`--sweep`) out of the picture', 'held at its border')
def walks_out(folder: Path) -> None:
    """Five hundred pixels of thirty-two."""
    edit(folder, '--sweep', 'left_wrist=500,0')
    assert (folder / 'sheet.png').is_file()


@error('joint in which no limb ends', 'UsageError',
       "no limb ends in 'right_wrist2'", 'drawn are')
def not_drawn(folder: Path) -> None:
    """Fifteen of Human3.6M's 32 are of this kind."""
    edit(folder, '--move', 'right_wrist2=1,0',
         head=dict(_MODEL['head'], skeleton='human36m_32'),
         renderer=dict(_MODEL['renderer'], skeleton='human36m_32'))


@error('decoder without an appearance frame', 'UsageError',
       'the decoder of this model reads no appearance frame',
       'train one with generator.conditional=True')
def unconditional(folder: Path) -> None:
    """A row of the paper's Table 4."""
    edit(folder, generator=dict(_MODEL['generator'], conditional=False))


@error("checkpoint of the regressor's stage", 'UsageError',
       '…/epoch_3.pth lacks', 'the checkpoint of a stage that trains all of')
def stage(folder: Path) -> None:
    """It has no decoder."""
    edit(folder, stage=True)


@error('no image', 'UsageError', 'give images (files or folders)',
       'or --validation N')
def no_image(folder: Path) -> None:
    """Neither files nor frames of the config."""
    edit(folder, image='')


@error('folder without an image', 'UsageError', '…/empty holds no image',
       '.png')
def empty(folder: Path) -> None:
    """Of a typing error, perhaps."""
    (folder / 'empty').mkdir()
    edit(folder, image=folder / 'empty')


@error('unreadable image', 'UsageError', '…/b.png cannot be edited',
       'give another image')
def unreadable(folder: Path) -> None:
    """A web page."""
    (folder / 'b.png').write_bytes(b'<html>')
    edit(folder, image=folder / 'b.png')


@rule('image of any size', 'the largest square in its middle, or with '
      '`--crop fit` the whole image, its outer pixels repeated')
def any_size(folder: Path) -> None:
    """60 x 40 pixels for a network of 32."""
    for crop in ('centre', 'fit'):
        edit(folder, '--crop', crop)
        assert (folder / 'sheet.png').is_file()
        (folder / 'sheet.png').unlink()
