"""What rates the candidates of a search, and what becomes of those that fail."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from sklearn.metrics import check_scoring

from .._sklearn import InvalidParameterError

__all__ = ["Scoring", "make_scoring"]


@dataclass(frozen=True, eq=False)
class Scoring:
    """What rates a candidate.

    Parameters
    ----------
    scorers : dict of callable
        Name -> what is called with an estimator, X and y.
    predictions_only : bool
        They ask the estimator for nothing but predictions, so that a bare network will do.
    error_score : "raise" or float
        What a candidate gets that could not be trained or scored.
    """

    scorers: Mapping[str, Callable]
    predictions_only: bool
    error_score: str | float

    def rate(self, estimator, X, y) -> tuple[list[float], str | None]:
        """Return the scores of an estimator, and what went wrong."""
        failure, scores = None, []
        for scorer in self.scorers.values():
            try:
                scores.append(float(scorer(estimator, X, y)))
            except Exception:
                failure = self.failure()
                scores.append(float(self.error_score))
        return scores, failure

    def failure(self) -> str:
        """Return the error at hand as text, or raise it again where it is to end the search."""
        if self.error_score == "raise":
            raise
        return traceback.format_exc()


def make_scoring(pruner, scoring, refit: bool | str, error_score: str | float) -> Scoring:
    """Resolve what `CAPoZPrunerCV` takes as `scoring`; a single scorer is called "score"."""
    if scoring is None or isinstance(scoring, str) or callable(scoring):
        named = {"score": scoring}
    else:
        named = dict(scoring) if isinstance(scoring, dict) else {name: name for name in scoring}
        if not named:
            raise InvalidParameterError("scoring must hold at least one scorer, got none.")
        if refit is not False and refit not in named:
            raise InvalidParameterError(
                f"With several scorers refit must be one of {sorted(named)}, by which to choose, "
                f"or False; got {refit!r}."
            )
    scorers = {name: check_scoring(pruner, scorer) for name, scorer in named.items()}
    # A scorer of the user's own may look at the estimator.
    predictions_only = not any(callable(scorer) for scorer in named.values())
    return Scoring(scorers, predictions_only, error_score)
