import hashlib

import numpy as np
import pytest

from mirrorpose.datasets.splits import ranked_split, select_part, split_digest

IDS = [f'lsp/im{i:04d}' for i in range(101)]


def test_is_the_hash_ranking():
    ranked = sorted(IDS, key=lambda i: hashlib.sha256(
        f'3:{i}'.encode()).hexdigest())
    got = ranked_split(IDS, .2, 3)
    assert {i for i, k in zip(IDS, got) if k} == set(ranked[:20])


def test_nested_and_independent_of_order():
    previous = np.zeros(len(IDS), bool)
    for fraction in (0, .2, .4, .6, .8, 1):
        now = ranked_split(IDS, fraction, 0)
        assert now.sum() == int(fraction * len(IDS) + .5)
        assert not (previous & ~now).any()
        previous = now
    order = np.random.default_rng(0).permutation(len(IDS))
    shuffled = ranked_split([IDS[i] for i in order], .4, 0)
    assert (shuffled == ranked_split(IDS, .4, 0)[order]).all()
    assert (ranked_split(IDS, .4, 1) != ranked_split(IDS, .4, 0)).any()


def test_parts_are_complementary():
    labelled = select_part(IDS, .3, 'labelled', 5)
    assert (labelled ^ select_part(IDS, .3, 'unlabelled', 5)).all()
    assert select_part(IDS, .3, 'all', 5).all()


@pytest.mark.parametrize('kwargs', [
    dict(fraction=1.1), dict(fraction=-.1), dict(ids=['a', 'a'])])
def test_bad_input(kwargs):
    with pytest.raises(ValueError):
        ranked_split(**(dict(ids=IDS, fraction=.5, seed=0) | kwargs))
    with pytest.raises(ValueError, match='labeled'):
        select_part(IDS, .5, 'labeled', 0)


def test_digest():
    assert split_digest(IDS) == split_digest(IDS[::-1])
    assert split_digest(IDS) != split_digest(IDS[:-1])
