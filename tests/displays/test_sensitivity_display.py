import matplotlib.pyplot as plt
import pandas as pd
import pytest

import sklearn_capoz
from sklearn_capoz.displays import SensitivityDisplay


@pytest.fixture
def curve():
    return pd.DataFrame(
        {
            "layer": ["0", "0", "0", "1", "1", "all", "all", "all"],
            "n_pruned": [0, 1, 2, 0, 1, 0, 1, 3],
            "accuracy": [0.9, 0.8, 0.5, 0.9, 0.7, 0.9, 0.7, 0.3],
        }
    )


def test_one_line_per_layer_and_one_for_all(curve):
    display = SensitivityDisplay(curve).plot()
    assert [line.get_label() for line in display.lines_] == [
        "hidden layer 0",
        "hidden layer 1",
        "all layers together",
    ]
    assert display.lines_[0].get_ydata().tolist() == [90, 80, 50]
    assert display.lines_[2].get_xdata().tolist() == [0, 1, 3]
    assert display.lines_[2].get_color() == "black"
    assert display.ax_.get_xlabel() == "units pruned, without retraining"
    assert display.ax_.get_ylabel() == "accuracy / %"


def test_from_estimator_asks_for_the_curve_and_draws_it(curve, monkeypatch):
    def sensitivity_curve(estimator, X, y, *, criterion):
        assert (estimator, X, y, criterion) == ("network", "spectra", "labels", "l1")
        return curve

    monkeypatch.setattr(sklearn_capoz, "sensitivity_curve", sensitivity_curve, raising=False)
    display = SensitivityDisplay.from_estimator(
        "network", "spectra", "labels", criterion="l1", line_kw={"linewidth": 4}
    )
    assert len(display.lines_) == 3
    assert display.lines_[0].get_linewidth() == 4


def test_given_axes_and_style(curve):
    _, ax = plt.subplots()
    display = SensitivityDisplay(curve).plot(ax, linewidth=4)
    assert display.ax_ is ax
    assert display.lines_[0].get_linewidth() == 4


def test_missing_columns(curve):
    with pytest.raises(ValueError, match=r"lacks the columns \['layer', 'accuracy'\]"):
        SensitivityDisplay(curve[["n_pruned"]])
