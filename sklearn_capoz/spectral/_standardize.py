"""Per-spectrum standardisation: brightness and contrast of a single pixel, taken out."""

from numbers import Integral

import numpy as np
from sklearn.base import BaseEstimator, OneToOneFeatureMixin, TransformerMixin
from sklearn.utils.validation import validate_data

from .._compile import inlined, kernel
from ._base import fill_masked, run_blocks


class SpectrumStandardizer(OneToOneFeatureMixin, TransformerMixin, BaseEstimator):
    """Shift and scale every spectrum to mean 0 and standard deviation 1 over its own bands.

    Also known as standard normal variate. It takes shade and illumination out, which multiply a
    whole pixel. scikit-learn's ``StandardScaler`` works down the columns and its ``Normalizer``
    keeps the mean. Wavelengths play no part. The product of two standardised spectra, divided by
    the number of bands, is their correlation.

    Parameters
    ----------
    n_jobs : int or None, default=None
        Threads that share the rows. None is 1, -1 is every core.

    Attributes
    ----------
    n_features_in_ : int
        Number of bands seen in `fit`.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the bands, where X had names.

    Notes
    -----
    ``(R - mean) / std`` with the population standard deviation (ddof 0). Bands that are not finite
    are left out of both and are NaN. A flat spectrum, and one with a single finite band, is all 0.
    Integers need no scale, since the result does not depend on it.

    References
    ----------
    Barnes, R. J., Dhanoa, M. S. & Lister, S. J. (1989). Standard normal variate transformation and
    de-trending of near-infrared diffuse reflectance spectra. *Applied Spectroscopy* 43(5), 772-777.
    :doi:`10.1366/0003702894202201`

    Examples
    --------
    >>> from sklearn_capoz.spectral import SpectrumStandardizer
    >>> SpectrumStandardizer().fit_transform([[0.1, 0.2, 0.6], [0.5, 0.5, 0.5]]).round(3)
    array([[-0.926, -0.463,  1.389],
           [ 0.   ,  0.   ,  0.   ]])
    """

    _parameter_constraints = {"n_jobs": [Integral, None]}

    def __init__(self, n_jobs=None):
        self.n_jobs = n_jobs

    def fit(self, X, y=None):
        """Only check X; nothing is learnt from it.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_bands)
            Spectra.
        y : None
            Ignored.

        Returns
        -------
        self
        """
        self._validate_params()
        validate_data(self, fill_masked(X), ensure_all_finite=False)
        return self

    def transform(self, X):
        """Standardise every row.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_bands)
            Spectra.

        Returns
        -------
        ndarray of shape (n_samples, n_bands)
            float32 for float32 X, else float64.
        """
        X = validate_data(
            self,
            fill_masked(X),
            reset=False,
            dtype=[np.float64, np.float32],
            ensure_all_finite=False,
        )
        out = np.empty(X.shape, dtype=X.dtype)
        run_blocks(
            lambda rows: _standardize(X[rows], out[rows]), len(X), 8 * X.shape[1], self.n_jobs
        )
        return out

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.requires_fit = False
        tags.input_tags.allow_nan = True
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags


@kernel
def _standardize(X, out):
    for i in range(X.shape[0]):
        n, total, low, high = 0, 0.0, np.inf, -np.inf
        for value in X[i]:
            if np.isfinite(value):
                n += 1
                total += value
                low = min(low, value)
                high = max(high, value)
        factor = _into_range(max(high, -low))
        if factor != 1.0:
            total = 0.0
            for value in X[i]:
                if np.isfinite(value):
                    total += value * factor
        mean = total / max(n, 1)
        squares = 0.0
        for value in X[i]:
            if np.isfinite(value):
                squares += (value * factor - mean) ** 2
        # Rounding gives a flat spectrum a mean just beside its value: say zero, not noise.
        inverse = 1.0 / np.sqrt(squares / n) if low < high and squares > 0.0 else 0.0
        for j in range(X.shape[1]):
            value = X[i, j]
            out[i, j] = (value * factor - mean) * inverse if np.isfinite(value) else np.nan


@inlined
def _into_range(peak):
    """Return the power of two that brings a spectrum to where its squares are numbers.

    It is 1 but for spectra that are tiny or huge, and multiplying by it is exact.
    """
    if not peak > 0.0 or 1e-100 < peak < 1e100:
        return 1.0
    # Far enough for every float64, and itself a normal number at both ends.
    power = 1000 if peak < 1e-200 or peak > 1e200 else 500
    return 2.0**power if peak < 1.0 else 2.0**-power
