"""Prune small neural networks for imaging spectroscopy, the scikit-learn way.

The data's journey, and where the code is:

1. spectra -> absorption features: `sklearn_capoz.spectral`; spectra to learn from: `datasets`
2. features -> a trained network: `sklearn_capoz.networks`, `sklearn_capoz.training`
3. a group of units -> one score per unit: `sklearn_capoz.criteria`
4. scores -> which units stay: `sklearn_capoz.thresholds`
5. network and units -> a smaller network: `sklearn_capoz.pruning`
6. when to score, cut and retrain: `sklearn_capoz.schedules`; who teaches: `sklearn_capoz.teachers`
7. all that as estimators: `PrunedMLPClassifier`, `PrunedCNNClassifier`, `CAPoZPruner`,
   `CAPoZPrunerCV`; for the field: `FieldTrainedClassifier`; to vote: `FusedClassifier`
8. model -> file, device, map: `sklearn_capoz.export`, `sklearn_capoz.scenes`
9. pictures: `sklearn_capoz.displays`
"""

from typing import TYPE_CHECKING

from . import _moved
from ._lazy import lazy_names

if TYPE_CHECKING:
    from .estimators import (
        CAPoZPruner,
        CAPoZPrunerCV,
        FieldTrainedClassifier,
        FusedClassifier,
        PrunedCNNClassifier,
        PrunedMLPClassifier,
        PruningComparison,
        PruningPath,
        compare_pruning,
        pruning_path,
        sensitivity_curve,
    )
    from .spectral import SpectralAbsorptionIndex

__version__ = "0.2.0"

__all__ = [
    "CAPoZPruner",
    "CAPoZPrunerCV",
    "FieldTrainedClassifier",
    "FusedClassifier",
    "PrunedCNNClassifier",
    "PrunedMLPClassifier",
    "PruningComparison",
    "PruningPath",
    "SpectralAbsorptionIndex",
    "compare_pruning",
    "pruning_path",
    "sensitivity_curve",
]

_PACKAGES = (
    "criteria",
    "datasets",
    "deploy",
    "displays",
    "estimators",
    "export",
    "networks",
    "pruning",
    "reports",
    "schedules",
    "scenes",
    "spectral",
    "teachers",
    "thresholds",
    "training",
)

# torch and scikit-learn take seconds: a command answers a wrong call, and Ctrl-C, without them.
__getattr__ = lazy_names(
    __name__,
    dict.fromkeys(__all__, ".estimators")
    | {"SpectralAbsorptionIndex": ".spectral"}
    | {name: f".{name}" for name in _PACKAGES},
)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, *_PACKAGES})


_moved.install()
