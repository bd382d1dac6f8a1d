"""Cases: image files, archives, folders."""
from __future__ import annotations

import io
import zipfile
from pathlib import Path

import cv2
import numpy as np
from mmengine.dataset import BaseDataset
from PIL import Image

from mirrorpose.datasets import LspDataset, MpiiSplitDataset
from mirrorpose.datasets.broken import BrokenSamples
from mirrorpose.datasets.guarded import guarded_getitem
from mirrorpose.datasets.reading import read_image
from mirrorpose.datasets.transforms import LoadSilhouette
from mirrorpose.datasets.transforms.loading import LoadCheckedImage
from mirrorpose.datasets.zip_backend import zip_path

from . import error, rule


def picture() -> np.ndarray:
    """A picture of 60 x 40 pixels, BGR."""
    small = np.random.default_rng(0).integers(0, 255, (4, 6, 3),
                                              dtype=np.uint8)
    return cv2.resize(small, (60, 40), interpolation=cv2.INTER_CUBIC)


def encoded(suffix: str = '.jpg') -> bytes:
    """The picture as a file."""
    return cv2.imencode(suffix, picture())[1].tobytes()


class People(BaseDataset):
    """Four people of a folder, named people/0 to people/3."""

    def __init__(self, folder: Path, suffix: str = '.jpg') -> None:
        self.folder, self.suffix = folder, suffix
        for i in range(4):
            (folder / f'im{i}{suffix}').write_bytes(encoded(suffix))
        super().__init__(pipeline=[LoadCheckedImage()],
                         serialize_data=False)

    def load_data_list(self) -> list[dict]:
        """Names the files."""
        return [dict(id=f'people/{i}',
                     img_path=str(self.folder / f'im{i}{self.suffix}'))
                for i in range(4)]


def read_second(folder: Path, content: bytes | None,
                suffix: str = '.jpg') -> None:
    """Reads people/1, whose file has this content, or is missing."""
    people = People(folder, suffix)
    path = folder / f'im1{suffix}'
    if content is None:
        path.unlink()
    else:
        path.write_bytes(content)
    guarded_getitem(people, 1, 0, BrokenSamples())


_SKIP = "broken_samples=dict(policy='skip')"


@error('missing image', 'BrokenSampleError', 'people/1 (…/im1.jpg)', _SKIP)
def missing(folder: Path) -> None:
    """The file is not there."""
    read_second(folder, None)


@error('image of zero bytes', 'BrokenSampleError', 'people/1 (…/im1.jpg)',
       _SKIP)
def empty(folder: Path) -> None:
    """The file is empty."""
    read_second(folder, b'')


@error('truncated JPEG (OpenCV up to 4.10 fills it up in silence)',
       'BrokenSampleError', 'im1.jpg) is broken: the image is truncated',
       _SKIP)
def truncated_jpeg(folder: Path) -> None:
    """Cut off in the scan."""
    read_second(folder, encoded()[:-99][:800])


@error('truncated PNG', 'BrokenSampleError',
       'im1.png) is broken: the image is truncated', _SKIP)
def truncated_png(folder: Path) -> None:
    """Cut off in the pixels."""
    read_second(folder, encoded('.png')[:900], '.png')


@error('a web page saved as an image', 'BrokenSampleError', 'im1.jpg', _SKIP)
def web_page(folder: Path) -> None:
    """Not an image."""
    read_second(folder, b'<html><body>404 Not Found</body></html>')


@error('image damaged inside a zip archive', 'BrokenSampleError',
       'images.zip/im.png', _SKIP)
def damaged_member(folder: Path) -> None:
    """One bit has changed."""
    path = folder / 'images.zip'
    with zipfile.ZipFile(path, 'w') as archive:
        archive.writestr('im.png', encoded('.png'))
    data = bytearray(path.read_bytes())
    data[300] ^= 1
    path.write_bytes(data)
    read_image(zip_path(path, 'im.png'))


@error('image of another size than its annotation says',
       'BrokenSampleError', 'people/1', _SKIP)
def other_size(folder: Path) -> None:
    """The annotation is of another file."""
    cv2.imwrite(str(folder / 'im.jpg'), picture())
    LoadCheckedImage()(dict(img_path=str(folder / 'im.jpg'), id='people/1',
                            width=640, height=480))


@error('EXIF-rotated image whose annotation is of the stored rows and '
       'columns', 'BrokenSampleError', 'people/1', 'color_ignore_orientation')
def exif(folder: Path) -> None:
    """Width and height are exchanged."""
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(picture()).save(folder / 'im.jpg', exif=exif)
    LoadCheckedImage()(dict(img_path=str(folder / 'im.jpg'), id='people/1',
                            width=60, height=40))


@rule('EXIF-rotated image', 'its orientation is applied; '
      "`color_type='color_ignore_orientation'` in `LoadCheckedImage` leaves "
      'it out')
def exif_rule(folder: Path) -> None:
    """Both readings."""
    exif = Image.Exif()
    exif[0x0112] = 6
    path = folder / 'im.jpg'
    Image.fromarray(picture()).save(path, exif=exif)
    shown = read_image(path)
    stored = read_image(path, 'color_ignore_orientation')
    assert np.array_equal(shown, np.rot90(stored, -1))


@rule('grey image', 'read as three equal channels')
def grey(folder: Path) -> None:
    """A JPEG of one channel."""
    Image.fromarray(picture()).convert('L').save(folder / 'im.jpg')
    image = read_image(folder / 'im.jpg')
    assert image.shape == (40, 60, 3) and (image == image[..., :1]).all()


@rule('CMYK image', 'converted without its colour profile, inverted values '
      "(Adobe) understood; within 1 of Pillow's")
def cmyk(folder: Path) -> None:
    """A JPEG of four channels."""
    path = folder / 'im.jpg'
    Image.fromarray(picture()).convert('CMYK').save(path)
    image = read_image(path)[..., ::-1].astype(int)
    truth = np.asarray(Image.open(path).convert('RGB'))
    assert np.abs(image - truth).max() <= 1


@rule('16 bit image', 'the high byte of each value (the range is taken to be '
      '0 to 65,535)')
def deep(folder: Path) -> None:
    """A PNG of 16 bit."""
    values = (picture().astype(np.uint16) << 8) + 77
    cv2.imwrite(str(folder / 'im.png'), values)
    assert np.array_equal(read_image(folder / 'im.png'), picture())


@rule('image with alpha', 'alpha is dropped, not blended')
def alpha(folder: Path) -> None:
    """A PNG of which nothing is to be seen."""
    clear = np.dstack([picture(), np.zeros((40, 60), np.uint8)])
    cv2.imwrite(str(folder / 'im.png'), clear)
    assert np.array_equal(read_image(folder / 'im.png'), picture())


@rule("a broken sample with the policy 'skip'", 'listed in '
      '`broken_samples.csv`; a sample of the same data set, drawn from the '
      "sample's key, takes its place: the same one in a run that is resumed")
def skipped(folder: Path) -> None:
    """Two runs, the second of which knows the list."""
    people = People(folder)
    (folder / 'im1.jpg').write_bytes(b'')
    drawn = []
    for _ in range(2):
        broken = BrokenSamples('skip', .25, folder / 'b.csv', 4)
        drawn.append([guarded_getitem(people, 1, k, broken)['id']
                      for k in range(20)])
        assert list(broken.reasons) == ['people/1']
    assert drawn[0] == drawn[1] and 'people/1' not in drawn[0]
    table = io.StringIO((folder / 'b.csv').read_text()).readlines()
    assert [line.split(',')[0] for line in table] == ['sample', 'people/1']


@error("more broken samples than max_share with the policy 'skip'",
       'RuntimeError', 'people/2', 'raise max_share')
def too_many(folder: Path) -> None:
    """Two of four, where one is allowed."""
    people = People(folder)
    broken = BrokenSamples('skip', .25, folder / 'b.csv', 4)
    for i in (1, 2):
        (folder / f'im{i}.jpg').write_bytes(b'')
        guarded_getitem(people, i, 0, broken)


@error('data folder missing', 'FileNotFoundError', '…/data/lsp/lsp.npz',
       'python tools/dataset_converters/lsp.py lsp_dataset.zip --out …/data')
def no_folder(folder: Path) -> None:
    """Nothing was prepared."""
    LspDataset(data_root=str(folder / 'data'))


@error('annotations missing', 'FileNotFoundError', 'mpii/none.json',
       'MIRRORPOSE_DATA as mpii/images and mpii/annotations')
def no_annotations(folder: Path) -> None:
    """MPII is not there."""
    MpiiSplitDataset(ann_file='mpii/none.json', data_root=str(folder))


@error('archive that was cut off', 'BrokenSampleError', 'images.zip',
       'write it anew')
def cut_archive(folder: Path) -> None:
    """A copy that was interrupted."""
    path = folder / 'images.zip'
    with zipfile.ZipFile(path, 'w') as archive:
        archive.writestr('im.png', encoded('.png'))
    path.write_bytes(path.read_bytes()[:500])
    read_image(zip_path(path, 'im.png'))


@error('no silhouette where one is required', 'ValueError', 'people/1',
       'with_silhouette=True')
def no_silhouette(folder: Path) -> None:
    """The sample brings none."""
    LoadSilhouette()(dict(img=picture(), id='people/1'))


@error('silhouette of another size', 'ValueError', 'im_mask.png',
       'expected (H, W)')
def other_silhouette(folder: Path) -> None:
    """The mask is of another picture."""
    path = folder / 'im_mask.png'
    cv2.imwrite(str(path), np.zeros((9, 9), np.uint8))
    LoadSilhouette()(dict(img=picture(), id='people/1',
                          silhouette_path=str(path)))
