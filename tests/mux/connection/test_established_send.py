from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.mux.wire import FIRST, PHONE_WINDOW
from usbmux.errors import LocalProtocolError
from usbmux.mux.events import SendRoomOpened
from usbmux.mux.segment import MAX_WINDOW

if TYPE_CHECKING:
    from tests.mux.wire import Wire
    from usbmux.mux.connection import TcpConnection


def test_established_send_goes_out_at_once(wire: Wire, established: TcpConnection) -> None:
    wire.send(established, b"hello")
    wire.expect(seq=1, payload=b"hello")
    wire.send(established, b"world")
    wire.expect(seq=6, payload=b"world")


def test_established_unacknowledged_data_is_never_sent_again(wire: Wire, established: TcpConnection) -> None:
    wire.send(established, b"hello")
    wire.expect(payload=b"hello")
    wire.advance(3600)


def test_established_send_room_is_the_window_less_flight_and_queue(wire: Wire, established: TcpConnection) -> None:
    wire.send(established, bytes(1000))
    assert established.send_room == PHONE_WINDOW - 1000
    wire.expect(payload=bytes(1000))
    assert established.send_room == PHONE_WINDOW - 1000
    wire.send(established, bytes(500))
    assert established.send_room == PHONE_WINDOW - 1500
    wire.expect(seq=1001, payload=bytes(500))
    wire.inject(ack=1001)
    assert established.send_room == PHONE_WINDOW - 500
    wire.inject(ack=1501)
    assert established.send_room == PHONE_WINDOW


def test_established_send_beyond_the_room_is_refused_and_changes_nothing(wire: Wire) -> None:
    connection = wire.establish(window=256)
    with pytest.raises(LocalProtocolError, match="1 > 62078 ESTABLISHED: 257 bytes do not fit into send room 256"):
        wire.send(connection, bytes(257))
    assert connection.send_room == 256
    wire.send(connection, bytes(256))
    wire.expect(payload=bytes(256))


def test_established_largest_window_is_usable(wire: Wire) -> None:
    connection = wire.establish(window=MAX_WINDOW)
    assert connection.send_room == MAX_WINDOW == 16_776_960


def test_established_send_nothing_sends_nothing(wire: Wire, established: TcpConnection) -> None:
    wire.send(established, b"")
    assert established.send_room == PHONE_WINDOW


# A full window and a shrinking one (T6).


def test_established_full_window_waits_for_acknowledgement(wire: Wire) -> None:
    connection = wire.establish(window=512)
    wire.send(connection, bytes(512))
    wire.expect(payload=bytes(512))
    assert connection.send_room == 0
    wire.inject(ack=257, window=512)
    wire.expect_event(SendRoomOpened(connection))
    assert connection.send_room == 256
    wire.send(connection, bytes(256))
    wire.expect(seq=513, payload=bytes(256))


def test_established_shrunken_window_holds_back_what_is_queued(wire: Wire) -> None:
    connection = wire.establish(window=1024)
    wire.send(connection, bytes(1024))
    wire.inject(window=256)
    assert connection.send_room == 0
    wire.expect(payload=bytes(256))
    wire.expect_nothing()
    wire.inject(ack=257, window=512)
    wire.expect(seq=257, payload=bytes(512))
    assert connection.send_room == 0
    wire.inject(ack=769, window=512)
    wire.expect_event(SendRoomOpened(connection))
    assert connection.send_room == 256
    wire.expect(seq=769, payload=bytes(256))


def test_established_shrunken_window_counts_what_is_in_flight(wire: Wire) -> None:
    connection = wire.establish(window=1024)
    wire.send(connection, bytes(512))
    wire.expect(payload=bytes(512))
    wire.send(connection, bytes(512))
    wire.inject(window=768)
    wire.expect(seq=513, payload=bytes(256))
    wire.expect_nothing()
    wire.inject(ack=513, window=768)
    wire.expect_event(SendRoomOpened(connection))
    wire.expect(seq=769, payload=bytes(256))


def test_established_window_shrunken_below_the_flight_waits(wire: Wire) -> None:
    connection = wire.establish(window=1024)
    wire.send(connection, bytes(1000))
    wire.expect(payload=bytes(1000))
    wire.inject(window=256)
    assert connection.send_room == 0
    wire.inject(ack=501, window=256)
    assert connection.send_room == 0
    wire.expect_nothing()
    wire.inject(ack=1001, window=256)
    wire.expect_event(SendRoomOpened(connection))
    assert connection.send_room == 256


# SendRoomOpened: exactly when the room was 0 and is not any more.


def test_established_with_zero_window_opens_later(wire: Wire) -> None:
    connection = wire.establish(window=0)
    wire.inject(window=0)
    wire.expect_nothing()
    wire.inject(window=256)
    wire.expect_event(SendRoomOpened(connection))
    wire.inject(window=512)


def test_established_window_shrunken_to_0_without_a_send_opens_again(wire: Wire, established: TcpConnection) -> None:
    wire.inject(window=0)
    assert established.send_room == 0
    wire.inject(window=256)
    wire.expect_event(SendRoomOpened(established))


def test_established_room_never_0_is_never_reported(wire: Wire, established: TcpConnection) -> None:
    wire.send(established, bytes(PHONE_WINDOW - 1))
    wire.expect(payload=bytes(49112))
    wire.expect(seq=49113, payload=bytes(PHONE_WINDOW - 1 - 49112))
    wire.inject(ack=5)
    wire.inject(ack=PHONE_WINDOW)


def test_established_room_opened_once_for_several_acknowledgements(wire: Wire) -> None:
    connection = wire.establish(window=256)
    wire.send(connection, bytes(256))
    wire.expect(payload=bytes(256))
    wire.inject(ack=2, window=256)
    wire.expect_event(SendRoomOpened(connection))
    wire.inject(ack=100, window=256)
    wire.inject(ack=257, window=256)


def test_established_window_moved_on_but_not_opened_is_not_reported(wire: Wire) -> None:
    connection = wire.establish(window=512)
    wire.send(connection, bytes(512))
    wire.expect(payload=bytes(512))
    wire.inject(ack=257, window=256)
    assert connection.send_room == 0
    wire.expect_nothing()
    wire.inject(ack=513, window=256)
    wire.expect_event(SendRoomOpened(connection))


def test_established_room_filled_closed_and_opened_twice_is_reported_twice(wire: Wire) -> None:
    connection = wire.establish(window=256)
    for _ in range(2):
        wire.inject(window=0)
        wire.inject(window=256)
        wire.expect_event(SendRoomOpened(connection))


def test_established_empty_send_into_a_full_window_does_not_forget_that_it_is_full(wire: Wire) -> None:
    connection = wire.establish(window=0)
    wire.send(connection, b"")
    wire.inject(window=256)
    wire.expect_event(SendRoomOpened(connection))


def test_established_window_and_data_in_one_segment_report_both(wire: Wire) -> None:
    connection = wire.establish(window=0)
    wire.inject(window=256, payload=b"data")
    wire.expect_event(SendRoomOpened(connection))
    wire.expect_data(connection, b"data")


# Sequence numbers around 2^32.


@pytest.fixture
def near_the_wrap(wire: Wire, established: TcpConnection) -> TcpConnection:
    """As after 4 GiB less 300 bytes, all of which were acknowledged."""
    established.snd_una = established.snd_nxt = 2**32 - 300
    return established


def test_established_data_is_sent_across_the_wrap(wire: Wire, near_the_wrap: TcpConnection) -> None:
    wire.send(near_the_wrap, bytes(200))
    wire.expect(seq=2**32 - 300, payload=bytes(200))
    wire.send(near_the_wrap, bytes(200))
    wire.expect(seq=2**32 - 100, payload=bytes(200))
    wire.send(near_the_wrap, bytes(200))
    wire.expect(seq=100, payload=bytes(200))
    assert near_the_wrap.send_room == PHONE_WINDOW - 600
    wire.inject(ack=2**32 - 50)
    assert near_the_wrap.send_room == PHONE_WINDOW - 350
    wire.inject(ack=300)
    assert near_the_wrap.send_room == PHONE_WINDOW


def test_established_window_across_the_wrap_is_respected(wire: Wire, near_the_wrap: TcpConnection) -> None:
    wire.inject(ack=2**32 - 300, window=512)
    wire.send(near_the_wrap, bytes(512))
    wire.expect(seq=2**32 - 300, payload=bytes(512))
    assert near_the_wrap.send_room == 0
    wire.inject(ack=0, window=512)
    wire.expect_event(SendRoomOpened(near_the_wrap))
    assert near_the_wrap.send_room == 300


def test_established_old_ack_from_before_the_wrap_is_ignored(wire: Wire, near_the_wrap: TcpConnection) -> None:
    wire.send(near_the_wrap, bytes(400))
    wire.expect(seq=2**32 - 300, payload=bytes(400))
    wire.inject(ack=100)
    wire.inject(ack=2**32 - 1, window=0)
    assert near_the_wrap.send_room == PHONE_WINDOW


def test_established_ack_beyond_the_wrap_of_what_was_not_sent_resets(wire: Wire, near_the_wrap: TcpConnection) -> None:
    wire.send(near_the_wrap, bytes(400))
    wire.expect(seq=2**32 - 300, payload=bytes(400))
    wire.inject(ack=101)
    wire.expect_violation(near_the_wrap, "expected ack up to 100, got", seq=100, ack=FIRST)
