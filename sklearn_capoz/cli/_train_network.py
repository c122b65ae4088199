"""The network that `train` trains, and how it is pruned, by the options."""

from __future__ import annotations

import argparse

import numpy as np

from .. import PrunedMLPClassifier
from ..criteria import CRITERIA
from ..schedules import Widths
from ..thresholds import THRESHOLDS

__all__ = ["check_network", "field_network", "measured_network"]

#: Hidden units at first, and in the end, of a network for the field.
UNITS, KEPT = 120, 9


def check_network(arguments: argparse.Namespace) -> None:
    """Refuse names of parts that there are not, and numbers of units that contradict each other."""
    for option, name, known in (
        ("--criterion", arguments.criterion, CRITERIA),
        ("--threshold", arguments.threshold, THRESHOLDS),
    ):
        if name is not None and name not in known:
            raise ValueError(f"{option} must be one of {', '.join(sorted(known))}; got {name!r}.")
    keep = arguments.keep_units
    if keep is None:
        return
    for option in ("threshold", "as_measured", "truth"):
        if getattr(arguments, option):
            raise ValueError(
                f"--keep-units {keep} means nothing beside --{option.replace('_', '-')}: there a "
                "threshold decides how many units stay."
            )
    if keep > (arguments.units or UNITS):
        raise ValueError(
            f"--keep-units {keep} is more than the {arguments.units or UNITS} hidden units at "
            "first (--units)."
        )


def field_network(arguments: argparse.Namespace) -> PrunedMLPClassifier:
    """Network and pruning as `benchmarks/laboratory_to_field.py` recommends them."""
    units, kept = arguments.units or UNITS, arguments.keep_units or KEPT
    n_iterations = 3 if arguments.iterations is None else arguments.iterations
    pruning: dict = {"n_iterations": n_iterations, "keep": "smallest"}
    if arguments.threshold is not None:
        pruning |= {"threshold": arguments.threshold, "tolerance": arguments.tolerance}
    else:
        n_iterations = min(n_iterations, max(0, units - kept))
        widths = np.linspace(units, kept, n_iterations + 1).round().astype(int)[1:]
        pruning = {"n_iterations": n_iterations, "keep": "last"}
        pruning |= {"schedule": Widths(widths.tolist())} if n_iterations else {}
    return PrunedMLPClassifier(
        (units,),
        criterion=arguments.criterion,
        **pruning,
        compensation="least-squares",
        alpha=1e-3,
        batch_size=128,
        learning_rate_init=4e-3,
        max_iter=20,
        retrain_max_iter=30,
        retrain_learning_rate="cosine",
        verbose=not arguments.quiet,
    )


def measured_network(arguments: argparse.Namespace) -> PrunedMLPClassifier:
    """Network and pruning for spectra of the field."""
    return PrunedMLPClassifier(
        (arguments.units or 30,),
        criterion=arguments.criterion,
        threshold=arguments.threshold or "mean+std",
        n_iterations=5 if arguments.iterations is None else arguments.iterations,
        keep="smallest",
        tolerance=arguments.tolerance,
        verbose=not arguments.quiet,
        random_state=arguments.seed,
    )
