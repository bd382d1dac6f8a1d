"""A tiny set of synchronised views, made once a session."""
from __future__ import annotations

import pytest

import mirrorpose  # noqa: F401
from mirrorpose.datasets.multiview import MultiViewDataset

SOURCE = dict(type='SyntheticViews', subjects=3, clips=2, seconds=2, fps=2,
              image_size=32, num_cameras=3)


@pytest.fixture(scope='session')
def view_cache(tmp_path_factory):
    return tmp_path_factory.mktemp('views')


@pytest.fixture(scope='session')
def make_views(view_cache):
    """Builds data sets of the tiny source: 3 subjects, 72 views."""
    def build(**kwargs) -> MultiViewDataset:
        source = dict(SOURCE, **kwargs.pop('source', {}))
        return MultiViewDataset(source, cache_dir=str(view_cache), **kwargs)
    return build
