"""The published rules by which USGS Tetracorder names minerals, as far as 50 bands hold them.

A rule has a reference spectrum and one or more absorption features. Each feature is divided by a
straight line between its shoulders, in the reference and in the spectrum to name, and the fit is
the correlation of the two. Fits are averaged by the area of the feature in the reference; a feature
the wrong way round, or too shallow, rules the mineral out, and so does mica's band at 2350 nm for
minerals that have none. The best fit names the spectrum (Clark et al. 2003, J. Geophys. Res. 108,
5131, doi:10.1029/2002JE001847).

Reference spectra, windows and limits are facts of the expert system's version 4.1, its features at
2 to 2.5 um. Left out are its features elsewhere, and 39 rules without which 98.6 % of made mixtures
keep their label. On the pure spectra of the library it names every record of alunite, calcite,
montmorillonite and muscovite.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from sklearn_capoz.datasets import fetch_usgs_splib, read_envi_library

Window = tuple[int, int, int, int]


class Rule(NamedTuple):
    """One reference spectrum.

    Parameters
    ----------
    mineral : str
        What it names; "" where that is none of the seven, or a mixture.
    record : str
        How the name of the reference begins in the spectral library `s06av95a`.
    features : tuple of Window
        Left shoulder from, to, right shoulder from, to, in nm.
    depth : float
        Least depth of the features.
    mica : (float, float) or None
        Depth of mica's second band relative to the first feature, and its fit, which together
        rule the mineral out.
    """

    mineral: str
    record: str
    features: tuple[Window, ...]
    depth: float = 0.0
    mica: tuple[float, float] | None = None


#: The reference of mica, and its second band.
MICA, MICA_BAND = "Muscovite GDS113 Ruby", (2277, 2296, 2386, 2415)

#: A worse fit names nothing.
LEAST_FIT = 0.5

# fmt: off
RULES = (
    Rule("Alunite", "Alunite GDS82 Na82", ((2058, 2088, 2247, 2277),), 0.03),
    Rule("Alunite", "Alunite GDS83 Na63", ((2048, 2078, 2247, 2277),), 0.03),
    Rule("Alunite", "Alunite GDS84 Na03", ((2023, 2047, 2238, 2258),), 0.03),
    Rule("Calcite", "Calcite WS272", ((2178, 2208, 2377, 2406),)),
    Rule("Chalcedony", "Chalcedony CU91-6A", ((2119, 2149, 2358, 2385),)),
    Rule("Halloysite", "Halloysite NMNH106237", ((2078, 2108, 2257, 2287),), 0, (0.22, 0.6)),
    Rule("Kaolinite", "Kaolinite CM9", ((2078, 2108, 2237, 2267),), 0, (0.22, 0.6)),
    Rule("Kaolinite", "Kaolinite KGa-2 (pxl)", ((2079, 2110, 2237, 2267),), 0, (0.22, 0.6)),
    Rule("Montmorillonite", "Montmorillonite SWy-1", ((2118, 2137, 2267, 2287),), 0, (0.15, 0.4)),
    Rule("Montmorillonite", "Montmorillonite SAz-1", ((2148, 2178, 2257, 2287),), 0, (0.15, 0.4)),
    Rule("Muscovite", "Muscovite CU91-250A med Al",
         ((2128, 2148, 2268, 2287), (2278, 2298, 2387, 2405))),
    Rule("Muscovite", "Muscovite GDS113 Ruby",
         ((2118, 2148, 2267, 2296), (2277, 2296, 2386, 2415))),
    Rule("Muscovite", "Muscovite CU93-1 low-Al",
         ((2137, 2156, 2266, 2287), (2287, 2305, 2395, 2414))),
    Rule("Muscovite", "Muscovite GDS116", ((2128, 2158, 2277, 2306), (2287, 2306, 2405, 2435))),
    Rule("", "Illite IMt-1.b <2um", ((2117, 2157, 2266, 2306), (2266, 2306, 2385, 2415))),
    Rule("", "Illite GDS4", ((2125, 2155, 2266, 2306), (2266, 2306, 2385, 2415))),
    Rule("", "Dickite NMNH106242", ((2058, 2088, 2237, 2267),), 0.05, (0.22, 0.5)),
    Rule("", "Gypsum HS333.3B", ((2110, 2145, 2288, 2318), (2225, 2255, 2288, 2318))),
    Rule("", "Pyrophyllite PYS1A fine", ((2100, 2128, 2190, 2218),)),
    Rule("", "Buddingtonite GDS85", ((2054, 2086, 2277, 2306),), 0.025),
    Rule("", "Epidote GDS26.a", ((2208, 2228, 2268, 2288), (2208, 2228, 2404, 2432))),
    Rule("", "Jarosite GDS99", ((2069, 2099, 2327, 2357),)),
    Rule("", "Jarosite SJ-1 H3O", ((2120, 2149, 2315, 2342),)),
    Rule("", "Nontronite NG-1.a", ((2228, 2258, 2317, 2347),)),
    Rule("", "Saponite SapCa-1.AcB", ((2239, 2267, 2338, 2367),), 0.02),
    Rule("", "Palygorskite PFL-1", ((2138, 2168, 2258, 2288),), 0, (0.22, 0.6)),
    Rule("", "Siderite HS271.3B", ((2198, 2228, 2386, 2416),)),
    Rule("", "Kaolin_Smect H89-FR-2", ((2098, 2128, 2258, 2287),), 0.03, (0.22, 0.6)),
    Rule("", "Kaolwxl.75+Alun", ((2068, 2099, 2238, 2268),), 0.035),
    Rule("", "Kalun+kaol+gth", ((2061, 2091, 2235, 2265),), 0.035),
    Rule("", "Alun_Na+Kaol+Hemat", ((2067, 2097, 2244, 2274),), 0.035),
    Rule("", "Kaol.5+MuscCU91-250A", ((2108, 2138, 2248, 2278),), 0.05),
    Rule("", "Kaol_Wxl+0.5Musc_Ruby", ((2105, 2135, 2248, 2278),), 0.05),
    Rule("", "Kaol+Musc_intimate", ((2105, 2138, 2253, 2287),), 0.05),
    Rule("", "Muscov+Jaros CU93-314", ((2113, 2146, 2294, 2326),), 0.05),
    Rule("", "Muscovite+Chlorite CU91-253D",
         ((2134, 2164, 2226, 2248), (2057, 2088, 2130, 2154),
          (2226, 2248, 2277, 2299), (2277, 2299, 2386, 2406)), 0.035),
    Rule("", "Calcite+Dolomite.5", ((2180, 2280, 2377, 2406),), 0.03),
    Rule("", "Calcite.80+Mont_Swy-1", ((2248, 2278, 2376, 2406), (2130, 2158, 2248, 2278))),
    Rule("", "Calcite+.50Ca-Mont", ((2245, 2275, 2376, 2406), (2165, 2195, 2248, 2278))),
    Rule("", "Calcite.7+Kaolwxl.3", ((2107, 2140, 2229, 2258), (2229, 2258, 2386, 2416))),
)
# fmt: on


class Tetracorder:
    """The rules, ready to name spectra.

    Parameters
    ----------
    data_home : path-like
        Folder of `fetch_usgs_splib`, which has the spectral library `s06av95a` as well.
    """

    def __init__(self, data_home):
        bands = fetch_usgs_splib(data_home=data_home)
        library = read_envi_library(f"{data_home}/usgs_splib/s06av95a_envi.hdr")
        records = library.data[:, bands.cuprite_bands]
        measured = np.isfinite(records).all(axis=1) & (records.min(axis=1) > 0)
        self.wavelengths = bands.wavelengths[bands.cuprite_bands]
        self.references = {
            rule.record: next(
                record
                for name, record, good in zip(library.names, records, measured, strict=True)
                if good and name.startswith(rule.record)
            )
            for rule in RULES
        }

    def __call__(self, X: np.ndarray) -> np.ndarray:
        """Name each spectrum of X (n_spectra, 50); "" is none of the seven, or a mixture."""
        mica_fit, mica_depth, _ = self._fit(X, MICA, MICA_BAND)
        best, names = np.full(len(X), LEAST_FIT), np.full(len(X), "", dtype="U15")
        for rule in RULES:
            parts = [self._fit(X, rule.record, feature) for feature in rule.features]
            fits, depths, areas = (np.array(part) for part in zip(*parts, strict=True))
            fit, depth = (areas @ values / areas.sum() for values in (fits, depths))
            better = (fit > best) & (fits > 0).all(axis=0) & (depth >= rule.depth)
            if rule.mica is not None:
                relative_depth, least_fit = rule.mica
                better &= (mica_depth <= relative_depth * depths[0]) | (mica_fit <= least_fit)
            best[better], names[better] = fit[better], rule.mineral
        return names

    def _fit(self, X: np.ndarray, record: str, feature: Window):
        """Return the fit and depth of a feature in each spectrum, and its area in the reference."""
        shape = _continuum_removed(self.references[record][None], self.wavelengths, feature)[0]
        spectra = _continuum_removed(X, self.wavelengths, feature)
        centred = shape - shape.mean()
        products = (spectra - spectra.mean(axis=1, keepdims=True)) @ centred
        square = centred @ centred
        norms = spectra.std(axis=1) * np.sqrt(len(shape) * square)
        fit = products / np.maximum(norms, np.finfo(float).tiny)
        depth = products / square * (1 - shape.min())
        return fit, depth, (1 - shape).clip(0).sum()


def _continuum_removed(X: np.ndarray, nm: np.ndarray, feature: Window) -> np.ndarray:
    """Divide the bands of a feature by the line through the means of its shoulders."""
    places, levels = [], []
    for low, high in (feature[:2], feature[2:]):
        shoulder = (nm >= low - 1) & (nm <= high + 1)
        places.append(nm[shoulder].mean())
        levels.append(X[:, shoulder].mean(axis=1, keepdims=True))
    inside = (nm >= feature[0] - 1) & (nm <= feature[3] + 1)
    part = (nm[inside] - places[0]) / (places[1] - places[0])
    return X[:, inside] / ((1 - part) * levels[0] + part * levels[1])
