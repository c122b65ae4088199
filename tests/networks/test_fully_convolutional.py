"""A network over an image gives each patch's own answer, or says why it cannot."""

import threading

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from sklearn_capoz.exceptions import UnsupportedNetworkError
from sklearn_capoz.networks import SpatialCNN2D, SpectralCNN1D, SpectralSpatialCNN3D
from sklearn_capoz.networks._fully_convolutional import FullyConvolutional


class Forward(nn.Module):
    """Layers by name, and a function of them and the input."""

    def __init__(self, forward, **layers):
        super().__init__()
        self.function = forward
        for name, layer in layers.items():
            self.add_module(name, layer)

    def forward(self, x):
        return self.function(self, x)


def hybrid(m, x):
    """HybridSN's way: the bands that are left become channels."""
    x = F.relu(m.conv3(x[:, None]))
    n, c, d, h, w = x.shape
    x = F.relu(m.conv2(x.reshape(n, c * d, h, w)))
    return m.head(F.dropout(x, 0.4, m.training).view(n, -1))


def residual(m, x):
    x = F.relu(m.stem(x))
    x = F.relu(x + m.norm(m.body(x)))
    x += 1
    return m.head(x.mean((2, 3)))


def dense_connections(m, x):
    a = F.relu(m.a(x))
    return m.head(m.norm(torch.cat([x, a], 1)).flatten(1))


def pooled(m, x):
    x = F.avg_pool2d(m.conv(x), 2)
    return m.head(F.adaptive_max_pool2d(torch.tanh(x), 1).flatten(1)).softmax(dim=-1)


NETWORKS = {
    "2d": (lambda: SpatialCNN2D(3, 4, 9, (5, 6), hidden=7), 9),
    "2d, one convolution, pools of 3": (lambda: SpatialCNN2D(3, 4, 7, (5,), pool_size=3), 7),
    "3d": (lambda: SpectralSpatialCNN3D(3, 4, 9, (2, 3), band_kernel_size=2, hidden=5), 9),
    "pools between": (lambda: nn.Sequential(
        nn.Conv2d(3, 4, 2), nn.MaxPool2d(2), nn.BatchNorm2d(4), nn.Conv2d(4, 5, 2), nn.ReLU(True),
        nn.AvgPool2d(2), nn.Flatten(), nn.Linear(5 * 4, 6), nn.BatchNorm1d(6), nn.ELU(),
        nn.Linear(6, 3)), 13),
    "strides and dilation": (lambda: nn.Sequential(
        nn.Conv2d(3, 4, 3, stride=2), nn.ReLU(), nn.Conv2d(4, 4, 2, dilation=2, groups=2),
        nn.Conv2d(4, 6, 2, stride=3), nn.Flatten(), nn.Linear(6, 3), nn.LogSoftmax(1)), 11),
    "adaptive pooling": (lambda: nn.Sequential(
        nn.Conv2d(3, 4, 3, stride=2), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
        nn.Linear(4, 3)), 9),
    "3d, padded and strided along the bands": (lambda: nn.Sequential(
        nn.Unflatten(1, (1, 3)), nn.Conv3d(1, 4, (2, 3, 3), padding=(1, 0, 0)), nn.ReLU(),
        nn.Conv3d(4, 4, (3, 2, 2), stride=(2, 1, 1), padding=(1, 0, 0), groups=2),
        nn.MaxPool3d((3, 2, 2), stride=(1, 2, 2), padding=(1, 0, 0)), nn.Flatten(),
        nn.Linear(4 * 2 * 2 * 2, 3)), 8),
    "3d, one channel, strides": (lambda: nn.Sequential(
        nn.Unflatten(1, (1, 3)), nn.Conv3d(1, 4, (2, 2, 2), stride=(1, 2, 2)), nn.Tanh(),
        nn.MaxPool3d(2, dilation=(1, 1, 1)), nn.Flatten(), nn.Linear(4 * 4, 3)), 9),
    "hybrid": (lambda: Forward(
        hybrid, conv3=nn.Conv3d(1, 4, (2, 3, 3)), conv2=nn.Conv2d(8, 6, 2),
        head=nn.Linear(6 * 16, 3)), 7),
    "residual": (lambda: Forward(
        residual, stem=nn.Conv2d(3, 6, 3), body=nn.Conv2d(6, 6, 1), norm=nn.BatchNorm2d(6),
        head=nn.Linear(6, 3)), 5),
    "dense connections": (lambda: Forward(
        dense_connections, a=nn.Conv2d(3, 4, 1), norm=nn.BatchNorm2d(7),
        head=nn.Linear(7 * 9, 3)), 3),
    "pooled to one": (lambda: Forward(pooled, conv=nn.Conv2d(3, 4, 2), head=nn.Linear(4, 3)), 5),
}  # fmt: skip


def eval_mode(make):
    """Make a network whose norms have statistics of their own."""
    torch.manual_seed(0)
    module = make()
    for part in module.modules():
        if isinstance(part, (nn.BatchNorm1d, nn.BatchNorm2d)):
            part.running_mean.normal_()
            part.running_var.uniform_(0.5, 2)
            nn.init.normal_(part.weight)
    return module.eval()


@pytest.mark.parametrize("n_images", [1, 2])
@pytest.mark.parametrize("name", NETWORKS)
def test_each_patch_gets_its_own_answer(name, n_images):
    make, size = NETWORKS[name]
    module = eval_mode(make).double()
    image = torch.randn(n_images, 3, size + 5, size + 4, dtype=torch.float64)
    with torch.no_grad():
        found = FullyConvolutional(module, 3, size)(image)
        for row in range(6):
            for column in range(5):
                patch = image[:, :, row : row + size, column : column + size]
                torch.testing.assert_close(found[:, :, row, column], module(patch))
    assert found.shape[2:] == (6, 5)


def test_the_widest_layer_is_known():
    """By which tiles of a scene are measured: of 3 bands 2 are left to each of 4 channels."""
    convolution = nn.Conv3d(1, 4, (2, 3, 3))
    module = nn.Sequential(nn.Unflatten(1, (1, 3)), convolution, nn.Flatten(), nn.Linear(8, 3))
    assert FullyConvolutional(module.eval(), 3, 3).n_values == 4 * 2
    module = nn.Sequential(nn.Conv2d(3, 2, 3), nn.Flatten(), nn.Linear(2, 2)).eval()
    assert FullyConvolutional(module, 3, 3).n_values == 3  # what comes in


def test_an_image_of_one_patch_has_one_answer():
    module = eval_mode(NETWORKS["2d"][0])
    with torch.no_grad():
        found = FullyConvolutional(module, 3, 9)(torch.ones(1, 3, 9, 9))
        torch.testing.assert_close(found[..., 0, 0], module(torch.ones(1, 3, 9, 9)))
    assert found.shape == (1, 4, 1, 1)


def test_the_module_stays_as_it_was():
    module = eval_mode(NETWORKS["residual"][0])
    before = {name: value.clone() for name, value in module.state_dict().items()}
    state = torch.random.get_rng_state()
    FullyConvolutional(module, 3, 5)
    assert torch.equal(torch.random.get_rng_state(), state)
    for name, value in module.state_dict().items():
        assert torch.equal(value, before[name])


def test_patches_run_in_another_thread_meanwhile():
    """The mode is one thread's: the same module gives single patches their answer elsewhere."""
    module = eval_mode(NETWORKS["2d"][0])
    image_network = FullyConvolutional(module, 3, 9)
    patch = torch.ones(1, 3, 9, 9)
    with torch.no_grad():
        expected, wrong, stop = module(patch), [], threading.Event()

        def run():
            with torch.no_grad():
                while not stop.is_set():
                    wrong.extend([1] if not torch.equal(module(patch), expected) else [])

        thread = threading.Thread(target=run)
        thread.start()
        for _ in range(50):
            image_network(torch.ones(1, 3, 12, 12))
        stop.set()
        thread.join()
    assert not wrong


def conv_and(*layers):
    return lambda: nn.Sequential(nn.Conv2d(3, 4, 3), *layers, nn.Flatten(), nn.LazyLinear(3))


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (lambda: nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.Flatten(), nn.LazyLinear(3)),
         r"of conv2d\(\), it pads each patch at its edge"),
        (lambda: nn.Sequential(nn.Conv2d(3, 4, 3, padding="same"), nn.Flatten(), nn.LazyLinear(3)),
         r"of conv2d\(\), it pads each patch at its edge"),
        (conv_and(nn.Linear(3, 2)), r"of linear\(\), it comes before a flatten"),
        (conv_and(nn.LayerNorm((3, 3))), r"of layer_norm\(\), it is not known"),
        (conv_and(nn.MaxPool2d(2, ceil_mode=True)), "ceil_mode"),
        (conv_and(nn.AdaptiveAvgPool2d(2)), "only a pooling to one position"),
        (conv_and(nn.Upsample(scale_factor=2)), "it is not known"),
        (lambda: nn.Conv2d(3, 4, 3), r"of forward\(\), its output is no row of numbers"),
        (lambda: Forward(lambda m, x: m.head(x[:, :, 1:4, 1:4].flatten(1)), head=nn.Linear(27, 3)),
         r"of getitem\(\), only a new axis"),
        (lambda: Forward(lambda m, x: m.head(x.permute(0, 2, 3, 1).flatten(1)),
                         head=nn.Linear(75, 3)), r"of permute\(\)"),
        (lambda: Forward(lambda m, x: m.head(x.reshape(-1, 5)).reshape(len(x), -1)[:, :3],
                         head=nn.Linear(5, 1)), r"of reshape\(\), it makes \(15, 5\) of"),
    ],
)  # fmt: skip
def test_what_is_not_the_same_for_all_patches_is_refused(make, why):
    module = make().eval()
    module(torch.zeros(2, 3, 5, 5))  # gives lazy layers their shape
    with pytest.raises(UnsupportedNetworkError, match=f"cannot run over an image: .*{why}"):
        FullyConvolutional(module, 3, 5)


def test_a_network_of_spectra_takes_no_patches():
    with pytest.raises(UnsupportedNetworkError, match="takes no patches of 5 bands and 3 x 3"):
        FullyConvolutional(SpectralCNN1D(5, 3).eval(), 5, 3)


def test_another_answer_is_found_out():
    """Scaling by each sample's own mean is number by number for patches, and not for an image."""
    module = Forward(
        lambda m, x: m.head((x * float(x.detach().numpy().std())).flatten(1)), head=nn.Linear(75, 3)
    )
    with pytest.raises(UnsupportedNetworkError):
        FullyConvolutional(module.eval(), 3, 5)
