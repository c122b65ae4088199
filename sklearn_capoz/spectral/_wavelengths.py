"""Where the bands lie: wavelengths in nm, ascending, each once, with the way back to the input.

Every transformer of this package asks the same questions first: which unit, in which order, are
two bands at one wavelength, which bands are bad. They are answered here, once, in `fit`.
"""

import re
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np

from ..exceptions import DataFormatError

# Imaging spectrometers see 0.2 to 30 um. A list between the two limits could be either unit.
LARGEST_UM = 30.0
SMALLEST_NM = 200.0
# From X rays to heat: what lies outside, in nm, was given in another unit than was said.
PLAUSIBLE_NM = 10.0, 100_000.0
# Files print centres with a decimal or two; nearer than this, in nm, is the same band.
SAME_BAND = 0.05

# Words for the two units, casefolded: so are capitals one, and the micro sign and the Greek letter.
_UNITS = {
    **dict.fromkeys(["nm", "nanometer", "nanometers", "nanometre", "nanometres"], "nm"),
    **dict.fromkeys(["um", "μm", "micron", "microns"], "um"),
    **dict.fromkeys(["micrometer", "micrometers", "micrometre", "micrometres"], "um"),
}
_NO_UNIT = ("", "unknown", "none", "<unspecified>")
# Scales of a spectrum on which bands do not lie where they would in nm; beside it, the way there.
_OTHER_SCALES = {
    **dict.fromkeys(("wavenumber", "wavenumbers", "cm-1", "cm^-1", "1/cm"), "1e7 / wavenumber"),
    "ghz": "299792458 / GHz",
    "mhz": "299792458000 / MHz",
    "index": "the band centre of each number",
}

_LONGEST_FIRST = sorted(_UNITS, key=len, reverse=True)
NUMBER = re.compile(rf"(\d+(?:\.\d+)?)\s*({'|'.join(_LONGEST_FIRST)}|µm)?", re.I)


@dataclass(frozen=True)
class BandAxis:
    """The used bands of a sensor in ascending order, and how input columns map onto them."""

    given: np.ndarray  # (n_input_columns,), nm, of every input column, used or not
    wavelengths: np.ndarray  # (n_bands,), nm, strictly ascending
    columns: np.ndarray  # (n_columns,), used input columns, sorted by wavelength
    groups: np.ndarray  # (n_bands,), where each wavelength's columns begin in `columns`

    @classmethod
    def of(cls, nm, used):
        """Axis of the columns with the wavelengths `nm` that the mask `used` takes."""
        columns = np.flatnonzero(used)
        columns = columns[np.argsort(nm[columns], kind="stable")]
        ascending, groups = np.unique(nm[columns], return_index=True)
        return cls(nm, ascending, columns, groups)

    @cached_property
    def has_duplicates(self):
        return len(self.groups) < len(self.columns)

    @cached_property
    def positions(self):
        """Places in `wavelengths` in the order in which the input first brings them."""
        return np.argsort(self.columns[self.groups])

    @cached_property
    def kept(self):
        """Input column of every position: the first at its wavelength."""
        return self.columns[self.groups][self.positions]

    @cached_property
    def in_order(self):
        """Whether the input already brings the wavelengths in ascending order."""
        return np.array_equal(self.positions, np.arange(len(self.wavelengths)))

    @cached_property
    def _selection(self):
        """The used columns, as a slice where that spares a copy."""
        first, last = self.columns[0], self.columns[-1]
        consecutive = np.array_equal(self.columns, np.arange(first, last + 1))
        return slice(first, last + 1) if consecutive else self.columns

    def gather(self, X, dtype, scale=None):
        """Rows of X as reflectance on `wavelengths`: sorted, averaged where asked, scaled."""
        # A read-only array would make numba compile every kernel a second time.
        bands = np.require(X[:, self._selection], dtype=dtype, requirements=["C", "W"])
        if self.has_duplicates:
            bands = self._average(bands)
        if scale is not None:
            bands = bands / dtype.type(scale)
        return bands

    def _average(self, bands):
        valid = np.isfinite(bands)
        total = np.add.reduceat(np.where(valid, bands, 0), self.groups, axis=1)
        count = np.add.reduceat(valid, self.groups, axis=1, dtype=bands.dtype)
        return np.divide(total, count, out=np.full_like(total, np.nan), where=count > 0)

    def nearest(self, wanted):
        """Place of the band nearest to each wavelength; farther than one spacing is an error."""
        wanted = np.atleast_1d(np.asarray(wanted, dtype=float))
        place = nearest_band(self.wavelengths, wanted)
        spacing = np.median(np.diff(self.wavelengths)) if len(self.wavelengths) > 1 else 0.0
        far = ~(np.abs(wanted - self.wavelengths[place]) <= spacing)  # NaN is near to none
        if far.any():
            raise ValueError(
                f"No band lies near {_listed(wanted[far])} nm: the bands reach from "
                f"{self.wavelengths[0]:g} to {self.wavelengths[-1]:g} nm with a median spacing of "
                f"{spacing:g} nm. Ask for wavelengths that this sensor has."
            )
        return place


def band_axis(X, n_bands, *, wavelengths, unit, bad_bands, duplicates, ranges=None):
    """Settle wavelengths, order, duplicates and bad bands for data with `n_bands` columns."""
    bad = bad_band_mask(bad_bands, n_bands)
    hint = " Pass unit='nm' or unit='um', or wavelengths='index' if they are band numbers."
    nm = wavelengths_nm(X, n_bands, wavelengths, unit, bad, hint)
    used = ~bad
    if ranges is not None:
        used &= in_ranges(nm, ranges)
    if not used.any():
        raise ValueError(
            f"No band is left of {n_bands}: bad_bands and ranges together leave out every one."
        )
    axis = BandAxis.of(nm, used)
    if axis.has_duplicates and duplicates == "error":
        twice = axis.wavelengths[np.diff(np.append(axis.groups, len(axis.columns))) > 1]
        raise ValueError(
            f"Several bands have the wavelength {_listed(twice)} nm. Pass duplicates='average' to "
            "use their mean, or list all but one of them in bad_bands."
        )
    return axis


def wavelengths_nm(X, n_bands, wavelengths=None, unit=None, bad=None, hint=""):
    """Wavelengths of the columns of X in nm, in the order of the columns.

    A band in the mask `bad` needs none: where it has none, as files write 0 there, it is NaN. The
    `hint` is what a caller has to say the unit by, for messages.
    """
    if isinstance(wavelengths, str):  # the caller has checked that it says "index"
        return np.arange(n_bands, dtype=float)
    if wavelengths is None:
        values, unit = _from_column_names(X, unit)
    else:
        values = np.asarray(wavelengths, dtype=float)
    if values.ndim != 1 or len(values) != n_bands:
        raise ValueError(
            f"wavelengths must hold one value for each of the {n_bands} bands, "
            f"got an array of shape {values.shape}."
        )
    known = np.isfinite(values) & (values > 0)
    used = np.ones(n_bands, dtype=bool) if bad is None else ~bad
    if not known[used].all():
        raise ValueError(
            "wavelengths must be positive and finite, but for bands that bad_bands leaves out; "
            f"{(~known & used).sum()} of {n_bands} are not, the first at band "
            f"{(~known & used).argmax()} (counted from 0)."
        )
    if not used.any():
        return np.full(n_bands, np.nan)  # whoever needs a band says that none is left
    named = values[used]
    found = _unit_of(named, unit, hint)
    nm = np.where(known, values * 1000.0 if found == "um" else values, np.nan)
    if nm[used].min() < PLAUSIBLE_NM[0] or nm[used].max() > PLAUSIBLE_NM[1]:
        raise ValueError(
            f"Wavelengths from {named.min():g} to {named.max():g} {found} are none of imaging "
            f"spectroscopy: they are in another unit than {found!r}. Give them in nm."
        )
    return nm


def unit_named(name):
    """Return "nm" or "um" for a unit as files and people write it, or None for no unit.

    Raises
    ------
    ValueError
        If it is another unit: such wavelengths would be taken for nm.
    """
    word = (name or "").strip().casefold()
    if word in _NO_UNIT:
        return None
    if word in _UNITS:
        return _UNITS[word]
    way = f": convert them (nm = {_OTHER_SCALES[word]})" if word in _OTHER_SCALES else ""
    raise ValueError(f"wavelengths must be in nm or um; their unit is {name.strip()!r:.40}{way}.")


def bad_band_mask(bad_bands, n_bands):
    """Boolean mask, True for the bands to leave out, from a mask or from band numbers."""
    mask = np.zeros(n_bands, dtype=bool)
    if bad_bands is None:
        return mask
    given = np.asarray(bad_bands)
    if given.dtype == bool:
        if given.shape != (n_bands,):
            raise ValueError(
                f"bad_bands as a mask needs one entry for each of the {n_bands} bands, "
                f"got shape {given.shape}."
            )
        return given.copy()
    if given.size == 0:
        return mask
    if given.shape == (n_bands,) and n_bands > 2 and np.isin(given, (0, 1)).all():
        raise ValueError(
            f"bad_bands holds {n_bands} times 0 or 1, which looks like the bbl of an ENVI header, "
            "where 0 is bad. Pass bad_bands=np.array(bbl) == 0."
        )
    if given.ndim != 1 or given.dtype.kind not in "iu":
        raise ValueError("bad_bands must be a boolean mask or a list of band numbers from 0.")
    if given.min() < -n_bands or given.max() >= n_bands:
        raise ValueError(
            f"bad_bands names band {given.max() if given.max() >= n_bands else given.min()}, "
            f"but X has the bands 0 to {n_bands - 1}."
        )
    mask[given] = True
    if mask.sum() < len(given):
        raise ValueError(
            "bad_bands names a band more than once. It is a boolean mask, True for bad, or a list "
            "of band numbers from 0."
        )
    return mask


def check_ranges(ranges, name="ranges"):
    """Ranges as ascending (low, high) pairs in nm that do not overlap."""
    pairs = np.asarray(ranges, dtype=float)
    if pairs.ndim != 2 or pairs.shape[1] != 2 or not len(pairs):
        raise ValueError(f"{name} must be a list of (low, high) pairs in nm, got {ranges!r}.")
    if not (pairs[:, 0] < pairs[:, 1]).all():
        raise ValueError(f"Every pair of {name} must be (low, high) with low < high: {ranges!r}.")
    pairs = pairs[np.argsort(pairs[:, 0])]
    for (_, high), (low, _) in pairwise(pairs):
        if low <= high:
            raise ValueError(
                f"Two of {name} overlap: one ends at {high:g} nm, one begins at {low:g} nm."
            )
    return pairs


def nearest_band(wavelengths, nm):
    """Place of the band nearest to each of `nm`, the lower one on ties; no table of all pairs."""
    nm = np.asarray(nm, dtype=float)
    above = np.searchsorted(wavelengths, nm).clip(max=len(wavelengths) - 1)
    below = (above - 1).clip(min=0)
    return np.where(
        np.abs(nm - wavelengths[below]) <= np.abs(nm - wavelengths[above]), below, above
    )


def in_ranges(nm, ranges):
    """Whether each wavelength lies in one of the ascending ranges, both ends included."""
    low, high = np.asarray(ranges, dtype=float).T
    place = np.searchsorted(low, nm, side="right") - 1
    return (place >= 0) & (nm <= high[place])


def bands_named(nm, ranges, where):
    """Mask of the bands that ranges such as those of --bad-bands name, each at least one."""
    named = np.zeros(len(nm), dtype=bool)
    for low, high in ranges:
        found = (nm >= low - SAME_BAND) & (nm <= high + SAME_BAND)
        if not found.any():
            raise DataFormatError(f"--bad-bands: {where} has no band from {low:g} to {high:g} nm.")
        named |= found
    return named


def distinct_labels(nm):
    """Wavelengths as text with as few decimals as keep them apart: "2205", or "1879.6"."""
    for decimals in range(7):
        labels = [f"{value:.{decimals}f}" for value in nm]
        if len(set(labels)) == len(labels):
            return labels
    return [f"{value:.6f}" for value in nm]


def _unit_of(values, unit, hint):
    if unit is not None:
        return unit
    if values.max() <= LARGEST_UM:
        return "um"
    if values.min() >= SMALLEST_NM:
        return "nm"
    raise ValueError(
        f"Wavelengths from {values.min():g} to {values.max():g} are neither clearly micrometres "
        f"(at most {LARGEST_UM:g}) nor clearly nanometres (at least {SMALLEST_NM:g}): give all of "
        f"them in one unit.{hint}"
    )


def _from_column_names(X, unit):
    names = getattr(X, "columns", None)
    if names is None:
        raise ValueError(
            "The wavelengths of the bands are not known. Pass wavelengths= with one value per "
            "band, in nm or um; or give X as a DataFrame whose column names hold them; or pass "
            "wavelengths='index' to use the band numbers 0, 1, 2, ... as positions."
        )
    parsed = [parse_name(name) for name in names]
    units = {found for _, found in parsed}
    if len(units) > 1:
        raise ValueError(f"The column names mix units: {sorted(map(str, units))}.")
    return np.array([value for value, _ in parsed]), unit or units.pop()


def parse_name(name):
    """Wavelength and unit (or None) of one column name such as 2205.3, "R2205" or "2.205 um"."""
    if isinstance(name, int | float | np.number):
        return float(name), None
    found = NUMBER.findall(str(name))
    with_unit = [pair for pair in found if pair[1]]
    if len(with_unit) == 1 or len(found) == 1:
        value, unit = (with_unit or found)[0]
        return float(value), unit_named(unit)
    raise ValueError(
        f"No single wavelength can be read from the column name {name!r}. "
        "Pass wavelengths= with one value per band, or name the columns by wavelength."
    )


def _listed(values, most=5):
    text = ", ".join(f"{value:g}" for value in values[:most])
    return text + (", ..." if len(values) > most else "")
