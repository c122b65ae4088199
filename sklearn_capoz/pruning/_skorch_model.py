"""A skorch net that can be pruned, if its module is a chain."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace

import numpy as np
import torch
from sklearn.utils import assert_all_finite
from skorch import NeuralNetClassifier

from ..criteria import Layer
from ..exceptions import UnsupportedNetworkError
from ..networks._chain import Chain, HiddenLayer, trace_chain
from ..networks._groups import UnitGroup
from ..networks._recording import Recorder
from ..networks._surgery import cut_module
from ..training._engine import TrainingSettings
from ..training._optimizer_surgery import rebuild_optimizer
from ..training._samples import PruningData, Samples
from ..training._skorch_loop import train_with_skorch
from ..training._skorch_net import copy_net
from ._changes import Change, find_group
from ._compensation import fold
from ._model import ModelSize, copy_generator

__all__ = ["SkorchModel", "SkorchPredictor"]


@dataclass(frozen=True, eq=False)
class SkorchModel:
    """A skorch net under pruning; the fields are those of `DenseModel`.

    Parameters
    ----------
    net : NeuralNetClassifier
        Initialised; never changed, retraining goes on with a copy.
    settings : TrainingSettings
        Of the retraining.
    random_state : RandomState
        Retraining goes on with a copy of it.
    teacher : ndarray of shape (n_train, n_classes) or None
        Logarithms of the dense network's probabilities on the training samples.
    chain : Chain, optional
        What its module is made of; traced when not given, and kept through all cuts.
    """

    net: NeuralNetClassifier
    settings: TrainingSettings
    random_state: np.random.RandomState
    teacher: np.ndarray | None = None

    chain: Chain = None  # type: ignore[assignment]

    def __post_init__(self):
        if self.chain is None:
            vars(self)["chain"] = trace_chain(self.net.module_)  # the class is frozen

    @property
    def groups(self) -> tuple[UnitGroup, ...]:
        """A group for each hidden layer, called after the layer that makes its units."""
        return self.chain.trace.groups

    @property
    def widths(self) -> tuple[int, ...]:
        return tuple(group.n_units for group in self.groups)

    @property
    def n_features(self) -> int:
        return self.chain.trace.n_features

    @property
    def size(self) -> ModelSize:
        """Bytes are those of parameters and of batch norm's running statistics."""
        module = self.net.module_
        linear = [link.module for link in self.chain.links if link.kind == "linear"]
        return ModelSize(
            sum(parameter.numel() for parameter in module.parameters()),
            sum(t.numel() * t.element_size() for t in module.state_dict().values()),
            sum(self._linear(name).weight.numel() for name in linear),
        )

    def configured(self, settings: TrainingSettings, teacher: np.ndarray | None) -> SkorchModel:
        return replace(self, settings=settings, teacher=teacher)

    def labels(self, X: np.ndarray) -> np.ndarray:
        return self.logits(X).argmax(axis=1)

    @property
    def loss_curve(self) -> tuple[float, ...]:
        return tuple(self.net.history[:, "train_loss"])

    def logits(self, X: np.ndarray) -> np.ndarray:
        """Logarithms of the probabilities, whatever the module's output is."""
        with torch.no_grad():
            return _array(self._run(X))

    def observe(
        self, samples: Samples, needs: frozenset[str], random_state: np.random.RandomState
    ) -> dict[str, Layer]:
        """View every hidden layer, after one forward pass (and one backward, if asked for)."""
        activations: list = [None] * len(self.chain.hidden)
        by_unit: Sequence = activations
        correct = None
        if needs:
            with torch.set_grad_enabled("gradients" in needs):
                calls = [hidden.activation_call for hidden in self.chain.hidden]
                recorder = Recorder(values=calls)
                log_probabilities = self._run(samples.X, recorder)
                activations = [recorder.values[call] for call in calls]
                if "gradients" in needs:
                    y = torch.as_tensor(samples.y, device=log_probabilities.device)
                    # Samples do not meet in eval mode: the sum's gradient has each sample's own.
                    loss = torch.nn.functional.nll_loss(log_probabilities, y, reduction="sum")
                    by_unit = torch.autograd.grad(loss, activations)
            correct = _array(log_probabilities).argmax(axis=1) == samples.y
        return {
            hidden.producer: Layer(
                activations=_one_position(value) if "activations" in needs else None,
                activation=hidden.activation,
                correct=correct,
                y=samples.y,
                sample_weight=samples.weight,
                incoming=_array(self._linear(hidden.producer).weight),
                outgoing=_array(self._linear(hidden.consumer).weight).T[:, None, :],
                random_state=random_state,
                gradients=_one_position(gradient),
            )
            for hidden, value, gradient in zip(self.chain.hidden, activations, by_unit, strict=True)
        }

    def apply(self, change: Change, compensation: str | None, samples: Samples) -> SkorchModel:
        """Remove units of one hidden layer, and let the next layer make up for them."""
        layer, keep = find_group(self.groups, change), change.keep
        module, kept = cut_module(self.net.module_, self.chain.places(layer), keep)
        if compensation is not None:
            self._compensate(module, self.chain.hidden[layer], keep, compensation, samples)
        net = rebuild_optimizer(self.net, module, kept)
        return replace(self, net=net, chain=self.chain.cut(layer, keep))

    def _compensate(
        self,
        module: torch.nn.Module,
        hidden: HiddenLayer,
        keep: np.ndarray,
        compensation: str,
        samples: Samples,
    ) -> None:
        """Fold into the next layer of a cut module what the units contributed."""
        old, new = self._linear(hidden.consumer), module.get_submodule(hidden.consumer)
        assert isinstance(new, torch.nn.Linear)
        if old.bias is None:
            raise UnsupportedNetworkError(
                f"compensation={compensation!r} needs a bias in the layer after the cut units, and "
                f"{hidden.consumer!r} has none; give it one, or take compensation=None."
            )
        recorder = Recorder(inputs=[hidden.consumer_call])
        with torch.no_grad():
            self._run(samples.X, recorder)
        inputs = _array(recorder.inputs[hidden.consumer_call])
        weight, bias = _array(old.weight).T, _array(old.bias)
        weight, bias = fold(inputs, keep, weight, bias, samples.weight, compensation)
        with torch.no_grad():
            new.weight.copy_(torch.from_numpy(weight.T.copy()))
            new.bias.copy_(torch.from_numpy(bias))

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
        n_epochs = train_with_skorch(
            net,
            _for_module(data.train.X, net.module_),
            data.train.y,
            self.settings,
            sample_weight=None if np.all(data.train.weight == 1) else data.train.weight,
            X_val=None if watched is None else _for_module(watched.X, net.module_),
            y_val=None if watched is None else watched.y,
            sample_weight_val=None if watched is None else watched.weight,
            teacher=self.teacher,
            random_state=random_state,
        )
        return replace(self, net=net, random_state=random_state), n_epochs

    def _linear(self, name: str) -> torch.nn.Linear:
        module = self.net.module_.get_submodule(name)
        assert isinstance(module, torch.nn.Linear)
        return module

    def _run(self, X: np.ndarray, recorder: Recorder | None = None) -> torch.Tensor:
        """Log-probabilities in evaluation mode; a recorder keeps what it was made for."""
        module = self.net.module_
        training = module.training
        inputs = torch.as_tensor(_for_module(X, module), device=self.net.device)
        module.eval()
        try:
            with recorder or nullcontext():
                output = module(inputs)
        finally:
            module.train(training)
        if self.chain.links[-1].kind == "softmax":
            return output.clamp_min(torch.finfo(output.dtype).tiny).log()
        return output.log_softmax(dim=1)


class SkorchPredictor:
    """Labels and probabilities of a net whose activations the compiled form does not know.

    Parameters
    ----------
    net : NeuralNetClassifier
    """

    def __init__(self, net: NeuralNetClassifier):
        self.net = net

    def labels(self, X: np.ndarray, classes: np.ndarray) -> np.ndarray:
        return classes.take(self.probabilities(X).argmax(axis=1))

    def probabilities(self, X: np.ndarray) -> np.ndarray:
        assert_all_finite(X, input_name="X")
        with torch.random.fork_rng():  # skorch's DataLoader draws a seed
            return self.net.predict_proba(_for_module(X, self.net.module_))


def _for_module(X: np.ndarray, module: torch.nn.Module) -> np.ndarray:
    """Bring data into the module's precision, which a trained net or X_val need not share."""
    dtype = _array(next(module.parameters())).dtype
    return X.astype(dtype, copy=not X.flags.writeable)  # torch warns of read-only memory


def _one_position(values: torch.Tensor | None) -> np.ndarray | None:
    """View the values of a dense layer's units, which are channels of one position."""
    return None if values is None else _array(values)[:, None, :]


def _array(tensor: torch.Tensor) -> np.ndarray:
    return tensor.detach().cpu().numpy()
