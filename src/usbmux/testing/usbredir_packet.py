"""The packets of the usbredir protocol, version 0.7, in both directions: what crosses between a USB device and a guest.

Everything is little-endian and packed. A packet is a header (type, length, id) and its payload; the id has 32 bits in
hellos, and 64 from then on if both sides can. Other fields depend on what both sides can, too.
"""

import struct
from collections.abc import Iterator, Mapping
from enum import IntEnum, IntFlag
from typing import Final

from usbmux.errors import RemoteProtocolError
from usbmux.values import frozen

MAX_BULK_LENGTH: Final = 1 << 20
"""Longest bulk request that is taken from the other side, in bytes."""

_HEADER_32: Final = struct.Struct("<III")
_HEADER_64: Final = struct.Struct("<IIQ")
_VERSION_LENGTH: Final = 64
_MAX_CAPABILITY_WORDS: Final = 32
_CONTROL_HEADER_LENGTH: Final = 10
_BULK_HEADER_LENGTH: Final = 10
_SMALL_HEADER_LENGTH: Final = 4


class PacketType(IntEnum):
    """What a packet is."""

    HELLO = 0
    DEVICE_CONNECT = 1
    DEVICE_DISCONNECT = 2
    RESET = 3
    INTERFACE_INFO = 4
    EP_INFO = 5
    SET_CONFIGURATION = 6
    GET_CONFIGURATION = 7
    CONFIGURATION_STATUS = 8
    SET_ALT_SETTING = 9
    GET_ALT_SETTING = 10
    ALT_SETTING_STATUS = 11
    START_ISO_STREAM = 12
    STOP_ISO_STREAM = 13
    ISO_STREAM_STATUS = 14
    START_INTERRUPT_RECEIVING = 15
    STOP_INTERRUPT_RECEIVING = 16
    INTERRUPT_RECEIVING_STATUS = 17
    ALLOC_BULK_STREAMS = 18
    FREE_BULK_STREAMS = 19
    BULK_STREAMS_STATUS = 20
    CANCEL_DATA_PACKET = 21
    FILTER_REJECT = 22
    FILTER_FILTER = 23
    DEVICE_DISCONNECT_ACK = 24
    START_BULK_RECEIVING = 25
    STOP_BULK_RECEIVING = 26
    BULK_RECEIVING_STATUS = 27
    CONTROL_PACKET = 100
    BULK_PACKET = 101
    ISO_PACKET = 102
    INTERRUPT_PACKET = 103
    BUFFERED_BULK_PACKET = 104


class Capability(IntFlag):
    """What a side can; only what both can is used."""

    BULK_STREAMS = 1 << 0
    CONNECT_DEVICE_VERSION = 1 << 1
    FILTER = 1 << 2
    DEVICE_DISCONNECT_ACK = 1 << 3
    EP_INFO_MAX_PACKET_SIZE = 1 << 4
    IDS_64BITS = 1 << 5
    BULK_LENGTH_32BITS = 1 << 6
    BULK_RECEIVING = 1 << 7


_DEFAULT_MAX_LENGTH: Final = 512
_MAX_LENGTHS: Final[Mapping[PacketType, int]] = {
    PacketType.HELLO: _VERSION_LENGTH + 4 * _MAX_CAPABILITY_WORDS,
    PacketType.FILTER_FILTER: 1 << 16,
    PacketType.CONTROL_PACKET: _CONTROL_HEADER_LENGTH + 0xFFFF,
    PacketType.BULK_PACKET: _BULK_HEADER_LENGTH + MAX_BULK_LENGTH,
    PacketType.ISO_PACKET: _SMALL_HEADER_LENGTH + 0xFFFF,
    PacketType.INTERRUPT_PACKET: _SMALL_HEADER_LENGTH + 0xFFFF,
    PacketType.BUFFERED_BULK_PACKET: _BULK_HEADER_LENGTH + MAX_BULK_LENGTH,
}


@frozen
class RedirPacket:
    """One packet."""

    kind: PacketType
    id: int = 0
    payload: bytes = b""

    def encode(self, capabilities: Capability) -> bytes:
        """The bytes for the wire, by what both sides can."""
        has_long_id = Capability.IDS_64BITS in capabilities and self.kind is not PacketType.HELLO
        header = _HEADER_64 if has_long_id else _HEADER_32
        return header.pack(self.kind, len(self.payload), self.id) + self.payload


class RedirReader:
    """Takes packets out of a stream. The first one must be a hello; then set `capabilities` to what both sides can."""

    def __init__(self) -> None:
        self.capabilities = Capability(0)
        self._buffer = bytearray()
        self._is_first = True

    def receive_data(self, data: bytes) -> Iterator[RedirPacket]:
        """Iterate over the packets that are complete now; `capabilities` may change between two of them.

        Raises:
            RemoteProtocolError: The type is unknown, the packet too long, or the first one not a hello.
        """
        self._buffer += data
        while (packet := self._next_packet()) is not None:
            yield packet

    def _next_packet(self) -> RedirPacket | None:
        has_long_id = Capability.IDS_64BITS in self.capabilities and not self._is_first
        header = _HEADER_64 if has_long_id else _HEADER_32
        if len(self._buffer) < header.size:
            return None
        number, length, packet_id = header.unpack_from(self._buffer)
        kind = self._check_header(number, length)
        end = header.size + length
        if len(self._buffer) < end:
            return None
        payload = bytes(memoryview(self._buffer)[header.size : end])
        del self._buffer[:end]
        self._is_first = False
        return RedirPacket(kind, packet_id, payload)

    def _check_header(self, number: int, length: int) -> PacketType:
        start = bytes(self._buffer[:16])
        try:
            kind = PacketType(number)
        except ValueError:
            raise RemoteProtocolError(f"packet of unknown type {number}", start) from None
        if self._is_first is not (kind is PacketType.HELLO):
            expected = "a hello first" if self._is_first else "one hello"
            raise RemoteProtocolError(f"expected {expected}, received {kind.name}", start)
        max_length = _MAX_LENGTHS.get(kind, _DEFAULT_MAX_LENGTH)
        if length > max_length:
            raise RemoteProtocolError(f"{kind.name} of {length} bytes, at most {max_length} are taken", start)
        return kind


@frozen
class Hello:
    """The first packet of each side."""

    version: str
    """For the log."""
    capabilities: Capability

    def encode(self) -> bytes:
        """The payload."""
        return self.version.encode()[: _VERSION_LENGTH - 1].ljust(_VERSION_LENGTH, b"\0") + struct.pack(
            "<I", self.capabilities
        )

    @classmethod
    def decode(cls, payload: bytes) -> "Hello":
        """Read a payload; capabilities that nobody knows yet are left out.

        Raises:
            RemoteProtocolError: Its length is wrong, or the capabilities contradict each other.
        """
        if len(payload) < _VERSION_LENGTH or len(payload) % 4:
            raise RemoteProtocolError(f"hello of {len(payload)} bytes", payload[:16])
        version = payload[:_VERSION_LENGTH].partition(b"\0")[0].decode(errors="replace")
        word = int.from_bytes(payload[_VERSION_LENGTH : _VERSION_LENGTH + 4], "little")
        known = Capability(word & sum(Capability))
        if Capability.BULK_STREAMS in known and Capability.EP_INFO_MAX_PACKET_SIZE not in known:
            raise RemoteProtocolError("hello: bulk streams need the packet sizes of endpoints", payload[:16])
        return cls(version, known)
