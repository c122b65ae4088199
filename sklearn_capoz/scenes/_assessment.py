"""How right a map is: accuracies and areas with their intervals, from labelled places."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from scipy.stats import norm
from sklearn.utils.validation import check_consistent_length, column_or_1d

from ._assessment_text import as_frame, as_latex, as_text
from ._class_map import ClassMap
from ._compared import compare
from ._predict import SceneMap

__all__ = ["Assessment", "assess"]


@dataclass(frozen=True, eq=False)
class Assessment:
    """Accuracy of a map, and areas corrected for its errors.

    Margins are half widths of intervals of the asked confidence; NaN where a class of the map has
    one labelled place only.

    Parameters
    ----------
    counts : DataFrame of shape (n_classes, n_classes)
        Places by class of the map (rows) and of the truth (columns).
    proportions : DataFrame of shape (n_classes, n_classes)
        The same as estimated parts of the map's area, which sum to 1.
    overall, overall_margin : float
        Part of the area that is mapped right.
    kappa : float
        Agreement beyond chance, in area proportions.
    classes : DataFrame
        By class: ``user`` (part of the mapped class that is it), ``producer`` (part of the class
        that is mapped as it), ``area`` (estimated true area), each with ``_margin``, and
        ``mapped_area``.
    confidence : float
        Of the intervals.
    area_unit : str
        "ha" (hectares) or "pixels" for a map, "" where areas were given.
    notes : tuple of str
        What was left out or brought over to compare map and truth.

    Examples
    --------
    >>> from sklearn_capoz.scenes import assess
    >>> found = assess(["a", "a", "a", "b", "b", "b"], ["a", "a", "b", "b", "b", "b"])
    >>> round(found.overall, 3), found.classes["user"].round(2).tolist()
    (0.833, [0.67, 1.0])
    >>> found
    Assessment(6 places, 2 classes, overall 0.833 +- 0.327, kappa 0.667)
    """

    counts: pd.DataFrame
    proportions: pd.DataFrame
    overall: float
    overall_margin: float
    kappa: float
    classes: pd.DataFrame
    confidence: float
    area_unit: str = ""
    notes: tuple[str, ...] = ()

    def __repr__(self) -> str:
        """Say the main figures in one line; `print` shows all of them."""
        return (
            f"Assessment({self.counts.to_numpy().sum():,} places, {len(self.counts)} classes, "
            f"overall {self.overall:.3f} +- {self.overall_margin:.3f}, kappa {self.kappa:.3f})"
        )

    def __str__(self) -> str:
        """All tables as text."""
        return as_text(self)

    def to_frame(self) -> pd.DataFrame:
        """Put all figures into one table, as for a CSV file.

        Returns
        -------
        frame : DataFrame
            A row for each class: `classes`, then the counts by true class as "truth: NAME". The
            last row, "overall", has the overall accuracy as user's and producer's, the sums, and
            kappa.
        """
        return as_frame(self)

    def to_latex(self, *, caption: str | None = None, label: str | None = None) -> str:
        r"""Write the confusion matrix with accuracies and areas as a table for a paper.

        Parameters
        ----------
        caption, label : str, default=None
            Of the table; without both it is a bare ``tabular``.

        Returns
        -------
        latex : str
            It needs ``\usepackage{booktabs}``.
        """
        return as_latex(self, caption, label)


def assess(
    mapped,
    truth,
    *,
    areas=None,
    label: str = "label",
    names=None,
    crs=None,
    training=None,
    training_distance: float = 10.0,
    confidence: float = 0.95,
) -> Assessment:
    """Assess a map by places whose true class is known, after Olofsson et al. (2014).

    Rare classes are sampled more densely than they are common, and mapped areas are biased by the
    map's errors. Weighting places by the area that they stand for mends both.

    Parameters
    ----------
    mapped : path, SceneMap, ClassMap, or array-like of shape (n_places,)
        A class map; or the class of a map at each place.
    truth : path, GeoDataFrame, DataFrame, ClassMap, SceneMap, or array-like of shape (n_places,)
        For a map: polygons or points of a GeoJSON file, Shapefile or GeoPackage; a raster of
        classes in the same grid; or a table (CSV) of points with row and column, counted from 0,
        or x and y in the map's coordinate system, or lon and lat. Of polygons every pixel counts
        whose centre they hold. For an array: the class on the ground at each place.
    areas : dict or Series of class -> float, default=None
        Area of each class in the whole map, in any unit; classes that are not named have none.
        None counts the pixels of a map, in hectares where its coordinates are lengths; and takes
        the places of an array for a random sample of the map: areas as in `mapped`, summing to 1.
    label : str, default="label"
        Column of polygons or points that holds the class.
    names : dict of str -> str, or path, default=None
        The map's name for a name of the truth; "" leaves its places out. A path is that of a CSV
        table with the columns old and new.
    crs : str, default=None
        Coordinate system of polygons or points, such as "EPSG:32611", above what they say.
    training : as `truth`, default=None
        The regions that the map's model was trained on. A warning says how many places touch
        them or lie near, and how right the map is at the others.
    training_distance : float, pixels, default=10.0
        What is near.
    confidence : float, default=0.95
        Of the intervals.

    Returns
    -------
    assessment : Assessment

    Raises
    ------
    DataFormatError
        If a file is not what it should be, the truth does not overlap the map, one of them has no
        coordinate system, or polygons cross themselves.
    ValueError
        If there are no places, the truth has a class that the map has not, or `areas` does not
        fit: a class with area and no place, or places and no area.
    ImportError
        If there are polygons, and geopandas and pyogrio are not installed.

    Warns
    -----
    UserWarning
        If places are near to training regions, a mapped class has no place, or polygons contradict
        each other.

    Notes
    -----
    With W the parts of area of the map's classes and n the counts of places [1]_:
    ``p_ij = W_i n_ij / n_i``, overall ``O = sum p_ii``, user's ``U_i = n_ii / n_i``, producer's
    ``P_j = p_jj / p_.j``, area ``A p_.j``, with the variances

    - ``V(O) = sum W_i^2 U_i (1 - U_i) / (n_i - 1)``, ``V(U_i) = U_i (1 - U_i) / (n_i - 1)``
    - ``V(p_.j) = sum_i W_i^2 q_ij (1 - q_ij) / (n_i - 1)`` with ``q_ij = n_ij / n_i``
    - ``V(P_j) = (W_j^2 (1 - P_j)^2 U_j (1 - U_j) / (n_j - 1)
      + P_j^2 sum_(i != j) W_i^2 q_ij (1 - q_ij) / (n_i - 1)) / p_.j^2``

    The paper's example is reproduced but for two of its printed producer's margins, 0.23 and 0.01,
    where its equation 7, the last one here, gives 0.254 and 0.018. Equation 7 is the delta method
    for a ratio of stratified means, and drawing the sample anew gives the same. Neither rounding
    the inputs to two to four digits nor 1, 1.645 or 2 standard errors, n for n - 1, mapped for
    estimated areas or another set of terms gives what is printed: it is taken for a slip.

    Intervals are those of a normal distribution, and too narrow for some dozens of places. Places
    are taken for a random sample within each class of the map; neighbouring pixels, such as those
    of a polygon, are no such sample, and make the intervals too narrow as well.

    References
    ----------
    .. [1] Olofsson, P. et al. (2014). Good practices for estimating area and assessing accuracy of
       land change. *Remote Sensing of Environment* 148, 42-57. :doi:`10.1016/j.rse.2014.02.015`

    Examples
    --------
    >>> from sklearn_capoz.scenes import assess
    >>> mapped = ["rare"] * 10 + ["common"] * 10
    >>> truth = ["rare"] * 8 + ["common"] * 2 + ["rare"] + ["common"] * 9
    >>> found = assess(mapped, truth, areas={"rare": 10, "common": 990})
    >>> round(found.overall, 3), found.classes["area"].round(0).to_dict()
    (0.899, {'common': 893.0, 'rare': 107.0})
    """
    if not 0 < confidence < 1:
        raise ValueError(f"confidence must lie between 0 and 1, got {confidence!r}.")
    if not isinstance(mapped, (str, os.PathLike, SceneMap, ClassMap)):
        return _of_places(mapped, truth, areas, confidence)
    places = compare(
        mapped,
        truth,
        label=label,
        names=names,
        crs=crs,
        training=training,
        training_distance=training_distance,
    )
    given = places.areas if areas is None else areas
    area = _areas(given, places.labels, places.counts.sum(axis=1))
    found = _estimate(places.labels, places.counts, area, confidence)
    unit = places.area_unit if areas is None else ""
    return replace(found, area_unit=unit, notes=places.notes)


def _of_places(mapped, truth, areas, confidence: float) -> Assessment:
    mapped, truth = column_or_1d(mapped), column_or_1d(truth)
    check_consistent_length(mapped, truth)
    if not len(mapped):
        raise ValueError("There is no place to assess the map by.")
    labels = np.unique(np.concatenate([mapped, truth]))
    counts = np.zeros((len(labels), len(labels)), dtype=int)
    np.add.at(counts, (np.searchsorted(labels, mapped), np.searchsorted(labels, truth)), 1)
    area = _areas(areas, labels, counts.sum(axis=1))
    return _estimate(labels, counts, area, confidence)


def _areas(areas, labels, n_places) -> np.ndarray:
    """Area of every class, checked against the places that stand for it."""
    if areas is None:
        return n_places / n_places.sum()
    if not isinstance(areas, (Mapping, pd.Series)):
        raise ValueError(
            f"areas must be a dict or Series of class -> area, got {type(areas).__name__}."
        )
    given = {label: float(area) for label, area in areas.items()}
    if not all(np.isfinite(area) and area >= 0 for area in given.values()):
        raise ValueError("areas must be finite and not negative.")
    known = dict(zip(labels.tolist(), n_places.tolist(), strict=True))
    empty = [label for label, area in given.items() if area > 0 and not known.get(label, 0)]
    if empty:
        raise ValueError(
            f"The map has {empty[:5]} and no labelled place says how right it is there. Label "
            "places of it, or merge it with another class."
        )
    without = [label for label, n in known.items() if n and not given.get(label, 0)]
    if without:
        raise ValueError(
            f"{without[:5]} is mapped at labelled places and has no area; areas names "
            f"{list(given)[:10]}. Pass the areas of all classes of the map, by the same names."
        )
    return np.array([given.get(label, 0.0) for label in labels.tolist()])


def _estimate(labels, counts, area, confidence: float) -> Assessment:
    z = norm.ppf(0.5 + confidence / 2)
    weight, n = area / area.sum(), counts.sum(axis=1)
    # A class that is nowhere mapped has no row, one with a single place no variance.
    with np.errstate(divide="ignore", invalid="ignore"):
        share = np.where(n[:, None] > 0, counts / n[:, None], 0)
        spread = np.where(n[:, None] > 0, share * (1 - share) / (n[:, None] - 1), 0)
        p = weight[:, None] * share
        true_part, right = p.sum(axis=0), p.diagonal()
        user = np.where(n > 0, share.diagonal(), np.nan)
        producer = right / true_part
        of_row = weight[:, None] ** 2 * spread  # variance that each row adds to each column
        own = of_row.diagonal()
        others = of_row.sum(axis=0) - own
        variance = ((1 - producer) ** 2 * own + producer**2 * others) / true_part**2
        chance = weight @ true_part
        kappa = (right.sum() - chance) / (1 - chance)
    classes = {
        "user": user,
        "user_margin": z * np.sqrt(np.where(n > 0, spread.diagonal(), np.nan)),
        "producer": producer,
        "producer_margin": z * np.sqrt(variance),
        "area": area.sum() * true_part,
        "area_margin": area.sum() * z * np.sqrt(of_row.sum(axis=0)),
        "mapped_area": area,
    }
    rows, columns = pd.Index(labels, name="mapped"), pd.Index(labels, name="truth")
    return Assessment(
        counts=pd.DataFrame(counts, index=rows, columns=columns),
        proportions=pd.DataFrame(p, index=rows, columns=columns),
        overall=float(right.sum()),
        overall_margin=float(z * np.sqrt(own.sum())),
        kappa=float(kappa),
        classes=pd.DataFrame(classes, index=pd.Index(labels, name="class")),
        confidence=confidence,
    )
