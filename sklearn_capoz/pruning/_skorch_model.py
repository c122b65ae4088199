"""A skorch net that can be pruned: any module whose units can be followed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from copy import deepcopy
from dataclasses import dataclass, replace
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
import torch
from sklearn.utils import assert_all_finite
from skorch import NeuralNetClassifier

from ..criteria import Connections, Layer
from ..exceptions import UnsupportedNetworkError
from ..networks._connections import set_weights
from ..networks._groups import UnitGroup
from ..networks._inputs import (
    describe_shape,
    leaves,
    map_inputs,
    n_rows,
    run_module,
    sample_shape,
    take,
)
from ..networks._labels import OUTPUTS
from ..networks._layers import CONVOLUTIONS, TRANSPOSED
from ..networks._recording import Recorder
from ..networks._surgery import cut_module
from ..networks._tracing import OTHER_CALLS, Trace, trace_shape, trace_table
from ..networks._work import multiply_adds
from ..training._engine import TrainingSettings
from ..training._optimizer_surgery import rebuild_optimizer
from ..training._pause import Pause
from ..training._samples import PruningData, Samples
from ..training._side_loss import side_criterion
from ..training._skorch_loop import train_with_skorch
from ..training._skorch_net import copy_net
from ._changes import Change, Mask, find_group, find_weights
from ._model import LayerWeights, ModelSize, copy_generator
from ._skorch_compensation import compensate
from ._skorch_connections import layer_weights, view_connections
from ._skorch_layers import batches_of, join_layers, pick_positions, view_layers

__all__ = ["SkorchModel", "SkorchPredictor", "has_convolutions", "trace_net"]

#: What was traced of modules that training and surgery made, for as long as they live: nobody
#: changes those, where a user may do what he likes to his own.
_TRACES: WeakKeyDictionary[torch.nn.Module, Trace] = WeakKeyDictionary()


@dataclass(frozen=True, eq=False)
class SkorchModel:
    """A skorch net under pruning; the fields are those of `DenseModel`.

    Parameters
    ----------
    net : NeuralNetClassifier
        Initialised; never changed, retraining goes on with a copy. Its `input_shape_` is the shape
        of a sample; without it, samples are rows of a table.
    settings : TrainingSettings
        Of the retraining.
    random_state : RandomState
        Retraining goes on with a copy of it.
    teacher : ndarray of shape (n_train, n_classes) or None
        Logarithms of the teacher's probabilities on the training samples.
    trace : Trace, optional
        What its module does; traced when not given, and kept through all cuts.
    begun : Pause or None
        Where its training has paused, to go on.
    """

    net: NeuralNetClassifier
    settings: TrainingSettings
    random_state: np.random.RandomState
    teacher: np.ndarray | None = None

    trace: Trace = None  # type: ignore[assignment]
    begun: Pause | None = None

    def __post_init__(self):
        if self.trace is None:
            vars(self)["trace"] = trace_net(self.net)  # the class is frozen

    @property
    def groups(self) -> tuple[UnitGroup, ...]:
        """A group for units that go together, called after the first layer that makes them."""
        return self.trace.groups

    @property
    def widths(self) -> tuple[int, ...]:
        return tuple(group.n_units for group in self.groups)

    @property
    def no_units(self) -> str:
        """Say why there are none that could go, of a module that has no group of several."""
        if self.widths:
            return (
                f"{type(self.net.module_).__name__} has no units that could go: each of its layers "
                "makes a single one, and one stays."
            )
        whole = "; ".join(f"{name!r}, as {why}" for name, why in self.trace.kept_whole.items())
        return f"{type(self.net.module_).__name__} has no units that could go: " + (
            f"those of {whole}." if whole else "it has no Linear and no convolution."
        )

    @property
    def kept_whole(self) -> dict[str, str]:
        """Layers of which no unit can go, but for the last one, and why."""
        return {name: why for name, why in self.trace.kept_whole.items() if why != OUTPUTS}

    @property
    def n_features(self) -> int | None:
        return self.trace.n_features

    @property
    def size(self) -> ModelSize:
        """Bytes are those of parameters and of batch norm's running statistics."""
        module = self.net.module_
        return ModelSize(
            sum(parameter.numel() for parameter in module.parameters()),
            sum(t.numel() * t.element_size() for t in module.state_dict().values()),
            self.multiply_adds(self.widths),
        )

    def multiply_adds(self, widths: Sequence[int]) -> int:
        names = [group.name for group in self.groups]
        by_name = dict(zip(names, widths, strict=True))
        return multiply_adds(self.net.module_, self.trace.work, self.trace.places, by_name)

    def configured(self, settings: TrainingSettings, teacher: np.ndarray | None) -> SkorchModel:
        if settings.distillation > 0:
            side_criterion(self.net, settings)  # raises where the loss has no room for a teacher
        return replace(self, settings=settings, teacher=teacher, begun=None)

    def until(self, epoch: int | None) -> SkorchModel:
        return replace(self, settings=replace(self.settings, pause_at=epoch))

    def labels(self, X: np.ndarray) -> np.ndarray:
        return self.logits(X).argmax(axis=1)

    @property
    def loss_curve(self) -> tuple[float, ...]:
        return tuple(self.net.history[:, "train_loss"])

    def logits(self, X: Any) -> np.ndarray:
        """Logarithms of the probabilities, whatever the module's output is."""
        batches = batches_of(n_rows(X), self.trace.n_values)
        with torch.no_grad(), _evaluating(self.net.module_):
            parts = [_array(self._run(take(X, rows))) for rows in batches]
        return parts[0] if len(parts) == 1 else np.concatenate(parts)

    def observe(
        self, samples: Samples, needs: frozenset[str], random_state: np.random.RandomState
    ) -> dict[str, Layer]:
        """View every group on all samples; of many positions, on some."""
        seed = 0
        if len(samples.y) > 1 and random_state is not None and needs:
            seed = copy_generator(random_state).randint(2**31 - 1)
        n_samples = len(samples.y)
        return join_layers(
            [
                {name: pick_positions(layer, n_samples, seed) for name, layer in batch.items()}
                for batch in self.stream(samples, needs, random_state)
            ]
        )

    def stream(
        self, samples: Samples, needs: frozenset[str], random_state: np.random.RandomState
    ) -> Iterator[dict[str, Layer]]:
        """View every group batch by batch, after a forward pass each, and one back if asked for."""
        module = self.net.module_
        with _evaluating(module):
            yield from view_layers(module, self.trace, self._run, samples, needs, random_state)

    @property
    def connections(self) -> dict[str, LayerWeights]:
        """Weights of every Linear and convolution, in torch's own shapes."""
        return layer_weights(self.net.module_, self.trace)

    def observe_connections(
        self, samples: Samples, needs: frozenset[str], random_state: np.random.RandomState
    ) -> dict[str, Connections]:
        """View the weights of every layer; samples are seen batch by batch."""
        module, asked = self.net.module_, (samples, needs, random_state)
        with _evaluating(module):
            return view_connections(module, self.trace, self._run, *asked)

    def apply(self, change: Change, compensation: str | None, samples: Samples) -> SkorchModel:
        """Mask weights; or remove units of one group, and let their users make up for them."""
        begun = None if self.begun is None else self.begun.after_cut()
        if isinstance(change, Mask):
            return replace(self._masked(change), begun=begun)._known()
        position, keep = find_group(self.groups, change), change.keep
        group = self.groups[position].name
        module, kept = cut_module(self.net.module_, self.trace.places[group], keep)
        trace = self.trace.cut(group, keep)
        if compensation is not None:
            old = self.net.module_, self.trace, self._run
            seed = 0
            if self.random_state is not None:
                seed = copy_generator(self.random_state).randint(2**31 - 1)
            compensate(*old, module, trace, group, keep, compensation, samples, seed)
        net = rebuild_optimizer(self.net, module, kept)
        return replace(self, net=net, trace=trace, begun=begun)._known()

    def _masked(self, change: Mask) -> SkorchModel:
        old = find_weights({name: own.weights for name, own in self.connections.items()}, change)
        module = deepcopy(self.net.module_)
        set_weights(module.get_submodule(change.layer), change.masked(old))
        settings = replace(self.settings, zeros_stay=True, surgery=change.surgery)
        return replace(self, net=rebuild_optimizer(self.net, module, {}), settings=settings)

    @classmethod
    def train_together(
        cls, models: Sequence[SkorchModel], data: Sequence[PruningData]
    ) -> list[tuple[SkorchModel, int]]:
        """Train nets one after the other, each in skorch's own loop."""
        return [
            model.retrained(part) if model.settings.max_iter > 0 else (model, 0)
            for model, part in zip(models, data, strict=True)
        ]

    def retrained(self, data: PruningData) -> tuple[SkorchModel, int]:
        """Train a copy of the net; return it with the number of epochs it took."""
        net, random_state = copy_net(self.net), copy_generator(self.random_state)
        watched = data.score if self.settings.early_stopping else None
        n_epochs, paused = train_with_skorch(
            net,
            for_module(data.train.X, net.module_),
            data.train.y,
            self.settings,
            sample_weight=None if np.all(data.train.weight == 1) else data.train.weight,
            X_val=None if watched is None else for_module(watched.X, net.module_),
            y_val=None if watched is None else watched.y,
            sample_weight_val=None if watched is None else watched.weight,
            teacher=self.teacher,
            random_state=random_state,
            begun=self.begun,
        )
        trained = replace(self, net=net, random_state=random_state, begun=paused)
        return trained._known(), n_epochs

    def _known(self) -> SkorchModel:
        """Note what its module does, which is a new one."""
        _TRACES[self.net.module_] = self.trace
        return self

    def _run(self, X: Any, recorder: Recorder | None = None) -> torch.Tensor:
        """Log-probabilities in evaluation mode; a recorder keeps what it was made for."""
        module, device = self.net.module_, self.net.device
        inputs = map_inputs(
            lambda part: torch.as_tensor(part, device=device), for_module(X, module)
        )
        with _evaluating(module), recorder or nullcontext():
            output = run_module(module, inputs)
        if recorder is not None and recorder.n_calls != self.trace.n_calls:
            name = type(module).__name__
            raise UnsupportedNetworkError(OTHER_CALLS.format(name=name, n_samples=n_rows(X)))
        if self.trace.ending == "softmax":
            return output.clamp_min(torch.finfo(output.dtype).tiny).log()
        return output.log_softmax(dim=1)


@contextmanager
def _evaluating(module: torch.nn.Module) -> Iterator[None]:
    """Let a module predict, and bring it back to training if it was.

    Around all batches: to set the mode of every layer takes a while beside a small one. What is in
    evaluation already is left alone.
    """
    some_train, training = any(part.training for part in module.modules()), module.training
    if some_train:
        module.eval()
    try:
        yield
    finally:
        if some_train:
            module.train(training)


def trace_net(net: NeuralNetClassifier) -> Trace:
    """Trace a net's module, unless that is done already.

    Raises
    ------
    UnsupportedNetworkError
        Naming the layer that does what cannot be followed, and the reason.
    """
    module = net.module_
    if module in _TRACES:
        return _TRACES[module]
    shape = getattr(net, "input_shape_", None)
    if shape is not None:
        return trace_shape(module, shape)
    return trace_table(module, getattr(net, "n_features_in_", None))


def has_convolutions(module: torch.nn.Module) -> bool:
    """Whether a module convolves, for which torch has no fast double precision."""
    return any(isinstance(part, (*CONVOLUTIONS, *TRANSPOSED)) for part in module.modules())


class SkorchPredictor:
    """Labels and probabilities of a net that has no compiled form.

    Parameters
    ----------
    net : NeuralNetClassifier
    """

    #: Samples may have any number of axes.
    allow_nd = True

    def __init__(self, net: NeuralNetClassifier):
        self.net = net

    def labels(self, X: Any, classes: np.ndarray) -> np.ndarray:
        return classes.take(self.probabilities(X).argmax(axis=1))

    def probabilities(self, X: Any) -> np.ndarray:
        for part in leaves(X):
            assert_all_finite(part, input_name="X")
        check_shape(X, getattr(self.net, "input_shape_", None), "X")
        with torch.random.fork_rng():  # skorch's DataLoader draws a seed
            return self.net.predict_proba(for_module(X, self.net.module_))


def check_shape(X: Any, shape: Any, name: str) -> None:
    """Raise ValueError where samples have another shape than those that a net is trained on."""
    if shape is not None and sample_shape(X) != shape:
        raise ValueError(
            f"{name} holds samples of shape {describe_shape(sample_shape(X))}, and the network "
            f"takes {describe_shape(shape)}."
        )


def for_module(X: Any, module: torch.nn.Module) -> Any:
    """Bring data into the module's precision, which a trained net or X_val need not share."""
    precision = next(module.parameters()).dtype
    if precision not in {torch.float32, torch.float64}:
        raise UnsupportedNetworkError(
            f"{type(module).__name__} holds its weights in {precision}, too coarse for scores and "
            "least squares; give it in torch.float32. Coarser numbers in training alone are "
            "torch.autocast's in its forward, or mixed_precision=True of a PrunedCNNClassifier."
        )
    dtype = torch.empty(0, dtype=precision).numpy().dtype

    def brought(part: np.ndarray) -> np.ndarray:
        # torch warns of read-only memory, and takes none that is walked backwards.
        is_taken = part.flags.writeable and min(part.strides, default=0) >= 0
        return np.array(part, dtype, order="C") if not is_taken else part.astype(dtype, copy=False)

    return map_inputs(brought, X)


def _array(tensor: torch.Tensor) -> np.ndarray:
    return tensor.detach().cpu().numpy()
