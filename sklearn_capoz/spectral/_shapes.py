"""What of two spectra is compared: some bands, without brightness, and without their continuum."""

from __future__ import annotations

import numpy as np

from .._compile import kernel
from .._sklearn import StrOptions
from . import _kernels
from ._base import SpectralTransformer
from ._continuum import _range_bounds
from ._wavelengths import check_ranges

__all__ = ["Shapes", "best_class", "best_of_class", "to_unit"]

#: Relative error of the mean of a flat spectrum, summed in float64.
_ROUNDING = 1e-13


class Shapes(SpectralTransformer):
    """Bands in some ranges, ascending, as quotients to their hull or as they are."""

    _parameter_constraints = {
        **SpectralTransformer._parameter_constraints,
        "continuum": [StrOptions({"hull"}), None],
        "ranges": ["array-like", None],
    }

    def __init__(
        self,
        wavelengths=None,
        *,
        continuum="hull",
        ranges=None,
        unit=None,
        bad_bands=None,
        duplicates="error",
        scale=None,
        n_jobs=None,
    ):
        self.wavelengths = wavelengths
        self.continuum = continuum
        self.ranges = ranges
        self.unit = unit
        self.bad_bands = bad_bands
        self.duplicates = duplicates
        self.scale = scale
        self.n_jobs = n_jobs

    def fit(self, X, y=None):
        """Settle the bands."""
        ranges = None if self.ranges is None else check_ranges(self.ranges)
        self._fit_axis(X, ranges)
        self.wavelengths_ = self._axis.wavelengths
        self.bounds_ = _range_bounds(self.wavelengths_, ranges)
        return self

    @property
    def _n_columns(self):
        return len(self.wavelengths_)

    def block(self, X: np.ndarray, dtype) -> np.ndarray:
        """Return a few checked rows of X, without the checks and threads of `transform`."""
        reflectance = self._axis.gather(X, dtype, self.scale)
        out = np.empty_like(reflectance)
        self._transform_block(reflectance, out)
        return out

    def _transform_block(self, reflectance, out):
        if self.continuum is None:
            out[:] = reflectance
            if not np.isfinite(out.sum()):
                out[~np.isfinite(out)] = np.nan
        else:
            self.remove(reflectance, out)

    def remove(self, reflectance: np.ndarray, out: np.ndarray) -> None:
        """Divide ascending bands by their hull."""
        _kernels.remove_continuum(
            reflectance, self.wavelengths_, self.bounds_, _kernels.CONVEX, _kernels.DIVIDE, out
        )


@kernel(fastmath={"contract", "reassoc"})
def to_unit(X, centre):
    """Scale every row to length 1, after its mean is taken out where asked; True where it has NaN.

    The product of two such rows is their correlation, or without the mean the cosine of their
    angle. A row without any shape becomes 0, and so fits nothing.
    """
    n, width = X.shape
    gaps = np.zeros(n, np.bool_)
    for i in range(n):
        row, total = X[i], 0.0
        for j in range(width):
            total += row[j]
        if not abs(total) < np.inf:
            gaps[i] = True
            continue
        mean = total / width if centre else 0.0
        squares = 0.0
        for j in range(width):
            squares += (row[j] - mean) * (row[j] - mean)
        # Rounding gives a flat row a mean just beside its value: say zero, not noise.
        flat = squares <= width * (_ROUNDING * mean) ** 2
        inverse = 0.0 if flat else 1.0 / np.sqrt(squares)
        for j in range(width):
            row[j] = (row[j] - mean) * inverse
    return gaps


@kernel(fastmath={"nnan", "nsz"})
def best_of_class(fits, starts, out):
    """Write the highest fit of each class, whose records are rows `starts[k]` to `starts[k + 1]`.

    Spectra lie side by side, so that many are compared in one instruction.
    """
    for k in range(len(starts) - 1):
        best = out[k]
        best[:] = fits[starts[k]]
        for record in range(starts[k] + 1, starts[k + 1]):
            row = fits[record]
            for j in range(len(best)):
                best[j] = max(best[j], row[j])


@kernel(fastmath={"nnan", "nsz"})
def best_class(fits, starts, best, codes):
    """Write the highest fit of all records, and the class of the first that has it."""
    best[:], codes[:] = -np.inf, 0
    highest = np.empty_like(best)
    for k in range(len(starts) - 1):
        highest[:] = fits[starts[k]]
        for record in range(starts[k] + 1, starts[k + 1]):
            row = fits[record]
            for j in range(len(best)):
                highest[j] = max(highest[j], row[j])
        for j in range(len(best)):
            better = highest[j] > best[j]
            codes[j] = k if better else codes[j]
            best[j] = max(best[j], highest[j])
