"""What a network sees of a spectrum, by the word of `--features`."""

from __future__ import annotations

from sklearn.preprocessing import StandardScaler

from ..spectral import ContinuumRemoval, SpectralAbsorptionIndex, SpectrumStandardizer

__all__ = ["feature_steps"]


def feature_steps(name: str, wavelengths) -> list:
    """Return the steps before the network, for bands in nm."""
    nm = wavelengths.tolist()
    if name == "index":
        return [SpectralAbsorptionIndex(nm), StandardScaler()]
    # The hull takes out light and slope, the standardisation the depth of the absorptions.
    return [ContinuumRemoval(nm), SpectrumStandardizer(), StandardScaler()]
