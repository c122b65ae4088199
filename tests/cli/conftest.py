"""The commands as a shell calls them, a table of spectra, a model trained on it, a scene."""

import argparse

import pandas as pd
import pytest

from sklearn_capoz.cli._assess import add_assess_parser
from sklearn_capoz.cli._map import add_map_parser
from sklearn_capoz.cli._report import add_report_parser
from sklearn_capoz.cli._train import add_train_parser
from sklearn_capoz.datasets import make_mineral_scene

envi = pytest.importorskip("spectral.io.envi")
pytest.importorskip("safetensors")
pytest.importorskip("rasterio")


@pytest.fixture(scope="session")
def run():
    """Return a function that runs a command with its words, errors and all."""

    def run_command(*words):
        parser = argparse.ArgumentParser()
        subparsers = parser.add_subparsers(required=True)
        add_train_parser(subparsers)
        add_map_parser(subparsers)
        add_assess_parser(subparsers)
        add_report_parser(subparsers)
        arguments = parser.parse_args([str(word) for word in words])
        arguments.run(arguments)

    return run_command


@pytest.fixture(scope="session")
def table():
    scene = make_mineral_scene((40, 40), minerals=["Alunite", "Calcite", "Muscovite"],
                               random_state=0)  # fmt: skip
    names = [f"{w / 1000:.4f}" for w in scene.wavelengths]
    table = pd.DataFrame(scene.cube.reshape(-1, 50), columns=names)
    table.insert(0, "mineral", scene.target_names[scene.labels.ravel()])
    table["sample"] = "some text"
    return table


@pytest.fixture(scope="session")
def trained(run, table, tmp_path_factory):
    """Train once; return the model's path."""
    folder = tmp_path_factory.mktemp("trained")
    table.to_csv(folder / "spectra.csv", index=False)
    run("train", folder / "spectra.csv", "--label", "mineral", "--output", folder / "m.capoz",
        "--as-measured", "--units", 8, "--iterations", 2, "--quiet")  # fmt: skip
    return folder / "m.capoz"


@pytest.fixture
def scene_path(tmp_path):
    scene = make_mineral_scene((30, 20), minerals=["Alunite", "Calcite", "Muscovite"],
                               random_state=1)  # fmt: skip
    header = {"wavelength": scene.wavelengths, "wavelength units": "Nanometers"}
    header["reflectance scale factor"] = 10000
    path = tmp_path / "scene.hdr"
    envi.save_image(str(path), (scene.cube * 10000).astype("int16"), metadata=header)
    return path, scene
