"""Made scenes: the same whatever the block, exact labels, and room for a memmap."""

import numpy as np
import pytest

from sklearn_capoz.datasets import CUPRITE_MINERALS, CUPRITE_WAVELENGTHS, make_mineral_scene


def test_every_array_has_its_documented_shape():
    scene = make_mineral_scene((21, 34), random_state=0)
    assert scene.cube.shape == (21, 34, 50)
    assert scene.cube.dtype == np.float32
    assert scene.labels.shape == scene.purity.shape == (21, 34)
    assert scene.labels.dtype == np.int8
    assert tuple(scene.target_names) == CUPRITE_MINERALS
    np.testing.assert_array_equal(scene.wavelengths, CUPRITE_WAVELENGTHS)
    assert "no real place" in scene.DESCR


def test_block_size_changes_nothing():
    whole, rows, uneven = (
        make_mineral_scene((30, 20), block_rows=n, random_state=0) for n in (100, 1, 7)
    )
    for name in ("cube", "labels", "purity"):
        np.testing.assert_array_equal(whole[name], rows[name])
        np.testing.assert_array_equal(whole[name], uneven[name])


def test_seed_decides_the_scene_and_the_global_generator_stays():
    np.random.seed(3)
    before = np.random.get_state()[1].copy()
    first, second, other = (make_mineral_scene((9, 9), random_state=s) for s in (1, 1, 2))
    np.testing.assert_array_equal(first.cube, second.cube)
    assert not np.array_equal(first.cube, other.cube)
    np.testing.assert_array_equal(np.random.get_state()[1], before)


def test_a_memmap_is_filled_and_handed_back(tmp_path):
    out = np.memmap(tmp_path / "scene.img", dtype="f8", mode="w+", shape=(12, 10, 3))
    scene = make_mineral_scene((12, 10), wavelengths=[2200, 2210, 2340], out=out, random_state=0)
    assert scene.cube is out
    out.flush()
    stored = np.fromfile(tmp_path / "scene.img").reshape(12, 10, 3)
    plain = make_mineral_scene((12, 10), wavelengths=[2200, 2210, 2340], random_state=0)
    np.testing.assert_array_equal(stored.astype(np.float32), plain.cube)


def test_labels_name_the_mineral_whose_absorption_is_seen():
    """Two minerals: the deeper of 2210 nm (Al-OH) and 2340 nm (CO3) tells them apart."""
    scene = make_mineral_scene(
        (40, 40),
        minerals=["Kaolinite", "Calcite"],
        wavelengths=[2140, 2210, 2340],
        noise=0,
        random_state=0,
    )
    kaolinite, calcite = (scene.labels == i for i in range(2))
    assert kaolinite.any()
    assert calcite.any()
    assert (scene.purity > 0.4999).all()  # float32
    shoulder, al_oh, carbonate = np.moveaxis(scene.cube, -1, 0)
    pure = scene.purity > 0.95
    assert (al_oh < 0.95 * shoulder)[pure & kaolinite].all()
    assert (carbonate < 0.95 * shoulder)[pure & calcite].all()
    assert (al_oh > 0.95 * shoulder)[pure & calcite].all()


def test_patches_are_smooth_and_of_the_asked_size():
    def agreement(patch_size):
        labels = make_mineral_scene((80, 80), patch_size=patch_size, random_state=0).labels
        return (labels[:, 4:] == labels[:, :-4]).mean()

    assert agreement(40) > agreement(8) > agreement(0.5)


def test_all_minerals_appear_in_a_scene_of_many_patches():
    labels = make_mineral_scene((120, 120), patch_size=10, random_state=0).labels
    assert set(labels.ravel()) == set(range(7))


def test_noise_has_the_asked_standard_deviation():
    quiet, noisy = (make_mineral_scene((30, 30), noise=n, random_state=0).cube for n in (0, 0.02))
    assert np.std(noisy - quiet) == pytest.approx(0.02, rel=0.03)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"shape": (0, 5)}, r"all >= 1, got shape=\(0, 5\)"),
        ({"shape": (5, 5, 50)}, "shape must be"),
        ({"shape": (5, 2.5)}, "shape must be"),
        ({"block_rows": 0}, "block_rows=0"),
        ({"patch_size": 0}, "patch_size must be a number of pixels > 0, got 0"),
        ({"noise": -0.1}, "noise must be"),
        ({"minerals": ["Mithril"]}, r"unknown \['Mithril'\]"),
        ({"wavelengths": [400, 500]}, "within 1300 to 2500 nm"),
        ({"out": np.empty((5, 5, 49))}, r"of shape \(5, 5, 50\), got float64 and \(5, 5, 49\)"),
        ({"out": np.empty((5, 5, 50), dtype=np.int16)}, "array of floats"),
    ],
)
def test_impossible_wishes_are_named(settings, message):
    with pytest.raises(ValueError, match=message):
        make_mineral_scene(**{"shape": (5, 5), **settings})
