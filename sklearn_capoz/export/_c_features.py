"""`AbsorptionFeatures` in C: the minimum of each window, and what is measured at it."""

from __future__ import annotations

import numpy as np

from ..spectral._kernels import PARAMETERS
from ._c_bands import FINITE, gather, places_of
from ._c_continuum import VERTICES
from ._c_source import Source
from ._step import CStep

__all__ = ["absorption_features"]

_QUOTIENTS = """
/* Quotients of n finite bands to the line over their ends, or to their upper hull. */
static void NAME_quotients(const REAL *r, const double *nm, const uint16_t *at, int n,
    const uint16_t *hull, int straight, double *q)
{
    int i, k = 0;
    for (i = 0; i < n - 1; i++) {
        int a = straight ? at[0] : hull[k], b = straight ? at[n - 1] : hull[k + 1];
        double slope = ((double)r[b] - r[a]) / (nm[b] - nm[a]);
        double level = r[a] + slope * (nm[at[i]] - nm[a]);
        q[i] = r[at[i]] / (!straight && r[at[i]] > level ? r[at[i]] : level);
        if (!straight && at[i + 1] == b)
            k++;
    }
    q[n - 1] = 1;
}
"""

_LOWEST = """
/* The lowest band beside which a minimum from `low` to `high` may lie; -1 if it is none. */
static int NAME_lowest(const double *nm, const uint16_t *at, const double *q, int n, double low,
    double high)
{
    int first = 0, last = n - 1, m, i;
    while (first < n - 1 && nm[at[first + 1]] < low)
        first++;
    while (last > 0 && nm[at[last - 1]] > high)
        last--;
    m = first;
    for (i = first + 1; i <= last; i++)
        if (q[i] < q[m])
            m = i;
    return m > 0 && m < n - 1 && q[m - 1] > q[m] && q[m] <= q[m + 1] ? m : -1;
}
"""

_SHAPE = """
/* Wavelength where one side of a feature comes back to half its depth. */
static double NAME_crossing(const double *nm, const uint16_t *at, const double *q, int m, int step)
{
    double level = 0.5 * (1 + q[m]), share;
    int i = m + step;
    while (q[i] < level)
        i += step;
    share = (level - q[i]) / (q[i - step] - q[i]);
    return nm[at[i]] + share * (nm[at[i - step]] - nm[at[i]]);
}
"""

_MEASURE = """
/* The absorption of a window, its measures in `found`; 0 if there is none. */
static int NAME_absorption(const REAL *r, const double *nm, int first, int stop, int straight,
    double low, double high, double found[7])
{
    uint16_t at[WIDEST], hull[WIDEST];
    double q[WIDEST], left, right, fall, rise, curvature;
    int n = 0, m, i, s1, s2;
    if (straight && !(NAME_finite(r[first]) && NAME_finite(r[stop - 1])))
        return 0;
    for (i = first; i < stop; i++)
        if (NAME_finite(r[i]))
            at[n++] = (uint16_t)i;
    if (n < 3 || !(r[at[0]] > 0) || !(r[at[n - 1]] > 0))
        return 0;
    if (!straight)
        NAME_vertices(r, nm, first, stop, 0, hull);
    NAME_quotients(r, nm, at, n, hull, straight, q);
    m = NAME_lowest(nm, at, q, n, low, high);
    if (m < 0 || !(q[m] > 0) || !(q[m] < 1 - LEAST))
        return 0;
    left = nm[at[m - 1]] - nm[at[m]];
    right = nm[at[m + 1]] - nm[at[m]];
    fall = (q[m - 1] - q[m]) / left;
    rise = (q[m + 1] - q[m]) / right;
    curvature = (rise - fall) / (right - left);
    found[0] = nm[at[m]] - (fall - curvature * left) / (2 * curvature);
    if (!(low <= found[0] && found[0] <= high))
        return 0;
    s1 = straight ? 0 : m - 1;
    s2 = straight ? n - 1 : m + 1;
    while (!straight && q[s1] < 1)
        s1--;
    while (!straight && q[s2] < 1)
        s2++;
    found[1] = 1 - q[m];
    found[5] = 1 / q[m];
    found[6] = ((double)r[at[s2]] - r[at[s1]]) / (nm[at[s2]] - nm[at[s1]]);
MORE
    return 1;
}
"""

_MORE = """
    left = found[0] - NAME_crossing(nm, at, q, m, -1);
    right = NAME_crossing(nm, at, q, m, 1) - found[0];
    found[2] = left + right;
    found[4] = (right - left) / (right + left);
    found[3] = 0;
    for (i = s1; i < s2; i++)
        found[3] += 0.5 * (2 - q[i] - q[i + 1]) * (nm[at[i + 1]] - nm[at[i]]);
"""


def absorption_features(source: Source, step) -> CStep:
    """Write the windows as a table, and a loop over it."""
    lines, ram = gather(source, step)
    windows, widest = step._windows, int(step._windows.width.max())
    needs_shape = not {"width", "area", "asymmetry"}.isdisjoint(step.parameters)
    _add_functions(source, step, widest, needs_shape)
    nm = source.constant("nm", step._axis.wavelengths)
    first = source.constant("first", places_of(windows.start))
    stop = source.constant("stop", places_of(windows.start + windows.width))
    low, high = (source.constant(end, getattr(windows, end)) for end in ("low", "high"))
    straight = source.constant("straight", windows.straight.astype(np.uint8))
    selected = source.constant("selected", step._selected.astype(np.uint8))
    is_nan = step.on_missing == "nan"
    missing = "NAME_nan()" if is_nan else f"p == 0 ? 0.5 * ({low}[k] + {high}[k]) : p == 5"
    body = [
        *lines,
        "    double found[7];",
        "    int i, k, p;",
        f"    for (k = 0; k < {len(windows.start)}; k++) {{",
        f"        int exists = NAME_absorption(r, {nm}, {first}[k], {stop}[k], {straight}[k],",
        f"            {low}[k], {high}[k], found);",
        f"        for (i = 0; i < {len(step._selected)}; i++) {{",
        f"            p = {selected}[i];",
        f"            *y++ = (REAL)(exists ? found[p] : {missing});",
        "        }",
        "    }",
    ]
    # found, and in the function at, hull and q.
    return CStep("\n".join(body), ram + 8 * len(PARAMETERS) + 12 * widest)


def _add_functions(source: Source, step, widest: int, needs_shape: bool) -> None:
    source.includes.add("stdint.h")
    source.helper("finite", FINITE)
    source.helper("vertices", VERTICES)
    source.helper("quotients", _QUOTIENTS)
    source.helper("lowest", _LOWEST)
    if needs_shape:
        source.helper("crossing", _SHAPE)
    least = max(float(step.min_depth), 4.0 * np.finfo(source.dtype).eps)
    text = _MEASURE.replace("WIDEST", str(widest)).replace("LEAST", repr(float(least)))
    source.helper("absorption", text.replace("MORE", _MORE.strip("\n") if needs_shape else ""))
