"""The acknowledgement in the headers of a packet whose rest is still coming.

A phone that is sent to while it sends acknowledges in the headers of its own data, and the longest packet takes more
than a millisecond on USB 2. So what the headers say of our data counts before the packet is there, as if an empty
segment had come first.
"""

from collections.abc import Mapping
from typing import Final

from usbmux.mux.connection import TcpConnection
from usbmux.mux.packet import MuxProtocol
from usbmux.mux.segment import ACK, DATA_OFFSET, WINDOW_SHIFT
from usbmux.mux.segment_packet import HEADERS, HEADERS_LENGTH

_TCP: Final = int(MuxProtocol.TCP)
_DATA_OFFSET: Final = DATA_OFFSET >> 4


def take_early(
    begun: bytearray, expected: int | None, connections: Mapping[int, TcpConnection], now: float
) -> TcpConnection | None:
    """Take the acknowledgement and the window of an ordinary segment that has begun. What is odd is left for later.

    Args:
        begun: What there is of a packet of version 2.
        expected: Which packet of the link it has to be, if the phone counts.
        connections: By source port.
        now: The time.

    Returns:
        The connection, which may have something to send now; None if nothing was taken.
    """
    if len(begun) < HEADERS_LENGTH:
        return None
    (
        protocol, _length, _magic, tx_seq, _rx_seq,
        remote_port, local_port, seq, ack, data_offset, flags, window, _checksum, _urgent,
    ) = HEADERS.unpack_from(begun)  # fmt: skip
    if protocol != _TCP or flags != ACK or data_offset >> 4 != _DATA_OFFSET or expected not in (None, tx_seq):
        return None
    connection = connections.get(local_port)
    if connection is None or connection.remote_port != remote_port:
        return None
    return connection if connection.receive_ordinary(seq, ack, window << WINDOW_SHIFT, 0, now) else None
