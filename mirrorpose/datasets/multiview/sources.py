"""Where synchronised views come from: one small class a source.

A source is registered, so that a config names it::

    source=dict(type='SyntheticViews', subjects=8, ...)

:meth:`ViewSource.read` gives the index, :meth:`ViewSource.images` the crops
in its order. Both are asked once; the data set keeps what they gave in a
cache whose name is a hash of :meth:`ViewSource.key`.
"""
from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from .views import Views


class Crop(NamedTuple):
    """One view's image.

    Attributes:
        image (np.ndarray): (S, S, 3) uint8 BGR.
        visible (np.ndarray | None): (17,) int8 where drawing it has shown
            which joints are hidden; None leaves the index as it is.
    """

    image: np.ndarray
    visible: np.ndarray | None = None


class ViewSource(ABC):
    """Synchronised views of people.

    Args:
        name (str): What caches and messages call it.

    Attributes:
        has_images (bool): Whether there are crops; without, a data set can
            give 2D joints alone.
    """

    has_images = True

    def __init__(self, name: str) -> None:
        self.name = name

    @abstractmethod
    def key(self, data_root: str) -> Mapping[str, Any]:
        """All that index and images depend on, as plain data."""

    @abstractmethod
    def read(self, data_root: str) -> Views:
        """The index.

        Raises:
            FileNotFoundError: Data are missing; the message says which
                command prepares them.
        """

    def images(self, data_root: str, views: Views) -> Iterator[Crop]:
        """The crops of all views, in the order of the index.

        Raises:
            ValueError: The source has none.
        """
        raise ValueError(f'{self.name} has no images, only joints; set '
                         "inputs='keypoints' in the data set")


def file_stamp(path: Path) -> list:
    """Name, size and time of change of a file, for :meth:`ViewSource.key`."""
    stat = path.stat()
    return [str(path), stat.st_size, stat.st_mtime_ns]
