"""What the channels of a convolution make of one sample, and which of them stay."""

from __future__ import annotations

from math import ceil

import numpy as np
from sklearn.frozen import FrozenEstimator
from sklearn.utils.validation import check_is_fitted

from ._style import KEPT, NEUTRAL, PRUNED, axes_or_new

__all__ = ["ChannelMapsDisplay"]


class ChannelMapsDisplay:
    """Maps of all channels of a convolution for one sample, the most active channels first.

    Each is drawn on the scale of its own greatest absolute value; in its frame's colour it is
    told whether it stays. Use `from_estimator` to make one of a network.

    Parameters
    ----------
    maps : array-like of shape (n_channels, n_rows, n_columns)
        Activations of one sample.
    channels : array-like of shape (n_channels,), int
        Number of each channel in the unpruned network.
    mean : array-like of shape (n_channels,)
        Mean absolute activation of each, over many samples.
    kept : array-like of shape (n_channels,), bool, or None, default=None
        True stays; None marks none.
    layer : str, default=""
        Name of the convolution.

    Attributes
    ----------
    order : ndarray of shape (n_channels,), int
        Positions in `maps`, the highest mean first.
    images_ : list of matplotlib AxesImage
        In that order.
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure

    See Also
    --------
    UnitMapDisplay : Outputs of the units of a dense layer over a scene.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_capoz.displays import ChannelMapsDisplay
    >>> maps = np.arange(12.0).reshape(3, 2, 2)
    >>> display = ChannelMapsDisplay(maps, [0, 1, 4], [0.2, 0.0, 0.5], kept=[True, False, True])
    >>> display.order
    array([2, 0, 1])
    """

    def __init__(self, maps, channels, mean, *, kept=None, layer=""):
        self.maps, self.channels = np.asarray(maps), np.asarray(channels)
        self.mean = np.asarray(mean)
        self.kept = None if kept is None else np.asarray(kept, dtype=bool)
        self.layer = layer
        n_channels = len(self.maps)
        entries = [self.channels, self.mean, *([] if self.kept is None else [self.kept])]
        if self.maps.ndim != 3 or not n_channels or any(e.shape != (n_channels,) for e in entries):
            raise ValueError(
                "maps must be (n_channels, n_rows, n_columns), and channels, mean and kept have an "
                f"entry for each channel; got maps {self.maps.shape} and "
                f"{', '.join(str(e.shape) for e in entries)}."
            )
        self.order = np.argsort(-self.mean, kind="stable")

    @classmethod
    def from_estimator(cls, estimator, X, *, layer=None, sample=0, ax=None, **kwargs):
        """Draw what the channels of a convolution make of one sample.

        Parameters
        ----------
        estimator : CAPoZPruner, PrunedCNNClassifier or NeuralNetClassifier, fitted
            Of a pruner around a FrozenEstimator the maps are those of the network that came in it,
            and channels that went are marked; of others they are those of the channels that stay.
        X : array-like, or dict or tuple of array-like
            Samples as the estimator takes them: `mean` is that of all of them.
        layer : str, default=None
            Name of the convolution in the module, "body.8" for example; None is the last one.
        sample : int, default=0
            Which of X is drawn. Where the layer runs several times, on each of two images for
            example, the first run is. Bands of a convolution in three dimensions are averaged.
        ax : matplotlib Axes, default=None
        **kwargs : dict
            Passed to `matplotlib.axes.Axes.imshow`.

        Returns
        -------
        ChannelMapsDisplay

        Raises
        ------
        ValueError
            If the network has no convolution of that name whose channels can go.
        """
        from ..estimators._channel_values import channel_values

        check_is_fitted(estimator)
        inner = getattr(estimator, "estimator", None)
        network = inner.estimator if isinstance(inner, FrozenEstimator) else estimator
        is_frozen = network is not estimator
        maps, mean, layer, group = channel_values(network, X, layer, sample)
        channels, kept = np.arange(len(maps)), None
        support = getattr(estimator, "support_", None)
        if support is not None and is_frozen:
            kept = support[group]
        elif support is not None:
            channels = np.flatnonzero(support[group])
        return cls(maps, channels, mean, kept=kept, layer=layer).plot(ax, **kwargs)

    def plot(self, ax=None, *, n_columns=16, **kwargs):
        """Draw one map per channel, under it the channel's number and its mean activation.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            None makes a new figure.
        n_columns : int, default=16
            Maps side by side.
        **kwargs : dict
            Passed to `matplotlib.axes.Axes.imshow`.

        Returns
        -------
        self
        """
        n_channels, n_rows, n_columns_of_map = self.maps.shape
        n_columns = min(n_columns, n_channels)
        height = float(np.clip(n_rows / n_columns_of_map, 0.4, 2.5))
        step, lines = height + 0.62, ceil(n_channels / n_columns)
        figsize = (0.62 * n_columns + 0.4, 0.62 * step * lines + 0.7)
        self.ax_ = ax = axes_or_new(ax, figsize)
        settings = {"cmap": "cividis", "vmin": 0, "vmax": 1, "interpolation": "nearest"}
        if self.maps.min() < 0:
            settings |= {"cmap": "PuOr", "vmin": -1}  # no sign without its own colour
        settings |= {"aspect": "auto"} | kwargs
        self.images_ = []
        for place, position in enumerate(self.order):
            row, column = divmod(place, n_columns)
            x, y = 1.15 * column, -step * row
            values = self.maps[position]
            extent = (x, x + 1, y - height, y)
            peak = np.abs(values).max()
            self.images_.append(ax.imshow(values / (peak or 1), extent=extent, **settings))
            text = f"{self.channels[position]}\n{self.mean[position]:.2g}"
            ax.text(x + 0.5, y - height - 0.08, text, ha="center", va="top", fontsize=5)
            ax.add_patch(self._frame(position, x, y, height))
        ax.set(xlim=(-0.15, 1.15 * n_columns), ylim=(-step * lines, 0.15))
        ax.set_axis_off()
        ax.set_title(self._title(), fontsize="small", loc="left")
        self.figure_ = ax.figure
        return self

    def _frame(self, position, x, y, height):
        from matplotlib.patches import Rectangle

        color = NEUTRAL
        if self.kept is not None:
            color = KEPT if self.kept[position] else PRUNED
        return Rectangle(
            (x - 0.04, y - height - 0.04), 1.08, height + 0.08, fill=False, edgecolor=color,
            linewidth=1.5,
        )  # fmt: skip

    def _title(self):
        what = f"{len(self.maps)} channels" + (f" of {self.layer!r}" if self.layer else "")
        under = "each on its own scale, below it number and mean |activation|"
        if self.kept is None:
            return f"{what}; {under}"
        return f"{what}, {self.kept.sum()} stay (blue), the others go (orange); {under}"
