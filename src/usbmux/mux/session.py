"""The whole link to one phone: handshake, demultiplexing, and who sends next.

Bytes of bulk IN transfers go in by `receive_data`; packets for bulk OUT transfers are pulled out by
`packet_to_send` whenever a transfer is free, so that sequence numbers are stamped in one place, acknowledgements
ride on data and no queue can grow. After any call: drain `next_event`, then `packet_to_send`, then look at
`deadline` again. The rules M1 to M14 and T1 to T16 are those of docs/protocol/mux.md.
"""

from collections.abc import Callable, Sequence, Sized
from enum import Enum, auto
from typing import Final

from usbmux.errors import LocalProtocolError, RemoteProtocolError
from usbmux.mux.arrivals import Arrivals
from usbmux.mux.connection import TcpConnection
from usbmux.mux.egress import Egress
from usbmux.mux.events import (
    CloseCause,
    ConnectionClosed,
    DeviceMessage,
    Event,
    HandshakeCompleted,
    PacketIgnored,
    ResynchronisationBegun,
    SessionFailed,
)
from usbmux.mux.handshake import Handshake
from usbmux.mux.ingress import Ingress
from usbmux.mux.link_count import LinkCount
from usbmux.mux.packet import HEADER_LENGTH, MuxProtocol, Packet, phone_text
from usbmux.mux.port_allocator import LAST_PORT, PortAllocator
from usbmux.mux.segment import Flags, Segment, ports_of
from usbmux.mux.settings import MuxSettings
from usbmux.mux.timers import Timers

MAX_TEXT_LENGTH: Final = 1024
MAX_RESYNCHRONISATIONS: Final = 3
"""How often one session begins anew; what happens more often than by accident is a broken phone."""


class SessionState(Enum):
    """Where the link stands."""

    HANDSHAKE = auto()
    READY = auto()
    FAILED = auto()


_HANDSHAKE: Final = SessionState.HANDSHAKE  # to look up a member takes as long as to call a function
_READY: Final = SessionState.READY
_FAILED: Final = SessionState.FAILED
_TCP: Final = int(MuxProtocol.TCP)

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
        self._arrivals = Arrivals()
        self._unsent_resets: dict[int, TcpConnection] = {}
        """Connections that have ended, by source port, which is in use until the phone has been told."""
        self._resynchronisations = 0
        self.next_event: Final[Callable[[], Event | None]] = self._arrivals.next
        """Remove and return what happened, oldest first."""
        self.waiting_events: Final[Sized] = self._arrivals.events
        """False if `next_event` has none."""
        self.deadline_moved = False
        """Whether `deadline` may have come nearer since this was last cleared."""
        self._now = now
        self._begin_handshake(now)

    # The five verbs.

    def receive_pieces(self, pieces: Sequence[bytes | memoryview], now: float) -> None:
        """Take the bytes of bulk IN transfers that ended together."""
        index = offset = 0
        while index < len(pieces):
            self._now = now
            index, offset = self._ingress.take_run(pieces, index, offset, now)
            if index < len(pieces):
                self._receive(memoryview(pieces[index])[offset:], now)
                index, offset = index + 1, 0

    def receive_data(self, data: bytes | memoryview, now: float) -> None:
        """Take the bytes of one bulk IN transfer, however the packets are split over transfers."""
        self.receive_pieces((data,), now)

    def _receive(self, data: memoryview, now: float) -> None:
        """Take what does not begin with an ordinary segment."""
        try:
            if self.state is _HANDSHAKE:
                self._receive_during_handshake(data, now)
            elif self.state is _READY:
                self._receive_packets(data, now)
        except RemoteProtocolError as error:
            shown = f" ({error.data[:16].hex(' ')})" if error.data else ""
            self._resynchronise(f"{error}{shown}", now)
            self.receive_data(error.data, now)  # what is left of the transfer, in the new state

    def packet_to_send(self, now: float) -> bytes | None:
        """The next packet for the phone, or None. Call only when it can be sent at once."""
        self._now = now
        return None if self.state is _FAILED else self.egress.next_packet()

    @property
    def deadline(self) -> float | None:
        """When `handle_timer` wants to be called, or None."""
        if self.state is _READY:
            earliest, of_packet = self._timers.deadline, self._ingress.deadline
            return of_packet if earliest is None or (of_packet is not None and of_packet < earliest) else earliest
        return self._handshake.deadline if self.state is _HANDSHAKE else None

    def handle_timer(self, now: float) -> None:
        """Act on deadlines that have passed."""
        self._now = now
        self.deadline_moved = True
        if self.state is _HANDSHAKE:
            self._handle_handshake_timer(now)
            return
        if self._ingress.deadline is not None and now >= self._ingress.deadline:
            self._resynchronise(f"the rest of a packet did not come within {self.settings.packet_timeout_s:g} s", now)
            return
        while (owner := self._timers.pop_due(now)) is not None:
            owner.handle_timer(now)
            owner.deadline_moved = True  # whatever it has done: the next of its deadlines may never have been planned
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
        if self.state is not _READY:
            raise LocalProtocolError(f"cannot connect in state {self.state.name}")
        local_port = self._ports.allocate(now)
        if local_port is None:
            raise LocalProtocolError("all source ports are in use")
        connection = TcpConnection(local_port, port, self.settings, self._emit, now)
        self._connections[local_port] = connection
        self._plan(connection)
        return connection

    def send(self, connection: TcpConnection, data: bytes, now: float) -> None:
        """Queue client data: at most `TcpConnection.send_room` bytes."""
        self._now = now
        connection.send(data)
        self.egress.plan_data(connection)

    def offer(self, connection: TcpConnection, count: int) -> None:
        """Get in line for data that stays with the client until its turn comes.

        Then `packet_to_send` returns None, and the connection is `granted`: call `send_at_once`, or let it pass, and
        clear it before the next packet is asked for.

        Args:
            connection: Has `send_room`.
            count: How many bytes the next packet will have, about.
        """
        self.egress.offer(connection, count)

    def acknowledge(self, connection: TcpConnection, count: int, now: float) -> None:
        """The client has taken `count` bytes; see `TcpConnection.acknowledge`."""
        self._now = now
        connection.acknowledge(count, now)
        if connection.wants_control or connection.deadline_moved:
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
        """The link is lost: report `SessionFailed`, then the end of every connection. Idempotent."""
        self._now = now
        if self.state is _FAILED:
            return
        self._set_state(SessionState.FAILED)
        self._emit(SessionFailed(reason))
        self._lose_connections(reason)

    # Inside: state and bookkeeping.

    def _begin_handshake(self, now: float) -> None:
        self._handshake = Handshake(now, self.settings)
        self._link_count = LinkCount()
        self._ingress = Ingress(self.settings, self._link_count, self._connections, self._arrivals, changed=self._plan)
        self.egress = Egress(self.settings, self._link_count, control_sent=self._control_sent)
        """To be asked `may_have_packet`, `headers_length` and `granted`, no more."""
        self.send_at_once = self.egress.pass_by
        """As `send` and `packet_to_send`, for data in a buffer behind `headers_length` bytes of room for its headers.

        Call only when the phone can be sent a packet, while the connection's queue is empty and nothing goes before: it
        is `granted`, or `may_have_packet` is false. Returns how long the packet is that stands in the buffer then.
        """
        self.deadline_moved = True
        for local_port in self._unsent_resets:
            self._ports.release(local_port, now, rest=True)
        self._unsent_resets.clear()

    def _resynchronise(self, reason: str, now: float) -> None:
        """The framing is lost: begin anew with VERSION, which makes the phone forget everything too (M4)."""
        if self.state is not _READY or self._resynchronisations >= MAX_RESYNCHRONISATIONS:
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
        if isinstance(event, ConnectionClosed):
            connection = event.connection
            del self._connections[connection.local_port]
            self.egress.forget(connection)
            self._timers.forget(connection)
            # A phone that has reset the connection is done with the port; otherwise it may not know yet (T16).
            if connection.wants_control:
                self._unsent_resets[connection.local_port] = connection
            else:
                rest = event.cause not in (CloseCause.RESET, CloseCause.REFUSED)
                self._ports.release(connection.local_port, self._now, rest=rest)
        self._arrivals.add_event(event)

    def _plan(self, connection: TcpConnection) -> None:
        """Queue the connection for what it wants to send, behind those that wait already."""
        if connection.wants_control or connection.queue.length:
            self.egress.plan(connection)
        if connection.deadline_moved:
            connection.deadline_moved = False
            self._timers.plan(connection)
            self.deadline_moved = True

    def _control_sent(self, connection: TcpConnection) -> None:
        if self._unsent_resets.pop(connection.local_port, None) is not None:
            self._ports.release(connection.local_port, self._now, rest=True)

    def _handle_handshake_timer(self, now: float) -> None:
        if (failure := self._handshake.failure(now)) is not None:
            self.fail(failure, now)
        elif self._handshake.repeats_offer(now, is_sent=self.egress.offer_is_sent):
            self.egress.repeat_offer()

    # Inside: what comes in.

    def _receive_during_handshake(self, data: memoryview, now: float) -> None:
        """Look for the answer to VERSION, and take what comes behind it."""
        found = self._handshake.receive_data(data)
        if found is None:
            return
        version, rest = found
        if version.major not in HEADER_LENGTH:
            raise RemoteProtocolError(f"mux version {version.major}.{version.minor} is not supported")
        if self._handshake.skipped:
            self._emit(PacketIgnored(f"{self._handshake.skipped} bytes before VERSION"))
        self._ingress.use_version(version.major)
        self.egress.use_version(version.major, is_late=bool(self._handshake.repeats))
        self._set_state(SessionState.READY)
        self._emit(HandshakeCompleted(version.major))
        self.receive_data(rest, now)

    def _receive_packets(self, data: memoryview, now: float) -> None:
        deadline = self._ingress.deadline
        for packet in self._ingress.packets(data, now):
            self._receive_packet(packet)
        if self._ingress.deadline != deadline:
            self.deadline_moved = True

    def _receive_packet(self, packet: Packet) -> None:
        protocol, payload, tx_seq, _rx_seq = packet
        is_counted = self._ingress.version == 2 and (protocol == _TCP or protocol != MuxProtocol.VERSION)
        if is_counted and (gap := self._link_count.receive(tx_seq)) is not None:
            self._receive_behind_gap(gap)
        if protocol == _TCP:
            self._receive_segment(payload)
        elif protocol == MuxProtocol.CONTROL:
            self._receive_control(payload)
        else:
            self._emit(PacketIgnored(f"protocol {protocol}, {len(payload)} bytes of payload"))

    def _receive_behind_gap(self, gap: str) -> None:
        """Packets are missing, and nobody knows whose they were (M7)."""
        self._emit(PacketIgnored(gap))
        for connection in list(self._connections.values()):
            connection.abort(CloseCause.VIOLATED, gap)
            self._plan(connection)

    def _receive_control(self, payload: memoryview | bytes) -> None:
        self._emit(DeviceMessage(payload[0] if payload else 0, phone_text(payload[1 : MAX_TEXT_LENGTH + 1])))

    def _receive_segment(self, payload: memoryview | bytes) -> None:
        try:
            segment = Segment.decode(payload)
        except RemoteProtocolError as error:
            remote_port, local_port = ports_of(payload)
            connection = self._connections.get(local_port)
            if connection is None or connection.remote_port != remote_port:
                self._emit(PacketIgnored(str(error)))
                return
            connection.abort(CloseCause.VIOLATED, str(error))  # the data that came with it is lost (T1)
            self._plan(connection)
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
        if self.egress.answer_stray(segment):  # without a word otherwise: words about a flood are another flood
            self._emit(PacketIgnored(f"no such connection: {segment}"))
