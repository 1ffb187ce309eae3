"""Mux packets: headers of version 1 and 2, the small payloads, and reassembly by length.

Rules M1 to M14 of docs/protocol/mux.md. All integers are big-endian.
"""

import struct
from collections.abc import Iterator
from enum import IntEnum
from typing import Final, NamedTuple

from usbmux.errors import RemoteProtocolError
from usbmux.values import frozen

MAGIC: Final = 0xFEEDFACE
"""What we send in a version 2 header. Phones were seen to send 0xFACEFACE: never checked (M6)."""
MAX_PACKET_LENGTH: Final = 65536
"""Longest packet accepted from a phone, header included (M4)."""
FIRST_RX_SEQ: Final = 0xFFFF
"""rx_seq of the SETUP packet: nothing received yet (M9)."""

_HEADER_V1: Final = struct.Struct(">II")
_HEADER_V2: Final = struct.Struct(">IIIHH")
_VERSION: Final = struct.Struct(">III")
_PROTOCOL: Final = struct.Struct(">I")
_LENGTH_V1: Final = _HEADER_V1.size
_LENGTH_V2: Final = _HEADER_V2.size
HEADER_LENGTH: Final = {1: _LENGTH_V1, 2: _LENGTH_V2}


class MuxProtocol(IntEnum):
    """The header's first field: what the payload is."""

    VERSION = 0
    CONTROL = 1
    SETUP = 2
    TCP = 6


class ControlKind(IntEnum):
    """First byte of a CONTROL payload; the rest is text for the log (M11)."""

    ERROR = 3
    WARNING = 5
    INFO = 7


_VERSION_PROTOCOL: Final = int(MuxProtocol.VERSION)
SETUP_PAYLOAD: Final = b"\x07"
"""The only payload that SETUP is sent with (M9)."""


class Packet(NamedTuple):
    """One mux packet without its length field."""

    protocol: int
    """A `MuxProtocol`, or whatever number the peer put there."""
    payload: memoryview | bytes
    """Valid as long as the buffer that it was read from."""
    tx_seq: int = 0
    """The sender's packet count modulo 2^16; 0 in version 1 framing."""
    rx_seq: int = 0
    """What the sender has of ours; senders disagree on its meaning."""


@frozen
class Version:
    """Payload of a VERSION packet."""

    major: int
    minor: int

    def encode(self) -> bytes:
        """The twelve bytes of the payload."""
        return _VERSION.pack(self.major, self.minor, 0)

    @classmethod
    def decode(cls, payload: bytes | memoryview) -> "Version":
        """Read a VERSION payload.

        Raises:
            RemoteProtocolError: It is shorter than twelve bytes.
        """
        if len(payload) < _VERSION.size:
            raise RemoteProtocolError("VERSION payload is too short", bytes(payload))
        major, minor, _padding = _VERSION.unpack_from(payload)
        return cls(major, minor)


def phone_text(data: bytes | memoryview) -> str:
    """What a phone says, fit for a log line: printable, without the newline that phones add."""
    text = bytes(data).decode("utf-8", "replace").strip("\0\r\n ")
    return "".join(character if character.isprintable() else "?" for character in text)


def encode_v1(protocol: int, payload: bytes) -> bytes:
    """A packet with the 8-byte header of version 1, in which VERSION always travels."""
    return _HEADER_V1.pack(protocol, _HEADER_V1.size + len(payload)) + payload


def encode_v2(protocol: int, payload: bytes, tx_seq: int, rx_seq: int, magic: int = MAGIC) -> bytes:
    """A packet with the 16-byte header of version 2."""
    length = _HEADER_V2.size + len(payload)
    return _HEADER_V2.pack(protocol, length, magic, tx_seq, rx_seq) + payload


class PacketReader:
    """Cuts packets out of a stream of bulk transfers by the length field alone (M3).

    `version` is the framing of the packets after a VERSION packet, which itself is always in version 1
    framing. Set it between two packets, as soon as the peer's version is known.
    """

    def __init__(self, version: int = 1) -> None:
        self.version = version
        self.pending = bytearray()
        """What there is of an unfinished packet."""
        self._pending_length = 0
        """Of that packet; 0 while its header is incomplete."""

    def receive_data(self, data: bytes | memoryview) -> Iterator[Packet]:
        """Take the bytes of one transfer and yield each packet that they complete.

        The iterator must be exhausted, and after an error the reader is of no more use. The payloads are valid as
        long as the buffer behind `data`.

        Raises:
            RemoteProtocolError: A length that no packet can have; the framing is lost.
        """
        view = memoryview(data)
        offset = 0
        while offset < len(view):
            packet, offset = self.next_packet(view, offset)
            if packet is not None:
                yield packet

    def next_packet(self, data: memoryview, offset: int) -> tuple[Packet | None, int]:
        """Take one packet from the bytes of a transfer, beginning at `offset`.

        Returns:
            The packet, valid as long as the buffer behind `data`, and where the next one begins; None if what there is
            of it was put aside until more comes.

        Raises:
            RemoteProtocolError: A length that no packet can have; the framing is lost.
        """
        raw, end = self.next_raw(data, offset)
        return None if raw is None else self.decode(raw), end

    def next_raw(self, data: memoryview, offset: int) -> tuple[memoryview | None, int]:
        """As `next_packet`, but the packet as it came, for `decode`."""
        if self.pending:
            return self._rest_of_packet(data, offset)
        length = self._packet_length(data, offset)
        end = offset + length
        if not length or end > len(data):
            self.pending += data[offset:]
            self._pending_length = length
            return None, len(data)
        return data[offset:end], end

    def decode(self, raw: memoryview) -> Packet:
        """Read one whole packet; its payload is a view of it."""
        (protocol,) = _PROTOCOL.unpack_from(raw)
        if self._header_length(protocol) == _LENGTH_V1:
            return Packet(protocol, raw[_LENGTH_V1:])
        _protocol, _length, _magic, tx_seq, rx_seq = _HEADER_V2.unpack_from(raw)
        return Packet(protocol, raw[_LENGTH_V2:], tx_seq, rx_seq)

    def _header_length(self, protocol: int) -> int:
        return _LENGTH_V1 if self.version == 1 or protocol == _VERSION_PROTOCOL else _LENGTH_V2

    def _rest_of_packet(self, data: memoryview, offset: int) -> tuple[memoryview | None, int]:
        pending = self.pending
        if not self._pending_length:
            header_end = min(offset + _LENGTH_V1 - len(pending), len(data))
            pending += data[offset:header_end]
            offset = header_end
            try:
                self._pending_length = self._packet_length(pending, 0)
            except RemoteProtocolError as error:
                raise RemoteProtocolError(str(error), bytes(pending) + bytes(data[offset:])) from None
        end = offset + self._pending_length - len(pending)
        if not self._pending_length or end > len(data):
            pending += data[offset:]
            return None, len(data)
        pending += data[offset:end]
        # If the packet's own rest was lost, it was filled up with the next one, and what follows is no header: that
        # must be found out before the payload is used.
        if end < len(data) and not self._packet_length(data, end):
            self._check_begun_length(data[end:])
        self.pending = bytearray()  # a new one, because the packet is a view of the old one
        return memoryview(pending), end

    def _packet_length(self, buffer: memoryview | bytearray, offset: int) -> int:
        """The length of the packet at `offset`, or 0 while its header is incomplete."""
        if len(buffer) - offset < _LENGTH_V1:
            return 0
        protocol, length = _HEADER_V1.unpack_from(buffer, offset)
        if not self._header_length(protocol) <= length <= MAX_PACKET_LENGTH:
            raise RemoteProtocolError(f"mux packet with impossible length {length}", bytes(buffer[offset:]))
        return int(length)

    def _check_begun_length(self, header: memoryview) -> None:
        """Of a header that is incomplete: nothing waits for the rest, but what is there must be able to begin one."""
        least = int.from_bytes(bytes(header[_PROTOCOL.size :]).ljust(_LENGTH_V1 - _PROTOCOL.size, b"\0"), "big")
        if least > MAX_PACKET_LENGTH:
            raise RemoteProtocolError(f"mux packet with impossible length {least} or more", bytes(header))
