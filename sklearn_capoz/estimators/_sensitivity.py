"""How much a network suffers when its units go, before any retraining."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np
import pandas as pd
from sklearn.frozen import FrozenEstimator
from sklearn.utils import check_random_state
from sklearn.utils.validation import (
    check_consistent_length,
    check_is_fitted,
    check_X_y,
    column_or_1d,
)

from .._validation import both_or_none, encode_labels
from ..criteria import check_criterion
from ..networks._inputs import leaves
from ..pruning import Remove, accuracy
from ..pruning._compensation import check_compensation
from ..pruning._granularity import GRANULARITIES
from ..pruning._model import score_units
from ..training._samples import Samples, make_samples, split_samples
from ._check_inputs import check_inputs, has_several
from ._pruner import CAPoZPruner
from ._register import check_columns, find_adapter

__all__ = ["sensitivity_curve"]


def sensitivity_curve(
    estimator,
    X,
    y,
    *,
    X_test=None,
    y_test=None,
    criterion="c-apoz",
    compensation=None,
    random_state=None,
) -> pd.DataFrame:
    """Accuracy against the number of pruned units, one layer at a time and jointly.

    The units are ranked once, on the unpruned network, and go in that order
    without retraining.

    Parameters
    ----------
    estimator : fitted CAPoZPruner or what CAPoZPruner takes
    X : array-like of shape (n_samples, n_features)
        Samples to rank the units on.
    y : array-like of shape (n_samples,)
    X_test, y_test : array-like, default=None
        Samples to measure the accuracy on; by default one stratified half of X,
        the other half then ranks the units. The two must not be the same.
    criterion : str or Criterion, default="c-apoz"
    compensation : {None, "bias", "least-squares"}, default=None
    random_state : int, RandomState instance or None, default=None
        Of the halves, and of criteria that draw.

    Returns
    -------
    curve : DataFrame
        Columns `layer` ("0", "1", ... and, with several hidden layers, "all",
        where every layer loses the same share), `n_pruned`, `accuracy`.

    Raises
    ------
    ValueError
        If a parameter is outside its range, or X has other features than the
        estimator is trained on, before any unit goes.

    Examples
    --------
    >>> from sklearn.datasets import make_classification
    >>> from sklearn_capoz import PrunedMLPClassifier, sensitivity_curve
    >>> X, y = make_classification(n_samples=300, random_state=0)
    >>> model = PrunedMLPClassifier((10,), n_iterations=0, max_iter=20, random_state=0)
    >>> curve = sensitivity_curve(model.fit(X[:200], y[:200]), X[200:], y[200:], random_state=0)
    >>> curve["n_pruned"].tolist()
    [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]
    """
    criterion = check_criterion(criterion)
    check_compensation(compensation)
    random_state = check_random_state(random_state)
    has_test = both_or_none(X_test=X_test, y_test=y_test)
    check_is_fitted(estimator)
    is_pruner = isinstance(estimator, CAPoZPruner)
    inner = estimator.estimator_ if is_pruner else estimator
    inner = inner.estimator if isinstance(inner, FrozenEstimator) else inner
    adapter = find_adapter(inner)
    known = adapter.describe(inner)
    outer = estimator if is_pruner else inner
    support = estimator.get_support() if is_pruner and "input_support_" in vars(estimator) else None
    n_features = known.n_features if support is None else len(support)
    check = partial(_samples, outer, adapter, n_features, estimator.classes_, support)
    samples = check(X, y)
    if has_test:
        ranking, measured = samples, check(X_test, y_test, suffix="_test")
    else:
        data = split_samples(samples, samples, 0.5, random_state)
        ranking, measured = data.score, data.select

    inner = adapter.copy(inner)
    adapter.show_inputs(inner, samples.X)
    model = adapter.model(inner, random_state)
    GRANULARITIES["unit"].check_model(model)
    names = [group.name for group in model.groups]
    scores = score_units(model, criterion, ranking, random_state, names)
    sign = 1 if criterion.prune_high else -1
    orders = [np.argsort(-sign * scores[name], kind="stable") for name in names]
    removals = {str(i): [(i, unit) for unit in order[:-1]] for i, order in enumerate(orders)}
    if len(orders) > 1:
        removals["all"] = _same_share(orders)
    rows = []
    for name, units in removals.items():
        for n_pruned in range(len(units) + 1):
            smaller = model
            for layer, width in enumerate(model.widths):
                keep = np.ones(width, dtype=bool)
                keep[[unit for i, unit in units[:n_pruned] if i == layer]] = False
                if not keep.all():
                    change = Remove(model.groups[layer].name, keep)
                    smaller = smaller.apply(change, compensation, ranking)
            rows.append((name, n_pruned, accuracy(smaller, measured)))
    return pd.DataFrame(rows, columns=["layer", "n_pruned", "accuracy"])


def _samples(
    estimator,
    adapter,
    n_features: int | None,
    classes: np.ndarray,
    support: np.ndarray | None,
    X,
    y,
    *,
    suffix: str = "",
) -> Samples:
    if adapter.allow_nd and has_several(X):
        checked, y = check_inputs(estimator, X, allow_nd=True, reset=False), column_or_1d(y)
        check_consistent_length(next(leaves(checked)), y)
    else:
        checked, y = check_X_y(X, y, dtype=(np.float64, np.float32), allow_nd=adapter.allow_nd)
        if checked.ndim == 2:
            check_columns(estimator, X, n_features, f"X{suffix}")
        if support is not None:  # the estimator that is in a pruner takes the columns left
            checked = checked[:, support]
    return make_samples(checked, encode_labels(y, classes, f"y{suffix}"))


def _same_share(orders: Sequence[np.ndarray]) -> list[tuple[int, int]]:
    """Interleave the layers' units so that all layers shrink at the same rate."""
    units = [
        ((rank + 1) / len(order), layer, int(unit))
        for layer, order in enumerate(orders)
        for rank, unit in enumerate(order[:-1])
    ]
    return [(layer, unit) for _, layer, unit in sorted(units)]
