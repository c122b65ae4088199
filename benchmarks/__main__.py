"""Run one benchmark: `python -m benchmarks NAME`, or list them all without a name.

Those with a star are experiments, which store their numbers and write their part of RESULTS.md.
The others measure speed or one claim, and print a table. Each says what it takes:
`python -m benchmarks NAME --help`.
"""

from __future__ import annotations

import argparse
import ast
import sys
from importlib import import_module
from pathlib import Path
from tempfile import mkdtemp

from ._protocol import Options
from ._report import Report

FOLDER = Path(__file__).parent
#: In the order of RESULTS.md.
EXPERIMENTS = (
    *("field_map", "field_trust"),
    *("paper", "sensitivity", "disjoint", "mnist", "siamese", "networks", "retraining"),
    *("peers", "field_peers"),
    *("integers", "inputs", "connections", "compress", "lenet", "teachers", "growth"),
)


def main(arguments: list[str]) -> None:
    """Dispatch to a module of this folder."""
    names = sorted(path.stem for path in FOLDER.glob("[a-z]*.py"))
    if not arguments or arguments[0] not in names:
        print(__doc__)
        for name in names:
            doc = ast.get_docstring(ast.parse((FOLDER / f"{name}.py").read_text("utf-8")))
            star = "*" if name in EXPERIMENTS else " "
            print(f"{star} {name:<22}{(doc or '').splitlines()[0]}")
        if arguments and arguments[0] not in ("-h", "--help"):
            raise SystemExit(f"\nThere is no benchmark {arguments[0]!r}; the names are above.")
        return
    name, *rest = arguments
    module = import_module(f"{__package__}.{name}")
    if name in EXPERIMENTS:
        run_experiment(name, module, rest)
    else:
        sys.argv = [f"python -m benchmarks {name}", *rest]
        module.main()


def run_experiment(name: str, module, arguments: list[str]) -> None:
    """Run an experiment and write what it found."""
    parser = argparse.ArgumentParser(
        prog=f"python -m benchmarks {name}", description=module.__doc__.splitlines()[0]
    )
    parser.add_argument(
        "--data-home", type=Path, help="folder of the data sets that the package does not embed"
    )
    parser.add_argument("--seeds", type=int, default=10, help="repeats, each with its own data")
    parser.add_argument("--quick", action="store_true", help="tiny, to see that it runs")
    parser.add_argument("--jobs", type=int, default=2, help="seeds to run at the same time")
    parser.add_argument(
        "--output",
        type=Path,
        help="folder for RESULTS.md and results/; by default benchmarks, or a new one if --quick",
    )
    given = parser.parse_args(arguments)
    folder = given.output
    if folder is None:
        folder = Path(mkdtemp(prefix="benchmarks_")) if given.quick else FOLDER
    command = f"python -m benchmarks {name} --data-home FOLDER --seeds {given.seeds}"
    report = Report(name, folder, command + " --quick" * given.quick, given.seeds)
    if given.quick:
        report.text("Quick: tiny data and few epochs, so that these numbers mean nothing.")
    module.run(Options(given.data_home, given.seeds, given.quick, given.jobs), report)
    report.write(module.TITLE, EXPERIMENTS)
    print(f"Written to {folder / 'RESULTS.md'} and {report.results}")


if __name__ == "__main__":
    main(sys.argv[1:])
