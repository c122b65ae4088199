"""Trust in a scene: layers, rejection by default, how it is turned off, and from a file."""

import numpy as np
import pytest
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.pipeline import make_pipeline

from sklearn_capoz import FieldTrainedClassifier
from sklearn_capoz.datasets import load_usgs_minerals
from sklearn_capoz.deploy import predict_scene
from sklearn_capoz.estimators import TRUST_LAYERS
from sklearn_capoz.spectral import ContinuumRemoval, SpectrumStandardizer

TABLE = load_usgs_minerals()
BANDS = (TABLE.wavelengths >= 2000) & (TABLE.wavelengths < 2500)
NM = TABLE.wavelengths[BANDS]


@pytest.fixture(scope="module")
def model():
    minerals = TABLE.target_names[TABLE.target]
    rows = np.isin(minerals, ["Alunite", "Calcite", "Kaolinite"])
    inner = make_pipeline(
        ContinuumRemoval(NM),
        SpectrumStandardizer(),
        LinearDiscriminantAnalysis(solver="lsqr", shrinkage=0.1),
    )
    model = FieldTrainedClassifier(
        inner, wavelengths=NM, fwhm=10.0, n_samples=1000, cv=2, random_state=0
    )
    return model.fit(TABLE.data[rows][:, BANDS], minerals[rows])


@pytest.fixture(scope="module")
def cube():
    """Rows of the library's own kaolinite, of flat noise, and of nothing."""
    mineral = TABLE.data[np.char.startswith(TABLE.spectrum_names, "Kaolinite_CM9")][0, BANDS]
    noise = 0.3 + 0.01 * np.random.RandomState(0).standard_normal((1, 20, 50))
    rows = [np.tile(0.7 * mineral, (1, 20, 1)), noise, np.zeros((1, 20, 50))]
    return np.concatenate(rows).astype("f4")


def test_what_is_unlike_the_library_is_rejected_by_default(model, cube):
    found = predict_scene(model, cube, wavelengths=NM)
    assert found.class_names == ("no data", "Alunite", "Calcite", "Kaolinite", "rejected")
    assert (found.codes[0] == 3).all()
    assert (found.codes[1] == 4).mean() > 0.9
    assert (found.codes[2] == 0).all()
    assert found.counts.sum() == 60
    assert found.trust is None
    named = predict_scene(model, cube, wavelengths=NM, reject=None)
    assert named.class_names == ("no data", "Alunite", "Calcite", "Kaolinite")
    assert np.isin(named.codes[1], [1, 2, 3]).all()
    np.testing.assert_array_equal(named.codes[0], found.codes[0])


def test_trust_is_a_layer_of_four_numbers(model, cube):
    found = predict_scene(model, cube, wavelengths=NM, trust=True)
    assert found.trust.shape == (3, 20, 4)
    assert found.trust.dtype == np.float32
    assert np.isnan(found.trust[2]).all()
    expected = model.trust(cube[:2].reshape(-1, 50)).to_numpy().reshape(2, 20, 4)
    np.testing.assert_allclose(found.trust[:2], expected, atol=1e-5)
    np.testing.assert_array_equal(found.codes, predict_scene(model, cube, wavelengths=NM).codes)
    assert "with trust" in repr(found)
    both = predict_scene(model, cube, wavelengths=NM, trust=True, proba=True, reject=None)
    assert both.probability.shape == (3, 20, 3)
    np.testing.assert_array_equal(both.trust, found.trust)


def test_both_ways_to_reject_add_up(model, cube):
    some = predict_scene(model, cube, wavelengths=NM, reject_below=1.0)
    assert some.class_names[-1] == "rejected"
    assert (some.codes[:2] == 4).all()
    unlike = predict_scene(model, cube, wavelengths=NM, reject_below=0.01)
    np.testing.assert_array_equal(unlike.codes, predict_scene(model, cube, wavelengths=NM).codes)


@pytest.mark.filterwarnings("ignore:Dataset has no geotransform")
@pytest.mark.parametrize("suffix", [".tif", ".hdr"])
def test_the_layer_is_a_file_with_named_bands(model, cube, tmp_path, suffix):
    rasterio = pytest.importorskip("rasterio")
    output = tmp_path / f"map{suffix}"
    found = predict_scene(model, cube, wavelengths=NM, trust=True, output=output, block_rows=2)
    assert f"map_trust{suffix}" in {file.name for file in found.files}
    path = tmp_path / ("map_trust.tif" if suffix == ".tif" else "map_trust.img")
    with rasterio.open(path) as dataset:
        assert dataset.dtypes == ("float32",) * 4
        assert tuple(name.split(" ")[0] for name in dataset.descriptions) == TRUST_LAYERS
        layers = dataset.read().transpose(1, 2, 0)
    in_memory = predict_scene(model, cube, wavelengths=NM, trust=True)
    np.testing.assert_array_equal(layers, in_memory.trust)
    # The next map under this name has no such layer, and leaves none of the old.
    predict_scene(model, cube, wavelengths=NM, output=output)
    assert not list(tmp_path.glob("map_trust*"))


def test_the_model_brings_its_wavelengths(model, cube):
    found = predict_scene(model, cube[:, :, ::-1], wavelengths=NM[::-1])
    np.testing.assert_array_equal(found.codes, predict_scene(model, cube, wavelengths=NM).codes)


def test_models_without_trust_name_every_pixel_and_say_why(model, cube):
    inner = model.estimator_
    assert predict_scene(inner, cube, wavelengths=NM).class_names[-1] == "Kaolinite"
    with pytest.raises(TypeError, match="has learnt no trust, which trust=True asks for"):
        predict_scene(inner, cube, wavelengths=NM, trust=True)
    with pytest.raises(ValueError, match=r"reject must be 'default' or None, got 0\.5"):
        predict_scene(model, cube, wavelengths=NM, reject=0.5)
