"""Curves of smooth activations: values by hand, mirrored, and near what they stand for."""

import numpy as np
import pytest

from sklearn_capoz.integers._curve import (
    CURVE_MIDDLE,
    LARGEST_POINT,
    N_POINTS,
    PLACE_LIMIT,
    curve_codes,
    curve_of,
)
from sklearn_capoz.networks import ACTIVATIONS


def test_by_hand():
    points = np.zeros(N_POINTS, np.uint8)
    points[1:4] = 40, 50, 254
    places = np.array([0, 32, 33, 48, 63, 64, 95, -32, -48])
    # Halves of 40; 40 + 10 / 32; 45 and 49.7; 50; 50 + 204 * 31 / 32, each rounded half up.
    expected = [128, 148, 148, 151, 153, 153, 252, 108, 105]
    np.testing.assert_array_equal(curve_codes(places.astype(float), points), expected)


@pytest.mark.parametrize("activation", ["tanh", "logistic"])
@pytest.mark.parametrize("reach", [0.01, 1.0, 100.0, 0.0])
def test_codes_stand_for_the_activation(activation, reach):
    curve = curve_of(np.linspace(-reach, reach / 2, 50)[:, None], activation)
    assert curve.points[0] == 0
    assert curve.points[-1] == LARGEST_POINT
    places = np.arange(-PLACE_LIMIT, PLACE_LIMIT + 1.0)
    found = curve_codes(places, curve.points)
    expected = curve.place * places
    ACTIVATIONS[activation].apply(expected)
    assert np.abs(curve.low + curve.step * found - expected).max() < 0.8 * curve.step
    np.testing.assert_array_equal(found + found[::-1], 2 * CURVE_MIDDLE)
    assert found.min() >= 1
    assert found.max() <= 255
    assert (np.diff(found) >= 0).all()


def test_far_away_is_the_end():
    curve = curve_of(np.array([[9.0]]), "tanh")
    ends = curve_codes(np.array([-(2.0**46), -PLACE_LIMIT, PLACE_LIMIT, 2.0**46]), curve.points)
    np.testing.assert_array_equal(ends, [1, 1, 255, 255])
