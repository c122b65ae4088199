"""A label that is missing is named as such by every estimator, not by numpy's sorting."""

import numpy as np
import pytest
from sklearn.neural_network import MLPClassifier

from sklearn_capoz import (
    CAPoZPruner,
    CAPoZPrunerCV,
    FieldTrainedClassifier,
    FusedClassifier,
    PrunedCNNClassifier,
    PrunedMLPClassifier,
)
from sklearn_capoz.spectral import SpectralMatcher

X = np.random.RandomState(0).uniform(size=(30, 6))


@pytest.mark.parametrize(
    "estimator",
    [
        PrunedMLPClassifier(),
        CAPoZPruner(MLPClassifier()),
        CAPoZPrunerCV(PrunedMLPClassifier()),
        PrunedCNNClassifier("1d"),
        FieldTrainedClassifier(PrunedMLPClassifier()),
        FusedClassifier([("a", MLPClassifier()), ("b", MLPClassifier())]),
        SpectralMatcher(wavelengths="index"),
    ],
    ids=lambda estimator: type(estimator).__name__,
)
@pytest.mark.parametrize(("odd", "message"), [(None, "holds 1 missing"), (7, "of type int")])
def test_it_is_refused_before_any_training(estimator, odd, message):
    y = np.array([odd, *np.tile(["a", "b"], 15)[1:]], dtype=object)
    with pytest.raises(ValueError, match=message):
        estimator.fit(X, y)
