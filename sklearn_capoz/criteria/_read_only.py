"""Arrays that criteria are shown, and may not change."""

from __future__ import annotations

import numpy as np

__all__ = ["read_only"]


def read_only(array: np.ndarray) -> np.ndarray:
    """View an array so that it cannot be written to."""
    view = array.view()
    view.setflags(write=False)
    return view
