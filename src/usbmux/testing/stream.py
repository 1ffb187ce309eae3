"""What a port handler of a simulated phone holds: its end of one connection."""

import asyncio
from collections.abc import Callable

from usbmux.testing.device_connection import ConnectionState, DeviceConnection


class PhoneStream:
    """The phone's end of one connection, for any number of tasks of one loop. Handlers get it; nobody makes one.

    Methods that write raise `ConnectionResetError` once the connection is over, as asyncio's streams do.
    """

    def __init__(self, connection: DeviceConnection, schedule_flush: Callable[[DeviceConnection], None]) -> None:
        self._connection = connection
        self._schedule_flush = schedule_flush
        self._progress = asyncio.Event()

    @property
    def port(self) -> int:
        """The phone's port."""
        return self._connection.port

    @property
    def host_port(self) -> int:
        """The host's port: distinct among the open connections to one port."""
        return self._connection.host_port

    @property
    def is_closed(self) -> bool:
        """Whether one side has reset the connection, or the host is gone."""
        return self._connection.state is ConnectionState.CLOSED

    @property
    def unread_length(self) -> int:
        """Number of bytes that have come in and were not read."""
        return self._connection.unread_length

    def accept(self) -> None:
        """Let the host's connect succeed; only a handler wrapped in `AcceptsLate` needs it."""
        self._connection.accept()
        self._schedule_flush(self._connection)

    async def read(self, n: int = 65536) -> bytes:
        """Wait for data and take at most `n` bytes; ``b""`` once the connection is over and all was read."""
        await self._wait_for(lambda: self._connection.unread_length > 0)
        data = self._connection.read(n)
        self._schedule_flush(self._connection)
        return data

    async def readexactly(self, n: int) -> bytes:
        """Wait for exactly `n` bytes.

        Raises:
            asyncio.IncompleteReadError: The connection ended before; it holds what was there.
        """
        pieces: list[bytes] = []
        missing = n
        while missing and (piece := await self.read(missing)):
            pieces.append(piece)
            missing -= len(piece)
        data = b"".join(pieces)
        if missing:
            raise asyncio.IncompleteReadError(data, n)
        return data

    async def write(self, data: bytes | memoryview) -> None:
        """Send `data`, waiting for the host's window; it must not change until this returns.

        Raises:
            ConnectionResetError: The connection was over before all was sent.
        """
        self._check_open()
        self._connection.write(data)
        self._schedule_flush(self._connection)
        await self._wait_for(lambda: self._connection.unsent_length == 0)
        self._check_open()

    async def drain(self) -> None:
        """Wait until the host has acknowledged everything.

        Raises:
            ConnectionResetError: The connection was over before.
        """
        await self._wait_for(lambda: self._connection.is_all_acknowledged)
        if not self._connection.is_all_acknowledged:
            self._check_open()

    async def wait_closed(self) -> None:
        """Wait until the connection is over, reading nothing."""
        await self._wait_for(lambda: False)

    def set_window(self, window: int) -> None:
        """Advertise a receive window of `window` bytes from now on; 0 shuts it."""
        self._connection.set_window(window)
        self._schedule_flush(self._connection)

    def reset(self, text: bytes = b"") -> None:
        """Reset the connection at once, with a reason; before `accept` this refuses it."""
        self._connection.reset(text)
        self._schedule_flush(self._connection)
        self.wake()

    def wake(self) -> None:
        """The phone's notice that the connection has progressed."""
        self._progress.set()
        self._progress.clear()

    async def _wait_for(self, is_reached: Callable[[], bool]) -> None:
        while not is_reached() and not self.is_closed:
            await self._progress.wait()

    def _check_open(self) -> None:
        if self.is_closed:
            raise ConnectionResetError(f"the connection to port {self.port} is over")
