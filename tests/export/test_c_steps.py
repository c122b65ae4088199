"""Steps in C: every feature is Python's, on whole spectra and on odd ones."""

import subprocess

import numpy as np
import pytest
from c_programs import SANITIZERS, STRICT
from sklearn.decomposition import PCA
from sklearn.preprocessing import MinMaxScaler, StandardScaler

from sklearn_capoz.export._c_source import Source
from sklearn_capoz.export._steps import KINDS, add_step_to_c, known_kind_of
from sklearn_capoz.spectral import (
    AbsorptionFeature,
    AbsorptionFeatures,
    BandSelector,
    ContinuumRemoval,
    SensorResampler,
    SpectralAbsorptionIndex,
    SpectrumStandardizer,
)

FLAGS = [*STRICT, "-O1"]
SANITIZED = [*FLAGS, *SANITIZERS]

NM = np.linspace(1990, 2480, 50) + 3 * np.sin(np.arange(50))  # no even spacing
MIXED = NM[np.random.RandomState(3).permutation(50)]
TWICE = np.r_[NM[:20], NM[:4], NM[20:46]]

#: Writes what the step makes of every sample that it reads.
PROGRAM = """
#include <stdio.h>
{text}
int main(void) {{
    {number} x[{n_in}], y[{n_out}];
    while (fread(x, sizeof x, 1, stdin) == 1) {{
        step(x, y);
        fwrite(y, sizeof y, 1, stdout);
    }}
    return 0;
}}
"""

STEPS = {
    "bands": BandSelector([(2000, 2100), (2200, 2400)], wavelengths=NM, exclude=None),
    "resampler": SensorResampler([2100, 2200, 2207, 2300], fwhm=17.0, wavelengths=NM),
    "resampler to nan": SensorResampler(
        [1900, 2200, 2300], fwhm=12.0, wavelengths=NM, on_missing="nan", scale=0.5
    ),
    "resampler of mixed bands": SensorResampler(NM[::4], fwhm=30.0, wavelengths=MIXED),
    "standardised": SpectrumStandardizer(),
    **{
        f"continuum {hull} {mode}": ContinuumRemoval(NM, hull=hull, mode=mode)
        for hull in ("convex", "segmented", "linear")
        for mode in ("divide", "subtract", "log")
    },
    "continuum in ranges": ContinuumRemoval(
        MIXED, ranges=[(2000, 2150), (2200, 2203), (2250, 2460)]
    ),
    "continuum of double bands": ContinuumRemoval(
        TWICE, duplicates="average", bad_bands=[3, 44], scale=2.0
    ),
    "index": SpectralAbsorptionIndex(NM),
    "index of pairs": SpectralAbsorptionIndex(
        NM, bands=[2200, 2340], shoulders=[(2120, 2260), (2290, 2400)], centre_bands=1
    ),
    "index under the hull": SpectralAbsorptionIndex(
        MIXED, bands="diagnostic", shoulders="hull", log=True
    ),
    "attenuated index": SpectralAbsorptionIndex(
        MIXED, attenuation=50.0, log=True, bad_bands=[7], shoulder_bands=3
    ),
    "features": AbsorptionFeatures(NM),
    "features as nan": AbsorptionFeatures(
        MIXED, on_missing="nan", parameters=("sai", "position"), min_depth=0.05
    ),
    "straight features": AbsorptionFeatures(
        NM,
        features=[
            AbsorptionFeature("a", 2160, 2240, left=2120, right=2280),
            AbsorptionFeature("b", 2300, 2360, left=2250, right=2400, continuum="hull"),
            AbsorptionFeature("c", 2050, 2150),
        ],
        parameters=("area", "slope", "width", "asymmetry", "depth"),
    ),
    "scaler": StandardScaler(),
    "scaler without mean": StandardScaler(with_mean=False),
    "scaler without deviation": StandardScaler(with_std=False),
    "minmax": MinMaxScaler((-1, 2)),
    "clipped": MinMaxScaler(clip=True),
    "pca": PCA(4),
    "whitened": PCA(4, whiten=True),
}


def spectra():
    """Absorptions, and behind them all that a sensor can give."""
    rng = np.random.RandomState(0)
    centres = rng.uniform(2000, 2470, (400, 3, 1))
    depth, width = rng.uniform(0, 0.4, (400, 3, 1)), rng.uniform(8, 60, (400, 3, 1))
    dips = (depth * np.exp(-(((NM - centres) / width) ** 2))).sum(axis=1).clip(0, 0.9)
    slope = 1 + rng.uniform(-0.3, 0.3, (400, 1)) * np.linspace(-1, 1, 50)
    X = rng.uniform(0.05, 0.8, (400, 1)) * slope * (1 - dips) + rng.normal(0, 0.003, (400, 50))
    gaps = X[:200].copy()
    gaps[rng.uniform(size=gaps.shape) < rng.uniform(0, 1, (200, 1))] = np.nan
    odd = X[:60].copy()
    odd[::4, 5:9] = np.inf
    odd[1::4, 30] = -np.inf
    odd[2::4] *= -1
    odd[3::4, ::3] = 0
    dark = rng.normal(0, 0.002, (60, 50))
    flat = [np.full(50, v) for v in (0.0, 0.3, -9999.0, np.nan, 1e-30, 3e30)]
    line, zeros = np.linspace(0.2, 0.4, 50), np.zeros(50)
    zeros[25] = 0.5
    lone = np.full(50, np.nan)
    lone[[20, 22]] = 0.3, 0.5
    steps = rng.randint(0, 3, (60, 50)) / 4  # ties
    return np.vstack([X, gaps, odd, dark, *flat, line, zeros, lone, steps])


class Stepper:
    """A compiled step."""

    def __init__(self, compiler, folder, step, dtype):
        source = Source("net", dtype)
        written = add_step_to_c(source, "step", step)
        source.add(f"static void step(const REAL *x, REAL *y)\n{{\n{written.body.strip()}\n}}")
        self.n_out = known_kind_of(step).n_outputs(step)
        self.dtype = np.dtype(dtype)
        text = "\n".join(f"#include <{name}>" for name in sorted(source.includes))
        program = PROGRAM.format(
            text="\n".join([text, *source.parts]),
            number=source.number,
            n_in=step.n_features_in_,
            n_out=self.n_out,
        )
        (folder / "step.c").write_text(program)
        command = [compiler, *SANITIZED, "step.c", "-o", "step", "-lm"]
        built = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        assert built.returncode == 0, built.stderr
        self.path = folder / "step"

    def __call__(self, X):
        ran = subprocess.run(
            [self.path], input=X.astype(self.dtype).tobytes(), capture_output=True, check=False
        )
        assert ran.returncode == 0, ran.stderr.decode()
        return np.frombuffer(ran.stdout, self.dtype).reshape(len(X), self.n_out)


#: Steps that C computes in another way, or with constants, where features are float64.
IN_DOUBLE = ("resampler", "standardised", "continuum of double bands", "features", "whitened")


@pytest.mark.parametrize(
    ("name", "dtype"),
    [*((name, np.float32) for name in STEPS), *((name, np.float64) for name in IN_DOUBLE)],
)
def test_every_feature_is_the_same(compiler, tmp_path, name, dtype):
    X = spectra().astype(dtype)
    step = STEPS[name]
    is_learnt = not hasattr(step, "unit") and name != "standardised"
    if is_learnt:
        X = X[np.isfinite(X).all(axis=1) & (np.abs(X) < 9).all(axis=1)]
    step.fit(X[:400])
    with np.errstate(all="ignore"):
        expected = step.transform(X)
    found = Stepper(compiler, tmp_path, step, dtype)(X)
    # Sums of many products are rounded in another order, responses are constants of float32.
    is_sum = name.startswith(("resampler", "attenuated", "pca", "whitened"))
    relative = 4e-7 if dtype == np.float32 else 1e-9
    absolute = (4e-6 if is_learnt else 2e-7) if is_sum else 1e-12
    if name.startswith("scaler"):
        absolute = (
            2e-7  # the mean is taken away in float64 or in float32, by scikit-learn's version
        )
    np.testing.assert_allclose(found, expected, rtol=relative, atol=absolute)


def test_every_kind_is_tested():
    assert {type(step).__name__ for step in STEPS.values()} == set(KINDS)
    assert all(kind.has_c for kind in KINDS.values())
