"""Where a training has paused, for a cut in the middle of it, and what it needs to go on."""

from __future__ import annotations

from copy import copy
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ._stopping import StoppingRule

__all__ = ["Pause"]


@dataclass(frozen=True, eq=False)
class Pause:
    """What a training remembers beside weights and moments.

    With it a training that was paused goes on as if it had not been.

    Parameters
    ----------
    n_epochs : int
        So far: the learning rate goes by it.
    rule : StoppingRule
        Never changed; see `begin`.
    draws : ndarray
        How far the draws have come: the engine's last order of the rows, which the next one is
        shuffled from, or the state of torch's generator.
    best : tuple or None
        The epoch that early stopping would give back.
    """

    n_epochs: int
    rule: StoppingRule
    draws: np.ndarray
    best: Any = None

    def begin(self) -> StoppingRule:
        """Return the rule, to go on with."""
        return copy(self.rule)

    def after_cut(self) -> Pause:
        """Look for the best epoch anew: a larger network's is no measure, and no longer fits."""
        rule = self.rule
        fresh = StoppingRule(rule.tol, rule.n_iter_no_change, rule.early_stopping)
        return replace(self, rule=fresh, best=None)
