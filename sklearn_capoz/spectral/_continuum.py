"""Continuum removal: what a spectrum would be without its absorptions, taken out."""

import numpy as np

from .._sklearn import StrOptions
from . import _kernels
from ._base import SpectralTransformer, band_names, shared_doc
from ._wavelengths import check_ranges

_HULLS = {"convex": _kernels.CONVEX, "segmented": _kernels.SEGMENTED, "linear": _kernels.LINEAR}
_MODES = {"divide": _kernels.DIVIDE, "subtract": _kernels.SUBTRACT, "log": _kernels.LOG}


@shared_doc
class ContinuumRemoval(SpectralTransformer):
    """Divide every spectrum by its continuum, so that only the absorptions remain.

    Brightness, slope and grain size shape the continuum; the absorptions in it name the mineral.
    The continuum is laid on real wavelengths, so uneven band spacing does not bend it.

    Parameters
    ----------
    <wavelengths>
    hull : {"convex", "segmented", "linear"}, default="convex"
        The continuum. "convex" is the upper convex hull of the points (wavelength, reflectance),
        linear between its vertices. "segmented" makes every local maximum a vertex as well (a band
        higher than the one before and not lower than the one after), and lays the upper convex
        hull between one maximum and the next; it follows the spectrum closer and noise as well.
        "linear" is the straight line through the first and the last band.
    mode : {"divide", "subtract", "log"}, default="divide"
        What is returned: R / Rc, R - Rc, or ln(R / Rc), for reflectance R and continuum Rc.
    ranges : list of (low, high) or None, default=None
        Ranges in nm, ends included, that each get a continuum of their own. Bands outside all
        ranges are not in the output. None is one range over all bands.
    <sensor>
    <common>

    Attributes
    ----------
    wavelengths_ : ndarray of shape (n_features_out,), nm
        Wavelength of every output column.
    n_features_in_ : int
        Number of bands seen in `fit`.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the bands, where X had names.

    Raises
    ------
    ValueError
        If the wavelengths are unknown, ambiguous, double or do not fit X, or if X holds integers
        and there is no `scale`.

    Notes
    -----
    Output columns follow the order of the input; only bad bands and bands outside `ranges` are
    missing. What odd spectra give:

    - NaN, infinite and masked bands are left out before the continuum is laid, and are NaN.
    - A band on the continuum is 1 (divide) or 0, also where both are zero: flat, all-zero, one-band
      and two-band spectra are all 1 or all 0.
    - Otherwise a quotient needs a continuum above zero, and a logarithm a quotient above zero:
      without, the band is NaN, also where it lies on a continuum below zero, as in a spectrum of a
      fill value such as -9999. A negative reflectance under a positive continuum gives a negative
      quotient.
    - Bands at one wavelength under ``duplicates="average"`` all get the value of their mean.

    References
    ----------
    Clark, R. N. & Roush, T. L. (1984). Reflectance spectroscopy: quantitative analysis techniques
    for remote sensing applications. *Journal of Geophysical Research* 89(B7), 6329-6340.
    :doi:`10.1029/JB089iB07p06329`

    Examples
    --------
    >>> from sklearn_capoz.spectral import ContinuumRemoval
    >>> removal = ContinuumRemoval([2100, 2150, 2200, 2300])
    >>> removal.fit_transform([[0.4, 0.3, 0.4, 0.8]])
    array([[1.  , 0.6 , 0.666..., 1.  ]])
    """

    _parameter_constraints = {
        **SpectralTransformer._parameter_constraints,
        "hull": [StrOptions(set(_HULLS))],
        "mode": [StrOptions(set(_MODES))],
        "ranges": ["array-like", None],
    }

    def __init__(
        self,
        wavelengths=None,
        *,
        hull="convex",
        mode="divide",
        ranges=None,
        unit=None,
        bad_bands=None,
        duplicates="error",
        scale=None,
        n_jobs=None,
    ):
        self.wavelengths = wavelengths
        self.hull = hull
        self.mode = mode
        self.ranges = ranges
        self.unit = unit
        self.bad_bands = bad_bands
        self.duplicates = duplicates
        self.scale = scale
        self.n_jobs = n_jobs

    def fit(self, X, y=None):
        """Settle the bands; nothing is learnt from the spectra.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_bands), reflectance
            Spectra; their number of columns, and column names if `wavelengths` is None, are used.
        y : None
            Ignored.

        Returns
        -------
        self
        """
        ranges = None if self.ranges is None else check_ranges(self.ranges)
        self._fit_axis(X, ranges)
        axis = self._axis
        self._bounds = _range_bounds(axis.wavelengths, ranges)
        self.wavelengths_ = axis.wavelengths[axis.positions]
        return self

    @property
    def _n_columns(self):
        return len(self.wavelengths_)

    def _transform_block(self, reflectance, out):
        axis = self._axis
        target = out if axis.in_order else np.empty_like(reflectance)
        _kernels.remove_continuum(
            reflectance,
            axis.wavelengths,
            self._bounds,
            _HULLS[self.hull],
            _MODES[self.mode],
            target,
        )
        if target is not out:
            np.take(target, axis.positions, axis=1, out=out)

    def _names(self):
        return band_names(self, self._axis.kept)


def _range_bounds(nm, ranges):
    """Where each range begins among the ascending bands, and the end."""
    if ranges is None:
        return np.array([0, len(nm)], dtype=np.intp)
    bounds = np.append(np.searchsorted(nm, ranges[:, 0]), len(nm)).astype(np.intp)
    if (np.diff(bounds) == 0).any():
        low, high = ranges[np.diff(bounds).argmin()]
        raise ValueError(f"The range from {low:g} to {high:g} nm holds no band.")
    return bounds
