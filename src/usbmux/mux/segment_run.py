"""The run of ordinary segments at the front of a transfer: nearly all that phones send, taken without ceremony.

What is not ordinary in every respect is left where it is, for the general way, which decides about anything. So this
is an abbreviation and no rule: a session that takes no runs behaves the same, as tests/mux/session/test_runs.py shows.
"""

from collections.abc import Callable
from typing import Final

from usbmux.mux.connection import TcpConnection
from usbmux.mux.link_count import LinkCount
from usbmux.mux.packet import MAX_PACKET_LENGTH, MuxProtocol
from usbmux.mux.segment import DATA_OFFSET, WINDOW_SHIFT, Flags
from usbmux.mux.segment_packet import HEADERS, HEADERS_LENGTH

_TCP: Final = int(MuxProtocol.TCP)
_ACK: Final = int(Flags.ACK)


class SegmentRun:
    """Takes runs for one session.

    Args:
        connections: Of the session, by source port.
        arrived: Called for the data of a segment.
        changed: Called for a connection that may have something to send now.
    """

    def __init__(
        self,
        connections: dict[int, TcpConnection],
        *,
        arrived: Callable[[TcpConnection, memoryview], None],
        changed: Callable[[TcpConnection], None],
    ) -> None:
        self._connections: Final = connections
        self._arrived: Final = arrived
        self._changed: Final = changed

    def take(self, data: memoryview, begin: int, link_count: LinkCount, now: float) -> int:
        """Take the packets of version 2 that begin at `begin`, as long as they are whole and ordinary.

        Returns:
            Where the first one begins that was not taken.
        """
        expected = link_count.expected
        if expected is None:
            return begin
        offset, count = begin, 0
        last = len(data) - HEADERS_LENGTH
        unpack, connections = HEADERS.unpack_from, self._connections
        while offset <= last:
            (
                protocol, length, _magic, tx_seq, _rx_seq,
                remote_port, local_port, seq, ack, data_offset, flags, window, _checksum, _urgent,
            ) = unpack(data, offset)  # fmt: skip
            end = offset + length
            if (
                protocol != _TCP
                or not HEADERS_LENGTH <= length <= MAX_PACKET_LENGTH
                or end > len(data)
                or tx_seq != expected
                or flags != _ACK
                or data_offset >> 4 != DATA_OFFSET >> 4
                or (connection := connections.get(local_port)) is None
                or connection.remote_port != remote_port
            ):
                break
            una, wnd = connection.snd_una, connection.snd_wnd
            if not connection.receive_ordinary(seq, ack, window << WINDOW_SHIFT, length - HEADERS_LENGTH, now):
                break
            if connection.snd_una != una or connection.snd_wnd != wnd:
                self._changed(connection)
            if length > HEADERS_LENGTH:
                self._arrived(connection, data[offset + HEADERS_LENGTH : end])
            expected = (expected + 1) & 0xFFFF
            count += 1
            offset = end
        if count:
            link_count.receive_expected(count)
        return offset
