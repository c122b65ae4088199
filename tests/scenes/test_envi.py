"""Readers of ENVI headers and files, right ones and all others."""

import os
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sklearn_capoz.deploy import predict_scene
from sklearn_capoz.exceptions import DataFormatError
from sklearn_capoz.formats._envi_header import read_header
from sklearn_capoz.scenes._envi import open_envi
from sklearn_capoz.scenes._scratch import Scratch
from sklearn_capoz.scenes._source import Georeference

pytest.importorskip("spectral")

#: Cuprite, UTM zone 11 north.
UTM = "{UTM, 1.0, 1.0, 500000.0, 4160000.0, 20.0, 20.0, 11, North, WGS-84, units=Meters}"


def test_what_the_header_says(write_envi, scene):
    bad = np.ones(50, dtype=int)
    bad[[3, 4]] = 0
    cube = (scene.cube * 1000).astype("int16")
    path = write_envi(
        cube,
        interleave="bil",
        byteorder=1,
        bbl=bad,
        wavelength=scene.wavelengths / 1000,
        **{
            "wavelength units": "Micrometers",
            "reflectance scale factor": 1000,
            "data ignore value": -50,
        },
    )
    source = open_envi(path)
    assert source.shape == (34, 26, 50)
    assert (source.dtype, source.interleave, source.scale) == (np.dtype(">i2"), "bil", 1000)
    assert source.nodata == -50
    np.testing.assert_allclose(source.wavelengths, scene.wavelengths, rtol=1e-6)
    np.testing.assert_array_equal(source.good, bad == 1)
    block = source.read(3, 9, np.array([0, 7, 8]), Scratch())
    np.testing.assert_array_equal(block, cube[3:9][..., [0, 7, 8]])
    assert open_envi(path.with_suffix(".img")).path == source.path


def test_names_in_capitals_and_a_header_offset(write_envi, edit_header, scene):
    path = write_envi()
    data = path.with_suffix(".img")
    data.write_bytes(b"x" * 100 + data.read_bytes())
    edit_header(path, header_offset=100)
    path.write_text(path.read_text().replace("samples =", "Samples =").replace("bip", "BIP"))
    np.testing.assert_array_equal(open_envi(path).read(0, 34, np.arange(50), Scratch()), scene.cube)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"bands": 49}, "The file is longer, or lines, samples, bands or data type are wrong"),
        ({"bands": 51}, "The file is cut, or lines"),
        ({"lines": 10**12}, "describes 5,200,000,000,000,000 bytes|describes 5,200"),
        ({"lines": "9" * 5000}, "'lines' must be a whole number from 1"),
        ({"lines": 0}, "'lines' must be a whole number from 1, got '0'"),
        ({"lines": "3_4"}, "'lines' must be a whole number"),
        ({"samples": -26}, "'samples' must be a whole number from 1, got '-26'"),
        ({"samples": "{1, 2}"}, "must state 'samples'; it holds"),
        ({"bands": None}, "must state 'bands'; it holds None"),
        ({"data_type": 5}, "34 lines x 26 samples x 50 bands of float64"),
        ({"data_type": 6}, r"'data type' must be one of .* \(real numbers\), got '6'"),
        ({"data_type": "float"}, "'data type' must be one of"),
        ({"byte_order": 2}, "'byte order' must be 0 or 1, got '2'"),
        ({"interleave": "tif"}, "interleave must be bip, bil or bsq, got 'tif'"),
        ({"header_offset": -1}, "'header offset' must be a whole number from 0"),
        ({"wavelength": "{2000, 2100}"}, "'wavelength' lists 2 values for 50 bands"),
        ({"wavelength": "{" + "2e3," * 49 + "x}"}, "'wavelength' must be numeric"),
        ({"wavelength": "{" + "nan," * 49 + "2000}"}, "wavelengths must be positive and finite"),
        (
            {"wavelength_units": "Wavenumber"},
            "must be in nm or um; their unit is 'Wavenumber': convert",
        ),
        ({"wavelength_units": "parsec"}, "their unit is 'parsec'"),
        ({"bbl": "{1, 0}"}, "'bbl' lists 2 values for 50 bands"),
        ({"bbl": "{" + "2," * 49 + "1}"}, "'bbl' must hold 0 .bad. or 1"),
        ({"data_ignore_value": "blue"}, "'data ignore value' must be numeric"),
        ({"data_ignore_value": "{-1, 0}"}, "'data ignore value' lists 2 values for 50 bands"),
        ({"file_type": "ENVI Spectral Library"}, "describes a spectral library"),
        ({"file_compression": 1}, "compressed ENVI files are not read"),
        ({"major_frame_offsets": "{1, 2}"}, "frame offsets are not read"),
        ({"map_info": "{UTM, x}"}, None),
    ],
)
def test_wrong_headers(write_envi, edit_header, scene_model, fields, message):
    path = edit_header(write_envi(), **fields)
    if message is None:  # GDAL ignores what it cannot read of the coordinates
        assert open_envi(path).georeference.transform is None
        return
    with pytest.raises(DataFormatError, match=message):
        predict_scene(scene_model, path)


def test_files_that_are_no_scene(tmp_path, write_envi, scene_model):
    path = write_envi()
    data = path.with_suffix(".img")
    content = data.read_bytes()
    for size in (0, 1, len(content) // 2, len(content) - 1):
        data.write_bytes(content[:size])
        with pytest.raises(DataFormatError, match=rf"has {size:,} bytes.*The file is cut"):
            predict_scene(scene_model, path)
    path.write_bytes(b"")
    with pytest.raises(DataFormatError, match="its first line must be 'ENVI'"):
        predict_scene(scene_model, path)
    path.write_bytes(b"ENVI\nsamples = \xff\xfe\n")
    with pytest.raises(DataFormatError, match="must state 'lines'"):
        predict_scene(scene_model, path)
    path.write_bytes(b"ENVI\n" + b"\n" * 200_000)
    with pytest.raises(DataFormatError, match="too many lines"):
        predict_scene(scene_model, path)
    path.write_bytes(b"ENVI\n" + b" " * 5_000_000)
    with pytest.raises(DataFormatError, match="it has 5,000,005 bytes"):
        predict_scene(scene_model, path)
    path.unlink()
    with pytest.raises(DataFormatError, match="has no ENVI header beside it"):
        predict_scene(scene_model, data)
    alone = tmp_path / "alone.hdr"
    alone.write_text("ENVI\nlines = 1\nsamples = 1\nbands = 1\ndata type = 4\nbyte order = 0\n"
                     "interleave = bsq\n")  # fmt: skip
    with pytest.raises(FileNotFoundError, match="no data file beside"):
        predict_scene(scene_model, alone)


def test_a_file_that_shrinks_meanwhile(write_envi):
    source = open_envi(write_envi())
    source.path.write_bytes(source.path.read_bytes()[:-8])
    with pytest.raises(DataFormatError, match="became shorter while it was read"):
        source.read(30, 34, np.arange(50), Scratch())


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "latin-1"])
def test_text_of_any_encoding(write_envi, edit_header, encoding):
    path = edit_header(write_envi(**{"map info": UTM}), description="{Müskovit-Schiefer}")
    path.write_bytes(path.read_text(encoding="utf-8").encode(encoding))
    assert read_header(path)["description"] == "Müskovit-Schiefer"
    assert open_envi(path).shape == (34, 26, 50)


@pytest.mark.parametrize("interleave", ["bip", "bil", "bsq"])
def test_a_no_data_value_for_each_band(write_envi, scene, scene_model, interleave):
    cube = (scene.cube * 10000).astype("int16")
    fill = np.full(50, -9999)
    fill[7], fill[9] = -1, 0
    cube[3, 4, 7] = -1
    cube[5, :, 8] = -9999
    cube[6, 2, 8] = -1  # another band's: a number like any other
    cube[8, 1, 9] = 0
    fields = {"data ignore value": fill.tolist(), "reflectance scale factor": 10000}
    path = write_envi(cube, interleave=interleave, **fields)
    codes = predict_scene(scene_model, path, block_rows=6).codes
    missing = np.zeros((34, 26), dtype=bool)
    missing[3, 4] = missing[5] = missing[8, 1] = True
    np.testing.assert_array_equal(codes == 0, missing)
    told = predict_scene(scene_model, path, nodata=-1).codes  # the caller's comes before the file's
    np.testing.assert_array_equal(np.argwhere(told == 0), [[3, 4], [6, 2]])


def test_one_no_data_value_said_for_each_band(write_envi):
    source = open_envi(write_envi(**{"data ignore value": [-9999] * 50}))
    assert (source.nodata, source.band_nodata) == (-9999, None)


@pytest.mark.parametrize(
    ("value", "nodata"), [("{-9999}", -9999), ("none", None), ("", None), ("NaN", np.nan)]
)
def test_ways_to_write_a_no_data_value(write_envi, edit_header, value, nodata):
    found = open_envi(edit_header(write_envi(), data_ignore_value=value)).nodata
    np.testing.assert_equal(found, nodata)


def test_bytes_need_no_order(write_envi, edit_header, scene):
    path = write_envi((scene.cube * 255).astype("uint8"))
    assert open_envi(edit_header(path, byte_order=None)).dtype == np.uint8
    with pytest.raises(DataFormatError, match="must state 'byte order'"):
        open_envi(edit_header(write_envi(), byte_order=None))


LOCALE = r"""
from pathlib import Path
from sklearn_capoz.formats._envi_header import read_header, write_header
path = Path("names.hdr")
write_header(path, {"description": "none", "lines": 3, "class names": ["M\u00fcskovit", "a b"]})
assert read_header(path)["class names"] == ["M\u00fcskovit", "a b"]
"""


def test_the_locale_does_not_matter(tmp_path):
    posix = {"LC_ALL": "POSIX", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}
    subprocess.run(
        [sys.executable, "-W", "ignore", "-c", LOCALE],
        check=True, cwd=tmp_path, env=os.environ | posix,
    )  # fmt: skip
    assert "{Müskovit, a b}" in (tmp_path / "names.hdr").read_text(encoding="utf-8")


def test_a_wrong_unit_is_named(write_envi, scene):
    path = write_envi(wavelength=scene.wavelengths / 1000)
    with pytest.raises(DataFormatError, match="says 'wavelength units = Nanometers'"):
        open_envi(path)


def outcome(function, path):
    try:
        return function(path), None
    except DataFormatError as error:
        return None, str(error)


HEADER_LINES = st.lists(
    st.one_of(
        st.text(max_size=30),
        st.builds(
            "{} = {}".format,
            st.sampled_from(
                ["lines", "samples", "bands", "data type", "interleave", "byte order", "bbl",
                 "header offset", "wavelength", "wavelength units", "file type", "map info",
                 "reflectance scale factor", "data ignore value", "class names"]
            ),
            st.one_of(
                st.integers().map(str),
                st.floats().map(str),
                st.sampled_from(["bip", "bil", "bsq", "{", "}", "{}", "{1", "{1,2}", "1", "4"]),
                st.lists(st.text(max_size=5), max_size=5).map(lambda t: "{" + ",".join(t) + "}"),
                st.text(max_size=20),
            ),
        ),
    ),
    max_size=20,
)  # fmt: skip


@settings(
    max_examples=200, deadline=1000, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(lines=HEADER_LINES, first=st.sampled_from(["ENVI", "ENVI ", "", "envi"]))
def test_any_header_is_read_or_refused(tmp_path, lines, first):
    path = tmp_path / "fuzzed.hdr"
    path.with_suffix(".img").write_bytes(bytes(16))
    path.write_bytes("\n".join([first, *lines]).encode("utf-8", "surrogatepass"))
    source, message = outcome(open_envi, path)
    if source is None:
        assert "fuzzed" in message  # it names the file
    else:
        assert source.read(0, 1, np.array([0]), Scratch()).shape == (1, source.shape[1], 1)


@settings(
    max_examples=200, deadline=1000, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(content=st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(tmp_path, content):
    path = tmp_path / "bytes.hdr"
    path.write_bytes(b"ENVI\n" + content)
    header, message = outcome(read_header, path)
    assert "bytes.hdr" in message if header is None else all(isinstance(k, str) for k in header)


@settings(
    max_examples=60, deadline=1000, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    shape=st.tuples(st.integers(1, 3), st.integers(1, 3), st.integers(1, 3)),
    interleave=st.sampled_from(["bip", "bil", "bsq"]),
    dtype=st.sampled_from([("1", "u1"), ("2", "i2"), ("4", "f4"), ("5", "f8"), ("15", "u8")]),
    order=st.integers(0, 1),
    offset=st.integers(0, 5),
)
def test_every_good_header_is_read(tmp_path, shape, interleave, dtype, order, offset):
    cube = np.arange(np.prod(shape)).reshape(shape)
    axes = {"bip": (0, 1, 2), "bil": (0, 2, 1), "bsq": (2, 0, 1)}[interleave]
    stored = cube.transpose(axes).astype(np.dtype(dtype[1]).newbyteorder("<>"[order]))
    path = tmp_path / "good.hdr"
    path.with_suffix(".img").write_bytes(bytes(offset) + stored.tobytes())
    path.write_text(
        f"ENVI\nlines = {shape[0]}\nsamples = {shape[1]}\nbands = {shape[2]}\n"
        f"data type = {dtype[0]}\nbyte order = {order}\ninterleave = {interleave}\n"
        f"header offset = {offset}\n"
    )
    np.testing.assert_array_equal(
        open_envi(path).read(0, shape[0], np.arange(shape[2]), Scratch()), cube
    )


def test_without_rasterio_a_scene_has_no_coordinates(write_envi, edit_header, monkeypatch):
    """It can be read all the same, and no GeoTIFF be written."""
    path = write_envi()
    assert open_envi(path).georeference == Georeference()
    path = edit_header(path, map_info=UTM)
    assert open_envi(path).georeference.transform is not None
    monkeypatch.setitem(sys.modules, "rasterio", None)
    assert open_envi(path).georeference == Georeference()
