"""How CAPoZPruner reaches into a PrunedMLPClassifier: its training runs, its pruning does not."""

from __future__ import annotations

from copy import copy

from sklearn.base import clone
from sklearn.utils import check_random_state

from ._adapter import Adapter, Description, register_adapter
from ._classifier import PrunedMLPClassifier
from ._fitting import learn
from ._split import with_random_state

__all__ = ["PrunedMLPAdapter"]


class PrunedMLPAdapter(Adapter):
    """Its first training is run, its own pruning parameters are not used."""

    def handles(self, estimator):
        return isinstance(estimator, PrunedMLPClassifier)

    def describe(self, estimator):
        is_arrays = estimator.callbacks is None
        if not hasattr(estimator, "classes_"):
            return Description(estimator._dense_widths(), is_arrays)
        return Description(
            estimator.network_.widths,
            is_arrays,
            estimator.classes_,
            estimator.n_features_in_,
            estimator.n_iter_,
        )

    def fit(self, estimator, data, classes, random_state):
        fitted = with_random_state(clone(estimator), random_state)
        fitted._check_parameters()
        model, n_epochs = fitted._train_dense(
            data, len(classes), check_random_state(fitted.random_state)
        )
        return learn(
            fitted,
            {"classes_": classes, "n_features_in_": data.train.X.shape[1]}
            | fitted._learnt_in_training(model, n_epochs)
            | fitted._learnt_of_the_network(model),
        )

    def model(self, fitted, random_state):
        return fitted._as_model(random_state)

    def network(self, fitted):
        return fitted.network_

    def with_model(self, fitted, model):
        return learn(copy(fitted), fitted._learnt_of_the_network(model), forget=())

    def weigh(self, estimator, data, classes):
        return estimator._weigh_classes(data, classes)


register_adapter(PrunedMLPAdapter())
