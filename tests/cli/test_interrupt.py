"""Ctrl-C at any moment of a command is one line and exit code 130, without a traceback."""

import builtins
import os
import subprocess
import sys
from pathlib import Path

import pytest

from sklearn_capoz.__main__ import main

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
