"""Matching: name a spectrum by the library record that it resembles most."""

from __future__ import annotations

from numbers import Real

import numpy as np
from scipy.special import softmax
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.metaestimators import available_if
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

from .._fitting import all_or_nothing
from .._sklearn import Interval, StrOptions
from .._validation import check_labels
from ._base import SpectralTransformer, _working_dtype, fill_masked, shared_doc
from ._library import Library, whole_records
from ._shapes import Shapes, best_class, best_of_class

__all__ = ["SpectralMatcher"]


def _fits_features(matcher) -> bool:
    return matcher.metric == "features"


@shared_doc
class SpectralMatcher(ClassifierMixin, BaseEstimator):
    """Name spectra by the most similar record of a library.

    Nothing is trained: what a library of laboratory spectra says about the field by itself. It is
    the baseline that a network has to beat, and a second opinion on what one says.

    Parameters
    ----------
    metric : {"correlation", "sam", "features"}, default="correlation"
        What similarity is, 1 at most.

        - "correlation" of the bands
        - "sam": cosine of the spectral angle; its arccosine is the angle of the Spectral Angle
          Mapper [1]_
        - "features": each absorption of a record is fitted by itself, as USGS Tetracorder does [2]_
    <wavelengths>
    ranges : list of (low, high) or None, default=None
        Ranges in nm to compare, ends included, such as ``[(2080, 2420)]``. None compares all bands.
    continuum : {"hull", None}, default="hull"
        "hull" divides spectra by their upper convex hull, range by range, before they are compared;
        None compares reflectance. "features" brings its own continuum, and ignores it.
    temperature : float, default=0.02
        A similarity lower by this makes a class e times less likely. It is a scale and not
        calibrated.
    <sensor>
    <common>

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        Labels, sorted.
    record_names_ : ndarray of shape (n_records,)
        Index of X where that was a DataFrame, else 0, 1, 2, ...
    n_features_in_ : int
        Number of bands seen in `fit`.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the bands, where X had names.

    Raises
    ------
    ValueError
        If the wavelengths are unknown, ambiguous, double or do not fit X, if all records of a class
        lack bands, if X holds integers and there is no `scale`, or if a spectrum to name has no
        finite band.

    Warns
    -----
    UserWarning
        If a record lacks bands.

    See Also
    --------
    ContinuumRemoval : The hull quotients that are compared.
    SensorResampler : Brings a library to the bands of a scene.

    Notes
    -----
    A class is as similar as its best record. With q the compared bands of spectrum and record,
    "correlation" is ``cov(q, p) / (std(q) std(p))`` and "sam" is ``q.p / (|q| |p|)``. A flat
    spectrum fits nothing: 0 to every record, and the first class.

    "features" takes the absorptions of each record between the bands where it touches its hull, if
    at least 0.01 deep and with a tenth of the area of its largest. Record and spectrum are divided
    by the straight line between the same shoulders (the touching band and its neighbours). Fit is
    the correlation of the two quotients, and depth the slope of the spectrum's quotient on the
    record's, times the record's depth; both are averaged by the features' areas. A feature that
    points upwards counts negative; a record without features fits nothing. Of Tetracorder's expert
    rules (thresholds of depth, features that must be absent, competing windows) it has none.

    Bands of a spectrum that are not finite, or whose continuum is not above zero, are left out of
    it and of the records, whose continuum is laid anew; "features" bridges them linearly. What has
    fewer than three bands left (two for "sam", four for "features") fits nothing. A spectrum
    without any finite band has similarities of NaN, and `predict` is an error.

    Spectra are compared in blocks, n_records numbers for each of some hundreds at a time, in the
    precision of X: float32 is twice as fast.

    References
    ----------
    .. [1] Kruse, F. A. et al. (1993). The spectral image processing system (SIPS). *Remote Sensing
       of Environment* 44, 145-163. :doi:`10.1016/0034-4257(93)90013-N`
    .. [2] Clark, R. N. et al. (2003). Imaging spectroscopy: Earth and planetary remote sensing with
       the USGS Tetracorder and expert systems. *Journal of Geophysical Research* 108(E12), 5131.
       :doi:`10.1029/2002JE001847`

    Examples
    --------
    >>> from sklearn_capoz.datasets import load_usgs_minerals
    >>> from sklearn_capoz.spectral import SpectralMatcher
    >>> library = load_usgs_minerals(as_frame=True)
    >>> minerals = library.target_names[library.target]
    >>> matcher = SpectralMatcher(ranges=[(2080, 2420)]).fit(library.data, minerals)
    >>> half_shaded = 0.5 * library.data.iloc[[4, 20]]
    >>> matcher.predict(half_shaded)
    array(['Calcite', 'Kaolinite'], dtype='<U15')
    >>> fits, records = matcher.kneighbors(half_shaded, n_neighbors=2)
    >>> fits.round(3)
    array([[1.   , 0.984],
           [1.   , 0.984]])
    >>> matcher.record_names_[records[0]].tolist()
    [4, 31]
    """

    _parameter_constraints = {
        **SpectralTransformer._parameter_constraints,
        "metric": [StrOptions({"correlation", "sam", "features"})],
        "ranges": ["array-like", None],
        "continuum": [StrOptions({"hull"}), None],
        "temperature": [Interval(Real, 0, None, closed="neither")],
    }

    def __init__(
        self,
        metric="correlation",
        *,
        wavelengths=None,
        ranges=None,
        continuum="hull",
        temperature=0.02,
        unit=None,
        bad_bands=None,
        duplicates="error",
        scale=None,
        n_jobs=None,
    ):
        self.metric = metric
        self.wavelengths = wavelengths
        self.ranges = ranges
        self.continuum = continuum
        self.temperature = temperature
        self.unit = unit
        self.bad_bands = bad_bands
        self.duplicates = duplicates
        self.scale = scale
        self.n_jobs = n_jobs

    @all_or_nothing
    def fit(self, X, y):
        """Keep the records of a library.

        Parameters
        ----------
        X : array-like of shape (n_records, n_bands), reflectance
            Library spectra, one or many of each class. A record without a value in some of the
            bands that are compared is left out, with a warning.
        y : array-like of shape (n_records,)
            Their classes.

        Returns
        -------
        self
        """
        self._validate_params()
        checked, y = validate_data(
            self, fill_masked(X), y, dtype="numeric", ensure_all_finite=False
        )
        check_labels(y)
        if y.dtype.kind == "f":  # of others it warns where every class has one record
            check_classification_targets(y)
        shapes = self._shapes().fit(X)
        reflectance = shapes._axis.gather(checked, _working_dtype(checked.dtype))
        self.classes_, codes = np.unique(y, return_inverse=True)
        whole = whole_records(reflectance, shapes.wavelengths_, self.classes_, codes)
        # Records of a class lie together, in the order in which they came.
        self._order = whole[np.argsort(codes[whole], kind="stable")]
        self._starts = np.searchsorted(codes[self._order], np.arange(len(self.classes_) + 1))
        self._library = Library(self.metric, shapes, checked[self._order], reflectance.dtype)
        index = getattr(X, "index", None)
        self.record_names_ = np.arange(len(y)) if index is None else np.asarray(index)
        return self

    def predict(self, X):
        """Name each spectrum by the class of its most similar record, the first on ties.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_bands), reflectance
            Spectra.

        Returns
        -------
        ndarray of shape (n_samples,)
        """
        X = self._check(X)
        codes = np.empty(len(X), dtype=np.intp)

        def finish(rows, fits, _):
            best, mine = np.empty(fits.shape[1], fits.dtype), np.empty(fits.shape[1], np.int32)
            best_class(fits, self._starts, best, mine)
            codes[rows] = np.where(np.isnan(fits[0]), -1, mine)

        self._library.compare(X, finish, self.n_jobs)
        if (codes < 0).any():
            bad = np.flatnonzero(codes < 0)
            raise ValueError(
                f"{len(bad)} of {len(X)} spectra have no finite band to compare, the first of them "
                f"row {bad[0]}. Leave them out: there is nothing to name."
            )
        return self.classes_[codes]

    def similarity(self, X):
        """Similarity of each spectrum to the best record of each class.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_bands), reflectance
            Spectra.

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
            1 at most; NaN where a spectrum has no finite band.
        """
        X = self._check(X)
        out = np.empty((len(X), len(self.classes_)), dtype=self._library.dtype(X))

        def finish(rows, fits, _):
            out[rows] = self._by_class(fits).T

        self._library.compare(X, finish, self.n_jobs)
        return out

    def decision_function(self, X):
        """Similarity to each class, as scikit-learn wants it.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_bands), reflectance
            Spectra.

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
            As `similarity`. With two classes, of shape (n_samples,): the second's less the first's.
        """
        found = self.similarity(X)
        return found[:, 1] - found[:, 0] if len(self.classes_) == 2 else found

    def predict_proba(self, X):
        """Softmax of similarity over `temperature`.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_bands), reflectance
            Spectra.

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
            Rows sum to 1; NaN where a spectrum has no finite band.
        """
        return softmax(self.similarity(X) / self.temperature, axis=1)

    def kneighbors(self, X, n_neighbors=1):
        """Most similar records of the library, best first.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_bands), reflectance
            Spectra.
        n_neighbors : int, default=1
            Number of records.

        Returns
        -------
        fits : ndarray of shape (n_samples, n_neighbors)
            Their similarities.
        records : ndarray of shape (n_samples, n_neighbors), int
            Their rows in the library; ``record_names_[records]`` are their names.
        """
        X = self._check(X)
        if not 1 <= n_neighbors <= len(self._order):
            raise ValueError(
                f"n_neighbors must be from 1 to {len(self._order)}, the number of records, got "
                f"{n_neighbors}."
            )
        similar = np.empty((len(X), n_neighbors), dtype=self._library.dtype(X))
        records = np.empty(similar.shape, dtype=np.intp)

        def finish(rows, fits, _):
            best = np.argsort(-fits, axis=0, kind="stable")[:n_neighbors]
            similar[rows] = np.take_along_axis(fits, best, axis=0).T
            records[rows] = self._order[best.T]

        self._library.compare(X, finish, self.n_jobs)
        return similar, records

    @available_if(_fits_features)
    def depth(self, X):
        """Depth of the best record's absorptions in each spectrum, for "features" only.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_bands), reflectance
            Spectra.

        Returns
        -------
        ndarray of shape (n_samples,)
            Part of the light that the absorptions take; the record's own depth where pure.
        """
        X = self._check(X)
        out = np.empty(len(X), dtype=self._library.dtype(X))

        def finish(rows, fits, depths):
            out[rows] = np.take_along_axis(depths, fits.argmax(axis=0)[None], axis=0)[0]

        self._library.compare(X, finish, self.n_jobs)
        return out

    def _shapes(self) -> Shapes:
        return Shapes(
            self.wavelengths,
            continuum=None if self.metric == "features" else self.continuum,
            ranges=self.ranges,
            unit=self.unit,
            bad_bands=self.bad_bands,
            duplicates=self.duplicates,
            scale=self.scale,
        )

    def _check(self, X):
        check_is_fitted(self)
        X = validate_data(
            self, fill_masked(X), reset=False, dtype="numeric", ensure_all_finite=False
        )
        if X.dtype.kind in "iub" and self.scale is None:
            raise ValueError(
                f"X holds integers ({X.dtype}); reflectance lies between 0 and 1. Pass scale= the "
                "number that stands for a reflectance of 1, such as scale=10000."
            )
        return X

    def _by_class(self, fits):
        best = np.empty((len(self.classes_), fits.shape[1]), dtype=fits.dtype)
        best_of_class(fits, self._starts, best)
        best[:, np.isnan(fits[0])] = np.nan
        return best

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        # scikit-learn's checks bring two columns, which have an angle and nothing else.
        tags.classifier_tags.poor_score = self.metric != "sam" or self.continuum is not None
        return tags
