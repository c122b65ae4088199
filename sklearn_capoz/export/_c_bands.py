"""Bands in C: gathered, chosen, resampled, standardised.

Each function returns the body of a C function from `x` to `y`. Sums and quotients are computed in
double, as the package does for float32 too, and handed on in the type of the features.
"""

from __future__ import annotations

import numpy as np

from ..spectral._resampler import LEAST_COVERED
from ._c_source import Source
from ._step import CStep

__all__ = ["FINITE", "gather", "places_of", "resample", "select_bands", "standardize"]

#: Helpers that most bodies call.
FINITE = """
static inline int NAME_finite(double v)
{
    return v - v == 0;
}

static inline double NAME_nan(void)
{
    double zero = 0;
    return zero / zero;
}
"""


def places_of(places: np.ndarray) -> np.ndarray:
    """Return band numbers in as few bytes as hold them."""
    return places.astype(np.uint8 if places.max(initial=0) < 256 else np.uint16)


def gather(source: Source, step) -> tuple[list[str], int]:
    """Lines that make `r`, the reflectance on ascending wavelengths; their bytes of RAM."""
    axis, scale = step._axis, step.scale
    source.helper("finite", FINITE)
    columns, n = axis.columns, len(axis.wavelengths)
    scaled = "" if scale is None else f" / (REAL){float(scale)!r}"
    if axis.has_duplicates:
        places = source.constant("columns", places_of(columns))
        ends = source.constant("groups", places_of(np.append(axis.groups[1:], len(columns))))
        lines = [
            f"    REAL r[{n}];",
            "    int band, column = 0;",
            f"    for (band = 0; band < {n}; band++) {{",
            "        REAL total = 0, count = 0;",
            f"        for (; column < {ends}[band]; column++)",
            f"            if (NAME_finite(x[{places}[column]])) {{",
            f"                total += x[{places}[column]];",
            "                count += 1;",
            "            }",
            f"        r[band] = count > 0 ? total / count{scaled} : (REAL)NAME_nan();",
            "    }",
        ]
        return lines, n * source.dtype.itemsize
    if scale is None and np.array_equal(columns, columns[0] + np.arange(n)):
        start = f"x + {columns[0]}" if columns[0] else "x"
        return [f"    const REAL *r = {start};"], 0
    places = source.constant("columns", places_of(columns))
    lines = [
        f"    REAL r[{n}];",
        "    int band;",
        f"    for (band = 0; band < {n}; band++)",
        f"        r[band] = x[{places}[band]]{scaled};",
    ]
    return lines, n * source.dtype.itemsize


def select_bands(source: Source, step) -> CStep:
    """`BandSelector`: the columns that are kept, in their order."""
    kept = np.flatnonzero(step._keep)
    places = source.constant("kept", places_of(kept))
    return CStep(
        f"    int j;\n    for (j = 0; j < {len(kept)}; j++)\n        y[j] = x[{places}[j]];"
    )


def resample(source: Source, step) -> CStep:
    """`SensorResampler`: weighted means of the finite bands."""
    lines, ram = gather(source, step)
    weights = step._weights.toarray().T
    spans = [np.flatnonzero(row) for row in weights]
    first = np.array([span[0] if span.size else 0 for span in spans])
    counts = np.array([span[-1] + 1 - span[0] if span.size else 0 for span in spans])
    flat = np.concatenate(
        [row[a : a + n] for row, a, n in zip(weights, first, counts, strict=True)]
    )
    w = source.constant("response", flat.astype(source.dtype))
    begin = source.constant("begin", places_of(first))
    count = source.constant("count", places_of(counts))
    body = [
        *lines,
        f"    const REAL *w = {w};",
        "    int j, k;",
        f"    for (k = 0; k < {len(first)}; k++) {{",
        "        double sum = 0, total = 0;",
        f"        for (j = {begin}[k]; j < {begin}[k] + {count}[k]; j++, w++)",
        "            if (NAME_finite(r[j])) {",
        "                sum += (double)*w * r[j];",
        "                total += *w;",
        "            }",
        f"        y[k] = (REAL)(total >= {LEAST_COVERED!r} ? sum / total : NAME_nan());",
        "    }",
    ]
    return CStep("\n".join(body), ram, len(flat))


def standardize(source: Source, step) -> CStep:
    """`SpectrumStandardizer`: mean 0 and deviation 1 over the finite bands."""
    source.helper("finite", FINITE)
    source.includes.add("math.h")
    n = step.n_features_in_
    # Squares of what float holds are numbers in double; those of a double may not be.
    factor = "1"
    if source.number == "double":
        factor = (
            "!(peak > 0) || (peak > 1e-100 && peak < 1e100) ? 1 : "
            "ldexp(1.0, (peak < 1 ? 1 : -1) * (peak < 1e-200 || peak > 1e200 ? 1000 : 500))"
        )
    body = f"""
    double total = 0, squares = 0, low = 0, high = 0, peak, factor, mean, inverse;
    int j, n = 0;
    for (j = 0; j < {n}; j++)
        if (NAME_finite(x[j])) {{
            low = n == 0 || x[j] < low ? x[j] : low;
            high = n == 0 || x[j] > high ? x[j] : high;
            n++;
        }}
    peak = high > -low ? high : -low;
    factor = peak > 0 ? {factor} : 1;
    for (j = 0; j < {n}; j++)
        if (NAME_finite(x[j]))
            total += x[j] * factor;
    mean = n > 0 ? total / n : 0;
    for (j = 0; j < {n}; j++)
        if (NAME_finite(x[j]))
            squares += (x[j] * factor - mean) * (x[j] * factor - mean);
    inverse = low < high && squares > 0 ? 1 / sqrt(squares / n) : 0;
    for (j = 0; j < {n}; j++)
        y[j] = (REAL)(NAME_finite(x[j]) ? (x[j] * factor - mean) * inverse : NAME_nan());
"""
    return CStep(body, 0, n)
