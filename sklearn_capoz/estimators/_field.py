"""Training for the field: any classifier, fitted on a library through made field spectra."""

from __future__ import annotations

from collections.abc import Iterator
from numbers import Integral

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, ClassifierMixin, MetaEstimatorMixin, clone
from sklearn.metrics import accuracy_score
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import check_random_state
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_consistent_length, check_is_fitted, validate_data

from .._fitting import all_or_nothing
from .._sklearn import HasMethods, Interval, StrOptions
from ..datasets import SHIFTS, FieldShift, make_field_spectra
from ..spectral import ContinuumRemoval, SpectralMatcher, SpectrumStandardizer
from ..spectral._wavelengths import wavelengths_nm
from ._classifier import PrunedMLPClassifier

__all__ = ["FieldTrainedClassifier"]


def _inner_has(method):
    """Whether the inner estimator has a method: the fitted one, or else the one that is given."""

    def check(self):
        inner = getattr(self, "estimator_", self.estimator)
        return inner is None or hasattr(inner, method)

    return check


class FieldTrainedClassifier(MetaEstimatorMixin, ClassifierMixin, BaseEstimator):
    """Fit a classifier on a library of laboratory spectra so that it knows the field.

    `fit` makes spectra of the library's classes as the field may show them
    (`make_field_spectra`) and trains the classifier on those. What it then reports is no laboratory
    accuracy, but one on made field spectra of samples that it has not seen, beside what matching
    with the library itself gives there.

    Parameters
    ----------
    estimator : classifier or None, default=None
        A classifier or Pipeline that takes reflectance, a `CAPoZPruner` in it or not; it is cloned.
        None is hull quotients, standardised, and a `PrunedMLPClassifier`.
    wavelengths : array-like of shape (n_bands,) or None, default=None
        Wavelength of every column of X, in nm or um, each once, in any order. None reads them from
        the column names of a DataFrame.
    fwhm : float, array-like of shape (n_bands,) or None, default=None
        Width of the bands in the unit of the wavelengths. None takes the distance between them.
    background : array-like of shape (n_background, n_bands) or None, default=None
        Spectra of what dilutes the ground, as in `make_field_spectra`.
    shift : {"mild", "middle", "strong"} or FieldShift, default="strong"
        How far the field is from the laboratory in training. Wide is safe: a network answers
        anything outside of what it has seen.
    n_samples : int, default=7000
        Number of spectra to train on.
    cv : int or None, default=3
        In how many parts the samples of every class are split to tell the expected accuracy; each
        costs one more training. None tells none, for searches.
    random_state : int, RandomState instance or None, default=None
        Seed of the made spectra, and of the estimator where that has a `random_state` of None.

    Attributes
    ----------
    estimator_ : classifier
        The fitted one, which predicts.
    classes_ : ndarray of shape (n_classes,)
        Labels, sorted.
    expected_accuracy_ : DataFrame or None
        For "mild", "middle" and "strong": ``overall``, ``balanced`` (the mean of the recalls of the
        classes), and the same of `SpectralMatcher`, ``matching_overall``, ``matching_balanced``.
    expected_recall_ : DataFrame or None
        For each class the part that is named right, at "mild", "middle" and "strong", and the same
        of `SpectralMatcher`, ``matching_mild`` and so on.
    not_held_out_ : ndarray or None
        Classes of which the library has one sample only. Their part of the expected accuracy comes
        from the sample that was trained on, and is too good.
    n_features_in_ : int
        Number of bands seen in `fit`.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the bands, where X had names.

    Raises
    ------
    ValueError
        If X is not finite reflectance between 0 and 1, or wavelengths are unknown or double.

    See Also
    --------
    make_field_spectra : What is drawn, and in which order.
    SpectralMatcher : The baseline.

    Notes
    -----
    The true accuracy in a scene is known from its ground only: mixtures, materials that are not in
    the library, and air of another kind lie outside of any simulation.

    ``groups`` of a search go to its splitter; `fit` gets them with scikit-learn's metadata routing,
    by ``set_fit_request(groups=True)``.

    Examples
    --------
    >>> from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn_capoz import FieldTrainedClassifier
    >>> from sklearn_capoz.datasets import CUPRITE_MINERALS, load_usgs_minerals
    >>> from sklearn_capoz.spectral import ContinuumRemoval, SpectrumStandardizer
    >>> library = load_usgs_minerals(as_frame=True)
    >>> minerals = library.target_names[library.target]
    >>> seven = [mineral in CUPRITE_MINERALS for mineral in minerals]
    >>> X, y = library.data.loc[seven, "2000":"2490"], minerals[seven]
    >>> lda = LinearDiscriminantAnalysis(solver="lsqr", shrinkage=0.1)
    >>> inner = make_pipeline(ContinuumRemoval(), SpectrumStandardizer(), lda)
    >>> model = FieldTrainedClassifier(inner, n_samples=700, cv=2, random_state=0).fit(X, y)
    >>> list(model.expected_accuracy_.index), len(model.not_held_out_)
    (['mild', 'middle', 'strong'], 3)
    >>> bool((model.predict(0.5 * X) == y).mean() > 0.9)
    True
    """

    _parameter_constraints = {
        "estimator": [HasMethods(["fit", "predict"]), None],
        "wavelengths": ["array-like", None],
        "fwhm": [float, int, "array-like", None],
        "background": ["array-like", None],
        "shift": [StrOptions(set(SHIFTS)), FieldShift],
        "n_samples": [Interval(Integral, 1, None, closed="left")],
        "cv": [Interval(Integral, 2, None, closed="left"), None],
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        estimator=None,
        *,
        wavelengths=None,
        fwhm=None,
        background=None,
        shift="strong",
        n_samples=7000,
        cv=3,
        random_state=None,
    ):
        self.estimator = estimator
        self.wavelengths = wavelengths
        self.fwhm = fwhm
        self.background = background
        self.shift = shift
        self.n_samples = n_samples
        self.cv = cv
        self.random_state = random_state

    @all_or_nothing
    def fit(self, X, y, *, groups=None):
        """Train on made field spectra of a library.

        Parameters
        ----------
        X : array-like of shape (n_records, n_bands), reflectance 0..1
            Library spectra, in the sensor's bands; one of each class is enough.
        y : array-like of shape (n_records,)
            Classes.
        groups : array-like of shape (n_records,), default=None
            Physical sample of each record, which stays on one side of a split. None takes every
            record for a sample of its own.

        Returns
        -------
        self
        """
        self._validate_params()
        reflectance, y = validate_data(self, X, y, dtype=[np.float64, np.float32])
        if self.n_samples < np.unique(y).size:
            raise ValueError(
                f"n_samples={self.n_samples} spectra leave none for some of the "
                f"{np.unique(y).size} classes; make some hundreds for each."
            )
        groups = np.arange(len(y)) if groups is None else np.asarray(groups)
        check_consistent_length(y, groups)
        rng = check_random_state(self.random_state)
        library = _Library(
            reflectance,
            y,
            groups,
            wavelengths_nm(X, reflectance.shape[1], self.wavelengths),
            getattr(X, "columns", None),
        )
        estimator = self._train(library, rng)
        expected, recall, alone = None, None, None
        if self.cv is not None:
            expected, recall, alone = self._expect(library, rng)
        self.classes_, self.estimator_ = np.unique(y), estimator
        self.expected_accuracy_, self.expected_recall_ = expected, recall
        self.not_held_out_ = alone
        return self

    def _train(self, library: _Library, rng):
        X, y = self._make(library, self.shift, self.n_samples, rng)
        estimator = _default() if self.estimator is None else clone(self.estimator)
        seed = rng.randint(np.iinfo(np.int32).max)
        unset = {
            name: seed
            for name, value in estimator.get_params().items()
            if name.split("__")[-1] == "random_state" and value is None
        }
        if self.estimator is None:
            unset["hull__wavelengths"] = library.nm
        return estimator.set_params(**unset).fit(X, y)

    def _make(self, library: _Library, shift, n_samples: int, rng):
        """Make spectra in the columns of X, whatever their order."""
        order = np.argsort(library.nm)
        fwhm = self.fwhm
        if np.ndim(fwhm):
            fwhm = np.asarray(fwhm, dtype=float)[order]
        if fwhm is not None and self.wavelengths is not None:
            fwhm = fwhm * (library.nm[0] / np.asarray(self.wavelengths, dtype=float)[0])
        background = self.background
        made, y, _ = make_field_spectra(
            library.reflectance[:, order],
            library.y,
            groups=library.groups,
            wavelengths=library.nm[order],
            fwhm=fwhm,
            background=None if background is None else np.asarray(background)[:, order],
            shift=shift,
            n_samples=n_samples,
            random_state=rng,
        )
        X = np.empty_like(made)
        X[:, order] = made
        return X if library.columns is None else pd.DataFrame(X, columns=library.columns), y

    def _expect(self, library: _Library, rng) -> tuple[pd.DataFrame, pd.DataFrame, np.ndarray]:
        """Tell the accuracy on made field spectra of samples that were not trained on."""
        truths: dict[str, list] = {name: [] for name in SHIFTS}
        named: dict[str, list] = {name: [] for name in SHIFTS}
        matched: dict[str, list] = {name: [] for name in SHIFTS}
        held_out, alone = _hold_out(library, self.cv, rng)
        for test in held_out:
            known = library[~test | np.isin(library.y, alone)]
            estimator = self._train(known, rng)
            matcher = SpectralMatcher(wavelengths=library.nm).fit(known.reflectance, known.y)
            for name in SHIFTS:
                X, y = self._make(library[test], name, max(1, self.n_samples // self.cv), rng)
                truths[name].append(y)
                named[name].append(estimator.predict(X))
                matched[name].append(matcher.predict(np.asarray(X)))
        rows: dict[str, list[float]] = {}
        recalls: dict[str, pd.Series] = {}
        for name in SHIFTS:
            y, *both = (np.concatenate(part[name]) for part in (truths, named, matched))
            rows[name] = []
            for prefix, labels in zip(("", "matching_"), both, strict=True):
                recalls[prefix + name] = recall = _recalls(y, labels)
                rows[name] += [float(accuracy_score(y, labels)), float(recall.mean())]
        columns = ["overall", "balanced", "matching_overall", "matching_balanced"]
        expected = pd.DataFrame.from_dict(rows, orient="index", columns=columns)
        recalls = {name: recalls[name] for name in (*SHIFTS, *(f"matching_{n}" for n in SHIFTS))}
        return expected, pd.DataFrame(recalls), alone

    def predict(self, X):
        """Name spectra of the field.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_bands), reflectance
            Spectra.

        Returns
        -------
        ndarray of shape (n_samples,)
        """
        check_is_fitted(self, "estimator_")
        return self.estimator_.predict(X)

    @available_if(_inner_has("predict_proba"))
    def predict_proba(self, X):
        """Probabilities of the classes, of the inner estimator.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_bands), reflectance
            Spectra.

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
        """
        check_is_fitted(self, "estimator_")
        return self.estimator_.predict_proba(X)

    @available_if(_inner_has("decision_function"))
    def decision_function(self, X):
        """Decisions of the inner estimator.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_bands), reflectance
            Spectra.

        Returns
        -------
        ndarray of shape (n_samples,) or (n_samples, n_classes)
        """
        check_is_fitted(self, "estimator_")
        return self.estimator_.decision_function(X)


class _Library:
    """Records with what belongs to them; indexed by a mask."""

    def __init__(self, reflectance, y, groups, nm, columns):
        self.reflectance, self.y, self.groups = reflectance, y, groups
        self.nm, self.columns = nm, columns

    def __getitem__(self, rows) -> _Library:
        kept = self.reflectance[rows], self.y[rows], self.groups[rows]
        return _Library(*kept, self.nm, self.columns)


def _default() -> Pipeline:
    """Shapes of absorptions, and a network that is pruned."""
    return Pipeline(
        [
            ("hull", ContinuumRemoval()),
            ("spectrum", SpectrumStandardizer()),
            ("bands", StandardScaler()),
            ("network", PrunedMLPClassifier()),
        ]
    )


def _hold_out(library: _Library, n_folds: int, rng) -> tuple[Iterator[np.ndarray], np.ndarray]:
    """Deal the samples of every class to the folds; a class of one sample is in the first.

    A sample with records of several classes goes where the first of them puts it.
    """
    fold_of: dict = {}
    alone, start = [], 0
    for label in np.unique(library.y):
        samples = np.unique(library.groups[library.y == label])
        if len(samples) == 1:
            alone.append(label)
        for sample in rng.permutation(samples):
            # Going on where the last class ended, so that small classes fill all folds.
            start += sample not in fold_of
            fold_of.setdefault(sample, start % n_folds)
    fold = np.array([fold_of[group] for group in library.groups])
    masks = (fold == k for k in range(n_folds))
    return (mask for mask in masks if mask.any()), np.array(alone, dtype=library.y.dtype)


def _recalls(y, predicted) -> pd.Series:
    """Part of each class that is named right, over the classes that y has."""
    return pd.Series({label: (predicted[y == label] == label).mean() for label in np.unique(y)})
