"""compress: units, inputs, connections and bits in one walk, until a model's file fits a budget."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from numbers import Integral
from time import perf_counter
from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import clone
from sklearn.pipeline import Pipeline
from sklearn.utils import check_random_state, column_or_1d
from sklearn.utils.validation import check_consistent_length, validate_data

from .._sklearn import Interval, safe_indexing, validate_parameter_constraints
from .._validation import both_or_none
from .._warn import warn
from ..estimators._first_training import check_widths
from ..estimators._path import as_pruner
from ..estimators._split import split
from ..exceptions import PruningInterruptedWarning, UnsupportedNetworkError
from ..training._samples import make_samples, split_samples
from ._compress_moves import Candidate, Packing, least_bytes, moves_from
from ._quantize import LEAST_SAMPLES

__all__ = ["Compression", "compress"]


@dataclass(frozen=True, eq=False)
class Compression:
    """A compressed classifier, and the way to it.

    Parameters
    ----------
    estimator : CompiledClassifier, QuantizedClassifier or Pipeline
        Fitted; `save_model` writes it in at most the budget's bytes.
    trace : DataFrame
        A row per step, the first is the dense network: `move` that led there ("dense", "units",
        "inputs", "connections" or "bits"), `n_inputs`, `n_units`, `n_connections` that are not
        zero, `bits` of a weight, `n_parameters` (those connections and the biases), `n_bytes` of
        the file, `accuracy` and `error` (0..1) on the samples to choose on, `n_epochs` and
        `seconds` of the step, the moves that were not chosen included.
    """

    estimator: Any
    trace: pd.DataFrame


def compress(
    estimator, X, y, *, budget, X_val=None, y_val=None, sample_weight=None, groups=None
) -> Compression:
    """Train a classifier and make it smaller, until its file has at most `budget` bytes.

    One greedy walk. From where it stands four moves are tried: a fifth of the units of every
    hidden layer goes, by the estimator's criterion; a fifth of the inputs, or of the connections of
    every layer, by :class:`~sklearn_capoz.criteria.Taylor`; or weights get other bits, of 64 (what
    a network has that was trained on float64), 32, 8 and 4. After a cut the network is retrained as
    the estimator says, at most `retrain_max_iter` epochs; connections that are gone stay zero. Of
    the moves that make the file smaller that one is done which costs least: accuracy lost on the
    samples to choose on, for each factor that the file shrinks by. The last cut takes no more than
    the budget asks for.

    Parameters
    ----------
    estimator : PrunedMLPClassifier, CAPoZPruner or what CAPoZPruner takes, or a Pipeline
        Not changed. Its `criterion`, `compensation`, `min_units`, `distillation` and settings of
        training and retraining are used; rule, schedule, granularity and `keep` are not, nor the
        criterion on inputs and connections, nor the compensation once connections are gone. The
        steps of a Pipeline are fitted to the training samples; linear ones right before
        the network go into its first layer.
    X : array-like of shape (n_samples, n_features)
    y : array-like of shape (n_samples,)
    budget : int
        Bytes of the file that `save_model` writes, its description included.
    X_val, y_val : array-like, default=None
        Validation data, one half to score units on and one half to choose on. By default a
        stratified `validation_fraction` of X.
    sample_weight : array-like of shape (n_samples,), default=None
        Weights in training and in the scores.
    groups : array-like of shape (n_samples,), default=None
        Samples of one group stay together. Not used with `X_val`.

    Returns
    -------
    compression : Compression

    Raises
    ------
    ValueError
        If the budget is below what one unit of each layer and one input take, before any training;
        the message says how much that is.
    UnsupportedNetworkError
        If the network is none of arrays: a skorch net cannot be compressed, nor a
        PrunedMLPClassifier with callbacks.

    Warns
    -----
    PruningInterruptedWarning
        On Ctrl-C: the smallest model so far is returned, which is larger than the budget.

    See Also
    --------
    quantize : Bits alone.
    sklearn_capoz.pruning_path : Units alone.
    sklearn_capoz.displays.TradeOffDisplay : Draws error against bytes.

    Notes
    -----
    Accuracies of the trace are of samples that have chosen the moves; report those of a test set.

    Examples
    --------
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> from sklearn_capoz import PrunedMLPClassifier
    >>> from sklearn_capoz.datasets import make_mineral_spectra
    >>> from sklearn_capoz.deploy import compress
    >>> X, y = make_mineral_spectra(700, random_state=0)
    >>> network = PrunedMLPClassifier((20,), max_iter=30, retrain_max_iter=5, random_state=0)
    >>> found = compress(make_pipeline(StandardScaler(), network), X, y, budget=3000)
    >>> bool(found.trace["n_bytes"].iloc[-1] <= 3000)
    True
    >>> found.estimator.predict(X[:2]).shape
    (2,)
    """
    constraints = {"budget": [Interval(Integral, 1, None, closed="left")]}
    validate_parameter_constraints(constraints, {"budget": budget}, caller_name="compress")
    steps, pruner = _take_apart(estimator)
    plan = pruner._plan()
    if not plan.is_arrays:
        raise UnsupportedNetworkError(
            "compress needs a network that is held as arrays: a PrunedMLPClassifier with "
            "callbacks=None, or an MLPClassifier."
        )
    both_or_none(X_val=X_val, y_val=y_val)
    packing, samples = _prepare(steps, pruner, plan, X, y, X_val, y_val, sample_weight, groups)
    widths = _widths(pruner, plan)
    least = least_bytes(packing, pruner.min_units, len(widths), samples.data.train.X)
    if budget < least:
        raise ValueError(
            f"A budget of {budget:,} bytes is below what the smallest network takes, one of "
            f"min_units={pruner.min_units} in every hidden layer and of the inputs: up to "
            f"{least:,} bytes of file, names of classes and steps included. Allow that much."
        )
    return _walk(pruner, plan, samples, packing, int(budget))


def _take_apart(estimator) -> tuple[Pipeline | None, Any]:
    """Return clones of the steps and of the pruner behind them.

    Its schedule is not asked, and one that cuts in the middle of the first training would have
    that end there.
    """
    steps = None
    if isinstance(estimator, Pipeline):
        first, estimator = clone(estimator).steps[:-1], estimator.steps[-1][1]
        steps = Pipeline(first) if first else None
    return steps, as_pruner(estimator).set_params(schedule="multi-pass")


def _prepare(steps, pruner, plan, X, y, X_val, y_val, sample_weight, groups):
    """Split, fit the steps to the training samples, and bring all samples behind them."""
    shell = clone(pruner)
    validate_data(shell, X, skip_check_array=True)
    y = column_or_1d(y, warn=True)
    check_consistent_length(X, y)
    others = (X, y) if y_val is None else (X_val, column_or_1d(y_val, warn=True))
    train, score, select = _rows(pruner, y, y_val, sample_weight, groups)
    if len(train) < LEAST_SAMPLES:
        raise ValueError(
            f"X leaves {len(train)} samples to train on, and compress needs {LEAST_SAMPLES} to "
            "know the ranges of activations in integers; give more."
        )
    X_train, X_select = safe_indexing(X, train), safe_indexing(others[0], select)
    transformed, transform = X_train, np.asarray
    if steps is not None:
        transformed, transform = steps.fit_transform(X_train, y[train]), steps.transform
    aside = [
        (np.asarray(transform(safe_indexing(others[0], rows))), others[1][rows])
        for rows in (score, select)
    ]
    weight = None if sample_weight is None else np.broadcast_to(sample_weight, len(y))[train]
    together = (np.concatenate(parts) for parts in zip(*aside, strict=True))
    found = pruner._split(plan, np.asarray(transformed), y[train], *together, weight)
    scoring, choosing = (
        make_samples(
            values.astype(found.data.train.X.dtype), np.searchsorted(found.classes, labels)
        )
        for values, labels in aside
    )
    samples = replace(found, data=replace(found.data, score=scoring, select=choosing))
    packing = Packing(
        steps=[] if steps is None else list(steps.steps),
        classes=samples.classes,
        names=getattr(shell, "feature_names_in_", None),
        X=X_train,
        X_select=X_select,
        select=choosing,
    )
    return packing, samples


def _rows(pruner, y, y_val, sample_weight, groups) -> list[np.ndarray]:
    """Numbers of the rows to train on, to score on and to choose on; the latter two of X_val."""

    def numbers(labels) -> np.ndarray:
        return np.arange(float(len(labels)))[:, None]

    if y_val is None:
        data = split(pruner, numbers(y), y, sample_weight=sample_weight, groups=groups).data
    else:
        data = split_samples(
            make_samples(numbers(y), y, sample_weight),
            make_samples(numbers(y_val), np.asarray(y_val)),
            pruner.validation_fraction,
            check_random_state(pruner.random_state),
        )
    return [part.X[:, 0].astype(int) for part in (data.train, data.score, data.select)]


def _widths(pruner, plan) -> tuple[int, ...]:
    """Return the hidden layers of the network that will be trained."""
    if plan.inner is not None:
        return plan.inner.description.widths
    return check_widths(pruner.hidden_layer_sizes)


def _walk(pruner, plan, samples, packing: Packing, budget: int) -> Compression:
    start = perf_counter()
    dense = pruner._train(plan, samples)
    model = dense.model.with_inputs()
    bits = 8 * model.network.dtype.itemsize
    now = packing.rate(Candidate("dense", model, bits))
    rows = [_row(now, dense.n_epochs, start)]
    try:
        while now.n_bytes > budget:
            start = perf_counter()
            tried = moves_from(now, plan.pruning, samples, packing, budget)
            if not tried:
                raise ValueError(
                    f"The walk ended at {now.n_bytes:,} bytes: no unit, input, connection "
                    f"or bit less makes the file smaller, and the budget is {budget:,}. Allow that "
                    "much."
                )
            n_epochs = sum(move.n_epochs for move in tried)
            now = min(tried, key=_price_from(now))
            rows.append(_row(now, n_epochs, start))
    except KeyboardInterrupt:
        warn(
            f"Compression was interrupted at {now.n_bytes:,} bytes, above the budget of "
            f"{budget:,}.",
            PruningInterruptedWarning,
        )
    return Compression(now.estimator, pd.DataFrame(rows))


def _price_from(now: Candidate) -> Callable[[Candidate], tuple[float, int]]:
    """Accuracy lost for each factor of e that the file shrinks by; of equal ones the smaller."""

    def price(move: Candidate) -> tuple[float, int]:
        return (now.accuracy - move.accuracy) / np.log(now.n_bytes / move.n_bytes), move.n_bytes

    return price


def _row(found: Candidate, n_epochs: int, start: float) -> dict:
    network = found.model.network
    n_connections = sum(int(np.count_nonzero(weight)) for weight in network.weights)
    return {
        "move": found.move,
        "n_inputs": network.n_features,
        "n_units": sum(network.widths),
        "n_connections": n_connections,
        "bits": found.bits,
        "n_parameters": n_connections + sum(bias.size for bias in network.biases),
        "n_bytes": found.n_bytes,
        "accuracy": found.accuracy,
        "error": 1 - found.accuracy,
        "n_epochs": n_epochs,
        "seconds": perf_counter() - start,
    }
