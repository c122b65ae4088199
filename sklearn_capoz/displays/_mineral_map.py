"""Class maps: one network's, or two networks' and where they differ."""

from __future__ import annotations

import numpy as np

from .._colors import mineral_colors, told_colors
from ._style import add_legend, axes_grid, pyplot

__all__ = ["MineralMapDisplay"]


class MineralMapDisplay:
    """Map of classes with a legend; with a second map, both and where they differ.

    Use `from_map` for what `predict_scene` gives, in memory or in a file, `from_estimator` for a
    scene, `from_predictions` for maps of labels.

    Parameters
    ----------
    labels : array-like of shape (n_rows, n_columns), int
        Index into `class_names` at each pixel; -1 is no class.
    class_names : sequence of str
    before : array-like of shape (n_rows, n_columns), int, default=None
        A map to compare with, as a rule that of the unpruned network.
    titles : sequence of str, default=("before", "after")
        Titles of `before` and `labels`.
    colors : mapping of name -> "#rrggbb" or (red, green, blue), default=None
        Colours of your own for classes, and for "no data". The others have those of
        `mineral_colors`: one mineral, one colour, in every map.

    Attributes
    ----------
    differs : ndarray of shape (n_rows, n_columns), bool, or None without `before`
    colors : ndarray of shape (n_classes, 3), uint8
    images_ : list of matplotlib AxesImage
    axes_ : ndarray of matplotlib Axes
        One, or three: before, after, difference.
    legend_ : matplotlib Legend
        The classes that occur, with their share of the classified pixels.
    figure_ : matplotlib Figure

    References
    ----------
    Deng et al. 2022, figure 7, doi:10.3788/IRLA20210252.

    Examples
    --------
    >>> from sklearn_capoz.displays import MineralMapDisplay
    >>> display = MineralMapDisplay([[0, 1], [1, -1]], ["Alunite", "Calcite"],
    ...                             before=[[0, 1], [0, -1]])
    >>> int(display.differs.sum())
    1
    """

    def __init__(
        self, labels, class_names, *, before=None, titles=("before", "after"), colors=None
    ):
        self.class_names = [str(name) for name in class_names]
        self.labels = self._check_map("labels", labels)
        self.before = None if before is None else self._check_map("before", before)
        self.titles = tuple(titles)
        names = [*self.class_names, "no data"]
        self.colors, self._no_data_color = np.split(mineral_colors(names, colors), [-1])
        self.differs: np.ndarray | None = None
        if self.before is not None:
            if self.before.shape != self.labels.shape:
                raise ValueError(
                    "labels and before must be maps of the same scene; their shapes are "
                    f"{self.labels.shape} and {self.before.shape}."
                )
            self.differs = self.labels != self.before

    def _check_map(self, name, values):
        values = np.asarray(values)
        if values.ndim != 2 or values.dtype.kind not in "iu" or not values.size:
            raise ValueError(
                f"{name} must be a map (n_rows, n_columns) of integer class indices; got shape "
                f"{values.shape} of {values.dtype}. For names use from_predictions."
            )
        if values.min() < -1 or values.max() >= len(self.class_names):
            raise ValueError(
                f"{name} holds indices {values.min()} to {values.max()}; with "
                f"{len(self.class_names)} class names they must be -1 (no class) to "
                f"{len(self.class_names) - 1}."
            )
        return values

    @classmethod
    def from_predictions(
        cls, y_map, *, before=None, classes=None, mask=None, titles=("before", "after"),
        colors=None, ax=None, **kwargs,
    ):  # fmt: skip
        """Draw maps of labels of any kind.

        Parameters
        ----------
        y_map : array-like of shape (n_rows, n_columns)
            A label at each pixel.
        before : array-like of shape (n_rows, n_columns), default=None
        classes : array-like of shape (n_classes,), default=None
            The labels in the order of the legend; None takes those that occur, sorted.
            A pixel with another label has no class.
        mask : array-like of shape (n_rows, n_columns), bool, default=None
            True where the map holds; None everywhere.
        titles : sequence of str, default=("before", "after")
        colors : mapping of name -> colour, default=None
            As in the class.
        ax : matplotlib Axes or array of them, default=None
        **kwargs : dict
            Passed to `matplotlib.axes.Axes.imshow`.

        Returns
        -------
        MineralMapDisplay
        """
        y_map = np.asarray(y_map)
        mask = np.ones(y_map.shape, dtype=bool) if mask is None else np.asarray(mask, dtype=bool)
        if classes is None:
            maps = [y_map] if before is None else [y_map, np.asarray(before)]
            classes = np.unique(np.concatenate([labels[mask] for labels in maps]))
        classes = np.asarray(classes)
        display = cls(
            _index_map(y_map, classes, mask),
            classes,
            before=None if before is None else _index_map(np.asarray(before), classes, mask),
            titles=titles,
            colors=colors,
        )
        return display.plot(ax, **kwargs)

    @classmethod
    def from_map(
        cls, source, *, before=None, titles=("before", "after"), colors=None, ax=None, **kwargs
    ):
        """Draw a map of `predict_scene`, in its own colours.

        Parameters
        ----------
        source : SceneMap, ClassMap or path
            What `predict_scene` gives, or a class map in a file: GeoTIFF or ENVI.
        before : SceneMap, ClassMap or path, default=None
            A second map of the same pixels and classes.
        titles : sequence of str, default=("before", "after")
        colors : mapping of name -> colour, default=None
            As in the class; they come before the map's own.
        ax : matplotlib Axes or array of them, default=None
        **kwargs : dict
            Passed to `matplotlib.axes.Axes.imshow`.

        Returns
        -------
        MineralMapDisplay

        Raises
        ------
        ValueError
            If a map does not name its classes, or the two have other classes or shapes.
        """
        # Whoever has labels alone needs no readers.
        from ..scenes import read_class_map
        from ..scenes._writers import plain

        found = read_class_map(source)
        names = found.named()
        own = told_colors(names[1:], (found.class_colors or ())[1:])
        labels = found.codes.astype(np.int32) - 1
        earlier = None
        if before is not None:
            first = read_class_map(before)
            # A header spells some names otherwise than a GeoTIFF.
            if [*map(plain, first.named()[1:])] != [*map(plain, names[1:])]:
                raise ValueError(
                    "the two maps must have the same classes in the same order; they have "
                    f"{', '.join(names[1:])[:200]} and {', '.join(first.named()[1:])[:200]}."
                )
            earlier = first.codes.astype(np.int32) - 1
        settings = {"before": earlier, "titles": titles, "colors": {**own, **(colors or {})}}
        return cls(labels, names[1:], **settings).plot(ax, **kwargs)

    @classmethod
    def from_estimator(
        cls, estimator, cube, *, before=None, titles=("before", "after"), colors=None, ax=None,
        **kwargs,
    ):  # fmt: skip
        """Classify a scene and draw the map.

        Parameters
        ----------
        estimator : fitted classifier
        cube : ndarray of shape (n_rows, n_columns, n_features)
            What `estimator` takes, pixel by pixel: reflectance for a pipeline that begins
            with spectra. A pixel with a NaN has no class.
        before : fitted classifier, default=None
            A second classifier, as a rule the unpruned one.
        titles : sequence of str, default=("before", "after")
        colors : mapping of name -> colour, default=None
            As in the class.
        ax : matplotlib Axes or array of them, default=None
        **kwargs : dict
            Passed to `matplotlib.axes.Axes.imshow`.

        Returns
        -------
        MineralMapDisplay
        """
        cube = np.asarray(cube)
        if cube.ndim != 3:
            raise ValueError(f"cube must be (n_rows, n_columns, n_features), got {cube.shape}.")
        valid = np.isfinite(cube).all(axis=2)
        if not valid.any():
            raise ValueError("cube holds no pixel without a NaN: there is nothing to classify.")
        return cls.from_predictions(
            _classify(estimator, cube, valid),
            before=None if before is None else _classify(before, cube, valid),
            classes=estimator.classes_,
            mask=valid,
            titles=titles,
            colors=colors,
            ax=ax,
            **kwargs,
        )

    def plot(self, ax=None, **kwargs):
        """Draw the map, or before, after and where they differ.

        Parameters
        ----------
        ax : matplotlib Axes or array of Axes, default=None
            One Axes is divided into three if there is a map to compare with; None makes
            a new figure.
        **kwargs : dict
            Passed to `matplotlib.axes.Axes.imshow`.

        Returns
        -------
        self
        """
        n_rows, n_columns = self.labels.shape
        panel = (4.7, float(np.clip(4.0 * n_rows / n_columns, 1.5, 8.0)) + 0.8)
        settings = {"interpolation": "nearest"} | kwargs
        if self.before is None or self.differs is None:
            self.axes_ = axes_grid(ax, 1, 1, panel, "compressed")
            pictures, titles = [self._paint(self.labels)], [""]
        else:
            self.axes_ = axes_grid(ax, 3, 3, panel, "compressed")
            difference = np.where(self.differs[..., None], 0, 235).astype(np.uint8)
            pictures = [
                self._paint(self.before),
                self._paint(self.labels),
                np.repeat(difference, 3, axis=2),
            ]
            titles = [*self.titles, f"{self.differs.mean():.2%} of the pixels differ"]
        self.images_ = []
        for axes, picture, title in zip(self.axes_, pictures, titles, strict=True):
            self.images_.append(axes.imshow(picture, **settings))
            axes.set(xlabel="column / pixels", ylabel="row / pixels", title=title)
        for axes in self.axes_[1:]:
            axes.set(ylabel=None, yticklabels=[])
        self.legend_ = add_legend(self.axes_[-1], self._handles(), grow=ax is None)
        self.figure_ = self.axes_[0].figure
        return self

    def _paint(self, labels):
        """RGB picture of a map, (n_rows, n_columns, 3), uint8."""
        return np.vstack([self.colors, self._no_data_color])[labels]

    def _handles(self):
        """Return a patch for each class that occurs, with its share of the classified pixels."""
        patch = pyplot().matplotlib.patches.Patch
        counts = np.bincount(self.labels[self.labels >= 0], minlength=len(self.class_names))
        occurs = counts > 0
        if self.before is not None:
            occurs[self.before[self.before >= 0]] = True
        handles = [
            patch(
                facecolor=self.colors[i] / 255,
                edgecolor="black",
                linewidth=0.5,
                label=f"{self.class_names[i]} ({counts[i] / max(1, counts.sum()):.1%})",
            )
            for i in np.flatnonzero(occurs)
        ]
        if (self.labels < 0).any():
            settings = {"facecolor": self._no_data_color[0] / 255, "edgecolor": "black"}
            handles.append(patch(**settings, linewidth=0.5, label="no class"))
        return handles


def _classify(classifier, cube, valid):
    """Labels of the `valid` pixels, as a map; what stands elsewhere means nothing."""
    predicted = classifier.predict(cube[valid])
    y_map = np.empty(valid.shape, dtype=predicted.dtype)
    y_map[valid] = predicted
    return y_map


def _index_map(y_map, classes, mask):
    """Index of each pixel's label in `classes`; -1 outside `mask` and for other labels."""
    if y_map.shape != mask.shape:
        raise ValueError(f"maps and mask must be of one shape, got {y_map.shape} and {mask.shape}.")
    order = np.argsort(classes)
    place = np.searchsorted(classes, y_map, sorter=order).clip(max=len(classes) - 1)
    indices = order[place]
    return np.where(mask & (classes[indices] == y_map), indices, -1)
