from types import SimpleNamespace

import matplotlib.pyplot as plt
import numpy as np
import pytest
from sklearn.exceptions import NotFittedError
from sklearn.neural_network import MLPClassifier

from sklearn_capoz.criteria import WeightNorm
from sklearn_capoz.displays import ImportanceDisplay


def test_from_estimator_marks_the_units_that_went(pruner):
    display = ImportanceDisplay.from_estimator(pruner)
    assert display.pruned.tolist() == [False, True, False, True, False]
    assert display.threshold == 0.7
    assert [bar.get_height() for bar in display.bars_] == [0.2, 0.9, 0.1, 0.8, 0.3]
    assert [bool(bar.get_hatch()) for bar in display.bars_] == display.pruned.tolist()
    assert display.threshold_line_.get_ydata()[0] == 0.7
    assert display.ax_.get_ylabel() == "C-APoZ"
    assert display.ax_.get_title() == "Hidden layer 0, iteration 0: 2 of 5 units pruned"


def test_later_iterations_keep_the_units_first_names(pruner):
    display = ImportanceDisplay.from_estimator(pruner, iteration=1)
    assert display.units.tolist() == [0, 2, 4]
    assert display.pruned.tolist() == [True, False, False]
    assert [text.get_text() for text in display.ax_.get_xticklabels()] == ["0", "2", "4"]


def test_the_last_iteration_prunes_nothing_and_may_lack_a_threshold(pruner):
    display = ImportanceDisplay.from_estimator(pruner, iteration=-1)
    assert display.units.tolist() == [2, 4]
    assert not display.pruned.any()
    assert display.threshold_line_ is None


def test_low_scores_go_where_the_criterion_says_so(pruner):
    pruner.criterion_ = SimpleNamespace(prune_high=False, name="L1 norm")
    display = ImportanceDisplay.from_estimator(pruner)
    assert display.pruned.tolist() == [True, False, True, False, False]


def test_equal_scores_are_decided_by_index(pruner):
    pruner.importances_[0] = [np.full(5, 0.5)]
    assert ImportanceDisplay.from_estimator(pruner).pruned.tolist() == [True, True] + 3 * [False]


def test_a_wide_layer_keeps_its_labels_apart(assert_apart):
    scores = np.linspace(0, 1, 128)
    display = ImportanceDisplay(scores, scores > 0.9, threshold=0.9).plot()
    labels = display.ax_.get_xticklabels()
    assert 20 < len(labels) < 50
    assert_apart(labels)


def test_plot_draws_into_given_axes_with_given_bars(pruner):
    figure, ax = plt.subplots()
    display = ImportanceDisplay.from_estimator(pruner, ax=ax, color="red")
    assert display.ax_ is ax
    assert display.figure_ is figure
    assert display.bars_[0].get_facecolor() == (1, 0, 0, 1)


@pytest.mark.parametrize(("asked", "message"), [
    ({"iteration": 3}, "iteration=3 was asked for, and the record holds 0 to 2"),
    ({"layer": 1}, "layer=1 was asked for, and the record holds 0 to 0"),
])  # fmt: skip
def test_out_of_range(pruner, asked, message):
    with pytest.raises(ValueError, match=message):
        ImportanceDisplay.from_estimator(pruner, **asked)


def test_an_iteration_without_scores(pruner):
    pruner.importances_[2] = [np.empty(0)]
    with pytest.raises(ValueError, match=r"Layer 0 has no scores at iteration 2: .* earlier"):
        ImportanceDisplay.from_estimator(pruner, iteration=2)


def test_the_axis_is_labelled_with_the_criterion(pruner):
    pruner.criterion_ = WeightNorm(order=2)
    assert ImportanceDisplay.from_estimator(pruner).ax_.get_ylabel() == "L2 norm"


def test_unequal_lengths():
    with pytest.raises(ValueError, match=r"their shapes are \(2,\), \(3,\) and \(2,\)"):
        ImportanceDisplay([1, 2], [True, False, True])


def test_an_estimator_that_was_not_pruned():
    with pytest.raises(NotFittedError, match=r"this MLPClassifier has none\. Call fit"):
        ImportanceDisplay.from_estimator(MLPClassifier())
