"""A small KeypointGAN, and a batch for it."""
from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from mmpose.registry import MODELS

# The tests here share a module; pytest imports them by path.
sys.path.insert(0, str(Path(__file__).parent))
from stick_figures import StickFigures, model_cfg  # noqa: E402


@pytest.fixture
def build():
    """Builds a model from changes of the config, weights by seed 0."""
    def built(**changes: Any) -> Any:
        torch.manual_seed(0)
        return MODELS.build(model_cfg(**changes))
    return built


@pytest.fixture
def batch() -> dict[str, Any]:
    """A training batch of four."""
    return StickFigures(4).get_batch(list(range(4)),
                                     np.arange(4, dtype=np.uint64))
