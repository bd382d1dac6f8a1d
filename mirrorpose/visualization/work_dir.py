"""What a work dir holds: its stages, as far as they have come."""
from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.config.utils import ConfigParsingError

from ..engine.checkpoint_hook import last_checkpoint
from ..engine.curriculum import MANIFEST
from .curves import Scalars, read_scalars

#: The stages of MirrorNet's curriculum, in order, and what they do.
CURRICULUM: dict[str, tuple[str, str]] = {
    'mask_estimator': ('Mask estimator', 'silhouettes of annotated people'),
    'recognizer': ('Recognizer, pre-training', 'annotated images'),
    'image_vae': ('Image VAE, pre-training',
                  'annotated images: appearance, scene and image generator'),
    'pose_vae': ('Pose VAE, pre-training', 'annotated poses, no images'),
    'baseline': ('Baseline', 'the recognizer goes on alone'),
    'supervised': ('Supervised', 'all networks, annotated images'),
    'supervised_long': ('Supervised, continued',
                        'all networks, annotated images'),
    'semi_supervised': ('Semi-supervised',
                        'all networks, annotated and un-annotated images'),
}


@dataclass
class Stage:
    """One stage of a work dir.

    Attributes:
        name (str): Its folder's name.
        folder (Path): The folder.
        config (Config | None): Its complete config, where it can be read.
        checkpoint (Path | None): The latest weights.
        facts (dict): Its entry of ``curriculum.json``: ``finished``,
            ``epochs``, ``seconds``.
        scores (dict): Content of ``scores.json``: ``mean``,
            ``averaged_epochs``, ``epochs``; may be empty.
        scalars (Scalars): What was logged.
        alone (bool): It is the work dir itself, no stage of a curriculum.
    """

    name: str
    folder: Path
    config: Config | None = None
    checkpoint: Path | None = None
    facts: dict[str, Any] = field(default_factory=dict)
    scores: dict[str, Any] = field(default_factory=dict)
    scalars: Scalars = field(default_factory=Scalars)
    alone: bool = False

    @property
    def title(self) -> str:
        """Its name for people."""
        return CURRICULUM.get(self.name, (self.name.replace('_', ' '), ))[0]

    @property
    def finished(self) -> bool:
        """Whether it says so."""
        return bool(self.facts.get('finished')) or (
            self.alone and self.done > 0 and self.done == self.planned)

    @property
    def planned(self) -> int | None:
        """Epochs that it has in the end."""
        if self.facts.get('epochs'):
            return int(self.facts['epochs'])
        if self.config is None:
            return None
        return (self.config.get('train_cfg') or {}).get('max_epochs')

    @property
    def done(self) -> int:
        """Epochs behind its latest checkpoint."""
        found = re.search(r'epoch_(\d+)', self.checkpoint.name
                          if self.checkpoint else '')
        return int(found.group(1)) if found else 0

    @property
    def seconds(self) -> float | None:
        """Training time: told, or summed over the logged iterations."""
        if self.facts.get('seconds'):
            return float(self.facts['seconds'])
        rows = self.scalars.train
        if not rows or any('time' not in r for r in rows):
            return None
        # `time` is the smoothed length of an iteration.
        steps = [0] + [r['iter'] for r in rows]
        return sum((b - a) * r['time'] for a, b, r in
                   zip(steps, steps[1:], rows))

    @property
    def parent(self) -> str | None:
        """The stage that its recognizer comes from."""
        if self.config is None:
            return None
        backbone = self.config.model.get('backbone') or {}
        start = self.config.get('load_from') or (
            backbone.get('init_cfg') or {}).get('checkpoint')
        return Path(start).parent.name if start else None

    @property
    def image_data(self) -> dict | None:
        """The test data loader's config, if its images are read."""
        loader = (self.config or {}).get('test_dataloader')
        if not loader or 'LoadBlankImage' in set(find(loader, 'type')):
            return None
        return loader

    @property
    def norms(self) -> list[str]:
        """The normalisers of its PCK, in order."""
        for evaluator in _listed((self.config or {}).get('val_evaluator')):
            if evaluator.get('type') == 'LspPCK':
                norm = evaluator.get('norm', 'bbox')
                return [norm] if isinstance(norm, str) else list(norm)
        return []

    @property
    def threshold(self) -> float:
        """The threshold of its PCK."""
        for evaluator in _listed((self.config or {}).get('val_evaluator')):
            if evaluator.get('type') == 'LspPCK':
                return evaluator.get('thr', 0.2)
        return 0.2


def lower(title: str) -> str:
    """A title within a sentence; abbreviations keep their letters."""
    return title[:1].lower() + title[1:]


def find(node: Any, key: str) -> Iterator[Any]:
    """Every value that stands under ``key`` anywhere in a config."""
    if isinstance(node, Mapping):
        for k, value in node.items():
            if k == key:
                yield value
            else:
                yield from find(value, key)
    elif isinstance(node, (list, tuple)):
        for item in node:
            yield from find(item, key)


def _listed(value: Any) -> list:
    if not value:
        return []
    return list(value) if isinstance(value, (list, tuple)) else [value]


def read_stages(work_dir: str | Path) -> tuple[list[Stage], list[str]]:
    """The stages of a work dir, in the order in which they ran.

    Args:
        work_dir (str | Path): ``work_dir`` of a curriculum.

    Returns:
        tuple: The stages, and notes on what is absent or cannot be read.

    Raises:
        FileNotFoundError: There is no such folder.
        ValueError: No stage was ever begun in it.
    """
    root = Path(work_dir)
    if not root.is_dir():
        raise FileNotFoundError(
            f'there is no work dir {root}; name the folder that '
            'tools/train.py wrote (work_dirs/CONFIG)')
    notes: list[str] = []
    manifest = _read_json(root / MANIFEST, notes)
    folders = {p.parent.name: p.parent for p in root.glob('*/*.py')
               if p.stem == p.parent.name}
    folders |= {p.parent.name: p.parent
                for p in root.glob('*/last_checkpoint')}
    if not folders:  # one training is a curriculum of one stage
        alone = sorted(p.stem for p in root.glob('*.py'))
        if len(alone) != 1:
            raise ValueError(
                f'{root} holds no stage of a curriculum (no STAGE/STAGE.py) '
                'and no training (CONFIG.py); name the folder that '
                'tools/train.py wrote')
        folders = {alone[0]: root}
    stages = []
    for name, folder in folders.items():
        stage = Stage(name, folder, alone=folder == root)
        stage.config = _read_config(folder / f'{name}.py', notes)
        stage.checkpoint = last_checkpoint(folder)
        stage.facts = manifest.get(name) or {}
        stage.scores = _read_json(folder / 'scores.json', notes)
        stage.scalars = read_scalars(folder)
        notes += stage.scalars.notes
        stages.append(stage)
    known = list(CURRICULUM)
    stages.sort(key=lambda s: (
        known.index(s.name) if s.name in known else len(known),
        min((p.name for p in s.folder.glob('2*_*')), default='9')))
    if any(s.name in known for s in stages):
        absent = [n for n in known if n not in folders]
        if absent:
            notes.append('not begun: ' + ', '.join(
                f'{lower(CURRICULUM[n][0])} ({n})' for n in absent))
    for stage in stages:
        if not stage.finished:
            notes.append(
                f'stage {stage.name} is not finished: '
                f'{stage.done} of {stage.planned or "?"} epochs')
    return stages, notes


def _read_json(path: Path, notes: list[str]) -> dict:
    if not path.is_file():
        return {}
    try:
        content = json.loads(path.read_text())
    except json.JSONDecodeError as error:
        notes.append(f'{_short(path)} is damaged and was left out ({error})')
        return {}
    return content if isinstance(content, dict) else {}


def _read_config(path: Path, notes: list[str]) -> Config | None:
    if not path.is_file():
        notes.append(f'{_short(path)} is missing: what this stage was is '
                     'not known, and its networks are not drawn')
        return None
    try:
        return Config.fromfile(str(path))
    except (OSError, SyntaxError, ImportError, ConfigParsingError) as error:
        notes.append(f'{_short(path)} cannot be read: {error}')
        return None


def _short(path: Path) -> str:
    return f'{path.parent.name}/{path.name}'
