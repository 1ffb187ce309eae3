"""Packets for the phone, counted in the order in which they go out."""

from typing import Final

from usbmux.mux.connection import TcpConnection
from usbmux.mux.link_count import LinkCount
from usbmux.mux.packet import HEADER_LENGTH, MAGIC, MuxProtocol, encode_v1, encode_v2
from usbmux.mux.segment import ACK, DATA_OFFSET, WINDOW_SHIFT, Segment
from usbmux.mux.segment import HEADER_LENGTH as TCP_HEADER_LENGTH
from usbmux.mux.segment_packet import HEADERS, HEADERS_LENGTH

_TCP: Final = int(MuxProtocol.TCP)


class PacketEncoder:
    """Everything that goes out on one link goes through here, once, and at once.

    Args:
        version: Of the framing: 1 or 2.
        received: The phone's count, of which every packet of version 2 reports the last (M9).
    """

    def __init__(self, version: int, received: LinkCount, max_packet_length: int) -> None:
        self.max_payload: Final = max_packet_length - HEADER_LENGTH[version] - TCP_HEADER_LENGTH
        """Of a segment, in bytes."""
        self.headers_length: Final = HEADER_LENGTH[version] + TCP_HEADER_LENGTH
        """Of what goes before the data of a segment, in bytes."""
        self._version: Final = version
        self._received: Final = received
        self._tx_seq = 0

    def encode_data(self, connection: TcpConnection, seq: int, data: bytes | memoryview) -> bytes:
        """Data of a connection, which has noted it as sent."""
        ports = (connection.local_port, connection.remote_port)
        return self.encode_segment(Segment(*ports, seq, connection.rcv_acked, ACK, connection.rcv_wnd, data))

    def encode_headers(self, buffer: memoryview, connection: TcpConnection, seq: int, count: int) -> int:
        """Headers for `count` bytes of data that stand in a buffer behind `headers_length` bytes of room for these.

        Returns:
            How long the packet is.
        """
        length = self.headers_length + count
        if self._version == 1:
            buffer[:length] = self.encode_data(connection, seq, buffer[self.headers_length : length])
            return length
        tx_seq = self._tx_seq
        self._tx_seq = (tx_seq + 1) & 0xFFFF
        HEADERS.pack_into(
            buffer,
            0,
            _TCP,
            length,
            MAGIC,
            tx_seq,
            self._received.last,
            connection.local_port,
            connection.remote_port,
            seq,
            connection.rcv_acked,
            DATA_OFFSET,
            ACK,
            connection.window_field,
            0,
            0,
        )
        return length

    def encode_segment(self, segment: Segment) -> bytes:
        """Any segment."""
        if self._version == 1:
            return encode_v1(_TCP, segment.encode())
        source_port, destination_port, seq, ack, flags, window, payload = segment
        tx_seq = self._tx_seq
        self._tx_seq = (tx_seq + 1) & 0xFFFF
        headers = HEADERS.pack(
            _TCP,
            HEADERS_LENGTH + len(payload),
            MAGIC,
            tx_seq,
            self._received.last,
            source_port,
            destination_port,
            seq,
            ack,
            DATA_OFFSET,
            flags,
            min(window >> WINDOW_SHIFT, 0xFFFF),
            0,
            0,
        )
        return b"".join((headers, payload)) if payload else headers

    def encode_packet(self, protocol: int, payload: bytes) -> bytes:
        """Any packet of version 2: in version 1 we send nothing but VERSION and segments."""
        tx_seq = self._tx_seq
        self._tx_seq = (tx_seq + 1) & 0xFFFF
        return encode_v2(protocol, payload, tx_seq, self._received.last)
