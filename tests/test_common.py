"""scikit-learn's own estimator checks; no failure is expected of any."""

import pytest
from sklearn.utils.estimator_checks import parametrize_with_checks

from sklearn.neural_network import MLPClassifier

from sklearn_capoz import CAPoZPruner, PrunedMLPClassifier

pytestmark = [
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    pytest.mark.filterwarnings("ignore::sklearn_capoz.exceptions.PruningStalledWarning"),
    pytest.mark.filterwarnings("ignore::sklearn_capoz.exceptions.SmallDataWarning"),
]


@parametrize_with_checks([CAPoZPruner(MLPClassifier()), CAPoZPruner(PrunedMLPClassifier())])
def test_pruner(estimator, check):
    check(estimator)


@parametrize_with_checks([PrunedMLPClassifier()])
def test_classifier(estimator, check):
    check(estimator)
