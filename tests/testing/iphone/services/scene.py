"""A host and a service of a phone, joined by a stream in memory."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

from usbmux.errors import RemoteProtocolError
from usbmux.testing.iphone.plist_stream import read_plist, write_plist
from usbmux.testing.iphone.services.application import DEFAULT_APPLICATIONS, Application
from usbmux.testing.iphone.services.context import Service
from usbmux.testing.iphone.services.hub import Hub
from usbmux.testing.iphone.services.log_entry import LogEntry

VALUES: Mapping[tuple[str | None, str], object] = {
    (None, "DeviceName"): "Ann's iPhone",
    (None, "HardwareModel"): "N104AP",
    (None, "ProductVersion"): "16.7.2",
    (None, "WiFiAddress"): "0a:1b:2c:3d:4e:5f",
    ("com.apple.mobile.battery", "BatteryCurrentCapacity"): 87,
    ("com.apple.mobile.battery", "BatteryIsCharging"): True,
}


@dataclass(frozen=True)
class Values:
    """The values of a phone, for services that ask."""

    values: Mapping[tuple[str | None, str], object] = field(default_factory=lambda: VALUES)

    def value(self, key: str, domain: str | None = None) -> object | None:
        return self.values.get((domain, key))


@dataclass(frozen=True)
class Phone:
    """What services see of the phone."""

    identity: Values = field(default_factory=Values)
    notifications: Hub[str] = field(default_factory=Hub[str])
    log: Hub[LogEntry] = field(default_factory=Hub[LogEntry])
    applications: tuple[Application, ...] = DEFAULT_APPLICATIONS


class MemoryStream:
    """One end of a connection; what it writes waits at the other end, up to `window` bytes."""

    def __init__(self, window: int = 65536) -> None:
        self.peer = self
        self._window = window
        self._buffer = bytearray()
        self._is_over = False
        self._changed = asyncio.Event()

    async def read(self, n: int = 65536) -> bytes:
        while not self._buffer and not self._is_over:
            await self._wait()
        data = bytes(self._buffer[:n])
        del self._buffer[:n]
        self.peer._changed.set()
        return data

    async def readexactly(self, n: int) -> bytes:
        data = b""
        while len(data) < n:
            if not (piece := await self.read(n - len(data))):
                raise asyncio.IncompleteReadError(data, n)
            data += piece
        return data

    async def write(self, data: bytes | memoryview) -> None:
        view = memoryview(data)
        while view:
            if self._is_over:
                raise ConnectionResetError("the connection is over")
            room = self._window - len(self.peer._buffer)
            if room <= 0:
                await self._wait()
            self.peer._buffer += view[: max(room, 0)]
            view = view[max(room, 0) :]
            self.peer._changed.set()

    def end(self) -> None:
        for side in (self, self.peer):
            side._is_over = True
            side._changed.set()

    async def _wait(self) -> None:
        self._changed.clear()
        await self._changed.wait()


class Host(MemoryStream):
    """The host's end, and what a host does with it."""

    def __init__(self, window: int) -> None:
        super().__init__(window)
        self.blames: list[str] = []
        """What the service held against the host when it ended."""

    async def send(self, message: Mapping[str, object], *, binary: bool = False) -> None:
        await write_plist(self, message, binary=binary)

    async def receive(self) -> Mapping[object, object]:
        message = await read_plist(self)
        assert message is not None
        return message

    async def ask(self, message: Mapping[str, object]) -> Mapping[object, object]:
        await self.send(message)
        return await self.receive()

    async def is_left(self) -> bool:
        """Wait for the service to end; whether it had nothing more to say."""
        return not await self.read()


@asynccontextmanager
async def served(service: Service, phone: Phone | None = None, *, window: int = 65536) -> AsyncIterator[Host]:
    """A host with a connection to a service, which must end once the host has."""
    host, device = Host(window), MemoryStream(window)
    host.peer, device.peer = device, host

    async def serve() -> None:
        try:
            await service(device, phone or Phone())
        except RemoteProtocolError as error:
            host.blames.append(str(error))
        finally:
            device.end()

    task = asyncio.create_task(serve())
    try:
        yield host
    except BaseException:
        task.cancel()
        with suppress(asyncio.CancelledError, Exception):
            await task
        raise
    host.end()
    with suppress(ConnectionResetError, asyncio.IncompleteReadError):
        await task


async def settle() -> None:
    """Let every task run until all of them wait for something."""
    for _ in range(20):
        await asyncio.sleep(0)
