"""Truth as polygons, points and rasters: the pixels that are meant, and what is refused."""

import warnings

import numpy as np
import pandas as pd
import pytest

from sklearn_capoz.exceptions import DataFormatError
from sklearn_capoz.scenes import ClassMap, _places, assess
from sklearn_capoz.scenes._grid import Grid
from sklearn_capoz.scenes._truth import read_names, read_truth

geopandas = pytest.importorskip("geopandas")
pytest.importorskip("pyogrio")
rasterio = pytest.importorskip("rasterio")
shapely = pytest.importorskip("shapely")

UTM = rasterio.crs.CRS.from_epsg(32611).to_wkt()

#: 6 rows and 8 columns of 20 m; x from 500000 to 500160, y from 4000000 down to 3999880.
GRID = Grid((6, 8), UTM, (20.0, 0.0, 500000.0, 0.0, -20.0, 4000000.0))

NAMES = ("no data", "alunite", "calcite", "rejected")
CODES = np.ones((6, 8), dtype="uint8")
CODES[:, 4:] = 2
MAP = ClassMap(CODES, NAMES, None, (3,), GRID.crs, GRID.transform)


def box(rows, columns, *, inset=4):
    """Return a polygon around these pixels, a little smaller than they are."""
    (top, bottom), (left, right) = rows, columns
    x0, x1 = 500000 + 20 * left + inset, 500000 + 20 * (right + 1) - inset
    y0, y1 = 4000000 - 20 * (bottom + 1) + inset, 4000000 - 20 * top - inset
    return shapely.box(x0, y0, x1, y1)


def frame(*pairs, crs=UTM, **columns):
    labels, geometry = zip(*pairs, strict=True)
    return geopandas.GeoDataFrame({"mineral": labels, **columns}, geometry=list(geometry), crs=crs)


TWO = frame(("alunite", box((1, 2), (0, 1))), ("calcite", box((3, 3), (3, 7))))


def cells(places):
    return sorted(zip(places.rows.tolist(), places.columns.tolist(), places.labels, strict=True))


PIXELS = [(r, c, "alunite") for r in (1, 2) for c in (0, 1)]
PIXELS += [(3, c, "calcite") for c in range(3, 8)]


@pytest.mark.parametrize("suffix", [".geojson", ".shp", ".gpkg"])
def test_polygons_of_every_kind_of_file_mean_the_same_pixels(tmp_path, suffix):
    path = tmp_path / f"regions{suffix}"
    # GeoJSON is in degrees: read back it has to be brought to the map.
    (TWO.to_crs("EPSG:4326") if suffix == ".geojson" else TWO).to_file(path)
    places = read_truth(path, GRID, label="mineral")
    assert cells(places) == PIXELS
    assert places.polygons.tolist() == [0] * 4 + [1] * 5
    brought = [note for note in places.notes if "was brought from WGS 84" in note]
    assert len(brought) == (suffix == ".geojson")


def test_a_geopackage_of_several_layers(tmp_path):
    path = tmp_path / "survey.gpkg"
    TWO.to_file(path, layer="minerals")
    TWO.rename(columns={"mineral": "road"}).to_file(path, layer="roads")
    assert cells(read_truth(path, GRID, label="mineral")) == PIXELS
    TWO.to_file(path, layer="more")
    with pytest.raises(DataFormatError, match=r"has 2 layers .* column 'mineral': minerals, more"):
        read_truth(path, GRID, label="mineral")


def test_parts_of_a_feature_are_regions_of_their_own():
    both = shapely.MultiPolygon([box((0, 0), (0, 0)), box((5, 5), (7, 7))])
    places = read_truth(frame(("alunite", both)), GRID, label="mineral")
    assert cells(places) == [(0, 0, "alunite"), (5, 7, "alunite")]
    assert len(set(places.polygons.tolist())) == 2


def test_holes_and_parts_outside_of_the_map():
    ring = box((0, 4), (0, 4)).difference(box((1, 3), (1, 3), inset=-4))
    assert len(read_truth(frame(("alunite", ring)), GRID, label="mineral")) == 16
    beyond = frame(("alunite", box((-5, 0), (-9, 0))))
    assert cells(read_truth(beyond, GRID, label="mineral")) == [(0, 0, "alunite")]


def test_a_turned_grid():
    angle = np.deg2rad(30)
    a, b = 20 * np.cos(angle), 20 * np.sin(angle)
    turned = Grid((6, 8), UTM, (a, b, 5e5, b, -a, 4e6))
    x, y = a * 3.5 + b * 2.5 + 5e5, b * 3.5 - a * 2.5 + 4e6  # centre of row 2, column 3
    spot = shapely.Point(x, y).buffer(9)
    assert cells(read_truth(frame(("alunite", spot)), turned, label="mineral")) == [
        (2, 3, "alunite")
    ]


def test_points_by_row_by_coordinates_and_by_degrees(tmp_path):
    rows, columns = np.array([0, 3, 5]), np.array([0, 4, 7])
    x, y = 500000 + 20 * columns + 3, 4000000 - 20 * rows - 3
    labels = ["alunite", "calcite", "calcite"]
    geometry = geopandas.points_from_xy(x, y, crs=UTM)
    degrees = geometry.to_crs("EPSG:4326")
    wanted = list(zip(rows.tolist(), columns.tolist(), labels, strict=True))
    tables = [
        {"row": rows, "column": columns},
        {"X": x, "Y": y},
        {"lon": degrees.x, "lat": degrees.y},
        {"Longitude": degrees.x, "Latitude": degrees.y},
    ]
    for table in tables:
        table = pd.DataFrame(table | {"mineral": labels})
        table.to_csv(tmp_path / "points.csv", index=False)
        for truth in (table, tmp_path / "points.csv"):
            assert cells(read_truth(truth, GRID, label="mineral")) == wanted
    points = geopandas.GeoDataFrame({"mineral": labels}, geometry=degrees)
    assert cells(read_truth(points, GRID, label="mineral")) == wanted
    zone_12 = geometry.to_crs("EPSG:32612")
    table = pd.DataFrame({"x": zone_12.x, "y": zone_12.y, "mineral": labels})
    assert cells(read_truth(table, GRID, label="mineral", crs="EPSG:32612")) == wanted
    # Without it they are taken for those of the map, which they are not.
    with pytest.raises(DataFormatError, match=r"does not overlap the map: in the coordinates of"):
        read_truth(table, GRID, label="mineral")


def test_some_points_outside_are_left_out():
    table = pd.DataFrame({"x": [500001, 0], "y": [3999999, 0], "mineral": ["alunite", "calcite"]})
    places = read_truth(table, GRID, label="mineral")
    assert cells(places) == [(0, 0, "alunite")]
    assert places.notes == ("left out: 1 points that lie outside of the map",)


def test_pixels_with_two_names_are_left_out():
    truth = frame(
        ("alunite", box((0, 1), (0, 1))), ("calcite", box((1, 2), (0, 1))),
        ("calcite", box((2, 2), (0, 0))),
    )  # fmt: skip
    with pytest.warns(UserWarning, match=r"2 pixels lie .* number 1 \(alunite\) and 2 \(calcite\)"):
        places = read_truth(truth, GRID, label="mineral")
    assert cells(places) == [(0, 0, "alunite"), (0, 1, "alunite"), (2, 0, "calcite"),
                             (2, 1, "calcite")]  # fmt: skip


def test_polygons_smaller_than_a_pixel_are_named():
    corner = shapely.box(500001, 3999998, 500002, 3999999)
    with pytest.warns(UserWarning, match=r"1 of 2 polygons of the truth \(numbers 1, counted"):
        places = read_truth(
            frame(("alunite", corner), ("calcite", box((0, 0), (0, 0)))), GRID, label="mineral"
        )
    assert cells(places) == [(0, 0, "calcite")]
    with pytest.raises(DataFormatError, match="no polygon of the truth holds the centre of a"):
        read_truth(frame(("alunite", corner)), GRID, label="mineral")


BOW_TIE = shapely.Polygon([(500000, 3999900), (500100, 4e6), (500100, 3999900), (500000, 4e6)])


@pytest.mark.parametrize(
    ("truth", "message"),
    [
        (frame(("alunite", TWO.geometry[0]), ("calcite", BOW_TIE)),
         r"1 of 2 polygons cross .* number 2 \(calcite\): Self-intersection.*make_valid\(\)"),
        (TWO.set_crs(None, allow_override=True),
         r"the truth does not say its coordinate system, and the map does: .* as crs"),
        (TWO.set_geometry(TWO.translate(1e5, 0)),
         r"does not overlap the map: in .* spans x 600004 to 600156, .* 500000 to 500160"),
        (TWO.rename(columns={"mineral": "name"}), r"no column 'mineral'; it has name\. Name the"),
        (frame((None, TWO.geometry[0])), r"1 of 1 features have no mineral \(numbers 1, counted"),
        (TWO.iloc[:0], "the truth has no polygon and no point"),
        (TWO.iloc[:0][["geometry"]], "the truth has no polygon and no point"),
        (frame(("alunite", TWO.geometry[0].exterior)), "holds LinearRing; all its features must"),
        (pd.DataFrame({"row": [0], "column": [0]}), "has no column 'mineral'; it has row, column"),
        (pd.DataFrame({"row": [9], "column": [0], "mineral": ["a"]}), "a row that is no whole"),
        (pd.DataFrame({"x": ["a"], "y": [0], "mineral": ["a"]}), "have a x that is no number"),
        (pd.DataFrame({"x": [0], "mineral": ["a"]}), "has no column 'row' and 'column'; it has x"),
        (ClassMap(np.zeros((6, 8), "uint8")), "says of no pixel what it is"),
        (ClassMap(np.zeros((6, 9), "uint8")), "has 6 x 9 pixels and the map 6 x 8 pixels"),
    ],
)  # fmt: skip
def test_truths_that_are_none(truth, message):
    with pytest.raises(DataFormatError, match=message):
        read_truth(truth, GRID, label="mineral")


def test_a_map_without_coordinates():
    lost = Grid((6, 8), None, GRID.transform, "map.tif")
    with pytest.raises(DataFormatError, match=r"map\.tif does not say its coordinate system, and"):
        read_truth(TWO, lost, label="mineral")
    # Where neither says it, both may be of the same one.
    bare = TWO.set_crs(None, allow_override=True)
    assert cells(read_truth(bare, lost, label="mineral")) == PIXELS
    with pytest.raises(DataFormatError, match=r"lies at coordinates, and map\.tif has none: give"):
        read_truth(TWO, Grid((6, 8), None, None, "map.tif"), label="mineral")
    with pytest.raises(DataFormatError, match="'nowhere' is no coordinate system"):
        read_truth(TWO, GRID, label="mineral", crs="nowhere")


def test_files_are_what_their_names_say(tmp_path):
    path = tmp_path / "regions.geojson"
    path.write_text("<OGRVRTDataSource></OGRVRTDataSource>")
    with pytest.raises(DataFormatError, match=r"regions\.geojson is no GeoJSON, as its name says"):
        read_truth(path, GRID, label="mineral")
    path.write_text("{}")
    with pytest.raises(DataFormatError, match="cannot be read as GeoJSON"):
        read_truth(path, GRID, label="mineral")
    with pytest.raises(FileNotFoundError, match=r"no file .*none\.shp"):
        read_truth(tmp_path / "none.shp", GRID, label="mineral")
    with pytest.raises(TypeError, match=r"truth must be a path, .* got builtins\.list"):
        read_truth([1], GRID, label="mineral")


@pytest.mark.parametrize(
    ("values", "texts"),
    [
        (pd.Series([3.0, 1234567.0]), ["1234567", "3"]),
        (pd.Series([3, 4], dtype="Int64"), ["3", "4"]),
        (pd.Series([" a ", "b"], dtype="category"), ["a", "b"]),
        (pd.Series([2.5, 3.0]), ["2.5", "3"]),
    ],
)
def test_labels_of_any_kind(values, texts):
    table = pd.DataFrame({"row": [0, 1], "column": [0, 1], "mineral": values})
    assert read_truth(table, GRID, label="mineral").classes.tolist() == texts
    polygons = TWO.assign(mineral=values)
    assert read_truth(polygons, GRID, label="mineral").classes.tolist() == texts
    gap = table.assign(mineral=values.where([True, False]))
    with pytest.raises(DataFormatError, match="1 of 2 points have no mineral"):
        read_truth(gap, GRID, label="mineral")


def test_polygons_with_heights():
    high = shapely.force_3d(TWO.geometry[0], 1200.0)
    assert len(read_truth(frame(("alunite", high)), GRID, label="mineral")) == 4


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a,b\n", "must begin with the line old,new"),
        ("", "is empty: it needs the line old,new"),
        ("old,new\na,b\na,c\n", "line 3 names nothing, or 'a' once more"),
        ("old,new\n,b\n", "line 2 names nothing"),
    ],
)
def test_tables_of_names_that_are_none(tmp_path, text, message):
    (tmp_path / "names.csv").write_text(text)
    with pytest.raises(DataFormatError, match=message):
        read_names(tmp_path / "names.csv")


def test_a_map_is_assessed_by_polygons():
    found = assess(MAP, TWO, label="mineral")
    assert found.counts.to_numpy().tolist() == [[4, 1], [0, 4]]
    assert found.area_unit == "ha"
    np.testing.assert_allclose(found.classes["mapped_area"], [24 * 0.04, 24 * 0.04])
    areas = assess(MAP, TWO, label="mineral", areas={"alunite": 1, "calcite": 3})
    assert areas.classes["mapped_area"].tolist() == [1, 3]
    assert areas.area_unit == ""
    unplaced = ClassMap(CODES, NAMES)
    table = pd.DataFrame({"row": [0, 0], "column": [0, 5], "label": ["alunite", "calcite"]})
    assert assess(unplaced, table).area_unit == "pixels"


def test_places_near_to_training_regions_are_told_apart():
    trained = frame(("alunite", box((1, 1), (0, 1))))
    # Row 3 is two pixels away, and within 4 up to column 5; column 3 is mapped wrong.
    message = r"of 9 places, 2 were trained on and 5 more touch .* there 0\.857 are right, at the "
    with pytest.warns(UserWarning, match=rf"{message}2 others 1\.000: believe the latter"):
        assess(MAP, TWO, label="mineral", training=trained, training_distance=4)
    with pytest.warns(UserWarning, match="no place is farther away"):
        assess(MAP, TWO, label="mineral", training=trained)
    far = frame(("alunite", box((5, 5), (0, 0))))
    assess(MAP, TWO, label="mineral", training=far, training_distance=1)  # no warning


def test_no_place_where_the_map_has_data():
    empty = ClassMap(CODES * 0, NAMES, None, (3,), GRID.crs, GRID.transform)
    with pytest.raises(ValueError, match="no labelled place of the truth lies where the map has"):
        assess(empty, TWO, label="mineral")


def test_without_geopandas_the_error_says_what_to_install(monkeypatch, tmp_path):
    TWO.to_file(tmp_path / "regions.gpkg")
    monkeypatch.setitem(__import__("sys").modules, "geopandas", None)
    with pytest.raises(ImportError, match=r"pip install 'sklearn-capoz\[regions\]'"):
        read_truth(tmp_path / "regions.gpkg", GRID, label="mineral")


def test_a_map_is_not_its_own_truth():
    for truth in (MAP, ClassMap(CODES + (CODES > 0), ("none", "none", *NAMES[1:]))):
        with pytest.raises(ValueError, match=r"all 48 classified pixels .* it is the map itself"):
            assess(MAP, truth)
    other = CODES.copy()
    other[0, 0] = 0
    assert assess(MAP, ClassMap(other, NAMES)).overall == 1


def test_a_raster_is_compared_a_few_rows_at_a_time(monkeypatch):
    truth = CODES.copy()
    truth[2:4, 3] = 3 - truth[2:4, 3]
    truth[5] = 0
    whole = assess(MAP, ClassMap(truth, NAMES))
    training = ClassMap(np.where(np.arange(6)[:, None] == 0, CODES, 0), NAMES)
    near = (
        r"of 40 places, 8 were trained on and 16 more .* there 0\.958 are right, at the 16 others"
    )
    for most in (1_000_000, 1):
        monkeypatch.setattr(_places, "PIECE_PIXELS", most)
        found = assess(MAP, ClassMap(truth, NAMES))
        assert found.counts.equals(whole.counts)
        assert found.counts.to_numpy().sum() == 40
        with pytest.warns(UserWarning, match=near):
            assess(MAP, ClassMap(truth, NAMES), training=training, training_distance=2)


def test_a_column_whose_name_a_shapefile_cut_is_found_by_its_whole_name(tmp_path):
    named = TWO.rename(columns={"mineral": "Größte Phase"})
    for encoding, column in (("utf-8", "Größte P"), ("latin1", "Größte Pha")):
        path = tmp_path / f"{encoding}.shp"
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # geopandas and GDAL say that they cut it
            named.to_file(path, encoding=encoding)
        assert column in geopandas.read_file(path).columns
        assert cells(read_truth(path, GRID, label="Größte Phase")) == PIXELS


def test_rotated_maps_umlauts_and_other_systems(tmp_path):
    folder = tmp_path / "Gelände Öst"
    folder.mkdir()
    along, across = 20 * np.cos(np.pi / 6), 20 * np.sin(np.pi / 6)
    grid = Grid((6, 8), UTM, (along, across, 5e5, across, -along, 4e6))
    around = ((0.9, 2.1), (3.1, 2.1), (3.1, 3.9), (0.9, 3.9))
    corners = [(5e5 + along * c + across * r, 4e6 + across * c - along * r) for c, r in around]
    frame = geopandas.GeoDataFrame(
        {"Mineral Ü": ["Kalk, weiß"]}, geometry=[shapely.Polygon(corners)], crs=UTM
    )
    expected = [(r, c, "Kalk, weiß") for r in (2, 3) for c in (1, 2)]
    for crs in ("EPSG:32611", "EPSG:3857"):
        for suffix, options in ((".gpkg", {}), (".shp", {"encoding": "utf-8"})):
            path = folder / f"Flächen {crs[5:]}{suffix}"
            frame.to_crs(crs).to_file(path, **options)
            assert cells(read_truth(path, grid, label="Mineral Ü")) == expected


def test_two_layers_are_told_once(tmp_path):
    for layer in ("one", "two"):
        TWO.to_file(tmp_path / "r.gpkg", layer=layer)
    with pytest.raises(DataFormatError, match=r"^\S*r\.gpkg has 2 layers with a geometry and a"):
        read_truth(tmp_path / "r.gpkg", GRID, label="mineral")
