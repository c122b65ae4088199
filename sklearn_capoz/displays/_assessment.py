"""How right a map is: its confusion with the truth, and the accuracies at the sides."""

from __future__ import annotations

import numpy as np
import pandas as pd

from ._style import axes_or_new, pyplot

__all__ = ["AssessmentDisplay"]


class AssessmentDisplay:
    """Confusion matrix of a map, with user's and producer's accuracies and their intervals.

    Each cell shows the part of the mapped class that is of the true class, in colour, and the
    number of places that say so. Use `from_assessment`.

    Parameters
    ----------
    counts : DataFrame of shape (n_classes, n_classes)
        Places by class of the map (rows) and of the truth (columns).
    classes : DataFrame
        By class: `user`, `user_margin`, `producer`, `producer_margin`, from 0 to 1.
    overall, overall_margin : float
        Part of the map's area that is right, and the half width of its interval.

    Attributes
    ----------
    image_ : matplotlib AxesImage
    texts_ : ndarray of shape (n_classes + 1, n_classes + 1), matplotlib Text
        The last column has the user's accuracies, the last row the producer's, the corner the
        overall accuracy.
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure

    Examples
    --------
    >>> from sklearn_capoz.displays import AssessmentDisplay
    >>> from sklearn_capoz.scenes import assess
    >>> found = assess(["a", "a", "a", "b", "b"], ["a", "a", "b", "b", "b"])
    >>> AssessmentDisplay.from_assessment(found).texts_[0, 2].get_text()
    '67 ± 65'
    """

    def __init__(self, counts, classes, overall, overall_margin):
        self.counts, self.classes = pd.DataFrame(counts), pd.DataFrame(classes)
        needed = ["user", "user_margin", "producer", "producer_margin"]
        if missing := [name for name in needed if name not in self.classes]:
            raise ValueError(f"classes lacks the columns {missing}; it has {list(self.classes)}.")
        n = len(self.classes)
        if self.counts.shape != (n, n):
            raise ValueError(
                f"counts must have a row and a column for each of the {n} classes, got "
                f"{self.counts.shape}."
            )
        self.overall, self.overall_margin = overall, overall_margin

    @classmethod
    def from_assessment(cls, assessment, *, ax=None, **kwargs):
        """Draw what `sklearn_capoz.scenes.assess` found.

        Parameters
        ----------
        assessment : Assessment
        ax : matplotlib Axes, default=None
        **kwargs : dict
            Passed to `matplotlib.axes.Axes.imshow`.

        Returns
        -------
        AssessmentDisplay
        """
        display = cls(
            assessment.counts, assessment.classes, assessment.overall, assessment.overall_margin
        )
        return display.plot(ax, **kwargs)

    def plot(self, ax=None, **kwargs):
        """Draw the matrix.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            None makes a new figure.
        **kwargs : dict
            Passed to `matplotlib.axes.Axes.imshow`.

        Returns
        -------
        self
        """
        n = len(self.counts)
        ax = axes_or_new(ax, figsize=(2.4 + 0.75 * n, 1.6 + 0.6 * n))
        counts = self.counts.to_numpy()
        with np.errstate(invalid="ignore"):
            share = counts / counts.sum(axis=1, keepdims=True)
        # The accuracies stand beside the matrix, on grey: they are no cells of it.
        shown = np.full((n + 1, n + 1), np.nan)
        shown[:n, :n] = share
        colors = pyplot().get_cmap("Blues").with_extremes(bad="#EEEEEE")
        style = {"cmap": colors, "vmin": 0, "vmax": 1, "aspect": "auto"}
        self.image_ = ax.imshow(np.ma.masked_invalid(shown), **(style | kwargs))
        self.texts_ = np.empty((n + 1, n + 1), dtype=object)
        for (row, column), text in np.ndenumerate(self._cells()):
            # White on dark blue, where black could not be read.
            dark = np.nan_to_num(shown[row, column]) > 0.6
            self.texts_[row, column] = ax.text(
                column, row, text, ha="center", va="center", fontsize="small",
                color="white" if dark else "black",
            )  # fmt: skip
        for line in (ax.axhline, ax.axvline):
            line(n - 0.5, color="white", linewidth=3)
        names = [str(name) for name in self.counts.columns]
        ax.set_xticks(range(n + 1), [*names, "user's / %"], rotation=45, ha="right")
        ax.set_yticks(range(n + 1), [*names, "producer's / %"])
        ax.set(xlabel="class on the ground", ylabel="class of the map")
        self.ax_, self.figure_ = ax, ax.figure
        return self

    def _cells(self) -> np.ndarray:
        """Texts of all cells."""
        n = len(self.counts)
        cells = np.full((n + 1, n + 1), "", dtype=object)
        counts = self.counts.to_numpy()
        cells[:n, :n] = np.where(counts > 0, counts.astype(str), "")
        for place, column in ((np.s_[:n, n], "user"), (np.s_[n, :n], "producer")):
            pairs = zip(self.classes[column], self.classes[f"{column}_margin"], strict=True)
            cells[place] = [_percent(value, margin) for value, margin in pairs]
        cells[n, n] = _percent(self.overall, self.overall_margin)
        return cells


def _percent(value: float, margin: float) -> str:
    """Write a share in percent with its margin."""
    if np.isnan(value):
        return "-"
    return f"{100 * value:.0f}" + ("" if np.isnan(margin) else f" ± {100 * margin:.0f}")
