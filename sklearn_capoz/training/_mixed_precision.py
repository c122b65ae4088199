"""The skorch net of networks that convolve: steps in bfloat16, and weights of classes."""

from __future__ import annotations

import torch
from skorch import NeuralNetClassifier

from .._sklearn import InvalidParameterError
from .._warn import warn
from ._skorch_net import check_device

__all__ = ["ConvolutionalNet", "check_mixed_precision"]


class ConvolutionalNet(NeuralNetClassifier):
    """skorch net that may multiply in bfloat16 while it trains.

    Weights, loss and the optimiser's moments stay as they are, in float32, and so does all that is
    no training: scores, refits, predictions.

    Parameters
    ----------
    module : callable
    mixed_precision : bool, default=False
        Whether it multiplies in bfloat16 in training.
    class_weight : dict, "balanced" or None, default=None
        Who prunes the net folds them into the weights of the samples. They are not those of the
        criterion, whose mean is none over a batch of weightless classes.
    **kwargs
        Of `skorch.NeuralNetClassifier`.
    """

    def __init__(self, module, *, mixed_precision=False, class_weight=None, **kwargs):
        super().__init__(module, **kwargs)
        self.mixed_precision = mixed_precision
        self.class_weight = class_weight

    def infer(self, x, **fit_params):
        """Run the module; in bfloat16 on what lies channels last, as is fastest."""
        if not (self.mixed_precision and self.module_.training):
            return super().infer(x, **fit_params)
        if torch.is_tensor(x) and x.dim() == 4:
            x = x.contiguous(memory_format=torch.channels_last)
        with torch.autocast(torch.device(self.device).type, torch.bfloat16):
            return super().infer(x, **fit_params).float()


def check_mixed_precision(dtype: str, device: str) -> None:
    """Say before a training whether it can be in bfloat16, and whether it is worth it.

    Raises
    ------
    ValueError
        If the weights are to be in float64, or torch knows no such device.

    Warns
    -----
    UserWarning
        If the processor has no instructions for it, and does the same in many others.
    """
    if dtype != "float32":
        raise InvalidParameterError(
            f"mixed_precision=True keeps weights in float32, and dtype={dtype!r} was asked for: "
            'leave one of the two out, or take dtype="float32".'
        )
    check_device(device)
    if torch.device(device).type == "cuda":
        has_it = torch.cuda.is_bf16_supported(including_emulation=False)
    elif torch.cpu._is_avx2_supported():
        has_it = torch.cpu._is_avx512_bf16_supported()
    else:  # of another family
        has_it = torch.ops.mkldnn._is_mkldnn_bf16_supported()
    if not has_it:
        warn(
            f"mixed_precision=True: device={device!r} has no instructions for bfloat16, in which "
            "training will then be slower than in float32."
        )
