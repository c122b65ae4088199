"""The embedded table: USGS mineral spectra, 1300 to 2500 nm."""

from __future__ import annotations

import numpy as np

from ._files import embedded_spectra

__all__ = ["CUPRITE_MINERALS", "CUPRITE_WAVELENGTHS", "load_usgs_minerals"]

#: The seven minerals of the C-APoZ paper (doi:10.3788/IRLA20210252), in its order.
CUPRITE_MINERALS = (
    "Muscovite",
    "Halloysite",
    "Calcite",
    "Kaolinite",
    "Montmorillonite",
    "Alunite",
    "Chalcedony",
)

#: The paper's 50 AVIRIS bands, at their nominal centres: 1990, 2000, ..., 2480 nm.
CUPRITE_WAVELENGTHS = np.arange(1990.0, 2481.0, 10.0)
CUPRITE_WAVELENGTHS.flags.writeable = False


def load_usgs_minerals(*, return_X_y: bool = False, as_frame: bool = False):
    """Load 36 laboratory spectra of 27 minerals from the USGS spectral library.

    The table is a part of the package: no file to fetch. It is what `make_mineral_spectra` and
    `make_mineral_scene` mix, small enough to look at, and too small to train on as it is.

    Parameters
    ----------
    return_X_y : bool, default=False
        Return ``(data, target)`` instead of a Bunch.
    as_frame : bool, default=False
        `data` is a DataFrame whose columns are the wavelengths in nm, as strings, and `target` a
        Series.

    Returns
    -------
    data : Bunch
        With the attributes

        - data : ndarray of shape (36, 121), reflectance 0..1, NaN where a record was not measured
          (below 1610 nm only)
        - target : ndarray of shape (36,), index into `target_names`
        - target_names : ndarray of shape (27,), minerals in alphabetical order
        - spectrum_names : ndarray of shape (36,), USGS records
        - wavelengths : ndarray of shape (121,), nm
        - feature_names : list of str, the wavelengths as column names
        - frame : DataFrame of data and target, with `as_frame=True`, else None
        - DESCR : str, origin, treatment and terms

    (data, target) : tuple
        With `return_X_y=True`.

    References
    ----------
    Kokaly et al., 2017, USGS Spectral Library Version 7, doi:10.3133/ds1035.

    Examples
    --------
    >>> from sklearn_capoz.datasets import load_usgs_minerals
    >>> minerals = load_usgs_minerals()
    >>> minerals.data.shape, minerals.wavelengths[[0, -1]].tolist()
    ((36, 121), [1300.0, 2500.0])
    >>> minerals.spectrum_names[minerals.target_names[minerals.target] == "Calcite"].tolist()
    ['Calcite_WS272_BECKa_AREF']
    """
    return embedded_spectra("usgs_minerals", "mineral", return_X_y=return_X_y, as_frame=as_frame)
