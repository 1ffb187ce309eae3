"""Both headers of a segment in a packet of version 2 as one piece, which is how nearly all packets look."""

import struct
from typing import Final

HEADERS: Final = struct.Struct(">IIIHHHHIIBBHHH")
"""protocol, length, magic, tx_seq, rx_seq; both ports, seq, ack, data offset, flags, window, checksum, urgent."""
HEADERS_LENGTH: Final = HEADERS.size
