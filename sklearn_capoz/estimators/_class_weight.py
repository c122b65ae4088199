"""Weights of classes in the loss."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from numbers import Real

import numpy as np
from sklearn.utils import compute_class_weight

from ..training._samples import PruningData

__all__ = ["weigh_classes"]


def weigh_classes(data: PruningData, classes: np.ndarray, class_weight) -> PruningData:
    """Fold weights of classes into those of the training samples, and only of those.

    The others have them once they are trained on.

    Parameters
    ----------
    data : PruningData
    classes : ndarray of shape (n_classes,)
        Labels in the order of the codes in `data`.
    class_weight : dict, "balanced" or None
        As scikit-learn's; labels that a dict does not name have weight 1.

    Raises
    ------
    ValueError
        If a weight is no finite number of at least 0, or is that of a label that y does not hold.
    """
    if class_weight is None:
        return data
    samples = data.train
    present = np.unique(samples.y)
    weight = np.ones(len(classes))
    if isinstance(class_weight, Mapping):
        _check(class_weight, classes)
        # Not by `compute_class_weight`, which takes labels such as "1" for numbers.
        weight = np.array([class_weight.get(label, 1.0) for label in classes.tolist()])
    else:
        weight[present] = compute_class_weight(class_weight, classes=present, y=samples.y)
    weighed = replace(samples, weight=samples.weight * weight[samples.y])
    return replace(data, train=weighed, class_weight=weight)


def _check(class_weight: Mapping, classes: np.ndarray) -> None:
    known = classes.tolist()
    for label, weight in class_weight.items():
        if label not in known:
            raise ValueError(
                f"class_weight names {label!r}, which is not among the labels in y: {known[:10]}."
            )
        if not isinstance(weight, Real) or not np.isfinite(float(weight)) or weight < 0:
            raise ValueError(
                f"class_weight[{label!r}] must be a finite number of at least 0, got {weight!r}."
            )
