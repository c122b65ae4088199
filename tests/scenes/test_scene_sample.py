"""Pixels and noise of a scene, drawn before it is mapped."""

import numpy as np
import pytest

from sklearn_capoz.exceptions import DataFormatError
from sklearn_capoz.scenes import sample_scene

xr = pytest.importorskip("xarray")

NM = np.arange(2000.0, 2500, 10)


def scene(cube, nm=NM):
    return xr.DataArray(cube, dims=("y", "x", "band"), coords={"band": nm})


def ground(shape, seed=0):
    """Two kinds of ground in large patches, of any brightness."""
    rng = np.random.RandomState(seed)
    along = np.linspace(0, 1, len(NM))
    kinds = np.array([0.4 + 0.1 * np.sin(6 * along), 0.5 - 0.2 * along])
    kind = (np.add.outer(np.arange(shape[0]) // 7, np.arange(shape[1]) // 9)) % 2
    return kinds[kind] * rng.uniform(0.3, 1, shape)[..., None]


def test_pixels_are_the_scenes_each_once_and_in_no_order():
    cube = ground((40, 30))
    cube[..., 0] = np.arange(1, 1201).reshape(40, 30) / 1200
    sample = sample_scene(scene(cube), n_pixels=500, random_state=0)
    assert sample.pixels.shape == (500, 50)
    assert sample.pixels.dtype == np.float32
    row, column = np.divmod(np.rint(sample.pixels[:, 0] * 1200).astype(int) - 1, 30)
    np.testing.assert_allclose(sample.pixels, cube[row, column], rtol=1e-6)
    assert len(set(zip(row, column, strict=True))) == 500
    assert len(set(row)) > 35  # from all over the scene
    assert not (np.diff(row) >= 0).all()
    same = sample_scene(scene(cube), n_pixels=500, random_state=0)
    np.testing.assert_array_equal(same.pixels, sample.pixels)
    other = sample_scene(scene(cube), n_pixels=500, random_state=1)
    assert not np.array_equal(other.pixels, sample.pixels)
    assert "500 pixels in 50 bands from 2000 to 2490 nm" in repr(sample)


def test_noise_is_that_which_was_added_whatever_the_ground():
    rng = np.random.RandomState(0)
    noise = np.where(NM < 2250, 0.01, 0.03)
    cube = ground((60, 80))
    seen = sample_scene(scene(cube), random_state=0).noise
    assert seen.max() < 1e-6  # light and ground are none
    cube *= 1 + noise * rng.standard_normal(cube.shape)
    seen = sample_scene(scene(cube), random_state=0).noise
    apart = np.abs(NM - 2245) > 20  # beside the step two levels meet
    np.testing.assert_allclose(seen[apart], noise[apart], rtol=0.1)


def test_a_few_pixels_are_all_that_there_are():
    cube = ground((3, 4))
    cube[1, 2] = np.nan
    cube[0] = 0  # beside the image
    sample = sample_scene(scene(cube), n_pixels=100, random_state=0)
    assert sample.pixels.shape == (7, 50)
    assert np.isfinite(sample.pixels).all()
    assert sample_scene(scene(ground((1, 1)))).noise.tolist() == [0] * 50


def test_other_bands_are_interpolated_and_bad_ones_left_out():
    cube = np.tile(NM / 5000, (5, 6, 1))
    sample = sample_scene(scene(cube), [2005.0, 2100.0, 2333.0])
    np.testing.assert_allclose(sample.pixels, np.tile([0.401, 0.42, 0.4666], (30, 1)), rtol=1e-5)
    with pytest.raises(ValueError, match="have no good band of the scene within 20 nm"):
        sample_scene(scene(cube), [1900.0, 2100.0])


def test_integers_are_scaled_and_their_no_data_is_none():
    cube = (10_000 * ground((6, 7))).astype("int16")
    cube[2, 3] = -50
    sample = sample_scene(scene(cube), scale=10_000, nodata=-50)
    assert len(sample.pixels) == 41
    assert 0 < sample.pixels.min() < sample.pixels.max() < 1
    with pytest.raises(ValueError, match="does not say which stands for reflectance 1"):
        sample_scene(scene(cube))


def test_scenes_that_teach_nothing():
    with pytest.raises(ValueError, match="does not say the wavelengths"):
        sample_scene(ground((4, 4)))
    with pytest.raises(DataFormatError, match="no pixel has data in all 50 bands"):
        sample_scene(scene(np.full((4, 4, 50), np.nan)))
    with pytest.raises(ValueError, match="n_pixels"):
        sample_scene(scene(ground((4, 4))), n_pixels=0)


def test_rows_of_one_piece_are_read_together(tmp_path):
    """A strip of a compressed file is unpacked whole for any of its rows."""
    rasterio = pytest.importorskip("rasterio")
    cube = ground((600, 5)).astype("f4")
    settings = {"driver": "GTiff", "height": 600, "width": 5, "count": 50, "dtype": "float32",
                "compress": "deflate", "blockysize": 300, "interleave": "pixel",
                "transform": rasterio.Affine(30, 0, 500, 0, -30, 900)}  # fmt: skip
    with rasterio.open(tmp_path / "scene.tif", "w", **settings) as dataset:
        dataset.write(cube.transpose(2, 0, 1))
        dataset.descriptions = [f"{nm:g} nm" for nm in NM]
    sample = sample_scene(tmp_path / "scene.tif", n_pixels=400, random_state=0)
    assert sample.pixels.shape == (400, 50)


def test_noise_larger_than_reflectance_is_refused():
    """Spectra made with such noise are not finite, and training failed on them."""
    water = 0.002 + 0.002 * np.random.RandomState(0).standard_normal((40, 30, 50))
    nm = np.linspace(2000, 2490, 50)
    cube = xr.DataArray(water, dims=("y", "x", "band"), coords={"band": nm})
    with pytest.raises(DataFormatError, match=r"noise of the scene is .*% of its reflectance"):
        sample_scene(cube, random_state=0)
