"""Ready-made convolutional modules: sizes, refusals, and that every channel can go."""

import pytest
import torch
from torch import nn

from sklearn_capoz.networks import SpatialCNN2D, SpectralCNN1D, SpectralSpatialCNN3D
from sklearn_capoz.networks._tracing import trace_shape


@pytest.mark.parametrize(
    ("module", "shape", "widths", "n_inputs"),
    [
        (SpectralCNN1D(30, 4, 5, 7, 3, 6), (30,), [5, 6], 5 * 8),
        (SpectralCNN1D(30, 4, 5, 7, 3, 6), (1, 30), [5, 6], 5 * 8),
        (SpatialCNN2D(3, 4, 7, (5, 6), n_hidden=8), (3, 7, 7), [5, 6, 8], 6 * 9),
        (
            SpectralSpatialCNN3D(14, 4, 5, (3, 4), (4, 3), 2, 8),
            (14, 5, 5),
            [3, 4, 8],
            4 * 4 * 1,
        ),
    ],
)
def test_all_but_the_outputs_can_be_cut(module, shape, widths, n_inputs):
    traced = trace_shape(module.eval(), shape)
    assert [group.n_units for group in traced.groups] == widths
    assert module.classifier[0].in_features == n_inputs
    assert module(torch.zeros(2, *shape)).shape == (2, 4)
    assert sum(isinstance(part, nn.ReLU) for part in module.modules()) == len(widths)


def test_spectra_and_one_channel_of_them_are_the_same():
    module, X = SpectralCNN1D(30, 4, 5, 7, 3, 6), torch.randn(3, 30)
    assert torch.equal(module(X), module(X[:, None]))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: SpectralCNN1D(20, 4), "n_bands=20 is too small: kernel_size=24, pool_size=5 leav"),
        (
            lambda: SpatialCNN2D(3, 4, 8),
            "patch_size=8 is even, .* no pixel in its middle; take 7 o",
        ),
        (lambda: SpatialCNN2D(3, 4, 3), "patch_size=3 is too small: kernel_size=3 leave nothing"),
        (lambda: SpectralSpatialCNN3D(10, 4), "n_bands=10 is too small: kernel_sizes="),
        (lambda: SpectralSpatialCNN3D(40, 4, 3), "patch_size=3 is too small: two kernels of 3"),
    ],
)
def test_what_leaves_nothing_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()
