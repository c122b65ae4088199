import subprocess
import sys

import matplotlib.pyplot as plt
import pytest

from sklearn_capoz.displays import PruningPathDisplay
from sklearn_capoz.displays._style import add_legend, axes_grid, series_style


def test_importing_the_package_leaves_matplotlib_alone():
    code = (
        "import sys, sklearn_capoz.displays as d; d.class_colors(9); "
        "assert 'matplotlib' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_without_matplotlib_the_error_says_what_to_install(monkeypatch, history):
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    with pytest.raises(ImportError, match=r"pip install 'sklearn-capoz\[plot\]'"):
        PruningPathDisplay(history).plot()


def test_series_differ_in_colour_marker_or_line():
    styles = [tuple(series_style(i).values()) for i in range(60)]
    assert len(set(styles)) == 60


def test_axes_grid_divides_one_axes_and_takes_many():
    _, (left, right) = plt.subplots(1, 2)
    inside = axes_grid(left, 3, 2, (1, 1))
    bounds = left.get_position()
    assert all(bounds.x0 - 1e-9 <= axes.get_position().x0 < bounds.x1 for axes in inside)
    assert axes_grid([left, right], 2, 2, (1, 1)).tolist() == [left, right]
    with pytest.raises(ValueError, match="3 panels need as many Axes, got 2"):
        axes_grid([left, right], 3, 2, (1, 1))


def drawn_side_by_side(legends_panel, **layout):
    figure, (left, right) = plt.subplots(1, 2, **layout)
    panel = (left, right)[legends_panel]
    (line,) = panel.plot([0, 1], label="some name")
    legend = add_legend(panel, [line])
    figure.draw_without_rendering()
    return legend.get_window_extent(), panel.get_window_extent(), figure, (left, right)


@pytest.mark.parametrize("panel", [0, 1])
def test_a_legend_in_a_figure_without_room_stays_in_its_panel(panel):
    legend, axes, *_ = drawn_side_by_side(panel)
    assert axes.x0 < legend.x0 < legend.x1 < axes.x1
    assert axes.y0 < legend.y0 < legend.y1 < axes.y1


@pytest.mark.parametrize("panel", [0, 1])
@pytest.mark.parametrize("layout", ["constrained", "compressed"])
def test_a_legend_in_a_figure_with_room_stands_between_panel_and_neighbour(panel, layout):
    legend, axes, figure, panels = drawn_side_by_side(panel, layout=layout)
    end = figure.bbox.x1 if panel == 1 else panels[1].get_tightbbox().x0
    assert axes.x1 < legend.x0 < legend.x1 <= end


def test_a_legend_in_a_subfigure():
    panel = plt.figure().subfigures(1, 2)[0].subplots()
    legend = add_legend(panel, panel.plot([0, 1], label="line"))
    assert [text.get_text() for text in legend.get_texts()] == ["line"]


def test_axes_outside_a_grid_cannot_be_divided():
    lone = plt.figure().add_axes((0, 0, 1, 1))
    with pytest.raises(ValueError, match=r"make it with plt\.subplots, or pass one Axes per panel"):
        axes_grid(lone, 3, 3, (1, 1))
