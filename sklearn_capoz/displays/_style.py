"""What all pictures share: matplotlib on demand, colours, markers, grids, legends."""

from __future__ import annotations

from functools import lru_cache
from math import ceil

import numpy as np

__all__ = ["class_colors"]

#: Okabe and Ito's colours, told apart by nearly everyone; black is kept for text and thresholds.
OKABE_ITO = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#F0E442")
KEPT, PRUNED, CHOSEN = "#56B4E9", "#D55E00", "#E69F00"
NEUTRAL = "#BBBBBB"
MARKERS = "osD^vP*X<>"
LINES = ("-", "--", "-.", ":")

# Linear RGB as seen without long-, middle- or short-wave cones (Machado et al. 2009,
# doi:10.1109/TVCG.2009.113); the first matrix is full colour vision.
_VISION = np.array(
    [
        np.eye(3),
        [
            [0.152286, 1.052583, -0.204868],
            [0.114503, 0.786281, 0.099216],
            [-0.003882, -0.048116, 1.051998],
        ],
        [
            [0.367322, 0.860646, -0.227968],
            [0.280085, 0.672501, 0.047413],
            [-0.011820, 0.042940, 0.968881],
        ],
        [
            [1.255528, -0.076749, -0.178779],
            [-0.078411, 0.930809, 0.147602],
            [0.004733, 0.691367, 0.303900],
        ],
    ]
)
# Linear RGB -> cone response, cube root of it -> OKLab, where distance follows perception.
_RGB_TO_LMS = np.array(
    [
        [0.4122214708, 0.5363325363, 0.0514459929],
        [0.2119034982, 0.6806995451, 0.1073969566],
        [0.0883024619, 0.2817188376, 0.6299787005],
    ]
)
_LMS_TO_OKLAB = np.array(
    [
        [0.2104542553, 0.7936177850, -0.0040720468],
        [1.9779984951, -2.4285922050, 0.4505937099],
        [0.0259040371, 0.7827717662, -0.8086757660],
    ]
)


def perceived(rgb):
    """OKLab coordinates of colours, (n_visions, n, 3), in full and in colour-blind vision."""
    share = np.asarray(rgb, dtype=np.float64) / 255
    linear = np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4)
    seen = np.clip(linear @ _VISION.transpose(0, 2, 1), 0, 1)
    return np.cbrt(seen @ _RGB_TO_LMS.T) @ _LMS_TO_OKLAB.T


@lru_cache
def _palette(n_colors):
    """Okabe and Ito's colours, then always the one farthest from all before it."""
    start = [[int(c[i : i + 2], 16) for i in (1, 3, 5)] for c in OKABE_ITO]
    steps = np.arange(0, 256, 15)
    candidates = np.stack(np.meshgrid(steps, steps, steps, indexing="ij"), axis=-1).reshape(-1, 3)
    # Nearly black colours lie apart in numbers only.
    candidates = candidates[perceived(candidates)[0, :, 0] > 0.33]
    candidates = np.vstack([start, candidates])
    seen = perceived(candidates)
    # Paper, ink and the grey of "no class" are taken: no class may look like them.
    taken = perceived([[255, 255, 255], [0, 0, 0], [221, 221, 221]])
    nearest = np.linalg.norm(seen[:, :, None] - taken[:, None], axis=-1).min(axis=(0, 2))
    chosen = []
    for i in range(n_colors):
        chosen.append(i if i < len(start) else int(nearest.argmax()))
        distance = np.linalg.norm(seen - seen[:, chosen[-1], None], axis=-1).min(axis=0)
        nearest = np.minimum(nearest, distance)
    return candidates[chosen]


def class_colors(n_classes):
    """Colours for a class map that colour-blind readers can tell apart.

    The first seven are Okabe and Ito's. Each further colour is the one that lies
    farthest from all before it for full colour vision and for each of the three
    kinds of colour blindness. The colours of fewer classes are the first ones of more.

    Parameters
    ----------
    n_classes : int
        At least 0; beyond about 25 no set of colours is told apart with ease.

    Returns
    -------
    ndarray of shape (n_classes, 3), uint8
        Red, green and blue, 0 to 255.

    Examples
    --------
    >>> from sklearn_capoz.displays import class_colors
    >>> class_colors(3)
    array([[  0, 114, 178],
           [230, 159,   0],
           [  0, 158, 115]], dtype=uint8)
    """
    if n_classes < 0:
        raise ValueError(f"n_classes must be 0 or more, got {n_classes}.")
    return _palette(int(n_classes)).astype(np.uint8).reshape(-1, 3)


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
