"""Sentences of README and guide claim of accuracies and bytes what the benchmarks stored."""

import re
from itertools import chain

import pytest
from claims import RESULTS, ROOT, agree, spread, stored, text_of

from benchmarks.__main__ import EXPERIMENTS
from benchmarks._in_short import SENTENCES, in_short, price


def test_numbers_are_rounded_as_printed():
    assert agree("86.3 ± 0.7, 2,116 bytes", [86.349, 0.65, 2116])
    assert not agree("86.3 ± 0.7", [86.37, 0.7])
    assert not agree("86.3 ± 0.7", [86.3])
    assert not agree("62 %", [61.4])


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


def test_every_part_has_its_sentence_at_the_head_of_the_results():
    text = (ROOT / "benchmarks" / "RESULTS.md").read_text("utf-8")
    parts = [name for name in EXPERIMENTS if (RESULTS / f"{name}.md").exists()]
    assert set(parts) <= set(SENTENCES)
    for name in parts:
        sentence = in_short(RESULTS / f"{name}.csv")
        assert sentence, name
        assert f"| {sentence} |" in text
