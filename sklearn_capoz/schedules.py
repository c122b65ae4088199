"""Schedules: when to score, cut and retrain.

A schedule yields the steps of each iteration. A step names the groups of units
that are scored and cut now; the network is retrained after every step. Groups are
counted from the input on: of a dense network they are its hidden layers.
`SCHEDULES` is the table of those that have a name.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from numbers import Integral, Real
from typing import Literal

import numpy as np
from sklearn.base import BaseEstimator

from ._sklearn import Interval, InvalidParameterError, validate_parameter_constraints
from ._validation import check_part
from .training._task import SurgeryRule

__all__ = [
    "SCHEDULES",
    "Gradual",
    "Iterative",
    "MultiPass",
    "OneShot",
    "Schedule",
    "Step",
    "Surgery",
    "Widths",
    "check_schedule",
]


@dataclass(frozen=True)
class Step:
    """Score and cut these groups of units, then train on.

    Parameters
    ----------
    groups : tuple of int
        Groups, counted from 0.
    units : tuple of int or None, default=None
        How many units of each of these groups stay; None leaves it to the threshold rule.
    at : int or {"end"}, default="end"
        When: after so many epochs of the first training, which then goes on, or at its end, to be
        retrained.
    regrow : float, default=0.0
        Of connections: the share of those left of each group that then change places with as many
        that are gone.
    surgery : SurgeryRule or None, default=None
        How connections come back in the training that follows; see `Surgery`.
    """

    groups: tuple[int, ...]
    units: tuple[int, ...] | None = None
    at: int | Literal["end"] = "end"
    regrow: float = 0.0
    surgery: SurgeryRule | None = field(default=None, repr=False)


class Schedule(BaseEstimator, ABC):
    """Base of all schedules: a subclass says in `iterations` what each step cuts.

    Examples
    --------
    >>> from sklearn_capoz.schedules import Schedule, Step
    >>> class LastLayerOnly(Schedule):
    ...     def iterations(self, widths, n_iterations):
    ...         for _ in range(n_iterations):
    ...             yield (Step((len(widths) - 1,)),)
    >>> list(LastLayerOnly().iterations((30, 20), n_iterations=1))
    [(Step(groups=(1,), units=None, at='end', regrow=0.0),)]
    """

    _parameter_constraints: dict = {}

    def check(self) -> None:
        """Raise InvalidParameterError for parameters outside their range."""
        validate_parameter_constraints(
            self._parameter_constraints, self.get_params(deep=False), type(self).__name__
        )

    @abstractmethod
    def iterations(self, widths: tuple[int, ...], n_iterations: int) -> Iterator[tuple[Step, ...]]:
        """Yield the steps of one iteration after the other.

        It is asked before any training, and has to give the same steps each time.

        Parameters
        ----------
        widths : tuple of int
            Units of each group of the dense network: of its hidden layers.
        n_iterations : int
            How many iterations the user allows.
        """


class MultiPass(Schedule):
    """Score and cut all hidden layers, retrain the whole network; repeat.

    The schedule of the C-APoZ paper (DOI 10.3788/IRLA20210252).

    Examples
    --------
    >>> from sklearn_capoz.schedules import MultiPass
    >>> list(MultiPass().iterations((30, 20), n_iterations=2))
    [(Step(groups=(0, 1), units=None, at='end', regrow=0.0),),
     (Step(groups=(0, 1), units=None, at='end', regrow=0.0),)]
    """

    def iterations(self, widths, n_iterations):
        for _ in range(n_iterations):
            yield (Step(tuple(range(len(widths)))),)


class Iterative(Schedule):
    """Score and cut one hidden layer, retrain, go on to the next layer; repeat.

    Examples
    --------
    >>> from sklearn_capoz.schedules import Iterative
    >>> list(Iterative().iterations((30, 20), n_iterations=1))
    [(Step(groups=(0,), units=None, at='end', regrow=0.0),
      Step(groups=(1,), units=None, at='end', regrow=0.0))]
    """

    def iterations(self, widths, n_iterations):
        for _ in range(n_iterations):
            yield tuple(Step((layer,)) for layer in range(len(widths)))


class OneShot(Schedule):
    """Cut all hidden layers once and retrain once, however many iterations are allowed.

    Examples
    --------
    >>> from sklearn_capoz.schedules import OneShot
    >>> list(OneShot().iterations((30,), n_iterations=5))
    [(Step(groups=(0,), units=None, at='end', regrow=0.0),)]
    """

    def iterations(self, widths, n_iterations):
        yield from MultiPass().iterations(widths, min(n_iterations, 1))


class Gradual(Schedule):
    r"""Approach a final sparsity along a cubic: much at first, little at the end.

    The share of units that is gone after iteration t of n is
    :math:`s_t = s_f - s_f (1 - t/n)^3`; the criterion says which units go, and
    the threshold rule is not asked.

    Parameters
    ----------
    sparsity : float, default=0.7
        Final share :math:`s_f` of every layer's units that is removed.
    epochs : tuple of int (begin, end) or None, default=None
        None cuts the trained network and retrains it after each cut. (begin, end) cuts while it is
        trained for the first time, as the source does: from epoch `begin` on, where nothing is
        gone yet, n times at even distances, the last time after epoch `end`. No retraining follows.
    regrow : float, default=0.0
        Of single connections (`granularity="connection"`): the share of those left by a cut that
        then go as well, the smallest, for as many that come back where the loss has the largest
        gradients. It falls to zero at the last cut, along half a cosine.

    References
    ----------
    Zhu and Gupta, To prune, or not to prune, 2017, arXiv:1710.01878. Regrowth: Evci et al., Rigging
    the lottery (RigL), 2020, arXiv:1911.11134.

    Examples
    --------
    >>> from sklearn_capoz.schedules import Gradual
    >>> [step.units for step, in Gradual(0.7).iterations((30,), n_iterations=3)]
    [(15,), (10,), (9,)]

    The same after 20, 40 and 60 epochs of the first training:

    >>> schedule = Gradual(0.7, epochs=(0, 60))
    >>> [(step.at, step.units) for step, in schedule.iterations((30,), n_iterations=3)]
    [(20, (15,)), (40, (10,)), (60, (9,))]
    """

    _parameter_constraints = {
        "sparsity": [Interval(Real, 0, 1, closed="left")],
        "epochs": "no_validation",  # `check` says more
        "regrow": [Interval(Real, 0, 1, closed="left")],
    }

    def __init__(self, sparsity=0.7, epochs=None, regrow=0.0):
        self.sparsity = sparsity
        self.epochs = epochs
        self.regrow = regrow

    def check(self) -> None:
        super().check()
        if self.epochs is None:
            return
        given = tuple(self.epochs) if _is_sequence(self.epochs) else ()
        whole = [isinstance(epoch, Integral) and int(epoch) >= 0 for epoch in given]
        if len(given) != 2 or not all(whole) or given[0] >= given[1]:
            raise ValueError(
                "The epochs of Gradual must be two whole numbers (begin, end), 0 <= begin < end, "
                f"epochs=(5, 60) for example, or None; got {self.epochs!r}."
            )

    def iterations(self, widths, n_iterations):
        groups = tuple(range(len(widths)))
        for t in range(1, n_iterations + 1):
            gone = self.sparsity * (1 - (1 - t / n_iterations) ** 3)
            units = tuple(round(width * (1 - gone)) for width in widths)
            regrow = self.regrow * (1 + math.cos(math.pi * t / n_iterations)) / 2
            yield (Step(groups, units, self._time(t, n_iterations), regrow),)

    def _time(self, t: int, n: int) -> int | Literal["end"]:
        """When cut t of n is."""
        if self.epochs is None:
            return "end"
        begin, end = map(int, self.epochs)
        if end - begin < n:
            raise InvalidParameterError(
                f"{self} has {end - begin} epochs for {n} cuts, and trains at least one between "
                "two of them; widen epochs, or lower n_iterations."
            )
        return begin + round(t * (end - begin) / n)


class Widths(Schedule):
    """Go through given widths, for tables at matched size.

    Parameters
    ----------
    widths : sequence of int or of sequence of int, default=(22, 17, 13, 11, 9, 7, 5)
        Units after iteration 1, 2, ...; one number holds for every hidden layer,
        a sequence has one per layer. The default is the C-APoZ paper's table 4.

    Examples
    --------
    >>> from sklearn_capoz.schedules import Widths
    >>> [step.units for step, in Widths((9, 5)).iterations((30, 20), n_iterations=7)]
    [(9, 9), (5, 5)]
    """

    def __init__(self, widths=(22, 17, 13, 11, 9, 7, 5)):
        self.widths = widths

    def check(self) -> None:
        iterations = self.widths if _is_sequence(self.widths) else ()
        rows = [width if _is_sequence(width) else (width,) for width in iterations]
        whole = [isinstance(n, Integral) and int(n) >= 1 for row in rows for n in row]
        if not all(map(len, rows)) or not whole or not all(whole):
            raise ValueError(
                "Widths needs whole numbers of at least 1: a sequence with one for each "
                "iteration, Widths((22, 17)) for example, or in place of each a sequence with one "
                f"per hidden layer, Widths([(22, 10), (17, 8)]); got {self.widths!r}."
            )

    def iterations(self, widths, n_iterations):
        layers = tuple(range(len(widths)))
        for width in self.widths[:n_iterations]:
            each = tuple(map(int, width if _is_sequence(width) else (width,) * len(layers)))
            if len(each) != len(layers):
                raise ValueError(
                    f"Widths names {len(each)} layers in {each}, and {len(layers)} are cut: the "
                    "hidden ones, and first the inputs with prune_inputs=True; or all with "
                    "granularity='connection'."
                )
            yield (Step(layers, each),)


class Surgery(Schedule):
    """Another schedule, after whose cuts connections come back: dynamic network surgery.

    For some epochs after each cut, the weights that it has set to zero go on to learn, unseen by
    the network. From batch to batch, with a chance that falls from 1 to 0, it is asked anew which
    take part: one that has grown beyond the upper threshold comes back, one that has shrunk below
    the lower one goes. In the end there are as many as the cut has left. For
    `granularity="connection"`; whichever the criterion is, the thresholds are on absolute weights.

    Parameters
    ----------
    schedule : Schedule
        Which cuts, and when: `OneShot()`, or `Gradual(0.95, epochs=(5, 60))` for example.
    epochs : int, default=10
        So long connections come back, or until the next cut.
    margin : float, default=0.1
        The thresholds lie below and above the size of the last weight that may stay, by this share
        of it.

    Notes
    -----
    In the source the thresholds are set once, by mean and deviation of a layer's weights, and how
    many are left is what comes of it; here they follow the weights, so that a schedule's counts
    hold. A weight that was cut begins again at zero.

    References
    ----------
    Guo, Yao and Chen, Dynamic network surgery for efficient DNNs, 2016, arXiv:1608.04493.

    Examples
    --------
    >>> from sklearn_capoz.schedules import Gradual, Surgery
    >>> [[step]] = Surgery(Gradual(0.9), epochs=20).iterations((30,), n_iterations=1)
    >>> step.units, step.surgery
    ((3,), SurgeryRule(epochs=20, margin=0.1))
    """

    _parameter_constraints = {
        "schedule": "no_validation",  # `check` says more
        "epochs": [Interval(Integral, 1, None, closed="left")],
        "margin": [Interval(Real, 0, 1, closed="left")],
    }

    def __init__(self, schedule, epochs=10, margin=0.1):
        self.schedule = schedule
        self.epochs = epochs
        self.margin = margin

    def check(self) -> None:
        super().check()
        if not isinstance(self.schedule, Schedule) or isinstance(self.schedule, Surgery):
            raise TypeError(
                f"Surgery needs a schedule that cuts, OneShot() for example, got {self.schedule!r}."
            )
        self.schedule.check()

    def iterations(self, widths, n_iterations):
        rule = SurgeryRule(int(self.epochs), float(self.margin))
        for steps in self.schedule.iterations(widths, n_iterations):
            yield tuple(replace(step, surgery=rule) for step in steps)


def _is_sequence(value) -> bool:
    if isinstance(value, np.ndarray):
        return value.ndim > 0
    return isinstance(value, Sequence) and not isinstance(value, str)


#: Name -> schedule, each made with its defaults.
SCHEDULES = {
    "multi-pass": MultiPass,
    "iterative": Iterative,
    "one-shot": OneShot,
    "gradual": Gradual,
}


def check_schedule(schedule) -> Schedule:
    """Return the schedule of that name, or the schedule itself, its parameters checked.

    Parameters
    ----------
    schedule : str or Schedule

    Raises
    ------
    ValueError
        For a name that is not in `SCHEDULES`, or parameters outside their range.
    TypeError
        For an object that is no `Schedule`.
    """
    return check_part(schedule, "schedule", SCHEDULES, Schedule)
