"""The short way of ordinary segments, where its arithmetic could go wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.mux.wire import FIRST, OUR_WINDOW
from usbmux.mux.events import SendRoomOpened
from usbmux.mux.segment import Flags

if TYPE_CHECKING:
    from tests.mux.wire import Wire
    from usbmux.mux.connection import TcpConnection


@pytest.mark.parametrize("isn", [1000, 2**31 - OUR_WINDOW // 2 - 1, 2**32 - 70000])
def test_established_window_filled_and_one_byte_more_resets_wherever_the_sequence_is(wire: Wire, isn: int) -> None:
    connection = wire.establish(isn=isn)
    first = (isn + 1) % 2**32
    seq = wire.receive(connection, OUR_WINDOW, seq=first)
    wire.inject(seq=seq, payload=b"x")
    wire.expect_violation(connection, "window overrun: room for 0 bytes", ack=first)


def test_established_acknowledgement_leaves_no_room_nothing_is_reported(wire: Wire) -> None:
    connection = wire.establish(window=512)
    wire.send(connection, bytes(512))
    wire.expect(payload=bytes(512))
    wire.inject(ack=257, window=256)
    assert (connection.snd_una, connection.snd_wnd, connection.send_room) == (257, 256, 0)
    wire.expect_nothing()


def test_established_window_shrinks_below_what_is_in_flight_there_is_no_room(wire: Wire) -> None:
    connection = wire.establish(window=1024)
    wire.send(connection, bytes(600))
    wire.expect(payload=bytes(600))
    wire.inject(ack=1, window=512)
    assert (connection.snd_wnd, connection.send_room) == (512, 0)
    wire.inject(ack=601, window=512)
    wire.expect_event(SendRoomOpened(connection))


def test_established_acknowledgement_of_one_byte_leaves_room_for_one(wire: Wire) -> None:
    connection = wire.establish(window=256)
    wire.send(connection, bytes(256))
    wire.expect(payload=bytes(256))
    wire.inject(ack=2, window=256)
    wire.expect_event(SendRoomOpened(connection))
    assert connection.send_room == 1


@pytest.mark.parametrize("offset", [1, 2**31, -1 - 2**31])
def test_established_acknowledgement_of_what_was_not_sent_resets(
    wire: Wire, established: TcpConnection, offset: int
) -> None:
    wire.send(established, b"sent")
    wire.expect(payload=b"sent")
    wire.inject(ack=(5 + offset) % 2**32)
    if offset == 2**31:  # half of the numbers away it is an old one
        wire.expect_nothing()
    else:
        wire.expect_violation(established, "expected ack up to 5", seq=5)


def test_established_older_acknowledgement_changes_nothing(wire: Wire, established: TcpConnection) -> None:
    wire.send(established, b"sent")
    wire.expect(payload=b"sent")
    wire.inject(ack=5)
    wire.inject(ack=3, window=256)
    assert (established.snd_una, established.snd_wnd) == (5, 65536)


def test_established_flags_other_than_ack_behind_an_ordinary_segment_resets(
    wire: Wire, established: TcpConnection
) -> None:
    wire.inject_data(
        wire.segment(payload=b"good") + wire.segment(seq=FIRST + 4, flags=Flags.ACK | Flags.PSH, payload=b"bad")
    )
    wire.expect_data(established, b"good")
    wire.expect_violation(established, "expected flags ACK")
