"""Blocks of neighbouring pixels, and folds that never cut one.

It knows coordinates and labels only, no spectra, scenes or networks: so it lies below them all, and
an estimator's `cv`, a search and a command alike can use it.
"""

from __future__ import annotations

from numbers import Integral

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from sklearn.model_selection import StratifiedGroupKFold
from sklearn.utils import assert_all_finite, check_scalar
from sklearn.utils.validation import check_consistent_length

from .._warn import warn

__all__ = ["SpatialKFold", "spatial_blocks"]


def spatial_blocks(rows, columns, block_size: int = 20, *, regions=None) -> np.ndarray:
    """Tell the blocks of a scene apart that pixels lie in, as groups for a cross-validation.

    Neighbouring pixels are nearly the same spectrum. A random split puts them on both sides, and
    says how well a model remembers; with whole blocks on one side it says how well it maps ground
    that it has not seen.

    Parameters
    ----------
    rows, columns : array-like of shape (n_pixels,), int
    block_size : int, pixels, default=20
        Side of the squares that the scene is cut into. As wide as the ground is alike: some
        hundreds of metres in most scenes.
    regions : array-like of shape (n_pixels,), default=None
        Name or number of the polygon that each pixel is from: blocks that share a polygon become
        one, so that polygons stay whole as well.

    Returns
    -------
    blocks : ndarray of shape (n_pixels,), int
        From 0.

    Examples
    --------
    >>> from sklearn_capoz.model_selection import spatial_blocks
    >>> spatial_blocks([0, 1, 30, 31], [0, 1, 0, 50], block_size=20).tolist()
    [0, 0, 1, 2]
    >>> spatial_blocks([0, 1, 30, 31], [0, 1, 0, 50], regions=["a", "b", "c", "c"]).tolist()
    [0, 0, 1, 1]
    """
    check_scalar(block_size, "block_size", Integral, min_val=1)
    rows, columns = np.asarray(rows), np.asarray(columns)
    check_consistent_length(rows, columns)
    assert_all_finite(rows, input_name="rows")
    assert_all_finite(columns, input_name="columns")
    squares = np.stack([rows // block_size, columns // block_size], axis=1)
    blocks = np.unique(squares, axis=0, return_inverse=True)[1].ravel()
    if regions is None or not len(blocks):
        return blocks
    check_consistent_length(blocks, regions)
    inside = np.unique(np.asarray(regions), return_inverse=True)[1].ravel()
    # Blocks and polygons are the nodes of a graph, and each pixel is an edge.
    n_blocks, n_regions = blocks.max() + 1, inside.max() + 1
    edges = coo_array(
        (np.ones(len(blocks)), (blocks, n_blocks + inside)), shape=(n_blocks + n_regions,) * 2
    )
    joined = connected_components(edges, directed=False)[1]
    return np.unique(joined[blocks], return_inverse=True)[1].ravel()


class SpatialKFold(StratifiedGroupKFold):
    """Cross-validation that keeps whole blocks of a scene, and whole polygons, on one side.

    Blocks are dealt out so that every fold has about as much of each class as the others. It goes
    wherever scikit-learn takes `cv`, with the pixels' places as `groups`.

    Parameters
    ----------
    n_splits : int, default=5
        Folds.
    block_size : int, pixels, default=20
        Side of the blocks, as in `spatial_blocks`.
    random_state : int, RandomState or None, default=None
        Deals out blocks that would do equally well.

    See Also
    --------
    spatial_blocks : The groups alone, for other splitters.

    Notes
    -----
    Pixels at the border of two blocks are neighbours all the same: the larger the blocks, the
    fewer they are.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_capoz.model_selection import SpatialKFold
    >>> places = np.stack(np.divmod(np.arange(1600), 40), axis=1)  # 40 x 40 pixels
    >>> y = places[:, 0] % 2
    >>> folds = SpatialKFold(n_splits=2, block_size=10, random_state=0)
    >>> train, test = next(folds.split(np.zeros((1600, 3)), y, groups=places))
    >>> blocks = places // 10
    >>> set(map(tuple, blocks[train].tolist())) & set(map(tuple, blocks[test].tolist()))
    set()
    """

    def __init__(self, n_splits=5, *, block_size=20, random_state=None):
        super().__init__(n_splits, shuffle=True, random_state=random_state)
        self.block_size = block_size

    def split(self, X, y, groups=None):
        """Give the folds.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features), or None
            Not looked at.
        y : array-like of shape (n_samples,)
            Labels.
        groups : array-like of shape (n_samples, 2), (n_samples, 3) or (n_samples,), int
            Row and column of each pixel, and the number of its polygon if there are any; or what
            `spatial_blocks` gives.

        Yields
        ------
        train, test : ndarray of int

        Raises
        ------
        ValueError
            If there are no places, or fewer blocks than folds.

        Warns
        -----
        UserWarning
            If a class lies in a single block: where that is held out, nothing of it is trained on.
        """
        blocks = self._blocks(groups)
        check_consistent_length(y, blocks)
        n_blocks = len(np.unique(blocks))
        if n_blocks < self.n_splits:
            raise ValueError(
                f"the pixels lie in {n_blocks} blocks (polygons make one of the blocks that they "
                f"lie in), and {self.n_splits} folds need as many: take fewer n_splits or a "
                f"smaller block_size, which is {self.block_size}."
            )
        labels = np.asarray(y)
        alone = [name for name in np.unique(labels) if len(set(blocks[labels == name])) == 1]
        if alone:
            warn(
                f"{', '.join(map(str, alone))[:200]}: all pixels lie in one block, so that nothing "
                "of the class is trained on where it is held out. Draw regions of it elsewhere."
            )
        yield from super().split(blocks, labels, blocks)

    def _blocks(self, groups) -> np.ndarray:
        if groups is None:
            raise ValueError(
                "groups must say where the pixels lie: an array of rows and columns, of shape "
                "(n_samples, 2), or what spatial_blocks gives."
            )
        places = np.asarray(groups)
        if places.ndim == 1:
            return places
        if places.ndim != 2 or places.shape[1] not in (2, 3):
            raise ValueError(
                "groups must have the columns row, column and, if there are polygons, their "
                f"number; got shape {places.shape}."
            )
        regions = places[:, 2] if places.shape[1] == 3 else None
        return spatial_blocks(places[:, 0], places[:, 1], self.block_size, regions=regions)
