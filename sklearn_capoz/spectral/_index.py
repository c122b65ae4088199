"""Spectral absorption indices: how much deeper each band lies than the line over its shoulders."""

from numbers import Integral, Real

import numpy as np

from .._sklearn import Interval, StrOptions
from . import _kernels, _local_index
from ._base import SpectralTransformer, shared_doc
from ._wavelengths import distinct_labels

# The union of the diagnostic bands of seven minerals of Cuprite (Deng et al. 2022).
DIAGNOSTIC_BANDS = (2160, 2170, 2200, 2210, 2230, 2250, 2320, 2340, 2350)


@shared_doc
class SpectralAbsorptionIndex(SpectralTransformer):
    """Turn every spectrum into its spectral absorption index (SAI) vector.

    The index of a band is the reflectance that its shoulders promise over the one it has. It does
    not depend on brightness, and with local shoulders hardly on slope, so a network trained on
    laboratory spectra meets the same numbers in the field.

    Parameters
    ----------
    <wavelengths>
    bands : "all", "diagnostic" or array-like of float, default="all"
        Which bands get an index. "diagnostic" is the table of [1]_: 2160, 2170, 2200, 2210, 2230,
        2250, 2320, 2340 and 2350 nm. Wavelengths in nm are taken to the nearest band, which must
        lie within one band spacing.
    shoulders : "local", "hull" or array-like of shape (n_indices, 2), default="local"
        "local" puts the shoulders at the distances `half_widths` to both sides of the band; beyond
        the end of the spectrum they stay at its last bands. "hull" takes the upper convex hull of
        the whole spectrum as continuum. Pairs are the left and right shoulder in nm of every band.
    half_widths : float or sequence of float, default=(40, 60, 80)
        Distances in nm from a band to its local shoulders. Several give several indices per band.
    shoulder_bands, centre_bands : int, default=5 and 3
        Odd number of neighbouring bands whose mean is a shoulder, and the band itself. Not used
        with the hull.
    attenuation : float or None, default=None
        Distance tau in nm. If given, the indices of a band at its half widths h are joined into
        one, their mean with the weights ``exp(-h / tau)``: narrow absorptions count more. This is
        a reconstruction of the idea of an attenuation index vector [2]_; the published formula was
        not available and may differ.
    log : bool, default=False
        Return ln(SAI), which is 0 without absorption.
    <sensor>
    <common>

    Attributes
    ----------
    bands_ : ndarray of shape (n_indices,), nm
        Wavelength of the band of every index.
    half_widths_ : ndarray, nm
        The half widths of "local" shoulders, ascending.
    n_features_in_ : int
        Number of bands seen in `fit`.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the bands, where X had names.

    Raises
    ------
    ValueError
        If the wavelengths are unknown, ambiguous, double or do not fit X, if a wanted band is not
        there, if no band has a neighbour within the half widths, or if X holds integers and there
        is no `scale`.

    Notes
    -----
    With shoulders s1 < m < s2 at the mean wavelengths of their bands, [3]_::

        d   = (lambda_m - lambda_s2) / (lambda_s1 - lambda_s2)
        Rc  = d R_s1 + (1 - d) R_s2
        SAI = Rc / R_m = 1 / (1 - D)        with the band depth D = 1 - R_m / Rc

    Columns: all bands at the first half width, then all at the second, and so on. They are called
    ``sai_2205nm``, with several half widths ``sai_2205nm_hw40``, and ``asai_2205nm`` with
    `attenuation`. What odd spectra give:

    - A band that is NaN, infinite or masked has the index NaN; in the mean of a shoulder or centre
      it is left out, and a shoulder without any band left makes the index NaN.
    - Where Rc and R_m are both zero the index is 1, as it is of a flat spectrum above zero.
    - Where the shoulders do not lie on both sides of the centre, as at the ends of the spectrum and
      with one or two bands, nothing can be measured and the index is 1.
    - Elsewhere Rc and R_m must be above zero: without, the index is NaN, also where both are
      equal, as in a spectrum of a fill value such as -9999.

    References
    ----------
    .. [1] Deng, Zhao, Li & Cai (2022). Improved data-driven compressing method for hyperspectral
       mineral identification models. *Infrared and Laser Engineering*. :doi:`10.3788/IRLA20210252`
    .. [2] Deng, Zhao, Li et al. (2021). Identification of minerals in hyperspectral imagery based
       on the attenuation spectral absorption index vector using a multilayer perceptron. *Remote
       Sensing Letters* 12(5), 449-458.
    .. [3] Clark, R. N. & Roush, T. L. (1984). Reflectance spectroscopy: quantitative analysis
       techniques for remote sensing applications. *Journal of Geophysical Research* 89(B7),
       6329-6340. :doi:`10.1029/JB089iB07p06329`

    Examples
    --------
    A band at 0.3 under a flat continuum of 0.6:

    >>> from sklearn_capoz.spectral import SpectralAbsorptionIndex
    >>> sai = SpectralAbsorptionIndex(
    ...     [2160, 2200, 2240], bands=[2200], half_widths=40, shoulder_bands=1, centre_bands=1
    ... )
    >>> sai.fit_transform([[0.6, 0.3, 0.6]])
    array([[2.]])
    >>> sai.get_feature_names_out()
    array(['sai_2200nm'], dtype=object)
    """

    _parameter_constraints = {
        **SpectralTransformer._parameter_constraints,
        "bands": [StrOptions({"all", "diagnostic"}), "array-like"],
        "shoulders": [StrOptions({"local", "hull"}), "array-like"],
        "half_widths": [Interval(Real, 0, None, closed="neither"), "array-like"],
        "shoulder_bands": [Interval(Integral, 1, None, closed="left")],
        "centre_bands": [Interval(Integral, 1, None, closed="left")],
        "attenuation": [Interval(Real, 0, None, closed="neither"), None],
        "log": ["boolean"],
    }

    def __init__(
        self,
        wavelengths=None,
        *,
        bands="all",
        shoulders="local",
        half_widths=(40, 60, 80),
        shoulder_bands=5,
        centre_bands=3,
        attenuation=None,
        log=False,
        unit=None,
        bad_bands=None,
        duplicates="error",
        scale=None,
        n_jobs=None,
    ):
        self.wavelengths = wavelengths
        self.bands = bands
        self.shoulders = shoulders
        self.half_widths = half_widths
        self.shoulder_bands = shoulder_bands
        self.centre_bands = centre_bands
        self.attenuation = attenuation
        self.log = log
        self.unit = unit
        self.bad_bands = bad_bands
        self.duplicates = duplicates
        self.scale = scale
        self.n_jobs = n_jobs

    def fit(self, X, y=None):
        """Settle bands and shoulders; nothing is learnt from the spectra.

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
        self._check_relations()
        self._fit_bands()
        self._fit_shoulders()
        return self

    def _check_relations(self):
        for name in ("shoulder_bands", "centre_bands"):
            if getattr(self, name) % 2 == 0:
                raise ValueError(
                    f"{name} must be odd, to lie evenly around its band; got {getattr(self, name)}."
                )
        self.half_widths_ = np.unique(np.asarray(self.half_widths, dtype=float))
        if not (self.half_widths_.size and (self.half_widths_ > 0).all()):
            raise ValueError(f"half_widths must be above 0 nm, got {self.half_widths!r}.")
        if self.attenuation is not None and not self._is("shoulders", "local"):
            raise ValueError("attenuation joins half widths and needs shoulders='local'.")

    def _is(self, name, value):
        setting = getattr(self, name)
        return isinstance(setting, str) and setting == value

    def _fit_bands(self):
        axis = self._axis
        if self._is("bands", "all"):
            self._places = axis.positions
            self._labels = distinct_labels(axis.wavelengths[axis.positions])
        else:
            wanted = DIAGNOSTIC_BANDS if self._is("bands", "diagnostic") else self.bands
            wanted = np.asarray(wanted, dtype=float)
            self._places = axis.nearest(wanted)
            self._labels = distinct_labels(wanted)
            if len(np.unique(self._places)) < len(self._places):
                raise ValueError(
                    f"Some of the bands {', '.join(self._labels)} nm fall on the same band of this "
                    "sensor: list only wavelengths that it can tell apart."
                )
        self.bands_ = axis.wavelengths[self._places]

    def _fit_shoulders(self):
        wavelengths = self._axis.wavelengths
        widths = (self.shoulder_bands, self.centre_bands)
        self._shoulders = None
        if self._is("shoulders", "hull"):
            return
        local = self._is("shoulders", "local")
        if local:
            half_widths = np.repeat(self.half_widths_, len(self._places))
            places = np.tile(self._places, len(self.half_widths_))
            left, right = wavelengths[places] - half_widths, wavelengths[places] + half_widths
        else:
            places = self._places
            left, right = self._pairs()
        self._shoulders = _local_index.place_shoulders(wavelengths, places, left, right, *widths)
        nowhere = (self._shoulders.left == self._shoulders.right).all()
        if local and nowhere and len(wavelengths) > 1:
            raise ValueError(
                f"half_widths reach {self.half_widths_[-1]:g} nm at most, and no band has a "
                "neighbour that near: the smallest distance between two bands is "
                f"{np.diff(wavelengths).min():g} nm. half_widths are in nm."
            )

    def _pairs(self):
        pairs = np.asarray(self.shoulders, dtype=float)
        if pairs.shape != (len(self._places), 2):
            raise ValueError(
                f"shoulders must be one (left, right) pair in nm for each of the "
                f"{len(self._places)} bands, got shape {pairs.shape}."
            )
        if not ((pairs[:, 0] < self.bands_) & (self.bands_ < pairs[:, 1])).all():
            raise ValueError("Every pair of shoulders must enclose its band: left < band < right.")
        self._axis.nearest(pairs.ravel())
        return pairs.T

    @property
    def _n_columns(self):
        if self._shoulders is None or self.attenuation is not None:
            return len(self._places)
        return len(self._shoulders.centre)

    def _transform_block(self, reflectance, out):
        wavelengths = self._axis.wavelengths
        if self._shoulders is None:
            whole = np.array([0, len(wavelengths)], dtype=np.intp)
            quotient = np.empty_like(reflectance)
            _kernels.remove_continuum(
                reflectance, wavelengths, whole, _kernels.CONVEX, _kernels.DIVIDE, quotient
            )
            quotient = quotient[:, self._places]
            np.divide(1.0, quotient, out=out, where=quotient > 0)
            out[~(quotient > 0)] = np.nan
        elif self.attenuation is None:
            _local_index.shoulder_index(reflectance, self._shoulders, out)
        else:
            every = np.empty((len(out), len(self._shoulders.centre)), dtype=out.dtype)
            _local_index.shoulder_index(reflectance, self._shoulders, every)
            weights = np.exp(-self.half_widths_ / self.attenuation)
            weights = (weights / weights.sum()).astype(out.dtype)
            out[:] = np.einsum("h,nhb->nb", weights, every.reshape(len(out), len(weights), -1))
        if self.log:
            np.log(out, out=out)

    def _names(self):
        index = isinstance(self.wavelengths, str)
        bands = [f"band{label}" if index else f"{label}nm" for label in self._labels]
        if self.attenuation is not None:
            return [f"asai_{band}" for band in bands]
        if not self._is("shoulders", "local") or len(self.half_widths_) == 1:
            return [f"sai_{band}" for band in bands]
        return [f"sai_{band}_hw{half:g}" for half in self.half_widths_ for band in bands]
