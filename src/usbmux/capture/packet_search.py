"""The beginning of a packet, found in the transfers of a phone whose link was joined late.

No mark separates packets, so a header is believed if it is one that phones send, and if its packet ends where a
transfer does or where another such header begins.
"""

import re
import struct
from typing import Final

from usbmux.mux.packet import HEADER_LENGTH, MAGIC, MAX_PACKET_LENGTH, ControlKind, MuxProtocol
from usbmux.mux.segment import HEADER_LENGTH as TCP_HEADER_LENGTH

_MAGICS: Final = (MAGIC, 0xFACEFACE)
"""What phones were seen to send (M6)."""
_VERSION_PACKET_LENGTH: Final = HEADER_LENGTH[1] + 12
_START: Final = re.compile(rb"(?=\0\0\0(?:\0\0\0\0\x14|[\1\6]\0[\0\1]))")
"""Protocol and first bytes of the length: VERSION, or CONTROL or TCP of at most 0x1FFFF bytes."""
_START_LENGTH: Final = 8
_CHECKED_LENGTH: Final = HEADER_LENGTH[2] + TCP_HEADER_LENGTH
"""More than enough of a packet to judge it by."""
_DATA_OFFSET: Final = 12
_DATA_OFFSETS: Final = frozenset((5 << 4,))
"""A TCP header without options, which no phone sends."""
_CONTROL_KINDS: Final[frozenset[int]] = frozenset(ControlKind)


class PacketSearch:
    """Looks through the transfers until a packet begins. Keeps at most a packet and a transfer."""

    def __init__(self) -> None:
        self._buffer = b""

    def receive_data(self, data: bytes | memoryview, framing: int | None) -> tuple[int, bytes] | None:
        """Look at one transfer.

        Args:
            data: The transfer.
            framing: Version of the headers, if it is known.

        Returns:
            The version of the headers and everything from the beginning of a packet on, which is there whole; or
            None if no packet could be told so far.
        """
        self._buffer += data
        start = 0
        while (match := _START.search(self._buffer, start)) is not None:
            start = match.start()
            version = framing or self._framing_at(start)
            is_packet = None if version is None else self._is_packet_at(start, version)
            if is_packet is not False:
                self._buffer = self._buffer[start:]
                return (version, self._buffer) if version and is_packet else None
            start += 1
        self._buffer = self._buffer[-(_START_LENGTH - 1) :]
        return None

    def _framing_at(self, start: int) -> int | None:
        """None while that depends on what comes."""
        magic = self._buffer[start + 8 : start + 12]
        if len(magic) < 4:
            return None
        return 2 if int.from_bytes(magic) in _MAGICS else 1

    def _is_packet_at(self, start: int, version: int) -> bool | None:
        """None while that depends on what comes."""
        length = self._length_at(start, version)
        if not length:
            return None if length is None else False
        end = start + length
        if end == len(self._buffer):
            return True
        following = self._length_at(end, version) if end < len(self._buffer) else None
        return None if following is None else following > 0

    def _length_at(self, start: int, version: int) -> int | None:
        """The length of the packet that a plausible header announces; 0 if it is none, None if it is incomplete."""
        head = self._buffer[start : start + _CHECKED_LENGTH]
        if len(head) < _START_LENGTH:
            return None
        protocol, length = struct.unpack_from(">II", head)
        header_length = HEADER_LENGTH[version]
        match protocol:
            case MuxProtocol.VERSION:
                return length if length == _VERSION_PACKET_LENGTH else 0
            case MuxProtocol.CONTROL:
                least, mark, allowed = header_length + 1, header_length, _CONTROL_KINDS
            case MuxProtocol.TCP:
                least = header_length + TCP_HEADER_LENGTH
                mark, allowed = header_length + _DATA_OFFSET, _DATA_OFFSETS
            case _:
                return 0
        if not least <= length <= MAX_PACKET_LENGTH:
            return 0
        if len(head) <= mark:
            return None
        return length if head[mark] in allowed else 0
