"""The registry of steps: one class per kind, which files, ONNX and C read."""

import numpy as np
import pytest
from sklearn.decomposition import PCA
from sklearn.preprocessing import MinMaxScaler, StandardScaler

from sklearn_capoz import spectral
from sklearn_capoz.export._steps import KINDS, build_step, describe_step, kind_of

NM = np.arange(2000.0, 2400, 10)
STEPS = {
    "StandardScaler": StandardScaler(),
    "MinMaxScaler": MinMaxScaler((-1, 2), clip=True),
    "PCA": PCA(4, whiten=True),
    "BandSelector": spectral.BandSelector([(2100, 2300)], wavelengths=NM),
    "ContinuumRemoval": spectral.ContinuumRemoval(NM, ranges=[(2050, 2350)]),
    "SpectralAbsorptionIndex": spectral.SpectralAbsorptionIndex(NM),
    "AbsorptionFeatures": spectral.AbsorptionFeatures(NM, features={"deep": (2100, 2300)}),
    "SpectrumStandardizer": spectral.SpectrumStandardizer(),
    "SensorResampler": spectral.SensorResampler([2100.0, 2200], wavelengths=NM, fwhm=20),
}


def test_every_spectral_transformer_is_registered():
    found = {name for name in spectral.__all__ if hasattr(getattr(spectral, name), "transform")}
    assert found <= KINDS.keys()
    assert STEPS.keys() == KINDS.keys()


@pytest.mark.parametrize("name", STEPS)
def test_a_step_comes_back_and_knows_how_many_features_it_gives(name):
    X = np.random.RandomState(0).uniform(0.2, 0.8, (30, len(NM)))
    step = STEPS[name].fit(X)
    description, arrays = describe_step("any name", step)
    again = build_step(description, arrays, "here")
    expected = step.transform(X)
    np.testing.assert_array_equal(again.transform(X), expected)
    assert KINDS[name].n_outputs(again) == expected.shape[1]


@pytest.mark.parametrize("name", STEPS)
def test_what_a_step_says_of_itself_as_matrix_is_what_it_computes(name):
    X = np.random.RandomState(0).uniform(0.2, 0.8, (30, len(NM)))
    step = STEPS[name].fit(X)
    affine = kind_of(step).affine(step)
    if affine is not None:
        linear = X * affine.matrix if affine.matrix.ndim == 1 else X @ affine.matrix
        np.testing.assert_allclose(linear + affine.shift, step.transform(X), atol=1e-9)
    assert (affine is not None) == (name in {"StandardScaler", "PCA"})  # this MinMaxScaler clips


def test_a_subclass_is_a_stranger():
    class Stranger(StandardScaler):
        pass

    Stranger.__name__ = "StandardScaler"
    assert kind_of(Stranger()) is None
    assert kind_of(StandardScaler()) is KINDS["StandardScaler"]
