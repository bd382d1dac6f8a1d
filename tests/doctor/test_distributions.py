"""Whom an import name belongs to, beside what tools/install.py finds."""
from __future__ import annotations

import importlib.metadata as metadata
import importlib.util
from pathlib import Path

from mirrorpose.doctor import distributions

INSTALL = Path(__file__).resolve().parents[2] / 'tools' / 'install.py'


def test_import_names_are_those_of_the_installer():
    spec = importlib.util.spec_from_file_location('installer', INSTALL)
    installer = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(installer)
    every = list(metadata.distributions())
    assert len(every) > 20
    for one in every:
        assert distributions.import_names(one) == installer.import_names(one)
    found = {d.name.lower(): d.modules for d in distributions.installed()}
    assert 'numpy' in found['numpy'] and 'torch' in found['torch']
