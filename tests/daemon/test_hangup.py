from __future__ import annotations

import asyncio
import select
import socket
from typing import TYPE_CHECKING

import pytest

from tests.daemon.harness import open_descriptors, turns, until
from usbmux.daemon.hangup import HangupWatch

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [
    pytest.mark.asyncio,
    pytest.mark.skipif(not hasattr(select, "epoll"), reason="no epoll on this system"),
]


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    near, far = socket.socketpair()
    with near, far:
        yield near, far


def tcp_pair() -> tuple[socket.socket, socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        far = socket.create_connection(server.getsockname())
        near, _ = server.accept()
        return near, far


class Calls:
    def __init__(self) -> None:
        self.count = 0

    def __call__(self) -> None:
        self.count += 1


async def test_watched_peer_closes_is_called_once(pair: tuple[socket.socket, socket.socket]) -> None:
    near, far = pair
    watch, calls = HangupWatch(asyncio.get_running_loop()), Calls()
    watch.add(near, calls)
    far.close()
    await until(lambda: calls.count)
    await turns(10)
    assert calls.count == 1
    watch.close()


async def test_peer_closed_before_it_is_watched_is_called(pair: tuple[socket.socket, socket.socket]) -> None:
    near, far = pair
    watch, calls = HangupWatch(asyncio.get_running_loop()), Calls()
    far.close()
    watch.add(near, calls)
    await until(lambda: calls.count)
    watch.close()


async def test_watched_peer_sends_and_half_closes_nothing_is_called_and_nothing_spins(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    near, far = pair
    watch, calls = HangupWatch(asyncio.get_running_loop()), Calls()
    watch.add(near, calls)
    far.send(b"data")
    far.shutdown(socket.SHUT_WR)
    await turns(10)
    assert calls.count == 0
    far.close()
    await until(lambda: calls.count)
    assert near.recv(10) == b"data"
    watch.close()


async def test_watched_tcp_peer_resets_is_called() -> None:
    near, far = tcp_pair()
    watch, calls = HangupWatch(asyncio.get_running_loop()), Calls()
    with near:
        watch.add(near, calls)
        near.send(b"unread")
        far.close()  # with unread data: a reset
        await until(lambda: calls.count)
    watch.close()


async def test_removed_peer_closes_nothing_is_called(pair: tuple[socket.socket, socket.socket]) -> None:
    near, far = pair
    watch, calls = HangupWatch(asyncio.get_running_loop()), Calls()
    watch.add(near, calls)
    watch.remove(near)
    watch.remove(near)
    far.close()
    await turns(10)
    assert calls.count == 0
    watch.add(near, calls)
    await until(lambda: calls.count)
    watch.close()


async def test_two_hang_up_together_and_the_first_removes_the_second_it_is_not_called() -> None:
    watch = HangupWatch(asyncio.get_running_loop())
    pairs = [socket.socketpair() for _ in range(2)]
    called: list[int] = []

    def remove_other(number: int) -> None:
        called.append(number)
        other = pairs[1 - number][0]
        watch.remove(other)
        other.close()

    for number, (near, _) in enumerate(pairs):
        # The default binds the number of this turn; the checker cannot infer a lambda that has one.
        watch.add(near, lambda number=number: remove_other(number))  # type: ignore[misc]
    for _, far in pairs:
        far.close()
    await until(lambda: called)
    await turns(10)
    assert len(called) == 1
    for near, _ in pairs:
        near.close()
    watch.close()


async def test_many_hang_up_at_once_each_is_called() -> None:
    watch, calls = HangupWatch(asyncio.get_running_loop()), Calls()
    pairs = [socket.socketpair() for _ in range(300)]
    for near, far in pairs:
        watch.add(near, calls)
        far.close()
    await until(lambda: calls.count == 300)
    for near, _ in pairs:
        near.close()
    watch.close()


async def test_closed_leaves_no_descriptor() -> None:
    before = open_descriptors()
    watch = HangupWatch(asyncio.get_running_loop())
    watch.close()
    watch.close()
    assert open_descriptors() == before
