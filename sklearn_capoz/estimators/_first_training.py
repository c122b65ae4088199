"""The first training of a PrunedMLPClassifier, and its network in the forms that it is asked for.

Functions of the estimator, so that CAPoZPruner can run the same training without its pruning.
"""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
from numbers import Integral

import numpy as np

from .._sklearn import InvalidParameterError
from ..networks import DenseNetwork
from ..networks._predictor import Predictor
from ..pruning import PrunableModel, accuracy
from ..pruning._dense_model import DenseModel
from ..training import TrainingSettings, initial_network
from ..training._samples import PruningData
from ._kept import read_only
from ._split import spawn_random_states

__all__ = [
    "as_skorch_model",
    "check_widths",
    "first_training",
    "kept_network",
    "net_of",
    "network_of",
    "training_settings",
    "untrained_model",
]


def check_widths(hidden_layer_sizes) -> tuple[int, ...]:
    """Return the widths of the hidden layers as a tuple."""
    widths = np.atleast_1d(np.array(hidden_layer_sizes, dtype=object))
    whole = [
        isinstance(width, Integral) and not isinstance(width, bool) and int(width) >= 1
        for width in widths
    ]
    if widths.ndim != 1 or not whole or not all(whole):
        raise InvalidParameterError(
            "hidden_layer_sizes must be one or more whole numbers of at least 1, got "
            f"{hidden_layer_sizes!r}."
        )
    return tuple(int(width) for width in widths)


def first_training(
    estimator,
    data: PruningData,
    n_classes: int,
    random_state: np.random.RandomState,
    pause_at: int | None = None,
    prepare: Callable[[list], list] = list,
) -> tuple[PrunableModel, int]:
    """Train `n_restarts` networks side by side; return the best on the scoring samples.

    The pruning that follows, here or in CAPoZPruner, takes the network from there: after the
    training, or where it has paused. `prepare` lets a teacher at the networks before.
    """
    generators = spawn_random_states(random_state, estimator.n_restarts)
    models = prepare([untrained_model(estimator, data, n_classes, each) for each in generators])
    models = [model.until(pause_at) for model in models]
    trained = type(models[0]).train_together(models, [data] * len(models))
    accuracies = [accuracy(model, data.score) for model, _ in trained]
    return trained[int(np.argmax(accuracies))]


def untrained_model(
    estimator, data: PruningData, n_classes: int, random_state: np.random.RandomState
) -> PrunableModel:
    """Draw a network, with the settings of its first training."""
    settings = training_settings(estimator)
    network = initial_network(
        data.train.X.shape[1],
        check_widths(estimator.hidden_layer_sizes),
        n_classes,
        estimator.activation,
        random_state,
        data.train.X.dtype,
    )
    if estimator.callbacks is None:
        return DenseModel(network, None, settings, estimator.device, random_state)
    return as_skorch_model(_make_net(estimator, network, settings), settings, random_state)


def training_settings(estimator) -> TrainingSettings:
    """Return the parameters of training, which have MLPClassifier's names."""
    names = (
        *("solver", "alpha", "batch_size", "learning_rate_init", "max_iter", "tol"),
        *("n_iter_no_change", "early_stopping", "dropout"),
    )
    return TrainingSettings(**{name: getattr(estimator, name) for name in names})


def kept_network(model) -> dict:
    """Return what a fitted estimator holds of a network: the one truth, and its compiled form."""
    if not isinstance(model, DenseModel):
        # So that a clone of the net has the pruned widths too.
        model.net.module__hidden_layer_sizes = model.widths
    # Only the pruning loop needed those who taught it.
    kept = model.configured(replace(model.settings, distillation=0.0), teacher=None)
    support = None
    if isinstance(kept, DenseModel):
        kept, support = replace(kept, prunes_inputs=False), kept.inputs
    return {"_kept": kept, "_predictor": Predictor(network_of(kept), support)}


def network_of(model) -> DenseNetwork:
    """Return the arrays of a model; they cannot be written to."""
    if isinstance(model, DenseModel):
        return read_only(model.network)
    from ..networks._module import network_from_module  # imports torch

    return read_only(network_from_module(model.net.module_))


def net_of(estimator, model):
    """Make a skorch net of its own of a model."""
    from ..training._skorch_net import copy_net  # imports torch

    if not isinstance(model, DenseModel):
        return copy_net(model.net)
    settings = training_settings(estimator)
    trained = {"optimizer": model.optimizer, "loss_curve": model.loss_curve}
    return _make_net(estimator, model.network, settings, **trained)


def as_skorch_model(net, settings: TrainingSettings | None = None, random_state=None):
    """View a skorch net as a prunable model."""
    from ..pruning._skorch_model import SkorchModel  # imports torch

    return SkorchModel(net, settings or TrainingSettings(), random_state)


def _make_net(estimator, network: DenseNetwork, settings: TrainingSettings, **trained):
    from ..training._skorch_net import net_from_training  # imports torch

    callbacks = deepcopy(estimator.callbacks)
    if estimator.granularity == "connection":
        from ..training._zeros import ZerosStay

        callbacks = [*(callbacks or []), ("zeros_stay", ZerosStay())]
    return net_from_training(
        network, settings, callbacks=callbacks, device=estimator.device, **trained
    )
