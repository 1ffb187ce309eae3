"""Both ends of one connection as those see it who use it, and what they may expect of it."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING, Final

from usbmux.mux.events import CloseCause
from usbmux.testing.device_connection import ConnectionState

if TYPE_CHECKING:
    from usbmux.mux.connection import TcpConnection
    from usbmux.testing.device_connection import DeviceConnection

MODULUS: Final = 2**32
_PERIOD: Final = 65521
_NOISE: Final = Random(0).randbytes(_PERIOD) * 4
LONGEST_PIECE: Final = 3 * _PERIOD


def content(salt: int, position: int, count: int) -> bytes:
    """The bytes of a stream from a position on, at most `LONGEST_PIECE`: noise that tells streams and places apart."""
    start = (salt + position) % _PERIOD
    return _NOISE[start : start + count]


@dataclass(slots=True, eq=False)
class Stream:
    """One connection. All counts are of bytes; both directions have the same content."""

    number: int
    salt: int
    connection: TcpConnection
    opened_at_s: float
    is_eager: bool
    """Whether both applications take everything at once."""

    written: int = 0
    received: int = 0
    taken: int = 0
    may_write: bool = False
    """What the session has told the client."""
    kept: int = 0
    """Bytes that the client has and keeps until its turn."""
    is_shut: bool = False
    is_gone: bool = False
    may_be_dropped: bool = False
    """Whether the client has given up what is under way."""
    cause: CloseCause | None = None

    end: DeviceConnection | None = None
    phone_isn: int = 0
    phone_written: int = 0
    phone_read: int = 0
    is_refused: bool = False
    has_phone_ended: bool = False
    is_damaged: bool = False
    """Wrong bytes came: allowed only where a transfer was cut short, for there are no checksums."""

    @property
    def is_over(self) -> bool:
        return self.cause is not None and not self.is_phone_open

    @property
    def is_phone_open(self) -> bool:
        return self.end is not None and self.end.state is not ConnectionState.CLOSED

    @property
    def phone_sent(self) -> int:
        """Bytes that went on the cable towards the client."""
        return 0 if self.end is None else max((self.end.snd_nxt - self.phone_isn) % MODULUS - 1, 0)

    @property
    def phone_received(self) -> int:
        """Bytes that came off the cable from the client, read or not; the host begins at 0."""
        return 0 if self.end is None else (self.end.rcv_nxt - 1) % MODULUS

    @property
    def waits_for_window(self) -> bool:
        """Whether the client could write more if the phone said that it has room."""
        if self.cause is not None or self.end is None:
            return False
        return self.phone_received != self.written or not self.connection.snd_wnd

    @property
    def phone_acknowledged(self) -> int:
        """Bytes of the phone that the host has acknowledged, its SYN aside."""
        return 0 if self.end is None else max((self.end.snd_una - self.phone_isn) % MODULUS - 1, 0)

    def client_receives(self, data: bytes, *, may_be_damaged: bool) -> None:
        assert not self.is_gone, "data for a client that is gone"
        assert self.cause is None, "data after the end"
        if data != content(self.salt, self.received, len(data)) and not self.is_damaged:
            assert may_be_damaged, f"wrong bytes for the client from {self.received} on"
            self.is_damaged = True
        self.received += len(data)
        assert self.received - self.taken <= self.connection.rcv_wnd, "more unread data than our window"

    def phone_reads(self, count: int) -> int:
        """The phone's application reads at most that much."""
        assert self.end is not None
        total = 0
        while data := self.end.read(min(count - total, LONGEST_PIECE)):
            assert data == content(self.salt, self.phone_read, len(data)), f"wrong bytes from {self.phone_read} on"
            self.phone_read += len(data)
            total += len(data)
        assert self.phone_read <= self.written, "more than was written"
        return total

    def check_acknowledgement(self) -> None:
        """The host acknowledges what its client has taken, and what comes when there is no client any more."""
        assert self.is_gone or self.phone_acknowledged <= self.taken, "acknowledged what the client has not taken"

    def check_cause(self, cause: CloseCause, now_s: float, syn_timeout_s: float) -> None:
        """Whether a connection on a cable without faults, plugged all the time, may end like this now."""
        match cause:
            case CloseCause.REFUSED:
                assert self.is_refused
            case CloseCause.UNANSWERED:
                assert now_s >= self.opened_at_s + syn_timeout_s
            case CloseCause.RESET:
                assert self.has_phone_ended
                assert self.is_gone or self.received == self.phone_sent, "lost what came before the reset"
            case CloseCause.FINISHED:
                assert self.is_gone
                assert self.phone_received == self.written, "finished, but not everything has arrived"
            case CloseCause.EXPIRED:
                assert self.is_gone or self.is_shut
            case CloseCause.ABORTED:
                assert self.may_be_dropped, "cut off instead of finished"
            case _:
                raise AssertionError(f"{cause} without a reason")

    def check_complete(self) -> None:
        """Everybody has done what there was to do, and nobody has ended it."""
        assert self.phone_read == self.written, f"{self.written - self.phone_read} bytes for the phone are stuck"
        assert self.received == self.phone_written, f"{self.phone_written - self.received} bytes for the client stuck"
        assert self.is_shut or self.may_write, "nobody told the client that it may write"
        assert self.is_shut or self.connection.send_room > 0
