"""A C99 header under construction: its constants, its functions, and the bytes that they take."""

from __future__ import annotations

import re
from itertools import count

import numpy as np

__all__ = ["Source", "identifier", "quoted"]

#: C's names of the types of numbers.
_TYPES = {
    "float32": "float",
    "float64": "double",
    "int8": "int8_t",
    "int16": "int16_t",
    "int32": "int32_t",
    "uint8": "uint8_t",
    "uint16": "uint16_t",
}
#: Columns of the header's lines.
_WIDTH = 96


class Source:
    """Collects constants and functions, whose names all begin with the model's.

    Parameters
    ----------
    name : str
        The model's, as C accepts it.
    dtype : dtype
        float32 or float64: what features are handed on in.
    """

    def __init__(self, name: str, dtype: np.dtype):
        self.name = name
        self.dtype = np.dtype(dtype)
        self.parts: list[str] = []
        self.includes: set[str] = set()
        #: Bytes of all constants so far.
        self.n_constant_bytes = 0
        self._constants: dict[tuple[str, bytes], str] = {}
        self._helpers: set[str] = set()

    @property
    def number(self) -> str:
        """C type of the features."""
        return _TYPES[self.dtype.name]

    @property
    def suffix(self) -> str:
        """What stands behind a literal, or a function of math.h, of that type."""
        return "f" if self.number == "float" else ""

    def constant(self, what: str, values: np.ndarray) -> str:
        """Add an array in C's order, once for the same numbers, and return its name."""
        values = np.ascontiguousarray(values)
        kind = values.dtype.name
        content = kind, values.tobytes()
        if content in self._constants:  # the wavelengths of another step, for example
            return self._constants[content]
        if kind.startswith("float"):
            # The shortest digits that a compiler reads back to the same bits.
            end = "f" if kind == "float32" else ""
            flat = [f"{np.format_float_scientific(v, trim='0')}{end}" for v in values.ravel()]
        else:
            flat = [str(v) for v in values.ravel()]
            self.includes.add("stdint.h")
        name = f"{self.name}_{what}"
        taken = set(self._constants.values())
        if name in taken:
            name = next(n for i in count(2) if (n := f"{name}_{i}") not in taken)
        self._constants[content] = name
        self.parts.append(
            f"static const {_TYPES[kind]} {name}[{len(flat)}] = {{\n    {_lines(flat)}\n}};\n"
        )
        self.n_constant_bytes += values.nbytes
        return name

    def helper(self, what: str, text: str) -> str:
        """Add a function once, however often it is asked for; return its name."""
        if what not in self._helpers:
            self._helpers.add(what)
            self.add(text)
        return f"{self.name}_{what}"

    def add(self, text: str) -> None:
        """Add a function; NAME stands for the model's name and REAL for the type of features."""
        text = re.sub(r"\bNAME(?=_)", self.name, text)
        self.parts.append(re.sub(r"\bREAL\b", self.number, text).strip("\n") + "\n")

    def text(self, title: str, defines: dict[str, int], classes: np.ndarray) -> str:
        """Return the finished header."""
        upper = self.name.upper()
        labels = ",\n    ".join(quoted(str(label)) for label in classes)
        head = [
            f"/* {self.name}: {title}, written by sklearn_capoz. */",
            f"#ifndef {upper}_H\n#define {upper}_H\n",
            *(f"#include <{file}>" for file in sorted(self.includes)),
            *([""] if self.includes else []),
            *(f"#define {upper}_{key} {value}" for key, value in defines.items()),
            "",
            f"static const char *const {self.name}_classes[{len(classes)}] = {{\n    {labels}\n}};",
            "",
        ]
        return "\n".join([*head, *self.parts, f"#endif /* {upper}_H */\n"])


def identifier(stem: str) -> str:
    """Turn a file name into what C accepts as the begin of a name."""
    name = re.sub(r"\W", "_", stem, flags=re.ASCII).lower().strip("_") or "model"
    return f"model_{name}" if name[0].isdigit() else name


def quoted(label: str) -> str:
    """C string literal; all but plain ASCII as octal escapes of its UTF-8 bytes."""
    plain = set(range(32, 127)) - set(b'"\\?')
    return (
        '"'
        + "".join(chr(byte) if byte in plain else f"\\{byte:03o}" for byte in label.encode())
        + '"'
    )


def _lines(items: list[str]) -> str:
    """Join with commas, in lines of no more than the header's width."""
    lines, line = [], ""
    for item in items:
        if line and len(line) + len(item) + 2 > _WIDTH - 4:
            lines.append(line)
            line = ""
        line += f"{', ' if line else ''}{item}"
    return ",\n    ".join([*lines, line])
