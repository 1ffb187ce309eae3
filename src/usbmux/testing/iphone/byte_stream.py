"""What a service of a virtual iPhone reads from and writes to."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Protocol


class ByteStream(Protocol):
    """One connection of a host: plain, as `usbmux.testing.PhoneStream`, or inside TLS."""

    async def read(self, n: int = 65536) -> bytes:
        """Wait for data and take at most `n` bytes; ``b""`` once the host has ended and all was read."""

    async def readexactly(self, n: int) -> bytes:
        """Wait for exactly `n` bytes.

        Raises:
            asyncio.IncompleteReadError: The connection ended before; it holds what was there.
        """

    async def write(self, data: bytes | memoryview) -> None:
        """Send `data`, waiting for the host to take it; it must not change until this returns.

        Raises:
            ConnectionResetError: The connection was over before all was sent.
        """


async def read_exactly(read: Callable[[int], Awaitable[bytes]], n: int) -> bytes:
    """`ByteStream.readexactly` for a stream that has `read`.

    Raises:
        asyncio.IncompleteReadError: The stream ended before; it holds what was there.
    """
    data = bytearray()
    while len(data) < n:
        piece = await read(n - len(data))
        if not piece:
            raise asyncio.IncompleteReadError(bytes(data), n)
        data += piece
    return bytes(data)
