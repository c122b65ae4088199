"""What every criterion must do, whatever it measures."""

import re
from dataclasses import FrozenInstanceError, fields, replace

import numpy as np
import pytest
from sklearn.base import clone

from sklearn_capoz._sklearn import InvalidParameterError
from sklearn_capoz.criteria import CRITERIA, CAPoZ, Contrast, Criterion, Reversed, check_criterion
from sklearn_capoz.criteria._base import NEEDS, unit_scores

ALL = {**CRITERIA, "reversed": lambda: Reversed(CAPoZ()), "soft zeros": lambda: CAPoZ(0.1)}


@pytest.fixture(params=ALL)
def criterion(request):
    return ALL[request.param]()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_one_finite_number_per_unit(criterion, random_layer, dtype):
    scores = criterion.score(random_layer(n_units=6, dtype=dtype))
    assert scores.shape == (6,)
    assert np.isfinite(scores).all()


def test_a_single_unit_and_a_single_sample(criterion, random_layer):
    assert criterion.score(random_layer(n_units=1)).shape == (1,)
    one = random_layer(n_samples=1)
    scores = criterion.score(replace(one, correct=np.array([True])))
    assert np.isfinite(scores).all()


def test_units_that_are_all_dead(criterion, random_layer):
    layer = random_layer()
    layer = replace(layer, activations=np.zeros_like(layer.activations))
    assert np.isfinite(criterion.score(layer)).all()


def test_the_layer_stays_as_it_was(criterion, random_layer):
    layer, untouched = random_layer(), random_layer()
    criterion.score(layer)
    for field in fields(layer):
        if field.name not in {"activation", "random_state"}:
            np.testing.assert_array_equal(
                getattr(layer, field.name), getattr(untouched, field.name), err_msg=field.name
            )


def test_the_arrays_of_a_layer_cannot_be_written_to(random_layer):
    layer = random_layer()
    for array in (value for value in vars(layer).values() if isinstance(value, np.ndarray)):
        with pytest.raises(ValueError, match="read-only"):
            array[:1] = 0
    given = np.ones((4, 2))
    seen = replace(layer, incoming=given).incoming
    assert seen is not given
    assert np.shares_memory(seen, given)  # no copy
    given[:] = 2  # the owner still can


@pytest.mark.parametrize("name", sorted(ALL.keys() - {"random"}))
def test_scores_belong_to_units_not_to_places(name, random_layer):
    criterion = ALL[name]()
    order = np.array([3, 0, 5, 1, 4, 2])
    np.testing.assert_allclose(
        criterion.score(random_layer(units=order)),
        criterion.score(random_layer())[order],
        rtol=1e-9,
        atol=1e-12,
    )


def test_the_order_of_samples_does_not_matter(criterion, random_layer):
    rows = np.random.RandomState(1).permutation(60)
    np.testing.assert_allclose(
        criterion.score(random_layer(rows=rows)),
        criterion.score(random_layer()),
        rtol=1e-9,
        atol=1e-12,
    )


def test_weights_are_repeated_rows(criterion, random_layer):
    weight = np.random.RandomState(2).randint(4, size=60)
    np.testing.assert_allclose(
        criterion.score(replace(random_layer(), sample_weight=weight.astype(float))),
        criterion.score(random_layer(rows=np.repeat(np.arange(60), weight))),
        rtol=1e-9,
        atol=1e-12,
    )


def test_the_unit_of_the_weights_does_not_matter(criterion, random_layer):
    np.testing.assert_allclose(
        criterion.score(replace(random_layer(), sample_weight=np.full(60, 7.0))),
        criterion.score(random_layer()),
        rtol=1e-9,
        atol=1e-12,
    )


def test_sides_needs_and_parameters(criterion):
    assert isinstance(criterion.prune_high, bool)
    assert criterion.needs <= NEEDS
    assert isinstance(criterion.needs, frozenset)
    assert clone(criterion).get_params().keys() == criterion.get_params().keys()
    assert check_criterion(criterion) is criterion
    assert isinstance(check_criterion(clone(criterion)), Criterion)


@pytest.mark.parametrize("name", CRITERIA)
def test_a_name_gives_a_new_object_each_time(name):
    assert type(check_criterion(name)) is type(CRITERIA[name]())
    assert check_criterion(name) is not check_criterion(name)


def test_names_of_norms_are_their_orders():
    assert [check_criterion(name).order for name in ("l1", "l2")] == [1, 2]


def test_parameters_are_tuned_by_set_params():
    contrast = Contrast().set_params(weight=2.0, tolerance=0.1)
    assert (contrast.weight, contrast.tolerance) == (2.0, 0.1)


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        ("apozz", InvalidParameterError, r"criterion='apozz' is not known; choose one of \['apoz"),
        (CAPoZ, TypeError, "an object of a subclass of sklearn_capoz.criteria.Criterion, made"),
        (None, TypeError, "criterion=None is not known"),
        (CAPoZ(tolerance=-1), InvalidParameterError, "'tolerance' parameter of CAPoZ must be"),
        (Contrast(weight=-1), InvalidParameterError, "'weight' parameter of Contrast must be"),
        (Reversed(CAPoZ(-1)), InvalidParameterError, "'tolerance' parameter of CAPoZ must be"),
        (Reversed("c-apoz"), TypeError, r"Reversed needs a criterion object, .* got 'c-apoz'"),
        (CRITERIA["l1"]().set_params(order=3), InvalidParameterError, "'order' parameter"),
        (CRITERIA["reconstruction"]().set_params(ridge=0), InvalidParameterError, "'ridge'"),
    ],
)
def test_what_is_no_criterion_is_refused(given, error, message):
    with pytest.raises(error, match=message):
        check_criterion(given)


def test_a_criterion_of_the_users_own(random_layer):
    class Largest(Criterion):
        prune_high = False

        def score(self, layer):
            return layer.activations.max(axis=(0, 1))

    layer = random_layer()
    scores = check_criterion(Largest()).score(layer)
    np.testing.assert_array_equal(scores, layer.activations.max(axis=(0, 1)))


def test_a_class_of_criteria_takes_no_words_that_it_does_not_know():
    with pytest.raises(TypeError, match="takes no keyword arguments"):
        type("Coloured", (Criterion,), {}, colour="red")


def test_what_a_criterion_sees_does_not_change(random_layer):
    with pytest.raises(FrozenInstanceError):
        random_layer().activations = None


class Constant(Criterion):
    """Scores that are what they are, whatever the layer."""

    def __init__(self, scores):
        self.scores = scores

    def score(self, layer):
        return self.scores


@pytest.mark.parametrize(
    ("scores", "shape"),
    [(np.ones((6, 1)), "(6, 1)"), (np.ones(4), "(4,)"), (0.5, "()"), (None, "()")],
)
def test_scores_of_another_shape_are_an_error(random_layer, scores, shape):
    message = (
        f"Constant.score gave shape {shape}, expected (6,): one score per unit. Activations and "
        "gradients have the shape (n_samples, n_positions, n_units)."
    )
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        unit_scores(Constant(scores), random_layer())
    assert unit_scores(Constant([1, 2, 3, 4, 5, 6]), random_layer()).tolist() == [1, 2, 3, 4, 5, 6]


@pytest.mark.parametrize("name", ["activations", "incoming", "outgoing", "gradients"])
def test_scores_that_are_not_finite_tell_of_overflow_only_where_there_is_one(random_layer, name):
    layer, criterion = random_layer(), Constant(np.full(6, np.nan))
    message = "Constant.score gave scores that are not finite, .*, "
    with pytest.raises(ValueError, match=message + "though the layer's activations and weights ar"):
        unit_scores(criterion, layer)
    array = getattr(layer, name).copy()
    array.flat[0] = np.inf
    with pytest.raises(ValueError, match=message + "and the network's .* have overflowed: train "):
        unit_scores(criterion, replace(layer, **{name: array}))
