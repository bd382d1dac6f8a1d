"""Where the pixels of one leaf data set come from."""
from __future__ import annotations

import hashlib
import json
import zlib
from collections.abc import Iterator
from pathlib import Path

import mmengine.fileio as fileio
import numpy as np
from mmengine.dataset import BaseDataset
from mmpose.datasets.datasets.base import BaseCocoStyleDataset

from ..broken import BrokenSampleError
from ..members import Leaf, Place, sample_name
from ..reading import read_image
from ..transforms import LoadCheckedImage, LoadSilhouette
from ..zip_backend import PREFIX, open_archive, split_zip_path
from .pipeline import Loading

#: Annotations that come with an embedded image, and so stand in the cache.
EMBEDDED = ('bbox', 'bbox_score', 'keypoints', 'keypoints_visible')


class Source:
    """Reads images and annotations of one leaf data set.

    A data set is *embedded* when its ``data_info`` brings the image along
    (``img``), as the synthetic world's does: annotations then come with the
    image too, and are kept beside the crops.

    Args:
        leaf (Leaf): The data set.
        config (dict): Its config.
        loading (Loading): How its images come to be.
    """

    def __init__(self, leaf: Leaf, config: dict, loading: Loading) -> None:
        dataset: BaseDataset = leaf.dataset
        self.leaf, self.config, self.loading = leaf, config, loading
        self.dataset, self.name = dataset, type(dataset).__name__
        dataset.full_init()
        first = {} if loading.blank else dataset.get_data_info(0)
        self.embedded = 'img' in first
        #: (h, w) of the first embedded image.
        self.first_shape = first['img'].shape[:2] if self.embedded else (0, 0)
        plain = type(dataset).get_data_info in (
            BaseCocoStyleDataset.get_data_info, BaseDataset.get_data_info)
        # Without the copies of the metainfo that mmpose adds each time.
        self._info = ((lambda i: BaseDataset.get_data_info(dataset, i))
                      if plain or self.embedded else dataset.get_data_info)
        self._mask, self._checked = (
            next((s for s in loading.steps if type(s) is kind), None)
            for kind in (LoadSilhouette, LoadCheckedImage))

    def __len__(self) -> int:
        return len(self.dataset)

    def info(self, index: int) -> dict:
        """The ``data_info`` of a sample, without an embedded image."""
        return self._info(index)

    def sample(self, index: int) -> str:
        """Name of a sample, for lists of broken ones."""
        return sample_name(Place(self.leaf, index, 0, len(self)))

    # -- what the cache depends on ------------------------------------------
    def stamps(self) -> Iterator[str]:
        """What the pixels of each sample are made of, in one line each.

        Members of archives are known by name, length and check sum, other
        files by path, length and time of the last change; an embedded data
        set by its config and the content of three samples.
        """
        load, seen = self.loading, dict[str, str]()
        yield repr((load.color_type, load.backend_args, load.mask_threshold,
                    self._checked is not None))
        if self.embedded:
            config = {k: v for k, v in self.config.items() if k != 'pipeline'}
            yield json.dumps(config, sort_keys=True, default=repr)
            for i in sorted({0, len(self) // 2, len(self) - 1}):
                info = self.dataset.get_data_info(i)
                parts = [info['img'], *(info[k] for k in EMBEDDED
                                        if k in info)]
                yield ' '.join(str(zlib.crc32(np.ascontiguousarray(p).data))
                               for p in parts)
        for i in range(len(self)):
            info = self.info(i)
            line = [str(info.get('id'))]
            if not self.embedded:
                line.append(_stamp(info['img_path'], seen))
            if self._mask is not None and 'silhouette_path' in info:
                line.append(_stamp(info['silhouette_path'], seen))
            elif self._mask is not None and 'segmentation' in info:
                text = repr(info['segmentation']).encode()
                line.append(hashlib.sha256(text).hexdigest())
            yield ' '.join(line)

    # -- pixels ---------------------------------------------------------------
    def groups(self) -> list[list[int]]:
        """Samples that share an image, so that it is decoded once."""
        if self.embedded:
            return [[i] for i in range(len(self))]
        by_path: dict[str, list[int]] = {}
        for i in range(len(self)):
            by_path.setdefault(self.info(i)['img_path'], []).append(i)
        return list(by_path.values())

    def read(self, group: list[int]
             ) -> list[tuple[int, np.ndarray | BrokenSampleError, dict]]:
        """Images (H, W, C) uint8 of the samples of a group, and their info.

        What is broken comes back as its error, for the policy to judge.
        """
        images: dict[object, np.ndarray | BrokenSampleError] = {}
        out = []
        for index in group:
            if self.embedded:
                info = self.dataset.get_data_info(index)
                image = info.pop('img')
            else:
                info = self.info(index)
                # What LoadCheckedImage compares the image with.
                said = info.get('height'), info.get('width')
                if said not in images:
                    images[said] = self._read_image(info)
                image = images[said]
            if self._mask is not None and isinstance(image, np.ndarray):
                image = self._with_mask(image, info)
            out.append((index, image, info))
        return out

    def _read_image(self, info: dict) -> np.ndarray | BrokenSampleError:
        try:
            if self._checked is not None:
                return self._checked(dict(info))['img']
            return read_image(info['img_path'], self.loading.color_type,
                              self.loading.backend_args)
        except BrokenSampleError as error:
            return error

    def _with_mask(self, image: np.ndarray,
                   info: dict) -> np.ndarray | BrokenSampleError:
        assert self._mask is not None
        try:
            return self._mask(dict(info, img=image))['img']
        except (ValueError, OSError) as error:
            return BrokenSampleError(str(error), reason=str(error),
                                     where=str(info.get('silhouette_path',
                                                        '')))


def _stamp(path: str, seen: dict[str, str]) -> str:
    """Name, length and check sum or time of a file; ``missing`` without."""
    if path not in seen:
        try:
            if str(path).startswith(PREFIX):
                archive, member = split_zip_path(path)
                found = open_archive(archive).getinfo(member)
                seen[path] = f'{member} {found.file_size} {found.CRC}'
            elif '://' in str(path):
                seen[path] = f'{path} {fileio.exists(path)}'
            else:
                stat = Path(path).stat()
                seen[path] = f'{path} {stat.st_size} {stat.st_mtime_ns}'
        except (OSError, KeyError, ValueError):
            seen[path] = f'{path} missing'
    return seen[path]
