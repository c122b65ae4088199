"""Absorption features of minerals: windows in nm, measured on USGS library spectra.

Windows and band centres were measured on spectra of the USGS Spectral Library Version 7 (Kokaly et
al. 2017, doi:10.5066/F7RR1WDJ), which is in the public domain. A window is wide enough for the
shoulders of all the minerals named beside it, and so it takes in the minima of others. Where a
minimum may lie is therefore told apart: around the centres of the minerals named, with the scatter
of their records at the bands of AVIRIS. Calcite (2338) and muscovite (2345) are that near.
"""

# name: (low, high of the minimum, left, right of the window); beside it the band centres of the
# minerals that show the feature
SWIR_FEATURES = {
    # kaolinite 1415, muscovite 1412, pyrophyllite 1394, alunite 1429
    "oh_1410": (1385, 1435, 1350, 1450),
    "oh_1480": (1460, 1500, 1440, 1580),  # alunite 1477 to 1496, jarosite 1467 to 1477
    "nh4_1560": (1535, 1575, 1480, 1650),  # buddingtonite 1564, epidote 1543
    "oh_1760": (1740, 1775, 1690, 1830),  # alunite 1767, gypsum 1749
    # montmorillonite 1906, halloysite 1913, chalcedony 1916, gypsum 1943
    "water_1910": (1900, 1950, 1850, 2100),
    "nh4_2115": (2105, 2130, 2050, 2200),  # buddingtonite 2115
    "al_oh_2170": (2155, 2185, 2020, 2260),  # alunite 2172 to 2181, pyrophyllite 2167
    # muscovite 2197 to 2207, kaolinite 2208, montmorillonite 2206 to 2215
    "al_oh_2200": (2190, 2225, 2120, 2280),
    # chlorite 2249 to 2259, epidote 2252, jarosite 2264 to 2267
    "fe_oh_2250": (2240, 2275, 2200, 2300),
    "al_oh_2320": (2305, 2330, 2260, 2400),  # alunite 2320 to 2324, kaolinite 2313
    "co3_2340": (2310, 2342, 2220, 2400),  # calcite 2335, dolomite 2315
    # muscovite 2345 to 2350, chlorite 2340 to 2359, epidote 2339
    "mg_oh_2340": (2335, 2365, 2290, 2420),
    "oh_2385": (2375, 2390, 2345, 2420),  # kaolinite 2384, dickite 2383
}

FEATURE_SETS = {"swir": SWIR_FEATURES}
