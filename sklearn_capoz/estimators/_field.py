"""Training for the field: any classifier, fitted on a library through made field spectra."""

from __future__ import annotations

from numbers import Integral

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, ClassifierMixin, MetaEstimatorMixin, clone
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import check_random_state
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_consistent_length, check_is_fitted, validate_data
from tqdm.auto import tqdm

from .._fitting import all_or_nothing
from .._sklearn import HasMethods, Interval, StrOptions
from .._validation import check_labels
from ..datasets import SHIFTS, FieldShift
from ..datasets._field import check_noise
from ..spectral import ContinuumRemoval, SpectralMatcher, SpectrumStandardizer
from ..spectral._wavelengths import wavelengths_nm
from ._classifier import PrunedMLPClassifier
from ._field_expectation import HeldOut
from ._field_library import FieldLibrary, hold_out
from ._likeness import learn_likeness
from ._scene_lessons import add_lessons, check_pixels
from ._split import unseeded
from ._trust import TRUST_LAYERS, FieldTrust, best_temperature

__all__ = ["FieldTrainedClassifier"]


#: What is more like others than like the library gets no name. On simulated scenes 97 % of ground
#: of the library keeps its name (92 % without the scene), of ground without absorptions 2 %.
LEAST_LIKENESS = 0.5


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
    scene_pixels : array-like of shape (n_pixels, n_bands) or None, default=None
        Pixels of the scene to be mapped, as `sample_scene` draws them. They are learnt from under
        the names that matching, a linear discriminant and a network of the made spectra find
        likely, one to each made spectrum, and `trust_` learns from those that are like the library.
    scene_noise : array-like of shape (n_bands,) or None, default=None
        Noise of the scene relative to reflectance, as `sample_scene` estimates it: where it is more
        than that of the shift, made spectra have as much.
    cv : int or None, default=3
        In how many parts the samples of every class are split to tell the expected accuracy and to
        calibrate `trust_`; each costs one more training. None does neither, for searches.
    verbose : bool, default=False
        Show a progress bar of the trainings, with the time left.
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
    trust_ : FieldTrust or None
        How far to trust a name; None where `cv` is, or the estimator tells no probabilities.
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
        "scene_pixels": ["array-like", None],
        "scene_noise": ["array-like", None],
        "cv": [Interval(Integral, 2, None, closed="left"), None],
        "verbose": ["boolean"],
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
        scene_pixels=None,
        scene_noise=None,
        cv=3,
        verbose=False,
        random_state=None,
    ):
        self.estimator = estimator
        self.wavelengths = wavelengths
        self.fwhm = fwhm
        self.background = background
        self.shift = shift
        self.n_samples = n_samples
        self.scene_pixels = scene_pixels
        self.scene_noise = scene_noise
        self.cv = cv
        self.verbose = verbose
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
        check_labels(y)
        if self.n_samples < np.unique(y).size:
            raise ValueError(
                f"n_samples={self.n_samples} spectra leave none for some of the "
                f"{np.unique(y).size} classes; make some hundreds for each."
            )
        groups = np.arange(len(y)) if groups is None else np.asarray(groups)
        check_consistent_length(y, groups)
        rng = check_random_state(self.random_state)
        library = self._library(X, reflectance, y, groups)
        expected, recall, alone, trust = None, None, None, None
        total = 1 if self.cv is None else self.cv + 2
        with tqdm(total=total, unit="training", disable=not self.verbose) as bar:
            estimator = self._train(library, rng, bar)
            if self.cv is not None:
                held_out, alone = self._hold_out(library, rng, bar)
                expected, recall = held_out.tables()
                if hasattr(estimator, "predict_proba"):
                    trust = self._learn_trust(library, held_out, rng)
                bar.update()
        self.classes_, self.estimator_ = np.unique(y), estimator
        self.expected_accuracy_, self.expected_recall_ = expected, recall
        self.not_held_out_, self.trust_ = alone, trust
        return self

    def _library(self, X, reflectance, y, groups) -> FieldLibrary:
        """Put together what belongs to the records, in nm and in the columns of X."""
        nm = wavelengths_nm(X, reflectance.shape[1], self.wavelengths)
        fwhm, background, noise = self.fwhm, self.background, self.scene_noise
        if fwhm is not None:
            fwhm = np.asarray(fwhm, dtype=float)
            if self.wavelengths is not None:
                fwhm = fwhm * (nm[0] / np.asarray(self.wavelengths, dtype=float)[0])
        return FieldLibrary(
            reflectance,
            y,
            groups,
            nm,
            fwhm,
            None if background is None else np.asarray(background),
            None if noise is None else check_noise(noise, len(nm), "scene_noise"),
            check_pixels(self.scene_pixels, nm),
            getattr(X, "columns", None),
        )

    def _train(self, library: FieldLibrary, rng, bar):
        X, y = library.make(self.shift, self.n_samples, rng)
        if library.pixels is not None:
            X, y = add_lessons(library, X, y, rng)
        estimator = _default() if self.estimator is None else clone(self.estimator)
        seed = rng.randint(np.iinfo(np.int32).max)
        unset = dict.fromkeys(unseeded(estimator), seed)
        if self.estimator is None:
            unset["hull__wavelengths"] = library.nm
        estimator.set_params(**unset).fit(X, y)
        bar.update()
        return estimator

    def _hold_out(self, library: FieldLibrary, rng, bar) -> tuple[HeldOut, np.ndarray]:
        """Ask models that were trained without some samples for field spectra of just those."""
        found = HeldOut(np.unique(library.y))
        folds, alone = hold_out(library, self.cv, rng)
        for test in folds:
            known = library[~test | np.isin(library.y, alone)]
            estimator = self._train(known, rng, bar)
            matcher = SpectralMatcher(wavelengths=library.nm).fit(known.reflectance, known.y)
            for shift in SHIFTS:
                X, y = library[test].make(shift, max(1, self.n_samples // self.cv), rng)
                bare = np.asarray(X)
                found.add(shift, y=y, named=estimator.predict(X), matched=matcher.predict(bare))
                if hasattr(estimator, "predict_proba"):
                    proba = np.zeros((len(y), len(found.classes)))
                    of = np.searchsorted(found.classes, estimator.classes_)
                    proba[:, of] = estimator.predict_proba(X)
                    found.add(shift, proba=proba)
        return found, alone

    def _learn_trust(self, library: FieldLibrary, held_out: HeldOut, rng) -> FieldTrust:
        """Join what is like the library with what was said of samples that were held out."""
        order = np.argsort(library.y, kind="stable")
        codes = np.searchsorted(held_out.classes, held_out.of("y", *SHIFTS))
        return FieldTrust(
            library.reflectance[order],
            np.unique(library.y, return_counts=True)[1],
            library.nm,
            network=learn_likeness(library, self.n_samples, rng).network,
            temperature=best_temperature(held_out.of("proba", *SHIFTS), codes),
            least_likeness=LEAST_LIKENESS,
        )

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

    def trust(self, X) -> pd.DataFrame:
        """Tell how far to trust the names of spectra.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_bands), reflectance
            Spectra.

        Returns
        -------
        DataFrame
            A row for each spectrum, with the columns ``probability``, ``margin``, ``agreement`` and
            ``likeness`` of `FieldTrust`, each from 0 to 1.

        Raises
        ------
        AttributeError
            If the model was fitted with ``cv=None``, or its estimator tells no probabilities.
        """
        check_is_fitted(self, "estimator_")
        if self.trust_ is None:
            raise AttributeError(
                "This model has learnt no trust: fit it with cv=3, say, and an estimator that has "
                "predict_proba."
            )
        measured = self.trust_.measure(X, self.predict_proba(X))
        return pd.DataFrame(measured, columns=TRUST_LAYERS, index=getattr(X, "index", None))

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
