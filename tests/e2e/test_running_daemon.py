from __future__ import annotations

import gc
import socket
import threading
from typing import TYPE_CHECKING

import pytest

from usbmux import Client
from usbmux.control.address import TcpAddress, UnixAddress
from usbmux.errors import DaemonUnavailableError, LocalProtocolError
from usbmux.testing import RunningDaemon, SimulatedPhone, echo, source

if TYPE_CHECKING:
    from pathlib import Path


def test_open_serves_and_closed_does_not() -> None:
    with RunningDaemon([SimulatedPhone(ports={7: echo})]) as daemon:
        client = Client(daemon.address)
        with client.connect(None, 7) as connection:
            connection.sendall(b"ping")
            assert connection.recv(4) == b"ping"
        assert daemon.violations == []
    with pytest.raises(DaemonUnavailableError):
        client.devices()


def test_two_at_once_do_not_meet(tmp_path: Path) -> None:
    first_phone, second_phone = SimulatedPhone("0" * 40), SimulatedPhone("1" * 40)
    with RunningDaemon([first_phone]) as first, RunningDaemon([second_phone]) as second:
        assert [device.udid for device in Client(first.address).devices()] == [first_phone.udid]
        assert [device.udid for device in Client(second.address).devices()] == [second_phone.udid]


def test_address_impossible_is_raised_and_nothing_is_left(tmp_path: Path) -> None:
    threads = threading.active_count()
    with pytest.raises(OSError, match="missing"), RunningDaemon(addresses=[UnixAddress(f"{tmp_path}/missing/usbmuxd")]):
        pass
    gc.collect()  # a directory that was forgotten would warn, and warnings are errors
    assert threading.active_count() == threads


def test_one_phone_given_twice_is_raised() -> None:
    phone = SimulatedPhone()
    with pytest.raises(LocalProtocolError, match="plugged in already"), RunningDaemon([phone, phone]):
        pass


def test_clients_still_there_close_ends_them_and_leaves_nothing() -> None:
    addresses = [TcpAddress("127.0.0.1", 0)]
    with RunningDaemon([SimulatedPhone(ports={7: echo, 19: source})], addresses=addresses) as daemon:
        client = Client(daemon.address)
        idle = client.connect(None, 7)
        slow = client.connect(None, 19)
        slow.sendall((1 << 30).to_bytes(8))
        watch = client.watch()
        next(iter(watch))
        silent = socket.create_connection((addresses[0].host, _port(daemon)))
    for thing in (idle, slow, watch, silent):
        thing.close()
    gc.collect()  # a socket that was forgotten would warn


def _port(daemon: RunningDaemon) -> int:
    assert isinstance(daemon.address, TcpAddress)
    return daemon.address.port
