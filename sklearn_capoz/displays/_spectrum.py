"""Spectra as a mineralogist reads them: continuum, absorption features, class spread."""

from __future__ import annotations

import numpy as np

from ._style import NEUTRAL, add_legend, axes_or_new, series_style

__all__ = ["SpectrumDisplay"]

#: Band depth below which a dent in the spectrum is not called an absorption.
MIN_DEPTH = 0.01


class SpectrumDisplay:
    """Spectra with their spread, their continuum and the absorption features under it.

    Use `from_spectra` to make one from measured spectra and their labels.

    Parameters
    ----------
    wavelengths : array-like of shape (n_bands,), nm
        Ascending.
    spectra : array-like of shape (n_curves, n_bands), reflectance
        One curve each; NaN leaves a gap.
    spread : array-like of shape (n_curves, n_bands), default=None
        Standard deviation around each curve.
    continuum : array-like of shape (n_curves, n_bands), default=None
        Upper hull over each curve.
    names : sequence of str, default=None
        One per curve.
    features : dict of str to (low, high), nm, default=None
        Windows to shade; the deepest point under the continuum in each is marked.

    Attributes
    ----------
    positions : ndarray of shape (n_curves, n_features), nm
        Band with the greatest depth 1 - R / Rc in each window; NaN where there is no
        band, none as deep as 0.01, or the deepest lies at the window's edge.
    lines_, continuum_lines_ : list of matplotlib Line2D
    marks_ : list of matplotlib Line2D
        The features' deepest bands.
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure

    Examples
    --------
    >>> from sklearn_capoz.displays import SpectrumDisplay
    >>> display = SpectrumDisplay(
    ...     [2100, 2150, 2200, 2250], [[0.5, 0.4, 0.2, 0.5]],
    ...     continuum=[[0.5, 0.5, 0.5, 0.5]], features={"Al-OH": (2100, 2250)})
    >>> display.positions
    array([[2200.]])
    """

    def __init__(
        self, wavelengths, spectra, *, spread=None, continuum=None, names=None, features=None
    ):
        self.wavelengths = np.asarray(wavelengths, dtype=np.float64)
        if not (np.diff(self.wavelengths) > 0).all():
            raise ValueError("wavelengths must ascend, in nm; sort the bands and their spectra.")
        self.spectra = self._check("spectra", spectra)
        self.spread = None if spread is None else self._check("spread", spread)
        self.continuum = None if continuum is None else self._check("continuum", continuum)
        for name, values in (("spread", self.spread), ("continuum", self.continuum)):
            if values is not None and values.shape != self.spectra.shape:
                raise ValueError(
                    f"{name} must be as spectra, {self.spectra.shape}; got {values.shape}."
                )
        self.names = None if names is None else [str(name) for name in names]
        if self.names is not None and len(self.names) != len(self.spectra):
            raise ValueError(f"{len(self.spectra)} spectra came with {len(self.names)} names.")
        self.features = {
            str(name): (float(low), float(high)) for name, (low, high) in (features or {}).items()
        }
        if self.features and self.continuum is None:
            raise ValueError("features are measured under the continuum: pass continuum as well.")
        self.positions = self._deepest_bands(self.continuum)

    def _check(self, name, values):
        values = np.atleast_2d(np.asarray(values))
        if values.ndim != 2 or values.shape[1] != len(self.wavelengths):
            raise ValueError(
                f"{name} must be (n_curves, {len(self.wavelengths)}), one value per wavelength; "
                f"got {values.shape}."
            )
        return values

    def _deepest_bands(self, continuum):
        positions = np.full((len(self.spectra), len(self.features)), np.nan)
        for j, (low, high) in enumerate(self.features.values()):
            inside = np.flatnonzero((self.wavelengths >= low) & (self.wavelengths <= high))
            for i, spectrum in enumerate(self.spectra):
                depth = 1 - spectrum[inside] / continuum[i, inside]
                if not np.isfinite(depth).any():
                    continue
                lowest = int(np.nanargmax(depth))
                # A minimum at the edge is the flank of a neighbour.
                if 0 < lowest < len(depth) - 1 and depth[lowest] >= MIN_DEPTH:
                    positions[i, j] = self.wavelengths[inside[lowest]]
        return positions

    @classmethod
    def from_spectra(
        cls, wavelengths, X, y=None, *, features=None, continuum=True, ax=None, offset=0.0, **kwargs
    ):
        """Draw spectra, or the mean and spread of each class.

        Parameters
        ----------
        wavelengths : array-like of shape (n_bands,), nm
            Ascending.
        X : array-like of shape (n_spectra, n_bands) or (n_bands,), reflectance
        y : array-like of shape (n_spectra,), default=None
            With labels, one curve per class: its mean, and its standard deviation as a
            band, of the spectra that were measured there; a curve steps where one begins.
            Without, one curve per spectrum.
        features : dict of str to (low, high), nm, default=None
            Windows to shade and mark.
        continuum : bool, default=True
            Draw the upper convex hull of each curve.
        ax : matplotlib Axes, default=None
        offset : float, default=0.0
            Reflectance added from curve to curve, to part them.
        **kwargs : dict
            Passed to `matplotlib.axes.Axes.plot`.

        Returns
        -------
        SpectrumDisplay
        """
        X = np.atleast_2d(np.asarray(X))
        if y is None:
            curves, spread, names = X, None, None
        else:
            y = np.asarray(y)
            if y.shape != (len(X),):
                raise ValueError(f"y must hold one label per spectrum, {len(X)}; got {y.shape}.")
            names = np.unique(y)
            # Masked, since the mean of nothing but NaN is a gap and no reason to warn.
            groups = [np.ma.masked_invalid(X[y == name]) for name in names]
            curves = np.stack([group.mean(axis=0).filled(np.nan) for group in groups])
            spread = np.stack([group.std(axis=0).filled(np.nan) for group in groups])
        display = cls(
            wavelengths,
            curves,
            spread=spread,
            continuum=_hull(wavelengths, curves) if continuum or features else None,
            names=names,
            features=features,
        )
        return display.plot(ax, offset=offset, **kwargs)

    def plot(self, ax=None, *, offset=0.0, **kwargs):
        """Draw the curves, their spread and hull, and the features.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            None makes a new figure.
        offset : float, default=0.0
            Reflectance added from curve to curve, to part them.
        **kwargs : dict
            Passed to `matplotlib.axes.Axes.plot`.

        Returns
        -------
        self
        """
        ax = axes_or_new(ax, figsize=(9, 5))
        self.lines_, self.continuum_lines_, self.marks_ = [], [], []
        for i, spectrum in enumerate(self.spectra + offset * np.arange(len(self.spectra))[:, None]):
            style = series_style(i) | {"markevery": 10, "markersize": 4}
            if len(self.spectra) == 1:
                style["marker"] = ""
            if self.names is not None:
                style["label"] = self.names[i]
            (line,) = ax.plot(self.wavelengths, spectrum, **style | kwargs)
            self.lines_.append(line)
            if self.spread is not None:
                ax.fill_between(
                    self.wavelengths,
                    spectrum - self.spread[i],
                    spectrum + self.spread[i],
                    color=line.get_color(),
                    alpha=0.2,
                    linewidth=0,
                )
            if self.continuum is not None:
                hull = self.continuum[i] + offset * i
                self.continuum_lines_ += ax.plot(
                    self.wavelengths, hull, color=line.get_color(), linestyle=":", linewidth=1
                )
            marked = np.isin(self.wavelengths, self.positions[i])
            self.marks_ += ax.plot(
                self.wavelengths[marked],
                spectrum[marked],
                linestyle="none",
                marker="v",
                markeredgecolor="black",
                markerfacecolor=line.get_color(),
                markersize=8,
            )
        self._shade_features(ax)
        shift = f", curves {offset:g} apart" if offset else ""
        ax.set(xlabel="wavelength / nm", ylabel=f"reflectance (0 to 1{shift})")
        handles = list(self.lines_) if self.names is not None else []
        if offset > 0:
            handles.reverse()  # the legend from top to bottom, as the curves
        handles += self._explanations()
        if handles:
            add_legend(ax, handles)
        self.ax_, self.figure_ = ax, ax.figure
        return self

    def _shade_features(self, ax):
        for name, (low, high) in self.features.items():
            ax.axvspan(low, high, color=NEUTRAL, alpha=0.25, linewidth=0)
            ax.text(
                (low + high) / 2,
                1.01,
                name,
                transform=ax.get_xaxis_transform(),
                rotation=30,
                fontsize="small",
            )

    def _explanations(self):
        """Legend entries, in grey, for what all curves have in common."""
        from matplotlib.lines import Line2D
        from matplotlib.patches import Patch

        entries: list = []
        if self.spread is not None:
            entries.append(Patch(facecolor="grey", alpha=0.3, label="± standard deviation"))
        if self.continuum_lines_:
            entries.append(Line2D([], [], color="grey", linestyle=":", label="continuum (hull)"))
        if self.features:
            entries.append(
                Line2D([], [], color="grey", linestyle="none", marker="v", label="deepest band")
            )
        return entries


def _hull(wavelengths, curves):
    """Upper convex hull of each curve."""
    from ..spectral import ContinuumRemoval

    removal = ContinuumRemoval(wavelengths, mode="subtract", unit="nm")
    return curves - removal.fit_transform(curves)
