import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from matplotlib.colors import to_hex
from sklearn.frozen import FrozenEstimator
from skorch import NeuralNetClassifier
from torch import nn

from sklearn_capoz import CAPoZPruner, PrunedCNNClassifier
from sklearn_capoz.displays import ChannelMapsDisplay
from sklearn_capoz.displays._style import KEPT, PRUNED
from sklearn_capoz.exceptions import UnsupportedNetworkError
from sklearn_capoz.thresholds import Fraction

Y = np.arange(40) % 2
X = np.random.RandomState(0).randn(40, 1, 6, 5).astype(np.float32)


class Pair(nn.Module):
    """Two images through one convolution."""

    def __init__(self):
        super().__init__()
        self.conv, self.second = nn.Conv2d(1, 4, 3, bias=False), nn.Conv2d(4, 3, 2)
        self.head = nn.Linear(3, 2)

    def forward(self, a, b):
        a, b = (self.second(torch.relu(self.conv(part))).mean((2, 3)) for part in (a, b))
        return self.head((a - b).abs())


def make_net(module):
    quick = {"criterion": nn.CrossEntropyLoss, "max_epochs": 1, "train_split": None, "verbose": 0}
    return NeuralNetClassifier(module, **quick)


@pytest.fixture(scope="module")
def net():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return make_net(Pair()).fit({"a": X, "b": X[::-1].copy()}, Y)


def test_maps_are_those_of_a_forward_pass_and_means_of_all_samples(net):
    both = {"a": X, "b": X[::-1].copy()}
    display = ChannelMapsDisplay.from_estimator(net, both, layer="conv", sample=7)
    with torch.no_grad():
        values = torch.relu(net.module_.conv(torch.from_numpy(X))).numpy()
    np.testing.assert_allclose(display.maps, values[7], atol=1e-6)
    np.testing.assert_allclose(display.mean, values.mean((0, 2, 3)), rtol=1e-5)
    assert display.order.tolist() == np.argsort(-display.mean).tolist()
    assert display.channels.tolist() == [0, 1, 2, 3]
    assert ChannelMapsDisplay.from_estimator(net, both).layer == "second"  # the last one
    assert (ChannelMapsDisplay.from_estimator(net, both).maps < 0).any()


def test_of_a_frozen_network_channels_that_go_are_marked(net):
    both = {"a": X, "b": X[::-1].copy()}
    pruner = CAPoZPruner(
        FrozenEstimator(net), criterion="l1", threshold=Fraction(0.5), n_iterations=1, keep="last",
        retrain_max_iter=0, random_state=0,
    ).fit(both, Y)  # fmt: skip
    display = ChannelMapsDisplay.from_estimator(pruner, both, layer="conv")
    assert display.kept.tolist() == pruner.support_[0].tolist()
    colors = [to_hex(patch.get_edgecolor()).upper() for patch in display.ax_.patches]
    assert colors == [KEPT if display.kept[i] else PRUNED for i in display.order]
    assert "4 channels of 'conv', 2 stay (blue)" in display.ax_.get_title(loc="left")


def test_of_others_the_channels_that_stay_keep_their_numbers():
    module = nn.Sequential(
        nn.Conv1d(1, 6, 3), nn.ReLU(), nn.MaxPool1d(2), nn.Flatten(), nn.Linear(84, 2)
    )
    lines = X.reshape(40, 1, 30)
    pruner = CAPoZPruner(
        make_net(module), criterion="l1", threshold=Fraction(0.5), n_iterations=1, keep="last",
        retrain_max_iter=0, random_state=0,
    ).fit(lines, Y)  # fmt: skip
    display = ChannelMapsDisplay.from_estimator(pruner, lines)
    assert display.maps.shape == (3, 1, 28)
    assert display.channels.tolist() == np.flatnonzero(pruner.support_[0]).tolist()
    cnn = PrunedCNNClassifier(
        "3d", patch_size=3, network_params={"channels": (4,), "band_kernel_size": 3, "hidden": 5},
        n_iterations=1, keep="last", threshold=Fraction(0.5), max_iter=1, random_state=0,
    )  # fmt: skip
    patches = np.random.RandomState(1).randn(40, 8, 3, 3)
    cnn.fit(patches, Y)
    display = ChannelMapsDisplay.from_estimator(cnn, patches)
    assert display.channels.tolist() == np.flatnonzero(cnn.support_[0]).tolist()
    assert display.maps.ndim == 3


def test_texts_and_maps_do_not_overlap(assert_apart):
    maps = np.random.RandomState(0).rand(21, 3, 3)
    display = ChannelMapsDisplay(maps, np.arange(21), maps.mean((1, 2))).plot(n_columns=8)
    assert_apart(display.images_ + display.ax_.texts)
    _, ax = plt.subplots()
    assert display.plot(ax, cmap="gray").ax_ is ax
    assert display.images_[0].get_cmap().name == "gray"


def test_what_is_refused(net):
    both = {"a": X, "b": X}
    with pytest.raises(ValueError, match=r"layer='head' is no .* can go; these are \['conv', 'sec"):
        ChannelMapsDisplay.from_estimator(net, both, layer="head")
    with pytest.raises(ValueError, match="sample=40 was asked for, and X holds 40"):
        ChannelMapsDisplay.from_estimator(net, both, sample=40)
    with pytest.raises(ValueError, match=r"got maps \(2, 3, 3\) and \(2,\), \(3,\)"):
        ChannelMapsDisplay(np.ones((2, 3, 3)), [0, 1], [1, 2, 3])
    from sklearn.neural_network import MLPClassifier

    mlp = MLPClassifier((4,), max_iter=300, tol=1).fit(X[:, 0, 0], Y)
    with pytest.raises(UnsupportedNetworkError, match="got MLPClassifier"):
        ChannelMapsDisplay.from_estimator(mlp, X[:, 0, 0])
