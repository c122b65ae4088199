"""MNIST, for comparison with what others publish on pruning."""

from __future__ import annotations

import numpy as np

from ._files import DataFile, describe, find_file, tabular

__all__ = ["fetch_mnist"]

MNIST = DataFile(
    "mnist/mnist.npz",
    # The same arrays, compressed anew, and the file at the address below.
    (
        "06af5dfe73b70e3bc1c36439982b18a8d76803db9b544f6fdf838a37fbb01b64",
        "731c5ac602752760c8e48fbffcf8c3b850d9dc2a2aedcf2cc48468fc17b673d1",
    ),
    "Y. LeCun and C. Cortes, as published with Keras",
    url="https://storage.googleapis.com/tensorflow/tf-keras-datasets/mnist.npz",
)


def fetch_mnist(*, data_home=None, download_if_missing=True, return_X_y=False, as_frame=False):
    """Load MNIST: 70,000 handwritten digits, 28 x 28 pixels; the last 10,000 are the test set.

    Parameters
    ----------
    data_home : path-like, default=None
        Folder that holds `mnist`; None is `sklearn_capoz` in scikit-learn's data folder.
    download_if_missing : bool, default=True
        If False, a missing file is an error.
    return_X_y : bool, default=False
        Return ``(data, target)`` instead of a Bunch.
    as_frame : bool, default=False
        `data` is a DataFrame, `target` a Series.

    Returns
    -------
    digits : Bunch
        With the attributes

        - data : ndarray of shape (70000, 784), uint8; training rows first, then 10,000 test rows
        - target : ndarray of shape (70000,), 0..9
        - target_names : ndarray of shape (10,), "0" to "9"
        - n_train : int, 60000: rows before are for training
        - images : ndarray of shape (70000, 28, 28), uint8
        - feature_names, frame, DESCR

    (data, target) : tuple
        With `return_X_y=True`.

    Raises
    ------
    FileNotFoundError
        If the file is not there and may not be downloaded.
    DataFormatError
        If it is not the file that this package knows.
    """
    with np.load(find_file(MNIST, data_home, download_if_missing)) as digits:
        images = np.concatenate([digits["x_train"], digits["x_test"]])
        target = np.concatenate([digits["y_train"], digits["y_test"]]).astype(np.intp)
        n_train = len(digits["y_train"])
    return tabular(
        images.reshape(len(images), -1),
        target,
        [f"pixel_{row}_{column}" for row in range(28) for column in range(28)],
        return_X_y=return_X_y,
        as_frame=as_frame,
        target_names=np.array([str(digit) for digit in range(10)]),
        n_train=n_train,
        images=images,
        DESCR=describe("mnist"),
    )
