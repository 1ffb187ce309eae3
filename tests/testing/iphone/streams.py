"""Byte streams for tests of one loop."""

import asyncio
import socket
from typing import Self

from usbmux.testing.iphone.byte_stream import read_exactly


class SocketStream:
    """A `ByteStream` on a socket."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self.writer = reader, writer

    @classmethod
    async def on(cls, stream: socket.socket) -> Self:
        return cls(*await asyncio.open_connection(sock=stream))

    async def read(self, n: int = 65536) -> bytes:
        return await self._reader.read(n)

    async def readexactly(self, n: int) -> bytes:
        return await read_exactly(self.read, n)

    async def write(self, data: bytes | memoryview) -> None:
        self.writer.write(data)
        await self.writer.drain()


class ScriptedStream:
    """A `ByteStream` that gives the pieces it was made with, and keeps what is written."""

    def __init__(self, *pieces: bytes) -> None:
        self._pieces = list(pieces)
        self.written = bytearray()

    async def read(self, n: int = 65536) -> bytes:
        if not self._pieces:
            return b""
        piece = self._pieces.pop(0)
        if piece[n:]:
            self._pieces.insert(0, piece[n:])
        return piece[:n]

    async def readexactly(self, n: int) -> bytes:
        return await read_exactly(self.read, n)

    async def write(self, data: bytes | memoryview) -> None:
        self.written += data
