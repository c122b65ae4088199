"""Looking at a model in a notebook imports neither torch nor skorch."""

import subprocess
import sys

import joblib
import pytest
from sklearn.datasets import load_iris
from sklearn.neural_network import MLPClassifier

from sklearn_capoz import CAPoZPruner, PrunedMLPClassifier
from sklearn_capoz.thresholds import Count

SCRIPT = """
import sys
import joblib
model = joblib.load(sys.argv[1])
names = dir(model)
html, text = model._repr_html_(), repr(model)
fitted = "classes_" in vars(model)
assert ("history_" in names) is fitted and ("network_" in names) is (fitted and "Pruned" in text)
assert "net_" not in names and len(text) < 500
assert not {"torch", "skorch"} & set(sys.modules), "imported"
print(len(html) > 1000)
"""

PRUNE = {
    "threshold": Count(1), "n_iterations": 1, "max_iter": 3, "retrain_max_iter": 1,
    "random_state": 0,
}  # fmt: skip


@pytest.mark.parametrize("fitted", [False, True])
@pytest.mark.parametrize("kind", ["classifier", "pruner"])
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_listing_a_model_in_a_new_process(tmp_path, kind, fitted):
    model = PrunedMLPClassifier((4,), **PRUNE)
    if kind == "pruner":
        parameters = {name: value for name, value in PRUNE.items() if name != "max_iter"}
        model = CAPoZPruner(MLPClassifier((4,), max_iter=3), **parameters)
    if fitted:
        model.fit(*load_iris(return_X_y=True))
    joblib.dump(model, tmp_path / "model.joblib")
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", SCRIPT, tmp_path / "model.joblib"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == "True\n"


def test_a_property_is_there_though_it_is_not_listed():
    model = PrunedMLPClassifier((4,), **PRUNE).fit(*load_iris(return_X_y=True))
    assert hasattr(model, "net_")
    assert "net_" not in dir(model)
