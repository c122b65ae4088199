"""The moves of a compression: what can be made of a network, and what its file takes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np
from sklearn.pipeline import Pipeline

from ..criteria import Criterion, Taylor
from ..estimators._split import Split
from ..networks import DenseNetwork
from ..networks._groups import INPUTS
from ..pruning import PruningPlan
from ..pruning._dense_model import DenseModel
from ..pruning._granularity import GRANULARITIES, Granularity
from ..pruning._model import copy_generator
from ..thresholds import Count
from ..training._samples import Samples
from ._compiled import CompiledClassifier
from ._files import file_content
from ._pipeline import compile_pipeline
from ._quantize import quantize
from ._selection import select_before

__all__ = ["Candidate", "Packing", "least_bytes", "moves_from"]

#: What a weight may have, beside those that it is trained in.
_BITS = (32, 8, 4)
#: Part of the units or connections of every layer, or of the inputs, that goes in one move.
_SHARES = (0.2, 0.4, 0.6, 0.8, 1.0)
#: Parts of a move to try where all of it is more than the budget asks for.
_PARTS = np.arange(1, 8) / 8
#: By how many bytes files of networks of one size differ: digits, and how well weights pack.
_SPREAD = 64


@dataclass(frozen=True, eq=False)
class Candidate:
    """A network somewhere on the walk.

    Parameters
    ----------
    move : str
        What led to it.
    model : DenseModel
        Whose inputs can be cut.
    bits : int
        Of a weight: 64 and 32 are floats.
    n_epochs : int
        Of the move's retraining.
    estimator : fitted classifier or Pipeline
        As it would be stored.
    n_bytes : int
        Of its file.
    accuracy : float
        0..1, on the samples to choose on.
    """

    move: str
    model: DenseModel
    bits: int
    n_epochs: int = 0
    estimator: Any = None
    n_bytes: int = 0
    accuracy: float = np.nan


@dataclass(frozen=True, eq=False)
class Packing:
    """How a network becomes a model: its steps, labels and calibration samples.

    Parameters
    ----------
    steps : list of (str, transformer)
        Fitted.
    classes : ndarray of shape (n_classes,)
    names : ndarray of str or None
        Columns of X.
    X : array-like of shape (n_samples, n_features)
        Training samples before the steps: what integers are calibrated by.
    X_select : array-like
        Samples to choose on, before the steps.
    select : Samples
        The same behind the steps.
    """

    steps: list[tuple[str, Any]]
    classes: np.ndarray
    names: np.ndarray | None
    X: Any
    X_select: Any
    select: Samples

    def pack(self, network: DenseNetwork, inputs: np.ndarray | None, bits: int):
        """Make the model that would be stored."""
        if bits == 32:
            network = _as_float32(network)
        steps, names = list(self.steps), self.names
        if inputs is not None and not inputs.all():
            steps = select_before(steps, inputs, None if steps else names)
        classifier = CompiledClassifier(
            network, self.classes, feature_names=None if steps else names
        )
        model = Pipeline([*steps, ("classifier", classifier)]) if steps else classifier
        if bits in (64, 32):
            return compile_pipeline(model)
        return quantize(model, self.X, bits=bits)

    def weigh(self, model: DenseModel, bits: int) -> int:
        """Return the bytes of a network's file."""
        return len(file_content(self.pack(model.network, model.inputs, bits)))

    def rate(self, candidate: Candidate) -> Candidate:
        """Pack it, weigh its file and measure it."""
        model = candidate.model
        packed = self.pack(model.network, model.inputs, candidate.bits)
        return replace(
            candidate,
            estimator=packed,
            n_bytes=len(file_content(packed)),
            accuracy=self._accuracy(packed),
        )

    def _accuracy(self, packed) -> float:
        found = packed.predict(self.X_select)
        return float(np.average(found == self.classes[self.select.y], weights=self.select.weight))


def moves_from(
    now: Candidate, plan: PruningPlan, samples: Split, packing: Packing, budget: int
) -> list[Candidate]:
    """Try every move; those are returned that make the file smaller.

    Parameters
    ----------
    now : Candidate
    plan : PruningPlan
    samples : Split
    packing : Packing
    budget : int
        Cuts go no further than it asks for.
    """
    data, random = samples.data, copy_generator(samples.scoring_random)
    cut: list[Candidate] = []
    for move, what, criterion in _cuts(plan):
        names = [name for name in what.names(now.model) if (name == INPUTS) is (move == "inputs")]
        scores = what.score(now.model, criterion, data.score, random, names)
        removal = _Removal(now, move, what, scores, criterion.prune_high, plan, data.score)
        if (smaller := removal.smaller(packing, budget)) is not None:
            cut.append(smaller)
    # Side by side.
    trained = DenseModel.train_together([move.model for move in cut], [data] * len(cut))
    moves = [
        replace(move, model=model, n_epochs=n_epochs)
        for move, (model, n_epochs) in zip(cut, trained, strict=True)
    ]
    own = 8 * now.model.network.dtype.itemsize
    others = [bits for bits in dict.fromkeys((own, *_BITS)) if bits != now.bits]
    moves += [replace(now, move="bits", bits=bits, n_epochs=0) for bits in others]
    return [move for move in map(packing.rate, moves) if move.n_bytes < now.n_bytes]


def _cuts(plan: PruningPlan) -> list[tuple[str, Granularity, Criterion]]:
    """Say what can be cut, and by which criterion: not each has a value for inputs and weights."""
    units, connections = GRANULARITIES["unit"], GRANULARITIES["connection"]
    return [
        ("units", units, plan.criterion),
        ("inputs", units, Taylor()),
        ("connections", connections, Taylor()),
    ]


@dataclass(frozen=True, eq=False)
class _Removal:
    """How some of a few groups would go: the most redundant of each, the same share of all."""

    now: Candidate
    move: str
    what: Granularity
    scores: Mapping[str, np.ndarray]
    prune_high: bool
    plan: PruningPlan
    samples: Samples

    def smaller(self, packing: Packing, budget: int) -> Candidate | None:
        """Take a fifth, or more where that saves no byte; and less where that is enough."""
        for share in _SHARES:
            model = self._cut(share)
            n_bytes = packing.weigh(model, self.now.bits)
            if n_bytes >= self.now.n_bytes:
                continue
            for part in _PARTS if n_bytes <= budget else ():
                less = self._cut(share * part)
                if packing.weigh(less, self.now.bits) <= budget:
                    model = less
                    break
            return replace(self.now, move=self.move, model=model)
        return None

    def _cut(self, share: float) -> DenseModel:
        model = self.now.model
        # Making up for a unit gives weights to connections that are gone.
        compensation = None if model.settings.zeros_stay else self.plan.compensation
        there = dict(zip(self.what.names(model), self.what.support(model), strict=True))
        for name, scores in self.scores.items():
            count = int(np.ceil(share * scores.size - 1e-9))
            how = {"prune_high": self.prune_high, "min_units": self.plan.min_units}
            keep = Count(count).decide(scores, **how).keep
            if not keep.all():
                support = there[name].copy()
                support[support] = keep
                change = self.what.change(name, keep, support, None)
                model = model.apply(change, compensation, self.samples)
        return model


def least_bytes(packing: Packing, min_units: int, n_layers: int, X: np.ndarray) -> int:
    """Return what the smallest file of a compression may take.

    Parameters
    ----------
    packing : Packing
    min_units : int
        Of each hidden layer, and of the inputs.
    n_layers : int
        Hidden ones.
    X : ndarray of shape (n_samples, n_features)
        What the steps give.
    """
    # Integers cannot be calibrated by a column that never changes, as hull quotients may have.
    inputs = np.zeros(X.shape[1], dtype=bool)
    inputs[np.argsort(-np.ptp(X, axis=0))[:min_units]] = True
    n_inputs = int(inputs.sum())
    random, sizes = np.random.RandomState(0), (min_units,) * n_layers
    network = DenseNetwork(
        tuple(
            random.normal(size=shape).astype(np.float32)
            for shape in pairwise((n_inputs, *sizes, len(packing.classes)))
        ),
        tuple(np.zeros(n, dtype=np.float32) for n in (*sizes, len(packing.classes))),
        ("relu",) * n_layers,
    )
    return _SPREAD + min(len(file_content(packing.pack(network, inputs, bits))) for bits in _BITS)


def _as_float32(network: DenseNetwork) -> DenseNetwork:
    weights, biases = (
        tuple(array.astype(np.float32) for array in arrays)
        for arrays in (network.weights, network.biases)
    )
    return replace(network, weights=weights, biases=biases)
