"""A copy of a generator draws what the original would, and neither moves the other."""

import numpy as np

from sklearn_capoz.pruning._model import copy_generator


def test_a_copy_goes_on_where_the_original_is():
    original = np.random.RandomState(3)
    original.standard_normal(7)  # leaves half of a pair behind, which is part of the state
    expected = np.random.RandomState(3)
    expected.standard_normal(7)
    copy = copy_generator(original)
    np.testing.assert_array_equal(copy.standard_normal(700), expected.standard_normal(700))
    first = original.randint(1000, size=5)
    expected = np.random.RandomState(3)
    expected.standard_normal(7)
    np.testing.assert_array_equal(first, expected.randint(1000, size=5))
