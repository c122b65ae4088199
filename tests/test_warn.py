"""Warnings name the user's line, whatever lies between it and the line that warns."""

import os
import subprocess
import sys
import warnings
from pathlib import Path

import joblib
import pytest
from sklearn.datasets import make_classification
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_capoz import CAPoZPruner, PrunedMLPClassifier, _warn
from sklearn_capoz._warn import warn
from sklearn_capoz.criteria import APoZ
from sklearn_capoz.exceptions import (
    PruningInterruptedWarning,
    PruningStalledWarning,
    SmallDataWarning,
    SmoothActivationWarning,
)
from sklearn_capoz.thresholds import FixedValue


class Own(UserWarning):
    """A category, to see that it arrives."""


def run_as(filename, source, **names):
    """Run source as if it stood in a file of that name; return its globals."""
    scope = {"__name__": "some_module", **names}
    exec(compile(source, filename, "exec"), scope)
    return scope


def library(function="warn('careful', Own)", folder=_warn._LIBRARIES[0]):
    """Return a function of the library that calls another, which does as it is told."""
    source = f"def inner():\n    {function}\ndef outer():\n    inner()\n"
    return run_as(folder + "deep/_inside.py", source, warn=warn, Own=Own)["outer"]


@pytest.mark.parametrize("folder", _warn._LIBRARIES)
def test_the_users_line_is_named_whatever_library_it_called(folder):
    outer = library(folder=folder)
    with pytest.warns(Own, match=r"^careful$") as caught:
        run_as("/home/user/work.py", "\n\nouter()\n", outer=outer)
    assert [(w.filename, w.lineno) for w in caught] == [("/home/user/work.py", 3)]


def test_a_users_part_between_two_frames_of_the_library_is_named():
    """The user's criterion asks one of ours: the line is in the criterion."""
    middle = run_as("own_criterion.py", "def score():\n    outer()\n", outer=library())["score"]
    outer = library("middle()")
    outer.__globals__["middle"] = middle
    with pytest.warns(Own) as caught:
        run_as("work.py", "outer()", outer=outer)
    assert [(w.filename, w.lineno) for w in caught] == [("own_criterion.py", 2)]


def test_a_cached_call_is_not_the_users_line(tmp_path):
    cached = joblib.Memory(tmp_path, verbose=0).cache(library(), ignore=[])
    with pytest.warns(Own) as caught:
        run_as("work.py", "\ncached()", cached=cached)
    assert ("work.py", 2) in [(w.filename, w.lineno) for w in caught if w.category is Own]


def test_a_folder_that_only_begins_like_the_librarys_is_the_users():
    name = _warn._LIBRARIES[0].rstrip("/") + "_scripts/work.py"
    with pytest.warns(Own) as caught:
        run_as(name, "outer()", outer=library())
    assert caught[0].filename == name


def test_a_line_warns_once_and_another_line_again():
    source = "for _ in range(3):\n    outer()\nouter()\n"
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("default")
        run_as("work.py", source, outer=library())
    assert [w.lineno for w in caught] == [2, 3]


def test_filters_for_the_users_module_hold():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", module="some_module")
        run_as("work.py", "outer()", outer=library())
        with pytest.raises(UserWarning, match="careful"):
            run_as("work.py", "outer()", outer=library(), __name__="another_module")


def test_where_no_frame_is_the_users_the_outermost_is_named(monkeypatch):
    """As in the package's own command, whose outermost frame is the package's."""
    monkeypatch.setattr(_warn, "_LIBRARIES", ("",))
    outermost = sys._getframe()
    while outermost.f_back is not None:
        outermost = outermost.f_back
    with pytest.warns(UserWarning, match="careful") as caught:
        warn("careful")
    assert caught[0].filename == outermost.f_code.co_filename


SCRIPT = """
import warnings

from sklearn_capoz.thresholds import FixedValue
from sklearn_capoz import PrunedMLPClassifier

if __name__ == "__main__":
    X, y = [[0.0], [1.0]] * 30, [0, 1] * 30
    model = PrunedMLPClassifier(
        (2,), criterion="apoz", threshold=FixedValue(9.0), n_iterations=1, max_iter=1,
        retrain_max_iter=1, random_state=0,
    )
    model.fit(X, y)  # the line that is named
"""


@pytest.mark.parametrize("how", [["-m", "work"], ["work.py"], ["-c", SCRIPT]])
def test_a_program_is_warned_however_it_is_run(tmp_path, how):
    """Under `python -m` it is `__main__`, whose loader knows it by another name."""
    (tmp_path / "work.py").write_text(SCRIPT)
    package = str(Path(_warn.__file__).parents[1])
    done = subprocess.run(
        [sys.executable, *how],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": package, "PYTHONWARNINGS": "always"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    line = 1 + SCRIPT.splitlines().index("    model.fit(X, y)  # the line that is named")
    [told] = [text for text in done.stderr.splitlines() if "PruningStalledWarning" in text]
    assert f"{'<string>' if how[0] == '-c' else 'work.py'}:{line}: PruningStalledWarning" in told


class Interrupted(APoZ):
    """Ctrl-C while a pruned network is scored."""

    def score(self, layer):
        if layer.n_units < 6:
            raise KeyboardInterrupt
        return super().score(layer)


X, Y = make_classification(120, 5, n_informative=4, n_redundant=0, random_state=0)


@pytest.mark.parametrize(
    ("parameters", "n_samples", "category"),
    [
        ({"threshold": FixedValue(9.0)}, 120, PruningStalledWarning),
        ({"criterion": Interrupted()}, 120, PruningInterruptedWarning),
        ({"activation": "tanh"}, 120, SmoothActivationWarning),
        ({}, 30, SmallDataWarning),
    ],
)
@pytest.mark.parametrize(
    "around",
    [
        lambda model: model,
        lambda model: make_pipeline(StandardScaler(), model),
        lambda model: CAPoZPruner(model, criterion=model.criterion, threshold=model.threshold),
        lambda model: GridSearchCV(model, {"min_units": [2]}, cv=2, refit=False),
    ],
)
def test_the_librarys_warnings_point_at_the_users_fit(around, parameters, n_samples, category):
    """From a bare fit, a Pipeline, a pruner around another and a search."""
    model = PrunedMLPClassifier(
        **{"hidden_layer_sizes": (6,), "threshold": "fraction", "n_iterations": 2, "max_iter": 2,
           "retrain_max_iter": 1, "random_state": 0, **parameters}
    )  # fmt: skip
    names = {"model": around(model), "X": X[:n_samples], "y": Y[:n_samples]}
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        run_as("/home/user/work.py", "\nmodel.fit(X, y)\n", **names)
    assert category in {w.category for w in caught}
    ours = [w for w in caught if w.category is category]
    assert {(w.filename, w.lineno) for w in ours} == {("/home/user/work.py", 2)}
