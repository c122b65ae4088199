"""save_model and load_model: one file, arrays beside a description, nothing in it is executed."""

from __future__ import annotations

from pathlib import Path

from ..exceptions import DataFormatError
from ..formats._atomic import check_target, write_atomically
from ._container import pack, read_whole_file, unpack
from ._model import build_model, describe_model

__all__ = ["file_content", "load_model", "save_model"]


def save_model(estimator, path) -> None:
    """Save a fitted model to one file that is safe to open anywhere.

    A pickle runs what it was told to run when it is opened, and opens only beside the versions
    that wrote it. This file holds numbers and text: the network's arrays as safetensors, and a
    JSON description of the network, the labels, the preprocessing and the pruning run. It is
    written whole or not at all, and opened once before it appears: after an interruption or an
    error the old file is still there.

    Parameters
    ----------
    estimator : fitted classifier or Pipeline
        A PrunedMLPClassifier, CAPoZPruner, MLPClassifier, skorch NeuralNetClassifier that is a
        chain of dense layers, PrunedCNNClassifier, CompiledClassifier or QuantizedClassifier; or a
        Pipeline of one after StandardScaler, MinMaxScaler, PCA and the transformers of
        `sklearn_capoz.spectral`; or a FieldTrainedClassifier around one of these, whose `trust_`
        is kept as well.
    path : str or path-like
        By custom it ends in ``.capoz``.

    Raises
    ------
    UnsupportedNetworkError
        If a step, a parameter, the labels or the network are of a kind that the file cannot hold.
    NotFittedError
        If a step has not been fitted.
    ValueError
        If a number is NaN or infinite, or the model is larger than a file may be: 20,000 bands,
        1,000 letters in a label, 2 GB. `load_model` has the same limits.
    ImportError
        If safetensors is not installed.

    See Also
    --------
    load_model : Open the file.

    Examples
    --------
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.neural_network import MLPClassifier
    >>> from sklearn_capoz.deploy import load_model, save_model
    >>> X, y = load_iris(return_X_y=True)
    >>> mlp = MLPClassifier((8,), tol=1e-2, random_state=0).fit(X, y)
    >>> with TemporaryDirectory() as folder:
    ...     save_model(mlp, Path(folder) / "iris.capoz")
    ...     model = load_model(Path(folder) / "iris.capoz")
    >>> bool((model.predict(X) == mlp.predict(X)).all())
    True
    """
    check_target(path)
    content = file_content(estimator)
    try:
        build_model(*unpack(content))  # what cannot be opened is not to replace what can
    except DataFormatError as error:
        raise ValueError(f"The model cannot be saved: {error}") from error
    with write_atomically(path) as temporary:
        temporary.write_bytes(content)


def file_content(estimator) -> bytes:
    """Return what `save_model` writes.

    Raises
    ------
    ValueError
        If the model is too large, or holds NaN or infinity.
    """
    try:
        return pack(*describe_model(estimator))
    except DataFormatError as error:
        raise ValueError(f"The model cannot be saved: {error}") from error


def load_model(path):
    """Open a model file.

    Nothing in the file is executed. Names, shapes and dtypes of all arrays are compared with the
    description before anything is made of them, and what would take long or much memory is
    refused. Files of earlier versions open, too.

    Labels and probabilities are those of the saved model, to the last bit but for networks of
    scikit-learn and skorch and Pipelines with PCA: there sums in another order differ by rounding.

    Parameters
    ----------
    path : str or path-like
        A file of `save_model`.

    Returns
    -------
    model : CompiledClassifier, QuantizedClassifier, PrunedCNNClassifier or Pipeline
        Fitted, with `predict`, `predict_proba`, `score`, `classes_` and `n_features_in_`, and
        where the file holds them `feature_names_in_`, `wavelengths_` (nm) and `history_`. It is a
        Pipeline if there are preprocessing steps.

    Raises
    ------
    DataFormatError
        If it is no model file, is damaged, contradicts itself or is written by a newer version;
        the message names the first place that does.
    FileNotFoundError
        If there is no such file.
    ImportError
        If safetensors is not installed, or polars where the steps hand on its tables.

    See Also
    --------
    save_model : Write such a file.
    """
    path = Path(path)
    content = read_whole_file(path)
    try:
        return build_model(*unpack(content))
    except DataFormatError as error:
        raise DataFormatError(f"{path}: {error}") from error
