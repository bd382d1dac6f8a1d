"""Images that are checked while they are read, and samples without any."""
from __future__ import annotations

import numpy as np
from mmcv.transforms import BaseTransform
from mmpose.datasets.transforms import LoadImage
from mmpose.registry import TRANSFORMS

from ..broken import HOW_TO_SKIP, BrokenSampleError
from ..reading import COLOR_TYPES, read_image


@TRANSFORMS.register_module()
class LoadCheckedImage(LoadImage):
    """mmpose's ``LoadImage``, but a broken file is an error that says so.

    The pixels are the same. A missing, empty, truncated or undecodable file
    is a :class:`BrokenSampleError`, so that the policy for broken samples
    can list and skip it; see :mod:`mirrorpose.datasets.reading` for what is
    checked and for the rules about grey, CMYK, 16 bit, alpha and EXIF.

    Where the annotation knows the image's size (``width`` and ``height``),
    the file must have it. An image whose sides are exchanged was annotated
    as it is stored, without its EXIF orientation: pass
    ``color_type='color_ignore_orientation'``.

    Required Keys:

        - img_path, or img
        - id (optional), width and height (optional)

    Modified Keys:

        - img (H, W, 3) uint8 BGR
        - img_shape, ori_shape (H, W)

    Args:
        to_float32 (bool): Convert the image. Defaults to False.
        color_type (str): ``'color'``: the EXIF orientation is applied;
            ``'color_ignore_orientation'``: it is not. Defaults to
            ``'color'``.
        backend_args (dict, optional): As in mmcv. Defaults to None.

    Raises:
        ValueError: ``color_type`` is another.
    """

    def __init__(self,
                 to_float32: bool = False,
                 color_type: str = 'color',
                 backend_args: dict | None = None) -> None:
        if color_type not in COLOR_TYPES:
            raise ValueError(
                f'LoadCheckedImage reads color_type {COLOR_TYPES}, got '
                f"{color_type!r}; mmpose's LoadImage reads others, unchecked")
        super().__init__(to_float32=to_float32, color_type=color_type,
                         backend_args=backend_args)

    def transform(self, results: dict) -> dict:
        """Reads the image, where there is none yet.

        Raises:
            BrokenSampleError: The file is broken, or of another size than
                the annotation says.
        """
        if 'img' in results:
            return super().transform(results)
        image = read_image(results['img_path'], self.color_type,
                           self.backend_args)
        self._check_size(image, results)
        results['img'] = image.astype(np.float32) if self.to_float32 \
            else image
        results['img_shape'] = results['ori_shape'] = image.shape[:2]
        return results

    def _check_size(self, image: np.ndarray, results: dict) -> None:
        """Compares with what the annotation knows."""
        shape = image.shape[:2]
        said = results.get('height'), results.get('width')
        if not all(said) or shape == said:
            return
        path = results['img_path']
        sample = str(results.get('id', path))
        reason = (f'the image has {shape[1]} x {shape[0]} pixels, its '
                  f'annotation says {said[1]} x {said[0]}')
        advice = 'Annotate the file that is there'
        if shape == said[::-1]:
            other = next(c for c in COLOR_TYPES if c != self.color_type)
            how = 'with' if other == 'color' else 'without'
            advice = (f'If it was annotated {how} its EXIF orientation, pass '
                      f'color_type={other!r}')
        raise BrokenSampleError(
            f'sample {sample} ({path}): {reason}. {advice}; {HOW_TO_SKIP}',
            sample, reason, str(path))

    def __repr__(self) -> str:
        return (f'{type(self).__name__}(to_float32={self.to_float32}, '
                f'color_type={self.color_type!r}, '
                f'backend_args={self.backend_args})')


@TRANSFORMS.register_module()
class LoadBlankImage(BaseTransform):
    """Stands in for ``LoadImage`` where only poses are needed.

    One black pixel is enough for mmpose's geometric transforms, and
    ``TopdownAffine`` still gives an input of the full size: a pose VAE
    trains through the same pipelines without an image being read. A mirror
    image is then taken about x = 0, for box and keypoints alike, so nothing
    changes inside the crop.

    Modified Keys:

        - img (1, 1, 3) uint8, an image that was there is replaced
        - img_shape, ori_shape (1, 1)

    Added Keys:

        - img_path (empty, where there was none)
    """

    def transform(self, results: dict) -> dict:
        """Adds the blank image."""
        results['img'] = np.zeros((1, 1, 3), dtype=np.uint8)
        results['img_shape'] = results['ori_shape'] = (1, 1)
        results.setdefault('img_path', '')
        return results

    def __repr__(self) -> str:
        return f'{type(self).__name__}()'
