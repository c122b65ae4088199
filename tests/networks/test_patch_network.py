"""Patches are gathered from the one image, batch by batch."""

import copy

import numpy as np
import pytest
import torch

from sklearn_capoz.datasets import ScenePixels
from sklearn_capoz.networks import SpatialCNN2D
from sklearn_capoz.networks._patch_network import PaddedImage, build_network
from sklearn_capoz.networks._tracing import trace

CUBE = np.random.RandomState(0).standard_normal((9, 7, 4)).astype(np.float32)
POSITIONS = np.argwhere(np.ones((9, 7)))


@pytest.mark.parametrize("dtype", [torch.float32, torch.int64])
@pytest.mark.parametrize("size", [1, 3, 7])
def test_gathered_patches_are_the_scenes_own(size, dtype):
    found = PaddedImage(CUBE, size).patches(torch.tensor(POSITIONS, dtype=dtype))
    np.testing.assert_array_equal(found, ScenePixels(CUBE, POSITIONS).patches(size))


def make():
    torch.manual_seed(0)
    return build_network(
        SpatialCNN2D, torch.float32, PaddedImage(CUBE, 5),
        n_bands=4, n_classes=2, patch_size=5, channels=(3,),
    ).eval()  # fmt: skip


def test_the_network_sees_the_patches():
    module = make()
    positions = torch.tensor(POSITIONS, dtype=torch.float32)
    patches = torch.from_numpy(ScenePixels(CUBE, POSITIONS).patches(5))
    with torch.no_grad():
        torch.testing.assert_close(module(positions), module.network(patches))


def test_copies_share_the_image_and_no_weight():
    module = make()
    twin = copy.deepcopy(module)
    assert twin.image is module.image
    pairs = zip(twin.parameters(), module.parameters(), strict=True)
    assert not any(one.data_ptr() == other.data_ptr() for one, other in pairs)
    assert not any("image" in name for name in module.state_dict())


def test_its_units_can_be_followed():
    samples = torch.tensor([[0.0, 1.0], [-3.0, 40.0]])  # the second is no pixel
    assert [group.n_units for group in trace(make(), samples).groups] == [3, 100]


def test_many_columns_are_told_apart():
    """Positions come as float32, exact up to 16 million; rows times columns would not be."""
    cube = np.zeros((3, 9_000_001, 1), np.float32)
    cube[2, 9_000_000] = 1
    found = PaddedImage(cube, 1).patches(torch.tensor([[2.0, 9_000_000.0], [2.0, 8_999_999.0]]))
    assert found.flatten().tolist() == [1, 0]
