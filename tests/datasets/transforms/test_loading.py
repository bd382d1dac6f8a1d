"""Checked loading against mmpose's LoadImage."""
from __future__ import annotations

import cv2
import numpy as np
import pytest
from mmengine.dataset import Compose
from mmengine.registry import DefaultScope, init_default_scope
from mmpose.datasets.transforms import LoadImage
from PIL import Image

import mirrorpose  # noqa: F401
from mirrorpose.datasets.broken import BrokenSampleError
from mirrorpose.datasets.transforms.loading import (
    LoadBlankImage,
    LoadCheckedImage,
)

if DefaultScope.get_current_instance() is None:
    init_default_scope('mmpose')


@pytest.fixture
def path(tmp_path):
    image = np.random.default_rng(0).integers(0, 255, (40, 60, 3),
                                              dtype=np.uint8)
    cv2.imwrite(str(tmp_path / 'im.jpg'), image)
    return str(tmp_path / 'im.jpg')


class TestLoadCheckedImage:

    @pytest.mark.parametrize('to_float32', [False, True])
    def test_equal_to_mmpose(self, path, to_float32):
        ours = Compose([dict(type='LoadCheckedImage',
                             to_float32=to_float32)])(dict(img_path=path))
        theirs = LoadImage(to_float32=to_float32)(dict(img_path=path))
        assert ours.keys() == theirs.keys()
        assert ours['img'].dtype == theirs['img'].dtype
        assert np.array_equal(ours['img'], theirs['img'])
        for key in ('img_shape', 'ori_shape', 'img_path'):
            assert ours[key] == theirs[key]

    def test_an_image_that_is_there_stays(self):
        image = np.zeros((4, 5, 3), np.uint8)
        out = LoadCheckedImage()(dict(img=image))
        assert out['img'] is image
        assert out['ori_shape'] == (4, 5) and out['img_path'] is None

    @pytest.mark.parametrize('content, reason', [
        (None, 'missing'), (b'', 'zero bytes'), (b'text', 'decoded')])
    def test_broken_files(self, tmp_path, content, reason):
        file = tmp_path / 'bad.jpg'
        if content is not None:
            file.write_bytes(content)
        with pytest.raises(BrokenSampleError, match=f'{reason}.*bad.jpg'):
            LoadCheckedImage()(dict(img_path=str(file), id='a/1'))

    def test_size_of_the_annotation(self, path):
        sample = dict(img_path=path, id='a/1', width=60, height=40)
        assert LoadCheckedImage()(dict(sample))['img_shape'] == (40, 60)
        with pytest.raises(BrokenSampleError,
                           match='a/1.*60 x 40 pixels.*says 64 x 40') as e:
            LoadCheckedImage()(dict(sample, width=64))
        assert e.value.sample == 'a/1' and 'EXIF' not in str(e.value)

    def test_exif_orientation(self, path):
        exif = Image.Exif()
        exif[0x0112] = 6
        Image.open(path).save(path, exif=exif)
        sample = dict(img_path=path, id='a/1')
        shown, stored = dict(width=40, height=60), dict(width=60, height=40)
        assert LoadCheckedImage()(sample | shown)['img_shape'] == (60, 40)
        ignore = LoadCheckedImage(color_type='color_ignore_orientation')
        assert ignore(sample | stored)['img_shape'] == (40, 60)
        with pytest.raises(BrokenSampleError,
                           match='without its EXIF.*color_ignore_orient'):
            LoadCheckedImage()(sample | stored)
        with pytest.raises(BrokenSampleError,
                           match="with its EXIF.*color_type='color'"):
            ignore(sample | shown)

    def test_arguments(self):
        with pytest.raises(ValueError, match="'unchanged'.*LoadImage"):
            LoadCheckedImage(color_type='unchanged')
        assert "color_type='color'" in repr(LoadCheckedImage())


def test_blank_image(path):
    out = LoadBlankImage()(dict(img_path=path))
    assert out['img'].shape == (1, 1, 3) and not out['img'].any()
    assert out['ori_shape'] == (1, 1) and out['img_path'] == path
