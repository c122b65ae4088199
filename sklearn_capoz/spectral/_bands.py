"""Choice of bands: some ranges kept, water vapour and bad bands left out."""

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.feature_selection import SelectorMixin
from sklearn.utils.validation import check_is_fitted, validate_data

from .._sklearn import StrOptions
from ._base import BAND_PARAMETERS, band_names, check_input_features, fill_masked, shared_doc
from ._wavelengths import BandAxis, bad_band_mask, check_ranges, in_ranges, wavelengths_nm

# Water vapour lets next to no sunlight through here, and reflectance is noise.
WATER_WINDOWS = ((1340.0, 1450.0), (1790.0, 1960.0))


@shared_doc
class BandSelector(SelectorMixin, BaseEstimator):
    """Keep the bands of some wavelength ranges, without the windows of atmospheric water.

    Parameters
    ----------
    ranges : list of (low, high) or None, default=None
        Ranges in nm to keep, ends included. None keeps every wavelength.
    <wavelengths>
    exclude : "water", list of (low, high) or None, default="water"
        Ranges in nm to leave out of them, ends included. "water" is 1340 to 1450 nm and 1790 to
        1960 nm, where water vapour hides the ground from an airborne or orbiting sensor.
    <sensor>

    Attributes
    ----------
    wavelengths_ : ndarray of shape (n_features_out,), nm
        Wavelength of every kept band.
    n_features_in_ : int
        Number of bands seen in `fit`.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the bands, where X had names.

    Raises
    ------
    ValueError
        If the wavelengths are unknown, ambiguous or do not fit X, or if no band is left.

    Notes
    -----
    Values are passed on as they are, NaN and integers included, in the order of the input.

    Examples
    --------
    >>> from sklearn_capoz.spectral import BandSelector
    >>> selector = BandSelector([(1300, 1500)], wavelengths=[1200, 1320, 1400, 1480])
    >>> selector.fit_transform([[0.1, 0.2, 0.3, 0.4]])
    array([[0.2, 0.4]])
    >>> selector.wavelengths_
    array([1320., 1480.])
    """

    _parameter_constraints = {
        **BAND_PARAMETERS,
        "ranges": ["array-like", None],
        "exclude": [StrOptions({"water"}), "array-like", None],
    }

    def __init__(
        self, ranges=None, *, wavelengths=None, exclude="water", unit=None, bad_bands=None
    ):
        self.ranges = ranges
        self.wavelengths = wavelengths
        self.exclude = exclude
        self.unit = unit
        self.bad_bands = bad_bands

    def fit(self, X, y=None):
        """Settle which bands are kept; nothing is learnt from the spectra.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_bands)
            Spectra; their number of columns, and column names if `wavelengths` is None, are used.
        y : None
            Ignored.

        Returns
        -------
        self
        """
        self._validate_params()
        n_bands = self._check(X, reset=True).shape[1]
        bad = bad_band_mask(self.bad_bands, n_bands)
        nm = wavelengths_nm(X, n_bands, self.wavelengths, self.unit, bad)
        keep = ~bad
        if self.ranges is not None:
            keep &= in_ranges(nm, check_ranges(self.ranges))
        if self.exclude is not None:
            water = isinstance(self.exclude, str)
            keep &= ~in_ranges(
                nm, WATER_WINDOWS if water else check_ranges(self.exclude, "exclude")
            )
        if not keep.any():
            good = nm[~bad]
            reach = (
                f"reach from {good.min():g} to {good.max():g} nm" if good.size else "are all bad"
            )
            raise ValueError(
                f"No band is left: the {n_bands} bands {reach}, and ranges, exclude and bad_bands "
                "together leave out every one."
            )
        self._keep = keep
        self._axis = BandAxis.of(nm, keep)
        self.wavelengths_ = nm[keep]
        return self

    def get_feature_names_out(self, input_features=None):
        """Names of the kept bands: those of X, or their wavelengths.

        Parameters
        ----------
        input_features : array-like of str or None, default=None
            Only checked against the names and number of columns seen in `fit`.

        Returns
        -------
        ndarray of str
        """
        check_is_fitted(self)
        check_input_features(self, input_features)
        return band_names(self, np.flatnonzero(self._keep))

    def transform(self, X):
        """Keep the chosen bands.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_bands)
            Spectra.

        Returns
        -------
        ndarray of shape (n_samples, n_features_out)
            The dtype is that of X; masked values become NaN.
        """
        check_is_fitted(self)
        return self._check(X, reset=False)[:, self._keep]

    def _check(self, X, *, reset):
        return validate_data(
            self, fill_masked(X), reset=reset, dtype="numeric", ensure_all_finite=False
        )

    def _get_support_mask(self):
        check_is_fitted(self)
        return self._keep

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        return tags
