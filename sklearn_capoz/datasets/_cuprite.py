"""Cuprite, Nevada, and the laboratory spectra to know it by."""

from __future__ import annotations

import numpy as np
from sklearn.utils import Bunch

from ._files import DataFile, describe, find_file, tabular

__all__ = ["fetch_cuprite_labels", "fetch_cuprite_pixels", "fetch_usgs_splib"]

PIXELS = DataFile(
    "cuprite95/roi_pixels_50band.npz",
    ("3e60d791b68dc26d1baffd8a70b5fa86475da929df60161f7f557fd6ae13c08a",),
    "the AVIRIS 1995 tutorial cube of Cuprite (pixels published with "
    "bakerjf1993/Hyperspectral-Unmixing and wbasener/hyperspectralpy)",
)
LABELS = DataFile(
    "cuprite95/tetracorder44_labels.npz",
    ("664bb30e4e40fd7af7d3a1b00d8e976b76776a5768955e148ec1fbdc98726fbd",),
    "the Tetracorder 4.4 maps in nicedi/AVIRIS-Cuprite-Nevada-Tetracorder-Results",
)
SPLIB = DataFile(
    "usgs_splib/pure_minerals_av95.npz",
    ("8c4a87e2ccb46b0b6ea015bb4039f75d5ffad2992a92821fbac99cb08694c809",),
    "the USGS libraries splib06a and splib07 convolved to AVIRIS 1995, pure minerals only "
    "(doi:10.3133/ds231, doi:10.5066/F7RR1WDJ)",
)


def fetch_cuprite_pixels(
    *, data_home=None, download_if_missing=True, return_X_y=False, as_frame=False
):
    """Load 712 real AVIRIS pixels of Cuprite with the Tetracorder class of the same ground.

    They are for testing only, once: spectra of the field for models made in the laboratory.

    Parameters
    ----------
    data_home : path-like, default=None
        Folder that holds `cuprite95`; None is `sklearn_capoz` in scikit-learn's data folder.
    download_if_missing : bool, default=True
        No lawful address is known for this file: missing, it is an error either way.
    return_X_y : bool, default=False
        Return ``(data, target)`` instead of a Bunch.
    as_frame : bool, default=False
        `data` is a DataFrame with the wavelengths in nm as columns, `target` a Series.

    Returns
    -------
    pixels : Bunch
        With the attributes

        - data : ndarray of shape (712, 50), float32, reflectance 0..1
        - target : ndarray of shape (712,), index into `target_names`; -1 is another mineral or a
          mixture (260 pixels)
        - target_names : ndarray of shape (7,)
        - wavelengths : ndarray of shape (50,), nm
        - roi_names, roi_minerals : ndarray of shape (712,), polygon of the pixel and its mineral
        - positions : ndarray of shape (712, 2), column and row in the scene of 400 x 350
        - tetracorder_positions : ndarray of shape (712, 2), column and row in the full scene
        - tetracorder_materials : ndarray of shape (712,), the expert system's full answer
        - feature_names, frame, DESCR

    (data, target) : tuple
        With `return_X_y=True`.

    Raises
    ------
    FileNotFoundError
        If the file is not there; the message says what to put where.
    DataFormatError
        If it is not the file that this package knows.
    """
    path = find_file(PIXELS, data_home, download_if_missing)
    with np.load(path) as pixels:
        nm = pixels["wavelength_um"] * 1000
        return tabular(
            pixels["reflectance"],
            pixels["tetracorder_mineral7"].astype(np.intp),
            [f"{band:g}" for band in nm],
            return_X_y=return_X_y,
            as_frame=as_frame,
            target_names=pixels["mineral7_names"],
            wavelengths=nm,
            roi_names=pixels["roi_name"],
            roi_minerals=pixels["roi_mineral"],
            positions=pixels["pixel_xy"],
            tetracorder_positions=pixels["tetracorder_xy"],
            tetracorder_materials=pixels["tetracorder_material"],
            DESCR=describe("cuprite_pixels"),
        )


def fetch_cuprite_labels(*, data_home=None, download_if_missing=True) -> Bunch:
    """Load the USGS Tetracorder mineral map of Cuprite, 750 x 614 pixels.

    Parameters
    ----------
    data_home, download_if_missing
        As in `fetch_cuprite_pixels`.

    Returns
    -------
    labels : Bunch
        With the attributes

        - target : ndarray of shape (750, 614), int8, index into `target_names`; -1 is another
          mineral or a mixture
        - target_names : ndarray of shape (7,)
        - materials : ndarray of shape (750, 614), int16, index into `material_names`; -1 is none
        - material_names, material_titles : ndarray of shape (190,)
        - DESCR

    Raises
    ------
    FileNotFoundError, DataFormatError
        As in `fetch_cuprite_pixels`.
    """
    with np.load(find_file(LABELS, data_home, download_if_missing)) as labels:
        return Bunch(
            target=labels["mineral7"],
            target_names=labels["mineral7_names"],
            materials=labels["material_index"],
            material_names=labels["material_names"],
            material_titles=labels["material_titles"],
            DESCR=describe("cuprite_labels"),
        )


def fetch_usgs_splib(*, data_home=None, download_if_missing=True, return_X_y=False, as_frame=False):
    """Load 563 laboratory spectra of 23 pure minerals in the 224 bands of AVIRIS 1995.

    Parameters
    ----------
    data_home, download_if_missing, return_X_y, as_frame
        As in `fetch_cuprite_pixels`; the file lies in the folder `usgs_splib`.

    Returns
    -------
    library : Bunch
        With the attributes

        - data : ndarray of shape (563, 224), float32, reflectance 0..1, NaN where not measured
        - target : ndarray of shape (563,), index into `target_names`
        - target_names : ndarray of shape (23,), minerals in alphabetical order
        - samples : ndarray of shape (563,), the physical sample; pass it as `groups` when
          splitting, since both libraries measured many of them
        - spectrum_names, libraries : ndarray of shape (563,)
        - wavelengths, fwhm : ndarray of shape (224,), nm; where two spectrometers overlap they are
          not ascending
        - cuprite_bands : ndarray of shape (224,), bool, the 50 bands of `fetch_cuprite_pixels`
        - feature_names, frame, DESCR

    (data, target) : tuple
        With `return_X_y=True`.

    Raises
    ------
    FileNotFoundError, DataFormatError
        As in `fetch_cuprite_pixels`.
    """
    path = find_file(SPLIB, data_home, download_if_missing)
    with np.load(path) as library:
        nm = library["wavelength_um"] * 1000
        target_names, target = np.unique(library["mineral"], return_inverse=True)
        return tabular(
            library["reflectance"],
            target,
            [f"{band:g}" for band in nm],
            return_X_y=return_X_y,
            as_frame=as_frame,
            target_names=target_names,
            samples=library["sample"],
            spectrum_names=library["spectrum_name"],
            libraries=library["library"],
            wavelengths=nm,
            fwhm=library["fwhm_um"] * 1000,
            cuprite_bands=library["cup95_band_mask"],
            DESCR=describe("usgs_splib"),
        )
