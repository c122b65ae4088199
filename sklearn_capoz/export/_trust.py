"""How a model's trust is written down: numbers as JSON, library and network as arrays."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..estimators import FieldTrust
from ..exceptions import DataFormatError
from ..networks import DenseNetwork
from ._limits import check_trust

__all__ = ["TRUST_SCHEMA", "build_trust", "describe_trust"]

#: What a description of one holds, in the words of `_description`.
TRUST_SCHEMA: dict[str, Any] = {
    "counts": [int],
    "wavelengths": [float],
    "units": int,
    "temperature": float,
    "least_likeness": float,
}


def describe_trust(trust: FieldTrust) -> tuple[dict, dict[str, np.ndarray]]:
    """Return what JSON can hold of it, and its arrays."""
    network = trust.network
    description = {
        "counts": list(trust.counts),
        "wavelengths": [float(nm) for nm in trust.wavelengths],
        "units": network.widths[0],
        "temperature": trust.temperature,
        "least_likeness": trust.least_likeness,
    }
    arrays = {"records": np.asarray(trust.records)}
    for i, (weight, bias) in enumerate(zip(network.weights, network.biases, strict=True)):
        arrays |= {f"{i}.weight": weight, f"{i}.bias": bias}
    return description, arrays


def build_trust(found: dict, take, n_classes: int, n_bands: int) -> FieldTrust:
    """Make it of its description, which has the keys and types of one.

    Parameters
    ----------
    found : dict
    take : callable
        From the name of an array, its shape and its dtype to the array, checked.
    n_classes, n_bands : int
        Of the model.
    """
    where, counts = "description.trust", found["counts"]
    check_trust(counts, found["wavelengths"], where)
    for name, n in (("counts", n_classes), ("wavelengths", n_bands)):
        if len(found[name]) != n:
            raise DataFormatError(
                f"{where}.{name} must have {n} entries, found {len(found[name])}."
            )
    if not found["temperature"] > 0:
        raise DataFormatError(f"{where}.temperature must be above 0.")
    records = take("records", (sum(counts), n_bands), None)
    shapes = ((n_bands, found["units"]), (found["units"], 1))
    weights = tuple(take(f"{i}.weight", shape, "float32") for i, shape in enumerate(shapes))
    biases = tuple(take(f"{i}.bias", shape[1:], "float32") for i, shape in enumerate(shapes))
    try:
        trust = FieldTrust(
            records,
            counts,
            found["wavelengths"],
            network=DenseNetwork(weights, biases, ("relu",), "logistic"),
            temperature=found["temperature"],
            least_likeness=found["least_likeness"],
        )
        measured = trust.measure(records[:1], np.full((1, n_classes), 1 / n_classes))
    except (ValueError, ArithmeticError) as error:
        raise DataFormatError(f"{where} is none: {str(error)[:500]}") from error
    if not np.isfinite(measured).all():
        raise DataFormatError(f"{where}: its arrays are so large that its numbers are none.")
    return trust
