"""Segments of the mux as TCP in IPv6, so that programs which know nothing of the mux can read them.

The mux agrees on no window scale and no checksum: here the SYNs carry the option, and every segment a checksum.
"""

import hashlib
import struct
from typing import Final

from usbmux.mux.segment import WINDOW_SHIFT, Flags, Segment

_HEADER: Final = struct.Struct(">IHBB16s16s")
_TCP_HEADER: Final = struct.Struct(">HHIIBBHHH")
_VERSION_6: Final = 6 << 28
_HOP_LIMIT: Final = 64
_NEXT_HEADER_TCP: Final = 6
_NO_NEXT_HEADER: Final = 59
_MAX_WINDOW_FIELD: Final = 0xFFFF
_NETWORK: Final = bytes.fromhex("fd00000000000000")
_SCALE_OPTION: Final = bytes((1, 3, 3, WINDOW_SHIFT))
"""A no-operation before it, because options come in words of 4 bytes."""


def host_address(number: int) -> bytes:
    """``fd00::<number>``; a number that fits 64 bits."""
    return _NETWORK + number.to_bytes(8)


def phone_address(udid: str) -> bytes:
    """An address of the same network, the same for this phone in every capture."""
    return _NETWORK + hashlib.sha256(udid.encode()).digest()[:8]


def tcp_packet(source: bytes, destination: bytes, segment: Segment) -> bytes:
    """An IPv6 packet with the segment: its window as a TCP would put it, and no data after RST.

    It always fits: a mux packet of at most 65,536 bytes has a header of at least 8 and a TCP header of 20, so that
    TCP with the option has at most 65,532 of the 65,535 bytes that IPv6 counts.
    """
    is_syn = bool(segment.flags & Flags.SYN)
    options = _SCALE_OPTION if is_syn else b""
    # A TCP does not scale the window of a SYN (RFC 7323, 2.2); the mux does.
    window = segment.window if is_syn else segment.window >> WINDOW_SHIFT
    payload = b"" if segment.flags & Flags.RST else segment.payload
    length = _TCP_HEADER.size + len(options) + len(payload)
    fields = (
        segment.source_port,
        segment.destination_port,
        segment.seq,
        segment.ack,
        (_TCP_HEADER.size + len(options)) // 4 << 4,
        segment.flags,
        min(window, _MAX_WINDOW_FIELD),
    )
    pseudo_header = source + destination + struct.pack(">II", length, _NEXT_HEADER_TCP)
    unsigned = b"".join((pseudo_header, _TCP_HEADER.pack(*fields, 0, 0), options, payload))
    header = _TCP_HEADER.pack(*fields, internet_checksum(unsigned), 0)
    return b"".join((_ip_header(source, destination, length, _NEXT_HEADER_TCP), header, options, payload))


def event_packet(source: bytes, destination: bytes, data: bytes) -> bytes:
    """An IPv6 packet that says of itself that nothing is in it (RFC 8200, 4.7), with at most 65,535 bytes."""
    return _ip_header(source, destination, len(data), _NO_NEXT_HEADER) + data


def internet_checksum(data: bytes) -> int:
    """The complement of the ones' complement sum of 16-bit words (RFC 1071); of data that is not all zeros."""
    # 2^16 is 1 modulo 2^16 - 1: the remainder of the whole as one number is the sum, where 0 stands for 0xFFFF.
    number = int.from_bytes(data) << 8 * (len(data) % 2)
    return 0xFFFF - (number % 0xFFFF or 0xFFFF)


def _ip_header(source: bytes, destination: bytes, length: int, next_header: int) -> bytes:
    return _HEADER.pack(_VERSION_6, length, next_header, _HOP_LIMIT, source, destination)
