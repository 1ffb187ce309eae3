"""TLS before a socket that other computers reach: who comes shows a certificate, and is a plain socket behind it."""

import asyncio
import logging
import socket
import ssl
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

from usbmux.errors import ConfigurationError
from usbmux.values import frozen

logger = logging.getLogger("usbmux.tls")

HANDSHAKE_TIMEOUT_S: Final = 10.0
MAX_HANDSHAKES: Final = 256
"""So many newcomers at once may be about to show who they are; each costs a descriptor, and nobody knows them yet."""
_PIECE: Final = 65536


@frozen
class TlsSettings:
    """What a TLS listener needs: who we are, and whose clients are let in. PEM files."""

    certificate: Path
    """Ours, with the chain behind it."""
    key: Path
    client_ca: Path
    """Clients must show a certificate that one of these has signed."""


def server_context(settings: TlsSettings) -> ssl.SSLContext:
    """TLS 1.2 or newer, and only clients with a certificate that our authorities have signed.

    Raises:
        ConfigurationError: A file is missing or is not what it should be.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.verify_mode = ssl.CERT_REQUIRED
    try:
        context.load_cert_chain(settings.certificate, settings.key)
        context.load_verify_locations(settings.client_ca)
    except (OSError, ssl.SSLError) as error:
        files = f"{settings.certificate}, {settings.key}, {settings.client_ca}"
        raise ConfigurationError(f"cannot use {files} for TLS: {error}") from error
    return context


class TlsFront:
    """Shakes hands with accepted sockets, and passes what they say to a plain socket for each.

    TLS knows no half-close here: a client that ends its writing ends the connection.

    Args:
        loop: Where it lives.
        context: Of `server_context`.
        on_refusal: Gets who was refused, and why, in words.
        on_client: Gets the plain socket of each client that was let in, non-blocking.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        context: ssl.SSLContext,
        on_refusal: Callable[[str], None],
        on_client: Callable[[socket.socket], None],
    ) -> None:
        self._loop: Final = loop
        self._context: Final = context
        self._on_refusal: Final = on_refusal
        self._on_client: Final = on_client
        self._tasks: Final[set[asyncio.Task[None]]] = set()
        self._handshakes = 0

    def accept(self, sock: socket.socket) -> None:
        """Take over an accepted TCP socket."""
        if self._handshakes >= MAX_HANDSHAKES:
            self._refuse(sock, _name_of(sock), f"{MAX_HANDSHAKES} clients are shaking hands, which is the limit")
            return
        self._handshakes += 1
        task = self._loop.create_task(self._serve(sock))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        """End every connection. What was handed to the plain sockets before still goes out, for a second at most."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=1.0)
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, sock: socket.socket) -> None:
        peer = _name_of(sock)
        reader = asyncio.StreamReader(_PIECE, self._loop)
        try:
            transport, protocol = await self._loop.connect_accepted_socket(
                lambda: asyncio.StreamReaderProtocol(reader, loop=self._loop),
                sock,
                ssl=self._context,
                ssl_handshake_timeout=HANDSHAKE_TIMEOUT_S,
            )
        except (OSError, ssl.SSLError) as error:
            self._refuse(sock, peer, error)
            return
        finally:
            self._handshakes -= 1
        writer = asyncio.StreamWriter(transport, protocol, reader, self._loop)
        logger.info("%s: let in as %s", peer, _subject(transport))
        try:
            await self._serve_client(reader, writer)
        except OSError as error:
            self._on_refusal(f"{peer}: refused: {error}")
        finally:
            transport.abort()

    async def _serve_client(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Raises OSError if there is no descriptor for the plain socket."""
        near, far = socket.socketpair()
        with far:
            near.setblocking(False)
            far.setblocking(False)
            self._on_client(near)
            await self._join(reader, writer, far)

    def _refuse(self, sock: socket.socket, peer: str, reason: object) -> None:
        self._on_refusal(f"{peer}: refused: {reason}")
        sock.close()

    async def _join(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, far: socket.socket) -> None:
        """Until either side ends: a client that has ended its connection takes no answer any more."""
        ways = [
            self._loop.create_task(self._pass_in(reader, far)),
            self._loop.create_task(self._pass_out(far, writer)),
        ]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)

    async def _pass_in(self, reader: asyncio.StreamReader, far: socket.socket) -> None:
        with suppress(OSError, ssl.SSLError):
            while data := await reader.read(_PIECE):
                await self._loop.sock_sendall(far, data)

    async def _pass_out(self, far: socket.socket, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, ssl.SSLError):
            while data := await self._loop.sock_recv(far, _PIECE):
                writer.write(data)
                await writer.drain()
            writer.close()
            await writer.wait_closed()


def _name_of(sock: socket.socket) -> str:
    try:
        host, port = sock.getpeername()[:2]
    except OSError:
        return "a client that is gone"
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _subject(transport: asyncio.BaseTransport) -> str:
    certificate = transport.get_extra_info("peercert") or {}
    parts = [f"{key}={value}" for group in certificate.get("subject", ()) for key, value in group]
    return ", ".join(parts) or "nobody"
