from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.mux.conftest import LAST_WORDS
from tests.mux.wire import FIRST, OUR_WINDOW, PHONE_WINDOW
from usbmux.errors import LocalProtocolError
from usbmux.mux.events import CloseCause
from usbmux.mux.segment import Flags
from usbmux.mux.tcp_state import TcpState

if TYPE_CHECKING:
    from tests.mux.wire import Wire
    from usbmux.mux.connection import TcpConnection

EXPIRED = "nothing moved for 30 s after the end"
ALL_ACKED = 1 + len(LAST_WORDS)
QUARTER = OUR_WINDOW // 4


def expect_finished(wire: Wire, connection: TcpConnection, *, seq: int = ALL_ACKED, ack: int = FIRST) -> None:
    wire.expect_closed(connection, CloseCause.FINISHED)
    wire.expect(flags=Flags.RST, seq=seq, ack=ack)
    assert connection.state is TcpState.CLOSED
    wire.advance(60)


# Everything that the client wrote comes before our RST (T12).


def test_established_close_with_nothing_on_its_way_resets_at_once(wire: Wire, established: TcpConnection) -> None:
    wire.close(established)
    expect_finished(wire, established, seq=1)


def test_established_close_with_unread_data_acknowledges_it_in_the_reset(
    wire: Wire, established: TcpConnection
) -> None:
    wire.receive(established, 100)
    wire.acknowledge(established, 30)
    wire.close(established)
    expect_finished(wire, established, seq=1, ack=FIRST + 100)


def test_draining_waits_for_the_acknowledgement(wire: Wire, draining: TcpConnection) -> None:
    assert draining.state is TcpState.DRAINING
    assert draining.send_room == 0
    wire.advance(29.9)
    wire.expect_nothing()
    wire.inject(ack=ALL_ACKED - 1)
    wire.expect_nothing()
    wire.inject(ack=ALL_ACKED)
    expect_finished(wire, draining)


def test_established_close_sends_what_is_queued_first(wire: Wire) -> None:
    connection = wire.establish(window=512)
    wire.send(connection, bytes(512))
    wire.inject(window=256)
    wire.close(connection)
    wire.expect(payload=bytes(256))
    wire.expect_nothing()
    wire.inject(ack=257, window=256)
    wire.expect(seq=257, payload=bytes(256))
    wire.inject(ack=513, window=256)
    expect_finished(wire, connection, seq=513)


def test_draining_everything_sent_is_acknowledged_but_more_is_queued(wire: Wire, established: TcpConnection) -> None:
    wire.send(established, b"abc")
    wire.expect(payload=b"abc")
    wire.send(established, b"def")
    wire.close(established)
    wire.inject(ack=4)
    wire.expect(seq=4, payload=b"def")
    wire.inject(ack=7)
    expect_finished(wire, established, seq=7)


def test_draining_acknowledged_across_the_wrap(wire: Wire, established: TcpConnection) -> None:
    established.snd_una = established.snd_nxt = 2**32 - 5
    wire.send(established, LAST_WORDS)
    wire.expect(seq=2**32 - 5, payload=LAST_WORDS)
    wire.close(established)
    wire.inject(ack=0)
    wire.expect_nothing()
    wire.inject(ack=5)
    expect_finished(wire, established, seq=5)


def test_draining_window_opened_is_not_reported(wire: Wire) -> None:
    connection = wire.establish(window=256)
    wire.send(connection, bytes(256))
    wire.expect(payload=bytes(256))
    wire.close(connection)
    wire.inject(ack=2, window=PHONE_WINDOW)


# What comes meanwhile is acknowledged and dropped (T14).


def test_draining_data_is_dropped_and_acknowledged_after_the_delay(wire: Wire, draining: TcpConnection) -> None:
    wire.inject(payload=b"answer")
    wire.expect_nothing()
    wire.advance(0.005)
    wire.expect(seq=ALL_ACKED, ack=FIRST + 6)


def test_draining_data_across_the_wrap_is_acknowledged(wire: Wire) -> None:
    connection = wire.establish(isn=2**32 - 4)
    wire.send(connection, LAST_WORDS)
    wire.expect(ack=2**32 - 3, payload=LAST_WORDS)
    wire.close(connection)
    wire.inject(seq=2**32 - 3, payload=b"answer")
    wire.advance(0.005)
    wire.expect(seq=ALL_ACKED, ack=3)


def test_draining_quarter_of_the_window_is_acknowledged_at_once(wire: Wire, draining: TcpConnection) -> None:
    wire.inject(payload=bytes(QUARTER - 1))
    wire.expect_nothing()
    wire.inject(seq=FIRST + QUARTER - 1, payload=b"x")
    wire.expect(seq=ALL_ACKED, ack=FIRST + QUARTER)


def test_established_close_opens_the_window_that_the_client_left_full(wire: Wire, established: TcpConnection) -> None:
    seq = wire.receive(established, OUR_WINDOW)
    wire.send(established, LAST_WORDS)
    wire.expect(payload=LAST_WORDS)
    wire.close(established)
    wire.expect(seq=ALL_ACKED, ack=seq)
    for _ in range(8):
        wire.inject(seq=seq, payload=bytes(QUARTER))
        seq += QUARTER
        wire.expect(seq=ALL_ACKED, ack=seq)
    wire.inject(seq=seq, ack=ALL_ACKED)
    expect_finished(wire, established, ack=seq)


def test_draining_answer_with_the_last_acknowledgement_is_covered_by_the_reset(
    wire: Wire, draining: TcpConnection
) -> None:
    wire.inject(ack=ALL_ACKED, payload=b"thanks")
    expect_finished(wire, draining, ack=FIRST + 6)


def test_draining_window_overrun_resets(wire: Wire, draining: TcpConnection) -> None:
    wire.inject(payload=bytes(QUARTER - 1))
    wire.inject(seq=FIRST + QUARTER - 1, payload=bytes(60000))
    wire.inject(seq=FIRST + QUARTER + 59999, payload=bytes(OUR_WINDOW - QUARTER - 60000 + 2))
    wire.expect_violation(draining, "room for", seq=ALL_ACKED, ack=FIRST + QUARTER + 59999)


def test_draining_data_after_the_end_is_not_reset_twice(wire: Wire, draining: TcpConnection) -> None:
    wire.inject_data(wire.segment(ack=ALL_ACKED) + wire.segment(ack=ALL_ACKED, payload=b"crossing"))
    expect_finished(wire, draining)


# Other ends.


def test_draining_reset_by_the_phone_ends_it(wire: Wire, draining: TcpConnection) -> None:
    wire.inject(flags=Flags.RST, payload=b"enough")
    wire.expect_closed(draining, CloseCause.RESET, "enough")
    wire.advance(60)


def test_draining_abort_resets_with_text(wire: Wire, draining: TcpConnection) -> None:
    wire.abort(draining, "stop")
    wire.expect_closed(draining, CloseCause.ABORTED, "stop")
    wire.expect(flags=Flags.RST, seq=ALL_ACKED, payload=b"stop")
    wire.advance(60)


def test_draining_silence_expires(wire: Wire, draining: TcpConnection) -> None:
    wire.advance(29.9)
    wire.expect_nothing()
    wire.advance(0.1)
    wire.expect_closed(draining, CloseCause.EXPIRED, EXPIRED)
    wire.expect(flags=Flags.RST, seq=ALL_ACKED)
    wire.advance(60)


@pytest.mark.parametrize(("ack", "payload", "answer"), [(3, b"", 0), (1, b"x", 1)])
def test_draining_anything_that_moves_counts_as_life(
    wire: Wire, draining: TcpConnection, ack: int, payload: bytes, answer: int
) -> None:
    wire.advance(29)
    wire.inject(ack=ack, payload=payload)
    wire.advance(29.9)
    if answer:
        wire.expect(seq=ALL_ACKED, ack=FIRST + answer)
    wire.expect_nothing()
    wire.advance(0.1)
    wire.expect_closed(draining, CloseCause.EXPIRED, EXPIRED)
    wire.expect(flags=Flags.RST, seq=ALL_ACKED, ack=FIRST + answer)


def test_draining_an_acknowledgement_was_due_before_silence_expires(wire: Wire, established: TcpConnection) -> None:
    wire.advance(60)  # so that no deadline of its beginning is left
    wire.send(established, LAST_WORDS)
    wire.expect(payload=LAST_WORDS)
    wire.receive(established, 10)
    wire.acknowledge(established, 10)  # which plans the acknowledgement, for a time before the linger time is over
    wire.close(established)
    wire.advance(1)
    wire.expect(seq=ALL_ACKED, ack=FIRST + 10)
    wire.advance(29)
    wire.expect_closed(established, CloseCause.EXPIRED, EXPIRED)
    wire.expect(flags=Flags.RST, seq=ALL_ACKED, ack=FIRST + 10)


def test_draining_expired_drops_what_could_not_be_sent(wire: Wire, established: TcpConnection) -> None:
    wire.send(established, LAST_WORDS)
    wire.inject(window=0)
    wire.close(established)
    wire.advance(30)
    wire.expect_closed(established, CloseCause.EXPIRED, EXPIRED)
    wire.expect(flags=Flags.RST)


def test_half_closed_close_begins_the_linger_time_anew(wire: Wire, established: TcpConnection) -> None:
    wire.send(established, LAST_WORDS)
    wire.expect(payload=LAST_WORDS)
    wire.shutdown_write(established)
    wire.advance(20)
    wire.close(established)
    wire.advance(29.9)
    wire.expect_nothing()
    wire.advance(0.1)
    wire.expect_closed(established, CloseCause.EXPIRED, EXPIRED)
    wire.expect(flags=Flags.RST, seq=ALL_ACKED)


# What the client asks for when it is gone.


def test_draining_close_and_shutdown_again_have_no_effect(wire: Wire, draining: TcpConnection) -> None:
    wire.advance(20)
    wire.close(draining)
    wire.shutdown_write(draining)
    wire.expect_nothing()
    wire.advance(10)
    wire.expect_closed(draining, CloseCause.EXPIRED, EXPIRED)
    wire.expect(flags=Flags.RST, seq=ALL_ACKED)
    wire.close(draining)
    wire.shutdown_write(draining)


def test_draining_send_is_refused_and_what_the_client_still_took_counts_no_more(
    wire: Wire, draining: TcpConnection
) -> None:
    wire.inject(payload=b"dropped")
    with pytest.raises(LocalProtocolError, match="DRAINING: 0 bytes do not fit"):
        wire.send(draining, b"")
    wire.acknowledge(draining, 7)
    wire.advance(0.005)
    wire.expect(seq=ALL_ACKED, ack=FIRST + 7)
