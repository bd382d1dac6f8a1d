"""A recognizer as a plain mmpose config and checkpoint."""
from __future__ import annotations

import ast
import copy
import inspect
import pprint
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from mmengine.config import Config
from mmengine.dataset import Compose
from mmengine.model import revert_sync_batchnorm
from mmengine.registry import DefaultScope
from mmpose.apis.inference import dataset_meta_from_config
from mmpose.models.pose_estimators import TopdownPoseEstimator
from mmpose.registry import KEYPOINT_CODECS, MODELS, TRANSFORMS
from torch import nn

from ..engine import checkpoint as checkpoints
from ..structures import Skeleton
from ..utils.files import write_atomically, write_text

#: What a top-down estimator predicts with.
PARTS = ('backbone', 'neck', 'head')
#: Options of ``test_cfg`` that only mirrorpose's estimators know.
OURS_IN_TEST_CFG = ('scores', )
#: What a module that is copied may import.
PLAIN_PACKAGES = ('mmcv', 'mmengine', 'mmpose', 'numpy', 'torch')
_STORED = ('type', 'mean', 'std', 'pad_size_divisor', 'pad_value',
           'bgr_to_rgb', 'rgb_to_bgr')


class Exported(NamedTuple):
    """What was written.

    Attributes:
        config (Path): The mmpose config.
        checkpoint (Path): Its weights.
        modules (list[Path]): Copied source files that the config imports.
    """

    config: Path
    checkpoint: Path
    modules: list[Path]


def export_recognizer(config: str | Path | Config,
                      checkpoint: str | Path,
                      out_dir: str | Path,
                      raw_weights: bool = False,
                      trust: bool = False) -> Exported:
    """Writes the recognizer of a model for people who have only mmpose.

    ``recognizer.py`` and ``recognizer.pth`` are what mmpose's
    ``init_model``, ``inference_topdown`` and inferencer take. Parts of
    mirrorpose are replaced by the mmpose classes that they extend; one that
    extends none, and needs nothing else of mirrorpose, is copied beside the
    config. Before anything is written, old and new model are given the same
    image, and have to agree to 1e-5 of the largest output.

    Args:
        config (str | Path | Config): Of the model, or of a curriculum or one
            of its stages.
        checkpoint (str | Path): Of any stage that has the recognizer.
        out_dir (str | Path): Made if it is not there.
        raw_weights (bool): Where weights were averaged during training
            (``EMAHook``), take the last ones instead of the averages.
            Defaults to False.
        trust (bool): See :func:`mirrorpose.engine.checkpoint.load`.

    Returns:
        Exported: The files.

    Raises:
        FileNotFoundError: Config or checkpoint is missing.
        ValueError: The model is no top-down estimator, the checkpoint lacks
            a part of the recognizer, or a part cannot leave mirrorpose.
    """
    if not isinstance(config, Config):
        config = Config.fromfile(config)
    with DefaultScope.overwrite_default_scope('mmpose'):
        return _export(config, Path(checkpoint), Path(out_dir), raw_weights,
                       trust)


def _export(config: Config, checkpoint: Path, out_dir: Path,
            raw_weights: bool, trust: bool) -> Exported:
    model = plain(copy.deepcopy(config.model))
    _check_estimator(model)
    held = checkpoints.load(checkpoint, 'cpu', trust)
    writer = _Translation()
    stock = writer.model(model)
    pipeline = writer.pipeline(_test_pipeline(config))
    meta = held.get('meta', {}).get('dataset_meta') \
        or dataset_meta_from_config(config, 'test') or {}
    weights = _weights(held, checkpoint, raw_weights)
    theirs = _build(stock, weights, checkpoint)
    source = {k: model[k] for k in PARTS if model.get(k)}
    ours = _build(dict(stock, **without_init(source)), weights, checkpoint)
    _compare(ours, theirs, _input_size(stock))
    _compare_pipelines(_test_pipeline(config), pipeline, dict(meta))
    text = _config_text(stock, pipeline, meta, writer.sources)
    out_dir.mkdir(parents=True, exist_ok=True)
    modules = []
    for name, source_text in writer.sources.items():
        modules.append(out_dir / f'{name}.py')
        write_text(modules[-1], source_text)
    written = dict(
        state_dict=theirs.state_dict(),
        meta=checkpoints.plain(dict(dataset_meta=dict(meta))))
    path = out_dir / 'recognizer.pth'
    write_atomically(path, lambda part: torch.save(written, part))
    write_text(out_dir / 'recognizer.py', text)
    return Exported(out_dir / 'recognizer.py', path, modules)


def plain(value: Any) -> Any:
    """Copies a config with mmengine's dicts as dicts."""
    if isinstance(value, Mapping):
        return {k: plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(plain(v) for v in value)
    return value


def without_init(value: Any) -> Any:
    """A config without ``init_cfg``: weights come from the checkpoint."""
    if isinstance(value, Mapping):
        return {k: without_init(v) for k, v in value.items()
                if k != 'init_cfg'}
    if isinstance(value, (list, tuple)):
        return type(value)(without_init(v) for v in value)
    return value


def _check_estimator(model: Mapping) -> None:
    kind = MODELS.get(model['type']) if isinstance(model['type'], str) \
        else model['type']
    if kind is None or not issubclass(kind, TopdownPoseEstimator):
        raise ValueError(
            f'the config\'s model is a {model["type"]}, which is no top-down '
            'estimator: give the config of a recognizer, or of the whole '
            'curriculum')
    for part in ('backbone', 'head'):
        if not model.get(part):
            raise ValueError(f'the config\'s model has no {part}')
    if not model['head'].get('decoder'):
        raise ValueError("the head has no decoder, so mmpose could not read "
                         'its output: set model.head.decoder to the codec')


def _test_pipeline(config: Config) -> list[dict]:
    loader = config.get('test_dataloader') or {}
    dataset = loader.get('dataset') or {}
    steps = dataset.get('pipeline')
    if not steps:
        raise ValueError('the config has no test_dataloader.dataset.pipeline,'
                         ' which says how an image becomes an input')
    return plain(list(steps))


def _weights(held: dict, checkpoint: Path, raw: bool) -> dict:
    key = 'state_dict'
    if raw:
        # EMAHook exchanges the two when it saves.
        key = 'ema_state_dict'
        if key not in held:
            raise ValueError(f'checkpoint {checkpoint} holds no averaged '
                             'weights, so there is no choice: leave the '
                             'option out')
    state = {k.removeprefix('module.'): v for k, v in held[key].items()}
    kept = {k: v for k, v in state.items()
            if k.partition('.')[0] in PARTS}
    if not kept:
        raise ValueError(
            f'checkpoint {checkpoint} has no recognizer (it has '
            f'{sorted({k.partition(".")[0] for k in state})}): take one of '
            'a stage that trains it')
    return kept


def _build(model: dict, weights: dict, checkpoint: Path) -> nn.Module:
    """The model with its weights; those of a loss stay as they are made."""
    built = revert_sync_batchnorm(MODELS.build(copy.deepcopy(model)))
    mine = built.state_dict()
    used = {k: v for k, v in weights.items() if k in mine}
    wrong = [k for k, v in used.items() if v.shape != mine[k].shape]
    missing = [k for k in mine if k not in used and 'loss_module' not in k
               and k.partition('.')[0] in PARTS]
    if wrong or missing:
        raise ValueError(
            f'checkpoint {checkpoint} is not of this config: '
            f'{len(missing)} tensors are missing {missing[:3]}, '
            f'{len(wrong)} have another shape {wrong[:3]}')
    built.load_state_dict(used, strict=False)
    return built.eval()


def _input_size(model: Mapping) -> tuple[int, int]:
    size = model['head']['decoder'].get('input_size', (256, 256))
    return int(size[0]), int(size[1])


@torch.no_grad()
def _compare(ours: nn.Module, theirs: nn.Module,
             size: tuple[int, int]) -> None:
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(2, 3, size[1], size[0], generator=generator)
    for one, two in zip(_flat(ours(images, None)),
                        _flat(theirs(images, None))):
        worst = float((one - two).abs().max())
        if not worst <= 1e-5 * max(1., float(one.abs().max())):
            raise ValueError(f'the exported model would differ by {worst:g}: '
                             'a part of mirrorpose does more than the mmpose '
                             'class that it extends')


def _flat(out: Any) -> list[torch.Tensor]:
    return [t for o in out for t in _flat(o)] \
        if isinstance(out, (list, tuple)) else [out]


def _compare_pipelines(ours: list[dict], theirs: list[dict],
                       meta: dict) -> None:
    image = np.random.RandomState(0).randint(0, 255, (90, 70, 3), np.uint8)

    def run(steps: list[dict]) -> torch.Tensor:
        return Compose(copy.deepcopy(steps))(dict(
            meta, img=image, img_path='', id=0, img_id=0, ori_shape=(90, 70),
            img_shape=(90, 70), bbox=np.array([[5., 8., 60., 80.]]),
            bbox_score=np.ones(1, np.float32)))['inputs']

    if not torch.equal(run(ours), run(theirs)):
        raise ValueError('the exported test pipeline gives other inputs: a '
                         'transform of mirrorpose does more than the mmpose '
                         'class that it extends')


class _Translation:
    """Turns configs of mirrorpose's classes into stock ones.

    Attributes:
        sources (dict[str, str]): Module name to source text of what had to
            be copied.
    """

    def __init__(self) -> None:
        self.sources: dict[str, str] = {}

    def model(self, model: Mapping) -> dict:
        out: dict[str, Any] = dict(type='TopdownPoseEstimator')
        preprocessor = model.get('data_preprocessor') or dict(
            type='PoseDataPreprocessor')
        out['data_preprocessor'] = dict(
            {k: v for k, v in preprocessor.items() if k in _STORED},
            type='PoseDataPreprocessor')
        for part in PARTS:
            if model.get(part):
                out[part] = self.part(without_init(model[part]))
        out['test_cfg'] = {k: v for k, v in (model.get('test_cfg')
                                             or {}).items()
                           if k not in OURS_IN_TEST_CFG}
        return out

    def pipeline(self, steps: list[dict]) -> list[dict]:
        out = [self.part(step) for step in steps]
        if not any(str(step['type']).startswith('Load') for step in out):
            out.insert(0, dict(type='LoadImage'))
        return out

    def part(self, cfg: Any) -> Any:
        """One config, and what is nested in it."""
        if isinstance(cfg, (list, tuple)):
            return type(cfg)(self.part(c) for c in cfg)
        if not isinstance(cfg, Mapping):
            return cfg
        loss = cfg.get('loss')
        if loss is not None and _holds_ours(loss):
            cfg = {k: v for k, v in cfg.items() if k != 'loss'}
        out = {k: self.part(v) for k, v in cfg.items()}
        kind = _resolve(cfg.get('type'))
        if kind is None:
            return out
        out['type'] = kind.__name__
        if not _is_ours(kind):
            return out
        stock = _stock_ancestor(kind)
        if stock is None:
            self._copy(kind)
            return out
        known = inspect.signature(stock).parameters
        return dict({k: v for k, v in out.items() if k in known},
                    type=stock.__name__)

    def _copy(self, kind: type) -> None:
        source = Path(inspect.getfile(kind)).read_text()
        for module in _imports(source):
            if module.startswith('.') or module.partition('.')[0] not in (
                    *PLAIN_PACKAGES, *_standard()):
                raise ValueError(
                    f'{kind.__name__} exists only in mirrorpose, and its file '
                    f'imports {module}: this recognizer needs mirrorpose, '
                    'it cannot be exported')
        # Whoever has both packages may load it: the same class twice.
        name = f'recognizer_{kind.__module__.rpartition(".")[2]}'
        self.sources[name] = source.replace(
            '.register_module()', '.register_module(force=True)')


def _resolve(kind: Any) -> type | None:
    if isinstance(kind, str):
        for registry in (MODELS, KEYPOINT_CODECS, TRANSFORMS):
            found = registry.get(kind)
            if found is not None:
                return found if isinstance(found, type) else None
        return None
    return kind if isinstance(kind, type) else None


def _is_ours(kind: type) -> bool:
    return kind.__module__.partition('.')[0] == 'mirrorpose'


def _holds_ours(value: Any) -> bool:
    if isinstance(value, Mapping):
        kind = _resolve(value.get('type'))
        return (kind is not None and _is_ours(kind)) or any(
            _holds_ours(v) for v in value.values())
    return isinstance(value, (list, tuple)) and any(map(_holds_ours, value))


def _stock_ancestor(kind: type) -> type | None:
    """The nearest ancestor that a plain mmpose can build by name."""
    for ancestor in kind.__mro__[1:]:
        if not _is_ours(ancestor) and _resolve(
                ancestor.__name__) is ancestor:
            return ancestor
    return None


def _imports(source: str) -> list[str]:
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            found.append('.' * node.level + (node.module or ''))
    return found


def _standard() -> frozenset[str]:
    return frozenset(sys.stdlib_module_names)


def _config_text(model: dict, pipeline: list[dict], meta: Mapping,
                 sources: Mapping[str, str]) -> str:
    """The config as a text that needs nothing but mmpose."""
    try:
        metainfo = Skeleton.from_metainfo(meta).metainfo()
    except (KeyError, TypeError, ValueError):
        metainfo = None
    dataset = dict(type='CocoDataset', data_mode='topdown', ann_file='',
                   pipeline=pipeline, test_mode=True)
    if metainfo is not None:
        dataset['metainfo'] = metainfo
    cfg: dict[str, Any] = dict(
        default_scope='mmpose', dataset_type='CocoDataset',
        data_mode='topdown', model=model,
        test_dataloader=dict(
            batch_size=32, num_workers=2,
            sampler=dict(type='DefaultSampler', shuffle=False,
                         round_up=False),
            dataset=dataset))
    head = '# A recognizer, exported by mirrorpose; needs mmpose alone.\n'
    if sources:
        cfg['custom_imports'] = dict(imports=sorted(sources),
                                     allow_failed_imports=False)
        head += ('import sys\n\n'
                 '# The modules that the config imports lie beside it.\n'
                 "sys.path.insert(0, '{{ fileDirname }}')\n\n")
    return head + ''.join(
        f'{key} = {pprint.pformat(value, width=79, sort_dicts=False)}\n'
        for key, value in cfg.items())
