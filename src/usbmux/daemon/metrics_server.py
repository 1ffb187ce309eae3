"""Answers Prometheus, or whoever else asks over HTTP: GET /metrics and nothing more, once a connection."""

import asyncio
import socket
from collections.abc import Callable
from contextlib import suppress
from http import HTTPStatus
from typing import Final
from urllib.parse import urlsplit

from usbmux.control.address import Address
from usbmux.daemon.complaints import Complaints
from usbmux.daemon.exposition import CONTENT_TYPE
from usbmux.daemon.listen_settings import ListenSettings
from usbmux.daemon.listener import Listener
from usbmux.daemon.peer import peer_of
from usbmux.daemon.tls import is_local
from usbmux.errors import ConfigurationError

PATH: Final = "/metrics"
MAX_REQUEST_LENGTH: Final = 8192
DEADLINE_S: Final = 5.0
"""From the connection to its end."""
MAX_CLIENTS: Final = 32
_END: Final = b"\r\n\r\n"


def check_local(address: Address) -> None:
    """Who reads the figures gets to know the UDIDs of the phones, and is not asked who it is.

    Raises:
        ConfigurationError: Other computers would reach the address.
    """
    if not is_local(address):
        raise ConfigurationError(
            f"{address} can be reached from other computers: metrics are given on a Unix socket or loopback only"
        )


class MetricsServer:
    """Serves at one address.

    Args:
        loop: Where it lives.
        listen: The socket.
        document: The figures as they are now.
        complaints: About those that are too many.

    Raises:
        ConfigurationError: Other computers would reach the address.
        OSError: The address cannot be bound.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        listen: ListenSettings,
        document: Callable[[], bytes],
        complaints: Complaints,
    ) -> None:
        check_local(listen.address)
        self._loop: Final = loop
        self._document: Final = document
        self._complaints: Final = complaints
        self._tasks: Final[set[asyncio.Task[None]]] = set()
        self._listener: Final = Listener(loop, listen.address, listen.mode, self._client_arrived)

    @property
    def address(self) -> Address:
        """Where it listens, with the port that the system has chosen."""
        return self._listener.address

    def start(self) -> None:
        """Begin to accept."""
        self._listener.start()

    async def close(self) -> None:
        """End at once, and remove the socket file."""
        self._listener.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _client_arrived(self, sock: socket.socket) -> None:
        if len(self._tasks) >= MAX_CLIENTS:
            peer = peer_of(sock)
            text = "refused a client of the metrics (%s): %d are connected, which is the limit"
            self._complaints.warn(peer, text, peer, MAX_CLIENTS)
            sock.close()
            return
        task = self._loop.create_task(self._serve(sock))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, sock: socket.socket) -> None:
        try:
            with suppress(OSError):  # the deadline's TimeoutError is one as well
                async with asyncio.timeout(DEADLINE_S):
                    head = await self._read_head(sock)
                    if head:
                        await self._loop.sock_sendall(sock, self._answer(head))
                    sock.shutdown(socket.SHUT_WR)
                    while await self._loop.sock_recv(sock, MAX_REQUEST_LENGTH):
                        pass  # what is left unread makes the kernel destroy the answer
        finally:
            sock.close()

    async def _read_head(self, sock: socket.socket) -> bytes:
        """The request up to the empty line; empty if the client went away before, longer than allowed if it is."""
        head = bytearray()
        while _END not in head and len(head) <= MAX_REQUEST_LENGTH:
            data = await self._loop.sock_recv(sock, MAX_REQUEST_LENGTH)
            if not data:
                return b""
            head += data
        return bytes(head)

    def _answer(self, head: bytes) -> bytes:
        status = judge_request(head)
        body = self._document() if status is HTTPStatus.OK else b""
        lines = [
            f"HTTP/1.1 {status.value} {status.phrase}",
            f"Content-Length: {len(body)}",
            "Connection: close",
            "Cache-Control: no-store",
        ]
        if status is HTTPStatus.OK:
            lines.append(f"Content-Type: {CONTENT_TYPE}")
        if status is HTTPStatus.METHOD_NOT_ALLOWED:
            lines.append("Allow: GET")
        return "\r\n".join(lines).encode() + _END + body


def judge_request(head: bytes) -> HTTPStatus:
    """What to answer to a request.

    Args:
        head: Its beginning, up to the empty line at least unless it is too long.
    """
    end = head.find(_END)
    if end < 0 or end > MAX_REQUEST_LENGTH:
        return HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE
    try:
        method, target, version = head[: head.index(b"\r\n")].decode("ascii").split(" ")
        path = urlsplit(target).path
    except ValueError:
        return HTTPStatus.BAD_REQUEST
    if not version.startswith("HTTP/1."):
        return HTTPStatus.BAD_REQUEST
    if path != PATH:
        return HTTPStatus.NOT_FOUND
    return HTTPStatus.OK if method == "GET" else HTTPStatus.METHOD_NOT_ALLOWED
