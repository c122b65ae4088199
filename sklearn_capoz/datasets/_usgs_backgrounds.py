"""The second embedded table: plants, snow and water of the USGS, 400 to 2500 nm."""

from __future__ import annotations

from ._files import embedded_spectra

__all__ = ["load_usgs_backgrounds"]


def load_usgs_backgrounds(*, return_X_y: bool = False, as_frame: bool = False):
    """Load nine laboratory and field spectra of plants, snow and water from the USGS library.

    What lies beside rock in a scene, and must not get a mineral's name. The table is a part of the
    package: no file to fetch.

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

        - data : ndarray of shape (9, 211), reflectance 0..1, NaN where a record was not measured
          (some from 2450 nm on)
        - target : ndarray of shape (9,), index into `target_names`
        - target_names : ndarray of shape (4,), "dry vegetation", "snow", "vegetation", "water"
        - spectrum_names : ndarray of shape (9,), USGS records
        - wavelengths : ndarray of shape (211,), nm
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
    >>> from sklearn_capoz.datasets import load_usgs_backgrounds
    >>> grounds = load_usgs_backgrounds()
    >>> grounds.data.shape, grounds.wavelengths[[0, -1]].tolist()
    ((9, 211), [400.0, 2500.0])
    >>> grounds.target_names.tolist()
    ['dry vegetation', 'snow', 'vegetation', 'water']
    """
    return embedded_spectra(
        "usgs_backgrounds", "material", return_X_y=return_X_y, as_frame=as_frame
    )
