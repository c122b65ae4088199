"""How CAPoZPruner reaches into skorch nets."""

from __future__ import annotations

import warnings

import numpy as np
import torch
from sklearn.base import clone
from skorch import NeuralNetClassifier
from skorch.callbacks import InputShapeSetter

from ..exceptions import UnsupportedNetworkError
from ..networks._inputs import describe_shape, leaves, map_inputs, run_module, sample_shape, take
from ..networks._layers import CONVOLUTIONS
from ..networks._predictor import Predictor
from ..pruning._model import copy_generator
from ..pruning._skorch_model import (
    SkorchModel,
    SkorchPredictor,
    check_shape,
    for_module,
    has_convolutions,
)
from ..training import TrainingSettings
from ..training._samples import PruningData
from ..training._skorch_data import check_rows
from ..training._skorch_net import check_device, copy_net
from ._adapter import Adapter, Description, is_skorch_net
from ._class_weight import weigh_classes
from ._convert_net import check_output, network_of_net

__all__ = ["SkorchAdapter"]


class SkorchAdapter(Adapter):
    """The net's own loop, optimizer and callbacks train and retrain it."""

    allow_nd = True

    def weigh(self, estimator, data, classes):
        """Fold class weights in of a net that has some; skorch's own has none."""
        return weigh_classes(data, classes, getattr(estimator, "class_weight", None))

    def fit(self, estimator, data, classes, random_state):
        begun = self.begin(estimator, data, classes, random_state)
        return self.train_begun(begun, data, random_state)

    def train_begun(self, begun, data, random_state):
        trained, _ = _checked(begun, data).retrained(data)
        # What comes next draws from where this training has stopped.
        random_state.set_state(trained.random_state.get_state())
        return trained.net

    def train_until(self, estimator, data, classes, random_state, epoch):
        begun = self.begin(estimator, data, classes, random_state)
        return _checked(begun, data).until(epoch).retrained(data)

    def finish(self, estimator, data, classes, random_state, model):
        return model.net

    def begin(self, estimator, data, classes, random_state) -> SkorchModel:
        """Initialise a clone, and check all that can be checked before it is trained."""
        net, random_state = clone(estimator), copy_generator(random_state)
        if net.device is not None:
            check_device(net.device)
        if net.compile:  # which takes long, and hides the layers
            raise UnsupportedNetworkError(
                f"{type(net).__name__}(compile=True) hides the layers of its module, which pruning "
                "has to see; take compile=False, and compile the module of what comes out."
            )
        X, y = data.train.X, data.train.y
        with torch.random.fork_rng():
            torch.manual_seed(random_state.randint(2**31))
            net.check_data(X, y)
            net.initialize()
            for _, callback in net.callbacks_:
                if isinstance(callback, InputShapeSetter):  # which else would act in training only
                    callback.on_train_begin(net, X=X, y=y)
            if not has_convolutions(net.module_):
                dtype = getattr(torch, next(leaves(X)).dtype.name)
                net.module_.to(dtype)
                net.criterion_.to(dtype)
            _check_criterion(net, _check_outputs(net, take(X, slice(2)), len(classes)))
        self.show_inputs(net, X)
        return self.model(net, random_state)  # raises for what cannot be pruned

    def show_inputs(self, fitted, X):
        shape = sample_shape(X)
        check_shape(X, getattr(fitted, "input_shape_", None), "X")
        fitted.input_shape_ = shape
        if isinstance(shape, tuple):
            fitted.n_features_in_ = shape[
                0
            ]  # its first Linear need not take the columns as they are

    def handles(self, estimator):
        return is_skorch_net(estimator)

    def describe(self, estimator):
        if not hasattr(estimator, "module_"):  # older nets have other attributes from the start
            return Description(max_epochs=estimator.max_epochs)
        known = {"classes": estimator.classes_, "n_epochs": len(estimator.history_)}
        if not hasattr(estimator, "input_shape_") and has_convolutions(estimator.module_):
            return Description(**known)  # `show_inputs` comes first
        model = self.model(estimator, None)
        return Description(model.widths, False, n_features=model.n_features, **known)

    def network(self, fitted):
        return network_of_net(fitted)

    def copy(self, fitted):
        return copy_net(fitted)

    def predictor(self, fitted):
        """Compile the pruned network, or run it as it is where it has no such form."""
        shape = getattr(fitted, "input_shape_", None)
        if shape is None or (isinstance(shape, tuple) and len(shape) == 1):
            try:
                return Predictor(network_of_net(fitted))
            except UnsupportedNetworkError:
                pass
        return SkorchPredictor(fitted)

    def name_features(self, fitted, names):
        pass  # skorch asks for no names

    def model(self, fitted, random_state):
        # The net stops by its own callbacks, or after max_epochs.
        settings = TrainingSettings(max_iter=fitted.max_epochs, n_iter_no_change=10**9)
        model = SkorchModel(fitted, settings, random_state)
        # With NLLLoss skorch takes the logarithm of what the module gives, which must be
        # probabilities; what other criteria and a get_loss of the user's own mean is theirs.
        is_plain = type(fitted).get_loss is NeuralNetClassifier.get_loss
        if is_plain and isinstance(fitted.criterion_, torch.nn.NLLLoss):
            check_output(fitted, model.trace.ending)
        return model

    def with_model(self, fitted, model):
        return model.net


def _checked(begun: SkorchModel, data: PruningData) -> SkorchModel:
    """Return the model, whose net trains on rows that its data set holds as they are."""
    check_rows(begun.net, for_module(data.train.X, begun.net.module_), data.train.y)
    return begun


def _check_outputs(net: NeuralNetClassifier, X, n_classes: int) -> torch.Tensor:
    """Raise unless a module gives a row of scores for each sample; lazy layers get their shape."""
    inputs = map_inputs(
        lambda part: torch.tensor(part, device=net.device), for_module(X, net.module_)
    )
    try:
        with torch.no_grad():
            output = run_module(net.module_.eval(), inputs)
    except (RuntimeError, ValueError, TypeError, IndexError) as error:
        raise ValueError(f"{_fails_on(net.module_, X)} It says: {error}") from error
    if not torch.is_tensor(output) or output.dim() != 2:
        what = (
            f"a tensor of shape {tuple(output.shape)}"
            if torch.is_tensor(output)
            else "a " + (type(output).__name__)
        )
        raise UnsupportedNetworkError(
            f"The module gives {what} for {len(next(leaves(X)))} samples; pruning needs one tensor "
            "of shape (n_samples, n_classes)."
        )
    if len(output) != len(next(leaves(X))):  # torch has taken the samples for channels of one
        raise ValueError(
            f"{_fails_on(net.module_, X)} It gives {len(output)} rows for {len(next(leaves(X)))} "
            "samples."
        )
    if output.shape[1] != n_classes:
        raise ValueError(
            f"The module gives {output.shape[1]} outputs, y holds {n_classes} classes; give the "
            "module one output per class."
        )
    return output


def _check_criterion(net: NeuralNetClassifier, output: torch.Tensor) -> None:
    """Raise unless the net's criterion takes a row of scores and one class for each sample."""
    if type(net).get_loss is not NeuralNetClassifier.get_loss:
        return  # which may give it anything
    n_classes = output.shape[1]
    # So many that what compares scores with classes one by one cannot pass for right.
    scores = output[:1].repeat(n_classes + 1, 1)
    codes = torch.zeros(len(scores), dtype=torch.int64, device=scores.device)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch's own about the shapes, before it fails
            net.get_loss(scores, codes, training=False)
    except (RuntimeError, ValueError, TypeError, IndexError) as error:
        raise ValueError(
            f"{type(net.criterion_).__name__} fails on scores of shape (n_samples, {n_classes}) "
            "and the numbers of the classes: give the net a criterion that takes them, "
            "CrossEntropyLoss for example, or NLLLoss if the module ends in a softmax. "
            f"It says: {error}"
        ) from error


def _fails_on(module: torch.nn.Module, X) -> str:
    """Say what a module was given and what it takes, as far as its first convolution shows."""
    given = f"{type(module).__name__} fails on X with samples of shape " + describe_shape(
        sample_shape(X)
    )
    first = next(
        ((name, part) for name, part in module.named_modules() if isinstance(part, CONVOLUTIONS)),
        None,
    )
    if first is None:
        return f"{given}; give X the axes that its forward takes."
    name, layer = first
    axes = ("positions", "rows, columns", "bands, rows, columns")[len(layer.kernel_size) - 1]
    takes = f"{type(layer).__name__} {name!r}, takes X of shape (n_samples, {layer.in_channels}, "
    what = f"{given}; its first convolution, {takes}{axes})."
    one_axis_less = isinstance(X, np.ndarray) and X.ndim == len(layer.kernel_size) + 1
    if one_axis_less and layer.in_channels == 1:
        what += " X[:, np.newaxis] has that axis of one channel."
    return what
