"""The page for those who come from version 0.1 names every public name that moved."""

from pathlib import Path

from sklearn_capoz._moved import MOVED_MODULES, MOVED_NAMES

PAGE = Path(__file__).resolve().parents[1] / "docs" / "guide" / "migration.rst"


def test_every_moved_name_is_told():
    text = PAGE.read_text()
    modules = [f"sklearn_capoz.{name}" for name in MOVED_MODULES if "_" not in name]
    names = [f"{package}.{name}" for package, moved in MOVED_NAMES.items() for name in moved]
    assert [name for name in modules + names if f"`{name}`" not in text] == []
