import cv2
import numpy as np
import pytest
from xtcocotools import mask as coco_mask

from mirrorpose.datasets.transforms import LoadSilhouette, SplitSilhouette


def image(height=40, width=48):
    return np.random.default_rng(0).integers(0, 255, (height, width, 3),
                                             dtype=np.uint8)


@pytest.mark.parametrize('kind', ['bool', 'uint8', 'float', 'file', 'ones'])
def test_kinds_agree(kind, tmp_path):
    mask = np.zeros((40, 48), bool)
    mask[10:30, 5:20] = True
    results = dict(img=image(), id='x')
    if kind in ('file', 'ones'):
        path = tmp_path / 'm.png'
        cv2.imwrite(str(path), mask.astype(np.uint8) *
                    (255 if kind == 'file' else 1))
        results['silhouette_path'] = str(path)
    else:
        results['silhouette_img'] = dict(
            bool=mask, uint8=mask.astype(np.uint8) * 255,
            float=mask.astype(np.float32))[kind]
    out = LoadSilhouette()(results)['img']
    assert out.dtype == np.uint8 and out.shape == (40, 48, 4)
    np.testing.assert_array_equal(out[..., 3], mask * 255)
    np.testing.assert_array_equal(out[..., :3], image())


def test_coco_segmentation():
    polygon = [[5, 10, 20, 10, 20, 30, 5, 30]]
    want = coco_mask.decode(coco_mask.merge(coco_mask.frPyObjects(
        polygon, 40, 48))) * 255
    for segmentation in (polygon, coco_mask.encode(
            np.asfortranarray(want // 255))):
        out = LoadSilhouette()(dict(img=image(), segmentation=segmentation))
        np.testing.assert_array_equal(out['img'][..., 3], want)
    assert want.any()


def test_errors(tmp_path):
    load = LoadSilhouette()
    with pytest.raises(ValueError, match="sample 'q' has neither"):
        load(dict(img=image(), id='q'))
    same = dict(img=image())
    assert LoadSilhouette(required=False)(same)['img'].shape == (40, 48, 3)
    with pytest.raises(ValueError, match=r'\(9, 9\)'):
        load(dict(img=image(), silhouette_img=np.ones((9, 9), bool)))
    with pytest.raises(ValueError, match='expected bool'):
        load(dict(img=image(), silhouette_img=np.full((40, 48), 7.)))
    (tmp_path / 'bad.png').write_bytes(b'no picture')
    with pytest.raises(ValueError, match='bad.png'):
        load(dict(img=image(), silhouette_path=str(tmp_path / 'bad.png')))


def test_split_is_the_mean_of_each_cell():
    full = np.dstack([image(), np.random.default_rng(1).integers(
        0, 255, (40, 48), dtype=np.uint8)])
    out = SplitSilhouette((12, 10))(dict(img=full))
    want = full[..., 3].reshape(10, 4, 12, 4).mean((1, 3)) / 255.
    np.testing.assert_allclose(out['silhouette'][0], want, atol=1e-6)
    assert out['silhouette'].dtype == np.float32
    np.testing.assert_array_equal(out['img'], image())
    assert out['field_mapping_table']['silhouette'] == 'silhouette'
    assert out['field_mapping_table']['heatmaps'] == 'heatmaps'


def test_split_leaves_other_tables_alone():
    own = dict(heatmaps='heatmaps')
    full = np.zeros((40, 48, 4), np.uint8)
    out = SplitSilhouette((12, 10))(dict(img=full, field_mapping_table=own))
    assert own == dict(heatmaps='heatmaps'), "a codec's table is shared"
    assert set(out['field_mapping_table']) == {'heatmaps', 'silhouette'}
    plain = dict(img=image())
    assert 'silhouette' not in SplitSilhouette((12, 10))(plain)
    with pytest.raises(ValueError, match='does not divide'):
        SplitSilhouette((13, 10))(dict(img=full))
