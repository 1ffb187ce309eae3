from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Self

from usbmux.client import tracker
from usbmux.client.endpoint import hung_up
from usbmux.client.tracker import DeviceTracker, backoff_delays_s
from usbmux.control.message import Notification
from usbmux.errors import DaemonUnavailableError, RequestTimeoutError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    from usbmux.client.device import DeviceEvent
    from usbmux.control.address import Address
    from usbmux.control.client import ClientSession


class AsyncWatch:
    """Device events of a daemon: iterate over it, or call `wait_event`. Made by `AsyncClient.watch`.

    The connection is made on entering the context, or when first needed. Iteration ends after `close`.
    """

    def __init__(self, connect: Callable[[], Awaitable[ListeningConnection]], *, reconnect: bool) -> None:
        self._connect = connect
        self._reconnect = reconnect
        self._tracker = DeviceTracker()
        self._connection: ListeningConnection | None = None
        self._events: deque[DeviceEvent] = deque()
        self._delays: Iterator[float] | None = None
        self._retry_at = 0.0
        self._settled_at: float | None = None
        self._is_closed = False

    async def __aenter__(self) -> Self:
        if self._connection is None:
            await self._open()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> DeviceEvent:
        event = await self.wait_event()
        if event is None:
            raise StopAsyncIteration
        return event

    async def wait_event(self, timeout_s: float | None = None) -> DeviceEvent | None:
        """Wait for the next event.

        Args:
            timeout_s: The longest wait, None for no limit.

        Returns:
            The event, or None if none came in time or the watch is closed.

        Raises:
            DaemonUnavailableError: The daemon is not there at the start, or hung up and `reconnect` was not asked for.
        """
        try:
            async with asyncio.timeout(timeout_s):
                while not self._events and not self._is_closed:
                    await self._step()
        except RequestTimeoutError:
            raise
        except TimeoutError:
            return None
        return self._events.popleft() if self._events else None

    async def close(self) -> None:
        """End the watch."""
        self._is_closed = True
        self._events.clear()
        if self._connection is not None:
            self._connection.close()

    async def _step(self) -> None:
        if self._connection is not None:
            await self._receive(self._connection)
        elif self._delays is not None:
            await self._try_again(self._delays)
        else:
            await self._open()

    async def _open(self) -> None:
        connection = await self._connect()
        if self._is_closed:  # by another task, meanwhile
            connection.close()
        else:
            self._connection = connection

    async def _receive(self, connection: ListeningConnection) -> None:
        settling = asyncio.timeout_at(self._settled_at)
        try:
            async with settling:
                notification = await connection.next_notification()
        except TimeoutError:
            if not settling.expired():
                raise
            self._settled_at = None
            self._events.extend(self._tracker.settle())
        except DaemonUnavailableError:
            if self._is_closed:
                return
            if not self._reconnect:
                raise
            connection.close()
            self._connection = None
            self._tracker.connection_lost()
            self._delays = backoff_delays_s()
            self._retry_at = asyncio.get_running_loop().time() + next(self._delays)
        else:
            self._events.extend(self._tracker.receive(notification))

    async def _try_again(self, delays: Iterator[float]) -> None:
        loop = asyncio.get_running_loop()
        await asyncio.sleep(self._retry_at - loop.time())  # nobody tells when a daemon is back
        if self._is_closed:
            return
        try:
            await self._open()
        except (DaemonUnavailableError, RequestTimeoutError):
            self._retry_at = loop.time() + next(delays)
        else:
            self._delays = None
            self._settled_at = None if self._tracker.is_settled else loop.time() + tracker.SETTLE_S


class ListeningConnection:
    """A connection after Listen, on streams: unlike a socket call, their read may be cancelled without losing bytes."""

    def __init__(
        self,
        address: Address,
        session: ClientSession,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        self._address = address
        self._session = session
        self._reader = reader
        self._writer = writer

    async def next_notification(self) -> Notification:
        """Wait for the next notification.

        Raises:
            DaemonUnavailableError: The daemon hung up.
        """
        try:
            while (event := self._session.next_event()) is None:
                data = await self._reader.read(self._session.bytes_needed)
                if not data:
                    raise ConnectionResetError
                self._session.receive_data(data)
        except OSError as error:
            raise hung_up(self._address) from error
        assert isinstance(event, Notification), "a listening session gives notifications only"
        return event

    def close(self) -> None:
        """Hang up."""
        self._writer.close()
