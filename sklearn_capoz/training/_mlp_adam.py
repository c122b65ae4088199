"""Adam as MLPClassifier has it, for torch."""

from __future__ import annotations

import torch

__all__ = ["MLPAdam"]


class MLPAdam(torch.optim.Adam):
    """torch's Adam with epsilon where MLPClassifier has it.

    There epsilon joins the square root of the second moment before its bias is corrected,
    here after, which in early steps makes torch's epsilon some thirty times larger.
    """

    @torch.no_grad()
    def step(self, closure=None):
        epsilons = [group["eps"] for group in self.param_groups]
        try:
            for group in self.param_groups:
                state = self.state.get(group["params"][0], {})
                n_steps = int(state.get("step", 0)) + 1
                group["eps"] /= (1 - group["betas"][1] ** n_steps) ** 0.5
            return super().step(closure)
        finally:
            for group, epsilon in zip(self.param_groups, epsilons, strict=True):
                group["eps"] = epsilon
