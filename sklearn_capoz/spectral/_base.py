"""What all transformers that know wavelengths share: their parameters, input rules and threads."""

from collections import deque
from concurrent.futures import ThreadPoolExecutor
from inspect import cleandoc
from itertools import pairwise
from numbers import Integral, Real

import numpy as np
from joblib import effective_n_jobs
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted, validate_data

from .._sklearn import Interval, StrOptions
from .._validation import is_as_validated
from ._wavelengths import band_axis

# A block of rows stays in the second-level cache, and takes longer than to hand it over.
_BLOCK_BYTES = 1 << 20

BAND_PARAMETERS = {
    "wavelengths": ["array-like", StrOptions({"index"}), None],
    "unit": [StrOptions({"nm", "um"}), None],
    "bad_bands": ["array-like", None],
}

_SHARED_DOC = {
    "<wavelengths>": """
        wavelengths : array-like of shape (n_bands,), "index" or None, default=None
            Wavelength of every column of X, in nm or um, in any order. None reads them from the
            column names of a DataFrame, such as ``2205.3`` or ``"R2205"``, and is an error for a
            plain array. "index" takes the band numbers 0, 1, 2, ... as positions, for data whose
            wavelengths are not known.
        """,
    "<sensor>": """
        unit : {"nm", "um"} or None, default=None
            Unit of the wavelengths. None infers it: at most 30 is um, at least 200 is nm, and
            anything else is an error.
        bad_bands : array-like or None, default=None
            Bands to leave out: a boolean mask, True for bad, or band numbers counted from 0, each
            once. An ENVI ``bbl`` list says 0 for bad: pass ``np.array(bbl) == 0``.
        """,
    "<common>": """
        duplicates : {"error", "average"}, default="error"
            What to do with bands at exactly the same wavelength.
        scale : float or None, default=None
            Number that stands for a reflectance of 1, such as 10000; X is divided by it. Integer X
            needs it.
        n_jobs : int or None, default=None
            Threads that share the rows. None is 1, -1 is every core. No global thread setting is
            changed.
        """,
}


def shared_doc(cls):
    """Fill the parameters that all transformers share into a class docstring."""
    if cls.__doc__ is None:  # python -OO
        return cls
    text = cleandoc(cls.__doc__)
    for marker, paragraph in _SHARED_DOC.items():
        text = text.replace(marker, cleandoc(paragraph))
    cls.__doc__ = text
    return cls


class SpectralTransformer(TransformerMixin, BaseEstimator):
    """Base of the transformers: one block of reflectance rows in, one block of columns out.

    A subclass calls `_fit_axis` in `fit`, and has `_n_columns` and `_transform_block`.
    """

    _parameter_constraints = {
        **BAND_PARAMETERS,
        "duplicates": [StrOptions({"error", "average"})],
        "scale": [Interval(Real, 0, None, closed="neither"), None],
        "n_jobs": [Integral, None],
    }

    def _fit_axis(self, X, ranges=None):
        """Check parameters and X, and settle where its bands lie."""
        self._validate_params()
        checked = self._check(X, reset=True)
        self._axis = band_axis(
            X,
            checked.shape[1],
            wavelengths=self.wavelengths,
            unit=self.unit,
            bad_bands=self.bad_bands,
            duplicates=self.duplicates,
            ranges=ranges,
        )
        return checked

    def transform(self, X):
        """Transform spectra, in blocks of rows that `n_jobs` threads share.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_bands), reflectance
            Spectra. NaN, infinite and (for a masked array) masked values are left out per row.

        Returns
        -------
        ndarray of shape (n_samples, n_features_out)
            float32 for float32 and for integers of up to 16 bits, else float64.
        """
        check_is_fitted(self)
        X = self._check(X, reset=False)
        out = np.empty((len(X), self._n_columns), dtype=_working_dtype(X.dtype))

        def work(rows):
            reflectance = self._axis.gather(X[rows], out.dtype, self.scale)
            self._transform_block(reflectance, out[rows])

        width = max(X.shape[1], self._n_columns)
        run_blocks(work, len(X), width * out.itemsize, self.n_jobs)
        return out

    def get_feature_names_out(self, input_features=None):
        """Names of the output columns.

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
        return np.asarray(self._names(), dtype=object)

    def _check(self, X, *, reset):
        if not reset and is_as_validated(self, X):
            return X
        X = validate_data(
            self, fill_masked(X), reset=reset, dtype="numeric", ensure_all_finite=False
        )
        if X.dtype.kind in "iub" and self.scale is None:
            raise ValueError(
                f"X holds integers ({X.dtype}); reflectance lies between 0 and 1. Pass scale= the "
                "number that stands for a reflectance of 1, such as scale=10000."
            )
        return X

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags


def fill_masked(X):
    """X with NaN where it is masked; scikit-learn's checks would drop the mask unseen."""
    if isinstance(X, np.ma.MaskedArray):
        return np.ma.filled(X.astype(_working_dtype(X.dtype)), np.nan)
    return X


def check_input_features(estimator, input_features):
    """Refuse names that are not those of `fit`, as scikit-learn's own transformers do."""
    if input_features is None:
        return
    given = np.asarray(input_features, dtype=object)
    seen = getattr(estimator, "feature_names_in_", None)
    if seen is not None and not np.array_equal(seen, given):
        raise ValueError("input_features is not equal to feature_names_in_")
    if len(given) != estimator.n_features_in_:
        raise ValueError(
            "input_features should have length equal to number of features "
            f"({estimator.n_features_in_}), got {len(given)}"
        )


def band_names(estimator, columns):
    """Names of input columns: as X named them, or their wavelengths `estimator.wavelengths_`."""
    names = getattr(estimator, "feature_names_in_", None)
    if names is not None:
        return names[columns]
    unit = "" if isinstance(estimator.wavelengths, str) else "nm"
    return np.array([f"{nm:.10g}{unit}" for nm in estimator.wavelengths_], dtype=object)


def run_blocks(work, n_rows, bytes_per_row, n_jobs):
    """Call `work(rows)` for slices that cover all rows, on `n_jobs` threads, this one among them.

    Every thread begins with a stretch of its own, since threads that are first to write to the
    same page of memory both clear it. Who is done takes blocks from the ends of the others, so
    that a slow core keeps nobody waiting.
    """
    size = max(1, _BLOCK_BYTES // max(1, bytes_per_row))
    if n_rows <= size:  # a thread for a single spectrum takes longer than its features
        if n_rows:
            work(slice(0, n_rows))
        return
    blocks = [slice(start, start + size) for start in range(0, n_rows, size)]
    workers = max(1, min(effective_n_jobs(n_jobs), len(blocks)))
    bounds = [len(blocks) * i // workers for i in range(workers + 1)]
    stretches = [deque(blocks[start:stop]) for start, stop in pairwise(bounds)]

    def run(own):
        for stretch in (own, *stretches):
            take = stretch.popleft if stretch is own else stretch.pop
            while True:
                try:
                    rows = take()
                except IndexError:  # asking whether it is empty first would race
                    break
                work(rows)

    with ThreadPoolExecutor(workers) as pool:  # starts a thread when it gets work
        others = [pool.submit(run, stretch) for stretch in stretches[1:]]
        run(stretches[0])
    for other in others:
        other.result()


def _working_dtype(dtype):
    return np.dtype(np.float32 if np.result_type(dtype, np.float32) == np.float32 else np.float64)
