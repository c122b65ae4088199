"""Prune small neural networks for imaging spectroscopy, the scikit-learn way."""

__version__ = "0.1.0"
