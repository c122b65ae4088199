"""Pictures without a screen, and a fitted pruner made by hand."""

from itertools import combinations
from types import SimpleNamespace

import matplotlib
import numpy as np
import pandas as pd
import pytest

matplotlib.use("Agg")


@pytest.fixture(autouse=True)
def _close_figures():
    yield
    matplotlib.pyplot.close("all")


@pytest.fixture
def history():
    """Three iterations of a 5-unit layer: two units go, then one."""
    return pd.DataFrame(
        {
            "iteration": [0, 1, 2],
            "n_units": [5, 3, 2],
            "n_parameters": [47, 31, 23],
            "n_bytes": [188, 124, 92],
            "unit_ratio": [1.0, 5 / 3, 2.5],
            "parameter_ratio": [1.0, 47 / 31, 47 / 23],
            "bytes_ratio": [1.0, 47 / 31, 47 / 23],
            "n_units_0": [5, 3, 2],
            "threshold_0": [0.7, 0.5, np.nan],
            "n_pruned_0": [0, 2, 1],
            "accuracy_before": [0.9, 0.8, 0.6],
            "accuracy_after": [0.9, 0.92, 0.85],
            "n_epochs": [10, 5, 5],
            "seconds": [0.1, 0.1, 0.1],
        }
    )


@pytest.fixture
def pruner(history):
    """Hold what displays read of a fitted pruner: units 1 and 3 go first, then unit 0."""
    return SimpleNamespace(
        history_=history,
        importances_=[
            [np.array([0.2, 0.9, 0.1, 0.8, 0.3])],
            [np.array([0.6, 0.1, 0.2])],
            [np.array([0.1, 0.2])],
        ],
        criterion_=SimpleNamespace(prune_high=True, name="C-APoZ"),
        best_iteration_=1,
    )


@pytest.fixture
def assert_apart():
    """Check that no two of these artists of one figure overlap once it is drawn."""

    def check(artists):
        figure = artists[0].figure
        figure.draw_without_rendering()
        boxes = [artist.get_window_extent(figure.canvas.get_renderer()) for artist in artists]
        assert all(box.width > 0 for box in boxes)
        assert not [(a, b) for a, b in combinations(boxes, 2) if a.overlaps(b)]

    return check
