"""A fit that ends early, at whatever moment, leaves the old model whole, or none at all."""

import sys
import warnings

import numpy as np
import pytest
import sklearn
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.validation import check_is_fitted
from skorch import NeuralNetClassifier
from torch import nn

from sklearn_capoz import CAPoZPruner, CAPoZPrunerCV, PrunedMLPClassifier, pruning_path
from sklearn_capoz.criteria import Criterion
from sklearn_capoz.thresholds import Count

RNG = np.random.RandomState(0)
#: What the old model was trained on, and what the fit that ends early is given.
OLD = RNG.randn(60, 5), np.arange(60) % 2
NEW = RNG.randn(60, 3), np.array(["alunite", "calcite", "kaolinite"])[np.arange(60) % 3]

PRUNE = {"threshold": Count(1), "n_iterations": 2, "retrain_max_iter": 2, "random_state": 0}


def classifier(**changes):
    return PrunedMLPClassifier((4,), max_iter=3, **(PRUNE | changes))


def pruner(**changes):
    return CAPoZPruner(MLPClassifier((4,), max_iter=3, random_state=0), **(PRUNE | changes))


def search():
    return CAPoZPrunerCV(classifier(), thresholds=[Count(1)], max_iterations=1, cv=2)


def search_of_a_pipeline():
    pipeline = make_pipeline(StandardScaler(), classifier())
    return CAPoZPrunerCV(pipeline, thresholds=[Count(1)], max_iterations=1, cv=2)


MAKERS = {maker.__name__: maker for maker in (classifier, pruner, search, search_of_a_pipeline)}


@pytest.fixture(autouse=True)
def quiet():
    # An interrupt may come while scikit-learn puts its settings back.
    with warnings.catch_warnings(), sklearn.config_context():
        warnings.simplefilter("ignore")
        yield


#: From Python 3.14 on it locks the list of filters by functions in Python. What is raised between
#: taking and releasing would leave the lock of this process closed to all other threads. And numba
#: catches a ValueError while it looks at types, and goes on with a type that it cannot compile.
ELSEWHERE = ("warnings", "_py_warnings", "numba")


class Interrupter:
    """Raises at the k-th call of a Python or C function, or at the next that is not `ELSEWHERE`."""

    def __init__(self, moment=None, error=KeyboardInterrupt):
        self.moment, self.error, self.calls, self.raised = moment, error, 0, None

    def __call__(self, frame, event, argument):
        if event in ("call", "c_call"):
            self.calls += 1
            due = self.moment is not None and self.calls >= self.moment and self.raised is None
            package = (frame.f_globals.get("__name__") or "").partition(".")[0]
            if due and package not in ELSEWHERE:
                self.raised = self.error("at a random moment")
                raise self.raised

    def fit(self, model):
        """Return whether the fit came to its end."""
        sys.setprofile(self)
        try:
            model.fit(*NEW)
        except BaseException as error:
            if not self.is_behind(error):
                raise
            return False
        finally:
            sys.setprofile(None)
        return True

    def is_behind(self, error):
        """Whether `error` is of the kind raised here, or what a library made of it on its way up.

        pandas makes a TypeError of a ValueError; a search tells of its failed candidates itself.
        """
        while error is not None:
            if error is self.raised or isinstance(error, self.error):
                return True
            error = error.__cause__ or error.__context__
        return False


def assert_as_before(model, before, predictions):
    assert vars(model).keys() == before.keys()
    assert all(value is before[name] for name, value in vars(model).items())
    np.testing.assert_array_equal(model.predict_proba(OLD[0]), predictions)
    with pytest.raises(ValueError, match="features"):
        model.predict(np.tile(NEW[0], (5, 1)))


def assert_not_fitted(model):
    with pytest.raises(NotFittedError):
        check_is_fitted(model)
    for method in (model.predict, model.predict_proba, model.predict_log_proba):
        with pytest.raises(NotFittedError):
            method(NEW[0])
    with pytest.raises(NotFittedError):
        model.score(*NEW)
    for name in ("history_", "network_", "net_", "estimator_", "best_estimator_", "classes_"):
        if not hasattr(type(model), "net_") and name == "net_":
            continue
        with pytest.raises((NotFittedError, AttributeError)):
            getattr(model, name)


def assert_new(model):
    assert model.n_features_in_ == 3
    assert model.classes_.tolist() == sorted(set(NEW[1]))
    assert model.predict_proba(NEW[0]).shape == (60, 3)
    assert set(model.predict(np.tile(NEW[0], (5, 1)))) <= set(NEW[1])


#: Moments to try, of each error and each on a fitted and on a new model; searches are slower.
MOMENTS = {"classifier": 50, "pruner": 50, "search": 25, "search_of_a_pipeline": 8}


# The moment may lie in a generator that is being closed, where Python can tell nobody.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError])
@pytest.mark.parametrize("name", MAKERS)
def test_an_end_at_a_random_moment(name, error):
    make = MAKERS[name]
    make().fit(*NEW)  # compiled and imported, which is no moment of a fit
    whole_fit = Interrupter()
    assert whole_fit.fit(make())
    old = make().fit(*OLD)
    before, predictions = dict(vars(old)), old.predict_proba(OLD[0])
    n_early = 0
    for moment in np.random.RandomState(0).randint(1, whole_fit.calls, size=MOMENTS[name]):
        for model in (old, make()):
            came_to_its_end = Interrupter(moment, error).fit(model)
            n_early += not came_to_its_end
            is_new = "n_features_in_" in vars(model) and model.n_features_in_ == 3
            if came_to_its_end or is_new:  # or it ended between the last step and the return
                assert_new(model)
                old = make().fit(*OLD)
                before = dict(vars(old))
            elif model is old:
                assert_as_before(old, before, predictions)
            else:
                assert_not_fitted(model)
    assert n_early > 2


FAILURES = {
    "X_val without y_val": {"X_val": NEW[0]},
    "weights of other length": {"sample_weight": np.ones(7)},
    "NaN": {"X": np.full((60, 3), np.nan)},
    "unknown label in y_val": {"X_val": NEW[0], "y_val": np.full(60, "quartz")},
    "other columns in X_val": {"X_val": OLD[0], "y_val": NEW[1]},
}


@pytest.mark.parametrize("arguments", FAILURES.values(), ids=FAILURES)
@pytest.mark.parametrize("make", [classifier, pruner])
def test_bad_input_leaves_the_old_model(make, arguments):
    model, fresh = make().fit(*OLD), make()
    before, predictions = dict(vars(model)), model.predict_proba(OLD[0])
    for each in (model, fresh):
        with pytest.raises(ValueError, match=r"."):
            each.fit(**({"X": NEW[0], "y": NEW[1]} | arguments))
    assert_as_before(model, before, predictions)
    assert_not_fitted(fresh)


@pytest.mark.parametrize("name", MAKERS)
def test_divergence_leaves_the_old_model(name):
    model = MAKERS[name]().fit(*OLD)
    before, predictions = dict(vars(model)), model.predict_proba(OLD[0])

    class Exploding(Criterion):
        def score(self, layer):
            raise FloatingPointError("diverged")

    if isinstance(model, CAPoZPrunerCV):
        model.criteria = [Exploding()]
        before["criteria"] = model.criteria
    else:
        model.criterion = Exploding()
        before["criterion"] = model.criterion
    with pytest.raises((FloatingPointError, ValueError)):
        model.fit(*NEW)
    assert_as_before(model, before, predictions)


def test_a_path_changes_nothing():
    model = classifier().fit(*OLD)
    before, predictions = dict(vars(model)), model.predict_proba(OLD[0])
    pruning_path(model, *NEW)
    with pytest.raises(ValueError, match="belong together"):
        pruning_path(model, *NEW, X_val=NEW[0])
    assert_as_before(model, before, predictions)


def test_names_of_columns_go_with_the_table(recwarn):
    import pandas as pd

    model = classifier().fit(pd.DataFrame(OLD[0]).add_prefix("band "), OLD[1])
    assert model.feature_names_in_.size == 5
    assert not hasattr(model.fit(*NEW), "feature_names_in_")


def test_a_search_without_a_refit_forgets_the_one_before():
    model = search().fit(*OLD).set_params(refit=False).fit(*NEW)
    assert not hasattr(model, "best_estimator_")
    with pytest.raises(NotFittedError):
        model.predict(NEW[0])


def net():
    return NeuralNetClassifier(
        nn.Sequential(nn.Linear(5, 4), nn.ReLU(), nn.Linear(4, 2)),
        criterion=nn.CrossEntropyLoss,
        max_epochs=2,
        train_split=None,
        verbose=0,
    )


@pytest.mark.parametrize(
    ("model", "shown"),
    [
        (classifier(), "net_"),
        (classifier(callbacks=[]), "net_"),
        (pruner(), "estimator_"),
        (CAPoZPruner(net(), **PRUNE), "estimator_"),
        (CAPoZPruner(classifier(), **PRUNE), "estimator_"),
    ],
    ids=["classifier", "classifier, skorch", "pruner", "pruner, net", "pruner, classifier"],
)
def test_one_network_one_truth(model, shown):
    """What is shown is a copy: training it moves it, and not the model."""
    model = clone(model).fit(OLD[0].astype(np.float32), OLD[1])
    X = np.tile(OLD[0], (5, 1)).astype(np.float32)  # 300 rows are predicted by compiled code
    labels, few = model.predict_proba(X), model.predict_proba(X[:60])
    np.testing.assert_allclose(labels[:60], few, atol=1e-6)
    copy = getattr(model, shown)
    assert copy is not getattr(model, shown)
    if hasattr(copy, "partial_fit"):
        first = copy.predict_proba(X)
        for _ in range(20):
            copy.partial_fit(X[:60], OLD[1])
        assert not np.array_equal(copy.predict_proba(X), first)
    else:
        copy.fit(X[:60], 1 - OLD[1])
    np.testing.assert_array_equal(model.predict_proba(X), labels)
    np.testing.assert_array_equal(model.predict_proba(X[:60]), few)
    np.testing.assert_allclose(getattr(model, shown).predict_proba(X), labels, atol=1e-6)


def test_the_arrays_of_a_network_cannot_be_written_to():
    model = classifier().fit(*OLD)
    with pytest.raises(ValueError, match="read-only"):
        model.network_.weights[0][:] = 0


def test_class_weights_that_are_none():
    for weights, message in [
        ({"alunite": -1}, r"class_weight\['alunite'\] must be a finite number of at least 0"),
        ({"alunite": np.nan}, r"class_weight\['alunite'\] must be a finite"),
        ({"alunite": "much"}, r"class_weight\['alunite'\] must be a finite"),
        ({"quartz": 2.0}, "class_weight names 'quartz', which is not among the labels in y"),
        (
            {"alunite": 1, "calcite": 1, "kaolinite": 1, "quartz": 2.0},
            "class_weight names 'quartz'",
        ),
    ]:
        for model in (
            classifier(class_weight=weights),
            CAPoZPruner(classifier(class_weight=weights)),
        ):
            with pytest.raises(ValueError, match=message):
                model.fit(*NEW)


class Small(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 3))

    def forward(self, X):
        return self.layers(X)


def test_a_training_of_skorchs_loop_that_diverges_is_an_error():
    """Without one, NaN weights predict one class for all, and a good model is lost."""
    X, y = OLD
    model = classifier(callbacks=[], n_iterations=1).fit(X, y)
    predictions = model.predict_proba(X)
    before = dict(vars(model.set_params(solver="sgd", learning_rate_init=1e200)))
    with pytest.raises(ValueError, match=r"not finite: it diverges.* smaller learning rate"):
        model.fit(X, y)
    assert_as_before(model, before, predictions)
    net = NeuralNetClassifier(
        Small, criterion=nn.CrossEntropyLoss, lr=1e30, max_epochs=3, train_split=None, verbose=0
    )
    with pytest.raises(ValueError, match="not finite: it diverges"):
        CAPoZPruner(net, **PRUNE).fit(NEW[0].astype("float32"), np.arange(60) % 3)


@pytest.mark.parametrize("missing", [np.nan, None])
def test_groups_with_missing_values_are_refused(missing):
    groups = np.array([missing, *np.arange(59)], dtype=object)
    with pytest.raises(ValueError, match="groups holds 1 missing value"):
        classifier().fit(*OLD, groups=groups)
