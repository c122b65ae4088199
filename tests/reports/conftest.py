"""A small scene with its map, trust layers and truth in files, and pages read back."""

import base64
import json
import re
import struct
import zlib
from itertools import pairwise
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from sklearn.naive_bayes import GaussianNB

from sklearn_capoz.datasets import make_mineral_scene
from sklearn_capoz.scenes import predict_scene

pytest.importorskip("jinja2")
rasterio = pytest.importorskip("rasterio")

SHAPE = 30, 40
MINERALS = ["Alunite", "Calcite", "Muscovite"]
TRANSFORM = (17.0, 0, 495000, 0, -17.0, 4155000)


def write_raster(path, values, descriptions=(), **settings):
    """Write (n_rows, n_columns, n_bands) as GeoTIFF."""
    settings = {"crs": "EPSG:32611", "transform": rasterio.Affine(*TRANSFORM), **settings}
    with rasterio.open(
        path, "w", driver="GTiff", height=values.shape[0], width=values.shape[1],
        count=values.shape[2], dtype=values.dtype, **settings,
    ) as dataset:  # fmt: skip
        dataset.write(values.transpose(2, 0, 1))
        if descriptions:
            dataset.descriptions = descriptions
    return path


@pytest.fixture(scope="session", name="write_raster")
def _write_raster():
    return write_raster


@pytest.fixture(scope="session")
def case(tmp_path_factory):
    """Map a scene whose first five columns hold nothing; files and numbers of all of it."""
    folder = tmp_path_factory.mktemp("report")
    scene = make_mineral_scene(SHAPE, minerals=MINERALS, patch_size=8, random_state=0)
    nm = [f"{w:g} nm" for w in scene.wavelengths]
    stored = np.rint(scene.cube * 10000).astype("int16")
    stored[:, :5] = 0
    path = write_raster(folder / "scene.tif", stored, nm)
    with rasterio.open(path, "r+") as dataset:
        dataset.scales = (1e-4,) * 50
    names = scene.target_names[scene.labels]
    model = GaussianNB().fit(scene.cube.reshape(-1, 50), names.ravel())
    model.wavelengths_ = scene.wavelengths
    found = predict_scene(model, path, output=folder / "map.tif", reject_below=0.9)
    trust = np.random.RandomState(0).uniform(size=(*SHAPE, 4)).astype("float32")
    trust[:, :5] = np.nan
    trust_names = ("probability", "margin", "agreement", "likeness")
    write_raster(folder / "map_trust.tif", trust, trust_names, nodata=np.nan)
    truth = pd.DataFrame(
        {"row": np.arange(30), "column": np.arange(5, 35), "label": names[range(30), range(5, 35)]}
    )
    truth.to_csv(folder / "truth.csv", index=False)
    with rasterio.open(folder / "map.tif") as dataset:
        codes = dataset.read(1)
    return SimpleNamespace(
        folder=folder, scene=path, map=folder / "map.tif", truth=folder / "truth.csv",
        cube=stored / 10000, codes=codes, trust=trust, model=model, names=found.class_names,
        colors=found.class_colors, wavelengths=scene.wavelengths,
    )  # fmt: skip


class Page:
    """What a page holds, unpacked by other code than the page's own."""

    def __init__(self, path):
        self.text = path.read_text("utf-8")
        (found,) = re.findall(
            r'<script type="application/json" id="data">(.*?)</script>', self.text
        )
        self.data = json.loads(found)

    def codes(self):
        (picture,) = re.findall(r'src="data:image/png;base64,([^"]*)"', self.text)
        png, at = base64.b64decode(picture), 8
        while png[at + 4 : at + 8] != b"IDAT":
            at += struct.unpack(">I", png[at : at + 4])[0] + 12
        (size,) = struct.unpack(">I", png[at : at + 4])
        rows = np.frombuffer(zlib.decompress(png[at + 8 : at + 8 + size]), np.uint8)
        width = -(-self.data["columns"] // self.data["thinning"]["picture"])
        return rows.reshape(-1, width + 1)[:, 1:]

    @staticmethod
    def bytes_of(text):
        return np.frombuffer(zlib.decompress(base64.b64decode(text)), np.uint8)

    def numbers_of(self, text):
        low, high = self.bytes_of(text).reshape(2, -1).astype(np.int32)
        whole = low + 256 * high
        return np.where(whole % 2, -(whole + 1) // 2, whole // 2)

    def places(self):
        """Rows and columns of the stored pixels."""
        t = self.data["thinning"]
        return [
            np.minimum(
                np.arange(0, n, t["stored"]) + t["first"], (n - 1) // t["picture"] * t["picture"]
            )
            for n in (self.data["rows"], self.data["columns"])
        ]

    def spectra(self):
        """Reflectance of the stored pixels, NaN without, (n_rows, n_columns, n_bands)."""
        kept, n_bands = self.data["spectra"], len(self.data["bands"])
        rows, columns = self.places()
        shape = len(rows), len(columns)
        numbers = self.numbers_of(kept["planes"]).reshape(-1, *shape).transpose(1, 2, 0)
        has = self.bytes_of(kept["has"]).reshape(shape).astype(bool)
        if kept["kind"] == "exact":
            values = kept["low"] + (numbers + 32768) * kept["step"]
        else:
            step = self.data["thinning"]["picture"]
            codes = self.codes()[np.ix_(rows // step, columns // step)]
            means = np.frombuffer(base64.b64decode(kept["means"]), "<f4").reshape(-1, n_bands)
            ends = np.cumsum([0, *kept["n_directions"]])
            directions = self.numbers_of(kept["directions"]).reshape(-1, n_bands) / 32767
            values = means[codes].astype(float)
            for code, (first, last) in enumerate(pairwise(ends)):
                of_class = codes == code
                along = numbers[of_class][:, : last - first] * kept["step"]
                values[of_class] += along @ directions[first:last]
        return np.where(has[..., None], values, np.nan)


@pytest.fixture(scope="session")
def read_page():
    return Page
