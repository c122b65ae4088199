"""The main job, on embedded data: train, prune by C-APoZ and by APoZ, compare, save, map."""

from __future__ import annotations

import warnings
from importlib.util import find_spec
from pathlib import Path
from time import perf_counter

import joblib
import numpy as np
import pandas as pd
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from ..datasets import CUPRITE_WAVELENGTHS, make_mineral_scene, make_mineral_spectra
from ..deploy import predict_scene, save_model
from ..displays import ImportanceDisplay, MineralMapDisplay, PruningPathDisplay
from ..estimators._classifier import PrunedMLPClassifier
from ..estimators._search import PruningPath, pruning_path
from ..exceptions import PruningStalledWarning
from ..reports import write_report
from ..scenes import SceneMap, assess
from ..spectral import SpectralAbsorptionIndex

__all__ = ["add_demo_parser"]

#: The C-APoZ paper's test samples per mineral.
_N_TEST = (400, 240, 240, 400, 400, 400, 240)

#: Pixels of the made scene whose mineral the report takes for known.
_N_PLACES = 1000

_COLUMNS = {
    "n_units": "units",
    "unit_ratio": "units x",
    "parameter_ratio": "param x",
    "bytes_ratio": "bytes x",
    "threshold_0": "threshold",
    "accuracy_before": "before",
    "accuracy_after": "after",
}
_LEGEND = """
units x, param x, bytes x: the dense network's units, parameters, stored bytes over this row's.
threshold: the rule's on this row's scores; units above it are gone in the next row.
before, after: accuracy before and after retraining, on the samples to choose on.
test: accuracy after retraining, on samples that nothing else has seen.
One seed: differences of a point are noise; benchmarks/RESULTS.md has more seeds and controls.
"""


def add_demo_parser(subparsers) -> None:
    """Add `demo` to the command line."""
    parser = subparsers.add_parser(
        "demo", help="train and prune a mineral classifier on embedded USGS spectra, draw a map"
    )
    parser.add_argument("--output", type=Path, default=Path("capoz_demo"), help="folder to write")
    parser.add_argument("--seed", type=int, default=0)
    parser.set_defaults(run=lambda arguments: run_demo(arguments.output, arguments.seed))


def run_demo(folder: Path, seed: int = 0) -> None:
    """Run the main job and write its results into a folder."""
    if folder.exists() and not folder.is_dir():
        raise NotADirectoryError(f"--output {folder} is a file; give the name of a folder.")
    folder.mkdir(parents=True, exist_ok=True)
    start = perf_counter()
    print(
        "Mixed USGS spectra of seven minerals, 50 bands from 1990 to 2480 nm: 700 to train on,\n"
        f"350 to score units on, 350 to choose the iteration on, {sum(_N_TEST)} to test."
    )
    X, y = make_mineral_spectra(700, random_state=seed)
    X_val, y_val = make_mineral_spectra(700, random_state=seed + 1)
    test = make_mineral_spectra(_N_TEST, random_state=seed + 2)
    features = make_pipeline(SpectralAbsorptionIndex(CUPRITE_WAVELENGTHS), StandardScaler())
    X, X_val = features.fit_transform(X), features.transform(X_val)
    paths = {}
    for criterion, name in (("c-apoz", "C-APoZ"), ("apoz", "APoZ")):
        classifier = PrunedMLPClassifier(
            (30,),
            criterion=criterion,
            n_iterations=7,
            keep="smallest",
            tolerance=0.01,
            verbose=True,
            random_state=seed,
        )
        with warnings.catch_warnings():
            warnings.simplefilter("default", PruningStalledWarning)
            paths[name] = pruning_path(classifier, X, y, X_val, y_val)
    table = pd.concat(
        {name: _table(path, features.transform(test[0]), test[1]) for name, path in paths.items()},
        axis=1,
    )
    print(f"\n{table.to_string(float_format='%.3f', na_rep='')}\n{_LEGEND}")
    _write(folder, features, paths, seed)
    print(f"Done in {perf_counter() - start:.1f} s.")


def _table(path: PruningPath, X_test, y_test) -> pd.DataFrame:
    """Rows of the C-APoZ paper's table 4, with an accuracy on samples of their own."""
    table = path.history.set_index("iteration")[list(_COLUMNS)].rename(columns=_COLUMNS)
    table["test"] = [model.score(X_test, y_test) for model in path.estimators]
    return table


def _write(folder: Path, features: Pipeline, paths: dict[str, PruningPath], seed: int) -> None:
    """Save the model, the history and the pictures, and say where they are."""
    path = paths["C-APoZ"]
    dense, pruned = (make_pipeline(features, path.estimators[i]) for i in (0, path.best_iteration))
    joblib.dump(pruned, folder / "model.joblib")
    stored = "  model.capoz     the same as a file of weights, for `map`; it runs no code\n"
    if find_spec("safetensors") is None:
        stored = ""
    else:
        save_model(pruned, folder / "model.capoz")
    history = pd.concat({name: p.history for name, p in paths.items()}, names=["criterion"])
    history.droplevel(1).to_csv(folder / "history.csv")
    ImportanceDisplay.from_estimator(path.estimators[-1]).figure_.savefig(
        folder / "importance.png", dpi=150, bbox_inches="tight"
    )
    PruningPathDisplay(path.history, best_iteration=path.best_iteration).plot().figure_.savefig(
        folder / "path.png", dpi=150, bbox_inches="tight"
    )
    scene = make_mineral_scene((200, 240), random_state=seed)
    before, after = (
        predict_scene(model, scene.cube, wavelengths=scene.wavelengths) for model in (dense, pruned)
    )
    titles = ("dense network", f"{path.estimators[path.best_iteration].network_.widths[0]} units")
    picture = MineralMapDisplay.from_map(after, before=before, titles=titles).figure_
    picture.savefig(folder / "map.png", dpi=150, bbox_inches="tight")
    assert after.codes is not None  # the map is in memory, no file was asked for
    page = _report(folder / "report.html", after, scene, pruned, seed)
    right = np.array(after.class_names)[after.codes] == scene.target_names[scene.labels]
    print(
        f"Kept iteration {path.best_iteration} of C-APoZ: the smallest network within a point of "
        f"the best.\nOn a made scene of {right.size:,} pixels it names the strongest mineral in "
        f"{100 * right.mean():.1f} %.\n"
        f"Written to {folder.resolve()}:\n"
        "  model.joblib    features and pruned network; joblib.load gives a fitted Pipeline\n"
        f"{stored}"
        "  history.csv     every iteration of both criteria\n"
        "  importance.png  score of every unit, and the threshold\n"
        "  path.png        size and accuracy against the iteration\n"
        "  map.png         the scene by the dense and by the pruned network\n"
        f"  report.html     {page}"
    )


def _report(path: Path, found: SceneMap, scene, model: Pipeline, seed: int) -> str:
    """Write the page about the map, where there is jinja2, and say what it is."""
    if find_spec("jinja2") is None:
        return "was left out: pip install 'sklearn-capoz[report]'"
    rows, columns = np.divmod(
        np.random.RandomState(seed).choice(scene.labels.size, _N_PLACES, replace=False),
        scene.labels.shape[1],
    )
    places = pd.DataFrame({"row": rows, "column": columns})
    places["label"] = scene.target_names[scene.labels[rows, columns]]
    write_report(
        path,
        found,
        scene.cube,
        model=model,
        assessment=assess(found, places),
        title="A made scene of seven minerals",
        wavelengths=scene.wavelengths,
    )
    return f"all of it in one page; {_N_PLACES} known pixels say how right. Open it in a browser"
