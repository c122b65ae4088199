"""The same small network as each kind of model, and samples for it."""

from dataclasses import replace

import numpy as np
import torch
from skorch import NeuralNetClassifier
from torch import nn

from sklearn_capoz.criteria._base import NEEDS
from sklearn_capoz.pruning import Remove
from sklearn_capoz.pruning._dense_model import DenseModel
from sklearn_capoz.pruning._skorch_model import SkorchModel
from sklearn_capoz.training import TrainingSettings, initial_network, net_from_training
from sklearn_capoz.training._samples import PruningData, Samples

KEEP = np.array([True, False, True, True, False, True])


def make_samples(n_samples=40, dtype=np.float64, seed=0):
    random = np.random.RandomState(seed)
    X = random.randn(n_samples, 5).astype(dtype)
    return Samples(X, random.randint(3, size=n_samples), random.uniform(0.5, 2, n_samples))


def make_data():
    return PruningData(make_samples(60), make_samples(20, seed=1), make_samples(20, seed=2))


def dense_model(solver="adam", max_iter=3, **given):
    network = initial_network(5, (6, 4), 3, "relu", 0, np.float64)
    settings = TrainingSettings(solver=solver, max_iter=max_iter, batch_size=16)
    model = DenseModel(network, None, settings, "cpu", np.random.RandomState(0))
    return replace(model, **given)


def trained(model, data=None):
    return type(model).train_together([model], [data or make_data()])[0][0]


def as_skorch_model(model):
    net = net_from_training(model.network, model.settings, optimizer=model.optimizer)
    return SkorchModel(net, model.settings, np.random.RandomState(0))


def own_model(*parts, dtype=torch.float64, lr=0.05, **kwargs):
    """Return a model of a user's net, trained a little so that norms have statistics."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        kwargs = {"criterion": nn.CrossEntropyLoss, "train_split": None, "verbose": 0} | kwargs
        net = NeuralNetClassifier(nn.Sequential(*parts).to(dtype), lr=lr, max_epochs=3, **kwargs)
        net.initialize()
        samples = make_samples()
        net.partial_fit(torch.as_tensor(samples.X, dtype=dtype), samples.y)
    settings = TrainingSettings(max_iter=2, n_iter_no_change=10**9)
    return SkorchModel(net, settings, np.random.RandomState(0))


def look(model, samples, needs=NEEDS):
    """View the layers in order."""
    return list(model.observe(samples, frozenset(needs), np.random.RandomState(0)).values())


def cut_first(model, keep, compensation, samples):
    return model.apply(Remove(model.groups[0].name, keep), compensation, samples)


NORM_AFTER = (nn.Linear(5, 6), nn.ReLU(), nn.BatchNorm1d(6), nn.Dropout(), nn.Linear(6, 3))
