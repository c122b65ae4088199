import matplotlib.pyplot as plt
import numpy as np
import pytest
from sklearn.neural_network import MLPClassifier

from sklearn_capoz.displays import UnitMapDisplay


@pytest.fixture
def ramp():
    return np.arange(12.0).reshape(3, 4)


@pytest.fixture
def network():
    """Pass feature 0 on in unit 0, doubled in unit 2; feature 1 in unit 3; unit 1 is dead."""
    mlp = MLPClassifier((4,), tol=1, n_iter_no_change=2).fit(np.eye(2), [0, 1])
    mlp.coefs_[0] = np.array([[1.0, 0.0, 2.0, 0.0], [0.0, -1.0, 0.0, 1.0]])
    mlp.intercepts_[0] = np.zeros(4)
    return mlp


def test_dead_and_duplicate_units_are_found_and_named(network, ramp):
    cube = np.stack([ramp, ramp[::-1] ** 2], axis=2)
    display = UnitMapDisplay.from_estimator(network, cube)
    assert display.dead.tolist() == [False, True, False, False]
    assert display.duplicate_of.tolist() == [-1, -1, 0, -1]
    captions = [axes.get_title() for axes in display.axes_]
    assert captions == [
        "unit 0\nmax 11",
        "unit 1\ndead",
        "unit 2\nduplicate of 0",
        "unit 3\nmax 121",
    ]
    np.testing.assert_array_equal(display.maps[2], 2 * ramp)


def test_chosen_units_keep_their_index(network, ramp):
    display = UnitMapDisplay.from_estimator(network, np.stack([ramp, ramp], axis=2), units=[2, 3])
    assert display.duplicate_of.tolist() == [-1, 2]
    np.testing.assert_allclose(display.images_[0].get_array(), ramp / 11)


def test_a_missing_pixel_stays_missing(network, ramp):
    cube = np.stack([ramp, ramp], axis=2)
    cube[1, 2, 0] = np.nan
    display = UnitMapDisplay.from_estimator(network, cube)
    assert np.argwhere(np.isnan(display.maps[0])).tolist() == [[1, 2]]
    assert display.dead.tolist() == [False, True, False, False]


def test_constant_units_duplicate_nothing(ramp):
    flat = np.ones_like(ramp)
    display = UnitMapDisplay([flat, 2 * flat, ramp], [0, 1, 2])
    assert display.duplicate_of.tolist() == [-1, -1, -1]
    assert not display.dead.any()


def test_opposite_units_are_no_duplicates(ramp):
    assert UnitMapDisplay([ramp, 11 - ramp], [0, 1]).duplicate_of.tolist() == [-1, -1]


def test_correlation_limit(ramp):
    maps = [ramp, np.sqrt(ramp)]  # correlated by 0.97
    assert UnitMapDisplay(maps, [0, 1]).duplicate_of[1] == -1
    assert UnitMapDisplay(maps, [0, 1], duplicate_correlation=0.95).duplicate_of[1] == 0


def test_the_scale_is_explained_and_panels_are_the_users(ramp):
    figure, panels = plt.subplots(1, 2)
    display = UnitMapDisplay([ramp, ramp], [3, 8]).plot(panels, cmap="gray")
    assert display.axes_.tolist() == panels.tolist()
    assert display.figure_ is figure
    assert display.images_[0].get_cmap().name == "gray"
    assert display.colorbar_.ax.get_ylabel() == "output / unit's maximum"


def test_outputs_of_both_signs_have_both_colours(ramp):
    display = UnitMapDisplay([ramp - 20, ramp], [0, 1]).plot()
    assert {image.get_clim() for image in display.images_} == {(-1, 1)}
    np.testing.assert_allclose(display.images_[0].get_array(), (ramp - 20) / 20)
    assert UnitMapDisplay([ramp], [0]).plot().images_[0].get_clim() == (0, 1)


def test_a_scikit_learn_network(iris_like):
    X, y = iris_like
    mlp = MLPClassifier((6,), random_state=0, tol=1, n_iter_no_change=2).fit(X, y)
    display = UnitMapDisplay.from_estimator(mlp, X.reshape(10, 6, 3))
    expected = np.maximum(X @ mlp.coefs_[0] + mlp.intercepts_[0], 0)
    np.testing.assert_allclose(display.maps.reshape(6, -1).T, expected, rtol=1e-6)


@pytest.fixture
def iris_like():
    random = np.random.RandomState(0)
    return random.normal(size=(60, 3)), np.arange(60) % 3


def test_one_map_per_unit(ramp):
    with pytest.raises(ValueError, match=r"got maps \(1, 3, 4\) and units \(2,\)"):
        UnitMapDisplay([ramp], [0, 1])


@pytest.mark.parametrize(("asked", "message"), [
    ({"cube": np.ones((3, 4))}, r"cube must be \(n_rows, n_columns, 2\).*got \(3, 4\)"),
    ({"cube": np.ones((3, 4, 5))}, r"features last; got \(3, 4, 5\)"),
    ({"layer": 1}, "layer=1 was asked for; hidden layers are 0 to 0"),
    ({"units": [0, 4]}, r"units must be one or more indices from 0 to 3, got \[0, 4\]"),
    ({"units": []}, r"units must be one or more indices .* got \[\]"),
    ({"cube": np.full((3, 4, 2), np.nan)}, "maps hold no pixel with data"),
])  # fmt: skip
def test_errors(network, asked, message):
    arguments = {"cube": np.ones((3, 4, 2))} | asked
    with pytest.raises(ValueError, match=message):
        UnitMapDisplay.from_estimator(network, **arguments)
