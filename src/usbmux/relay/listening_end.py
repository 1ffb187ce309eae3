"""A bound local end: accepts connections, and counts what becomes of them."""

import asyncio
import errno
import logging
import socket
from collections.abc import Callable
from typing import Final

from usbmux.control.address import Address, TcpAddress, UnixAddress, bound_address
from usbmux.readiness import Readiness
from usbmux.relay.figures import Figures
from usbmux.relay.route import HandedEnd, ListeningPort, Route
from usbmux.relay.splice import Splice
from usbmux.socket_file import SocketFile, listen_unix

_log = logging.getLogger("usbmux.relay")

_BACKLOG: Final = 128
_ACCEPT_RETRY_S: Final = 0.5
_OWNER_ONLY: Final = 0o600


class ListeningEnd:
    """One listening socket. Needs a selector event loop.

    Args:
        sock: Bound; belongs to the end from now on.
        bound: To what.
        route: Where it leads.
        file: Of a Unix socket that we have made.
    """

    def __init__(self, sock: socket.socket, bound: Address, route: Route, file: SocketFile | None = None) -> None:
        self.listening: Final = ListeningPort(bound, route)
        self.route: Final = route
        self._sock: Final = sock
        self._file: Final = file
        self._readiness: Readiness | None = None
        self._retry: asyncio.TimerHandle | None = None
        self._on_connection: Callable[[socket.socket], None] = _unset
        self._splices: Final[set[Splice]] = set()
        self._connections = 0
        self._failed = 0
        self._bytes_to_device = 0
        self._bytes_to_local = 0
        sock.setblocking(False)
        sock.listen(_BACKLOG)

    def __str__(self) -> str:
        return str(self.listening)

    def start(self, on_connection: Callable[[socket.socket], None]) -> None:
        """Begin to accept.

        Args:
            on_connection: Gets each socket, from a callback of the event loop.
        """
        self._on_connection = on_connection
        self._readiness = Readiness(
            asyncio.get_running_loop(), self._sock, on_readable=self._accept, on_writable=lambda: None
        )
        self._readiness.read(True)

    def close(self) -> None:
        """Accept no more. Idempotent."""
        if self._retry is not None:
            self._retry.cancel()
        if self._readiness is not None:
            self._readiness.end()
            self._readiness = None
        if self._file is not None:
            try:
                self._file.remove()
            except OSError as error:
                _log.warning("cannot remove the socket: %s", error)
        self._sock.close()

    def _accept(self) -> None:
        """One a turn, so that newcomers do not hold up the others."""
        try:
            local, _ = self._sock.accept()
        except (BlockingIOError, InterruptedError, ConnectionError):
            return  # that peer did not wait
        except OSError as error:
            _log.warning("cannot accept a connection: %s; trying again in %g s", error, _ACCEPT_RETRY_S)
            assert self._readiness is not None
            self._readiness.read(False)
            self._retry = asyncio.get_running_loop().call_later(_ACCEPT_RETRY_S, self._readiness.read, True)
            return
        self._on_connection(local)

    # Figures

    @property
    def figures(self) -> Figures:
        """Up to now."""
        return Figures(
            connections=self._connections,
            open=len(self._splices),
            failed=self._failed,
            bytes_to_device=self._bytes_to_device + sum(splice.bytes_to_device for splice in self._splices),
            bytes_to_local=self._bytes_to_local + sum(splice.bytes_to_local for splice in self._splices),
        )

    def opened(self, splice: Splice) -> None:
        """One more connection is joined with the phone's port."""
        self._connections += 1
        self._splices.add(splice)

    def ended(self, splice: Splice) -> None:
        """It is over."""
        self._splices.discard(splice)
        self._bytes_to_device += splice.bytes_to_device
        self._bytes_to_local += splice.bytes_to_local

    def failed(self) -> None:
        """A connection did not reach the phone's port."""
        self._failed += 1


async def bind(route: Route) -> list[ListeningEnd]:
    """Bind the local end of a route: several sockets if it is a name with several addresses.

    Raises:
        OSError: One cannot be bound; then none is.
    """
    match route.local:
        case TcpAddress():
            return await _bind_tcp(route.local, route)
        case UnixAddress(path):
            sock, file = listen_unix(path, _OWNER_ONLY, _BACKLOG)
            return [ListeningEnd(sock, route.local, route, file)]
        case HandedEnd(_, handed):
            return [ListeningEnd(handed, bound_address(handed.getsockname()), route)]


async def _bind_tcp(local: TcpAddress, route: Route) -> list[ListeningEnd]:
    try:
        found = await asyncio.get_running_loop().getaddrinfo(
            local.host, local.port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP, flags=socket.AI_PASSIVE
        )
    except (OSError, UnicodeError) as error:  # UnicodeError: it cannot be a name
        reason = error.strerror if isinstance(error, OSError) else "that is no name of a computer"
        raise OSError(errno.EADDRNOTAVAIL, f"cannot listen at {local}: {reason}") from error
    ends: list[ListeningEnd] = []
    try:
        for family, _, _, _, bindable in dict.fromkeys(found):
            # All of it: an address of IP version 6 may be good on one network only, which is named behind the port.
            sock = socket.create_server(bindable, family=family, backlog=_BACKLOG)
            ends.append(ListeningEnd(sock, bound_address(sock.getsockname()), route))
    except BaseException:
        for end in ends:
            end.close()
        raise
    return ends


def _unset(_sock: socket.socket) -> None:
    raise AssertionError("not started yet")
