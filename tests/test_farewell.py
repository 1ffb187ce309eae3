from __future__ import annotations

import asyncio
import socket
from typing import TYPE_CHECKING

import pytest

from tests.daemon.harness import RawClient, turns, until
from usbmux import farewell
from usbmux.farewell import Farewells

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.asyncio


@pytest.fixture(autouse=True)
def _prompt(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(farewell, "FAREWELL_S", 0.05)


def unix_pair() -> tuple[socket.socket, RawClient]:
    near, far = socket.socketpair()
    near.setblocking(False)
    far.setblocking(False)
    return near, RawClient(far)


def tcp_pair() -> tuple[socket.socket, RawClient]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        far = socket.create_connection(server.getsockname())
        near, _ = server.accept()
    near.setblocking(False)
    far.setblocking(False)
    return near, RawClient(far)


@pytest.mark.parametrize("pair", [unix_pair, tcp_pair])
async def test_peer_has_sent_what_nobody_read_it_gets_everything_and_a_clean_end(
    pair: Callable[[], tuple[socket.socket, RawClient]],
) -> None:
    near, client = pair()
    await client.send(bytes(100_000))
    near.send(b"the last words")
    farewells = Farewells(asyncio.get_running_loop())
    farewells.say(near)
    assert await client.receive_to_end() == b"the last words"
    client.close()
    await until(lambda: near.fileno() == -1)


@pytest.mark.parametrize("pair", [unix_pair, tcp_pair])
async def test_peer_is_gone_socket_is_closed(pair: Callable[[], tuple[socket.socket, RawClient]]) -> None:
    near, client = pair()
    near.send(b"unread")
    client.close()
    Farewells(asyncio.get_running_loop()).say(near)
    await until(lambda: near.fileno() == -1)


async def test_tcp_peer_never_closes_socket_is_closed_in_time() -> None:
    near, client = tcp_pair()
    Farewells(asyncio.get_running_loop()).say(near)
    assert near.fileno() != -1
    await until(lambda: near.fileno() == -1)
    client.close()


async def test_tcp_peer_goes_on_talking_it_sees_the_end_at_once_and_its_own_end_closes_the_socket(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(farewell, "FAREWELL_S", 1000)
    near, client = tcp_pair()
    near.send(b"the last words")
    farewells = Farewells(asyncio.get_running_loop())
    farewells.say(near)
    assert await client.receive_to_end() == b"the last words"
    for _ in range(10):
        await client.send(b"still talking")
        await turns(5)
    assert near.fileno() != -1
    client.close()
    await until(lambda: near.fileno() == -1)
    assert not farewells._timers


async def test_tcp_peer_has_not_taken_everything_socket_stays_until_it_has() -> None:
    near, client = tcp_pair()
    length = _stuff(near)
    Farewells(asyncio.get_running_loop()).say(near)
    client.shut_down_writing()
    await asyncio.sleep(0.2)  # four times the farewell
    assert near.fileno() != -1
    assert len(await client.receive_to_end()) == length
    await until(lambda: near.fileno() == -1)
    client.close()


async def test_tcp_peer_goes_without_taking_everything_socket_is_closed() -> None:
    near, client = tcp_pair()
    _stuff(near)
    client.shut_down_writing()
    Farewells(asyncio.get_running_loop()).say(near)
    await turns(5)
    client.close()
    await until(lambda: near.fileno() == -1)


async def test_tcp_peer_resets_without_taking_everything_socket_is_closed() -> None:
    near, client = tcp_pair()
    _stuff(near)
    Farewells(asyncio.get_running_loop()).say(near)
    await turns(5)
    client.close()
    await until(lambda: near.fileno() == -1)


class EndlessSocket(socket.socket):
    """A peer sends faster than anybody can read."""

    reads = 0

    def recv(self, *_arguments: object) -> bytes:
        self.reads += 1
        return b"more"


async def test_tcp_peer_floods_loop_goes_on_and_socket_is_closed_in_time() -> None:
    near, client = tcp_pair()
    sock = EndlessSocket(fileno=near.detach())
    await client.send(b"so that it is readable")
    Farewells(asyncio.get_running_loop()).say(sock)
    await turns(5)
    assert sock.reads < 10
    await until(lambda: sock.fileno() == -1)
    client.close()


async def test_tcp_farewell_under_way_close_ends_it() -> None:
    near, client = tcp_pair()
    farewells = Farewells(asyncio.get_running_loop())
    farewells.say(near)
    farewells.close()
    assert near.fileno() == -1
    await asyncio.sleep(0.1)  # no timer that meets a closed socket
    client.close()


async def test_tcp_peer_leaves_everything_unread_it_is_not_over_before_the_socket_is_closed() -> None:
    near, client = tcp_pair()
    _stuff(near)
    closed: list[int] = []
    farewells = Farewells(asyncio.get_running_loop())
    farewells.say(near)
    farewells.when_closed(near, lambda: closed.append(near.fileno()))
    await asyncio.sleep(0.2)  # four times the farewell
    assert not closed
    client.close()
    await until(lambda: closed)
    assert closed == [-1]


async def test_no_farewell_is_under_way_it_is_over_at_once() -> None:
    near, client = unix_pair()
    closed: list[int] = []
    farewells = Farewells(asyncio.get_running_loop())
    farewells.say(near)
    farewells.when_closed(near, lambda: closed.append(near.fileno()))
    assert closed == [-1]
    client.close()


def _stuff(sock: socket.socket) -> int:
    """Write until neither kernel buffer takes more."""
    length = 0
    while True:
        try:
            length += sock.send(bytes(1 << 20))
        except BlockingIOError:
            return length
