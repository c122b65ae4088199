"""compress: a file that fits its budget, the way to it, and what cannot be had."""

import warnings

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import make_classification
from sklearn.decomposition import PCA
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_capoz import CAPoZPruner, PrunedMLPClassifier
from sklearn_capoz.deploy import compress, load_model, save_model
from sklearn_capoz.displays import TradeOffDisplay
from sklearn_capoz.exceptions import (
    PruningInterruptedWarning,
    SmallDataWarning,
    UnsupportedNetworkError,
)
from sklearn_capoz.export import _compress, _compress_moves
from sklearn_capoz.schedules import Gradual

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

X, CODES = make_classification(
    400, 20, n_informative=8, n_classes=3, class_sep=2, shuffle=False, random_state=0
)
Y = np.array(["alunite", "calcite", "kaolinite"])[CODES]


def network(**parameters):
    quick = {"max_iter": 20, "retrain_max_iter": 3, "learning_rate_init": 0.01, "random_state": 0}
    return PrunedMLPClassifier((16,), **(quick | parameters))


@pytest.mark.parametrize("budget", [4000, 2500, 2000, 1600])
@pytest.mark.parametrize("scaled", [False, True])
def test_the_file_fits(budget, scaled, tmp_path):
    estimator = make_pipeline(StandardScaler(), network()) if scaled else network()
    found = compress(estimator, X, Y, budget=budget)
    save_model(found.estimator, tmp_path / "m.capoz")
    assert (tmp_path / "m.capoz").stat().st_size == found.trace["n_bytes"].iloc[-1] <= budget
    assert (found.trace["n_bytes"].iloc[:-1] > budget).all()
    loaded = load_model(tmp_path / "m.capoz")
    np.testing.assert_array_equal(loaded.predict(X), found.estimator.predict(X))
    assert set(found.estimator.predict(X)) <= set(Y)


@pytest.mark.parametrize("scaled", [False, True])
def test_an_input_that_never_changes_does_not_stand_in_the_way(scaled):
    """Hull quotients are 1 at the first band and the last."""
    ends = np.c_[np.ones(len(X)), X, np.ones(len(X))]
    estimator = make_pipeline(StandardScaler(), network()) if scaled else network()
    found = compress(estimator, ends, Y, budget=1800)
    assert found.trace["n_bytes"].iloc[-1] <= 1800
    with pytest.raises(ValueError, match="budget"):
        compress(estimator, ends, Y, budget=100)


@pytest.mark.parametrize("seed", range(3))
def test_what_is_said_to_be_enough_is_so(seed):
    """With a PCA as well, which goes into the network although components go."""
    of = network(criterion="l1", random_state=seed)
    for estimator in (of, make_pipeline(StandardScaler(), PCA(6, whiten=True), of)):
        with pytest.raises(ValueError, match="is below") as error:
            compress(estimator, X, Y, budget=1)
        least = int(str(error.value).split("up to ")[1].split()[0].replace(",", ""))
        assert least < 1200
        assert compress(estimator, X, Y, budget=least).trace["n_bytes"].iloc[-1] <= least


def test_the_trace_tells_each_step():
    trace = compress(network(), X, Y, budget=1800).trace
    assert trace["move"].iloc[0] == "dense"
    assert set(trace["move"].iloc[1:]) <= {"units", "inputs", "connections", "bits"}
    assert (trace["n_bytes"].diff().iloc[1:] < 0).all()
    np.testing.assert_allclose(trace["error"], 1 - trace["accuracy"])
    assert (trace["n_units"].iloc[0], trace["n_inputs"].iloc[0]) == (16, 20)
    for move, column in (("units", "n_units"), ("inputs", "n_inputs"), ("bits", "bits")):
        changed = trace[column].diff().iloc[1:] != 0
        assert (changed == (trace["move"].iloc[1:] == move)).all()
    sparser = trace["n_connections"].diff().iloc[1:] < 0
    assert (sparser == (trace["move"].iloc[1:] != "bits")).all()


def cut_only(monkeypatch, *turns):
    """Let each step try the cuts of its turn, the last one for all that follow."""
    cuts, left = _compress_moves._cuts, list(turns)

    def cuts_of_turn(plan):
        names = left.pop(0) if len(left) > 1 else left[0]
        return [cut for cut in cuts(plan) if cut[0] in names]

    monkeypatch.setattr(_compress_moves, "_cuts", cuts_of_turn)
    monkeypatch.setattr(_compress_moves, "_BITS", (32,))


def test_connections_go_and_stay_zero(monkeypatch):
    cut_only(monkeypatch, ["connections"])
    found = compress(network(), X.astype(np.float32), Y, budget=2000)
    assert set(found.trace["move"].iloc[1:]) == {"connections"}
    assert set(found.trace["n_inputs"]) == {20}
    assert set(found.trace["n_units"]) == {16}
    there = [np.count_nonzero(weight) for weight in found.estimator.network_.weights]
    assert sum(there) == found.trace["n_connections"].iloc[-1] < 20 * 16 + 16 * 3
    assert min(there) > 0
    n_biases = 16 + 3
    assert (found.trace["n_parameters"] == found.trace["n_connections"] + n_biases).all()


def test_inputs_and_units_go_from_what_is_sparse(monkeypatch):
    # Least squares would make up for a unit with weights that are gone.
    sparse = network(compensation="least-squares", criterion="reconstruction")
    cut_only(monkeypatch, ["connections"], ["units"], ["inputs"], ["connections"])
    found = compress(sparse, X.astype(np.float32), Y, budget=1400)
    trace = found.trace
    assert trace["move"].iloc[1:5].tolist() == ["connections", "units", "inputs", "connections"]
    assert (trace["n_connections"].diff().iloc[1:] < 0).all()
    assert found.estimator.predict(X).shape == (400,)


def test_a_schedule_that_would_cut_while_training_is_not_asked():
    cutting = network(schedule=Gradual(0.5, epochs=(1, 9)), criterion="l1")
    found, plain = (
        compress(e, X, Y, budget=1800).trace for e in (cutting, network(criterion="l1"))
    )
    pd.testing.assert_frame_equal(found.drop(columns="seconds"), plain.drop(columns="seconds"))


def test_the_last_cut_takes_no_more_than_it_must():
    trace = compress(network(), X, Y, budget=1300).trace
    last = trace.index[trace["move"].isin(["units", "inputs"])][0]
    before, after = trace["n_bytes"][last - 1], trace["n_bytes"][last]
    budget = int(before + after) // 2
    less = compress(network(), X, Y, budget=budget).trace
    assert after < less["n_bytes"].iloc[-1] <= budget


def test_the_same_twice_and_nothing_is_changed():
    estimator = make_pipeline(StandardScaler(), network())
    a, b = (compress(estimator, X.astype(np.float32), Y, budget=2000) for _ in range(2))
    pd.testing.assert_frame_equal(a.trace.drop(columns="seconds"), b.trace.drop(columns="seconds"))
    assert a.trace["bits"].iloc[0] == 32
    assert not hasattr(estimator[-1], "classes_")
    assert not hasattr(estimator[0], "mean_")


@pytest.mark.parametrize(
    "estimator",
    [
        MLPClassifier((12, 6), max_iter=15, random_state=0),
        CAPoZPruner(MLPClassifier((12,), max_iter=15, random_state=0), retrain_max_iter=2,
                    criterion="taylor", min_units=2, random_state=0),
    ],
)  # fmt: skip
def test_other_estimators_and_validation_data(estimator):
    rows = np.arange(len(X)) % 3 > 0
    X_val, y_val = X[~rows], Y[~rows]
    found = compress(estimator, X[rows], Y[rows], budget=1900, X_val=X_val, y_val=y_val)
    assert found.trace["n_bytes"].iloc[-1] <= 1900


def test_two_classes_weights_groups_and_a_table():
    table = pd.DataFrame(X, columns=[f"b{i}" for i in range(20)])
    y = CODES > 0
    weight = np.where(y, 1.0, 2.0)
    found = compress(
        network(), table, y, budget=1600, sample_weight=weight, groups=np.arange(400) // 4
    )
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        labels = found.estimator.predict(table)
    assert labels.dtype == bool
    with pytest.raises(ValueError, match="feature names"):
        found.estimator.predict(table.rename(columns={"b0": "other"}))


def test_no_sample_that_chooses_is_seen_by_the_steps(monkeypatch):
    seen = []

    class Watching(StandardScaler):
        def fit(self, X, y=None, sample_weight=None):
            seen.append(len(X))
            return super().fit(X, y, sample_weight)

    with pytest.raises(UnsupportedNetworkError, match="Watching"):  # no file holds it
        compress(make_pipeline(Watching(), network()), X, Y, budget=2000)
    assert seen == [320]


def test_refusals_come_before_training():
    long = network(max_iter=10**7)
    with pytest.raises(
        ValueError, match=r"500 bytes is below .*min_units=1 .* up to [\d,]+ bytes"
    ) as error:
        compress(long, X, Y, budget=500)
    least = int(str(error.value).split("up to ")[1].split()[0].replace(",", ""))
    assert compress(network(), X, Y, budget=least).trace["n_bytes"].iloc[-1] <= least
    with (
        pytest.warns(SmallDataWarning),
        pytest.raises(ValueError, match="leaves 10 samples to train on, and compress needs 20"),
    ):
        compress(long, X[::40], Y[::40], budget=5000)
    for budget in (0, 1.5, "2 kB"):
        with pytest.raises(ValueError, match="budget"):
            compress(long, X, Y, budget=budget)
    with pytest.raises(UnsupportedNetworkError, match="arrays"):
        compress(network(callbacks=[]), X, Y, budget=2000)
    with pytest.raises(ValueError, match="belong together"):
        compress(long, X, Y, budget=2000, X_val=X)
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        compress(long, X, Y[:-1], budget=2000)


def test_a_feature_that_never_changes():
    # As the hull quotient at the first band.
    constant = np.c_[np.ones(len(X)), X]
    assert compress(network(), constant, Y, budget=1700).trace["n_bytes"].iloc[-1] <= 1700


def test_an_interrupt_keeps_what_there_is(monkeypatch):
    moves_from, calls = _compress.moves_from, []

    def interrupted(*args):
        calls.append(args)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return moves_from(*args)

    monkeypatch.setattr(_compress, "moves_from", interrupted)
    with pytest.warns(PruningInterruptedWarning, match="above the budget of 1,000"):
        found = compress(network(), X, Y, budget=1000)
    assert len(found.trace) == 3
    assert found.estimator.predict(X).shape == (400,)


def test_drawn():
    import matplotlib

    matplotlib.use("Agg")
    found = compress(network(), X, Y, budget=2000)
    display = TradeOffDisplay.from_compressions({"one": found, "two": [found, found]})
    assert (display.ax_.get_xlabel(), display.ax_.get_ylabel()) == ("file / bytes", "error / %")
    assert display.ax_.get_yscale() == "log"
    line = display.lines_["one"].lines[0]
    order = np.argsort(found.trace["n_bytes"])
    np.testing.assert_allclose(line.get_xdata(), found.trace["n_bytes"].to_numpy()[order])
    np.testing.assert_allclose(line.get_ydata(), 100 * found.trace["error"].to_numpy()[order])
    with pytest.raises(ValueError, match="holds none"):
        TradeOffDisplay.from_compressions({})
    with pytest.raises(TypeError, match=r"must be a dict .* got a Compression"):
        TradeOffDisplay.from_compressions(found)
    with pytest.raises(ValueError, match="metric"):
        TradeOffDisplay(display.table, size="n_bytes", metric="loss")
