"""required_bands: what a sensor has to measure for a model."""

from __future__ import annotations

import numpy as np

from ._model import SceneModel

__all__ = ["required_bands"]


def required_bands(estimator, *, indices=False) -> np.ndarray:
    """Say which bands a sensor has to measure for a fitted model, and `predict_scene` reads.

    Those that a :class:`~sklearn_capoz.spectral.BandSelector` drops are not needed, nor those that
    pruned inputs take nothing of: behind scalers an input is a band, behind a local
    :class:`~sklearn_capoz.spectral.SpectralAbsorptionIndex` it is the bands of its shoulders and
    centre. A hull, the mean of a spectrum, PCA and steps that are not known here take all.

    Parameters
    ----------
    estimator : fitted classifier or Pipeline
        Any that `predict_scene` takes.
    indices : bool, default=False
        Whether to give the columns of X in place of wavelengths.

    Returns
    -------
    bands : ndarray of shape (n_required,), nm, ascending; or of int

    Raises
    ------
    ValueError
        If wavelengths are asked for, and the model does not know any.
    TypeError
        If the estimator is no classifier.
    NotFittedError
        If it has not been fitted.

    See Also
    --------
    sklearn_capoz.PrunedMLPClassifier : Its `prune_inputs` is what makes bands superfluous.

    Examples
    --------
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> from sklearn_capoz import PrunedMLPClassifier
    >>> from sklearn_capoz.datasets import CUPRITE_WAVELENGTHS, make_mineral_spectra
    >>> from sklearn_capoz.deploy import required_bands
    >>> from sklearn_capoz.schedules import Widths
    >>> from sklearn_capoz.spectral import BandSelector
    >>> X, y = make_mineral_spectra(700, random_state=0)
    >>> pruned = PrunedMLPClassifier(
    ...     (12,),
    ...     prune_inputs=True,
    ...     criterion="reconstruction",
    ...     schedule=Widths([(10, 12)]),
    ...     keep="last",
    ...     max_iter=20,
    ...     random_state=0,
    ... )
    >>> bands = BandSelector(wavelengths=CUPRITE_WAVELENGTHS)
    >>> model = make_pipeline(bands, StandardScaler(), pruned).fit(X, y)
    >>> len(required_bands(model))
    10
    """
    model = SceneModel.of(estimator)
    columns = np.flatnonzero(model.needed)
    if indices:
        return columns
    if model.wavelengths is None:
        raise ValueError(
            "The model does not know the wavelengths of its bands: begin the Pipeline with a step "
            "that does, BandSelector(wavelengths=...) for example, or ask for indices=True."
        )
    return np.unique(model.wavelengths[columns])
