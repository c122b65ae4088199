"""A whole model in C: steps, network, and the label at the end."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..integers import IntegerConvolution, IntegerNetwork
from ._c_dense import add_dense_network
from ._c_integer import add_integer_network, add_quantizing
from ._c_source import Source
from ._c_sparse import n_skipped
from ._parts import ModelParts
from ._steps import add_step_to_c, known_kind_of

__all__ = ["Cost", "write_program"]


class Cost(NamedTuple):
    """What a part of a program takes.

    `part` is the name of a step or of the classifier, and "buffers" what stands between them.
    `constants` are the bytes of its constant arrays. `ram` are those of the arrays that live while
    it runs. `multiply_adds` are for one sample, comparisons and divisions not counted.
    """

    part: str
    constants: int
    ram: int
    multiply_adds: int


_SCORES = """
/* Scores of all classes, from what the sensor measured. {comment} */
static inline {returns} NAME_scores(const REAL x[{n_features}], {scores} scores[{n_classes}])
{{
{buffers}
{calls}
}}
"""

_PREDICT = """
/* Index into NAME_classes of the most likely class, the first one on ties{unless}. */
static inline int NAME_predict(const {x} x[{n_features}])
{{
    {scores} scores[{n_classes}];
    int i, best = 0;
{check}
    for (i = 1; i < {n_classes}; i++)
        if (scores[i] > scores[best])
            best = i;
    return best;
}}
"""


def write_program(parts: ModelParts, name: str, dtype: np.dtype) -> tuple[str, list[Cost]]:
    """Write a model whose linear steps have been folded into its network.

    Returns the header's text, and what each part of it takes.

    Raises
    ------
    UnsupportedNetworkError
        If a step has no form in C.
    """
    network = parts.network
    # Steps that only hand on numbers do so with stored integers.
    stored = bool(parts.steps) and _takes_integers(parts)
    source = Source(name, np.dtype(np.int16) if stored else dtype)
    costs: list[Cost] = []
    calls = _add_steps(source, parts, costs)
    function = f"{name}_network" if parts.steps else f"{name}_scores"
    before = source.n_constant_bytes
    if isinstance(network, IntegerNetwork):
        ram = add_integer_network(source, network, function)
        if not _takes_integers(parts):
            add_quantizing(source, network)
            ram += 2 * network.n_features  # the inputs as int16
        elif len(network.input_scale) > 1:
            _add_optional_quantizing(source, network)
    else:
        ram = add_dense_network(source, network, function)
    if parts.steps:
        costs.append(_add_scores(source, parts, calls, costs))
    used = source.n_constant_bytes - before
    size = 4 if isinstance(network, IntegerNetwork) else source.dtype.itemsize
    scores = size * network.n_classes
    done = network.n_multiply_adds - n_skipped(network, source.dtype.itemsize)
    costs.append(Cost(parts.name, used, ram + scores, done))
    _add_predict(source, parts)
    defines = {"N_FEATURES": parts.n_features, "N_CLASSES": network.n_classes}
    return source.text(_title(parts), defines, parts.classes), costs


def _takes_integers(parts: ModelParts) -> bool:
    """Whether x is integers: no step, or none that computes with what a sensor stores."""
    network = parts.network
    if not isinstance(network, IntegerNetwork):
        return False
    keep = all(known_kind_of(step).keeps_values for _, step in parts.steps)
    return not parts.steps or (len(network.input_scale) == 1 and keep)


def _add_optional_quantizing(source: Source, network: IntegerNetwork) -> None:
    """Add the way from features to integers, for who defines a macro: the rest has no floats."""
    before = source.n_constant_bytes
    macro = f"{source.name.upper()}_FLOAT"
    source.add(f"#ifdef {macro}")
    add_quantizing(source, network)
    source.add(f"#endif /* {macro} */")
    source.n_constant_bytes = before


def _title(parts: ModelParts) -> str:
    network = parts.network
    n_outputs = 1 if network.output == "logistic" else network.n_classes
    kinds = [type(step).__name__ for _, step in parts.steps]
    widths = "-".join(map(str, [network.n_features, *network.widths, n_outputs]))
    kind, bits = "dense", ""
    if isinstance(network, IntegerNetwork):
        bits = f" with {network.bits}-bit weights"
        if isinstance(network.layers[0], IntegerConvolution):
            kind = "convolutional"
    return ", ".join([*kinds, f"{kind} network {widths}{bits}"])


def _add_steps(source: Source, parts: ModelParts, costs: list[Cost]) -> list[str]:
    """Add a function for each step; return the calls of them, and fill in `costs`."""
    calls, given = [], "x"
    for i, (name, step) in enumerate(parts.steps):
        before = source.n_constant_bytes
        written = add_step_to_c(source, name, step)
        function, taken = f"{source.name}_step_{i}", "ab"[i % 2]
        source.add(
            f"/* {type(step).__name__} */\n"
            f"static void {function}(const REAL *x, REAL *y)\n{{\n{written.body.strip(chr(10))}\n}}"
        )
        used = source.n_constant_bytes - before
        costs.append(Cost(name, used, written.ram, written.multiply_adds))
        calls.append(f"    {function}({given}, {taken});")
        given = taken
    return calls


def _add_scores(source: Source, parts: ModelParts, calls: list[str], costs: list[Cost]) -> Cost:
    """Add the function that runs the steps and the network; return what its buffers take."""
    network, size = parts.network, source.dtype.itemsize
    widths = [known_kind_of(step).n_outputs(step) for _, step in parts.steps]
    rooms = {name: max(widths[i::2]) for i, name in enumerate("ab") if widths[i::2]}
    buffers = ", ".join(f"{name}[{room}]" for name, room in rooms.items())
    buffers = f"    {source.number} {buffers};"
    last = "ab"[(len(widths) - 1) % 2]
    returns, comment = "void", "All are NaN where a feature is NaN or infinite."
    run = f"    NAME_network({last}, scores);"
    if isinstance(network, IntegerNetwork) and _takes_integers(parts):
        comment = f"x is reflectance times {network.input_scale[0]:.9g}, rounded."
    elif isinstance(network, IntegerNetwork):
        returns, comment = "int", "Returns -1 where a feature is NaN or infinite."
        buffers += f"\n    int16_t q[{network.n_features}];"
        run = f"    if (NAME_quantize({last}, q) < 0)\n        return -1;\n"
        run += "    NAME_network(q, scores);\n    return 0;"
    source.add(
        _SCORES.format(
            comment=comment,
            returns=returns,
            n_features=f"{source.name.upper()}_N_FEATURES",
            n_classes=f"{source.name.upper()}_N_CLASSES",
            scores="int32_t" if isinstance(network, IntegerNetwork) else source.number,
            buffers=buffers,
            calls="\n".join([*calls, run]),
        )
    )
    return Cost("buffers", 0, size * sum(rooms.values()), 0)


def _add_predict(source: Source, parts: ModelParts) -> None:
    n = f"{source.name.upper()}_N_CLASSES"
    is_integer = isinstance(parts.network, IntegerNetwork)
    what = "a feature is" if parts.steps else "x holds"
    unless = f";\n   -1 where {what} NaN or infinite"
    check = f"    NAME_scores(x, scores);\n    if (!(scores[{n} - 1] == scores[{n} - 1]))\n"
    check += "        return -1;"
    if is_integer and not _takes_integers(parts):
        check = "    if (NAME_scores(x, scores) < 0)\n        return -1;"
    elif is_integer:
        check, unless = "    NAME_scores(x, scores);", ""
    source.add(
        _PREDICT.format(
            unless=unless,
            x="int16_t" if _takes_integers(parts) else source.number,
            scores="int32_t" if is_integer else source.number,
            n_features=f"{source.name.upper()}_N_FEATURES",
            n_classes=n,
            check=check,
        )
    )
