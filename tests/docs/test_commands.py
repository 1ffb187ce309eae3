"""Every command line of the documentation is run, or its page says why it cannot be."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from tests.docs.page import ROOT, Command, End, blocks, pages
from tests.docs.terminals import OURS, Terminals, programs_of_others

if TYPE_CHECKING:
    from pathlib import Path

    from _pytest.mark.structures import ParameterSet

LANGUAGES = {"console", "shell", "ini", "json", "mermaid", "python", "text", "toml", "yaml"}
REASONS = {
    "another system": "Windows, macOS, a container engine or a virtual machine",
    "installs": "programs or services of the whole computer",
    "other program": "a program that the tests do not install",
    "real phone": "a phone and a bus that this computer may not have",
    "the project itself": "what the project is made, tested and measured with; the tests are a part of it",
    "this computer": "the answer of a computer that has what the page shows; ours may lack it",
    "screen": "a window, or a terminal that somebody looks at",
}
"""Why a command line is not run, with what is missing or would be touched."""
MOST_NOT_RUN = 40
BEGINNINGS = (*OURS, "$", "sudo", "make", "pip", "ssh", "systemctl", "curl", "docker", "adb", "python")


def text_of(page: str) -> str:
    return (ROOT / page).read_text(encoding="utf-8")


def commands_of(page: str) -> list[Command]:
    return [command for block in blocks(text_of(page)) for command in block.commands]


def pages_with_commands() -> list[ParameterSet]:
    found = []
    for page in pages():
        said = "\n".join(command.text for command in commands_of(page) if command.reason_not_run is None)
        if said:
            marks = [pytest.mark.slow, *([pytest.mark.interop] if programs_of_others(said) else [])]
            found.append(pytest.param(page, marks=marks))
    return found


@pytest.mark.parametrize("page", pages_with_commands())
def test_command_lines_of_a_page_do_what_it_shows(page: str, tmp_path: Path) -> None:
    commands = [command for command in commands_of(page) if command.reason_not_run is None]
    with Terminals(tmp_path, text_of(page), commands) as terminals:
        for command in commands:
            terminals.run(command)


@pytest.mark.parametrize("page", pages())
def test_page_says_of_every_block_what_it_is(page: str) -> None:
    found = blocks(text_of(page))
    unknown = {block.language for block in found if block.language not in LANGUAGES and block.language[:1] != "{"}
    assert unknown == set()
    hidden = [
        line
        for block in found
        if block.language in {"text", ""}
        for line in block.text.splitlines()
        if line.startswith(tuple(f"{word} " for word in BEGINNINGS))
    ]
    assert hidden == []


@pytest.mark.parametrize("page", pages())
def test_page_says_of_every_directive_whom_it_concerns(page: str) -> None:
    text = text_of(page)
    stand_alone = len(re.findall("^<!-- (?:not run|until Ctrl-C|left running)", text, re.MULTILINE))
    assert stand_alone == sum(len(block.directives) for block in blocks(text))
    for block in blocks(text):
        if block.directives:
            assert any(command.reason_not_run or command.end is not End.ITSELF for command in block.commands), block
        for directive in block.directives:
            beginnings = directive.removesuffix(" -->").partition(": ")[2]
            for beginning in filter(None, beginnings.split("; ")):
                assert any(command.text.startswith(beginning) for command in block.commands), directive


@pytest.mark.parametrize("page", pages())
def test_page_shows_when_what_is_left_running_is_ready(page: str) -> None:
    assert [command for command in commands_of(page) if command.end is End.PAGE and not command.printed] == []


def test_command_lines_that_are_not_run_are_few_and_each_has_a_reason_of_the_list() -> None:
    reasons = [command.reason_not_run for page in pages() for command in commands_of(page)]
    not_run = [reason for reason in reasons if reason is not None]
    assert set(not_run) <= set(REASONS)
    assert len(not_run) <= MOST_NOT_RUN
