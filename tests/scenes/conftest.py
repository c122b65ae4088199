"""A small made scene, a model for it, and ENVI files written by the `spectral` package."""

import numpy as np
import pytest
import spectral.io.envi as envi
from sklearn.naive_bayes import GaussianNB

from sklearn_capoz.datasets import make_mineral_scene


@pytest.fixture(scope="session")
def scene():
    """34 x 26 pixels, 50 bands from 1990 to 2480 nm."""
    return make_mineral_scene((34, 26), noise=0.002, random_state=3)


@pytest.fixture(scope="session")
def scene_model(scene):
    """Train a classifier that knows the scene's wavelengths."""
    X, y = scene.cube.reshape(-1, 50), scene.target_names[scene.labels.ravel()]
    model = GaussianNB().fit(X, y)
    model.wavelengths_ = scene.wavelengths
    return model


@pytest.fixture
def write_envi(tmp_path, scene):
    """Return a function that writes an ENVI scene and returns its header's path."""

    def write(cube=None, *, name="scene", interleave="bip", byteorder=0, **header):
        cube = scene.cube if cube is None else cube
        fields = {"wavelength": scene.wavelengths.round(4), "wavelength units": "Nanometers"}
        fields = {k: v for k, v in (fields | header).items() if v is not None}
        path = tmp_path / f"{name}.hdr"
        envi.save_image(
            str(path), cube, interleave=interleave, byteorder=byteorder, metadata=fields, force=True
        )
        return path

    return write


@pytest.fixture
def edit_header():
    """Return a function that replaces a header's entry, or removes it for None."""

    def edit(path, **fields):
        lines = path.read_text().splitlines()
        for name, value in fields.items():
            key = name.replace("_", " ")
            lines = [line for line in lines if line.partition("=")[0].strip() != key]
            if value is not None:
                lines.append(f"{key} = {value}")
        path.write_text("\n".join(lines) + "\n")
        return path

    return edit


@pytest.fixture
def expected(scene, scene_model):
    """Codes that the model gives to the scene's pixels: 1 is the first class."""
    labels = scene_model.predict(scene.cube.reshape(-1, 50))
    return (np.searchsorted(scene_model.classes_, labels) + 1).reshape(34, 26)


@pytest.fixture(scope="session")
def write_tif():
    """Return a function that writes a GeoTIFF."""
    rasterio = pytest.importorskip("rasterio")

    def call(path, cube, edit=None, **settings):
        with rasterio.open(
            path, "w", driver="GTiff", height=cube.shape[0], width=cube.shape[1],
            count=cube.shape[2], dtype=cube.dtype, **settings,
        ) as dataset:  # fmt: skip
            dataset.write(cube.transpose(2, 0, 1))
            if edit is not None:
                edit(dataset)
        return path

    return call
