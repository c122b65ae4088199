"""From the arrays that `fit` is given to disjoint samples; nothing is set on the estimator."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from sklearn.utils import check_random_state
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_consistent_length, column_or_1d, validate_data

from .._validation import both_or_none, check_labels, encode_labels
from .._warn import warn
from ..exceptions import SmallDataWarning
from ..networks._inputs import describe_shape, leaves, sample_shape
from ..teachers import Teacher
from ..training._samples import PruningData, Samples, make_samples, split_samples
from ._check_inputs import check_inputs, has_several

__all__ = [
    "Split",
    "check_X_y",
    "check_groups",
    "mark_groups",
    "shell_of",
    "spawn_random_states",
    "split",
    "unseeded",
    "with_random_state",
]


@dataclass(frozen=True, eq=False)
class Split:
    """Samples to train on, to score on and to choose on, and what they say of X and y.

    Parameters
    ----------
    data : PruningData
    classes : ndarray of shape (n_classes,)
        Labels in the order of the codes in `data`.
    columns : dict
        What an estimator learns of X: `n_features_in_` and, of a table, `feature_names_in_`.
    training_random, scoring_random, teaching_random : RandomState
        For training, for criteria that draw, and for teachers that are trained.
    sets_aside : bool
        Whether samples to score and to choose on were taken from X, and not from X_val.
    lessons : ndarray of shape (n_samples, n_classes) or None
        What a fitted teacher says of the samples in X.
    """

    data: PruningData
    classes: np.ndarray
    columns: dict
    training_random: np.random.RandomState
    scoring_random: np.random.RandomState
    teaching_random: np.random.RandomState
    sets_aside: bool
    lessons: np.ndarray | None = None


def check_groups(groups) -> np.ndarray:
    """Check that groups are names or numbers, one per sample."""
    if np.ndim(groups) == 2 and np.shape(groups)[1] > 1:
        raise ValueError(
            "groups must hold one name or number per sample, got an array of shape "
            f"{np.shape(groups)}; model_selection.spatial_blocks makes them of rows and columns."
        )
    return column_or_1d(groups)


def split(
    estimator,
    X,
    y,
    X_val=None,
    y_val=None,
    sample_weight=None,
    groups=None,
    *,
    classes=None,
    allow_nd=False,
    teacher: Teacher | None = None,
) -> Split:
    """Check what `fit` is given, and split it.

    Parameters
    ----------
    estimator : PrunedMLPClassifier or CAPoZPruner
        Not changed: a fit that fails must leave what an earlier one has learnt.
    X, y, X_val, y_val, sample_weight, groups
        As the user gave them.
    classes : ndarray or None, default=None
        Labels of a network that is trained already; by default those in y.
    allow_nd : bool, default=False
        Whether the network takes samples of more axes, and several arrays.
    teacher : Teacher or None, default=None
        Is shown X as the user gave it.
    """
    split_random, training_random, scoring_random, teaching_random = spawn_random_states(
        check_random_state(estimator.random_state), 4
    )
    shell = shell_of(estimator)  # validate_data leaves its findings on what it is called with
    checked, y = check_X_y(shell, X, y, allow_nd, reset=True)
    check_labels(y)
    check_classification_targets(y)
    samples = make_samples(checked, y, sample_weight)
    if classes is None:  # all labels are known then, and one sorting gives both
        classes, codes = np.unique(samples.y, return_inverse=True)
    else:
        codes = encode_labels(samples.y, classes, "y")
    samples = replace(samples, y=codes)
    if groups is not None:
        groups = check_groups(groups)
        check_consistent_length(y, groups)
        if pd.isna(groups).any():
            raise ValueError(
                f"groups holds {int(pd.isna(groups).sum())} missing values, and each sample is of "
                "one group: name them, or leave such samples out."
            )
        if sample_weight is not None:  # samples without a weight are left out
            groups = groups[np.broadcast_to(sample_weight, len(groups)) > 0]
    has_validation = both_or_none(X_val=X_val, y_val=y_val)
    if has_validation:
        X_val, y_val = check_X_y(shell, X_val, y_val, allow_nd, reset=False)
        if sample_shape(X_val) != sample_shape(checked):
            raise ValueError(
                f"X_val holds samples of shape {describe_shape(sample_shape(X_val))}, X of shape "
                f"{describe_shape(sample_shape(checked))}."
            )
        validation = make_samples(X_val, encode_labels(y_val, classes, "y_val"))
        _warn_of_another_range(samples, validation)
        data = split_samples(samples, validation, estimator.validation_fraction, split_random)
    elif groups is None:
        data = split_samples(samples, None, estimator.validation_fraction, split_random)
    else:
        data = _split_groups(samples, groups, estimator.validation_fraction, split_random)
    names = ("n_features_in_", "feature_names_in_")
    columns = {name: vars(shell)[name] for name in names if name in vars(shell)}
    sets_aside = not has_validation and data.score is not data.train
    lessons = None if teacher is None else teacher.look_at(X, classes)
    generators = training_random, scoring_random, teaching_random
    return Split(data, classes, columns, *generators, sets_aside, lessons)


def check_X_y(shell, X, y, allow_nd: bool, reset: bool):
    """Check X, which may be several arrays, and y; `shell` learns the columns of X."""
    if not (allow_nd and has_several(X)):
        return validate_data(
            shell, X, y, dtype=(np.float64, np.float32), allow_nd=allow_nd, reset=reset
        )
    X, y = check_inputs(shell, X, allow_nd=True, reset=reset), column_or_1d(y, warn=True)
    check_consistent_length(next(leaves(X)), y)
    return X, y


def shell_of(estimator):
    """Make an estimator with the same parameters that has learnt nothing.

    What is learnt ends in an underscore, what is private begins with one; `get_params` would
    inspect the signature of the constructor again, which takes as long as some epochs.
    """
    shell = object.__new__(type(estimator))
    parameters = {n: v for n, v in vars(estimator).items() if n[0] != "_" != n[-1]}
    vars(shell).update(parameters)
    return shell


def _split_groups(
    samples: Samples, groups: np.ndarray, fraction: float, random_state: np.random.RandomState
) -> PruningData:
    """Split samples so that no group is trained on and validated on.

    Scoring and choosing share no group either, unless one group alone is set aside.
    """
    aside = mark_groups(samples.y, groups, fraction, random_state)
    for code in np.unique(samples.y[aside]):  # a class of one group is for training
        members = samples.y == code
        if aside[members].all():
            aside &= groups != groups[members][0]
    if aside.sum() < 2:
        warn(
            f"{np.unique(groups).size} groups leave none to validate on, as each class needs one "
            "to train on; units are scored on the training samples. Pass X_val and y_val, or more "
            "groups.",
            SmallDataWarning,
        )
        return PruningData(samples, samples, samples)
    validation, groups = samples[aside], groups[aside]
    if np.unique(groups).size == 1:
        groups = np.arange(groups.size)
    half = mark_groups(validation.y, groups, 0.5, random_state)
    return PruningData(samples[~aside], validation[~half], validation[half])


def mark_groups(
    y: np.ndarray, groups: np.ndarray, fraction: float, random_state: np.random.RandomState
) -> np.ndarray:
    """Mark whole groups, until each class has about that fraction of its samples marked.

    scikit-learn's StratifiedGroupKFold refuses classes of one sample, which real scenes have.
    """
    names, codes = np.unique(groups, return_inverse=True)
    counts = np.zeros((names.size, y.max() + 1))
    np.add.at(counts, (codes, y), 1)
    wanted = fraction * counts.sum(axis=0)
    marked, lacking = np.zeros(names.size, dtype=bool), wanted
    for group in random_state.permutation(names.size):
        left = lacking - counts[group]
        if np.abs(left).sum() < np.abs(lacking).sum():
            marked[group], lacking = True, left
    if not marked.any() or marked.all():
        marked[counts.sum(axis=1).argmin()] ^= True
    return marked[codes]


def _warn_of_another_range(train: Samples, validation: Samples) -> None:
    """Warn where validation data plainly went through other steps than the training data.

    A Pipeline hands `X_val` over as it is, and raw reflectances validate a network of scaled ones
    without an error. Mean and spread of the validation data are compared with those of training
    samples in the same mixture of classes, so that a subset of classes is no reason to warn.
    """
    n_classes = max(train.y.max(), validation.y.max()) + 1
    found = np.bincount(train.y, train.weight, minlength=n_classes)
    share = np.bincount(validation.y, minlength=n_classes) / validation.y.size
    factor = np.divide(share, found, out=np.zeros(n_classes), where=found > 0)
    weight = (train.weight * factor[train.y])[:, None]
    if len(validation.y) < 10 or not weight.any():
        return  # too few to tell
    weight = weight / weight.sum()
    for given, held_out in zip(leaves(train.X), leaves(validation.X), strict=True):
        _compare_ranges(given.reshape(len(given), -1), held_out.reshape(len(held_out), -1), weight)


def _compare_ranges(given: np.ndarray, held_out: np.ndarray, weight: np.ndarray) -> None:
    mean = (weight * given).sum(axis=0)
    spread = np.sqrt((weight * (given - mean) ** 2).sum(axis=0))
    # Rounding gives a constant feature a mean just beside its value.
    varies = spread > 8 * np.finfo(spread.dtype).eps * np.abs(mean)
    if not varies.any():
        return
    shift = np.median(np.abs(held_out.mean(axis=0) - mean)[varies] / spread[varies])
    ratio = np.median(held_out.std(axis=0)[varies] / spread[varies])
    if shift > 3 or not 0.25 < ratio < 4:
        warn(
            f"X_val lies elsewhere than X: of the median feature its mean is {shift:.2g} standard "
            f"deviations away, and its spread is {ratio:.2g} times that of X. In a Pipeline, "
            "X_val is not transformed by itself: Pipeline(..., transform_input=['X_val']) does "
            "that, with metadata routing enabled."
        )


def spawn_random_states(
    random_state: np.random.RandomState, count: int
) -> list[np.random.RandomState]:
    """Independent generators, so that what one part draws does not change another's draws."""
    return [np.random.RandomState(seed) for seed in random_state.randint(2**31 - 1, size=count)]


def unseeded(estimator) -> list[str]:
    """Name the seeds of an estimator, and of those inside of it, that the user has not set."""
    return sorted(
        name
        for name, value in estimator.get_params().items()
        if name.split("__")[-1] == "random_state" and value is None
    )


def with_random_state(estimator, random_state: np.random.RandomState):
    """Seed an estimator that the user has not seeded."""
    if estimator.random_state is None:
        estimator.random_state = random_state.randint(2**31 - 1)
    return estimator
