"""The book: `sphinx-build -W docs book` writes these pages and those of every component as HTML.

Every example runs while it is built. Needs the extra `docs`. The folder opens without a network:
no page loads anything from elsewhere.
"""

import sys
import warnings
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

from component_pages import write_pages  # noqa: E402
from message_pages import write_messages  # noqa: E402
from result_pages import write_results  # noqa: E402

import structnet  # noqa: E402

project = "structnet"
author = copyright = "structnet contributors"
version = release = structnet.__version__
html_title = f"structnet {release}"
html_theme, html_show_sourcelink = "furo", False
html_search_scorer = str(HERE / "search_scorer.js")
html_static_path, html_css_files = ["static"], ["pages.css"]
extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx_gallery.gen_gallery",
    "mathml",
]
html_math_renderer = "mathml"
myst_heading_anchors = 4
# What stands in single backticks in docstrings is code.
default_role = "code"
napoleon_use_ivar = True
# The tables of results are a part of their page.
exclude_patterns = ["*/*.py", "components/results.md"]
autodoc_typehints, autodoc_inherit_docstrings = "none", False
autodoc_member_order = "bysource"
sphinx_gallery_conf = {
    "examples_dirs": "../examples",
    "gallery_dirs": "gallery",
    "backreferences_dir": "gallery/uses",
    "doc_module": ("structnet",),
    # All of them run, and one that fails ends the build.
    "filename_pattern": "",
    "within_subsection_order": "ExampleTitleSortKey",
    "abort_on_example_error": True,
    # As they show themselves.
    "matplotlib_animations": True,
    # Of examples that draw nothing.
    "default_thumb_file": str(HERE / "pictures" / "levels.png"),
    "download_all_examples": False,
    "show_signature": False,
    "write_computation_times": False,
    "min_reported_time": 1,
}

# What an example warns of, without the path of whoever builds the book.
warnings.formatwarning = lambda message, category, *place: f"{category.__name__}: {message}\n"


def uses(app, what, name, thing, options, lines):
    """Below a name of the reference, the examples that use it."""
    if what in ("class", "function"):
        lines += ["", f".. minigallery:: {name}", ""]


def write_all(app):
    """Write the pages that are made, before the others are read."""
    write_pages(HERE / "components")
    write_messages(HERE / "components" / "messages.md")
    page = HERE / "components" / "results.md"
    write_results(HERE.parent / "conf" / "experiment", HERE / "results", page)


def setup(app):
    app.connect("builder-inited", write_all)
    app.connect("autodoc-process-docstring", uses)
