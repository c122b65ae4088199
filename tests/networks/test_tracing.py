"""trace_chain: what it reads of a module, and what it refuses."""

import copy

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils import prune

from sklearn_capoz.exceptions import UnsupportedNetworkError
from sklearn_capoz.networks import trace_chain


class Nested(nn.Module):
    """Blocks inside blocks, activations as functions and methods, input flattened and cast."""

    def __init__(self):
        super().__init__()
        self.body = nn.ModuleDict({"a": nn.Linear(6, 5), "b": nn.Linear(5, 4, bias=False)})
        self.norm = nn.BatchNorm1d(5)
        self.tail = nn.Sequential(nn.Dropout(0.1), nn.Sequential(nn.Linear(4, 3)))

    def forward(self, X):
        X = X.flatten(1).float()
        X = F.dropout(torch.tanh(self.norm(self.body["a"](X))), 0.2, self.training)
        return self.tail(self.body["b"](X).sigmoid())


class Skip(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.middle, self.last = nn.Linear(4, 4), nn.Linear(4, 4), nn.Linear(4, 2)

    def forward(self, X):
        X = torch.relu(self.first(X))
        return self.last(X + self.middle(X))


class Shared(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.last = nn.Linear(4, 4), nn.Linear(4, 2)

    def forward(self, X):
        return self.last(torch.relu(self.first(torch.relu(self.first(X)))))


class DataDependent(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.last = nn.Linear(4, 4), nn.Linear(4, 2)

    def forward(self, X):
        X = self.first(X)
        return self.last(X if X[0, 0] > 0 else -X)


class TwoOutputs(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.a, self.b = nn.Linear(4, 4), nn.Linear(4, 2), nn.Linear(4, 2)

    def forward(self, X):
        X = torch.relu(self.first(X))
        return self.a(X), self.b(X)


class Scaled(nn.Module):
    """Numbers that no module owns, in the middle of the chain."""

    def __init__(self):
        super().__init__()
        self.first, self.last = nn.Linear(4, 4), nn.Linear(4, 2)

    def forward(self, X):
        return self.last(torch.relu(self.first(X)) * 2)


class Gate(nn.Module):
    """A parameter of the module's own meets the units."""

    def __init__(self):
        super().__init__()
        self.first, self.last = nn.Linear(4, 4), nn.Linear(4, 2)
        self.gate = nn.Parameter(torch.ones(4))

    def forward(self, X):
        return self.last(torch.relu(self.first(X)) * self.gate)


def test_a_nested_module():
    chain = trace_chain(Nested())
    assert [link.kind for link in chain.links] == [
        *("linear", "norm", "tanh", "skip"),
        *("linear", "logistic", "skip"),
        "linear",
    ]
    first, second = chain.hidden
    assert (first.producer, first.norms, first.activation) == ("body.a", ("norm",), "tanh")
    assert (second.producer, second.norms, second.activation) == ("body.b", (), "logistic")
    assert (first.consumer, second.consumer) == ("body.b", "tail.1.0")
    functions = {link.call: link.function for link in chain.links}
    assert functions[first.activation_call] == "tanh"
    assert (functions[first.consumer_call], chain.trace.n_features) == ("linear", 6)


@pytest.mark.parametrize(
    ("module", "kind"),
    [
        (nn.ReLU(), "relu"),
        (nn.ReLU(inplace=True), "relu"),
        (nn.Tanh(), "tanh"),
        (nn.Sigmoid(), "logistic"),
        (nn.LeakyReLU(), "leaky_relu"),
        (nn.ELU(), "elu"),
        (nn.GELU(), "gelu"),
        (nn.SiLU(), "silu"),
        (nn.Identity(), "identity"),
    ],
)
def test_activations_by_name(module, kind):
    [hidden] = trace_chain(nn.Sequential(nn.Linear(4, 3), module, nn.Linear(3, 2))).hidden
    assert hidden.activation == kind


def test_two_linear_layers_without_an_activation():
    chain = trace_chain(
        nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3), nn.Linear(3, 3), nn.Linear(3, 2))
    )
    first, second = chain.hidden
    assert (first.activation, second.activation) == ("identity", "identity")
    modules = {link.call: link.module for link in chain.links}
    assert [modules[hidden.activation_call] for hidden in chain.hidden] == ["1", "2"]
    assert [modules[hidden.consumer_call] for hidden in chain.hidden] == ["2", "3"]


@pytest.mark.parametrize("last", [nn.Softmax(dim=1), nn.LogSoftmax(dim=1), nn.Dropout()])
def test_what_may_follow_the_last_linear(last):
    chain = trace_chain(nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2), last))
    assert len(chain.hidden) == 1


def test_a_module_is_left_as_it_was_and_no_number_is_drawn():
    module = Nested().eval()
    state = copy.deepcopy(module.state_dict())
    before = torch.get_rng_state()
    trace_chain(module)
    assert torch.equal(torch.get_rng_state(), before)
    assert not module.training
    assert all(torch.equal(state[key], value) for key, value in module.state_dict().items())


@pytest.mark.parametrize(
    ("module", "message"),
    [
        (Skip(), "Skip branches at 'relu'; only a chain of Linear"),
        (TwoOutputs(), "TwoOutputs branches at 'relu'"),
        (Shared(), "Shared runs 'first' twice; shared layers cannot be pruned"),
        (DataDependent(), r"DataDependent cannot be traced: bool\(\) looks at the values"),
        (Scaled(), r"Scaled has mul\(\) after its first Linear"),
        (Gate(), r"Gate has mul\(\) after its first Linear"),
        (nn.Sequential(nn.Linear(4, 2)), "Sequential holds 1 Linear layers; a network with a hid"),
        (nn.Sequential(nn.ReLU()), "Sequential holds 0 Linear layers"),
        (
            nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2), nn.ReLU()),
            "Sequential ends in relu; after the last Linear only a softmax",
        ),
        (
            nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Tanh(), nn.Linear(3, 2)),
            r"Sequential has \['relu', 'tanh'\] between '0' and '3'; one activation per layer",
        ),
        (
            nn.Sequential(nn.Linear(4, 3), nn.Softmax(1), nn.Linear(3, 2)),
            r"Sequential has \['softmax'\] between '0' and '2'; one activation per layer",
        ),
        (
            nn.Sequential(nn.Linear(4, 3), nn.LayerNorm(3), nn.Linear(3, 2)),
            "Sequential has LayerNorm '1' after its first Linear; only Linear, activation",
        ),
        (
            nn.Sequential(nn.Unflatten(1, (1, 5)), nn.Conv1d(1, 2, 3), nn.Flatten(),
                          nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 2)),
            "Sequential has Conv1d '1'; a dense network has Linear layers and no convolution",
        ),
    ],
)  # fmt: skip
def test_refusals_name_what_does_not_belong(module, message):
    with pytest.raises(UnsupportedNetworkError, match=message):
        trace_chain(module)


def masked(module):
    prune.l1_unstructured(module[0], "weight", 0.5)


MORE_THAN_A_LINEAR = {
    "mask": (masked, r"Linear '0' has a mask of torch.nn.utils.prune; .*prune.remove\(layer"),
    "old weight norm": (
        lambda module: torch.nn.utils.weight_norm(module[0]),
        r"Linear '0' has a weight_norm; undo it with .*remove_weight_norm\(layer, 'weight'\)",
    ),
    "old spectral norm": (
        lambda module: torch.nn.utils.spectral_norm(module[2]),
        "Linear '2' has a spectral_norm; undo it with",
    ),
    "weight norm": (
        lambda module: torch.nn.utils.parametrizations.weight_norm(module[0]),
        "ParametrizedLinear '0' has its weight parametrized; undo it with .*remove_parametrizat",
    ),
    "spectral norm": (
        lambda module: torch.nn.utils.parametrizations.spectral_norm(module[2]),
        "ParametrizedLinear '2' has its weight parametrized",
    ),
    "orthogonal": (
        lambda module: torch.nn.utils.parametrizations.orthogonal(module[2]),
        "ParametrizedLinear '2' has its weight parametrized",
    ),
    "own forward": (
        lambda module: module.__setitem__(1, Doubled(3)),
        "Doubled '1' has a forward of its own, which may use its BatchNorm1d weights otherwise",
    ),
    "shared parameter": (
        lambda module: setattr(module[2], "bias", module[3].bias),
        "'2' and '3' share one parameter",
    ),
}


class Doubled(nn.BatchNorm1d):
    def forward(self, X):
        return F.batch_norm(X, self.running_mean, self.running_var, 2 * self.weight, self.bias)


@pytest.mark.parametrize("name", MORE_THAN_A_LINEAR)
@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_layers_that_are_more_than_they_seem_are_refused_with_a_remedy(name):
    change, message = MORE_THAN_A_LINEAR[name]
    module = nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2), nn.Linear(2, 2))
    change(module)
    if name not in {"own forward"}:
        module(torch.ones(2, 4))  # after which some of them cannot be copied any more
    with pytest.raises(UnsupportedNetworkError, match=message):
        trace_chain(module)


def test_a_subclass_of_linear_that_computes_as_linear_is_one():
    class Named(nn.Linear):
        """Only its first weights differ."""

        def reset_parameters(self):
            nn.init.zeros_(self.weight)
            nn.init.ones_(self.bias)

    chain = trace_chain(nn.Sequential(Named(4, 3), nn.ReLU(), Named(3, 2)))
    assert chain.hidden[0].producer == "0"


def test_what_comes_before_the_first_linear_runs_as_it_is():
    class Logarithm(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.last = nn.Linear(8, 3), nn.Linear(3, 2)

        def forward(self, X):
            X = torch.cat([X, (X + 2).log()], dim=1)
            return self.last(torch.relu(self.first(X)))

    chain = trace_chain(Logarithm(), n_features=4)
    assert (chain.trace.n_features, chain.hidden[0].producer) == (4, "first")


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_compiled_module_is_refused():
    script = torch.jit.trace(nn.Linear(2, 2), torch.ones(1, 2))
    with pytest.raises(UnsupportedNetworkError, match="is compiled, and its layers are out"):
        trace_chain(nn.Sequential(script, nn.ReLU(), nn.Linear(2, 2)))
