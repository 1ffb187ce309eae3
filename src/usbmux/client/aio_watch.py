from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from typing import TYPE_CHECKING, Self, TypeAlias

from usbmux.client import tracker
from usbmux.client.endpoint import hung_up
from usbmux.client.tracker import DeviceTracker, backoff_delays_s
from usbmux.control.message import Notification
from usbmux.errors import DaemonUnavailableError, RemoteProtocolError, RequestTimeoutError, UsbmuxError

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from usbmux.client.device import DeviceEvent
    from usbmux.control.address import Address
    from usbmux.control.client import ClientSession

    Connect: TypeAlias = Callable[[], Coroutine[None, None, "ListeningConnection"]]


class AsyncWatch:
    """Device events of a daemon: iterate over it, or call `wait_event`. Made by `AsyncClient.watch`.

    The connection is made on entering the context, or when first needed. Iteration ends after `close`.
    """

    def __init__(self, connect: Connect, *, reconnect: bool) -> None:
        self._connect = connect
        self._reconnect = reconnect
        self._tracker = DeviceTracker()
        self._connection: ListeningConnection | None = None
        self._events: deque[DeviceEvent] = deque()
        self._opening: asyncio.Task[ListeningConnection] | None = None
        self._was_lost = False
        self._settled_at: float | None = None
        self._failure: UsbmuxError | None = None
        self._is_closed = False

    async def __aenter__(self) -> Self:
        try:
            if self._connection is None:
                await self._open(None)
        except asyncio.CancelledError:
            await self._give_up_opening()  # there will be no `__aexit__`
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    def __del__(self) -> None:
        # A watch that nobody has any more cannot be closed, and the loop keeps its tasks and, before Python 3.11.5, its
        # connections. Of a task that has failed this says that somebody knows, so asyncio does not complain.
        with contextlib.suppress(RuntimeError):  # the loop is closed
            if self._opening is not None:
                self._opening.cancel()
            if self._connection is not None:
                self._connection.close()

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
            timeout_s: The longest wait, None for no limit, 0 for what is there already.

        Returns:
            The event, or None if none came in time or the watch is closed.

        Raises:
            DaemonUnavailableError: The daemon is not there at the start, or hung up and `reconnect` was not asked for.
            RequestTimeoutError: The daemon did not answer at the start within the client's `timeout_s`.
            RemoteProtocolError: The daemon broke the protocol. That ends the watch, with `reconnect` too.
        """
        deadline = None if timeout_s is None else asyncio.get_running_loop().time() + timeout_s
        while not self._events and not self._is_closed:
            if not await self._step(deadline):
                return None
        return self._events.popleft() if self._events else None

    async def close(self) -> None:
        """End the watch."""
        self._is_closed = True
        self._events.clear()
        if self._connection is not None:
            self._connection.close()
        await self._give_up_opening()

    async def _step(self, deadline: float | None) -> bool:
        """Return False if there was nothing to do before the deadline, in the loop's time."""
        if self._connection is not None:
            return await self._receive(self._connection, deadline)
        return await self._open(deadline)

    async def _open(self, deadline: float | None) -> bool:
        """Wait for the connection. It goes on being made when nobody waits any more, until `close`."""
        loop = asyncio.get_running_loop()
        if self._failure is not None:
            raise self._failure.with_traceback(None)
        if self._opening is None:
            connection = _connect_again(self._connect) if self._was_lost else self._connect()
            self._opening = asyncio.create_task(connection)
        opening = self._opening
        if not opening.done():
            await asyncio.wait({opening}, timeout=None if deadline is None else deadline - loop.time())
        if opening is not self._opening:  # another task has taken the connection, or given it up
            return True
        if not opening.done():
            return False
        self._opening = None
        try:
            self._connection = opening.result()
        except RemoteProtocolError as error:
            self._failure = error
            raise
        self._settled_at = None if self._tracker.is_settled else loop.time() + tracker.SETTLE_S
        return True

    async def _give_up_opening(self) -> None:
        opening, self._opening = self._opening, None
        if opening is None:
            return
        if opening.cancel():
            await asyncio.wait({opening})
        if not opening.cancelled() and opening.exception() is None:
            opening.result().close()

    async def _receive(self, connection: ListeningConnection, deadline: float | None) -> bool:
        until = min((time for time in (deadline, self._settled_at) if time is not None), default=None)
        try:
            notification = await connection.next_notification(until)
        except UsbmuxError as error:
            if self._is_closed:
                return True
            connection.close()
            self._connection = None
            if not (self._reconnect and isinstance(error, DaemonUnavailableError)):
                self._failure = error
                raise
            self._tracker.connection_lost()
            self._was_lost = True
            return True
        if notification is not None:
            self._events.extend(self._tracker.receive(notification))
        elif until == self._settled_at:
            self._settled_at = None
            self._events.extend(self._tracker.settle())
        else:
            return False
        return True


async def _connect_again(connect: Connect) -> ListeningConnection:
    """Connect to a daemon that went away. Knows no watch, so that it keeps none."""
    for delay_s in backoff_delays_s():
        await asyncio.sleep(delay_s)  # nobody tells when a daemon is back
        with contextlib.suppress(DaemonUnavailableError, RequestTimeoutError):
            return await connect()
    raise AssertionError("the delays have no end")


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

    async def next_notification(self, until: float | None) -> Notification | None:
        """Wait for the next notification; return None if there is none until then, in the loop's time.

        Raises:
            DaemonUnavailableError: The daemon hung up.
        """
        for _ in range(2):  # what comes in the very turn of the loop in which the time is over is read in the next
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout_at(until):
                    return await self._next_notification()
        return None

    def close(self) -> None:
        """Hang up."""
        self._writer.close()

    async def _next_notification(self) -> Notification:
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
