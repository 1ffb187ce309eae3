"""The directive `command-help`: what our programs print for --help, at the time the site is made."""

from __future__ import annotations

import io
import os
from contextlib import redirect_stdout, suppress
from importlib import import_module
from typing import TYPE_CHECKING

import click
from docutils import nodes
from sphinx.errors import ExtensionError
from sphinx.util.docutils import SphinxDirective

from usbmux.commands.usbmux import cli

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sphinx.application import Sphinx

WIDTH = "100"


class CommandHelp(SphinxDirective):
    """``{command-help} usbmux``: a program, and a section for each of its sub-commands."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        """Run the program and show what it printed.

        Raises:
            ModuleNotFoundError: There is no such program.
            ExtensionError: It printed nothing.
        """
        program = self.arguments[0]
        subcommands = subcommands_of(cli) if program == "usbmux" else ()
        return [help_of(program), *(section_of(program, *words) for words in subcommands)]


def subcommands_of(group: click.Group) -> Iterator[tuple[str, ...]]:
    """The words that lead to each sub-command, groups before what is in them."""
    for name, command in sorted(group.commands.items()):
        yield (name,)
        if isinstance(command, click.Group):
            for words in subcommands_of(command):
                yield name, *words


def section_of(*words: str) -> nodes.section:
    """A section of the page for a sub-command."""
    title = " ".join(words)
    section = nodes.section(ids=[nodes.make_id(title)], names=[title])
    section += [nodes.title(title, title), help_of(*words)]
    return section


def help_of(program: str, *words: str) -> nodes.literal_block:
    """What a program prints for --help."""
    main = import_module(f"usbmux.commands.{program}").main
    with io.StringIO() as printed:
        with redirect_stdout(printed), suppress(SystemExit):
            main([*words, "--help"])
        text = printed.getvalue()
    if not text:
        raise ExtensionError(f"{program} {' '.join(words)} --help has printed nothing")
    return nodes.literal_block(text, text, language="text")


def setup(app: Sphinx) -> dict[str, bool]:
    """Tell Sphinx of the directive."""
    os.environ["COLUMNS"] = WIDTH  # or the page would be as wide as the terminal of who makes it
    app.add_directive("command-help", CommandHelp)
    return {"parallel_read_safe": True}
