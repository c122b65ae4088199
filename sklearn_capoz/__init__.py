"""Prune small neural networks for imaging spectroscopy, the scikit-learn way.

The data's journey, and where the code is:

1. spectra -> absorption features: `sklearn_capoz.spectral`
2. features -> a trained network: `sklearn_capoz.networks`
3. a layer -> one score per unit: `sklearn_capoz.criteria`
4. scores -> which units stay: `sklearn_capoz.thresholds`
5. network and units -> a smaller network: `sklearn_capoz.surgery`, `compensation`
6. when to score, cut and retrain: `sklearn_capoz.schedules`, joined in `pruning`
7. all that as estimators: `PrunedMLPClassifier`, `CAPoZPruner`, `CAPoZPrunerCV`
8. model -> map, file, device: `sklearn_capoz.deploy`
9. pictures: `sklearn_capoz.displays`; data: `sklearn_capoz.datasets`
"""

from .classifier import PrunedMLPClassifier
from .pruner import CAPoZPruner
from .search import CAPoZPrunerCV, PruningPath, pruning_path
from .sensitivity import sensitivity_curve
from .spectral import SpectralAbsorptionIndex

__version__ = "0.1.0"

__all__ = [
    "CAPoZPruner",
    "CAPoZPrunerCV",
    "PrunedMLPClassifier",
    "PruningPath",
    "SpectralAbsorptionIndex",
    "pruning_path",
    "sensitivity_curve",
]
