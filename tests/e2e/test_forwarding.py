"""`tcprelay` and `usbmux forward` through the real daemon."""

from __future__ import annotations

import hashlib
import socket
from typing import TYPE_CHECKING

import pytest

from tests.e2e.usbmuxd import UDIDS
from tests.support.daemon import clean_environment, our_command
from tests.support.process import ChildProcess
from tests.support.streams import MEBIBYTE, echoed, receive_exactly, some_bytes
from usbmux.testing import pattern

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.e2e.usbmuxd import Usbmuxd

COUNT = 4 * MEBIBYTE
PORTS = (7, 19, 99)
COMMANDS = {
    "tcprelay": [our_command("tcprelay"), "-u", UDIDS[1], "-t", *(f"{port}:0" for port in PORTS), "-s"],
    "forward": [our_command("usbmux"), "forward", "-u", UDIDS[2], *(f"0:{port}" for port in PORTS), "--socket"],
}


@pytest.fixture(params=COMMANDS)
def ports(request: pytest.FixtureRequest, usbmuxd: Usbmuxd) -> Iterator[dict[int, int]]:
    """The local port for each port of the phone."""
    address = str(usbmuxd.socket_path) if request.param == "forward" else f"127.0.0.1:{usbmuxd.tcp_port}"
    with ChildProcess([*COMMANDS[request.param], address], environment=clean_environment()) as process:
        found = {}
        for _ in PORTS:
            line = process.wait_for_line(r"^listening address=127\.0\.0\.1 port=(\d+) device_port=(\d+) udid=")
            found[int(line[2])] = int(line[1])
        yield found
        assert process.stop() == 0
        assert "Traceback" not in process.output


def test_forwarded_bytes_are_right_and_no_ending_loses_one(ports: dict[int, int]) -> None:
    data = some_bytes(COUNT)
    assert echoed(socket.create_connection(("127.0.0.1", ports[7]), 20), data) == data
    _half_close_by_the_client(ports[99], data)
    _end_by_the_phone(ports[19])
    _close_at_once(ports[99], data)


def _half_close_by_the_client(port: int, data: bytes) -> None:
    with socket.create_connection(("127.0.0.1", port), 20) as connection:
        connection.sendall(len(data).to_bytes(8) + data)
        connection.shutdown(socket.SHUT_WR)
        assert receive_exactly(connection, 33) == hashlib.sha256(data).digest()


def _end_by_the_phone(port: int) -> None:
    with socket.create_connection(("127.0.0.1", port), 20) as connection:
        connection.sendall(COUNT.to_bytes(8))
        received = receive_exactly(connection, COUNT + 1)
        assert received == bytes(pattern(COUNT))


def _close_at_once(port: int, data: bytes) -> None:
    for _ in range(20):
        with socket.create_connection(("127.0.0.1", port), 20) as connection:
            connection.sendall(len(data).to_bytes(8) + data[:1000])
    with socket.create_connection(("127.0.0.1", port), 20) as connection:  # and the relay goes on
        connection.sendall(bytes(8))
        assert receive_exactly(connection, 33) == hashlib.sha256().digest()
