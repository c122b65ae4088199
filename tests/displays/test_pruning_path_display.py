import matplotlib.pyplot as plt
import pytest

from sklearn_capoz.displays import PruningPathDisplay


def test_from_estimator_draws_accuracy_size_and_choice(pruner):
    display = PruningPathDisplay.from_estimator(pruner)
    assert display.line_.get_ydata().tolist() == [90, 92, 85]
    assert display.before_line_.get_ydata().tolist() == [90, 80, 60]
    assert [bar.get_height() for bar in display.bars_] == [5, 3, 2]
    assert display.chosen_.get_xdata().tolist() == [1]
    assert display.chosen_.get_ydata().tolist() == [92]
    assert [bool(bar.get_hatch()) for bar in display.bars_] == [False, True, False]


@pytest.mark.parametrize(("size", "label"), [
    ("n_units", "hidden units"),
    ("n_bytes", "stored parameters / bytes"),
    ("parameter_ratio", "compression of parameters / ratio"),
])  # fmt: skip
def test_axes_carry_units(history, size, label):
    display = PruningPathDisplay(history, size=size).plot()
    assert display.size_ax_.get_ylabel() == label
    assert display.ax_.get_ylabel() == "validation accuracy / %"
    assert display.size_ax_.get_xlabel() == "pruning iteration"
    assert display.chosen_ is None
    assert [bar.get_height() for bar in display.bars_] == history[size].tolist()


def test_plot_divides_given_axes(history):
    figure, (ax, other) = plt.subplots(2)
    display = PruningPathDisplay(history).plot(ax, color="red")
    assert display.figure_ is figure
    assert display.line_.get_color() == "red"
    assert not other.lines


def test_the_legend_stands_beside_the_curves(pruner, assert_apart):
    display = PruningPathDisplay.from_estimator(pruner)
    assert_apart([display.ax_.get_legend(), display.ax_.patch, display.size_ax_.patch])


def test_errors(history):
    with pytest.raises(ValueError, match=r"size must be one of \['bytes_ratio'.*got 'weight'"):
        PruningPathDisplay(history, size="weight")
    with pytest.raises(ValueError, match=r"lacks the columns \['accuracy_before'\]; it has"):
        PruningPathDisplay(history.drop(columns="accuracy_before"))
    with pytest.raises(ValueError, match=r"best_iteration must be one of \[0, 1, 2\], got 9"):
        PruningPathDisplay(history, best_iteration=9)
