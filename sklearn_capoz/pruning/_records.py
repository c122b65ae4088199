"""What each iteration of pruning has left, the table of it, and the choice among them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from ..networks._groups import INPUTS, input_group
from ._granularity import GRANULARITIES, Granularity
from ._model import PrunableModel

__all__ = ["IterationRecord", "choose_iteration", "count_units", "history_table"]


@dataclass(frozen=True, eq=False)
class IterationRecord:
    """One iteration of pruning, 0 is the dense network.

    Parameters
    ----------
    iteration : int
    model : PrunableModel
        The network after this iteration's retraining.
    support : tuple of ndarray of bool
        Per group, which units or connections of the dense network remain.
    n_pruned : tuple of int
        Per group, how many went to make this network.
    accuracy_before, accuracy_after : float
        On the samples set aside for choosing, before and after retraining. Where
        an iteration retrains several times, before and after the last of these.
    n_epochs : int
        Of this iteration's retraining.
    seconds : float
        Scoring, surgery and retraining.
    importances : tuple of ndarray
        Per group, the scores of this network's units or connections.
    thresholds : tuple of float
        Per group, what the rule made of these scores: units beyond it go in the
        next iteration. NaN where the rule counts, or is not asked as the schedule
        says how many units stay.
    """

    iteration: int
    model: PrunableModel
    support: tuple[np.ndarray, ...]
    n_pruned: tuple[int, ...]
    accuracy_before: float
    accuracy_after: float
    n_epochs: int
    seconds: float
    importances: tuple[np.ndarray, ...]
    thresholds: tuple[float, ...]


def choose_iteration(records: Sequence[IterationRecord], keep: str, tolerance: float) -> int:
    """Index of the iteration to keep.

    Parameters
    ----------
    records : sequence of IterationRecord
    keep : {"last", "best", "smallest"}
        "best" is the highest accuracy after retraining, "smallest" the fewest
        parameters within `tolerance` of it; of equal ones the later, which is
        the smaller network.
    tolerance : float
        In accuracy, 0..1.
    """
    if keep == "last":
        return len(records) - 1
    reached = np.array([record.accuracy_after for record in records])
    allowed = reached.max() - (tolerance if keep == "smallest" else 0.0)
    return int(np.flatnonzero(reached >= allowed - 1e-12)[-1])


def count_units(model: PrunableModel) -> int:
    """Count hidden units; inputs that are pruned too are none."""
    inputs = input_group(model.groups)
    return sum(n for group, n in enumerate(model.widths) if group != inputs)


def history_table(
    records: Sequence[IterationRecord], granularity: Granularity = GRANULARITIES["unit"]
) -> pd.DataFrame:
    """Return the records as a table with a row per iteration, all columns plain numbers.

    Parameters
    ----------
    records : sequence of IterationRecord
        Of one network, from the dense one on: ratios are to the first.
    granularity : Granularity
        What went: units or connections.

    Returns
    -------
    history : DataFrame
        Columns `iteration`, `n_units`, `n_parameters`, `n_bytes`,
        `n_multiply_adds`; `unit_ratio`, `parameter_ratio`
        and `bytes_ratio`, the dense network's over this one's; `n_units_i`, `n_pruned_i` and
        `threshold_i` of hidden layer i, or other group of units; of inputs, where they are pruned
        too, `n_inputs`, `n_pruned_inputs` and `threshold_inputs`; `accuracy_before`,
        `accuracy_after`, `n_epochs`, `seconds`.
        Of connections `n_connections` and `sparsity`, the share of weights that are zero, come
        behind `n_units`, and group i is layer i, with `n_connections_i`. What they store is
        `n_parameters`, without zeros, and `n_bytes` as a model file holds them.
    """
    dense, rows = records[0].model, []
    dense_units, dense_size = count_units(dense), granularity.size(dense)
    inputs = input_group(dense.groups)
    names = [str(i) for i in range(len(granularity.widths(dense)) - (inputs is not None))]
    if inputs is not None:
        names.insert(inputs, INPUTS)
    for record in records:
        n_units, size = count_units(record.model), granularity.size(record.model)
        widths = granularity.widths(record.model)
        row = {
            "iteration": record.iteration,
            "n_units": n_units,
            **_connections(record, widths, granularity),
            "n_parameters": size.n_parameters,
            "n_bytes": size.n_bytes,
            "n_multiply_adds": size.n_multiply_adds,
            "unit_ratio": dense_units / n_units if n_units else 1.0,
            "parameter_ratio": dense_size.n_parameters / size.n_parameters,
            "bytes_ratio": dense_size.n_bytes / size.n_bytes,
        }
        for group, (name, width) in enumerate(zip(names, widths, strict=True)):
            row["n_inputs" if name == INPUTS else f"n_{granularity.noun}s_{name}"] = width
            row[f"n_pruned_{name}"] = record.n_pruned[group]
            row[f"threshold_{name}"] = record.thresholds[group]
        row |= {
            "accuracy_before": record.accuracy_before,
            "accuracy_after": record.accuracy_after,
            "n_epochs": record.n_epochs,
            "seconds": record.seconds,
        }
        rows.append(row)
    # By columns: from rows pandas finds the types out again, and takes longer than some trainings.
    return pd.DataFrame({name: np.array([row[name] for row in rows]) for name in rows[0]})


def _connections(
    record: IterationRecord, widths: Sequence[int], granularity: Granularity
) -> dict[str, float]:
    if granularity.noun != "connection":
        return {}
    n_weights = sum(support.size for support in record.support)
    return {"n_connections": sum(widths), "sparsity": 1 - sum(widths) / n_weights}
