"""Networks over spectra in integers: from torch to files, ONNX and C, equal in every sum."""

import re
import subprocess
from dataclasses import replace
from itertools import product

import numpy as np
import pytest
import torch
from c_programs import SANITIZED, SUMS_OF_INTEGERS
from numpy.testing import assert_array_equal
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler
from skorch import NeuralNetClassifier
from torch import nn

from sklearn_capoz import CAPoZPruner, PrunedCNNClassifier
from sklearn_capoz.deploy import (
    QuantizedClassifier,
    device_report,
    load_model,
    predict_scene,
    quantize,
    save_model,
    to_c,
    to_onnx,
)
from sklearn_capoz.exceptions import DataFormatError, UnsupportedNetworkError
from sklearn_capoz.integers import IntegerConvolution, integer_network
from sklearn_capoz.networks import SpectralCNN1D
from sklearn_capoz.networks._read_spectral import read_spectral
from sklearn_capoz.spectral import BandSelector, ContinuumRemoval

N_BANDS = 30


def samples(n=240, seed=0):
    """Spectra with an absorption at one of three places."""
    rng = np.random.RandomState(seed)
    y = np.arange(n) % 3
    centre = 6 + 8 * y[:, None]
    depth = rng.uniform(0.1, 0.4, (n, 1))
    dips = depth * np.exp(-(((np.arange(N_BANDS) - centre) / 2.5) ** 2))
    X = rng.uniform(0.4, 0.8, (n, 1)) * (1 - dips) + rng.normal(0, 0.004, dips.shape)
    return X.astype(np.float32), np.array(["alunite", "calcite", "kaolinite"])[y]


class Chain(nn.Module):
    """All kinds of layers that can be read."""

    def __init__(self, pool=nn.AvgPool1d, activation=nn.ReLU, stride=1, **unread):
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv1d(1, 4, 5), nn.BatchNorm1d(4), activation(), nn.Dropout(0.1), pool(2),
            nn.Conv1d(4, 6, 3, stride=stride, bias=False), activation(), nn.Flatten(),
        )  # fmt: skip
        n = self.features(torch.zeros(2, 1, N_BANDS)).shape[1]
        self.head = nn.Sequential(nn.Linear(n, 8), nn.BatchNorm1d(8), activation(), nn.Linear(8, 3))

    def forward(self, X):
        return self.head(self.features(X.reshape(len(X), 1, -1)))


def trained(module, epochs=15, seed=0):
    X, y = samples()
    X = StandardScaler().fit_transform(X).astype(np.float32)
    torch.manual_seed(seed)
    net = NeuralNetClassifier(
        module, criterion=nn.CrossEntropyLoss, optimizer=torch.optim.Adam, lr=0.01,
        max_epochs=epochs, train_split=None, verbose=0,
    )  # fmt: skip
    return net.fit(X, np.searchsorted(np.unique(y), y)), X


@pytest.fixture(scope="module")
def cnn():
    X, y = samples()
    model = PrunedCNNClassifier(
        network_params={"channels": 4, "kernel_size": 6, "pool_size": 3, "hidden": 8},
        n_iterations=1, retrain_max_iter=2, max_iter=15, learning_rate_init=0.01, random_state=0,
    )  # fmt: skip
    return model.fit(X, y)


@pytest.mark.parametrize("bits", [8, 4])
def test_a_pruned_network(cnn, bits):
    X, _ = samples(seed=1)
    found = quantize(cnn, samples()[0], bits=bits)
    assert isinstance(found, QuantizedClassifier)  # its scaler is in the rounding of the inputs
    assert (found.predict(X) == cnn.predict(X)).mean() > (0.97 if bits == 8 else 0.9)
    if bits == 8:
        np.testing.assert_allclose(found.predict_proba(X), cnn.predict_proba(X), atol=0.05)
    floats = sum(p.numel() for p in cnn.module_.parameters()) * 4
    assert found.network_.n_bytes < 0.45 * floats
    assert isinstance(found.network_.layers[0], IntegerConvolution)
    assert found.history_["n_units"].iloc[-1] == sum(found.network_.widths)


def test_retraining_with_labels(cnn):
    X, y = samples()
    found = quantize(cnn, X, bits=4)
    again = quantize(cnn, X, y, bits=4, epochs=5, random_state=0)
    twice = quantize(cnn, X, y, bits=4, epochs=5, random_state=0)
    assert_array_equal(again.decision_function(X), twice.decision_function(X))
    assert again.score(*samples(seed=1)) >= found.score(*samples(seed=1)) - 0.02


@pytest.mark.parametrize(
    ("pool", "activation", "stride"),
    [(nn.AvgPool1d, nn.ReLU, 1), (nn.MaxPool1d, nn.ReLU, 2), (nn.AvgPool1d, nn.Tanh, 1)],
)
def test_a_chain_of_all_layers(pool, activation, stride):
    net, X = trained(Chain(pool, activation, stride))
    found = quantize(net, X)
    assert (found.predict(X) == net.predict(X)).mean() > 0.97
    pruner = CAPoZPruner(net, n_iterations=1, retrain_max_iter=1, criterion="l1", random_state=0)
    y = net.predict(X)
    pruned = pruner.fit(X[:, None], y)
    found = quantize(pruned, X[:, None])
    assert (found.predict(X) == pruned.predict(X[:, None])).mean() > 0.97


def test_what_is_read_is_what_the_module_computes():
    module = Chain().double().eval()
    with torch.no_grad():
        for norm in (module.features[1], module.head[1]):
            norm.running_mean.normal_()
            norm.running_var.uniform_(0.5, 2)
            norm.weight.normal_()
    network = read_spectral(module, (N_BANDS,))
    X = np.random.RandomState(0).normal(size=(9, N_BANDS))
    with torch.no_grad():
        expected = module(torch.from_numpy(X)).numpy()
    np.testing.assert_allclose(network.forward(X)[-1], expected, atol=1e-12)
    assert network.n_features == N_BANDS
    assert network.n_classes == 3


class Residual(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.out = nn.Conv1d(1, 1, 1), nn.Linear(N_BANDS, 3)

    def forward(self, X):
        X = X.reshape(len(X), 1, -1)
        return self.out((self.conv(X) + X).flatten(1))


@pytest.mark.parametrize(
    ("module", "message"),
    [
        (Residual(), "computes something else"),
        (nn.Sequential(nn.Unflatten(1, (1, N_BANDS)), nn.Conv1d(1, 2, 3, padding=1), nn.Flatten(),
                       nn.Linear(2 * N_BANDS, 3)), "Unflatten|padding"),
        (nn.Sequential(nn.Linear(N_BANDS, 3)), "0 Conv1d"),
    ],
)  # fmt: skip
def test_other_modules_are_refused(module, message):
    with pytest.raises(UnsupportedNetworkError, match=message):
        read_spectral(module, (N_BANDS,))


def test_patches_are_refused():
    rng = np.random.RandomState(0)
    X, y = rng.rand(40, 5, 3, 3), np.arange(40) % 2
    model = PrunedCNNClassifier(
        "2d", patch_size=3, network_params={"channels": (3,), "hidden": 4}, n_iterations=0,
        max_iter=1, random_state=0,
    ).fit(X, y)  # fmt: skip
    with pytest.raises(UnsupportedNetworkError, match="'2d' has no form in integers"):
        quantize(model, X)


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (samples()[0][:5], "at least 20"),
        (np.repeat(samples()[0][:1], 30, axis=0), "are the same"),
        (np.where(np.arange(N_BANDS) == 3, np.nan, samples()[0]), "NaN"),
        (samples()[0][:, :20], "20 features"),
    ],
)
def test_calibration_samples_that_say_nothing(cnn, bad, message):
    with pytest.raises(ValueError, match=message):
        quantize(cnn, bad)


def test_steps_stay_where_they_are_no_scalers(cnn):
    X, y = samples()
    nm = np.linspace(2000, 2300, N_BANDS)
    for bands, kept in (
        (make_pipeline(ContinuumRemoval(nm), StandardScaler()), ["ContinuumRemoval"]),
        (make_pipeline(BandSelector(wavelengths=nm), MinMaxScaler(), StandardScaler()),
         ["BandSelector"]),
    ):  # fmt: skip
        model = PrunedCNNClassifier(
            bands=bands, network_params={"channels": 3, "hidden": 6}, n_iterations=0, max_iter=5,
            random_state=0,
        ).fit(X, y)  # fmt: skip
        found = quantize(model, X)
        assert [type(step).__name__ for _, step in found.steps[:-1]] == kept
        assert (found.predict(X) == model.predict(X)).mean() > 0.95
        report = device_report(found, X)
        assert report.agreement in (None, 1.0)
    scaled = quantize(cnn, X, input_scale=500)  # of standardized values: the scaler stays
    assert [type(step).__name__ for _, step in scaled.steps[:-1]] == ["StandardScaler"]
    assert (scaled.predict(X) == cnn.predict(X)).mean() > 0.95


def test_files(cnn, tmp_path):
    X, _ = samples(seed=1)
    found = quantize(cnn, samples()[0])
    save_model(found, tmp_path / "m.capoz")
    loaded = load_model(tmp_path / "m.capoz")
    assert_array_equal(loaded.decision_function(X), found.decision_function(X))
    assert (tmp_path / "m.capoz").stat().st_size < 8000
    cube = X.reshape(12, 20, -1)
    with pytest.warns(UserWarning, match="by position"):
        mapped = predict_scene(loaded, cube, wavelengths=np.arange(2000.0, 2000 + N_BANDS))
    assert_array_equal(loaded.classes_[mapped.codes.ravel() - 1], found.predict(X))


def test_files_whose_geometry_lies(cnn, monkeypatch, tmp_path):
    from sklearn_capoz.export import _files
    from sklearn_capoz.export._model import describe_model

    found = quantize(cnn, samples()[0])
    for key, value in (("n_positions", 29), ("kernel_size", 7), ("pool_size", 40), ("stride", 9)):
        description, tensors = describe_model(found)
        description["network"]["convolutions"][0][key] = value
        content = _files.pack(description, tensors)
        with pytest.raises(DataFormatError):
            _files.build_model(*_files.unpack(content))
    description, tensors = describe_model(found)
    description["network"]["convolutions"] *= 3
    with pytest.raises(DataFormatError, match="too many"):
        _files.build_model(*_files.unpack(_files.pack(description, tensors)))


def test_onnx(cnn, tmp_path):
    ort = pytest.importorskip("onnxruntime")
    X, _ = samples(seed=1)
    for model, number in ((cnn, 0), (trained(Chain())[0], 1)):
        found = quantize(model, samples()[0] if number == 0 else trained(Chain())[1])
        to_onnx(found, tmp_path / "m.onnx", X_check=X)
        session = ort.InferenceSession(tmp_path / "m.onnx")
        dtype = found.network_.dtype
        labels = session.run(["label"], {"X": X.astype(dtype)})[0]
        assert_array_equal(labels, found.predict(X.astype(dtype)))


def run_c(compiler, network, X, folder):
    """Compile the header with a trace of every complete sum; return what it writes."""
    to_c(QuantizedClassifier(network, np.arange(network.n_classes)), folder / "net.h")
    text = (folder / "net.h").read_text()
    assert not re.search(r"\b(float|double|malloc)\b", re.sub(r"/\*.*?\*/", "", text.split(
        "#ifdef NET_FLOAT")[0], flags=re.S))  # fmt: skip
    traced, n = re.subn(
        r"\n( +)((?:h\d+\[i\] =|scores\[i\] =|code =) )", r"\n\1trace(z);\n\1\2", text
    )
    assert n == len(network.layers)
    (folder / "net.h").write_text(traced)
    (folder / "main.c").write_text(SUMS_OF_INTEGERS)
    built = subprocess.run(
        [compiler, *SANITIZED, "main.c", "-o", "net"], cwd=folder, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert built.returncode == 0, built.stderr
    ran = subprocess.run([folder / "net"], input=X.tobytes(), capture_output=True, check=False)
    assert ran.returncode == 0, ran.stderr.decode()
    return np.frombuffer(ran.stdout, np.int32).reshape(len(X), -1)


def expected_of(network, X):
    clipped = np.clip(X, -network.input_limit, network.input_limit)
    sums = [
        part.transpose(0, 2, 1).reshape(len(X), -1) if part.ndim == 3 else part
        for part in network.accumulators(clipped)
    ]
    logits = network.logits(clipped)
    # `predict` computes all sums a second time.
    return np.hstack([*sums, logits, *sums, network.labels(logits)[:, None]])


@pytest.mark.parametrize(
    ("bits", "chain"),
    list(product([8, 4], [(nn.AvgPool1d, nn.ReLU, 2), (nn.MaxPool1d, nn.Tanh, 1)])),
)
def test_every_accumulator_in_c(compiler, bits, chain, tmp_path):
    torch.manual_seed(0)
    network = read_spectral(Chain(*chain), (N_BANDS,))
    rng = np.random.RandomState(0)
    found = integer_network(network, rng.normal(size=(60, N_BANDS)), bits=bits)
    X = np.concatenate([
        rng.randint(-(2**15), 2**15, (150, N_BANDS)),
        rng.normal(0, 900, (150, N_BANDS)).clip(-32768, 32767),
        [[32767] * N_BANDS, [-32768] * N_BANDS, [0] * N_BANDS],
    ]).astype(np.int16)  # fmt: skip
    assert_array_equal(run_c(compiler, found, X, tmp_path), expected_of(found, X))


def test_sums_at_the_very_end_of_int32(compiler, tmp_path):
    torch.manual_seed(0)
    network = read_spectral(SpectralCNN1D(N_BANDS, 3, 2, 8, 3, 4), (N_BANDS,))
    rng = np.random.RandomState(0)
    found = integer_network(network, rng.normal(size=(60, N_BANDS)))
    first = found.layers[0]
    weights = np.full(first.weights.shape, 127, np.int8)
    room = 2**31 - 1 - 8 * 127 * 32767
    first = replace(first, weights=weights, biases=np.array([room, -room], np.int32))
    found = replace(found, layers=(first, *found.layers[1:]), input_limit=32767)
    found.check()
    X = np.repeat(np.array([[32767], [-32767]], np.int16), N_BANDS, axis=1)
    assert found.accumulators(X)[0].max() == 2**31 - 1
    assert_array_equal(run_c(compiler, found, X, tmp_path), expected_of(found, X))
    over = replace(first, biases=np.array([room + 1, 0], np.int32))
    with pytest.raises(ValueError, match="could sum up to"):
        replace(found, layers=(over, *found.layers[1:])).check()
