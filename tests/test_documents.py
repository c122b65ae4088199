"""Every example of the guide runs, and its commands are there."""

import argparse
import doctest
import re
import shlex
from pathlib import Path

import pytest

from sklearn_capoz.cli._assess import add_assess_parser
from sklearn_capoz.cli._demo import add_demo_parser
from sklearn_capoz.cli._map import add_map_parser
from sklearn_capoz.cli._report import add_report_parser
from sklearn_capoz.cli._train import add_train_parser
from sklearn_capoz.estimators import _register

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
ADD_PARSERS = (
    add_assess_parser,
    add_demo_parser,
    add_map_parser,
    add_report_parser,
    add_train_parser,
)
PAGES = sorted(
    page.relative_to(DOCS).as_posix()
    for page in DOCS.rglob("*.rst")
    if not {"_build", "_templates", "generated", "gallery"} & set(page.parts)
)


@pytest.fixture(autouse=True)
def _register_of_its_own(monkeypatch):
    """Undo what a page registers: its adapter knows names of that page only."""
    monkeypatch.setattr(_register, "_REGISTER", list(_register._REGISTER))


@pytest.mark.parametrize("page", PAGES)
def test_examples_of_the_guide(page):
    flags = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS
    path = str(DOCS / page)
    assert doctest.testfile(path, module_relative=False, optionflags=flags).failed == 0


def test_the_guide_is_there():
    assert "guide/criterion.rst" in PAGES
    examples = [page for page in PAGES if ">>> " in (DOCS / page).read_text()]
    assert len(examples) >= 8


def test_no_python_is_shown_that_does_not_run():
    shown = [page for page in PAGES if "code-block:: python" in (DOCS / page).read_text()]
    assert shown == []


@pytest.mark.parametrize("page", ["../README.md", *PAGES])
def test_commands_of_a_page_are_understood(page):
    parser = argparse.ArgumentParser()
    commands = parser.add_subparsers(required=True)
    for add in ADD_PARSERS:
        add(commands)
    text = re.sub(r"\\\n\s*", "", (DOCS / page).read_text())
    for line in re.findall(r"\$ python -m sklearn_capoz (.*)", text):
        parser.parse_args(shlex.split(line))  # exits where it does not know an option


def test_benchmarks_that_pages_name_are_there():
    texts = [(DOCS / page).read_text() for page in ("../README.md", *PAGES)]
    named = set(re.findall(r"-m benchmarks[\s.]+([a-z_]+)", " ".join(texts)))
    assert {"paper", "field_map"} <= named
    assert {name for name in named if not (ROOT / "benchmarks" / f"{name}.py").exists()} == set()
