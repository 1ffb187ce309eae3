"""Local ends that lead to ports of phones."""

import asyncio
import logging
import socket
import ssl
from collections.abc import Callable, Coroutine, Sequence
from functools import partial
from types import TracebackType
from typing import Final, Self

from usbmux.client.aio import AsyncClient
from usbmux.control.address import TcpAddress
from usbmux.errors import UsbmuxError
from usbmux.relay.dialer import Dialer
from usbmux.relay.listening_end import ListeningEnd, bind
from usbmux.relay.phone_row import PhoneRow
from usbmux.relay.pipe import PipePool
from usbmux.relay.route import ListeningPort, Route
from usbmux.relay.seating import Seating
from usbmux.relay.splice import Splice
from usbmux.tls_front import TlsFront

_log = logging.getLogger("usbmux.relay")

DEFAULT_BUFFER_SIZE = 128 * 1024
DEFAULT_WAIT_S = 30.0


class Forwarder:
    """Serves local connections by connecting each to a phone's port. Use as an async context manager.

    Inside the context everything runs by itself; on leaving it, the ends and all connections are closed. A
    connection that cannot be made closes the local one and is logged; nothing that happens to a connection, to the
    phone or to the daemon ends the forwarder. Needs a selector event loop.

    Args:
        client: The daemon to ask.
        routes: What to forward; the phone of each is looked up anew for each connection.
        row: Decides which phones the routes with a place lead to.
        on_phone: Called when a phone got a place, with each end that leads to it and the UDID.
        wait_s: How long a connection waits for the phone or the daemon to come back.
        buffer_size: Bytes moved at once, and the most that waits per connection and direction.
        tls: Connections to TCP ends are inside TLS.
        serves_once: After the first connection nothing is accepted any more; see `wait_served`.
    """

    def __init__(
        self,
        client: AsyncClient,
        routes: Sequence[Route],
        *,
        row: PhoneRow | None = None,
        on_phone: Callable[[ListeningPort, str], None] | None = None,
        wait_s: float = DEFAULT_WAIT_S,
        buffer_size: int = DEFAULT_BUFFER_SIZE,
        tls: ssl.SSLContext | None = None,
        serves_once: bool = False,
    ) -> None:
        self._routes: Final = tuple(routes)
        self._dialer: Final = Dialer(client, wait_s=wait_s)
        self._seating: Final = None if row is None else Seating(client, row, wait_s=wait_s, on_seated=self._seated)
        self._on_phone: Final = on_phone
        self._tls: Final = tls
        self._serves_once: Final = serves_once
        self._scratch: Final = bytearray(buffer_size)
        self._pipes: Final = PipePool(buffer_size)
        self._ends: list[ListeningEnd] = []
        self._fronts: list[TlsFront] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._served: asyncio.Future[UsbmuxError | OSError | None] | None = None
        """Set once the first connection has come, if it is to be the last."""
        self._first_came: Final = asyncio.Event()
        self._is_closing = False

    @property
    def listening_ports(self) -> tuple[ListeningPort, ...]:
        """The bound ends, in the order of the routes."""
        return tuple(end.listening for end in self._ends)

    @property
    def ends(self) -> tuple[ListeningEnd, ...]:
        """The same, with their figures."""
        return tuple(self._ends)

    async def __aenter__(self) -> Self:
        """Bind every end.

        Raises:
            OSError: An end cannot be bound; then none is.
        """
        try:
            for route in self._routes:
                self._ends += await bind(route)
            if self._seating is not None:
                await self._seating.begin()
        except BaseException:
            self._close_ends()
            raise
        for end in self._ends:
            end.start(self._accepts(end))
        if self._seating is not None:
            self._spawn(self._seating.run())
        return self

    async def __aexit__(
        self, error_type: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Close every end and every connection."""
        self._is_closing = True
        self._close_ends()
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for front in self._fronts:
            await front.close()
        self._pipes.close()

    async def wait_served(self) -> None:
        """Wait until the only connection is over.

        Raises:
            UsbmuxError, OSError: The phone's port was not reached.
        """
        await self._first_came.wait()
        assert self._served is not None
        if (error := await self._served) is not None:
            raise error

    def _close_ends(self) -> None:
        for end in self._ends:
            end.close()

    def _spawn(self, work: Coroutine[None, None, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def _seated(self, place: int, udid: str) -> None:
        for end in self._ends:
            if self._on_phone is not None and end.route.place == place:
                self._on_phone(end.listening, udid)

    # Connections

    def _accepts(self, end: ListeningEnd) -> Callable[[socket.socket], None]:
        """What takes a connection that has come to the end."""
        if self._tls is None or not isinstance(end.listening.bound, TcpAddress):
            return partial(self._accepted, end)
        loop = asyncio.get_running_loop()
        front = TlsFront(loop, self._tls, partial(_log.warning, "connection from %s"), partial(self._accepted, end))
        self._fronts.append(front)
        return front.accept

    def _accepted(self, end: ListeningEnd, local: socket.socket) -> None:
        if self._is_closing or self._served is not None:  # it came in the same turn as the first, or shook hands since
            local.close()
            return
        if self._serves_once:
            self._served = asyncio.get_running_loop().create_future()
            self._first_came.set()
            self._close_ends()
        task = self._spawn(self._serve(end, local))
        # Not in the task itself: one that is cancelled before its first step never runs.
        task.add_done_callback(partial(_close, local))

    async def _serve(self, end: ListeningEnd, local: socket.socket) -> None:
        route = end.route
        try:
            udid = route.udid
            if route.place is not None and self._seating is not None:
                udid = await self._seating.udid(route.place)
            device = await self._dialer.dial(udid, route.device_port, route.select)
        except (UsbmuxError, OSError) as error:
            end.failed()
            if self._served is None:
                where = (_name(local), route.device_port)
                _log.warning("connection from %s to port %d of the phone failed: %s", *where, error)
            else:
                self._served.set_result(error)
            return
        await self._join(end, local, device)
        if self._served is not None:
            self._served.set_result(None)

    async def _join(self, end: ListeningEnd, local: socket.socket, device: socket.socket) -> None:
        peer = _name(local) if _log.isEnabledFor(logging.INFO) else ""
        _log.info("connection from %s to port %d of the phone opened", peer, end.route.device_port)
        splice = Splice(local, device, self._scratch, self._pipes)
        end.opened(splice)
        try:
            await splice.run()
        finally:
            end.ended(splice)
        _log.info(
            "connection from %s to port %d of the phone ended: %d bytes to the phone, %d bytes from it",
            peer, end.route.device_port, splice.bytes_to_device, splice.bytes_to_local,
        )  # fmt: skip


def _name(local: socket.socket) -> str:
    try:
        peer: object = local.getpeername()
    except OSError:
        return "a program that is gone"
    return f"{peer[0]} port {peer[1]}" if isinstance(peer, tuple) else "a local program"


def _close(local: socket.socket, _: asyncio.Task[None]) -> None:
    local.close()
