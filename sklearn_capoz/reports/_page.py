"""The page itself: a template, a style and scripts, put together into one file."""

from __future__ import annotations

import json
from importlib.resources import files
from typing import Any

from ._checks import MARKER
from ._packing import text_of

__all__ = ["import_jinja", "render"]

#: In the order in which one needs the other.
SCRIPTS = ("spectra.js", "chart.js", "map.js", "sections.js", "page.js")


def import_jinja():
    """Import jinja2, which fills the template."""
    try:
        import jinja2
    except ImportError as error:
        raise ImportError("Reports need jinja2: pip install 'sklearn-capoz[report]'") from error
    return jinja2


def render(*, picture: bytes, data: dict[str, Any], **parts) -> str:
    """Fill the template; every text of the user's is escaped."""
    jinja2 = import_jinja()
    folder = files("sklearn_capoz.reports") / "page"
    read = {name: (folder / name).read_text("utf-8") for name in ("report.css", *SCRIPTS)}
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    template = environment.from_string((folder / "report.html").read_text("utf-8"))
    return template.render(
        marker=MARKER,
        style=read["report.css"],
        scripts="\n".join(read[name] for name in SCRIPTS),
        picture=f"data:image/png;base64,{text_of(picture)}",
        data=_json(data),
        version=_version(),
        stored=data["thinning"]["stored"],
        **{name: data[name] for name in ("classes", "trust", "pruning")},
        **parts,
    )


def _json(data: dict[str, Any]) -> str:
    """JSON that ends no script element, whatever a name says."""
    text = json.dumps(data, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _version() -> str:
    from .. import __version__

    return __version__
