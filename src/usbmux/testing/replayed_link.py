"""One link of a recording, played again: what the phone said, as far as the host has come."""

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from usbmux.capture.transcript import PacketSeen, Transcript, describe, shown_text
from usbmux.errors import RemoteProtocolError
from usbmux.mux.packet import FIRST_RX_SEQ, HEADER_LENGTH, MuxProtocol, Packet, encode_v1, encode_v2
from usbmux.mux.segment import Flags, Segment, seq_add, seq_diff, seq_le
from usbmux.testing.replay_script import (
    PhonePacket,
    RecordedConnection,
    ReplayScript,
    stream_offset,
    unplayed_bytes,
)

_EXCERPT_LENGTH: Final = 16
_TX_SEQ_OFFSET: Final = 12
_DESTINATION_PORT_OFFSET: Final = 2
_ACK_OFFSET: Final = 8


@dataclass(slots=True)
class _Connection:
    """A connection of the recording, and what the host does with it now."""

    recorded: RecordedConnection
    host_port: int
    first_seq: int
    sent: int = 0
    is_reset: bool = False
    right_edge: int = 0
    is_over: bool = False
    """Whether the phone has reset it."""
    has_departed: bool = False


class ReplayedLink:
    """The phone's part from one opening of the pipe to the next.

    Args:
        script: Of the recorded link.
        send: Called with each transfer of the phone's.
        departures: Gets a line for each departure of the host.
    """

    def __init__(self, script: ReplayScript, send: Callable[[bytes], None], departures: list[str]) -> None:
        self._script = script
        self._send = send
        self._departures = departures
        self._transcript = Transcript()
        self._packets = deque(script.packets)
        self._link_packets = 0
        self._unused = list(script.connections)
        self._by_ports: dict[tuple[int, int], _Connection] = {}
        self._by_recorded: dict[RecordedConnection, _Connection] = {}
        self._transfer = bytearray()
        self._rx_seq = FIRST_RX_SEQ
        self._tx_seq = -1
        self._tx_shift = 0
        """How many packets more than in the recording were sent."""

    # What the phone says

    @property
    def waits_for(self) -> str | None:
        """See `ReplayedDevice.waits_for`."""
        return self._obstacle(self._packets[0]) if self._packets else None

    def play(self) -> None:
        """Send every packet whose time has come."""
        while self._packets:
            packet = self._packets[0]
            connection = self._by_recorded.get(packet.connection) if packet.connection else None
            if connection is not None and self._is_left_out(packet, connection):
                self._tx_shift -= 1
            elif self._obstacle(packet) is None:
                self._say(packet, connection)
            else:
                break
            self._packets.popleft()

    def _is_left_out(self, packet: PhonePacket, connection: _Connection) -> bool:
        is_too_late = connection.is_reset and packet.progress is not None and not packet.progress.is_reset
        return connection.has_departed or is_too_late

    def _obstacle(self, packet: PhonePacket) -> str | None:
        """Why the packet cannot be sent yet."""
        where = f"transfer {packet.transfer} of the recording waits for the host to"
        if self._link_packets < packet.link_packets:
            return f"{where} send {self._script.link_packets[self._link_packets]}"
        if packet.connection is None or packet.progress is None or packet.segment is None:
            return None
        port = packet.connection.phone_port
        connection = self._by_recorded.get(packet.connection)
        if connection is None:
            return f"{where} connect to port {port}"
        if connection.sent < packet.progress.sent:
            return f"{where} send {packet.progress.sent - connection.sent} bytes more to port {port}"
        if packet.progress.is_reset and not connection.is_reset:
            return f"{where} reset the connection to port {port}"
        end = seq_add(packet.segment.seq, len(packet.segment.payload))
        if packet.segment.payload and packet.fits_window and not seq_le(end, connection.right_edge):
            excess = seq_diff(end, connection.right_edge)
            return f"{where} open its window by {excess} bytes for port {port}"
        return None

    def _say(self, packet: PhonePacket, connection: _Connection | None) -> None:
        data = bytearray(packet.data)
        if not packet.framing:
            self._tx_shift = 0
        if packet.framing == 2:
            recorded = int.from_bytes(data[_TX_SEQ_OFFSET : _TX_SEQ_OFFSET + 2])
            self._tx_seq = (recorded + self._tx_shift) & 0xFFFF
            data[_TX_SEQ_OFFSET : _TX_SEQ_OFFSET + 4] = self._tx_seq.to_bytes(2) + self._rx_seq.to_bytes(2)
        if connection is not None and packet.segment is not None:
            start = HEADER_LENGTH[packet.framing]
            port = start + _DESTINATION_PORT_OFFSET
            data[port : port + 2] = connection.host_port.to_bytes(2)
            shift = seq_diff(connection.first_seq, connection.recorded.first_seq)
            ack = start + _ACK_OFFSET
            data[ack : ack + 4] = seq_add(packet.segment.ack, shift).to_bytes(4)
            connection.is_over = bool(packet.segment.flags & Flags.RST)
        self._put(data, packet.cuts)

    def _put(self, data: bytearray, cuts: Sequence[int]) -> None:
        start = 0
        for end in cuts:
            self._transfer += data[start:end]
            start = end
            self._flush()
        self._transfer += data[start:]

    def _flush(self) -> None:
        transfer = bytes(self._transfer)
        self._transfer.clear()
        if transfer:
            for _ in self._transcript.receive(transfer):  # so that it knows how the host frames its packets
                pass
            self._send(transfer)

    def _reset(self, segment: Segment, text: str) -> None:
        """Say what the recorded phone did not."""
        ports = segment.destination_port, segment.source_port
        answer = Segment(*ports, segment.ack, segment.seq, Flags.RST, 0, text.encode()).encode()
        self._tx_seq = (self._tx_seq + 1) & 0xFFFF
        self._tx_shift += 1
        if self._transcript.framing == 2:
            packet = encode_v2(MuxProtocol.TCP, answer, self._tx_seq, self._rx_seq)
        else:
            packet = encode_v1(MuxProtocol.TCP, answer)
        self._put(bytearray(packet), [len(packet)])

    # What the host says

    def receive(self, data: bytes) -> None:
        """Take a packet of the host."""
        for entry in self._transcript.send(data):
            if isinstance(entry, PacketSeen):
                self._receive_packet(entry.packet)
            else:
                self._departures.append(f"the host sent something that is no packet: {entry}")
        self.play()

    def _receive_packet(self, packet: Packet) -> None:
        if packet.protocol != MuxProtocol.TCP:
            self._receive_link_packet(describe(packet))
            return
        self._rx_seq = packet.tx_seq
        try:
            segment = Segment.decode(packet.payload)
        except RemoteProtocolError as error:
            self._departures.append(f"the host sent a broken segment: {error}")
            return
        if segment.flags & Flags.SYN:
            self._receive_syn(segment)
        elif (connection := self._by_ports.get((segment.source_port, segment.destination_port))) is not None:
            self._receive_segment(connection, segment)
        elif not segment.flags & Flags.RST:
            self._departures.append(f"the host sent a segment of no connection: {segment}")

    def _receive_link_packet(self, text: str) -> None:
        following = self._script.link_packets[self._link_packets :]
        if following[:1] == [text]:
            self._link_packets += 1
            self._rx_seq = FIRST_RX_SEQ if text.startswith("VERSION") else 0
        else:
            self._departures.append(f"the host sent {text}, expected {following[0] if following else 'nothing more'}")

    def _receive_syn(self, segment: Segment) -> None:
        port = segment.destination_port
        recorded = next((recorded for recorded in self._unused if recorded.phone_port == port), None)
        if recorded is None:
            text = f"the recording has no further connection to port {port}"
            self._departures.append(f"the host connected once more: {text}")
            self._by_ports.pop((segment.source_port, port), None)
            self._reset(segment, text)
            return
        self._unused.remove(recorded)
        right_edge = seq_add(segment.ack, segment.window)
        connection = _Connection(recorded, segment.source_port, segment.seq, right_edge=right_edge)
        self._by_ports[segment.source_port, port] = self._by_recorded[recorded] = connection

    def _receive_segment(self, connection: _Connection, segment: Segment) -> None:
        if connection.has_departed or connection.is_reset or connection.is_over:
            return  # it has crossed the end
        if segment.flags & Flags.RST:
            self._receive_reset(connection, shown_text(segment.payload))
            return
        connection.right_edge = seq_add(segment.ack, segment.window)
        offset = stream_offset(segment, connection.first_seq)
        expected = bytes(connection.recorded.sent[offset : offset + len(segment.payload)]) if offset >= 0 else b""
        if segment.payload and offset != connection.sent:
            self._depart(connection, segment, f"sent byte {offset} of its stream, expected byte {connection.sent}")
        elif expected != segment.payload:
            self._depart(connection, segment, _difference(expected, bytes(segment.payload), offset))
        else:
            connection.sent += len(segment.payload)

    def _receive_reset(self, connection: _Connection, text: str) -> None:
        connection.is_reset = True
        recorded = connection.recorded
        where = f"connection to port {recorded.phone_port} ({text!r})"
        if missing := len(recorded.sent) - connection.sent:
            self._departures.append(f"the host reset its {where} with {missing} bytes still to send")
        elif left := unplayed_bytes(iter(self._packets), recorded):
            self._departures.append(f"the host reset its {where} before {left} bytes that the phone sent it")

    def _depart(self, connection: _Connection, segment: Segment, text: str) -> None:
        connection.has_departed = True
        self._departures.append(f"on a connection to port {connection.recorded.phone_port} the host {text}")
        self._reset(segment, f"not as recorded: {text}")


def _difference(expected: bytes, found: bytes, offset: int) -> str:
    if found.startswith(expected):
        return f"sent {len(found) - len(expected)} bytes more than the {offset + len(expected)} that were recorded"
    index = next(index for index, (left, right) in enumerate(zip(expected, found, strict=False)) if left != right)
    excerpts = [data[index : index + _EXCERPT_LENGTH] for data in (expected, found)]
    return f"sent {excerpts[1]!r} at byte {offset + index} of its stream, expected {excerpts[0]!r}"
