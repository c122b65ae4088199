"""Absorption features by hand, against closed forms, and what counts as missing."""

import pickle

import numpy as np
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.impute import SimpleImputer
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline

from benchmarks.spectral_exactness import vertex_errors
from sklearn_capoz.spectral import AbsorptionFeature, AbsorptionFeatures
from sklearn_capoz.spectral._kernels import PARAMETERS

NM = np.arange(2100.0, 2310, 10)
WINDOW = {"dip": (2120, 2280)}


def measured(nm, X, features=WINDOW, **settings):
    """Parameters by name of the first spectrum's first feature."""
    row = AbsorptionFeatures(nm, features=features, **settings).fit_transform(X)[0]
    return dict(zip(PARAMETERS, row, strict=False))


def test_all_seven_parameters_by_hand():
    nm = np.array([2100.0, 2120.0, 2140.0, 2150.0, 2170.0, 2200.0])
    quotient = np.array([1.0, 0.9, 0.5, 0.4, 0.8, 1.0])
    continuum = 0.4 + 0.002 * (nm - 2100)
    found = measured(nm, [quotient * continuum], {"dip": (2100, 2200)})
    # Parabola through (-10, 0.5), (0, 0.4), (20, 0.8), relative to 2150 nm.
    position = 2150 - 0.0 / 1 + -(-0.01 + 10 * 0.001) / (2 * 0.001)
    left = 2140 - 20 * (0.7 - 0.5) / (0.9 - 0.5)
    right = 2150 + 20 * (0.7 - 0.4) / (0.8 - 0.4)
    area = 20 * 0.05 + 20 * 0.3 + 10 * 0.55 + 20 * 0.4 + 30 * 0.1
    expected = {
        "position": position,
        "depth": 0.6,
        "width": right - left,
        "area": area,
        "asymmetry": ((right - position) - (position - left)) / (right - left),
        "sai": 2.5,
        "slope": 0.002,
    }
    assert found == pytest.approx(expected, rel=1e-12)


def test_vertex_of_an_exact_parabola_is_exact_on_uneven_bands():
    assert max(error for _, error in vertex_errors()) < 1e-9


def test_a_fine_gaussian_has_its_closed_forms():
    nm = np.arange(2000.0, 2400.1, 0.5)
    depth, sigma = 0.3, 12.0
    spectrum = 0.5 * (1 - depth * np.exp(-0.5 * ((nm - 2203.3) / sigma) ** 2))
    found = measured(nm, [spectrum], {"dip": (2005, 2395)})
    assert found["position"] == pytest.approx(2203.3, abs=1e-3)
    assert found["depth"] == pytest.approx(depth, abs=1e-4)
    assert found["width"] == pytest.approx(2 * sigma * np.sqrt(2 * np.log(2)), abs=0.01)
    assert found["area"] == pytest.approx(depth * sigma * np.sqrt(2 * np.pi), abs=0.01)
    assert found["asymmetry"] == pytest.approx(0, abs=1e-3)


def test_the_hull_is_laid_inside_the_window_only():
    spectrum = np.full(21, 0.5)
    spectrum[[9, 10, 11]] = 0.4, 0.3, 0.4
    spectrum[0] = 5.0  # bright band outside
    assert measured(NM, [spectrum])["depth"] == pytest.approx(0.4)


def test_given_shoulders_make_a_straight_continuum():
    spectrum = np.full(21, 0.5)
    spectrum[10] = 0.3
    spectrum[4] = 0.7  # a hull would pass through it
    feature = AbsorptionFeature("dip", 2180, 2220, left=2110, right=2290)
    assert measured(NM, [spectrum], [feature])["depth"] == pytest.approx(0.4)
    assert measured(NM, [spectrum], {"dip": (2110, 2290)})["depth"] > 0.45


@pytest.mark.parametrize("shoulders", [{}, {"left": 2110, "right": 2290}])
def test_missing_bands_are_left_out(shoulders):
    spectrum = 0.5 - 0.2 * np.exp(-(((NM - 2200) / 25) ** 2))
    holed = np.insert(spectrum, 7, [np.nan, np.inf])
    nm = np.insert(NM, 7, [2163, 2166])
    features = [AbsorptionFeature("dip", 2120, 2280, **shoulders)]
    assert measured(nm, [holed], features) == measured(NM, [spectrum], features)


ABSENT = [
    ("flat", np.full(21, 0.4)),
    ("zero", np.zeros(21)),
    ("straight", np.linspace(0.2, 0.5, 21)),
    ("peak", 0.4 - ((NM - 2200) / 400) ** 2),
    ("dark end", np.where(NM == 2280, -0.1, 0.4 - 0.1 * (NM == 2200))),
    ("lowest band below zero", 0.4 - 0.5 * (NM == 2200)),
    ("two bands left", np.where((NM == 2150) | (NM == 2200), 0.4, np.nan)),
    ("all NaN", np.full(21, np.nan)),
]


@pytest.mark.parametrize(("name", "spectrum"), ABSENT, ids=[name for name, _ in ABSENT])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_what_is_not_there_is_missing(name, spectrum, dtype):
    X = np.array([spectrum], dtype=dtype)
    neutral = measured(NM, X)
    assert neutral == dict(zip(PARAMETERS, [2200, 0, 0, 0, 0, 1, 0], strict=True)), name
    assert np.isnan(list(measured(NM, X, on_missing="nan").values())).all()


def test_an_edge_minimum_is_no_feature():
    spectrum = 0.5 - 0.2 * np.exp(-(((NM - 2200) / 25) ** 2))
    feature = AbsorptionFeature("flank", 2210, 2250, left=2110, right=2290)
    assert measured(NM, [spectrum], [feature])["depth"] == 0
    around = AbsorptionFeature("around", 2190, 2250, left=2110, right=2290)
    assert measured(NM, [spectrum], [around])["depth"] > 0.3


def test_a_straight_continuum_needs_its_ends():
    spectrum = np.where(NM == 2110, np.nan, 0.5 - 0.2 * (NM == 2200))
    feature = AbsorptionFeature("dip", 2150, 2250, left=2110, right=2290)
    assert measured(NM, [spectrum], [feature])["depth"] == 0


def test_parameters_choose_and_order_columns():
    spectrum = 0.5 - 0.2 * np.exp(-(((NM - 2200) / 25) ** 2))
    every = measured(NM, [spectrum])
    some = AbsorptionFeatures(NM, features=WINDOW, parameters=("slope", "area", "depth"))
    row = some.fit_transform([spectrum])[0]
    np.testing.assert_array_equal(row, [every["slope"], every["area"], every["depth"]])
    assert list(some.get_feature_names_out()) == ["dip__slope", "dip__area", "dip__depth"]


def test_the_table_keeps_what_the_sensor_covers():
    nm = np.linspace(1990.8, 2479.0, 50)
    table = AbsorptionFeatures(nm).fit(np.ones((1, 50)))
    names = [feature.name for feature in table.features_]
    assert "al_oh_2200" in names
    assert "oh_1410" not in names
    assert "water_1910" not in names
    assert "al_oh_2200__depth" in table.get_feature_names_out()


def test_the_table_finds_real_minerals(data_home):
    library = np.load(data_home / "usgs_splib" / "pure_minerals_av95.npz")
    nm = library["wavelength_um"] * 1000
    table = AbsorptionFeatures(nm, parameters=["position", "depth"], on_missing="nan")
    found = table.set_output(transform="pandas").fit_transform(library["reflectance"])
    kaolinite = found[library["mineral"] == "Kaolinite"]
    calcite = found[library["mineral"] == "Calcite"]
    assert kaolinite["al_oh_2200__position"].median() == pytest.approx(2207, abs=4)
    assert calcite["co3_2340__position"].median() == pytest.approx(2337, abs=6)
    assert calcite["al_oh_2200__depth"].isna().all()
    assert kaolinite["al_oh_2200__depth"].notna().all()


@pytest.mark.parametrize(
    ("mineral", "feature", "least", "most"),
    [
        ("Kaolinite", "fe_oh_2250", 0.0, 0.1),  # the flank of 2208, at the window's edge
        ("Muscovite", "co3_2340", 0.0, 0.0),  # 2345 is Mg-OH
        ("Muscovite", "mg_oh_2340", 1.0, 1.0),
        ("Calcite", "co3_2340", 1.0, 1.0),
        ("Dolomite", "co3_2340", 1.0, 1.0),
        ("Chlorite", "fe_oh_2250", 0.9, 1.0),
        ("Epidote", "fe_oh_2250", 1.0, 1.0),
        ("Jarosite", "fe_oh_2250", 1.0, 1.0),
        ("Alunite", "al_oh_2170", 1.0, 1.0),
        ("Alunite", "al_oh_2200", 0.0, 0.0),
        ("Kaolinite", "oh_2385", 1.0, 1.0),
        ("Quartz", "al_oh_2320", 0.0, 0.0),
    ],
)
def test_the_table_finds_what_is_there_alone(data_home, mineral, feature, least, most):
    library = np.load(data_home / "usgs_splib" / "pure_minerals_av95.npz")
    nm, rows = library["wavelength_um"] * 1000, library["mineral"] == mineral
    table = AbsorptionFeatures(nm, parameters=["depth"], on_missing="nan")
    found = table.set_output(transform="pandas").fit_transform(library["reflectance"][rows])
    assert least <= found[f"{feature}__depth"].notna().mean() <= most


def test_pipelines_and_scenes_live_with_what_is_missing():
    from sklearn_capoz.deploy import predict_scene

    rng = np.random.RandomState(0)
    y = np.arange(200) % 2
    X = 0.5 + 0.0005 * rng.randn(200, 21)
    X[y == 1] -= 0.2 * np.exp(-(((NM - 2200) / 25) ** 2))
    settings = {"features": WINDOW, "parameters": ["depth"]}
    neutral = make_pipeline(AbsorptionFeatures(NM, **settings), GaussianNB())
    missing = AbsorptionFeatures(NM, on_missing="nan", **settings)
    imputed = make_pipeline(missing, SimpleImputer(add_indicator=True), GaussianNB())
    tree = make_pipeline(missing, HistGradientBoostingClassifier(max_iter=5))
    for model in (neutral, imputed, tree):
        model.fit(X, y)
        assert (model.predict(X) == y).all()
    cube = X.reshape(10, 20, 21)
    for model in (neutral, imputed, tree):
        codes = predict_scene(model, cube, wavelengths=NM).codes
        np.testing.assert_array_equal(codes.ravel(), y + 1)
    deep = np.vstack([X[y == 1], 0.8 * X[y == 1] + 0.1])  # spectra that all have the feature
    bare = make_pipeline(missing, GaussianNB()).fit(deep, np.repeat([0, 1], 100))
    codes = predict_scene(bare, cube, wavelengths=NM).codes
    np.testing.assert_array_equal(codes.ravel() > 0, y == 1)  # 0: no data


def test_noise_is_no_feature():
    random = np.random.RandomState(0)
    noise = 0.4 * (1 + 0.001 * random.randn(500, 21))
    dip = 0.5 - 0.2 * np.exp(-(((NM - 2200) / 25) ** 2)) + 0.0004 * random.randn(500, 21)
    finder = AbsorptionFeatures(NM, features=WINDOW, parameters=["depth"], on_missing="nan")
    assert np.isnan(finder.fit_transform(noise)).all()
    assert np.isfinite(finder.transform(dip)).all()
    finder.set_params(min_depth=0.0)
    assert np.isfinite(finder.transform(noise)).mean() > 0.99


@pytest.mark.parametrize(("times", "most"), [(3, 0.2), (5, 0.01)])
@pytest.mark.parametrize("nm", [np.linspace(1990, 2480, 50), np.linspace(380, 2510, 224)])
def test_how_much_noise_a_least_depth_lets_pass(nm, times, most):
    noise = 0.01
    spectra = 0.4 * (1 + noise * np.random.RandomState(0).randn(1000, len(nm)))
    finder = AbsorptionFeatures(nm, min_depth=times * noise, parameters=["depth"], on_missing="nan")
    assert np.isfinite(finder.fit_transform(spectra)).mean() <= most


def test_a_hull_wider_than_where_the_minimum_may_lie():
    two = 0.5 - 0.2 * np.exp(-(((NM - 2160) / 12) ** 2)) - 0.1 * np.exp(-(((NM - 2233) / 12) ** 2))
    near = AbsorptionFeature("near", 2220, 2250, left=2110, right=2290, continuum="hull")
    found = measured(NM, [two], [near])
    assert found["position"] == pytest.approx(2233, abs=1)
    assert found["depth"] == pytest.approx(0.2, abs=0.02)
    # Its lowest band, 2230, lies outside of what is asked and its minimum does not.
    beside = AbsorptionFeature("beside", 2231, 2250, left=2110, right=2290, continuum="hull")
    assert measured(NM, [two], [beside]) == found
    behind = AbsorptionFeature("behind", 2236, 2260, left=2110, right=2290, continuum="hull")
    assert measured(NM, [two], [behind])["depth"] == 0


def test_a_finder_of_version_0_1_0_goes_on_as_it_did():
    finder = AbsorptionFeatures(NM, features=WINDOW, min_depth=0.0).fit(np.ones((1, 21)))
    state = dict(finder.__getstate__())
    del state["min_depth"]
    old = AbsorptionFeatures.__new__(AbsorptionFeatures)
    old.__setstate__(state)
    X = 0.4 * (1 + 0.001 * np.random.RandomState(0).randn(50, 21))
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(old)).transform(X), finder.transform(X))


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"features": {"a": (2100, 2110)}}, r"a \(2100 to 2110 nm\) has 2 bands and needs 3"),
        ({"features": {"a": (2000, 2150)}}, "bands from 2100 to 2150 nm only"),
        ({"features": {"a": 2100}}, "map names to .low, high. in nm"),
        ({"features": {}}, "features must be"),
        ({"features": [("a", 2100, 2200)]}, "features must be"),
        ({"features": [AbsorptionFeature("a", 2100, 2200)] * 2}, "a name of its own"),
        ({"features": WINDOW, "parameters": ["colour"]}, "parameters must be distinct"),
        ({"features": WINDOW, "parameters": []}, "parameters must be distinct"),
    ],
)
def test_wrong_settings_are_refused(settings, words):
    with pytest.raises(ValueError, match=words):
        AbsorptionFeatures(NM, **settings).fit(np.ones((1, 21)))


@pytest.mark.parametrize(
    ("window", "words"),
    [
        ({"low": 2200, "high": 2100}, "low must be below high"),
        ({"low": 2100, "high": 2200, "left": 2050}, "both shoulders"),
        ({"low": 2100, "high": 2200, "continuum": "spline"}, "must be 'line' or 'hull'"),
        ({"low": 2100, "high": 2200, "left": 2300, "right": 2400}, "lies outside its shoulders"),
    ],
)
def test_impossible_windows_are_refused(window, words):
    with pytest.raises(ValueError, match=words):
        AbsorptionFeature("odd", **window)
