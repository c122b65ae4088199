"""What members of a vote are worth, and what they cost."""

from __future__ import annotations

import numpy as np
import pandas as pd
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import Pipeline

from ..exceptions import UnsupportedNetworkError
from ._register import find_adapter

__all__ = ["check_classes", "choose_weights", "costs"]


def check_classes(name: str, member, classes: np.ndarray) -> None:
    """Raise where a fitted member knows other classes than these."""
    if not np.array_equal(member.classes_, classes):
        known = np.asarray(member.classes_)[:10].tolist()
        raise ValueError(
            f"The member {name!r} knows {known}, the others, or y, {classes[:10].tolist()}; fused "
            "classifiers need the same classes."
        )


def choose_weights(members: list, X, codes: np.ndarray, weight: np.ndarray | None) -> np.ndarray:
    """Return the weights of the highest log-likelihood, by expectation maximisation."""
    found = [member.predict_proba(X)[np.arange(len(codes)), codes] for member in members]
    # No probability is taken for 0: one such sample would rule a member out.
    likelihood = np.maximum(np.stack(found, axis=1), np.finfo(np.float32).eps)
    share = np.full(len(codes), 1 / len(codes)) if weight is None else weight / weight.sum()
    weights = np.full(len(members), 1 / len(members))
    for _ in range(10_000):
        slope = (share / (likelihood @ weights)) @ likelihood
        weights = weights * slope
        if slope.max() - 1 < 1e-8:  # no weights' log-likelihood is higher by more than that
            break
    return weights / weights.sum()


def costs(names: list[str], members: list) -> pd.DataFrame:
    """Say what each member stores and computes, and all of them."""
    columns = ["n_parameters", "n_bytes", "n_multiply_adds"]
    rows = pd.DataFrame([_cost(member) for member in members], names, columns)
    rows.loc["all"] = rows.sum(skipna=False)
    return rows


def _cost(member) -> tuple:
    while isinstance(member, (FrozenEstimator, Pipeline)):
        member = member.estimator if isinstance(member, FrozenEstimator) else member.steps[-1][1]
    if hasattr(member, "history_"):  # the pruning estimators
        row = member.history_.iloc[member.best_iteration_]
        return row["n_parameters"], row["n_bytes"], row["n_multiply_adds"]
    try:
        return tuple(find_adapter(member).model(member, None).size)
    except UnsupportedNetworkError:
        return (np.nan,) * 3
