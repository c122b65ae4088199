"""Class maps of ours and of other programs: the same codes, names, colours and places."""

import numpy as np
import pytest

from sklearn_capoz.displays import mineral_colors
from sklearn_capoz.exceptions import DataFormatError
from sklearn_capoz.scenes import ClassMap, predict_scene, read_class_map

rasterio = pytest.importorskip("rasterio")

CODES = np.array([[0, 1, 2], [2, 2, 3]], dtype="uint8")


def write_tiff(path, codes, *, aux=None, colormap=None, **settings):
    settings = {"driver": "GTiff", "height": codes.shape[0], "width": codes.shape[1], "count": 1,
                "dtype": codes.dtype, "crs": "EPSG:32611",
                "transform": rasterio.Affine(20, 0, 5e5, 0, -20, 4e6), **settings}  # fmt: skip
    with rasterio.open(path, "w", **settings) as dataset:
        dataset.write(codes, 1)
        if colormap:
            dataset.write_colormap(1, colormap)
    if aux:
        text = f"<PAMDataset><PAMRasterBand band='1'>{aux}</PAMRasterBand></PAMDataset>"
        path.with_name(f"{path.name}.aux.xml").write_text(text)
    return path


def categories(*names):
    listed = "".join(f"<Category>{name}</Category>" for name in names)
    return f"<CategoryNames>{listed}</CategoryNames>"


def attribute_table(*rows):
    """Value, name, red, green, blue, as GDAL writes them."""
    usages = (5, 2, 6, 7, 8)
    columns = "".join(f"<FieldDefn><Usage>{usage}</Usage></FieldDefn>" for usage in usages)
    lines = "".join("<Row>" + "".join(f"<F>{v}</F>" for v in row) + "</Row>" for row in rows)
    return f"<GDALRasterAttributeTable>{columns}{lines}</GDALRasterAttributeTable>"


@pytest.mark.parametrize("name", ["map.tif", "map.hdr", None])
@pytest.mark.parametrize("reject", [None, 0.99999])
def test_every_map_of_ours_reads_the_same(tmp_path, write_envi, scene_model, name, reject):
    place = ["UTM", 1, 1, 500000, 4000000, 20, 20, 11, "North", "WGS-84"]
    path = write_envi(**{"map info": place})
    output = None if name is None else tmp_path / name
    found = predict_scene(scene_model, path, output=output, reject_below=reject)
    in_memory = predict_scene(scene_model, path, reject_below=reject)
    readings = [read_class_map(found)] + ([read_class_map(output)] if name else [])
    for read in readings:
        np.testing.assert_array_equal(read.codes, in_memory.codes)
        assert read.codes.dtype == np.uint8
        assert read.class_names == found.class_names
        assert read.class_colors == found.class_colors
        assert read.class_colors[1] == tuple(mineral_colors(found.class_names)[1].tolist())
        assert read.rejected == (() if reject is None else (len(found.class_names) - 1,))
        assert read.transform == (20, 0, 500000, 0, -20, 4000000)
        assert rasterio.crs.CRS.from_wkt(read.crs).to_epsg() == 32611
        counts = dict(zip(found.class_names, found.counts.tolist(), strict=True))
        assert read.areas == {k: v for k, v in counts.items() if v and k != "no data"}
    assert read_class_map(readings[0]) is readings[0]
    assert "34 x 26 pixels" in repr(readings[0])


def test_names_and_colours_of_an_attribute_table_with_gaps(tmp_path):
    table = attribute_table((10, "alunite", 1, 2, 3), (30, "calcite", 4, 5, 6))
    codes = np.array([[10, 30]], "uint8")
    read = read_class_map(write_tiff(tmp_path / "map.tif", codes, aux=table))
    assert (read.class_names[10], read.class_names[30]) == ("alunite", "calcite")
    assert (read.class_colors[10], read.class_colors[30]) == ((1, 2, 3), (4, 5, 6))
    assert read.areas == {"alunite": 1, "calcite": 1}


def test_without_names_codes_and_colours_are_all_there_is(tmp_path):
    colormap = {0: (0, 0, 0), 1: (9, 8, 7)}
    read = read_class_map(write_tiff(tmp_path / "map.tif", CODES, colormap=colormap))
    assert read.class_names is None
    assert read.class_colors[1] == (9, 8, 7)
    with pytest.raises(DataFormatError, match=r"map.tif does not say .*map.tif.aux.xml beside it"):
        read.named()
    assert read_class_map(write_tiff(tmp_path / "plain.tif", CODES)).class_colors is None


def test_colours_are_those_of_every_class_or_none(tmp_path):
    table = attribute_table((0, "none", 0, 0, 0), (1, "alunite", 1, 2, 3))
    names = categories("none", "alunite", "calcite", "opal")
    read = read_class_map(write_tiff(tmp_path / "few.tif", CODES, aux=names + table))
    assert read.class_colors is None
    colormap = {code: (code, 0, 0) for code in range(256)}
    read = read_class_map(write_tiff(tmp_path / "all.tif", CODES, aux=names, colormap=colormap))
    assert read.class_colors == ((0, 0, 0), (1, 0, 0), (2, 0, 0), (3, 0, 0))


def test_a_no_data_value_other_than_0_frees_code_0_for_a_class(tmp_path):
    codes = np.array([[0, 1, 255]], "uint8")
    names = categories("alunite", "calcite")
    read = read_class_map(write_tiff(tmp_path / "a.tif", codes, aux=names, nodata=255))
    assert read.codes.tolist() == [[1, 2, 0]]
    assert read.class_names == ("no data", "alunite", "calcite")
    # A name that says nothing stays what it is.
    names = categories("Unclassified", "calcite")
    read = read_class_map(write_tiff(tmp_path / "b.tif", codes, aux=names, nodata=255))
    assert read.codes.tolist() == [[0, 1, 0]]
    minus = write_tiff(tmp_path / "c.tif", np.array([[-9999, 1]], "int16"), nodata=-9999)
    assert read_class_map(minus).codes.tolist() == [[0, 1]]


def test_a_mask_hides_codes(tmp_path):
    path = write_tiff(tmp_path / "map.tif", CODES, aux=categories("none", "a", "b", "c"))
    with rasterio.open(path, "r+") as dataset:
        dataset.write_mask(np.array([[1, 1, 0], [1, 1, 1]], bool))
    assert read_class_map(path).codes.tolist() == [[0, 1, 0], [2, 2, 3]]


@pytest.mark.parametrize(
    ("codes", "settings", "message"),
    [
        (CODES, {"aux": categories("none", "a")}, "holds the code 3, and names 2 classes"),
        (CODES - 0.5, {}, "must hold class codes, whole numbers from 0 to 65535"),
        (np.array([[-1.0]]), {}, "must hold class codes, whole numbers"),
        (np.array([[np.nan]]), {}, "must hold class codes, whole numbers"),
        (np.array([[70000]], "int32"), {}, "must hold class codes, whole numbers"),
        (CODES, {"aux": "<CategoryNames>"}, "which names the classes, is damaged"),
        (CODES, {"aux": attribute_table(("inf", "a", 0, 0, 0))}, "names the classes, is damaged"),
    ],
)
def test_files_that_are_no_class_maps(tmp_path, codes, settings, message):
    with pytest.raises(DataFormatError, match=message):
        read_class_map(write_tiff(tmp_path / "map.tif", codes, **settings))


def test_other_objects_are_refused():
    with pytest.raises(TypeError, match=r"path, a SceneMap or a ClassMap, got builtins\.list"):
        read_class_map([[1]])
    assert ClassMap(CODES).shape == (2, 3)


def test_codes_of_one_name_count_together():
    codes = np.array([[1, 2, 2], [3, 0, 3]], dtype=np.uint8)
    found = ClassMap(codes, ("no data", "masked", "masked", "calcite"))
    assert found.areas == {"masked": 3, "calcite": 2}
