"""Training of convolutional networks in bfloat16."""

import numpy as np
import pytest
import torch

from sklearn_capoz import PrunedCNNClassifier
from sklearn_capoz._sklearn import InvalidParameterError
from sklearn_capoz.training import _mixed_precision

SIZES = {"1d": {"channels": 4, "hidden": 8}, "2d": {"channels": (4, 6), "hidden": 8}}
SIZES["3d"] = SIZES["2d"]


@pytest.fixture
def samples():
    random = np.random.RandomState(0)
    y = np.arange(80) % 2
    return (random.normal(size=(80, 8, 5, 5)) + 0.8 * y[:, None, None, None]).astype("float32"), y


def make(kind="2d", **changes):
    return PrunedCNNClassifier(
        kind, patch_size=5, network_params=SIZES[kind], n_iterations=1, max_iter=6,
        learning_rate_init=0.01, batch_size=16, retrain_max_iter=2, keep="last", random_state=0,
        mixed_precision=True, **changes,
    )  # fmt: skip


@pytest.mark.filterwarnings("ignore:mixed_precision")
@pytest.mark.parametrize("kind", ["1d", "2d", "3d"])
def test_it_learns_and_only_the_training_is_coarse(kind, samples):
    X, y = samples
    X = X[:, :, 2, 2] if kind == "1d" else X
    model = make(kind).fit(X, y)
    assert model.score(X, y) > 0.8
    assert {p.dtype for p in model.module_.parameters()} == {torch.float32}
    plain = make(kind).set_params(mixed_precision=False).fit(X, y)
    difference = np.abs(plain.predict_proba(X) - model.predict_proba(X)).max()
    assert difference > 0
    with torch.no_grad():
        found = model.module_(torch.from_numpy(X[:4]))
    assert found.dtype is torch.float32
    again = make(kind).fit(X, y)
    np.testing.assert_array_equal(again.predict_proba(X), model.predict_proba(X))


def test_float64_is_refused_before_training(samples):
    with pytest.raises(InvalidParameterError, match="keeps weights in float32"):
        make(dtype="float64").fit(*samples)


def test_a_processor_without_bfloat16_is_told_of(samples, monkeypatch):
    monkeypatch.setattr(torch.cpu, "_is_avx2_supported", lambda: True)
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: False)
    with pytest.warns(UserWarning, match="no instructions for bfloat16"):
        _mixed_precision.check_mixed_precision("float32", "cpu")
