"""Prune small neural networks for imaging spectroscopy, the scikit-learn way."""

from .classifier import PrunedMLPClassifier
from .pruner import CAPoZPruner

__version__ = "0.1.0"

__all__ = ["CAPoZPruner", "PrunedMLPClassifier"]
