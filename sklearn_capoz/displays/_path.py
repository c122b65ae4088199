"""How small the network got, how well it did, and which iteration was chosen."""

from __future__ import annotations

import pandas as pd

from ._fitted import check_choice, check_pruned
from ._style import CHOSEN, NEUTRAL, OKABE_ITO, add_legend, axes_grid

__all__ = ["SIZE_LABELS", "PruningPathDisplay"]

#: Column of `history_` -> its axis label.
SIZE_LABELS = {
    "n_units": "hidden units",
    "n_parameters": "parameters",
    "n_bytes": "stored parameters / bytes",
    "unit_ratio": "compression of units / ratio",
    "parameter_ratio": "compression of parameters / ratio",
    "bytes_ratio": "compression of bytes / ratio",
}


class PruningPathDisplay:
    """Size and accuracy against the iterations of pruning, with the chosen one marked.

    Use `from_estimator` to make one from a fitted pruner.

    Parameters
    ----------
    history : DataFrame
        A row per iteration; columns `iteration`, `accuracy_before` and `accuracy_after`
        retraining, and the sizes of `size`.
    best_iteration : int, default=None
        The iteration to mark.
    size : {"n_units", "n_parameters", "n_bytes", "unit_ratio", "parameter_ratio", \
            "bytes_ratio"}, default="n_units"
        Which size the bars show. A ratio of units flatters a network whose input is
        wide: look at parameters or bytes as well.

    Attributes
    ----------
    line_ : matplotlib Line2D
        Accuracy after retraining.
    before_line_ : matplotlib Line2D
        Accuracy before retraining.
    bars_ : matplotlib BarContainer
        Size, on `size_ax_`; the chosen iteration's is hatched.
    chosen_ : matplotlib Line2D, or None without `best_iteration`
    ax_, size_ax_ : matplotlib Axes
    figure_ : matplotlib Figure

    References
    ----------
    Deng et al. 2022, figure 6, doi:10.3788/IRLA20210252.

    Examples
    --------
    >>> import pandas as pd
    >>> from sklearn_capoz.displays import PruningPathDisplay
    >>> history = pd.DataFrame({
    ...     "iteration": [0, 1], "n_units": [30, 22],
    ...     "accuracy_before": [0.94, 0.90], "accuracy_after": [0.94, 0.95]})
    >>> display = PruningPathDisplay(history, best_iteration=1)
    >>> display.best_iteration
    1
    """

    def __init__(self, history, *, best_iteration=None, size="n_units"):
        check_choice("size", size, SIZE_LABELS)
        needed = ["iteration", "accuracy_before", "accuracy_after", size]
        missing = [name for name in needed if name not in history]
        if missing:
            raise ValueError(f"history lacks the columns {missing}; it has {list(history)}.")
        self.history = pd.DataFrame(history)
        self.best_iteration = best_iteration
        self.size = size
        if best_iteration is not None:
            check_choice("best_iteration", best_iteration, self.history["iteration"].tolist())

    @classmethod
    def from_estimator(cls, estimator, *, size="n_units", ax=None, **kwargs):
        """Draw the history of a fitted pruner.

        Parameters
        ----------
        estimator : PrunedMLPClassifier or CAPoZPruner, fitted
        size : str, default="n_units"
            As in the class.
        ax : matplotlib Axes, default=None
        **kwargs : dict
            Passed to `matplotlib.axes.Axes.plot` for the accuracy after retraining.

        Returns
        -------
        PruningPathDisplay
        """
        check_pruned(estimator, cls.__name__, "history_", "best_iteration_")
        display = cls(estimator.history_, best_iteration=estimator.best_iteration_, size=size)
        return display.plot(ax, **kwargs)

    def plot(self, ax=None, **kwargs):
        """Draw accuracy in the upper panel and size in the lower one.

        Parameters
        ----------
        ax : matplotlib Axes or array of two Axes, default=None
            One Axes is divided; None makes a new figure.
        **kwargs : dict
            Passed to `matplotlib.axes.Axes.plot` for the accuracy after retraining.

        Returns
        -------
        self
        """
        ax, size_ax = axes_grid(ax, 2, 1, (7.5, 2.4))
        rows = self.history
        iterations = rows["iteration"]
        (self.before_line_,) = ax.plot(
            iterations,
            100 * rows["accuracy_before"],
            color=OKABE_ITO[5],
            marker="v",
            linestyle=":",
            label="before retraining",
        )
        style = {"color": OKABE_ITO[0], "marker": "o", "label": "after retraining"}
        (self.line_,) = ax.plot(iterations, 100 * rows["accuracy_after"], **style | kwargs)
        self.bars_ = size_ax.bar(iterations, rows[self.size], color=NEUTRAL, width=0.6)
        size_ax.bar_label(self.bars_, fmt="{:.4g}", fontsize="small")
        handles = [self.line_, self.before_line_]
        self.chosen_ = None
        if self.best_iteration is not None:
            self.chosen_ = self._mark_chosen(ax)
            handles.append(self.chosen_)
        for axes in (ax, size_ax):
            axes.set_xticks(iterations)
            axes.margins(y=0.15)
            axes.set_xlim(iterations.min() - 0.6, iterations.max() + 0.6)
        ax.tick_params(labelbottom=False)
        ax.set_ylabel("validation accuracy / %")
        size_ax.set(xlabel="pruning iteration", ylabel=SIZE_LABELS[self.size])
        add_legend(ax, handles)
        self.ax_, self.size_ax_, self.figure_ = ax, size_ax, ax.figure
        return self

    def _mark_chosen(self, ax):
        """Put a star on the chosen iteration's accuracy, the same colour and a hatch on its bar."""
        row = int((self.history["iteration"] == self.best_iteration).to_numpy().argmax())
        self.bars_[row].set(facecolor=CHOSEN, hatch="///")
        return ax.plot(
            self.history["iteration"].iloc[[row]],
            100 * self.history["accuracy_after"].iloc[[row]],
            linestyle="none",
            marker="*",
            markersize=17,
            markerfacecolor=CHOSEN,
            markeredgecolor="black",
            label=f"chosen: iteration {self.best_iteration}",
        )[0]
