"""Both shells of lockdown behind one face, so that one suite tests both; and phones for them."""

from __future__ import annotations

import asyncio
import inspect
from typing import TYPE_CHECKING, TypeVar

from usbmux.client import aio_route, route
from usbmux.client.aio import AsyncClient
from usbmux.client.blocking import Client
from usbmux.lockdown.aio_stream import AsyncStream, SocketStream
from usbmux.lockdown.blocking import LockdownClient
from usbmux.lockdown.blocking_stream import BlockingStream
from usbmux.testing.iphone import Hosts, Trust, VirtualIPhone
from usbmux.testing.iphone.virtual_iphone import REQUEST_PAIR

if TYPE_CHECKING:
    import socket
    from collections.abc import Awaitable, Callable

    from usbmux.control.address import Address
    from usbmux.lockdown.aio import AsyncLockdownClient

T = TypeVar("T")
AnyStream = BlockingStream | AsyncStream


class Subject:
    """A client of lockdown of either kind, called from ordinary functions."""

    def __init__(self, runner: asyncio.Runner | None, address: Address, timeout_s: float) -> None:
        self.client = Client(address)
        self._runner = runner
        # Not by their methods, because what a test is impatient with is the phone, not the daemon.
        self.lockdown: LockdownClient | AsyncLockdownClient = (
            route.lockdown_client(self.client, None, timeout_s)
            if runner is None
            else aio_route.lockdown_client(AsyncClient(address), None, timeout_s)
        )

    def close(self) -> None:
        self.call(lambda lockdown: lockdown.close())

    def call(self, function: Callable[[LockdownClient | AsyncLockdownClient], T | Awaitable[T]]) -> T:
        return self.wait(function(self.lockdown))

    def service(self, name: str) -> AnyStream:
        """A connection to a service that is started."""
        if isinstance(self.lockdown, LockdownClient):
            return self.lockdown.start_service(name)
        return _running(self._runner).run(self.lockdown.start_service(name))

    def on(self, stream: AnyStream, function: Callable[[AnyStream], T | Awaitable[T]]) -> T:
        return self.wait(function(stream))

    def wait(self, outcome: T | Awaitable[T]) -> T:
        return wait(self._runner, outcome)


class StreamSubject:
    """A stream of either kind, with a deadline of its own."""

    def __init__(self, runner: asyncio.Runner | None, sock: socket.socket, timeout_s: float | None = 20.0) -> None:
        self._runner = runner
        if runner is None:
            self.stream: AnyStream = BlockingStream(sock, timeout_s)
        else:
            sock.setblocking(False)
            self.stream = AsyncStream(SocketStream(sock), timeout_s)

    def call(self, function: Callable[[AnyStream], T | Awaitable[T]]) -> T:
        return wait(self._runner, function(self.stream))


def wait(runner: asyncio.Runner | None, outcome: T | Awaitable[T]) -> T:
    return _running(runner).run(_result(outcome)) if inspect.isawaitable(outcome) else outcome


def _running(runner: asyncio.Runner | None) -> asyncio.Runner:
    assert runner is not None
    return runner


async def _result(outcome: Awaitable[T]) -> T:
    return await outcome


class Owner(Hosts):
    """Answers each question of a computer in turn, the last answer for ever, and each time lets it ask again."""

    def __init__(self, phone: VirtualIPhone, *answers: Trust) -> None:
        self._phone = phone
        self._answers = list(answers)
        super().__init__()
        phone.hosts = self  # type: ignore[misc]

    @property
    def trust(self) -> Trust:
        """What is done about the computer that asks now."""
        asyncio.get_running_loop().call_soon(self._phone.notifications.post, REQUEST_PAIR)
        return self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]

    @trust.setter
    def trust(self, trust: Trust) -> None:
        if trust is not Trust.ACCEPTED:
            raise AssertionError("its answers are given")
