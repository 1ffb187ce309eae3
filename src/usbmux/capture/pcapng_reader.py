"""A pcapng stream cut into its blocks, as far as they are whole. Sans-IO."""

import struct
from typing import Final

from usbmux.capture.pcapng import (
    ENHANCED_PACKET,
    INTERFACE_STATISTICS,
    OPTION_STATISTICS_DROPPED,
    STATISTICS_FIELDS_LENGTH,
)
from usbmux.errors import RemoteProtocolError

_HEADER: Final = struct.Struct("<II")
_OPTION: Final = struct.Struct("<HH")
_FRAME_LENGTH: Final = 12
"""Of a block without a body."""
_MAX_BLOCK_LENGTH: Final = 1 << 20


class PcapngReader:
    """Counts what goes through it. Reads what `usbmux.capture.pcapng` writes, so little-endian blocks."""

    def __init__(self) -> None:
        self.packets = 0
        self.dropped = 0
        """Packets that are not in the stream, as its statistics say, which come last."""
        self._buffer = b""

    def receive_data(self, data: bytes) -> bytes:
        """Take more of the stream and return the blocks that it completes.

        Raises:
            RemoteProtocolError: A block with an impossible length.
        """
        buffer = self._buffer + data
        end = 0
        while len(buffer) - end >= _HEADER.size:
            kind, length = _HEADER.unpack_from(buffer, end)
            if not _FRAME_LENGTH <= length <= _MAX_BLOCK_LENGTH or length % 4:
                raise RemoteProtocolError(f"pcapng block with impossible length {length}", buffer[end : end + 64])
            if len(buffer) - end < length:
                break
            self._count(kind, buffer[end + _HEADER.size : end + length - 4])
            end += length
        self._buffer = buffer[end:]
        return buffer[:end]

    def _count(self, kind: int, body: bytes) -> None:
        if kind == ENHANCED_PACKET:
            self.packets += 1
        elif kind == INTERFACE_STATISTICS:
            self.dropped += _counter(body[STATISTICS_FIELDS_LENGTH:], OPTION_STATISTICS_DROPPED)


def _counter(options: bytes, wanted: int) -> int:
    """The number in that option, 0 if there is none."""
    while len(options) >= _OPTION.size:
        code, length = _OPTION.unpack_from(options)
        if code == wanted:
            return int.from_bytes(options[_OPTION.size : _OPTION.size + length], "little")
        options = options[_OPTION.size + length + -length % 4 :]
    return 0
