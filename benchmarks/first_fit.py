"""How long a newcomer waits: first fit, demo, a notebook's view of a model, one spectrum.

Run with `python -m benchmarks first_fit`; with `--other FOLDER`, a checkout of another version, the
two take turns. Each measurement is a process of its own, which finds a cache of compiled code that
is empty or that a process before has filled. Beside the seconds that pass stand those of the
processor, which a machine that others use at the time hardly changes.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

__all__ = ["main"]

ROOT = Path(__file__).resolve().parents[1]

#: What runs in the new process; `say` prints a name and what passed since the last one.
BEGIN = """
import time, warnings
warnings.simplefilter("ignore")
clocks = time.perf_counter, time.process_time
last = [clock() for clock in clocks]
def say(name, calls=1):
    now = [clock() for clock in clocks]
    print("@", *((b - a) / calls for a, b in zip(last, now)), name, flush=True)
    last[:] = [clock() for clock in clocks]
"""

FIT = """
from sklearn_capoz import PrunedMLPClassifier
from sklearn_capoz.datasets import make_mineral_spectra
X, y = make_mineral_spectra(700, random_state=0)
say("import")
PrunedMLPClassifier(random_state=0).fit(X, y)
say("first fit")
"""

VIEW = """
from sklearn_capoz import PrunedMLPClassifier
model = PrunedMLPClassifier()
say("import")
model._repr_html_()
dir(model)
say("_repr_html_ and dir")
"""

ONE_ROW = """
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn_capoz import PrunedMLPClassifier, SpectralAbsorptionIndex
from sklearn_capoz.datasets import CUPRITE_WAVELENGTHS, make_mineral_spectra
X, y = make_mineral_spectra(700, random_state=0)
models = {
    "one row: index, scaler, network": make_pipeline(
        SpectralAbsorptionIndex(CUPRITE_WAVELENGTHS), StandardScaler(), PrunedMLPClassifier((30,))
    ),
    "one row: scaler, MLPClassifier": make_pipeline(StandardScaler(), MLPClassifier((30,))),
}
for model in models.values():
    model.fit(X, y).predict(X[:1])
for _ in range(5):
    for name, model in models.items():
        last[:] = [clock() for clock in clocks]
        for _ in range(200):
            model.predict(X[:1])
        say(name, calls=200)
"""


def main() -> None:
    """Print the seconds of each."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--other", type=Path, help="checkout of another version, to take turns")
    parser.add_argument("--repeats", type=int, default=5)
    given = parser.parse_args()
    trees = {"this": ROOT} | ({"other": given.other.resolve()} if given.other else {})
    found: dict[tuple[str, str], list[tuple[float, float]]] = {}
    for turn in range(given.repeats):
        for version in list(trees)[:: 1 if turn % 2 else -1]:
            for name, seconds in measure(trees[version]):
                found.setdefault((name, version), []).append(seconds)
    print(f"{'':<42}{'version':<9}{'median s':>10}{'least s':>10}{'CPU s':>10}")
    for (name, version), seconds in sorted(found.items()):
        passed, cpu = zip(*seconds, strict=True)
        print(f"{name:<42}{version:<9}{median(passed):10.5f}{min(passed):10.5f}{median(cpu):10.5f}")


def measure(tree: Path) -> list[tuple[str, tuple[float, float]]]:
    """Run each in processes of their own; return what was measured, by name."""
    with TemporaryDirectory() as cache, TemporaryDirectory() as folder:
        measured = []
        for when in ("no cache", "cache"):
            measured += [(f"{name}, {when}", s) for name, s in run(tree, cache, BEGIN + FIT)]
        measured += run(tree, cache, BEGIN + VIEW) + run(tree, cache, BEGIN + ONE_ROW)
        with TemporaryDirectory() as empty:
            demo = (
                "import os, sys\n"
                f"os.chdir({folder!r})\n"
                "from sklearn_capoz.__main__ import main\n"
                "main(['demo'])\n"
                "say('demo, no cache')\n"
            )
            measured += run(tree, empty, BEGIN + demo)
        return measured


def run(tree: Path, cache: str, code: str) -> list[tuple[str, tuple[float, float]]]:
    """Run code in a new process of a version, with its own cache of compiled code."""
    environment = {**os.environ, "PYTHONPATH": str(tree), "NUMBA_CACHE_DIR": cache}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environment, cwd=tree
    )
    if done.returncode:
        raise RuntimeError(f"{tree} could not run it:\n{done.stderr}")
    lines = [line.split(maxsplit=3) for line in done.stdout.splitlines() if line.startswith("@ ")]
    return [(name, (float(passed), float(cpu))) for _, passed, cpu, name in lines]


if __name__ == "__main__":
    main()
