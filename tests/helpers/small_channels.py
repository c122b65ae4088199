"""Small networks with convolutions, as models, and samples for them."""

import numpy as np
import torch
from skorch import NeuralNetClassifier
from torch import nn
from torch.nn import functional as F

from sklearn_capoz.pruning._skorch_model import SkorchModel
from sklearn_capoz.training import TrainingSettings
from sklearn_capoz.training._samples import Samples

VALUES = frozenset({"activations", "gradients"})


def make_model(module, shape, dtype=torch.float64, **kwargs):
    net = NeuralNetClassifier(module.to(dtype), criterion=nn.CrossEntropyLoss, verbose=0, **kwargs)
    with torch.random.fork_rng():
        net.initialize()
    net.input_shape_ = shape
    return SkorchModel(net, TrainingSettings(max_iter=1), np.random.RandomState(0))


def seeded(build):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        module = build()
        with torch.no_grad():
            for part in module.modules():
                if isinstance(part, nn.modules.batchnorm._BatchNorm):
                    nn.init.normal_(part.running_mean)
                    nn.init.uniform_(part.running_var, 0.5, 2)
        return module.eval()


def make_samples(shape, n_samples=40, n_classes=3, seed=0):
    random = np.random.RandomState(seed)
    X = random.randn(n_samples, *shape)
    return Samples(X, random.randint(n_classes, size=n_samples), random.uniform(0.5, 2, n_samples))


class Branches(nn.Module):
    """A residual sum, a shared layer, a transposed convolution and a depthwise one."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(2, 5, 3, padding=1)
        self.body = nn.Conv2d(5, 5, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(5)
        self.depth = nn.Conv2d(5, 5, 3, padding=1, groups=5)
        self.up = nn.ConvTranspose2d(5, 4, 2, stride=2)
        self.shared = nn.Linear(4, 6)
        self.head = nn.Linear(6, 3)

    def forward(self, x):
        x = F.relu(self.stem(x), inplace=True)
        y = self.norm(self.body(x))
        y += x
        x = F.relu(self.depth(F.relu(y, inplace=True)))
        x = F.relu(self.up(x)).mean((2, 3))
        return self.head(F.relu(self.shared(x)) - F.relu(self.shared(0.5 * x)))


NETWORKS = {
    "branches": (Branches, (2, 4, 5)),
    "1d": (lambda: nn.Sequential(
        nn.Conv1d(1, 6, 3), nn.BatchNorm1d(6), nn.ReLU(), nn.MaxPool1d(2), nn.Conv1d(6, 4, 2),
        nn.ReLU(), nn.Flatten(), nn.Linear(16, 5), nn.ReLU(), nn.Linear(5, 3)), (1, 12)),
    "3d": (lambda: nn.Sequential(
        nn.Conv3d(1, 4, (3, 2, 2)), nn.ReLU(), nn.Conv3d(4, 3, 2), nn.ReLU(), nn.Flatten(),
        nn.Linear(48, 3)), (1, 7, 4, 4)),
}  # fmt: skip
