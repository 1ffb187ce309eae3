"""TLS before a socket that other computers reach: who comes shows a certificate, and is a plain socket behind it."""

import asyncio
import logging
import socket
import ssl
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Final

from usbmux.errors import ConfigurationError
from usbmux.farewell import Farewells
from usbmux.tls_socket import TlsSocket
from usbmux.values import frozen

logger = logging.getLogger("usbmux.tls")

HANDSHAKE_TIMEOUT_S: Final = 10.0
MAX_HANDSHAKES: Final = 256
"""So many newcomers at once may be about to show who they are; each costs a descriptor, and nobody knows them yet."""
SOCKETS_BESIDES: Final = 2
"""What a client costs in addition to its plain socket."""
_PIECE: Final = 65536
_ANSWER_S: Final = 1.0


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
        admit: Asked for a place for each newcomer; says why there is none.
        release: Called when a newcomer that got one is gone.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        context: ssl.SSLContext,
        on_refusal: Callable[[str], None],
        on_client: Callable[[socket.socket], None],
        *,
        admit: Callable[[], str | None] = lambda: None,
        release: Callable[[], None] = lambda: None,
    ) -> None:
        self._loop: Final = loop
        self._context: Final = context
        self._farewells: Final = Farewells(loop)
        self._on_refusal: Final = on_refusal
        self._on_client: Final = on_client
        self._admit: Final = admit
        self._release: Final = release
        self._tasks: Final[set[asyncio.Task[None]]] = set()
        self._handshakes = 0

    def accept(self, sock: socket.socket) -> None:
        """Take over an accepted TCP socket."""
        if self._handshakes >= MAX_HANDSHAKES:
            self._refuse(sock, _name_of(sock), f"{MAX_HANDSHAKES} clients are shaking hands, which is the limit")
            return
        if (refusal := self._admit()) is not None:
            self._refuse(sock, _name_of(sock), refusal)
            return
        self._handshakes += 1
        task = self._loop.create_task(self._serve(sock))
        self._tasks.add(task)
        # Not in the task itself: one that is cancelled before its first step never runs.
        task.add_done_callback(partial(self._served, sock))

    async def close(self) -> None:
        """End every connection. What was handed to the plain sockets before still goes out, for a second at most."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=1.0)
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.sleep(0)  # by then those who end have said so
        self._farewells.close()

    def _served(self, sock: socket.socket, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        self._farewells.say(sock)
        self._farewells.when_closed(sock, self._release)

    async def _serve(self, sock: socket.socket) -> None:
        peer = _name_of(sock)
        try:
            try:
                tls = TlsSocket(self._loop, self._context, sock)
                async with asyncio.timeout(HANDSHAKE_TIMEOUT_S):
                    await tls.shake_hands()
            finally:
                self._handshakes -= 1
            logger.info("%s: let in as %s", peer, tls.subject)
            await self._serve_client(tls)
        except TimeoutError:
            self._on_refusal(f"{peer}: refused: no handshake within {HANDSHAKE_TIMEOUT_S:g} s")
        except OSError as error:
            self._on_refusal(f"{peer}: refused: {error}")

    async def _serve_client(self, tls: TlsSocket) -> None:
        """Raises OSError if there is no descriptor for the plain socket."""
        near, far = socket.socketpair()
        with far:
            near.setblocking(False)
            far.setblocking(False)
            self._on_client(near)
            await self._join(tls, far)

    def _refuse(self, sock: socket.socket, peer: str, reason: object) -> None:
        self._on_refusal(f"{peer}: refused: {reason}")
        sock.close()

    async def _join(self, tls: TlsSocket, far: socket.socket) -> None:
        """Until the client ends its connection, after which it takes no answer, or has been sent the last one."""
        ways = [self._loop.create_task(self._pass_in(tls, far)), self._loop.create_task(self._pass_out(far, tls))]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            if not ways[1].done():
                await self._answer_end(tls)
        finally:
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)

    async def _answer_end(self, tls: TlsSocket) -> None:
        """A client that says that it ends may wait until it is told the same: RFC 5246, section 7.2.1."""
        if tls.is_sending:  # it does not read
            return
        with suppress(OSError):
            async with asyncio.timeout(_ANSWER_S):
                await tls.end()

    async def _pass_in(self, tls: TlsSocket, far: socket.socket) -> None:
        """What the client sends when nobody takes it any more is dropped: it may still be reading."""
        is_taken = True
        with suppress(OSError):
            while data := await tls.receive():
                if is_taken:
                    is_taken = await self._passed(far, data)

    async def _passed(self, far: socket.socket, data: bytes) -> bool:
        try:
            await self._loop.sock_sendall(far, data)
        except OSError:
            return False
        return True

    async def _pass_out(self, far: socket.socket, tls: TlsSocket) -> None:
        with suppress(OSError):
            while data := await self._loop.sock_recv(far, _PIECE):
                await tls.send(data)
            await tls.end()


def _name_of(sock: socket.socket) -> str:
    try:
        host, port = sock.getpeername()[:2]
    except OSError:
        return "a client that is gone"
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
