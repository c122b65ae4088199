"""Public is what a package's `__all__` names; the reference lists those packages and no other."""

import importlib
import inspect
import pkgutil
import re
from pathlib import Path

import pytest

import sklearn_capoz

DOCS = Path(__file__).resolve().parents[1] / "docs"
REFERENCE = (DOCS / "api.rst").read_text()
#: Packages that users come to by others: readers of files, and the command line.
PRIVATE = {"sklearn_capoz.formats", "sklearn_capoz.cli"}


def modules(package=sklearn_capoz):
    """Yield the names of all modules whose names have no underscore in front."""
    yield package.__name__
    for found in pkgutil.iter_modules(package.__path__):
        name = f"{package.__name__}.{found.name}"
        if found.name.startswith("_"):
            continue
        if found.ispkg:
            yield from modules(importlib.import_module(name))
        else:
            yield name


PUBLIC = [name for name in modules() if hasattr(importlib.import_module(name), "__all__")]


def test_the_reference_lists_the_public_packages_and_no_other():
    listed = re.findall(r"^   (sklearn_capoz\S*)$", REFERENCE, re.M)
    assert len(listed) == len(set(listed))
    assert set(listed) == set(PUBLIC)


def test_what_has_no_underscore_is_public_or_a_private_house():
    assert set(modules()) - set(PUBLIC) == PRIVATE


@pytest.mark.parametrize("package", PUBLIC)
def test_all_names_are_there_sorted_and_once(package):
    module = importlib.import_module(package)
    assert len(set(module.__all__)) == len(module.__all__)
    assert not [name for name in module.__all__ if name.startswith("_")]
    assert not [name for name in module.__all__ if not hasattr(module, name)]
    assert module.__doc__


def test_autosummary_writes_a_page_of_what_all_names():
    """Without these settings it lists what a module defines itself, or imports from anywhere."""
    settings = (DOCS / "conf.py").read_text()
    for setting in (
        "autosummary_generate = True",
        "autosummary_imported_members = True",
        "autosummary_ignore_module_all = False",
    ):
        assert setting in settings
    template = (DOCS / "_templates" / "autosummary" / "module.rst").read_text()
    for kind in ("classes", "functions", "exceptions"):
        assert kind in template


@pytest.mark.parametrize("package", PUBLIC)
def test_every_public_name_is_documented(package):
    """Classes and functions on pages of their own; a table on the page of its package."""
    module = importlib.import_module(package)
    for name in module.__all__:
        thing = getattr(module, name)
        if inspect.isclass(thing) or inspect.isroutine(thing):
            assert thing.__doc__, f"{package}.{name} has no docstring"
        else:
            assert name in module.__doc__, f"the docstring of {package} does not say what {name} is"


def test_packages_that_show_the_same_name_show_the_same_thing():
    found = {}
    for package in PUBLIC:
        module = importlib.import_module(package)
        for name in module.__all__:
            assert found.setdefault(name, getattr(module, name)) is getattr(module, name)


def test_the_version_is_the_same_everywhere():
    root, version = DOCS.parent, sklearn_capoz.__version__
    cited = re.search(
        r"^version: (\S+)\ndate-released: (\S+)$", (root / "CITATION.cff").read_text(), re.M
    )
    newest = re.search(r"^## \[(\S+)\] - (\S+)$", (root / "CHANGELOG.md").read_text(), re.M)
    assert cited.groups() == newest.groups()
    assert cited[1] == version
