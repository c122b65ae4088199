"""What every transformer of the package promises: scikit-learn's contract, names, threads."""

import pickle
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pandas as pd
import polars as pl
import pytest
from sklearn.base import clone
from sklearn.pipeline import make_pipeline
from sklearn.utils.estimator_checks import parametrize_with_checks
from threadpoolctl import threadpool_info

from benchmarks.spectral_exactness import random_spectra
from sklearn_capoz.spectral import (
    AbsorptionFeatures,
    BandSelector,
    ContinuumRemoval,
    SensorResampler,
    SpectralAbsorptionIndex,
    SpectrumStandardizer,
)

NM = np.linspace(1990.8, 2479.0, 50)
X = random_spectra(NM, 3000, random_state=0)
TRANSFORMERS = [
    ContinuumRemoval(NM),
    ContinuumRemoval(NM[::-1], hull="segmented", mode="log", ranges=[(2000, 2400)]),
    SpectralAbsorptionIndex(NM),
    SpectralAbsorptionIndex(NM, shoulders="hull", log=True),
    SpectralAbsorptionIndex(NM, attenuation=50.0, bands="diagnostic"),
    AbsorptionFeatures(NM),
    BandSelector([(2000, 2400)], wavelengths=NM),
    SensorResampler(NM[2:-2:2], fwhm=20.0, wavelengths=NM),
    SpectrumStandardizer(),
]
each = pytest.mark.parametrize("transformer", TRANSFORMERS, ids=lambda one: type(one).__name__)


# scikit-learn's checks bring arrays of 1 to 20 columns without wavelengths, and integers.
@parametrize_with_checks(
    [
        ContinuumRemoval("index", scale=1.0),
        ContinuumRemoval("index", scale=1.0, hull="segmented", mode="subtract", n_jobs=2),
        SpectralAbsorptionIndex("index", scale=1.0, half_widths=(2, 3)),
        SpectralAbsorptionIndex("index", scale=1.0, shoulders="hull"),
        SpectralAbsorptionIndex("index", scale=1.0, half_widths=(2, 3), attenuation=2.0),
        AbsorptionFeatures("index", scale=1.0, features={"all": (0, 100)}),
        BandSelector(wavelengths="index"),
        SpectrumStandardizer(),
    ]
)
def test_scikit_learn_checks(estimator, check):
    check(estimator)


@each
def test_dtype_rows_and_columns(transformer):
    transformer = clone(transformer)
    for dtype in (np.float32, np.float64):
        found = transformer.fit_transform(X[:5].astype(dtype))
        assert found.dtype == dtype
        assert found.shape == (5, len(transformer.get_feature_names_out()))
        np.testing.assert_array_equal(found[2:3], transformer.transform(X[2:3].astype(dtype)))


@each
def test_data_frames_come_out_with_names(transformer):
    transformer = clone(transformer).fit(X)
    plain = transformer.transform(X[:4])
    names = list(transformer.get_feature_names_out())
    assert len(set(names)) == len(names)
    for library, frame_type in (("pandas", pd.DataFrame), ("polars", pl.DataFrame)):
        frame = transformer.set_output(transform=library).transform(X[:4])
        assert isinstance(frame, frame_type)
        assert list(frame.columns) == names
        np.testing.assert_array_equal(frame.to_numpy(), plain)
    transformer.set_output(transform="default")


@pytest.mark.parametrize("no_wavelength", [0.0, np.nan, -1.0])
@each
def test_bad_bands_need_no_wavelength(transformer, no_wavelength):
    if isinstance(transformer, SpectrumStandardizer):
        pytest.skip("takes no wavelengths unless it gets them")
    nm = NM.copy()
    nm[[0, 7]] = no_wavelength
    found, expected = (
        clone(transformer).set_params(wavelengths=given, bad_bands=[0, 7]).fit(X)
        for given in (nm, NM)
    )
    np.testing.assert_array_equal(found.transform(X[:9]), expected.transform(X[:9]))
    np.testing.assert_array_equal(found.get_feature_names_out(), expected.get_feature_names_out())
    with pytest.raises(ValueError, match="positive and finite, but for bands that bad_bands"):
        clone(transformer).set_params(wavelengths=nm, bad_bands=[0]).fit(X)


@pytest.mark.parametrize("factor", [1e-300, 100.0, 1e300])
@pytest.mark.parametrize(
    "transformer",
    [
        ContinuumRemoval(NM),
        SpectralAbsorptionIndex(NM),
        AbsorptionFeatures(NM, parameters=("position", "depth", "width", "area", "sai")),
    ],
    ids=lambda one: type(one).__name__,
)
def test_ratios_know_no_unit(transformer, factor):
    found = transformer.fit(X[:99]).transform(factor * X[:99])
    np.testing.assert_allclose(found, transformer.transform(X[:99]), rtol=1e-6, atol=1e-9)


@each
def test_pickle_and_clone_keep_everything(transformer):
    fitted = clone(transformer).fit(X)
    again = pickle.loads(pickle.dumps(fitted))
    np.testing.assert_array_equal(again.transform(X), fitted.transform(X))
    assert set(clone(fitted).get_params()) == set(fitted.get_params())


@each
def test_many_threads_at_once_give_the_same(transformer):
    fitted = clone(transformer).fit(X)
    expected = fitted.transform(X)
    with ThreadPoolExecutor(4) as pool:
        for found in pool.map(fitted.transform, [X] * 8):
            np.testing.assert_array_equal(found, expected)


@each
def test_n_jobs_changes_neither_result_nor_global_threads(transformer):
    if "n_jobs" not in transformer.get_params():
        pytest.skip("copies columns only")
    before = _global_threads()
    rows = np.tile(X, (10, 1))
    one = clone(transformer).fit(X).transform(rows)
    many = clone(transformer).set_params(n_jobs=3).fit(X).transform(rows)
    np.testing.assert_array_equal(many, one)
    after = _global_threads()
    assert {name: after[name] for name in before} == before


def _global_threads():
    """Thread settings of every library that is loaded by now."""
    return {pool["filepath"]: pool["num_threads"] for pool in threadpool_info()}


@each
def test_input_is_neither_changed_nor_kept(transformer):
    rows = X[:5].copy()
    transformer = clone(transformer).fit(rows)
    found = transformer.transform(rows)
    np.testing.assert_array_equal(rows, X[:5])
    assert not np.shares_memory(found, rows)
    rows.flags.writeable = False
    np.testing.assert_array_equal(transformer.transform(rows), found)
    np.testing.assert_array_equal(transformer.transform(np.asfortranarray(rows)), found)


@pytest.mark.parametrize(
    "transformer",
    [
        ContinuumRemoval(NM, scale=10_000),
        SpectralAbsorptionIndex(NM, scale=10_000),
        AbsorptionFeatures(NM, scale=10_000),
    ],
    ids=lambda one: type(one).__name__,
)
def test_integer_cubes_are_scaled(transformer):
    counts = np.round(X[:50] * 10_000).astype(np.uint16)
    found = clone(transformer).fit_transform(counts)
    assert found.dtype == np.float32
    reflectance = (counts / 10_000).astype(np.float32)
    expected = clone(transformer).set_params(scale=None).fit_transform(reflectance)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
    with pytest.raises(ValueError, match=r"X holds integers \(uint16\).*scale="):
        clone(transformer).set_params(scale=None).fit(counts)


def test_names_carry_wavelengths_from_step_to_step():
    steps = make_pipeline(
        BandSelector([(2000, 2400)], wavelengths=NM),
        ContinuumRemoval(),
        SpectralAbsorptionIndex(half_widths=60),
    ).set_output(transform="pandas")
    found = steps.fit_transform(X[:5])
    kept = (NM >= 2000) & (NM <= 2400)
    quotient = ContinuumRemoval(NM[kept]).fit_transform(X[:5, kept])
    expected = SpectralAbsorptionIndex(NM[kept], half_widths=60).fit_transform(quotient)
    np.testing.assert_allclose(found.to_numpy(), expected, rtol=1e-7)  # names round
    assert found.columns[0] == "sai_2001nm"


def test_named_columns_keep_their_names():
    frame = pd.DataFrame(X[:3], columns=[f"R{nm:.1f}" for nm in NM])
    removal = ContinuumRemoval(ranges=[(2100, 2300)]).fit(frame)
    names = removal.get_feature_names_out()
    assert names[0] == "R2100.4"
    with pytest.raises(ValueError, match="not equal to feature_names_in_"):
        removal.get_feature_names_out(names)
    with pytest.raises(ValueError, match="should have length equal"):
        ContinuumRemoval(NM).fit(X).get_feature_names_out(["a"])
