"""Tables of spectra as people write them: separators, names of bands, and what is no table."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from sklearn_capoz.exceptions import DataFormatError
from sklearn_capoz.formats._csv_table import check_reflectance, read_spectra

NM = np.array([2000.0, 2010.5, 2100.0, 2205.0])


@pytest.fixture
def table():
    X = 0.1 + 0.8 * np.random.RandomState(0).rand(24, 4).round(3)
    table = pd.DataFrame(X, columns=[f"{nm:g}" for nm in NM])
    table["rock"] = np.repeat(["NA", "None"], 12)
    return table


@pytest.fixture
def path(tmp_path):
    return tmp_path / "spectra.csv"


def renamed(table, name):
    """Name the bands by a function of their wavelength."""
    return table.set_axis([*map(name, NM), *table.columns[4:]], axis=1)


@pytest.mark.parametrize(
    "written",
    [{}, {"sep": ";"}, {"sep": "\t"}, {"sep": ";", "decimal": ","}, {"encoding": "utf-8-sig"}],
)
def test_separators_and_decimal_commas(table, path, written):
    table.to_csv(path, index=False, **written)
    found = read_spectra(path, "rock")
    np.testing.assert_allclose(found.X, table.iloc[:, :4], rtol=1e-15)  # older pandas: the last bit
    np.testing.assert_array_equal(found.wavelengths, NM)
    np.testing.assert_array_equal(found.y, table["rock"])  # "NA" and "None" are names of rocks


def test_a_decimal_comma_in_the_names_too(table, path):
    renamed(table, lambda nm: f"{nm / 1000:.4f}".replace(".", ",")).to_csv(
        path, index=False, sep=";", decimal=","
    )
    np.testing.assert_allclose(read_spectra(path, "rock").wavelengths, NM)


@pytest.mark.parametrize(
    "name",
    [
        lambda nm: f"R{nm:g}",
        lambda nm: f" {nm:g} ",
        lambda nm: f"{nm:g} nanometers",
        lambda nm: f"{nm / 1000:.4f} µm",
        lambda nm: f"{nm / 1000:.4f}",
        lambda nm: f"AVIRIS-{nm:g}nm",
    ],
)
def test_names_of_bands_are_those_of_the_transformers(table, path, name):
    table["site_2"] = table["depth 10"] = table["depth 20"] = 7.0  # not named as the bands are
    renamed(table, name).to_csv(path)  # the rows' numbers have no name
    found = read_spectra(path, "rock")
    np.testing.assert_allclose(found.wavelengths, NM)
    assert found.columns == [name(nm).strip() for nm in NM]


@pytest.mark.parametrize("name", ["band {}", "{}", "B{}", "x_{}"])
def test_numbers_of_bands_are_no_wavelengths(path, name):
    table = pd.DataFrame(np.full((24, 30), 0.5), columns=[name.format(i + 1) for i in range(30)])
    table.assign(rock="NA").to_csv(path, index=False)
    with pytest.raises(DataFormatError, match=r"too few columns named .*: 0, and at"):
        read_spectra(path, "rock")


@pytest.mark.parametrize("other", ["1", "150.5", "20190412"])
def test_a_number_that_is_no_wavelength_is_named(table, path, other):
    table.assign(**{other: 0.5}).to_csv(path, index=False)
    with pytest.raises(DataFormatError, match=f"no wavelengths in nm, as the other 4 are: {other}"):
        read_spectra(path, "rock")


def test_the_summary_names_the_bands(table, path):
    table.insert(0, "2019", 0.5)
    table.to_csv(path, index=False)
    assert str(read_spectra(path, "rock")).splitlines() == [
        "24 spectra of 2 classes, 5 bands from 2000 to 2205 nm",
        "bands are the columns 2019, 2000, 2010.5, 2100, 2205",
        "they are not in the order of wavelength: 2019 before 2000",
    ]
    many = pd.DataFrame(np.full((24, 9), 0.5), columns=np.arange(2480, 2399, -10))
    many.assign(rock=table["rock"]).to_csv(path, index=False)
    assert str(read_spectra(path, "rock")).endswith("2480, 2470, 2460, ..., 2420, 2410, 2400")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("2000", "several columns at 2000 nm: 2000, 2000"),
        ("2000.0", "several columns at 2000 nm: 2000, 2000.0"),
        ("rock", "has 2 columns 'rock'"),
    ],
)
def test_two_columns_of_one_name_or_place(table, path, name, message):
    pd.concat([table, pd.Series(np.full(24, 0.5), name=name)], axis=1).to_csv(path, index=False)
    with pytest.raises(DataFormatError, match=message):
        read_spectra(path, "rock")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b"rock,2000,2010\n", "a header and no rows"),
        ("2000,2010,2020,rock\n0.1,0.2,0.3,Müscovite\n".encode("latin-1"), "no CSV file in UTF-8"),
        ("2000,2010,2020,rock\n".encode("utf-16"), "is no text: a CSV file in UTF-8 is needed"),
        (b"PK\x03\x04\x00\x00", "is no text: a CSV file in UTF-8 is needed"),
        (b"2000,2010,2020,rock\n", "has a header and no rows"),
        (b"2000,2010,2020,rock\n1,0.1,0.2,0.3,NA\n", "more fields than the 4 names"),
        (b"2000,2010,2020,rock\n0.1,0.2,0.3,A\n1,2,3,4,5\n", "is no table in CSV"),
        (b"2000,2010,2020,rock\n0.1,NA,#N/A,A\n", "1 spectra have missing .* at 2010-2020 nm"),
        (b"2000,2010,2020,rock\n0.1,0.2,n.d.,A\n", "column 2020 must hold numbers, found 'n.d.'"),
        (b"2000;2010;2020;rock\n0,1;0,2;n.d.;A\n", "column 2020 must hold numbers, found 'n.d.'"),
        (b"2000,2010,2020,rock\n0.1,0.2,0.3, \n", "1 spectra have no rock"),
    ],
)
def test_what_is_no_table(path, content, message):
    path.write_bytes(content)
    with pytest.raises(DataFormatError, match=message):
        read_spectra(path, "rock")


def with_remarks(table, path, remarks):
    """Write a table with remarks as they are, in its second column and in its last one."""
    lines = table.to_csv(index=False).splitlines()
    rows = [
        f"{line.split(',', 1)[0]},{remark},{line.split(',', 1)[1]},{remark}"
        for line, remark in zip(lines, remarks, strict=True)
    ]
    path.write_text("\n".join(rows) + "\n")


def test_remarks_of_several_lines_and_with_quotes(table, path):
    remarks = ["remark", *['"two\nlines, and ""more"""', 'a 5" core', '"A" horizon', ""] * 6]
    with_remarks(table, path, remarks)
    found = read_spectra(path, "rock")
    np.testing.assert_allclose(found.X, table.iloc[:, :4], rtol=1e-15)
    np.testing.assert_array_equal(found.y, table["rock"])


@pytest.mark.parametrize("ditto", ["middle", "last"])
@pytest.mark.parametrize("rows", [(3, 4), (3, 9), (2, 20)])
def test_a_quote_that_swallows_rows_is_named(table, path, ditto, rows):
    lines = table.assign(remark="").to_csv(index=False).splitlines()
    for row in rows:
        first, rest = lines[row].split(",", 1)
        lines[row] = f'{lines[row]}"' if ditto == "last" else f'{first},",{rest[:-1]}'
    header = lines[0] if ditto == "last" else lines[0].replace("2000,", "2000,remark,")[:-7]
    rest = lines[1:]
    if ditto == "middle":
        rest = [li if '"' in li else li.replace(",", ",,", 1)[:-1] for li in rest]
    path.write_text("\n".join([header, *rest]) + "\n")
    with pytest.raises(DataFormatError, match=rf"a quote .* in line {rows[0] + 1} opens a text"):
        read_spectra(path, "rock")


def test_a_header_of_any_length(table, path):
    names = [f"reflectance_at_{400 + i / 10:.1f}_nanometers" for i in range(5000)]
    wide = pd.DataFrame(np.full((24, 5000), 0.5), columns=names)
    wide.assign(rock=table["rock"]).to_csv(path, index=False)
    with open(path) as file:
        assert len(file.readline()) > 131_072
    assert read_spectra(path, "rock").X.shape == (24, 5000)


def test_text_whatever_its_name_ends_in(table, tmp_path):
    table.to_csv(tmp_path / "spectra.zip", index=False, compression=None)
    assert len(read_spectra(tmp_path / "spectra.zip", "rock").X) == 24


def test_spectra_in_columns_are_to_be_transposed(table, path):
    table.iloc[:, :4].T.to_csv(path)
    with pytest.raises(DataFormatError, match=r"stand in columns; .* transpose the table"):
        read_spectra(path, "rock")
    table.iloc[:, :4].to_csv(path)  # numbers of rows are no wavelengths
    with pytest.raises(DataFormatError, match="has no column 'rock'"):
        read_spectra(path, "rock")


@pytest.mark.parametrize("n_names", [1, 2, 3])
def test_so_are_they_below_several_rows_of_names(table, path, n_names):
    names = [["rock", "a", "b", "a"], ["sample", "s1", "s2", "s3"], ["from", "x", "y", "z"]]
    rows = [*names[:n_names], *([f"{nm:g}", 0.1, 0.2, 0.3] for nm in NM)]
    pd.DataFrame(rows).to_csv(path, index=False, header=False)
    with pytest.raises(DataFormatError, match=r"stand in columns; .* transpose the table"):
        read_spectra(path, "rock", "sample")


@pytest.mark.parametrize(
    ("ranges", "left"), [([(2000, 2205)], 0), ([(2000, 2100)], 1), ([(2100, 2205)], 2)]
)
def test_bad_bands_that_leave_too_few_are_to_blame(table, path, ranges, left):
    table.to_csv(path, index=False)
    with pytest.raises(DataFormatError, match=rf"--bad-bands leaves {left} of the 4 bands"):
        read_spectra(path, "rock", bad_bands=ranges)
    assert read_spectra(path, "rock", bad_bands=[(2205, 2205)]).X.shape == (24, 3)


def test_a_label_of_a_page_is_none(table, path):
    table.loc[3, "rock"] = "m" * 100_000
    table.to_csv(path, index=False)
    with pytest.raises(DataFormatError, match="the rock of spectrum 4 has 100,000 letters, and at"):
        read_spectra(path, "rock")


def test_every_row_is_asked_for_its_scale(table, path):
    table.iloc[[3, 5], :4] *= 10_000
    table.to_csv(path, index=False)
    with pytest.raises(DataFormatError, match=r"2 of 24 spectra \(the first is number 4\) have a"):
        read_spectra(path, "rock")


def test_samples_and_bad_bands(table, path):
    table["2150"] = np.nan
    table["hole"] = [f" NA{i}" for i in range(24)]
    table.to_csv(path, index=False)
    found = read_spectra(path, "rock", "hole", bad_bands=[(2010.5, 2010.5), (2120, 2160)])
    np.testing.assert_array_equal(found.wavelengths, [2000, 2100, 2205])
    np.testing.assert_allclose(found.X, table[["2000", "2100", "2205"]], rtol=1e-15)
    assert found.groups[0] == "NA0"
    with pytest.raises(DataFormatError, match="--bad-bands leaves 1 of the 5 bands"):
        read_spectra(path, "rock", bad_bands=[(2010, 2250)])


@pytest.mark.parametrize(
    ("rows", "bands", "value", "message"),
    [
        ([2], [1, 2], -9999, "1 of 24 .* number 3.* at 2010.5-2100 nm; -9999 stands there 2 times"),
        ([2, 4], [0], 1e34, r"2 of 24 .* at 2000 nm; 1e\+34 stands there 2 times"),
        ([1], [0, 1, 2, 3], 0, "1 of 24 .* 0 stands there 4 times"),
        (range(24), [3], 0, "24 of 24 .* at 2205 nm; 0 stands there 24 times"),
    ],
)
def test_fill_values_are_told_with_their_bands(table, path, rows, bands, value, message):
    table.iloc[rows, bands] = value
    table.to_csv(path, index=False)
    found = read_spectra(path, "rock")
    index = np.where((found.X < 0).any(axis=1, keepdims=True), np.nan, 1.0)
    with pytest.raises(DataFormatError, match=message):
        check_reflectance(Path("spectra.csv"), found, index)


def test_a_dark_band_that_leaves_an_index_is_no_reason_to_refuse(table, path):
    table.iloc[2, 1] = -0.001
    table.to_csv(path, index=False)
    found = read_spectra(path, "rock")
    check_reflectance(path, found, np.ones((24, 4)))
