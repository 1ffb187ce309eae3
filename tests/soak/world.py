"""A phone, a cable, a session and its clients, on a clock of their own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tests.soak.cable import Cable, Fault
from tests.soak.phone import CLOSED_PORT, Phone
from tests.soak.stream import Stream, content
from usbmux.mux.events import (
    CloseCause,
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
from usbmux.mux.session import MuxSession, SessionState
from usbmux.mux.tcp_state import TcpState

if TYPE_CHECKING:
    from collections import Counter
    from random import Random

    from usbmux.mux.connection import TcpConnection
    from usbmux.mux.settings import MuxSettings
    from usbmux.testing.options import PhoneOptions

FIRST_TRANSFERS: Final = 50
"""In which the answer to VERSION and the two packets after it have surely come."""


class World:
    """Everything that there is during one life, with the rules that hold at every moment."""

    def __init__(
        self,
        random: Random,
        cable: Cable,
        version: int,
        options: PhoneOptions,
        settings: MuxSettings,
        counts: Counter[str],
    ) -> None:
        self.now = 1000.0
        self.random: Final = random
        self.cable: Final = cable
        self.version: Final = version
        self.options: Final = options
        self.settings: Final = settings
        self.counts: Final = counts
        self.live: list[Stream] = []
        """Those of which at least one end is open."""
        self.is_framing_suspect = False
        """A host died amid a transfer, so the phone may take the next one for its rest."""
        self._transfers = 0
        """Since the session began, or began anew."""
        self._is_count_doubtful = False
        """Whether the first packets may have been lost or doubled, so that the phone is taken not to count."""
        self._is_losing = False
        self._is_taking = False
        self._streams: dict[int, Stream] = {}
        """Of the session at hand, by source port."""
        self._rest_ends: dict[int, float] = {}
        self._number = 0
        self.phone: Final = Phone(self)
        self.plug_in()

    @property
    def is_suspect(self) -> bool:
        """Whether something was lost or doubled, so that connections may end because of it."""
        return bool(self.cable.faults) or self.is_framing_suspect

    @property
    def stream_count(self) -> int:
        """Connections that are or were open since the last `rest`."""
        return len(self._streams)

    def stream_at(self, local_port: int) -> Stream | None:
        """The last one with that source port."""
        return self._streams.get(local_port)

    def rest(self) -> None:
        """Everything has ended; begin anew with a good name."""
        assert not self.live
        assert not self.phone.violations or self.is_suspect
        self.phone.violations.clear()
        self.phone.forget_streams()
        self.cable.mend()
        self.is_framing_suspect = False
        self._streams.clear()

    # The cable's two ends come and go.

    def plug_in(self) -> None:
        """A new phone, as far as one can tell, and a new session for it."""
        self.cable.clear()
        self.phone.plug_in()
        self.begin_session()

    def begin_session(self) -> None:
        """A host that knows nothing of the one before, with whatever the phone and the cable still hold."""
        self._streams.clear()
        self._rest_ends.clear()
        self.live.clear()
        self.phone.forget_streams()
        self.session = MuxSession(self.now, self.settings)
        self._began_s = self.now
        self._transfers = 0
        self._is_count_doubtful = False
        self.counts["sessions"] += 1

    def begin_session_again(self) -> None:
        """After one that failed, or died: of what is under way some is for the one before."""
        self.is_framing_suspect = True
        self.begin_session()

    def fail_session(self) -> None:
        """The host hears that the cable is gone."""
        self._is_losing = True
        self.session.fail("unplugged", self.now)
        self.take_events()
        self._is_losing = False
        assert all(stream.cause is not None for stream in self._streams.values()), "open on a cable that is gone"

    # Connections.

    def connect(self, port: int) -> Stream:
        assert self.session.state is SessionState.READY
        connection = self.session.connect(port, self.now)
        local_port = connection.local_port
        assert 0 < local_port < 65536, "port 0"
        older = self._streams.get(local_port)
        assert older is None or older.is_over, "a source port that is in use"
        assert self._rest_ends.get(local_port, 0.0) <= self.now, "a source port in its quarantine"
        self._number += 1
        is_eager = self.random.random() < 0.3
        salt = self.random.randrange(65521)
        stream = Stream(self._number, salt, connection, self.now, is_eager, is_refused=port == CLOSED_PORT)
        self._streams[local_port] = stream
        self.live.append(stream)
        self.take_events()
        return stream

    def client_writes(self, stream: Stream, count: int) -> int:
        """As much of that as the client was told it may; the number of bytes."""
        if not stream.may_write or stream.is_shut or stream.is_gone or stream.cause is not None:
            return 0
        count = min(count, stream.connection.send_room)
        data = content(stream.salt, stream.written, count)
        egress, first = self.session.egress, self.session.egress.headers_length
        is_next = not (egress.may_have_packet or stream.connection.queue.length)
        if count % 2 == 0 and is_next and 0 < count <= self.settings.max_packet_length - first:
            buffer = memoryview(bytearray(first) + data)
            self._put_on_cable(buffer[: self.session.send_at_once(stream.connection, buffer, count)])
        else:
            self.session.send(stream.connection, data, self.now)
        stream.written += count
        stream.may_write = stream.connection.send_room > 0
        self.take_events()
        return count

    def client_offers(self, stream: Stream, count: int) -> bool:
        """It keeps that much until its turn; whether it may."""
        if not stream.may_write or stream.is_shut or stream.is_gone or stream.cause is not None:
            return False
        stream.kept = count
        self.session.offer(stream.connection, count)
        self.take_events()
        return True

    def client_takes(self, stream: Stream, count: int) -> None:
        count = min(count, stream.received - stream.taken)
        if count and not stream.is_gone and stream.cause is None:
            stream.taken += count
            self.session.acknowledge(stream.connection, count, self.now)
            self.take_events()

    def client_shuts_down(self, stream: Stream) -> None:
        stream.is_shut = stream.is_shut or stream.connection.state is TcpState.ESTABLISHED
        self.session.shutdown_write(stream.connection, self.now)
        self.take_events()

    def client_closes(self, stream: Stream) -> None:
        stream.is_gone = True
        stream.may_be_dropped = stream.connection.state is TcpState.SYN_SENT
        self.session.close(stream.connection, self.now)
        self.take_events()

    def client_aborts(self, stream: Stream) -> None:
        stream.is_gone = stream.may_be_dropped = True
        self.session.abort(stream.connection, "enough", self.now)
        self.take_events()

    # The clock and the cable.

    def pass_time(self, seconds: float) -> None:
        # No bus holds back the rest of a packet for seconds.
        while self._is_rest_late(self.now + seconds) and self.cable.to_host:
            self.give_to_host(self.cable.take_transfer())
        self.now += seconds
        deadline = self.session.deadline
        if deadline is not None and deadline <= self.now:
            self.session.handle_timer(self.now)
            self.take_events()
            deadline = self.session.deadline
        assert deadline is None or deadline > self.now, "a deadline that has passed already"

    def _is_rest_late(self, now: float) -> bool:
        deadline = self.session._ingress.deadline
        return deadline is not None and deadline <= now

    def pull_packet(self) -> bool:
        """The session's next packet goes on the cable, if there is one."""
        while (packet := self.session.packet_to_send(self.now)) is None:
            if (connection := self.session.egress.granted) is None:
                return False
            if self._takes_its_turn(connection):
                return True
            self.session.egress.granted = None
        self._put_on_cable(packet)
        return True

    def _takes_its_turn(self, connection: TcpConnection) -> bool:
        stream, first = self._streams[connection.local_port], self.session.egress.headers_length
        assert stream.connection is connection, "a turn for a connection that is over"
        assert stream.kept, "a turn without an offer"
        count = min(stream.kept, connection.send_room, self.settings.max_packet_length - first)
        stream.kept = 0
        if not count or stream.is_shut or stream.is_gone:
            return False
        buffer = memoryview(bytearray(first) + content(stream.salt, stream.written, count))
        self._put_on_cable(buffer[: self.session.send_at_once(connection, buffer, count)])
        stream.written += count
        stream.may_write = connection.send_room > 0
        return True

    def _put_on_cable(self, packet: bytes | memoryview) -> None:
        assert len(packet) <= self.settings.max_packet_length, "a packet that is too long"
        self.cable.to_phone.append(bytes(packet))

    def give_to_host(self, transfer: bytes) -> None:
        self._transfers += 1
        if self._transfers < FIRST_TRANSFERS and self.is_suspect:
            self._is_count_doubtful = True
        self.session.receive_pieces([transfer], self.now)
        self.take_events()

    def give_to_phone(self) -> None:
        self.cable.give_to_phone(self.phone.mux)
        self.phone.take_events()
        assert not self.phone.violations or self.is_suspect, f"the host broke a rule: {self.phone.violations[0]}"

    # What the session reports.

    def take_events(self) -> None:
        """What handlers bring about is taken by the call under way."""
        if self._is_taking:
            return
        self._is_taking = True
        while (event := self.session.next_event()) is not None:
            self._handle(event)
        self._is_taking = False

    def _handle(self, event: Event) -> None:
        match event:
            case DataReceived(connection, pieces):
                data = b"".join(pieces)
                stream = self._streams[connection.local_port]
                assert stream.connection is connection
                stream.client_receives(data, may_be_damaged=Fault.CUT_IN in self.cable.faults)
                if stream.is_eager:
                    self.client_takes(stream, len(data))
            case SendRoomOpened(connection):
                self._streams[connection.local_port].may_write = True
            case ConnectionEstablished(connection):
                self._streams[connection.local_port].may_write = connection.send_room > 0
            case ConnectionClosed(connection, cause):
                stream = self._streams[connection.local_port]
                assert stream.connection is connection
                self._close(stream, cause)
            case ResynchronisationBegun() | SessionFailed():
                is_late = self.now >= self._began_s + self.settings.handshake_timeout_s
                assert self._is_losing or self.is_suspect or is_late, f"without a reason: {event}"
                self.counts["sessions begun anew or failed"] += 1
                self._transfers = 0
            case HandshakeCompleted(version):
                assert version == self.version or self.is_suspect
            case PacketIgnored():
                self.counts["packets ignored"] += 1
            case DeviceMessage():
                self.counts["control packets"] += 1

    def _close(self, stream: Stream, cause: CloseCause) -> None:
        assert stream.cause is None, "ended twice"
        if cause is CloseCause.LOST and self._is_losing:
            pass
        elif not self.is_suspect:
            stream.check_cause(cause, self.now, self.settings.syn_timeout_s)
        else:
            self._check_suspect_end(stream, cause)
        stream.cause = cause
        self.counts["streams with wrong bytes behind a cut"] += stream.is_damaged
        self.counts[f"ended: {cause.name}"] += 1
        if cause not in (CloseCause.RESET, CloseCause.REFUSED):
            self._rest_ends[stream.connection.local_port] = self.now + self.settings.quarantine_s
        if stream.is_over:
            self.live.remove(stream)

    def _check_suspect_end(self, stream: Stream, cause: CloseCause) -> None:
        """What holds whatever the cable did."""
        if Fault.CUT_IN not in self.cable.faults:
            is_false = cause is CloseCause.FINISHED and stream.phone_received != stream.written
            assert not is_false, "finished, but not everything has arrived"
        elif stream.is_damaged and not stream.is_gone and cause in (CloseCause.RESET, CloseCause.FINISHED):
            # What was lost and what filled its place may be equally long. Only the counts of version 2 tell.
            assert self.version == 1 or self._is_count_doubtful, "wrong bytes, and an end as if all were well"
            self.counts["streams with wrong bytes that nobody can notice"] += 1
