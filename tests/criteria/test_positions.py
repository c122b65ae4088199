"""A channel is a unit with many positions: means, sums, and what every criterion makes of it."""

from dataclasses import replace

import numpy as np
import pytest

from sklearn_capoz.criteria import CRITERIA, CAPoZ, Criterion, Taylor, check_criterion
from sklearn_capoz.criteria._base import NEEDS

#: Two samples, three positions, two units.
VALUES = np.array([[[0.0, 1.0], [2.0, 3.0], [4.0, 0.0]], [[0.0, -1.0], [0.0, 0.0], [6.0, 7.0]]])


@pytest.fixture
def layer(make_layer):
    return make_layer(VALUES, sample_weight=np.array([3.0, 1.0]), correct=np.array([True, False]))


def test_mean_by_hand(layer):
    # Unit 0: (3 * (0 + 2 + 4) + 1 * 6) / (3 * 4), unit 1: (3 * (1 + 3) + (-1 + 7)) / (3 * 4).
    np.testing.assert_allclose(layer.mean(VALUES), [24 / 12, 18 / 12])


def test_sums_per_sample_by_hand(layer):
    assert layer.per_sample(VALUES).tolist() == [[[6, 4]], [[6, 6]]]
    np.testing.assert_allclose(layer.mean(layer.per_sample(VALUES)), [6, (3 * 4 + 6) / 4])


def test_of_one_position_the_sum_is_no_copy(make_layer):
    layer = make_layer(np.ones((4, 2)))
    assert np.shares_memory(layer.per_sample(layer.activations), layer.activations)


def test_centred_rows_give_the_covariance(layer):
    rows = layer.centred()
    assert rows.shape == (6, 2)
    weight = np.repeat([3.0, 1.0], 3) / 12
    flat = VALUES.reshape(6, 2)
    expected = np.cov(flat.T, aweights=weight, ddof=0)
    np.testing.assert_allclose(rows.T @ rows / 4, expected)


def test_c_apoz_counts_samples_and_positions(layer):
    # The right sample has zeros at 1 of 3 positions of both units.
    np.testing.assert_allclose(CAPoZ().score(layer), [1 / 3, 1 / 3])
    both = replace(layer, correct=np.ones(2, dtype=bool))
    np.testing.assert_allclose(CAPoZ().score(both), [(3 * 1 + 2) / 12, (3 * 1 + 1) / 12])


def test_taylor_sums_a_channel_before_the_absolute_value(make_layer):
    """Products +1 and -1 at two positions: zeroing the channel changes nothing at first order."""
    layer = make_layer(
        np.array([[[1.0, 1.0], [1.0, 1.0]]]), gradients=np.array([[[1.0, 1.0], [-1.0, 1.0]]])
    )
    np.testing.assert_allclose(Taylor().score(layer), [0, 2])


def with_positions(layer, n_positions):
    """Fold rows into positions of fewer samples."""
    n_samples = len(layer.y) // n_positions
    folded = (n_samples, n_positions, layer.n_units)
    return replace(
        layer,
        activations=layer.activations.reshape(folded),
        gradients=layer.gradients.reshape(folded),
        correct=layer.correct[::n_positions],
        y=layer.y[::n_positions],
        sample_weight=layer.sample_weight[::n_positions],
    )


@pytest.mark.parametrize("name", sorted(CRITERIA.keys() - {"taylor"}))
def test_positions_count_as_samples(name, random_layer):
    """But for Taylor; three positions of a sample share its weight, label and prediction."""
    layer = random_layer(n_samples=60)
    random = np.random.RandomState(3)
    layer = replace(
        layer,
        correct=np.repeat(random.uniform(size=20) < 0.7, 3),
        y=np.repeat(random.randint(3, size=20), 3),
        sample_weight=np.repeat(random.uniform(0.5, 2, 20), 3),
    )
    criterion = CRITERIA[name]
    scores = [
        criterion().score(replace(some, random_state=np.random.RandomState(0)))
        for some in (layer, with_positions(layer, 3))
    ]
    np.testing.assert_allclose(*scores, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("name", CRITERIA)
def test_taps_count_as_outputs(name, random_layer):
    """A next layer behind a Flatten has several weights for each channel."""
    layer = random_layer()
    taps = np.random.RandomState(0).randn(6, 4, 3)
    outputs = replace(layer, outgoing=taps.reshape(6, 1, 12))
    scores = [
        CRITERIA[name]().score(replace(some, random_state=np.random.RandomState(0)))
        for some in (replace(layer, outgoing=taps), outputs)
    ]
    np.testing.assert_allclose(*scores, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("name", CRITERIA)
def test_a_criterion_names_all_that_it_looks_at(name, random_layer):
    """What it does not need is not there."""
    criterion, layer = CRITERIA[name](), random_layer()
    missing = dict.fromkeys(NEEDS - criterion.needs)
    if not criterion.needs:
        missing["correct"] = None
    scores = criterion.score(replace(layer, random_state=np.random.RandomState(0), **missing))
    whole = criterion.score(replace(layer, random_state=np.random.RandomState(0)))
    np.testing.assert_array_equal(scores, whole)


def test_what_a_criterion_needs_is_checked():
    class Misspelt(Criterion):
        needs = frozenset({"gradient"})

        def score(self, layer):
            return layer.gradients

    message = (
        r"Misspelt.needs must be a frozenset of \['activations', 'gradients', 'inputs'\], or empty "
        r"where the weights are enough; got frozenset\({'gradient'}\)"
    )
    with pytest.raises(ValueError, match=message):
        check_criterion(Misspelt())
    with pytest.raises(ValueError, match="got 'gradients'"):
        check_criterion(type("Text", (Misspelt,), {"needs": "gradients"})())


def test_a_criterion_that_asks_for_gradients_the_old_way_is_given_them():
    class Old(Criterion):
        needs_gradients = True

        def score(self, layer):
            return layer.mean(np.abs(layer.gradients))

    class Plain(Criterion):
        needs_gradients = False

        def score(self, layer):
            return layer.mean(layer.activations)

    assert Old.needs == {"activations", "gradients"}
    assert Plain.needs == Criterion.needs == {"activations"}
