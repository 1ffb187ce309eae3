from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import pytest

from tests.docs.page import Command, End
from tests.docs.terminals import Terminals

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.slow


def run(folder: Path, *commands: Command, page: str = "") -> None:
    with Terminals(folder, page, list(commands)) as terminals:
        for command in commands:
            terminals.run(command)


def test_command_prints_something_else_it_is_noticed(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="and not\none\n"):
        run(tmp_path, Command("echo two", "one\n"))


@pytest.mark.parametrize("line", ["usbmux list -u nobody", "false | true", "exit 3"])
def test_command_fails_it_is_noticed(tmp_path: Path, line: str) -> None:
    with pytest.raises(AssertionError, match="ended with"):
        run(tmp_path, Command(line, None))


def test_commands_share_variables_and_the_folder_and_find_the_phone(tmp_path: Path) -> None:
    run(
        tmp_path,
        Command("export NAME=value; echo there > file", ""),
        Command("cat file; echo $NAME", "there\nvalue\n"),
        Command("cat /tmp/file", "there\n"),
        Command("usbmux list", "00008030-001C88E0B100B37C\n"),
    )


def test_command_that_is_left_running_ends_too_early_it_is_noticed(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="wrote no line"):
        run(tmp_path, Command("usbmux forward nonsense", "listening ...\n", end=End.PAGE))


def test_command_until_ctrl_c_does_not_end_well_it_is_noticed(tmp_path: Path) -> None:
    line = "bash -c 'trap \"exit 9\" INT; echo there; while :; do read -t 1 < <(sleep 1); done'"
    with pytest.raises(AssertionError, match="ended with 9"):
        run(tmp_path, Command(line, "there\n", end=End.INTERRUPTED))


def test_port_of_the_page_is_another_one_here(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        taken = server.getsockname()[1]
        printed = f"listening address=127.0.0.1 port={taken} ...\n"
        run(tmp_path, Command(f"usbmux forward {taken}:7", printed, end=End.PAGE), page=f"<!-- ports: {taken} -->")
