"""Which samples PrunedMLPClassifier trains, scores and chooses on, and what they weigh."""

import numpy as np
import pytest
from sklearn.datasets import make_classification
from sklearn.utils import compute_class_weight

from sklearn_capoz.estimators import _first_training
from sklearn_capoz.pruning import accuracy
from sklearn_capoz.pruning._dense_model import DenseModel

X, Y = make_classification(
    240, 8, n_informative=6, n_redundant=0, n_classes=3, class_sep=2.0, random_state=0
)
NAMES = np.array(["kaolinite", "alunite", "calcite"])[Y]


def test_own_validation_data_are_not_trained_on(classifier):
    dense = classifier(n_iterations=0).fit(X[:150], Y[:150], X[150:], Y[150:])
    other = classifier(n_iterations=0).fit(X[:150], Y[:150], X[150:200], Y[150:200])
    np.testing.assert_array_equal(dense.network_.weights[0], other.network_.weights[0])
    assert dense.history_["accuracy_after"][0] != other.history_["accuracy_after"][0]


def test_samples_to_train_on_to_score_on_and_to_choose_on_are_disjoint(monkeypatch, classifier):
    train, seen = DenseModel.train_together.__func__, []

    def spy(cls, models, data):
        seen.extend(data)
        return train(cls, models, data)

    monkeypatch.setattr(DenseModel, "train_together", classmethod(spy))
    classifier().fit(X, Y)
    assert len(seen) == 4
    parts = [seen[0].train, seen[0].score, seen[0].select]
    assert [part.y.size for part in parts] == [192, 24, 24]
    rows = {tuple(row) for part in parts for row in part.X}
    assert rows == {tuple(row) for row in X}
    assert all(data is seen[0] for data in seen)


def test_weight_zero_is_absence(classifier, assert_same_model):
    weight = np.random.RandomState(0).randint(3, size=len(Y)).astype(float)
    rows = weight > 0
    assert_same_model(
        classifier().fit(X, Y, sample_weight=weight),
        classifier().fit(X[rows], Y[rows], sample_weight=weight[rows]),
    )


def test_a_class_of_weight_zero_is_unknown(classifier):
    model = classifier().fit(X, NAMES, sample_weight=(NAMES != "alunite").astype(int))
    assert model.classes_.tolist() == ["calcite", "kaolinite"]


def test_equal_weights_are_none(classifier, assert_same_model):
    assert_same_model(classifier().fit(X, Y, sample_weight=np.ones(240)), classifier().fit(X, Y))


def test_weights_enter_the_scores(classifier):
    """Heavy samples decide: C-APoZ of the scoring half is the weighted share of zeros."""
    weight = np.where(Y == 0, 5.0, 1.0)
    model = classifier(n_iterations=0).fit(X, Y, sample_weight=weight)
    plain = classifier(n_iterations=0).fit(X, Y)
    assert not np.allclose(model.importances_[0][0], plain.importances_[0][0])


@pytest.mark.parametrize("callbacks", [None, []])
def test_class_weights_are_weights_of_the_training_samples(callbacks, classifier):
    """They do not enter the scores, so that the dense networks alone are compared."""
    parameters = {"n_iterations": 0, "callbacks": callbacks, "max_iter": 5}
    weights = {"alunite": 3.0, "calcite": 1.0, "kaolinite": 0.25}
    by_class = classifier(class_weight=weights, **parameters).fit(X, NAMES)
    by_sample = classifier(**parameters).fit(
        X, NAMES, sample_weight=[weights[name] for name in NAMES]
    )
    for a, b in zip(by_class.network_.weights, by_sample.network_.weights, strict=True):
        np.testing.assert_array_equal(a, b)


def test_class_weights_of_labels_that_look_like_numbers(classifier, assert_same_model):
    digits, weights = Y.astype(str), {"0": 3.0, "2": 0.25}
    parameters = {"n_iterations": 0, "max_iter": 5}
    of_digits = classifier(class_weight=weights, **parameters).fit(X, digits)
    of_codes = classifier(class_weight={0: 3.0, 2: 0.25}, **parameters).fit(X, Y)
    assert_same_model(of_digits, of_codes)
    with pytest.raises(ValueError, match=r"names 0, which is not among .*'0', '1'"):
        classifier(class_weight={0: 3.0}, **parameters).fit(X, digits)


def test_balanced_class_weights(classifier, assert_same_model):
    rows = np.r_[np.flatnonzero(Y == 0)[:70], np.flatnonzero(Y == 1)[:20]]
    X_some, y_some, aside = X[rows], Y[rows], (X[-40:][Y[-40:] < 2], Y[-40:][Y[-40:] < 2])
    balanced = compute_class_weight("balanced", classes=np.array([0, 1]), y=y_some)
    np.testing.assert_allclose(balanced, [90 / 140, 90 / 40])
    a, b, plain = (
        classifier(class_weight=weight, n_iterations=0).fit(X_some, y_some, *aside)
        for weight in ("balanced", dict(enumerate(balanced)), None)
    )
    assert_same_model(a, b)
    assert a.predict(X).mean() > plain.predict(X).mean()


def test_the_best_restart_is_pruned(monkeypatch, classifier, assert_same_network):
    seen = []

    def spy(model, samples):
        seen.append((accuracy(model, samples), model.network))
        return seen[-1][0]

    accuracy = _first_training.accuracy
    monkeypatch.setattr(_first_training, "accuracy", spy)
    model = classifier(n_restarts=4, n_iterations=0, max_iter=3, learning_rate_init=1e-3)
    model.fit(X, Y)
    assert len(seen) == 4
    best = int(np.argmax([reached for reached, _ in seen]))
    assert len({reached for reached, _ in seen}) > 1
    assert_same_network(model.network_, seen[best][1])
    # The first of several is the only one of one.
    once = classifier(n_iterations=0, max_iter=3, learning_rate_init=1e-3).fit(X, Y)
    np.testing.assert_array_equal(once.network_.weights[0], seen[0][1].weights[0])


def test_restarts_are_compared_on_the_scoring_samples_not_on_those_to_choose_on(
    monkeypatch, classifier
):
    train, trainings = DenseModel.train_together.__func__, []

    def spy(cls, models, data):
        trainings.append((train(cls, models, data), data[0]))
        return trainings[-1][0]

    def best(trained, samples):
        return int(np.argmax([accuracy(model, samples) for model, _ in trained]))

    monkeypatch.setattr(DenseModel, "train_together", classmethod(spy))
    choices = []
    for seed in range(6):
        model = classifier(
            n_restarts=4, n_iterations=0, max_iter=3, keep="last", random_state=seed
        ).fit(X, Y)
        trained, data = trainings.pop()
        by_score, by_select = best(trained, data.score), best(trained, data.select)
        chosen = trained[by_score][0].network
        np.testing.assert_array_equal(model.network_.weights[0], chosen.weights[0])
        choices.append((by_score, by_select))
    assert any(by_score != by_select for by_score, by_select in choices)  # or nothing is tested


@pytest.mark.parametrize("keep", ["best", "smallest"])
def test_what_was_set_aside_has_class_weights_once_it_is_trained_on(monkeypatch, classifier, keep):
    train, trained_on = DenseModel.train_together.__func__, []

    def spy(cls, models, data):
        trained_on.append(data[0].train)
        return train(cls, models, data)

    monkeypatch.setattr(DenseModel, "train_together", classmethod(spy))
    weights = np.array([3.0, 1.0, 0.0])
    own = np.linspace(1, 2, len(Y))
    classifier(class_weight=dict(enumerate(weights)), keep=keep, n_iterations=1).fit(
        X, Y, sample_weight=own
    )
    last = trained_on[-1]
    assert sorted(last.weight) == pytest.approx(sorted(own * weights[Y]))
    assert len(trained_on[0].y) < len(last.y) == len(Y)
