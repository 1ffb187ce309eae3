"""Our end of TLS on a socket that others have connected to."""

import asyncio
import socket
import ssl
from contextlib import suppress
from typing import Final, cast

_PIECE: Final = 65536
_Name = tuple[tuple[tuple[str, str], ...], ...]
"""Of a certificate: groups of keys and values."""


class TlsSocket:
    """TLS for a TCP socket, which stays its owner's. One task may receive while another one sends.

    asyncio's own closes a connection as soon as the peer says something behind our end, and drops what the peer has not
    taken yet.

    Args:
        loop: That the tasks are in.
        context: For a server.
        sock: Connected.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, context: ssl.SSLContext, sock: socket.socket) -> None:
        self._loop: Final = loop
        self._sock: Final = sock
        self._incoming: Final = ssl.MemoryBIO()
        self._outgoing: Final = ssl.MemoryBIO()
        self._tls: Final = context.wrap_bio(self._incoming, self._outgoing, server_side=True)
        sock.setblocking(False)
        with suppress(OSError):  # some systems refuse options on a socket that was reset; reading it will tell
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._sending: Final = asyncio.Lock()

    async def shake_hands(self) -> None:
        """Before all else.

        Raises:
            OSError: The peer does not speak TLS, is not let in, or is gone. It was told why.
        """
        while True:
            try:
                self._tls.do_handshake()
            except ssl.SSLWantReadError:
                await self._send_waiting()
                await self._receive_more()
            except ssl.SSLError:
                with suppress(OSError):
                    await self._send_waiting()
                raise
            else:
                await self._send_waiting()
                return

    @property
    def subject(self) -> str:
        """Whom the peer's certificate names."""
        subject = cast(_Name, (self._tls.getpeercert() or {}).get("subject", ()))
        parts = [f"{key}={value}" for group in subject for key, value in group]
        return ", ".join(parts) or "nobody"

    @property
    def is_sending(self) -> bool:
        """Whether the kernel has still to take something."""
        return self._sending.locked()

    async def receive(self) -> bytes:
        """What the peer has said; ``b""`` at the end.

        Raises:
            OSError: The connection is broken, or what came is not TLS.
        """
        while True:
            try:
                return self._tls.read(_PIECE)
            except ssl.SSLWantReadError:
                if self._outgoing.pending and not self._sending.locked():  # otherwise `send` is about it
                    await self._send_waiting()
                await self._receive_more()
            except (ssl.SSLZeroReturnError, ssl.SSLEOFError):
                return b""

    async def send(self, data: bytes) -> None:
        """Returns when the kernel has taken it all.

        Raises:
            OSError: The connection is broken.
        """
        self._tls.write(data)
        await self._send_waiting()

    async def end(self) -> None:
        """Tell the peer that this was all. Nothing may be received any more.

        Raises:
            OSError: The connection is broken.
        """
        with suppress(ssl.SSLWantReadError):  # for the peer's end, which does not matter
            self._tls.unwrap()
        await self._send_waiting()

    async def _send_waiting(self) -> None:
        async with self._sending:
            while data := self._outgoing.read():
                await self._loop.sock_sendall(self._sock, data)

    async def _receive_more(self) -> None:
        if data := await self._loop.sock_recv(self._sock, _PIECE):
            self._incoming.write(data)
        else:
            self._incoming.write_eof()
