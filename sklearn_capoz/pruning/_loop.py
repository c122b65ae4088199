"""The loop that joins criterion, threshold rule, schedule and surgery.

`prune_together` walks along the iterations of one network or of several in step, so that those
that are retrained at the same time train side by side. Both estimators, the path and the search
call it and hold no arithmetic themselves.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

from .._warn import warn
from ..exceptions import PruningInterruptedWarning
from ..training._samples import PruningData
from ._model import PrunableModel
from ._path import Path
from ._plan import PruningJob
from ._records import IterationRecord

__all__ = ["prune_together"]


def prune_together(
    jobs: Sequence[PruningJob], *, keep_interrupted: bool = True
) -> list[list[IterationRecord]]:
    """Prune trained networks in step; those that retrain at the same time train together.

    Parameters
    ----------
    jobs : sequence of PruningJob
        Networks, samples and plans; none is changed.
    keep_interrupted : bool, default=True
        Whether an interrupt (Ctrl-C) ends the loop, with a warning, and keeps the iterations
        that are done. False lets it go on to the caller, where paths that were cut off are of
        no use.

    Returns
    -------
    records : list of list of IterationRecord
        Of each job, a record per iteration from 0, the dense network, on.

    Raises
    ------
    KeyboardInterrupt
        If it comes before every network has its first record, or nothing is to be kept.
    """
    paths: list[Path] = []
    try:
        for job in jobs:
            paths.append(Path(job))
        while walking := [path for path in paths if not path.ended]:
            _retrain([path for path in walking if path.cut()])
            for path in walking:
                path.end_step()
        for path in paths:
            path.score_last()
    except KeyboardInterrupt:
        if not keep_interrupted or len(paths) < len(jobs):
            raise
        warn(
            "Pruning was interrupted; the iterations that were done are kept.",
            PruningInterruptedWarning,
        )
        with suppress(KeyboardInterrupt):  # all that a second one can take is these scores
            for path in paths:
                path.score_last()
    return [path.records for path in paths]


def _retrain(paths: Sequence[Path]) -> None:
    """Train the networks that were cut, side by side where they are of a kind."""
    together: dict[type[PrunableModel], list[Path]] = {}
    for path in paths:
        model, job = path.new.model, path.job
        if job.memory is None:
            together.setdefault(type(model), []).append(path)
        else:
            path.trained(*job.memory.cache(_train_alone)(model, job.data))
    for kind, members in together.items():
        models, data = [path.new.model for path in members], [path.job.data for path in members]
        for path, (model, n_epochs) in zip(members, kind.train_together(models, data), strict=True):
            path.trained(model, n_epochs)


def _train_alone(model: PrunableModel, data: PruningData) -> tuple[PrunableModel, int]:
    """Train one network; a function by itself, for a cache to store what it gives.

    The model holds all that a training depends on, its random state included, and so does the
    trained one: what comes next draws the same numbers, whether it was looked up or not.
    """
    return type(model).train_together([model], [data])[0]
