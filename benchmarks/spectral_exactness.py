"""Exactness of continuum and position, and what odd spectra give.

Run with ``python -m benchmarks.spectral_exactness``. Three tables: the error of the hull quotient
against a brute-force hull (every pair of bands), the error of the vertex of an exact parabola, and
odd inputs with what the documentation says and what came out. Peers are asked the same where they
are installed.
"""

from dataclasses import dataclass, field
from time import perf_counter

import numpy as np

from sklearn_capoz.spectral import AbsorptionFeatures, ContinuumRemoval

NAN = np.nan
# Two spectrometers side by side: 25 nm, then 8 nm.
UNEVEN = np.r_[1900:2100:25, 2100:2300:8].astype(float)
FIVE = np.array([2100.0, 2125.0, 2150.0, 2200.0, 2300.0])
DIP = np.array([0.4, 0.3, 0.2, 0.3, 0.4])
DIP_QUOTIENT = DIP / 0.4


def brute_force_quotient(wavelengths, spectrum):
    """Quotient to the highest of all lines between two bands, on the finite bands."""
    finite = np.isfinite(spectrum)
    nm, r = wavelengths[finite], spectrum[finite].astype(float)
    continuum = r.copy()
    for j in range(1, len(r) - 1):
        a, b = np.arange(j)[:, None], np.arange(j + 1, len(r))
        lines = r[a] + (r[b] - r[a]) * (nm[j] - nm[a]) / (nm[b] - nm[a])
        continuum[j] = max(r[j], lines.max())
    quotient = np.full(len(spectrum), np.nan)
    quotient[finite] = r / continuum
    return quotient


def random_spectra(wavelengths, n_samples, random_state):
    """Bright to dark spectra with a slope, three absorptions and noise."""
    rng = np.random.default_rng(random_state)
    at = np.linspace(-1, 1, len(wavelengths))
    spectra = rng.uniform(0.1, 0.9, (n_samples, 1)) * (
        1 + rng.uniform(-0.4, 0.4, (n_samples, 1)) * at
    )
    for _ in range(3):
        centre, width = (
            rng.uniform(-0.9, 0.9, (n_samples, 1)),
            rng.uniform(0.02, 0.3, (n_samples, 1)),
        )
        spectra *= 1 - rng.uniform(0, 0.5, (n_samples, 1)) * np.exp(-(((at - centre) / width) ** 2))
    return spectra * (1 + 0.01 * rng.standard_normal(spectra.shape))


@dataclass
class EdgeCase:
    """One odd input of `ContinuumRemoval`, and the documented result or error."""

    name: str
    documented: str
    X: object
    expected: object  # an array, or the words of a ValueError
    wavelengths: object = field(default_factory=lambda: FIVE)
    settings: dict = field(default_factory=dict)

    def observe(self):
        """Transform X; the result, or the error's message."""
        try:
            return ContinuumRemoval(self.wavelengths, **self.settings).fit_transform(self.X)
        except ValueError as error:
            return str(error)

    def holds(self, observed):
        """Whether what came out is what is documented."""
        if isinstance(self.expected, str) or isinstance(observed, str):
            return isinstance(observed, str) and str(self.expected) in observed
        tolerance = 1e-12 if observed.dtype == np.float64 else 2e-6
        return np.allclose(observed, [self.expected], rtol=0, atol=tolerance, equal_nan=True)


def edge_cases():
    """Odd inputs with their documented results."""
    wet = np.array([0.4, 0.3, NAN, 0.3, 0.4])
    arch = 1 - ((np.arange(2151) - 1075) / 2000.0) ** 2
    counts = np.array([[4000, 3000, 2000, 3000, 4000]])
    return [
        EdgeCase("NaN in the first band", "left out, NaN", [[NAN, *DIP]],
                 [NAN, *DIP_QUOTIENT], np.r_[2000.0, FIVE]),
        EdgeCase("NaN in a middle band", "left out, NaN", [wet], wet / 0.4),
        EdgeCase("NaN in the last band", "left out, NaN", [[*DIP, NAN]],
                 [*DIP_QUOTIENT, NAN], np.r_[FIVE, 2400.0]),
        EdgeCase("all NaN", "all NaN", [[NAN] * 5], [NAN] * 5),
        EdgeCase("inf", "left out, NaN", [[0.4, 0.3, np.inf, 0.3, 0.4]], wet / 0.4),
        EdgeCase("-inf", "left out, NaN", [[0.4, 0.3, -np.inf, 0.3, 0.4]], wet / 0.4),
        EdgeCase("masked band", "left out, NaN",
                 np.ma.array([DIP], mask=[[0, 0, 1, 0, 0]]), wet / 0.4),
        EdgeCase("int16 without scale", "error names scale", counts.astype(np.int16), "scale="),
        EdgeCase("int16 with scale", "reflectance in float32", counts.astype(np.int16),
                 DIP_QUOTIENT, settings={"scale": 10_000}),
        EdgeCase("uint16 near its limit", "no overflow", counts.astype(np.uint16) * 16,
                 DIP_QUOTIENT, settings={"scale": 65_535}),
        EdgeCase("descending wavelengths", "order of the input", [[0.4, 0.3, 0.1, 0.2, 0.4]],
                 np.array([0.4, 0.3, 0.1, 0.2, 0.4]) / 0.4, FIVE[::-1]),
        EdgeCase("swapped overlap bands", "order of the input", [[0.4, 0.2, 0.3, 0.3, 0.4]],
                 np.array([0.4, 0.2, 0.3, 0.3, 0.4]) / 0.4, FIVE[[0, 2, 1, 3, 4]]),
        EdgeCase("duplicates", "error names them", [DIP], "wavelength 2125 nm",
                 FIVE[[0, 1, 1, 3, 4]]),
        EdgeCase("duplicates averaged", "one column, their mean", [[0.4, 0.1, 0.3, 0.3, 0.4]],
                 np.array([0.4, 0.2, 0.3, 0.4]) / 0.4, FIVE[[0, 1, 1, 3, 4]],
                 {"duplicates": "average"}),
        EdgeCase("bad band", "no column", [[0.4, 0.3, 9.0, 0.3, 0.4]],
                 np.array([0.4, 0.3, 0.3, 0.4]) / 0.4, settings={"bad_bands": [2]}),
        EdgeCase("um", "as nm", [DIP], DIP_QUOTIENT, FIVE / 1000),
        EdgeCase("nm or um?", "error names unit", [DIP], "Pass unit=", [50, 60, 70, 80, 90]),
        EdgeCase("too few wavelengths", "error names both", [DIP], "each of the 5 bands", FIVE[:4]),
        EdgeCase("spike up", "a vertex of the hull", [[0.2, 0.2, 4.2, 0.2, 0.2]],
                 [1, 0.2 / 2.2, 1, 0.2 / (0.2 + 4 * 2 / 3), 1]),
        EdgeCase("spike down", "a deep absorption", [[0.4, 0.4, 0.0, 0.4, 0.4]], [1, 1, 0, 1, 1]),
        EdgeCase("flat", "all 1", [[0.3] * 5], [1] * 5),
        EdgeCase("all zero", "0/0 is 1", [[0.0] * 5], [1] * 5),
        EdgeCase("negative band", "negative quotient", [[0.4, 0.3, -0.1, 0.3, 0.4]],
                 np.array([0.4, 0.3, -0.1, 0.3, 0.4]) / 0.4),
        EdgeCase("all negative", "all NaN", [-DIP[::-1] - [0, 0, 0, 0.2, 0]], [NAN] * 5),
        EdgeCase("fill value", "all NaN", [[-0.9999] * 5], [NAN] * 5),
        EdgeCase("one band", "1", [[0.3]], [1], [2200]),
        EdgeCase("two bands", "1, 1", [[0.3, 0.1]], [1, 1], [2200, 2300]),
        EdgeCase("2151 bands, all vertices", "all 1", [arch], np.ones(2151),
                 np.arange(350, 2501.0)),
    ]  # fmt: skip


def hull_errors():
    """Largest error of the quotient by grid and dtype, ours and the peers'."""
    grids = {
        "50 bands, 10 nm": np.linspace(1990, 2480, 50),
        "33 bands, 25 nm and 8 nm": UNEVEN,
        "224 bands": np.linspace(380, 2510, 224),
        "2151 bands, 1 nm": np.arange(350, 2501.0),
    }
    for grid, nm in grids.items():
        spectra = random_spectra(nm, 3 if len(nm) > 1000 else 100, random_state=0)
        for dtype in (np.float64, np.float32):
            X = spectra.astype(dtype)
            exact = np.array([brute_force_quotient(nm, row) for row in X])
            for who, quotient in _hull_quotients(nm).items():
                try:
                    error = np.abs(quotient(X) - exact).max()
                except Exception as problem:
                    yield grid, dtype.__name__, who, f"failed: {type(problem).__name__}"
                else:
                    yield grid, dtype.__name__, who, f"{error:.1e}"


def _hull_quotients(nm):
    """Functions X -> quotient of us and of the peers that are installed."""
    ours = {"sklearn_capoz": ContinuumRemoval(nm).fit_transform}
    from benchmarks.spectral_speed import peer_hull_quotients

    return ours | peer_hull_quotients(nm, quiet=True)


def vertex_errors(random_state=0):
    """Largest error in nm of the position of exact parabolas under a flat continuum."""
    rng = np.random.default_rng(random_state)
    for name, nm in (("8 nm", np.arange(1900, 2301.0, 8)), ("25 nm and 8 nm", UNEVEN)):
        vertex = rng.uniform(1960, 2240, 1000)
        spectra = np.minimum(1.0, 0.4 + ((nm - vertex[:, None]) / 60) ** 2)
        finder = AbsorptionFeatures(
            nm, features={"whole": (nm[0], nm[-1])}, parameters=["position"]
        )
        yield name, np.abs(finder.fit_transform(spectra)[:, 0] - vertex).max()


def main():
    """Print the three tables."""
    print("largest error of the hull quotient against brute force")
    for row in hull_errors():
        print("  {:<26} {:<8} {:<14} {}".format(*row))
    print("largest error of the vertex of an exact parabola, nm")
    for name, error in vertex_errors():
        print(f"  {name:<26} {error:.1e}")
    print("odd inputs of ContinuumRemoval")
    for case in edge_cases():
        start = perf_counter()
        observed = case.observe()
        seconds = perf_counter() - start
        text = (
            observed if isinstance(observed, str) else np.array2string(observed[0, :6], precision=3)
        )
        verdict = "as documented" if case.holds(observed) else "NOT AS DOCUMENTED"
        print(
            f"  {case.name:<26} {case.documented:<24} {verdict:<14} {seconds:6.3f} s  {text[:60]}"
        )


if __name__ == "__main__":
    main()
