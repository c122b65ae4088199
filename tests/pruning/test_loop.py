"""The pruning loop: its records, its arithmetic and its ends."""

import pickle
from dataclasses import replace
from itertools import pairwise

import joblib
import numpy as np
import pytest

from sklearn_capoz.criteria import APoZ, CAPoZ, Criterion, Random, Reconstruction, WeightNorm
from sklearn_capoz.exceptions import PruningStalledWarning
from sklearn_capoz.pruning import (
    Remove,
    accuracy,
    history_table,
    prune_together,
)
from sklearn_capoz.pruning._dense_model import DenseModel
from sklearn_capoz.schedules import (
    Gradual,
    Iterative,
    MultiPass,
    OneShot,
    Schedule,
    Step,
    Widths,
)
from sklearn_capoz.thresholds import Count, FixedValue, Fraction, MeanStd, ThresholdRule


def test_the_papers_unit_ratios(walk):
    """METHOD's table 4: 22, 17, 13, 11, 9, 7 and 5 of 30 units."""
    records = walk((30,), schedule=Widths(), n_iterations=7)
    table = history_table(records)
    assert table["n_units"].tolist() == [30, 22, 17, 13, 11, 9, 7, 5]
    assert table["n_pruned_0"].tolist() == [0, 8, 5, 4, 2, 2, 2, 2]
    assert table["unit_ratio"].round(2).tolist() == [1, 1.36, 1.76, 2.31, 2.73, 3.33, 4.29, 6.0]
    # 4 features, 3 classes: 8 parameters per unit and 3 of the output.
    parameters = [8 * n + 3 for n in table["n_units"]]
    assert table["n_parameters"].tolist() == parameters
    assert table["n_bytes"].tolist() == [8 * n for n in parameters]
    np.testing.assert_allclose(table["parameter_ratio"], 243 / np.array(parameters))
    np.testing.assert_allclose(table["bytes_ratio"], table["parameter_ratio"])
    assert table["iteration"].tolist() == list(range(8))


def test_columns_are_plain_numbers(walk):
    table = history_table(walk((8, 5), max_iter=2))
    assert list(table.columns) == [
        *("iteration", "n_units", "n_parameters", "n_bytes", "n_multiply_adds"),
        *("unit_ratio", "parameter_ratio", "bytes_ratio"),
        *("n_units_0", "n_pruned_0", "threshold_0", "n_units_1", "n_pruned_1", "threshold_1"),
        *("accuracy_before", "accuracy_after", "n_epochs", "seconds"),
    ]
    assert {kind.kind for kind in table.dtypes} == {"i", "f"}
    assert (table["n_units"] == table["n_units_0"] + table["n_units_1"]).all()
    assert table["n_epochs"].tolist() == [0, 2, 2, 2]
    assert (table["seconds"] >= 0).all()


@pytest.mark.parametrize("criterion", [CAPoZ(), WeightNorm(), Random(), Reconstruction()])
@pytest.mark.parametrize("compensation", [None, "least-squares"])
def test_support_tells_which_units_of_the_dense_network_remain(criterion, compensation, walk):
    records = walk((8, 5), criterion=criterion, threshold=Fraction(0.3), compensation=compensation)
    dense = records[0].model.network
    for record in records:
        network, (first, second) = record.model.network, record.support
        assert network.widths == (first.sum(), second.sum())
        # Nothing was retrained: what goes into the first layer's units stays as it was.
        np.testing.assert_array_equal(network.weights[0], dense.weights[0][:, first])
        np.testing.assert_array_equal(network.biases[0], dense.biases[0][first])
        if compensation is None:
            np.testing.assert_array_equal(
                network.weights[1], dense.weights[1][np.ix_(first, second)]
            )
            np.testing.assert_array_equal(network.weights[2], dense.weights[2][second])
    for earlier, later in pairwise(records):
        for layer in (0, 1):
            assert not (later.support[layer] & ~earlier.support[layer]).any()
            gone = earlier.support[layer].sum() - later.support[layer].sum()
            assert later.n_pruned[layer] == gone > 0


class OftenAsked(Fraction):
    """Counts how often it decides."""

    def __init__(self, fraction=0.25):
        super().__init__(fraction)
        self.calls = []

    def prune(self, redundancy):
        self.calls.append(redundancy.size)
        return super().prune(redundancy)


@pytest.mark.parametrize("schedule", [MultiPass(), Iterative()])
def test_a_rule_decides_once_per_group_and_step(schedule, walk):
    """And once more for the table's last row, which no step follows."""
    rule = OftenAsked()
    records = walk((8, 5), threshold=rule, schedule=schedule, n_iterations=2)
    assert [r.model.widths for r in records] == [(8, 5), (6, 4), (5, 3)]
    assert rule.calls == [n for r in records for n in r.model.widths]


class Fickle(ThresholdRule):
    """A rule with another threshold each time that it is asked."""

    def __init__(self):
        self.asked = 0

    def prune(self, redundancy):
        self.asked += 1
        return redundancy > np.sort(redundancy)[-2], float(self.asked)


def test_the_threshold_in_the_table_is_that_of_the_cut(walk):
    records = walk((8,), threshold=Fickle(), criterion=WeightNorm(), n_iterations=2)
    assert [r.thresholds for r in records] == [(-1.0,), (-2.0,), (-3.0,)]
    assert [r.n_pruned for r in records] == [(0,), (1,), (1,)]


def test_a_group_that_is_cut_twice_in_an_iteration_shows_the_scores_of_its_whole_network(walk):
    class Twice(Schedule):
        def iterations(self, widths, n_iterations):
            for _ in range(n_iterations):
                yield Step((0,)), Step((0,))

    records = walk((8,), schedule=Twice(), n_iterations=1)
    assert [r.model.widths for r in records] == [(8,), (4,)]
    assert [r.importances[0].size for r in records] == [8, 4]
    assert records[1].n_pruned == (4,)


def test_scores_and_thresholds_are_those_that_decided(make_data, walk):
    records = walk((8, 5), max_iter=3, threshold=MeanStd(0.5))
    assert len(records) == 4
    for record, following in pairwise(records):
        layers = record.model.observe(make_data().score, CAPoZ.needs, np.random.RandomState(0))
        for layer in (0, 1):
            scores = record.importances[layer]
            np.testing.assert_array_equal(scores, CAPoZ().score(layers[str(layer)]))
            decision = MeanStd(0.5).decide(scores)
            assert record.thresholds[layer] == decision.threshold
            kept = following.support[layer][record.support[layer]]
            np.testing.assert_array_equal(kept, decision.keep)
    assert [s.size for s in records[-1].importances] == list(records[-1].model.widths)
    assert np.isfinite(records[-1].thresholds).all()


@pytest.mark.parametrize("schedule", [Widths((6, 4)), Gradual(0.5)])
def test_a_rule_that_is_not_asked_has_no_threshold(schedule, walk):
    records = walk((8, 5), threshold=MeanStd(), schedule=schedule, n_iterations=2)
    assert len(records) == 3
    assert np.isnan([record.thresholds for record in records]).all()
    assert [[s.size for s in r.importances] for r in records] == [
        list(r.model.widths) for r in records
    ]


def test_accuracies_are_those_of_the_third_set(make_data, walk):
    data = make_data()
    records = walk((8,), max_iter=5, data=data, threshold=Count(3), n_iterations=2)
    for record in records:
        assert record.accuracy_after == accuracy(record.model, data.select)
        right = record.model.labels(data.select.X) == data.select.y
        assert record.accuracy_after == np.average(right, weights=data.select.weight)
    cut = records[0].model.apply(Remove("0", records[1].support[0]), None, data.score)
    assert records[1].accuracy_before == accuracy(cut, data.select)
    assert records[0].accuracy_before == records[0].accuracy_after


def test_min_units_stay(walk):
    records = walk((8, 3), threshold=Count(5), min_units=3, n_iterations=1)
    assert records[-1].model.widths == (3, 3)
    message = (
        r"^Pruning stopped in iteration 2: no layer has more than min_units=3 units left; the "
        r"widths are \(3, 3\)\.$"
    )
    with pytest.warns(PruningStalledWarning, match=message):
        records = walk((8, 3), threshold=Count(5), min_units=3, n_iterations=4)
    assert [r.model.widths for r in records] == [(8, 3), (3, 3), (3, 3)]


def test_a_stall_is_recorded_not_retrained_and_the_end(make_job):
    message = (
        r"Pruning stopped in iteration 2: FixedValue\(value=0.95\) finds no unit to remove by "
        r"CAPoZ\(\). A rule that counts, as Fraction\(0.25\), always does"
    )
    job = make_job((8,), max_iter=4, threshold=FixedValue(0.95), n_iterations=9)
    job.model.network.biases[0][[1, 6]] = -99  # dead, and the only ones that ever are
    job.model.network.biases[0][[0, 2, 3, 4, 5, 7]] = 99
    with pytest.warns(PruningStalledWarning, match=message):
        [records] = prune_together([job])
    assert [r.n_pruned for r in records] == [(0,), (2,), (0,)]
    assert [r.n_epochs for r in records] == [0, 4, 0]
    assert np.flatnonzero(~records[1].support[0]).tolist() == [1, 6]
    assert records[2].model is records[1].model
    assert records[2].accuracy_before == records[2].accuracy_after == records[1].accuracy_after
    assert records[2].importances[0].size == 6


def test_given_widths_do_not_stall(walk):
    """A step that has nothing to do is not the end where the user has named the widths."""
    records = walk((8,), max_iter=2, schedule=Widths((8, 8, 3)), n_iterations=3)
    assert [r.model.widths for r in records] == [(8,), (8,), (8,), (3,)]
    assert [r.n_epochs for r in records] == [0, 0, 0, 2]


def test_gradual_widths_arrive(walk):
    records = walk((20, 10), schedule=Gradual(0.6), n_iterations=3)
    assert records[-1].model.widths == (8, 4)


def test_one_layer_after_the_other(walk):
    records = walk((8, 5), max_iter=2, schedule=Iterative(), n_iterations=2)
    assert [r.model.widths for r in records] == [(8, 5), (6, 3), (4, 1)]
    assert [r.n_epochs for r in records] == [0, 4, 4]  # each layer's cut is retrained
    together = walk((8, 5), max_iter=2, schedule=MultiPass(), n_iterations=2)
    assert [r.n_epochs for r in together] == [0, 2, 2]


def test_one_shot(walk):
    records = walk((8,), max_iter=2, schedule=OneShot(), n_iterations=5)
    assert [r.model.widths for r in records] == [(8,), (6,)]


@pytest.mark.parametrize("criterion", [CAPoZ(), Random()])
@pytest.mark.parametrize("max_iter", [0, 3])
def test_a_shorter_run_is_the_beginning_of_a_longer_one(
    criterion, max_iter, walk, assert_same_records
):
    short, long = (
        walk((9, 7), max_iter=max_iter, criterion=criterion, threshold=Count(1), n_iterations=n)
        for n in (2, 4)
    )
    assert len(long) == 5
    assert_same_records(short, long[:3])


def test_layer_by_layer_too_but_for_the_last_rows_scores(walk, assert_same_records):
    """There the second layer is scored when the first one has been cut, if it ever is."""
    short, long = (
        walk((9, 7), max_iter=2, schedule=Iterative(), threshold=Count(1), n_iterations=n)
        for n in (2, 4)
    )
    assert_same_records(short, long[:3], scores=False)
    assert_same_records(short[:2], long[:2])


def test_together_is_as_one_by_one(make_job, assert_same_records):
    makers = [
        lambda: make_job((8,), max_iter=3, n_iterations=3),
        lambda: make_job((8,), max_iter=3, n_iterations=1, seed=1),
        lambda: make_job((6, 5), max_iter=3, schedule=Iterative(), n_iterations=2, seed=2),
        lambda: make_job((9,), max_iter=3, n_iterations=0, seed=3),
    ]
    together = prune_together([make() for make in makers])
    assert [len(records) for records in together] == [4, 2, 3, 1]
    for make, records in zip(makers, together, strict=True):
        assert_same_records(prune_together([make()])[0], records)


def test_the_given_job_is_as_it_was_and_gives_the_same_again(make_job, assert_same_records):
    """Its generators too: criteria draw from one, retraining from the other."""
    job = make_job((8,), max_iter=3, criterion=Random(), n_iterations=3)
    before = [weights.copy() for weights in job.model.network.weights]
    states = [pickle.dumps(r.get_state()) for r in (job.random_state, job.model.random_state)]
    first, again = prune_together([job, job])
    assert_same_records(first, again)
    for weights, old in zip(job.model.network.weights, before, strict=True):
        np.testing.assert_array_equal(weights, old)
    assert [
        pickle.dumps(r.get_state()) for r in (job.random_state, job.model.random_state)
    ] == states
    trained = [record.model.random_state for record in first]
    assert len({pickle.dumps(r.get_state()) for r in trained}) == 4  # each went on drawing


def test_models_of_several_kinds_are_each_trained_by_their_own(monkeypatch, make_job):
    class OtherModel(DenseModel):
        """A network of another kind."""

    kinds, job = [], make_job(n_iterations=1)

    def spy(cls, models, data):
        kinds.append((cls, {type(model) for model in models}))
        return train(cls, models, data)

    train = DenseModel.train_together.__func__
    monkeypatch.setattr(DenseModel, "train_together", classmethod(spy))
    other = replace(job, model=OtherModel(**vars(job.model)))
    prune_together([other, job])
    assert kinds == [(OtherModel, {OtherModel}), (DenseModel, {DenseModel})]


def test_progress_is_told_of_every_iteration(walk):
    seen = []
    walk((8,), progress=lambda record: seen.append((record.iteration, record.model.widths)))
    assert seen == [(0, (8,)), (1, (6,)), (2, (4,)), (3, (2,))]


def test_each_iteration_ends_by_its_own_steps(walk):
    """A step that says how many units stay is no end where it removes none; others are."""

    class Mixed(Schedule):
        def iterations(self, widths, n_iterations):
            return [(Step((0,), (8,)),), (Step((0,)),), (Step((0,), (5,)),)]

    with pytest.warns(PruningStalledWarning, match="Pruning stopped in iteration 2"):
        records = walk((8,), schedule=Mixed(), threshold=FixedValue(1e9))
    assert [record.n_pruned for record in records] == [(0,), (0,), (0,)]


def test_scores_are_checked(walk):
    class Column(Criterion):
        def score(self, layer):
            return np.ones((layer.n_units, 1))

    with pytest.raises(ValueError, match=r"Column.score gave shape \(8, 1\), expected \(8,\)"):
        walk((8,), criterion=Column())


def test_a_criterion_cannot_write_to_the_network(make_job):
    class Greedy(Criterion):
        def score(self, layer):
            layer.incoming[:] = 0

    job = make_job((8,), criterion=Greedy())
    before = job.model.network.weights[0].copy()
    with pytest.raises(ValueError, match="read-only"):
        prune_together([job])
    np.testing.assert_array_equal(job.model.network.weights[0], before)


@pytest.mark.filterwarnings("ignore:Persisting input arguments took")  # on a busy machine
@pytest.mark.parametrize("criterion", [APoZ(), Random()])
def test_a_memory_changes_nothing_and_spares_retraining(
    tmp_path, monkeypatch, criterion, walk, assert_same_records
):
    memory = joblib.Memory(tmp_path, verbose=0)
    plain = walk((9,), max_iter=3, criterion=criterion)
    assert_same_records(walk((9,), max_iter=3, criterion=criterion, memory=memory), plain)

    def never(cls, models, data):
        raise AssertionError("retrained in spite of the memory")

    monkeypatch.setattr(DenseModel, "train_together", classmethod(never))
    again = walk((9,), max_iter=3, criterion=criterion, memory=memory)  # scores draw anew
    assert_same_records(again, plain)
    shorter = walk((9,), max_iter=3, criterion=criterion, memory=memory, n_iterations=2)
    assert_same_records(shorter, plain[:3])
