"""Data of a client with room in front for the headers of a packet, so that it goes out without being copied."""

from typing import Final

from usbmux.mux.segment_packet import HEADERS_LENGTH

ROOM: Final = HEADERS_LENGTH


class PacketBuffer:
    """Owned by whoever fills it until it is given to a session, then by that.

    Args:
        size: Number of bytes of data that it holds.
    """

    __slots__ = ("_buffer", "_length")

    def __init__(self, size: int) -> None:
        self._buffer = bytearray(ROOM + size)
        self._length = 0

    def __len__(self) -> int:
        """How many bytes of data there are."""
        return self._length

    @property
    def space(self) -> memoryview:
        """Where the data goes."""
        return memoryview(self._buffer)[ROOM:]

    def filled(self, length: int) -> None:
        """Note that the first `length` bytes of the space are data."""
        self._length = length

    @property
    def data(self) -> memoryview:
        """The data alone."""
        return memoryview(self._buffer)[ROOM : ROOM + self._length]

    @property
    def packet(self) -> memoryview:
        """The whole packet: the room for the headers, then the data."""
        return memoryview(self._buffer)[: ROOM + self._length]
