"""When a network has learnt enough: MLPClassifier's rule, once for every training loop."""

from __future__ import annotations

import math

__all__ = ["StoppingRule"]


class StoppingRule:
    """Count the epochs in a row that brought no improvement of more than `tol`.

    Parameters
    ----------
    tol : float
    n_iter_no_change : int
        Training ends when more than this many epochs in a row were no improvement.
    early_stopping : bool
        Watch the validation accuracy, which should rise, and not the training
        loss, which should fall.
    """

    def __init__(self, tol: float, n_iter_no_change: int, early_stopping: bool):
        self.tol = tol
        self.n_iter_no_change = n_iter_no_change
        self.early_stopping = early_stopping
        self.best = -math.inf
        self.n_without_improvement = 0

    def update(self, loss: float, validation_accuracy: float | None = None) -> bool:
        """Take note of one epoch; return whether it is the best so far."""
        score = -loss
        if self.early_stopping:
            assert validation_accuracy is not None
            score = validation_accuracy
        # MLPClassifier's two comparisons differ when the gain is exactly `tol`
        gained = score - self.best
        stalled = gained < self.tol if self.early_stopping else score < self.best + self.tol
        self.n_without_improvement = self.n_without_improvement + 1 if stalled else 0
        is_best = score > self.best
        if is_best:
            self.best = score
        return is_best

    @property
    def n_until_stop(self) -> int:
        """Epochs until training ends if none of them is an improvement."""
        return self.n_iter_no_change + 1 - self.n_without_improvement

    @property
    def should_stop(self) -> bool:
        return self.n_until_stop <= 0
