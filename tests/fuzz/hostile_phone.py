"""A session in the hands of a phone that may send anything, and of clients that keep to what the engine allows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tests.fuzz.cursor import pieces
from usbmux.errors import LocalProtocolError
from usbmux.mux.events import (
    ConnectionClosed,
    ConnectionEstablished,
    DataReceived,
    DeviceMessage,
    Event,
    HandshakeCompleted,
    PacketIgnored,
    ResynchronisationBegun,
    SendRoomOpened,
    SessionFailed,
)
from usbmux.mux.packet import PacketReader, Version, encode_v1, encode_v2
from usbmux.mux.segment import MAX_WINDOW, Flags, Segment, seq_add
from usbmux.mux.session import MuxSession, SessionState
from usbmux.mux.settings import MuxSettings
from usbmux.mux.stray_resets import MAX_STRAY_RESETS
from usbmux.mux.tcp_state import TcpState

if TYPE_CHECKING:
    from usbmux.mux.connection import TcpConnection

VERSION, TCP = 0, 6
SETTINGS: Final = MuxSettings(receive_window=512, max_packet_length=1024)
STEPS_S: Final = (0.0, 0.001, 0.005, 0.1, 1.0, 4.0, 31.0)
MAX_CONNECTIONS: Final = 100
PACKETS_PER_CONNECTION: Final = 3
"""A SYN, an acknowledgement and a RST; data comes besides."""


class HostilePhone:
    """Drives the session, and checks after each step what must hold whatever the phone does."""

    def __init__(self) -> None:
        self.cut = 0
        """Transfers to the host are cut into pieces of this size; 0 leaves them whole."""
        self.session = MuxSession(0.0, SETTINGS)
        self._now = 0.0
        self._version = 1
        self._tx_seq = 0
        self._connections: list[TcpConnection] = []
        self._untaken: dict[TcpConnection, int] = {}
        """Bytes that each open connection's client has not taken."""
        self._queued = 0
        self._kept: dict[TcpConnection, int] = {}

    # The phone.

    def send_raw(self, data: bytes) -> None:
        for piece in pieces(data, self.cut or len(data)) or [b""]:
            self.session.receive_data(piece, self._now)
            self._take_events()

    def send_packet(self, protocol: int, payload: bytes, skipped: int = 0) -> None:
        """A packet with a header that fits; `skipped` of those before it are lost."""
        if self._version == 1 or protocol == VERSION:
            self.send_raw(encode_v1(protocol, payload))
            return
        self._tx_seq = (self._tx_seq + skipped) % 0x10000
        packet = encode_v2(protocol, payload, self._tx_seq, 0)
        self._tx_seq = (self._tx_seq + 1) % 0x10000
        self.send_raw(packet)

    def send_version(self, major: int, minor: int) -> None:
        self.send_packet(VERSION, Version(major, minor).encode())

    def send_segment(self, which: int, flags: int, seq_off: int, ack_off: int, window: int, payload: bytes) -> None:
        """A segment for a connection, past or present; the offsets are from what would be right."""
        connection = self._connection(which)
        if connection is None:
            stray = Segment(which, which, seq_add(0, seq_off), seq_add(0, ack_off), flags, window << 8, payload)
            self.send_packet(TCP, stray.encode())
            return
        seq, ack = seq_add(connection.rcv_nxt, seq_off), seq_add(connection.snd_nxt, ack_off)
        source, destination = connection.remote_port, connection.local_port
        segment = Segment(source, destination, seq, ack, flags, window << 8, payload)
        self.send_packet(TCP, segment.encode())

    # The clients.

    def connect(self, port: int) -> None:
        if len(self._connections) >= MAX_CONNECTIONS:
            return
        try:
            connection = self.session.connect(port, self._now)
        except LocalProtocolError:
            assert self.session.state is not SessionState.READY
            return
        assert self.session.state is SessionState.READY
        assert connection.local_port
        assert connection.local_port not in {other.local_port for other in self._untaken}
        self._connections.append(connection)
        self._untaken[connection] = 0
        self._take_events()

    def client_sends(self, which: int, count: int) -> None:
        connection = self._connection(which)
        if connection is not None and connection.state is TcpState.ESTABLISHED:
            count = min(count, connection.send_room)
            self._queued += count
            self.session.send(connection, bytes(count), self._now)
            self._take_events()

    def client_sends_at_once(self, which: int, count: int) -> None:
        """As `client_sends`, past the queue as far as the engine allows that now."""
        connection = self._connection(which)
        egress = self.session.egress
        if connection is None or connection.state is not TcpState.ESTABLISHED or connection.queue.length:
            return
        begin = egress.headers_length
        count = min(count, connection.send_room, SETTINGS.max_packet_length - begin)
        if egress.may_have_packet or not count:
            return
        data = bytes(index & 0xFF for index in range(count))
        buffer = memoryview(bytearray(begin) + data + b"behind")
        seq = connection.snd_nxt
        packet = bytes(buffer[: self.session.send_at_once(connection, buffer, count)])
        self._check_packet(packet)
        (read,) = PacketReader(self._version).receive_data(packet)
        segment = Segment.decode(read.payload)
        assert (segment.source_port, segment.seq, segment.payload) == (connection.local_port, seq, data)
        assert self.session.packet_to_send(self._now) is None, "something that should have gone before"
        self._take_events()

    def client_offers(self, which: int, count: int) -> None:
        """As `client_sends`, but kept until its turn."""
        connection = self._connection(which)
        if connection is not None and connection.send_room and count:
            self._queued += count
            self._kept[connection] = count
            self.session.offer(connection, count)

    def client_takes(self, which: int, count: int) -> None:
        connection = self._connection(which)
        if connection is not None and connection in self._untaken:
            count = min(count, self._untaken[connection])
            self._untaken[connection] -= count
            self.session.acknowledge(connection, count, self._now)
            self._take_events()

    def client_shuts_down(self, which: int) -> None:
        if (connection := self._connection(which)) is not None:
            self.session.shutdown_write(connection, self._now)
            self._take_events()

    def client_closes(self, which: int) -> None:
        if (connection := self._connection(which)) is not None:
            self.session.close(connection, self._now)
            self._take_events()

    def client_aborts(self, which: int) -> None:
        if (connection := self._connection(which)) is not None:
            self.session.abort(connection, "enough \N{SNOWMAN}", self._now)
            self._take_events()

    # The clock and the way out.

    def pass_time(self, choice: int) -> None:
        self._now += STEPS_S[choice % len(STEPS_S)]
        if self.session.deadline is not None and self.session.deadline <= self._now:
            self.session.handle_timer(self._now)
            self._take_events()
        assert self.session.deadline is None or self.session.deadline > self._now

    def transmit(self, most: int) -> int:
        """Take up to that many packets; the number that there were."""
        for count in range(most):
            packet = self.session.packet_to_send(self._now) or self._granted_packet()
            if packet is None:
                return count
            self._check_packet(bytes(packet))
        return most

    def _granted_packet(self) -> bytes | None:
        """Of the next connection whose turn it is, and which may still send."""
        egress, packet = self.session.egress, None
        while packet is None and (connection := egress.granted) is not None:
            count = min(
                self._kept.pop(connection), connection.send_room, SETTINGS.max_packet_length - egress.headers_length
            )
            if count:
                buffer = memoryview(bytearray(egress.headers_length + count))
                return bytes(buffer[: self.session.send_at_once(connection, buffer, count)])
            egress.granted = None
            packet = self.session.packet_to_send(self._now)
        return packet

    def finish(self) -> None:
        """What is left to send is bounded, and so is what is left to wait for."""
        bound = MAX_STRAY_RESETS + PACKETS_PER_CONNECTION * len(self._connections) + self._queued + 3
        assert self.transmit(bound + 1) <= bound
        for connection in list(self._untaken):
            self.session.close(connection, self._now)
        self._take_events()
        for _ in range(2):
            self.pass_time(len(STEPS_S) - 1)
            self.transmit(bound)
        self._take_events()
        assert not self._untaken, "a connection that never ends"

    # Inside.

    def _connection(self, which: int) -> TcpConnection | None:
        return self._connections[which % len(self._connections)] if self._connections else None

    def _take_events(self) -> None:
        while (event := self.session.next_event()) is not None:
            self._handle(event)

    def _handle(self, event: Event) -> None:
        match event:
            case HandshakeCompleted(version):
                self._version = min(version, 2)
            case DataReceived(connection, pieces):
                self._untaken[connection] += sum(map(len, pieces))
                assert self._untaken[connection] <= SETTINGS.receive_window
            case ConnectionEstablished(connection) | SendRoomOpened(connection):
                assert connection in self._untaken
                assert connection.send_room <= MAX_WINDOW
            case ConnectionClosed(connection, _cause, text):
                del self._untaken[connection]
                assert text.isprintable()
            case ResynchronisationBegun(reason) | SessionFailed(reason):
                assert not self._untaken
                assert reason.isprintable()
                self._version = 1
                self._tx_seq = 0
            case DeviceMessage(text=text) | PacketIgnored(reason=text):
                assert text.isprintable()

    def _check_packet(self, packet: bytes) -> None:
        """It is one packet in the framing of the moment."""
        assert len(packet) <= SETTINGS.max_packet_length
        if int.from_bytes(packet[:4], "big") == VERSION:
            assert packet == encode_v1(VERSION, Version(2, 0).encode())
            return
        (read,) = PacketReader(self._version).receive_data(packet)
        if read.protocol == TCP:
            segment = Segment.decode(read.payload)
            assert segment.flags in (Flags.SYN, Flags.ACK, Flags.RST)
            assert segment.source_port or segment.flags == Flags.RST
