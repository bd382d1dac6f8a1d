"""Equal and almost equal images."""
from __future__ import annotations

import numpy as np

from mirrorpose.doctor import leakage


def test_perceptual_hash_against_its_definition():
    from scipy.fft import dctn
    rng = np.random.default_rng(1)
    small = rng.normal(size=(5, 16, 16)).astype(np.float32)
    for image, bits in zip(small, leakage.perceptual_hash(small)):
        low = dctn(image, type=2)[1:9, 1:9].ravel()
        assert np.array_equal(np.unpackbits(bits), low > np.median(low))


def test_near_pairs_counts_bits():
    rng = np.random.default_rng(2)
    one = rng.normal(size=(40, 16, 16)).astype(np.float32)
    other = rng.normal(size=(30, 16, 16)).astype(np.float32)
    other[7] = one[3] + 0.02 * rng.normal(size=(16, 16))
    mine, theirs = (np.unpackbits(leakage.perceptual_hash(s), axis=1)
                    for s in (one, other))
    expected = [(a, b) for b in range(30) for a in range(40)
                if (mine[a] != theirs[b]).sum() <= 8
                and np.abs(one[a] - other[b]).mean() <= .25]
    assert leakage.near_pairs(one, other, block=7) == expected == [(3, 7)]


def test_equal_files_in_archives_and_folders(tmp_path):
    import zipfile
    archive = tmp_path / 'a.zip'
    with zipfile.ZipFile(archive, 'w') as file:
        file.writestr('x.jpg', b'same content')
        file.writestr('y.jpg', b'other stuff!')
    loose = tmp_path / 'loose.jpg'
    loose.write_bytes(b'same content')
    longer = tmp_path / 'longer.jpg'
    longer.write_bytes(b'same content, and more')
    prefix = f'zip://{archive}/'
    pairs = leakage.equal_files(
        [prefix + 'x.jpg', prefix + 'y.jpg'],
        [str(longer), str(loose), str(tmp_path / 'absent.jpg')])
    assert [tuple(p) for p in pairs] == [(prefix + 'x.jpg', str(loose))]
