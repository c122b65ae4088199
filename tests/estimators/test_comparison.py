"""A comparison is what a careful person would do by hand, and no more."""

from dataclasses import replace

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import make_classification
from sklearn.model_selection import GroupKFold, KFold
from sklearn.neural_network import MLPClassifier

from sklearn_capoz import CAPoZPruner, PrunedMLPClassifier, compare_pruning, pruning_path
from sklearn_capoz.displays import TradeOffDisplay
from sklearn_capoz.estimators import _comparison
from sklearn_capoz.schedules import Widths

X, y = make_classification(120, n_informative=6, n_classes=3, random_state=0)
SHORT = {"hidden_layer_sizes": (10,), "max_iter": 8, "retrain_max_iter": 4}
STEPS = {"schedule": Widths((6, 3)), "n_iterations": 2}
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def pruned(**parameters):
    return PrunedMLPClassifier(**SHORT | STEPS | parameters)


def methods():
    scratch = PrunedMLPClassifier(n_iterations=0, max_iter=16)
    return {
        "c-apoz": pruned(),
        "random": pruned(criterion="random"),
        "scratch": [clone(scratch).set_params(hidden_layer_sizes=(n,)) for n in (10, 6, 3)],
    }


def test_runs_hold_every_network_of_every_repeat():
    found = compare_pruning(methods(), X, y, cv=3, random_state=0)
    runs = found.runs
    assert len(runs) == 3 * 3 * 3
    assert runs.groupby("method")["n_units"].unique().map(sorted).tolist() == [[3, 6, 10]] * 3
    one = runs[(runs["method"] == "c-apoz") & (runs["n_units"] == 6)].iloc[0]
    # 20 features, 6 units, 3 classes.
    assert one["n_parameters"] == 20 * 6 + 6 + 6 * 3 + 3
    assert one["n_epochs"] == 8 + 4
    tests = found.test("random")
    assert tests[["n_units", "method"]].values.tolist() == [
        [n, name] for n in (10, 6, 3) for name in ("c-apoz", "scratch")
    ]


def test_a_repeat_is_the_path_on_its_samples_with_its_seed():
    cv = KFold(2, shuffle=True, random_state=0)
    found = compare_pruning({"a": pruned()}, X, y, cv=cv, random_state=3).runs
    seed = np.random.RandomState(3).randint(np.iinfo(np.int32).max, size=2)[0]
    train, test = next(cv.split(X, y))
    path = pruning_path(pruned(random_state=int(seed)), X[train], y[train])
    scores = [model.score(X[test], y[test]) for model in path.estimators]
    assert found.loc[found["repeat"] == 0, "score"].tolist() == scores


def test_methods_of_one_repeat_share_the_dense_network():
    runs = compare_pruning(methods(), X, y, cv=3, random_state=0).runs
    dense = runs[(runs["iteration"] == 0) & (runs["n_units"] == 10)].pivot(
        index="repeat", columns="method", values="score"
    )
    np.testing.assert_array_equal(dense["c-apoz"], dense["random"])


def test_jobs_change_nothing_and_the_estimators_stay():
    given = methods()
    one = compare_pruning(given, X, y, cv=2, random_state=0).runs
    two = compare_pruning(given, X, y, cv=2, random_state=0, n_jobs=2).runs
    np.testing.assert_array_equal(one["score"], two["score"])
    assert given["c-apoz"].random_state is None
    assert not hasattr(given["c-apoz"], "network_")


def test_other_pruners_scorers_and_ten_splits_by_default():
    pruner = CAPoZPruner(MLPClassifier((10,), max_iter=5), retrain_max_iter=2, **STEPS)
    found = compare_pruning({"mlp": pruner}, X, y, scoring="balanced_accuracy", random_state=0)
    assert found.runs["repeat"].nunique() == 10
    assert (found.summary()["n_repeats"] == 10).all()


def test_groups_reach_the_splitter_and_the_pruner():
    groups, folds = np.repeat(np.arange(12), 10), GroupKFold(2)
    method = {"a": pruned(criterion="l1")}
    told = compare_pruning(method, X, y, cv=folds, groups=groups, random_state=0).runs
    untold = compare_pruning(method, X, y, cv=folds.split(X, y, groups), random_state=0).runs
    # The same folds, but a pruner that knows of groups sets other samples aside.
    assert (told["score"] != untold["score"]).any()


def test_latex_and_curves():
    found = compare_pruning(methods(), X, y, cv=2, random_state=0)
    rows = found.to_latex().splitlines()
    assert "10 & 6 & 3" in rows[2]
    assert [row.split(" & ")[0] for row in rows[4:7]] == ["c-apoz", "random", "scratch"]
    assert rows[4].count("±") == 3
    display = TradeOffDisplay(found.curves(), size="n_units", controls=["random", "scratch"])
    points = display.summary.groupby("criterion")
    # Each network from scratch is a point, as each iteration of a path is.
    assert points["n_units"].unique().map(sorted).to_dict() == {
        name: [3, 6, 10] for name in methods()
    }
    assert set(display.summary["n_repeats"]) == {2}


def test_a_path_that_ends_early_in_one_repeat():
    found = compare_pruning(methods(), X, y, cv=3, random_state=0)
    runs = found.runs
    stalled = (runs["repeat"] == 1) & (runs["method"] == "c-apoz") & (runs["n_units"] == 3)
    found = replace(found, runs=runs[~stalled])
    with pytest.warns(UserWarning, match=r"n_units are left out.*: 3 \(not of 'c-apoz'\)"):
        tests = found.test("random")
    assert tests["n_units"].unique().tolist() == [10, 6]
    assert found.summary()["n_repeats"][("c-apoz", 3)] == 2


def test_a_single_repeat_has_no_spread():
    found = compare_pruning(methods(), X, y, cv=2, random_state=0)
    one = replace(found, runs=found.runs[found.runs["repeat"] == 0])
    assert "nan" not in one.to_latex()
    assert "±" not in one.to_latex()
    assert (one.test("random")["p"] == 1).all()


def test_networks_of_one_size_and_repeat_count_once():
    found = compare_pruning({"a": [pruned(n_iterations=0)] * 2}, X, y, cv=2, random_state=0)
    assert found.summary()["n_repeats"].tolist() == [2]
    for ask in (found.summary, found.to_latex):
        with pytest.raises(ValueError, match="size must be a column of runs"):
            ask("width")


@pytest.mark.parametrize(
    ("others", "parameters", "message"),
    [
        ({"b": pruned(threshold="most")}, {}, "threshold='most' is not known"),
        ({"b": pruned(schedule=Widths([(6, 6)]))}, {}, "Widths names 2"),
        ({"b": []}, {}, "'b' is an empty list"),
        ({}, {"cv": []}, "cv has no split"),
        ({}, {"scoring": "best"}, "scoring"),
        ({}, {"scoring": ["accuracy"]}, "The 'scoring' parameter of compare_pruning"),
    ],
)
def test_what_is_wrong_is_refused_before_any_training(monkeypatch, others, parameters, message):
    monkeypatch.setattr(_comparison, "pruning_path", lambda *_, **__: pytest.fail("trained"))
    with pytest.raises(ValueError, match=message):
        compare_pruning({"a": pruned()} | others, X, y, **parameters)


def test_nothing_to_compare():
    with pytest.raises(ValueError, match="methods is empty"):
        compare_pruning({}, X, y)
    with pytest.raises(ValueError, match="The 'methods' parameter"):
        compare_pruning([pruned()], X, y)
    with pytest.raises(ValueError, match="y holds 1 missing labels"):
        compare_pruning({"a": pruned()}, X, [*y[:-1].astype(str), None])
    found = compare_pruning({"a": pruned(criterion="l1")}, X, y, cv=2, random_state=0)
    with pytest.raises(ValueError, match="'a' is the only method"):
        found.test("a")
