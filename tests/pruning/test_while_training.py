"""Cuts in the middle of the first training."""

from dataclasses import replace
from itertools import pairwise

import joblib
import numpy as np
import pytest
from small_models import as_skorch_model, dense_model, make_data

from sklearn_capoz.criteria import CAPoZ, Criterion, WeightNorm
from sklearn_capoz.exceptions import PruningStalledWarning
from sklearn_capoz.pruning import PruningJob, PruningPlan, Remove, history_table, prune_together
from sklearn_capoz.schedules import Gradual, Schedule, Step
from sklearn_capoz.thresholds import Count, FixedValue
from sklearn_capoz.training import TrainingSettings
from sklearn_capoz.training._optimizer import flatten

#: 6 and 4 units; after epochs 4, 6 and 8 of 12 some of them are left: half of them in the end.
SCHEDULE = Gradual(0.5, epochs=(2, 8))
RETRAINING = TrainingSettings(max_iter=5, batch_size=16)


def make_job(model=None, schedule=SCHEDULE, criterion=None, threshold=None, first=4, **given):
    """Train up to the first cut; return the job of the rest."""
    model = model or dense_model(max_iter=12)
    data = make_data()
    [(model, n_epochs)] = type(model).train_together([model.until(first)], [data])
    plan = PruningPlan(criterion or WeightNorm(), threshold or Count(1), schedule, 3)
    given = {"dense_epochs": n_epochs, "retraining": RETRAINING} | given
    return PruningJob(model, data, plan, np.random.RandomState(0), **given)


def walk(**given):
    return prune_together([make_job(**given)])[0]


def test_a_row_per_cut_and_all_epochs_of_one_training():
    records = walk()
    assert [record.model.widths for record in records] == [(6, 4), (4, 3), (3, 2), (3, 2)]
    assert [record.n_epochs for record in records] == [4, 2, 2, 4]
    assert len(records[-1].model.loss_curve) == 12
    assert all(later.model.loss_curve[: len(earlier.model.loss_curve)] == earlier.model.loss_curve
               for earlier, later in pairwise(records))  # fmt: skip
    assert history_table(records)["n_units"].tolist() == [10, 7, 5, 5]
    # What is trained to its end is retrained as the user said, from then on.
    assert records[-1].model.settings == RETRAINING
    assert records[-1].model.begun is None
    assert records[1].model.begun.n_epochs == 6


def test_without_a_cut_it_is_the_training_as_it_was():
    model = dense_model(max_iter=12)
    [(whole, _)] = type(model).train_together([model], [make_data()])
    records = walk(schedule=Gradual(0.0, epochs=(2, 8)))
    np.testing.assert_array_equal(flatten(records[-1].model.network), flatten(whole.network))
    assert records[-1].model.loss_curve == whole.loss_curve


@pytest.mark.parametrize("solver", ["adam", "sgd"])
@pytest.mark.parametrize("kind", [lambda model: model, as_skorch_model])
def test_the_optimisers_state_follows(kind, solver):
    """A unit that nothing comes into and goes out of has no part in the others' training.

    So cutting it changes nothing for them, if moments, steps and draws go on.
    """
    model = dense_model(solver=solver, max_iter=6)
    model.network.weights[0][:, 2] = model.network.biases[0][2] = 0
    model.network.weights[1][2] = 0
    model = kind(model)
    data = make_data()
    [(half, _)] = type(model).train_together([model.until(3)], [data])
    keep = np.array([True, True, False, True, True, True])
    cut = half.apply(Remove(half.groups[0].name, keep), None, data.score).until(None)
    [(whole, _)], [(smaller, n_epochs)] = (
        type(model).train_together([part], [data]) for part in (half.until(None), cut)
    )
    assert (n_epochs, smaller.widths) == (3, (5, 4))
    X = data.select.X
    np.testing.assert_allclose(smaller.logits(X), whole.logits(X), rtol=0, atol=1e-12)


def test_both_kinds_of_model_take_the_same_path():
    """Of batches that hold all samples, whose order makes no difference."""
    model = dense_model(max_iter=12)
    model = replace(model, settings=replace(model.settings, batch_size=60, n_iter_no_change=99))
    dense, skorch = (walk(model=kind) for kind in (model, as_skorch_model(model)))
    for a, b in zip(dense, skorch, strict=True):
        assert (a.n_pruned, a.n_epochs) == (b.n_pruned, b.n_epochs)
        for first, second in zip(a.support, b.support, strict=True):
            np.testing.assert_array_equal(first, second)
        X = make_data().select.X
        np.testing.assert_allclose(a.model.labels(X), b.model.labels(X))
    assert dense[-1].model.widths == (3, 2)


class Mixed(Schedule):
    """While it is trained, and then again."""

    def iterations(self, widths, n_iterations):
        return [(Step((0,), at=4),), (Step((1,), at=5),), (Step((0, 1)),)]


def test_cuts_at_epochs_and_at_the_end():
    records = walk(schedule=Mixed())
    assert [record.model.widths for record in records] == [(6, 4), (5, 4), (5, 3), (4, 2)]
    assert [record.n_epochs for record in records] == [4, 1, 7, 5]


def test_a_rule_that_finds_nothing_does_not_end_the_training():
    with pytest.warns(PruningStalledWarning, match="stopped in iteration 3"):
        records = walk(schedule=Mixed(), threshold=FixedValue(2.0), criterion=CAPoZ())
    assert [record.n_epochs for record in records] == [4, 1, 7, 0]
    assert records[-1].model.widths == (6, 4)


def test_paths_of_several_criteria_are_trained_side_by_side():
    job = make_job()
    plans = [replace(job.plan, criterion=criterion) for criterion in (WeightNorm(), CAPoZ())]
    together = prune_together([replace(job, plan=plan) for plan in plans])
    for plan, records in zip(plans, together, strict=True):
        [alone] = prune_together([replace(job, plan=plan)])
        for a, b in zip(records, alone, strict=True):
            np.testing.assert_array_equal(flatten(a.model.network), flatten(b.model.network))


class Interrupting(Criterion):
    def __init__(self, call):
        self.call, self.calls = call, 0

    def score(self, layer):
        self.calls += 1
        if self.calls == self.call:
            raise KeyboardInterrupt
        return CAPoZ().score(layer)


def test_an_interrupt_keeps_the_iterations_that_are_done():
    with pytest.warns(UserWarning, match="Pruning was interrupted; the iterations that were done"):
        records = walk(criterion=Interrupting(5))
    whole = walk(criterion=CAPoZ())
    assert len(records) == 3
    for a, b in zip(records, whole[:3], strict=True):
        np.testing.assert_array_equal(flatten(a.model.network), flatten(b.model.network))


@pytest.mark.filterwarnings("ignore:Persisting input arguments took")  # on a busy machine
@pytest.mark.parametrize("kind", [lambda model: model, as_skorch_model])
def test_a_memory_changes_nothing(tmp_path, kind):
    memory = joblib.Memory(tmp_path, verbose=0)
    plain, first, again = (
        walk(model=kind(dense_model(max_iter=12)), memory=given) for given in (None, memory, memory)
    )
    X = make_data().select.X
    for a, *others in zip(plain, first, again, strict=True):
        for b in others:
            np.testing.assert_array_equal(a.model.logits(X), b.model.logits(X))
