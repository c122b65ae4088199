"""Blocks of pixels: what stays together, in splits, searches and with polygons."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.model_selection import GridSearchCV, StratifiedKFold, cross_val_score
from sklearn.neighbors import KNeighborsClassifier

from sklearn_capoz.model_selection import SpatialKFold, spatial_blocks


def pixels(n_rows=40, n_columns=40):
    return np.stack(np.divmod(np.arange(n_rows * n_columns), n_columns), axis=1)


def test_blocks_are_squares():
    rows, columns = pixels(4, 6).T
    blocks = spatial_blocks(rows, columns, 2).reshape(4, 6)
    assert blocks.tolist() == [[0, 0, 1, 1, 2, 2]] * 2 + [[3, 3, 4, 4, 5, 5]] * 2


@given(st.lists(st.tuples(st.integers(0, 99), st.integers(0, 99), st.integers(0, 4)), min_size=1))
@settings(deadline=None, max_examples=50)
def test_pixels_of_a_square_or_a_polygon_are_in_one_block(places):
    rows, columns, regions = np.array(places).T
    blocks = spatial_blocks(rows, columns, 25, regions=regions)
    assert set(blocks) == set(range(blocks.max() + 1))
    squares = list(zip(rows // 25, columns // 25, strict=True))
    for key in (squares, regions.tolist()):
        of_key = {}
        for name, block in zip(key, blocks, strict=True):
            assert of_key.setdefault(name, block) == block
    # Nothing is joined without a reason: at least one block for each chain of squares and polygons.
    alone = spatial_blocks(rows, columns, 25)
    assert len(set(blocks)) <= min(len(set(alone)), len(set(regions.tolist())))
    if len(set(regions.tolist())) == len(places):
        np.testing.assert_array_equal(blocks, alone)


def test_folds_cut_no_block_and_hold_every_pixel_out_once():
    places = pixels()
    y = (places[:, 1] // 3) % 3
    folds = SpatialKFold(4, block_size=8, random_state=0)
    blocks = spatial_blocks(*places.T, 8)
    held_out = []
    for train, test in folds.split(None, y, places):
        assert not set(blocks[train]) & set(blocks[test])
        assert set(y[test]) == {0, 1, 2}
        held_out += test.tolist()
    assert sorted(held_out) == list(range(len(places)))
    again = [test for _, test in folds.split(None, y, blocks)]
    assert np.concatenate(again).tolist() == held_out
    assert folds.get_n_splits() == 4
    assert repr(folds) == "SpatialKFold(block_size=8, n_splits=4, random_state=0)"


def test_polygons_stay_whole():
    places = np.column_stack([pixels(20, 20), np.repeat(np.arange(8), 50)])
    y = places[:, 2] % 2
    for train, test in SpatialKFold(2, block_size=1, random_state=0).split(None, y, places):
        assert not set(places[train, 2]) & set(places[test, 2])


def test_a_random_split_flatters_where_neighbours_are_alike():
    """Noise that is the same in each block of 10 x 10 pixels: nothing to learn but the place."""
    places = pixels()
    blocks = spatial_blocks(*places.T, 10)
    random = np.random.default_rng(0)
    y = random.integers(0, 2, blocks.max() + 1)[blocks]
    X = random.normal(size=(blocks.max() + 1, 3))[blocks] + random.normal(0, 0.01, (1600, 3))
    model = KNeighborsClassifier(3)
    flattered = cross_val_score(model, X, y, cv=StratifiedKFold(3, shuffle=True, random_state=0))
    fair = cross_val_score(model, X, y, groups=places, cv=SpatialKFold(3, block_size=10,
                                                                       random_state=0))  # fmt: skip
    assert flattered.mean() == 1
    assert fair.mean() < 0.8


def test_it_goes_into_a_search():
    places, random = pixels(20, 20), np.random.default_rng(0)
    y = (places[:, 0] // 5) % 2
    X = y[:, None] + random.normal(0, 0.1, (400, 2))
    search = GridSearchCV(KNeighborsClassifier(), {"n_neighbors": [1, 3]},
                          cv=SpatialKFold(2, block_size=5, random_state=0))  # fmt: skip
    search.fit(X, y, groups=places)
    assert search.best_score_ > 0.95


def test_places_must_be_known():
    with pytest.raises(ValueError, match="Input rows contains NaN"):
        spatial_blocks([0, np.nan], [0, 1])
    with pytest.raises(ValueError, match="Input columns contains infinity"):
        spatial_blocks([0, 1], [0, np.inf])


def test_what_cannot_be_split():
    places, y = pixels(20, 20), np.arange(400) % 2
    folds = SpatialKFold(5, block_size=20)
    with pytest.raises(
        ValueError, match=r"lie in 1 blocks .* 5 folds .* smaller block_size, which"
    ):
        next(folds.split(None, y, places))
    with pytest.raises(ValueError, match="groups must say where the pixels lie"):
        next(folds.split(None, y))
    with pytest.raises(ValueError, match=r"got shape \(400, 5\)"):
        next(folds.split(None, y, np.zeros((400, 5))))
    with pytest.raises(ValueError, match="block_size"):
        spatial_blocks([1], [1], 0)
    corner = np.where((places < 5).all(axis=1), "alunite", "calcite")
    with pytest.warns(UserWarning, match="alunite: all pixels lie in one block"):
        next(SpatialKFold(2, block_size=5).split(None, corner, places))
