"""Every way of writing an activation means the same function."""

import math

import numpy as np
import pytest
import torch

from sklearn_capoz.networks._activations import ACTIVATIONS, has_exact_zeros
from sklearn_capoz.training._layer_kernels import ACTIVATIONS as ACTIVATION_LOOPS

Z = np.linspace(-3, 3, 13)[np.linspace(-3, 3, 13) != 0]


def applied(activation, z):
    z = z.copy()
    activation.apply(z)
    return z


@pytest.mark.parametrize("activation", ACTIVATIONS.values(), ids=ACTIVATIONS)
class TestEach:
    def test_the_derivative_is_that_of_the_function(self, activation):
        step = 1e-6
        slope = (applied(activation, Z + step) - applied(activation, Z - step)) / (2 * step)
        factor = activation.derivative(applied(activation, Z))
        np.testing.assert_allclose(np.ones_like(Z) * factor, slope, atol=1e-8)

    def test_torch_computes_the_same(self, activation):
        expected, z = applied(activation, Z), torch.from_numpy(Z.copy())
        module = getattr(torch.nn, activation.torch_module)()
        np.testing.assert_allclose(module(z).numpy(), expected)
        if activation.torch_function:
            for function in (
                getattr(torch, activation.torch_function),
                getattr(torch.nn.functional, activation.torch_function),
                getattr(torch, f"{activation.torch_function}_"),  # the last one: it changes z
            ):
                np.testing.assert_allclose(function(z).numpy(), expected)

    def test_the_c_expression_is_the_same(self, activation):
        # C's "a ? b : c" is Python's "b if a else c"
        text = activation.c.format(suffix="")
        if "?" in text:
            condition, rest = text.split("?")
            yes, no = rest.split(":")
            text = f"({yes}) if ({condition}) else ({no})"
        names = {"tanh": math.tanh, "exp": math.exp}
        found = [eval(text, {**names, "z": z}) for z in Z]
        np.testing.assert_allclose(found, applied(activation, Z))

    def test_float32_stays_float32(self, activation):
        z = Z.astype(np.float32)
        activation.apply(z)
        assert (np.ones_like(z) * activation.derivative(z)).dtype == np.float32

    def test_exact_zeros_are_those_of_the_function(self, activation):
        assert has_exact_zeros(activation.name) == (applied(activation, Z) == 0).any()


def test_the_compiled_loops_know_each():
    assert set(ACTIVATION_LOOPS) == set(ACTIVATIONS)


def test_an_activation_outside_the_table_has_no_exact_zeros():
    assert not has_exact_zeros("gelu")
