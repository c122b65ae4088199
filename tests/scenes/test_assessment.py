"""Accuracy and area: Olofsson's worked example, scikit-learn's figures, and intervals that hold."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from sklearn.metrics import (
    accuracy_score,
    cohen_kappa_score,
    confusion_matrix,
    precision_score,
    recall_score,
)

from sklearn_capoz.scenes import assess

CLASSES = ["deforestation", "forest gain", "stable forest", "stable non-forest"]
COUNTS = np.array([[66, 0, 5, 4], [0, 55, 8, 12], [1, 0, 153, 11], [2, 1, 9, 313]])
PIXELS = dict(zip(CLASSES, [200_000, 150_000, 3_200_000, 6_450_000], strict=True))


def places(counts, labels):
    rows, columns = np.indices(counts.shape).reshape(2, -1)
    labels = np.array(labels)
    return labels[rows.repeat(counts.ravel())], labels[columns.repeat(counts.ravel())]


def test_the_worked_example_of_olofsson_2014():
    found = assess(*places(COUNTS, CLASSES), areas=PIXELS)
    np.testing.assert_array_equal(found.counts, COUNTS)
    table = found.classes
    assert table["user"].round(2).tolist() == [0.88, 0.73, 0.93, 0.96]
    assert table["user_margin"].round(2).tolist() == [0.07, 0.10, 0.04, 0.02]
    assert table["producer"].round(2).tolist() == [0.75, 0.85, 0.93, 0.96]
    # Printed are 0.23 and 0.01 for the second and last; the paper's own equation 7 gives these,
    # and so does drawing the sample anew (below).
    assert table["producer_margin"].round(2).tolist() == [0.21, 0.25, 0.03, 0.02]
    assert (round(found.overall, 2), round(found.overall_margin, 2)) == (0.95, 0.02)
    # In pixels of 30 m, and in hectares.
    deforested = table.loc["deforestation", ["area", "area_margin"]]
    np.testing.assert_allclose(deforested, [235_086, 68_418], atol=2)
    hectares = assess(*places(COUNTS, CLASSES), areas={k: 0.09 * v for k, v in PIXELS.items()})
    np.testing.assert_allclose(
        hectares.classes[["area", "area_margin"]],
        [[21_158, 6_158], [11_686, 3_756], [285_770, 15_510], [581_386, 16_282]],
        atol=1,
    )
    table_9 = [
        [0.0176, 0, 0.0013, 0.0011],
        [0, 0.0110, 0.0016, 0.0024],
        [0.0019, 0, 0.2967, 0.0213],
        [0.0040, 0.0020, 0.0179, 0.6212],
    ]
    np.testing.assert_array_equal(found.proportions.round(4), table_9)
    assert found.proportions.to_numpy().sum() == pytest.approx(1)


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=2, max_size=60))
@settings(deadline=None, max_examples=60)
def test_without_areas_the_figures_are_those_of_scikit_learn(pairs):
    mapped, truth = np.array(pairs).T
    assume(len(np.unique(pairs)) > 1)
    found, labels = assess(mapped, truth), np.unique(pairs)
    np.testing.assert_array_equal(found.counts, confusion_matrix(truth, mapped, labels=labels).T)
    assert found.overall == pytest.approx(accuracy_score(truth, mapped))
    both = {"labels": labels, "average": None}
    precision = precision_score(truth, mapped, zero_division=np.nan, **both)
    recall = recall_score(truth, mapped, zero_division=np.nan, **both)
    np.testing.assert_allclose(found.classes["user"], precision)
    np.testing.assert_allclose(found.classes["producer"], recall)
    np.testing.assert_allclose(found.classes["area"], [(truth == k).mean() for k in labels])
    assert found.kappa == pytest.approx(cohen_kappa_score(truth, mapped))


def test_intervals_hold_what_they_promise():
    rng = np.random.default_rng(0)
    areas = {"a": 900.0, "b": 100.0}
    n = {"a": 400, "b": 200}
    right = {"a": 0.95, "b": 0.8}
    overall, true_b = 0.95 * 0.9 + 0.8 * 0.1, 0.05 * 900 + 0.8 * 100
    held = []
    for _ in range(400):
        mapped = np.repeat(list(n), list(n.values()))
        good = rng.uniform(size=600) < np.array([right[k] for k in mapped])
        truth = np.where(good, mapped, np.where(mapped == "a", "b", "a"))
        found = assess(mapped, truth, areas=areas)
        row = found.classes.loc["b"]
        held.append(
            [
                abs(found.overall - overall) <= found.overall_margin,
                abs(row["area"] - true_b) <= row["area_margin"],
                abs(row["user"] - 0.8) <= row["user_margin"],
                abs(row["producer"] - 80 / true_b) <= row["producer_margin"],
            ]
        )
    assert (np.mean(held, axis=0) > 0.92).all()
    assert (np.mean(held, axis=0) < 0.98).all()


def test_the_producers_margins_are_those_of_samples_drawn_anew():
    rng = np.random.default_rng(0)
    weight = np.array(list(PIXELS.values())) / sum(PIXELS.values())
    drawn = []
    for _ in range(4000):
        rows = [rng.multinomial(row.sum(), row / row.sum()) for row in COUNTS]
        p = weight[:, None] * np.array(rows) / COUNTS.sum(axis=1, keepdims=True)
        drawn.append(p.diagonal() / p.sum(axis=0))
    margins = assess(*places(COUNTS, CLASSES), areas=PIXELS).classes["producer_margin"]
    # What Olofsson et al. print, 0.23 and 0.01, lies outside.
    np.testing.assert_allclose(1.96 * np.std(drawn, axis=0), margins, atol=0.02, rtol=0.05)
    assert 1.96 * np.std(drawn, axis=0)[3] > 0.015


def test_one_table_of_all_figures():
    found = assess(*places(COUNTS, CLASSES), areas=PIXELS)
    frame = found.to_frame()
    assert frame.index.tolist() == [*CLASSES, "overall"]
    pd.testing.assert_frame_equal(frame.iloc[:-1][found.classes.columns], found.classes)
    counts = frame[[f"truth: {name}" for name in CLASSES]]
    np.testing.assert_array_equal(counts.iloc[:-1], COUNTS)
    np.testing.assert_array_equal(counts.loc["overall"], COUNTS.sum(axis=0))
    whole = frame.loc["overall"]
    assert whole["user"] == whole["producer"] == found.overall
    assert whole["area"] == pytest.approx(sum(PIXELS.values()))
    assert whole["kappa"] == found.kappa
    assert "+-" in str(found)
    assert len(repr(found)) < 100


def test_a_table_for_a_paper():
    found = assess(["a_1"] * 3 + ["b"] * 2, ["a_1", "a_1", "b", "b", "c"])
    latex = found.to_latex(caption="Accuracy", label="tab:a")
    lines = latex.splitlines()
    assert lines[:4] == [r"\begin{table}", r"\centering", r"\caption{Accuracy}", r"\label{tab:a}"]
    assert r" & a\_1 & b & c & total & user's \\" in lines
    assert r"a\_1 & 2 & 1 & 0 & 3 & $0.67 \pm 0.65$ \\" in lines
    assert r"c & 0 & 0 & 0 & 0 & -- \\" in lines
    assert r"total & 2 & 2 & 1 & 5 &  \\" in lines
    assert latex.count(r"\begin") == latex.count(r"\end") == 2


def test_a_higher_confidence_is_wider():
    one, two = (assess(*places(COUNTS, CLASSES), confidence=c) for c in (0.5, 0.99))
    assert one.overall_margin < two.overall_margin
    assert one.overall == two.overall


def test_classes_of_one_side():
    found = assess(["a", "a", "a", "b"], ["a", "a", "c", "b"])
    assert found.classes.loc["c", "producer"] == 0
    assert np.isnan(found.classes.loc["c", "user"])
    assert np.isnan(found.classes.loc["b", "user_margin"])  # a single place
    assert found.classes.loc["c", "mapped_area"] == 0
    assert found.overall == 0.75


@pytest.mark.parametrize(
    ("given_", "message"),
    [
        ({"areas": {"a": 1, "b": 1, "d": 3}}, r"The map has \['d'\] and no labelled place"),
        ({"areas": {"a": 1}}, r"\['b'\] is mapped at labelled places and has no area"),
        ({"areas": {"a": 1, "b": -1}}, "finite and not negative"),
        ({"areas": [1, 2]}, "areas must be a dict or Series of class -> area, got list"),
        ({"confidence": 95}, "confidence must lie between 0 and 1, got 95"),
    ],
)
def test_impossible_wishes_are_named(given_, message):
    with pytest.raises(ValueError, match=message):
        assess(["a", "a", "b"], ["a", "b", "b"], **given_)


def test_no_places_and_uneven_lengths():
    with pytest.raises(ValueError, match="no place"):
        assess([], [])
    with pytest.raises(ValueError, match="inconsistent numbers"):
        assess(["a"], ["a", "b"])
    series = assess(["a", "b"], ["a", "b"], areas=pd.Series({"a": 2, "b": 1}))
    assert series.classes["area"].tolist() == pytest.approx([2, 1])
