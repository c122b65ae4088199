"""Laboratory spectra as the field may show them, from any library, for any sensor."""

from __future__ import annotations

import numpy as np
from sklearn.utils import check_array, check_consistent_length, check_random_state

from ..spectral._wavelengths import wavelengths_nm
from ._field_steps import SHIFTS, FieldShift, dilute, draw_records, mix, observe, regrain

__all__ = ["SHIFTS", "FieldShift", "check_noise", "check_shift", "make_field_spectra"]

#: A reflectance above this is a percentage, or an integer without its scale.
_BRIGHTEST = 2.0

#: Spectra of the grey ground that dilutes where no other is known.
_N_GREY = 100


def make_field_spectra(
    X,
    y,
    *,
    groups=None,
    wavelengths,
    fwhm=None,
    background=None,
    shift="middle",
    noise=None,
    n_samples=7000,
    random_state=None,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Make spectra of a library's classes as the field may show them.

    A model that has seen pure, clean laboratory spectra only is sure and wrong in the field. This
    is what it can see instead: each spectrum begins as a record of the library, drawn evenly by
    class, then by group; its grains grow or shrink; another record is mixed in; its bands become
    deeper or shallower; bare ground dilutes it; it is seen on a slope, in part shade, through air
    that is not quite corrected, in bands not quite where they should be, with noise.

    Parameters
    ----------
    X : array-like of shape (n_records, n_bands), reflectance 0..1
        Library spectra, in the sensor's bands (`SensorResampler` brings them there). One of each
        class is enough to begin with.
    y : array-like of shape (n_records,)
        Classes.
    groups : array-like of shape (n_records,), default=None
        Physical sample of each record: libraries measure one several times. None takes every record
        for a sample of its own.
    wavelengths : array-like of shape (n_bands,)
        Band centres in nm or um, ascending.
    fwhm : float or array-like of shape (n_bands,), default=None
        Width of the bands in the same unit. None takes the distance between them.
    background : array-like of shape (n_background, n_bands), default=None
        Spectra of what covers or dilutes the ground: quartz, soil, dry plants. None makes grey
        ones, straight lines between reflectances of 0.05 to 0.6.
    shift : {"mild", "middle", "strong"} or FieldShift, default="middle"
        How far the field is from the laboratory.
    noise : array-like of shape (n_bands,), default=None
        Noise of a scene relative to reflectance, as `sample_scene` estimates it. Where it is more
        than that of the shift, a band has this.
    n_samples : int, default=7000
        Number of spectra; classes have as many each, to within one.
    random_state : int, RandomState instance or None, default=None
        Seed of everything drawn.

    Returns
    -------
    X_field : ndarray of shape (n_samples, n_bands)
        Reflectance, in random order, in the dtype of X.
    y_field : ndarray of shape (n_samples,)
        Class of each spectrum's first and largest record.
    groups_field : ndarray of shape (n_samples,)
        That record's group, or without `groups` its row in X: for splits that hold out samples.

    Raises
    ------
    ValueError
        If X is not finite reflectance, or shapes, wavelengths, shift or number do not fit.

    Notes
    -----
    With albedo ``w = 1 - ((1 - r) / (1 + r))^2`` of a deep layer of diffusive reflectance r [1]_,
    an intimate mixture has the mean albedo of its parts, and a grain s times as large the albedo
    ``w^s``, which neglects reflection at its surface. Gases are oxygen, water vapour and carbon
    dioxide from 400 to 2500 nm.

    A test set for spectra of the field is made of groups that no training spectrum came from: split
    the library first, and make each side by itself. Otherwise the record that is mixed in may be
    of the other side.

    References
    ----------
    .. [1] Hapke, B. (1981). Bidirectional reflectance spectroscopy: 1. Theory. *Journal of
       Geophysical Research* 86(B4), 3039-3054. :doi:`10.1029/JB086iB04p03039`

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_capoz.datasets import load_usgs_minerals, make_field_spectra
    >>> library = load_usgs_minerals()
    >>> bands = (library.wavelengths >= 2000) & (library.wavelengths < 2500)
    >>> X, y, groups = make_field_spectra(
    ...     library.data[:, bands],
    ...     library.target_names[library.target],
    ...     wavelengths=library.wavelengths[bands],
    ...     n_samples=540,
    ...     random_state=0,
    ... )
    >>> X.shape, len(np.unique(y)), np.unique(y, return_counts=True)[1][:3].tolist()
    ((540, 50), 27, [20, 20, 20])
    """
    shift = check_shift(shift)
    X, nm, fwhm = _check_library(X, wavelengths, fwhm)
    y = np.asarray(y)
    groups = np.arange(len(X)) if groups is None else np.asarray(groups)
    check_consistent_length(X, y, groups)
    if not isinstance(n_samples, (int, np.integer)) or n_samples < 1:
        raise ValueError(f"n_samples must be a whole number >= 1, got {n_samples!r}.")
    n_samples, rng = int(n_samples), check_random_state(random_state)
    noise = 0.0 if noise is None else check_noise(noise, len(nm))
    if background is None:
        ends = rng.uniform(0.05, 0.6, (_N_GREY, 2))
        ground = ends[:, :1] + (ends[:, 1:] - ends[:, :1]) * (nm - nm[0]) / (nm[-1] - nm[0])
    else:
        ground = _check_reflectance(background, "background").astype(float)
        if ground.shape[1] != len(nm):
            raise ValueError(f"background has {ground.shape[1]} bands, and X has {len(nm)}.")

    first = draw_records(y, groups, n_samples, rng)
    second = draw_records(y, groups, n_samples, rng)
    spectra = X[first].astype(float)
    if shift.grain:
        spectra = regrain(spectra, shift.grain, rng)
    if shift.mixing:
        spectra = mix(spectra, X[second].astype(float), shift.mixing, rng, shift.intimate)
    spectra = dilute(spectra, nm, ground, shift, rng)
    spectra = observe(spectra, nm, shift, rng, fwhm, noise)
    return spectra.astype(X.dtype, copy=False), y[first], groups[first]


def check_noise(noise, n_bands: int, name: str = "noise") -> np.ndarray:
    """Return the noise of each band."""
    noise = np.asarray(noise, dtype=float)
    if noise.shape != (n_bands,) or not (np.isfinite(noise) & (noise >= 0)).all():
        raise ValueError(
            f"{name} must be a number of at least 0 for each of {n_bands} bands, got {noise.shape}."
        )
    return noise


def check_shift(shift) -> FieldShift:
    """Return the shift of that name, or the shift itself."""
    if isinstance(shift, FieldShift):
        return shift
    if isinstance(shift, str) and shift in SHIFTS:
        return SHIFTS[shift]
    raise ValueError(f"shift must be one of {sorted(SHIFTS)} or a FieldShift, got {shift!r}.")


def _check_reflectance(X, name: str) -> np.ndarray:
    X = check_array(X, dtype=[np.float64, np.float32], input_name=name)
    if X.max() > _BRIGHTEST:
        raise ValueError(
            f"{name} holds values up to {X.max():g}; reflectance lies between 0 and 1. Divide by "
            "100 where it is in percent, or by the number that stands for a reflectance of 1."
        )
    return X


def _check_library(X, wavelengths, fwhm) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Check spectra and bands together."""
    X = _check_reflectance(X, "X")
    given = np.asarray(wavelengths, dtype=float)
    nm = wavelengths_nm(None, X.shape[1], given)
    if len(nm) < 2 or not (np.diff(nm) > 0).all():
        raise ValueError(
            "wavelengths must be ascending, of at least two bands: sort the columns of X by "
            "wavelength, and leave out doubles where spectrometers overlap."
        )
    if fwhm is None:
        return X, nm, np.gradient(nm)
    widths = np.asarray(fwhm, dtype=float) * (nm[0] / given[0])
    if widths.shape not in ((), nm.shape) or not (np.isfinite(widths) & (widths > 0)).all():
        raise ValueError(f"fwhm must be one positive width, or one for each of {len(nm)} bands.")
    return X, nm, np.broadcast_to(widths, nm.shape)
