"""The phone's end of TLS on any stream."""

import asyncio
import ssl
from contextlib import suppress
from typing import Final, Self

from usbmux.errors import RemoteProtocolError
from usbmux.testing.iphone.byte_stream import ByteStream, read_exactly

_CHUNK_LENGTH: Final = 65536


class TlsStream:
    """What the host sends and reads inside TLS; one task may read while others write.

    Args:
        stream: What carries it; whoever has called `accept` must not use it until `end` has returned.
        context: A server's.
    """

    def __init__(self, stream: ByteStream, context: ssl.SSLContext) -> None:
        self._stream = stream
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._object = context.wrap_bio(self._incoming, self._outgoing, server_side=True)
        self._flushing = asyncio.Lock()

    @classmethod
    async def accept(cls, stream: ByteStream, context: ssl.SSLContext) -> Self:
        """Do the handshake.

        Raises:
            RemoteProtocolError: The host's part of it was wrong, or it ended the stream.
            ConnectionResetError: The stream was over before.
        """
        tls = cls(stream, context)
        while True:
            try:
                tls._object.do_handshake()
            except ssl.SSLWantReadError:
                await tls._flush()
                await tls._receive()
            except ssl.SSLError as error:
                await tls._flush()  # the alert that says why
                raise _broken(error) from error
            else:
                await tls._flush()
                return tls

    @property
    def version(self) -> str:
        """The version that was agreed on, such as ``TLSv1.3``."""
        return self._object.version() or ""

    @property
    def host_certificate(self) -> bytes | None:
        """The certificate that the host has proven to be its own, DER; None if it was not asked for any."""
        return self._object.getpeercert(binary_form=True)

    async def read(self, n: int = _CHUNK_LENGTH) -> bytes:
        """Wait for data and take at most `n` bytes; ``b""`` once the host has ended, with an alert or without.

        Raises:
            RemoteProtocolError: What came is not TLS, or was changed on its way.
        """
        while True:
            try:
                return self._object.read(n)
            except ssl.SSLWantReadError:
                await self._flush_unless_flushing()  # such as the answer to a key update
                await self._receive()
            except (ssl.SSLZeroReturnError, ssl.SSLEOFError):
                return b""
            except ssl.SSLError as error:
                await self._flush_unless_flushing()
                raise _broken(error) from error

    async def readexactly(self, n: int) -> bytes:
        """Wait for exactly `n` bytes.

        Raises:
            asyncio.IncompleteReadError: The stream ended before; it holds what was there.
            RemoteProtocolError: What came is not TLS, or was changed on its way.
        """
        return await read_exactly(self.read, n)

    async def write(self, data: bytes | memoryview) -> None:
        """Send `data`, waiting for the host to take it.

        Raises:
            ConnectionResetError: The stream was over before all was sent.
            RemoteProtocolError: It is over, because what came was not TLS.
        """
        view = memoryview(data)
        for start in range(0, len(view), _CHUNK_LENGTH):
            try:
                self._object.write(view[start : start + _CHUNK_LENGTH])
            except ssl.SSLError as error:
                raise _broken(error) from error
            await self._flush()

    async def end(self) -> bytes:
        """Say that TLS ends and wait for the host to say so; what it has sent behind that, or ``b""``.

        Raises:
            RemoteProtocolError: What came is not TLS.
            ConnectionResetError: The stream was over before.
        """
        while True:
            try:
                self._object.unwrap()
            except ssl.SSLWantReadError:
                await self._flush()
                await self._receive()
            except ssl.SSLEOFError:
                return b""
            except ssl.SSLError as error:
                raise _broken(error) from error
            else:
                await self._flush()
                return self._incoming.read()

    async def say_end(self) -> None:
        """Say that TLS ends, and wait for nothing.

        Raises:
            ConnectionResetError: The stream was over before.
        """
        with suppress(ssl.SSLError):  # the host has not said it yet, or was too quick
            self._object.unwrap()
        await self._flush()

    async def _receive(self) -> None:
        if data := await self._stream.read(_CHUNK_LENGTH):
            self._incoming.write(data)
        else:
            self._incoming.write_eof()

    async def _flush(self) -> None:
        async with self._flushing:
            while data := self._outgoing.read(_CHUNK_LENGTH):
                await self._stream.write(data)

    async def _flush_unless_flushing(self) -> None:
        # Who is flushing takes this along; waiting for it would keep a host waiting that reads only after it was read.
        if not self._flushing.locked():
            await self._flush()


def _broken(error: ssl.SSLError) -> RemoteProtocolError:
    return RemoteProtocolError(f"TLS: {error.reason or error}")
