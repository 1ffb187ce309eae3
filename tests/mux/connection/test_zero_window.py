"""A phone that has shut its window is asked, again and again, and nothing is sent beyond it (T18)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.mux.wire import FIRST, PHONE_ISN, SYN_ACK
from usbmux.mux.events import CloseCause, ConnectionEstablished, SendRoomOpened
from usbmux.mux.segment import Flags
from usbmux.mux.settings import MuxSettings

if TYPE_CHECKING:
    from tests.mux.conftest import MakesWire
    from tests.mux.wire import Wire
    from usbmux.mux.connection import TcpConnection


def test_zero_window_is_asked_with_doubling_pauses_up_to_a_minute(wire: Wire, established: TcpConnection) -> None:
    wire.inject(window=0)
    for pause in (1, 2, 4, 8, 16, 32, 60, 60, 60):
        assert established.deadline == wire.now + pause
        wire.advance(pause - 0.001)
        wire.expect_nothing()
        wire.advance(0.001)
        wire.expect()
    assert established.send_room == 0


def test_zero_window_in_the_answer_to_syn_is_asked(wire: Wire) -> None:
    wire.establish(window=0)
    wire.advance(1)
    wire.expect()


def test_zero_window_told_again_does_not_begin_anew(wire: Wire, established: TcpConnection) -> None:
    wire.inject(window=0)
    wire.advance(0.75)
    wire.inject(window=0)
    wire.advance(0.25)
    wire.expect()
    wire.inject(window=0)  # an answer that changes nothing
    wire.advance(1.999)
    wire.expect_nothing()
    wire.advance(0.001)
    wire.expect()


def test_zero_window_woken_for_an_acknowledgement_is_not_asked_yet(wire: Wire, established: TcpConnection) -> None:
    question_due = wire.now + 1
    wire.inject(window=0, payload=b"data")
    wire.expect_data(established, b"data")
    wire.acknowledge(established, 4)
    wire.advance(0.005)
    wire.expect(ack=FIRST + 4)
    assert established.deadline == question_due
    wire.advance(1)
    wire.expect(ack=FIRST + 4)


def test_zero_window_woken_much_too_late_is_asked_once(wire: Wire, established: TcpConnection) -> None:
    wire.inject(window=0)
    wire.now += 1000
    wire.session.handle_timer(wire.now)
    wire.expect()
    assert established.deadline == wire.now + 2


def test_zero_window_opened_is_asked_no_more_and_the_next_time_soon_again(
    wire: Wire, established: TcpConnection
) -> None:
    wire.inject(window=0)
    wire.advance(1)
    wire.expect()
    wire.inject(window=256)
    wire.expect_event(SendRoomOpened(established))
    assert established.deadline is None
    wire.advance(100)
    wire.expect_nothing()
    wire.inject(window=0)
    wire.advance(1)
    wire.expect()


def test_zero_window_queued_data_stays_until_it_opens(wire: Wire) -> None:
    connection = wire.establish(window=256)
    wire.send(connection, bytes(100))
    wire.inject(window=0)
    wire.advance(3600)
    wire.expect()  # one question, for nobody took packets meanwhile
    wire.expect_nothing()
    wire.inject(window=256)
    wire.expect_event(SendRoomOpened(connection))
    wire.expect(payload=bytes(100))


def test_zero_window_with_data_under_way_is_asked_behind_it(wire: Wire) -> None:
    connection = wire.establish(window=256)
    wire.send(connection, bytes(256))
    wire.expect(payload=bytes(256))
    wire.inject(ack=1, window=0)
    wire.advance(1)
    wire.expect(seq=257)
    wire.inject(ack=257, window=0)
    wire.advance(2)
    wire.expect(seq=257)


def test_zero_window_old_acknowledgement_does_not_open_it(wire: Wire, established: TcpConnection) -> None:
    wire.send(established, b"12345")
    wire.expect(payload=b"12345")
    wire.inject(ack=6, window=0)
    wire.inject(ack=1, window=65536)
    assert established.send_room == 0
    wire.advance(1)
    wire.expect(seq=6)


def test_small_window_is_not_asked(wire: Wire, established: TcpConnection) -> None:
    wire.inject(window=256)
    assert established.deadline is None
    wire.advance(3600)
    wire.expect_nothing()


@pytest.mark.parametrize("is_client_gone", [False, True])
def test_zero_window_after_our_end_is_asked_until_the_linger_time_is_over(
    wire: Wire, established: TcpConnection, is_client_gone: bool
) -> None:
    wire.send(established, b"last words")
    wire.inject(window=0)
    if is_client_gone:
        wire.close(established)
    else:
        wire.shutdown_write(established)
    for pause in (1, 2, 4, 8):
        wire.advance(pause)
        wire.expect()
    wire.advance(15)
    wire.expect_closed(established, CloseCause.EXPIRED, "nothing moved for 30 s after the end")
    wire.expect(flags=Flags.RST)
    assert established.deadline is None
    wire.advance(3600)
    wire.expect_nothing()


def test_zero_window_reset_by_the_phone_is_asked_no_more(wire: Wire, established: TcpConnection) -> None:
    wire.inject(window=0)
    wire.inject(flags=Flags.RST, window=0)
    wire.expect_closed(established, CloseCause.RESET)
    wire.advance(3600)
    wire.expect_nothing()


def test_zero_window_times_are_settings(make_wire: MakesWire) -> None:
    wire = make_wire(MuxSettings(zero_window_probe_s=5, longest_zero_window_probe_s=7))
    wire.shake_hands()
    connection = wire.session.connect(1, wire.now)
    wire.expect(flags=Flags.SYN, seq=0, ack=0, destination=1)
    wire.inject(flags=SYN_ACK, seq=PHONE_ISN, window=0, source=1)
    wire.expect_event(ConnectionEstablished(connection))
    wire.expect(ack=FIRST, destination=1)
    for pause in (5, 7, 7):
        wire.advance(pause - 0.001)
        wire.expect_nothing()
        wire.advance(0.001)
        wire.expect(destination=1)
