"""Scenes through networks that look at patches: in one sweep, each pixel by its own patch."""

import pickle

import numpy as np
import pytest
import torch
from sklearn.pipeline import make_pipeline
from torch import nn

from sklearn_capoz import PrunedCNNClassifier
from sklearn_capoz.datasets import ScenePixels, sample_pixels
from sklearn_capoz.deploy import predict_scene
from sklearn_capoz.scenes import _patches
from sklearn_capoz.scenes._pixels import PixelClassifier

pytestmark = pytest.mark.filterwarnings("ignore:bands were matched by position")

SIZES = {
    "1d": {"channels": 4, "hidden": 6},
    "2d": {"channels": (6,), "hidden": 6},
    "3d": {"channels": (3,), "band_kernel_size": 3, "hidden": 6},
}


class Padding(nn.Module):
    """A network that cannot run over an image: it pads each patch."""

    def __init__(self, n_bands, n_classes, patch_size):
        super().__init__()
        self.conv = nn.Conv2d(n_bands, 5, 3, padding=1)
        self.head = nn.Linear(5 * patch_size**2, n_classes)

    def forward(self, X):
        return self.head(torch.relu(self.conv(X)).flatten(1))


@pytest.fixture(scope="module")
def trained(scene):
    """Return a function that trains a network of some kind on the scene, once each."""
    X, _, y, _ = sample_pixels(
        scene.cube, scene.labels + 1, train_size=40, patch_size=5, random_state=0
    )
    models = {}

    def train(kind):
        if kind not in models:
            models[kind] = PrunedCNNClassifier(
                kind, patch_size=5, network_params=SIZES.get(kind), n_iterations=0, max_iter=10,
                batch_size=16, learning_rate_init=0.01, random_state=0,
            ).fit(X, scene.target_names[y - 1])  # fmt: skip
        return models[kind]

    return train


def by_patch(model, cube):
    """Codes and probabilities that the estimator itself gives to each pixel."""
    shape = cube.shape[:2]
    probability = model.predict_proba(ScenePixels(cube, np.argwhere(np.ones(shape))))
    probability = probability.reshape(*shape, -1)
    return probability.argmax(axis=2) + 1, probability


@pytest.mark.parametrize("kind", ["1d", "2d", "3d", Padding])
@pytest.mark.filterwarnings("ignore:the scene is mapped patch by patch")
def test_the_map_is_what_the_estimator_says_of_each_patch(kind, scene, trained):
    model = trained(kind)
    codes, probability = by_patch(model, scene.cube)
    assert len(np.unique(codes)) > 2
    found = predict_scene(model, scene.cube, proba=True)
    np.testing.assert_array_equal(found.codes, codes)
    np.testing.assert_allclose(found.probability, probability, atol=2e-5)


@pytest.mark.parametrize("block_rows", [1, 2, 3, 7, 33])
@pytest.mark.parametrize("tile", [1, 40, 20_000])
def test_blocks_and_tiles_leave_no_seam(block_rows, tile, scene, trained, monkeypatch):
    monkeypatch.setattr(_patches, "LEAST_PIXELS", tile)
    monkeypatch.setattr(_patches, "TILE_VALUES", 0)
    model = trained("2d")
    scene_part = scene.cube[:11, :9] if tile == 1 else scene.cube  # single pixels take their time
    found = predict_scene(model, scene_part, block_rows=block_rows, n_jobs=2, proba=True)
    codes, probability = by_patch(model, scene_part)
    np.testing.assert_array_equal(found.codes, codes)
    np.testing.assert_allclose(found.probability, probability, atol=2e-5)


def test_a_missing_pixel_takes_the_patches_that_see_it(scene, trained):
    model, cube = trained("2d"), scene.cube.copy()
    cube[10, 12, 3] = np.nan
    cube[0, 0] = 0  # no data either, and mirrored at two edges
    codes, _ = by_patch(model, scene.cube)
    codes[8:13, 10:15] = 0
    codes[:3, :3] = 0
    found = predict_scene(model, cube, block_rows=4)
    np.testing.assert_array_equal(found.codes, codes)
    cube[:] = np.nan
    cube[20, 20] = scene.cube[20, 20]
    with pytest.raises(ValueError, match="no pixel of the scene has data"):
        predict_scene(model, cube, block_rows=4)


def test_what_cannot_run_over_an_image_is_said_and_mapped_all_the_same(scene, trained):
    with pytest.warns(UserWarning, match=r"patch by patch, .* Padding cannot run .* pads each"):
        found = predict_scene(trained(Padding), scene.cube)
    np.testing.assert_array_equal(found.codes, by_patch(trained(Padding), scene.cube)[0])


def test_files_units_and_rejection_are_those_of_any_map(scene, trained, write_envi):
    model = trained("2d")
    _, probability = by_patch(model, scene.cube)
    stored = np.round(scene.cube * 10_000).astype(np.int16)
    path = write_envi(stored, interleave="bil", **{"reflectance scale factor": 10_000})
    found = predict_scene(model, path, reject_below=0.5, block_rows=5)
    expected = np.where(probability.max(axis=2) < 0.5, 8, probability.argmax(axis=2) + 1)
    assert (expected == 8).any()
    assert (found.codes == expected).mean() > 0.97  # rounded numbers change the doubtful ones


def test_an_interrupted_map_goes_on_with_a_model_from_a_file(tmp_path, scene, trained, monkeypatch):
    model, settings = trained("2d"), {"block_rows": 4, "proba": True}
    (tmp_path / "whole").mkdir()
    predict_scene(model, scene.cube, output=tmp_path / "whole" / "map.tif", **settings)
    calls = []

    def stop_at_the_fourth(self, *block):
        calls.append(block)
        if len(calls) == 4:
            raise KeyboardInterrupt
        return answer(self, *block)

    answer = PixelClassifier._answers
    monkeypatch.setattr(PixelClassifier, "_answers", stop_at_the_fourth)
    with pytest.raises(KeyboardInterrupt):
        predict_scene(model, scene.cube, output=tmp_path / "map.tif", **settings)
    calls.clear()
    monkeypatch.setattr(
        PixelClassifier, "_answers", lambda self, *b: (calls.append(b), answer(self, *b))[1]
    )
    again = pickle.loads(pickle.dumps(model))
    predict_scene(again, scene.cube, output=tmp_path / "map.tif", resume=True, **settings)
    assert 5 <= len(calls) < 9
    for name in ("map.tif", "map_probability.tif"):
        assert (tmp_path / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


def test_a_pipeline_ends_in_it(scene, trained):
    pipeline = make_pipeline("passthrough", trained("2d"))
    found = predict_scene(pipeline, scene.cube)
    np.testing.assert_array_equal(found.codes, by_patch(trained("2d"), scene.cube)[0])


def test_a_scene_smaller_than_a_patch_is_refused(scene, trained):
    with pytest.raises(ValueError, match="patch_size=5 is larger than the scene of 4 x 26 pixels"):
        predict_scene(trained("2d"), scene.cube[:4])


def test_a_lazy_scene_gives_the_same(scene, trained):
    da = pytest.importorskip("dask.array")
    lazy = da.from_array(scene.cube, chunks=(10, 13, 50))
    found = predict_scene(trained("2d"), lazy, block_rows=6)
    np.testing.assert_array_equal(found.codes, by_patch(trained("2d"), scene.cube)[0])
