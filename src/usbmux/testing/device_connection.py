"""The phone's side of one connection: passive open, flow control, and a check of every segment that comes.

Sans-IO, and written without a look at the host's side: `usbmux.mux.connection` is its peer, not its model.
Names follow RFC 9293. The rules, each broken by the host at its peril (T rules of docs/protocol/mux.md):

- The first segment is a SYN and nothing else, without payload.
- Every later one carries exactly ACK, or RST with or without ACK.
- Its seq is what we expect next: nothing is lost or reordered on USB.
- Its ack is neither older than the last one nor newer than what we sent; the first one covers our SYN.
- Its payload lies within the widest window that we have advertised.
"""

from collections import deque
from collections.abc import Callable
from enum import Enum, auto
from typing import Final, assert_never

from usbmux.errors import LocalProtocolError
from usbmux.mux.segment import MAX_WINDOW, WINDOW_SHIFT, Flags, Segment, seq_add, seq_diff, seq_le
from usbmux.testing.options import PhoneOptions
from usbmux.values import frozen


class ConnectionState(Enum):
    """Where a connection is."""

    LISTEN = auto()
    """The SYN is here, the port has not accepted it yet."""
    SYN_RECEIVED = auto()
    """Our SYN|ACK is out."""
    ESTABLISHED = auto()
    CLOSED = auto()


_EDGES: Final = {
    ConnectionState.LISTEN: {ConnectionState.SYN_RECEIVED, ConnectionState.CLOSED},
    ConnectionState.SYN_RECEIVED: {ConnectionState.ESTABLISHED, ConnectionState.CLOSED},
    ConnectionState.ESTABLISHED: {ConnectionState.CLOSED},
    ConnectionState.CLOSED: frozenset[ConnectionState](),
}
# Plain numbers: each operation on members of Flags costs a microsecond, several times per segment.
_SYN: Final = Flags.SYN.value
_RST: Final = Flags.RST.value
_ACK: Final = Flags.ACK.value
AMNESIA: Final = b"connection suffers from amnesia"
"""What a phone says when its window was overrun."""


@frozen
class _Problem:
    rule: str
    """What was expected and what came."""
    reason: bytes
    """What the RST says about it."""


_EARLY: Final = _Problem(
    "handshake: expected nothing before our SYN|ACK", b"segment before the connection was accepted"
)


class DeviceConnection:
    """One connection, from the host's SYN on.

    Args:
        syn: The segment that asks for it.
        strict: Whether a broken rule ends the connection; it is reported in either case.
        emit: Takes each segment for the host, in order.
        report: Takes each broken rule, in words.
    """

    def __init__(
        self,
        syn: Segment,
        options: PhoneOptions,
        *,
        strict: bool,
        emit: Callable[[Segment], None],
        report: Callable[[str], None],
    ) -> None:
        self.host_port = syn.source_port
        self.port = syn.destination_port
        self.snd_una = options.initial_sequence
        self.snd_nxt = options.initial_sequence
        self.snd_wnd = syn.window
        self.rcv_nxt = seq_add(syn.seq, 1)
        self._state = ConnectionState.LISTEN
        self._options = options
        self._strict = strict
        self._emit = emit
        self._report = report
        self._window = options.window
        self._told_window = options.window
        self._rcv_edge = self.rcv_nxt
        self._is_ack_due = False
        self._is_closing = False
        self._unsent: deque[memoryview] = deque()
        self._unsent_length = 0
        self._unread: deque[memoryview] = deque()
        self._unread_length = 0
        self._allowance = options.reset_after

    @property
    def state(self) -> ConnectionState:
        """Where it is."""
        return self._state

    @property
    def unsent_length(self) -> int:
        """Number of bytes written that the host's window has not let out yet."""
        return self._unsent_length

    @property
    def unread_length(self) -> int:
        """Number of bytes received and not read."""
        return self._unread_length

    @property
    def is_all_acknowledged(self) -> bool:
        """Whether the host has everything that was written."""
        return not self._unsent_length and self.snd_una == self.snd_nxt

    def receive_segment(self, segment: Segment) -> None:
        """Check and take one segment behind the SYN.

        Raises:
            LocalProtocolError: The connection is closed: its owner should have forgotten it.
        """
        problem = self._find_problem(segment)
        if problem is not None:
            self._report(f"{problem.rule}: {segment}")
        if segment.flags & _RST:
            self.lose()
        elif problem is not None and self._strict:
            self.reset(problem.reason)
        elif self._state is not ConnectionState.LISTEN:
            self._take_acknowledgement(segment)
            self._take_payload(segment)
            self._send_segments()

    def accept(self) -> None:
        """Answer the SYN, unless that is done already."""
        if self._state is ConnectionState.LISTEN:
            self._set_state(ConnectionState.SYN_RECEIVED)
            self._emit_segment(_SYN | _ACK)

    def read(self, max_length: int) -> bytes:
        """Take at most that many received bytes; in "delivered" mode this acknowledges them at the next `flush`."""
        pieces: list[memoryview] = []
        wanted = max_length
        while wanted and self._unread:
            piece = self._unread.popleft()
            if len(piece) > wanted:
                self._unread.appendleft(piece[wanted:])
                piece = piece[:wanted]
            pieces.append(piece)
            wanted -= len(piece)
        self._unread_length -= max_length - wanted
        self._is_ack_due = self._is_ack_due or (wanted < max_length and self._options.announce_window)
        return b"".join(pieces)

    def write(self, data: bytes | memoryview) -> None:
        """Send as much as the host's window allows, keep the rest (a view of `data`) until it opens."""
        if data and self._state is not ConnectionState.CLOSED:
            self._unsent.append(memoryview(data).cast("B"))
            self._unsent_length += len(data)
            self._send_segments()

    def set_window(self, window: int) -> None:
        """Advertise another window from now on. What was advertised before may still be used by the host."""
        self._window = window
        self._is_ack_due = True
        self.flush()

    def flush(self) -> None:
        """Send the acknowledgement that is due, if no segment has carried it meanwhile."""
        if self._is_ack_due and self._state is ConnectionState.ESTABLISHED:
            self._emit_segment(_ACK)

    def close(self) -> None:
        """Reset the connection as soon as all that was written is sent. What comes in until then is dropped."""
        if self._state is ConnectionState.LISTEN:
            self.reset()
            return
        self._is_closing = True
        self.read(self._unread_length)
        self._send_segments()

    def reset(self, text: bytes = b"") -> None:
        """Reset the connection now; what was not sent is lost. In LISTEN this refuses it."""
        if self._state is not ConnectionState.CLOSED:
            self._emit_segment(_RST, text)
            self.lose()

    def lose(self) -> None:
        """The host has ended it, or is gone. What was received can still be read."""
        if self._state is not ConnectionState.CLOSED:
            self._set_state(ConnectionState.CLOSED)
            self._unsent.clear()
            self._unsent_length = 0

    def _set_state(self, state: ConnectionState) -> None:
        assert state in _EDGES[self._state], f"{self._state} -> {state}"
        self._state = state

    def _find_problem(self, segment: Segment) -> _Problem | None:
        """The first broken rule."""
        match self._state:
            case ConnectionState.LISTEN:
                return None if segment.flags & _RST else _EARLY
            case ConnectionState.SYN_RECEIVED:
                return None if segment.flags & _RST else self._find_mismatch(segment, self.snd_nxt)
            case ConnectionState.ESTABLISHED:
                return self._find_mismatch(segment, self.snd_una)
            case ConnectionState.CLOSED:
                raise LocalProtocolError(f"segment for a closed connection: {segment}")
            case _:
                assert_never(self._state)

    def _find_mismatch(self, segment: Segment, oldest_ack: int) -> _Problem | None:
        flags = segment.flags
        if flags != _ACK and flags & ~_ACK != _RST:
            return _Problem(f"flags: expected exactly ACK, received {Flags(flags)!r}", b"unexpected flags")
        if segment.seq != self.rcv_nxt:
            return _Problem(f"seq: expected {self.rcv_nxt}, received {segment.seq}", b"unexpected sequence number")
        if flags & _RST:
            return None
        if not (seq_le(oldest_ack, segment.ack) and seq_le(segment.ack, self.snd_nxt)):
            expected = f"{oldest_ack} to {self.snd_nxt}"
            return _Problem(f"ack: expected {expected}, received {segment.ack}", b"unexpected acknowledgement number")
        room = seq_diff(self._rcv_edge, segment.seq)
        if len(segment.payload) > room:
            return _Problem(f"window: expected at most {room} bytes, received {len(segment.payload)}", AMNESIA)
        return None

    def _take_acknowledgement(self, segment: Segment) -> None:
        self.snd_wnd = segment.window
        if seq_le(self.snd_una, segment.ack) and seq_le(segment.ack, self.snd_nxt):
            self.snd_una = segment.ack
        if self._state is ConnectionState.SYN_RECEIVED and self.snd_una == self.snd_nxt:
            self._set_state(ConnectionState.ESTABLISHED)
            self._spend_allowance(0)

    def _take_payload(self, segment: Segment) -> None:
        payload = segment.payload
        self.rcv_nxt = seq_add(segment.seq, len(payload))
        if not payload:
            if not self._options.announce_window and not self._told_window:
                self._is_ack_due = True
                self.flush()
            return
        if not self._is_closing:
            self._unread.append(memoryview(payload))
            self._unread_length += len(payload)
        if self._is_closing or self._options.acknowledge == "received":
            self._is_ack_due = True
            self.flush()
        self._spend_allowance(len(payload))

    def _send_segments(self) -> None:
        while self._unsent and (length := self._sendable_length()) > 0:
            payload = self._take_unsent(length)
            self._emit_segment(_ACK, payload)
            self._spend_allowance(len(payload))
        if self._is_closing and not self._unsent and self._state is not ConnectionState.CLOSED:
            self.reset()

    def _sendable_length(self) -> int:
        if self._state is not ConnectionState.ESTABLISHED:
            return 0
        room = self.snd_wnd - seq_diff(self.snd_nxt, self.snd_una)
        length = min(room, self._options.max_segment)
        return length if self._allowance is None else min(length, self._allowance)

    def _take_unsent(self, length: int) -> bytes | memoryview:
        first = self._unsent[0]
        if len(first) > length:
            self._unsent[0] = first[length:]
            self._unsent_length -= length
            return first[:length]
        pieces = [self._unsent.popleft()]
        length -= len(first)
        while length and self._unsent:
            piece = self._unsent.popleft()
            if len(piece) > length:
                self._unsent.appendleft(piece[length:])
                piece = piece[:length]
            pieces.append(piece)
            length -= len(piece)
        self._unsent_length -= sum(map(len, pieces))
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def _spend_allowance(self, length: int) -> None:
        if self._allowance is not None:
            self._allowance -= length
            if self._allowance <= 0:
                self.reset(self._options.reset_text)

    def _emit_segment(self, flags: int, payload: bytes | memoryview = b"") -> None:
        if self._options.acknowledge == "received":
            ack, window = self.rcv_nxt, max(self._window - self._unread_length, 0)
        else:
            ack, window = seq_add(self.rcv_nxt, -self._unread_length), self._window
        window = min(window, MAX_WINDOW) >> WINDOW_SHIFT << WINDOW_SHIFT
        edge = seq_add(ack, window)
        if seq_le(self._rcv_edge, edge):
            self._rcv_edge = edge
        self._is_ack_due = False
        self._told_window = window
        self._emit(Segment(self.port, self.host_port, self.snd_nxt, ack, flags, window, payload))
        if not flags & _RST:
            self.snd_nxt = seq_add(self.snd_nxt, len(payload) + bool(flags & _SYN))
