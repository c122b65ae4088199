"""Every example of the guide runs, and the reference lists every public module."""

import doctest
import pkgutil
import re
from importlib import import_module
from pathlib import Path

import pytest

import sklearn_capoz

DOCS = Path(__file__).resolve().parents[1] / "docs"
PAGES = sorted(
    page.relative_to(DOCS).as_posix()
    for page in DOCS.rglob("*.rst")
    if not {"_build", "_templates", "generated", "gallery"} & set(page.parts)
)


@pytest.mark.parametrize("page", PAGES)
def test_examples_of_the_guide(page):
    flags = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS
    path = str(DOCS / page)
    assert doctest.testfile(path, module_relative=False, optionflags=flags).failed == 0


def test_the_guide_is_there():
    assert "guide/criterion.rst" in PAGES
    examples = [page for page in PAGES if ">>> " in (DOCS / page).read_text()]
    assert len(examples) >= 8


def test_the_reference_lists_every_public_package():
    listed = set(re.findall(r"^   (sklearn_capoz\S*)$", (DOCS / "api.rst").read_text(), re.M))
    packages = {
        f"sklearn_capoz.{module.name}"
        for module in pkgutil.iter_modules(sklearn_capoz.__path__)
        if module.ispkg and hasattr(import_module(f"sklearn_capoz.{module.name}"), "__all__")
    }
    assert packages <= listed
