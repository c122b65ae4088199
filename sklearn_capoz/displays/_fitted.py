"""Read what a fitted pruner remembers, or say what is missing."""

from __future__ import annotations

from sklearn.exceptions import NotFittedError

__all__ = ["check_choice", "check_pruned"]


def check_pruned(estimator, display, *attributes):
    """Raise unless `estimator` holds the record of its pruning."""
    missing = [name for name in attributes if not hasattr(estimator, name)]
    if missing:
        raise NotFittedError(
            f"{display} needs a fitted pruner with {', '.join(missing)}; this "
            f"{type(estimator).__name__} has none. Call fit on a PrunedMLPClassifier or a "
            "CAPoZPruner first."
        )


def check_choice(name, value, allowed):
    """Raise unless `value` is one of `allowed`, which the message lists."""
    if value not in allowed:
        raise ValueError(f"{name} must be one of {sorted(allowed)}, got {value!r}.")
