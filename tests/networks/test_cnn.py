"""The convolutional networks have the sizes that are asked for, and units that can be followed."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from sklearn_capoz.exceptions import UnsupportedNetworkError
from sklearn_capoz.networks import SpatialCNN2D, SpectralCNN1D, SpectralSpatialCNN3D
from sklearn_capoz.networks._cnn import KINDS, sizes_of
from sklearn_capoz.networks._surgery import cut_module, mask_module
from sklearn_capoz.networks._tracing import trace

NETWORKS = {
    "1d": (lambda: SpectralCNN1D(30, 3, channels=4, kernel_size=8, pool_size=3, hidden=6), (30,)),
    "2d": (lambda: SpatialCNN2D(4, 3, patch_size=7, channels=(5, 6), hidden=7), (4, 7, 7)),
    "3d": (
        lambda: SpectralSpatialCNN3D(10, 3, 7, (2, 3), band_kernel_size=4, hidden=5),
        (10, 7, 7),
    ),
}


def n_parameters(module):
    return sum(parameter.numel() for parameter in module.parameters())


def test_the_networks_have_the_published_sizes():
    # 24 bands per kernel leave 177 positions, a fifth of them is 35; of 9 x 9 pixels the two
    # convolutions leave 5 x 5, and the pooling 2 x 2.
    dense = (20 * 35 * 100 + 100) + (100 * 16 + 16)
    assert n_parameters(SpectralCNN1D(200, 16)) == (20 * 24 + 20) + dense
    dense = (100 * 4 * 100 + 100) + (100 * 16 + 16)
    convolutions = (50 * 40 * 9 + 50) + (100 * 50 * 9 + 100)
    assert n_parameters(SpatialCNN2D(40, 16)) == convolutions + dense
    dense = (32 * 14 * 4 * 128 + 128) + (128 * 16 + 16)  # 40 bands -> 34 -> 28 -> 14
    convolutions = (16 * 63 + 16) + (32 * 16 * 63 + 32)
    assert n_parameters(SpectralSpatialCNN3D(40, 16)) == convolutions + dense


@pytest.mark.parametrize("kind", NETWORKS)
def test_every_hidden_unit_and_channel_can_be_cut(kind):
    make, shape = NETWORKS[kind]
    torch.manual_seed(0)
    module, samples = make().eval(), torch.randn(2, *shape)
    traced = trace(module, samples)
    widths = {"1d": [4, 6], "2d": [5, 6, 7], "3d": [2, 3, 5]}[kind]
    assert [group.n_units for group in traced.groups] == widths
    for group in traced.groups:
        keep = np.arange(group.n_units) % 2 == 0
        cut, _ = cut_module(module, traced.places[group.name], keep)
        masked = mask_module(module, traced.places[group.name], keep)
        with torch.no_grad():
            torch.testing.assert_close(cut(samples), masked(samples))


@pytest.mark.parametrize("n_bands", [1, 2, 7, 23, 24, 25, 60])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_in_training_spectra_are_convolved_and_pooled_to_the_same(n_bands, dtype):
    """As plain layers do it, derivatives too; zeros of the ReLU are ties for the pooling."""
    torch.manual_seed(0)
    module = SpectralCNN1D(n_bands, 3, channels=4, hidden=5).to(dtype).train()
    X = torch.randn(6, n_bands, dtype=dtype).requires_grad_()
    convolution, _, pool = module.features
    plain = torch.relu(F.conv1d(X.unsqueeze(1), convolution.weight, convolution.bias))
    plain = module.head(F.max_pool1d(plain, pool.kernel_size).flatten(1))
    tensors = (X, *module.parameters())
    expected, found = (
        torch.autograd.grad(out.square().sum(), tensors) for out in (plain, module(X))
    )
    torch.testing.assert_close(module(X), plain)
    torch.testing.assert_close(found, expected)
    torch.testing.assert_close(module.eval()(X), plain)


@pytest.mark.parametrize("n_bands", [1, 2, 7, 23, 24, 25])
def test_few_bands_shrink_kernels_and_pools(n_bands):
    assert SpectralCNN1D(n_bands, 3)(torch.zeros(2, n_bands)).shape == (2, 3)
    patches = torch.zeros(2, n_bands, 5, 5)
    assert SpectralSpatialCNN3D(n_bands, 3, patch_size=5)(patches).shape == (2, 3)
    assert SpatialCNN2D(n_bands, 3, patch_size=5)(patches).shape == (2, 3)


@pytest.mark.parametrize("network", [SpatialCNN2D, SpectralSpatialCNN3D])
def test_a_patch_that_the_convolutions_use_up_is_refused(network):
    with pytest.raises(UnsupportedNetworkError, match="it must have at least 5 rows"):
        network(10, 3, patch_size=3)


@pytest.mark.parametrize("kind", NETWORKS)
def test_the_sizes_of_a_pruned_network_make_one_like_it(kind):
    module = NETWORKS[kind][0]().eval()
    samples = torch.zeros(2, *NETWORKS[kind][1])
    for name, places in trace(module, samples).places.items():
        keep = np.arange(len(places[0].positions)) > 0
        module, _ = cut_module(module, trace(module, samples).places[name], keep)
    again = KINDS[kind](
        samples.shape[1], 3, **sizes_of(module), **({} if kind == "1d" else {"patch_size": 7})
    )
    again.load_state_dict(module.state_dict())
    with torch.no_grad():
        torch.testing.assert_close(again(samples), module(samples))
