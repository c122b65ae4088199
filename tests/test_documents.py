"""Every example of the guide runs."""

import doctest
from pathlib import Path

import pytest

from sklearn_capoz.estimators import _register

DOCS = Path(__file__).resolve().parents[1] / "docs"
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
