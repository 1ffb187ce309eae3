"""Local TCP ports that lead to ports of a phone."""

import asyncio
import logging
import socket
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass
from functools import partial
from types import TracebackType
from typing import Self

from usbmux.client.aio import AsyncClient
from usbmux.errors import UsbmuxError
from usbmux.relay.dialer import Dialer
from usbmux.relay.mapping import PortMapping
from usbmux.relay.pipe import PipePool
from usbmux.relay.splice import Splice

_log = logging.getLogger("usbmux.relay")

DEFAULT_BUFFER_SIZE = 128 * 1024
DEFAULT_WAIT_S = 30.0
LOOPBACK = ("127.0.0.1",)
_BACKLOG = 128
_ACCEPT_RETRY_S = 0.5


@dataclass(frozen=True, slots=True)
class ListeningPort:
    """One bound local port and where it leads."""

    address: str
    """Numeric IPv4 or IPv6 address."""
    port: int
    """As bound, also where 0 was asked for."""
    device_port: int


class Forwarder:
    """Serves local connections by connecting each to the phone's port. Use as an async context manager.

    Inside the context everything runs by itself; on leaving it, the ports and all connections are closed. A
    connection that cannot be made closes the local one and is logged; nothing that happens to a connection, to the
    phone or to the daemon ends the forwarder. Needs a selector event loop.

    Args:
        client: The daemon to ask.
        mappings: What to forward.
        udid: The phone as in `AsyncClient.device`, or None for the only one; looked up anew for each connection.
        listen_addresses: Host names or numeric addresses to bind; every address of a name is bound.
        wait_s: How long a connection waits for the phone or the daemon to come back.
        buffer_size: Bytes moved at once, and the most that waits per connection and direction.
    """

    def __init__(
        self,
        client: AsyncClient,
        mappings: Sequence[PortMapping],
        *,
        udid: str | None = None,
        listen_addresses: Sequence[str] = LOOPBACK,
        wait_s: float = DEFAULT_WAIT_S,
        buffer_size: int = DEFAULT_BUFFER_SIZE,
    ) -> None:
        self._mappings = tuple(mappings)
        self._listen_addresses = tuple(listen_addresses)
        self._dialer = Dialer(client, udid=udid, wait_s=wait_s)
        self._scratch = bytearray(buffer_size)
        self._pipes = PipePool(buffer_size)
        self._sockets: list[socket.socket] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._listening_ports: list[ListeningPort] = []

    @property
    def listening_ports(self) -> tuple[ListeningPort, ...]:
        """The bound ports, in the order of the mappings."""
        return tuple(self._listening_ports)

    async def __aenter__(self) -> Self:
        """Bind every port.

        Raises:
            OSError: A port cannot be bound; then none is.
        """
        try:
            for mapping in self._mappings:
                for address in self._listen_addresses:
                    await self._listen(address, mapping)
        except BaseException:
            self._close_sockets()
            raise
        for listener, listening in zip(self._sockets, self._listening_ports, strict=True):
            self._spawn(self._accept(listener, listening.device_port))
        return self

    async def __aexit__(
        self, error_type: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Close every port and every connection."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._pipes.close()
        self._close_sockets()

    async def _listen(self, address: str, mapping: PortMapping) -> None:
        loop = asyncio.get_running_loop()
        found = await loop.getaddrinfo(
            address, mapping.local_port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP, flags=socket.AI_PASSIVE
        )
        for family, _, _, _, bindable in dict.fromkeys(found):
            host, port = str(bindable[0]), int(bindable[1])
            listener = socket.create_server((host, port), family=family, backlog=_BACKLOG)
            self._sockets.append(listener)
            listener.setblocking(False)
            bound_host, bound_port = listener.getsockname()[:2]
            self._listening_ports.append(ListeningPort(bound_host, bound_port, mapping.device_port))

    def _close_sockets(self) -> None:
        for listener in self._sockets:
            listener.close()
        self._sockets.clear()
        self._listening_ports.clear()

    def _spawn(self, work: Coroutine[None, None, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _accept(self, listener: socket.socket, device_port: int) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                local, peer = await loop.sock_accept(listener)
            except ConnectionError:
                continue  # that peer did not wait
            except OSError as error:
                _log.warning("cannot accept a connection: %s; trying again in %g s", error, _ACCEPT_RETRY_S)
                await asyncio.sleep(_ACCEPT_RETRY_S)
                continue
            task = self._spawn(self._serve(local, f"{peer[0]} port {peer[1]}", device_port))
            # Not in the task itself: one that is cancelled before its first step never runs.
            task.add_done_callback(partial(_close, local))

    async def _serve(self, local: socket.socket, peer: str, device_port: int) -> None:
        try:
            device = await self._dialer.dial(device_port)
        except (UsbmuxError, OSError) as error:
            _log.warning("connection from %s to port %d of the phone failed: %s", peer, device_port, error)
            return
        _log.info("connection from %s to port %d of the phone opened", peer, device_port)
        splice = Splice(local, device, self._scratch, self._pipes)
        await splice.run()
        _log.info(
            "connection from %s to port %d of the phone ended: %d bytes to the phone, %d bytes from it",
            peer, device_port, splice.bytes_to_device, splice.bytes_to_local,
        )  # fmt: skip


def _close(local: socket.socket, _: asyncio.Task[None]) -> None:
    local.close()
