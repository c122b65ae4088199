"""The statistics by hand, and every experiment once, on tiny data."""

import subprocess
import sys
from copy import deepcopy
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from skorch import NeuralNetClassifier

from benchmarks import _data, _paper_tables, paper
from benchmarks import _protocol as protocol
from benchmarks.__main__ import EXPERIMENTS
from benchmarks._report import Report, assemble, markdown_table
from benchmarks._statistics import compare, differences, exponent, holm, mean_std, verdict

ROOT = Path(__file__).resolve().parents[2]
TINY = protocol.Budget(epochs=3, retrain_epochs=2, batch_size=50)
# A few percent of the samples right at first, and classes that a network never names.
pytestmark = [
    pytest.mark.filterwarnings("ignore:.*contains classes not in.*:UserWarning"),
    pytest.mark.filterwarnings("ignore:.*joblib will operate in serial mode.*"),
]


def table_of(**accuracies):
    """One row per method and seed, 9 units each."""
    rows = [
        {"method": method, "units": 9, "seed": seed, "accuracy": value}
        for method, values in accuracies.items()
        for seed, value in enumerate(values)
    ]
    return pd.DataFrame(rows)


def test_compare_pairs_seeds_and_corrects_over_all_rows():
    rng = np.random.RandomState(0)
    base = rng.uniform(0.4, 0.6, 12)
    table = table_of(
        a=base + 0.1 + rng.uniform(0, 0.01, 12), b=base, c=base + rng.normal(0, 0.01, 12)
    )
    table = table.sample(frac=1, random_state=0)  # the order of rows says nothing
    found = compare(table, [("a", "b"), ("b", "a"), ("c", "b")], [9])
    assert found["difference"].iloc[0] == pytest.approx(10.5, abs=0.5)
    assert found["difference"].iloc[1] == pytest.approx(-found["difference"].iloc[0])
    assert found["std"].iloc[0] < 0.5  # of the differences, not of the accuracies
    np.testing.assert_allclose(found["p_holm"], holm(found["p"]))
    assert differences(found)[""].tolist() == ["higher", "lower", "not significant"]
    text = verdict(found).splitlines()
    assert text[0] == ("Paired Wilcoxon test over seeds, Holm's correction over 3 tests, 5 %:")
    assert text[2].startswith("- Significantly higher: a against b (9 units: +10.")
    assert text[3].startswith("- Significantly lower: b against a (9 units: -10.")
    assert text[4].startswith("- No significant difference: c against b (9 units: ")


def test_verdict_names_a_method_once():
    sure = dict.fromkeys(["p", "p_holm"], 0.001)
    rows = [{"units": u, "method": "a", "against": x, "difference": d} | sure
            for u, x, d in [(9, "b", 1.0), (9, "c", 2.0), (5, "b", 3.0)]]  # fmt: skip
    text = verdict(pd.DataFrame(rows))
    assert "- Significantly higher: a against b (9 units: +1.00, 5 units: +3.00), c (" in text
    assert "- Significantly lower: none." in text


def test_mean_std():
    assert mean_std(pd.Series([0.8, 0.9])) == "85.0 ± 7.1"
    assert mean_std(pd.Series([9.0]), 1) == "9.0 ± 0.0"


def test_four_sets_are_disjoint(data_home):
    task = _data.indian_pines(0, data_home)
    counts = [len(y) for y in (task.y, task.y_val, task.y_test)]
    assert counts == [1024, 1024, 10249 - 2048]
    rows = np.concatenate([task.X, task.X_val, task.X_test])
    assert len(np.unique(rows, axis=0)) > 10_200  # a pixel or two are alike in all bands


def test_mixtures_have_the_counts_of_the_paper():
    task = _data.usgs_mixtures(3)
    assert task.X.dtype == np.float32
    assert np.bincount(task.y).tolist() == [100] * 7
    assert sorted(np.bincount(task.y_test)) == sorted(_data.N_TEST)
    assert task.n_classes == 7
    assert not np.array_equal(task.X[:5], _data.usgs_mixtures(4).X[:5])
    np.testing.assert_array_equal(task.X, _data.usgs_mixtures(3).X)


def test_paths_and_controls_spend_the_same_epochs():
    task = _data.usgs_mixtures(0, quick=True)
    dense = protocol.train_dense(task, (30,), 0, TINY)
    method = protocol.Method("c-apoz")
    path = protocol.walk(dense, task, method, 0, TINY, paper.Widths((20, 10)), 2)
    rows = protocol.path_rows(path, task, "c-apoz")
    assert [row["units"] for row in rows] == [30, 20, 10]
    assert [row["epochs"] for row in rows] == [TINY.after(i) for i in range(3)] == [3, 5, 7]
    assert rows[2]["parameters"] == 50 * 10 + 10 + 10 * 7 + 7
    assert rows[2]["bytes"] == 4 * rows[2]["parameters"]
    control = protocol.control_row("control", task, TINY, 7, 0, start=(10,))
    assert (control["units"], control["epochs"]) == (10, 7)


def test_a_control_learns_from_its_teacher():
    task = _data.usgs_mixtures(0, quick=True)
    teacher = protocol.train_dense(task, (30,), 0, protocol.Budget(100, 1, 20)).network_
    budget = protocol.Budget(100, 1, 20)
    make = partial(protocol.control_row, "c", task, budget, 40, 0, start=(10,))
    assert make()["f1"] == make()["f1"]
    assert make(teacher=teacher)["f1"] != make()["f1"]
    further = protocol.control_row("c", task, budget, 1, 0, start=teacher)
    assert further["accuracy"] > 0.5  # goes on from the teacher's weights


def test_summary_keeps_every_seed():
    table = table_of(a=[0.5, 0.7]).assign(kappa=0.4, part="x")
    found = protocol.summary(table, ("part", "method", "absent"))
    assert found["accuracy"].tolist() == pytest.approx([0.6])
    assert found["accuracy_std"].tolist() == pytest.approx([np.std([0.5, 0.7], ddof=1)])
    assert found[["accuracy_seed0", "accuracy_seed1"]].to_numpy().tolist() == [[0.5, 0.7]]


def test_markdown_table():
    table = pd.DataFrame({"a": ["x", None], "b": [1, 2]})
    assert markdown_table(table) == "| a | b |\n| --- | --- |\n| x | 1 |\n|  | 2 |"


def test_one_experiment_can_be_run_again_alone(tmp_path):
    order = ("first", "second", "third")
    for name in ("second", "first"):
        report = Report(name, tmp_path, f"run {name}", 3)
        report.text(f"text of {name}")
        report.write(name.title(), order)
    text = (tmp_path / "RESULTS.md").read_text("utf-8")
    assert text.index("## First") < text.index("## Second")
    report = Report("first", tmp_path, "run first", 5)
    report.text("anew")
    report.write("First", order)
    text = (tmp_path / "RESULTS.md").read_text("utf-8")
    assert "text of first" not in text
    assert "anew" in text
    assert "text of second" in text
    assert "`run first`, 5 seeds" in text
    assemble(tmp_path, ("second",))
    assert "## First" not in (tmp_path / "RESULTS.md").read_text("utf-8")


def run_quick(name, folder, *arguments):
    """Run an experiment as a user would; return its part of RESULTS.md."""
    from benchmarks.__main__ import main

    main([name, "--quick", "--jobs", "1", "--output", str(folder), *arguments])
    text = (folder / "RESULTS.md").read_text("utf-8")
    assert (folder / "results" / f"{name}.csv").stat().st_size > 500
    for picture in (folder / "results").glob("*.png"):
        assert picture.stat().st_size < 150_000
        assert f"results/{picture.name}" in text
    return text


def test_paper(tmp_path, monkeypatch):
    monkeypatch.setattr(paper, "EVERY_WIDTH", (29, 28))
    monkeypatch.setattr(paper, "SWEEP", (10, 30))
    monkeypatch.setattr(paper, "N_RANDOM_DRAWS", 2)
    text = run_quick("paper", tmp_path, "--seeds", "2")
    for title in (*_paper_tables.CONTROLS, "### In short", "Indian Pines was not run"):
        assert title in text
    table = pd.read_csv(tmp_path / "results" / "paper.csv")
    pruned = table[table["part"] == "matched"]
    assert set(pruned["units"]) == {30, *paper.WIDTHS}
    assert {"accuracy_seed0", "accuracy_seed1"} <= set(table)
    scratch = table[table["method"] == "from scratch, total epochs"].groupby("units")["epochs"]
    path = pruned[pruned["method"] == paper.BEST.name].groupby("units")["epochs"]
    assert scratch.first().to_dict() == path.first().drop(30).to_dict()


def test_sensitivity(tmp_path):
    assert "30-20 units, layer all" in run_quick("sensitivity", tmp_path, "--seeds", "1")


def test_disjoint(tmp_path, data_home):
    text = run_quick("disjoint", tmp_path, "--seeds", "1", "--data-home", str(data_home))
    assert "What the random split adds" in text


def test_margins_after_each_epoch_of_retraining():
    from benchmarks.retraining import margins

    rows = pd.DataFrame(
        [
            ("reconstruction", "none", 0, 0.5, 0.6), ("L1", "none", 0, 0.1, 0.2),
            ("reconstruction", "balanced", 1, 0.75, 0.75), ("L1", "balanced", 1, 0.6, 0.75),
            ("dense", "none", 0, 0.9, 0.9),
            ("from scratch", "none", 16, 0.7, 0.5), ("from scratch", "balanced", 16, 0.6, 0.6),
        ],
        columns=["method", "weights", "epochs", "overall", "average"],
    ).assign(seed=0)  # fmt: skip
    table = margins(rows)
    assert table["average, less L1"].tolist() == [0.4, 0.0]
    assert table["seeds above L1"].tolist() == ["1 of 1", "0 of 1"]
    # The better of the small networks, whatever its weights.
    assert table["overall, less from scratch"].tolist() == [-0.2, 0.05]


def test_training_on_epoch_by_epoch_is_training_once():
    from benchmarks._network_tasks import Task
    from benchmarks.retraining import train_on

    random = np.random.RandomState(0)
    y = random.randint(0, 2, 40)
    X = (random.standard_normal((40, 6)) + y[:, None]).astype(np.float32)
    task = Task(X, y, X, y)
    torch.manual_seed(0)
    module = torch.nn.Sequential(torch.nn.Linear(6, 4), torch.nn.ReLU(), torch.nn.Linear(4, 2))
    net = NeuralNetClassifier(
        module, criterion=torch.nn.CrossEntropyLoss, optimizer=torch.optim.Adam, batch_size=-1,
        train_split=None, verbose=0, lr=0.01,
    ).initialize()  # fmt: skip
    once = deepcopy(net).set_params(max_epochs=5).partial_fit(X, y)
    *_, net = train_on(net, task, 5, "none", 0)
    np.testing.assert_allclose(net.predict_proba(X), once.predict_proba(X), rtol=1e-5)


def test_disjoint_needs_its_data(tmp_path):
    with pytest.raises(SystemExit, match="disjoint needs Indian Pines: give --data-home FOLDER"):
        run_quick("disjoint", tmp_path)


def test_both_splits_have_the_same_classes(data_home):
    from benchmarks.disjoint import make_split, scene

    counts = {}
    for split in ("random", "disjoint"):
        task = make_split(split, 0, data_home)
        counts[split] = [np.bincount(y) for y in (np.append(task.y, task.y_val), task.y_test)]
    for of_random, of_disjoint in zip(*counts.values(), strict=True):
        np.testing.assert_array_equal(of_random, of_disjoint)
    assert counts["disjoint"][0].sum() == scene(data_home).disjoint_train.sum()


def test_mnist(tmp_path, data_home):
    text = run_quick("mnist", tmp_path, "--seeds", "1", "--data-home", str(data_home))
    assert "- RigL+ 375-62-51, sparse (published), 1.57 % in 16,113 bytes: no network" in text


def test_siamese(tmp_path, data_home):
    text = run_quick("siamese", tmp_path, "--seeds", "1", "--data-home", str(data_home))
    assert "| reconstruction + least-squares |" in text


def test_pairs_of_digits_are_fixed_by_the_seed(data_home):
    from benchmarks.siamese import Siamese, draw_pairs

    assert sum(parameter.numel() for parameter in Siamese().parameters()) == 126_657
    digits = np.arange(60) % 10
    X, same = draw_pairs(np.arange(60), digits, seed=3)
    assert same.mean() == 0.5
    np.testing.assert_array_equal(digits[X["first"]] == digits[X["second"]], same == 1)
    again, _ = draw_pairs(np.arange(60), digits, seed=3)
    np.testing.assert_array_equal(again["second"], X["second"])


def test_peers(tmp_path):
    text = run_quick("peers", tmp_path, "--seeds", "1")
    assert "scikit-learn, GridSearchCV over widths" in text


@pytest.mark.parametrize("job", ["hulls", "channels", "integers"])
def test_peers_of_the_field_do_the_same_job(job):
    from benchmarks import field_peers

    table = field_peers.measure(job, protocol.Options(seeds=1, quick=True))
    assert "this package" in set(table["method"])
    assert len(table) > 1
    if job == "hulls":
        assert table["apart"].max() < 1e-6


def test_lines_are_those_of_the_body():
    from benchmarks._lines import lines_of
    from benchmarks.field_peers import from_scratch, hull, torch_loop

    assert lines_of(hull) == 1
    assert lines_of(from_scratch, torch_loop) == lines_of(from_scratch) + lines_of(torch_loop)


def test_integers(tmp_path, data_home):
    text = run_quick("integers", tmp_path, "--seeds", "1", "--data-home", str(data_home))
    assert "minerals, pruned to 9" in text
    assert "Indian Pines, 60-30" in text
    assert "| absorption features | 4-bit weights |" in text


def test_connections(tmp_path, data_home):
    text = run_quick("connections", tmp_path, "--seeds", "1", "--data-home", str(data_home))
    for network in ("784-128-10 on MNIST", "CNN1D on Indian Pines"):
        assert f"### {network}" in text
    assert "| overall, before | cubic | static |" in text
    table = pd.read_csv(tmp_path / "results" / "connections.csv")
    for _, rows in table.groupby("network"):
        dense = rows["method"] == "dense"
        (n_dense,), (n_sparse,) = (set(rows.loc[part, "connections"]) for part in (dense, ~dense))
        assert n_sparse == pytest.approx(0.05 * n_dense, abs=3)


def test_an_exponent_is_the_slope_of_the_larger_sizes():
    n = np.array([1, 2, 4, 8, 16, 32])
    assert exponent(n, 3.0 * n**2) == pytest.approx((2, 0))
    assert exponent(n, np.maximum(20, 5 * n))[0] == pytest.approx(1)  # the first ones all cost 20
    assert exponent([1, 2], [1, 8])[0] == pytest.approx(3)


def test_a_curve_has_time_and_memory(tmp_path):
    from benchmarks import growth

    holds = growth.Curve("work", "MB", (1, 40), lambda n, _: lambda: bytearray(n * 2**20))
    rows = growth.measure(holds, 1, 2)
    assert rows["n"].tolist() == [1, 40]
    assert rows["megabytes"].iloc[1] > 20
    assert (rows["seconds"] >= 0).all()


def test_the_list_names_every_benchmark():
    listed = subprocess.run(
        [sys.executable, "-m", "benchmarks", "no-such"],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert listed.returncode == 1
    assert "There is no benchmark 'no-such'" in listed.stderr
    for module in ROOT.glob("benchmarks/[a-z]*.py"):
        star = "*" if module.stem in EXPERIMENTS else " "
        assert f"\n{star} {module.stem} " in listed.stdout


@pytest.fixture
def library(data_home):
    from benchmarks.laboratory_to_field import load_library

    return load_library(data_home)


def test_tetracorder_names_the_pure_spectra_of_the_library(data_home, library):
    from benchmarks._tetracorder import Tetracorder

    names = Tetracorder(data_home)(library.reflectance)
    for mineral in ("Alunite", "Calcite", "Montmorillonite", "Muscovite"):
        assert set(names[library.minerals == mineral]) == {mineral}
    assert (names[library.minerals == "Kaolinite"] == "Kaolinite").mean() > 0.9
    for mineral in ("Buddingtonite", "Dolomite", "Gypsum", "Jarosite", "Pyrophyllite", "Talc"):
        assert set(names[library.minerals == mineral]) == {""}


def test_tetracorder_sees_neither_light_nor_slope(data_home, library):
    from benchmarks._tetracorder import Tetracorder

    rules = Tetracorder(data_home)
    names = rules(library.reflectance)
    np.testing.assert_array_equal(rules(0.3 * library.reflectance), names)
    upside_down = rules(1 / library.reflectance)  # every band is a peak
    assert (upside_down[library.seven] == names[library.seven]).mean() < 0.1
    assert set(rules(np.full((2, 50), 0.4))) == {""}


def test_a_field_without_shift_only_tilts(library):
    from benchmarks.laboratory_to_field import to_field
    from sklearn_capoz.datasets import FieldShift
    from sklearn_capoz.spectral import ContinuumRemoval

    seen = to_field(
        library.reflectance, library, FieldShift(tilt=0.3, bend=0.1), np.random.RandomState(0)
    )
    hull = ContinuumRemoval(library.wavelengths, ranges=[(2150, 2260)])
    expected, found = hull.fit_transform(library.reflectance), hull.fit_transform(seen)
    assert abs(found - expected).max() < 0.02
    shape = seen / library.reflectance
    curve = np.polynomial.Polynomial.fit(library.wavelengths, shape[0], 2)
    np.testing.assert_allclose(curve(library.wavelengths), shape[0], atol=1e-3)


def test_laboratory_model(data_home, library, monkeypatch):
    from benchmarks import laboratory_to_field

    monkeypatch.setattr(laboratory_to_field, "N_PER_MINERAL", 1000)
    model = laboratory_to_field.fit_laboratory_model(data_home, 0)
    assert model[-1].network_.widths == (9,)
    pure = library.reflectance[library.seven]
    predicted = model.predict(pure)
    assert (predicted == library.minerals[library.seven]).mean() > 0.9
    again = laboratory_to_field.fit_laboratory_model(data_home, 0)
    np.testing.assert_array_equal(again.predict_proba(pure), model.predict_proba(pure))


def test_matching_is_timed_beside_its_product(data_home, monkeypatch):
    from benchmarks import match_speed

    monkeypatch.setattr(match_speed, "N_REPEATS", 1)
    speeds = match_speed.measure(data_home, 512, 1)
    assert len(speeds) == 6
    assert all(value > 0 for both in speeds.values() for value in both)


@pytest.mark.parametrize("kind", ["2d", "3d"])
def test_the_graph_written_by_hand_is_the_network_over_an_image(kind):
    from benchmarks import patch_scene
    from sklearn_capoz.networks._cnn import KINDS
    from sklearn_capoz.networks._fully_convolutional import FullyConvolutional

    module = KINDS[kind](14, 3, channels=(3, 4), hidden=5).eval()
    image = torch.randn(1, 14, 12, 11, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        expected = FullyConvolutional(module, 14, 9)(image)
        found = patch_scene.by_hand(module)(image)[:, :, :4, :3]
    torch.testing.assert_close(found, expected)
