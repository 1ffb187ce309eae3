"""One socket's callbacks, on asyncio's own loop and on ours."""

from __future__ import annotations

import asyncio
import select
import socket
from typing import TYPE_CHECKING

import pytest

from usbmux.direct_loop import DirectLoop
from usbmux.readiness import Readiness

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator


@pytest.fixture(
    params=[
        asyncio.SelectorEventLoop,
        pytest.param(
            DirectLoop, marks=pytest.mark.skipif(not hasattr(select, "epoll"), reason="no epoll on this system")
        ),
    ]
)
def run(request: pytest.FixtureRequest) -> Iterator[Callable[[Coroutine[None, None, None]], None]]:
    with asyncio.Runner(loop_factory=request.param) as runner:
        yield runner.run


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    near, far = socket.socketpair()
    near.setblocking(False)
    with near, far:
        yield near, far


class Watched:
    """Counts what it is told."""

    def __init__(self, sock: socket.socket) -> None:
        self.inputs = self.rooms = 0
        loop = asyncio.get_running_loop()
        self.readiness = Readiness(loop, sock, on_readable=self._readable, on_writable=self._writable)

    def _readable(self) -> None:
        self.inputs += 1

    def _writable(self) -> None:
        self.rooms += 1

    async def told_within_turns(self) -> tuple[bool, bool]:
        """Whether of input and of room."""
        self.inputs = self.rooms = 0
        for _ in range(5):
            await asyncio.sleep(0)
        return self.inputs > 1, self.rooms > 1


def test_switched_on_and_off_is_told_again_and_again_of_what_is_wanted_only(
    run: Callable[[Coroutine[None, None, None]], None], pair: tuple[socket.socket, socket.socket]
) -> None:
    async def use() -> None:
        pair[1].send(b"x")
        watched = Watched(pair[0])
        ready = watched.readiness
        assert await watched.told_within_turns() == (False, False)
        for reading, writing in [(True, False), (True, True), (False, True), (False, False), (True, False)]:
            ready.read(reading)
            ready.write(writing)
            ready.read(reading)
            assert await watched.told_within_turns() == (reading, writing)
            assert ready.is_writing == writing
        ready.end()
        assert await watched.told_within_turns() == (False, False)

    run(use())


def test_peer_gone_who_wants_anything_is_told_and_nobody_else(
    run: Callable[[Coroutine[None, None, None]], None], pair: tuple[socket.socket, socket.socket]
) -> None:
    async def use() -> None:
        watched = Watched(pair[0])
        ready = watched.readiness
        ready.read(True)
        ready.read(False)
        pair[1].close()
        assert await watched.told_within_turns() == (False, False)
        ready.write(True)
        assert await watched.told_within_turns() == (False, True)
        ready.write(False)
        ready.read(True)
        assert await watched.told_within_turns() == (True, False)
        ready.end()

    run(use())
