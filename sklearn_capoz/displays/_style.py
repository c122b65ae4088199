"""What all pictures share: matplotlib on demand, colours, markers, grids, legends."""

from __future__ import annotations

from math import ceil

import numpy as np

from .._colors import OKABE_ITO

KEPT, PRUNED, CHOSEN = "#56B4E9", "#D55E00", "#E69F00"
NEUTRAL = "#BBBBBB"
MARKERS = "osD^vP*X<>"
LINES = ("-", "--", "-.", ":")


def pyplot():
    """matplotlib.pyplot, imported when the first picture is drawn."""
    try:
        import matplotlib.pyplot as plt
    except ImportError as error:
        raise ImportError("Pictures need matplotlib: pip install 'sklearn-capoz[plot]'") from error
    return plt


def axes_or_new(ax, figsize=None):
    """Return `ax`, or the axes of a new figure that makes room for a legend beside it."""
    if ax is None:
        _, ax = pyplot().subplots(figsize=figsize, layout="constrained")
    return ax


def axes_grid(ax, n_panels, n_columns, panel_size, layout="constrained"):
    """One Axes per panel: those given, `ax` divided, or a new figure, sized by its panels.

    Parameters
    ----------
    ax : None, Axes, or array-like of n_panels Axes
    panel_size : (width, height) in inches
    layout : {"constrained", "compressed"}, default="constrained"
        Of a new figure; "compressed" suits pictures, whose proportions are fixed.
    """
    plt = pyplot()
    n_columns = min(n_columns, n_panels)
    n_rows = ceil(n_panels / n_columns)
    if ax is None:
        size = (panel_size[0] * n_columns, panel_size[1] * n_rows)
        figure = plt.figure(figsize=size, layout=layout)
        grid = figure.add_gridspec(n_rows, n_columns)
    elif isinstance(ax, plt.Axes):
        if ax.get_subplotspec() is None:
            raise ValueError(
                f"{n_panels} panels were asked for in one Axes that is not part of a subplot "
                "grid: make it with plt.subplots, or pass one Axes per panel."
            )
        ax.set_axis_off()
        figure, grid = ax.figure, ax.get_subplotspec().subgridspec(n_rows, n_columns)
    else:
        given = np.asarray(ax, dtype=object).ravel()
        if len(given) != n_panels:
            raise ValueError(f"{n_panels} panels need as many Axes, got {len(given)}.")
        return given
    panels = [figure.add_subplot(grid[divmod(i, n_columns)]) for i in range(n_panels)]
    return np.array(panels, dtype=object)


def series_style(index):
    """Colour, marker and line of the curve at `index`; no two of the first 140 agree in all."""
    return {
        "color": OKABE_ITO[:-1][index % 6],  # yellow is too pale for a thin line
        "marker": MARKERS[index % len(MARKERS)],
        "linestyle": LINES[index // 6 % len(LINES)],
    }


def add_legend(ax, handles, *, grow=False):
    """Legend to the right of `ax`, in as many columns as keep it within the axes' height.

    Where the figure's layout makes no room for it, as in plain `plt.subplots()`, it would be
    cut off or lie over the next panel: there it goes inside.

    With `grow` the figure gets that much wider, so that the axes keep their size: for a
    figure that is the display's own.
    """
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    figure = ax.figure
    height = ax.get_position().height * figure.bbox.height / figure.dpi
    rows = max(13, int(height / 0.2))  # inches per entry in small print
    settings = {"ncols": max(1, ceil(len(handles) / rows)), "fontsize": "small"}
    if isinstance(figure.get_layout_engine(), ConstrainedLayoutEngine):
        place = {"loc": "upper left", "bbox_to_anchor": (1.02, 1.0)}
        settings |= place | {"borderaxespad": 0.0, "frameon": False}
    else:
        settings["loc"] = "best"
    legend = ax.legend(handles=handles, **settings)
    if grow:
        size = legend.get_window_extent(figure.canvas.get_renderer()).size / figure.dpi
        figure.set_size_inches(
            figure.get_figwidth() + size[0] + 0.2, max(figure.get_figheight(), size[1] + 0.8)
        )
    return legend
