"""Source ports through the real process: more connects than there are ports, and many connections at once."""

from __future__ import annotations

import resource
import socket
import struct
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

import pytest

from tests.e2e.usbmuxd import UDIDS
from tests.support.streams import receive_exactly

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.e2e.usbmuxd import Usbmuxd

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

ECHO, CLOSED = 7, 8
ACCEPTED, REFUSED = bytes(4), b"\3\0\0\0"
RESULT_LENGTH = 20
BATCH = 250
TIMEOUT_S = 60


def connect_request(device_id: int, port: int) -> bytes:
    """A Connect in the binary form, which is the shortest."""
    return struct.pack("<IIIII", 24, 0, 2, 1, device_id) + struct.pack(">HH", port, 0)


def device_id(usbmuxd: Usbmuxd) -> int:
    return usbmuxd.client().device(UDIDS[2]).device_id


def opened(usbmuxd: Usbmuxd) -> socket.socket:
    connection = socket.socket(socket.AF_UNIX)
    connection.connect(
        str(usbmuxd.socket_path)
    )  # waits while the daemon's queue is full, as it would not with a timeout
    connection.settimeout(TIMEOUT_S)
    return connection


def results(connection: socket.socket, count: int) -> set[bytes]:
    """The different ones among the next `count` results."""
    data = receive_exactly(connection, count * RESULT_LENGTH)
    assert len(data) == count * RESULT_LENGTH
    return {data[start + 16 : start + RESULT_LENGTH] for start in range(0, len(data), RESULT_LENGTH)}


@contextmanager
def more_descriptors(count: int) -> Iterator[None]:
    """So many for this process; skips the test where the system does not allow it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < count:
        pytest.skip(f"fewer than {count} descriptors are allowed")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, count), hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def be_refused(usbmuxd: Usbmuxd, device: int, count: int) -> None:
    with opened(usbmuxd) as connection:
        for _ in range(count // BATCH):
            connection.sendall(connect_request(device, CLOSED) * BATCH)
            assert results(connection, BATCH) == {REFUSED}


def test_70000_connects_one_after_the_other_each_is_answered_right(usbmuxd: Usbmuxd) -> None:
    device = device_id(usbmuxd)
    be_refused(usbmuxd, device, 65_000)
    for number in range(1_000):  # the last port is among theirs, and the first ones once more
        with opened(usbmuxd) as connection:
            connection.sendall(connect_request(device, ECHO) + b"%08d" % number)
            assert results(connection, 1) == {ACCEPTED}
            assert receive_exactly(connection, 8) == b"%08d" % number
    be_refused(usbmuxd, device, 4_000)


def test_2000_connections_at_once_each_keeps_its_bytes(usbmuxd: Usbmuxd) -> None:
    device = device_id(usbmuxd)
    with more_descriptors(2_500), ExitStack() as open_ones:
        connections = [open_ones.enter_context(opened(usbmuxd)) for _ in range(2_000)]
        for connection in connections:
            connection.sendall(connect_request(device, ECHO))
        for connection in connections:
            assert results(connection, 1) == {ACCEPTED}
        for number, connection in enumerate(connections):  # all are open
            connection.sendall(b"%08d" % number * 100)
        for number, connection in enumerate(connections):
            assert receive_exactly(connection, 800) == b"%08d" % number * 100
