"""How accuracy falls as units are switched off without retraining."""

from __future__ import annotations

import pandas as pd

from ._style import add_legend, axes_or_new, series_style

__all__ = ["SensitivityDisplay"]


class SensitivityDisplay:
    """Accuracy against the number of pruned units, per layer and in all layers at once.

    A curve that stays high far to the right belongs to a layer with room to prune.
    Use `from_estimator` to compute one.

    Parameters
    ----------
    curve : DataFrame
        What `sensitivity_curve` returns: columns `layer` ("0", "1", ..., "all"),
        `n_pruned` and `accuracy` (0 to 1).

    Attributes
    ----------
    lines_ : list of matplotlib Line2D
        One per layer, in the order of their first row.
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure

    Examples
    --------
    >>> import pandas as pd
    >>> from sklearn_capoz.displays import SensitivityDisplay
    >>> curve = pd.DataFrame({
    ...     "layer": ["0", "0", "all", "all"], "n_pruned": [0, 1, 0, 2],
    ...     "accuracy": [0.9, 0.8, 0.9, 0.5]})
    >>> len(SensitivityDisplay(curve).curve)
    4
    """

    def __init__(self, curve):
        missing = [name for name in ("layer", "n_pruned", "accuracy") if name not in curve]
        if missing:
            raise ValueError(f"curve lacks the columns {missing}; it has {list(curve)}.")
        self.curve = pd.DataFrame(curve)

    @classmethod
    def from_estimator(cls, estimator, X, y, *, ax=None, line_kw=None, **kwargs):
        """Compute the sensitivity of a fitted network and draw it.

        Parameters
        ----------
        estimator : fitted estimator
        X : array-like of shape (n_samples, n_features)
        y : array-like of shape (n_samples,)
        ax : matplotlib Axes, default=None
        line_kw : dict, default=None
            Passed to `matplotlib.axes.Axes.plot`.
        **kwargs : dict
            Passed to `sklearn_capoz.sensitivity_curve`.

        Returns
        -------
        SensitivityDisplay
        """
        from .. import sensitivity_curve

        return cls(sensitivity_curve(estimator, X, y, **kwargs)).plot(ax, **(line_kw or {}))

    def plot(self, ax=None, **kwargs):
        """Draw one curve per layer and the joint one in black.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            None makes a new figure.
        **kwargs : dict
            Passed to `matplotlib.axes.Axes.plot`.

        Returns
        -------
        self
        """
        ax = axes_or_new(ax, figsize=(7.5, 4))
        self.lines_ = []
        for i, (layer, rows) in enumerate(self.curve.groupby("layer", sort=False)):
            style = series_style(i) | {"label": f"hidden layer {layer}"}
            if layer == "all":
                style |= {"color": "black", "linestyle": "-", "label": "all layers together"}
            style |= {"markersize": 4, "markevery": max(1, len(rows) // 20)}
            self.lines_ += ax.plot(rows["n_pruned"], 100 * rows["accuracy"], **style | kwargs)
        ax.set(
            xlabel="units pruned, without retraining",
            ylabel="accuracy / %",
        )
        add_legend(ax, self.lines_)
        self.ax_, self.figure_ = ax, ax.figure
        return self
