import socket
import sys
from contextlib import suppress

import pytest

from usbmux.sockets import undelivered

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells")


def tcp_pair() -> tuple[socket.socket, socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        near = socket.create_connection(server.getsockname())
        far, _ = server.accept()
    return near, far


def fill(sock: socket.socket) -> None:
    sock.setblocking(False)
    with suppress(BlockingIOError):
        while True:
            sock.send(bytes(65536))


@pytest.mark.parametrize("pair", [tcp_pair, socket.socketpair])
def test_fresh_socket_has_nothing_undelivered(pair: object) -> None:
    assert callable(pair)
    near, far = pair()
    with near, far:
        assert undelivered(near) == 0


def test_peer_that_does_not_read_leaves_bytes_undelivered() -> None:
    near, far = tcp_pair()
    with near, far:
        fill(near)
        assert undelivered(near) > 0


def test_reset_connection_has_nothing_undelivered() -> None:
    near, far = tcp_pair()
    with near:
        fill(near)
        far.close()  # with unread data: the kernel resets
        near.settimeout(5.0)
        with pytest.raises(ConnectionResetError):
            near.recv(1)
        assert undelivered(near) == 0


def test_closed_socket_has_nothing_undelivered() -> None:
    near, far = tcp_pair()
    far.close()
    near.close()
    assert undelivered(near) == 0
