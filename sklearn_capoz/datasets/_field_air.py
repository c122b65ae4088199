"""The air between ground and sensor: what its gases absorb, and how much light is left to measure.

Places and widths are those of the absorption bands in low-resolution solar spectra (Gao,
Heidebrecht and Goetz 1993, :doi:`10.1016/0034-4257(93)90014-O`), rounded.
"""

from __future__ import annotations

import numpy as np

__all__ = ["GASES", "gas_shape", "noise_curve"]

#: gas -> (centre, standard deviation, strength) of its bands, nm; 1 is the strongest that is seen
#: through, from 400 to 2500 nm.
GASES = {
    "oxygen": ((688.0, 3.0, 0.4), (761.0, 4.0, 1.0), (1269.0, 6.0, 0.3)),
    "water": (
        (720.0, 8.0, 0.2),
        (818.0, 10.0, 0.2),
        (940.0, 20.0, 0.6),
        (1130.0, 22.0, 0.7),
        (1380.0, 35.0, 3.0),
        (1870.0, 45.0, 3.0),
    ),
    "carbon_dioxide": (
        (1573.0, 8.0, 0.1),
        (1605.0, 8.0, 0.1),
        (2005.0, 14.0, 1.0),
        (2060.0, 12.0, 1.0),
    ),
}

#: Water vapour begins to take the light at one end of this and has most of it at the other, nm.
_WATER_WING = 2400.0, 2480.0

_SUN = 5778.0  # K
_HC_OVER_K = 1.43878e7  # nm K

#: Optical depth of the water bands in a common atmosphere, for the light that is left.
_WATER_DEPTH = 1.2


def gas_shape(gas: str, nm: np.ndarray, fwhm: np.ndarray) -> np.ndarray:
    """Relative absorption of each band of a gas, of shape (n_absorptions, n_bands).

    A wide sensor band sees a narrow absorption shallower, by the area under it.
    """
    response = fwhm / (2 * np.sqrt(2 * np.log(2)))
    rows = []
    for centre, sigma, strength in GASES[gas]:
        seen = np.hypot(sigma, response)
        rows.append(strength * sigma / seen * np.exp(-0.5 * ((nm - centre) / seen) ** 2))
    if gas == "water":
        low, high = _WATER_WING
        rows.append(np.clip((nm - low) / (high - low), 0, 1))
    return np.array(rows)


def noise_curve(nm: np.ndarray, fwhm: np.ndarray) -> np.ndarray:
    """Noise relative to reflectance in each band, 1 at 2200 nm.

    Photons are counted: noise is one over the root of their number, which is that of a black body
    as hot as the sun, less what water vapour takes.
    """

    def photons(nm):
        return nm**-4.0 / np.expm1(_HC_OVER_K / (nm * _SUN))

    left = np.exp(-_WATER_DEPTH * gas_shape("water", nm, fwhm)[:-1].sum(axis=0))
    return 1 / np.sqrt(left * photons(nm) / photons(2200.0))
