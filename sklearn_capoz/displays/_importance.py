"""Which units of a layer went, which stayed, and the threshold between them."""

from __future__ import annotations

import numpy as np

from ._fitted import check_pruned
from ._style import KEPT, PRUNED, add_legend, axes_or_new

__all__ = ["ImportanceDisplay"]


class ImportanceDisplay:
    """Score of every unit of one layer, the threshold, and the units that were pruned.

    Use `from_estimator` to make one from a fitted pruner. Pruned units differ from kept
    ones by colour, by hatching and by a cross, so the picture survives a grey printer.

    Parameters
    ----------
    scores : array-like of shape (n_units,)
        One score per unit alive, in the criterion's own unit.
    pruned : array-like of shape (n_units,), bool
        True where the unit was removed.
    threshold : float, default=nan
        The rule's threshold on these scores; NaN where the rule has none.
    units : array-like of shape (n_units,), int, default=None
        Index of each unit in the unpruned layer; None counts from 0.
    criterion : str, default="importance"
        What the scores are: the label of their axis.
    title : str, default=None

    Attributes
    ----------
    bars_ : matplotlib BarContainer
    threshold_line_ : matplotlib Line2D, or None where there is no threshold
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure

    References
    ----------
    Deng et al. 2022, figure 4, doi:10.3788/IRLA20210252.

    Examples
    --------
    >>> from sklearn_capoz.displays import ImportanceDisplay
    >>> display = ImportanceDisplay([0.2, 0.9, 0.4], [False, True, False], threshold=0.8)
    >>> int(display.pruned.sum())
    1
    """

    def __init__(
        self, scores, pruned, *, threshold=np.nan, units=None, criterion="importance", title=None
    ):
        self.scores = np.asarray(scores, dtype=np.float64)
        self.pruned = np.asarray(pruned, dtype=bool)
        self.threshold = float(threshold)
        self.units = np.arange(len(self.scores)) if units is None else np.asarray(units)
        self.criterion = criterion
        self.title = title
        if not self.scores.shape == self.pruned.shape == self.units.shape:
            raise ValueError(
                "scores, pruned and units must be one value per unit; their shapes are "
                f"{self.scores.shape}, {self.pruned.shape} and {self.units.shape}."
            )

    @classmethod
    def from_estimator(cls, estimator, *, iteration=0, layer=0, ax=None, **kwargs):
        """Draw the scores that a fitted pruner gave to one layer at one iteration.

        Parameters
        ----------
        estimator : PrunedMLPClassifier or CAPoZPruner, fitted
        iteration : int, default=0
            0 is the unpruned network; negative counts from the end.
        layer : int, default=0
            Hidden layer, from 0.
        ax : matplotlib Axes, default=None
        **kwargs : dict
            Passed to `matplotlib.axes.Axes.bar`.

        Returns
        -------
        ImportanceDisplay
        """
        check_pruned(estimator, cls.__name__, "history_", "importances_", "criterion_")
        iteration = _index("iteration", iteration, len(estimator.importances_))
        layer = _index("layer", layer, len(estimator.importances_[iteration]))
        if not len(estimator.importances_[iteration][layer]):
            raise ValueError(
                f"Layer {layer} has no scores at iteration {iteration}: the network labelled no "
                "scoring sample right. Ask for an earlier iteration."
            )
        units, pruned = _follow_units(estimator, iteration, layer)
        return cls(
            estimator.importances_[iteration][layer],
            pruned,
            threshold=estimator.history_[f"threshold_{layer}"].iloc[iteration],
            units=units,
            criterion=estimator.criterion_.name,
            title=f"Hidden layer {layer}, iteration {iteration}: "
            f"{pruned.sum()} of {len(units)} units pruned",
        ).plot(ax, **kwargs)

    def plot(self, ax=None, **kwargs):
        """Draw the bars and the threshold.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            None makes a new figure.
        **kwargs : dict
            Passed to `matplotlib.axes.Axes.bar`.

        Returns
        -------
        self
        """
        width = float(np.clip(0.22 * len(self.scores), 6, 16))
        ax = axes_or_new(ax, figsize=(width, 3.6))
        positions = np.arange(len(self.scores))
        colors = np.where(self.pruned, PRUNED, KEPT)
        self.bars_ = ax.bar(positions, self.scores, **{"color": colors} | kwargs)
        for i in np.flatnonzero(self.pruned):
            self.bars_[i].set_hatch("///")
        kept = next(
            (bar for bar, gone in zip(self.bars_, self.pruned, strict=True) if not gone), None
        )
        handles = []
        if kept is not None:
            kept.set_label(f"kept ({(~self.pruned).sum()})")
            handles.append(kept)
        crosses = ax.plot(
            positions[self.pruned],
            self.scores[self.pruned],
            linestyle="none",
            marker="x",
            color="black",
            label=f"pruned ({self.pruned.sum()})",
        )
        if self.pruned.any():
            handles += crosses
        self.threshold_line_ = None
        if np.isfinite(self.threshold):
            self.threshold_line_ = ax.axhline(
                self.threshold,
                color="black",
                linestyle="--",
                label=f"threshold {self.threshold:.3g}",
            )
            handles.append(self.threshold_line_)
        step = next(step for step in (1, 2, 5, 10, 20, 50, 100, 200) if len(self.units) / step < 50)
        ax.set_xticks(positions[::step], [str(unit) for unit in self.units[::step]])
        ax.tick_params(axis="x", labelsize="small", rotation=90 if len(self.units) > 20 else 0)
        ax.margins(x=0.01, y=0.08)
        ax.set(xlabel="unit (index before pruning)", ylabel=self.criterion, title=self.title)
        add_legend(ax, handles)
        self.ax_, self.figure_ = ax, ax.figure
        return self


def _index(name, value, length):
    """`value` as an index from 0, or an error with the range."""
    if not -length <= value < length:
        raise ValueError(f"{name}={value} was asked for, and the record holds 0 to {length - 1}.")
    return value % length


def _follow_units(estimator, iteration, layer):
    """Original indices of the units alive at `iteration`, and which of them went next."""
    counts = estimator.history_[f"n_pruned_{layer}"].to_numpy()
    units = np.arange(len(estimator.importances_[0][layer]))
    for i in range(iteration + 1):
        scores = np.asarray(estimator.importances_[i][layer])
        order = np.argsort(-scores if estimator.criterion_.prune_high else scores, kind="stable")
        gone = np.zeros(len(scores), dtype=bool)
        if i + 1 < len(counts):
            gone[order[: int(counts[i + 1])]] = True
        if i < iteration:
            units = units[~gone]
    return units, gone
