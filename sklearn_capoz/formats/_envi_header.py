"""The text of ENVI headers, read and written alike whatever the locale."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path

from ..exceptions import DataFormatError
from ._atomic import check_regular_file

__all__ = ["GEOREFERENCE", "import_envi", "read_header", "write_header"]

#: A header of 10,000 bands with names, centres and widths has about 1 MB and 40,000 lines.
MAX_HEADER_BYTES, MAX_HEADER_LINES = 4_000_000, 50_000

#: Entries that say where a scene lies.
GEOREFERENCE = ("map info", "projection info", "coordinate system string")


def import_envi():
    """Import the ENVI part of the `spectral` package."""
    try:
        import spectral.io.envi as envi
    except ImportError as error:
        raise ImportError("ENVI files need spectral: pip install 'sklearn-capoz[data]'") from error
    return envi


def read_header(path: Path) -> dict[str, str | list[str]]:
    """Read an ENVI header: lower-case names -> text, or list of texts.

    `spectral` reads in the locale's encoding, in which another machine's header may be no text.
    Here it is UTF-8, with or without a byte order mark, and what is not is Latin-1.

    Raises
    ------
    DataFormatError
        If the file is no ENVI header.
    """
    check_regular_file(path)
    # Before anything is parsed: a data file given by mistake may have any size.
    if (size := path.stat().st_size) > MAX_HEADER_BYTES:
        raise DataFormatError(f"{path} is no ENVI header: it has {size:,} bytes.")
    content = path.read_bytes()
    if not content.removeprefix(b"\xef\xbb\xbf").lstrip().startswith(b"ENVI"):
        raise DataFormatError(f"{path} is no ENVI header: its first line must be 'ENVI'.")
    if content.count(b"\n") + content.count(b"\r") > 2 * MAX_HEADER_LINES:
        raise DataFormatError(f"{path} is no ENVI header: it has too many lines.")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = content.decode("latin-1")
    header: dict[str, str | list[str]] = {}
    lines = iter(io.StringIO(text, newline=None))
    for line in lines:
        name, equals, value = (part.strip() for part in line.partition("="))
        if not equals or line.startswith(";"):
            continue
        if not value.startswith("{"):
            header[name.lower()] = value
            continue
        parts = [value]
        while not parts[-1].endswith("}"):
            if (following := next(lines, None)) is None:
                raise DataFormatError(f"the ENVI header {path}: '{name[:40]}' is not closed by }}.")
            parts.append("" if following.startswith(";") else following.strip())
        value = "\n".join(parts)[1:-1].strip()
        is_text = name.lower() == "description"
        header[name.lower()] = value if is_text else [item.strip() for item in value.split(",")]
    return header


def write_header(path: Path, header: Mapping) -> None:
    """Write an ENVI header as UTF-8; `spectral` would write it in the locale's encoding."""
    lines = ["ENVI"]
    for name, value in header.items():
        if not isinstance(value, (str, int)):
            # GDAL takes no coordinate system that begins with a space.
            value = f"{{{', '.join(map(str, value))}}}"
        elif name == "description":
            value = f"{{\n  {value}}}"
        lines.append(f"{name} = {value}")
    path.write_text("\n".join(lines) + "\n", encoding="utf-8", newline="\n")
