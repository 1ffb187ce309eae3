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

autodoc_default_options = {"members": True}
autodoc_member_order = "bysource"
autodoc_preserve_defaults = True
python_maximum_signature_line_length = 100
napoleon_google_docstring = True
napoleon_numpy_docstring = False
nitpick_ignore_regex = [
    ("py:.*", r"(?!usbmux\b).*"),  # Python's own library stands elsewhere
    ("py:class", r"usbmux\.\w+\..*"),  # what a signature names and what is no promise
]
