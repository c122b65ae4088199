"""Spectral steps in C: bands, resampling, standardised spectra, continuum and absorption indices.

Each function returns the body of a C function from `x` to `y`. Sums and quotients are computed in
double, as the package does for float32 too, and handed on in the type of the features.
"""

from __future__ import annotations

import itertools

import numpy as np

from ._c_source import Source
from ._step import CStep

__all__ = [
    "gather",
    "hull_index",
    "local_index",
    "places_of",
    "remove_continuum",
    "resample",
    "select_bands",
    "standardize",
]

_FINITE = """
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

_VERTICES = """
/* Places of the finite bands from `first` to before `stop` that their upper hull touches, and of
   every local maximum too where `maxima` are asked for; how many. */
static int NAME_vertices(const REAL *r, const double *nm, int first, int stop, int maxima,
    uint16_t *at)
{
    int n = 0, fixed = 0, before = -1, j;
    for (j = first; j < stop; j++) {
        if (!NAME_finite(r[j]))
            continue;
        if (maxima && before >= 0 && r[at[n - 1]] > r[before] && r[at[n - 1]] >= r[j])
            fixed = n - 1;
        if (n > 0)
            before = at[n - 1];
        while (n - 1 > fixed && ((double)r[at[n - 1]] - r[at[n - 2]]) * (nm[j] - nm[at[n - 2]])
            <= ((double)r[j] - r[at[n - 2]]) * (nm[at[n - 1]] - nm[at[n - 2]]))
            n--;
        at[n++] = (uint16_t)j;
    }
    return n;
}
"""

_CONTINUUM = """
/* Relation of the bands from `first` to before `stop` to their continuum; NaN without meaning. */
static void NAME_continuum(const REAL *r, const double *nm, int first, int stop, uint16_t *at,
    REAL *y)
{{
    int j, k, n = NAME_vertices(r, nm, first, stop, {maxima}, at);
    {line}
    for (j = first; j < stop; j++)
        y[j] = (REAL)NAME_nan();
    for (k = 0; k < n; k++) {{
        int a = at[k], b = k + 1 < n ? at[k + 1] : a;
        double slope = b > a ? ((double)r[b] - r[a]) / (nm[b] - nm[a]) : 0;
        for (j = a; j < b || j == a; j++) {{
            double level = r[a] + slope * (nm[j] - nm[a]), value = r[j];
            if (!NAME_finite(value))
                continue;
            {above}
            {relate}
            y[j] = (REAL)value;
        }}
    }}
}}
"""

_QUOTIENT = (
    "value = value == 0 && level == 0 ? 1 : level > 0 ? value / level : NAME_nan();"  # as Python
)
_RELATE = {
    "divide": _QUOTIENT,
    "subtract": "value -= level;",
    "log": _QUOTIENT + "\n            value = value > 0 ? log(value) : NAME_nan();",
}

_MEAN = """
/* Mean reflectance and wavelength of the finite bands up to `half` beside one; 0 without any. */
static int NAME_mean(const REAL *r, const double *nm, int n_bands, int middle, int half,
    double *level, double *at)
{
    int n = 0, j, stop = middle + half + 1 < n_bands ? middle + half + 1 : n_bands;
    *level = 0;
    *at = 0;
    for (j = middle > half ? middle - half : 0; j < stop; j++)
        if (NAME_finite(r[j])) {
            n++;
            *level += r[j];
            *at += nm[j];
        }
    if (n > 0) {
        *level /= n;
        *at /= n;
    }
    return n;
}
"""

_INDEX = """
/* What the line over two shoulders promises, over what the centre has. */
static double NAME_index(const REAL *r, const double *nm, int left, int centre, int right)
{
    double r1, s1, rm, m, r2, s2, share, line;
    if (!NAME_finite(r[centre]) || !NAME_mean(r, nm, BANDS, left, SHOULDER, &r1, &s1)
        || !NAME_mean(r, nm, BANDS, right, SHOULDER, &r2, &s2))
        return NAME_nan();
    NAME_mean(r, nm, BANDS, centre, CENTRE, &rm, &m);
    if (!(s1 < m && m < s2))
        return 1;
    share = (m - s2) / (s1 - s2);
    line = share * r1 + (1 - share) * r2;
    if (line == 0 && rm == 0)
        return 1;
    return line > 0 && rm > 0 ? line / rm : NAME_nan();
}
"""


def places_of(places: np.ndarray) -> np.ndarray:
    """Return band numbers in as few bytes as hold them."""
    return places.astype(np.uint8 if places.max(initial=0) < 256 else np.uint16)


def gather(source: Source, step) -> tuple[list[str], int]:
    """Lines that make `r`, the reflectance on ascending wavelengths; their bytes of RAM."""
    axis, scale = step._axis, step.scale
    source.helper("finite", _FINITE)
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
        return [f"    const REAL *r = x + {columns[0]};"], 0
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
        f"        y[k] = (REAL)(total >= {_least_covered()!r} ? sum / total : NAME_nan());",
        "    }",
    ]
    return CStep("\n".join(body), ram, len(flat))


def _least_covered() -> float:
    from ..spectral._resampler import _LEAST_COVERED

    return float(_LEAST_COVERED)


def standardize(source: Source, step) -> CStep:
    """`SpectrumStandardizer`: mean 0 and deviation 1 over the finite bands."""
    source.helper("finite", _FINITE)
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


def _add_continuum(source: Source, hull: str, mode: str) -> str:
    """Add the function that relates bands to their continuum; return its name."""
    source.includes.add("stdint.h")
    if mode == "log":
        source.includes.add("math.h")
    source.helper("finite", _FINITE)
    source.helper("vertices", _VERTICES)
    is_line = hull == "linear"
    text = _CONTINUUM.format(
        maxima=int(hull == "segmented"),
        line="if (n > 2) {\n        at[1] = at[n - 1];\n        n = 2;\n    }" if is_line else "",
        above="" if is_line else "level = value > level ? value : level;  /* rounding */",
        relate=_RELATE[mode],
    )
    what = f"continuum_{hull}_{mode}"
    return source.helper(what, text.replace("NAME_continuum", f"NAME_{what}"))


def remove_continuum(source: Source, step) -> CStep:
    """`ContinuumRemoval`, range by range."""
    lines, ram = gather(source, step)
    function = _add_continuum(source, step.hull, step.mode)
    axis, bounds = step._axis, step._bounds
    n = len(axis.wavelengths)
    nm = source.constant("nm", axis.wavelengths)
    widest = int(np.diff(bounds).max())
    target = "y"
    if not axis.in_order:
        target, ram = "z", ram + n * source.dtype.itemsize
    body = [*lines, f"    uint16_t at[{widest}];"]
    if target == "z":
        body += [f"    REAL z[{n}];", "    int j;"]
    body += [
        f"    {function}(r, {nm}, {a}, {b}, at, {target});" for a, b in itertools.pairwise(bounds)
    ]
    if target == "z":
        order = source.constant("order", places_of(axis.positions))
        body += [f"    for (j = 0; j < {n}; j++)", f"        y[j] = z[{order}[j]];"]
    return CStep("\n".join(body), ram + 2 * widest)


def hull_index(source: Source, step) -> CStep:
    """`SpectralAbsorptionIndex` under the hull of the whole spectrum."""
    lines, ram = gather(source, step)
    function = _add_continuum(source, "convex", "divide")
    n = len(step._axis.wavelengths)
    nm = source.constant("nm", step._axis.wavelengths)
    places = source.constant("bands", places_of(step._places))
    body = [
        *lines,
        f"    uint16_t at[{n}];",
        f"    REAL q[{n}];",
        "    int k;",
        f"    {function}(r, {nm}, 0, {n}, at, q);",
        f"    for (k = 0; k < {len(step._places)}; k++) {{",
        f"        REAL value = q[{places}[k]];",
        "        y[k] = (REAL)(value > 0 ? 1 / value : NAME_nan());",
        *_logarithm(source, step),
        "    }",
    ]
    return CStep("\n".join(body), ram + 2 * n + n * source.dtype.itemsize)


def local_index(source: Source, step) -> CStep:
    """`SpectralAbsorptionIndex` over shoulders beside each band."""
    lines, ram = gather(source, step)
    shoulders = step._shoulders
    nm = source.constant("nm", shoulders.wavelengths)
    source.helper("mean", _MEAN)
    text = _INDEX.replace("BANDS", str(len(shoulders.wavelengths)))
    text = text.replace("SHOULDER", str(shoulders.shoulder_half))
    index = source.helper("index", text.replace("CENTRE", str(shoulders.centre_half)))
    left, centre, right = (
        source.constant(what, places_of(getattr(shoulders, what)))
        for what in ("left", "centre", "right")
    )
    n, n_widths, value = len(shoulders.centre), 1, f"{index}(r, {nm}, {left}[k], {centre}[k], "
    value += f"{right}[k])"
    body = [*lines, "    int k;"]
    if step.attenuation is None:
        body += [f"    for (k = 0; k < {n}; k++) {{", f"        y[k] = (REAL){value};"]
    else:
        weights = np.exp(-step.half_widths_ / step.attenuation)
        n_widths = len(weights)
        w = source.constant("attenuation", (weights / weights.sum()).astype(source.dtype))
        n //= n_widths
        body += [
            "    int h;",
            f"    for (k = 0; k < {n}; k++) {{",
            "        double sum = 0;",
            f"        for (h = 0; h < {n_widths}; h++)",
            f"            sum += (double){w}[h] * (REAL){value.replace('[k]', f'[h * {n} + k]')};",
            "        y[k] = (REAL)sum;",
        ]
    body += [*_logarithm(source, step), "    }"]
    means = 2 * (2 * shoulders.shoulder_half + 1) + 2 * shoulders.centre_half + 1
    return CStep("\n".join(body), ram, n * n_widths * means)


def _logarithm(source: Source, step) -> list[str]:
    if not step.log:
        return []
    source.includes.add("math.h")
    return ["        y[k] = (REAL)log(y[k]);"]
