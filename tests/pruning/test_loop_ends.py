"""How a path ends before its time: interrupts, errors, and networks that get nothing right."""

from dataclasses import dataclass, replace

import numpy as np
import pytest

from sklearn_capoz.criteria import CAPoZ, Criterion
from sklearn_capoz.exceptions import NoCorrectSampleError, PruningStalledWarning
from sklearn_capoz.pruning import (
    prune_together,
)
from sklearn_capoz.pruning._dense_model import DenseModel
from sklearn_capoz.schedules import (
    Iterative,
)


class Interrupting(Criterion):
    """C-APoZ until the given call, which Ctrl-C interrupts."""

    def __init__(self, call):
        self.call = call
        self.calls = 0

    def score(self, layer):
        self.calls += 1
        if self.calls == self.call:
            raise KeyboardInterrupt
        return CAPoZ().score(layer)


def test_an_interrupt_keeps_the_iterations_that_are_done(walk, assert_same_records):
    with pytest.warns(UserWarning, match="Pruning was interrupted; the iterations that were done"):
        records = walk((8,), max_iter=2, criterion=Interrupting(3), n_iterations=6)
    assert_same_records(records, walk((8,), max_iter=2, n_iterations=2))


def test_an_interrupt_of_retraining_keeps_the_iterations_that_are_done(
    monkeypatch, walk, assert_same_records
):
    train, calls = DenseModel.train_together.__func__, []

    def interrupted(cls, models, data):
        calls.append(len(models))
        if len(calls) == 2:
            raise KeyboardInterrupt
        return train(cls, models, data)

    monkeypatch.setattr(DenseModel, "train_together", classmethod(interrupted))
    with pytest.warns(UserWarning, match="Pruning was interrupted"):
        records = walk((8,), max_iter=2, n_iterations=6)
    monkeypatch.undo()
    assert_same_records(records, walk((8,), max_iter=2, n_iterations=1))


def test_an_interrupt_within_an_iteration_leaves_no_trace_of_it(
    make_job, walk, assert_same_records
):
    """Layer by layer: the first is cut and retrained, the second is being scored."""
    job = make_job((8, 5), max_iter=2, criterion=Interrupting(4), schedule=Iterative())
    with pytest.warns(UserWarning, match="Pruning was interrupted"):
        [records] = prune_together([job])
    assert_same_records(records, walk((8, 5), max_iter=2, schedule=Iterative(), n_iterations=1))


class InterruptedTwice(Interrupting):
    """Two calls in a row are interrupted: the second may take the last scores only."""

    def score(self, layer):
        self.calls += 1
        if self.calls in {self.call, self.call + 1}:
            raise KeyboardInterrupt
        return CAPoZ().score(layer)


def test_a_second_interrupt_keeps_the_iterations_too(walk):
    with pytest.warns(UserWarning, match="Pruning was interrupted"):
        records = walk((8,), max_iter=2, criterion=InterruptedTwice(3), n_iterations=6)
    assert [r.model.widths for r in records] == [(8,), (6,), (4,)]
    assert [r.importances[0].size for r in records] == [8, 6, 0]
    assert np.isnan(records[-1].thresholds[0])


def test_an_interrupt_of_the_very_last_scores_keeps_all_iterations(walk, assert_same_records):
    with pytest.warns(UserWarning, match="Pruning was interrupted"):
        records = walk((8,), max_iter=2, criterion=Interrupting(3), n_iterations=2)
    assert_same_records(records, walk((8,), max_iter=2, n_iterations=2))


def test_an_error_of_a_later_iteration_leaves_the_given_network_whole(make_job):
    class Failing(Interrupting):
        def score(self, layer):
            self.calls += 1
            return CAPoZ().score(layer) / (self.calls != self.call)

    job = make_job((8,), max_iter=2, criterion=Failing(3))
    before = job.model.logits(job.data.score.X)
    with np.errstate(all="ignore"), pytest.raises(ValueError, match="scores that are not finite"):
        prune_together([job])
    np.testing.assert_array_equal(job.model.logits(job.data.score.X), before)
    assert job.model.widths == (8,)


def test_an_interrupt_goes_on_to_who_has_no_use_for_half_a_path(make_job):
    with pytest.raises(KeyboardInterrupt):
        prune_together([make_job(criterion=Interrupting(3))], keep_interrupted=False)


def test_an_interrupt_before_anything_is_done_is_passed_on(make_job):
    def interrupt(record):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        prune_together([make_job(), make_job(progress=interrupt), make_job()])


@dataclass(frozen=True, eq=False)
class WrongModel(DenseModel):
    """A network that gets nothing right below some width."""

    right_down_to: int = 0

    def observe(self, samples, needs, random_state):
        layers = super().observe(samples, needs, random_state)
        if self.widths[0] >= self.right_down_to:
            return layers
        wrong = np.zeros(len(samples.y), dtype=bool)
        return {name: replace(layer, correct=wrong) for name, layer in layers.items()}


@pytest.fixture
def wrong_below(make_job):
    """Return a function that makes a job whose network gets nothing right below a width."""

    def call(width, n_iterations, hidden=(8,), **given):
        job = make_job(hidden, n_iterations=n_iterations, **given)
        return replace(job, model=WrongModel(**vars(job.model), right_down_to=width))

    return call


def test_no_right_sample_ends_a_path(assert_same_records, wrong_below):
    message = r"Pruning stopped after iteration 2: the network now labels no scoring sample right"
    with pytest.warns(PruningStalledWarning, match=message):
        [records] = prune_together([wrong_below(5, n_iterations=5)])
    assert_same_records(records, prune_together([wrong_below(5, n_iterations=2)])[0])
    assert records[-1].model.widths == (4,)


def test_no_right_sample_within_an_iteration_ends_the_path_before_it(wrong_below):
    job = wrong_below(8, n_iterations=5, hidden=(8, 5), schedule=Iterative())
    with pytest.warns(PruningStalledWarning, match="Pruning stopped after iteration 0"):
        [records] = prune_together([job])
    assert [record.model.widths for record in records] == [(8, 5)]
    assert [scores.size for scores in records[0].importances] == [8, 5]


def test_what_was_scored_before_the_end_is_not_scored_again(wrong_below):
    class Counted(CAPoZ):
        seen = []

        def score(self, layer):
            self.seen.append(layer.n_units)
            return super().score(layer)

    job = wrong_below(8, n_iterations=5, hidden=(8, 5), schedule=Iterative(), criterion=Counted())
    with pytest.warns(PruningStalledWarning, match="Pruning stopped after iteration 0"):
        prune_together([job])
    assert Counted.seen.count(8) == 1


def test_no_right_sample_of_the_dense_network_is_an_error(make_job, wrong_below):
    with pytest.raises(NoCorrectSampleError, match="labels none of the 30 scoring samples right"):
        prune_together([wrong_below(9, n_iterations=3), make_job()])


def test_no_right_sample_after_the_last_cut_is_recorded(wrong_below):
    [records] = prune_together([wrong_below(5, n_iterations=2)])
    assert records[-1].model.widths == (4,)
    assert records[-1].importances[0].size == 0
    assert np.isnan(records[-1].thresholds[0])
