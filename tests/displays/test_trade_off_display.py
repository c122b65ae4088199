import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from sklearn_capoz.displays import TradeOffDisplay


@pytest.fixture
def table():
    """Two repeats at two sizes, and a control with one."""
    return pd.DataFrame(
        {
            "criterion": ["C-APoZ"] * 4 + ["random"],
            "iteration": [0, 0, 1, 1, 0],
            "n_parameters": [90, 90, 50, 54, 90],
            "accuracy": [0.9, 0.8, 0.7, 0.7, 0.6],
        }
    )


def test_repeats_become_mean_and_spread(table):
    display = TradeOffDisplay(table, controls=["random"]).plot()
    np.testing.assert_allclose(display.summary["mean"], [0.85, 0.7, 0.6])
    np.testing.assert_allclose(display.summary["std"], [np.sqrt(0.005), 0, np.nan])
    np.testing.assert_allclose(display.summary["n_parameters"], [90, 52, 90])
    assert display.summary["n_repeats"].tolist() == [2, 2, 1]
    line, _, bars = display.lines_["C-APoZ"]
    assert line.get_xdata().tolist() == [52, 90]
    np.testing.assert_allclose(line.get_ydata(), [70, 85])
    assert bars
    assert display.ax_.get_xlabel() == "parameters"
    assert display.ax_.get_ylabel() == "accuracy / %"


def test_without_iterations_rows_of_one_size_are_repeats(table):
    display = TradeOffDisplay(table.drop(columns="iteration"))
    assert display.summary["n_repeats"].tolist() == [2, 1, 1, 1]


def test_controls_look_like_controls(table):
    display = TradeOffDisplay(table, controls=["random"]).plot()
    line = display.lines_["random"][0]
    assert line.get_markerfacecolor() == "white"
    assert line.get_color() == "#777777"
    assert display.lines_["C-APoZ"][0].get_markerfacecolor() != "white"


def test_from_estimators_joins_histories(pruner):
    display = TradeOffDisplay.from_estimators({"a": pruner, "b": [pruner, pruner]}, size="n_units")
    assert display.summary["n_repeats"].tolist() == [1, 1, 1, 2, 2, 2]
    assert display.lines_["a"][0].get_xdata().tolist() == [2, 3, 5]
    np.testing.assert_allclose(display.lines_["b"][0].get_ydata(), [85, 92, 90])


def test_a_narrow_range_of_sizes_has_plain_numbers():
    table = pd.DataFrame(
        {"criterion": "x", "n_units": [30, 22, 17, 9], "accuracy": [0.9, 0.9, 0.8, 0.7]}
    )
    display = TradeOffDisplay(table, size="n_units").plot()
    display.figure_.draw_without_rendering()
    low, high = display.ax_.get_xlim()
    shown = [
        text.get_text()
        for text in display.ax_.get_xticklabels()
        if low <= text.get_position()[0] <= high
    ]
    assert {"10", "20", "30"} <= set(shown)


def test_many_criteria_stay_readable(assert_apart):
    names = [f"criterion {i}" for i in range(25)]
    table = pd.DataFrame({"criterion": names, "n_units": range(5, 30), "accuracy": 0.9})
    display = TradeOffDisplay(table, size="n_units").plot()
    legend = display.ax_.get_legend()
    texts = legend.get_texts()
    assert_apart(texts)
    assert_apart([legend, display.ax_.patch])


def test_given_axes(table):
    _, ax = plt.subplots()
    assert TradeOffDisplay(table).plot(ax).ax_ is ax


def test_errors(table):
    with pytest.raises(ValueError, match=r"table lacks the columns \['n_bytes'\]"):
        TradeOffDisplay(table, size="n_bytes")
    with pytest.raises(ValueError, match=r"size must be one of .* got 'seconds'"):
        TradeOffDisplay(table, size="seconds")
    with pytest.raises(
        ValueError, match=r"controls must be one of \['C-APoZ', 'random'\], got 'dense'"
    ):
        TradeOffDisplay(table, controls=["dense"])
    for nothing in ({}, {"C-APoZ": []}):
        with pytest.raises(ValueError, match="estimators holds no fitted pruner; give a dict"):
            TradeOffDisplay.from_estimators(nothing)


def test_points_without_any_error_are_not_left_out_in_silence(table):
    perfect = table.assign(accuracy=1.0)
    with pytest.warns(UserWarning, match="of x, have no place .*metric='accuracy' draws"):
        TradeOffDisplay(pd.concat([table, perfect.assign(criterion="x")]), metric="error").plot()
