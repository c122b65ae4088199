"""Does a scene hold what its header says? A look at a few rows before any work starts."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sklearn_capoz._warn import warn
from sklearn_capoz.exceptions import DataFormatError, SceneLayoutWarning

from ._bands import as_stored
from ._scratch import Scratch
from ._source import Source

__all__ = ["FirstLook", "take_first_look"]

#: Pairs of rows that are looked at, and columns of each.
N_PAIRS, N_COLUMNS = 4, 512

#: Numbers that are looked at for what is no measurement.
N_NUMBERS = 20_000

#: Pixels from which on a band that always holds the same number is taken to hold nothing.
N_PIXELS = 30

#: Bands from which on a pixel that holds one number in all of them is fill, and not chance.
N_BANDS = 10

#: Reflectance is 0 to 1; a scene whose median lies outside this range is something else.
PLAUSIBLE = (1e-5, 5.0)


@dataclass(frozen=True, eq=False)
class FirstLook:
    """A few rows of a scene.

    Parameters
    ----------
    pairs : ndarray of shape (n_pairs, 2, n_columns, n_looked)
        Stored numbers of neighbouring rows, NaN where data is missing.
    bands : ndarray of shape (n_looked,), int
        The bands that no list calls bad.
    """

    pairs: np.ndarray
    bands: np.ndarray

    def dead_bands(self) -> np.ndarray:
        """Bands without any signal, (n_dead,): empty, or the same number wherever there is data.

        Of a scene that is flat in every band, or of few pixels, nothing is said.
        """
        pixels = self.pairs.reshape(-1, len(self.bands))
        # One number in all bands is fill, declared or not: 0 beside the image, or -9999. Missing
        # numbers are NaN, which fmax and fmin pass over, and where all are, nothing is above it.
        varied = np.fmax.reduce(pixels, axis=1) > np.fmin.reduce(pixels, axis=1)
        seen = pixels if varied.all() else pixels[varied]
        if len(seen) < N_PIXELS:
            return self.bands[:0]
        has_signal = np.fmax.reduce(seen, axis=0) > np.fmin.reduce(seen, axis=0)
        return self.bands[~has_signal] if has_signal.any() else self.bands[:0]

    def fill(self) -> float | None:
        """Return the number that most likely stands for no data although nothing says so.

        It fills whole pixels, where others hold spectra. 0 always means no data.
        """
        pixels = self.pairs.reshape(-1, len(self.bands))
        if len(self.bands) < N_BANDS:
            return None
        first = pixels[:, 0]
        flat = (pixels == first[:, None]).all(axis=1)
        numbers, counts = np.unique(first[flat & (first != 0)], return_counts=True)
        is_known = ~np.isnan(pixels).any(axis=1)
        return (
            float(numbers[counts.argmax()]) if numbers.size and (is_known & ~flat).any() else None
        )


def take_first_look(source: Source, *, scale_told: bool) -> FirstLook:
    """Read a few rows and compare them with what the header, or the caller, says.

    Parameters
    ----------
    source : Source
    scale_told : bool
        Whether the scale is the caller's, who may have a model of other numbers than reflectance.

    Raises
    ------
    DataFormatError
        If the numbers are no reflectance by what the file says.

    Warns
    -----
    UserWarning
        If they are none by what the caller says.
    SceneLayoutWarning
        If another interleave or byte order makes a scene of what is noise as declared.
    """
    bands = np.flatnonzero(source.usable())
    pairs = _sample(source, bands)
    look = FirstLook(pairs, bands)
    likely = _without_fill(pairs)
    suspicion = _suspicion(source, bands, likely)
    if suspicion:
        warn(suspicion, SceneLayoutWarning)
    median = _median(source, bands, likely)
    if median is None or PLAUSIBLE[0] <= median <= PLAUSIBLE[1]:
        return look
    if not scale_told:
        raise DataFormatError(
            f"the scene's median is {median:.3g}, and reflectance is 0 to 1: its data type, byte "
            "order, reflectance scale factor or no-data value (nodata) is wrong or missing. Give "
            "as scale the stored number that stands for reflectance 1 (1 if the model was trained "
            "on such numbers)."
        )
    scale = source.scale or 1.0
    if scale == 1:  # which says that the model takes the numbers as they are stored
        return look
    warn(
        f"with {scale:g} given as scale, the scene's median is {median:.3g}, and reflectance is 0 "
        f"to 1; the median of the stored numbers is {median * scale:.3g}. That is right only if "
        "the model takes such numbers."
    )
    return look


def _median(source: Source, bands: np.ndarray, pairs: np.ndarray) -> float | None:
    """Median size of what is measured, or None where nothing is."""
    measured = pairs[np.isfinite(pairs) & (pairs != 0)] if source.gain is None else pairs
    if source.gain is not None and source.offset is not None:
        measured = pairs * source.gain[bands] + source.offset[bands]
        measured = measured[np.isfinite(measured)]
    values = np.abs(measured) / (source.scale or 1.0)
    return float(np.median(values)) if values.size else None


def _suspicion(source: Source, bands: np.ndarray, pairs: np.ndarray) -> str:
    """Find out whether another order of the same bytes is the scene, or return "".

    In the right order a scene is smooth along rows, columns and bands alike, and its pixels
    share a spectral shape. A wrong interleave breaks one direction, a wrong byte order all. But
    land, water and fill side by side break them as well, so this is never more than a suspicion;
    and where the columns are a small multiple of the bands, a wrong interleave may stay unseen.
    """
    others = source.other_readings()
    if not others:  # an array means what it is
        return ""
    shape_share, roughness = _coherence(pairs)
    if roughness < 0.1 and shape_share > 0.1:
        return ""
    for name, other in others.items():
        other_share, other_roughness = _coherence(_without_fill(_sample(other, bands)))
        # The thresholds leave noise and scenes of a few pixels alone: nothing is certain there.
        coherent = other_share > 0.1 and other_roughness < 0.5
        if coherent and other_share / other_roughness**2 > 3 * shape_share / roughness**2:
            return (
                f"{source.files[0]} looks like '{name}', and it is read with {source}. If that is "
                "wrong, so is the map: correct the header. If it is right, a no-data value that "
                "is not stated (nodata) may be the cause, or very different parts of the scene."
            )
    return ""


def _sample(source: Source, bands: np.ndarray) -> np.ndarray:
    """Pairs of neighbouring rows, (n_pairs, 2, n_columns, n_bands), NaN where data is missing.

    Of a scene whose rows may be costly, such as a dask array, the first ones.
    """
    n_rows = source.shape[0]
    last = max(0, n_rows - 2)
    if source.samples_cheaply:
        starts = np.unique(np.linspace(0, last, N_PAIRS).astype(int)).tolist()
    else:
        starts = list(range(0, min(last, 2 * N_PAIRS - 2) + 1, 2))
    task = [(start, min(start + 2, n_rows)) for start in starts]
    nodata, pairs = as_stored(source.nodata, source.dtype), []
    with source.reading(), np.errstate(all="ignore"):  # signalling NaN in misread numbers
        if source.samples_cheaply:
            blocks = source.blocks(task, bands, Scratch())
        else:
            first = source.read(0, task[-1][1], bands, Scratch())
            blocks = (first[start:stop] for start, stop in task)
        for block in blocks:
            values = np.ma.filled(block[:, :N_COLUMNS].astype(np.float64), np.nan)
            pairs.append(np.where((values == nodata) | ~np.isfinite(values), np.nan, values))
    return np.stack(pairs)


def _without_fill(pairs: np.ndarray) -> np.ndarray:
    """Leave out fill that nobody declared: the most frequent number, and those far off the others.

    To go by the numbers alone does the same to a scene in whatever order it is read.
    """
    known = pairs[~np.isnan(pairs)]
    some = known[np.linspace(0, known.size - 1, min(known.size, N_NUMBERS)).astype(int)]
    numbers, counts = np.unique(some, return_counts=True)
    if not numbers.size:
        return pairs
    fill = numbers[counts.argmax()]
    others = some[some != fill]
    low, high = np.percentile(others, [5, 95]) if others.size else (fill, fill)
    reach = 10 * (high - low)
    with np.errstate(invalid="ignore"):
        far = (pairs < low - reach) | (pairs > high + reach)
    return np.where((pairs == fill) | far, np.nan, pairs)


def _coherence(pairs: np.ndarray) -> tuple[float, float]:
    """Share of the variance in the mean spectrum, and roughness along the roughest direction.

    Roughness is the mean squared step between neighbours over twice the variance: 0 for a
    smooth scene, 1 for noise.
    """
    # Not by numpy's masked arrays, which take twice the time: this look comes with every map.
    known = ~np.isnan(pairs)
    values = pairs[known]
    with np.errstate(all="ignore"):
        variance = float(values.var()) if values.size else 0.0
        if not 0 < variance < np.inf:  # all missing, all the same, or no numbers at all
            return 0.0, 1.0
        counts = known.sum(axis=(0, 1, 2))
        sums = np.where(known, pairs, 0.0).sum(axis=(0, 1, 2))
        spectrum = sums[counts > 0] / counts[counts > 0]
        # A single row or column has no steps, and neither have numbers with nothing beside them.
        steps = [_steps(pairs, axis) for axis in (1, 2, 3)]
        rough = max((float(np.square(s).mean()) for s in steps if s.size), default=2 * variance)
    return float(spectrum.var() / variance), max(rough / (2 * variance), 1e-12)


def _steps(pairs: np.ndarray, axis: int) -> np.ndarray:
    """Differences between neighbours that are both known, (n_steps,)."""
    steps = np.diff(pairs, axis=axis)
    return steps[~np.isnan(steps)]
