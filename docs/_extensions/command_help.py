"""The directive `command-help`: what a program of ours prints for --help, at the time the site is made."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

from docutils import nodes
from sphinx.util.docutils import SphinxDirective

if TYPE_CHECKING:
    from sphinx.application import Sphinx

WIDTH = "100"
LIMIT_S = 60


class CommandHelp(SphinxDirective):
    """``{command-help} usbmux list``: the words after the program are a sub-command's."""

    required_arguments = 1
    final_argument_whitespace = True

    def run(self) -> list[nodes.Node]:
        """Run the program and show what it printed.

        Raises:
            CalledProcessError: There is no such program or sub-command.
        """
        program, *words = self.arguments[0].split()
        start = f"import sys; from usbmux.commands.{program} import main; sys.exit(main())"
        printed = subprocess.run(
            [sys.executable, "-c", start, *words, "--help"],
            env=os.environ | {"COLUMNS": WIDTH, "NO_COLOR": "1"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=True,
            timeout=LIMIT_S,
        ).stdout
        return [nodes.literal_block(printed, printed, language="text")]


def setup(app: Sphinx) -> dict[str, bool]:
    """Tell Sphinx of the directive."""
    app.add_directive("command-help", CommandHelp)
    return {"parallel_read_safe": True}
