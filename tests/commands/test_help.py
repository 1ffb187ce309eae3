"""What ``--help`` says is kept in files, so that a change of it is seen."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.commands.help_texts import FOLDER, WIDTH, file_of, help_texts
from tests.support.daemon import clean_environment

_TEXTS = help_texts()


@pytest.mark.parametrize("command", _TEXTS)
def test_help_is_that_of_the_file(command: str) -> None:
    """If the new one is right: ``python -m tests.commands.help_texts`` takes it over."""
    if " " not in command and command != "usbmux" and sys.version_info[:2] != (3, 11):
        pytest.skip("argparse words its help anew now and then: it is compared on Python 3.11 only")
    assert _TEXTS[command] == file_of(command).read_text(encoding="utf-8")


def test_every_file_is_of_a_command() -> None:
    assert {path.name for path in FOLDER.iterdir()} == {file_of(command).name for command in _TEXTS}


def test_no_line_is_wider_than_a_terminal() -> None:
    wide = [line for text in _TEXTS.values() for line in text.splitlines() if len(line) > WIDTH]
    assert wide == []


@pytest.mark.parametrize("command", ["usbmux", "usbmux list", "usbmux forward"])
def test_process_prints_it_to_a_pipe(command: str) -> None:
    environment = clean_environment() | {"COLUMNS": str(WIDTH)}
    words = [sys.executable, "-m", *command.split(), "--help"]
    done = subprocess.run(words, env=environment, capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout == file_of(command).read_text(encoding="utf-8")
    assert done.stderr == ""
