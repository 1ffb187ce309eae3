"""The blocks of a pcapng file (draft-ietf-opsawg-pcapng), as bytes. Little-endian."""

import struct
from collections.abc import Iterable, Sequence
from typing import Final

LINKTYPE_IPV6: Final = 229
"""Raw IPv6 packets."""
FLAG_INBOUND: Final = 1
FLAG_OUTBOUND: Final = 2
"""Values of a packet's `flags`."""

_SECTION_HEADER: Final = 0x0A0D0D0A
_INTERFACE_DESCRIPTION: Final = 1
_NAME_RESOLUTION: Final = 4
INTERFACE_STATISTICS: Final = 5
ENHANCED_PACKET: Final = 6
_BYTE_ORDER_MAGIC: Final = 0x1A2B3C4D
_UNKNOWN_LENGTH: Final = -1
_END_OF_OPTIONS: Final = b"\0\0\0\0"
_OPTION_COMMENT: Final = 1
_OPTION_USER_APPLICATION: Final = 4
_OPTION_INTERFACE_NAME: Final = 2
_OPTION_INTERFACE_DESCRIPTION: Final = 3
_OPTION_INTERFACE_SPEED: Final = 8
_OPTION_TIME_RESOLUTION: Final = 9
_OPTION_PACKET_FLAGS: Final = 2
_OPTION_PACKET_DROP_COUNT: Final = 4
_OPTION_STATISTICS_RECEIVED: Final = 4
OPTION_STATISTICS_DROPPED: Final = 5
_NANOSECONDS: Final = b"\x09"
_RECORD_IPV6: Final = 2

STATISTICS_FIELDS_LENGTH: Final = 12
"""Of what stands before the options of an interface's statistics."""

Option = tuple[int, bytes]


def section_header(application: str) -> bytes:
    """The block that every file begins with."""
    fields = struct.pack("<IHHq", _BYTE_ORDER_MAGIC, 1, 0, _UNKNOWN_LENGTH)
    return _block(_SECTION_HEADER, fields + _options([(_OPTION_USER_APPLICATION, application.encode())]))


def interface_description(name: str, description: str, speed: int) -> bytes:
    """An interface of IPv6 packets with times in nanoseconds; `speed` is in bit/s. They are counted from 0."""
    options = [
        (_OPTION_INTERFACE_NAME, name.encode()),
        (_OPTION_INTERFACE_DESCRIPTION, description.encode()),
        (_OPTION_INTERFACE_SPEED, struct.pack("<Q", speed)),
        (_OPTION_TIME_RESOLUTION, _NANOSECONDS),
    ]
    no_snap_length = 0
    return _block(_INTERFACE_DESCRIPTION, struct.pack("<HHI", LINKTYPE_IPV6, 0, no_snap_length) + _options(options))


def name_resolution(names: Iterable[tuple[bytes, str]]) -> bytes:
    """The names of IPv6 addresses."""
    records = b"".join(_option(_RECORD_IPV6, address + name.encode() + b"\0") for address, name in names)
    return _block(_NAME_RESOLUTION, records + _END_OF_OPTIONS)


def enhanced_packet(
    interface: int, time_ns: int, data: bytes, flags: int, comment: str = "", *, dropped: int = 0
) -> bytes:
    """A packet, whole.

    Args:
        interface: Number of the interface.
        time_ns: Nanoseconds since 1970.
        data: The packet.
        flags: `FLAG_INBOUND`, `FLAG_OUTBOUND` or 0.
        comment: At most 65,535 bytes in UTF-8.
        dropped: Number of the interface's packets that are missing before this one.
    """
    fields = struct.pack("<IIIII", interface, time_ns >> 32, time_ns & 0xFFFFFFFF, len(data), len(data))
    options = [(_OPTION_PACKET_FLAGS, struct.pack("<I", flags))]
    if comment:
        options.append((_OPTION_COMMENT, comment.encode()))
    if dropped:
        options.append((_OPTION_PACKET_DROP_COUNT, struct.pack("<Q", dropped)))
    return _block(ENHANCED_PACKET, b"".join((fields, data, _padding(data), _options(options))))


def interface_statistics(interface: int, time_ns: int, *, received: int, dropped: int) -> bytes:
    """How many packets an interface had, those included that are not in the file; and how many those are."""
    fields = struct.pack("<III", interface, time_ns >> 32, time_ns & 0xFFFFFFFF)
    options = [
        (_OPTION_STATISTICS_RECEIVED, struct.pack("<Q", received)),
        (OPTION_STATISTICS_DROPPED, struct.pack("<Q", dropped)),
    ]
    return _block(INTERFACE_STATISTICS, fields + _options(options))


def _block(kind: int, body: bytes) -> bytes:
    length = struct.pack("<I", len(body) + 12)
    return b"".join((struct.pack("<I", kind), length, body, length))


def _options(options: Sequence[Option]) -> bytes:
    return b"".join(_option(code, value) for code, value in options) + _END_OF_OPTIONS


def _option(code: int, value: bytes) -> bytes:
    return struct.pack("<HH", code, len(value)) + value + _padding(value)


def _padding(data: bytes) -> bytes:
    return bytes(-len(data) % 4)
