"""Which variables send programs to a daemon."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from usbmux import Client, TcpAddress, UnixAddress, parse_address
from usbmux.client.programs import FOREIGN_PROGRAMS, client_environment
from usbmux.errors import AddressError
from usbmux.testing import RunningDaemon, SimulatedPhone

if TYPE_CHECKING:
    from pathlib import Path

PROGRAMS = {program.key: program for program in FOREIGN_PROGRAMS}
UNIX = UnixAddress("/run/x/usbmuxd")
READERS = {
    "UNIX:/run/usbmuxd": {"limd", "frida", "appium"},
    "UNIX:///run/usbmuxd": {"limd", "go-ios", "frida", "appium"},
    "unix:/run/usbmuxd": {"appium"},
    "unix:///run/usbmuxd": {"go-ios", "appium"},
    "/run/usbmuxd": {"pmd3", "go-ios", "appium"},
    "127.0.0.1:27015": {"limd", "pmd3", "go-ios", "frida", "appium"},
    "[::1]:27015": {"limd", "go-ios", "frida"},
    "tcp://127.0.0.1:27015": {"go-ios"},
    "somewhere": set(),
}
"""Who understands what: seen with unmodified programs, or read in their sources."""


@pytest.mark.parametrize("text", READERS)
def test_spelling_is_understood_by_those_who_do(text: str) -> None:
    assert {key for key, program in PROGRAMS.items() if program.reads(text)} == READERS[text]


@pytest.mark.parametrize("address", [UNIX, TcpAddress("127.0.0.1", 27015), TcpAddress("::1", 27015)], ids=str)
@pytest.mark.parametrize("key", PROGRAMS)
def test_program_is_told_in_a_spelling_that_it_understands_or_not_at_all(
    key: str, address: UnixAddress | TcpAddress
) -> None:
    program = PROGRAMS[key]
    if key in ("pmd3", "appium") and address == TcpAddress("::1", 27015):
        with pytest.raises(AddressError, match=rf"{program.name} understands no spelling of \[::1\]:27015"):
            program.variable(address)
        return
    name, text = program.variable(address)
    assert name == program.variables[0]
    assert program.reads(text)
    assert parse_address(text) == address


def test_unix_socket_is_spelled_as_each_program_reads_it() -> None:
    assert client_environment(UNIX) == {
        "USBMUXD_SOCKET_ADDRESS": "UNIX:///run/x/usbmuxd",
        "PYMOBILEDEVICE3_USBMUX": "/run/x/usbmuxd",
    }


def test_environment_for_all_tells_each_program_what_it_would_be_told_alone() -> None:
    told = dict(program.variable(UNIX) for program in FOREIGN_PROGRAMS)
    assert told == client_environment(UNIX)


def test_relative_path_is_good_in_any_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    environment = client_environment(UnixAddress("x/usbmuxd"))
    assert set(map(parse_address, environment.values())) == {UnixAddress(f"{tmp_path}/x/usbmuxd")}


@pytest.mark.parametrize("address", [TcpAddress("127.0.0.1", 27015), TcpAddress("::1", 27015)])
def test_port_is_spelled_alike_for_all(address: TcpAddress) -> None:
    assert set(client_environment(address).values()) == {str(address)}
    assert parse_address(str(address)) == address


def test_environment_of_a_running_daemon_leads_to_it(monkeypatch: pytest.MonkeyPatch) -> None:
    with RunningDaemon([SimulatedPhone("0123")]) as daemon:
        for name, value in daemon.environment.items():
            monkeypatch.setenv(name, value)
        assert [device.udid for device in Client().devices()] == ["0123"]
