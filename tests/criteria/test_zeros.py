"""APoZ, C-APoZ, contrast and per-class C-APoZ, by hand."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from sklearn_capoz.criteria import APoZ, CAPoZ, ClassCAPoZ, Contrast
from sklearn_capoz.exceptions import NoCorrectSampleError, SmoothActivationWarning

# Four samples, three units; samples 0, 1 and 3 are right.
ACTIVATIONS = np.array([[0.0, 1.0, 0.0], [0.0, 0.0, 2.0], [0.0, 3.0, 0.0], [5.0, 0.0, 0.01]])
CORRECT = np.array([True, True, False, True])


@pytest.fixture
def layer(make_layer):
    return make_layer(ACTIVATIONS, correct=CORRECT, y=np.array([0, 0, 1, 1]))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    ("criterion", "expected"),
    [
        (APoZ(), [3 / 4, 2 / 4, 2 / 4]),
        (CAPoZ(), [2 / 3, 2 / 3, 1 / 3]),
        (CAPoZ(tolerance=0.01), [2 / 3, 2 / 3, 2 / 3]),
        (APoZ(tolerance=1.0), [3 / 4, 3 / 4, 3 / 4]),
        # On the one wrong sample units 0 and 2 are zero.
        (Contrast(weight=0.5), [2 / 3 - 0.5, 2 / 3, 1 / 3 - 0.5]),
        (Contrast(weight=0), [2 / 3, 2 / 3, 1 / 3]),
        # Class 0: units are zero on 2, 1, 1 of 2 right samples; class 1: on 0, 1, 0 of 1.
        (ClassCAPoZ(), [0, 1 / 2, 0]),
    ],
)
def test_by_hand(layer, criterion, expected, dtype):
    layer = replace(layer, activations=layer.activations.astype(dtype))
    np.testing.assert_allclose(criterion.score(layer), expected, rtol=1e-6)


def test_weights_by_hand(layer):
    layer = replace(layer, sample_weight=np.array([1.0, 2.0, 5.0, 1.0]))
    np.testing.assert_allclose(APoZ().score(layer), [8 / 9, 3 / 9, 6 / 9])
    np.testing.assert_allclose(CAPoZ().score(layer), [3 / 4, 3 / 4, 1 / 4])


def test_contrast_without_a_mistake_is_c_apoz(layer):
    layer = replace(layer, correct=np.ones(4, dtype=bool))
    np.testing.assert_array_equal(Contrast().score(layer), CAPoZ().score(layer))


@given(
    arrays(np.float64, (9, 4), elements=st.sampled_from([0.0, 0.5, 1.0])),
    arrays(bool, 9).filter(np.any),
    st.floats(0, 3),
)
def test_contrast_never_rises_above_c_apoz(make_layer, activations, correct, weight):
    """It stays there for a unit that is active on every wrong sample, and falls for others."""
    layer = make_layer(activations, correct=correct)
    contrast, plain = Contrast(weight).score(layer), CAPoZ().score(layer)
    silent_on_wrong = (activations[~correct] == 0).mean(axis=0) if not correct.all() else 0
    np.testing.assert_allclose(plain - contrast, weight * silent_on_wrong, atol=1e-12)


def test_a_class_without_a_right_sample_has_no_say(layer):
    layer = replace(layer, correct=np.array([True, True, False, False]))
    np.testing.assert_allclose(ClassCAPoZ().score(layer), [1, 1 / 2, 1 / 2])


def test_negative_zero_is_zero(make_layer):
    assert APoZ().score(make_layer([[-0.0], [1.0]])) == [0.5]


def test_all_right_makes_both_the_same(layer):
    layer = replace(layer, correct=np.ones(4, dtype=bool))
    np.testing.assert_array_equal(CAPoZ().score(layer), APoZ().score(layer))


@pytest.mark.parametrize("criterion", [CAPoZ(), Contrast(), ClassCAPoZ()])
@pytest.mark.parametrize(
    "changes",
    [{"correct": np.zeros(4, dtype=bool)}, {"sample_weight": np.array([0.0, 0.0, 1.0, 0.0])}],
)
def test_no_right_sample_explains_itself(layer, criterion, changes):
    message = (
        "The network labels none of the 4 scoring samples right, so C-APoZ, which looks at those "
        "alone, has no value. Train the network longer, check that the validation labels belong "
        'to the samples, or use criterion="apoz".'
    )
    with pytest.raises(NoCorrectSampleError) as raised:
        criterion.score(replace(layer, **changes))
    assert str(raised.value) == message


@pytest.mark.parametrize("criterion", [APoZ, CAPoZ, Contrast, ClassCAPoZ])
@pytest.mark.parametrize("activation", ["tanh", "logistic", "gelu", "identity"])
def test_exact_zeros_of_a_smooth_activation_deserve_a_warning(layer, criterion, activation):
    smooth = replace(layer, activation=activation)
    message = (
        f"{criterion.__name__} counts exact zeros, and only ReLU has them; this layer is "
        f"{activation}. Give the criterion a tolerance"
    )
    with pytest.warns(SmoothActivationWarning, match=message):
        criterion().score(smooth)
    np.testing.assert_array_equal(
        criterion(tolerance=0.1).score(smooth), criterion(tolerance=0.1).score(layer)
    )


@given(
    arrays(np.float64, (9, 4), elements=st.sampled_from([0.0, 0.5, 1.0])),
    arrays(bool, 9).filter(np.any),
)
def test_c_apoz_is_apoz_of_the_right_samples(make_layer, activations, correct):
    layer = make_layer(activations, correct=correct)
    scores = CAPoZ().score(layer)
    np.testing.assert_allclose(scores, APoZ().score(make_layer(activations[correct])))
    np.testing.assert_allclose(scores, (activations[correct] == 0).mean(axis=0))
    assert (scores >= 0).all()
    assert (scores <= 1 + 1e-12).all()
