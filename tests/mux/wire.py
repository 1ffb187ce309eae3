"""The phone's side of a `MuxSession`, driven by packet scripts."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final

from usbmux.mux.events import (
    CloseCause,
    ConnectionClosed,
    ConnectionEstablished,
    DataReceived,
    Event,
    HandshakeCompleted,
)
from usbmux.mux.segment import Flags, Segment
from usbmux.mux.session import MuxSession, SessionState

if TYPE_CHECKING:
    from usbmux.mux.connection import TcpConnection
    from usbmux.mux.settings import MuxSettings

PHONE_PORT: Final = 62078
PHONE_ISN: Final = 1000
FIRST: Final = PHONE_ISN + 1
"""Sequence number of the first byte that the phone sends. Ours is 1."""
PHONE_WINDOW: Final = 65536
OUR_WINDOW: Final = 131072
SYN_ACK: Final = Flags.SYN | Flags.ACK
VERSION, CONTROL, SETUP, TCP = 0, 1, 2, 6
MAX_WAKE_UPS: Final = 100_000


class Wire:
    """What the phone sends and what it must see, one packet at a time, on a clock that stands still."""

    def __init__(self, settings: MuxSettings | None = None, *, version: int = 2) -> None:
        self.now = 100.0
        self.version = version
        self.session = MuxSession(self.now, settings)
        self.phone_tx_seq = 700
        """Of the last packet that the phone sent."""
        self.host_tx_seq = 0
        """Of the next packet that the host sends."""
        self.host_rx_seq = 0xFFFF
        """What the host has to say that it received last."""
        self._armed_for: float | None = None
        """When the daemon's timer would go off."""

    # What the phone does.

    def inject_data(self, data: bytes) -> None:
        """One bulk IN transfer."""
        self.session.receive_data(data, self.now)
        self._arm()

    def packet(self, protocol: int, payload: bytes) -> bytes:
        """A packet of the phone, ready to be put into a transfer."""
        if protocol == VERSION or self.version == 1:
            return struct.pack(">II", protocol, 8 + len(payload)) + payload
        self.phone_tx_seq = self.host_rx_seq = (self.phone_tx_seq + 1) % 0x10000
        return struct.pack(">IIIHH", protocol, 16 + len(payload), 0xFACEFACE, self.phone_tx_seq, 0x7777) + payload

    def segment(
        self,
        *,
        flags: int = Flags.ACK,
        seq: int = FIRST,
        ack: int = 1,
        window: int = PHONE_WINDOW,
        payload: bytes = b"",
        source: int = PHONE_PORT,
        destination: int = 1,
    ) -> bytes:
        """A packet with a segment of the phone, ready to be put into a transfer."""
        return self.packet(TCP, Segment(source, destination, seq, ack, flags, window, payload).encode())

    def inject(
        self,
        *,
        flags: int = Flags.ACK,
        seq: int = FIRST,
        ack: int = 1,
        window: int = PHONE_WINDOW,
        payload: bytes = b"",
        source: int = PHONE_PORT,
        destination: int = 1,
    ) -> None:
        """One segment in one transfer."""
        fields = {"seq": seq, "ack": ack, "window": window, "source": source, "destination": destination}
        self.inject_data(self.segment(flags=flags, payload=payload, **fields))

    def inject_packet(self, protocol: int, payload: bytes) -> None:
        """One packet in one transfer."""
        self.inject_data(self.packet(protocol, payload))

    def advance(self, seconds: float) -> None:
        """Let time pass, and wake the session whenever it wants to be woken."""
        end = self.now + seconds
        for _ in range(MAX_WAKE_UPS):
            self._arm()
            if self._armed_for is None or self._armed_for > end:
                self.now = end
                return
            self.now, self._armed_for = max(self.now, self._armed_for), None
            self.session.handle_timer(self.now)
        raise AssertionError("the session wants to be woken again and again")

    def _arm(self) -> None:
        """As the daemon does, which looks at the deadline only if it moved; to be woken too early does no harm."""
        session, deadline = self.session, self.session.deadline
        if session.deadline_moved and deadline is not None:
            self._armed_for = min(deadline, self._armed_for or deadline)
        session.deadline_moved = False
        assert deadline is None or (self._armed_for or deadline + 1) <= deadline, "nobody knows of the deadline"

    # What the host must do.

    def pull_packet(self) -> bytes | None:
        """The next packet, if any; the daemon asks only while there may be one."""
        self._arm()
        may_have_packet = self.session.egress.may_have_packet
        packet = self.session.packet_to_send(self.now)
        assert may_have_packet or packet is None, "nobody would have asked for the packet"
        self._arm()
        return packet

    def expect_packet(self) -> tuple[int, bytes]:
        """The next packet's protocol and payload, its header having been checked."""
        packet = self.pull_packet()
        assert packet is not None, "expected a packet, got none"
        return self._opened(packet)

    def _opened(self, packet: bytes) -> tuple[int, bytes]:
        protocol, length = struct.unpack_from(">II", packet)
        assert length == len(packet)
        if protocol == VERSION or self.version == 1:
            return protocol, packet[8:]
        header = struct.unpack_from(">IHH", packet, 8)
        assert header == (0xFEEDFACE, self.host_tx_seq, self.host_rx_seq)
        self.host_tx_seq = (self.host_tx_seq + 1) % 0x10000
        return protocol, packet[16:]

    def expect(
        self,
        *,
        flags: int = Flags.ACK,
        seq: int = 1,
        ack: int = FIRST,
        window: int = OUR_WINDOW,
        payload: bytes = b"",
        source: int = 1,
        destination: int = PHONE_PORT,
    ) -> None:
        """The next packet is exactly this segment."""
        self._compare(self.expect_packet(), Segment(source, destination, seq, ack, flags, window, payload))

    def expect_at_once(
        self, connection: TcpConnection, payload: bytes, *, seq: int = 1, ack: int = FIRST, window: int = OUR_WINDOW
    ) -> None:
        """The client sends this without queueing it, and the packet is exactly this segment."""
        first = self.session.egress.headers_length
        buffer = memoryview(bytearray(first) + payload + b"rest")
        length = self.session.send_at_once(connection, buffer, len(payload))
        assert length == first + len(payload)
        segment = Segment(connection.local_port, connection.remote_port, seq, ack, Flags.ACK, window, payload)
        self._compare(self._opened(bytes(buffer[:length])), segment)

    @staticmethod
    def _compare(packet: tuple[int, bytes], expected: Segment) -> None:
        protocol, data = packet
        assert protocol == TCP
        got = Segment.decode(data)
        assert (str(got), bytes(got.payload)) == (str(expected), bytes(expected.payload))

    def next_event(self) -> Event | None:
        """The next event, if any; the daemon asks only while one is waiting."""
        is_waiting = bool(self.session.waiting_events)
        event = self.session.next_event()
        assert is_waiting == (event is not None), "nobody would have asked for the event"
        return event

    def expect_event(self, event: Event) -> None:
        """The next event is exactly this one."""
        assert self.next_event() == event

    def expect_closed(self, connection: TcpConnection, cause: CloseCause, *texts: str) -> None:
        """The next event is the end of the connection, with a text that holds each of these."""
        event = self.next_event()
        assert isinstance(event, ConnectionClosed), event
        assert (event.connection, event.cause) == (connection, cause)
        assert all(text in event.text for text in texts), event.text
        assert texts or event.text == "", event.text

    def expect_violation(self, connection: TcpConnection, *texts: str, seq: int = 1, ack: int = FIRST) -> None:
        """The connection is reset by us, and the phone gets to know why."""
        event = self.next_event()
        assert isinstance(event, ConnectionClosed), event
        assert (event.connection, event.cause) == (connection, CloseCause.VIOLATED)
        assert all(text in event.text for text in texts), event.text
        self.expect(flags=Flags.RST, seq=seq, ack=ack, payload=event.text.encode())

    def expect_data(self, connection: TcpConnection, data: bytes) -> None:
        """The next event is this data, in however many pieces."""
        event = self.next_event()
        assert isinstance(event, DataReceived), event
        assert (event.connection, b"".join(event.pieces)) == (connection, data)

    def expect_nothing(self) -> None:
        """No event and no packet is waiting, and the daemon knows it."""
        assert (self.next_event(), self.pull_packet()) == (None, None)
        assert not self.session.egress.may_have_packet or self.session.state is SessionState.FAILED

    # Longer scripts.

    def receive(self, connection: TcpConnection, count: int, *, seq: int = FIRST, ack: int = 1) -> int:
        """The phone sends `count` bytes in packets of a common size; returns the next sequence number."""
        while count:
            size = min(count, 32768)
            self.inject(seq=seq, ack=ack, payload=bytes(size), destination=connection.local_port)
            self.expect_data(connection, bytes(size))
            seq, count = (seq + size) % 2**32, count - size
        return seq

    # Ways to the states.

    def shake_hands(self) -> None:
        """HANDSHAKE to READY."""
        assert self.expect_packet() == (VERSION, struct.pack(">III", 2, 0, 0))
        self.inject_packet(VERSION, struct.pack(">III", self.version, 0, 0))
        self.expect_event(HandshakeCompleted(self.version))
        if self.version == 2:
            assert self.expect_packet() == (SETUP, b"\x07")
        self.expect_nothing()

    def connect(self, port: int = PHONE_PORT) -> TcpConnection:
        """READY to SYN_SENT."""
        connection = self.session.connect(port, self.now)
        self.expect(flags=Flags.SYN, seq=0, ack=0, source=connection.local_port, destination=port)
        self.expect_nothing()
        return connection

    def establish(self, port: int = PHONE_PORT, *, isn: int = PHONE_ISN, window: int = PHONE_WINDOW) -> TcpConnection:
        """READY to ESTABLISHED."""
        connection = self.connect(port)
        ours, first = connection.local_port, (isn + 1) % 2**32
        self.inject(flags=SYN_ACK, seq=isn, ack=1, window=window, source=port, destination=ours)
        self.expect_event(ConnectionEstablished(connection))
        self.expect(seq=1, ack=first, source=ours, destination=port)
        # One that says nothing new: from here on the phone is known to count, and runs of ordinary segments are taken.
        self.inject(seq=first, window=window, source=port, destination=ours)
        self.expect_nothing()
        return connection

    # What the client does.

    def send(self, connection: TcpConnection, data: bytes) -> None:
        self.session.send(connection, data, self.now)

    def acknowledge(self, connection: TcpConnection, count: int) -> None:
        self.session.acknowledge(connection, count, self.now)

    def shutdown_write(self, connection: TcpConnection) -> None:
        self.session.shutdown_write(connection, self.now)

    def close(self, connection: TcpConnection) -> None:
        self.session.close(connection, self.now)

    def abort(self, connection: TcpConnection, text: str = "") -> None:
        self.session.abort(connection, text, self.now)
