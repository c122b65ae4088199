"""Warnings that name the line of the user's code, however deep in the library they arise."""

from __future__ import annotations

import os
import sys
import warnings

import joblib
import sklearn

__all__ = ["warn"]

#: Where no frame is the user's: this package, and what stands between it and its caller (a
#: Pipeline, a search, a cached call). File names and not module names: a doctest, and what runs
#: as `__main__`, has another name than the file that it is in.
_LIBRARIES = tuple(
    os.path.dirname(os.path.abspath(file)) + os.sep
    for file in (__file__, sklearn.__file__, joblib.__file__)
)


def warn(message: str, category: type[Warning] = UserWarning) -> None:
    """Warn, and let the warning point at the caller of the library.

    A `stacklevel` counts frames, and how many lie between a user's `fit` and the line that warns
    depends on the way there: bare, in a Pipeline, in a search. This one looks for the first frame
    outside; Python 3.12 has `skip_file_prefixes` for it, which 3.11 lacks.

    Parameters
    ----------
    message : str
    category : type of Warning, default=UserWarning
    """
    frame = sys._getframe(1)
    while frame.f_back is not None and frame.f_code.co_filename.startswith(_LIBRARIES):
        frame = frame.f_back
    # As `warnings.warn` does for the frame that it finds; its own counting leaves out frames of
    # the import system, so that a number found here could mean another frame there.
    warnings.warn_explicit(
        message,
        category,
        filename=frame.f_code.co_filename,
        lineno=frame.f_lineno,
        module=frame.f_globals.get("__name__"),
        registry=frame.f_globals.setdefault("__warningregistry__", {}),
    )
