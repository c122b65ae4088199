"""An output never takes the place of a file that the run reads, whatever that file is called."""

import pytest

from sklearn_capoz.cli._arguments import refuse_files_of


@pytest.fixture
def files(tmp_path):
    for name in ("flight.rfl.hdr", "flight.rfl", "flight.tif", "flight.tif.aux.xml", "other.csv"):
        (tmp_path / name).write_text(name)
    return tmp_path


@pytest.mark.parametrize("output", ["flight.rfl.hdr", "flight.rfl", "flight.tif.aux.xml"])
@pytest.mark.parametrize("scene", ["flight.rfl.hdr", "flight.rfl", "flight.tif"])
def test_the_files_of_a_raster_are_refused(files, output, scene):
    with pytest.raises(FileExistsError, match=r"--output .* is the scene, or one of its files"):
        refuse_files_of(files / output, {"scene": files / scene}, own=".capoz")


@pytest.mark.parametrize("output", ["flight.new", "other.csv", "flight.capoz"])
def test_others_are_not(files, output):
    (files / "flight.capoz").write_text("an earlier model of this scene")
    inputs = {"scene": files / "flight.rfl", "table of spectra": None}
    refuse_files_of(files / output, inputs, own=".capoz")


def test_a_link_to_an_input_is_the_input(files):
    (files / "link.capoz").symlink_to(files / "flight.rfl")
    for scene in ("flight.rfl", "flight.rfl.hdr"):  # the header's link leads to its data
        inputs = {"scene": files / scene}
        with pytest.raises(FileExistsError, match=r"^--picture .* is read by this run"):
            refuse_files_of(files / "link.capoz", inputs, own=".capoz", option="--picture")
