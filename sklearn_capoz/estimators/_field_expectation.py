"""What to expect in the field, told by samples of the library that were not trained on."""

from __future__ import annotations

from collections import defaultdict

import numpy as np
import pandas as pd
from sklearn.metrics import accuracy_score

from ..datasets import SHIFTS

__all__ = ["HeldOut"]


class HeldOut:
    """Field spectra of held-out samples, and what was said of them, shift by shift.

    Parameters
    ----------
    classes : ndarray of shape (n_classes,)
    """

    def __init__(self, classes: np.ndarray):
        self.classes = classes
        self._found: dict[tuple[str, str], list[np.ndarray]] = defaultdict(list)

    def add(self, shift: str, **found: np.ndarray) -> None:
        """Note what was found of the spectra of one fold."""
        for what, values in found.items():
            self._found[what, shift].append(values)

    def of(self, what: str, *shifts: str) -> np.ndarray:
        """Return all that was noted, of these shifts."""
        return np.concatenate([part for shift in shifts for part in self._found[what, shift]])

    def tables(self) -> tuple[pd.DataFrame, pd.DataFrame]:
        """Return accuracies, and the part of each class that is named right."""
        rows: dict[str, list[float]] = {}
        recalls: dict[str, pd.Series] = {}
        for shift in SHIFTS:
            y, rows[shift] = self.of("y", shift), []
            for prefix, what in (("", "named"), ("matching_", "matched")):
                labels = self.of(what, shift)
                recalls[prefix + shift] = recall = _recalls(y, labels)
                rows[shift] += [float(accuracy_score(y, labels)), float(recall.mean())]
        columns = ["overall", "balanced", "matching_overall", "matching_balanced"]
        expected = pd.DataFrame.from_dict(rows, orient="index", columns=columns)
        names = (*SHIFTS, *(f"matching_{shift}" for shift in SHIFTS))
        return expected, pd.DataFrame({name: recalls[name] for name in names})


def _recalls(y, predicted) -> pd.Series:
    """Part of each class that is named right, over the classes that y has."""
    return pd.Series({label: (predicted[y == label] == label).mean() for label in np.unique(y)})
