"""How CAPoZPruner reaches into skorch nets."""

from __future__ import annotations

import torch
from sklearn.base import clone
from skorch import NeuralNetClassifier
from skorch.callbacks import InputShapeSetter

from ..exceptions import UnsupportedNetworkError
from ..networks._chain import trace_chain
from ..networks._predictor import Predictor
from ..pruning._skorch_model import SkorchModel, SkorchPredictor
from ..training import TrainingSettings
from ..training._skorch_data import check_rows
from ..training._skorch_net import check_device, copy_net
from ._adapter import Adapter, Description, is_skorch_net
from ._convert_net import check_output, network_of_net

__all__ = ["SkorchAdapter"]


class SkorchAdapter(Adapter):
    """The net's own loop, optimizer and callbacks train and retrain it."""

    def fit(self, estimator, data, classes, random_state):
        net = clone(estimator)
        if net.device is not None:
            check_device(net.device)
        X, y = data.train.X, data.train.y
        with torch.random.fork_rng():
            torch.manual_seed(random_state.randint(2**31))
            net.check_data(X, y)
            net.initialize()
            for _, callback in net.callbacks_:
                if isinstance(callback, InputShapeSetter):  # which else would act in training only
                    callback.on_train_begin(net, X=X, y=y)
            dtype = getattr(torch, X.dtype.name)
            net.module_.to(dtype)
            net.criterion_.to(dtype)
            with torch.no_grad():  # gives lazy layers their shape
                n_outputs = net.module_.eval()(torch.tensor(X[:2], device=net.device)).shape[1]
        if n_outputs != len(classes):
            raise ValueError(
                f"The module gives {n_outputs} outputs, y holds {len(classes)} classes; give the "
                "module one output per class."
            )
        check_rows(net, X, y)
        net.n_features_in_ = X.shape[1]  # its first Linear need not take the columns as they are
        model = self.model(net, random_state)  # raises for what cannot be pruned
        trained, _ = model.retrained(data)
        # What comes next draws from where this training has stopped.
        random_state.set_state(trained.random_state.get_state())
        return trained.net

    def handles(self, estimator):
        return is_skorch_net(estimator)

    def describe(self, estimator):
        if not hasattr(estimator, "module_"):  # older nets have other attributes from the start
            return Description()
        model = self.model(estimator, None)
        n_epochs = len(estimator.history_)
        return Description(model.widths, False, estimator.classes_, model.n_features, n_epochs)

    def network(self, fitted):
        return network_of_net(fitted)

    def copy(self, fitted):
        return copy_net(fitted)

    def predictor(self, fitted):
        """Compile the pruned network, or run it as it is where an activation has no such form."""
        try:
            return Predictor(network_of_net(fitted))
        except UnsupportedNetworkError:
            return SkorchPredictor(fitted)

    def name_features(self, fitted, names):
        pass  # skorch asks for no names

    def model(self, fitted, random_state):
        # The net stops by its own callbacks, or after max_epochs.
        settings = TrainingSettings(max_iter=fitted.max_epochs, n_iter_no_change=10**9)
        chain = trace_chain(fitted.module_, getattr(fitted, "n_features_in_", None))
        model = SkorchModel(fitted, settings, random_state, chain=chain)
        # With NLLLoss skorch takes the logarithm of what the module gives, which must be
        # probabilities; what other criteria and a get_loss of the user's own mean is theirs.
        is_plain = type(fitted).get_loss is NeuralNetClassifier.get_loss
        if is_plain and isinstance(fitted.criterion_, torch.nn.NLLLoss):
            check_output(fitted, chain)
        return model

    def with_model(self, fitted, model):
        return model.net
