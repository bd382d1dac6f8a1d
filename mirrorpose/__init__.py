"""mirrorpose: analysis by synthesis around a pose, as a plugin of mmpose.

``import mirrorpose`` makes mmpose importable where optional parts of it are
absent (see :mod:`mirrorpose.compat`) and registers every component in the
registries of mmpose.
"""

from .compat import ensure_mmpose
from .version import __version__

ensure_mmpose()

from . import datasets, engine, evaluation, models, structures  # noqa: E402

__all__ = ['__version__', 'datasets', 'engine', 'evaluation', 'models',
           'structures']
