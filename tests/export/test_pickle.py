"""joblib and pickle: across processes, and old files against the code of today."""

import importlib
import json
import pickle
import subprocess
import sys
import warnings
from pathlib import Path

import joblib
import numpy as np
import pytest
from sklearn.datasets import load_iris
from sklearn.exceptions import InconsistentVersionWarning

from sklearn_capoz.deploy import compile_pipeline, load_model, save_model

STORED = sorted(path.parent for path in Path(__file__).parent.glob("data/*/versions.json"))


def run_elsewhere(script, *arguments):
    """Run a script in a new interpreter, away from this one's imports and folder."""
    done = subprocess.run(
        [sys.executable, "-c", script, *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        cwd=arguments[0],
    )
    assert done.returncode == 0, done.stderr


def test_another_process_predicts_the_same(models, tmp_path):
    names = ("pruned", "pruner", "absorption", "two classes")
    for i, name in enumerate(names):
        model, X = models[name]
        joblib.dump(model, tmp_path / f"{i}.joblib")
        (tmp_path / f"{i}.pickle").write_bytes(pickle.dumps(compile_pipeline(model)))
        save_model(model, tmp_path / f"{i}.capoz")
        np.save(tmp_path / f"{i}.npy", X)
    script = """
import pickle, sys, joblib, numpy as np
from pathlib import Path
from sklearn_capoz.deploy import load_model
for path in Path(sys.argv[1]).glob("*.npy"):
    X = np.load(path)
    models = {
        "joblib": joblib.load(path.with_suffix(".joblib")),
        "pickle": pickle.loads(path.with_suffix(".pickle").read_bytes()),
        "capoz": load_model(path.with_suffix(".capoz")),
    }
    for kind, model in models.items():
        np.savez(f"{path.stem}_{kind}.npz", labels=model.predict(X), p=model.predict_proba(X))
"""
    run_elsewhere(script, tmp_path)
    for i, name in enumerate(names):
        model, X = models[name]
        expected = {
            "joblib": model,
            "pickle": compile_pipeline(model),
            "capoz": load_model(tmp_path / f"{i}.capoz"),
        }
        for kind, same in expected.items():
            found = np.load(tmp_path / f"{i}_{kind}.npz")
            np.testing.assert_array_equal(found["labels"], model.predict(X))
            np.testing.assert_array_equal(found["p"], same.predict_proba(X))


def test_a_pruned_mlp_needs_this_package_no_longer(models, tmp_path):
    model, X = models["pruner"]
    (tmp_path / "mlp.pickle").write_bytes(pickle.dumps(model.estimator_))
    np.savez(tmp_path / "expected.npz", X=X, labels=model.predict(X))
    script = """
import pickle, sys
sys.modules["sklearn_capoz"] = None
import numpy as np
data = np.load("expected.npz")
mlp = pickle.load(open("mlp.pickle", "rb"))
assert (mlp.predict(data["X"]) == data["labels"]).all()
"""
    run_elsewhere(script, tmp_path)


def release(version):
    return tuple(int(part) for part in version.split(".")[:2])


@pytest.mark.parametrize("folder", STORED, ids=lambda folder: folder.name)
@pytest.mark.parametrize("name", ["pruned", "pruner"])
def test_stored_models_still_open(folder, name):
    X, _ = load_iris(return_X_y=True)
    results = np.load(folder / "results.npz")
    loaded = [load_model(folder / f"{name}.capoz")]
    versions = json.loads((folder / "versions.json").read_text())
    written = {name: release(version) for name, version in versions.items() if name != "python"}
    here = {name: release(importlib.import_module(name).__version__) for name in written}
    if all(here[name] >= written[name] for name in written):
        # A pickle opens in the versions that wrote it and later ones, not in earlier ones.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", InconsistentVersionWarning)
            loaded.append(joblib.load(folder / f"{name}.joblib"))
    for model in loaded:
        np.testing.assert_array_equal(model.predict(X), results[f"{name}_labels"])
        np.testing.assert_allclose(
            model.predict_proba(X), results[f"{name}_probabilities"], atol=1e-9
        )
        history = model.history_ if hasattr(model, "history_") else model[-1].history_
        assert history["n_units"].tolist() == [8, 6, 4]


def test_there_are_stored_models():
    assert STORED
