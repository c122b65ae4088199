"""Does a file hold what its header says? A look at a few rows before any work starts."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from sklearn_capoz.exceptions import DataFormatError

from ..formats._envi_fields import INTERLEAVES
from ._bands import as_stored
from ._envi import EnviSource
from ._scratch import Scratch
from ._source import Source

__all__ = ["check_content"]

#: Pairs of rows that are looked at, and columns of each.
N_PAIRS, N_COLUMNS = 4, 512

#: Numbers that are looked at for what is no measurement.
N_NUMBERS = 20_000

#: Reflectance is 0 to 1; a scene whose median lies outside this range is something else.
PLAUSIBLE = (1e-5, 5.0)


def check_content(source: Source, scale: float, *, check_range: bool) -> None:
    """Compare a few rows with what the header, or the caller, says.

    Parameters
    ----------
    source : Source
        A file, or an array, of which only the range is checked.
    scale : float
        Stored numbers are reflectance times this.
    check_range : bool
        Whether the numbers must be reflectance; not where the caller chose the scale.

    Raises
    ------
    DataFormatError
        If another interleave or byte order makes a scene of what is noise as declared, or the
        numbers are no reflectance.
    """
    pairs = _sample(source)
    if isinstance(source, EnviSource):
        _check_layout(source, pairs)
    values = np.abs(pairs[np.isfinite(pairs) & (pairs != 0)]) / scale
    if check_range and values.size and not PLAUSIBLE[0] <= np.median(values) <= PLAUSIBLE[1]:
        raise DataFormatError(
            f"the scene's median is {np.median(values):.3g}, and reflectance is 0 to 1: its data "
            "type, byte order, reflectance scale factor or no-data value (nodata) is wrong or "
            "missing. Give as scale the stored number that stands for reflectance 1 (1 if the "
            "model was trained on such numbers)."
        )


def _check_layout(source: EnviSource, pairs: np.ndarray) -> None:
    """Find out whether another order of the same bytes is the scene.

    In the right order a scene is smooth along rows, columns and bands alike, and its pixels
    share a spectral shape. A wrong interleave breaks one direction, a wrong byte order all. Where
    the columns are a small multiple of the bands, a wrong interleave may stay unseen.
    """
    shape_share, roughness = _coherence(pairs)
    if roughness < 0.1 and shape_share > 0.1:
        return
    others = {f"interleave = {i}": replace(source, interleave=i) for i in INTERLEAVES}
    del others[f"interleave = {source.interleave}"]
    swapped = source.dtype.newbyteorder("S")
    if source.dtype.itemsize > 1:
        big = swapped.str.startswith(">")
        others[f"byte order = {int(big)}"] = replace(source, dtype=swapped)
    for name, other in others.items():
        other_share, other_roughness = _coherence(_sample(other))
        # The thresholds leave noise and scenes of a few pixels alone: nothing is certain there.
        coherent = other_share > 0.1 and other_roughness < 0.5
        if coherent and other_share / other_roughness**2 > 3 * shape_share / roughness**2:
            raise DataFormatError(
                f"{source.path} looks like '{name}', and {source.header_path.name} says "
                f"interleave = {source.interleave}, byte order = "
                f"{int(source.dtype.newbyteorder('=') != source.dtype)}. Correct the header. If "
                "it is right, a no-data value that it does not state may be the cause: give it as "
                "nodata; or predict_scene takes the cube as a numpy.memmap."
            )


def _sample(source: Source) -> np.ndarray:
    """Pairs of neighbouring rows, (n_pairs, 2, n_columns, n_bands), NaN where data is missing."""
    n_rows, _, n_bands = source.shape
    bands = np.arange(n_bands) if source.good is None else np.flatnonzero(source.good)
    starts = np.unique(np.linspace(0, max(0, n_rows - 2), N_PAIRS).astype(int))
    pairs, scratch = [], Scratch()
    nodata = as_stored(source.nodata, source.dtype)
    with source.reading(), np.errstate(all="ignore"):  # signalling NaN in misread numbers
        for start in starts.tolist():
            block = source.read(start, min(start + 2, n_rows), bands, scratch)[:, :N_COLUMNS]
            values = np.ma.filled(block.astype(np.float64), np.nan)
            pairs.append(np.where((values == nodata) | ~np.isfinite(values), np.nan, values))
        return _without_fill(np.stack(pairs))


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
    values = np.ma.masked_invalid(pairs)
    with np.errstate(all="ignore"):
        variance = values.var()
        if not 0 < variance < np.inf:  # all missing, all the same, or no numbers at all
            return 0.0, 1.0
        share = values.mean(axis=(0, 1, 2)).var() / variance
        steps = [np.ma.diff(values, axis=axis) for axis in (1, 2, 3)]
        # A single row or column has no steps.
        rough = max(float((s**2).mean()) for s in steps if s.count())
    return float(share), max(rough / (2 * float(variance)), 1e-12)
