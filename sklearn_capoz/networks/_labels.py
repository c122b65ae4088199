"""Running a torch module on labels: which unit each number of a network comes from.

Every Linear and convolution gives its outputs fresh labels, one per unit. Whatever only moves
numbers (view, permute, cat, slices) is done to the labels as it is to the numbers; whatever
joins two tensors number by number ties their labels; whoever has weights for its inputs reads
off whose they are. So a shape operation needs no rule of its own, and none can be forgotten:
units that meet what is not known here stay, all of them, and what comes out is no unit's.

Functions are seen by a TorchFunctionMode. It is on for one thread and for the time of one
forward pass; torch itself stays as it is. torch.fx and torch.export exchange `Module.__call__`
for the whole process while they trace, which breaks networks that run in other threads.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, NoReturn

import numpy as np
import torch
from torch import nn
from torch.overrides import TorchFunctionMode

from ..exceptions import UnsupportedNetworkError
from ._functions import LOOKS_AT_VALUES, WHY
from ._inputs import describe_shape, leaves, run_module, sample_shape
from ._label_rules import RULES, SAMPLE, Call, Unfollowed, tensors_in

__all__ = ["OUTPUTS", "LabelTracer", "NoDropout", "Operation", "Reading", "follow"]


#: Why those units stay that nobody expects to go.
OUTPUTS = "they are the network's outputs"


@dataclass(frozen=True)
class Operation:
    """One function call on the way from the input to the output.

    Parameters
    ----------
    call : int
        Which of the forward's calls of torch functions, from 0: the same in every run.
    function : str
        Its name.
    kind : str
        "linear", "conv", "norm", an activation, "softmax", "log_softmax", "skip" (dropout), "shape"
        where the numbers stay as they are, or "other".
    module : str
        Name of the module whose forward made the call.
    inputs : tuple of int
        Positions of the operations whose values went in, -1 for the network's input.
    keeps_shape : bool
        Whether the value is of the shape of what went in.
    is_random : bool
        Whether it draws numbers in evaluation mode too.
    """

    call: int
    function: str
    kind: str
    module: str
    inputs: tuple[int, ...]
    keeps_shape: bool
    is_random: bool = False

    @property
    def has_weights(self) -> bool:
        """Whether it is a layer whose inputs have weights."""
        return self.kind in {"linear", "conv"}


@dataclass(frozen=True, eq=False)
class Reading:
    """What a module found along one of its axes: the label of each entry, 0 for no unit's."""

    module: str
    axis: Literal["out", "in"]
    labels: np.ndarray


class LabelTracer(TorchFunctionMode):
    """Follows the units of a module while it runs once on two samples.

    Parameters
    ----------
    module : torch.nn.Module
        A copy of the tracer's own, in evaluation mode: it gets hooks.
    """

    def __init__(self, module: nn.Module):
        super().__init__()
        self.module = module
        self.n_labels = 1  # 0 is what no unit makes: inputs and constants
        self.operations: list[Operation] = []
        self.readings: list[Reading] = []
        #: Module -> labels of its outputs.
        self.made: dict[str, np.ndarray] = {}
        #: Pairs of labels that are one unit.
        self.ties: list[np.ndarray] = []
        #: Labels that must all stay, and why.
        self.pins: list[tuple[np.ndarray, str]] = []
        #: Labels behind an activation, and the position of the operation.
        self.activated: list[tuple[np.ndarray, int]] = []
        #: Runs of layers with weights: the module, and of each use of a weight whose unit's it is.
        self.work: list[tuple[str, np.ndarray]] = []
        #: Of each operation, the labels of what it gave, the tensor, and its version then.
        self.given: list[tuple[torch.Tensor, torch.Tensor, int]] = []
        #: Of each operation with weights, the labels of what it was given.
        self.taken: dict[int, torch.Tensor] = {}
        #: Kept, as torch turns a TypeError inside of an operator into another one.
        self.refusal: UnsupportedNetworkError | None = None
        self._known: dict[int, tuple[torch.Tensor, torch.Tensor, int]] = {}
        #: Calls of torch functions so far.
        self.n_calls = 0
        self._running: list[tuple[str, nn.Module]] = []
        for name, part in module.named_modules():
            part.register_forward_pre_hook(self._enter(name), prepend=True)
            part.register_forward_hook(self._leave, always_call=True)

    def run(self, samples: Any) -> tuple[Any, int]:
        """Run the module on two samples, and pin the units of its output.

        Returns what it gives, and which operation gave it: -1 where none did.
        """
        for tensor in leaves(samples):
            self._learn(tensor, torch.zeros_like(tensor, dtype=torch.int64), -1)
        with torch.no_grad(), self:
            output = run_module(self.module, samples)
        last = -1
        for tensor in tensors_in(output):
            labels = self.labels(tensor)
            if labels is not None:
                self.pin(labels, OUTPUTS)
                last = self._known[id(tensor)][2]
        return output, last

    def __torch_function__(self, func, types, args=(), kwargs=None):
        """See one call: run it, and label what comes out."""
        kwargs = kwargs or {}
        name, number = call_name(func), self.n_calls
        self.n_calls += 1
        given = [t for t in tensors_in((args, kwargs)) if id(t) in self._known]
        if not given:
            return func(*args, **kwargs)
        # In evaluation mode it does nothing, and here it must draw no number.
        value = given[0] if "dropout" in name else func(*args, **kwargs)
        call = Call(func, name, args, kwargs, value, number)
        if name == "setitem":  # it gives nothing, and changes what it is called with
            call.value = args[0]
        elif next(tensors_in(value), None) is None:
            if name in LOOKS_AT_VALUES:
                self.refuse_values(name)
            return value  # a shape or a type
        try:
            if name not in RULES:
                raise Unfollowed(WHY.get(name, "it is not known what that does to them"))
            labels = RULES[name](self, call)
        except Unfollowed as reason:
            labels = self._hold(call, given, str(reason))
        self._note(call, given, labels)
        return value

    def labels(self, tensor: torch.Tensor) -> torch.Tensor | None:
        """Label of each number, or None for a tensor that does not come from the input."""
        known = self._known.get(id(tensor))
        return None if known is None else known[1]

    @property
    def running(self) -> tuple[str, nn.Module]:
        """Name of the innermost module that runs, and the module."""
        return self._running[-1]

    def make(self, module: str, n_units: int) -> np.ndarray:
        """Give a module's units their labels, the same each time that it runs."""
        if module not in self.made:
            self.made[module] = np.arange(self.n_labels, self.n_labels + n_units)
            self.n_labels += n_units
        self.readings.append(Reading(module, "out", self.made[module]))
        return self.made[module]

    def read(self, axis: Literal["out", "in"], labels: np.ndarray) -> None:
        """Note whose units the running module has along one of its axes."""
        for earlier in self.readings:
            if (earlier.module, earlier.axis) == (self.running[0], axis):
                # It has run before: one column of its weights serves the units of both runs.
                self._join(
                    np.stack([earlier.labels, labels]),
                    f"{self.running[0]!r} takes in their place, when it runs again, numbers that "
                    "no unit makes",
                )
        self.readings.append(Reading(self.running[0], axis, labels))

    def tie(self, function: str, first: torch.Tensor, second: torch.Tensor) -> None:
        """Note that of two tensors of labels, which a function joins, each pair is one unit."""
        pairs = torch.stack([first, second]).reshape(2, -1).cpu().numpy()
        both = pairs[:, (pairs > 0).all(axis=0)]
        if (both[0] // SAMPLE != both[1] // SAMPLE).any():
            self.refuse("", "samples of a batch meet in it")
        units, others = pairs % SAMPLE
        codes = np.unique(units * self.n_labels + others)  # of numbers, which are sorted faster
        self._join(
            np.stack(np.divmod(codes, self.n_labels)),
            f"{self.where} runs {function}(), which joins them with numbers that no unit makes",
        )

    def _join(self, pairs: np.ndarray, why_not: str) -> None:
        are_units = pairs > 0
        self.ties.append(pairs[:, are_units.all(axis=0)])
        alone = pairs[:, are_units.sum(axis=0) == 1].sum(axis=0)
        if alone.size:
            self.pins.append((alone, why_not))

    def pin(self, labels: torch.Tensor, why: str) -> None:
        """Note that units must stay, all of them."""
        found = np.unique(labels.cpu().numpy() % SAMPLE)
        if found.any():
            self.pins.append((found[found > 0], why))

    def _hold(self, call: Call, given: list[torch.Tensor], why: str) -> list[torch.Tensor]:
        """Let the units stay that a call was given; what it gives is then no unit's."""
        for tensor in given:
            self.pin(self._known[id(tensor)][1], f"{self.where} runs {call.name}(), and {why}")
        return [torch.zeros_like(tensor, dtype=torch.int64) for tensor in tensors_in(call.value)]

    @property
    def where(self) -> str:
        """What runs, in words."""
        name, part = self.running
        return f"{type(part).__name__} {name!r}" if name else type(part).__name__

    def refuse(self, function: str, why: str) -> NoReturn:
        """Raise, naming the layer."""
        what = f"{function}() on its units" if function else "what it does"
        self._raise(f"cannot be pruned: {self.where} runs {what}, and {why}.")

    def refuse_values(self, name: str) -> NoReturn:
        """Raise, as the next run may take another way."""
        self._raise(
            f"cannot be traced: {name}() looks at the values of the data. Its forward must run the "
            "same operations whatever the data."
        )

    def _raise(self, what: str) -> NoReturn:
        self.refusal = UnsupportedNetworkError(f"{type(self.module).__name__} {what}")
        raise self.refusal

    def _note(self, call: Call, given: list[torch.Tensor], labels) -> None:
        values = list(tensors_in(call.value))
        labels = [labels] if isinstance(labels, torch.Tensor) else list(labels)
        position = len(self.operations)
        inputs = tuple(dict.fromkeys(self._known[id(t)][2] for t in given))
        keeps_shape = values[0].shape == given[0].shape
        self.operations.append(
            Operation(
                *(call.number, call.name, call.kind, self.running[0], inputs, keeps_shape),
                call.is_random,
            )
        )
        self.given.append((labels[0], values[0], values[0]._version))
        if self.operations[-1].has_weights:
            self.taken[position] = self._known[id(call.args[0])][1]
        for value, own in zip(values, labels, strict=True):
            self._learn(value, own, position)

    def _learn(self, value: torch.Tensor, labels: torch.Tensor, position: int) -> None:
        # The tensor is held, or its id could be another's later.
        self._known[id(value)] = (value, labels.contiguous(), position)

    def _enter(self, name: str):
        def enter(part, args):
            self._running.append((name, part))

        return enter

    def _leave(self, part, args, output):
        self._running.pop()


def follow(module: nn.Module, samples: Any) -> tuple[LabelTracer, Any, int]:
    """Run a module on labels.

    Parameters
    ----------
    module : Module
        The caller's copy: it gets hooks.
    samples : tensor of shape (2, ...), or dict or tuple of these

    Returns
    -------
    tracer : LabelTracer
        With all that it has seen.
    output : Tensor
    last : int
        Which operation gave it, -1 where none did.

    Raises
    ------
    UnsupportedNetworkError
    """
    tracer = LabelTracer(module.eval())
    try:
        return tracer, *tracer.run(samples)
    except Exception as error:
        if tracer.refusal is not None:
            raise tracer.refusal from None
        raise UnsupportedNetworkError(
            f"{type(module).__name__} cannot be traced: it fails on 2 samples of shape "
            f"{describe_shape(sample_shape(samples))} in evaluation mode ({error})."
        ) from error


class NoDropout(TorchFunctionMode):
    """Leaves dropout out, which in evaluation mode too may be asked to draw numbers."""

    def __torch_function__(self, func, types, args=(), kwargs=None):
        """Run one call."""
        if "dropout" in call_name(func):
            return args[0]
        return func(*args, **(kwargs or {}))


def call_name(function: Any) -> str:
    """Name of a torch function, alike for `torch.relu`, `x.relu_()`, and `x + y`, `x.add(y)`."""
    name = getattr(function, "__name__", str(function))
    if name == "__get__":  # a property: x.shape, x.T
        name = function.__self__.__name__
    return name.strip("_")
