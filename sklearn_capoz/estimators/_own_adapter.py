"""How CAPoZPruner reaches into a PrunedMLPClassifier: its training runs, its pruning does not."""

from __future__ import annotations

from copy import copy
from dataclasses import replace

import numpy as np
from sklearn.base import clone
from sklearn.utils import check_random_state

from ..pruning._model import copy_generator
from ._adapter import Adapter, Description
from ._class_weight import weigh_classes
from ._classifier import PrunedMLPClassifier
from ._first_training import first_training, kept_network, training_settings
from ._fitting import learn
from ._register import register_adapter
from ._split import with_random_state

__all__ = ["PrunedMLPAdapter"]


class PrunedMLPAdapter(Adapter):
    """Its first training is run, its own pruning parameters are not used."""

    def handles(self, estimator):
        return isinstance(estimator, PrunedMLPClassifier)

    def describe(self, estimator):
        is_arrays = estimator.callbacks is None
        if not hasattr(estimator, "classes_"):
            widths = tuple(np.atleast_1d(estimator.hidden_layer_sizes))
            return Description(widths, is_arrays, max_epochs=estimator.max_iter)
        return Description(
            estimator.network_.widths,
            is_arrays,
            estimator.classes_,
            estimator.n_features_in_,
            estimator.n_iter_,
        )

    def fit(self, estimator, data, classes, random_state):
        """Run the first training of a clone, after a check of all its parameters.

        Parameters
        ----------
        estimator : PrunedMLPClassifier
            Stays as it was.
        data : PruningData
            `train` is trained on; `score` may end the training early, `select` must not be seen.
        classes : ndarray of shape (n_classes,)
            The labels, in the order of the codes in `data`.
        random_state : RandomState
            Where the estimator has no seed of its own.

        Returns
        -------
        fitted : PrunedMLPClassifier
        """
        fitted = _checked_clone(estimator, random_state)
        generator = check_random_state(fitted.random_state)
        model, _ = first_training(fitted, data, len(classes), generator)
        return _with_learnt(fitted, data, classes, model)

    def train_until(self, estimator, data, classes, random_state, epoch):
        fitted = _checked_clone(estimator, copy_generator(random_state))
        generator = check_random_state(fitted.random_state)
        return first_training(fitted, data, len(classes), generator, epoch)

    def finish(self, estimator, data, classes, random_state, model):
        return _with_learnt(_checked_clone(estimator, random_state), data, classes, model)

    def model(self, fitted, random_state):
        settings = training_settings(fitted)
        return replace(fitted._kept, settings=settings, random_state=random_state)

    def network(self, fitted):
        return fitted.network_

    def with_model(self, fitted, model):
        return learn(copy(fitted), kept_network(model), forget=())

    def weigh(self, estimator, data, classes):
        return weigh_classes(data, classes, estimator.class_weight)


def _checked_clone(estimator, random_state) -> PrunedMLPClassifier:
    new = with_random_state(clone(estimator), random_state)
    new._plan()  # its parameters, those of its pruning included, must be right
    return new


def _with_learnt(estimator, data, classes, model) -> PrunedMLPClassifier:
    learnt = {
        "classes_": classes,
        "n_features_in_": data.train.X.shape[1],
        "n_iter_": len(model.loss_curve),
        "loss_curve_": list(model.loss_curve),
    }
    return learn(estimator, learnt | kept_network(model))


register_adapter(PrunedMLPAdapter())
