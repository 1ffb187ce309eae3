"""One pseudo-TCP connection, the host's side.

Two laws: every decision about the connection is taken here; nothing here knows of sockets, transfers or clocks.

Theory of operation. The link neither loses nor reorders, so there is no retransmission: a segment that is not
exactly the next one means that something broke, and ends the connection with RST (T7). Flow control towards the
phone is its window (T6); towards us it is the acknowledgement, which is given for bytes that the client has
taken, while the advertised window never changes (T9). There is no FIN: when our side ends (`shutdown_write`,
`close`), what is queued still goes out, and RST follows only after the phone has acknowledged it all (T12 to T14).

The rules T1 to T16 are those of docs/protocol/mux.md. Sequence variables carry RFC 9293's names.
"""

from collections.abc import Callable
from typing import Final, assert_never

from usbmux.errors import LocalProtocolError
from usbmux.mux.events import CloseCause, ConnectionClosed, ConnectionEstablished, DataReceived, Event, SendRoomOpened
from usbmux.mux.segment import ACK, MAX_REASON_LENGTH, RST, SYN, WINDOW_SHIFT, Segment, reset_text, seq_add, seq_diff
from usbmux.mux.send_buffer import SendBuffer
from usbmux.mux.settings import MuxSettings
from usbmux.mux.tcp_state import EDGES, TcpState

_ESTABLISHED: Final = TcpState.ESTABLISHED  # to look up a member takes as long as to call a function
_HALF_CLOSED: Final = TcpState.HALF_CLOSED
_DRAINING: Final = TcpState.DRAINING
_MASK: Final = 0xFFFFFFFF


class TcpConnection:
    """One connection to a port of the phone. Driven by `MuxSession`; read-only for everybody else."""

    def __init__(
        self, local_port: int, remote_port: int, settings: MuxSettings, emit: Callable[[Event], None], now: float
    ) -> None:
        self.local_port: Final = local_port
        self.remote_port: Final = remote_port
        self.state = TcpState.SYN_SENT
        self.snd_una = 0
        """First byte that the phone has not acknowledged."""
        self.snd_nxt = 0
        """First byte that was not sent yet. Our initial sequence number is 0."""
        self.snd_wnd = 0
        """The phone's window, counted from `snd_una`."""
        self.rcv_nxt = 0
        """The byte that the next segment must begin with."""
        self.rcv_taken = 0
        """First byte that the client has not taken: the acknowledgement that we owe."""
        self.rcv_acked = 0
        """The acknowledgement that we sent last."""
        self.rcv_wnd: Final = settings.receive_window
        self.window_field: Final = min(settings.receive_window >> WINDOW_SHIFT, 0xFFFF)  # `rcv_wnd` in a segment
        self._settings: Final = settings
        self._acknowledge_bytes: Final = int(settings.receive_window * settings.acknowledge_share)
        self._emit: Final = emit
        self.queue: Final = SendBuffer()
        """What waits for the phone's window."""
        self.offered = 0
        """How many bytes the client has that stay with it until their turn: see `MuxSession.offer`."""
        self.is_established = False
        """Whether the state is ESTABLISHED."""
        self.send_room = 0
        """How many bytes `send` takes now: the phone's window less what is in flight or queued."""
        self.wants_control = True
        """Whether a SYN, an acknowledgement or a RST is due, which goes before all data."""
        self.deadline_moved = True
        """Whether there is a deadline before those that are planned, since this was last cleared."""
        self.planned: list[tuple[float, int]] = []
        """See `HasDeadline`."""
        self._syn_due = True
        self._reset_due: bytes | None = None
        self._acknowledge_deadline: float | None = None
        self._probe_deadline: float | None = None
        """When to ask a phone that has shut its window; None while it is open."""
        self._probe_pause_s = 0.0
        self._deadline: float | None = now + settings.syn_timeout_s
        """For the answer to SYN, then none; the end of the linger time once our side has ended."""

    def __str__(self) -> str:
        return f"{self.local_port} > {self.remote_port} {self.state.name}"

    # What the session and the shell ask.

    @property
    def deadline(self) -> float | None:
        """When `handle_timer` wants to be called."""
        earliest = self._deadline
        for other in (self._acknowledge_deadline, self._probe_deadline):
            if earliest is None or (other is not None and other < earliest):
                earliest = other
        return earliest

    @property
    def sendable(self) -> int:
        """How many queued bytes fit into the phone's window."""
        return min(self.queue.length, max(self._usable_window(), 0))

    # What the client does.

    def send(self, data: bytes) -> None:
        """Queue bytes of the client.

        Raises:
            LocalProtocolError: Not established, or more than `send_room`.
        """
        count = len(data)
        if count > self.send_room or not self.is_established:
            raise LocalProtocolError(f"{self}: {count} bytes do not fit into send room {self.send_room}")
        self.send_room -= count
        self.queue.append(data)

    def send_now(self, count: int) -> int:
        """As `send` and `take_data` together, for `count` bytes while nothing is queued.

        Returns:
            The sequence number.
        """
        # The helpers' calls are spared, as in `receive_ordinary`.
        if count > self.send_room or not self.is_established:
            raise LocalProtocolError(f"{self}: {count} bytes do not fit into send room {self.send_room}")
        self.send_room -= count
        seq, self.snd_nxt = self.snd_nxt, (self.snd_nxt + count) & _MASK
        self.rcv_acked = self.rcv_taken
        self.wants_control = False
        self._acknowledge_deadline = None
        return seq

    def acknowledge(self, count: int, now: float) -> None:
        """Say that the client has taken `count` more bytes. No effect once nobody is left to take them.

        Raises:
            LocalProtocolError: More than was reported and not yet acknowledged.
        """
        if not self.is_established:
            if self.state is TcpState.DRAINING or self.state is TcpState.CLOSED:
                return
            if count:
                self._note_progress(now)
        if not 0 <= count <= (self.rcv_nxt - self.rcv_taken) & _MASK:
            raise LocalProtocolError(f"{self}: acknowledging {count} bytes that were not received")
        if count:
            self.rcv_taken = (self.rcv_taken + count) & _MASK
            self._plan_acknowledgement(now)

    def shutdown_write(self, now: float) -> None:
        """The client sends no more but still reads (T13). No effect unless established."""
        if self.state is TcpState.ESTABLISHED:
            self._set_state(TcpState.HALF_CLOSED)
            self._note_progress(now)

    def close(self, now: float) -> None:
        """The client is gone (T12, T14). What it wrote before still goes out; the RST comes last."""
        match self.state:
            case TcpState.SYN_SENT:
                self._end(CloseCause.ABORTED, "")
            case TcpState.ESTABLISHED | TcpState.HALF_CLOSED:
                self._set_state(TcpState.DRAINING)
                self._note_progress(now)
                self._take_everything(now)
                self._finish_if_drained()
            case TcpState.DRAINING | TcpState.CLOSED:
                pass
            case _:
                assert_never(self.state)

    def abort(self, cause: CloseCause, text: str) -> None:
        """End the connection now, with an RST that carries `text`, and drop what is queued. Idempotent."""
        if self.state is not TcpState.CLOSED:
            if not self._syn_due:  # otherwise the phone knows nothing of it
                self._reset_due = text.encode("utf-8", "replace")[:MAX_REASON_LENGTH]
            self._end(cause, text)

    def link_lost(self, reason: str) -> None:
        """The way to the phone is gone, for a reset that was not sent yet as well. Idempotent."""
        self._reset_due = None
        self.wants_control = False
        if self.state is not TcpState.CLOSED:
            self._end(CloseCause.LOST, reason)

    # What the phone does.

    def receive_segment(self, segment: Segment, now: float) -> None:
        """Take a segment that the phone sent to this connection."""
        match self.state:
            case TcpState.SYN_SENT:
                self._receive_answer_to_syn(segment, now)
            case TcpState.ESTABLISHED | TcpState.HALF_CLOSED | TcpState.DRAINING:
                if segment.flags & RST:
                    self._end(CloseCause.RESET, reset_text(segment))
                elif (wrong := self._violation(segment)) is not None:
                    self.abort(CloseCause.VIOLATED, wrong)
                else:
                    self._receive_acknowledgement(segment.ack, segment.window, now)
                    self._receive_payload(segment, now)
                    self._finish_if_drained()
            case TcpState.CLOSED:
                pass
            case _:
                assert_never(self.state)

    def receive_ordinary(self, seq: int, ack: int, window: int, count: int, now: float) -> bool:
        """Take a segment with the one flag ACK and `count` bytes, if it is what an established connection expects.

        What it takes it takes as `receive_segment` does, but for the data, which the caller has to report.

        Returns:
            Whether it was taken. If not, nothing has changed, and `receive_segment` has to decide.
        """
        # This runs for every packet, so the helpers' calls are spared: the differences here cannot be negative.
        if not self.is_established or seq != self.rcv_nxt or count > self.rcv_wnd - ((seq - self.rcv_acked) & _MASK):
            return False
        if ack != self.snd_una or window != self.snd_wnd:
            unacknowledged = (self.snd_nxt - ack) & _MASK
            if unacknowledged > (self.snd_nxt - self.snd_una) & _MASK:
                return False
            if not window or self._probe_deadline is not None or self.queue.length:
                self._receive_acknowledgement(ack, window, now)
            else:
                self.snd_una = ack
                self.snd_wnd = window
                room, was_full = window - unacknowledged, not self.send_room
                self.send_room = room if room > 0 else 0
                if was_full and room > 0:
                    self._emit(SendRoomOpened(self))
        self.rcv_nxt = (seq + count) & _MASK
        return True

    def handle_timer(self, now: float) -> None:
        """Act on deadlines that have passed."""
        if self._acknowledge_deadline is not None and now >= self._acknowledge_deadline:
            self._acknowledge_deadline = None
            self.wants_control = True
        if self._probe_deadline is not None and now >= self._probe_deadline:
            self.wants_control = True
            self._probe_pause_s = min(2 * self._probe_pause_s, self._settings.longest_zero_window_probe_s)
            self._probe_deadline = now + self._probe_pause_s
        if self._deadline is None or now < self._deadline:
            return
        if self.state is TcpState.SYN_SENT:
            self._end(CloseCause.UNANSWERED, f"no answer to SYN within {self._settings.syn_timeout_s:g} s")
        else:  # only a connection that our side has ended has a deadline besides
            self._reset_due = b""
            self._end(CloseCause.EXPIRED, f"nothing moved for {self._settings.linger_s:g} s after the end")

    # What goes out.

    def control_segment(self) -> Segment | None:
        """The SYN, RST or acknowledgement that is due, if it still is."""
        if self._reset_due is not None:
            text, self._reset_due = self._reset_due, None
            return self._segment(RST, text)
        if self._syn_due:
            self._syn_due = False
            segment = self._segment(SYN)
            self.snd_nxt = seq_add(self.snd_nxt, 1)
            return segment
        return self._segment(ACK) if self.wants_control else None

    def take_data(self, max_count: int) -> tuple[int, bytes | memoryview] | None:
        """The queued data that goes out now: at most `max_count` bytes and never beyond the phone's window.

        Returns:
            The sequence number and the data of the segment, if there is any. Its acknowledgement is `rcv_acked`, its
            only flag ACK.
        """
        count = min(self.sendable, max_count)
        if not count:
            return None
        seq, self.snd_nxt = self.snd_nxt, (self.snd_nxt + count) & _MASK
        self._note_acknowledgement()
        return seq, self.queue.take(count)

    # Inside.

    def _set_state(self, state: TcpState) -> None:
        if state not in EDGES[self.state]:
            raise LocalProtocolError(f"{self}: no way to {state.name}")
        self.state = state
        self.is_established = state is _ESTABLISHED
        self._measure_room()

    def _end(self, cause: CloseCause, text: str) -> None:
        self._set_state(TcpState.CLOSED)
        self.queue.clear()
        self._syn_due = False
        self.wants_control = self._reset_due is not None
        self._deadline = self._acknowledge_deadline = self._probe_deadline = None
        self._emit(ConnectionClosed(self, cause, text))

    def _note_acknowledgement(self) -> None:
        """Every segment carries the acknowledgement that we owe (T10)."""
        self.rcv_acked = self.rcv_taken
        self.wants_control = False
        self._acknowledge_deadline = None

    def _segment(self, flags: int, payload: bytes | memoryview = b"") -> Segment:
        self._note_acknowledgement()
        return Segment(self.local_port, self.remote_port, self.snd_nxt, self.rcv_taken, flags, self.rcv_wnd, payload)

    def _usable_window(self) -> int:
        """May be negative after the phone has shrunk its window."""
        return self.snd_wnd - ((self.snd_nxt - self.snd_una) & _MASK)

    def _set_window(self, window: int, now: float) -> None:
        self.snd_wnd = window
        if window:
            self._probe_deadline = None
        elif self._probe_deadline is None:
            self._probe_pause_s = self._settings.zero_window_probe_s
            self._probe_deadline = now + self._probe_pause_s
            self.deadline_moved = True

    def _measure_room(self) -> None:
        room = self._usable_window() - self.queue.length if self.is_established else 0
        self.send_room = room if room > 0 else 0

    def _note_progress(self, now: float) -> None:
        """After our side has ended, only silence for the whole linger time gives up (T14)."""
        if self.state is _DRAINING or self.state is _HALF_CLOSED:
            self._deadline = now + self._settings.linger_s
            self.deadline_moved = True

    def _plan_acknowledgement(self, now: float) -> None:
        """Much was taken: at once. Less: soon, so that data may carry it (T10)."""
        if (self.rcv_taken - self.rcv_acked) & _MASK >= self._acknowledge_bytes:
            self.wants_control = True
        elif self._acknowledge_deadline is None:
            self._acknowledge_deadline = now + self._settings.acknowledge_delay_s
            if not self.planned or self._acknowledge_deadline < self.planned[-1][0]:
                self.deadline_moved = True

    def _take_everything(self, now: float) -> None:
        """Nobody reads any more, but a phone that waits for its window would not read either."""
        if self.rcv_taken != self.rcv_nxt:
            self.rcv_taken = self.rcv_nxt
            self._plan_acknowledgement(now)

    def _finish_if_drained(self) -> None:
        if self.state is _DRAINING and not self.queue.length and self.snd_una == self.snd_nxt:
            self._reset_due = b""
            self._end(CloseCause.FINISHED, "")

    def _receive_answer_to_syn(self, segment: Segment, now: float) -> None:
        if self._syn_due:
            self.abort(CloseCause.VIOLATED, f"expected nothing before our SYN, got {segment}")
        elif segment.flags & RST:
            self._end(CloseCause.REFUSED, reset_text(segment))
        elif segment.flags != SYN | ACK or segment.ack != self.snd_nxt or segment.payload:
            self.abort(CloseCause.VIOLATED, f"expected SYN+ACK with ack {self.snd_nxt}, got {segment}")
        else:
            self.snd_una = segment.ack
            self._set_window(segment.window, now)
            self.rcv_nxt = self.rcv_taken = seq_add(segment.seq, 1)
            self.rcv_acked = self.rcv_nxt
            self._deadline = None
            self.wants_control = True
            self._set_state(TcpState.ESTABLISHED)
            self._emit(ConnectionEstablished(self))

    def _violation(self, segment: Segment) -> str | None:
        """What is wrong with a segment of an open connection, in words for the phone's log and ours (T7)."""
        if segment.flags != ACK:
            return f"expected flags ACK, got {segment}"
        if segment.seq != self.rcv_nxt:
            return f"expected seq {self.rcv_nxt}, got {segment}"
        room = self.rcv_wnd - seq_diff(self.rcv_nxt, self.rcv_acked)
        if len(segment.payload) > room:
            return f"window overrun: room for {room} bytes, got {segment}"
        if seq_diff(segment.ack, self.snd_nxt) > 0:
            return f"expected ack up to {self.snd_nxt}, got {segment}"
        return None

    def _receive_acknowledgement(self, ack: int, window: int, now: float) -> None:
        newly = seq_diff(ack, self.snd_una)
        if newly < 0:
            return  # older than what we know: its window is stale as well (RFC 9293 3.10.7.4)
        if newly:
            self._note_progress(now)
        self.snd_una = ack
        self._set_window(window, now)
        was_full = self.send_room == 0
        self._measure_room()
        if was_full and self.send_room:
            self._emit(SendRoomOpened(self))

    def _receive_payload(self, segment: Segment, now: float) -> None:
        count = len(segment.payload)
        if not count:
            return
        self.rcv_nxt = seq_add(self.rcv_nxt, count)
        self._note_progress(now)
        if self.state is TcpState.DRAINING:
            self._take_everything(now)
        else:
            self._emit(DataReceived(self, [segment.payload]))
