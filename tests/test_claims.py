"""What README and guide claim of accuracies and bytes is what the benchmarks stored."""

import re
from functools import partial
from itertools import chain
from pathlib import Path

import pandas as pd
import pytest

from benchmarks.__main__ import EXPERIMENTS
from benchmarks._in_short import SENTENCES, Numbers, in_short, price

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results"


def stored(name):
    return Numbers(pd.read_csv(RESULTS / f"{name}.csv"))


def text_of(file):
    """Return a file's text, a space for each run of white space."""
    return " ".join((ROOT / file).read_text("utf-8").split())


def agree(text, values):
    """Return whether the numbers of a text are these, rounded as they are printed.

    Stored are five digits, so that a half may be rounded up or down.
    """
    printed = re.findall(r"\d[\d,]*(?:\.\d+)?", text)
    return len(printed) == len(values) and all(
        abs(float(number.replace(",", "")) - value)
        <= 0.5 * 10.0 ** -len(number.partition(".")[2]) + 5e-5 * abs(value)
        for number, value in zip(printed, values, strict=True)
    )


def test_numbers_are_rounded_as_printed():
    assert agree("86.3 ± 0.7, 2,116 bytes", [86.349, 0.65, 2116])
    assert not agree("86.3 ± 0.7", [86.37, 0.7])
    assert not agree("86.3 ± 0.7", [86.3])
    assert not agree("62 %", [61.4])


def spread(of, **where):
    (row,) = of.rows(**where).to_dict("records")
    return [100 * row["accuracy"], 100 * row["accuracy_std"]]


def field():
    of = stored("field_map")
    figures = []
    for road, names in (
        ("train --scene", ("overall", "balanced")),
        ("matching, all bands", ("overall", "balanced")),
        ("train --scene", ("mean",)),
        ("train", ("overall", "balanced")),
    ):
        figures += [of.mean(name, road=road) for name in names]
    return figures


def trust():
    table = stored("field_trust").table.set_index("figure").filter(like="seed").mean(axis=1)
    plants = [table["rejected vegetation"], table["rejected bark, litter"]]
    made = [table[f"rejected {kind}"] for kind in ("flat", "sloped", "dark noise")]
    assert table["rejected water, snow"] == 1
    figures = [sum(plants) / 2, table["rejected other minerals"], sum(made) / 3, table["kept"]]
    figures += [table["kept Chalcedony"], table["rejected soil"], table["rejected rock"]]
    return [100 * value for value in figures]


def kept():
    table = stored("field_trust").table.set_index("figure").filter(like="seed").mean(axis=1)
    return [100 * table["kept"], 100 * table["kept Chalcedony"]]


def best_teacher():
    def above(task):
        pruned, scratch = (
            stored("teachers").mean("accuracy", task=task, units=5, method=method)
            for method in ("pruned, best teacher", "from scratch, the same teacher")
        )
        return 100 * (pruned - scratch)

    return [above("USGS mixtures"), above("MNIST, small"), above("Indian Pines")]


def half_of_the_bands():
    of = stored("inputs")
    at = {"task": "hull quotients", "cut": "30 units"}
    all_bands, half = (of.mean("accuracy", method=m, **at) for m in ("dense", "Taylor"))
    return [100 * (all_bands - half)]


def zeros():
    of, network = stored("connections"), "784-128-10 on MNIST"
    asked = {"cubic": "long", "static": "before"}
    return [
        100 * of.mean("overall", network=network, method=method, when=when)
        for method, when in asked.items()
    ]


def map_with_trust():
    rows = stored("growth").rows(work="map with trust, 200 bands")
    return [rows["megabytes"].max(), rows["n"].min() * 500, rows["n"].max() * 500, price(rows)]


def in_bytes():
    of, methods = stored("compress"), ("compress", "from scratch, 4 bits")
    return list(
        chain.from_iterable(
            spread(of, task="Indian Pines", units=size, method=method)
            for size in (3000, 6000)
            for method in methods
        )
    )


def four_bits():
    of, small, pines = stored("integers"), "minerals, pruned to 9", "Indian Pines, 60-30"
    exact, rounded, alone = (
        {task: 100 * of.mean("accuracy", task=task, method=method) for task in (small, pines)}
        for method in ("float", "4 bits", "4 bits, each weight alone")
    )
    return [
        exact[small] - rounded[small],
        exact[pines] - rounded[pines],
        rounded[pines] - alone[pines],
    ]


def graphs():
    of = stored("integers")
    tasks = [f"Indian Pines, disjoint fields, CNN{kind}, file of ONNX" for kind in ("2D", "3D")]
    return [100 * of.mean("agreement", task=task, method="8 bits") for task in tasks]


def after_retraining(method, units, setting="USGS mixtures"):
    return 100 * stored("paper").mean(
        "accuracy", setting=setting, units=units, method=method, part="matched"
    )


def above_random():
    at = {"units": 9, "setting": "Indian Pines"}
    l1, apoz, contrast, random = (
        after_retraining(method, **at) for method in ("l1", "apoz", "contrast", "random")
    )
    return [l1 - random, random - apoz, random - contrast]


def before_retraining():
    at = {"setting": "USGS mixtures", "units": 5, "part": "matched"}
    methods = ("c-apoz", "contrast", "reconstruction + least-squares")
    return [100 * stored("paper").mean("select_before", method=m, **at) for m in methods]


def with_a_teacher():
    plain = "c-apoz"
    taught, refitted = f"{plain} + distillation", f"{plain} + least-squares + distillation"
    best = "reconstruction + least-squares + distillation"
    return [
        after_retraining(taught, 9) - after_retraining(plain, 9),
        after_retraining(refitted, 5) - after_retraining(taught, 5),
        *(after_retraining(best, units) - after_retraining(plain, units) for units in (9, 5)),
    ]


def random_and_disjoint():
    rows = stored("networks").rows(network="2d", method="dense")
    return [100 * rows.loc[rows["split"] == s, "overall"].median() for s in ("random", "disjoint")]


def matching():
    of = stored("field_map")
    roads = ("matching, all bands", "matching, 2080 to 2420 nm")
    return [100 * of.mean("overall", road=road) for road in roads]


#: File, a sentence with a group for each figure, and where the figures come from.
CLAIMS = [
    (
        "README.md",
        r"these commands get ([\d.]+) overall and ([\d.]+) balanced .* matching in all bands "
        r"([\d.]+) and ([\d.]+): their mean, ([\d.]+), is the same. Without `--scene` it is "
        r"([\d.]+) and ([\d.]+)",
        field,
    ),
    (
        "README.md",
        r"that is (\d+) % of vegetation, bark and litter, all water and (\d+) % of other minerals, "
        r"and (\d+) % of flat, sloped and dark noise; of the 452 pixels (\d+) % keep their names, "
        r"and of the nearly featureless chalcedony among them (\d+) % .* (\d+) and (\d+) % are "
        r"rejected",
        trust,
    ),
    (
        "README.md",
        r"same teacher and as many epochs: by ([\d.]+) points on the mixtures and ([\d.]+) on "
        r"small MNIST images, both significant, and by ([\d.]+) on Indian Pines",
        best_teacher,
    ),
    ("README.md", r"Half of the bands cost ([\d.]+) points on the mixtures", half_of_the_bands),
    (
        "README.md",
        r"5 % of the weights keep (\d+) % accuracy if they are cut while it is trained, and "
        r"(\d+) % if at once",
        zeros,
    ),
    (
        "docs/guide/continent.rst",
        r"(\d+) MB beside Python for a scene of 200 bands with trust, whether it has ([\d,]+) "
        r"pixels or ([\d,]+).* price is all there is to know: ([\d.]+) microseconds",
        map_with_trust,
    ),
    (
        "docs/guide/size.rst",
        r"in 3,000 bytes, ([\d.]+ ± [\d.]+) % against ([\d.]+ ± [\d.]+) % .* in 6,000 bytes "
        r"([\d.]+ ± [\d.]+) % against ([\d.]+ ± [\d.]+) %",
        in_bytes,
    ),
    (
        "docs/guide/device.rst",
        r"Four bits cost ([\d.]+) points of the network of 9 units and ([\d.]+) of that for Indian "
        r"Pines\. .* is worth ([\d.]+) points there",
        four_bits,
    ),
    (
        "docs/guide/expectations.rst",
        r"(\d+) % of the known pixels keep theirs, but of chalcedony, which is nearly featureless, "
        r"(\d+) %",
        kept,
    ),
    ("docs/guide/device.rst", r"alike in ([\d.]+) % \(`\"2d\"`\) and ([\d.]+) %", graphs),
    (
        "docs/choosing_a_criterion.rst",
        r"L1 does \(\+([\d.]+) points\), while APoZ \(-([\d.]+)\) and contrast \(-([\d.]+)\)",
        above_random,
    ),
    (
        "docs/choosing_a_criterion.rst",
        r"C-APoZ alone keeps (\d+) % accuracy, contrast (\d+), reconstruction with "
        r'`compensation="least-squares"` (\d+)',
        before_retraining,
    ),
    (
        "docs/choosing_a_criterion.rst",
        r"is worth ([\d.]+) points to C-APoZ .* adds another ([\d.]+)\. .* is ([\d.]+) \(9 units\) "
        r"and ([\d.]+) points \(5 units\) above",
        with_a_teacher,
    ),
    (
        "docs/guide/patches.rst",
        r"is right on ([\d.]+) % of test pixels drawn at random, and on ([\d.]+) % of those in "
        r"fields of their own",
        random_and_disjoint,
    ),
    (
        "docs/guide/field.rst",
        r"labels ([\d.]+) % right with all 50 bands and ([\d.]+) % without their ends",
        matching,
    ),
]


@pytest.mark.parametrize(
    ("file", "sentence", "figures"), CLAIMS, ids=[figures.__name__ for *_, figures in CLAIMS]
)
def test_sentences_have_the_stored_figures(file, sentence, figures):
    found = re.search(sentence, text_of(file))
    assert found, f"{file} has no such sentence any more: {sentence}"
    assert agree(" ".join(found.groups()), figures())


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


def test_every_part_has_its_sentence_at_the_head_of_the_results():
    text = (ROOT / "benchmarks" / "RESULTS.md").read_text("utf-8")
    parts = [name for name in EXPERIMENTS if (RESULTS / f"{name}.md").exists()]
    assert set(parts) <= set(SENTENCES)
    for name in parts:
        sentence = in_short(RESULTS / f"{name}.csv")
        assert sentence, name
        assert f"| {sentence} |" in text
