"""Which variables send programs to a daemon."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from usbmux import Client, TcpAddress, UnixAddress, parse_address
from usbmux.testing import RunningDaemon, SimulatedPhone
from usbmux.testing.client_environment import client_environment

if TYPE_CHECKING:
    from pathlib import Path


def test_unix_socket_is_spelled_as_each_program_reads_it() -> None:
    assert client_environment(UnixAddress("/run/x/usbmuxd")) == {
        "USBMUXD_SOCKET_ADDRESS": "UNIX:///run/x/usbmuxd",
        "PYMOBILEDEVICE3_USBMUX": "/run/x/usbmuxd",
    }


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
