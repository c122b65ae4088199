"""Surgery on arrays and on torch modules: the identities that make it surgery."""

import copy
import pickle
from itertools import pairwise

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from sklearn_capoz.networks import DenseNetwork
from sklearn_capoz.networks._chain import trace_chain
from sklearn_capoz.networks._surgery import cut_module
from sklearn_capoz.training import OptimizerState

X = torch.from_numpy(np.random.RandomState(0).randn(20, 6).astype(np.float32))
KEEP = np.array([True, False, True, True, False])


class Functional(nn.Module):
    def __init__(self):
        super().__init__()
        self.parts = nn.ModuleDict({"a": nn.Linear(6, 5), "b": nn.Linear(5, 3)})
        self.norm = nn.BatchNorm1d(5)

    def forward(self, X):
        X = F.dropout(self.norm(torch.tanh(self.parts["a"](X))), training=self.training)
        return self.parts["b"](X)


class Aliased(nn.Module):
    """The same layers under two names, as in `self.body = nn.Sequential(self.first, ...)`."""

    def __init__(self):
        super().__init__()
        self.first, self.last = nn.Linear(6, 5), nn.Linear(5, 3)
        self.body = nn.Sequential(self.first, nn.ReLU(), self.last)

    def forward(self, X):
        return self.body(X)


#: Name -> function that makes a module whose first hidden layer has five units.
MODULES = {
    "plain": lambda: nn.Sequential(nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 3)),
    "in place": lambda: nn.Sequential(
        nn.Linear(6, 5), nn.ReLU(inplace=True), nn.Dropout(), nn.Linear(5, 3)
    ),
    "no bias": lambda: nn.Sequential(
        nn.Linear(6, 5, bias=False), nn.Tanh(), nn.Linear(5, 3, bias=False)
    ),
    "no activation": lambda: nn.Sequential(nn.Linear(6, 5), nn.Linear(5, 3)),
    "norm before": lambda: nn.Sequential(
        nn.Linear(6, 5), nn.BatchNorm1d(5), nn.ReLU(), nn.Dropout(), nn.Linear(5, 3)
    ),
    "norm after": lambda: nn.Sequential(
        nn.Linear(6, 5), nn.ReLU(), nn.BatchNorm1d(5, eps=0.1, momentum=0.2), nn.Linear(5, 3)
    ),
    "norms of all kinds": lambda: nn.Sequential(
        nn.BatchNorm1d(6),
        nn.Linear(6, 5),
        nn.BatchNorm1d(5, affine=False),
        nn.Sigmoid(),
        nn.BatchNorm1d(5, track_running_stats=False),
        nn.BatchNorm1d(5, affine=False, track_running_stats=False),
        nn.Linear(5, 4),
        nn.BatchNorm1d(4),
        nn.ReLU(),
        nn.Linear(4, 3),
        nn.Softmax(dim=1),
    ),
    "functional": Functional,
    "aliased": Aliased,
}


def make_module(name):
    """Make a module in evaluation mode, its norms far from the identity."""
    with torch.random.fork_rng():
        torch.manual_seed(1)
        module = MODULES[name]()
        module.train()
        with torch.no_grad():
            for part in module.modules():
                if isinstance(part, nn.BatchNorm1d) and part.affine:
                    nn.init.normal_(part.weight)
                    nn.init.normal_(part.bias)
            for _ in range(3):
                module(3 * torch.randn(50, 6) + 1)
    return module.eval()


def places(module, layer=0):
    return trace_chain(module).places(layer)


def run(module, X=X):
    with torch.no_grad():
        return module(X)


def state(module):
    return {name: value.clone() for name, value in module.state_dict().items()}


@pytest.fixture(params=MODULES)
def module(request):
    return make_module(request.param)


def test_cut_equals_mask(module):
    """The output is that of the old module with the units' outgoing weights at zero."""
    hidden = trace_chain(module).hidden[0]
    smaller, _ = cut_module(module, places(module), KEEP)
    masked = copy.deepcopy(module)
    with torch.no_grad():
        masked.get_submodule(hidden.consumer).weight[:, ~KEEP] = 0
    torch.testing.assert_close(run(smaller), run(masked))
    assert not torch.allclose(run(smaller), run(module))


def test_mask_then_cut_equals_cut(module):
    hidden = trace_chain(module).hidden[0]
    masked = copy.deepcopy(module)
    with torch.no_grad():
        masked.get_submodule(hidden.consumer).weight[:, ~KEEP] = 0
    cut, masked_and_cut = (cut_module(m, places(m), KEEP)[0] for m in (module, masked))
    for name, value in cut.state_dict().items():
        assert torch.equal(value, masked_and_cut.state_dict()[name]), name


def test_keeping_all_changes_nothing(module):
    same, _ = cut_module(module, places(module), np.ones(5, dtype=bool))
    for name, value in module.state_dict().items():
        assert torch.equal(value, same.state_dict()[name]), name
    assert torch.equal(run(same), run(module))


def test_the_smaller_module_is_traced_like_the_old_one(module):
    chain = trace_chain(module)
    smaller, _ = cut_module(module, chain.places(0), KEEP)
    again = trace_chain(smaller)
    assert [link.kind for link in again.links] == [link.kind for link in chain.links]
    producer = smaller.get_submodule(again.hidden[0].producer)
    assert producer.out_features == 3
    assert smaller.get_submodule(again.hidden[0].consumer).in_features == 3
    assert type(smaller) is type(module)
    assert [type(m) for m in smaller.modules()] == [type(m) for m in module.modules()]


def test_two_cuts_equal_one(module):
    at_once, _ = cut_module(module, places(module), KEEP)
    first, _ = cut_module(module, places(module), np.array([True, False, True, True, True]))
    second, _ = cut_module(first, places(first), np.array([True, True, True, False]))
    for name, value in at_once.state_dict().items():
        assert torch.equal(value, second.state_dict()[name]), name


def test_the_old_module_stays_and_no_number_is_drawn(module):
    before, output = state(module), run(module)
    parameters = dict(module.named_parameters())
    torch_state, numpy_state = torch.get_rng_state(), np.random.get_state()
    smaller, _ = cut_module(module, places(module), KEEP)
    assert torch.equal(torch.get_rng_state(), torch_state)
    np.testing.assert_array_equal(np.random.get_state()[1], numpy_state[1])
    for name, value in module.state_dict().items():
        assert torch.equal(value, before[name]), name
    assert all(dict(module.named_parameters())[name] is p for name, p in parameters.items())
    with torch.no_grad():
        for parameter in smaller.parameters():
            parameter.zero_()
    assert torch.equal(run(module), output)


def test_what_is_kept_of_each_parameter_is_told(module):
    """`kept` turns every old tensor into the new one."""
    smaller, kept = cut_module(module, places(module), KEEP)
    for name, old in [*module.named_parameters(), *module.named_buffers()]:
        new = old.detach().numpy()
        for dimension, rows in enumerate(kept.get(name, ())):
            if rows is not None:
                new = new.take(rows, axis=dimension)
        np.testing.assert_array_equal(smaller.state_dict()[name].numpy(), new, err_msg=name)


def test_modes_kinds_and_frozen_parameters_are_kept():
    module = make_module("norm after").double().train()
    module[0].weight.requires_grad_(False)
    module[2].eval()
    smaller, _ = cut_module(module, places(module), KEEP)
    assert [part.training for part in smaller] == [part.training for part in module]
    assert {value.dtype for value in smaller.parameters()} == {torch.float64}
    flags = [p.requires_grad for p in smaller.parameters()]
    assert flags == [p.requires_grad for p in module.parameters()]
    assert flags[0] is False
    assert (smaller[2].eps, smaller[2].momentum) == (0.1, 0.2)
    assert smaller[2].num_batches_tracked == module[2].num_batches_tracked


def test_the_smaller_module_trains_and_pickles(module):
    smaller, _ = cut_module(module, places(module), KEEP)
    assert torch.equal(run(pickle.loads(pickle.dumps(smaller))), run(smaller))
    smaller.train()
    last = smaller.get_submodule(trace_chain(smaller).hidden[-1].consumer)
    before = last.weight.detach().clone()
    optimizer = torch.optim.SGD(smaller.parameters(), 0.1)
    with torch.random.fork_rng():
        F.cross_entropy(smaller(X), torch.arange(20) % 3).backward()
    optimizer.step()
    assert not torch.equal(last.weight, before)


@pytest.mark.parametrize("name", ["plain", "norm before"])
def test_removing_units_that_are_always_zero_changes_no_output(name):
    module = make_module(name)
    last = module[0] if name == "plain" else module[1]  # what feeds the ReLU
    with torch.no_grad():
        last.bias[~KEEP] = -1e6
    smaller, _ = cut_module(module, places(module), KEEP)
    torch.testing.assert_close(run(smaller), run(module))


def make_network(widths=(6, 5, 4, 3), activation="relu", output="softmax", seed=0):
    random = np.random.RandomState(seed)
    sizes = [*widths[:-1], 1 if output == "logistic" else widths[-1]]
    shapes = list(pairwise(sizes))
    return DenseNetwork(
        tuple(random.randn(*shape) for shape in shapes),
        tuple(random.randn(n) for _, n in shapes),
        (activation,) * (len(shapes) - 1),
        output,
    )


@given(
    seed=st.integers(0, 1000),
    layer=st.integers(0, 1),
    activation=st.sampled_from(["relu", "tanh", "logistic", "identity"]),
    output=st.sampled_from(["softmax", "logistic"]),
    kept=st.sets(st.integers(0, 3), min_size=1),
)
def test_cutting_arrays_equals_masking_them(seed, layer, activation, output, kept):
    network = make_network((6, 4, 4, 3), activation, output, seed)
    keep = np.isin(np.arange(4), list(kept))
    weights = [weight.copy() for weight in network.weights]
    weights[layer + 1][~keep] = 0
    masked = DenseNetwork(tuple(weights), network.biases, network.activations, output)
    data = np.random.RandomState(1).randn(10, 6)
    smaller = network.cut(layer, keep)
    np.testing.assert_allclose(smaller.forward(data)[-1], masked.forward(data)[-1], atol=1e-12)
    for a, b in zip(smaller.weights, masked.cut(layer, keep).weights, strict=True):
        np.testing.assert_array_equal(a, b)
    assert smaller.widths[layer] == keep.sum()
    assert smaller.widths[1 - layer] == 4


def test_cutting_arrays_by_hand():
    network = DenseNetwork(
        (np.array([[1.0, 2.0, 3.0]]), np.array([[4.0], [5.0], [6.0]])),
        (np.array([7.0, 8.0, 9.0]), np.array([10.0])),
        ("relu",),
        "logistic",
    )
    smaller = network.cut(0, np.array([True, False, True]))
    assert [w.tolist() for w in smaller.weights] == [[[1.0, 3.0]], [[4.0], [6.0]]]
    assert [b.tolist() for b in smaller.biases] == [[7.0, 9.0], [10.0]]
    assert (network.n_parameters, smaller.n_parameters) == (10, 7)
    assert (smaller.n_bytes, smaller.n_multiply_adds) == (56, 4)
    assert network.widths == (3,)


def test_removing_dead_units_of_arrays_changes_no_output():
    network = make_network()
    network.biases[0][~KEEP] = -1e3
    data = np.random.RandomState(1).randn(50, 6)
    np.testing.assert_allclose(
        network.cut(0, KEEP).forward(data)[-1], network.forward(data)[-1], atol=1e-12
    )


def test_arrays_stay_as_they_were_and_share_no_memory_that_changes():
    network = make_network()
    copies = copy.deepcopy(network)
    smaller = network.cut(0, KEEP)
    for array in (*smaller.weights[:2], smaller.biases[0]):
        array[:] = 0
    for a, b in zip(network.weights, copies.weights, strict=True):
        np.testing.assert_array_equal(a, b)
    assert all(weight.flags.c_contiguous for weight in smaller.weights)


@pytest.mark.parametrize("n_moments", [1, 2])
def test_moments_are_cut_like_the_weights(n_moments):
    moments = tuple(make_network(seed=i) for i in range(n_moments))
    cut = OptimizerState(moments, 17).cut(1, np.array([False, True, True, False]))
    assert cut.n_steps == 17
    for old, new in zip(moments, cut.moments, strict=True):
        np.testing.assert_array_equal(new.weights[1], old.weights[1][:, 1:3])
        np.testing.assert_array_equal(new.biases[1], old.biases[1][1:3])
        np.testing.assert_array_equal(new.weights[2], old.weights[2][1:3])
        np.testing.assert_array_equal(new.weights[0], old.weights[0])
