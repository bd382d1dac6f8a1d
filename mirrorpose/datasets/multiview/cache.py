"""Index and crops of a source, made once, memory-mapped by everybody."""
from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path

import numpy as np
from mmengine.logging import print_log

from ..crops.building import check_space, full_disk_explained
from ..crops.locking import build_once
from .sources import ViewSource
from .views import Views, check_views

#: Goes up when the same key would give other arrays.
VERSION = 1
IMAGES, INDEX, MANIFEST = 'images.npy', 'views.npz', 'manifest.json'


class ViewCache:
    """What a source gave, in a folder.

    Args:
        folder (Path): A whole cache.
        images (bool): Whether it has crops.

    Attributes:
        views (Views): The index.
        pixels (np.ndarray | None): (N, S, S, 3) uint8 BGR, memory-mapped.
    """

    def __init__(self, folder: Path, images: bool) -> None:
        self.folder, self.has_images = folder, images
        self.views = Views.load(folder / INDEX)
        self.pixels = np.load(folder / IMAGES, mmap_mode='r') \
            if images else None

    def __getstate__(self) -> dict:
        return dict(folder=self.folder, images=self.has_images)

    def __setstate__(self, state: dict) -> None:
        type(self).__init__(self, state['folder'], state['images'])

    def __deepcopy__(self, memo: dict) -> ViewCache:
        return self


def open_cache(source: ViewSource, data_root: str, root: Path,
               images: bool) -> ViewCache:
    """Opens the cache of a source, after building it if need be.

    Args:
        source (ViewSource): The source.
        data_root (str): Folder of the data.
        root (Path): Folder of the caches.
        images (bool): Whether crops are wanted.

    Raises:
        FileNotFoundError: The source's data are missing.
        OSError: There is not enough space; nothing is written then.
        ValueError: The index contradicts itself, or the source has no
            images.
    """
    key = json.dumps([VERSION, images, source.key(data_root)],
                     sort_keys=True, default=str)
    digest = hashlib.sha256(key.encode()).hexdigest()
    folder = root / f'{source.name}-views-{digest[:24]}'
    what = f'views of {source.name}'

    def build(part: Path) -> None:
        views = source.read(data_root)
        check_views(views, source.name)
        if images:
            views = _write_images(part, source, data_root, views, what)
        views.save(part / INDEX)
        names = (IMAGES, INDEX) if images else (INDEX, )
        (part / MANIFEST).write_text(json.dumps(dict(
            version=VERSION, key=key, bytes={
                n: (part / n).stat().st_size for n in names}), indent=1))

    build_once(folder, find_flaw, build, what)
    return ViewCache(folder, images)


def _write_images(part: Path, source: ViewSource, data_root: str,
                  views: Views, what: str) -> Views:
    """Writes the crops one behind the other; returns the final index."""
    shape = (len(views), views.size, views.size, 3)
    most = int(np.prod(shape))
    check_space(part, most, len(views), what)
    print_log(f'{what}: {len(views)} crops of {views.size} pixels, '
              f'{most / 2**20:.0f} MiB in {part.parent}', logger='current')
    visible = views.visible.copy()
    count = 0
    with full_disk_explained(part, what), (part / IMAGES).open('wb') as file:
        np.lib.format.write_array_header_1_0(
            file, dict(descr='|u1', fortran_order=False, shape=shape))
        bar = _Dots(len(views))
        for row, crop in enumerate(source.images(data_root, views)):
            if crop.image.shape != shape[1:] or crop.image.dtype != np.uint8:
                raise ValueError(
                    f'{what}: image {row} is {crop.image.shape} '
                    f'{crop.image.dtype}, expected {shape[1:]} uint8')
            file.write(np.ascontiguousarray(crop.image).data)
            if crop.visible is not None:
                visible[row] = crop.visible
            count += 1
            bar.show(count)
    if count != len(views):
        raise ValueError(f'{what}: {count} images for {len(views)} views')
    views.visible[:] = visible
    return views


class _Dots:
    """Says every tenth of the way how far it is."""

    def __init__(self, total: int) -> None:
        self.total, self.said = total, 0

    def show(self, done: int) -> None:
        tenth = 10 * done // self.total
        if tenth > self.said and self.total > 2000:
            self.said = tenth
            print_log(f'{done} of {self.total} crops', logger='current')
            sys.stdout.flush()


def find_flaw(folder: Path) -> str | None:
    """What is wrong with a cache, or None."""
    try:
        sizes = json.loads((folder / MANIFEST).read_text())['bytes']
        for name, size in sizes.items():
            found = (folder / name).stat().st_size
            if found != size:
                return f'{name} has {found} bytes instead of {size}'
    except FileNotFoundError as error:
        return f'{Path(str(error.filename)).name} is missing'
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return f'{MANIFEST} cannot be read'
    return None
