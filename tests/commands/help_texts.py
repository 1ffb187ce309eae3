"""The help of every command, as one file each: ``python -m tests.commands.help_texts`` writes them anew."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final
from unittest.mock import patch

import click
from click.testing import CliRunner

from usbmux.commands import inetcat, iproxy, tcprelay
from usbmux.commands.daemon_parser import daemon_parser
from usbmux.commands.usbmux import cli

if TYPE_CHECKING:
    from argparse import ArgumentParser
    from collections.abc import Iterator

FOLDER: Final = Path(__file__).with_name("help")
WIDTH: Final = 80


def help_texts() -> dict[str, str]:
    """By command, with its sub-commands, such as ``usbmux forward add``."""
    texts = dict(_click_texts(cli, ("usbmux",)))
    for name, parser in (
        ("usbmuxd", daemon_parser()),
        ("tcprelay", tcprelay._parser()),
        ("iproxy", iproxy._parser()),
        ("inetcat", inetcat._parser()),
    ):
        texts[name] = _argparse_text(parser)
    return texts


def file_of(command: str) -> Path:
    """Where the text is kept."""
    return FOLDER / f"{command.replace(' ', '-')}.txt"


def _click_texts(command: click.Command, words: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    # A margin of two is what click leaves on a terminal.
    result = CliRunner().invoke(cli, [*words[1:], "--help"], prog_name=words[0], terminal_width=WIDTH - 2)
    assert result.exit_code == 0, result.output
    yield " ".join(words), result.output
    if isinstance(command, click.Group):
        for name, each in sorted(command.commands.items()):
            yield from _click_texts(each, (*words, name))


def _argparse_text(parser: ArgumentParser) -> str:
    with patch.dict("os.environ", {"COLUMNS": str(WIDTH)}):
        return parser.format_help()


def main() -> None:
    """Write all of them, and remove those of commands that are gone."""
    FOLDER.mkdir(exist_ok=True)
    for path in FOLDER.iterdir():
        path.unlink()
    for command, text in help_texts().items():
        file_of(command).write_text(text, encoding="utf-8")
        print(file_of(command).name, file=sys.stderr)


if __name__ == "__main__":
    main()
