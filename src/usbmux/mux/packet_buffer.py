"""Data of a client with room in front for the headers of a packet, so that it goes out without being copied."""

from typing import Final

from usbmux.mux.segment_packet import HEADERS_LENGTH

ROOM: Final = HEADERS_LENGTH


class PacketBuffer:
    """Owned by whoever fills it until it is given to a session, then by that.

    Args:
        size: Number of bytes of data that it holds.
    """

    __slots__ = ("_length", "_view", "space")

    def __init__(self, size: int) -> None:
        self._view: Final = memoryview(bytearray(ROOM + size))
        self.space: Final = self._view[ROOM:]
        """Where the data goes."""
        self._length = 0

    def __len__(self) -> int:
        """How many bytes of data there are."""
        return self._length

    def filled(self, length: int) -> None:
        """Note that the first `length` bytes of the space are data."""
        self._length = length

    @property
    def data(self) -> memoryview:
        """The data alone."""
        return self.space[: self._length]

    def packet(self, headers: bytes) -> memoryview:
        """The data behind its headers, as many as there is room for."""
        packet = self._view[: ROOM + self._length]
        packet[:ROOM] = headers
        return packet
