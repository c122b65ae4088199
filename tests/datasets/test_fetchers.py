"""The fetchers load what lies in `data_home`, and say what to do where it does not."""

import hashlib
import re
import shutil
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from scipy.io import loadmat, savemat

from sklearn_capoz import datasets
from sklearn_capoz.datasets import CUPRITE_MINERALS, _airborne, _cuprite, _files, _mnist
from sklearn_capoz.exceptions import DataFormatError

TABULAR = {
    datasets.fetch_cuprite_pixels: (712, 50),
    datasets.fetch_indian_pines: (10249, 200),
    datasets.fetch_jasper_ridge: (10000, 198),
    datasets.fetch_mnist: (70000, 784),
    datasets.fetch_usgs_splib: (563, 224),
}
ALL = [*TABULAR, datasets.fetch_cuprite_labels]
FILES = [
    file
    for module in (_airborne, _cuprite, _mnist)
    for file in vars(module).values()
    if isinstance(file, _files.DataFile) and file.sha256
]


def name_of(item):
    return getattr(item, "__name__", None) or item.path


@pytest.mark.parametrize("fetch", TABULAR, ids=name_of)
def test_bunch_tuple_and_frame_say_the_same(fetch, data_home):
    bunch = fetch(data_home=data_home)
    assert bunch.data.shape == TABULAR[fetch]
    assert len(bunch.target) == len(bunch.data)
    assert len(set(bunch.feature_names)) == bunch.data.shape[1]
    X, y = fetch(data_home=data_home, return_X_y=True)
    np.testing.assert_array_equal(X, bunch.data)
    np.testing.assert_array_equal(y, bunch.target)
    frame = fetch(data_home=str(data_home), as_frame=True)
    np.testing.assert_array_equal(frame.data, X)
    np.testing.assert_array_equal(frame.target, y)
    assert len(frame.frame.columns) == X.shape[1] + (1 if y.ndim == 1 else y.shape[1])


@pytest.mark.parametrize("fetch", ALL, ids=name_of)
def test_description_names_origin_and_terms(fetch, data_home):
    description = fetch(data_home=data_home).DESCR
    assert ":Origin:" in description
    assert ":Terms:" in description


def test_cuprite_pixels_are_counted_as_described(data_home):
    pixels = datasets.fetch_cuprite_pixels(data_home=data_home)
    assert tuple(pixels.target_names) == CUPRITE_MINERALS
    assert np.bincount(pixels.target + 1).tolist() == [260, 179, 2, 0, 119, 12, 85, 55]
    assert 0 < pixels.data.min() < pixels.data.max() < 1
    np.testing.assert_allclose(pixels.wavelengths[[0, -1]], [1990.8, 2479.0], atol=0.05)
    assert not {"fit", "depth"} & {key.split("_")[-1] for key in pixels}  # label leaks


def test_cuprite_map_and_pixels_agree_on_the_same_ground(data_home):
    pixels = datasets.fetch_cuprite_pixels(data_home=data_home)
    labels = datasets.fetch_cuprite_labels(data_home=data_home)
    column, row = pixels.tetracorder_positions.T
    np.testing.assert_array_equal(labels.target[row, column], pixels.target)
    assert labels.target.shape == labels.materials.shape == (750, 614)
    assert (labels.target == CUPRITE_MINERALS.index("Calcite")).sum() == 48043


def test_usgs_splib_measures_samples_more_than_once(data_home):
    library = datasets.fetch_usgs_splib(data_home=data_home)
    assert len(set(library.samples)) == 204
    assert set(CUPRITE_MINERALS) <= set(library.target_names)
    assert library.cuprite_bands.sum() == 50
    assert np.isfinite(library.data[:, library.cuprite_bands]).all()
    nm = library.wavelengths[library.cuprite_bands]
    pixels = datasets.fetch_cuprite_pixels(data_home=data_home)
    np.testing.assert_allclose(nm, pixels.wavelengths, atol=0.6)


def test_indian_pines_bands_and_disjoint_split(data_home):
    scene = datasets.fetch_indian_pines(data_home=data_home)
    assert len(scene.wavelengths) == len(scene.fwhm) == scene.cube.shape[2] == 200
    # water vapour is where the cube has its gaps, 1360..1410 and 1820..1930 nm
    nm = np.sort(scene.wavelengths)
    assert not ((nm > 1370) & (nm < 1400)).any()
    assert not ((nm > 1825) & (nm < 1925)).any()
    np.testing.assert_array_equal(scene.cube[tuple(scene.positions.T)], scene.data)
    np.testing.assert_array_equal(scene.ground_truth[tuple(scene.positions.T)], scene.target + 1)
    assert not (scene.disjoint_train & scene.disjoint_test).any()
    assert scene.disjoint_train.sum() == 5528
    assert scene.disjoint_test.sum() == 10249 - 5528 - 10
    assert set(scene.target[scene.disjoint_train]) == set(range(16))


def test_jasper_ridge_pixels_are_the_mixtures_that_the_abundances_say(data_home):
    """Rows and columns of cube and abundances belong together: the mixing model shows it."""
    scene = datasets.fetch_jasper_ridge(data_home=data_home)
    np.testing.assert_allclose(scene.target.sum(axis=1), 1, atol=1e-6)
    np.testing.assert_array_equal(scene.abundances.reshape(-1, 4), scene.target)
    assert scene.target_names.tolist() == ["tree", "water", "dirt", "road"]
    mixed = scene.target @ scene.endmembers
    assert np.corrcoef(mixed.ravel(), scene.data.ravel())[0, 1] > 0.9
    smooth = np.abs(np.diff(scene.cube[..., 60].astype(int), axis=0)).mean()
    assert smooth < 0.5 * scene.cube[..., 60].std()


def test_mnist_is_in_its_published_order(data_home):
    digits = datasets.fetch_mnist(data_home=data_home)
    assert digits.n_train == 60000
    assert digits.target[:5].tolist() == [5, 0, 4, 1, 9]
    assert digits.target[60000:60004].tolist() == [7, 2, 1, 0]
    np.testing.assert_array_equal(digits.images.reshape(70000, -1), digits.data)


@pytest.mark.parametrize("fetch", ALL, ids=name_of)
def test_a_missing_file_is_named_with_its_place_and_checksum(fetch, tmp_path, monkeypatch):
    monkeypatch.setattr(_files, "find_spec", lambda name: None)
    message = r"\(sha256 [0-9a-f]{64}\) is not in .*Or put it there as .*It comes from"
    with pytest.raises(FileNotFoundError, match=message):
        fetch(data_home=tmp_path, download_if_missing=False)
    assert not list(tmp_path.iterdir())


def test_only_files_with_an_address_are_ever_downloaded(tmp_path, monkeypatch):
    asked = []

    def retrieve(url, known_hash, fname, path):
        asked.append((url, known_hash))
        return str(Path(path) / fname)

    monkeypatch.setattr(_files, "find_spec", lambda name: None)
    monkeypatch.setattr("pooch.retrieve", retrieve)
    for file in FILES:
        if file.url is None:
            with pytest.raises(FileNotFoundError, match="No lawful and stable address is known"):
                _files.find_file(file, tmp_path)
        else:
            assert _files.find_file(file, tmp_path) == tmp_path / file.path
    assert asked == [(file.url, file.sha256[-1]) for file in FILES if file.url is not None]
    assert len(asked) == 1


@pytest.mark.parametrize("file", FILES, ids=name_of)
def test_another_file_of_that_name_is_refused(file, tmp_path):
    (tmp_path / file.path).parent.mkdir()
    (tmp_path / file.path).write_bytes(b"something else")
    found = hashlib.sha256(b"something else").hexdigest()
    message = re.escape(f"{tmp_path / file.path} has sha256 {found}, expected")
    with pytest.raises(DataFormatError, match=message):
        _files.find_file(file, tmp_path)


def test_indian_pines_comes_from_tensorly_where_that_is_installed(tmp_path, data_home):
    if find_spec("tensorly") is None:
        pytest.skip("tensorly is not installed")
    scene = datasets.fetch_indian_pines(data_home=tmp_path)
    assert scene.wavelengths is scene.fwhm is scene.disjoint_train is scene.disjoint_test is None
    assert scene.feature_names[:2] == ["band_0", "band_1"]
    (tmp_path / "indian_pines").mkdir()
    shutil.copy(data_home / _airborne.BANDS.path, tmp_path / "indian_pines")
    here = datasets.fetch_indian_pines(data_home=tmp_path)
    assert here.disjoint_train is None
    np.testing.assert_array_equal(
        here.wavelengths, datasets.fetch_indian_pines(data_home=data_home).wavelengths
    )


def test_default_folder_is_inside_scikit_learns(tmp_path, monkeypatch):
    monkeypatch.setenv("SCIKIT_LEARN_DATA", str(tmp_path))
    with pytest.raises(FileNotFoundError, match=re.escape(str(tmp_path / "sklearn_capoz"))):
        datasets.fetch_usgs_splib()


def test_pooch_is_asked_for_when_absent(monkeypatch):
    monkeypatch.setitem(sys.modules, "pooch", None)
    with pytest.raises(ImportError, match=r"pip install 'sklearn-capoz\[data\]'"):
        datasets.fetch_usgs_splib()


@pytest.fixture
def pavia(tmp_path):
    """Files of Pavia University's form and counts; what they show is made up."""
    counts = list(_airborne.PAVIA_CLASSES.values())
    truth = np.zeros(610 * 340, np.uint8)
    truth[: sum(counts)] = np.repeat(np.arange(1, 10), counts)
    np.random.RandomState(0).shuffle(truth)
    truth = truth.reshape(610, 340)
    cube = np.zeros(_airborne.PAVIA_SHAPE, np.uint16)
    cube[...] = truth[:, :, None]
    (tmp_path / "pavia_university").mkdir()
    savemat(tmp_path / _airborne.PAVIA.path, {"paviaU": cube})
    savemat(tmp_path / _airborne.PAVIA_TRUTH.path, {"paviaU_gt": truth})
    return tmp_path


def test_pavia_university_is_a_table_and_a_scene(pavia):
    scene = datasets.fetch_pavia_university(data_home=pavia)
    assert scene.data.shape == (42776, 103)
    np.testing.assert_array_equal(scene.data[:, 0], scene.target + 1)
    np.testing.assert_array_equal(scene.cube[tuple(scene.positions.T)], scene.data)
    np.testing.assert_array_equal(scene.ground_truth[tuple(scene.positions.T)], scene.target + 1)
    assert scene.target_names[scene.target[:1]].size == 1
    assert len(scene.target_names) == 9
    assert ":Terms:" in scene.DESCR
    X, y = datasets.fetch_pavia_university(data_home=pavia, return_X_y=True, as_frame=True)
    assert list(X.columns[:2]) == ["band_0", "band_1"]
    np.testing.assert_array_equal(y, scene.target)


def test_another_scene_of_that_name_is_not_pavia_university(pavia):
    truth = pavia / _airborne.PAVIA_TRUTH.path
    scene = loadmat(pavia / _airborne.PAVIA.path)["paviaU"]
    savemat(pavia / _airborne.PAVIA.path, {"paviaU": np.ones((3, 3, 3))})
    with pytest.raises(DataFormatError, match=r"\(3, 3, 3\) numbers, not \(610, 340, 103\)"):
        datasets.fetch_pavia_university(data_home=pavia)
    savemat(pavia / _airborne.PAVIA.path, {"paviaU": scene})
    savemat(truth, {"paviaU_gt": np.ones((610, 340), np.uint8)})
    with pytest.raises(DataFormatError, match="is not the truth of Pavia University: it labels"):
        datasets.fetch_pavia_university(data_home=pavia)
    savemat(truth, {"other": np.ones(3)})
    with pytest.raises(DataFormatError, match="holds no variable 'paviaU_gt'"):
        datasets.fetch_pavia_university(data_home=pavia)


def test_pavia_university_that_is_missing_is_asked_for(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"PaviaU\.mat is not in .*Or put it there as"):
        datasets.fetch_pavia_university(data_home=tmp_path)
