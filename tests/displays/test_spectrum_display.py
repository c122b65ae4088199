import matplotlib.pyplot as plt
import numpy as np
import pytest

from sklearn_capoz.displays import SpectrumDisplay

WAVELENGTHS = np.arange(2100.0, 2400.0, 10.0)


def absorption(centre, depth=0.3):
    """Make a flat spectrum of 0.5 with one absorption, 40 nm wide."""
    return 0.5 * (1 - depth * np.exp(-(((WAVELENGTHS - centre) / 25) ** 2)))


def test_one_curve_per_spectrum_with_its_hull():
    spectrum = absorption(2200)
    display = SpectrumDisplay.from_spectra(WAVELENGTHS, spectrum, features={"Al-OH": (2150, 2250)})
    np.testing.assert_array_equal(display.lines_[0].get_ydata(), spectrum)
    assert (display.continuum >= spectrum - 1e-12).all()
    np.testing.assert_allclose(display.continuum, 0.5, atol=1e-3)
    assert display.positions.tolist() == [[2200]]
    assert display.marks_[0].get_xdata().tolist() == [2200]
    assert display.ax_.get_xlabel() == "wavelength / nm"
    assert display.ax_.get_ylabel() == "reflectance (0 to 1)"


def test_classes_become_mean_and_spread():
    X = np.stack([absorption(2200, 0.2), absorption(2200, 0.4), absorption(2330)])
    display = SpectrumDisplay.from_spectra(WAVELENGTHS, X, ["mica", "mica", "calcite"])
    assert display.names == ["calcite", "mica"]
    np.testing.assert_allclose(display.spectra[1], X[:2].mean(axis=0))
    np.testing.assert_allclose(display.spread[1], X[:2].std(axis=0))
    np.testing.assert_array_equal(display.spread[0], 0)
    texts = [text.get_text() for text in display.ax_.get_legend().get_texts()]
    assert texts == ["calcite", "mica", "± standard deviation", "continuum (hull)"]


def test_a_minimum_at_the_edge_is_no_feature():
    X = np.stack([absorption(2200), absorption(2330)])
    windows = {"Al-OH": (2150, 2250), "flank": (2210, 2260), "nowhere": (3000, 3100)}
    display = SpectrumDisplay.from_spectra(WAVELENGTHS, X, features=windows)
    assert display.positions[0, 0] == 2200
    assert np.isnan(display.positions[:, 1:]).all()


@pytest.mark.parametrize(("depth", "found"), [(0.02, True), (0.005, False)])
def test_a_shallow_dent_is_no_feature(depth, found):
    display = SpectrumDisplay.from_spectra(
        WAVELENGTHS, absorption(2200, depth), features={"Al-OH": (2150, 2250)}
    )
    assert (display.positions[0, 0] == 2200) == found


def test_offset_parts_the_curves_and_is_stated():
    X = np.stack([absorption(2200), absorption(2330)])
    display = SpectrumDisplay.from_spectra(WAVELENGTHS, X, continuum=False, offset=0.2)
    np.testing.assert_allclose(display.lines_[1].get_ydata(), X[1] + 0.2)
    assert display.ax_.get_ylabel() == "reflectance (0 to 1, curves 0.2 apart)"
    assert display.continuum is None


def test_a_band_without_data_is_a_gap():
    X = np.stack([absorption(2200), absorption(2200)])
    X[:, 0] = np.nan
    X[0, 1] = np.nan
    display = SpectrumDisplay.from_spectra(WAVELENGTHS, X, ["mica", "mica"])
    assert np.isnan(display.spectra[0, :2]).tolist() == [True, False]
    assert np.isnan(display.continuum[0, :2]).tolist() == [True, False]


def test_given_axes():
    _, ax = plt.subplots()
    display = SpectrumDisplay(WAVELENGTHS, absorption(2200)).plot(ax, linewidth=3)
    assert display.ax_ is ax
    assert display.lines_[0].get_linewidth() == 3


def test_a_legend_of_25_minerals_stays_readable(assert_apart):
    X = np.stack([absorption(2150 + 5 * i) for i in range(25)])
    names = [f"mineral with a long name {i:02}" for i in range(25)]
    display = SpectrumDisplay.from_spectra(WAVELENGTHS, X, names, offset=0.1)
    legend = display.ax_.get_legend()
    texts = legend.get_texts()
    assert len(texts) == 27
    assert texts[0].get_text() == "mineral with a long name 24"
    assert_apart(texts)
    assert_apart([legend, display.ax_.patch])


@pytest.mark.parametrize(("given", "message"), [
    ({"spectra": np.ones(5)}, r"spectra must be \(n_curves, 30\).*got \(1, 5\)"),
    ({"spread": np.ones((2, 30))}, r"spread must be as spectra, \(1, 30\); got \(2, 30\)"),
    ({"names": ["a", "b"]}, "1 spectra came with 2 names"),
    ({"features": {"Al-OH": (2150, 2250)}}, "features are measured under the continuum"),
])  # fmt: skip
def test_errors(given, message):
    with pytest.raises(ValueError, match=message):
        SpectrumDisplay(WAVELENGTHS, **({"spectra": absorption(2200)} | given))


def test_wavelengths_must_ascend():
    with pytest.raises(ValueError, match="wavelengths must ascend, in nm"):
        SpectrumDisplay(WAVELENGTHS[::-1], absorption(2200))


def test_labels_must_match():
    with pytest.raises(ValueError, match=r"one label per spectrum, 2; got \(1,\)"):
        SpectrumDisplay.from_spectra(WAVELENGTHS, [absorption(2200)] * 2, ["mica"])
