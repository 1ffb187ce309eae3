"""The acknowledgement in the headers of a packet whose rest is still coming.

A phone that is sent to while it sends acknowledges in the headers of its own data, and the longest packet takes more
than a millisecond on USB 2. So what the headers say of our data counts before the packet is there, as if an empty
segment had come first.
"""

from collections.abc import Mapping
from typing import Final

from usbmux.errors import RemoteProtocolError
from usbmux.mux.connection import TcpConnection
from usbmux.mux.packet import HEADER_LENGTH, MuxProtocol, PacketReader
from usbmux.mux.segment import ACK, Segment
from usbmux.mux.segment import HEADER_LENGTH as TCP_HEADER_LENGTH

_TCP: Final = int(MuxProtocol.TCP)


def take_early(
    reader: PacketReader, expected: int | None, connections: Mapping[int, TcpConnection], now: float
) -> TcpConnection | None:
    """Take the acknowledgement and the window of an ordinary segment that has begun. What is odd is left for later.

    Args:
        reader: Has an unfinished packet.
        expected: Which packet of the link it has to be, if the phone counts.
        connections: By source port.
        now: The time.

    Returns:
        The connection, which may have something to send now; None if nothing was taken.
    """
    length = HEADER_LENGTH[reader.version] + TCP_HEADER_LENGTH
    headers = memoryview(bytes(reader.pending[:length]))
    if len(headers) < length:
        return None
    protocol, header, tx_seq, _rx_seq = reader.decode(headers)
    if protocol != _TCP or expected not in (None, tx_seq):
        return None
    try:
        segment = Segment.decode(header)
    except RemoteProtocolError:
        return None
    connection = connections.get(segment.destination_port)
    if connection is None or connection.remote_port != segment.source_port or segment.flags != ACK:
        return None
    is_ordinary = connection.receive_ordinary(segment.seq, segment.ack, segment.window, 0, now)
    return connection if is_ordinary else None
