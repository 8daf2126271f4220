"""Sphinx's configuration; `python -m tools.site` calls it."""

import sys
import tomllib
from pathlib import Path

from pygments.lexers.special import TextLexer

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

from tools.site import docstrings  # noqa: E402

project = "MBNet in JAX"
release = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
author = "the contributors to mbnet-jax"
copyright = "the contributors to mbnet-jax; Apache License 2.0"

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx.ext.viewcode",
    "sphinx_copybutton",
]
root_doc = "index"
smartquotes_action = "D"  # no quotes, only the dash after a parameter's name

myst_heading_anchors = 4  # links to headings, as Git hosts derive them

# `name` in a docstring: a link if it is of the API, and code in any case.
default_role = "py:obj"
napoleon_numpy_docstring = False
napoleon_use_ivar = True  # attributes as a list, not each as an entry of its own
autodoc_member_order = "bysource"
autodoc_default_options = {"members": True}
python_use_unqualified_type_names = True
python_maximum_signature_line_length = 78
toc_object_entries_show_parents = "hide"

html_theme = "furo"
html_title = project
html_static_path = ["static"]
html_css_files = ["site.css"]
html_copy_source = False
html_show_sourcelink = False
html_show_sphinx = False
pygments_style = "default"
pygments_dark_style = "github-dark"
copybutton_exclude = ".linenos, .gp, .go"


def setup(app):
    """Registers what reads docstrings, and the lexer of a fence's `csv`."""
    app.connect("autodoc-process-docstring", docstrings.process, priority=400)
    app.connect("autodoc-skip-member", docstrings.skip)
    app.add_lexer("csv", TextLexer)
