"""The continuum in C, and the absorption indices of bands against it."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from ._c_bands import FINITE, gather, places_of
from ._c_source import Source
from ._step import CStep

__all__ = ["VERTICES", "hull_index", "local_index", "remove_continuum"]

#: Helper that finds the hull.
VERTICES = """
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
    int j, k, n = NAME_vertices(r, nm, first, stop, {maxima}, at);{line}
    for (j = first; j < stop; j++)
        y[j] = (REAL)NAME_nan();
    for (k = 0; k < n; k++) {{
        int a = at[k], b = k + 1 < n ? at[k + 1] : a;
        double slope = b > a ? ((double)r[b] - r[a]) / (nm[b] - nm[a]) : 0;
        for (j = a; j < b || j == a; j++) {{
            double level = r[a] + slope * (nm[j] - nm[a]), value = r[j];
            if (!NAME_finite(value))
                continue;{above}
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


def _add_continuum(source: Source, hull: str, mode: str) -> str:
    """Add the function that relates bands to their continuum; return its name."""
    source.includes.add("stdint.h")
    if mode == "log":
        source.includes.add("math.h")
    source.helper("finite", FINITE)
    source.helper("vertices", VERTICES)
    is_line = hull == "linear"
    text = _CONTINUUM.format(
        maxima=int(hull == "segmented"),
        line="\n    if (n > 2) {\n        at[1] = at[n - 1];\n        n = 2;\n    }"
        if is_line
        else "",
        above=""
        if is_line
        else "\n            level = value > level ? value : level; /* rounding */",
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
    body += [f"    {function}(r, {nm}, {a}, {b}, at, {target});" for a, b in pairwise(bounds)]
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
