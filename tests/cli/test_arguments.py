"""Wrong calls are explained at once, in the words of the command."""

import pytest

from sklearn_capoz.cli._arguments import told_in_options
from sklearn_capoz.cli._map import OPTIONS


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("--test-fraction", "0", "must be between 0 and 1, got 0"),
        ("--test-fraction", "1.5", "must be between 0 and 1, got 1.5"),
        ("--units", "0", "must be at least 1, got 0"),
        ("--units", "few", "invalid int value: 'few'"),
        ("--iterations", "-1", "must be at least 0, got -1"),
        ("--tolerance", "nan", "must be at least 0 and at most 1, got nan"),
        ("--seed", "-1", "must be at least 0 and at most 4294967295, got -1"),
        ("--bad-bands", "1340-1450,water", "'water' is no wavelength in nm such as 2005"),
        ("--bad-bands", "1450-1340", "'1450-1340' is no wavelength in nm"),
    ],
)
def test_wrong_numbers_are_explained_at_once(option, value, message, capsys, run):
    with pytest.raises(SystemExit):
        run("train", "absent.csv", "--label", "mineral", "--output", "m", option, value)
    assert f"argument {option}: {message}" in capsys.readouterr().err


@pytest.mark.parametrize("value", ["0", "two"])
def test_wrong_numbers_of_threads_are_explained_at_once(value, capsys, run):
    with pytest.raises(SystemExit):
        run("map", "s.hdr", "--model", "m", "--output", "map.tif", "--jobs", value)
    message = f"argument --jobs: must be a number of threads or -1, got {value}"
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    "words", [["map"], ["train", "spectra.csv"], ["map", "s.hdr", "--model", "m", "--jobs", "two"]]
)
def test_wrong_calls_are_explained(words, capsys, run):
    with pytest.raises(SystemExit):
        run(*words)
    assert "usage:" in capsys.readouterr().err


@pytest.mark.parametrize("text", ["2000,x", "absent.txt"])
def test_wrong_wavelengths_are_explained_at_once(run, text, capsys):
    with pytest.raises(SystemExit):
        run("map", "s.hdr", "--model", "m", "--output", "map.tif", "--wavelengths", text)
    assert f"argument --wavelengths: '{text}' is no list of numbers" in capsys.readouterr().err


def test_a_file_of_more_than_numbers(run, tmp_path, capsys):
    path = tmp_path / "bands.txt"
    path.write_text("band centre\n1 2000\n")
    with pytest.raises(SystemExit):
        run("map", "s.hdr", "--model", "m", "--output", "map.tif", "--wavelengths", path)
    assert "holds more than numbers" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("message", "told"),
    [
        ("give it as scale, such as 10000", "give it as --scale, such as 10000"),
        ("scale must be a number above 0", "--scale must be a number above 0"),
        ("Pass scale=10000", "Pass --scale=10000"),
        ("no-data value (nodata) is wrong", "no-data value (--nodata) is wrong"),
        ("give wavelengths and bad_bands", "give --wavelengths and --bad-bands"),
        ("the scene has no wavelengths", "the scene has no wavelengths"),
        ("on a scale of 1", "on a scale of 1"),
        ("which trust=True asks for", "which --trust asks for"),
        ("output scene.hdr would replace", "--output scene.hdr would replace"),
        ("start anew without resume", "start anew without --resume"),
        ("within 20 nm (max_band_gap)", "within 20 nm (--max-band-gap)"),
    ],
)
def test_parameters_are_told_as_options(message, told):
    assert told_in_options(message, OPTIONS) == told
