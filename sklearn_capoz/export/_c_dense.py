"""A dense network in C: loops over constant arrays."""

from __future__ import annotations

from ..networks import ACTIVATIONS, DenseNetwork
from ._c_source import Source
from ._c_sparse import sparse_rows, sparse_sums

__all__ = ["add_dense_network"]


def add_dense_network(source: Source, network: DenseNetwork, function: str) -> int:
    """Add the parameters, and a function from features to scores; return its bytes of RAM."""
    number, suffix = source.number, source.suffix
    widths = [network.n_features, *(len(bias) for bias in network.biases)]
    if any("{suffix}" in ACTIVATIONS[name].c for name in network.activations):
        source.includes.add("math.h")
    loops = []
    for i, (weight, bias) in enumerate(zip(network.weights, network.biases, strict=True)):
        # A row per unit, so that the loop over its inputs runs through memory in order.
        rows = weight.T.astype(source.dtype)
        sparse = sparse_rows(rows, 8 * source.dtype.itemsize)
        weights = source.constant(f"weight_{i}", rows if sparse is None else sparse.values)
        biases = source.constant(f"bias_{i}", bias.astype(source.dtype))
        last = i == len(network.activations)
        value = ACTIVATIONS["identity" if last else network.activations[i]].c.format(suffix=suffix)
        # The score of the second of two classes; the first one's is zero.
        place = "1" if last and network.output == "logistic" else "i"
        values = f"h{i - 1}" if i else "x"
        begin = f"{number} z = {biases}[i];"
        end = f"{'scores' if last else f'h{i}'}[{place}] = {value};"

        def product(k: str, j: str, weights=weights, values=values) -> str:
            return f"{weights}[{k}] * {values}[{j}]"

        if sparse is not None:
            loops.append(sparse_sums(source, i, sparse, begin, product, end))
            continue
        loops.append(
            f"    for (i = 0; i < {widths[i + 1]}; i++) {{\n"
            f"        {begin}\n"
            f"        for (j = 0; j < {widths[i]}; j++)\n"
            f"            z += {product(f'i * {widths[i]} + j', 'j')};\n"
            f"        {end}\n"
            "    }"
        )
    if network.output == "logistic":
        loops.append("    scores[0] = 0;")
    hidden = [f"    {number} h{i}[{width}];" for i, width in enumerate(network.widths)]
    source.add(
        "/* Scores of all classes; their softmax is the probability.\n"
        "   All are NaN where x holds NaN or infinity. */\n"
        f"static inline void {function}(const {number} x[{widths[0]}],\n"
        f"    {number} scores[{network.n_classes}])\n{{\n"
        + "\n".join([*hidden, "    int i, j;"])
        + f"\n    for (j = 0; j < {widths[0]}; j++)\n"
        "        if (!(x[j] - x[j] == 0)) {\n"
        f"            for (i = 0; i < {network.n_classes}; i++)\n"
        "                scores[i] = x[j] - x[j];\n"
        "            return;\n"
        "        }\n" + "\n".join(loops) + "\n}\n"
    )
    return sum(network.widths) * source.dtype.itemsize
