"""Colours: apart for everybody, the same for a mineral in every map."""

import numpy as np
import pytest

from sklearn_capoz._colors import MINERALS, NO_DATA_COLOR, REJECTED_COLOR, perceived
from sklearn_capoz.datasets import CUPRITE_MINERALS
from sklearn_capoz.displays import class_colors, mineral_colors


def closest(colors):
    """Distance of the two most alike, in full colour vision and three kinds of blindness."""
    seen = perceived(colors)
    distances = np.linalg.norm(seen[:, :, None] - seen[:, None], axis=-1)
    return distances[:, ~np.eye(len(colors), dtype=bool)].min()


def test_class_colors_are_the_same_for_fewer_and_more_classes():
    many = class_colors(25)
    assert many.shape == (25, 3)
    assert many.dtype == np.uint8
    np.testing.assert_array_equal(class_colors(7), many[:7])
    assert class_colors(0).shape == (0, 3)
    with pytest.raises(ValueError, match="n_classes must be 0 or more, got -1"):
        class_colors(-1)


def test_callers_cannot_spoil_the_palette():
    class_colors(3)[:] = 0
    np.testing.assert_array_equal(class_colors(3)[0], [0, 114, 178])


@pytest.mark.parametrize("n_classes", [7, 16, 25])
def test_no_two_classes_look_alike_in_any_kind_of_colour_vision(n_classes):
    seen = perceived(class_colors(n_classes))
    distances = np.linalg.norm(seen[:, :, None] - seen[:, None], axis=-1)
    apart = distances[:, ~np.eye(n_classes, dtype=bool)]
    # For scale: in full colour vision, tab20's closest pair is 0.047 apart.
    assert apart.min() > 0.06


def test_perceived_greys_have_no_hue():
    lab = perceived([[0, 0, 0], [128, 128, 128], [255, 255, 255]])
    np.testing.assert_allclose(lab[..., 1:], 0, atol=1e-3)
    np.testing.assert_allclose(lab[:, [0, 2], 0], [[0, 1]] * 4, atol=1e-3)


def test_a_mineral_has_one_colour_whatever_else_is_in_the_map():
    seven = dict(zip(CUPRITE_MINERALS, mineral_colors(CUPRITE_MINERALS).tolist(), strict=True))
    for left_out in CUPRITE_MINERALS:
        names = [name for name in CUPRITE_MINERALS if name != left_out][::-1]
        assert mineral_colors(names).tolist() == [seven[name] for name in names]
    more = ["water", *CUPRITE_MINERALS, "Dickite"]
    assert mineral_colors(more).tolist()[1:-1] == list(seven.values())
    assert mineral_colors([" ALUNITE "]).tolist() == [seven["Alunite"]]


def test_rejected_and_no_data_have_their_own():
    found = mineral_colors(["no data", "Alunite", "rejected", "unknown", "Unclassified"])
    assert found[[0, 4]].tolist() == [list(NO_DATA_COLOR)] * 2
    assert found[[2, 3]].tolist() == [list(REJECTED_COLOR)] * 2


@pytest.mark.parametrize(("n_minerals", "apart"), [(7, 0.075), (16, 0.07), (24, 0.07), (49, 0.04)])
def test_minerals_of_the_table_are_apart_for_everybody(n_minerals, apart):
    """As far as colours are: of those that come first in the table, further than of all."""
    colors = mineral_colors([*list(MINERALS)[:n_minerals], "rejected", "no data"])
    assert closest(colors) > apart


def test_other_names_draw_a_colour_that_stays_and_is_no_other_classs():
    names = [f"class {i}" for i in range(16)]
    colors = mineral_colors(names)
    assert closest(colors) > 0.05
    assert mineral_colors(names[::-1])[::-1].tolist() == colors.tolist()
    # Alone, a name has the colour of its own order: most keep it beside fifteen others.
    alone = np.vstack([mineral_colors([name]) for name in names])
    assert (alone == colors).all(axis=1).sum() >= 8
    assert closest(mineral_colors([*CUPRITE_MINERALS, "water", "soil", "shade"])) > 0.05


def test_hundreds_of_classes_still_have_their_own():
    assert len(np.unique(mineral_colors(range(400)), axis=0)) == 400
    assert mineral_colors([]).shape == (0, 3)


def test_colours_of_the_user_come_first_and_no_other_class_takes_them():
    alunite, calcite = mineral_colors(["Alunite", "Calcite"])
    own = {"calcite": tuple(alunite), "absent": "#123456", "rejected": "FF00FF"}
    found = mineral_colors(["Alunite", "Calcite", "rejected"], own)
    assert found[1].tolist() == alunite.tolist()
    assert found[2].tolist() == [255, 0, 255]
    assert closest(found) > 0.05
    assert mineral_colors(["Alunite"], {"Alunite": calcite}).tolist() == [calcite.tolist()]


def test_colours_without_names_are_refused():
    with pytest.raises(TypeError, match=r"colors must give each name a colour"):
        mineral_colors(["Calcite"], ["#d55e00"])


@pytest.mark.parametrize("color", ["red", "#12345", "#12345g", (1, 2), (1, 2, 256), (0.1, 0, 1), 7])
def test_what_is_no_colour(color):
    with pytest.raises(ValueError, match=r"colors must give 'Alunite' a colour such as '#d55e00'"):
        mineral_colors(["Calcite"], {"Alunite": color})
