"""A listening socket of the daemon."""

import asyncio
import errno
import logging
import os
import socket
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from usbmux.control.address import Address, TcpAddress, UnixAddress, bound_address
from usbmux.errors import AddressError
from usbmux.readiness import Readiness
from usbmux.socket_file import SocketFile, listen_unix

logger = logging.getLogger("usbmux.daemon.listener")

BACKLOG: Final = 4096
"""A client whose connect finds it full fails at once if it has a timeout."""
RETRY_S: Final = 0.5
"""How long accepting rests after it failed, for want of memory as a rule."""
REFUSALS_TOLD_S: Final = 10.0
"""How often the log says that newcomers are refused for want of descriptors."""


class Listener:
    """Accepts clients at one address.

    Where descriptors have run out, a newcomer is accepted with one kept for that and closed at once: it would wait
    for ever otherwise, and the loop would turn in circles over it.

    Args:
        mode: Of the socket's file.
        group: Of the socket's file; None: the daemon's.
        on_client: Gets each accepted socket, non-blocking.
        handed: A listening socket that somebody else has made and will remove.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        address: Address,
        mode: int,
        on_client: Callable[[socket.socket], None],
        *,
        group: int | None = None,
        handed: socket.socket | None = None,
    ) -> None:
        self._loop: Final = loop
        self._on_client: Final = on_client
        self._retry: asyncio.TimerHandle | None = None
        self._own_file: SocketFile | None = None
        self.refused = 0
        """How many newcomers found no descriptor left."""
        self._refusals_told_at = -REFUSALS_TOLD_S
        match address:
            case _ if handed is not None:
                self._sock = handed
                self.address: Address = address
            case UnixAddress(path):
                self._sock, self._own_file = listen_unix(path, mode, BACKLOG, group)
                self.address = address
            case TcpAddress():
                self._sock = _bind_tcp(address)
                self.address = bound_address(self._sock.getsockname())
        self._sock.setblocking(False)
        self._sock.listen(BACKLOG)
        self.is_unix: Final = hasattr(socket, "AF_UNIX") and self._sock.family == socket.AF_UNIX
        """Whether its clients have Unix sockets."""
        self._kind: Final = (int(self._sock.family), int(self._sock.type), self._sock.proto)
        self._readiness: Final = Readiness(loop, self._sock, on_readable=self._accept)
        self._spare: int | None = os.open(os.devnull, os.O_RDONLY)

    def start(self) -> None:
        """Begin to accept."""
        self._retry = None
        self._readiness.read(True)

    def close(self) -> None:
        """Accept no more and remove the socket file, unless somebody has put another there."""
        if self._retry is not None:
            self._retry.cancel()
        self._readiness.read(False)
        if self._own_file is not None:
            try:
                self._own_file.remove()
            except OSError as error:
                logger.warning("cannot remove the socket: %s", error)
        self._sock.close()
        if self._spare is not None:
            os.close(self._spare)
            self._spare = None

    def _accept(self) -> None:
        """One a turn: what it asks is answered at once, and to look for more takes as long as a turn."""
        try:
            sock = self._accept_one()
        except (BlockingIOError, ConnectionAbortedError, InterruptedError):
            return
        except OSError as error:
            logger.error("%s: cannot accept: %s; trying again in %g s", self.address, error, RETRY_S)
            self._readiness.read(False)
            self._retry = self._loop.call_later(RETRY_S, self.start)
            return
        if sock is not None:
            sock.setblocking(False)
            if not self.is_unix:
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._on_client(sock)

    def _accept_one(self) -> socket.socket | None:
        """Raises what accepting raises; None is one that was refused for want of a descriptor.

        Without a descriptor the system does not tell whether anybody waits: the spare one does.
        """
        try:
            # What `accept` does, which asks the socket what is known here, and takes three times as long.
            descriptor: int = self._sock._accept()[0]  # type: ignore[attr-defined]
            return socket.socket(*self._kind, descriptor)
        except OSError as error:
            if error.errno != errno.EMFILE or self._spare is None:
                raise
        os.close(self._spare)
        self._spare = None
        try:
            self._sock.accept()[0].close()
        finally:
            with suppress(OSError):  # somebody else took it meanwhile
                self._spare = os.open(os.devnull, os.O_RDONLY)
        self._count_refused()
        return None

    def _count_refused(self) -> None:
        self.refused += 1
        now = self._loop.time()
        if now - self._refusals_told_at >= REFUSALS_TOLD_S:
            self._refusals_told_at = now
            logger.error("%s: no descriptor is left: %d newcomers refused so far", self.address, self.refused)


def _bind_tcp(address: TcpAddress) -> socket.socket:
    # Text would be encoded for international names, by modules that a daemon which serves does not import any more.
    host = address.host.encode() if address.host.isascii() else address.host
    try:
        family, kind, protocol, _name, sockaddr = socket.getaddrinfo(
            host, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except socket.gaierror as error:
        raise AddressError(f"cannot listen at {address}: {error.strerror}") from error
    sock = socket.socket(family, kind, protocol)
    try:
        if os.name == "posix":  # on Windows the option would let two daemons share the port
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(sockaddr)
    except OSError as error:
        sock.close()
        raise OSError(error.errno, f"cannot listen at {address}: {error.strerror}") from error
    return sock
