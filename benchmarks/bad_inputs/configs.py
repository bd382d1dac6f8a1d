"""Cases: values and parts of a config."""
from __future__ import annotations

from pathlib import Path
from typing import Any
from unittest import mock

from mmengine.config import Config
from mmpose.registry import MODELS

from mirrorpose.datasets import LspDataset, SemiSupervisedSampler
from mirrorpose.datasets.broken import BrokenSamples
from mirrorpose.datasets.transforms.loading import LoadCheckedImage
from mirrorpose.engine import runner
from mirrorpose.engine.consistency import check_consistency
from mirrorpose.engine.curriculum import CurriculumRunner
from mirrorpose.structures import Skeleton
from mirrorpose.testing import toy_cfg

from . import ROOT, error


def curriculum(folder: Path, **changes: Any) -> CurriculumRunner:
    """The toy curriculum: pose_vae, then joint."""
    return CurriculumRunner(toy_cfg(folder, **changes))


def model(folder: Path, **changes: Any) -> None:
    """Builds the toy MirrorNet with changes."""
    MODELS.build(dict(toy_cfg(folder).model.to_dict(), **changes))


@error('label_fraction = 0', 'ValueError', 'label_fraction', '(0, 1], got 0')
def no_labels(folder: Path) -> None:
    """At the top level of a config."""
    runner.resolve(Config(dict(label_fraction=0)))


@error('label_fraction = 2', 'ValueError', 'label_fraction', '(0, 1], got 2')
def many_labels(folder: Path) -> None:
    """At the top level of a config."""
    runner.resolve(Config(dict(label_fraction=2)))


@error('label_fraction = -0.5 of one data set', 'ValueError',
       'label_fraction', '[0, 1], got -0.5')
def negative_labels(folder: Path) -> None:
    """In the data set."""
    LspDataset(data_root=str(folder), label_fraction=-.5)


@error("part='labeled'", 'ValueError', "'labeled'", "'labelled'")
def part(folder: Path) -> None:
    """Spelt otherwise."""
    LspDataset(data_root=str(folder), part='labeled')


@error('unknown joint set', 'ValueError', "'mpi_16'", "'mpii_16'")
def joint_set(folder: Path) -> None:
    """A typing error."""
    Skeleton.from_name('mpi_16')


@error('misspelt argument of a data set', 'TypeError', 'label_fracton',
       'unexpected keyword argument')
def argument(folder: Path) -> None:
    """Nothing swallows it."""
    LspDataset(data_root=str(folder), label_fracton=.5)


@error('global batch that does not divide among the processes', 'ValueError',
       '128', 'choose a multiple, or set batch_size_is_global=False')
def indivisible(folder: Path) -> None:
    """128 over 3 processes."""
    with mock.patch.object(runner, 'get_world_size', lambda: 3):
        runner.resolve(Config(dict(batch_size_is_global=True,
                                   train_dataloader=dict(batch_size=128))))


@error('a semi-supervised batch that cannot be split in the ratio',
       'ValueError', 'a batch of 10', 'change the batch size')
def ratio(folder: Path) -> None:
    """Ten as three to one."""
    SemiSupervisedSampler(combined(8, 8), 10, (3, 1))


@error('semi-supervised training with all people labelled', 'ValueError',
       'a data set is empty (lengths [8, 0])', 'train the supervised stage')
def nobody_unlabelled(folder: Path) -> None:
    """Nobody is left for the other half."""
    SemiSupervisedSampler(combined(8, 0), 4, (3, 1))


def combined(*lengths: int) -> Any:
    """A CombinedDataset of so many samples."""
    from mmpose.datasets import CombinedDataset
    out = CombinedDataset.__new__(CombinedDataset)
    out.datasets = [range(n) for n in lengths]
    return out


@error('curriculum without stages', 'ValueError', 'no stages',
       'stages = [dict(name=')
def no_stages(folder: Path) -> None:
    """An empty list."""
    curriculum(folder, stages=[])


@error('unknown stage', 'ValueError', "no stage 'jiont'", "'joint'")
def unknown_stage(folder: Path) -> None:
    """A typing error."""
    curriculum(folder, only_stage='jiont')


@error('unknown key of a stage', 'ValueError', "'epoch'", "'epochs'")
def stage_key(folder: Path) -> None:
    """A typing error."""
    curriculum(folder, stages=[dict(name='joint', epoch=3)])


@error('stage that starts from a later one', 'ValueError',
       "'joint' starts from ['pose_vae']", 'come before it')
def late_stage(folder: Path) -> None:
    """In the wrong order."""
    curriculum(folder, stages=[
        dict(name='joint', init_from=dict(pose_vae='pose_vae')),
        dict(name='pose_vae')])


@error('stage whose source is not trained', 'FileNotFoundError',
       "'joint' starts from 'pose_vae'", '--stage pose_vae')
def untrained(folder: Path) -> None:
    """Run alone, and first."""
    curriculum(folder, only_stage='joint').train()


@error('stage that takes a part that the model lacks', 'ValueError',
       "takes ['pose_vea']", "'pose_vae'")
def lacking(folder: Path) -> None:
    """A typing error."""
    curriculum(folder, stages=[dict(name='a', model=dict(
        type='PoseAutoencoding', take=['pose_vea']))]).stage_config('a')


@error('unknown option of a model', 'ValueError', "'annotations'",
       "'annotation'")
def option(folder: Path) -> None:
    """A typing error."""
    model(folder, generative_input='annotations')


@error('unknown term of the loss', 'ValueError', "['fidelty']", "'fidelity'")
def term(folder: Path) -> None:
    """A typing error."""
    model(folder, term_weights=dict(fidelty=1.))


@error('head with other joints than the pose VAE', 'ValueError',
       'predicts 14 joints', "16 of 'mpii_16'")
def head(folder: Path) -> None:
    """Fourteen joints."""
    cfg = toy_cfg(folder).model.to_dict()
    model(folder, head=dict(cfg['head'], out_channels=14))


def entry() -> Config:
    """An entry config, of which no data are read."""
    return Config.fromfile(ROOT / 'configs' / 'mirrornet_small_synthetic.py')


@error('head with other joints than the data, found when the config is '
       'checked', 'ValueError', '17', "consistency = 'warn'")
def consistency(folder: Path) -> None:
    """Seventeen joints; no model is built."""
    cfg = entry()
    cfg.model.head.out_channels = 17
    check_consistency(cfg)


@error("mmpose's torso norm, which takes joints 4 and 5 for the torso",
       'ValueError', 'PCKAccuracy', "consistency = 'warn'")
def torso(folder: Path) -> None:
    """They are a knee and an ankle here."""
    cfg = entry()
    cfg.val_evaluator = dict(type='PCKAccuracy', norm_item='torso')
    check_consistency(cfg)


@error('codec of the data other than the codec of the head', 'ValueError',
       'OneHotHeatmap', "consistency = 'warn'")
def codec(folder: Path) -> None:
    """Drawn as Gaussians, read as one-hot maps."""
    cfg = entry()
    cfg.model.head.decoder = dict(type='OneHotHeatmap', input_size=(64, 64),
                                  heatmap_size=(16, 16))
    check_consistency(cfg)


@error('unknown policy for broken samples', 'ValueError', "'ignore'",
       "('error', 'skip')")
def policy(folder: Path) -> None:
    """There are two."""
    BrokenSamples('ignore')


@error('images to be read unchecked', 'ValueError', "'unchanged'",
       "mmpose's LoadImage")
def color_type(folder: Path) -> None:
    """What the check is not for."""
    LoadCheckedImage(color_type='unchanged')
