"""A daemon for tests of clients: real sockets and the real server engine, with phones and ports as the test says."""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import suppress
from typing import TYPE_CHECKING, Self

from usbmux.control.message import (
    Attached,
    Connect,
    Detached,
    DeviceList,
    DeviceRecord,
    ListDevices,
    Listen,
    Notification,
    Paired,
    Result,
    ResultCode,
)
from usbmux.control.server import RequestReceived, ServerSession, ServerState

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    PortHandler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Return everything, and end when the client has ended."""
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()


async def count_then_answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Say how many bytes came, after the client's half-close."""
    writer.write(b"%d bytes" % len(await reader.read()))


class ScriptedDaemon:
    """Serves on a Unix socket while started; phones and ports may change at any time."""

    def __init__(self, path: Path) -> None:
        self.address = f"unix:{path}"
        self.ports: dict[int, PortHandler] = {}
        self.requests: Counter[str] = Counter()
        self._path = path
        self._devices: dict[int, DeviceRecord] = {}
        self._listeners: dict[ServerSession, asyncio.StreamWriter] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None
        self._listener_came = asyncio.Event()
        self._request_came = asyncio.Event()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def start(self) -> None:
        self._server = await asyncio.start_unix_server(self._serve, self._path)

    async def stop(self) -> None:
        """Hang up on everybody and forget the phones."""
        if self._server is not None:
            self._server.close()
            self._path.unlink(missing_ok=True)  # Python 3.13 has removed it
            self._server = None
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._devices.clear()

    def attach(self, device_id: int, udid: str) -> None:
        self._devices[device_id] = DeviceRecord(
            device_id, udid, 0x12A8, location_id=0x10004, connection_speed=480_000_000, port_path="1-4"
        )
        self.notify(Attached(self._devices[device_id]))

    def detach(self, device_id: int) -> None:
        del self._devices[device_id]
        self.notify(Detached(device_id))

    def pair(self, device_id: int) -> None:
        self.notify(Paired(device_id))

    def notify(self, notification: Notification) -> None:
        for session, writer in self._listeners.items():
            writer.write(session.notify(notification))

    async def wait_listener(self) -> None:
        """Return when somebody listens that has come since the last call."""
        async with asyncio.timeout(10):
            await self._listener_came.wait()
        self._listener_came.clear()

    async def wait_requests(self, name: str, count: int) -> None:
        """Return when that many requests of that name have come in all."""
        async with asyncio.timeout(10):
            while self.requests[name] < count:
                self._request_came.clear()
                await self._request_came.wait()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        session = ServerSession()
        try:
            while session.state is not ServerState.CONNECTED and (data := await reader.read(65536)):
                session.receive_data(data)
                while isinstance(event := session.next_event(), RequestReceived):
                    await self._answer(session, event, reader, writer)
        except (ConnectionError, asyncio.CancelledError):
            pass  # the test ends, or the client has gone
        finally:
            self._tasks.discard(task)
            self._listeners.pop(session, None)
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()

    async def _answer(
        self, session: ServerSession, event: RequestReceived, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self.requests[type(event.request).__name__] += 1
        self._request_came.set()
        match event.request:
            case ListDevices():
                writer.write(session.reply(DeviceList(tuple(self._devices.values()))))
            case Listen():
                writer.write(session.reply(Result(ResultCode.OK)))
                writer.write(b"".join(session.notify(Attached(device)) for device in self._devices.values()))
                self._listeners[session] = writer
                self._listener_came.set()
            case Connect(device_id) if device_id not in self._devices:
                writer.write(session.reply(Result(ResultCode.BAD_DEVICE)))
            case Connect(_, port) if port not in self.ports:
                writer.write(session.reply(Result(ResultCode.CONNECTION_REFUSED)))
            case Connect(_, port):
                writer.write(session.reply(Result(ResultCode.OK)))
                await self.ports[port](reader, writer)
            case _:
                writer.write(session.reply(Result(ResultCode.BAD_COMMAND)))
