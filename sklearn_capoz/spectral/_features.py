"""Absorption features: position, depth and shape of the absorptions that name a mineral."""

from collections.abc import Mapping
from dataclasses import dataclass
from numbers import Real

import numpy as np

from .._sklearn import Interval, StrOptions
from . import _kernels
from ._base import SpectralTransformer, shared_doc
from ._feature_table import FEATURE_SETS

_SHAPE = {"width", "area", "asymmetry"}


@dataclass(frozen=True)
class AbsorptionFeature:
    """A window in which to look for one absorption.

    Parameters
    ----------
    name : str
        Name of the feature, the beginning of its output columns.
    low, high : float, nm
        The minimum lies between these wavelengths, ends included; what has its minimum elsewhere
        is another absorption.
    left, right : float or None, default=None, nm
        Ends of the continuum. None is `low` and `high`, and the hull between them.
    continuum : {"line", "hull"}, default="line"
        What is laid from `left` to `right`: the straight line from one to the other, or the upper
        convex hull.

    Raises
    ------
    ValueError
        If the window is empty, a single shoulder is given, the window lies outside of them, or the
        continuum is unknown.

    Examples
    --------
    >>> from sklearn_capoz.spectral import AbsorptionFeature
    >>> AbsorptionFeature("al_oh_2200", 2180, 2230, left=2120, right=2280)
    AbsorptionFeature(name='al_oh_2200', low=2180, high=2230, left=2120, right=2280,
                      continuum='line')
    """

    name: str
    low: float
    high: float
    left: float | None = None
    right: float | None = None
    continuum: str = "line"

    def __post_init__(self):
        if not self.low < self.high:
            raise ValueError(
                f"{self.name}: low must be below high, got {self.low} and {self.high}."
            )
        if self.left is None or self.right is None:
            if self.left is not self.right:
                raise ValueError(f"{self.name}: give both shoulders, left and right, or neither.")
        elif not (self.left < self.high and self.low < self.right):
            raise ValueError(
                f"{self.name}: the window from {self.low} to {self.high} nm lies outside its "
                f"shoulders at {self.left} and {self.right} nm."
            )
        if self.continuum not in ("line", "hull"):
            raise ValueError(
                f"{self.name}: continuum must be 'line' or 'hull', got {self.continuum!r}."
            )

    @property
    def ends(self):
        """Where the continuum begins and ends, nm."""
        return (self.low, self.high) if self.left is None else (self.left, self.right)

    @property
    def is_straight(self):
        """Whether the continuum is a line."""
        return self.left is not None and self.continuum == "line"


@shared_doc
class AbsorptionFeatures(SpectralTransformer):
    """Measure absorption features: where they lie, how deep, how wide and how lopsided they are.

    A few numbers with a physical meaning stand for hundreds of bands: the position tells the
    mineral and its chemistry, the depth its abundance, the shape its neighbours.

    Parameters
    ----------
    <wavelengths>
    features : "swir", dict or list of AbsorptionFeature, default="swir"
        What to look for: a dict ``name -> (low, high)`` in nm, or a list of `AbsorptionFeature`.
        "swir" is a table of features of common minerals between 1350 and 2420 nm, of which those
        are used that the sensor covers. It says where the minimum of each may lie: minerals whose
        minima lie closer than that, such as chlorite, epidote and calcite near 2340 nm, share a
        feature.
    parameters : sequence of str, default=("position", "depth", "width", "area", "asymmetry", \
"sai", "slope")
        What to measure, in the order of the columns.
    min_depth : float, default=0.01
        Least depth of a feature, as a share of the continuum: what is shallower is noise. The
        default suits a good airborne sensor. For others take three to five times the noise of a
        spectrum over its reflectance: of a flat spectrum three times let a fifth of the "swir"
        features pass at most, five times one in a hundred.
    on_missing : {"neutral", "nan"}, default="neutral"
        What a feature that is not there gives: position in the middle between `low` and `high`,
        SAI 1 and 0 for all else, as a network takes it, or NaN for all.
    <sensor>
    <common>

    Attributes
    ----------
    features_ : list of AbsorptionFeature
        The features that are measured.
    n_features_in_ : int
        Number of bands seen in `fit`.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the bands, where X had names.

    Raises
    ------
    ValueError
        If the wavelengths are unknown, ambiguous, double or do not fit X, if the sensor has fewer
        than three bands in a window or does not reach its ends (not checked for "index"), or if X
        holds integers and there is no `scale`.

    Notes
    -----
    With the continuum Rc of a window, the lowest band m of R / Rc between `low` and `high` (or one
    beside them) and the shoulders s1 and s2, which are the bands next to m on the hull or the ends
    of the straight line [1]_:

    - position (nm): vertex of the parabola through R / Rc at m and its two neighbours
    - depth: D = 1 - R_m / Rc
    - sai: Rc / R_m = 1 / (1 - D)
    - width (nm): between the points on both sides where R / Rc is back at 1 - D / 2, by linear
      interpolation (full width at half maximum)
    - asymmetry: (right - left) / (right + left) of the half widths, counted from the position
    - area (nm): integral of 1 - R / Rc between the shoulders, by the trapezoidal rule
    - slope (1/nm): (R_s2 - R_s1) / (lambda_s2 - lambda_s1)

    Columns are called ``al_oh_2200__depth``. What odd spectra give: NaN, infinite and masked bands
    are left out. A feature is missing if fewer than three bands of its window are left, if one end
    of the continuum is not above zero (or not there, for a straight one), if the lowest band is no
    minimum, as on the flank of an absorption beside the window, if the position is not between
    `low` and `high`, or if the depth is not above `min_depth`, or not below 1: so it is for flat,
    all-zero, one-band and two-band spectra.

    References
    ----------
    .. [1] Clark, R. N. & Roush, T. L. (1984). Reflectance spectroscopy: quantitative analysis
       techniques for remote sensing applications. *Journal of Geophysical Research* 89(B7),
       6329-6340. :doi:`10.1029/JB089iB07p06329`

    Examples
    --------
    >>> from sklearn_capoz.spectral import AbsorptionFeatures
    >>> features = AbsorptionFeatures(
    ...     [2160, 2180, 2200, 2220, 2240],
    ...     features={"al_oh_2200": (2160, 2240)},
    ...     parameters=("position", "width"),
    ... )
    >>> features.fit_transform([[0.6, 0.48, 0.3, 0.48, 0.6]]).round(1)
    array([[2200. ,   33.3]])
    >>> features.get_feature_names_out()
    array(['al_oh_2200__position', 'al_oh_2200__width'], dtype=object)
    """

    _parameter_constraints = {
        **SpectralTransformer._parameter_constraints,
        "features": [StrOptions(set(FEATURE_SETS)), dict, list, tuple],
        "parameters": ["array-like"],
        "min_depth": [Interval(Real, 0, 1, closed="left")],
        "on_missing": [StrOptions({"neutral", "nan"})],
    }

    def __init__(
        self,
        wavelengths=None,
        *,
        features="swir",
        parameters=_kernels.PARAMETERS,
        min_depth=0.01,
        on_missing="neutral",
        unit=None,
        bad_bands=None,
        duplicates="error",
        scale=None,
        n_jobs=None,
    ):
        self.wavelengths = wavelengths
        self.features = features
        self.parameters = parameters
        self.min_depth = min_depth
        self.on_missing = on_missing
        self.unit = unit
        self.bad_bands = bad_bands
        self.duplicates = duplicates
        self.scale = scale
        self.n_jobs = n_jobs

    def fit(self, X, y=None):
        """Settle bands and windows; nothing is learnt from the spectra.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_bands), reflectance
            Spectra; their number of columns, and column names if `wavelengths` is None, are used.
        y : None
            Ignored.

        Returns
        -------
        self
        """
        self._fit_axis(X)
        self._selected = _selected_parameters(self.parameters)
        self.features_ = self._covered_features()
        self._windows = _place_windows(
            self._axis.wavelengths, self.features_, self.on_missing == "nan"
        )
        return self

    def _covered_features(self):
        features = _as_features(self.features)
        if isinstance(self.wavelengths, str):  # band numbers name no sensor
            return features
        problems = [_why_not_covered(self._axis.wavelengths, feature) for feature in features]
        covered = [feature for feature, why in zip(features, problems, strict=True) if why is None]
        if covered and (isinstance(self.features, str) or len(covered) == len(features)):
            return covered
        missing = "; ".join(why for why in problems if why is not None)
        raise ValueError(f"The sensor does not cover the features asked for: {missing}.")

    @property
    def _n_columns(self):
        return len(self.features_) * len(self._selected)

    def _transform_block(self, reflectance, out):
        _kernels.absorption_features(
            reflectance,
            self._axis.wavelengths,
            self._windows,
            self._selected,
            not _SHAPE.isdisjoint(self.parameters),
            max(float(self.min_depth), 4.0 * np.finfo(out.dtype).eps),  # at least rounding
            out,
        )

    def __setstate__(self, state):
        # What was stored by version 0.1.0 goes on as it did.
        super().__setstate__({"min_depth": 0.0} | state)

    def _names(self):
        return [f"{feature.name}__{name}" for feature in self.features_ for name in self.parameters]


def _selected_parameters(parameters):
    names = list(parameters)
    unknown = [name for name in names if name not in _kernels.PARAMETERS]
    if unknown or not names or len(set(names)) < len(names):
        raise ValueError(
            f"parameters must be distinct names out of {_kernels.PARAMETERS}, got {parameters!r}."
        )
    return np.array([_kernels.PARAMETERS.index(name) for name in names], dtype=np.intp)


def _as_features(features):
    if isinstance(features, str):
        table = FEATURE_SETS[features]
        return [AbsorptionFeature(name, *nm, continuum="hull") for name, nm in table.items()]
    if isinstance(features, Mapping):
        try:
            features = [AbsorptionFeature(name, *window) for name, window in features.items()]
        except TypeError as error:
            raise ValueError("features as a dict must map names to (low, high) in nm.") from error
    features = list(features)
    if not features or not all(isinstance(feature, AbsorptionFeature) for feature in features):
        raise ValueError(
            "features must be a name, a dict name -> (low, high) in nm, or a list of "
            f"AbsorptionFeature, got {features!r}."
        )
    names = [feature.name for feature in features]
    if len(set(names)) < len(names):
        raise ValueError(f"Every feature needs a name of its own, got {names}.")
    return features


def _span(wavelengths, feature):
    """First band of a feature's continuum and one behind its last."""
    if feature.is_straight:
        left, right = (np.abs(wavelengths - nm).argmin() for nm in feature.ends)
        return left, right + 1
    left, right = feature.ends
    first = np.searchsorted(wavelengths, left, side="left")
    return first, np.searchsorted(wavelengths, right, side="right")


def _why_not_covered(wavelengths, feature):
    """Say what the sensor lacks for a feature, or None."""
    ends = feature.ends
    first, stop = _span(wavelengths, feature)
    text = f"{feature.name} ({ends[0]:g} to {ends[1]:g} nm)"
    if stop - first < 3:
        return f"{text} has {max(stop - first, 0)} bands and needs 3"
    # A window that the sensor cuts off would have its continuum laid over half an absorption.
    spacing = np.diff(wavelengths[first:stop]).max()
    if wavelengths[first] - ends[0] > spacing or ends[1] - wavelengths[stop - 1] > spacing:
        return f"{text} has bands from {wavelengths[first]:g} to {wavelengths[stop - 1]:g} nm only"
    return None


def _place_windows(wavelengths, features, nan):
    spans = np.array([_span(wavelengths, feature) for feature in features], dtype=np.intp)
    low, high = (np.array([getattr(f, end) for f in features], float) for end in ("low", "high"))
    absent = np.zeros((len(features), len(_kernels.PARAMETERS)))
    absent[:, _kernels.POSITION] = 0.5 * (low + high)
    absent[:, _kernels.SAI] = 1.0
    if nan:
        absent[:] = np.nan
    return _kernels.Windows(
        start=spans[:, 0].copy(),
        width=spans[:, 1] - spans[:, 0],
        low=low,
        high=high,
        straight=np.array([feature.is_straight for feature in features]),
        absent=absent,
    )
