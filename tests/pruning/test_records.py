"""The table of the iterations, and which of them is kept."""

from dataclasses import dataclass

import numpy as np
import pytest

from sklearn_capoz.pruning import IterationRecord, ModelSize, choose_iteration, history_table


@dataclass
class Sized:
    """As much of a network as the table looks at."""

    widths: tuple
    size: ModelSize
    groups: tuple = ()


def record(iteration, widths, parameters, **given):
    fields = {
        "support": (), "n_pruned": (0,) * len(widths), "accuracy_before": 0.5,
        "accuracy_after": 0.75, "n_epochs": 3, "seconds": 0.25, "importances": (),
        "thresholds": (np.nan,) * len(widths),
    }  # fmt: skip
    model = Sized(widths, ModelSize(parameters, 4 * parameters, parameters))
    return IterationRecord(iteration=iteration, model=model, **(fields | given))


def test_a_table_by_hand():
    table = history_table(
        [
            record(0, (8, 4), 120, thresholds=(0.7, 0.2)),
            record(1, (5, 4), 60, n_pruned=(3, 0), accuracy_before=0.25),
        ]
    )
    assert table.to_dict("list") == {
        "iteration": [0, 1],
        "n_units": [12, 9],
        "n_parameters": [120, 60],
        "n_bytes": [480, 240],
        "n_multiply_adds": [120, 60],
        "unit_ratio": [1.0, 12 / 9],
        "parameter_ratio": [1.0, 2.0],
        "bytes_ratio": [1.0, 2.0],
        "n_units_0": [8, 5],
        "n_pruned_0": [0, 3],
        "threshold_0": [0.7, pytest.approx(np.nan, nan_ok=True)],
        "n_units_1": [4, 4],
        "n_pruned_1": [0, 0],
        "threshold_1": [0.2, pytest.approx(np.nan, nan_ok=True)],
        "accuracy_before": [0.5, 0.25],
        "accuracy_after": [0.75, 0.75],
        "n_epochs": [3, 3],
        "seconds": [0.25, 0.25],
    }


@dataclass
class Reached:
    """As much of a record as the choice looks at."""

    accuracy_after: float


@pytest.mark.parametrize(
    ("reached", "keep", "tolerance", "chosen"),
    [
        ([0.9, 0.95, 0.94, 0.7], "last", 0.0, 3),
        ([0.9, 0.95, 0.94, 0.7], "last", 0.5, 3),
        ([0.9, 0.95, 0.94, 0.7], "best", 0.0, 1),
        ([0.9, 0.95, 0.94, 0.7], "best", 0.5, 1),
        ([0.9, 0.95, 0.95, 0.7], "best", 0.0, 2),
        ([0.9, 0.95, 0.94, 0.7], "smallest", 0.0, 1),
        ([0.9, 0.95, 0.94, 0.7], "smallest", 0.01, 2),
        ([0.9, 0.95, 0.94, 0.7], "smallest", 0.009, 1),
        ([0.9, 0.95, 0.80, 0.93], "smallest", 0.02, 3),
        ([0.9, 0.95, 0.94, 0.7], "smallest", 1.0, 3),
        ([0.9], "best", 0.0, 0),
        # 0.95 - 0.01 is 0.9399999999999999 or so: the tolerance is taken at its word.
        ([0.95, 0.95 - 0.05, 0.1], "smallest", 0.05, 1),
        ([0.3, 0.3 - 0.1, 0.1], "smallest", 0.1, 1),
    ],
)
def test_which_iteration_is_kept(reached, keep, tolerance, chosen):
    assert choose_iteration([Reached(a) for a in reached], keep, tolerance) == chosen
