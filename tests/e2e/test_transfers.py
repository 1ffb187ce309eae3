"""Much data and many connections through the real process."""

from __future__ import annotations

import hashlib
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from tests.e2e.usbmuxd import UDIDS
from tests.support.streams import MEBIBYTE, receive_exactly, some_bytes
from usbmux.testing import pattern

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

    from usbmux import Client

COUNT = 64 * MEBIBYTE
PIECE = 1 << 20
versions = pytest.mark.parametrize("version", [1, 2])


def send_pattern(connection: socket.socket, count: int) -> None:
    for offset in range(0, count, PIECE):
        connection.sendall(pattern(min(PIECE, count - offset), offset))


def pattern_digest(count: int) -> bytes:
    sha256 = hashlib.sha256()
    for offset in range(0, count, PIECE):
        sha256.update(pattern(min(PIECE, count - offset), offset))
    return sha256.digest()


def received_digest(connection: socket.socket, count: int) -> bytes:
    """Of exactly that many bytes."""
    sha256 = hashlib.sha256()
    missing = count
    while missing and (data := connection.recv(min(PIECE, missing))):
        sha256.update(data)
        missing -= len(data)
    assert not missing, f"{missing} of {count} bytes are missing"
    return sha256.digest()


def upload(connection: socket.socket, count: int) -> None:
    with connection:
        connection.sendall(count.to_bytes(8))
        send_pattern(connection, count)
        assert receive_exactly(connection, 33) == pattern_digest(count)


def download(connection: socket.socket, count: int) -> None:
    with connection:
        connection.sendall(count.to_bytes(8))
        assert received_digest(connection, count) == pattern_digest(count)
        assert connection.recv(1) == b""


def exchange(connection: socket.socket, count: int) -> None:
    with connection:
        sender = threading.Thread(target=send_pattern, args=(connection, count), daemon=True)
        sender.start()
        assert received_digest(connection, count) == pattern_digest(count)
        sender.join()


@pytest.mark.slow
@versions
@pytest.mark.parametrize(("port", "work"), [(99, upload), (19, download), (7, exchange)])
def test_64_mib_arrive_whole(
    client: Client, version: int, port: int, work: Callable[[socket.socket, int], None]
) -> None:
    work(client.connect(UDIDS[version], port), COUNT)


@pytest.mark.slow
def test_64_mib_each_way_on_two_connections_at_once_arrive_whole(client: Client) -> None:
    with ThreadPoolExecutor(2) as pool:
        up = pool.submit(upload, client.connect(UDIDS[2], 99), COUNT)
        down = pool.submit(download, client.connect(UDIDS[2], 19), COUNT)
        up.result()
        down.result()


@pytest.mark.slow
@versions
def test_200_connections_at_once_each_digest_is_right(client: Client, version: int) -> None:
    def work(number: int) -> None:
        data = some_bytes(100_000 + number)
        with client.connect(UDIDS[version], 99) as connection:
            connection.sendall(len(data).to_bytes(8))
            together.wait()  # all 200 are open
            connection.sendall(data)
            assert receive_exactly(connection, 33) == hashlib.sha256(data).digest()

    together = threading.Barrier(200, timeout=60)
    with ThreadPoolExecutor(200) as pool:
        list(pool.map(work, range(200)))
