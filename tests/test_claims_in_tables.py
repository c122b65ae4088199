"""Tables of README and guide hold the numbers that the benchmarks stored."""

import re
from functools import partial
from itertools import chain

import pytest
from claims import ROOT, agree, spread, stored


def rows_of(file):
    """Yield the cells of each row of a file's tables: Markdown's, list-tables, simple tables."""
    lines = (ROOT / file).read_text("utf-8").splitlines()
    listed = []
    for line in lines:
        bare = line.strip()
        if bare.startswith("|"):
            yield [cell.strip() for cell in bare.strip("|").split("|")]
        elif len(cells := re.split(r" {3,}", bare)) > 1:
            yield cells
        if not bare.startswith(("* - ", "- ")) and listed:
            yield listed
            listed = []
        if bare.startswith("* - "):
            if listed:
                yield listed
            listed = [bare[4:]]
        elif bare.startswith("- ") and listed:
            listed.append(bare[2:])


def test_rows_are_read(tmp_path, monkeypatch):
    text = "| a | 1 |\n\n   * - b\n     - 2\n   * - c\n     - 3\n\nd e    4   5\n"
    (tmp_path / "page").write_text(text)
    monkeypatch.setitem(globals(), "ROOT", tmp_path)
    expected = [["a", "1"], ["b", "2"], ["c", "3"], ["d e", "4", "5"]]
    assert list(rows_of("page")) == expected


def of_paper(method, part="matched"):
    of = stored("paper")
    return [
        spread(of, setting=setting, units=units, method=method, part=part)
        for setting in ("USGS mixtures", "Indian Pines")
        for units in (9, 5)
    ]


def dense():
    of = stored("paper")
    return [
        spread(of, setting=setting, units=30, method="c-apoz", part="matched")
        for setting in ("USGS mixtures", "USGS mixtures", "Indian Pines", "Indian Pines")
    ]


def integers(method, task="minerals, pruned to 9"):
    of, at = stored("integers"), {"task": task, "method": method}
    return spread(of, **at), [of.mean("bytes", **at)], [100 * of.mean("agreement", **at)]


def in_readme(method):
    accuracy, n_bytes, alike = integers(method)
    return [n_bytes, accuracy, [] if method == "float" else alike]


def in_guide(task):
    def cells():
        accuracy, n_bytes, _ = integers("float", task)
        quantized = (integers(bits, task) for bits in ("8 bits", "4 bits"))
        cells = [accuracy + n_bytes, *(list(chain(*parts)) for parts in quantized)]
        if "CNN" not in task:
            cells.append(integers("4 bits, retrained", task)[0])
        return cells

    return cells


def of_inputs(method):
    of = stored("inputs")
    return [
        spread(of, task=task, cut="30 units", method=method)
        for task in ("hull quotients", "reflectance")
    ]


def of_road(road):
    of = stored("field_map")
    return [[of.mean(name, road=road)] for name in ("overall", "balanced")]


def rejected(*kinds):
    table = stored("field_trust").table.set_index("figure").filter(like="seed").mean(axis=1)
    return [[100 * sum(table[f"rejected {kind}"] for kind in kinds) / len(kinds)]]


SCRATCH = "from scratch, total epochs"
DEVICE, EXPECTATIONS = "docs/guide/device.rst", "docs/guide/expectations.rst"
#: File, what a row of a table begins with, and what follows.
ROWS = [
    ("README.md", "dense, 30 units", dense),
    ("README.md", "C-APoZ, as published", lambda: of_paper("c-apoz")),
    ("README.md", "random units, retrained alike", lambda: of_paper("random")),
    ("README.md", "small network from scratch, as many epochs in all",
     lambda: of_paper(SCRATCH, "control")),
    ("README.md", "the same, taught by the dense network",
     lambda: of_paper(f"{SCRATCH}, distillation", "control")),
    ("README.md", "reconstruction, least-squares, distillation",
     lambda: of_paper("reconstruction + least-squares + distillation")),
    ("README.md", "float32", lambda: in_readme("float")),
    ("README.md", "8-bit weights", lambda: in_readme("8 bits")),
    ("README.md", "4-bit weights", lambda: in_readme("4 bits")),
    (DEVICE, "minerals, pruned to 9 units", in_guide("minerals, pruned to 9")),
    (DEVICE, "minerals, 30 units", in_guide("minerals, 30 units")),
    (DEVICE, "minerals, 30 units of tanh", in_guide("minerals, 30 units of tanh")),
    (DEVICE, "Indian Pines, 60 and 30 units", in_guide("Indian Pines, 60-30")),
    (DEVICE, "Indian Pines, disjoint fields, CNN1D",
     in_guide("Indian Pines, disjoint fields, CNN1D")),
    ("docs/guide/inputs.rst", "all 50 bands", lambda: of_inputs("dense")),
    ("docs/guide/inputs.rst", "all 50, trained for as many epochs",
     lambda: of_inputs("dense, the same epochs more")),
    *(
        ("docs/guide/inputs.rst", row, partial(of_inputs, method))
        for row, method in {
            "Taylor": "Taylor",
            "L1 norm": "L1 norm",
            "reconstruction, least squares": "reconstruction",
            "correlation, least squares": "correlation",
            "random": "random",
            "every second band, from scratch": "every second band, from scratch",
        }.items()
    ),
    (EXPECTATIONS, "matching, all bands", lambda: of_road("matching, all bands")),
    (EXPECTATIONS, "`train`, then `map`", lambda: of_road("train")),
    (EXPECTATIONS, "`train --scene`, then `map`", lambda: of_road("train --scene")),
    (EXPECTATIONS, "matching, 2080 to 2420 nm", lambda: of_road("matching, 2080 to 2420 nm")),
    (EXPECTATIONS, "water, snow", lambda: rejected("water, snow")),
    (EXPECTATIONS, "flat and sloped spectra", lambda: rejected("flat", "sloped")),
    (EXPECTATIONS, "dark noise", lambda: rejected("dark noise")),
    (EXPECTATIONS, "vegetation, bark, litter",
     lambda: rejected("vegetation", "bark, litter")),
    (EXPECTATIONS, "other minerals", lambda: rejected("other minerals")),
    (EXPECTATIONS, "rocks", lambda: rejected("rock")),
    (EXPECTATIONS, "soils", lambda: rejected("soil")),
]  # fmt: skip


@pytest.mark.parametrize(
    ("file", "name", "cells"), ROWS, ids=[f"{file}-{name}" for file, name, _ in ROWS]
)
def test_tables_have_the_stored_figures(file, name, cells):
    found = [row[1:] for row in rows_of(file) if row[0] == name]
    assert found, f"{file} has no row {name!r} any more"
    expected = cells()
    assert any(
        len(row) >= len(expected)
        and all(agree(cell, values) for cell, values in zip(row, expected, strict=False))
        for row in found
    ), (found, expected)
