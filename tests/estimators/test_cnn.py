"""PrunedCNNClassifier: spectra, patches and pixels of a scene, through the one pruning."""

import pickle
import tracemalloc

import numpy as np
import pytest
import torch
from sklearn.decomposition import PCA
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from torch import nn

from sklearn_capoz import CAPoZPruner, PrunedCNNClassifier, sensitivity_curve
from sklearn_capoz.datasets import ScenePixels, sample_pixels
from sklearn_capoz.deploy import to_c
from sklearn_capoz.estimators._cnn_net import make_net, network_samples
from sklearn_capoz.exceptions import UnsupportedNetworkError
from sklearn_capoz.networks import SpatialCNN2D, SpectralCNN1D, SpectralSpatialCNN3D
from sklearn_capoz.thresholds import Fraction

pytestmark = [
    pytest.mark.filterwarnings("ignore::sklearn_capoz.exceptions.PruningStalledWarning"),
]

SIZES = {
    "1d": {"channels": 4, "kernel_size": 4, "hidden": 8},
    "2d": {"channels": (6,), "hidden": 8},
    "3d": {"channels": (4,), "band_kernel_size": 3, "hidden": 8},
}
MODULES = {"1d": SpectralCNN1D, "2d": SpatialCNN2D, "3d": SpectralSpatialCNN3D}


@pytest.fixture(scope="module")
def scene():
    """Stripes of two covers, told apart by their spectra, in 40 x 40 pixels of 8 bands."""
    random = np.random.RandomState(0)
    labels = np.repeat(1 + np.arange(40) // 5 % 2, 40).reshape(40, 40)
    spectra = random.uniform(size=(3, 8))
    cube = spectra[labels] + 0.05 * random.standard_normal((40, 40, 8))
    return cube.astype(np.float32), labels


@pytest.fixture(scope="module")
def split(scene):
    return sample_pixels(*scene, train_size=60, patch_size=5, random_state=0)


def make(kind="2d", **changes):
    settings = {
        "patch_size": 5, "network_params": SIZES.get(kind), "n_iterations": 1, "max_iter": 8,
        "learning_rate_init": 0.01, "batch_size": 16, "retrain_max_iter": 2, "random_state": 0,
    }  # fmt: skip
    return PrunedCNNClassifier(kind, **(settings | changes))


@pytest.mark.parametrize("kind", ["1d", "2d", "3d"])
def test_each_kind_learns_and_gets_smaller(kind, split):
    X_train, X_test, y_train, y_test = split
    model = make(kind, n_iterations=2, keep="last", retrain_max_iter=6).fit(X_train, y_train)
    assert model.score(X_test, y_test) > 0.9
    assert isinstance(model.module_, MODULES[kind])
    assert model.compression_rate_ > 1
    n_parameters = sum(parameter.numel() for parameter in model.module_.parameters())
    assert n_parameters == model.history_["n_parameters"].iloc[-1]
    np.testing.assert_allclose(model.predict_proba(X_test).sum(axis=1), 1)
    assert model.n_features_in_ == 8
    assert model.classes_.tolist() == [1, 2]


def test_pixels_patches_and_their_order_are_the_same_samples(split):
    X_train, X_test, y_train, _ = split
    of_scene = make().fit(X_train, y_train)
    of_patches = make().fit(X_train.patches(5), y_train)
    expected = of_scene.predict_proba(X_test)
    for model in (of_scene, of_patches):
        np.testing.assert_allclose(model.predict_proba(X_test.patches(5)), expected, atol=1e-4)
    backwards = of_scene.predict_proba(X_test[np.arange(len(X_test))[::-1]])
    np.testing.assert_allclose(backwards[::-1], expected, atol=1e-5)


def test_it_is_the_pruner_around_such_a_net(split):
    """The delegation adds nothing: the same net in CAPoZPruner ends as the same network."""
    X_train, _, y_train, _ = split
    model = make("1d").fit(X_train, y_train)
    samples = network_samples(model, model.bands_, np.asarray(X_train))
    net = make_net(model, model.bands_, np.asarray(X_train), samples, 2)
    pruner = CAPoZPruner(net, **model._pruning_params()).fit(samples, y_train)
    for own, other in zip(
        model.module_.parameters(), pruner.estimator_.module_.parameters(), strict=True
    ):
        assert torch.equal(own, other)
    np.testing.assert_array_equal(model.support_[0], pruner.support_[0])


def test_the_same_seed_gives_the_same_network_and_leaves_the_callers_generators(split):
    X_train, X_test, y_train, _ = split
    states = torch.random.get_rng_state(), np.random.get_state()[1].copy()
    first, again = (make().fit(X_train, y_train).predict_proba(X_test) for _ in range(2))
    np.testing.assert_array_equal(first, again)
    assert torch.equal(torch.random.get_rng_state(), states[0])
    np.testing.assert_array_equal(np.random.get_state()[1], states[1])


def test_zero_iterations_leave_the_network_dense(split):
    X_train, _, y_train, _ = split
    model = make(n_iterations=0, keep="last").fit(X_train, y_train)
    assert model.module_.features[0].out_channels == 6
    assert model.compression_rate_ == 1


def parameters_of(model):
    return [parameter.detach().numpy() for parameter in model.module_.parameters()]


def test_class_weights_are_weights_of_the_samples_in_the_loss(split):
    """They do not enter the scores, so that the dense networks alone are compared."""
    X_train, _, y_train, _ = split
    dense = {"bands": FunctionTransformer(), "n_iterations": 0, "max_iter": 3}
    weights = {1: 3.0, 2: 0.25}
    by_class = make("1d", class_weight=weights, **dense).fit(X_train, y_train)
    by_sample = make("1d", **dense).fit(
        X_train, y_train, sample_weight=[weights[label] for label in y_train]
    )
    for a, b in zip(parameters_of(by_class), parameters_of(by_sample), strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_batch_of_classes_without_weight_is_no_division_by_zero(split):
    X_train, _, y_train, _ = split
    model = make("1d", class_weight={2: 0.0}, batch_size=1).fit(X_train, y_train)
    assert all(np.isfinite(parameter).all() for parameter in parameters_of(model))


def test_balanced_class_weights_count_in_retraining(split):
    X_train, _, y_train, _ = split
    rows = np.r_[np.flatnonzero(y_train == 1), np.flatnonzero(y_train == 2)[:8]]
    X, y = X_train[rows], y_train[rows]
    by_hand = {label: len(y) / 2 / np.sum(y == label) for label in (1, 2)}
    balanced, same, plain = (
        make("1d", class_weight=weight, keep="last", learning_rate_init=0.001).fit(X, y, X, y)
        for weight in ("balanced", by_hand, None)
    )
    for a, b in zip(parameters_of(balanced), parameters_of(same), strict=True):
        np.testing.assert_array_equal(a, b)
    rare = X_train[y_train == 2]
    shares = [model.predict_proba(rare)[:, 1].mean() for model in (balanced, plain)]
    assert shares[0] > shares[1]


@pytest.mark.parametrize(
    ("class_weight", "message"),
    [("even", "'class_weight'"), ({"clay": 2.0}, "names 'clay'"), ({1: -1.0}, "at least 0")],
)
def test_class_weights_that_are_none_raise_before_any_training(split, class_weight, message):
    X_train, _, y_train, _ = split
    model = make("1d", class_weight=class_weight, max_iter=10**6)
    with pytest.raises(ValueError, match=message):
        model.fit(X_train, y_train)
    assert not hasattr(model, "classes_")


def test_a_search_over_pixels_of_a_scene(split):
    X_train, X_test, y_train, y_test = split
    grid = {"patch_size": [3, 5], "bands__pca__n_components": [2, 4]}
    bands = make_pipeline(StandardScaler(), PCA())
    search = GridSearchCV(make(bands=bands, n_iterations=0), grid, cv=2).fit(X_train, y_train)
    assert search.score(X_test, y_test) > 0.9
    best = search.best_estimator_
    assert best.module_.features[0].in_channels == search.best_params_["bands__pca__n_components"]
    assert len(best.bands_["pca"].components_) == search.best_params_["bands__pca__n_components"]


def test_a_pipeline_of_spectra(split):
    X_train, X_test, y_train, y_test = split
    pipeline = make_pipeline(StandardScaler(), make("1d")).fit(np.asarray(X_train), y_train)
    assert pipeline.score(np.asarray(X_test), y_test) > 0.9


def test_a_pickle_holds_the_network_and_not_the_scene(scene, split):
    X_train, X_test, y_train, _ = split
    model = make().fit(X_train, y_train)
    stored = pickle.dumps(model)
    assert len(stored) < scene[0].nbytes / 2
    np.testing.assert_array_equal(pickle.loads(stored).predict(X_test), model.predict(X_test))


def test_patches_are_never_there_all_at_once():
    """All 2,000 patches of 11 x 11 pixels and 60 bands would take 58 MB, the scene takes 0.6."""
    random = np.random.RandomState(0)
    cube = random.standard_normal((50, 50, 60)).astype(np.float32)
    positions = random.randint(50, size=(2000, 2))
    pixels, y = ScenePixels(cube, positions), random.randint(2, size=2000)
    settings = {"network_params": {"channels": (2,), "hidden": 2}, "n_iterations": 0}
    model = make(patch_size=11, max_iter=1, bands=StandardScaler(), **settings)
    model.fit(pixels[:100], y[:100])  # what is imported counts for nothing
    tracemalloc.start()
    model.fit(pixels, y)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 15_000_000


def test_missing_numbers_are_left_out_and_counted(scene, split):
    X_train, X_test, y_train, y_test = split
    cube = scene[0].copy()
    row, column = X_train.positions[0]
    cube[row, column, 3] = np.nan
    near = (np.abs(X_train.positions - [row, column]) <= 2).all(axis=1)
    for X in (
        ScenePixels(cube, X_train.positions),
        ScenePixels(cube, X_train.positions).patches(5),
    ):
        with pytest.warns(UserWarning, match=f"^{near.sum()} of 120 samples of X are left out"):
            model = make(n_iterations=0).fit(X, y_train)
        assert model.score(X_test, y_test) > 0.9
        with pytest.raises(ValueError, match=r"Input X contains NaN .* are \[0"):
            model.predict(X)
    everywhere = ScenePixels(np.full_like(cube, np.nan), X_train.positions)
    with pytest.raises(ValueError, match="All 120 patches of X hold NaN"):
        make().fit(everywhere, y_train)


def test_groups_stay_together(split):
    X_train, _, y_train, _ = split
    fields = X_train.positions[:, 0] // 5
    assert make().fit(X_train, y_train, groups=fields).history_ is not None
    with pytest.raises(ValueError, match="groups must hold one name or number per sample"):
        make().fit(X_train, y_train, groups=X_train.positions)
    with pytest.raises(ValueError, match="groups holds 1 missing values"):
        make().fit(X_train, y_train, groups=np.where(np.arange(120) == 0, np.nan, fields))


class Padding(nn.Module):
    """A user's own network of patches."""

    def __init__(self, n_bands, n_classes, patch_size, channels=5):
        super().__init__()
        self.conv = nn.Conv2d(n_bands, channels, 3, padding=1)
        self.head = nn.Linear(channels * patch_size**2, n_classes)

    def forward(self, X):
        return self.head(torch.relu(self.conv(X)).flatten(1))


class TooMany(Padding):
    """Gives an output more than there are classes."""

    def __init__(self, n_bands, n_classes, patch_size):
        super().__init__(n_bands, n_classes + 1, patch_size)


def test_a_network_of_the_users_own(split):
    X_train, X_test, y_train, y_test = split
    rule = Fraction(0.4)
    model = make(Padding, network_params={"channels": 7}, threshold=rule, keep="last")
    model.fit(X_train, y_train)
    assert model.module_.conv.out_channels < 7
    assert model.score(X_test, y_test) > 0.9


def test_what_does_not_fit_is_refused_before_training(split, monkeypatch):
    X_train, _, y_train, _ = split
    patches = X_train.patches(5)
    monkeypatch.setattr(torch.Tensor, "backward", None)  # whoever trains stumbles
    for model, X, message in [
        (
            make("2d"),
            np.asarray(X_train),
            r"takes X of shape \(n_samples, n_bands, 5, 5\), as patch",
        ),
        (make("2d", patch_size=7), patches, r"7, 7\), as patch_size says, .* got \(120, 8, 5, 5\)"),
        (make("1d"), patches, "Found array with dim 4"),
        (make("2d", patch_size=4), X_train, "patch_size=4 is even"),
        (make("2d", patch_size=41), X_train, "patch_size=41 is larger than the scene of 40 x 40"),
        (make("2d", patch_size=1), X_train, "must be an int in the range"),
        (make("4d"), X_train, "The 'kind' parameter of PrunedCNNClassifier must be"),
        (make("2d", device="cuda"), X_train, "torch finds no CUDA device"),
        (make("2d", device="gpu"), X_train, "device='gpu' is none of torch's"),
        (make("2d", network_params={"channels": (4, 4, 4)}), X_train, "leave nothing of a patch"),
        (make(TooMany, network_params=None), X_train, "gives 3 outputs, y holds 2 classes"),
        (make("2d", bands="pca"), X_train, "The 'bands' parameter of PrunedCNNClassifier must be"),
        (make("2d"), X_train[:7], "inconsistent numbers of samples"),
        (make("2d", network_params={"units": 3}), X_train, "SpatialCNN2D.*units"),
        (make("2d", network_params={"channels": 5}), X_train, r"each convolution, .* got 5\.$"),
        (make("3d", network_params={"channels": ()}), X_train, r"each convolution, .* got \(\)\.$"),
        (make("2d", network_params={"channels": (4, 0)}), X_train, r"channels\[1\] must .* got 0"),
        (make("2d", network_params={"hidden": 2.5}), X_train, "hidden must be a whole .* got 2.5"),
        (make("2d", network_params={"n_bands": 3}), X_train, "names n_bands, which the network is"),
        (make("2d"), X_train[:0], "X holds no pixel"),
    ]:
        if "cuda" in message.lower() and torch.cuda.is_available():
            continue
        with pytest.raises((ValueError, TypeError), match=message):
            model.fit(X, y_train)
        with pytest.raises(NotFittedError):
            model.predict(X_train)
        assert not [name for name in vars(model) if name.endswith("_")]


def test_no_pixel_is_no_sample_to_predict(split):
    X_train, _, y_train, _ = split
    model = make(n_iterations=0).fit(X_train, y_train)
    with pytest.raises(ValueError, match="X holds no pixel"):
        model.predict(X_train[:0])


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda X: np.log(X - 100), r"makes NaN or infinity of the 120 training spectra"),
        (lambda X: X[:, :0], r"makes shape \(120, 0\) of the 120 training spectra"),
    ],
)
@pytest.mark.filterwarnings("ignore:invalid value encountered in log")
def test_bands_that_make_no_numbers_are_refused(split, function, message):
    X_train, _, y_train, _ = split
    with pytest.raises(ValueError, match=message):
        make(bands=FunctionTransformer(function)).fit(X_train, y_train)


@pytest.mark.filterwarnings("error:The given NumPy array is not writable")
def test_bands_that_come_out_as_a_table(split):
    X_train, X_test, y_train, _ = split
    scaler = StandardScaler().set_output(transform="pandas")
    model = make("1d", bands=scaler, network_params=None, n_iterations=0, max_iter=1)
    model.fit(np.asarray(X_train), y_train).predict(np.asarray(X_test))


def test_other_bands_than_it_was_trained_on_are_refused(scene, split):
    X_train, X_test, y_train, _ = split
    model = make(n_iterations=0).fit(X_train, y_train)
    narrow = ScenePixels(scene[0][:, :, :5], X_test.positions)
    for X in (narrow, narrow.patches(5)):
        with pytest.raises(ValueError, match="X has 5 features, but PrunedCNNClassifier is expec"):
            model.predict(X)


def test_validation_data_of_each_kind(split):
    X_train, X_test, y_train, y_test = split
    half = len(X_test) // 2
    given = {"X_val": X_test[:half], "y_val": y_test[:half]}
    of_pixels = make("2d").fit(X_train, y_train, **given)
    patches = {"X_val": X_test[:half].patches(5), "y_val": y_test[:half]}
    of_patches = make("2d").fit(X_train.patches(5), y_train, **patches)
    np.testing.assert_allclose(of_patches.importances_[0][0], of_pixels.importances_[0][0], 1e-4)
    of_spectra = make("1d").fit(X_train, y_train, **given)
    assert len(of_spectra.predict(X_test)) == len(X_test)
    # Units are scored on these, and not on a share of X.
    assert not np.allclose(
        of_pixels.importances_[0][0], make("2d").fit(X_train, y_train).importances_[0][0]
    )


def test_validation_data_that_does_not_fit(split):
    X_train, X_test, y_train, y_test = split
    with pytest.raises(ValueError, match="only X_val was given"):
        make("2d").fit(X_train, y_train, X_val=X_test)
    with pytest.raises(ValueError, match=r"must be pixels of one scene, or both be arrays.*patch"):
        make("2d").fit(X_train, y_train, X_val=X_test.patches(5), y_val=y_test)
    with pytest.raises(ValueError, match="3 features"):
        make("1d").fit(X_train, y_train, X_val=np.ones((4, 3)), y_val=y_test[:4])


def test_where_dense_chains_are_asked_for_it_says_what_to_take(split):
    X_train, X_test, y_train, y_test = split
    model = make("1d", n_iterations=0, max_iter=1).fit(X_train, y_train)
    with pytest.raises(UnsupportedNetworkError, match=r"prunes its network itself.* SpectralCNN1D"):
        sensitivity_curve(model, X_test, y_test)
    with pytest.raises(UnsupportedNetworkError, match=r"save_model and to_onnx.* '1d' quantize"):
        to_c(model, "header.h")
