"""A net's criterion with room for sample weights and a teacher."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from skorch import NeuralNetClassifier
from torch import nn

from ..exceptions import UnsupportedNetworkError
from ._task import TrainingSettings

__all__ = ["SideLoss", "side_criterion"]


class SideLoss(nn.Module):
    """Mean over the batch with sample weights and a teacher's share, where the batch has them."""

    reduction: str
    weight: torch.Tensor | None

    def __init__(self, settings: TrainingSettings, **kwargs):
        super().__init__(reduction="none", **kwargs)
        self.share = settings.distillation
        self.temperature = settings.temperature
        self.side: dict[str, torch.Tensor] = {}
        self.side_is_used = True
        self.total_weight = 0.0
        self.forget()

    def forget(self) -> None:
        """Begin to measure the accuracy on validation samples anew."""
        self.right = self.seen = 0.0

    @property
    def validation_accuracy(self) -> float | None:
        """Weighted accuracy on validation samples; None where they have no weights."""
        return self.right / self.seen if self.seen else None

    def forward(self, logits, target):
        side, self.side_is_used = self.side, True
        losses = super().forward(logits, target)
        rows = torch.ones_like(losses) if self.weight is None else self.weight[target]
        if "sample_weight" in side:
            sample_weight = side["sample_weight"].to(losses)
            losses, rows = losses * sample_weight, rows * sample_weight
            if not self.training:
                self.right += float(sample_weight[logits.argmax(dim=1) == target].sum())
                self.seen += float(sample_weight.sum())
        if "teacher" in side:
            divergence = F.kl_div(
                torch.log_softmax(logits / self.temperature, dim=1),
                torch.log_softmax(side["teacher"].to(losses) / self.temperature, dim=1),
                reduction="none",
                log_target=True,
            ).sum(dim=1)
            soft = rows * self.temperature**2 * divergence
            losses = (1 - self.share) * losses + self.share * soft
        self.total_weight = float(rows.detach().sum())
        return losses.sum() / self.total_weight


class _SideCrossEntropy(SideLoss, nn.CrossEntropyLoss):
    """On logits."""


class _SideNLL(SideLoss, nn.NLLLoss):
    """On log-probabilities, which skorch makes of the module's probabilities."""


def side_criterion(net: NeuralNetClassifier, settings: TrainingSettings) -> SideLoss:
    """Make the net's criterion one with room for weights and a teacher."""
    old = net.criterion_
    if type(old) not in {nn.CrossEntropyLoss, nn.NLLLoss} or old.reduction != "mean":
        raise UnsupportedNetworkError(
            "Distillation and sample weights need a net whose criterion is CrossEntropyLoss on "
            "logits or NLLLoss on probabilities with reduction='mean', got "
            f"{type(old).__name__}. Train without them, or give the net such a criterion."
        )
    kwargs = {"weight": old.weight, "ignore_index": old.ignore_index}
    if isinstance(old, nn.CrossEntropyLoss):
        return _SideCrossEntropy(settings, label_smoothing=old.label_smoothing, **kwargs)
    return _SideNLL(settings, **kwargs)
