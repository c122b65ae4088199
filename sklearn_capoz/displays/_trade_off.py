"""What a criterion buys: accuracy against size, beside the controls."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from .._warn import warn
from ._fitted import check_choice, check_pruned
from ._path import SIZE_LABELS
from ._style import add_legend, axes_or_new, series_style

__all__ = ["TradeOffDisplay"]

_CONTROL = {"color": "#777777", "linestyle": ":", "markerfacecolor": "white"}


class TradeOffDisplay:
    """Accuracy against size for several criteria and the controls.

    Up and to the left is better. A criterion is worth its name where its curve lies
    above the controls by more than the spread of the repeats.

    Parameters
    ----------
    table : DataFrame
        A row per network; columns `criterion` (the curve's name), `accuracy` (0 to 1)
        and the one named by `size`. With a column `iteration`, rows of one criterion
        and iteration are repeats and drawn as mean and standard deviation; without it,
        rows of one criterion and size are.
    size : {"n_units", "n_parameters", "n_bytes", "unit_ratio", "parameter_ratio", \
            "bytes_ratio"}, default="n_parameters"
    controls : sequence of str, default=()
        Criteria that are controls: drawn in grey, dotted, with hollow markers.
    metric : {"accuracy", "error"}, default="accuracy"
        What is drawn: the accuracy, or 1 - accuracy on a logarithmic axis, where lower is better
        and small errors are told apart.

    Attributes
    ----------
    summary : DataFrame
        Per criterion and operating point: size, mean and std of accuracy, n_repeats.
    lines_ : dict of str to matplotlib ErrorbarContainer
        Per criterion.
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure

    Examples
    --------
    >>> import pandas as pd
    >>> from sklearn_capoz.displays import TradeOffDisplay
    >>> table = pd.DataFrame({
    ...     "criterion": ["C-APoZ", "C-APoZ", "random", "random"],
    ...     "n_parameters": [90, 90, 90, 90], "accuracy": [0.9, 0.8, 0.8, 0.6]})
    >>> TradeOffDisplay(table, controls=["random"]).summary["mean"].round(2).tolist()
    [0.85, 0.7]
    """

    def __init__(self, table, *, size="n_parameters", controls=(), metric="accuracy"):
        check_choice("size", size, SIZE_LABELS)
        check_choice("metric", metric, ("accuracy", "error"))
        self.metric = metric
        missing = [name for name in ("criterion", "accuracy", size) if name not in table]
        if missing:
            raise ValueError(f"table lacks the columns {missing}; it has {list(table)}.")
        self.table = pd.DataFrame(table)
        self.size = size
        self.controls = tuple(controls)
        for control in self.controls:
            check_choice("every one of controls", control, set(self.table["criterion"]))
        point = "iteration" if "iteration" in self.table else size
        groups = self.table.groupby(["criterion", point], sort=False)
        self.summary = pd.DataFrame(
            {
                size: groups[size].mean(),
                "mean": groups["accuracy"].mean(),
                "std": groups["accuracy"].std(),
                "n_repeats": groups.size(),
            }
        ).reset_index(level="criterion")
        self.summary = self.summary.reset_index(drop=True)

    @classmethod
    def from_estimators(
        cls, estimators, *, size="n_parameters", controls=(), ax=None, **kwargs
    ):  # fmt: skip
        """Draw the histories of fitted pruners.

        The accuracies are those of each pruner's own validation samples, which also
        chose its iteration: for a claim, measure on test samples and pass a table.

        Parameters
        ----------
        estimators : dict of str to fitted pruner, or to a list of them (repeats)
            Per name of a curve.
        size : str, default="n_parameters"
            As in the class.
        controls : sequence of str, default=()
        ax : matplotlib Axes, default=None
        **kwargs : dict
            Passed to `matplotlib.axes.Axes.errorbar`.

        Returns
        -------
        TradeOffDisplay
        """
        tables = []
        for name, fitted in estimators.items():
            for estimator in fitted if isinstance(fitted, list | tuple) else [fitted]:
                check_pruned(estimator, cls.__name__, "history_")
                history = estimator.history_.rename(columns={"accuracy_after": "accuracy"})
                tables.append(history[["iteration", size, "accuracy"]].assign(criterion=name))
        if not tables:
            raise ValueError(
                "estimators holds no fitted pruner; give a dict with a fitted pruner, or a list of "
                "them, for each curve's name."
            )
        return cls(pd.concat(tables), size=size, controls=controls).plot(ax, **kwargs)

    @classmethod
    def from_compressions(cls, compressions, *, controls=(), ax=None, **kwargs):
        """Draw the error against the bytes of files, step by step, of compressions.

        The errors are those of the samples that chose the steps: for a claim, measure on test
        samples and pass a table.

        Parameters
        ----------
        compressions : dict of str to Compression, or to a list of them
            What :func:`~sklearn_capoz.deploy.compress` gave, per name of a curve.
        controls : sequence of str, default=()
        ax : matplotlib Axes, default=None
        **kwargs : dict
            Passed to `matplotlib.axes.Axes.errorbar`.

        Returns
        -------
        TradeOffDisplay
        """
        if not isinstance(compressions, Mapping):
            raise TypeError(
                "compressions must be a dict of each curve's name to what compress returned, or to "
                f"a list of that; got a {type(compressions).__name__}."
            )
        tables = [
            one.trace[["n_bytes", "accuracy"]].assign(criterion=name)
            for name, found in compressions.items()
            for one in (found if isinstance(found, list | tuple) else [found])
        ]
        if not tables:
            raise ValueError(
                "compressions holds none; give a dict with what compress returned, or a list of "
                "that, for each curve's name."
            )
        display = cls(pd.concat(tables), size="n_bytes", controls=controls, metric="error")
        display.plot(ax, **kwargs)
        display.ax_.set_xlabel("file / bytes")  # a trace weighs whole files, not parameters
        return display

    def plot(self, ax=None, **kwargs):
        """Draw one curve per criterion, the size on a logarithmic axis.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            None makes a new figure.
        **kwargs : dict
            Passed to `matplotlib.axes.Axes.errorbar`.

        Returns
        -------
        self
        """
        ax = axes_or_new(ax, figsize=(8, 4.5))
        if self.metric == "error":
            _warn_of_no_error(self.summary)
        self.lines_ = {}
        for i, (name, rows) in enumerate(self.summary.groupby("criterion", sort=False)):
            style = series_style(i) | (_CONTROL if name in self.controls else {})
            if len(rows) == 1:
                style["linestyle"] = "none"
            size, mean, std = rows.sort_values(self.size)[[self.size, "mean", "std"]].to_numpy().T
            self.lines_[name] = ax.errorbar(
                size,
                100 * (mean if self.metric == "accuracy" else 1 - mean),
                yerr=100 * np.nan_to_num(std) if (rows["n_repeats"] > 1).any() else None,
                **{"label": name, "markersize": 5, "capsize": 2, "elinewidth": 0.8}
                | style
                | kwargs,
            )
        _number_log_axis(ax)
        ax.set(xlabel=SIZE_LABELS[self.size], ylabel=f"{self.metric} / %")
        if self.metric == "error":
            _number_log_axis(ax, "y")
        repeats = self.summary["n_repeats"]
        if (repeats > 1).any():
            ax.set_title(f"mean ± standard deviation, up to {repeats.max()} repeats", fontsize=9)
        add_legend(ax, [self.lines_[name] for name in self.lines_])
        self.ax_, self.figure_ = ax, ax.figure
        return self


def _warn_of_no_error(summary: pd.DataFrame) -> None:
    names = summary.loc[summary["mean"] >= 1, "criterion"].unique()
    if len(names):
        warn(
            f"Points without any error, of {', '.join(map(str, names))}, have no place on a "
            "logarithmic axis and are left out; metric='accuracy' draws them."
        )


def _number_log_axis(ax, which="x"):
    """Plain numbers on a logarithmic axis, also where it spans less than a decade."""
    from matplotlib.ticker import LogLocator, NullFormatter

    ax.set(**{f"{which}scale": "log"})
    axis = ax.xaxis if which == "x" else ax.yaxis
    low, high = axis.get_view_interval()
    axis.set_major_locator(LogLocator(subs=(1, 2, 3, 5, 7) if high < 30 * low else (1, 2, 5)))
    axis.set_major_formatter("{x:g}")
    axis.set_minor_formatter(NullFormatter())
