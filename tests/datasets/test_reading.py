"""Image reading against mmcv, mmpose, Pillow and numpy."""
from __future__ import annotations

import io
import zipfile

import cv2
import mmcv
import numpy as np
import pytest
from mmpose.datasets.transforms import LoadImage
from PIL import Image

import mirrorpose  # noqa: F401
from mirrorpose.datasets.broken import BrokenSampleError
from mirrorpose.datasets.reading import is_truncated, read_image
from mirrorpose.datasets.zip_backend import zip_path


def picture(height=90, width=120, seed=0) -> np.ndarray:
    """A smooth random picture, (H, W, 3) BGR."""
    rng = np.random.default_rng(seed)
    small = rng.integers(0, 255, (9, 12, 3), dtype=np.uint8)
    return cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC)


def saved(image: Image.Image, kind: str, **options) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def pillow(bgr: np.ndarray, mode: str = 'RGB') -> Image.Image:
    return Image.fromarray(bgr[..., ::-1]).convert(mode)


def read(tmp_path, data: bytes, **options) -> np.ndarray:
    path = tmp_path / 'image.bin'
    path.write_bytes(data)
    return read_image(path, **options)


def with_thumbnail() -> tuple[bytes, int]:
    """A JPEG whose EXIF header holds another; where that one ends."""
    thumbnail = cv2.imencode('.jpg', picture(30, 40, 1))[1].tobytes()
    exif = b'Exif\0\0' + b'II*\0\x08\0\0\0\0\0\0\0\0\0' + thumbnail
    segment = b'\xff\xe1' + (len(exif) + 2).to_bytes(2, 'big') + exif
    data = cv2.imencode('.jpg', picture())[1].tobytes()
    return data[:2] + segment + data[2:], 2 + len(segment)


class TestPixels:

    @pytest.mark.parametrize('suffix', ['.jpg', '.png', '.bmp', '.webp',
                                        '.tiff'])
    def test_equal_to_mmcv_and_mmpose(self, tmp_path, suffix):
        path = tmp_path / f'image{suffix}'
        cv2.imwrite(str(path), picture())
        image = read_image(path)
        assert image.dtype == np.uint8 and image.shape == (90, 120, 3)
        assert np.array_equal(image, mmcv.imread(str(path)))
        assert np.array_equal(
            image, LoadImage()(dict(img_path=str(path)))['img'])

    def test_in_a_zip_archive(self, tmp_path):
        data = cv2.imencode('.jpg', picture())[1].tobytes()
        with zipfile.ZipFile(tmp_path / 'a.zip', 'w') as archive:
            archive.writestr('x.jpg', data)
        path = zip_path(tmp_path / 'a.zip', 'x.jpg')
        assert np.array_equal(read_image(path), mmcv.imread(path))

    def test_real_images(self, data_root):
        archive = data_root / 'lsp' / 'images.zip'
        if not archive.is_file():
            pytest.skip('no LSP images')
        for name in zipfile.ZipFile(archive).namelist()[:300]:
            path = zip_path(archive, name)
            assert np.array_equal(read_image(path), mmcv.imread(path)), name

    @pytest.mark.parametrize('mode', ['L', 'LA', '1'])
    def test_grey_has_three_equal_channels(self, tmp_path, mode):
        grey = pillow(picture(), mode)
        image = read(tmp_path, saved(grey, 'PNG'))
        truth = np.asarray(grey.convert('L'))
        assert np.array_equal(image, np.repeat(truth[..., None], 3, 2))

    def test_grey_jpeg(self, tmp_path):
        data = saved(pillow(picture(), 'L'), 'JPEG')
        image = read(tmp_path, data)
        assert (image == image[..., :1]).all()
        truth = np.asarray(Image.open(io.BytesIO(data)))
        assert np.array_equal(image[..., 0], truth)

    def test_cmyk_within_one_of_pillow(self, tmp_path):
        data = saved(pillow(picture(), 'CMYK'), 'JPEG', quality=95)
        image = read(tmp_path, data)[..., ::-1].astype(int)
        truth = np.asarray(Image.open(io.BytesIO(data)).convert('RGB'))
        assert np.abs(image - truth).max() <= 1
        # and it is the picture, not its negative
        assert np.abs(image - picture()[..., ::-1]).mean() < 5

    def test_cmyk_stored_as_ycck(self, tmp_path):
        """What Photoshop writes: Adobe's transform 2."""
        rgb = picture()[..., ::-1]
        # Inks are inverted twice: by Adobe, and by the step from YCC.
        ycc = np.asarray(Image.fromarray(255 - rgb).convert('YCbCr'))
        # Pillow inverts while it writes; black is none (255 inverted).
        planes = np.dstack([255 - ycc, np.zeros(ycc.shape[:2], np.uint8)])
        data = saved(Image.fromarray(planes, mode='CMYK'), 'JPEG', quality=95)
        at = data.index(b'Adobe')
        assert data[at + 11] == 0
        data = data[:at + 11] + b'\x02' + data[at + 12:]
        image = read(tmp_path, data)[..., ::-1].astype(int)
        assert np.abs(image - rgb).mean() < 5
        truth = np.asarray(Image.open(io.BytesIO(data)).convert('RGB'))
        assert np.abs(image - truth).max() <= 1

    @pytest.mark.parametrize('shape', [(40, 50), (40, 50, 3)])
    def test_16_bit_gives_the_high_byte(self, tmp_path, shape):
        values = np.random.default_rng(0).integers(
            0, 65536, shape).astype(np.uint16)
        image = read(tmp_path, cv2.imencode('.png', values)[1].tobytes())
        truth = (values >> 8).astype(np.uint8)
        if truth.ndim == 2:
            truth = np.repeat(truth[..., None], 3, 2)
        assert np.array_equal(image, truth)
        image = read(tmp_path, cv2.imencode('.tiff', values)[1].tobytes())
        assert np.abs(image.astype(int) - truth).max() <= 1

    def test_alpha_is_dropped(self, tmp_path):
        alpha = np.random.default_rng(0).integers(0, 255, (90, 120, 1),
                                                  dtype=np.uint8)
        data = cv2.imencode('.png', np.dstack([picture(), alpha]))[1]
        assert np.array_equal(read(tmp_path, data.tobytes()), picture())

    def test_palette(self, tmp_path):
        image = pillow(picture()).quantize(16)
        assert np.array_equal(
            read(tmp_path, saved(image, 'PNG'))[..., ::-1],
            np.asarray(image.convert('RGB')))

    @pytest.mark.parametrize('value, turned', [
        (1, lambda a: a), (2, lambda a: a[:, ::-1]),
        (3, lambda a: a[::-1, ::-1]), (4, lambda a: a[::-1]),
        (5, lambda a: a.swapaxes(0, 1)),
        (6, lambda a: np.rot90(a, -1)),
        (7, lambda a: np.rot90(a, 2).swapaxes(0, 1)),
        (8, lambda a: np.rot90(a, 1))])
    def test_exif_orientation(self, tmp_path, value, turned):
        exif = Image.Exif()
        exif[0x0112] = value
        data = saved(pillow(picture()), 'JPEG', exif=exif)
        stored = read(tmp_path, data, color_type='color_ignore_orientation')
        assert stored.shape == (90, 120, 3)
        assert np.array_equal(read(tmp_path, data), turned(stored))

    def test_unknown_color_type(self, tmp_path):
        with pytest.raises(ValueError, match="color_ignore.*'grayscale'"):
            read(tmp_path, b'x', color_type='grayscale')


class TestBrokenFiles:

    def check(self, tmp_path, data, reason):
        with pytest.raises(BrokenSampleError) as error:
            read(tmp_path, data)
        assert reason in str(error.value) and 'image.bin' in str(error.value)
        assert reason in error.value.reason
        assert error.value.where == error.value.sample == str(
            tmp_path / 'image.bin')

    def test_missing(self, tmp_path):
        with pytest.raises(BrokenSampleError, match='missing.*nothing.jpg'):
            read_image(tmp_path / 'nothing.jpg')
        with pytest.raises(BrokenSampleError, match='cannot be read'):
            read_image(tmp_path)

    def test_missing_archive_says_how_to_prepare_it(self, tmp_path):
        path = zip_path(tmp_path / 'a.zip', 'x.jpg')
        with pytest.raises(BrokenSampleError, match='dataset_converters'):
            read_image(path)

    def test_damaged_member_of_an_archive(self, tmp_path):
        with zipfile.ZipFile(tmp_path / 'a.zip', 'w') as archive:
            archive.writestr('x.png',
                             cv2.imencode('.png', picture())[1].tobytes())
        data = bytearray((tmp_path / 'a.zip').read_bytes())
        data[500] ^= 255
        (tmp_path / 'a.zip').write_bytes(data)
        with pytest.raises(BrokenSampleError, match='cannot be read.*CRC'):
            read_image(zip_path(tmp_path / 'a.zip', 'x.png'))

    def test_empty(self, tmp_path):
        self.check(tmp_path, b'', 'zero bytes')

    @pytest.mark.parametrize('data', [
        b'GIVEN', b'<html>404 not found</html>', b'\xff\xd8', b'\0' * 5000])
    def test_no_image(self, tmp_path, data):
        with pytest.raises(BrokenSampleError):
            read(tmp_path, data)

    @pytest.mark.parametrize('progressive', [0, 1])
    def test_truncated_jpeg_anywhere(self, tmp_path, progressive):
        """OpenCV up to 4.10 returns half a picture, with noise below."""
        data = cv2.imencode('.jpg', picture(), [
            cv2.IMWRITE_JPEG_PROGRESSIVE, progressive])[1].tobytes()
        cuts = np.random.default_rng(0).integers(2, len(data) - 1, 60)
        for cut in [len(data) - 1, len(data) - 2, *cuts]:
            assert is_truncated(data[:cut]), cut
            self.check(tmp_path, data[:cut], 'truncated')

    def test_the_end_of_a_thumbnail_is_not_the_end(self, tmp_path):
        data, end = with_thumbnail()
        assert np.array_equal(read(tmp_path, data), read(
            tmp_path, cv2.imencode('.jpg', picture())[1].tobytes()))
        for cut in (end - 1, end, end + 1, end + 300, len(data) - 2):
            with pytest.raises(BrokenSampleError):
                read(tmp_path, data[:cut])
        assert is_truncated(data[:end + 300])

    def test_what_follows_the_end_does_not_matter(self, tmp_path):
        preview = cv2.imencode('.jpg', picture(30, 40, 1))[1].tobytes()
        for suffix in ('.jpg', '.png'):
            data = cv2.imencode(suffix, picture())[1].tobytes()
            image = read(tmp_path, data)
            for more in (b'\0', b'\0' * 5000, b'\r\n', preview,
                         preview[:-20]):
                assert not is_truncated(data + more)
                assert np.array_equal(read(tmp_path, data + more), image)

    def test_padding_between_segments(self):
        data = cv2.imencode('.jpg', picture())[1].tobytes()
        padded = data[:2] + b'\xff\xff' + data[2:] + b'\0'
        assert not is_truncated(padded)
        assert is_truncated(padded[:-4])

    def test_truncated_png_anywhere(self, tmp_path):
        data = cv2.imencode('.png', picture())[1].tobytes()
        cuts = np.random.default_rng(0).integers(9, len(data) - 1, 40)
        for cut in [len(data) - 1, len(data) - 12, *cuts]:
            self.check(tmp_path, data[:cut], 'truncated')

    def test_check_sum_of_a_png(self, tmp_path):
        data = bytearray(cv2.imencode('.png', picture())[1].tobytes())
        data[len(data) // 2] ^= 255
        self.check(tmp_path, bytes(data), 'decoded')

    @pytest.mark.parametrize('suffix', ['.bmp', '.webp', '.tiff'])
    def test_other_formats_truncated(self, tmp_path, suffix):
        data = cv2.imencode(suffix, picture())[1].tobytes()
        for cut in (len(data) - 5, len(data) // 2):
            with pytest.raises(BrokenSampleError):
                read(tmp_path, data[:cut])
