"""A stream whose next bytes were read already."""

from usbmux.testing.iphone.byte_stream import ByteStream, read_exactly


class ResumedStream:
    """What somebody has read too much of `stream`, then the rest of it.

    Args:
        stream: What goes on.
        data: What comes before.
    """

    def __init__(self, stream: ByteStream, data: bytes) -> None:
        self._stream = stream
        self._data = data

    async def read(self, n: int = 65536) -> bytes:
        """Wait for data and take at most `n` bytes; ``b""`` once the host has ended and all was read."""
        if not self._data:
            return await self._stream.read(n)
        data, self._data = self._data[:n], self._data[n:]
        return data

    async def readexactly(self, n: int) -> bytes:
        """Wait for exactly `n` bytes.

        Raises:
            asyncio.IncompleteReadError: The stream ended before; it holds what was there.
        """
        return await read_exactly(self.read, n)

    async def write(self, data: bytes | memoryview) -> None:
        """Send `data`.

        Raises:
            ConnectionResetError: The stream was over before all was sent.
        """
        await self._stream.write(data)
