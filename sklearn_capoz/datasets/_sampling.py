"""Which pixels of a labelled scene to train on and which to test on."""

from __future__ import annotations

from numbers import Integral, Real

import numpy as np
from scipy import ndimage
from sklearn.utils import check_random_state, check_scalar

from .._warn import warn
from ._scene_pixels import ScenePixels, check_patch_size

__all__ = ["sample_pixels"]

#: Draws of blocks, of which the first with every class on both sides and enough of each is taken.
N_DRAWS = 200

#: Pixels that touch at a corner are of one field.
EIGHT_NEIGHBOURS = np.ones((3, 3), dtype=bool)


def sample_pixels(
    scene, labels, *, split="random", train_size=0.1, patch_size=9, random_state=None
):
    """Split the labelled pixels of a scene into pixels to train on and pixels to test on.

    A random split puts test pixels inside of training patches, and scores of networks that look at
    patches come out near 1 whatever they have learnt. The other two keep the sides apart.

    Parameters
    ----------
    scene : array-like of shape (n_rows, n_columns, n_bands)
    labels : array-like of shape (n_rows, n_columns), int
        0 where nothing is known.
    split : {"random", "disjoint", "blocks"}, default="random"
        "random" draws pixels of each class. "disjoint" gives whole fields, connected pixels of one
        class, to one side; fields may touch, so that patches at their edges reach over, and the
        only field of a class is cut in two. "blocks" shares out square blocks of 2 * `patch_size`
        pixels, 16 at least, and leaves out pixels whose patch reaches into a block of the other
        side: no pixel is seen from both.
    train_size : float or int, default=0.1
        A float in (0, 1) is the share of each class to train on; a whole number is how many pixels
        of each class, or half of a class that has less than twice as many. Where the fields or
        blocks of one side hold fewer, these.
    patch_size : int, default=9
        Rows and columns of the patches to come, an odd number; 1 for single spectra.
    random_state : int, RandomState instance or None, default=None

    Returns
    -------
    X_train, X_test : ScenePixels
    y_train, y_test : ndarray of int
        Their labels.

    Raises
    ------
    ValueError
        If labels and scene differ in size, `patch_size` is even or larger than the scene, or a
        class would be on one side only: it is named.

    Warns
    -----
    UserWarning
        If "disjoint" has to cut the only field of a class.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_capoz.datasets import sample_pixels
    >>> labels = np.repeat([[1, 0, 2, 0, 1, 0, 2]], 10, axis=0)
    >>> X_train, X_test, y_train, y_test = sample_pixels(
    ...     np.zeros((10, 7, 5)), labels, split="disjoint", train_size=0.5, patch_size=3,
    ...     random_state=0,
    ... )
    >>> X_train.shape, X_test.shape
    ((20, 5), (20, 5))
    """
    labels = np.asarray(labels)
    _check(scene, labels, split, train_size, patch_size)
    random = check_random_state(random_state)
    classes, counts = np.unique(labels[labels != 0], return_counts=True)
    if isinstance(train_size, Integral):
        wanted = np.minimum(int(train_size), counts // 2)
    else:
        wanted = np.maximum(1, np.round(train_size * counts).astype(int))
    sides = {"random": _scattered, "disjoint": _fields, "blocks": _blocks}[split]
    train, test = sides(labels, classes, wanted, patch_size, random)
    _check_sides(labels, classes, train, test, split)
    chosen = np.zeros_like(train)
    for label, n in zip(classes, wanted, strict=True):
        pool = np.flatnonzero(train & (labels == label))
        chosen.flat[random.choice(pool, min(n, len(pool)), replace=False)] = True
    if split == "random":
        test = test & ~chosen
        _check_sides(labels, classes, chosen, test, split)
    parts = [np.argwhere(side) for side in (chosen, test)]
    return (
        *(ScenePixels(scene, part) for part in parts),
        *(labels[tuple(part.T)] for part in parts),
    )


def _scattered(labels, classes, wanted, patch_size, random) -> tuple[np.ndarray, np.ndarray]:
    return labels != 0, labels != 0


def _fields(labels, classes, wanted, patch_size, random) -> tuple[np.ndarray, np.ndarray]:
    """Give fields of each class to training until it has enough, all but one at most."""
    train, cut = np.zeros(labels.shape, dtype=bool), []
    for label, n in zip(classes, wanted, strict=True):
        fields, n_fields = ndimage.label(labels == label, EIGHT_NEIGHBOURS)
        if n_fields == 1:
            fields, n_fields = _halves(fields, n, random), 2
            cut.append(str(label))
            order = np.array([1, 2])
        else:
            order = random.permutation(n_fields) + 1
        reached = np.cumsum(np.bincount(fields.ravel(), minlength=n_fields + 1)[order])
        train |= np.isin(fields, order[: min(np.searchsorted(reached, n) + 1, n_fields - 1)])
    if cut:
        warn(
            f"split='disjoint' cuts the only field of each of the classes {', '.join(cut)} in two: "
            "the sides touch there, and scores of these classes say less."
        )
    return train, (labels != 0) & ~train


def _halves(field, n, random) -> np.ndarray:
    """Cut a field across its longer side, and number the parts: 1 has `n` pixels, 2 the rest."""
    pixels = np.argwhere(field)
    along = pixels[:, np.ptp(pixels, axis=0).argmax()] * random.choice((-1, 1))
    halves = np.zeros(field.shape, dtype=int)
    halves[tuple(pixels[np.argsort(along, kind="stable")].T)] = 1 + (np.arange(len(pixels)) >= n)
    return halves


def _blocks(labels, classes, wanted, patch_size, random) -> tuple[np.ndarray, np.ndarray]:
    """Share out blocks, and leave out pixels whose patch reaches into the other side's."""
    side = max(2 * patch_size, 16)
    row, column = (np.arange(n) // side for n in labels.shape)
    n_blocks = (row[-1] + 1, column[-1] + 1)
    share = wanted.sum() / (labels != 0).sum()
    best: tuple = ((len(classes) + 1, 0), None, None)
    for _ in range(N_DRAWS):
        # Pixels along the edges are lost, so that more than a share of the blocks may be needed.
        own_share = random.uniform(share, max(share, 0.5))
        is_train = (random.random_sample(n_blocks) < own_share)[row[:, None], column]
        train, test = (
            (labels != 0) & ndimage.minimum_filter(own, patch_size, mode="nearest")
            for own in (is_train, ~is_train)
        )
        n_train, n_test = ([(labels[part] == c).sum() for c in classes] for part in (train, test))
        missing = n_train.count(0) + n_test.count(0)
        lacking = np.maximum(0, wanted - n_train).sum()
        if (missing, lacking) < best[0]:
            best = ((missing, lacking), train, test)
        if missing == lacking == 0:
            break
    return best[1], best[2]


def _check(scene, labels, split, train_size, patch_size) -> None:
    if split not in ("random", "disjoint", "blocks"):
        raise ValueError(f"split must be 'random', 'disjoint' or 'blocks', got {split!r}.")
    check_scalar(patch_size, "patch_size", Integral, min_val=1)
    if isinstance(train_size, Integral):
        check_scalar(train_size, "train_size", Integral, min_val=1)
    else:
        check_scalar(
            train_size, "train_size", Real, min_val=0, max_val=1, include_boundaries="neither"
        )
    if labels.ndim != 2 or labels.dtype.kind not in "iu":
        raise ValueError(
            "labels must be whole numbers of shape (n_rows, n_columns), got "
            f"{labels.dtype} of shape {labels.shape}."
        )
    if np.ndim(scene) != 3 or np.shape(scene)[:2] != labels.shape:
        raise ValueError(
            f"scene has the shape {np.shape(scene)} and labels {labels.shape}: both must have the "
            "same rows and columns, the scene bands behind them."
        )
    check_patch_size(patch_size, labels.shape)
    if not labels.any():
        raise ValueError("labels is 0 everywhere: no pixel is labelled.")


def _check_sides(labels, classes, train, test, split) -> None:
    """Raise where a class, or all of them, would be on one side only."""
    lacking = {
        "train": np.setdiff1d(classes, labels[train]),
        "test": np.setdiff1d(classes, labels[test]),
    }
    told = [
        f"the classes {', '.join(map(str, found))} without a pixel to {side} on"
        for side, found in lacking.items()
        if found.size
    ]
    if told:
        why = "label more of them"
        if split == "blocks":
            why = f"{N_DRAWS} draws were tried: take a smaller patch_size or split='disjoint'"
        raise ValueError(
            f"split={split!r} leaves {' and '.join(told)}; {why}, or set these labels to 0."
        )
