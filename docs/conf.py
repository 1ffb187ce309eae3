"""How Sphinx makes the site: `make docs`. Only this computer is asked, for what is described and what describes it."""

import sys
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parent / "_extensions")]

project = "usbmux"
author = "the usbmux authors"
copyright = "the usbmux authors"

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "command_help"]
exclude_patterns: list[str] = []
html_theme = "furo"
html_title = "usbmux"

myst_heading_anchors = 3

autodoc_default_options = {"members": True, "show-inheritance": False}
autodoc_member_order = "bysource"
autodoc_class_signature = "separated"
# Names that are imported for types only are not there when a signature is evaluated, and read well as they stand.
autodoc_typehints = "none"
napoleon_google_docstring = True
napoleon_numpy_docstring = False
# Contracts name errors and types of Python's own library, which stands elsewhere.
nitpick_ignore_regex = [("py:.*", r"(?!usbmux\b).*")]
