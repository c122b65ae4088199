"""The network's inputs as a group of units: what is seen of them, and what a cut of them leaves."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from sklearn_capoz.networks._groups import INPUTS, Member
from sklearn_capoz.pruning import Remove, accuracy
from sklearn_capoz.pruning._dense_model import DenseModel
from sklearn_capoz.training import TrainingSettings, TrainingTask, initial_network, train
from sklearn_capoz.training._samples import PruningData, Samples

RANDOM = np.random.RandomState(0)
X = RANDOM.normal(size=(60, 5))
Y = (X[:, 0] + X[:, 3] > 0).astype(int) + (X[:, 1] > 1)
SAMPLES = Samples(X, Y, np.ones(60))
SETTINGS = TrainingSettings(max_iter=3, batch_size=20)
KEEP = np.array([True, False, True, True, False])


@pytest.fixture(scope="module")
def model():
    start = initial_network(5, (4, 3), 3, "relu", np.random.RandomState(1), np.float64)
    [result] = train([TrainingTask(start, X, Y, random_state=np.random.RandomState(2))], SETTINGS)
    random = np.random.RandomState(3)
    return DenseModel(result.network, result.optimizer, SETTINGS, "cpu", random).with_inputs()


def test_they_come_first_and_nothing_makes_them(model):
    assert model.widths == (5, 4, 3)
    assert [group.name for group in model.groups] == [INPUTS, "0", "1"]
    assert model.groups[0].members == (Member("0", "in"),)
    assert model.multiply_adds(model.widths) == model.size.n_multiply_adds == 5 * 4 + 4 * 3 + 3 * 3
    assert model.multiply_adds((2, 4, 3)) == 2 * 4 + 4 * 3 + 3 * 3


def test_a_layer_of_inputs(model):
    needs = frozenset({"activations", "gradients"})
    layer = model.observe(SAMPLES, needs, None)[INPUTS]
    assert_array_equal(layer.activations[:, 0], X)
    weights = model.network.weights[0]
    assert_array_equal(layer.incoming, weights)
    assert_array_equal(layer.outgoing[:, 0], weights)

    def loss(values):
        probabilities = model.network.probabilities(model.network.forward(values)[-1])
        return -np.log(probabilities[np.arange(60), Y])

    step = 1e-6
    for i in range(5):
        moved = X.copy()
        moved[:, i] += step
        expected = (loss(moved) - loss(X)) / step
        assert_allclose(layer.gradients[:, 0, i], expected, atol=1e-4)


def test_a_cut_is_that_of_the_columns_and_their_weights_and_moments(model):
    cut = model.apply(Remove(INPUTS, KEEP), None, SAMPLES)
    assert cut.widths == (3, 4, 3)
    assert_array_equal(cut.inputs, KEEP)
    assert_array_equal(model.inputs, np.ones(5, bool))  # the old one is as it was
    zeroed = np.where(KEEP, X, 0)
    assert_allclose(cut.logits(X), model.logits(zeroed), atol=1e-12)
    for old, new in zip(model.optimizer.moments, cut.optimizer.moments, strict=True):
        assert_array_equal(new.weights[0], old.weights[0][KEEP])
    again = cut.apply(Remove(INPUTS, np.array([False, True, True])), None, SAMPLES)
    assert_array_equal(np.flatnonzero(again.inputs), [2, 3])
    hidden = again.apply(Remove("0", np.array([True, False, True, True])), None, SAMPLES)
    assert hidden.widths == (2, 3, 3)


def test_bias_makes_up_for_a_constant_column(model):
    constant = X.copy()
    constant[:, 1] = 2.5
    samples = Samples(constant, Y, np.ones(60))
    keep = np.arange(5) != 1
    for compensation in ("bias", "least-squares"):
        cut = model.apply(Remove(INPUTS, keep), compensation, samples)
        assert_allclose(cut.logits(constant), model.logits(constant), atol=1e-6)


def test_least_squares_lets_a_twin_take_over(model):
    twins = X.copy()
    twins[:, 1] = twins[:, 0]
    cut = model.apply(
        Remove(INPUTS, np.arange(5) != 1), "least-squares", Samples(twins, Y, np.ones(60))
    )
    assert_allclose(cut.logits(twins), model.logits(twins), atol=0.02)


def test_what_is_retrained_takes_whole_samples(model):
    cut = model.apply(Remove(INPUTS, KEEP), None, SAMPLES)
    data = PruningData(SAMPLES, SAMPLES, SAMPLES)
    [(trained, n_epochs)] = DenseModel.train_together([cut], [data])
    assert n_epochs == 3
    assert_array_equal(trained.inputs, KEEP)
    assert 0 <= accuracy(trained, SAMPLES) <= 1
    other = model.apply(Remove(INPUTS, np.array([True, True, True, False, False])), None, SAMPLES)
    alone = [DenseModel.train_together([one], [data])[0][0] for one in (cut, other)]
    together = DenseModel.train_together([cut, other], [data, data])
    for (found, _), expected in zip(together, alone, strict=True):
        assert_allclose(found.network.weights[0], expected.network.weights[0], atol=1e-12)
