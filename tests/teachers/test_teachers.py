"""Teachers: what they say, what a fit makes of it, and which are refused before any training."""

import pickle
import re
from copy import copy

import numpy as np
import pandas as pd
import pytest
from scipy.special import log_softmax
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.ensemble import RandomForestClassifier
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.svm import LinearSVC
from small_estimators import KINDS, NAMES, X, Y, make_mlp, make_net, make_own, pruner

from sklearn_capoz import CAPoZPruner, PrunedCNNClassifier, PrunedMLPClassifier, pruning_path
from sklearn_capoz._sklearn import InvalidParameterError
from sklearn_capoz.estimators import _classifier
from sklearn_capoz.exceptions import UnsupportedNetworkError
from sklearn_capoz.teachers import TEACHERS, BornAgain, Ensemble, Mutual, Teacher, check_teacher
from sklearn_capoz.teachers._base import NetworksLesson
from sklearn_capoz.thresholds import Fraction
from sklearn_capoz.training._optimizer import flatten
from sklearn_capoz.training._samples import Samples

pytestmark = pytest.mark.filterwarnings("ignore:Stochastic Optimizer")


def forest(X=X, y=NAMES):
    return RandomForestClassifier(5, max_depth=3, random_state=0).fit(X, y)


def model(teacher=None, **parameters):
    quick = {"n_iterations": 1, "threshold": "fraction", "retrain_max_iter": 3, "keep": "last"}
    return make_own(**(quick | {"teacher": teacher, "distillation": 0.5} | parameters))


def weights(fitted):
    return flatten(fitted.network_)


@pytest.mark.parametrize("teacher", [None, *TEACHERS, Ensemble(3), forest()])
def test_every_teacher_teaches_in_every_estimator_and_gives_the_same_twice(teacher):
    found = [weights(model(teacher).fit(X, NAMES)) for _ in range(2)]
    np.testing.assert_array_equal(*found)
    for make in (make_own, make_mlp):
        fitted = pruner(make(), teacher=teacher, distillation=0.5).fit(X, NAMES)
        assert fitted.history_["n_units"].tolist() == [12, 10, 8, 6]


@pytest.mark.parametrize("teacher", [None, "ensemble", "born-again", forest()])
def test_teachers_of_skorch_nets(teacher):
    X32 = X.astype(np.float32)
    fitted = pruner(make_net(), teacher=teacher, distillation=0.5, n_iterations=1).fit(X32, NAMES)
    assert fitted.score(X32, NAMES) > 0.5


@pytest.mark.parametrize("teacher", [None, "ensemble", "mutual", "born-again"])
def test_the_dense_network_is_what_it_was_unless_it_is_taught(teacher):
    alone = model(distillation=None, n_iterations=0).fit(X, NAMES)
    taught = pruning_path(model(teacher), X, NAMES).estimators[0]
    same = np.array_equal(weights(alone), weights(taught))
    assert same == (teacher not in {"mutual", "born-again"})


def test_a_fitted_teacher_teaches_the_first_training_too():
    alone = model(distillation=None, n_iterations=0).fit(X, NAMES)
    taught = model(forest(), n_iterations=0).fit(X, NAMES)
    assert not np.array_equal(weights(alone), weights(taught))


def test_an_ensemble_says_the_mean_of_the_probabilities():
    networks = [make_own().set_params(random_state=seed).fit(X, NAMES)._kept for seed in range(3)]
    samples = Samples(X, Y, np.ones(len(Y)))
    said = NetworksLesson(tuple(networks)).logits(samples)
    mean = np.mean([np.exp(log_softmax(net.logits(X), axis=1)) for net in networks], axis=0)
    np.testing.assert_allclose(np.exp(said), mean, rtol=1e-12)


def test_logistic_outputs_are_two_classes():
    two = np.where(Y == 0, "a", "b")
    mlp = make_mlp().fit(X, two)
    fitted = pruner(make_mlp(), teacher="ensemble", distillation=0.5).fit(X, two)
    assert fitted.score(X, two) > 0.5
    by_mlp = pruner(make_mlp(), teacher=FrozenEstimator(mlp), distillation=0.9).fit(X, two)
    assert by_mlp.score(X, two) > 0.5


def test_a_teacher_pulls_the_student_towards_what_it_says():
    """One that contradicts the labels, alone in the loss, is believed."""
    wrong = np.array(["kaolinite", "alunite", "calcite"])[(Y + 1) % 3]
    contrary = LogisticRegression().fit(X, wrong)
    fitted = model(contrary, distillation=1.0, n_iterations=0, max_iter=60).fit(X, NAMES)
    assert np.mean(fitted.predict(X) == contrary.predict(X)) > 0.9


def test_lessons_belong_to_the_samples_that_they_are_of(monkeypatch):
    """Whatever the split, zero weights and the order of the rows make of them."""
    seen = {}

    def spy(estimator, plan, room, trainer):
        seen.update(room=room)
        raise InterruptedError

    monkeypatch.setattr(_classifier, "train", spy)
    weight = np.where(np.arange(len(X)) % 5 == 0, 0.0, 1.0)
    teacher = forest()
    with pytest.raises(InterruptedError):
        model(teacher).fit(X, NAMES, sample_weight=weight)
    train = seen["room"].data.train
    np.testing.assert_array_equal(X[train.rows], train.X)
    expected = teacher.predict_proba(train.X)
    said = np.exp(seen["room"].lessons[train.rows])
    np.testing.assert_allclose(said, expected, atol=2e-7)


def test_a_teacher_sees_the_columns_by_their_names():
    table = pd.DataFrame(X, columns=[f"band {i}" for i in range(X.shape[1])])
    teacher = RandomForestClassifier(3, random_state=0).fit(table, NAMES)  # warns of plain arrays
    assert model(teacher).fit(table, NAMES).feature_names_in_[0] == "band 0"


@pytest.mark.parametrize("kind", KINDS)
def test_a_frozen_network_has_peers_of_its_own_kind(kind):
    if kind == "net":
        X_, y = X.astype(np.float32), Y
    else:
        X_, y = X, NAMES
    frozen = FrozenEstimator(KINDS[kind]().fit(X_, y))
    fitted = pruner(frozen, teacher=Ensemble(2), distillation=0.5, n_iterations=1).fit(X_, y)
    assert fitted.history_["n_units"].tolist() == [12, 10]


def test_the_networks_of_a_seeded_estimator_differ(monkeypatch):
    seen = []
    original = NetworksLesson.logits

    def spy(self, samples):
        seen.append(self.networks)
        return original(self, samples)

    monkeypatch.setattr(NetworksLesson, "logits", spy)
    pruner(make_mlp(), teacher=Ensemble(3), distillation=0.5).fit(X, NAMES)
    first = [network.network.weights[0][0, 0] for network in seen[0]]
    assert len(set(first)) == 3


def test_grid_search_tries_teachers():
    grid = {"teacher": [None, Ensemble(2), FrozenEstimator(forest())]}
    search = GridSearchCV(model(), grid, cv=2, error_score="raise").fit(X, NAMES)
    assert len(search.cv_results_["params"]) == 3


def test_a_fitted_model_is_stored_without_its_teachers():
    big = RandomForestClassifier(200, random_state=0).fit(X, NAMES)
    sizes = {}
    for name, teacher in {
        "none": None,
        "ensemble": "ensemble",
        "mutual": "mutual",
        "big": big,
    }.items():
        fitted = model(teacher).fit(X, NAMES)
        stored = pickle.dumps(fitted)
        sizes[name] = len(stored)
        np.testing.assert_array_equal(pickle.loads(stored).predict(X), fitted.predict(X))
    assert max(sizes.values()) - sizes["none"] < 500
    assert fitted.teacher is big
    again = pickle.loads(stored)
    with pytest.raises(ValueError, match="RandomForestClassifier, was left out"):
        again.fit(X, NAMES)
    assert again.set_params(teacher=big).fit(X, NAMES).score(X, NAMES) > 0.5
    unfitted = pickle.loads(pickle.dumps(model(big)))
    assert isinstance(unfitted.teacher, RandomForestClassifier)
    assert copy(model(big)).teacher is big


class Unsure(ClassifierMixin, BaseEstimator):
    """Fitted, and gives what it is told to."""

    def __init__(self, found=None, classes=None):
        self.found = found
        self.classes = classes
        self.classes_ = np.unique(NAMES) if classes is None else classes

    def fit(self, X, y):
        return self

    def predict_proba(self, X):
        return self.found


@pytest.mark.parametrize(
    ("teacher", "error", "message"),
    [
        ("boosting", InvalidParameterError, "teacher='boosting' is not known; choose one of"),
        (Ensemble(1), InvalidParameterError, "n_networks"),
        (BornAgain(0), InvalidParameterError, "generations"),
        (Mutual(0), InvalidParameterError, "n_networks"),
        (3, TypeError, "teacher=3 is no teacher"),
        (RandomForestClassifier, TypeError, "is no teacher; give a fitted classifier"),
        (RandomForestClassifier(), NotFittedError, "give it as FrozenEstimator"),
        (FrozenEstimator(RandomForestClassifier()), NotFittedError, "is not fitted"),
        (LinearSVC().fit(X, NAMES), TypeError, "LinearSVC has no predict_proba"),
        (forest(y=Y), ValueError, r"knows the classes \[0, 1, 2\], y holds \['alunite'"),
        (forest(X[NAMES != "alunite"], NAMES[NAMES != "alunite"]), ValueError, "needs the same"),
        (forest(X[:, :5]), ValueError, "takes 5 features, X has 8"),
        (Unsure(np.full((240, 3), np.nan)), ValueError, "gives no probabilities"),
        (Unsure(np.full((240, 3), 0.5)), ValueError, "rows add up to 1"),
        (Unsure(np.full((240, 2), 0.5)), ValueError, r"shape \(n_samples, 3\)"),
    ],
)  # fmt: skip
def test_what_cannot_teach_is_refused_before_any_training(monkeypatch, teacher, error, message):
    fitted = model().fit(X, NAMES)
    before = dict(vars(fitted))
    fitted.set_params(teacher=teacher)
    monkeypatch.setattr(_classifier, "first_training", lambda *_: pytest.fail("trained"))
    with pytest.raises(error, match=message):
        fitted.fit(X, NAMES)
    assert vars(fitted) == before | {"teacher": teacher}
    with pytest.raises(error, match=message):
        pruner(make_mlp(), teacher=teacher, distillation=0.5).fit(X, NAMES)


@pytest.mark.parametrize("teacher", ["mutual", "ensemble", FrozenEstimator(forest())])
def test_connections_that_are_gone_stay_gone_under_a_teacher(teacher):
    found = model(
        teacher, criterion="l1", granularity="connection", threshold=Fraction(0.5)
    ).fit(X, NAMES)  # fmt: skip
    path = pruning_path(found, X, NAMES)
    assert (found.network_.weights[0] == 0).mean() == pytest.approx(0.5, abs=0.01)
    np.testing.assert_array_equal(weights(path.estimators[-1]), weights(found))


@pytest.mark.parametrize("teacher", ["mutual", "ensemble", FrozenEstimator(forest())])
def test_a_student_may_take_fewer_columns_than_its_teachers(teacher):
    found = model(teacher, criterion="l1", prune_inputs=True, threshold=Fraction(0.25)).fit(
        X, NAMES
    )
    assert found.get_support().sum() == 6
    assert found.score(X, NAMES) > 0.5


def test_a_teacher_without_a_weight_is_refused():
    message = "teacher='mutual' would teach nothing, as distillation=None; say how much"
    with pytest.raises(InvalidParameterError, match=re.escape(message)):
        model("mutual", distillation=None).fit(X, NAMES)


def test_mutual_learning_is_of_the_engine():
    with pytest.raises(UnsupportedNetworkError, match="the compiled engine trains"):
        model("mutual", callbacks=[]).fit(X, NAMES)
    with pytest.raises(UnsupportedNetworkError, match="the compiled engine trains"):
        pruner(make_net(), teacher="mutual", distillation=0.5).fit(X.astype(np.float32), Y)


def test_a_fit_that_fails_leaves_the_estimator_as_it_was(monkeypatch):
    fitted = model("ensemble").fit(X, NAMES)
    before = dict(vars(fitted))
    monkeypatch.setattr(Ensemble, "after", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        fitted.fit(X, NAMES)
    assert vars(fitted) == before


def test_a_teacher_of_the_users_own():
    class Twice(Teacher):
        """The dense network, twice as sure."""

        def after(self, model, room):
            class Lesson:
                def logits(self, samples):
                    return 2 * model.logits(samples.X)

            return model, Lesson()

    assert check_teacher(Twice(), 0.5).get_params() == {}
    assert model(Twice()).fit(X, NAMES).score(X, NAMES) > 0.5
    assert clone(model(Twice())).distillation == 0.5


@pytest.mark.parametrize("teacher", ["ensemble", "forest"])
def test_teachers_of_a_convolutional_network(teacher):
    X32 = np.random.RandomState(0).standard_normal((120, 30)) + np.arange(120)[:, None] % 3
    y = np.array(["a", "b", "c"])[np.arange(120) % 3]
    taught = PrunedCNNClassifier(
        network_params={"channels": 4, "hidden": 6}, n_iterations=1, max_iter=2, random_state=0,
        retrain_max_iter=1, distillation=0.5,
        teacher=Ensemble(2) if teacher == "ensemble" else forest(X32, y),
    ).fit(X32, y)  # fmt: skip
    assert taught.predict(X32).shape == y.shape
    stored = pickle.loads(pickle.dumps(taught))
    assert teacher != "forest" or "LeftOut" in repr(stored.teacher)
    other = clone(taught).set_params(teacher=forest(X32, np.where(y == "a", "a", "b")))
    with pytest.raises(ValueError, match="needs the same"):
        other.fit(X32, y)
    with pytest.raises(UnsupportedNetworkError, match="the compiled engine trains"):
        clone(taught).set_params(teacher="mutual").fit(X32, y)


def test_capoz_pruner_refuses_peers_of_an_estimator_whose_adapter_makes_none(monkeypatch):
    from sklearn_capoz.estimators import MLPClassifierAdapter

    monkeypatch.setattr(MLPClassifierAdapter, "untrained", lambda *_: None)
    monkeypatch.setattr(MLPClassifierAdapter, "fit", lambda *_: pytest.fail("trained"))
    with pytest.raises(UnsupportedNetworkError, match="has no `untrained`"):
        CAPoZPruner(make_mlp(), teacher="ensemble", distillation=0.5).fit(X, NAMES)


def test_names_make_their_teachers():
    assert {name: type(check_teacher(name, 0.5)) for name in TEACHERS} == TEACHERS
    assert check_teacher(None, None) is None
    assert isinstance(
        PrunedMLPClassifier(teacher=Mutual(3)).get_params()["teacher__n_networks"], int
    )
