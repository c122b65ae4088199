"""Absorption features of minerals: windows in nm, measured on USGS library spectra.

Windows and band centres were measured on spectra of the USGS Spectral Library Version 7 (Kokaly et
al. 2017, doi:10.5066/F7RR1WDJ), which is in the public domain. A window is wide enough for the
shoulders of all the minerals named beside it.
"""

# name: (low, high); beside it the band centres of the minerals that show the feature
SWIR_FEATURES = {
    "oh_1410": (1350, 1450),  # kaolinite 1415, muscovite 1412, pyrophyllite 1394
    "oh_1480": (1440, 1580),  # alunite 1477 to 1496, jarosite 1467 to 1477
    "nh4_1560": (1480, 1650),  # buddingtonite 1564, epidote 1543
    "oh_1760": (1690, 1830),  # alunite 1767, gypsum 1749
    "water_1910": (1850, 2100),  # montmorillonite 1906, halloysite 1913, chalcedony 1916
    "nh4_2115": (2050, 2200),  # buddingtonite 2115
    "al_oh_2170": (2020, 2260),  # alunite 2172 to 2181, pyrophyllite 2167
    "al_oh_2200": (2120, 2280),  # muscovite 2197 to 2207, kaolinite 2208, montmorillonite 2206
    "fe_oh_2250": (2200, 2300),  # chlorite 2249 to 2259, epidote 2252, jarosite 2264 to 2267
    "al_oh_2320": (2260, 2400),  # alunite 2320 to 2324, kaolinite 2313
    "co3_2340": (2220, 2400),  # calcite 2335, dolomite 2315
    "mg_oh_2340": (2290, 2420),  # muscovite 2345 to 2350, chlorite 2340 to 2359, epidote 2339
    "oh_2385": (2345, 2420),  # kaolinite 2384, dickite 2383
}

FEATURE_SETS = {"swir": SWIR_FEATURES}
