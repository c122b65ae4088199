"""Sampling of pixels: what each split promises of the two sides, and what it refuses."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage
from sklearn.model_selection import train_test_split

from sklearn_capoz.datasets import ScenePixels, sample_pixels


def scene_of(labels, n_bands=2):
    return np.zeros((*labels.shape, n_bands), np.float32)


def fields(seed=0, shape=(60, 50), n_classes=3):
    """Many fields of each class, and unlabelled ground between some of them."""
    noise = np.random.RandomState(seed).standard_normal((n_classes + 1, *shape))
    return ndimage.gaussian_filter(noise, (0, 2, 2)).argmax(axis=0)


def at(pixels, shape):
    mask = np.zeros(shape, dtype=bool)
    mask[tuple(pixels.positions.T)] = True
    return mask


@settings(max_examples=25, deadline=None)
@given(
    split=st.sampled_from(["random", "disjoint", "blocks"]),
    train_size=st.sampled_from([3, 20, 0.05, 0.5]),
    patch_size=st.sampled_from([1, 3, 5]),
    seed=st.integers(0, 5),
)
def test_every_split_keeps_the_sides_apart_and_labels_right(split, train_size, patch_size, seed):
    labels = fields(seed)
    X_train, X_test, y_train, y_test = sample_pixels(
        scene_of(labels), labels, split=split, train_size=train_size, patch_size=patch_size,
        random_state=seed,
    )  # fmt: skip
    for X, y in ((X_train, y_train), (X_test, y_test)):
        assert len(X) == len(y)
        np.testing.assert_array_equal(labels[tuple(X.positions.T)], y)
        assert set(y) == {1, 2, 3}
    train, test = at(X_train, labels.shape), at(X_test, labels.shape)
    assert train.sum() == len(X_train)
    assert not (train & test).any()
    found, there = np.bincount(y_train)[1:], np.bincount(labels.ravel())[1:]
    most = train_size if isinstance(train_size, int) else np.round(train_size * there)
    assert (found <= most).all()
    if split == "random":
        assert (found == most).all()
        assert len(X_train) + len(X_test) == (labels > 0).sum()
    if split == "disjoint":
        for label in (1, 2, 3):
            regions, _ = ndimage.label(labels == label, np.ones((3, 3)))
            assert not set(regions[train & (labels == label)]) & set(regions[test])
    if split == "blocks":  # no pixel is seen from both sides
        seen = [ndimage.maximum_filter(side, patch_size) for side in (train, test)]
        assert not (seen[0] & seen[1]).any()


def test_a_random_split_looks_into_training_patches_and_blocks_do_not():
    """The test of the test: what "blocks" promises is not so for the others."""
    labels = fields()
    for split in ("random", "disjoint"):
        X_train, X_test, _, _ = sample_pixels(
            scene_of(labels), labels, split=split, train_size=0.3, patch_size=5, random_state=0
        )
        seen = ndimage.maximum_filter(at(X_train, labels.shape), 5)
        assert (seen & at(X_test, labels.shape)).any()


def test_the_same_seed_gives_the_same_pixels():
    labels = fields()
    first, again, other = (
        sample_pixels(scene_of(labels), labels, split="blocks", patch_size=3, random_state=seed)
        for seed in (0, 0, 1)
    )
    np.testing.assert_array_equal(first[0].positions, again[0].positions)
    assert not np.array_equal(first[0].positions, other[0].positions)


def test_small_classes_keep_half_for_the_test():
    labels = np.array([[1] * 30, [2] * 6 + [0] * 24])
    _, _, y_train, y_test = sample_pixels(
        scene_of(labels), labels, train_size=10, patch_size=1, random_state=0
    )
    assert np.bincount(y_train).tolist() == [0, 10, 3]
    assert np.bincount(y_test).tolist() == [0, 20, 3]


def test_the_only_field_of_a_class_is_cut_in_two_with_a_warning():
    labels = np.array([[1, 1, 1, 1, 1, 1, 0, 2, 0, 2]] * 2)
    with pytest.warns(UserWarning, match="only field of each of the classes 1 in two"):
        X_train, X_test, y_train, y_test = sample_pixels(
            scene_of(labels), labels, split="disjoint", train_size=0.5, patch_size=1,
            random_state=0,
        )  # fmt: skip
    ones = [set(X.positions[y == 1][:, 1]) for X, y in ((X_train, y_train), (X_test, y_test))]
    assert ones in ([{0, 1, 2}, {3, 4, 5}], [{3, 4, 5}, {0, 1, 2}])


LABELS = np.array([[1, 1, 1, 2, 2, 2]] * 4)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"patch_size": 4}, "patch_size=4 is even, and a patch has its pixel in the middle: take"),
        ({"patch_size": 5}, "patch_size=5 is larger than the scene of 4 x 6 pixels"),
        ({"split": "spatial"}, "split must be 'random', 'disjoint' or 'blocks', got 'spatial'"),
        ({"train_size": 1.0}, "train_size == 1.0, must be < 1"),
        ({"train_size": 0}, "train_size == 0, must be >= 1"),
        ({"labels": LABELS[:3]}, r"scene has the shape \(4, 6, 2\) and labels \(3, 6\)"),
        ({"labels": LABELS * 1.0}, "labels must be whole numbers"),
        ({"labels": LABELS * 0}, "labels is 0 everywhere"),
        ({"split": "blocks"}, "leaves the classes 1, 2 without a pixel to .* 200 draws"),
        ({"labels": np.eye(4, 6, dtype=int)[::-1] * [1, 2, 0, 0, 0, 0], "train_size": 0.5},
         "leaves the classes 1, 2 without a pixel to test on; label more of them"),
    ],
)  # fmt: skip
def test_what_cannot_be_split_is_refused(change, message):
    settings = {"labels": LABELS, "split": "random", "patch_size": 3, "random_state": 0}
    with pytest.raises(ValueError, match=message):
        sample_pixels(scene_of(LABELS), **(settings | change))


def test_pixels_are_split_as_arrays_are():
    cube = np.random.RandomState(0).standard_normal((6, 5, 3))
    positions = np.argwhere(np.ones((6, 5)))
    pixels = ScenePixels(cube, positions)
    train, test = train_test_split(pixels, random_state=0)
    assert train.cube is test.cube is cube
    assert (len(train), len(test)) == (22, 8)
    np.testing.assert_array_equal(np.asarray(train), cube[tuple(train.positions.T)])
    assert pixels[4].shape == (1, 3)
    assert pixels[np.arange(30) % 2 == 0].shape == (15, 3)
    assert np.asarray(pixels, dtype=np.float32).dtype == np.float32


def test_patches_are_mirrored_at_the_edge():
    cube = np.random.RandomState(0).standard_normal((7, 6, 2))
    positions = np.argwhere(np.ones((7, 6)))
    padded = np.pad(cube, ((2, 2), (2, 2), (0, 0)), mode="reflect")
    expected = [np.moveaxis(padded[r : r + 5, c : c + 5], 2, 0) for r, c in positions]
    np.testing.assert_array_equal(ScenePixels(cube, positions).patches(5), expected)


def test_what_a_masked_array_hides_is_missing():
    cube = np.ma.masked_equal(np.arange(24, dtype=np.int16).reshape(3, 4, 2), 7)
    found = np.asarray(ScenePixels(cube, [[0, 3], [1, 0]]))
    np.testing.assert_array_equal(found, [[6, np.nan], [8, 9]])
    assert np.asarray(ScenePixels([[[1, 2]]], [[0, 0]])).tolist() == [[1, 2]]


@pytest.mark.parametrize(
    ("cube", "positions", "message"),
    [
        (np.zeros((3, 4)), [[0, 0]], "cube must have rows, columns and bands"),
        (np.zeros((3, 4, 1)), [[0, 0], [3, 1]], r"1 of 2 positions lie outside .* \[3, 1\] for"),
        (np.zeros((3, 4, 1)), [[-1, 0]], "lie outside the scene of 3 x 4 pixels"),
        (np.zeros((3, 4, 1)), [0, 1], r"positions must hold whole numbers, .* of shape \(2,\)"),
        (np.zeros((3, 4, 1)), [[0.5, 1]], "positions must hold whole numbers"),
    ],
)
def test_pixels_that_are_none_of_the_scene_are_refused(cube, positions, message):
    with pytest.raises(ValueError, match=message):
        ScenePixels(cube, positions)
