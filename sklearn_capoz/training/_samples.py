"""Disjoint samples: to train on, to score units on, and to choose the iteration on."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from .._sklearn import check_sample_weight
from .._warn import warn
from ..exceptions import SmallDataWarning
from ..networks._inputs import leaves, take

__all__ = ["PruningData", "Samples", "make_samples", "split_samples", "stratified"]


@dataclass(frozen=True, eq=False)
class Samples:
    """Spectra or features, class codes and weights.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features)
        For networks that take them: with more axes, or several in a dict or tuple.
    y : ndarray of shape (n_samples,), int
        Class codes from 0.
    weight : ndarray of shape (n_samples,)
    rows : ndarray of shape (n_samples,), int, optional
        Which of the samples that `fit` was given these are.
    """

    X: Any
    y: np.ndarray
    weight: np.ndarray
    rows: np.ndarray | None = None

    def __getitem__(self, rows: np.ndarray | slice) -> Samples:
        own = None if self.rows is None else self.rows[rows]
        return Samples(take(self.X, rows), self.y[rows], self.weight[rows], own)


@dataclass(frozen=True, eq=False)
class PruningData:
    """Samples to train on, to score units on, and to choose the iteration on.

    Parameters
    ----------
    train, score, select : Samples
    class_weight : ndarray of shape (n_classes,), optional
        Weights of the classes in the loss, which those of `train` hold already.
    """

    train: Samples
    score: Samples
    select: Samples
    class_weight: np.ndarray | None = None

    def to_train_on(self) -> tuple[Samples, ...]:
        """Return all three parts with the weights that they have in a loss."""
        if self.class_weight is None:
            return self.train, self.score, self.select
        aside = (
            replace(part, weight=part.weight * self.class_weight[part.y])
            for part in (self.score, self.select)
        )
        return self.train, *aside


def make_samples(X: Any, y: np.ndarray, sample_weight=None) -> Samples:
    """Check the weights, and leave out samples of no weight: they must take no place in a split."""
    rows = np.arange(len(y))
    if sample_weight is None:
        return Samples(X, y, np.ones(len(y)), rows)
    weight = check_sample_weight(
        sample_weight, next(leaves(X)), dtype=np.float64, ensure_non_negative=True
    )
    used = weight > 0
    if not used.any():
        raise ValueError("All values of sample_weight are zero; nothing is left to learn from.")
    return Samples(X, y, weight, rows)[used]


def split_samples(
    samples: Samples,
    validation: Samples | None,
    validation_fraction: float,
    random_state: np.random.RandomState,
) -> PruningData:
    """Split samples into three disjoint, stratified sets.

    Parameters
    ----------
    samples : Samples
    validation : Samples or None
        The user's own validation data, halved to score and to select; None
        takes `validation_fraction` of `samples` instead.
    validation_fraction : float
    random_state : RandomState

    Returns
    -------
    data : PruningData

    Warns
    -----
    SmallDataWarning
        Where a half would have less than two samples per class. All three
        sets are then all the samples: a score on two samples says nothing.
    """
    if validation is not None:
        if validation.y.size < 2:
            raise ValueError(
                f"X_val holds {validation.y.size} sample; at least 2 are needed, one to score "
                "units on and one to choose the iteration on."
            )
        half = stratified(validation.y, 0.5, random_state)
        return PruningData(samples, validation[~half], validation[half])
    n_validation = validation_fraction * samples.y.size
    n_classes = np.unique(samples.y).size
    if n_validation < 4 * n_classes:
        warn(
            f"{samples.y.size} samples of {n_classes} classes leave less than 4 per class to "
            f"validate on (validation_fraction={validation_fraction}); units are scored on the "
            "training samples. Pass X_val and y_val, or more samples.",
            SmallDataWarning,
        )
        return PruningData(samples, samples, samples)
    aside = stratified(samples.y, validation_fraction, random_state)
    for code in np.unique(samples.y[aside]):
        members = np.flatnonzero(samples.y == code)
        if aside[members].all():  # a class of one sample is for training
            aside[members[0]] = False
    half = stratified(samples.y[aside], 0.5, random_state)
    validation = samples[aside]
    return PruningData(samples[~aside], validation[~half], validation[half])


def stratified(y: np.ndarray, fraction: float, random_state: np.random.RandomState) -> np.ndarray:
    """Mark a fraction of the samples, spread over the classes.

    scikit-learn's splitters refuse classes of one sample, which real scenes have.
    """
    order = random_state.permutation(y.size)
    order = order[np.argsort(y[order], kind="stable")]
    # Every k-th of the samples in class order: within one of the share in every class.
    ranks = np.floor((np.arange(y.size) + 1) * fraction) > np.floor(np.arange(y.size) * fraction)
    mark = np.zeros(y.size, dtype=bool)
    mark[order] = ranks
    return mark
