"""The picture of an assessment: what stands in which cell, and that nothing overlaps."""

import matplotlib.pyplot as plt
import numpy as np
import pytest

from sklearn_capoz.displays import AssessmentDisplay
from sklearn_capoz.scenes import assess


@pytest.fixture(scope="module")
def found():
    mapped = ["alunite"] * 4 + ["calcite"] * 3 + ["rejected"]
    truth = ["alunite"] * 3 + ["calcite"] * 4 + ["alunite"]
    return assess(mapped, truth)


def test_counts_and_accuracies_stand_in_their_cells(found):
    display = AssessmentDisplay.from_assessment(found)
    texts = [[text.get_text() for text in row] for row in display.texts_]
    assert texts[0] == ["3", "1", "", "75 ± 49"]
    assert texts[1] == ["", "3", "", "100 ± 0"]
    assert texts[2] == ["1", "", "", "0"]  # a single place, which says nothing of the spread
    # Of "rejected" no place can be true; its single row is no estimate of a spread.
    assert [text.split()[0] for text in texts[3]] == ["75", "75", "-", "75"]
    share = display.image_.get_array()
    np.testing.assert_allclose(share[:3, :3], [[0.75, 0.25, 0], [0, 1, 0], [1, 0, 0]])
    assert share.mask[3].all()
    assert share.mask[:, 3].all()
    assert display.ax_.get_xlabel() == "class on the ground"
    assert display.ax_.get_ylabel() == "class of the map"


def test_numbers_can_be_read_on_dark_cells(found):
    display = AssessmentDisplay.from_assessment(found)
    colors = [text.get_color() for text in display.texts_[0]]
    assert colors == ["white", "black", "black", "black"]


def test_the_cells_do_not_overlap(found, assert_apart):
    display = AssessmentDisplay.from_assessment(found)
    assert_apart([text for text in display.texts_.ravel() if text.get_text()])
    assert_apart(display.ax_.get_yticklabels())


def test_given_axes_and_style(found):
    _, ax = plt.subplots()
    display = AssessmentDisplay.from_assessment(found, ax=ax, cmap="Greens")
    assert display.ax_ is ax
    assert display.image_.get_cmap().name == "Greens"


def test_tables_that_do_not_fit(found):
    with pytest.raises(ValueError, match=r"classes lacks the columns \['user', 'user_margin'"):
        AssessmentDisplay(found.counts, found.counts, 0.5, 0.1)
    with pytest.raises(ValueError, match=r"for each of the 3 classes, got \(2, 3\)"):
        AssessmentDisplay(found.counts.iloc[:2], found.classes, 0.5, 0.1)
