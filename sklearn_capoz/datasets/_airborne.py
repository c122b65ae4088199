"""Two public AVIRIS scenes with a truth for every pixel."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ._files import DataFile, describe, find_file, tabular

__all__ = ["fetch_indian_pines", "fetch_jasper_ridge"]

PURDUE = "the Indian Pines data of Purdue University, doi:10.4231/R7RX991C"
CUBE = DataFile(
    "indian_pines/Indian_pines_corrected.npy",
    ("8f038e4d81569e38ebfc72a15c9984c150de42580ab260be10a13442e912e451",),
    PURDUE,
    package=("tensorly", "datasets/data/Indian_pines_corrected.npy"),
)
GROUND_TRUTH = DataFile(
    "indian_pines/Indian_pines_gt.npy",
    ("44610d21625b311b05b8e0c4ba9a6cc755c2fbb9df48e4d89419024aa6ad3f9d",),
    PURDUE,
    package=("tensorly", "datasets/data/Indian_pines_gt.npy"),
)
BANDS = DataFile(
    "indian_pines/92AV3C.spc",
    ("beab701c26ba0c2430e1e0e4073e2179092c8c5bb281f5578dba6694906c5c4c",),
    PURDUE,
)
DISJOINT = DataFile(
    "indian_pines/indianpines_disjoint_dset.mat",
    ("430c37ce56a160d410378aa136e5e696e2436e2fe03e275f306c3502f622e77b",),
    "mhaut/HSI-datasets",
)
JASPER = DataFile(
    "jasper_ridge/jasperRidge2_R198.mat",
    ("0e4118a6452f6044978a8ca3762fb0f791115467904936d463c4e111e56e682e",),
    "gaetanosettembre/data_unmixing (research and educational use)",
)
JASPER_TRUTH = DataFile(
    "jasper_ridge/Jasper_GT.mat",
    ("92f5697b43705802b904fd13ba99b6ce65a3d203682864abc3fbec922beec374",),
    "gaetanosettembre/data_unmixing (research and educational use)",
)

INDIAN_PINES_CLASSES = (
    "Alfalfa",
    "Corn-notill",
    "Corn-mintill",
    "Corn",
    "Grass-pasture",
    "Grass-trees",
    "Grass-pasture-mowed",
    "Hay-windrowed",
    "Oats",
    "Soybean-notill",
    "Soybean-mintill",
    "Soybean-clean",
    "Wheat",
    "Woods",
    "Buildings-Grass-Trees-Drives",
    "Stone-Steel-Towers",
)

#: Bands of the 220 that the corrected cube leaves out (water vapour, noise), counted from 1.
DROPPED_BANDS = (*range(104, 109), *range(150, 164), 220)

#: The disjoint map's class numbers 1..16 in the ground truth's numbering.
DISJOINT_TO_TRUTH = (0, 2, 3, 5, 6, 8, 10, 11, 12, 14, 1, 4, 7, 9, 13, 15, 16)


def fetch_indian_pines(
    *, data_home=None, download_if_missing=True, return_X_y=False, as_frame=False
):
    """Load Indian Pines: 145 x 145 AVIRIS pixels, 200 bands, 16 classes of land use.

    The cube and its ground truth also come from the package tensorly, where that is installed. The
    band centres and the disjoint map are files of their own: without them, `wavelengths`, `fwhm`,
    `disjoint_train` and `disjoint_test` are None.

    Parameters
    ----------
    data_home : path-like, default=None
        Folder that holds `indian_pines`; None is `sklearn_capoz` in scikit-learn's data folder.
    download_if_missing : bool, default=True
        No stable direct address is known: missing files are an error either way.
    return_X_y : bool, default=False
        Return ``(data, target)``, the labelled pixels, instead of a Bunch.
    as_frame : bool, default=False
        `data` is a DataFrame with the wavelengths in nm (or band_0 ... without them) as columns,
        `target` a Series.

    Returns
    -------
    scene : Bunch
        With the attributes

        - data : ndarray of shape (10249, 200), uint16, radiance of the labelled pixels, row by row
        - target : ndarray of shape (10249,), index into `target_names`
        - target_names : ndarray of shape (16,)
        - positions : ndarray of shape (10249, 2), row and column
        - disjoint_train, disjoint_test : ndarray of shape (10249,), bool: the spatially disjoint
          split; the ten pixels whose training label contradicts the ground truth are in neither
        - wavelengths, fwhm : ndarray of shape (200,), nm; where two spectrometers overlap they are
          not ascending
        - cube : ndarray of shape (145, 145, 200), uint16, all pixels
        - ground_truth : ndarray of shape (145, 145), uint8, 0 unlabelled, 1..16 = target + 1
        - feature_names, frame, DESCR

    (data, target) : tuple
        With `return_X_y=True`.

    Raises
    ------
    FileNotFoundError
        If cube or ground truth is not there; the message says what to put where.
    DataFormatError
        If a file is not the one that this package knows.
    """
    cube = np.load(find_file(CUBE, data_home, download_if_missing))
    ground_truth = np.load(find_file(GROUND_TRUTH, data_home, download_if_missing))
    positions = np.argwhere(ground_truth > 0)
    labelled = tuple(positions.T)
    wavelengths, fwhm = _bands(_optional(BANDS, data_home))
    train, test = _disjoint(_optional(DISJOINT, data_home), ground_truth)
    if wavelengths is None:
        names = [f"band_{i}" for i in range(cube.shape[2])]
    else:
        names = [f"{band:.2f}" for band in wavelengths]
    return tabular(
        cube[labelled],
        ground_truth[labelled].astype(np.intp) - 1,
        names,
        return_X_y=return_X_y,
        as_frame=as_frame,
        target_names=np.array(INDIAN_PINES_CLASSES),
        positions=positions,
        disjoint_train=None if train is None else train[labelled],
        disjoint_test=None if test is None else test[labelled],
        wavelengths=wavelengths,
        fwhm=fwhm,
        cube=cube,
        ground_truth=ground_truth,
        DESCR=describe("indian_pines"),
    )


def fetch_jasper_ridge(
    *, data_home=None, download_if_missing=True, return_X_y=False, as_frame=False
):
    """Load Jasper Ridge: 100 x 100 AVIRIS pixels, 198 bands, with the abundances of four covers.

    Parameters
    ----------
    data_home, download_if_missing, return_X_y, as_frame
        As in `fetch_indian_pines`; the files lie in the folder `jasper_ridge`.

    Returns
    -------
    scene : Bunch
        With the attributes

        - data : ndarray of shape (10000, 198), uint16, scaled reflectance, row by row
        - target : ndarray of shape (10000, 4), reference abundances, each row sums to 1
        - target_names : ndarray of shape (4,), tree, water, dirt, road
        - endmembers : ndarray of shape (4, 198), reference spectra
        - bands : ndarray of shape (198,), which of the sensor's 224 bands, counted from 1; the
          files do not hold their wavelengths
        - cube, abundances : the same as images, (100, 100, 198) and (100, 100, 4)
        - feature_names, frame, DESCR

    (data, target) : tuple
        With `return_X_y=True`.

    Raises
    ------
    FileNotFoundError, DataFormatError
        As in `fetch_indian_pines`.
    """
    scene = _loadmat(find_file(JASPER, data_home, download_if_missing))
    truth = _loadmat(find_file(JASPER_TRUTH, data_home, download_if_missing))
    shape = (int(scene["nRow"].item()), int(scene["nCol"].item()))
    cube, abundances = (_image(scene[key], shape) for scene, key in ((scene, "Y"), (truth, "A")))
    bands = scene["SlectBands"].ravel().astype(int)
    names = [str(name.item()).split("-")[1] for name in truth["cood"].ravel()]
    return tabular(
        cube.reshape(-1, cube.shape[2]),
        abundances.reshape(-1, abundances.shape[2]),
        [f"band_{band}" for band in bands],
        return_X_y=return_X_y,
        as_frame=as_frame,
        target_names=np.array(names),
        endmembers=truth["M"].T,
        bands=bands,
        cube=cube,
        abundances=abundances,
        DESCR=describe("jasper_ridge"),
    )


def _loadmat(path: Path) -> dict:
    from scipy.io import loadmat  # late: it brings all of scipy's readers along

    return loadmat(path)


def _image(columns: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Turn (n_bands, n_pixels), the pixels column by column as MATLAB has it, into an image."""
    return np.ascontiguousarray(columns.T.reshape(*shape[::-1], -1).swapaxes(0, 1))


def _optional(file: DataFile, data_home) -> Path | None:
    try:
        return find_file(file, data_home)
    except FileNotFoundError:
        return None


def _bands(path: Path | None) -> tuple[np.ndarray | None, np.ndarray | None]:
    """Read centres and widths of the 200 bands, nm."""
    if path is None:
        return None, None
    table = np.loadtxt(path, skiprows=2, usecols=(0, 1))
    kept = np.delete(table, np.array(DROPPED_BANDS) - 1, axis=0)
    return kept[:, 0], kept[:, 1]


def _disjoint(path: Path | None, truth: np.ndarray) -> tuple[np.ndarray | None, np.ndarray | None]:
    """Read where the disjoint split trains and tests, as two masks of the scene."""
    if path is None:
        return None, None
    listed = np.array(DISJOINT_TO_TRUTH)[_loadmat(path)["indianpines_disjoint_dset"]]
    return (listed > 0) & (listed == truth), (listed == 0) & (truth > 0)
