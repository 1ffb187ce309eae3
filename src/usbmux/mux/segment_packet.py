"""A segment in a packet of version 2: both headers as one piece, which is how nearly all packets look."""

import struct
from typing import Final

from usbmux.mux.packet import MAGIC, MuxProtocol
from usbmux.mux.segment import DATA_OFFSET, WINDOW_SHIFT, Segment

HEADERS: Final = struct.Struct(">IIIHHHHIIBBHHH")
"""protocol, length, magic, tx_seq, rx_seq; both ports, seq, ack, data offset, flags, window, checksum, urgent."""
HEADERS_LENGTH: Final = HEADERS.size


def pack_headers(segment: Segment, length: int, tx_seq: int, rx_seq: int) -> bytes:
    """What goes in front of the payload of a segment, which has `length` bytes."""
    return HEADERS.pack(
        MuxProtocol.TCP,
        HEADERS_LENGTH + length,
        MAGIC,
        tx_seq,
        rx_seq,
        segment.source_port,
        segment.destination_port,
        segment.seq,
        segment.ack,
        DATA_OFFSET,
        segment.flags,
        min(segment.window >> WINDOW_SHIFT, 0xFFFF),
        0,
        0,
    )
