"""Port handlers: what a simulated phone runs behind a port."""

import asyncio
import hashlib
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Final

from usbmux.control.address import UnixAddress, parse_address
from usbmux.errors import AddressError
from usbmux.testing.stream import PhoneStream
from usbmux.values import frozen

PortHandler = Callable[[PhoneStream], Awaitable[None]]
"""Serves one connection. When it returns, the phone resets the connection, for that is how phones close."""

_CHUNK_LENGTH: Final = 1 << 18
_MAX_REQUEST_LENGTH: Final = 1 << 16
_PATTERN_LENGTH: Final = 65521
# Of prime length, so that no loss or repetition of whole packets goes unnoticed.
_PATTERN: Final = hashlib.shake_128(b"usbmux source").digest(_PATTERN_LENGTH)
_LONG_PATTERN: Final = memoryview(_PATTERN * (_CHUNK_LENGTH // _PATTERN_LENGTH + 2))


@frozen
class AcceptsLate:
    """A handler that is started by the SYN and answers it by `PhoneStream.accept`, or refuses by returning or raising.

    Any other handler is started when the connection stands.
    """

    handler: PortHandler

    async def __call__(self, stream: PhoneStream) -> None:
        """Serve one connection."""
        await self.handler(stream)


async def echo(stream: PhoneStream) -> None:
    """Send back whatever comes, until the host resets."""
    while data := await stream.read():
        await stream.write(data)


async def discard(stream: PhoneStream) -> None:
    """Read everything, answer nothing."""
    while await stream.read():
        pass


async def source(stream: PhoneStream) -> None:
    """Read a count (8 bytes, big-endian), send that many bytes of `pattern`, reset."""
    count = int.from_bytes(await stream.readexactly(8))
    for offset in range(0, count, _CHUNK_LENGTH):
        await stream.write(pattern(min(_CHUNK_LENGTH, count - offset), offset))


async def digest(stream: PhoneStream) -> None:
    """Read a count (8 bytes, big-endian) and that many bytes, send their SHA-256 (32 bytes), reset."""
    missing = int.from_bytes(await stream.readexactly(8))
    sha256 = hashlib.sha256()
    while missing:
        data = await stream.read(min(missing, _CHUNK_LENGTH))
        if not data:
            return
        sha256.update(data)
        missing -= len(data)
    await stream.write(sha256.digest())


async def http(stream: PhoneStream) -> None:
    """Answer a request of HTTP with a line of text that repeats its first one, and reset."""
    request = b""
    while b"\r\n\r\n" not in request:
        data = await stream.read()
        if not data or len(request) > _MAX_REQUEST_LENGTH:
            return
        request += data
    body = b"hello from the phone: %b\n" % request.partition(b"\r\n")[0]
    head = b"HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n\r\n" % len(body)
    await stream.write(head + body)


def pattern(length: int, offset: int = 0) -> bytes | memoryview:
    """What `source` sends: `length` bytes of an endless stream, the same in every run, from `offset` on."""
    start = offset % _PATTERN_LENGTH
    if start + length <= len(_LONG_PATTERN):
        return _LONG_PATTERN[start : start + length]
    return (_PATTERN * ((start + length) // _PATTERN_LENGTH + 1))[start : start + length]


def tcp_endpoint(host: str, port: int) -> PortHandler:
    """A real TCP server as the phone's: each connection is carried to one of its own, see `unix_endpoint`."""
    return _endpoint(lambda: asyncio.open_connection(host, port))


def unix_endpoint(path: str) -> PortHandler:
    """A real server on a Unix socket as the phone's.

    The phone refuses when the server does. It reads from either side only what the other one takes. When the
    server closes or shuts down its side, all that it sent goes to the host, then the reset. When the host resets,
    all that it sent goes to the server, then the end of the stream.
    """
    return _endpoint(lambda: asyncio.open_unix_connection(path))


_NAMED: Final[dict[str, PortHandler]] = {
    "digest": digest,
    "discard": discard,
    "echo": echo,
    "http": http,
    "source": source,
}


def named(text: str) -> PortHandler:
    """The handler for a word of a command line or file: ``echo``, or an address such as ``127.0.0.1:2222``.

    Raises:
        AddressError: It is neither.
    """
    if text in _NAMED:
        return _NAMED[text]
    try:
        address = parse_address(text)
    except AddressError as error:
        raise AddressError(f"{text!r} is neither one of {', '.join(_NAMED)} nor an address: {error}") from error
    if isinstance(address, UnixAddress):
        return unix_endpoint(address.path)
    return tcp_endpoint(address.host, address.port)


_Connect = Callable[[], Awaitable[tuple[asyncio.StreamReader, asyncio.StreamWriter]]]


def _endpoint(connect: _Connect) -> PortHandler:
    async def carry(stream: PhoneStream) -> None:
        reader, writer = await connect()
        stream.accept()
        outward = asyncio.create_task(_carry_out(stream, writer))
        try:
            await _carry_in(reader, stream)
            if stream.is_closed:
                await outward
        except asyncio.CancelledError:
            writer.transport.abort()
            raise
        finally:
            outward.cancel()
            writer.close()

    return AcceptsLate(carry)


async def _carry_in(reader: asyncio.StreamReader, stream: PhoneStream) -> None:
    while data := await reader.read(_CHUNK_LENGTH):
        # After the host's reset nobody wants it, but the server must not block on it before it took the last bytes.
        with suppress(ConnectionResetError):
            await stream.write(data)


async def _carry_out(stream: PhoneStream, writer: asyncio.StreamWriter) -> None:
    try:
        with suppress(OSError):  # the server is gone: its reader says why
            while data := await stream.read():
                writer.write(data)
                await writer.drain()
    finally:
        # After the last byte; it also ends the reader, and with it the handler.
        writer.close()
