"""Spectra in the bands of another sensor: what it would have measured of them."""

from __future__ import annotations

import warnings
from numbers import Real

import numpy as np
from scipy.sparse import csr_array
from scipy.special import ndtr

from .._fitting import all_or_nothing
from .._sklearn import Interval, StrOptions
from ._base import SpectralTransformer, shared_doc
from ._sensors import SENSORS, Sensor, fwhm_of_spacing
from ._wavelengths import wavelengths_nm

__all__ = ["SensorResampler"]

#: FWHM of a Gaussian in units of its standard deviation.
_FWHM = 2 * np.sqrt(2 * np.log(2))

#: A band is measured where at least this part of its response is. Half, less rounding: the first
#: and last band of a spectrum that is resampled to its own bands have exactly half.
LEAST_COVERED = 0.5 - 1e-6

#: Weights below this are rounding, and would only fill the matrix.
_LEAST_WEIGHT = 1e-9


@shared_doc
class SensorResampler(SpectralTransformer):
    """Resample spectra to the bands of a sensor, by the Gaussian response of each band.

    A library is measured in thousands of narrow bands, a scene in some dozens of wide ones. A model
    of the library sees the scene's absorptions only in the scene's bands.

    Parameters
    ----------
    sensor : str, array-like of shape (n_out,) or Sensor, default="aviris"
        Where to: a name of `SENSORS` ("aviris", "aviris-ng", "hymap", "hyperion", "emit", "enmap",
        "prisma", "desis"), band centres in nm or um, or a `Sensor`. Names are nominal: the centres
        that the header of a scene gives win, so pass those and its `fwhm` where there is a scene.
    <wavelengths>
    fwhm : float, array-like of shape (n_out,) or None, default=None
        Full width at half maximum of the bands in the unit of `sensor`, where that gives centres
        only. None estimates it as their spacing, with a warning.
    source_fwhm : float, array-like of shape (n_bands,) or None, default=None
        Full width of the bands that X comes in, in nm. None takes them as narrow beside the
        sensor's. It counts where they are not: spectra in bands as wide as the sensor's are
        interpolated instead of being blurred a second time.
    on_missing : {"error", "nan"}, default="error"
        What a band gives of whose response more than half lies outside of the wavelengths of X: an
        error in `fit` that names such bands, or a column of NaN.
    <sensor>
    <common>

    Attributes
    ----------
    wavelengths_ : ndarray of shape (n_out,), nm
        Band centres of the sensor, in its order.
    fwhm_ : ndarray of shape (n_out,), nm
        Widths of its bands.
    coverage_ : ndarray of shape (n_out,)
        Part of each band's response that lies within the wavelengths of X.
    n_features_in_ : int
        Number of bands seen in `fit`.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the bands, where X had names.

    Raises
    ------
    ValueError
        If the sensor is not known, the wavelengths are unknown, ambiguous, double or do not fit X,
        if X does not cover the sensor, or if X holds integers and there is no `scale`.

    Warns
    -----
    UserWarning
        If the width of the bands is estimated.

    Notes
    -----
    The spectrum r is taken as linear between its bands. A band with centre c and width FWHM gives

    ``sum_j w_j r_j / sum_j w_j``, ``w_j = integral of g(x) h_j(x) dx``

    over the wavelengths of X, where g is the normal density with mean c and standard deviation
    ``sqrt(FWHM^2 - source_fwhm^2) / 2.3548``, and h_j the triangle that is 1 at band j and 0 at its
    neighbours. The integral is exact, so that uneven bands count by their distance, and a response
    narrower than the spacing becomes linear interpolation. A source wider than the sensor cannot be
    sharpened and is interpolated as well.

    Bands of a spectrum that are not finite are left out of both sums. Where more than half of a
    response lies on them or outside, the result is NaN.

    References
    ----------
    Kokaly, R. F. et al. (2017). USGS Spectral Library Version 7. *U.S. Geological Survey Data
    Series* 1035. :doi:`10.3133/ds1035` (convolved to sensors in the same way)

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_capoz.spectral import SensorResampler
    >>> nm = np.arange(2000, 2401)
    >>> step = np.where(nm < 2200, 0.2, 0.4)
    >>> resampler = SensorResampler([2150, 2200, 2250], fwhm=10, wavelengths=nm)
    >>> resampler.fit_transform([step]).round(2)
    array([[0.2 , 0.31, 0.4 ]])
    """

    _parameter_constraints = {
        **SpectralTransformer._parameter_constraints,
        "sensor": [StrOptions(set(SENSORS)), Sensor, "array-like"],
        "fwhm": [Interval(Real, 0, None, closed="neither"), "array-like", None],
        "source_fwhm": [Interval(Real, 0, None, closed="left"), "array-like", None],
        "on_missing": [StrOptions({"error", "nan"})],
    }

    def __init__(
        self,
        sensor="aviris",
        *,
        wavelengths=None,
        fwhm=None,
        source_fwhm=None,
        on_missing="error",
        unit=None,
        bad_bands=None,
        duplicates="error",
        scale=None,
        n_jobs=None,
    ):
        self.sensor = sensor
        self.wavelengths = wavelengths
        self.fwhm = fwhm
        self.source_fwhm = source_fwhm
        self.on_missing = on_missing
        self.unit = unit
        self.bad_bands = bad_bands
        self.duplicates = duplicates
        self.scale = scale
        self.n_jobs = n_jobs

    @all_or_nothing
    def fit(self, X, y=None):
        """Weigh the bands; nothing is learnt from the spectra.

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
        self._fit_axis(X)
        axis = self._axis
        if len(axis.wavelengths) < 2:
            raise ValueError(
                "A single band cannot be resampled: X has n_features = "
                f"{self.n_features_in_}, of which {len(axis.wavelengths)} is used; two are needed."
            )
        sensor = _sensor(self.sensor, self.fwhm)
        sharpness = _source_widths(self.source_fwhm, axis, sensor.wavelengths)
        widths = np.sqrt(np.maximum(sensor.fwhm**2 - sharpness**2, 0))
        weights = _weights(axis.wavelengths, sensor.wavelengths, widths / _FWHM)
        coverage = weights.sum(axis=1)
        self._check_coverage(sensor, coverage >= LEAST_COVERED)
        self._weights = csr_array(weights.T)
        self.wavelengths_, self.fwhm_, self.coverage_ = sensor.wavelengths, sensor.fwhm, coverage
        return self

    def _check_coverage(self, sensor, covered):
        nm, missing = self._axis.wavelengths, sensor.wavelengths[~covered]
        if not len(missing) or (self.on_missing == "nan" and covered.any()):
            return
        shown = ", ".join(f"{centre:g}" for centre in missing[:5])
        raise ValueError(
            f"The spectra reach from {nm[0]:g} to {nm[-1]:g} nm and do not cover {len(missing)} of "
            f"the {len(sensor.wavelengths)} bands of {sensor.name}: {shown}"
            f"{', ...' if len(missing) > 5 else ''} nm. Check the unit of both, pass the bands to "
            "resample to as sensor=, or on_missing='nan' for columns of NaN."
        )

    @property
    def _n_columns(self):
        return len(self.wavelengths_)

    def _transform_block(self, reflectance, out):
        valid = np.isfinite(reflectance)
        if valid.all():
            total = self.coverage_
        else:
            reflectance = np.where(valid, reflectance, 0)
            total = valid.astype(float) @ self._weights
        measured = np.broadcast_to(total >= LEAST_COVERED, out.shape)
        out[:] = np.nan
        np.divide(reflectance @ self._weights, total, out=out, where=measured, casting="same_kind")

    def _names(self):
        unit = "" if isinstance(self.wavelengths, str) else "nm"
        return [f"{nm:.10g}{unit}" for nm in self.wavelengths_]


def _sensor(sensor, fwhm) -> Sensor:
    """Settle what to resample to."""
    if isinstance(sensor, str):
        sensor = SENSORS[sensor]
    if isinstance(sensor, Sensor):
        if fwhm is not None:
            raise ValueError(
                f"{sensor.name} has widths of its own; fwhm= goes with band centres as sensor=."
            )
        return sensor
    given = np.asarray(sensor, dtype=float)
    nm = wavelengths_nm(None, given.size, given)
    if fwhm is not None:
        widths = np.broadcast_to(np.asarray(fwhm, dtype=float), nm.shape)
        return Sensor("the sensor", nm, widths * (nm[0] / given[0]))
    if len(nm) < 2:
        raise ValueError("One band has no spacing to estimate its width by: pass fwhm=.")
    warnings.warn(
        "The sensor gives no fwhm: the distance between its bands is taken instead. Pass fwhm= "
        "where it is known.",
        stacklevel=4,
    )
    return Sensor("the sensor", nm, fwhm_of_spacing(nm))


def _source_widths(source_fwhm, axis, centres: np.ndarray) -> np.ndarray:
    """FWHM of the bands of X around every centre."""
    if source_fwhm is None:
        return np.zeros(len(centres))
    widths = np.asarray(source_fwhm, dtype=float)
    if widths.ndim and widths.shape != axis.given.shape:
        raise ValueError(
            f"source_fwhm needs one width for each of the {len(axis.given)} bands of X, got shape "
            f"{widths.shape}."
        )
    widths = np.broadcast_to(widths, axis.given.shape)[axis.columns[axis.groups]]
    if not (np.isfinite(widths).all() and (widths >= 0).all()):
        raise ValueError("source_fwhm must be finite and not negative, in nm.")
    return np.interp(centres, axis.wavelengths, widths)


def _weights(nm: np.ndarray, centres: np.ndarray, sigma: np.ndarray) -> np.ndarray:
    """Integrals of each response times each band's triangle, of shape (n_centres, n_bands)."""
    spacing = np.diff(nm)
    # Sharper than this is linear interpolation to the last digits, and would divide by zero.
    sigma = np.maximum(sigma, 1e-9 * spacing.min())[:, None]
    z = (nm - centres[:, None]) / sigma
    mass = np.diff(ndtr(z), axis=1)
    density = np.exp(-0.5 * z**2) / np.sqrt(2 * np.pi)
    moment = -sigma * np.diff(density, axis=1)  # of x - centre
    right = (moment + (centres[:, None] - nm[:-1]) * mass) / spacing
    weights = np.zeros((len(centres), len(nm)))
    weights[:, 1:] += right
    weights[:, :-1] += mass - right
    weights[np.abs(weights) < _LEAST_WEIGHT] = 0
    return weights
