"""Gradients by hand against torch's, over shapes, activations, weights and teachers."""

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from sklearn_capoz.training._engine import TrainingSettings, TrainingTask, initial_network, train
from sklearn_capoz.training._optimizer import flatten

ACTIVATIONS = {
    "relu": torch.relu, "tanh": torch.tanh, "logistic": torch.sigmoid, "identity": lambda z: z,
}  # fmt: skip


def autograd(network, X, y, weight, teacher, alpha, share, T):
    """Loss and flat gradient of the formula as the documentation has it."""
    tensors = [torch.tensor(a, requires_grad=True) for a in (*network.weights, *network.biases)]
    weights, biases = tensors[: len(network.weights)], tensors[len(network.weights) :]
    Z = torch.from_numpy(X)
    for i, (W, b) in enumerate(zip(weights, biases, strict=True)):
        Z = Z @ W + b
        if i < len(network.activations):
            Z = ACTIVATIONS[network.activations[i]](Z)
    taught = torch.from_numpy(teacher)
    if network.output == "logistic":
        Z, taught = (torch.cat([torch.zeros_like(z), z], dim=1) for z in (Z, taught))
    w = torch.from_numpy(weight)
    hard = F.cross_entropy(Z, torch.from_numpy(y), reduction="none")
    p, q = torch.softmax(taught / T, 1), torch.softmax(Z / T, 1)
    soft = T**2 * (p * (p / q).log()).sum(1)
    penalty = 0.5 * alpha * sum((W**2).sum() for W in weights)
    loss = ((w * ((1 - share) * hard + share * soft)).sum() + penalty) / w.sum()
    loss.backward()
    return loss.item(), np.concatenate([t.grad.numpy().ravel() for t in tensors])


@settings(max_examples=60, deadline=None)
@given(
    widths=st.lists(st.integers(1, 7), max_size=3),
    n_features=st.integers(1, 6),
    n_classes=st.integers(2, 5),
    n_samples=st.integers(1, 12),
    activation=st.sampled_from(sorted(ACTIVATIONS)),
    logistic=st.booleans(),
    alpha=st.sampled_from([0.0, 0.3]),
    share=st.sampled_from([0.0, 0.4, 1.0]),
    T=st.sampled_from([1.0, 2.5]),
    seed=st.integers(0, 1000),
)
def test_gradient_is_that_of_autograd(
    widths, n_features, n_classes, n_samples, activation, logistic, alpha, share, T, seed
):
    random = np.random.RandomState(seed)
    logistic = logistic and n_classes == 2
    output = "logistic" if logistic else "softmax"
    network = initial_network(n_features, widths, n_classes, activation, random, np.float64, output)
    X = random.standard_normal((n_samples, n_features))
    y = random.randint(0, n_classes, n_samples)
    weight = random.uniform(0.1, 3, n_samples)
    teacher = 3 * random.standard_normal((n_samples, 1 if logistic else n_classes))
    loss, gradient = autograd(network, X, y, weight, teacher, alpha, share, T)

    # one plain step of rate 1 over all rows: its length is the gradient
    step = TrainingSettings(
        solver="sgd", momentum=0.0, learning_rate_init=1.0, max_iter=1, batch_size=n_samples,
        alpha=alpha, distillation=share, temperature=T,
    )  # fmt: skip
    [result] = train([TrainingTask(network, X, y, weight, teacher=teacher, random_state=0)], step)
    np.testing.assert_allclose(
        flatten(network) - flatten(result.network), gradient, rtol=1e-7, atol=1e-11
    )
    np.testing.assert_allclose(result.loss_curve[0], loss, rtol=1e-9, atol=1e-12)
