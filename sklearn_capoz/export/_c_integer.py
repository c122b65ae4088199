"""An integer network in C: no floating point, no allocation, no library."""

from __future__ import annotations

from collections.abc import Callable

from ..integers import IntegerConvolution, IntegerNetwork
from ..integers._curve import CURVE_MIDDLE, N_BETWEEN, N_POINTS, PLACE_LIMIT
from ._c_source import Source
from ._c_sparse import sparse_rows, sparse_sums
from ._sparse import pack_nibbles

__all__ = ["add_integer_network", "add_quantizing"]

_RESCALE = """
/* z * multiplier / 2^shift, a half rounded away from zero. */
static inline int64_t NAME_rescale(int32_t z, int16_t multiplier, uint8_t shift)
{
    int64_t product = (int64_t)z * multiplier;
    int64_t half = (int64_t)1 << (shift - 1);
    return product < 0 ? -((half - product) >> shift) : (product + half) >> shift;
}

static inline uint8_t NAME_code(int32_t z, int16_t multiplier, uint8_t shift)
{
    int64_t code = NAME_rescale(z, multiplier, shift);
    return code < 0 ? 0 : code > 255 ? 255 : (uint8_t)code;
}
"""

_CURVE = f"""
/* Half a smooth activation, straight between its points; the other half mirrors it. */
static inline uint8_t NAME_curve(const uint8_t points[{N_POINTS}], int64_t place)
{{
    int64_t end = place < 0 ? -place : place;
    int32_t size = end > {PLACE_LIMIT} ? {PLACE_LIMIT} : (int32_t)end;
    int32_t part = size % {N_BETWEEN};
    const uint8_t *p = points + size / {N_BETWEEN};
    int32_t height = (p[0] * ({N_BETWEEN} - part) + p[1] * part + {N_BETWEEN}) / {2 * N_BETWEEN};
    return (uint8_t)(place < 0 ? {CURVE_MIDDLE} - height : {CURVE_MIDDLE} + height);
}}
"""

_NIBBLE = """
/* Weight k of two in each byte, the first in the low half. */
static inline int32_t NAME_nibble(const uint8_t *packed, int k)
{
    int32_t nibble = (packed[k >> 1] >> ((k & 1) << 2)) & 15;
    return nibble < 8 ? nibble : nibble - 16;
}
"""

_CLIP = """
/* No sum can overflow with inputs of this size. */
static inline int32_t NAME_clip(int32_t x)
{
    return x < -LIMIT ? -LIMIT : x > LIMIT ? LIMIT : x;
}
"""

_QUANTIZE = """
/* Inputs of features; -1 where one is NaN or infinite. */
static inline int NAME_quantize(const REAL x[N_FEATURES], int16_t q[N_FEATURES])
{
    int j;
    for (j = 0; j < N_FEATURES; j++) {
        double v = ((double)x[j] - (double)OFFSET) * (double)SCALE;
        if (!(v - v == 0))
            return -1;
        v = v < -LIMIT ? -LIMIT : v > LIMIT ? LIMIT : v;
        q[j] = (int16_t)(v < 0 ? v - 0.5 : v + 0.5);
    }
    return 0;
}
"""


def add_integer_network(source: Source, network: IntegerNetwork, function: str) -> int:
    """Add the parameters, and a function from inputs to scores; return its bytes of RAM."""
    source.includes.add("stdint.h")
    source.helper("rescale", _RESCALE)
    source.helper("clip", _CLIP.replace("LIMIT", str(network.input_limit)))
    if network.bits == 4:
        source.helper("nibble", _NIBBLE)
    loops = [_layer(source, network, i) for i in range(len(network.layers))]
    if network.output == "logistic":
        loops.append("    scores[0] = 0;")
    sizes = [layer.n_outputs for layer in network.layers[:-1]]
    hidden = [f"    uint8_t h{i}[{size}];" for i, size in enumerate(sizes)]
    if any(isinstance(layer, IntegerConvolution) for layer in network.layers):
        hidden.append("    int p, s, c;")
    source.add(
        f"/* Scores of all classes; times {network.logit_scale:.9g} they are the logits.\n"
        f"   {_input_units(source, network)} */\n"
        f"static inline void {function}(const int16_t x[{network.n_features}],\n"
        f"    int32_t scores[{network.n_classes}])\n{{\n"
        + "\n".join([*hidden, "    int i, j;", *loops])
        + "\n}\n"
    )
    return sum(sizes)


def _layer(source: Source, network: IntegerNetwork, i: int) -> str:
    """Add the constants of a layer, and return its loops."""
    layer = network.layers[i]
    n_in, n_out = layer.weights.shape
    rows = layer.weights.T  # a row per unit, in the order of the loops
    is_dense = not isinstance(layer, IntegerConvolution)
    sparse = sparse_rows(rows, network.bits) if is_dense else None
    stored = rows if sparse is None else sparse.values
    weights = source.constant(f"weight_{i}", pack_nibbles(stored) if network.bits == 4 else stored)
    biases = source.constant(f"bias_{i}", layer.biases)
    multipliers = source.constant(f"multiplier_{i}", layer.multipliers)
    shifts = source.constant(f"shift_{i}", layer.shifts)

    def product(k: str, j: str) -> str:
        nibbles = network.bits == 4
        weight = f"{source.name}_nibble({weights}, {k})" if nibbles else f"{weights}[{k}]"
        return f"{weight} * " + (f"h{i - 1}[{j}]" if i else f"{source.name}_clip(x[{j}])")

    rescaled = f"(z, {multipliers}[i], {shifts}[i])"
    if i == len(network.layers) - 1:
        # The score of the second of two classes; the first one's is zero.
        place = "1" if network.output == "logistic" else "i"
        result = f"scores[{place}] = (int32_t){source.name}_rescale{rescaled}"
    else:
        code = f"{source.name}_code{rescaled}"
        if layer.curve is not None:
            source.helper("curve", _CURVE)
            points = source.constant(f"curve_{i}", layer.curve)
            code = f"{source.name}_curve({points}, {source.name}_rescale{rescaled})"
        if isinstance(layer, IntegerConvolution):
            return _convolution(layer, i, biases, product, code)
        result = f"h{i}[i] = {code}"
    if sparse is not None:
        begin = f"int32_t z = {biases}[i];"
        return sparse_sums(source, i, sparse, begin, product, f"{result};")
    return (
        f"    for (i = 0; i < {n_out}; i++) {{\n"
        f"        int32_t z = {biases}[i];\n"
        f"        for (j = 0; j < {n_in}; j++)\n"
        f"            z += {product(f'i * {n_in} + j', 'j')};\n"
        f"        {result};\n"
        "    }"
    )


def _convolution(
    layer: IntegerConvolution, i: int, biases: str, product: Callable[[str, str], str], code: str
) -> str:
    """Return the loops of a convolution: units, pools, positions of a pool, channels, taps."""
    size, step = layer.pool_size, layer.stride
    k = f"(i * {layer.n_channels} + c) * {layer.kernel_size} + j"
    place = f"c * {layer.n_positions} + (p * {size} + s) * {step} + j"
    join, pooled = "code > pooled ? code : pooled", "pooled"
    if layer.pool == "average":
        join, pooled = "pooled + code", f"(2 * pooled + {size}) / {2 * size}"
    return (
        f"    for (i = 0; i < {layer.weights.shape[1]}; i++)\n"
        f"        for (p = 0; p < {layer.n_pooled}; p++) {{\n"
        "            int32_t pooled = 0;\n"
        f"            for (s = 0; s < {size}; s++) {{\n"
        f"                int32_t code, z = {biases}[i];\n"
        f"                for (c = 0; c < {layer.n_channels}; c++)\n"
        f"                    for (j = 0; j < {layer.kernel_size}; j++)\n"
        f"                        z += {product(k, place)};\n"
        f"                code = {code};\n"
        f"                pooled = {join};\n"
        "            }\n"
        f"            h{i}[i * {layer.n_pooled} + p] = (uint8_t)({pooled});\n"
        "        }"
    )


def _input_units(source: Source, network: IntegerNetwork) -> str:
    """Say what x holds."""
    if len(network.input_scale) == 1:
        return f"x[j] is feature j times {network.input_scale[0]:.9g}, rounded."
    return f"x is what {source.name}_quantize makes of the features."


def add_quantizing(source: Source, network: IntegerNetwork) -> None:
    """Add the function from floats to the network's inputs; it returns -1 for NaN and infinity."""
    names = [
        source.constant(what, getattr(network, what)) for what in ("input_offset", "input_scale")
    ]
    place = "0" if len(network.input_scale) == 1 else "j"
    text = _QUANTIZE.replace("N_FEATURES", str(network.n_features))
    for key, name in zip(("OFFSET", "SCALE"), names, strict=True):
        text = text.replace(key, f"{name}[{place}]")
    source.add(text.replace("LIMIT", str(network.input_limit)))
