"""Data that is sent at once, from where it stands, in scripts; test_send_at_once.py compares it with queued data."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.mux.wire import FIRST, OUR_WINDOW, PHONE_ISN, PHONE_PORT, SYN_ACK, Wire
from usbmux.errors import LocalProtocolError
from usbmux.mux.events import ConnectionEstablished, SendRoomOpened
from usbmux.mux.segment import Flags
from usbmux.mux.settings import MuxSettings

if TYPE_CHECKING:
    from usbmux.mux.connection import TcpConnection

LONGEST = 0xBFFC - 36


def refused(wire: Wire, connection: TcpConnection, count: int, match: str) -> None:
    with pytest.raises(LocalProtocolError, match=match):
        wire.session.send_at_once(connection, memoryview(bytearray(70000)), count)
    wire.expect_nothing()


@pytest.mark.parametrize("version", [1, 2])
def test_sent_one_after_the_other_each_is_one_packet_and_counts(version: int) -> None:
    wire = Wire(version=version)
    wire.shake_hands()
    connection = wire.establish(window=512)
    wire.expect_at_once(connection, b"one")
    wire.expect_at_once(connection, bytes(300), seq=4)
    assert (connection.snd_nxt, connection.send_room) == (304, 209)
    wire.expect_at_once(connection, bytes(209), seq=304)
    assert connection.send_room == 0
    wire.expect_nothing()


def test_as_much_as_there_is_room_is_sent_more_is_an_error(wire: Wire) -> None:
    connection = wire.establish(window=512)
    refused(wire, connection, 513, "513 bytes do not fit into send room 512")
    wire.expect_at_once(connection, bytes(511))
    wire.expect_at_once(connection, b"x", seq=512)
    refused(wire, connection, 1, "1 bytes do not fit into send room 0")


def test_room_of_one_byte_is_room(wire: Wire) -> None:
    connection = wire.establish(window=256)
    wire.expect_at_once(connection, bytes(256))
    wire.inject(ack=256, window=256)
    wire.expect_event(SendRoomOpened(connection))
    assert connection.send_room == 255
    wire.session.send(connection, bytes(255), wire.now)
    wire.expect(seq=257, payload=bytes(255))
    wire.inject(ack=257, window=256)
    wire.expect_event(SendRoomOpened(connection))
    assert connection.send_room == 1


def test_phone_shrinks_its_window_to_one_byte_that_is_sent(wire: Wire) -> None:
    connection = wire.establish(window=1024)
    wire.expect_at_once(connection, bytes(255))
    wire.inject(ack=1, window=256)
    assert connection.send_room == 1
    wire.expect_at_once(connection, b"y", seq=256)


def test_phone_shrinks_its_window_below_what_is_queued_one_byte_goes_out(wire: Wire) -> None:
    connection = wire.establish(window=1024)
    wire.expect_at_once(connection, bytes(255))
    wire.session.send(connection, b"queued", wire.now)
    wire.inject(ack=1, window=256)
    wire.expect(seq=256, payload=b"q")
    wire.expect_nothing()


def test_phone_leaves_room_for_what_is_queued_and_one_byte(wire: Wire) -> None:
    connection = wire.establish(window=1024)
    wire.expect_at_once(connection, bytes(255))
    wire.session.send(connection, bytes(256), wire.now)
    wire.inject(ack=1, window=512)
    assert connection.send_room == 1
    wire.expect(seq=256, payload=bytes(256))


def test_acknowledgement_is_due_data_carries_it_and_none_follows(wire: Wire) -> None:
    connection = wire.establish()
    wire.inject(payload=b"twelve bytes")
    wire.expect_data(connection, b"twelve bytes")
    wire.acknowledge(connection, 12)
    wire.expect_at_once(connection, b"data", ack=FIRST + 12)
    assert connection.rcv_acked == connection.rcv_taken
    wire.advance(1)
    wire.expect_nothing()


def test_acknowledgement_is_due_at_once_it_goes_before_data(wire: Wire) -> None:
    connection = wire.establish()
    seq = wire.receive(connection, OUR_WINDOW // 2)
    wire.session.next_event()
    wire.acknowledge(connection, OUR_WINDOW // 2)
    with pytest.raises(LocalProtocolError, match="cannot be sent at once"):
        wire.session.send_at_once(connection, memoryview(bytearray(100)), 1)
    wire.expect(ack=seq)
    wire.expect_nothing()
    wire.expect_at_once(connection, b"z", ack=seq)


def test_sequence_number_wraps(wire: Wire) -> None:
    connection = wire.establish()
    connection.snd_nxt = connection.snd_una = 0xFFFFFFFE
    wire.expect_at_once(connection, b"wrapped", seq=0xFFFFFFFE)
    assert connection.snd_nxt == 5


def test_connection_is_not_established_any_more_nothing_can_be_sent(wire: Wire) -> None:
    connection = wire.establish()
    wire.shutdown_write(connection)
    refused(wire, connection, 1, "HALF_CLOSED: 1 bytes do not fit into send room 0")


def test_others_wait_sending_at_once_is_an_error_and_nothing_overtakes_them(wire: Wire) -> None:
    connection = wire.establish()
    wire.session.send(connection, b"queued", wire.now)
    with pytest.raises(LocalProtocolError, match="9 bytes cannot be sent at once"):
        wire.session.send_at_once(connection, memoryview(bytearray(100)), 9)
    wire.session.send(connection, b"behind it", wire.now)
    wire.expect(payload=b"queued" + b"behind it")
    wire.expect_nothing()


def test_just_what_one_packet_takes_is_sent(wire: Wire) -> None:
    wire.expect_at_once(wire.establish(), bytes(LONGEST))
    wire.expect_nothing()


@pytest.mark.parametrize("count", [0, LONGEST + 1])
def test_not_what_one_packet_takes_is_an_error_and_nothing_is_sent(wire: Wire, count: int) -> None:
    refused(wire, wire.establish(), count, "cannot be sent at once")
    wire.expect_nothing()


def test_window_is_more_than_its_field_can_say_the_most_is_said() -> None:
    wire = Wire(MuxSettings(receive_window=1 << 24))
    wire.shake_hands()
    connection = wire.session.connect(PHONE_PORT, wire.now)
    wire.expect(flags=Flags.SYN, seq=0, ack=0, window=0xFFFF << 8)
    wire.inject(flags=SYN_ACK, seq=PHONE_ISN)
    wire.expect_event(ConnectionEstablished(connection))
    wire.expect(window=0xFFFF << 8)
    wire.expect_nothing()
    wire.expect_at_once(connection, b"data", window=0xFFFF << 8)
