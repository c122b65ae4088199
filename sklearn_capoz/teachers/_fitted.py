"""A fitted classifier of any kind as a teacher."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.utils.validation import check_is_fitted

from ..training._samples import Samples
from ._base import Teacher

__all__ = ["FittedTeacher", "LeftOut", "OfTheseSamples", "without_teacher"]

#: No probability is taken for smaller: its logarithm would be without bound.
_FLOOR = float(np.finfo(np.float32).eps)


@dataclass(frozen=True, eq=False)
class _GivenLesson:
    """What was said of all samples that `fit` was given; a part knows which of them it holds."""

    log_probabilities: np.ndarray

    def logits(self, samples: Samples) -> np.ndarray:
        return self.log_probabilities[samples.rows]


class FittedTeacher(Teacher):
    """A classifier with `predict_proba`, asked once for the samples that `fit` is given.

    Parameters
    ----------
    classifier : fitted classifier
    """

    def __init__(self, classifier):
        self.classifier = classifier

    @property
    def name(self) -> str:
        inner = self.classifier
        return type(inner.estimator if isinstance(inner, FrozenEstimator) else inner).__name__

    def check(self) -> None:
        """Raise where it is of no use, whatever the samples are.

        Raises
        ------
        TypeError
            If it gives no probabilities.
        NotFittedError
            If it is not fitted.
        """
        if isinstance(self.classifier, type) or not hasattr(self.classifier, "fit"):
            raise TypeError(
                f"teacher={self.classifier!r} is no teacher; give a fitted classifier with "
                "predict_proba."
            )
        try:
            check_is_fitted(self.classifier)
        except NotFittedError as error:
            raise NotFittedError(
                f"The teacher {self.name} is not fitted. Call its 'fit' first; and where the "
                "estimator is cloned, as a grid search does, give it as FrozenEstimator(teacher), "
                "since a clone has learnt nothing."
            ) from error
        if not hasattr(self.classifier, "predict_proba"):
            raise TypeError(
                f"The teacher {self.name} has no predict_proba, and what it teaches are "
                "probabilities; sklearn.calibration.CalibratedClassifierCV gives it one."
            )

    def look_at(self, X: Any, classes: np.ndarray) -> np.ndarray:
        """Return the logarithms of the probabilities of all samples.

        Raises
        ------
        ValueError
            If it knows other classes, takes other columns, or gives no probabilities.
        """
        known = getattr(self.classifier, "classes_", None)
        if known is None or not np.array_equal(known, classes):
            raise ValueError(
                f"The teacher {self.name} knows the classes {_shown(known)}, y holds "
                f"{_shown(classes)}; a teacher needs the same."
            )
        n_features, n_columns = getattr(self.classifier, "n_features_in_", None), _n_columns(X)
        if None not in (n_features, n_columns) and n_features != n_columns:
            raise ValueError(
                f"The teacher {self.name} takes {n_features} features, X has {n_columns}. It "
                "must be fitted on what this estimator is given; put steps that only it needs "
                "into a Pipeline of its own."
            )
        try:
            found = np.asarray(self.classifier.predict_proba(X), dtype=np.float64)
        except ValueError as error:
            raise ValueError(
                f"The teacher {self.name} does not take the samples that this estimator is given; "
                f"it must be fitted on such as these. It says: {error}"
            ) from error
        if not _are_probabilities(found, len(classes)):
            raise ValueError(
                f"The teacher {self.name} gives no probabilities: predict_proba must return an "
                f"array of shape (n_samples, {len(classes)}) whose rows add up to 1, it gave shape "
                f"{found.shape}" + (f", {found[0]} first." if found.size else ".")
            )
        return np.log(np.maximum(found, _FLOOR))

    def before(self, models, room):
        return [room.taught(model, _GivenLesson(room.lessons)) for model in models]

    def after(self, model, room):
        return model, _GivenLesson(room.lessons)


def _shown(classes) -> list | None:
    return None if classes is None else np.asarray(classes)[:10].tolist()


def _n_columns(X: Any) -> int | None:
    shape: tuple = getattr(X, "shape", ())
    return shape[1] if len(shape) == 2 else None


def _are_probabilities(found: np.ndarray, n_classes: int) -> bool:
    return (
        found.ndim == 2
        and found.shape[1] == n_classes
        and bool((found >= 0).all())  # NaN is not
        and np.allclose(found.sum(axis=1), 1, atol=1e-3)
    )


class OfTheseSamples(ClassifierMixin, BaseEstimator):
    """What a classifier has said of samples that are handed on in another form.

    Parameters
    ----------
    classifier : fitted classifier
    probabilities : ndarray of shape (n_samples, n_classes)
        Of as many samples, and in the same order, as come later.
    """

    def __init__(self, classifier, probabilities):
        self.classifier = classifier
        self.probabilities = probabilities

    @property
    def classes_(self):
        return self.classifier.classes_

    def __sklearn_is_fitted__(self):
        return True

    def fit(self, X, y):
        return self

    def predict_proba(self, X):
        return self.probabilities


class LeftOut(Teacher):
    """Stands where a fitted teacher was when a fitted model is stored: it has done its work.

    Parameters
    ----------
    name : str
        Of the class that was left out.
    """

    def __init__(self, name="classifier"):
        self.name = name

    def check(self) -> None:
        raise ValueError(
            f"The teacher, a {self.name}, was left out when this fitted model was stored or "
            "copied; give it again, set_params(teacher=...), to fit anew."
        )


def without_teacher(state: dict) -> dict:
    """Leave a fitted teacher out of what is stored of a fitted model.

    Parameters
    ----------
    state : dict
        As `__getstate__` gives it.
    """
    teacher = state.get("teacher")
    if teacher is None or isinstance(teacher, (str, Teacher)):
        return state
    return state | {"teacher": LeftOut(FittedTeacher(teacher).name)}
