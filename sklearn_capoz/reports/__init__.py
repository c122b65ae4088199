"""One page to look at: a map, the spectra behind it, and how far to believe it."""

from ._report import write_report

__all__ = ["write_report"]
