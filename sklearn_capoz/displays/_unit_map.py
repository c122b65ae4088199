"""What chosen units say about a scene: their output at every pixel."""

from __future__ import annotations

import numpy as np

from ._style import axes_grid

__all__ = ["UnitMapDisplay"]


class UnitMapDisplay:
    """Output maps of hidden units over a scene; dead and duplicate units are named.

    A unit that gives 0 everywhere does nothing, and of two units whose outputs follow
    each other one is enough; the maps show both at a glance. C-APoZ sees the first
    kind only. Use `from_estimator` to make one from a scene.

    Parameters
    ----------
    maps : array-like of shape (n_units, n_rows, n_columns)
        Output of each unit at each pixel; NaN where there is no data.
    units : array-like of shape (n_units,), int
        Index of each unit in its layer.
    duplicate_correlation : float, default=0.99
        Pearson correlation over the scene from which on a unit is called the duplicate
        of an earlier one.

    Attributes
    ----------
    dead : ndarray of shape (n_units,), bool
        True where the unit gives 0 at every pixel.
    duplicate_of : ndarray of shape (n_units,), int
        The earliest unit that this one follows, -1 where there is none.
    images_ : list of matplotlib AxesImage
    axes_ : ndarray of matplotlib Axes
    colorbar_ : matplotlib Colorbar
    figure_ : matplotlib Figure

    References
    ----------
    Deng et al. 2022, figure 5, doi:10.3788/IRLA20210252.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_capoz.displays import UnitMapDisplay
    >>> ramp = np.arange(6.0).reshape(2, 3)
    >>> display = UnitMapDisplay([ramp, 0 * ramp, 2 * ramp + 1], units=[4, 5, 9])
    >>> display.dead
    array([False,  True, False])
    >>> display.duplicate_of
    array([-1, -1,  4])
    """

    def __init__(self, maps, units, *, duplicate_correlation=0.99):
        self.maps = np.asarray(maps)
        self.units = np.asarray(units)
        self.duplicate_correlation = duplicate_correlation
        if self.maps.ndim != 3 or len(self.maps) != len(self.units) or not len(self.units):
            raise ValueError(
                "maps must be (n_units, n_rows, n_columns) with one entry in units each; got "
                f"maps {self.maps.shape} and units {self.units.shape}."
            )
        pixels = self.maps.reshape(len(self.maps), -1)
        pixels = pixels[:, np.isfinite(pixels).all(axis=0)]
        if not pixels.shape[1]:
            raise ValueError("maps hold no pixel with data: every pixel is NaN for some unit.")
        self.dead = np.asarray(~pixels.any(axis=1))
        self.duplicate_of = _duplicates(pixels, self.units, duplicate_correlation)

    @classmethod
    def from_estimator(
        cls, estimator, cube, *, layer=0, units=None, duplicate_correlation=0.99, ax=None, **kwargs
    ):
        """Draw the outputs of hidden units over a scene.

        Parameters
        ----------
        estimator : PrunedMLPClassifier, CAPoZPruner, MLPClassifier or skorch net, fitted
        cube : ndarray of shape (n_rows, n_columns, n_features)
            The scene as the network sees it: absorption features, scaled as in
            training. A pixel with a NaN is left out.
        layer : int, default=0
            Hidden layer, from 0.
        units : array-like of int, default=None
            Which units; None draws all.
        duplicate_correlation : float, default=0.99
        ax : matplotlib Axes or array of them, default=None
        **kwargs : dict
            Passed to `matplotlib.axes.Axes.imshow`.

        Returns
        -------
        UnitMapDisplay
        """
        from ..estimators._convert import as_dense_network

        network = as_dense_network(estimator)
        cube = np.asarray(cube)
        if cube.ndim != 3 or cube.shape[2] != network.n_features:
            raise ValueError(
                f"cube must be (n_rows, n_columns, {network.n_features}), the network's "
                f"features last; got {cube.shape}."
            )
        if not 0 <= layer < len(network.widths):
            raise ValueError(
                f"layer={layer} was asked for; hidden layers are 0 to {len(network.widths) - 1}."
            )
        width = network.widths[layer]
        units = np.arange(width) if units is None else np.asarray(units)
        if not units.size or units.min() < 0 or units.max() >= width:
            raise ValueError(
                f"units must be one or more indices from 0 to {width - 1}, got {units.tolist()}."
            )
        valid = np.isfinite(cube).all(axis=2)
        maps = np.full((len(units), *valid.shape), np.nan, dtype=network.dtype)
        pixels = cube[valid].astype(network.dtype, copy=False)
        maps[:, valid] = network.forward(pixels)[layer][:, units].T
        display = cls(maps, units, duplicate_correlation=duplicate_correlation)
        return display.plot(ax, **kwargs)

    def plot(self, ax=None, *, n_columns=6, **kwargs):
        """Draw one map per unit, each on the scale of its own greatest absolute output.

        Parameters
        ----------
        ax : matplotlib Axes or array of n_units Axes, default=None
            One Axes is divided; None makes a new figure.
        n_columns : int, default=6
            Maps side by side.
        **kwargs : dict
            Passed to `matplotlib.axes.Axes.imshow`.

        Returns
        -------
        self
        """
        height = np.clip(2.0 * self.maps.shape[1] / self.maps.shape[2], 0.8, 4.0) + 0.5
        self.axes_ = axes_grid(ax, len(self.units), n_columns, (2.0, height), "compressed")
        settings = {"cmap": "cividis", "vmin": 0, "vmax": 1, "interpolation": "nearest"}
        if np.nanmin(self.maps) < 0:
            settings |= {"cmap": "PuOr", "vmin": -1}  # no sign without its own colour
        settings |= kwargs
        self.images_ = []
        for i, panel in enumerate(self.axes_):
            peak = np.nanmax(np.abs(self.maps[i]))
            self.images_.append(panel.imshow(self.maps[i] / (peak or 1), **settings))
            panel.set(xticks=[], yticks=[])
            panel.set_title(self._caption(i, peak), fontsize="small")
        self.figure_ = self.axes_[0].figure
        if ax is None:
            self.figure_.set_figwidth(self.figure_.get_figwidth() + 1)  # for the colour bar
        self.colorbar_ = self.figure_.colorbar(
            self.images_[0], ax=list(self.axes_), shrink=0.8, label="output / unit's maximum"
        )
        return self

    def _caption(self, i, peak):
        if self.dead[i]:
            return f"unit {self.units[i]}\ndead"
        if self.duplicate_of[i] >= 0:
            return f"unit {self.units[i]}\nduplicate of {self.duplicate_of[i]}"
        return f"unit {self.units[i]}\nmax {peak:.3g}"


def _duplicates(pixels, units, limit):
    """For each unit the earliest one it is correlated with by `limit` or more, or -1."""
    centred = pixels - pixels.mean(axis=1, keepdims=True, dtype=np.float64)
    norms = np.linalg.norm(centred, axis=1)
    # A constant unit follows no other: divided by infinity it correlates with none.
    norms[norms <= 1e-12 * max(1.0, float(norms.max()))] = np.inf
    centred /= norms[:, None]
    alike = np.tril(centred @ centred.T >= limit, k=-1)
    return np.where(alike.any(axis=1), units[alike.argmax(axis=1)], -1)
