"""The run of ordinary segments at the front of a transfer: nearly all that phones send, taken without ceremony.

What is not ordinary in every respect is left where it is, for the general way, which decides about anything. So this
is an abbreviation and no rule: a session that takes no runs behaves the same, as tests/mux/session/test_runs.py shows.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from usbmux.mux.arrivals import Arrivals
from usbmux.mux.connection import TcpConnection
from usbmux.mux.link_count import LinkCount
from usbmux.mux.packet import MAX_PACKET_LENGTH, MuxProtocol
from usbmux.mux.segment import ACK, DATA_OFFSET, WINDOW_SHIFT
from usbmux.mux.segment_packet import HEADERS, HEADERS_LENGTH

_TCP: Final = int(MuxProtocol.TCP)
_DATA_OFFSET: Final = DATA_OFFSET >> 4


class SegmentRun:
    """Takes runs for one session.

    Args:
        link_count: Of the phone's packets.
        connections: Of the session, by source port.
        arrivals: Get the data of segments.
        changed: Called for a connection that may have something to send now.
    """

    def __init__(
        self,
        link_count: LinkCount,
        connections: Mapping[int, TcpConnection],
        arrivals: Arrivals,
        *,
        changed: Callable[[TcpConnection], None],
    ) -> None:
        self._link_count: Final = link_count
        self._connections: Final = connections
        self._arrivals: Final = arrivals
        self._changed: Final = changed

    def take(self, pieces: Sequence[bytes | memoryview], index: int, offset: int, now: float) -> tuple[int, int]:
        """Take the packets of version 2 that begin at `offset` of a piece, as long as they are whole and ordinary.

        Returns:
            Index of the piece in which the first one begins that was not taken, and where; the number of pieces and 0
            if all were taken.
        """
        expected = self._link_count.expected
        if expected is None:
            return index, offset
        unpack, connections, changed, arrived = (
            HEADERS.unpack_from,
            self._connections,
            self._changed,
            self._arrivals.pieces_of,
        )
        last: TcpConnection | None = None
        pieces_of_last: list[memoryview | bytes] = []
        first, count = expected, len(pieces)
        while index < count:
            data = memoryview(pieces[index])
            size = len(data)
            while offset + HEADERS_LENGTH <= size:
                (
                    protocol, length, _magic, tx_seq, _rx_seq,
                    remote_port, local_port, seq, ack, data_offset, flags, window, _checksum, _urgent,
                ) = unpack(data, offset)  # fmt: skip
                end = offset + length
                if (
                    protocol != _TCP
                    or not HEADERS_LENGTH <= length <= MAX_PACKET_LENGTH
                    or end > size
                    or tx_seq != expected
                    or flags != ACK
                    or data_offset >> 4 != _DATA_OFFSET
                    or (connection := connections.get(local_port)) is None
                    or connection.remote_port != remote_port
                    or not connection.receive_ordinary(seq, ack, window << WINDOW_SHIFT, length - HEADERS_LENGTH, now)
                ):
                    break
                if connection.queue.length or connection.deadline_moved:
                    changed(connection)
                if length > HEADERS_LENGTH:
                    if connection is not last:
                        last, pieces_of_last = connection, arrived(connection)
                    pieces_of_last.append(data[offset + HEADERS_LENGTH : end])
                expected = (expected + 1) & 0xFFFF
                offset = end
            if offset < size:
                break
            index, offset = index + 1, 0
        if expected != first:
            self._link_count.receive_expected(expected)
        return index, offset
