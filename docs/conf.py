"""Sphinx settings: `sphinx-build -W -b html docs docs/_build`."""

import importlib
import os
import re
import warnings
from pathlib import Path

import sklearn_capoz

# The gallery trains small networks: more threads only make them wait for each other.
os.environ.setdefault("OMP_NUM_THREADS", "1")
warnings.filterwarnings("error", module="sklearn_capoz")

project = "sklearn_capoz"
author = "The sklearn_capoz developers"
copyright = f"2026, {author}"
version = release = sklearn_capoz.__version__

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.doctest",
    "sphinx.ext.extlinks",
    "sphinx.ext.mathjax",
    "sphinx_gallery.gen_gallery",
    "numpydoc",
]
templates_path = ["_templates"]
exclude_patterns = ["_build", "gallery/**/*.ipynb"]
default_role = "code"

extlinks = {
    "doi": ("https://doi.org/%s", "doi:%s"),
    "arxiv": ("https://arxiv.org/abs/%s", "arXiv:%s"),
}

# The reference follows each module's __all__, so a new public name needs no line here.
autosummary_generate = True
autosummary_imported_members = True
autosummary_ignore_module_all = False
numpydoc_show_class_members = False

# A class that several packages name has a page in each, and Sphinx indexes where it is made as
# well, which no two pages may claim: let that be the first package that names it.
REFERENCE = Path(__file__).with_name("api.rst").read_text()
for name in reversed(re.findall(r"^   (sklearn_capoz\S*)$", REFERENCE, re.M)):
    package = importlib.import_module(name)
    for thing in (getattr(package, public) for public in package.__all__):
        if isinstance(thing, type) and thing.__module__.startswith("sklearn_capoz"):
            thing.__module__ = name

sphinx_gallery_conf = {
    "examples_dirs": "../examples",
    "gallery_dirs": "gallery",
    "abort_on_example_error": True,
    "capture_repr": ("_repr_html_",),
    "download_all_examples": False,
    "show_memory": False,
    "show_signature": False,
    "write_computation_times": False,
    "remove_config_comments": True,
}

html_theme = "pydata_sphinx_theme"
html_theme_options = {
    "navigation_with_keys": False,
    "show_toc_level": 2,
    "header_links_before_dropdown": 6,
    "footer_start": ["copyright"],
    "footer_end": [],
}
html_title = project
html_sidebars = {"index": [], "contributing": []}
html_context = {"default_mode": "auto"}  # or the theme complains in the browser's console
html_static_path = ["_static"]
html_css_files = ["pages.css"]
html_show_sourcelink = False


def skip_request_methods(app, what, name, obj, skip, options):
    """Leave out set_fit_request and its kin: scikit-learn makes and documents them."""
    return True if name.startswith("set_") and name.endswith("_request") else None


def quote_learned_attributes(app, what, name, obj, options, lines):
    """Quote `n_features_in_` in shapes: reST reads a last underscore as a link."""
    lines[:] = [re.sub(r"(?<![`\w])(n_\w+_)(?=,?\))", r"`\1`", line) for line in lines]


def setup(app):
    """Connect what autodoc asks before it lists or prints a member; numpydoc comes at 500."""
    app.connect("autodoc-skip-member", skip_request_methods)
    app.connect("autodoc-process-docstring", quote_learned_attributes, priority=400)
