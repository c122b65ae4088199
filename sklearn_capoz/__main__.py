"""Command line: `python -m sklearn_capoz demo`, `train`, `map`, `assess` and `report`."""

from __future__ import annotations

import argparse
import os
import sys
import warnings


def main(argv: list[str] | None = None) -> int:
    """Run a command; errors that a user can mend, and Ctrl-C, are said in one line."""
    try:
        return _run(argv)
    except KeyboardInterrupt:
        print("Interrupted.", file=sys.stderr)
        return 130
    except BrokenPipeError:  # who reads has seen enough, as `head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # else the end would say it
        return 141


def _run(argv: list[str] | None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m sklearn_capoz",
        description="Prune small neural networks for imaging spectroscopy.",
    )
    subparsers = parser.add_subparsers(required=True, metavar="command")
    # Imported late, so that a wrong call is answered at once.
    from .cli._arguments import told_in_options
    from .cli._assess import add_assess_parser
    from .cli._demo import add_demo_parser
    from .cli._map import add_map_parser
    from .cli._report import add_report_parser
    from .cli._train import add_train_parser
    from .exceptions import PruningInterruptedWarning

    add_demo_parser(subparsers)
    add_train_parser(subparsers)
    add_map_parser(subparsers)
    add_assess_parser(subparsers)
    add_report_parser(subparsers)
    arguments = parser.parse_args(argv)
    options = getattr(arguments, "options", {})

    def show_warning(message, *_):
        if isinstance(message, PruningInterruptedWarning):
            raise KeyboardInterrupt  # a model that is pruned in part is not what was asked for
        print(f"Warning: {told_in_options(str(message), options)}", file=sys.stderr)

    try:
        with warnings.catch_warnings():
            warnings.showwarning = show_warning
            arguments.run(arguments)
            sys.stdout.flush()
    except BrokenPipeError:
        raise
    except (ValueError, TypeError, OSError, ImportError) as error:
        print(f"Error: {told_in_options(_said(error), options)}", file=sys.stderr)
        return 1
    return 0


def _said(error: Exception) -> str:
    """Return the message of an error; the system's own without its number."""
    if isinstance(error, OSError) and error.strerror and error.filename is not None:
        return f"{error.filename}: {error.strerror}."
    return str(error)


if __name__ == "__main__":
    sys.exit(main())
