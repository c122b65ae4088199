"""GeoTIFFs and virtual rasters as people have them: parts, pieces, masks and control points."""

import numpy as np
import pytest

from sklearn_capoz.deploy import predict_scene
from sklearn_capoz.exceptions import DataFormatError
from sklearn_capoz.scenes._open import open_source
from sklearn_capoz.scenes._raster import RasterSource, open_raster
from sklearn_capoz.scenes._run import _tasks
from sklearn_capoz.scenes._scratch import Scratch
from sklearn_capoz.scenes._vrt import DEPTH, check_parts

rasterio = pytest.importorskip("rasterio")
pytest.importorskip("spectral")

pytestmark = [
    pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning"),
    pytest.mark.filterwarnings("ignore:bands were matched by position"),
]

VRT = '<VRTDataset rasterXSize="26" rasterYSize="34">{}</VRTDataset>'

BAND = (
    '<VRTRasterBand dataType="Float32" band="{0}">{2}<SimpleSource><SourceFilename '
    'relativeToVRT="1">{1}</SourceFilename><SourceBand>{0}</SourceBand></SimpleSource>'
    "</VRTRasterBand>"
)


def write_vrt(path, part, extra=lambda band: ""):
    bands = "".join(BAND.format(b, part, extra(b)) for b in range(1, 51))
    path.write_text(VRT.format(bands))
    return path


def test_a_file_is_opened_as_what_its_name_says(tmp_path, scene, scene_model, expected, write_tif):
    write_tif(tmp_path / "part.tif", scene.cube)
    disguised = write_vrt(tmp_path / "scene.tif", "part.tif")
    with pytest.raises(DataFormatError, match="is no raster file that can be read"):
        predict_scene(scene_model, disguised)
    named = write_vrt(tmp_path / "scene.vrt", "part.tif")
    np.testing.assert_array_equal(predict_scene(scene_model, named).codes, expected)


@pytest.mark.parametrize(
    ("part", "message"),
    [
        ("/vsicurl/http://127.0.0.1:9/a.tif", "nothing is fetched"),
        ("http://127.0.0.1:9/a.tif", "nothing is fetched"),
        ("/vsizip/vsicurl/http:/127.0.0.1:9/a.zip", "nothing is fetched"),
        ("inner.tif", "neither a GeoTIFF nor an ENVI file"),  # a VRT by another name
        ("inner.vrt", "nothing is fetched"),
        ("scene.vrt", "lies in more than 8 virtual rasters"),
    ],
)
def test_a_vrt_reads_local_files_of_known_kinds(tmp_path, monkeypatch, scene_model, part, message):
    calls = []
    monkeypatch.setattr("sklearn_capoz.scenes._raster.opened", lambda *a: calls.append(a))
    for inner in ("inner.tif", "inner.vrt"):
        write_vrt(tmp_path / inner, "/vsicurl/http://127.0.0.1:9/a.tif")
    with pytest.raises(DataFormatError, match=message):
        predict_scene(scene_model, write_vrt(tmp_path / "scene.vrt", part))
    assert not calls


def test_virtual_rasters_within_each_other_have_an_end(tmp_path):
    write_vrt(tmp_path / "0.vrt", "nothing.tif")
    for depth in range(1, DEPTH + 2):
        write_vrt(tmp_path / f"{depth}.vrt", f"{depth - 1}.vrt")
    assert check_parts(tmp_path / f"{DEPTH}.vrt") == set()
    with pytest.raises(DataFormatError, match="lies in more than 8 virtual rasters"):
        check_parts(tmp_path / f"{DEPTH + 1}.vrt")


def test_an_address_in_an_attribute_counts(tmp_path):
    path = write_vrt(tmp_path / "scene.vrt", "nothing.tif", lambda b: '<X a="http://127.0.0.1/"/>')
    with pytest.raises(DataFormatError, match=r"names 'http://127\.0\.0\.1/'.*nothing is fetched"):
        check_parts(path)


def test_a_band_may_have_a_mask_of_its_own(tmp_path, scene, scene_model, expected, write_tif):
    write_tif(tmp_path / "part.tif", scene.cube)
    valid = np.full((34, 26, 1), 255, np.uint8)
    valid[5:8, 3] = 0
    write_tif(tmp_path / "mask.tif", valid)
    mask = (
        '<MaskBand><VRTRasterBand dataType="Byte"><SimpleSource><SourceFilename relativeToVRT="1">'
        "mask.tif</SourceFilename><SourceBand>1</SourceBand></SimpleSource></VRTRasterBand>"
        "</MaskBand>"
    )
    path = write_vrt(tmp_path / "scene.vrt", "part.tif", lambda b: mask if b == 10 else "")
    codes = predict_scene(scene_model, path).codes
    np.testing.assert_array_equal(codes, np.where(valid[..., 0], expected, 0))


def test_a_mask_beside_a_geotiff_is_a_geotiff(tmp_path, scene, scene_model, write_tif):
    path = write_tif(tmp_path / "scene.tif", scene.cube)
    write_vrt(tmp_path / "scene.tif.msk", "scene.tif")
    with pytest.raises(DataFormatError, match=r"scene.tif.msk is no GeoTIFF"):
        predict_scene(scene_model, path)


@pytest.mark.parametrize(
    "layout",
    [
        {"blockysize": 34},
        {"blockysize": 34, "interleave": "pixel"},
        {"tiled": True, "blockxsize": 16, "blockysize": 16},
    ],
)
def test_what_a_file_stores_together_is_read_once(
    tmp_path, monkeypatch, scene, scene_model, expected, layout, write_tif
):
    path = write_tif(tmp_path / "scene.tif", scene.cube, compress="deflate", **layout)
    read, plain = [], RasterSource._read

    def counted(self, dataset, start, stop, *rest):
        read.append((start, stop))
        return plain(self, dataset, start, stop, *rest)

    monkeypatch.setattr(RasterSource, "_read", counted)
    found = predict_scene(scene_model, path, block_rows=3, n_jobs=2)
    np.testing.assert_array_equal(found.codes, expected)
    blocks = read[4:]  # behind the first look
    assert len(blocks) <= 4
    assert sum(stop - start for start, stop in blocks) == 34


def test_a_piece_that_is_too_large_to_be_held_twice_is_read_in_parts_and_unpacked_once(
    tmp_path, monkeypatch, scene, scene_model, expected, write_tif
):
    """GDAL keeps what it has unpacked last as long as the file is open."""
    path = write_tif(
        tmp_path / "scene.tif", scene.cube, blockysize=34, interleave="pixel", compress="deflate"
    )
    monkeypatch.setattr("sklearn_capoz.scenes._raster.SPAN_BYTES", 10 * 26 * 50 * 4)
    opened, shapes, plain = [], [], RasterSource._dataset

    def counted(self):
        opened.append(self.path)
        return plain(self)

    def looked_at(self, dataset, start, stop, *rest):
        shapes.append((start, stop))
        return read(self, dataset, start, stop, *rest)

    read = RasterSource._read
    monkeypatch.setattr(RasterSource, "_dataset", counted)
    monkeypatch.setattr(RasterSource, "_read", looked_at)
    found = predict_scene(scene_model, path, block_rows=3, n_jobs=2)
    np.testing.assert_array_equal(found.codes, expected)
    assert len(opened) == 2  # the first look, and the scene
    assert shapes[:4] == [(0, 2), (10, 12), (21, 23), (32, 34)]
    assert shapes[4:] == [(0, 9), (9, 18), (18, 27), (27, 34)]


def test_a_raster_that_is_gone_meanwhile_is_told(tmp_path, scene, write_tif):
    source = open_raster(write_tif(tmp_path / "scene.tif", scene.cube))
    (tmp_path / "scene.tif").unlink()
    with pytest.raises(DataFormatError, match="cannot be opened any more"):
        source.read(0, 2, np.arange(50), Scratch())


@pytest.mark.parametrize("depth", [1, 2])
def test_pieces_of_the_parts_of_a_vrt_count_as_well(
    tmp_path, monkeypatch, scene, scene_model, depth, write_tif
):
    write_tif(
        tmp_path / "part.tif", scene.cube, blockysize=34, interleave="pixel", compress="deflate"
    )
    path = write_vrt(tmp_path / "scene.vrt", "part.tif")
    if depth == 2:
        path = write_vrt(tmp_path / "outer.vrt", "scene.vrt")
    monkeypatch.setattr("sklearn_capoz.scenes._raster.PIECE_BYTES", 34 * 26 * 50 * 4 - 1)
    with pytest.raises(DataFormatError, match=r"part\.tif is stored in pieces of 34 x 26 pixels"):
        predict_scene(scene_model, path)


def test_blocks_of_one_piece_are_one_task():
    blocks = [(start, min(start + 3, 10)) for start in range(0, 10, 3)]
    assert list(_tasks(blocks, 2, 1)) == [blocks[:2], blocks[2:]]
    assert list(_tasks(blocks, 1, 6)) == [blocks[:2], blocks[2:]]
    assert list(_tasks(blocks, 3, 3)) == [blocks[:3], blocks[3:]]
    assert list(_tasks([], 1, 6)) == []


def test_pieces_and_rows_that_no_memory_holds_are_refused(tmp_path, scene_model):
    sizes = {"strip.tif": {"blockysize": 24_000}, "tile.tif": {"tiled": True, "blockysize": 24_000,
             "blockxsize": 24_000}}  # fmt: skip
    for name, layout in sizes.items():
        with rasterio.open(
            tmp_path / name, "w", driver="GTiff", height=24_000, width=24_000, count=1,
            dtype="uint8", compress="deflate", sparse_ok=True, **layout,
        ):  # fmt: skip
            pass
        with pytest.raises(DataFormatError, match=r"pieces of 24,000 x 24,000 pixels, 576,000,000"):
            predict_scene(scene_model, tmp_path / name, scale=1)
    wide = np.broadcast_to(np.float32(0.5), (1, 2**31, 50))
    with pytest.raises(DataFormatError, match="one row of the scene, 2,147,483,648 columns of 50"):
        predict_scene(scene_model, wide)


def test_masks_of_every_kind_say_where_there_is_no_data(
    tmp_path, scene, scene_model, expected, write_tif
):
    valid = np.ones((34, 26), dtype=np.uint8) * 255
    valid[5:8, 3] = 0
    expected = np.where(valid, expected, 0)
    cube = scene.cube.copy()
    cube[5:8, 3] = 0.4  # numbers like any other
    found = {}
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True):
        inside = write_tif(tmp_path / "inside.tif", cube, lambda d: d.write_mask(valid))
    found["inside"] = predict_scene(scene_model, inside)
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=False):
        beside = write_tif(tmp_path / "beside.tif", cube, lambda d: d.write_mask(valid))
    assert (tmp_path / "beside.tif.msk").exists()
    found["beside"] = predict_scene(scene_model, beside, block_rows=6)
    for dtype in ("float32", "uint16"):  # GDAL takes only the second for a mask
        path, full = tmp_path / f"{dtype}.tif", cube if dtype == "float32" else cube * 10000
        stacked = np.concatenate([full.round(5), valid[..., None]], axis=2).astype(dtype)
        with rasterio.open(
            path, "w", driver="GTiff", height=34, width=26, count=51, dtype=dtype
        ) as dataset:
            colors = rasterio.enums.ColorInterp
            dataset.colorinterp = [colors.gray] * 50 + [colors.alpha]
            dataset.write(stacked.transpose(2, 0, 1))
        source = open_source(path)
        assert source.shape == (34, 26, 50)
        scale = 1 if dtype == "float32" else 10000
        found[dtype] = predict_scene(scene_model, path, scale=scale)
        plain = predict_scene(scene_model, stacked[..., :50], scale=scale).codes
        np.testing.assert_array_equal(found.pop(dtype).codes, np.where(valid, plain, 0))
    for name, result in found.items():
        np.testing.assert_array_equal(result.codes, expected, err_msg=name)


def test_bands_may_have_no_data_values_of_their_own(
    tmp_path, scene, scene_model, expected, write_tif
):
    cube = scene.cube.copy()
    cube[2, 3, 0], cube[4, 5, 1], cube[6, 7, 2] = -7, -8, -7
    write_tif(tmp_path / "part.tif", cube)
    own = {1: "<NoDataValue>-7</NoDataValue>", 2: "<NoDataValue>-8</NoDataValue>"}
    path = write_vrt(tmp_path / "scene.vrt", "part.tif", lambda band: own.get(band, ""))
    found = predict_scene(scene_model, path).codes
    assert (found[[2, 4], [3, 5]] == 0).all()
    assert found[6, 7] != 0  # the third band has none
    found[[2, 4, 6], [3, 5, 7]] = expected[[2, 4, 6], [3, 5, 7]]
    np.testing.assert_array_equal(found, expected)


def test_control_points_are_kept_or_said(tmp_path, scene, scene_model, write_tif):
    points = [rasterio.control.GroundControlPoint(r, c, 500000 + 20 * c, 4e6 - 20 * r, 0)
              for r, c in ((0, 0), (0, 25), (33, 0), (33, 25))]  # fmt: skip
    path = write_tif(tmp_path / "scene.tif", scene.cube, gcps=points, crs="EPSG:32611")
    predict_scene(scene_model, path, output=tmp_path / "map.tif", proba=True)
    for name in ("map.tif", "map_probability.tif"):
        with rasterio.open(tmp_path / name) as dataset:
            found, crs = dataset.gcps
        assert crs.to_epsg() == 32611
        assert [(p.row, p.col, p.x, p.y) for p in found] == [
            (p.row, p.col, p.x, p.y) for p in points
        ]
    with pytest.warns(UserWarning, match=r"the map has no coordinates. As GeoTIFF"):
        predict_scene(scene_model, path, output=tmp_path / "map.hdr")
