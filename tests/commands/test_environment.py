"""`usbmux env`: what it prints is what a shell and other programs take."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click
import pytest

from tests.commands.program import USBMUX, run
from tests.interop.programs import debian_program
from usbmux import Client, UnixAddress
from usbmux.client.programs import FOREIGN_PROGRAMS
from usbmux.commands.setup_commands import env_command
from usbmux.testing import RunningDaemon, SimulatedPhone

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.asyncio

UNIX = "export USBMUXD_SOCKET_ADDRESS=UNIX:///run/mux"
PYMOBILEDEVICE3 = "export PYMOBILEDEVICE3_USBMUX=/run/mux"


@pytest.mark.parametrize(
    ("programs", "lines"),
    [
        (["limd"], [UNIX]),
        (["pmd3"], [PYMOBILEDEVICE3]),
        (["go-ios"], [UNIX]),
        (["frida"], [UNIX]),
        (["appium"], [UNIX]),
        (["pmd3", "limd"], [UNIX, PYMOBILEDEVICE3]),
        ([], [UNIX, PYMOBILEDEVICE3]),
    ],
    ids="+".join,
)
async def test_each_program_is_told_by_its_own_line(programs: list[str], lines: list[str]) -> None:
    options = [word for program in programs for word in ("--for", program)]
    outcome = await run(USBMUX, "env", "--socket", "unix:/run/mux", *options)
    assert (outcome.code, outcome.stderr) == (0, "")
    assert outcome.stdout.decode().splitlines() == lines


async def test_json_is_one_object() -> None:
    outcome = await run(USBMUX, "env", "--for", "go-ios", "--socket", "localhost:27015", "--json")
    assert json.loads(outcome.stdout) == {"USBMUXD_SOCKET_ADDRESS": "localhost:27015"}


async def test_variable_leads_to_the_same_daemon_in_another_spelling(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("USBMUXD_SOCKET_ADDRESS", "/run/mux")
    assert (await run(USBMUX, "env")).stdout.decode().splitlines() == [UNIX, PYMOBILEDEVICE3]


async def test_program_that_understands_no_spelling_is_wrong_usage() -> None:
    outcome = await run(USBMUX, "env", "--for", "pmd3", "--socket", "[::1]:27015")
    assert (outcome.code, outcome.stdout) == (2, b"")
    assert outcome.stderr == "usbmux: pymobiledevice3 understands no spelling of [::1]:27015\n"


async def test_programs_that_understand_no_spelling_are_named_when_nobody_asked_for_them() -> None:
    outcome = await run(USBMUX, "env", "--socket", "[::1]:27015")
    assert (outcome.code, outcome.stdout) == (
        0,
        b"export USBMUXD_SOCKET_ADDRESS='[::1]:27015'\n",
    )
    assert outcome.stderr.splitlines() == [
        "usbmux: pymobiledevice3 understands no spelling of [::1]:27015",
        "usbmux: appium understands no spelling of [::1]:27015",
    ]


async def test_option_offers_the_programs_that_are_known() -> None:
    (kind,) = (option.type for option in env_command.params if option.name == "programs")
    assert isinstance(kind, click.Choice)
    assert list(kind.choices) == [program.key for program in FOREIGN_PROGRAMS]


@pytest.mark.parametrize("shell", ["sh", "bash"])
async def test_shell_that_takes_the_lines_finds_the_daemon_at_an_odd_path(shell: str, tmp_path: Path) -> None:
    address = UnixAddress(f"{tmp_path}/it's $HOME `x`")
    with RunningDaemon([SimulatedPhone("0123")], addresses=[address]):
        command = (shell, "-c", 'eval "$("$@" env)"; "$1" -m usbmux list', shell, *USBMUX, "--socket", str(address))
        assert (await run(command)).stdout == b"0123\n"


@pytest.mark.interop
async def test_program_of_libimobiledevice_that_is_told_lists_the_phone() -> None:
    with RunningDaemon([SimulatedPhone()]) as daemon:
        (udid,) = (device.udid for device in Client(daemon.address).devices())
        script = 'eval "$("$@" env --for limd)"; exec idevice_id -l'
        assert debian_program("idevice_id")
        outcome = await run(("sh", "-c", script, "sh", *USBMUX, "--socket", str(daemon.address)))
    assert outcome.stdout.decode().split() == [udid]
