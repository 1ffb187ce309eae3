"""The whole link to one phone: handshake, demultiplexing, and who sends next.

Bytes of bulk IN transfers go in by `receive_data`; packets for bulk OUT transfers are pulled out by
`packet_to_send` whenever a transfer is free, so that sequence numbers are stamped in one place, acknowledgements
ride on data and no queue can grow. After any call: drain `next_event`, then `packet_to_send`, then look at
`deadline` again. The rules M1 to M14 and T1 to T16 are those of docs/protocol/mux.md.
"""

from collections import OrderedDict, deque
from enum import Enum, auto
from typing import Final, assert_never

from usbmux.errors import LocalProtocolError, RemoteProtocolError
from usbmux.mux.connection import TcpConnection
from usbmux.mux.events import (
    CloseCause,
    ConnectionClosed,
    DataReceived,
    DeviceMessage,
    Event,
    HandshakeCompleted,
    PacketIgnored,
    ResynchronisationBegun,
    SessionFailed,
)
from usbmux.mux.link_count import LinkCount
from usbmux.mux.packet import (
    HEADER_LENGTH,
    SETUP_PAYLOAD,
    MuxProtocol,
    Packet,
    PacketReader,
    Version,
    encode_v1,
    encode_v2,
)
from usbmux.mux.packet_buffer import PacketBuffer
from usbmux.mux.port_allocator import LAST_PORT, PortAllocator
from usbmux.mux.segment import HEADER_LENGTH as TCP_HEADER_LENGTH
from usbmux.mux.segment import Flags, Segment, seq_add
from usbmux.mux.segment_packet import HEADERS_LENGTH, pack_headers
from usbmux.mux.segment_run import SegmentRun
from usbmux.mux.settings import MuxSettings
from usbmux.mux.timers import Timers
from usbmux.mux.turns import Turns
from usbmux.mux.version_search import VersionSearch

_OFFER: Final = encode_v1(MuxProtocol.VERSION, Version(2, 0).encode())
MAX_STRAY_RESETS: Final = 64
"""Answers to segments of unknown connections that may wait; a phone that sends more gets no more."""
MAX_TEXT_LENGTH: Final = 1024
MAX_RESYNCHRONISATIONS: Final = 3
"""How often one session begins anew; what happens more often than by accident is a broken phone."""


class SessionState(Enum):
    """Where the link stands."""

    HANDSHAKE = auto()
    READY = auto()
    FAILED = auto()


_EDGES: Final = {
    SessionState.HANDSHAKE: {SessionState.READY, SessionState.FAILED},
    SessionState.READY: {SessionState.HANDSHAKE, SessionState.FAILED},
    SessionState.FAILED: set[SessionState](),
}


class MuxSession:
    """One phone, the host's side. Sends VERSION as soon as it is asked for packets."""

    def __init__(self, now: float, settings: MuxSettings | None = None) -> None:
        self.settings: Final = settings or MuxSettings()
        self.state = SessionState.HANDSHAKE
        self._connections: dict[int, TcpConnection] = {}
        self._ports = PortAllocator(self.settings.quarantine_s)
        self._timers = Timers[TcpConnection]()
        self._events: deque[Event] = deque()
        self._stray_resets: OrderedDict[tuple[int, int], Segment] = OrderedDict()
        """By the two ports; the last of several counts."""
        self._unsent_resets: dict[int, TcpConnection] = {}
        """Connections that have ended, by source port, which is in use until the phone has been told."""
        self._control_turns: OrderedDict[TcpConnection, None] = OrderedDict()
        self._data_turns = Turns[TcpConnection]()
        self._resynchronisations = 0
        self._run = SegmentRun(self._connections, arrived=self._data_arrived, changed=self._plan)
        self._arrived: dict[TcpConnection, list[memoryview | bytes]] = {}
        """What the events report that wait: data that comes meanwhile is added."""
        self._now = now
        self._packet_deadline: float | None = None
        """For the rest of a packet that has begun."""
        self._begin_handshake(now)

    # The five verbs.

    def receive_data(self, data: bytes | memoryview, now: float) -> None:
        """Take the bytes of one bulk IN transfer, however the packets are split over transfers."""
        if self.state is SessionState.FAILED:
            return
        self._now = now
        try:
            if self.state is SessionState.HANDSHAKE:
                data = self._receive_during_handshake(data)
            self._receive_packets(memoryview(data))
        except RemoteProtocolError as error:
            shown = f" ({error.data[:16].hex(' ')})" if error.data else ""
            self._resynchronise(f"{error}{shown}", now)
            self.receive_data(error.data, now)  # what is left of the transfer, in the new state

    def next_event(self) -> Event | None:
        """What happened, oldest first."""
        if not self._events:
            return None
        event = self._events.popleft()
        if isinstance(event, DataReceived):
            del self._arrived[event.connection]
        return event

    @property
    def wants_to_send(self) -> bool:
        """Whether `packet_to_send` may have a packet; if not, it has none."""
        return bool(self._control_turns or self._data_turns.waiting or self._link_packets or self._stray_resets)

    def packet_to_send(self, now: float) -> bytes | memoryview | None:
        """The next packet for the phone, or None. Call only when it can be sent at once."""
        self._now = now
        if self.state is SessionState.FAILED:
            return None
        if self._link_packets:
            return self._link_packets.popleft()
        if self._stray_resets:
            return self._encode(self._stray_resets.popitem(last=False)[1])
        if self._control_turns and (segment := self._next_control_segment()) is not None:
            return self._encode(segment)
        return self._next_data_packet() if self._data_turns.waiting else None

    @property
    def deadline(self) -> float | None:
        """When `handle_timer` wants to be called, or None."""
        match self.state:
            case SessionState.HANDSHAKE:
                return min(self._handshake_deadline, self._version_due)
            case SessionState.READY:
                earliest = self._timers.deadline
                if earliest is None or (self._packet_deadline is not None and self._packet_deadline < earliest):
                    return self._packet_deadline
                return earliest
            case SessionState.FAILED:
                return None
            case _:
                assert_never(self.state)

    def handle_timer(self, now: float) -> None:
        """Act on deadlines that have passed."""
        self._now = now
        if self.state is SessionState.HANDSHAKE:
            self._handle_handshake_timer(now)
            return
        if self._packet_deadline is not None and now >= self._packet_deadline:
            self._resynchronise(f"the rest of a packet did not come within {self.settings.packet_timeout_s:g} s", now)
            return
        while (owner := self._timers.pop_due(now)) is not None:
            owner.handle_timer(now)
            self._plan(owner)

    # Connections.

    def connect(self, port: int, now: float) -> TcpConnection:
        """Begin a connection to `port` of the phone; `ConnectionEstablished` or `ConnectionClosed` follows.

        Raises:
            LocalProtocolError: The handshake is not done, all 65,535 source ports are taken, or `port` is no port.
        """
        self._now = now
        if not 0 <= port <= LAST_PORT:
            raise LocalProtocolError(f"{port} is not a port")
        if self.state is not SessionState.READY:
            raise LocalProtocolError(f"cannot connect in state {self.state.name}")
        local_port = self._ports.allocate(now)
        if local_port is None:
            raise LocalProtocolError("all source ports are in use")
        connection = TcpConnection(local_port, port, self.settings, self._emit, now)
        self._connections[local_port] = connection
        self._plan(connection)
        return connection

    def send(self, connection: TcpConnection, data: bytes | PacketBuffer, now: float) -> None:
        """Queue client data; see `TcpConnection.send`."""
        self._now = now
        connection.send(data)
        self._plan(connection)

    def acknowledge(self, connection: TcpConnection, count: int, now: float) -> None:
        """The client has taken `count` bytes; see `TcpConnection.acknowledge`."""
        self._now = now
        connection.acknowledge(count, now)
        self._plan(connection)

    def shutdown_write(self, connection: TcpConnection, now: float) -> None:
        """The client sends no more but still reads; see `TcpConnection.shutdown_write`."""
        self._now = now
        connection.shutdown_write(now)
        self._plan(connection)

    def close(self, connection: TcpConnection, now: float) -> None:
        """The client is gone; see `TcpConnection.close`."""
        self._now = now
        connection.close(now)
        self._plan(connection)

    def abort(self, connection: TcpConnection, text: str, now: float) -> None:
        """Cut the connection off; see `TcpConnection.abort`."""
        self._now = now
        connection.abort(CloseCause.ABORTED, text)
        self._plan(connection)

    def fail(self, reason: str, now: float) -> None:
        """The link is lost: end every connection and report `SessionFailed`. Idempotent."""
        self._now = now
        if self.state is SessionState.FAILED:
            return
        self._set_state(SessionState.FAILED)
        self._lose_connections(reason)
        self._emit(SessionFailed(reason))

    # Inside: state and bookkeeping.

    def _begin_handshake(self, now: float) -> None:
        self._reader = PacketReader(version=1)
        self._search = VersionSearch()
        self._link_count = LinkCount()
        self._handshake_deadline = now + self.settings.handshake_timeout_s
        self._version_due = now + self.settings.version_repeat_s
        self._version_repeats = 0
        self._link_packets = deque([_OFFER])
        self._packet_deadline = None
        self._stray_resets.clear()
        for local_port in self._unsent_resets:
            self._ports.release(local_port, now, rest=True)
        self._unsent_resets.clear()
        self._control_turns.clear()
        self._tx_seq = 0

    def _resynchronise(self, reason: str, now: float) -> None:
        """The framing is lost: begin anew with VERSION, which makes the phone forget everything too (M4)."""
        if self.state is not SessionState.READY or self._resynchronisations >= MAX_RESYNCHRONISATIONS:
            self.fail(reason, now)
            return
        self._resynchronisations += 1
        self._lose_connections(reason)
        self._begin_handshake(now)
        self._set_state(SessionState.HANDSHAKE)
        self._emit(ResynchronisationBegun(reason))

    def _lose_connections(self, reason: str) -> None:
        for connection in [*self._connections.values(), *self._unsent_resets.values()]:
            connection.link_lost(reason)

    def _set_state(self, state: SessionState) -> None:
        if state not in _EDGES[self.state]:
            raise LocalProtocolError(f"session: no way from {self.state.name} to {state.name}")
        self.state = state

    def _emit(self, event: Event) -> None:
        if isinstance(event, DataReceived):
            for piece in event.pieces:
                self._data_arrived(event.connection, piece)
            return
        if isinstance(event, ConnectionClosed):
            connection = event.connection
            del self._connections[connection.local_port]
            self._data_turns.forget(connection)
            # A phone that has reset the connection is done with the port; otherwise it may not know yet (T16).
            if connection.wants_control:
                self._unsent_resets[connection.local_port] = connection
            else:
                rest = event.cause not in (CloseCause.RESET, CloseCause.REFUSED)
                self._ports.release(connection.local_port, self._now, rest=rest)
        self._events.append(event)

    def _data_arrived(self, connection: TcpConnection, data: memoryview | bytes) -> None:
        if (waiting := self._arrived.get(connection)) is not None:
            waiting.append(data)
        else:
            pieces = self._arrived[connection] = [data]
            self._events.append(DataReceived(connection, pieces))

    def _plan(self, connection: TcpConnection) -> None:
        """Queue the connection for what it wants to send, behind those that wait already."""
        if connection.wants_control:
            self._control_turns.setdefault(connection)
        if connection.queue.length and (count := connection.sendable):
            self._data_turns.join(connection, min(count, self._max_payload))
        if connection.deadline_moved:
            connection.deadline_moved = False
            self._timers.plan(connection)

    def _limit_packet(self, now: float, *, is_new: bool) -> None:
        """A length that was no length may wait for 64 KiB that never come, and everything behind it with it."""
        if not self._reader.pending or self.state is not SessionState.READY:
            self._packet_deadline = None
        elif is_new:
            self._packet_deadline = now + self.settings.packet_timeout_s

    def _handle_handshake_timer(self, now: float) -> None:
        if now >= self._handshake_deadline:
            came = f", only {self._search.skipped} bytes of something else" if self._search.skipped else ""
            self.fail(f"no answer to VERSION within {self.settings.handshake_timeout_s:g} s{came}", now)
        elif now >= self._version_due:
            self._version_due = now + self.settings.version_repeat_s
            if not self._link_packets:  # the last one was sent, so a further one can help
                self._version_repeats += 1
                self._link_packets.append(_OFFER)

    # Inside: what goes out.

    @property
    def _max_payload(self) -> int:
        return self.settings.max_packet_length - HEADER_LENGTH[self._reader.version] - TCP_HEADER_LENGTH

    def _next_control_segment(self) -> Segment | None:
        while self._control_turns:
            connection, _ = self._control_turns.popitem(last=False)
            if (segment := connection.control_segment()) is not None:
                if self._unsent_resets.pop(connection.local_port, None) is not None:
                    self._ports.release(connection.local_port, self._now, rest=True)
                self._plan(connection)
                return segment
        return None

    def _next_data_packet(self) -> bytes | memoryview | None:
        while (connection := self._data_turns.next()) is not None:
            if (taken := connection.data_segment(self._max_payload)) is not None:
                segment, buffer = taken
                self._data_turns.spend(connection, len(segment.payload))
                if connection.queue.length and (count := connection.sendable):
                    self._data_turns.join(connection, min(count, self._max_payload))
                return self._encode(segment, buffer)
        return None

    def _encode(self, segment: Segment, buffer: PacketBuffer | None = None) -> bytes | memoryview:
        if self._reader.version == 1:
            return encode_v1(MuxProtocol.TCP, segment.encode())
        headers = pack_headers(segment, len(segment.payload), self._tx_seq, self._link_count.last)
        self._tx_seq = (self._tx_seq + 1) % 0x10000
        if buffer is None:
            return b"".join((headers, segment.payload)) if segment.payload else headers
        packet = buffer.packet
        packet[:HEADERS_LENGTH] = headers
        return packet

    def _encode_packet(self, protocol: MuxProtocol, payload: bytes) -> bytes:
        if self._reader.version == 1:
            return encode_v1(protocol, payload)
        packet = encode_v2(protocol, payload, self._tx_seq, self._link_count.last)
        self._tx_seq = (self._tx_seq + 1) % 0x10000
        return packet

    # Inside: what comes in.

    def _receive_during_handshake(self, data: bytes | memoryview) -> bytes:
        """Look for the answer to VERSION; return what came behind it."""
        found = self._search.receive_data(data)
        if found is None:
            return b""
        version, rest = found
        if version.major not in HEADER_LENGTH:
            raise RemoteProtocolError(f"mux version {version.major}.{version.minor} is not supported")
        if self._search.skipped:
            self._emit(PacketIgnored(f"{self._search.skipped} bytes before VERSION"))
        # A repeated VERSION that was not sent yet would make the phone begin anew behind SETUP.
        if self._version_repeats:
            self._link_packets.clear()
        self._reader.version = version.major
        if version.major >= 2:
            self._link_packets.append(self._encode_packet(MuxProtocol.SETUP, SETUP_PAYLOAD))
        self._set_state(SessionState.READY)
        self._emit(HandshakeCompleted(version.major))
        return rest

    def _receive_packets(self, data: memoryview) -> None:
        reader, offset, end = self._reader, 0, len(data)
        is_new = not reader.pending
        while offset < end:
            if reader.version == 2 and not reader.pending:
                offset = self._run.take(data, offset, self._link_count, self._now)
                if offset == end:
                    break
            packet, offset = reader.next_packet(data, offset)
            if packet is not None:
                is_new = True
                self._receive_packet(packet)
        if reader.pending or self._packet_deadline is not None:
            self._limit_packet(self._now, is_new=is_new)

    def _receive_packet(self, packet: Packet) -> None:
        is_counted = self._reader.version == 2 and packet.protocol != MuxProtocol.VERSION
        if is_counted and (gap := self._link_count.receive(packet.tx_seq)) is not None:
            self._receive_behind_gap(gap)
        match packet.protocol:
            case MuxProtocol.TCP:
                self._receive_segment(packet.payload)
            case MuxProtocol.CONTROL:
                self._receive_control(packet.payload)
            case other:
                self._emit(PacketIgnored(f"protocol {other}, {len(packet.payload)} bytes of payload"))

    def _receive_behind_gap(self, gap: str) -> None:
        """Packets are missing, and nobody knows whose they were (M7)."""
        self._emit(PacketIgnored(gap))
        for connection in list(self._connections.values()):
            connection.abort(CloseCause.VIOLATED, gap)
            self._plan(connection)

    def _receive_control(self, payload: memoryview | bytes) -> None:
        kind = payload[0] if payload else 0
        text = bytes(payload[1 : MAX_TEXT_LENGTH + 1]).decode("utf-8", "replace").strip("\0\r\n ")
        self._emit(DeviceMessage(kind, "".join(c if c.isprintable() else "?" for c in text)))

    def _receive_segment(self, payload: memoryview | bytes) -> None:
        try:
            segment = Segment.decode(payload)
        except RemoteProtocolError as error:
            self._emit(PacketIgnored(str(error)))
            return
        connection = self._connections.get(segment.destination_port)
        if connection is not None and connection.remote_port == segment.source_port:
            connection.receive_segment(segment, self._now)
            self._plan(connection)
        else:
            self._receive_stray(segment)

    def _receive_stray(self, segment: Segment) -> None:
        """RST for what we know nothing of; silence for what may still come after our own RST (T5, T16)."""
        port = segment.destination_port
        is_ended = port in self._unsent_resets or self._ports.is_resting(port, self._now)
        if segment.flags & Flags.RST or (is_ended and not segment.flags & Flags.SYN):
            return
        ports = (port, segment.source_port)
        if ports not in self._stray_resets:
            if len(self._stray_resets) >= MAX_STRAY_RESETS:
                return  # without a word: words about a flood are another flood
            self._emit(PacketIgnored(f"no such connection: {segment}"))
        ack = seq_add(segment.seq, len(segment.payload) + (1 if segment.flags & Flags.SYN else 0))
        self._stray_resets[ports] = Segment(*ports, segment.ack, ack, Flags.RST, self.settings.receive_window)
