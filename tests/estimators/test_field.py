"""Training for the field: what is expected, held out, searched and kept."""

import pickle

import numpy as np
import pandas as pd
import pytest
import sklearn
from sklearn.base import clone
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_capoz import CAPoZPruner, FieldTrainedClassifier, PrunedMLPClassifier
from sklearn_capoz.datasets import CUPRITE_MINERALS, FieldShift, load_usgs_minerals
from sklearn_capoz.estimators._field_library import FieldLibrary, hold_out
from sklearn_capoz.spectral import ContinuumRemoval, SpectrumStandardizer

TABLE = load_usgs_minerals()
ROWS = np.isin(TABLE.target_names[TABLE.target], CUPRITE_MINERALS)
BANDS = (TABLE.wavelengths >= 2000) & (TABLE.wavelengths < 2500)
NM, X = TABLE.wavelengths[BANDS], TABLE.data[ROWS][:, BANDS]
Y = TABLE.target_names[TABLE.target][ROWS]
SHAPES = ContinuumRemoval(NM), SpectrumStandardizer()
INNER = make_pipeline(*SHAPES, LinearDiscriminantAnalysis(solver="lsqr", shrinkage=0.1))


def model(**settings):
    given = {"wavelengths": NM, "n_samples": 700, "cv": None, "random_state": 0, **settings}
    return FieldTrainedClassifier(given.pop("estimator", INNER), **given)


def test_it_knows_its_library_in_other_light():
    fitted = model().fit(X, Y)
    assert (fitted.predict(0.5 * X * np.linspace(0.9, 1.1, 50)) == Y).mean() > 0.9
    assert fitted.classes_.tolist() == sorted(CUPRITE_MINERALS)
    np.testing.assert_allclose(fitted.predict_proba(X).sum(axis=1), 1)
    assert fitted.decision_function(X).shape == (len(X), 7)
    assert fitted.score(X, Y) > 0.9
    assert fitted.expected_accuracy_ is None


def test_what_to_expect_stands_beside_matching():
    fitted = model(cv=3).fit(X, Y)
    table = fitted.expected_accuracy_
    assert list(table.index) == ["mild", "middle", "strong"]
    columns = ["overall", "balanced", "matching_overall", "matching_balanced"]
    assert list(table.columns) == columns
    assert ((table > 0.2) & (table < 1)).all(axis=None)
    assert (table.loc["mild"] > table.loc["strong"]).all()
    assert fitted.not_held_out_.tolist() == ["Calcite", "Chalcedony", "Halloysite"]
    recall = fitted.expected_recall_
    shifts = ["mild", "middle", "strong"]
    assert list(recall.columns) == [*shifts, *(f"matching_{shift}" for shift in shifts)]
    assert recall.index.tolist() == sorted(CUPRITE_MINERALS)
    np.testing.assert_allclose(recall[shifts].mean(), table["balanced"])
    np.testing.assert_allclose(recall.iloc[:, 3:].mean(), table["matching_balanced"])
    assert repr(fitted.trust_).startswith("FieldTrust(13 records of 7 classes")
    # What is told changes nothing of what is trained.
    np.testing.assert_array_equal(fitted.predict_proba(X), model().fit(X, Y).predict_proba(X))


def test_trainings_show_how_far_they_are(capsys):
    model(cv=2, verbose=True).fit(X, Y)
    assert "4/4" in capsys.readouterr().err  # the model, twice without some samples, and trust
    model(cv=2).fit(X, Y)
    assert capsys.readouterr().err == ""


def test_samples_are_held_out_together():
    y = np.array(list("aaaabbbcc"))
    groups = np.array([0, 0, 1, 2, 3, 4, 4, 5, 5])
    library = FieldLibrary(np.zeros((9, 3)), y, groups, NM[:3])
    masks, alone = hold_out(library, 2, np.random.RandomState(0))
    masks = np.array(list(masks))
    np.testing.assert_array_equal(masks.sum(axis=0), 1)
    for group in range(6):
        assert len(np.unique(masks[:, groups == group], axis=1).T) == 1
    assert alone.tolist() == ["c"]
    for label in "ab":
        assert masks[:, y == label].any(axis=1).all()  # both folds train and test it


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_pruners_and_pipelines_of_them():
    network = PrunedMLPClassifier((12,), max_iter=5, retrain_max_iter=2, n_iterations=1)
    steps = *SHAPES, StandardScaler()
    for inner in (network, CAPoZPruner(PrunedMLPClassifier((12,), max_iter=5), n_iterations=1)):
        fitted = model(estimator=make_pipeline(*steps, inner)).fit(X, Y)
        again = clone(fitted).fit(X, Y)
        np.testing.assert_array_equal(fitted.predict_proba(X), again.predict_proba(X))
        restored = pickle.loads(pickle.dumps(fitted))
        np.testing.assert_array_equal(fitted.predict(X), restored.predict(X))
        assert set(fitted.predict(X)) <= set(CUPRITE_MINERALS)


def test_the_default_is_a_pruned_network():
    fitted = model(estimator=None).fit(X, Y)
    assert isinstance(fitted.estimator_[-1], PrunedMLPClassifier)
    assert (fitted.predict(X) == Y).mean() > 0.7
    assert hasattr(fitted, "predict_proba")
    assert not hasattr(fitted, "decision_function")


def test_a_search_reaches_the_inner_settings():
    grid = {
        "estimator__lineardiscriminantanalysis__shrinkage": [1.0, 0.1],
        "shift": ["mild", FieldShift()],
    }
    search = GridSearchCV(model(n_samples=140), grid, cv=[(np.arange(len(Y)), np.arange(len(Y)))])
    search.fit(X, Y)
    assert search.best_params_["estimator__lineardiscriminantanalysis__shrinkage"] == 0.1
    assert search.best_estimator_.predict(X).shape == Y.shape
    nested = clone(model()).set_params(estimator__lineardiscriminantanalysis__shrinkage=0.3)
    assert nested.estimator[-1].shrinkage == 0.3


def test_groups_are_routed():
    with sklearn.config_context(enable_metadata_routing=True):
        routed = model(cv=2).set_fit_request(groups=True)
        search = GridSearchCV(routed, {"n_samples": [70]}, cv=[(np.arange(len(Y)),) * 2])
        search.fit(X, Y, groups=np.arange(len(Y)))
        assert search.best_estimator_.expected_accuracy_ is not None


def test_names_and_order_of_bands():
    frame = pd.DataFrame(X, columns=[f"{nm:g} nm" for nm in NM])
    inner = make_pipeline(
        ContinuumRemoval(),
        SpectrumStandardizer(),
        LinearDiscriminantAnalysis(solver="lsqr", shrinkage=0.1),
    )
    named = model(estimator=inner, wavelengths=None, cv=2).fit(frame, Y)
    np.testing.assert_array_equal(named.predict_proba(frame), model().fit(X, Y).predict_proba(X))
    assert list(named.feature_names_in_) == list(frame.columns)
    backwards = make_pipeline(ContinuumRemoval(NM[::-1]), *INNER[1:])
    turned = model(estimator=backwards, wavelengths=NM[::-1] / 1000, fwhm=0.01)
    turned.fit(X[:, ::-1], Y)
    straight = model(fwhm=10.0).fit(X, Y)
    np.testing.assert_allclose(
        turned.predict_proba(X[:, ::-1]), straight.predict_proba(X), atol=1e-3
    )


def test_one_seed_gives_one_model_and_leaves_the_callers_alone():
    before = np.random.get_state()[1].copy()
    one = model().fit(X, Y).predict_proba(X)
    np.testing.assert_array_equal(model().fit(X, Y).predict_proba(X), one)
    assert not np.array_equal(model(random_state=1).fit(X, Y).predict_proba(X), one)
    np.testing.assert_array_equal(np.random.get_state()[1], before)


def test_a_failed_fit_leaves_the_old_model():
    with pytest.raises(NotFittedError):
        model().predict(X)
    fitted = model().fit(X, Y)
    old = fitted.predict_proba(X)
    with pytest.raises(ValueError, match="in percent"):
        fitted.fit(100 * X, Y)
    with pytest.raises(ValueError, match="one value for each of the 3 bands"):
        fitted.fit(X[:, :3], Y)
    np.testing.assert_array_equal(fitted.predict_proba(X), old)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"shift": "huge"}, "'shift' parameter"),
        ({"cv": 1}, "'cv' parameter"),
        ({"n_samples": 3}, "n_samples=3 spectra leave none for some of the 7 classes"),
        ({"estimator": StandardScaler()}, "'estimator' parameter"),
        ({"wavelengths": NM[:3]}, "one value for each of the 50 bands"),
        ({"wavelengths": None}, "The wavelengths of the bands are not known"),
        ({"wavelengths": np.full(50, 2200.0)}, "must be ascending"),
    ],
)
def test_impossible_wishes_are_named(settings, message):
    with pytest.raises(ValueError, match=message):
        model(**settings).fit(X, Y)
