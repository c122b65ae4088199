"""
Maps of channels: what goes, and what stays
===========================================

A network of patches is trained and three of four channels of its first convolution are cut. The
maps show what each channel makes of one patch, the most active first: activity alone does not
decide, a channel whose map others can stand for goes.
"""

# %%
# Patches of a made scene of three minerals, and a network of 32 and 16 channels.
import numpy as np
import torch
from sklearn.frozen import FrozenEstimator
from skorch import NeuralNetClassifier

from sklearn_capoz import CAPoZPruner
from sklearn_capoz.datasets import make_mineral_scene, sample_pixels
from sklearn_capoz.displays import ChannelMapsDisplay
from sklearn_capoz.networks import SpatialCNN2D
from sklearn_capoz.schedules import Widths

minerals = ["Alunite", "Calcite", "Kaolinite"]
scene = make_mineral_scene((60, 60), minerals=minerals, random_state=0)
X_train, X_test, y_train, y_test = sample_pixels(
    scene.cube, scene.labels + 1, train_size=150, patch_size=9, random_state=0
)
y_train, y_test = (labels.astype(np.int64) - 1 for labels in (y_train, y_test))
mean, std = np.asarray(X_train).mean(axis=0), np.asarray(X_train).std(axis=0)


def patches(pixels):
    """Gather and standardise them, (n_pixels, n_bands, 9, 9)."""
    scaled = (pixels.patches(9) - mean[:, None, None]) / std[:, None, None]
    return scaled.astype(np.float32)


torch.manual_seed(0)
dense = NeuralNetClassifier(
    SpatialCNN2D(50, 3, patch_size=9, channels=(32, 16), hidden=24),
    criterion=torch.nn.CrossEntropyLoss,
    optimizer=torch.optim.Adam,
    lr=0.003,
    max_epochs=12,
    train_split=None,
    verbose=0,
).fit(patches(X_train), y_train)

# %%
# The channels are cut without any retraining; the layer behind them is refitted.
pruner = CAPoZPruner(
    FrozenEstimator(dense),
    criterion="reconstruction",
    compensation="least-squares",
    schedule=Widths([(8, 16, 24)]),
    n_iterations=1,
    keep="last",
    retrain_max_iter=0,
    random_state=0,
).fit(patches(X_train), y_train)
X, y = patches(X_test[::20]), y_test[::20]
print(f"accuracy {dense.score(X, y):.3f} -> {pruner.score(X, y):.3f}")

# %%
# Of a pruner around a frozen network the maps are those of the unpruned one.
display = ChannelMapsDisplay.from_estimator(pruner, X, layer="features.0", sample=3)
