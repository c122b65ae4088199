"""Pictures: what was pruned, what it cost, and what the map looks like now.

Each display stores numbers, `plot` draws them, a `from_...` class method computes
them first. matplotlib is imported when something is drawn.

Axes of your own come as `ax`. Their legend stands beside them where the figure makes room,
as with `plt.subplots(layout="constrained")`, and inside them elsewhere.
"""

from .._colors import class_colors, mineral_colors
from ._assessment import AssessmentDisplay
from ._channel_maps import ChannelMapsDisplay
from ._importance import ImportanceDisplay
from ._mineral_map import MineralMapDisplay
from ._path import PruningPathDisplay
from ._sensitivity import SensitivityDisplay
from ._spectrum import SpectrumDisplay
from ._trade_off import TradeOffDisplay
from ._unit_map import UnitMapDisplay

__all__ = [
    "AssessmentDisplay",
    "ChannelMapsDisplay",
    "ImportanceDisplay",
    "MineralMapDisplay",
    "PruningPathDisplay",
    "SensitivityDisplay",
    "SpectrumDisplay",
    "TradeOffDisplay",
    "UnitMapDisplay",
    "class_colors",
    "mineral_colors",
]
