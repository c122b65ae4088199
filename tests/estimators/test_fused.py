"""FusedClassifier: scikit-learn's vote, weights by samples held out, and what it costs."""

import pickle

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.optimize import minimize
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import RandomForestClassifier, VotingClassifier
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC
from sklearn.utils.estimator_checks import parametrize_with_checks
from small_estimators import NAMES, X, Y, make_mlp, make_own

from sklearn_capoz import FusedClassifier
from sklearn_capoz._sklearn import InvalidParameterError
from sklearn_capoz.deploy import save_model, to_c
from sklearn_capoz.estimators import _fused
from sklearn_capoz.estimators._fusion import choose_weights
from sklearn_capoz.exceptions import UnsupportedNetworkError

pytestmark = pytest.mark.filterwarnings("ignore:Stochastic Optimizer")


def known_failures(estimator):
    reason = "which samples are held out depends on how many there are"
    return {"check_sample_weight_equivalence_on_dense_data": reason} if estimator.weights else {}


@parametrize_with_checks(
    [
        FusedClassifier([("a", GaussianNB()), ("b", LogisticRegression())], weights=weights)
        for weights in (None, "validation")
    ],
    expected_failed_checks=known_failures,
)
def test_scikit_learns_checks(estimator, check):
    check(estimator)


def members():
    return [("own", make_own()), ("forest", RandomForestClassifier(5, max_depth=2))]


def fused(**parameters):
    return FusedClassifier(members(), random_state=0, **parameters)


class Given(ClassifierMixin, BaseEstimator):
    """Its samples are probabilities of the first class in the column that it looks at."""

    def __init__(self, column=0):
        self.column = column

    def predict_proba(self, X):
        return np.stack([X[:, self.column], 1 - X[:, self.column]], axis=1)


@pytest.mark.parametrize("weights", [None, [3, 1], "validation"])
def test_it_votes_as_scikit_learn_does(weights):
    found = fused(weights=weights).fit(X, NAMES)
    frozen = [(str(i), FrozenEstimator(member)) for i, member in enumerate(found.estimators_)]
    peer = VotingClassifier(frozen, voting="soft", weights=found.weights_).fit(X, NAMES)
    np.testing.assert_array_equal(found.predict_proba(X), peer.predict_proba(X))
    np.testing.assert_array_equal(found.predict(X), peer.predict(X))
    if weights == [3, 1]:
        np.testing.assert_array_equal(found.weights_, [0.75, 0.25])


def test_members_learn_labels_and_all_samples():
    found = fused().fit(X, NAMES)
    own, forest = found.estimators_
    assert own.classes_.tolist() == forest.classes_.tolist() == ["alunite", "calcite", "kaolinite"]
    alone = clone(make_own()).fit(X, NAMES)
    np.testing.assert_array_equal(own.predict_proba(X), alone.predict_proba(X))


def test_weights_by_hand():
    """The first member gives 0.8 to three of four samples, the second 0.8 to the fourth.

    Of 0.8 w + 0.2 (1 - w) = 0.2 + 0.6 w three times and 0.8 - 0.6 w once, the product is highest
    where 3 (0.8 - 0.6 w) = 0.2 + 0.6 w: at w = 11 / 12.
    """
    probabilities = np.array([[0.8, 0.2], [0.8, 0.2], [0.8, 0.2], [0.2, 0.8]])
    weights = choose_weights([Given(0), Given(1)], probabilities, np.zeros(4, int), None)
    np.testing.assert_allclose(weights, [11 / 12, 1 / 12], atol=1e-3)
    counted = choose_weights(
        [Given(0), Given(1)], probabilities[2:], np.zeros(2, int), np.array([3.0, 1.0])
    )
    np.testing.assert_allclose(counted, weights, atol=1e-3)


@settings(deadline=None)
@given(arrays(np.float64, (12, 3), elements=st.floats(0.01, 1)))
def test_no_other_weights_are_more_likely(probabilities):
    weights = choose_weights([Given(i) for i in range(3)], probabilities, np.zeros(12, int), None)
    assert weights.sum() == pytest.approx(1)
    assert (weights >= 0).all()

    def loss(free):
        own = np.append(free, 1 - free.sum())
        return -np.log(np.maximum(probabilities @ own, 1e-12)).mean()

    best = minimize(
        loss, weights[:2], bounds=[(0, 1)] * 2, method="SLSQP",
        constraints={"type": "ineq", "fun": lambda free: 1 - free.sum()},
    )  # fmt: skip
    assert loss(weights[:2]) <= best.fun + 1e-4


def test_a_member_that_guesses_weighs_little():
    found = FusedClassifier(
        [("right", LogisticRegression()), ("guess", DummyClassifier(strategy="uniform"))],
        random_state=0,
    ).fit(X, NAMES)  # fmt: skip
    assert found.weights_[0] > 0.9


def test_all_frozen_choose_on_all_samples_and_stay():
    frozen = [
        (name, FrozenEstimator(member.fit(X[:120], NAMES[:120]))) for name, member in members()
    ]
    found = FusedClassifier(frozen).fit(X[120:], NAMES[120:])
    given_val = FusedClassifier(frozen).fit(X[:120], NAMES[:120], X[120:], NAMES[120:])
    np.testing.assert_array_equal(found.weights_, given_val.weights_)
    assert found.estimators_[0] is frozen[0][1].estimator


def test_frozen_members_may_know_classes_that_the_samples_to_choose_on_lack():
    frozen = [(name, FrozenEstimator(member.fit(X, NAMES))) for name, member in members()]
    some = NAMES != "alunite"
    found = FusedClassifier(frozen).fit(X[some], NAMES[some])
    assert found.predict_proba(X).shape == (len(X), 3)
    assert found.score(X, NAMES) > 0.5
    with pytest.raises(ValueError, match="labels that the classifier is not trained on"):
        FusedClassifier(frozen).fit(X, np.where(NAMES == "calcite", "quartz", NAMES))


def test_groups_are_held_out_together(monkeypatch):
    seen = []
    monkeypatch.setattr(
        _fused, "choose_weights", lambda members, X, codes, weight: seen.append(X) or np.ones(2) / 2
    )
    groups = np.repeat(np.arange(24), 10)
    fused().fit(X, NAMES, groups=groups)
    held = {tuple(row) for row in seen[0]}
    inside = np.array([tuple(row) in held for row in X])
    assert all(len(set(inside[groups == group])) == 1 for group in range(24))


def test_the_cost_is_that_of_all_members():
    found = FusedClassifier(
        [
            ("own", make_own(n_iterations=1, threshold="fraction", keep="last")),
            ("mlp", make_pipeline(StandardScaler(), make_mlp())),
        ],
        random_state=0,
    ).fit(X, NAMES)  # fmt: skip
    own = found.estimators_[0].network_
    assert found.cost_.loc["own"].tolist() == [own.n_parameters, own.n_bytes, own.n_multiply_adds]
    assert found.cost_.loc["mlp", "n_multiply_adds"] == 8 * 12 + 12 * 3
    assert found.cost_.loc["all"].tolist() == found.cost_.iloc[:2].sum().tolist()
    unknown = fused().fit(X, NAMES).cost_
    assert unknown.loc["own"].notna().all()
    assert unknown.loc[["forest", "all"]].isna().all(axis=None)


def test_a_file_holds_one_network_and_says_what_to_do(tmp_path):
    fused = FusedClassifier([("a", make_mlp()), ("b", make_mlp())], weights=None).fit(X, Y)
    for write in (save_model, to_c):
        with pytest.raises(UnsupportedNetworkError, match=r"a vote of several networks.*joblib"):
            write(fused, tmp_path / "m.capoz")
    assert not list(tmp_path.iterdir())


def test_it_is_an_estimator_like_others():
    model = fused()
    assert model.get_params()["own__max_iter"] == 10
    assert clone(model).set_params(own__max_iter=5).estimators[0][1].max_iter == 5
    search = GridSearchCV(model, {"own__max_iter": [2, 5]}, cv=2, error_score="raise").fit(X, NAMES)
    found = search.best_estimator_
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(found)).predict(X), found.predict(X))
    two = [fused().fit(X, NAMES).predict_proba(X) for _ in range(2)]
    np.testing.assert_array_equal(*two)
    table = pd.DataFrame(X, columns=[f"band {i}" for i in range(8)])
    with pytest.raises(ValueError, match="feature names should match"):
        fused().fit(table, NAMES).predict(table.iloc[:, ::-1])


@pytest.mark.parametrize(
    ("estimators", "parameters", "error", "message"),
    [
        ([("one", GaussianNB())], {}, ValueError, "must name at least two members"),
        ([GaussianNB(), GaussianNB()], {}, ValueError, "must name at least two members"),
        ([("a", GaussianNB()), ("b", LinearSVC())], {}, TypeError, "'b', .* no probabilities"),
        ([("a", GaussianNB()), ("b", "drop")], {}, TypeError, "'b', 'drop', gives no prob"),
        ([("a", GaussianNB()), ("a", GaussianNB())], {}, ValueError, "Names provided are not"),
        (None, {"weights": [1, 1, 1]}, ValueError, "weights must be 2 numbers of at least 0"),
        (None, {"weights": [0, 0]}, ValueError, "not all 0"),
        (None, {"weights": "best"}, InvalidParameterError, "weights"),
        (None, {"validation_fraction": 0.001}, ValueError, "leaves no sample of"),
        (
            [("a", FrozenEstimator(GaussianNB())), ("b", GaussianNB())],
            {}, NotFittedError, "not fitted",
        ),
        (
            [("a", FrozenEstimator(GaussianNB().fit(X, Y))), ("b", GaussianNB())],
            {}, ValueError, r"'a' knows \[0, 1, 2\], the others, or y, \['alunite'",
        ),
    ],
)  # fmt: skip
def test_what_cannot_be_fused_is_refused_before_any_training(
    monkeypatch, estimators, parameters, error, message
):
    model = fused().fit(X, NAMES)
    before = dict(vars(model))
    model.set_params(**parameters)
    if estimators is not None:
        model.estimators = estimators
    changed = dict(vars(model))
    monkeypatch.setattr(_fused, "_fit", lambda *_: pytest.fail("trained"))
    with pytest.raises(error, match=message):
        model.fit(X, NAMES)
    assert vars(model) == changed
    assert {"voting_", "weights_"} <= before.keys()


def test_weights_that_a_member_does_not_take_are_refused():
    from sklearn.neighbors import KNeighborsClassifier

    model = FusedClassifier([("own", make_own()), ("near", KNeighborsClassifier())])
    with pytest.raises(ValueError, match="KNeighborsClassifier takes none in fit"):
        model.fit(X, NAMES, sample_weight=np.ones(len(X)))
