"""Ctrl-C at any moment of a command is one line and exit code 130, without a traceback."""

import builtins
import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from sklearn_capoz.__main__ import main
from sklearn_capoz.datasets import CUPRITE_WAVELENGTHS, make_mineral_spectra

ROOT = Path(__file__).resolve().parents[2]


def test_while_the_package_is_imported(tmp_path):
    (tmp_path / "sklearn.py").write_text("raise KeyboardInterrupt")
    path = os.pathsep.join([str(tmp_path), str(ROOT)])
    found = subprocess.run(
        [sys.executable, "-m", "sklearn_capoz", "map", "--help"],
        cwd=tmp_path, env=os.environ | {"PYTHONPATH": path}, capture_output=True, text=True,
    )  # fmt: skip
    assert (found.returncode, found.stdout, found.stderr) == (130, "", "Interrupted.\n")


def test_an_import_in_a_program_raises_it(tmp_path):
    (tmp_path / "sklearn.py").write_text("raise KeyboardInterrupt")
    path = os.pathsep.join([str(tmp_path), str(ROOT)])
    program = "try: import sklearn_capoz.spectral\nexcept KeyboardInterrupt: print('raised')"
    found = subprocess.run(
        [sys.executable, "-c", program],
        cwd=tmp_path, env=os.environ | {"PYTHONPATH": path}, capture_output=True, text=True,
    )  # fmt: skip
    assert (found.returncode, found.stdout, found.stderr) == (0, "raised\n", "")


@pytest.mark.parametrize("module", ["cli._demo", "deploy"])
def test_while_a_command_imports_what_it_needs(monkeypatch, capsys, tmp_path, module):
    importing = builtins.__import__

    def interrupt(name, *args):
        if name == module:
            raise KeyboardInterrupt
        return importing(name, *args)

    monkeypatch.setattr(builtins, "__import__", interrupt)
    words = ["map", "scene.hdr", "--model", "m.capoz", "--output", str(tmp_path / "map.tif")]
    assert main(words) == 130
    assert capsys.readouterr().err == "Interrupted.\n"


def test_what_is_kept_is_told_where_something_is(monkeypatch, capsys, tmp_path):
    def interrupt(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("sklearn_capoz.deploy.load_model", interrupt)
    words = ["map", "scene.hdr", "--model", "m.capoz", "--output", str(tmp_path / "map.tif")]
    assert main(words) == 130
    assert capsys.readouterr().err == "Interrupted.\n"


@pytest.mark.filterwarnings("default")
def test_a_model_that_is_pruned_in_part_is_not_written(monkeypatch, capsys, tmp_path):
    def interrupt(_):
        raise KeyboardInterrupt

    monkeypatch.setattr("sklearn_capoz.pruning._path.Path.end_step", interrupt)
    X, y = make_mineral_spectra(140, random_state=0)
    table = pd.DataFrame(X, columns=[f"{nm:g}" for nm in CUPRITE_WAVELENGTHS]).assign(mineral=y)
    table.to_csv(tmp_path / "table.csv", index=False)
    output = tmp_path / "m.capoz"
    output.write_text("the model before")
    words = ["train", str(tmp_path / "table.csv"), "--label", "mineral", "--as-measured"]
    assert main([*words, "--output", str(output), "--quiet"]) == 130
    assert capsys.readouterr().err.endswith("Interrupted.\n")
    assert output.read_text() == "the model before"
