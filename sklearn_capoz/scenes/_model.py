"""The model of a scene: taken apart once, for everybody who asks for a part of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from ..estimators import FieldTrust
from ..export._parts import take_apart
from ..export._selection import needed_columns
from ..spectral import ContinuumRemoval

__all__ = ["SceneModel"]


@dataclass(frozen=True, eq=False)
class SceneModel:
    """What maps a scene: steps that transform spectra, and a classifier behind them.

    Parameters
    ----------
    steps : tuple of fitted transformers
        Nested pipelines laid out flat, "passthrough" left out.
    classifier : fitted classifier
    n_bands : int
        Bands that the first of them takes.
    wavelengths : ndarray of shape (n_bands,), nm, or None
        Centres of these bands, if the model knows them. A band that it leaves out may be any: it
        gets another one's wavelength.
    trust : FieldTrust or None
        What the model knows of how far to trust it.
    needed : ndarray of shape (n_bands,), bool
        Bands that are looked at.
    """

    steps: tuple[Any, ...]
    classifier: Any
    n_bands: int
    wavelengths: np.ndarray | None
    trust: FieldTrust | None
    needed: np.ndarray

    @property
    def begins_with_quotients(self) -> bool:
        """Whether the first step gives the hull quotients that trust looks at as well."""
        first = self.steps[0] if self.steps else None
        if self.trust is None or type(first) is not ContinuumRemoval:
            return False
        plain = ContinuumRemoval().get_params() | {
            name: first.get_params()[name] for name in ("wavelengths", "unit", "n_jobs")
        }
        return first.get_params() == plain and np.array_equal(
            first.wavelengths_, self.trust.wavelengths
        )

    @classmethod
    def of(
        cls,
        estimator,
        *,
        needs_probability: bool = False,
        needs_trust: bool = False,
        needs_all_bands: bool = False,
    ) -> SceneModel:
        """Take a fitted classifier or Pipeline apart, or say why it cannot map a scene."""
        if not hasattr(estimator, "predict"):
            raise TypeError(
                f"{type(estimator).__name__} has no predict: predict_scene needs a classifier."
            )
        if needs_probability and not hasattr(estimator, "predict_proba"):
            raise TypeError(
                f"{type(estimator).__name__} has no predict_proba: predict_scene needs it for "
                "proba=True and reject_below."
            )
        check_is_fitted(estimator)
        if not hasattr(estimator, "classes_"):
            raise TypeError(f"{type(estimator).__name__} has no classes_: it is no classifier.")
        trust = getattr(estimator, "trust_", None)
        if needs_trust and trust is None:
            raise TypeError(
                f"the model, a {type(estimator).__name__}, has learnt no trust, which trust=True "
                "asks for: train with FieldTrainedClassifier, or with the command `train` on a "
                "library."
            )
        named, _, classifier = take_apart(estimator, selects=not needs_all_bands)
        steps = [step for _, step in named]
        n_bands = [*steps, classifier][0].n_features_in_
        wavelengths = _wavelengths([*steps, classifier], n_bands)
        if wavelengths is None and trust is not None:
            wavelengths = trust.wavelengths
        needed = needed_columns(() if needs_all_bands else steps, n_bands)
        if wavelengths is not None:
            needed &= np.isfinite(wavelengths)
            wavelengths = np.where(needed, wavelengths, wavelengths[needed.argmax()])
        return cls(tuple(steps), classifier, n_bands, wavelengths, trust, needed)

    def feature_step(self, features):
        """Return the transformer whose output is the layer "features"; "model" is the first step.

        Raises
        ------
        TypeError
            If there is no such step, or it does not name its features.
        """
        if isinstance(features, str) and features == "model" and self.steps:
            features = self.steps[0]
        if features is not None and not hasattr(features, "get_feature_names_out"):
            raise TypeError(
                "features must be a fitted transformer with get_feature_names_out, or 'model' for "
                f"the first step of a Pipeline; got {features!r}."
            )
        return features


def _wavelengths(steps: list, n_bands: int) -> np.ndarray | None:
    """Ask the steps: the first that knows counts, if those before keep the number of bands."""
    for step in steps:
        if getattr(step, "n_features_in_", n_bands) != n_bands:
            return None
        axis = getattr(step, "_axis", None)  # the spectral transformers' used columns
        if axis is not None and not isinstance(step.wavelengths, str):
            found = np.full(n_bands, np.nan)  # where it leaves a band out
            found[axis.columns] = axis.given[axis.columns]
            return found
        found = np.asarray(getattr(step, "wavelengths_", []), dtype=np.float64)
        if found.shape == (n_bands,) and found.min() > 0:
            return found
    return None
