"""Layers in C of which many weights are zero: the others, and how many zeros are before each."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from ..integers import IntegerConvolution, IntegerNetwork
from ..networks import DenseNetwork

__all__ = ["SparseRows", "n_skipped", "sparse_rows", "sparse_sums"]

#: A byte that stands for so many zeros, with no weight behind them.
_FAR = 255
#: What the loops over gaps take on a device, more than plain ones.
_LOOPS = 80


class SparseRows(NamedTuple):
    """Weights of which only those are stored that are not zero.

    Parameters
    ----------
    values : ndarray of shape (n_values,)
        Unit by unit.
    gaps : ndarray of uint8
        Zeros of the unit before each of them.
    counts : ndarray of shape (n_units,)
        How many gaps each unit has.
    """

    values: np.ndarray
    gaps: np.ndarray
    counts: np.ndarray


def sparse_rows(rows: np.ndarray, bits: int) -> SparseRows | None:
    """Store weights without their zeros; None where that takes as many bytes.

    Parameters
    ----------
    rows : ndarray of shape (n_units, n_in)
    bits : int
        Of a weight.
    """
    parts = [_gaps(np.flatnonzero(row)) for row in rows]
    counts = np.array([len(part) for part in parts])
    counts = counts.astype(np.uint8 if counts.max() <= _FAR else np.uint16)
    found = SparseRows(rows[rows != 0], np.concatenate(parts), counts)
    taken = found.values.size * bits // 8 + found.gaps.nbytes + counts.nbytes + _LOOPS
    # C has no array without an entry.
    return found if found.values.size and taken < rows.size * bits // 8 else None


def n_skipped(network: DenseNetwork | IntegerNetwork, itemsize: int) -> int:
    """Count the products with zeros that a program leaves out."""
    if isinstance(network, IntegerNetwork):
        layers = [a for a in network.layers if not isinstance(a, IntegerConvolution)]
        rows, bits = [layer.weights.T for layer in layers], network.bits
    else:
        rows, bits = [weight.T for weight in network.weights], 8 * itemsize
    return sum(int((own == 0).sum()) for own in rows if sparse_rows(own, bits) is not None)


def _gaps(positions: np.ndarray) -> np.ndarray:
    gaps = np.diff(positions, prepend=-1) - 1
    ends = np.cumsum(gaps // _FAR + 1)
    found = np.full(ends[-1] if ends.size else 0, _FAR, np.uint8)
    found[ends - 1] = gaps % _FAR
    return found


def sparse_sums(
    source, i: int, rows: SparseRows, begin: str, product: Callable[[str, str], str], end: str
) -> str:
    """Return the loops of a layer; `begin` and `end` are what stands around the sum of a unit.

    Parameters
    ----------
    source : Source
    i : int
        The layer's number.
    rows : SparseRows
    begin, end : str
        Statements: that which makes z, and that which takes it on.
    product : callable
        Gives the product of weight k and input j, by the names of both.
    """
    gaps = source.constant(f"gaps_{i}", rows.gaps)
    counts = source.constant(f"gap_counts_{i}", rows.counts)
    return (
        "    {\n"
        "        int n, g = 0, k = 0;\n"
        f"        for (i = 0; i < {len(rows.counts)}; i++) {{\n"
        f"            {begin}\n"
        f"            for (j = 0, n = {counts}[i]; n > 0; n--, g++) {{\n"
        f"                j += {gaps}[g];\n"
        f"                if ({gaps}[g] < {_FAR}) {{\n"
        f"                    z += {product('k', 'j')};\n"
        "                    j++;\n"
        "                    k++;\n"
        "                }\n"
        "            }\n"
        f"            {end}\n"
        "        }\n"
        "    }"
    )
