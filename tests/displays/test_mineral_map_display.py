from dataclasses import replace

import matplotlib.pyplot as plt
import numpy as np
import pytest
from sklearn.dummy import DummyClassifier
from sklearn.neighbors import KNeighborsClassifier

from sklearn_capoz.displays import MineralMapDisplay, mineral_colors
from sklearn_capoz.scenes import predict_scene, read_class_map

NAMES = ["Alunite", "Calcite", "Kaolinite"]


def legend_texts(display):
    return [text.get_text() for text in display.legend_.get_texts()]


def test_a_map_is_painted_in_the_class_colours():
    display = MineralMapDisplay([[0, 2], [2, -1]], NAMES).plot()
    picture = display.images_[0].get_array()
    colors = mineral_colors(NAMES)
    np.testing.assert_array_equal(picture[0, 0], colors[0])
    np.testing.assert_array_equal(picture[1, 0], colors[2])
    np.testing.assert_array_equal(picture[1, 1], [255] * 3)
    assert legend_texts(display) == ["Alunite (33.3%)", "Kaolinite (66.7%)", "no class"]
    assert display.axes_[0].get_xlabel() == "column / pixels"
    assert display.axes_[0].get_ylabel() == "row / pixels"


def test_before_after_and_where_they_differ():
    display = MineralMapDisplay([[0, 0], [2, 2]], NAMES, before=[[0, 1], [2, 2]]).plot()
    assert display.differs.tolist() == [[False, True], [False, False]]
    titles = [axes.get_title() for axes in display.axes_]
    assert titles == ["before", "after", "25.00% of the pixels differ"]
    assert display.images_[2].get_array()[..., 0].tolist() == [[235, 0], [235, 235]]
    # A class that pruning lost is still explained.
    assert legend_texts(display) == ["Alunite (50.0%)", "Calcite (0.0%)", "Kaolinite (50.0%)"]


def test_from_predictions_takes_names_classes_and_mask():
    y_map = np.array([["Calcite", "Alunite"], ["Calcite", "water"]])
    mask = np.array([[True, True], [False, True]])
    display = MineralMapDisplay.from_predictions(y_map, classes=NAMES[::-1], mask=mask)
    assert display.labels.tolist() == [[1, 2], [-1, -1]]
    found = MineralMapDisplay.from_predictions(y_map, mask=mask)
    assert found.class_names == ["Alunite", "Calcite", "water"]
    assert found.labels.tolist() == [[1, 0], [-1, 2]]


def test_from_estimator_leaves_out_pixels_without_data():
    cube = np.array([[[0.0], [1.0]], [[np.nan], [1.1]]])
    classifier = KNeighborsClassifier(1).fit([[0.0], [1.0]], ["Calcite", "Kaolinite"])
    constant = DummyClassifier(strategy="constant", constant="Calcite")
    constant.fit([[0.0], [1.0]], ["Calcite", "Kaolinite"])
    display = MineralMapDisplay.from_estimator(classifier, cube, before=constant)
    assert display.labels.tolist() == [[0, 1], [-1, 1]]
    assert display.before.tolist() == [[0, 0], [-1, 0]]
    assert display.differs.tolist() == [[False, True], [False, True]]


@pytest.fixture
def mapped(tmp_path):
    """Map a scene of four pixels, one without data, in memory and into both kinds of files."""
    cube = np.array([[[0.1], [1.0]], [[np.nan], [0.2]]])
    classifier = KNeighborsClassifier(1).fit([[0.1], [1.0]], ["Calcite", "Kaolinite"])

    def run(output=None, **settings):
        output = output and tmp_path / output
        found = predict_scene(classifier, cube, output=output, scale=1, **settings)
        return found, output

    return run


@pytest.mark.parametrize("file", [None, "map.tif", "map.hdr"])
def test_from_map_takes_what_predict_scene_gives(mapped, file):
    if file:
        pytest.importorskip("rasterio" if file.endswith("tif") else "spectral")
    found, path = mapped(file)
    for source in [found] if path is None else [found, path]:
        display = MineralMapDisplay.from_map(source)
        assert display.labels.tolist() == [[0, 1], [-1, 0]]
        assert display.class_names == ["Calcite", "Kaolinite"]
        np.testing.assert_array_equal(display.colors, found.class_colors[1:])


def test_a_map_keeps_its_colours_and_the_users_come_before_them(mapped):
    found, _ = mapped(colors={"Calcite": "#010203"})
    assert found.class_colors[1] == (1, 2, 3)
    assert MineralMapDisplay.from_map(found).colors[0].tolist() == [1, 2, 3]
    display = MineralMapDisplay.from_map(found, before=found, colors={"Calcite": "#040506"})
    assert display.colors[0].tolist() == [4, 5, 6]
    assert not display.differs.any()


def test_classes_that_a_file_leaves_black_have_the_colour_of_their_name(mapped):
    found, _ = mapped()
    other = replace(found, class_colors=((9, 9, 9), (0, 0, 0), (1, 2, 3)))
    expected = [mineral_colors(["Calcite"])[0].tolist(), [1, 2, 3]]
    assert MineralMapDisplay.from_map(other).colors.tolist() == expected
    plain = replace(read_class_map(found), class_colors=None)
    assert MineralMapDisplay.from_map(plain).colors.tolist() == mineral_colors(NAMES[1:]).tolist()


def test_maps_of_other_classes_are_not_compared(mapped):
    found, _ = mapped()
    other, _ = mapped(reject_below=0.9)
    with pytest.raises(ValueError, match="the two maps must have the same classes"):
        MineralMapDisplay.from_map(found, before=other)


def test_a_legend_of_25_classes_stays_readable(assert_apart):
    labels = np.arange(600).reshape(20, 30) % 25
    names = [f"mineral with a long name {i}" for i in range(25)]
    display = MineralMapDisplay(labels, names).plot()
    texts = display.legend_.get_texts()
    assert len(texts) == 25
    assert_apart(texts)
    assert_apart([display.legend_, display.axes_[0].patch])
    box = display.legend_.get_window_extent()
    page = display.figure_.bbox
    assert page.x0 <= box.x0 <= box.x1 <= page.x1
    assert page.y0 <= box.y0 <= box.y1 <= page.y1


def test_plot_divides_given_axes():
    figure, (ax, _) = plt.subplots(1, 2)
    size = figure.get_size_inches().tolist()
    display = MineralMapDisplay([[0]], NAMES, before=[[1]]).plot(ax)
    assert display.figure_ is figure
    assert len(display.axes_) == 3
    assert figure.get_size_inches().tolist() == size


@pytest.mark.parametrize(("labels", "before", "message"), [
    ([[0.5]], None, r"labels must be a map .* got shape \(1, 1\) of float64"),
    ([0, 1], None, r"got shape \(2,\)"),
    ([[0, 3]], None, r"holds indices 0 to 3; with 3 class names they must be -1 \(no class\) to 2"),
    ([[0, 1]], [[0], [1]], r"their shapes are \(1, 2\) and \(2, 1\)"),
])  # fmt: skip
def test_errors(labels, before, message):
    with pytest.raises(ValueError, match=message):
        MineralMapDisplay(labels, NAMES, before=before)


@pytest.mark.parametrize(("cube", "message"), [
    (np.ones((2, 2)), r"cube must be \(n_rows, n_columns, n_features\), got \(2, 2\)"),
    (np.full((2, 2, 1), np.nan), "there is nothing to classify"),
])  # fmt: skip
def test_cube_errors(cube, message):
    classifier = KNeighborsClassifier(1).fit([[0.0], [1.0]], [0, 1])
    with pytest.raises(ValueError, match=message):
        MineralMapDisplay.from_estimator(classifier, cube)


def test_names_that_a_header_spells_otherwise_are_the_same():
    from sklearn_capoz.scenes import ClassMap

    codes = np.array([[1, 2], [0, 1]], dtype="uint8")
    tiff, header = (ClassMap(codes, ("no data", name, "Opal")) for name in ("Calc, x", "Calc; x"))
    display = MineralMapDisplay.from_map(tiff, before=header)
    assert display.class_names == ["Calc, x", "Opal"]
    assert not display.differs.any()
