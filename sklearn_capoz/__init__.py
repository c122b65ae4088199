"""Prune small neural networks for imaging spectroscopy, the scikit-learn way.

The data's journey, and where the code is:

1. spectra -> absorption features: `sklearn_capoz.spectral`; spectra to learn from: `datasets`
2. features -> a trained network: `sklearn_capoz.networks`, `sklearn_capoz.training`
3. a group of units -> one score per unit: `sklearn_capoz.criteria`
4. scores -> which units stay: `sklearn_capoz.thresholds`
5. network and units -> a smaller network: `sklearn_capoz.pruning`
6. when to score, cut and retrain: `sklearn_capoz.schedules`
7. all that as estimators: `PrunedMLPClassifier`, `CAPoZPruner`, `CAPoZPrunerCV`; for the field:
   `FieldTrainedClassifier`
8. model -> file, device, map: `sklearn_capoz.export`, `sklearn_capoz.scenes`
9. pictures: `sklearn_capoz.displays`
"""

import sys

from . import _moved

try:
    from .estimators import (
        CAPoZPruner,
        CAPoZPrunerCV,
        FieldTrainedClassifier,
        PrunedMLPClassifier,
        PruningPath,
        pruning_path,
        sensitivity_curve,
    )
    from .spectral import SpectralAbsorptionIndex
except KeyboardInterrupt:
    if sys.argv[0] != "-m":  # which Python sets while it looks for a program's `__main__`
        raise
    print("Interrupted.", file=sys.stderr)
    raise SystemExit(130) from None

__version__ = "0.1.0"

__all__ = [
    "CAPoZPruner",
    "CAPoZPrunerCV",
    "FieldTrainedClassifier",
    "PrunedMLPClassifier",
    "PruningPath",
    "SpectralAbsorptionIndex",
    "pruning_path",
    "sensitivity_curve",
]

_moved.install()
