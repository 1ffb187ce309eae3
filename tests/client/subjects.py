"""Both clients behind one face, so that one suite tests both."""

from __future__ import annotations

import inspect
import socket
from typing import TYPE_CHECKING, Protocol, TypeVar

from usbmux.client.aio import AsyncClient
from usbmux.client.blocking import Client
from usbmux.client.watch import Watch

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Awaitable, Callable

    from usbmux.client.aio_watch import AsyncWatch
    from usbmux.client.device import Device, DeviceEvent
    from usbmux.control.address import Address

T = TypeVar("T")
ClientKind = type[Client] | type[AsyncClient]


class Stream(Protocol):
    """A connection to a phone as both clients give it."""

    def read_exactly(self, length: int) -> bytes: ...
    def write(self, data: bytes) -> None: ...
    def close(self) -> None: ...


class BlockingStream:
    def __init__(self, stream: socket.socket) -> None:
        assert stream.gettimeout() is None
        self._stream = stream

    def read_exactly(self, length: int) -> bytes:
        return self._stream.recv(length, socket.MSG_WAITALL)

    def write(self, data: bytes) -> None:
        self._stream.sendall(data)

    def close(self) -> None:
        self._stream.close()


class AsyncStream:
    def __init__(self, runner: asyncio.Runner, streams: tuple[asyncio.StreamReader, asyncio.StreamWriter]) -> None:
        self._runner = runner
        self._reader, self._writer = streams

    def read_exactly(self, length: int) -> bytes:
        return self._runner.run(self._reader.readexactly(length))

    def write(self, data: bytes) -> None:
        self._writer.write(data)
        self._runner.run(self._writer.drain())

    def close(self) -> None:
        self._writer.close()
        self._runner.run(self._writer.wait_closed())


class Subject:
    """Either client, called from ordinary functions; the asyncio one on a loop of its own."""

    def __init__(self, kind: ClientKind, runner: asyncio.Runner, address: Address) -> None:
        self.kind = kind
        self.address = address
        self._runner = runner

    def run(self, call: Callable[[Client | AsyncClient], T | Awaitable[T]], *, timeout_s: float | None = 10.0) -> T:
        outcome = call(self.kind(self.address, timeout_s=timeout_s, program="contract"))
        return self._runner.run(_wait(outcome)) if inspect.isawaitable(outcome) else outcome

    def connect(self, device: Device | int | str | None, port: int) -> Stream:
        client = self.kind(self.address)
        if isinstance(client, Client):
            return BlockingStream(client.connect(device, port))
        return AsyncStream(self._runner, self._runner.run(client.connect(device, port)))

    def watch(self, *, reconnect: bool = False) -> WatchSubject:
        return WatchSubject(self._runner, self.kind(self.address).watch(reconnect=reconnect))


class WatchSubject:
    """Either watch."""

    def __init__(self, runner: asyncio.Runner, watch: Watch | AsyncWatch) -> None:
        self._runner = runner
        self._watch = watch

    def open(self) -> None:
        if isinstance(self._watch, Watch):
            self._watch.__enter__()
        else:
            self._runner.run(self._watch.__aenter__())

    def next(self) -> DeviceEvent | None:
        """The next event, None when the iteration has ended."""
        if isinstance(self._watch, Watch):
            return next(self._watch, None)
        return self._runner.run(anext(self._watch, None))

    def wait_event(self, timeout_s: float) -> DeviceEvent | None:
        if isinstance(self._watch, Watch):
            return self._watch.wait_event(timeout_s)
        return self._runner.run(self._watch.wait_event(timeout_s))

    def close(self) -> None:
        if isinstance(self._watch, Watch):
            self._watch.close()
        else:
            self._runner.run(self._watch.close())


async def _wait(outcome: Awaitable[T]) -> T:
    return await outcome
