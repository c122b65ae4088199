"""Colours of classes: far apart for every kind of colour vision, and the same by a mineral's name.

They are a leaf, since files and pictures have to agree on them.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache

import numpy as np

__all__ = [
    "NO_DATA_COLOR", "NO_DATA_NAMES", "OKABE_ITO", "REJECTED_COLOR", "REJECTED_NAMES", "Color",
    "class_colors", "mineral_colors", "perceived", "told_colors",
]  # fmt: skip

Color = tuple[int, int, int]

#: Okabe and Ito's colours, told apart by nearly everyone; black is kept for text and thresholds.
OKABE_ITO = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#F0E442")

#: Paper, so that what was not measured looks empty; a dark grey that no colour below is taken for.
NO_DATA_COLOR: Color = (255, 255, 255)
REJECTED_COLOR: Color = (68, 68, 68)

#: Names, in small letters, of codes that are no class.
REJECTED_NAMES = ("rejected", "unknown")
NO_DATA_NAMES = ("no data", "nodata", "no class", "unclassified", "unlabelled", "unlabeled")

#: The first seven, of the Cuprite maps, have Okabe and Ito's colours; kin minerals have kin ones.
#: Each further one is far from all before it in every kind of colour vision, so what a common map
#: shows stands far up. A colour once given stays: maps of years are laid side by side.
MINERALS = {
    "alunite": "#D55E00", "kaolinite": "#0072B2", "halloysite": "#56B4E9", "muscovite": "#009E73",
    "calcite": "#F0E442", "montmorillonite": "#CC79A7", "chalcedony": "#E69F00",
    "buddingtonite": "#A569FF", "dickite": "#3C00E1", "pyrophyllite": "#780087",
    "illite": "#B4B487", "goethite": "#B43C00", "hematite": "#870F00", "jarosite": "#E1C369",
    "gypsum": "#00F0FF", "chlorite": "#00694B", "epidote": "#A5E1B4", "dolomite": "#C3FFB4",
    "nontronite": "#964B78", "quartz": "#96C3C3", "talc": "#872DFF", "clinochlore": "#5A0F5A",
    "serpentine": "#691EB4", "opal": "#3CD2FF", "tremolite": "#C32DC3", "siderite": "#69001E",
    "biotite": "#69785A", "antigorite": "#783C87", "chrysotile": "#8796FF",
    "rhodochrosite": "#E1783C", "actinolite": "#966987", "phlogopite": "#8787D2",
    "sulfur": "#FFFF00", "lepidolite": "#965AE1", "azurite": "#0F00A5", "albite": "#C39696",
    "augite": "#2D4B69", "olivine": "#5A691E", "saponite": "#D2E187", "hectorite": "#785A96",
    "malachite": "#96A569", "natrojarosite": "#F0B40F", "anhydrite": "#5AA5C3",
    "thuringite": "#871E69", "microcline": "#C3C396", "topaz": "#A5F0E1", "magnetite": "#4B2D3C",
    "tourmaline": "#F087E1", "magnesite": "#C30FA5",
}  # fmt: skip

#: Colours that other names draw from, and how far apart those of one map are kept (OKLab), while
#: there are such. For scale: tab20's closest pair is 0.047 apart in full colour vision.
N_DRAWN, APART = 64, 0.05


# Linear RGB as seen without long-, middle- or short-wave cones (Machado et al. 2009,
# doi:10.1109/TVCG.2009.113); the first matrix is full colour vision.
_VISION = np.array(
    [
        np.eye(3),
        [
            [0.152286, 1.052583, -0.204868],
            [0.114503, 0.786281, 0.099216],
            [-0.003882, -0.048116, 1.051998],
        ],
        [
            [0.367322, 0.860646, -0.227968],
            [0.280085, 0.672501, 0.047413],
            [-0.011820, 0.042940, 0.968881],
        ],
        [
            [1.255528, -0.076749, -0.178779],
            [-0.078411, 0.930809, 0.147602],
            [0.004733, 0.691367, 0.303900],
        ],
    ]
)
# Linear RGB -> cone response, cube root of it -> OKLab, where distance follows perception.
_RGB_TO_LMS = np.array(
    [
        [0.4122214708, 0.5363325363, 0.0514459929],
        [0.2119034982, 0.6806995451, 0.1073969566],
        [0.0883024619, 0.2817188376, 0.6299787005],
    ]
)
_LMS_TO_OKLAB = np.array(
    [
        [0.2104542553, 0.7936177850, -0.0040720468],
        [1.9779984951, -2.4285922050, 0.4505937099],
        [0.0259040371, 0.7827717662, -0.8086757660],
    ]
)


def perceived(rgb):
    """OKLab coordinates of colours, (n_visions, n, 3), in full and in colour-blind vision."""
    share = np.asarray(rgb, dtype=np.float64) / 255
    linear = np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4)
    seen = np.clip(linear @ _VISION.transpose(0, 2, 1), 0, 1)
    return np.cbrt(seen @ _RGB_TO_LMS.T) @ _LMS_TO_OKLAB.T


@lru_cache
def _palette(n_colors):
    """Okabe and Ito's colours, then always the one farthest from all before it."""
    start = [[int(c[i : i + 2], 16) for i in (1, 3, 5)] for c in OKABE_ITO]
    steps = np.arange(0, 256, 15)
    candidates = np.stack(np.meshgrid(steps, steps, steps, indexing="ij"), axis=-1).reshape(-1, 3)
    # Nearly black colours lie apart in numbers only.
    candidates = candidates[perceived(candidates)[0, :, 0] > 0.33]
    candidates = np.vstack([start, candidates])
    seen = perceived(candidates)
    # Paper, ink and the grey of rejected pixels are taken: no class may look like them.
    taken = perceived([[255, 255, 255], [0, 0, 0], [68, 68, 68]])
    nearest = np.linalg.norm(seen[:, :, None] - taken[:, None], axis=-1).min(axis=(0, 2))
    chosen = []
    for i in range(n_colors):
        chosen.append(i if i < len(start) else int(nearest.argmax()))
        distance = np.linalg.norm(seen - seen[:, chosen[-1], None], axis=-1).min(axis=0)
        nearest = np.minimum(nearest, distance)
    return candidates[chosen]


def class_colors(n_classes):
    """Colours for classes without names that colour-blind readers can tell apart.

    The first seven are Okabe and Ito's. Each further colour is the one that lies
    farthest from all before it for full colour vision and for each of the three
    kinds of colour blindness. The colours of fewer classes are the first ones of more.

    Parameters
    ----------
    n_classes : int
        At least 0; beyond about 25 no set of colours is told apart with ease.

    Returns
    -------
    ndarray of shape (n_classes, 3), uint8
        Red, green and blue, 0 to 255.

    See Also
    --------
    mineral_colors : Colours of classes by their names, which are the same in every map.

    Examples
    --------
    >>> from sklearn_capoz.displays import class_colors
    >>> class_colors(3)
    array([[  0, 114, 178],
           [230, 159,   0],
           [  0, 158, 115]], dtype=uint8)
    """
    if n_classes < 0:
        raise ValueError(f"n_classes must be 0 or more, got {n_classes}.")
    return _palette(int(n_classes)).astype(np.uint8).reshape(-1, 3)


def mineral_colors(names: Iterable, colors: Mapping | None = None) -> np.ndarray:
    """Colour of each class of a map, by its name: the same in every map, whatever else is in it.

    Some fifty minerals have a colour of their own, chosen for colour-blind readers. Another name
    draws one by its letters, and gives way where it would look like another class of the map.

    Parameters
    ----------
    names : iterable of n_classes names
        Spaces at the ends and capitals do not matter. "no data", "unclassified" and the like are
        white, "rejected" and "unknown" dark grey.
    colors : mapping of name -> "#rrggbb" or (red, green, blue) from 0 to 255, default=None
        Colours of your own, which come before all others; they may name classes that this map
        has not.

    Returns
    -------
    ndarray of shape (n_classes, 3), uint8
        Red, green and blue. No two classes are alike, unless `colors` makes them so.

    Raises
    ------
    ValueError
        If a colour of `colors` is none.

    See Also
    --------
    class_colors : Colours for classes without names.

    Examples
    --------
    >>> from sklearn_capoz.displays import mineral_colors
    >>> mineral_colors(["Alunite", "Calcite"])
    array([[213,  94,   0],
           [240, 228,  66]], dtype=uint8)
    >>> mineral_colors(["Calcite", "rejected"], {"calcite": "#ff0000"})
    array([[255,   0,   0],
           [ 68,  68,  68]], dtype=uint8)
    """
    keys = [_key(name) for name in names]
    if not isinstance(colors, Mapping | None):
        raise TypeError(
            f"colors must give each name a colour, {{'Alunite': '#d55e00'}} for example, got "
            f"{colors!r}."
        )
    own = {_key(name): _parsed(name, color) for name, color in (colors or {}).items()}
    own = {**dict.fromkeys(NO_DATA_NAMES, NO_DATA_COLOR),
           **dict.fromkeys(REJECTED_NAMES, REJECTED_COLOR), **own}  # fmt: skip
    given = {key: own[key] for key in keys if key in own}
    for key in keys:
        color = MINERALS.get(key)
        # What the user gave a mineral's colour to keeps it.
        if key not in given and color and _parsed(key, color) not in given.values():
            given[key] = _parsed(key, color)
    # In the order of the names, so that the order of the classes decides nothing.
    for key in sorted(set(keys) - given.keys()):
        given[key] = _drawn(key, list(given.values()))
    return np.array([given[key] for key in keys], dtype=np.uint8).reshape(-1, 3)


def told_colors(names: Iterable, colors: Iterable | None) -> dict[str, Color]:
    """Colours that a map's file gives its classes, by name, for `mineral_colors`.

    Black is what tables say of codes that they do not colour.
    """
    pairs = zip(names, colors or (), strict=False)
    return {str(name): tuple(color) for name, color in pairs if any(color)}


def _key(name) -> str:
    return str(name).strip().casefold()


def _parsed(name, color) -> Color:
    """Read a colour, "#rrggbb" or three whole numbers from 0 to 255."""
    if isinstance(color, str):
        digits = color.strip().removeprefix("#")
        if len(digits) == 6 and all(d in "0123456789abcdefABCDEF" for d in digits):
            red, green, blue = bytes.fromhex(digits)
            return red, green, blue
    elif isinstance(color, (Sequence, np.ndarray)) and len(color) == 3:
        values = np.asarray(color)
        if values.dtype.kind in "iu" and values.min() >= 0 and values.max() <= 255:
            return int(values[0]), int(values[1]), int(values[2])
    raise ValueError(
        f"colors must give {name!r} a colour such as '#d55e00' or (213, 94, 0), got {color!r}."
    )


def _drawn(key: str, taken: list[Color]) -> Color:
    """Colour of a name that is not in the table: the first of its own order that is free."""
    seed = zlib.crc32(key.encode())
    order = np.random.RandomState(seed).permutation(N_DRAWN)
    candidates = class_colors(N_DRAWN)[order]
    used = np.array([*taken, NO_DATA_COLOR, REJECTED_COLOR])
    distance = np.linalg.norm(
        perceived(candidates)[:, :, None] - perceived(used)[:, None], axis=-1
    ).min(axis=(0, 2))
    best = int((distance >= APART).argmax() if (distance >= APART).any() else distance.argmax())
    red, green, blue = candidates[best].tolist()
    if distance[best] > 0:
        return red, green, blue
    # Beyond some hundred classes nobody tells colours apart, but their codes should differ.
    value, others = seed, set(taken)
    while (color := (value & 255, value >> 8 & 255, value >> 16 & 255)) in others:
        value += 1
    return color
